"""Messages: who is told what and how often, what is never in it, and what a dead receiver costs."""

from __future__ import annotations

import json
import sqlite3
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from helpers.commands.monitoring.moments import Watch
from helpers.commands.monitoring.told import messages
from helpers.commands.monitoring.told.due import LONGEST_TELLING, QUIET, WELL, News, Remembered, is_due
from helpers.commands.monitoring.told.ending import Ending, ending_of, endings_of
from helpers.commands.monitoring.told.memory import FILE, Memory, ToldFile
from helpers.commands.monitoring.told.words import Sender, message_of
from helpers.errors import SettingsError
from helpers.ledger.store import Ledger
from helpers.settings import MsAuth
from helpers.settings.config.values.receivers import notify_addresses, notify_secrets
from helpers.sync.report import Report, problems_of
from sandbox.faults import Fault
from sandbox.serve import Sandbox
from tests.commands.test_explain import NOW, WORKSPACE
from tests.support import hosts, misp_event
from tests.support.postgres import ledger_url, postgres_server, postgres_url
from tests.support.processes import Host, load
from tests.support.wire_server import WireServer, answer

__all__ = ["ledger_url", "postgres_server", "postgres_url"]
TOKEN = "tokenOfAChannel123"
SENDER = Sender("1.1.0", "sync.example.org")
RED = "very-secret-host.example.org"
TIMEOUT = 60
WATCH = Watch(1_790_000_000)


@pytest.fixture
def box():
    with Sandbox() as box:
        load(box, 1, 3)
        yield box


@pytest.fixture
def receiver():
    with WireServer(lambda _: answer()) as server:
        yield server


def notifying(server):
    return {"NOTIFY": json.dumps([f"json://127.0.0.1:{server.port}/{TOKEN}"])}


def titles(server):
    return [json.loads(asked.body)["title"].removeprefix("MISP2Sentinel: ") for asked in server.asked]


def fail(box, body="no"):
    box.misp.faults.add(Fault("/events/", "status", status=403, body={"message": body}, times=None))


# --- whole runs --------------------------------------------------------------------------------------


def test_a_failure_is_told_once_and_once_that_it_is_well_again(box, receiver, tmp_path):
    host = Host(box, tmp_path, **notifying(receiver))
    assert host.run().returncode == 0
    assert receiver.asked == [], "a good run is no news"
    fail(box, RED)
    assert [host.run().returncode for _ in range(2)] == [3, 3]
    assert host.run("status", "--notify", "--max-age", "26").returncode == 1
    assert titles(receiver) == ["FAILED"], "what the run told, status does not tell again"
    box.misp.faults.clear()
    assert [host.run().returncode for _ in range(2)] == [0, 0]
    host.run("status", "--notify")
    assert titles(receiver) == ["FAILED", "well again"]
    body = json.loads(receiver.asked[0].body)["message"]
    assert "MISP refuses the key (misp_key)" in body and "misp2sentinel.log" in body
    assert all(RED not in asked.body.decode() for asked in receiver.asked)


def test_another_cause_is_another_thing(box, receiver, tmp_path):
    host = Host(box, tmp_path, **notifying(receiver))
    fail(box)
    host.run()
    box.misp.faults.clear()
    box.azure.faults.add(Fault(":upload", "status", status=403))
    host.run()
    assert titles(receiver) == ["FAILED", "FAILED"]


def test_what_could_not_be_delivered_is_told_the_next_time(box, tmp_path):
    answers = iter([answer(500), answer(200), answer(200)])
    fail(box)
    with WireServer(lambda _: next(answers)) as server:
        host = Host(box, tmp_path, **notifying(server))
        first = host.run()
        assert first.returncode == 3
        assert "notify was not told: notify[0]: it did not take the message" in first.stderr
        assert "was not told" not in host.run().stderr
        assert "was not told" not in host.run().stderr
        assert titles(server) == ["FAILED", "FAILED"]
    assert TOKEN not in first.stderr + (tmp_path / "misp2sentinel.log").read_text()


def test_where_the_ledger_failed_a_file_remembers_and_the_ledger_goes_on_from_there(box, receiver, tmp_path):
    dead = Host(box, tmp_path, "postgresql://ledger:Zq7hidden@127.0.0.1:1/ledger", **notifying(receiver))
    assert [dead.run().returncode for _ in range(2)] == [2, 2]
    assert titles(receiver) == ["FAILED"]
    assert "the ledger cannot be used" in receiver.asked[0].body.decode()
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    well = Host(box, tmp_path, **notifying(receiver))
    assert [well.run().returncode for _ in range(2)] == [0, 0]
    assert titles(receiver) == ["FAILED", "well again"]
    assert all("Zq7hidden" not in asked.body.decode() for asked in receiver.asked)


def test_a_guard_that_refused_is_told_and_rejected_indicators_are_not(box, receiver, tmp_path):
    red = {"type": "domain", "value": RED, "Tag": [{"name": "tlp:red"}]}
    box.misp.load([misp_event(1, [*hosts(120), red])])
    error = {"errors": [{"recordIndex": 0, "errorMessages": [f"{RED} is not welcome"]}]}
    box.azure.faults.add(Fault(":upload", "body", times=1, body=error, status=200))
    host = Host(box, tmp_path, **notifying(receiver))
    assert host.run().returncode == 1
    assert receiver.asked == []
    box.misp.load([misp_event(1, hosts(1, "other"))])
    assert host.run("--full").returncode == 1
    assert titles(receiver) == ["FAILED"]
    assert host.run("status", "--notify").returncode == 0
    assert titles(receiver) == ["FAILED"], "status knows of the guard too"
    assert RED not in receiver.asked[0].body.decode()


def test_a_run_that_does_not_come_is_told_by_status(box, receiver, tmp_path):
    host = Host(box, tmp_path, **notifying(receiver))
    host.run("--uuid", misp_event(1)["uuid"])  # which makes a ledger, and is no whole run
    assert [host.run("status", "--notify", "--max-age", "26").returncode for _ in range(2)] == [1, 1]
    assert titles(receiver) == ["FAILED"]
    assert "no good run in the last 26 hours" in receiver.asked[0].body.decode()


def test_silent_receivers_cost_ten_seconds_together_and_apprise_leaves_nothing_behind(box, tmp_path):
    """Of the time only the bound is looked at, with room for a busy machine."""
    silence = threading.Event()
    fail(box)
    with WireServer(lambda _: silence.wait(TIMEOUT) or answer()) as server:
        addresses = [f"json://127.0.0.1:{server.port}/{TOKEN}{number}?rto=60" for number in range(3)]
        began = time.monotonic()
        ended = Host(box, tmp_path, NOTIFY=json.dumps([*addresses, f"nonsense://{TOKEN}"])).run("--verbose")
        took = time.monotonic() - began
        silence.set()
    assert ended.returncode == 3
    assert took < TIMEOUT / 2, "it has not waited for an answer"
    assert "notify[3]: it is no address that apprise knows" in ended.stderr
    assert TOKEN not in ended.stdout + ended.stderr + (tmp_path / "misp2sentinel.log").read_text()
    assert not list(tmp_path.rglob("*apprise*"))


def test_of_many_receivers_that_take_nothing_each_is_named(box, tmp_path):
    fail(box)
    addresses = [f"json://127.0.0.1:1/{TOKEN}{number}" for number in range(8)]
    ended = Host(box, tmp_path, NOTIFY=json.dumps(addresses)).run()
    assert all(f"notify[{number}]: it did not take the message" in ended.stderr for number in range(8))


def test_a_receiver_whose_certificate_is_not_looked_at_is_told_and_python_warns_of_nothing(box, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    fail(box)
    with WireServer(lambda _: answer(), context) as server:
        addresses = json.dumps([f"jsons://127.0.0.1:{server.port}/{TOKEN}?verify=no"])
        ended = Host(box, tmp_path, NOTIFY=addresses).run()
        assert titles(server) == ["FAILED"]
    assert "Warning" not in ended.stderr and "warning" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "more", "words"),
    [
        ([], {"NOTIFY": '["json://localhost/x"]', "STATE_URL": "none"}, "notify"),
        (["status", "--notify"], {}, "notify names nobody"),
        ([], {"NOTIFY": '"json://localhost/x"'}, 'must be a list: write ["…", "…"], also around a single one.'),
        ([], {"NOTIFY": '["nobody"]'}, "notify (environment MISP2SENTINEL_NOTIFY) has no address as its entry 0"),
    ],
)
def test_what_cannot_be_told_is_an_error_of_the_settings(box, tmp_path, arguments, more, words):
    ended = Host(box, tmp_path, **more).run(*arguments)
    assert ended.returncode == 2
    assert words in ended.stderr


def test_a_missing_package_is_named_with_what_installs_it(make_settings, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    messages.require(make_settings())
    with pytest.raises(SettingsError, match=r"pip install -r requirements-notify\.txt in /.*\.$") as refused:
        messages.require(make_settings(notify=["json://localhost/x"]))
    place = Path(str(refused.value).rstrip(".").rpartition(" in ")[2])
    assert (place / "requirements-notify.txt").is_file()


# --- how often ---------------------------------------------------------------------------------------


THINGS = ["MISP refuses", "a guard", "late"]
MISP = News(THINGS[0])
STEPS = st.lists(
    st.tuples(st.integers(0, 2 * QUIET), st.sampled_from([WELL, WELL, *THINGS]), st.booleans()), max_size=40
)


@given(steps=STEPS)
def test_over_any_sequence_a_thing_is_told_once_a_day_and_well_again_once(steps):
    """``steps``: how much later, what is the matter, whether the message can be delivered."""
    now, memory, told, is_open = 0, Remembered(), {}, False
    for later, thing, delivered in steps:
        now += later
        assert Remembered.read(memory.stored()) == memory
        due = is_due(memory, News(thing), now)
        assert due is (is_open if thing == WELL else thing not in told or now - told[thing] >= QUIET)
        if due:
            memory = memory.claiming(thing, now)
            memory = memory.having_told(News(thing), now) if delivered else memory.without_claim(thing)
        if due and delivered:
            is_open = thing != WELL
            told |= {thing: now} if thing else {}


DAMAGED = ["{}", "[]", '{"told": 1, "claimed": {}, "not_over": []}', '{"told": {"x": null}, "claimed": {}}']


@given(text=st.text() | st.sampled_from(DAMAGED))
def test_a_damaged_memory_is_none(text):
    assert isinstance(Remembered.read(text), Remembered)
    assert is_due(Remembered.read(text), MISP, NOW)


def test_what_was_told_in_the_future_counts_as_unknown():
    assert is_due(Remembered({MISP.thing: NOW + 1}), MISP, NOW)
    assert is_due(Remembered().claiming(MISP.thing, NOW + 1), MISP, NOW)


def test_who_is_killed_while_it_tells_has_told_nobody():
    claimed = Remembered().claiming(MISP.thing, NOW)
    assert not is_due(claimed, MISP, NOW + 1), "another process tells it"
    assert is_due(claimed, MISP, NOW + LONGEST_TELLING)
    assert is_due(claimed, News("a guard"), NOW + 1)


def test_a_run_that_is_killed_while_it_tells_has_claimed_and_told_nothing(box, tmp_path):
    arrived, silence = threading.Event(), threading.Event()
    fail(box)
    with WireServer(lambda _: arrived.set() or silence.wait(TIMEOUT) or answer()) as server:
        host = Host(box, tmp_path, **notifying(server))
        with host.start() as process:
            assert arrived.wait(TIMEOUT)
            process.kill()
            process.communicate(timeout=TIMEOUT)
        silence.set()
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as ledger:
        [(text,)] = ledger.execute("SELECT value FROM about WHERE name LIKE 'told: %'")
    memory = Remembered.read(text)
    assert (list(memory.told), len(memory.claimed)) == ([], 1)


def test_a_run_that_is_no_good_one_does_not_end_that_none_came():
    late = endings_of({"destinations": [known(last_good_run=None)], "not_in_ledger": [], "max_age_hours": 26}, WATCH)
    memory = Remembered().having_told(messages.news_of(late[0]), NOW)
    assert not is_due(memory, messages.news_of(Ending("a", 1)), NOW)
    assert is_due(memory, messages.news_of(Ending("a", 0)), NOW)
    assert is_due(memory, messages.news_of(Ending("a", None)), NOW)
    failed = Remembered().having_told(MISP, NOW)
    assert is_due(failed, messages.news_of(Ending("a", 1)), NOW)


@pytest.fixture
def settings(ledger_url, make_settings, tmp_path):
    Ledger(ledger_url, WORKSPACE, "MISP").close()
    return make_settings(state_url=ledger_url, state_dir=tmp_path, ms_auth=MsAuth(workspace_id=WORKSPACE))


def test_of_many_at_once_one_tells(settings):
    with ThreadPoolExecutor(6) as pool:
        claims = list(pool.map(lambda _: Memory(settings).claim("notify x", MISP, NOW), range(6)))
    assert sum(claim is not None for claim in claims) == 1


def test_a_claim_that_is_taken_back_is_none(settings):
    claim = Memory(settings).claim("notify x", MISP, NOW)
    assert Memory(settings).claim("notify x", MISP, NOW) is None
    claim.take_back()
    again = Memory(settings).claim("notify x", MISP, NOW)
    other = Memory(settings).claim("notify x", News("a guard"), NOW)
    other.take_back()
    again.keep()
    assert Memory(settings).claim("notify x", MISP, NOW + QUIET - 1) is None, "another thing changed nothing of it"
    Memory(settings).claim("notify x", News(WELL), NOW).keep()
    assert Memory(settings).claim("notify x", News(WELL), NOW) is None


def test_a_ledger_that_says_nothing_keeps_no_message_back(settings, monkeypatch):
    silence = threading.Event()
    monkeypatch.setattr("helpers.commands.monitoring.told.memory.PATIENCE", 0.01)
    monkeypatch.setattr("helpers.ledger.Told.told", lambda self, name: silence.wait(TIMEOUT) and "")
    Memory(settings).claim("notify x", MISP, NOW).keep()
    assert Memory(settings).claim("notify x", MISP, NOW) is None, "the file remembers"
    silence.set()


def test_where_there_is_no_place_for_a_ledger_it_is_told_each_time(settings, monkeypatch):
    def none(_):
        raise SettingsError(["state_dir is not set, and there are two ledgers."])

    monkeypatch.setattr(type(settings), "ledger_url", property(none))
    monkeypatch.setattr(type(settings), "has_state_path", False)
    for _ in range(2):
        Memory(settings).claim("notify x", MISP, NOW).keep()


def test_a_file_of_many_at_once_keeps_the_first(tmp_path):
    file = ToldFile(tmp_path / FILE)
    with ThreadPoolExecutor(6) as pool:
        kept = list(pool.map(lambda n: file.keep_told("x", str(n), instead_of=""), range(6)))
    assert kept.count(True) == 1
    (tmp_path / FILE).write_text('{"x": ')
    assert file.told("x") == ""


# --- the words ---------------------------------------------------------------------------------------


def test_a_message_has_the_failed_in_its_title_and_says_where_it_is_well():
    bad, good = Ending("paris", 4, "Microsoft gives no token"), Ending("lyon", 0)
    title, body = message_of([good, bad], SENDER)
    assert title == "MISP2Sentinel: FAILED at paris"
    assert body.splitlines()[1:3] == ["paris: Microsoft gives no token (exit code 4)", "lyon: exit code 0"]
    assert message_of([good], SENDER)[0] == "MISP2Sentinel: well again at lyon"
    assert "sync.example.org" in body


def known(**changes):
    run = {"at": "2026-09-21T13:00:00Z", "exit_code": 0}
    state = {"name": "a", "in_settings": True, "cut_off": False, "sightings": None}
    return {**state, "last_run": run, "last_good_run": run["at"], **changes}


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({}, ""),
        ({"last_run": None}, ""),
        ({"last_run": {"exit_code": 1, "refused_withdrawals": [RED]}}, "a guard held withdrawals back"),
        ({"last_run": {"exit_code": 3, "misp_error": f"no answer from MISP {RED}"}}, "MISP did not answer"),
        ({"cut_off": True}, "it was cut off"),
        ({"last_good_run": None}, "no good run in the last 2 hours"),
        ({"last_good_run": "2020-01-01T00:00:00Z"}, "no good run in the last 2 hours"),
    ],
)
def test_how_it_stands_is_told_as_a_run_tells_it(changes, cause):
    answer = {"destinations": [known(**changes)], "not_in_ledger": ["b"], "max_age_hours": 2}
    first, second = endings_of(answer, WATCH)
    assert (cause in first.cause) if cause else first.is_well
    assert RED not in first.cause
    assert (second.name, second.is_well) == ("b", False)


SIGNS = ["", "403 Forbidden: x", "404 Not Found", "no answer from MISP: x", "the ledger", "AADSTS7000222", "odd"]


@given(
    report=st.builds(
        Report,
        **dict.fromkeys(("misp_error", "given_up", "failure"), st.sampled_from(SIGNS)),
        **dict.fromkeys(("unread", "refusals", "faults"), st.lists(st.just("x: no answer from MISP"), max_size=1)),
        failure_code=st.sampled_from([2, 4]),
        misp_exit_code=st.sampled_from([2, 3]),
    )
)
def test_status_names_the_cause_that_the_run_named(report):
    """Else it would be told twice."""
    cause = problems_of(report)[0].text if report.exit_code else ""
    stored = {**report.outline(), "exit_code": report.exit_code, "cause": cause}
    answer = {"destinations": [known(last_run=stored)], "not_in_ledger": [], "max_age_hours": None}
    [told_by_status] = endings_of(answer, WATCH)
    [told_by_run] = ending_of(report, "a").parts
    assert told_by_status.cause == told_by_run.cause


def test_addresses_are_secrets(make_settings):
    address = f"tgram://123456789:{TOKEN}/-987654321/?format=html"
    assert notify_addresses([address]) == [address]
    assert TOKEN in list(notify_secrets(address))
    settings = make_settings(notify=[address])
    assert TOKEN in settings.secret_values() and TOKEN not in repr(settings)
    keys = list(
        notify_secrets("sendgrid://SG.abcdefGHIJKLmnop2.q1:me@sub-domain-of-length.example.org/soc@example.org")
    )
    assert "SG.abcdefGHIJKLmnop2.q1" in keys
    assert not {"sub-domain-of-length.example.org", "example.org"} & {*keys}


@pytest.mark.parametrize("named", ["misp2sentinel", "MISP2Sentinel", "sentinel"])
def test_the_programs_own_name_is_no_secret(make_settings, named):
    """It stands in the log's path, in commands and in advice, which say nothing without it."""
    settings = make_settings(notify=[f"mailto://user:{TOKEN}@mail.example.org?from={named}@example.org"])
    secrets = settings.secret_values()
    assert TOKEN in secrets
    assert named not in secrets
