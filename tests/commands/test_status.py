"""Status: what it counts for each destination, when monitoring should wake somebody, how fast it is."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from constants import WithdrawalReason
from helpers.commands.status import status
from helpers.indicators import DAY
from helpers.ledger.records import EventRecord, Stage
from helpers.ledger.store import Ledger
from helpers.settings import MsAuth
from sandbox.faults import Fault
from tests.commands.test_explain import NOW, OTHER, WORKSPACE, object_record
from tests.support import hosts, misp_event
from tests.support.postgres import PASSWORD, ledger_url, postgres_server, postgres_url
from tests.support.tls_site import TlsSite, attribute_uuid, event_uuid, sandbox

__all__ = ["ledger_url", "postgres_server", "postgres_url"]
GONE, LEFT_FILTERS = WithdrawalReason.GONE, WithdrawalReason.LEFT_FILTERS
COUNTS = (*("live", "expiring_in_7_days", "held_events", "pending", "in_flight", "rejected", "withdrawn", "leaving"),)


@pytest.fixture
def settings(ledger_url, make_settings, tmp_path):
    return make_settings(state_url=ledger_url, state_dir=tmp_path, ms_auth=MsAuth(workspace_id=WORKSPACE))


@pytest.fixture
def keep(settings):
    """A function that writes into a destination's part of the ledger."""

    def write(*objects, workspace=WORKSPACE, sourcesystem="MISP", events=(), **facts):
        ledger = Ledger(settings.state_url, workspace, sourcesystem)
        numbered = (replace(record, id=f"{record.id}-{n}", key=f"{record.key}-{n}") for n, record in enumerate(objects))
        ledger.keep(objects=numbered, events=events)
        ledger.save_facts(replace(ledger.facts(), **facts))
        ledger.close()

    return write


def ask(settings, max_age=None):
    """The exit code, the answer as JSON, and the text."""
    printed = {}
    for as_json in (True, False):
        lines = []
        code = status(settings, lines.append, max_age_hours=max_age, as_json=as_json, now=lambda: NOW)
        printed[as_json] = lines
    (whole,) = printed[True]
    answer = json.loads(whole)
    assert answer["exit_code"] == code
    return code, answer, "\n".join(printed[False])


OBJECTS = {
    "live": (object_record(), {"live": 1}),
    "expired": (object_record(valid_until=NOW), {}),
    "soon": (object_record(valid_until=NOW + 7 * DAY), {"live": 1, "expiring_in_7_days": 1}),
    "later": (object_record(valid_until=NOW + 7 * DAY + 1), {"live": 1}),
    "to be sent": (object_record(stage=Stage.PENDING, live=False), {"pending": 1}),
    "in flight": (object_record(stage=Stage.SENDING), {"in_flight": 1, "live": 1}),
    "rejected": (object_record(stage=Stage.REJECTED, live=False, words="no"), {"rejected": 1}),
    "rejected, but a former form lives": (object_record(stage=Stage.REJECTED, words="no"), {"rejected": 1, "live": 1}),
    "kept back": (object_record(leaving=GONE), {"leaving": 1, "live": 1}),
    "withdrawal in flight": (
        object_record(stage=Stage.WITHDRAWING, leaving=GONE),
        {"in_flight": 1, "leaving": 1, "live": 1},
    ),
    "withdrawn": (object_record(stage=Stage.WITHDRAWN, live=False), {"withdrawn": 1}),
}


def test_events_whose_withdrawals_were_refused_are_counted(settings, keep):
    keep(object_record(), refused_events=[event_uuid(1), event_uuid(2)])
    _, answer, text = ask(settings)
    assert answer["destinations"][0]["refused_events"] == 2
    assert "2 events, whose withdrawals a guard held back" in text


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_counts_where_it_belongs(settings, keep, name):
    object_, counts = OBJECTS[name]
    keep(object_)
    (destination,) = ask(settings)[1]["destinations"]
    assert {name: destination[name] for name in COUNTS} == {**dict.fromkeys(COUNTS, 0), **counts}


def test_reasons_come_with_their_numbers_the_most_frequent_first(settings, keep):
    rejected = [object_record(stage=Stage.REJECTED, words=words) for words in ("b", *"aaa", *"cdefg")]
    keep(
        *rejected,
        *[object_record(leaving=reason) for reason in (GONE, LEFT_FILTERS, LEFT_FILTERS)],
    )
    _, answer, text = ask(settings)
    (destination,) = answer["destinations"]
    assert list(destination["rejections"].items())[:2] == [("a", 3), ("b", 1)]
    assert len(destination["rejections"]) == 5
    assert destination["leaving_reasons"] == {LEFT_FILTERS: 2, GONE: 1}
    assert f"2  {LEFT_FILTERS}" in text
    assert "--force-withdraw" in text
    assert "3  a" in text


def test_held_events_are_counted(settings, keep):
    events = [EventRecord(event_uuid(n), NOW, published=False, held_since=NOW if n % 2 else None) for n in range(5)]
    keep(events=events)
    _, answer, text = ask(settings)
    assert answer["destinations"][0]["held_events"] == 2
    assert "2 events, edited and not published again yet" in text


def test_the_last_run_is_shown(settings, keep):
    keep(
        last_run={"at": NOW - 60, "exit_code": 3, "misp_error": "no answer", "refused_withdrawals": ["too many"]},
        last_good=NOW - DAY,
        full_at=NOW - 2 * DAY,
        misp={"url": "https://misp.example.org"},
    )
    _, answer, text = ask(settings)
    (destination,) = answer["destinations"]
    assert destination["last_run"]["at"] == "2026-09-21T14:12:20Z"
    assert (destination["last_good_run"], destination["last_full_run"]) == (
        "2026-09-20T14:13:20Z",
        "2026-09-19T14:13:20Z",
    )
    assert "2026-09-21T14:12:20Z  exit code 3: MISP failed; no answer; too many" in text
    assert "https://misp.example.org" in text


def test_destinations_that_the_settings_do_not_name_are_marked(settings, keep):
    keep(object_record())
    keep(object_record(), workspace=OTHER)
    keep(object_record(), sourcesystem="second")
    _, answer, text = ask(settings)
    standings = [
        (destination["workspace"], destination["sourcesystem"], destination["in_settings"])
        for destination in answer["destinations"]
    ]
    assert standings == [(WORKSPACE, "MISP", True), (OTHER, "MISP", False), (WORKSPACE, "second", False)]
    assert f"To empty it: python script.py withdraw --workspace {OTHER}\n" in text
    assert f"withdraw --workspace {WORKSPACE}" not in text and "They use its workspace, so don't empty that." in text


@pytest.mark.parametrize("source", ["MISP", "second"])
def test_nothing_advises_to_empty_what_the_settings_spell_in_another_way(settings, keep, source):
    keep(object_record(), workspace=WORKSPACE.upper(), sourcesystem=source)
    _, answer, text = ask(settings)
    assert answer["destinations"][0]["workspace_in_settings"]
    assert answer["destinations"][0]["in_settings"] is (source == "MISP")
    assert "To empty it" not in text


def test_an_empty_one_need_not_be_emptied(settings, keep):
    keep(object_record(stage=Stage.WITHDRAWN, live=False), workspace=OTHER)
    text = ask(settings)[2]
    assert "The settings don't name this destination. Nothing of it is live." in text and "To empty" not in text


def test_what_has_no_answer_is_not_simply_live(settings, keep):
    keep(object_record(stage=Stage.SENDING))
    assert "live           1, where what was sent and not yet answered counts" in ask(settings)[2]


def test_a_destination_without_a_run_is_shown_as_such(settings, keep):
    keep(object_record(), workspace=OTHER)
    assert "it has had no run yet" in ask(settings)[2]


AGES = {
    "young": ({"last_good": NOW - 3600}, 2, 0),
    "as old as it may be": ({"last_good": NOW - 7200}, 2, 0),
    "older": ({"last_good": NOW - 7201}, 2, 1),
    "half an hour": ({"last_good": NOW - 3600}, 0.5, 1),
    "none": ({"last_run": {"at": NOW, "exit_code": 3}}, 2, 1),
    "nobody asks": ({}, None, 0),
}


@pytest.mark.parametrize("name", AGES)
def test_the_exit_code_is_for_monitoring(settings, keep, name):
    facts, max_age, expected = AGES[name]
    keep(**facts)
    code, answer, text = ask(settings, max_age)
    assert code == expected
    assert answer["late"] is bool(expected)
    assert ("LATE" in text) is bool(expected)


def test_another_destinations_run_does_not_count(settings, keep):
    keep(workspace=OTHER, last_good=NOW)
    assert ask(settings, 24)[0] == 1


@pytest.mark.parametrize(("max_age", "code"), [(None, 0), (24, 1)])
def test_without_a_ledger_it_says_so_and_makes_none(make_settings, tmp_path, max_age, code):
    state = tmp_path / "state"
    exit_code, answer, text = ask(make_settings(state_dir=state), max_age)
    assert exit_code == code
    assert answer["destinations"] == []
    assert "There is no ledger yet" in text
    assert not state.exists()


def test_it_answers_while_a_run_writes(settings, keep):
    keep(object_record())
    running = Ledger(settings.state_url, WORKSPACE, "MISP")
    with running.hold_lock(), running.single_transaction():
        running.save_facts(replace(running.facts(), last_good=NOW))
        assert ask(settings)[1]["destinations"][0]["live"] == 1
    running.close()


def test_no_secret_is_shown(settings, keep):
    keep(object_record(), misp={"url": "https://misp.example.org"})
    _, answer, text = ask(settings)
    assert PASSWORD not in json.dumps(answer) + text


def test_counting_goes_by_indexes(tmp_path, make_settings):
    """So that a million objects are counted without reading one."""
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    ledger = Ledger(url, WORKSPACE, "MISP")
    plans = []

    def explained(connection, cursor, statement, parameters, *_):
        if statement.startswith("SELECT") and "FROM objects" in statement:
            plan = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            plans.append(" ".join(str(step[-1]) for step in plan))

    import sqlalchemy as sql

    from helpers.commands.status import standing
    from helpers.ledger.lookup import LedgerDestination

    sql.event.listen(ledger._database.engine, "before_cursor_execute", explained)
    standing(LedgerDestination(WORKSPACE, "MISP", ledger), make_settings(), NOW)
    ledger.close()
    assert len(plans) == 5
    words, *others = sorted(plans, key=lambda plan: "COVERING" in plan)
    assert "objects_by_stage" in words
    assert all("COVERING INDEX" in plan for plan in others)


def test_it_starts_without_what_only_a_run_needs():
    heavy = "pymisp", "misp_stix_converter", "msal", "stix2"
    program = (
        f"import sys, helpers.commands.status, helpers.sync; sys.exit(any(name in sys.modules for name in {heavy!r}))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_after_runs_over_tls(tmp_path):
    box, time = sandbox()
    with box:
        site = TlsSite(box, time, tmp_path)
        site.misp.load([misp_event(1, hosts(3, "a"))])
        site.run()
        site.misp.edit_attribute(event_uuid(1), attribute_uuid(1, 0), comment="edited")
        site.run()
        site.misp.faults.add(Fault("/events/index", "status", times=None))
        site.run()
        lines = []
        code = status(site.settings(), lines.append, max_age_hours=2, as_json=True, now=time.now)
    (destination,) = json.loads(lines[0])["destinations"]
    assert code == 0
    assert (destination["live"], destination["held_events"], destination["in_settings"]) == (3, 1, True)
    assert destination["last_run"]["exit_code"] == 3
    assert destination["last_run"]["misp_error"]
    assert destination["last_good_run"] == "2026-09-22T20:00:00Z"
