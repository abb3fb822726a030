"""Whole runs over TLS: MISP to Sentinel, the command line, files, exit codes, two runs at once."""

import io
import json
import logging
import os
import pty
import re
import signal
import stat
import subprocess
import sys
from collections import Counter
from pathlib import Path

import filelock
import pytest
from flask import request

import script
from constants import UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES, VERSION
from helpers.commands.command_line import parse
from helpers.commands.convert import events_in
from helpers.commands.run.summary import details, headline
from helpers.commands.run.verdict import verdict_of
from helpers.commands.screen import Screen
from helpers.errors import EventNotFound, UsageError
from helpers.files import user_name
from helpers.microsoft.batch import OutcomeState
from helpers.misp.reader import MispReader
from helpers.misp.search_filters import NOTHING_FOUND
from helpers.settings import loading
from helpers.sync import destination
from helpers.sync.destination import RunOptions
from helpers.sync.report import Report
from helpers.sync.run import make_state_dir, run
from sandbox.faults import Fault
from sandbox.serve import Sandbox
from tests.support import FakeTime, environ_for, hosts, misp_event
from tests.support.files.odd_files import ODD_FILES

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "misp-events"
UPLOAD_PATH = "threat-intelligence-stix-objects:upload"
EVENTS = "/events/restSearch"


class Site:
    """A site with its own sandbox and state directory."""

    def __init__(self, box, tmp_path):
        self.box = box
        self.state = tmp_path / "state"
        self.config = tmp_path / "config.py"
        self.config.write_text("misp_event_filters = {'published': 1, 'enforceWarninglist': True}\n")
        self.time = FakeTime()
        self.environ = {
            **environ_for(box.azure),
            "MISP2SENTINEL_MISP_DOMAIN": box.misp_url,
            "MISP2SENTINEL_MISP_KEY": box.misp.readonly_key,
            "MISP2SENTINEL_MISP_VERIFYCERT": box.ca_file,
            "MISP2SENTINEL_MS_VERIFYCERT": box.ca_file,
            **{f"MISP2SENTINEL_MS_ENDPOINTS__{k}": box.azure_url for k in ("AUTHORITY", "UPLOAD", "UPLOAD_LEGACY")},
            "MISP2SENTINEL_STATE_DIR": str(self.state),
        }

    def run(self, uuid="", progress=None, **environ):
        settings = loading.load(self.config, {**self.environ, **environ}).settings
        make_state_dir(settings)
        return run(settings, RunOptions(uuid), progress=progress, clock=self.time.clock)

    def script(self, *arguments, **environ):
        """Run script.py as cron would: no terminal."""
        return subprocess.run(
            [
                sys.executable,
                "-W",
                "error",
                "-W",
                "ignore::ImportWarning",
                str(ROOT / "script.py"),
                "--config",
                str(self.config),
                *arguments,
            ],
            env={"PATH": os.environ["PATH"], "HOME": str(self.state.parent), **self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @property
    def log(self):
        return (self.state / "misp2sentinel.log").read_text()


@pytest.fixture
def site(tmp_path):
    with Sandbox() as box:
        yield Site(box, tmp_path)


def load(site, events=5, attributes=30):
    site.box.misp.load(misp_event(n, hosts(attributes, f"e{n}h")) for n in range(1, events + 1))


def accounted(report):
    """Every attribute read is skipped or sent; every indicator has one state."""
    assert report.attributes == report.skipped.total() + report.indicators + report.unchanged
    assert report.indicators == sum(report.states.values())
    return report


def test_a_run_takes_every_attribute_to_sentinel(site):
    load(site)
    report = accounted(site.run())
    assert report.exit_code == 0
    assert len(site.box.azure.live()) == report.indicators == 150
    patterns = {indicator["pattern"] for indicator in site.box.azure.live().values()}
    assert "[domain-name:value = 'e3h7.example.org']" in patterns


def test_two_runs_give_the_same_ids(site):
    load(site)
    site.run()
    first = set(site.box.azure.live())
    site.run()
    assert set(site.box.azure.live()) == first


def test_the_log_begins_a_run_with_what_it_is(site):
    load(site, events=1)
    site.script("--full", "--verbose", TZ="Asia/Kathmandu")
    first, *more = site.log.splitlines()
    ours = re.fullmatch(
        r"\S+ \S+ INFO MISP2Sentinel (\S+) begins: (.*) "
        r"\(settings (.*), user (\S+), process (\d+), time zone (.*), Python (\S+)\)",
        first,
    )
    words, python = (
        f"{sys.executable} {ROOT / 'script.py'} --config {site.config} --full --verbose",
        sys.version.split()[0],
    )
    version, line, settings, user, process, zone, with_python = ours.groups()
    assert (version, line, settings, zone, with_python) == (VERSION, words, str(site.config), "+0545 +0545", python)
    assert user == user_name() and int(process) > 1
    assert not any(" begins: " in line for line in more)
    assert " INFO Verdict: OK" in more[-1] and " INFO Summary: " in more[-2]


def test_the_log_ends_a_run_that_cannot_begin_with_the_verdict_and_has_no_secret_of_the_command_line(site):
    key = site.box.misp.readonly_key
    done = site.script("--workspace", key)
    assert done.returncode == 2
    first, last = site.log.splitlines()
    assert key not in site.log and "--workspace [secret] (" in first
    assert " ERROR Verdict: FAILED: " in last


def test_misp_and_microsoft_learn_which_version_asks(site):
    load(site, events=1)
    asking = {"misp": set(), "azure": set()}

    def heard(server):
        return lambda _: asking[server].add(request.headers["User-Agent"])

    site.box.misp.faults.add(Fault("/", "status", when=heard("misp")))
    site.box.azure.faults.add(Fault("/", "status", when=heard("azure")))
    site.run()
    assert asking["azure"] == {f"MISP2Sentinel/{VERSION}"}
    assert asking["misp"] and all(name.endswith(f"MISP2Sentinel/{VERSION}") for name in asking["misp"])


MISP_FAULTS = {
    "500 once": (Fault(EVENTS, "status", after=1), 0, 0),
    "500 on page 2 for good": (
        Fault(EVENTS, "status", when=lambda body: "3" in map(str, body.get("eventid") or []), times=None),
        1,
        3,
    ),
    "truncated JSON": (Fault(EVENTS, "truncate", after=1), 0, 0),
    "truncated JSON for good": (
        Fault("restSearch", "truncate", when=lambda body: not body.get("metadata"), times=None),
        5,
        3,
    ),
    "timeout": (Fault(EVENTS, "hang", after=1), 0, 0),
    "reset": (Fault(EVENTS, "reset-after", after=1), 0, 0),
}


@pytest.mark.parametrize("name", MISP_FAULTS)
def test_faults_of_misp(site, name):
    fault, lost, code = MISP_FAULTS[name]
    load(site)
    site.box.misp.faults.add(Fault(**vars(fault)))
    report = accounted(site.run(MISP2SENTINEL_MISP_EVENT_LIMIT_PER_PAGE="2", MISP2SENTINEL_MISP_TIMEOUT="1"))
    assert report.exit_code == code
    assert len(site.box.azure.live()) == report.indicators == 150 - 30 * lost


AZURE_FAULTS = {
    "429": ({"kind": "status", "status": 429, "body": {"message": "Try again in 30 seconds."}}, 0),
    "500 for good": ({"kind": "status", "times": None}, 4),
    "403 for good": ({"kind": "status", "status": 403, "times": None}, 4),
    "reset after acceptance": ({"kind": "reset-after"}, 0),
    "200 with HTML": ({"kind": "html", "status": 200}, 0),
}


@pytest.mark.parametrize("name", AZURE_FAULTS)
def test_faults_of_microsoft(site, name):
    fault, code = AZURE_FAULTS[name]
    load(site, events=10)
    site.box.azure.faults.add(Fault(UPLOAD_PATH, **fault))
    report = accounted(site.run())
    assert report.exit_code == code
    assert report.states[OutcomeState.ACCEPTED] == (0 if code else 300)


ODD_ANSWERS = {
    "an index of nothing": ("/events/index", [None]),
    "an index of text": ("/events/index", ["x"]),
    "a listing of numbers": (EVENTS, [1, 2]),
    "a user that is a list": ("/users/view", []),
    "a user of text": ("/users/view", {"User": "x", "Role": ["x"], "Organisation": "y"}),
}


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("name", ODD_ANSWERS)
def test_an_odd_answer_of_misp_is_misp_s_failure(site, name, after):
    path, body = ODD_ANSWERS[name]
    load(site, events=2)
    site.box.misp.faults.add(Fault(path, "body", body=body, times=None, after=after))
    report = accounted(site.run())
    asked = sum(path in where for _, where, _ in site.box.misp.requests)
    assert report.exit_code == (3 if asked > after else 0)
    assert (report.exit_code == 3) == bool(report.misp_error or report.unread)


def test_a_row_of_the_index_that_is_none_costs_only_itself(site):
    load(site, events=2)
    site.run()
    site.box.misp.edit_attribute(misp_event(1)["uuid"], misp_event(1, hosts(1))["Attribute"][0]["uuid"], comment="new")
    site.box.misp.publish(misp_event(1)["uuid"])
    index = [None, {"uuid": misp_event(1)["uuid"], "timestamp": "1", "published": 1}, "x"]
    site.box.misp.faults.add(Fault("/events/index", "body", body=index, times=None))
    report = site.run()
    assert (report.exit_code, report.withdrawals.total()) == (0, 0)
    assert (report.attributes, report.indicators, report.unchanged) == (30, 1, 59), "of both events"
    assert len(site.box.azure.live()) == 60


def main_that_stumbles(site, monkeypatch, capsys, *arguments):
    """Run the front door with a fault of ours that holds a secret behind it: code, stdout, stderr."""
    for name, value in site.environ.items():
        monkeypatch.setenv(name, value)

    def stumbling(*_arguments, **_named):
        raise ZeroDivisionError(f"with {site.environ['MISP2SENTINEL_MISP_KEY']}")

    monkeypatch.setattr("helpers.sync.run.run", stumbling)
    monkeypatch.setattr("helpers.commands.monitoring.status.command.status", stumbling)
    handlers = logging.getLogger().handlers[:]
    try:
        code = script.main(["--config", str(site.config), *arguments])
    finally:
        for handler in set(logging.getLogger().handlers) - set(handlers):
            handler.close()
        logging.getLogger().handlers[:] = handlers
    return code, *capsys.readouterr()


def test_a_fault_of_ours_is_reported_as_one(site, monkeypatch, capsys):
    code, out, err = main_that_stumbles(site, monkeypatch, capsys, "--json")
    assert (code, json.loads(out)) == (70, {"version": VERSION, "error": err.strip(), "exit_code": 70})
    assert err.startswith("A fault of MISP2Sentinel's own, please report it (the log has more): ZeroDivisionError")
    assert "Traceback" in site.log and "Traceback" not in err
    assert site.box.misp.readonly_key not in out + err + site.log


def test_a_fault_of_ours_where_nothing_is_logged_brings_its_traceback(site, monkeypatch, capsys):
    code, out, err = main_that_stumbles(site, monkeypatch, capsys, "status")
    assert (code, out) == (70, "")
    assert "Traceback" in err and "A fault of MISP2Sentinel's own" in err
    assert site.box.misp.readonly_key not in err


def test_misp_comes_before_microsoft_in_the_exit_code(site):
    load(site)
    site.box.azure.allowed.clear()
    site.box.misp.faults.add(Fault(EVENTS, "status", times=None, after=2))
    assert site.run(MISP2SENTINEL_MISP_EVENT_LIMIT_PER_PAGE="1").exit_code == 3


def test_uploading_starts_while_misp_is_still_read(site):
    """The last page of MISP waits until something has been uploaded: only an overlap can end this."""
    load(site, events=40, attributes=100)
    seen = []

    def last_page(body):
        if not body.get("metadata") and "40" in map(str, body["eventid"]):
            for _ in range(600):
                if site.box.azure.uploads:
                    break
                site.box.misp.faults._closed.wait(0.05)
            seen.append(bool(site.box.azure.uploads))
        return False

    site.box.misp.faults.add(Fault(EVENTS, "status", when=last_page, times=None))
    assert site.run(MISP2SENTINEL_MISP_EVENT_LIMIT_PER_PAGE="5").exit_code == 0
    assert seen == [True]


def test_an_event_that_we_stumble_over_costs_only_itself(site, monkeypatch):
    load(site)
    compare = destination.EventSync.compare

    def stumbling(event_sync, part):
        if part.prepared.event["info"] == "Event 2":
            raise ZeroDivisionError
        return compare(event_sync, part)

    monkeypatch.setattr(destination.EventSync, "compare", stumbling)
    report = site.run()
    assert len(site.box.azure.live()) == 120
    assert report.exit_code == 1
    assert report.faults[0].startswith(misp_event(2)["uuid"])


@pytest.mark.parametrize("step", ["open", "compare", "take", "leaving"])
def test_a_fault_in_any_step_of_an_event_costs_only_that_event(site, monkeypatch, step):
    load(site, events=3)
    where, name = (destination.DestinationSync, "open") if step == "open" else (destination.EventSync, step)
    whole = getattr(where, name)

    def stumbling(self, *arguments, **named):
        uuid = arguments[0] if step == "open" else self.uuid
        if uuid == misp_event(2)["uuid"]:
            raise ZeroDivisionError
        return whole(self, *arguments, **named)

    monkeypatch.setattr(where, name, stumbling)
    report = site.run()
    assert report.exit_code == 1
    assert [fault.partition(":")[0] for fault in report.faults] == [misp_event(2)["uuid"]]
    monkeypatch.undo()
    assert site.run().exit_code == 0
    assert len(site.box.azure.live()) == 90


@pytest.mark.parametrize("timestamp", ["soon", "1.5", "9" * 30, "9" * 5000, "²", None, [], True])
def test_a_malformed_date_of_an_event_costs_nothing(site, timestamp):
    load(site, events=1)
    site.box.misp.load([misp_event(2, hosts(2, "odd"), timestamp=timestamp)])
    report = accounted(site.run())
    assert (report.exit_code, report.faults, report.indicators) == (0, [], 32)


def test_of_two_attributes_with_one_uuid_the_one_that_is_sent_stays(site):
    """Whatever happens to the other one: a skip under the same UUID is no reason to withdraw."""
    twins = [{"type": "domain", "value": value, "uuid": misp_event(9)["uuid"]} for value in ("a.example.org", "b")]
    event = misp_event(1, [*twins, {**twins[1], "to_ids": False}])
    site.box.misp.load([event])
    accounted(site.run())
    event["Attribute"][0]["comment"] = "edited"
    site.box.misp.load([{**event, "timestamp": "1790000900", "publish_timestamp": "1790000900"}])
    report = accounted(site.run())
    assert (report.exit_code, report.plans["changed"], report.withdrawals.total()) == (0, 1, 0)
    assert [indicator["pattern"] for indicator in site.box.azure.live().values()] == [
        "[domain-name:value = 'a.example.org']"
    ]


def test_what_is_read_again_and_need_not_be_sent_is_unchanged(site):
    load(site, events=2, attributes=3)
    first = {"MISP2SENTINEL_DAYS_TO_EXPIRE_MAPPING": "{}"}
    site.run(**first)
    report = accounted(site.run(**first, MISP2SENTINEL_DAYS_TO_EXPIRE_IGNORE_MISP_LAST_SEEN="1"))
    assert (report.attributes, report.indicators, report.unchanged) == (6, 0, 6)


def test_one_event_by_uuid_under_the_site_s_filters(site):
    load(site)
    site.box.misp.unpublish(misp_event(4)["uuid"])
    assert site.run(uuid=misp_event(3)["uuid"]).indicators == 30
    with pytest.raises(EventNotFound, match="is not published"):
        site.run(uuid=misp_event(4)["uuid"])


# -- the command line ---------------------------------------------------------------------------------


def test_an_event_that_is_not_found_is_an_error_of_the_command_line(site):
    load(site)
    done = site.script("--uuid", misp_event(9)["uuid"], "--json")
    assert done.returncode == 2
    (words,) = done.stderr.splitlines()
    assert f"no event {misp_event(9)['uuid']}" in words
    assert json.loads(done.stdout) == {"version": VERSION, "error": words, "exit_code": 2}


def test_a_run_in_cron_is_silent(site):
    load(site)
    done = site.script()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "Received MISP events page 1 with 5 events" in site.log
    assert "Processed 150 indicators" in site.log
    reading, finished = site.log.split("Received 150 indicators in MISP")
    assert "Finished uploading indicators" in finished and "Finished uploading indicators" not in reading


def test_json_for_programs(site):
    load(site)
    done = site.script("--json")
    summary = json.loads(done.stdout)
    assert summary["indicators"] == summary["accepted"] + summary["rejected"] + summary["pending"] == 150
    wanted = {"events", "attributes", "skipped", "requests", "seconds", "exit_code"}
    assert wanted <= summary.keys()
    assert summary["exit_code"] == done.returncode == 0
    assert summary["requests"] == 2


def test_a_dry_run_sends_nothing_and_shows_what_it_would_send(site):
    load(site)
    done = site.script("--dry-run", "--json", MISP2SENTINEL_WRITE_PARSED_INDICATORS="1")
    assert done.returncode == 0
    assert json.loads(done.stdout)["pending"] == 150
    assert site.box.azure.uploads == []
    parsed = json.loads((site.state / "parsed_indicators.txt").read_text())
    assert Counter(one["type"] for one in parsed) == {"indicator": 150}


def test_what_goes_wrong_reaches_stderr_with_the_exit_code(site):
    load(site)
    site.box.azure.allowed.clear()
    done = site.script()
    assert done.returncode == 4
    assert "Microsoft Sentinel Contributor" in done.stderr
    assert "150 indicators are pending" in done.stderr
    assert "Exit code 4" in done.stderr


def test_all_problems_of_the_settings_at_once(site):
    done = site.script(MISP2SENTINEL_MISP_DOMAIN="<misp_domain>", MISP2SENTINEL_DAYS_TO_EXPIRE="soon")
    assert done.returncode == 2
    assert "misp_domain" in done.stderr and "days_to_expire" in done.stderr
    assert site.box.misp.requests == []


def test_a_dry_run_while_another_run_is_active(site):
    load(site, events=1)
    assert site.run().exit_code == 0
    before = list(site.box.misp.requests)
    with filelock.FileLock(site.state / "ledger.sqlite.1.lock"):
        done = site.script("--json", "--dry-run")
    assert done.returncode == 5
    assert "Another run is active" in done.stderr
    assert json.loads(done.stdout)["exit_code"] == 5
    assert site.box.misp.requests == before


def test_no_secret_in_any_file_or_output(site):
    load(site)
    site.box.azure.faults.add(Fault(UPLOAD_PATH, "status", status=500, body="sandbox-secret leaked back"))
    site.box.misp.faults.add(Fault(EVENTS, "status", body={"message": f"key {site.box.misp.readonly_key} ?"}))
    verbose = {"MISP2SENTINEL_VERBOSE_LOG": "1", "MISP2SENTINEL_SENTINEL_WRITE_RESPONSE": "1"}
    done = site.script("--verbose", "--json", MISP2SENTINEL_WRITE_PARSED_INDICATORS="1", **verbose)
    assert done.returncode == 0
    written = [done.stdout, done.stderr, *(path.read_bytes().decode(errors="replace") for path in site.state.iterdir())]
    tokens = list(site.box.azure._tokens)
    for text in written:
        for secret in (site.box.misp.readonly_key, "sandbox-secret", *tokens):
            assert secret not in text
    assert "[secret]" in done.stderr


def test_files_are_private_and_new_each_run(site):
    load(site)
    flags = {"MISP2SENTINEL_WRITE_PARSED_INDICATORS": "1", "MISP2SENTINEL_WRITE_PARSED_EVENTID": "1"}
    site.script(**flags)
    site.script("--full", **flags, MISP2SENTINEL_DEFAULT_CONFIDENCE="51")
    sent = json.loads((site.state / "parsed_indicators.txt").read_text())
    assert {indicator["id"] for indicator in sent} == set(site.box.azure.live())
    assert f"Processing event 3 {misp_event(3)['uuid']}" in site.log
    for path in site.state.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


@pytest.mark.parametrize("odd", ODD_FILES)
def test_a_dump_that_is_no_file_is_refused_with_a_warning(site, odd, caplog):
    load(site)
    site.state.mkdir(parents=True)
    (site.state / "precious").write_text("precious")
    for name in ("parsed_indicators.txt", "sentinel_response.txt", "logs"):
        ODD_FILES["a symbolic link" if name == "logs" else odd](site.state / name)
    site.box.azure.faults.add(Fault(UPLOAD_PATH, "status", status=503, body="busy"))
    names = ("WRITE_PARSED_INDICATORS", "SENTINEL_WRITE_RESPONSE", "WRITE_POST_JSON")
    report = site.run(**{f"MISP2SENTINEL_{name}": "1" for name in names})
    assert (report.exit_code, report.indicators) == (0, 150)
    for name in ("parsed_indicators.txt", "sentinel_response.txt"):
        assert caplog.text.count(f"{site.state}/{name} is {odd}") == 1
    assert (
        f"{site.state}/logs is a symbolic link to {site.state}/precious, which is refused: take it away" in caplog.text
    )
    assert (site.state / "precious").read_text() == "precious"


def test_a_log_that_is_a_link_is_refused(site, tmp_path):
    site.state.mkdir(parents=True)
    (site.state / "misp2sentinel.log").symlink_to(tmp_path / "elsewhere")
    done = site.script()
    assert done.returncode == 2
    assert "symbolic link" in done.stderr
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("command", [[], ["check"]])
def test_a_state_directory_that_is_a_link_is_refused(site, tmp_path, command):
    (tmp_path / "elsewhere").mkdir()
    site.state.symlink_to("elsewhere")
    done = site.script(*command)
    assert done.returncode == 2
    said = done.stdout + done.stderr
    assert said.count("state_dir (environment MISP2SENTINEL_STATE_DIR) cannot be used: ") == 1
    assert f"is a symbolic link to {tmp_path}/elsewhere, which is refused: name the directory itself" in said
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_responses_that_are_no_success_are_kept(site):
    load(site)
    site.box.azure.faults.add(Fault(UPLOAD_PATH, "status", status=503, body="busy"))
    site.run(MISP2SENTINEL_SENTINEL_WRITE_RESPONSE="1")
    lines = [json.loads(line) for line in (site.state / "sentinel_response.txt").read_text().splitlines()]
    assert [(line["status"], line["text"]) for line in lines] == [(503, "busy")]


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_settings_win_over_the_certificates_of_the_environment(site, tmp_path, variable):
    load(site)
    (tmp_path / "other.pem").write_text("")
    refused = site.script(**{variable: site.box.ca_file, "MISP2SENTINEL_MS_VERIFYCERT": "true"})
    assert refused.returncode == 4
    done = site.script(**{variable: str(tmp_path / "other.pem")})
    assert (done.returncode, done.stderr) == (0, "")


def test_check_says_what_works_and_where_the_settings_come_from(site):
    load(site)
    done = site.script("check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line[:4] for line in done.stdout.splitlines()] == [*["ok  "] * 9, "note", "ok  "], done.stdout
    assert "environment MISP2SENTINEL_MISP_KEY" not in done.stdout, "what is well is said in few words"
    assert "environment MISP2SENTINEL_MISP_KEY" in site.script("check", "--verbose").stdout
    assert str(site.config) in done.stdout
    assert site.box.azure.objects() == {}


def test_check_asks_about_https_and_shows_only_the_cause(site):
    plain = site.box.misp_url.replace("https", "http")
    refused = site.script("check", MISP2SENTINEL_MISP_DOMAIN=plain).stdout
    assert f"FAIL MISP login: {plain}: misp_domain is http: does MISP want https?" in refused
    assert "RemoteDisconnected(" not in refused
    closed = site.script("check", MISP2SENTINEL_MISP_DOMAIN="https://localhost:9")
    assert (
        "may this host reach it? Failed to establish a new connection: [Errno 111] Connection refused "
        "[misp_domain from environment MISP2SENTINEL_MISP_DOMAIN]" in closed.stdout
    ), "the setting that is guilty, and no other"


def test_check_says_what_to_do(site):
    site.box.azure.allowed.clear()
    done = site.script("check")
    assert done.returncode == 2
    assert "FAIL MISP filters: the filters find no event" in done.stdout
    assert "FAIL Microsoft upload" in done.stdout
    assert "Microsoft Sentinel Contributor" in done.stdout
    wrong = site.script("check", MISP2SENTINEL_MS_AUTH__CLIENT_SECRET="not-the-secret", MISP2SENTINEL_MISP_KEY="x" * 40)
    assert f"FAIL MISP login: {site.box.misp_url}: the key (misp_key) is refused" in wrong.stdout
    assert "FAIL Microsoft token" in wrong.stdout
    assert "not-the-secret" not in wrong.stdout + wrong.stderr


def test_check_looks_for_the_ledger_where_state_url_says(site):
    load(site)
    address = f"sqlite:///{site.state / 'absent' / 'ledger.sqlite'}"
    done = site.script("check", MISP2SENTINEL_STATE_URL=address)
    assert done.returncode == 2
    (line,) = [line for line in done.stdout.splitlines() if "FAIL state" in line]
    assert "so make it first" in line and "state_url from environment MISP2SENTINEL_STATE_URL" in line
    (site.state / "absent").mkdir()
    assert "the ledger that state_url names" in site.script("check", MISP2SENTINEL_STATE_URL=address).stdout


def test_a_typo_in_a_filters_name_is_a_warning_in_cron_and_fails_check(site):
    load(site)
    site.config.write_text("misp_event_filters = {'published': 1, 'publish_timestmp': '14d'}")
    done = site.script()
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("warning: misp_event_filters") and "'publish_timestamp'" in done.stderr
    checked = site.script("check")
    assert checked.returncode == 2
    assert "FAIL MISP filters: misp_event_filters" in checked.stdout


def test_other_warnings_do_not_break_the_silence_of_cron(site):
    load(site)
    site.config.write_text("misp_event_filters = {'published': 1}\nmisp_verifcert = True")
    assert site.script().stderr == ""
    assert "misp_verifcert" in site.log


def test_filters_that_find_nothing_are_reported_in_the_log_and_as_advice(site):
    done = site.script()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert NOTHING_FOUND in site.log
    assert NOTHING_FOUND in json.loads(site.script("--json", "--dry-run").stdout)["advice"]
    load(site)
    site.script()
    unchanged = json.loads(site.script("--json").stdout)
    assert (unchanged["events"], unchanged["advice"]) == (0, "")


def test_a_dry_run_shows_an_example_of_what_would_leave_for_each_reason(site):
    load(site, events=2, attributes=1)
    site.script()
    site.box.misp.unpublish(misp_event(1)["uuid"])
    site.box.misp.soft_delete(misp_event(2)["uuid"], misp_event(2, hosts(1))["Attribute"][0]["uuid"])
    site.box.misp.publish(misp_event(2)["uuid"])
    report = site.run(MISP2SENTINEL_DRY_RUN="1", MISP2SENTINEL_MAX_WITHDRAW_PERCENT="100")
    examples = {name: values for name, values in report.as_json()["examples"].items() if name.startswith("withdraw: ")}
    assert [len(values) for values in examples.values()] == [1, 1]
    shown = [line.text().strip() for line in details(report, verbose=True)]
    for name, values in examples.items():
        assert shown[shown.index(f"1  withdraw  {name.removeprefix('withdraw: ')}") + 1] == f"e.g. {values[0]}"


def test_options_stand_on_either_side_of_the_command():
    assert parse(["--config", "a.py", "check"]).config == parse(["check", "--config", "a.py"]).config == Path("a.py")
    assert parse(["--json"]).json is True


@pytest.mark.parametrize("hours", ["daily", "-1", "inf", "nan"])
def test_what_is_no_number_of_hours_is_refused(hours):
    with pytest.raises(UsageError, match=f"{hours} is not a number of hours: write one from 0"):
        parse(["status", f"--max-age={hours}"])


PWN = "a\x1b[2Jb\x1b]0;pwn\x07c"


def pwned(site):
    """Load an event whose texts command a terminal, in what is sent, skipped and rejected; what MISP says does too."""
    attributes = [{"type": "mutex", "value": PWN}, {"type": "text", "value": PWN}, {"type": "sha256", "value": PWN}]
    site.box.misp.load([misp_event(1, attributes, info=PWN, Tag=[{"name": PWN}])])
    site.box.misp.load([misp_event(2, hosts(1))])
    odd = Fault(EVENTS, "status", status=405, body={"message": PWN}, when=lambda body: body.get("eventid") == ["2"])
    odd.times = None
    site.box.misp.faults.add(odd)
    errors = {"errors": [{"recordIndex": 0, "errorMessages": [PWN]}]}
    site.box.azure.faults.add(Fault(UPLOAD_PATH, "body", body=errors, times=None))


def commands(text):
    """The characters in a text that a terminal obeys, but for line ends."""
    return {character for character in text if not character.isprintable() and character not in "\n\t"}


def test_nothing_of_misp_s_or_microsoft_s_commands_the_terminal_or_the_log(site):
    pwned(site)
    environ = {"MISP2SENTINEL_MISP_EVENT_LIMIT_PER_PAGE": "1", "MISP2SENTINEL_VERBOSE_LOG": "1"}
    listed = site.script("--dry-run", "--list", **environ)
    done = site.script("--verbose", **environ)
    explained = [site.script(*command, **environ) for command in (("explain", "a"), ("status",), ("check",))]
    output = [part for process in (listed, done, *explained) for part in (process.stdout, process.stderr)]
    assert not commands("".join(output)) and not commands(site.log)
    assert r"send new indicator--" in listed.stdout and r"a\x1b[2Jb\x1b]0;pwn\x07c" in listed.stdout
    assert "Microsoft rejects 1 of 1 indicator: " in done.stderr and "1 event could not be read" in done.stderr


def as_shown(report):
    """What people are shown of a report, where it is not wrapped."""
    stream = io.StringIO()
    for line in [*headline(report, verdict_of(report)), *details(report, verbose=True)]:
        Screen(stream).show(line)
    return stream.getvalue()


def test_the_summary_commands_no_terminal_either(site):
    pwned(site)
    shown = as_shown(site.run(MISP2SENTINEL_MISP_EVENT_LIMIT_PER_PAGE="1"))
    assert not commands(shown)
    assert r"a\x1b[2Jb" in shown


def test_usage_errors_end_with_2(site):
    assert site.script("--uuid", "not-a-uuid").returncode == 2
    assert site.script("--no-such-option").returncode == 2
    assert "is empty" in site.script("explain", " ").stderr
    for hours in ("-1", "nan", "soon"):
        assert site.script("status", "--max-age", hours).returncode == 2
    assert (
        subprocess.run(
            [sys.executable, str(ROOT / "script.py"), "--config", "absent.py"], check=False, capture_output=True
        ).returncode
        == 2
    )


def on_a_terminal(site, *arguments):
    """Run script.py on a pseudo-terminal; return its exit code and what it showed."""
    shown = bytearray()

    def read(descriptor):
        part = os.read(descriptor, 65536)
        shown.extend(part)
        return part

    command = [sys.executable, str(ROOT / "script.py"), "--config", str(site.config), *arguments]
    code = pty.spawn(["env", *(f"{name}={value}" for name, value in site.environ.items()), *command], read)
    return os.waitstatus_to_exitcode(code), shown.decode()


def test_a_terminal_shows_progress_and_a_summary(site):
    site.box.misp.load([misp_event(1, [*hosts(3), ("text", "see [/b] here"), ("url", "http://a.example.org/[red]")])])
    code, shown = on_a_terminal(site)
    assert code == 0
    assert "MISP events" in shown and "OK: 4 sent" in shown
    assert "see [/b] here" in on_a_terminal(site, "--verbose", "--full")[1]


def test_a_signal_ends_a_run_in_good_order_and_the_next_one_goes_on(site):
    load(site, events=3, attributes=100)
    stopped = []

    def stop(body):
        if not stopped:
            stopped.append(True)
            process.send_signal(signal.SIGTERM)
        return False

    site.box.azure.faults.add(Fault(UPLOAD_PATH, "status", when=stop, times=None))
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "script.py"), "--config", str(site.config)],
        env={"PATH": os.environ["PATH"], **site.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _, stderr = process.communicate(timeout=120)
    assert process.returncode in (0, 130)
    assert "Traceback" not in stderr
    site.script()
    assert len(site.box.azure.live()) == 300


def test_a_reader_that_has_seen_enough_is_no_fault(site):
    load(site)
    command = f"{sys.executable} {ROOT / 'script.py'} --config {site.config} check | head -1"
    done = subprocess.run(
        command,
        shell=True,
        env={"PATH": os.environ["PATH"], **site.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr


def test_a_header_that_looks_like_json_leaves_the_summary_whole(site):
    load(site)
    done = site.script("--json", MISP2SENTINEL_MISP_HEADERS='{"X-Debug": "false"}')
    assert json.loads(done.stdout)["dry_run"] is False


def test_a_site_s_own_choice_of_events_holds_for_one_event_too(site):
    load(site)
    site.config.write_text("misp_event_filters = {'published': 1, 'eventid': ['2']}")
    with pytest.raises(EventNotFound, match="by 'eventid'"):
        site.run(uuid=misp_event(1)["uuid"])
    assert site.run(uuid=misp_event(2)["uuid"]).indicators == 30


def test_a_site_s_own_choice_by_id_and_by_uuid_holds_for_one_event_and_for_known_ones(site):
    load(site)
    chosen = f"'eventid': ['1', '2'], 'uuid': ['{misp_event(2)['uuid']}', '{misp_event(3)['uuid']}']"
    site.config.write_text(f"misp_event_filters = {{'published': 1, {chosen}}}")
    for number, guilty in ((1, "'uuid'"), (3, "'eventid'"), (4, "'eventid', 'uuid'")):
        with pytest.raises(EventNotFound, match=f"by {guilty}"):
            site.run(uuid=misp_event(number)["uuid"])
    assert site.run(uuid=misp_event(2)["uuid"]).indicators == 30
    reader = MispReader(loading.load(site.config, site.environ).settings)
    filters = reader.settings.misp_event_filters
    assert set(reader.find_events(filters, [misp_event(n)["uuid"] for n in range(1, 6)])) == {misp_event(2)["uuid"]}


@pytest.mark.skipif(not REAL.is_dir(), reason="the published events are not beside the project")
@pytest.mark.parametrize("flatten", ["1", "0"])
def test_the_published_events_end_in_sentinel_or_have_a_reason(site, flatten):
    events = [
        event for path in sorted(REAL.glob("*.json")) if path.name != "cut-short.json" for event in events_in(path)
    ]
    site.box.misp.load([{**event, "published": True} for event in events])
    report = site.run(MISP2SENTINEL_MISP_FLATTEN_ATTRIBUTES=flatten)
    counted = [
        len(event.get("Attribute", [])) + sum(len(o["Attribute"]) for o in event.get("Object", [])) for event in events
    ]
    assert (report.exit_code, report.events, report.attributes) == (0, 29, sum(counted))
    accepted = set(UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES)
    members = [a for event in events for o in event.get("Object", []) for a in o["Attribute"]]
    attributes = [a for event in events for a in event.get("Attribute", [])] + members
    assert (report.exit_code, report.events, report.attributes) == (0, 29, len(attributes))
    wanted = {f"indicator--{a['uuid'].lower()}" for a in attributes if a.get("to_ids") and a["type"] in accepted}
    assert wanted <= set(site.box.azure.live())
    assert report.skipped.total() == len(attributes) - len(wanted)


def test_what_strangers_say_makes_no_line_of_its_own_on_stderr(capsys):
    script._say_error(["MISP says\nExit code 0\x1b[2J", "and\r\u2028more"], 3, as_json=False)
    assert capsys.readouterr().err == "MISP says\\nExit code 0\\x1b[2J\nand\\r\\u2028more\n"


def test_what_strangers_say_is_no_markup_of_the_summary_and_nothing_that_a_terminal_obeys():
    shown = as_shown(Report(warnings=["[red]words[/red] \x1b[2J"], given_up="[link=x]words[/link] \x9b"))
    assert "[red]words[/red] \\x1b[2J" in shown
    assert "[link=x]words[/link] \\x9b" in shown
