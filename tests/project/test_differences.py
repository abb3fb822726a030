"""Each difference from misp2sentinel that its page names, and the line that goes with it, tried in the sandbox."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import constants
from constants import Skip
from helpers.commands import adopt
from helpers.errors import ExitCode, SettingsError
from helpers.settings import environment, load
from helpers.settings.config import places
from sandbox.serve import Sandbox
from tests.microsoft.test_graph import converted
from tests.project.test_docs import ROOT, codes, page, rows
from tests.support import environ_for, hosts, indicator, misp_event
from tests.support.in_process import OneProcess
from tests.support.processes import Host
from tests.support.processes import load as load_events
from tests.support.tls_site import TlsSite, attribute_uuid, event_uuid, sandbox

ROWS = {row[0]: row for row in rows(page("docs/coming-from-misp2sentinel.md"))}
START = 1_790_000_100
DAY = 86_400
GALAXY = 'misp-galaxy:mitre-tool="PsExec"'
TRIED = {}


def tries(name):
    """Name the row that a test tries."""

    def mark(test):
        TRIED[name] = test
        return test

    return mark


def lines(name):
    """Return the lines, names and commands that a row tells to write."""
    return codes(ROWS[name][2])


class Site(OneProcess):
    """A site whose config.py has a test's lines; it runs every hour."""

    def __init__(self, folder, *config):
        super().__init__(folder, START)
        self.config = folder / "config.py"
        self.write(*config)

    def write(self, *config):
        """Write config.py anew, after the shipped one's manner."""
        self.config.write_text("\n".join(["ms_auth = {}", "misp_event_filters = {'published': 1}", *config]))
        own = {"STATE_DIR": str(self.config.parent), "MISP_KEY": self.misp.key}
        named = {f"MISP2SENTINEL_{name}": value for name, value in own.items()}
        loaded = load(self.config, {**environ_for(self.azure), **named})
        self.settings, self.warnings = loaded.settings, loaded.warnings

    def bring(self, *attributes, **changes):
        """Put one event into MISP, and return the indicators that are live after a run."""
        self.misp.load([misp_event(1, attributes, **changes)])
        return self.sent()

    def sent(self):
        """Run, and return the indicators that are live."""
        self.seconds += 3600
        self.report = self.run()
        assert self.report.exit_code == ExitCode.DONE
        return list(self.live().values())

    @property
    def skipped(self):
        return {reason.name.lower(): count for reason, count in self.report.skipped.items()}


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


@pytest.fixture
def site_with(tmp_path):
    """A function that makes a site whose config.py has these lines."""

    def make(*config):
        folder = tmp_path / "changed"
        folder.mkdir()
        return Site(folder, *config)

    return make


def values(indicators):
    return sorted(found["pattern"].split("'")[-2] for found in indicators)


def test_every_row_is_tried():
    assert TRIED.keys() == ROWS.keys()
    assert all(all(row) for row in ROWS.values())


@tries("`state_dir`")
def test_without_the_line_there_is_a_place_where_no_home_is(site, tmp_path, monkeypatch):
    (line,) = lines("`state_dir`")
    monkeypatch.setattr(places, "_homes", lambda: iter(()))  # none in which anything can be made
    environ = environ_for(site.azure)
    for of_program, taken in ((tmp_path / "lib", tmp_path / "lib"), (tmp_path / "none", tmp_path / "state")):
        (tmp_path / "lib").mkdir(exist_ok=True)
        monkeypatch.setattr(places, "OF_PROGRAM", of_program)
        site.config.write_text("")
        assert load(site.config, environ).settings.state_path == taken
    site.config.write_text(line)
    assert load(site.config, environ).settings.state_path == Path("/var/lib/misp2sentinel")


@tries("what is sent again")
def test_only_what_changed_is_sent_again_unless_the_line_is_there(site, site_with):
    for each, again in ((site, 0), (site_with(*lines("what is sent again")), 2)):
        each.bring(*hosts(2))
        each.seconds += DAY
        each.sent()
        assert each.report.indicators == again


@tries("what leaves")
def test_what_misp_takes_back_leaves_unless_nothing_is_recorded(site, site_with):
    (line,) = lines("what leaves")
    for each, left in ((site, ["b.example.org"]), (site_with(line), ["a.example.org", "b.example.org"])):
        each.bring(("domain", "a.example.org"), ("domain", "b.example.org"))
        each.misp.edit_attribute(event_uuid(1), attribute_uuid(1, 0), to_ids=False)
        each.misp.publish(event_uuid(1))
        assert values(each.sent()) == left
    assert site.report.withdrawals.total() == 1
    assert each.report.indicators == 1, "each run sends all that is valid"


@pytest.fixture
def workspace_with(tmp_path):
    """A function that makes a site in whose workspace is what an older script sent of so many attributes."""
    box, time = sandbox()

    def make(count):
        site = TlsSite(box, time, tmp_path)
        site.misp.load([misp_event(1, hosts(count))])
        site.keep(*(indicator(n, id=f"indicator--{attribute_uuid(1, n)}") for n in range(count)))
        return site

    with box:
        yield make


def take_over(site, *, withdraw_unmatched=False, **more):
    options = {"withdraw_unmatched": withdraw_unmatched, "force_withdraw": False, "line": None}
    adopt.adopt([site.settings(**more)], **options, clock=site.time.clock, now=site.time.now)


@tries("`adopt` first")
def test_what_misp_took_back_before_leaves_only_where_adopt_came_first(workspace_with):
    assert lines("`adopt` first")[0] == "misp2sentinel adopt"
    site = workspace_with(2)
    before = site.azure.live().keys()
    site.misp.edit_attribute(event_uuid(1), attribute_uuid(1, 0), to_ids=False)
    site.misp.publish(event_uuid(1))
    site.run()
    assert site.azure.live().keys() == before, "replaced under the same ids, and the other one stays"
    site.lose_ledger()
    take_over(site)
    site.run()
    assert site.azure.live().keys() == {f"indicator--{attribute_uuid(1, 1)}"}


def test_an_id_of_chance_leaves_with_the_option(workspace_with):
    site = workspace_with(1)
    by_chance = indicator(7)
    site.keep(by_chance)
    assert lines("`adopt` first")[2] == "--withdraw-unmatched"
    take_over(site)
    assert by_chance["id"] in site.azure.live()
    site.lose_ledger()
    take_over(site, withdraw_unmatched=True)
    assert site.azure.live().keys() == {f"indicator--{attribute_uuid(1, 0)}"}


@tries("private addresses, CIDR")
def test_private_addresses_and_blocks_are_skipped_unless_the_line_is_there(site, site_with):
    attributes = [("ip-dst", "10.20.30.40"), ("ip-src", "198.51.100.0/24"), ("ip-src", "192.0.2.1")]
    assert values(site.bring(*attributes)) == ["192.0.2.1"]
    assert site.skipped == {"private_address": 1, "cidr": 1}
    changed = site_with(*lines("private addresses, CIDR"))
    assert values(changed.bring(*attributes)) == ["10.20.30.40", "192.0.2.1", "198.51.100.0/24"]


@tries("one value in several events")
def test_a_value_is_sent_for_each_attribute_unless_the_line_is_there(site, site_with):
    for each, times in ((site, 2), (site_with(lines("one value in several events")[0]), 1)):
        each.misp.load(misp_event(number, [("domain", "a.example.org")]) for number in (1, 2))
        assert values(each.sent()) == ["a.example.org"] * times


def test_what_was_taken_over_keeps_its_id_with_that_line(workspace_with):
    site = workspace_with(2)
    environ = {"DEDUPLICATE": lines("one value in several events")[0].split('"')[1]}
    take_over(site, **environ)
    assert site.run(**environ).withdrawals.total() == 0
    assert site.azure.live().keys() == {f"indicator--{attribute_uuid(1, n)}" for n in range(2)}


@tries("labels")
def test_galaxies_are_labels_unless_they_are_ignored(site, site_with, monkeypatch):
    tags = [{"name": GALAXY}, {"name": "loader"}]
    (sent,) = site.bring(("domain", "a.example.org"), Tag=tags)
    assert set(sent["labels"]) == {GALAXY, "loader"}
    _, prefix, name = lines("labels")
    monkeypatch.setattr(constants, name, [*getattr(constants, name), prefix.strip('"')])
    (sent,) = site_with().bring(("domain", "a.example.org"), Tag=tags)
    assert sent["labels"] == ["loader"]


@tries("beside indicators")
def test_organisations_and_actors_are_sent_beside_indicators_unless_the_line_is_there(site, site_with):
    for each, beside in (
        (site, {"identity", "threat-actor", "relationship"}),
        (site_with(*lines("beside indicators")), set()),
    ):
        each.misp.add_cluster("threat-actor", "Moon Fox")
        each.bring(*hosts(1), Tag=[{"name": 'misp-galaxy:threat-actor="Moon Fox"'}])
        assert {said["type"] for said in each.azure.live(kind=None).values()} == {"indicator"} | beside


@tries("`last_seen` and days")
def test_last_seen_ends_an_indicator_unless_the_days_alone_count(site, site_with):
    ends = [datetime.fromtimestamp(START + days * DAY, UTC).isoformat() for days in (-1, 3)]
    attributes = [{"type": "domain", "value": f"h{n}.example.org", "last_seen": end} for n, end in enumerate(ends)]
    (sent,) = site.bring(*attributes)
    assert sent["valid_until"][:10] == ends[1][:10] and site.skipped == {"expired": 1}
    changed = site_with(*lines("`last_seen` and days"))
    after = START + 3600 + 300 * DAY  # as days_to_expire_mapping has it for domain-name
    expiry = f"{datetime.fromtimestamp(after, UTC):%Y-%m-%d}"
    assert [sent["valid_until"][:10] for sent in changed.bring(*attributes)] == [expiry, expiry]


@tries("local tags")
def test_a_local_tag_is_no_label_but_counts(site, site_with):
    tags = [{"name": "tlp:red", "local": True}, {"name": "ours", "local": True}]
    (sent,) = site.bring(("domain", "a.example.org"), Tag=tags)
    (with_labels,) = site_with(*lines("local tags")).bring(("domain", "a.example.org"), Tag=tags)
    assert "labels" not in sent and with_labels["labels"] == ["ours"]
    assert sent["object_marking_refs"] == with_labels["object_marking_refs"]
    (white,) = site_with_nothing_local(site)
    assert white["object_marking_refs"] != sent["object_marking_refs"]


def site_with_nothing_local(site):
    site.misp.untag_event(event_uuid(1), "tlp:red")
    return site.sent()


@tries("dumps")
def test_a_dump_has_what_is_sent_and_by_the_line_everything(tmp_path):
    *variables, options = lines("dumps")[0].split(" misp2sentinel ")
    with Sandbox() as box:
        host = Host(box, tmp_path / "state", WRITE_PARSED_INDICATORS="true", SENTINEL_WRITE_RESPONSE="true")
        load_events(box, 1, 3)
        dump = tmp_path / "state" / "parsed_indicators.txt"
        counts = []
        for _ in range(2):
            assert host.run().returncode == 0
            counts.append(len(json.loads(dump.read_text())))
        assert counts == [3, 0] and dump.stat().st_mode & 0o777 == 0o600
        assert not (tmp_path / "state" / "sentinel_response.txt").exists(), "all answers were plain successes"
        host.environ |= dict(variable.split("=") for variable in variables[0].split())
        assert host.run(options).returncode == 0
        assert len(json.loads(dump.read_text())) == 3 and len(box.azure.uploads) == 1


@tries("`write_post_json`")
def test_each_answer_is_a_file_and_what_was_posted_is_in_the_dump(site_with, tmp_path):
    site = site_with(*lines("`write_post_json`"))
    site.bring(*hosts(150))
    answers = [json.loads(file.read_text()) for file in (tmp_path / "changed" / "logs").iterdir()]
    assert [(answer["status"], answer["text"]) for answer in answers] == [(200, "")] * 2
    posted = json.loads((tmp_path / "changed" / "parsed_indicators.txt").read_text())
    assert {one["id"] for one in posted} == site.live().keys()


@tries("Key Vault")
def test_the_vaults_packages_are_extra_and_no_code_is_needed(site):
    command, line = lines("Key Vault")
    extra, needed = page(command.split()[-1]), page("requirements.txt")
    packages = ("azure-identity", "azure-keyvault-secrets")
    assert [(name in extra, name in needed) for name in packages] == [(True, False)] * 2
    environ = environ_for(site.azure)
    del environ["MISP2SENTINEL_MISP_KEY"]
    site.config.write_text(f"{line}\n")
    assert "misp_key" in load(site.config, environ).settings.vault_secrets
    site.config.write_text("from azure.keyvault.secrets import SecretClient\nmisp_key = SecretClient.__name__ * 4\n")
    assert load(site.config, environ).settings.misp_key.get_secret_value() == "SecretClient" * 4


@tries("exit codes")
def test_a_run_that_fails_says_so_unless_the_line_hides_it(tmp_path):
    (line,) = lines("exit codes")
    (tmp_path / "config.py").write_text("")
    script = f"{sys.executable} {ROOT / 'script.py'} --config {tmp_path / 'config.py'}"
    assert line.startswith("misp2sentinel ")
    ended = [
        subprocess.run(["/bin/sh", "-c", command], env={}, capture_output=True, check=False).returncode
        for command in (script, line.replace("misp2sentinel", script))
    ]
    assert ended == [ExitCode.SETTINGS, 0]


@tries("the Function")
def test_a_function_wants_a_ledger_and_six_fields(site):
    names = dict(line.split("=") for line in lines("the Function"))
    schedule = names.pop("timerTriggerSchedule")
    assert len(schedule.split()) == 6 and "%timerTriggerSchedule%" in page("azure_function/function_app.py")
    site.config.write_text("")
    environ = {**environ_for(site.azure), environment.FUNCTION_SIGNS[0]: "python"}
    with pytest.raises(SettingsError, match="makes the ledger an SQLite file"):
        load(site.config, environ)
    assert not load(site.config, {**environ, **names}).settings.keeps_ledger


@tries("one observable")
def test_each_indicator_has_one_observable(site):
    sent = site.bring(("domain|ip", "a.example.org|192.0.2.1"), ("filename|sha256", f"invoice.exe|{'0a' * 32}"))
    patterns = {one["pattern"]: one for one in sent}
    assert patterns.keys() == {
        "[domain-name:value = 'a.example.org']",
        "[ipv4-addr:value = '192.0.2.1']",
        f"[file:hashes.'SHA-256' = '{'0a' * 32}']",
    }
    assert "invoice.exe" in patterns[f"[file:hashes.'SHA-256' = '{'0a' * 32}']"]["description"]


@tries("MISP's certificate")
def test_misps_certificate_is_checked_unless_the_line_says_otherwise(site):
    assert site.settings.misp_verifycert is True
    site.write(*lines("MISP's certificate"))
    assert site.settings.misp_verifycert is False
    assert any("could be anyone" in warning for warning in site.warnings)


@tries("which upload API")
def test_only_new_upload_api_decides(site_with, site):
    left_over = next(code for code in codes(ROWS["which upload API"][1]) if code.startswith("ms_api_version"))
    site.write(left_over)
    site.bring(*hosts(1))
    assert any("ms_api_version" in warning for warning in site.warnings)
    legacy = site_with(left_over, *lines("which upload API"))
    legacy.bring(*hosts(1))
    apis = [one._azure_line.requests[-1].url for one in (site, legacy)]
    assert ["stix-objects" in url for url in apis] == [True, False]
    assert not legacy.warnings


@tries("names of hashes")
def test_hashes_have_their_names_in_stix(site):
    sent = site.bring(("sha256", "0a" * 32), ("sha1", "0a" * 20))
    named = [code for code in codes(ROWS["names of hashes"][1]) if code.startswith("file:")]
    assert {one["pattern"].strip("[").partition(" = ")[0] for one in sent} == set(named)


@tries("types without a pattern")
def test_what_stix_has_no_pattern_for_is_skipped(site, site_with, monkeypatch):
    *types, reason = codes(ROWS["types without a pattern"][1])
    attributes = [*zip(types, ["25d786a83f34e2b3241136a74f2c6c8b", "DE02120300000000202051"], strict=True), *hosts(1)]
    assert len(site.bring(*attributes)) == 1 and site.skipped == {reason: 2}
    accepted = [*constants.UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES, *types]
    monkeypatch.setattr(constants, "UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES", accepted)
    with pytest.raises(SettingsError) as caught:
        site_with()
    named = ["is not a MISP type that can be sent" in problem for problem in caught.value.problems]
    assert named == [True] * 2, "there is no line"


@tries("confidence")
def test_the_events_confidence_counts_where_the_attribute_has_none(site, site_with):
    tag = {"name": 'misp:confidence-level="completely-confident"'}
    (of_event,) = site.bring(("domain", "a.example.org"), Tag=[tag])
    (of_nobody,) = site_with("default_confidence = 33").bring(("domain", "a.example.org"))
    assert (of_event["confidence"], of_nobody["confidence"]) == (100, 33)


@tries("comments, with Graph")
def test_with_graph_the_text_of_a_comment_goes_nowhere():
    (sent,), (skip,) = converted(("domain", "a.example.org"), ("comment", "seen by night"))
    assert "seen by night" not in json.dumps(sent) and misp_event(1)["uuid"] in sent["additionalInformation"]
    assert skip.reason is Skip.TYPE_NOT_ACCEPTED


def test_the_old_script_makes_room_where_the_installer_puts_this_one_and_its_config_py_is_named_to_it():
    here = page("docs/coming-from-misp2sentinel.md")
    (program,) = re.findall(r"PROGRAM=(\S+)", page("deploy/install.sh"))
    assert f"`mv {program} {program}.old`" in here
    assert f" --settings {program}.old/config.py" in here
