"""script.py as a process of its own, over TLS: what it prints and ends with, and ``kill -9`` in the middle of it."""

from __future__ import annotations

import json
import re
import signal
import time
from collections import Counter
from contextlib import closing

import pytest

from helpers.ledger import Ledger
from sandbox.azure.app import CLIENT, TENANT, WORKSPACE
from sandbox.faults import Fault
from sandbox.serve import Sandbox
from tests.support import hosts, misp_event
from tests.support.postgres import postgres_server, postgres_url
from tests.support.processes import Host
from tests.sync.sightings.site import DAY, NAMES, SOURCE, day_of

__all__ = ["postgres_server", "postgres_url"]
ATTRIBUTES = 60
ADD, SEARCH = "/sightings/add", "/sightings/restSearch"
APP = {"tenantId": TENANT, "id": CLIENT, "secret": "s3cr3t"}
TWO = [{**APP, "name": "paris", "workspaceId": WORKSPACE}, {**APP, "name": "oslo", "workspaceId": CLIENT}]


class Site(Host):
    """A host that has sent an event's domains, with a key for sightings, and what is to be said of it."""

    def __init__(self, box, place, state_url=""):
        self.box, self.misp, self.azure = box, box.misp, box.azure
        self.event = misp_event(1, hosts(ATTRIBUTES), distribution="3")
        self.misp.load([self.event])
        self.key = self.misp.add_user("User")
        settings = {f"MS_AUTH__{name}": text for name, text in NAMES.items()}
        settings |= {"MISP_SIGHTINGS__API_KEY": self.key, "MS_ENDPOINTS__MANAGEMENT": box.azure_url}
        super().__init__(box, place, state_url, **settings)
        assert self.run().returncode == 0
        self.ids = {one["pattern"]: id_ for id_, one in self.azure.objects().items()}
        self._seen = 0

    @property
    def secrets(self):
        """What nobody is to read anywhere."""
        return (self.key, self.misp.readonly_key, self.azure.client_secret)

    @property
    def log(self):
        return (self.config.parent / "misp2sentinel.log").read_text(encoding="utf-8")

    def configure(self, **settings):
        self.environ |= {f"MISP2SENTINEL_{name}": value for name, value in settings.items()}

    def see(self, count, *, days=1):
        """An alert on each of the last days for attributes that were not seen before; what MISP is to have of it."""
        numbers = range(self._seen, self._seen + count)
        self._seen += count
        now = time.time()
        indicators = [self.ids[f"[domain-name:value = 'host{number}.example.org']"] for number in numbers]
        for day in range(days):
            self.azure.add_alert(indicators=indicators, start=now - day * DAY, generated=now - 60)
        return Counter((self.uuid(number), day_of(now - day * DAY)) for number in numbers for day in range(days))

    def uuid(self, number):
        return self.event["Attribute"][number]["uuid"]

    def has(self, expected):
        """What MISP has of these attributes: attribute and day, as often as it is there."""
        known = {row["id"]: row["uuid"] for event in self.misp.events() for row in event["Attribute"]}
        found = [(known[row["attribute_id"]], row) for row in self.misp.sightings if row["source"] == SOURCE]
        wanted = {uuid for uuid, _ in expected}
        return Counter((uuid, day_of(int(row["date_sighting"]))) for uuid, row in found if uuid in wanted)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Sandbox() as box:
        yield Site(box, tmp_path_factory.mktemp("site"))


@pytest.fixture
def site(shared):
    """The site, on which nothing is broken, nor afterwards; and no secret is in its log."""
    environ = dict(shared.environ)
    shared.azure.alerts.clear()
    yield shared
    shared.environ = environ
    for state in (shared.misp, shared.azure):
        state.faults.clear()
    shared.azure.readable.add(shared.azure.workspace_id)
    assert not [secret for secret in shared.secrets if secret in shared.log]


def ended(site, *arguments):
    """Exit code, stdout and stderr, in which no secret is."""
    process = site.run(*arguments)
    assert not [secret for secret in site.secrets if secret in process.stdout + process.stderr]
    return process.returncode, process.stdout, process.stderr


# -- what is printed ------------------------------------------------------------------------------------


def test_a_dry_run_lists_and_json_counts_and_without_a_terminal_nothing_is_said(site):
    seen = site.see(2)
    code, out, err = ended(site, "sightings", "--dry-run", "--list")
    *listed, verdict, _ = out.split("\n")
    assert (code, err, site.has(seen)) == (0, "", Counter())
    assert [line.split()[2] for line in listed] == sorted(uuid for uuid, _ in seen)
    assert all(re.fullmatch(r"sighting 20\S+Z \S+ host\d+\.example\.org", line) for line in listed)
    assert verdict == "Dry run: 1 alert, 2 matches, 2 would be written. Nothing was written into MISP."

    code, out, err = ended(site, "sightings", "--json")
    told = json.loads(out)
    assert (code, told["exit_code"], told["matches"], told["written"], err) == (0, 0, 2, 2, "")
    assert site.has(seen) == seen

    again = site.see(1)
    assert ended(site, "sightings") == (0, "", "")
    assert site.has(again) == again


def test_microsofts_refusal_is_on_stderr_in_the_log_and_in_check(site):
    site.azure.readable.discard(site.azure.workspace_id)
    code, out, err = ended(site, "sightings")
    assert (code, out) == (4, "")
    assert err.startswith("FAILED: the app may not read the workspace's alerts. Give it the role Microsoft Sentinel ")
    assert "Exit code 4; the log is " in err
    assert "Verdict: FAILED: the app may not read" in site.log
    code, out, _ = ended(site, "check")
    assert code == 4
    assert "\nFAIL Sentinel's alerts: the app may not read the workspace's alerts." in out
    assert "\nok   Microsoft upload: " in out, "the others are tried all the same"
    assert f"\nok   MISP sightings: may be added, as '{SOURCE}'" in out


def test_a_key_that_only_reads_is_refused_in_check_and_nothing_is_written(site):
    seen = site.see(1)
    site.configure(MISP_SIGHTINGS__API_KEY=site.misp.readonly_key)
    before = len(site.misp.sightings)
    code, out, err = ended(site, "sightings", "--json")
    told = json.loads(out)
    assert (code, told["exit_code"], told["waiting"], told["written"]) == (3, 3, 1, 0)
    assert 'FAILED: MISP: the key (misp_sightings["api_key"]) may not add sightings' in err
    code, out, _ = ended(site, "check")
    assert code == 3
    assert '\nFAIL MISP sightings: the key (misp_sightings["api_key"]) may not add sightings' in out
    assert "\nok   Sentinel's alerts: may be read, through the management API" in out
    site.configure(MISP_SIGHTINGS__API_KEY=site.key)
    assert len(site.misp.sightings) == before
    assert ended(site, "sightings") == (0, "", "")
    assert site.has(seen) == seen


def test_while_somebody_else_writes_them_it_does_nothing_and_says_so(site):
    seen = site.see(1)
    url = f"sqlite:///{site.config.parent / 'ledger.sqlite'}"
    with closing(Ledger(url, WORKSPACE, "MISP")) as ledger, ledger.database.hold_sightings(ledger.destination):
        code, out, err = ended(site, "sightings", "--json")
    assert (code, json.loads(out)["exit_code"]) == (5, 5)
    assert "are being written already" in err
    assert not site.has(seen)


def test_a_key_that_misp_says_again_reaches_nobody(site):
    seen = site.see(1)
    site.misp.faults.add(Fault(ADD, "status", 403, {"message": f"Authentication failed: {site.key}"}))
    code, out, err = ended(site, "sightings", "--json", "--verbose")
    assert (code, json.loads(out)["exit_code"]) == (3, 3)
    assert all("Authentication failed: [secret]" in text for text in (out, err, site.log))
    assert ended(site, "sightings") == (0, "", "")
    assert site.has(seen) == seen


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        (["--since", "15d"], {}, "15d is further back than alerts are read of"),
        (["--since", "x"], {}, "x is not a time"),
        ([], {"STATE_URL": "none"}, 'state_url is "none", and which indicator came from which attribute'),
        ([], {"MISP_SIGHTINGS__API_KEY": ""}, "misp_sightings['api_key'] must be given"),
        ([], {"MISP_SIGHTINGS__SOURCE": "Sentinel", "MS_TENANTS": json.dumps(TWO)}, "write {destination} into it"),
        (["--workspace", "nowhere"], {}, "no destination nowhere"),
    ],
)
def test_what_cannot_be_done_is_said_before_anybody_is_asked(site, arguments, settings, words):
    site.configure(**settings)
    asked = len(site.misp.requests)
    code, out, err = ended(site, "sightings", *arguments)
    assert (code, out, len(site.misp.requests)) == (2, "", asked)
    assert words in err


# -- kill -9 --------------------------------------------------------------------------------------------


def killed(site, path, number, *, processed, by=signal.SIGKILL):
    """Have the next process end when its so-manieth request to MISP for such a path has arrived."""
    left = [number]

    def arrived(_body):
        left[0] -= 1
        if left[0] == 0:
            site.process.send_signal(by)
        return left[0] == 0 and not processed

    site.misp.faults.add(Fault(path, "reset-before", times=None, when=arrived))


@pytest.mark.parametrize(
    ("path", "number", "processed"),
    [(ADD, 1, True), (ADD, 6, False), (SEARCH, 2, True)],
    ids=str,
)
def test_killed_while_it_writes_each_day_of_each_attribute_is_there_once(site, path, number, processed):
    seen = site.see(4, days=2)
    killed(site, path, number, processed=processed)
    assert site.run("sightings").returncode == -signal.SIGKILL
    site.misp.faults.clear()
    code, out, err = ended(site, "sightings", "--json")
    told = json.loads(out)
    assert (code, err, told["waiting"], told["in_doubt"]) == (0, "", 0, 0)
    assert site.has(seen) == seen
    assert (told["written"] > 0, told["there"]) == (True, int(path == ADD and processed))


def test_stopped_while_it_writes_it_says_so_and_the_next_one_goes_on(site):
    seen = site.see(4)
    killed(site, ADD, 3, processed=False, by=signal.SIGTERM)
    code, out, err = ended(site, "sightings")
    assert (code, out) == (130, "")
    assert err.startswith("Stopped from outside")
    assert 2 <= site.has(seen).total() < 4
    site.misp.faults.clear()
    assert ended(site, "sightings") == (0, "", "")
    assert site.has(seen) == seen


def test_killed_with_a_ledger_in_postgresql(postgres_url, tmp_path):
    with Sandbox() as box:
        site = Site(box, tmp_path, postgres_url)
        seen = site.see(4, days=2)
        killed(site, ADD, 3, processed=True)
        assert site.run("sightings").returncode == -signal.SIGKILL
        site.misp.faults.clear()
        assert ended(site, "sightings") == (0, "", "")
        assert site.has(seen) == seen
