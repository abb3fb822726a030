"""Moving: from misp2sentinel, to another machine, to another address of MISP; each as its page says it."""

from __future__ import annotations

import importlib
import json
import re
import shutil

import pytest

from helpers.commands import COMMANDS
from helpers.commands.command_line import parse
from helpers.errors import ExitCode
from helpers.settings import load
from helpers.sync.destination import RunOptions
from helpers.sync.run import make_state_dir
from sandbox.azure.app import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE_NAME
from sandbox.serve import Sandbox
from tests.project.test_docs import page
from tests.support import Said, hosts, indicator, misp_event
from tests.support.tls_site import TlsSite, attribute_uuid, event_uuid, sandbox

PAGES = ("docs/coming-from-misp2sentinel.md", "docs/upgrade.md", "docs/move.md")
OBJECTS = 3


@pytest.mark.parametrize("name", PAGES)
def test_each_option_of_the_installer_that_a_page_names_is_one(name):
    typed = re.findall(r"deploy/install\.sh((?: (?:--[a-z-]+|\S+))*)", page(name))
    options = {word.strip("`,.;:") for words in typed for word in words.split() if word.startswith("--")}
    assert typed and [option for option in options if option not in page("deploy/install.sh")] == []


# --- from misp2sentinel ------------------------------------------------------------------------------


OLD_SETTINGS = """
ms_auth = {{
    "tenant": {tenant!r},
    "client_id": {client_id!r},
    "client_secret": {client_secret!r},
    "new_upload_api": True,
    "scope": "https://management.azure.com/.default",
    "workspace_id": {workspace_id!r},
    "subscription_id": {subscription!r},
    "resourceGroupName": {resource_group!r},
    "workspaceName": {workspace_name!r},
}}
ms_api_version = "2024-02-01-preview"
ms_max_indicators_request = 100
ms_max_requests_minute = 100
misp_key = {key!r}
misp_domain = {misp_url!r}
misp_verifycert = {ca_file!r}
misp_event_filters = {{
    "published": 1,
    "tags": ['workflow:state="complete"'],
    "enforceWarninglist": True,
    "includeEventTags": True,
    "publish_timestamp": "9999d",
}}
misp_event_limit_per_page = 100
ignore_localtags = True
default_confidence = 50
days_to_expire = 50
days_to_expire_start = "valid_from"
days_to_expire_mapping = {{"ipv4-addr": 180, "ipv6-addr": 180, "domain-name": 180, "url": 365}}
days_to_expire_ignore_misp_last_seen = True
log_file = {log_file!r}
verbose_log = False
write_parsed_indicators = False
write_parsed_eventid = False
sentinel_write_response = False
dry_run = False
misp_flatten_attributes = True
misp_remove_eventreports = True
remove_pipe_from_misp_attribute = True
sourcesystem = "MISP"
ms_useragent = "MISP-1.0"
ms_check_if_exist_in_sentinel = False
timeframe_toids_change = "1d"
"""


class OldHost:
    """A host on which misp2sentinel ran: its settings are all that there is."""

    def __init__(self, box, folder):
        self.box, self.config = box, folder / "config.py"
        azure, misp = box.azure, box.misp
        values = {name: getattr(azure, name) for name in ("tenant", "client_id", "client_secret", "workspace_id")}
        values |= {"subscription": SUBSCRIPTION, "resource_group": RESOURCE_GROUP, "workspace_name": WORKSPACE_NAME}
        values |= {"key": misp.readonly_key, "misp_url": box.misp_url, "ca_file": box.ca_file}
        self.config.write_text(OLD_SETTINGS.format(**values, log_file=str(folder / "old.log")))
        # Where the sandbox is, and what the installer puts into the environment's file.
        names = {f"MS_ENDPOINTS__{name}": box.azure_url for name in ("AUTHORITY", "UPLOAD", "MANAGEMENT")}
        names |= {"MS_VERIFYCERT": box.ca_file, "STATE_DIR": str(folder / "state")}
        self.environ = {f"MISP2SENTINEL_{name}": value for name, value in names.items()}

    def type(self, words):
        """Do what script.py does with these words, in this process; it must end well."""
        arguments, said = parse(words), Said()
        settings = load(self.config, self.environ).settings.model_copy(update={"dry_run": arguments.dry_run})
        make_state_dir(settings)
        main = importlib.import_module(COMMANDS[arguments.command].module).main
        assert main(settings, arguments, said.say) == ExitCode.DONE, said

    def sent_before(self, *numbers):
        """Put into Sentinel what the old script sent of these attributes of the event."""
        for number in numbers:
            old = indicator(number, id=f"indicator--{attribute_uuid(1, number)}")
            assert self.box.azure.store(self.box.azure.workspace_id, "MISP", old) is None


def test_settings_of_misp2sentinel_come_to_a_good_first_run_in_the_order_of_the_page(tmp_path):
    text = page("docs/coming-from-misp2sentinel.md")
    typed = re.findall(r"^ +misp2sentinel(.*?)(?: +#.*)?$", text, re.MULTILINE)
    assert [words.split() for words in typed] == [["check"], ["adopt", "--dry-run"], ["adopt"], ["--dry-run"], []]
    with Sandbox() as box:
        box.misp.load([misp_event(1, hosts(OBJECTS), Tag=[{"name": 'workflow:state="complete"'}])])
        host = OldHost(box, tmp_path)
        host.sent_before(0, 1, OBJECTS)  # the last one is of an attribute that MISP deleted meanwhile
        for words in typed[:-1]:
            host.type(words.split())
        assert not sum(one["count"] for one in box.azure.uploads), "nothing was sent by then"
        host.type([])
        wanted = {f"indicator--{attribute_uuid(1, number)}" for number in range(OBJECTS)}
        assert wanted <= box.azure.live().keys()
        assert f"indicator--{attribute_uuid(1, OBJECTS)}" in box.azure.live(), "of no attribute that MISP shows"


# --- another machine, another address ----------------------------------------------------------------


@pytest.fixture
def site(tmp_path):
    box, time = sandbox()
    with box:
        site = TlsSite(box, time, tmp_path)
        site.misp.load([misp_event(1, hosts(OBJECTS))])
        assert site.run().indicators == OBJECTS
        yield site


def take_back(site):
    """Have MISP take the first attribute back."""
    site.misp.edit_attribute(event_uuid(1), attribute_uuid(1, 0), to_ids=False)
    site.misp.publish(event_uuid(1))


def test_a_copied_state_directory_goes_on_where_the_other_machine_was(site):
    other = TlsSite(site.box, site.time, site.folder)
    other.state = site.folder / "other"
    shutil.copytree(site.state, other.state)
    assert other.run().requests == 0
    take_back(site)
    assert other.run().withdrawals.total() == 1
    assert len(site.azure.live()) == OBJECTS - 1


def test_at_another_address_all_is_sent_once_more_and_nothing_leaves_before_somebody_accepts_it(site):
    moved = site.box.misp_url.replace("localhost", "127.0.0.1")
    assert moved != site.box.misp_url
    take_back(site)
    first = site.run(MISP_DOMAIN=moved)
    told = first.as_json()
    assert (told["planned"]["changed"], told["withdrawals"], told["exit_code"]) == (OBJECTS - 1, {}, 1)
    assert "another MISP, or another user's view of it" in told["refused_withdrawals"][0]
    dry = site.run(RunOptions(force_withdraw=True), MISP_DOMAIN=moved, DRY_RUN="true")
    assert (dry.indicators, dry.withdrawals.total()) == (0, 1)
    accepted = site.run(RunOptions(force_withdraw=True), MISP_DOMAIN=moved)
    assert (accepted.indicators, accepted.withdrawals.total(), accepted.exit_code) == (0, 1, 0)
    then = site.run(MISP_DOMAIN=moved)
    assert (then.requests, then.exit_code, len(site.azure.live())) == (0, 0, OBJECTS - 1)
    assert all(moved in json.dumps(one["external_references"]) for one in site.azure.live().values())
