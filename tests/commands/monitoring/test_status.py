"""Status: what it counts for each destination, when monitoring should wake somebody, how fast it is."""

import json
import subprocess
import sys
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constants import WithdrawalReason
from helpers.commands.monitoring.moments import Watch, ago
from helpers.commands.monitoring.status import status
from helpers.commands.monitoring.status.run_table import run_table
from helpers.commands.screen import Tone
from helpers.indicators import DAY
from helpers.ledger.history.runs import RunKind, RunRecord
from helpers.ledger.records import Blocked, EventRecord, Stage
from helpers.ledger.store import Ledger
from helpers.settings import MsAuth
from helpers.settings.sections import Tenant
from helpers.sync.destination import RunOptions
from sandbox.faults import Fault
from tests.commands.test_explain import NOW, OTHER, WORKSPACE, object_record
from tests.support import hosts, misp_event
from tests.support.postgres import PASSWORD, ledger_url, postgres_server, postgres_url
from tests.support.processes import Host
from tests.support.tls_site import TlsSite, attribute_uuid, event_uuid, sandbox

__all__ = ["ledger_url", "postgres_server", "postgres_url"]
GONE, LEFT_FILTERS = WithdrawalReason.GONE, WithdrawalReason.LEFT_FILTERS
ZONE = timezone(timedelta(hours=2), "CEST")
COUNTS = (
    *("live", "expiring_in_7_days", "held_events", "pending", "in_flight", "waiting", "waiting_withdrawals"),
    *("unknown", "unknown_withdrawals", "rejected", "withdrawn", "leaving"),
)


@pytest.fixture
def settings(ledger_url, make_settings, tmp_path):
    return make_settings(state_url=ledger_url, state_dir=tmp_path, ms_auth=MsAuth(workspace_id=WORKSPACE))


@pytest.fixture
def keep(settings):
    """A function that writes into a destination's part of the ledger."""

    def write(*objects, workspace=WORKSPACE, sourcesystem="MISP", events=(), runs=(), **facts):
        ledger = Ledger(settings.state_url, workspace, sourcesystem)
        numbered = (replace(record, id=f"{record.id}-{n}", key=f"{record.key}-{n}") for n, record in enumerate(objects))
        ledger.keep(objects=numbered, events=events)
        for run in runs:
            ledger.keep_run(run)
        ledger.save_facts(replace(ledger.facts(), **facts))
        ledger.close()

    return write


def ask(settings, max_age=None, **options):
    """The exit code, the answer as JSON, and the text."""
    code, (whole,) = shown(settings, max_age, as_json=True, **options)
    answer = json.loads(whole)
    assert answer["exit_code"] == code
    _, lines = shown(settings, max_age, as_json=False, **options)
    assert lines[0].words == answer["verdict"]
    assert lines[0].tone is {"good": Tone.GOOD, "odd": Tone.ODD, "bad": Tone.BAD}[answer["state"]]
    assert (code == 1) is (lines[0].tone is Tone.BAD)
    return code, answer, "\n".join(line.text() for line in lines)


def shown(settings, max_age, *, as_json, **options):
    lines = []
    code = status(settings, lines.append, max_age_hours=max_age, as_json=as_json, now=lambda: NOW, zone=ZONE, **options)
    return code, lines


OBJECTS = {
    "live": (object_record(), {"live": 1}),
    "expired": (object_record(valid_until=NOW), {}),
    "soon": (object_record(valid_until=NOW + 7 * DAY), {"live": 1, "expiring_in_7_days": 1}),
    "later": (object_record(valid_until=NOW + 7 * DAY + 1), {"live": 1}),
    "to be sent": (object_record(stage=Stage.PENDING, live=False), {"pending": 1, "waiting": 1}),
    "in flight": (
        object_record(stage=Stage.SENDING, accepted_at=None, perhaps_taken=True),
        {"in_flight": 1, "unknown": 1, "live": 1},
    ),
    "never answered": (
        object_record(stage=Stage.PENDING, accepted_at=None, perhaps_taken=True),
        {"in_flight": 1, "unknown": 1, "live": 1},
    ),
    "refused": (object_record(stage=Stage.SENDING, accepted_at=None), {"pending": 1, "waiting": 1}),
    "refused, but a former form lives": (
        object_record(stage=Stage.SENDING),
        {"pending": 1, "waiting": 1, "live": 1},
    ),
    "refused, and a former form has expired": (
        object_record(stage=Stage.SENDING, accepted_until=NOW),
        {"pending": 1, "waiting": 1},
    ),
    "rejected": (object_record(stage=Stage.REJECTED, live=False, words="no"), {"rejected": 1}),
    "rejected, but a former form lives": (object_record(stage=Stage.REJECTED, words="no"), {"rejected": 1, "live": 1}),
    "kept back": (object_record(leaving=GONE), {"leaving": 1, "live": 1}),
    "withdrawal in flight": (
        object_record(stage=Stage.WITHDRAWING, leaving=GONE, perhaps_taken=True),
        {"in_flight": 1, "unknown_withdrawals": 1, "live": 1},
    ),
    "withdrawal refused": (
        object_record(stage=Stage.WITHDRAWING, leaving=GONE),
        {"waiting": 1, "waiting_withdrawals": 1, "live": 1},
    ),
    "neither it nor its withdrawal was taken": (
        object_record(stage=Stage.WITHDRAWING, leaving=GONE, accepted_at=None),
        {"waiting": 1, "waiting_withdrawals": 1},
    ),
    "changed, let go of, held by a guard": (
        object_record(stage=Stage.PENDING, leaving=GONE),
        {"leaving": 1, "live": 1},
    ),
    "rejected, let go of, held by a guard": (
        object_record(stage=Stage.REJECTED, leaving=GONE, words="no"),
        {"leaving": 1, "live": 1},
    ),
    "withdrawn": (object_record(stage=Stage.WITHDRAWN, live=False), {"withdrawn": 1}),
}


def test_events_whose_withdrawals_were_refused_are_counted(settings, keep):
    keep(object_record(), refused_events=[event_uuid(1), event_uuid(2)])
    _, answer, text = ask(settings)
    assert answer["destinations"][0]["refused_events"] == 2
    assert "2 events, whose withdrawals a guard held back" in text
    assert "a guard held withdrawals back" in answer["verdict"]


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_counts_where_it_belongs(settings, keep, name):
    object_, counts = OBJECTS[name]
    keep(object_)
    (destination,) = ask(settings)[1]["destinations"]
    assert {name: destination[name] for name in COUNTS} == {**dict.fromkeys(COUNTS, 0), **counts}
    assert sum(destination[name] for name in ("pending", "in_flight", "rejected", "leaving", "withdrawn")) <= 1
    assert sum(destination["rejections"].values()) == destination["rejected"]
    assert sum(destination["leaving_reasons"].values()) == destination["leaving"]
    assert sum(destination["live_by_kind"].values()) == destination["live"]


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
    assert destination["seconds_ago"] == 60
    assert text.startswith("FAILED at MISP, 1 min ago: no answer\n")
    assert "last run       1 min ago (2026-09-21 16:12 CEST): MISP failed\n" in text
    assert "last good run  24 h ago (2026-09-20 16:13 CEST)\n" in text
    assert "last full run  2 days ago (2026-09-19 16:13 CEST)\n" in text
    assert "too many" in text and "https://misp.example.org" in text
    assert text.count("no answer") == 1, "the cause is not said twice"


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
    keep(object_record(stage=Stage.SENDING, perhaps_taken=True))
    assert "live       1: 1 domain, where what was sent and not yet answered counts" in ask(settings)[2]


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
    """So that a million accepted objects, of whatever kind, are counted without reading one; of others facts are."""
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    ledger = Ledger(url, WORKSPACE, "MISP")
    ledger.keep(objects=[object_record(stage=Stage.REJECTED, live=False, words="no")])
    plans = []

    def explained(connection, cursor, statement, parameters, *_):
        if statement.startswith("SELECT") and ("FROM standings" in statement or "FROM objects" in statement):
            plan = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            plans.append(" ".join(str(step[-1]) for step in plan))

    import sqlalchemy as sql

    from helpers.commands.monitoring.standing import standing
    from helpers.ledger.questions.lookup import LedgerDestination

    sql.event.listen(ledger.database.engine, "before_cursor_execute", explained)
    standing(LedgerDestination(WORKSPACE, "MISP", ledger), make_settings(), NOW)
    ledger.close()
    assert len(plans) == 8
    rows_are_read = [plan for plan in plans if "COVERING INDEX" not in plan]
    assert len(rows_are_read) == 3
    assert all("INDEX standings_by_stage (destination=? AND stage=?" in plan for plan in rows_are_read)


def test_it_starts_without_what_only_a_run_needs():
    heavy = "pymisp", "misp_stix_converter", "msal", "stix2"
    program = (
        "import sys, helpers.commands.monitoring.status, helpers.sync; "
        f"sys.exit(any(name in sys.modules for name in {heavy!r}))"
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
    assert code == 1, "the last whole run failed"
    assert (destination["live"], destination["held_events"], destination["in_settings"]) == (3, 1, True)
    assert [run["exit_code"] for run in destination["runs"]] == [3, 0, 0]
    assert destination["last_run"]["exit_code"] == 3
    assert destination["last_run"]["misp_error"]
    assert destination["last_good_run"] == "2026-09-22T20:00:00Z"


# -- the verdict --------------------------------------------------------------------------------------

HOURS = 3_600
DONE = {"at": NOW - 7 * HOURS, "exit_code": 0}
VERDICTS = {
    "all well": (
        [object_record()],
        {"last_run": DONE},
        (0, "OK. The last run was 7 h ago. 1 indicator live in Sentinel."),
    ),
    "rejected": (
        [object_record(stage=Stage.REJECTED, words="no", live=False)],
        {"last_run": {**DONE, "exit_code": 1}},
        (0, "OK, but 1 rejected by Microsoft. The last run was 7 h ago. 0 indicators live in Sentinel."),
    ),
    "pending": (
        [object_record(stage=Stage.PENDING, live=False)] * 2,
        {"last_run": {**DONE, "exit_code": 1}},
        (0, "OK, but 2 waiting to be sent. The last run was 7 h ago. 0 indicators live in Sentinel."),
    ),
    "no answer": (
        [object_record(stage=Stage.SENDING, perhaps_taken=True)],
        {"last_run": DONE},
        (0, "OK, but 1 sent and not yet answered. The last run was 7 h ago. 1 indicator live in Sentinel."),
    ),
    "to be withdrawn": (
        [object_record(leaving=GONE)],
        {"last_run": {**DONE, "refused_withdrawals": ["too many"]}},
        (0, "OK, but 1 waiting to be withdrawn, a guard held withdrawals back. The last run was 7 h ago."),
    ),
    "time was up": (
        [],
        {"last_run": {**DONE, "exit_code": 1, "cause": "The run's time was up (max_run_minutes)."}},
        (0, "OK, but the last run ended with 1: The run's time was up (max_run_minutes). The last run was 7 h ago."),
    ),
    "warned": (
        [],
        {"last_run": {**DONE, "warnings": ["slow"]}},
        (0, "OK, but 1 warning. The last run was 7 h ago."),
    ),
    "never ran": ([], {}, (0, "There has been no run yet with these settings.")),
    "taken over, and never ran": (
        [object_record(stage=Stage.REJECTED)],
        {},
        (0, "There has been no run yet with these settings. To be looked at: 1 rejected by Microsoft."),
    ),
    "failed at Microsoft": (
        [],
        {
            "last_run": {
                **DONE,
                "exit_code": 4,
                "given_up": "the app lacks a role. (app: 5)",
                "cause": "Microsoft failed",
            }
        },
        (1, "FAILED, 7 h ago: the app lacks a role."),
    ),
    "failed at MISP": (
        [],
        {"last_run": {**DONE, "exit_code": 3, "misp_error": "it does not answer"}},
        (1, "FAILED at MISP, 7 h ago: it does not answer"),
    ),
    "an event could not be read": (
        [],
        {"last_run": {**DONE, "exit_code": 3, "unread_events": ["10: cut off"]}},
        (1, "FAILED at MISP, 7 h ago: 1 event could not be read: 10: cut off"),
    ),
    "stopped": (
        [],
        {"last_run": {**DONE, "exit_code": 130, "misp_error": "before", "cause": "Stopped from outside."}},
        (1, "FAILED, 7 h ago: Stopped from outside."),
    ),
    "a fault": ([], {"last_run": {**DONE, "exit_code": 70}}, (1, "FAILED, 7 h ago: a fault of this program's own.")),
    "settings": (
        [],
        {"last_run": {**DONE, "exit_code": 2, "failure": "deduplicate was changed"}},
        (1, "FAILED, 7 h ago: deduplicate was changed"),
    ),
    "a code of another version": (
        [],
        {"last_run": {**DONE, "exit_code": 99}},
        (1, "FAILED, 7 h ago: it ended with 99."),
    ),
    "active": (
        [],
        {"last_run": DONE, "begun_at": NOW - 120},
        (0, "OK, but a run that began 2 min ago is active. The last run was"),
    ),
    "cut off": (
        [],
        {"last_run": DONE, "begun_at": NOW - DAY - 1},
        (1, "FAILED: the run that began 24 h ago did not come to its end: it was cut off"),
    ),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict_comes_first_and_decides_the_exit_code(settings, keep, name):
    objects, facts, (code, words) = VERDICTS[name]
    keep(*objects, **facts)
    with held(settings) if name == "active" else nullcontext():
        got, answer, text = ask(settings)
    assert (got, answer["verdict"][: len(words)]) == (code, words)
    assert text.startswith(words)


def test_what_only_somebody_looks_up_comes_at_the_end(settings, keep):
    cause = "the app lacks a role. (app: 1234; workspace: 5678) Microsoft's words: Forbidden"
    keep(last_run={**DONE, "exit_code": 4, "given_up": cause})
    lines = ask(settings)[2].splitlines()
    assert lines[-5:-2] == ["app                1234", "workspace          5678", "Microsoft's words  Forbidden"]
    assert "1234" not in "".join(lines[:-5])


@contextmanager
def held(settings):
    """A run that is active."""
    with closing(Ledger(settings.state_url, WORKSPACE, "MISP")) as running, running.hold_lock():
        yield running


def test_a_run_that_was_killed_is_told_from_one_that_is_active(settings, keep):
    """Else one that is killed night after night, by a lack of memory say, would never be a failure."""
    keep(last_run=DONE, begun_at=NOW - 120)
    with held(settings):
        code, answer, text = ask(settings)
    assert (code, answer["destinations"][0]["cut_off"]) == (0, False)
    assert "a run that began 2 min ago (2026-09-21 16:11 CEST) is active" in text
    code, answer, text = ask(settings)
    assert (code, answer["destinations"][0]["cut_off"]) == (1, True)
    assert text.startswith("FAILED: the run that began 2 min ago did not come to its end: it was cut off")
    assert "a run that began 2 min ago (2026-09-21 16:11 CEST) was cut off" in text


def test_a_run_that_ends_while_it_is_looked_at_was_not_cut_off(settings, keep, monkeypatch):
    keep(last_run=DONE, begun_at=NOW - 120)

    def ends(ledger):
        ledger.save_facts(replace(ledger.facts(), last_run={**DONE, "at": NOW - 120}))
        return False

    monkeypatch.setattr(Ledger, "is_locked", ends)
    assert ask(settings)[1]["destinations"][0]["cut_off"] is False


def test_a_lock_that_is_held_for_too_long_is_of_another_run(settings, keep):
    keep(last_run=DONE, begun_at=NOW - 2 * DAY)
    with held(settings):
        assert ask(settings)[0] == 1
        assert ask(settings.model_copy(update={"max_run_minutes": 3 * 24 * 60}))[0] == 0


@pytest.mark.parametrize(("code", "words"), [(0, "nothing was to be sent"), (3, "nothing was sent")])
def test_a_run_that_failed_knows_nothing_of_what_was_to_be_done(settings, keep, code, words):
    keep(last_run={**DONE, "exit_code": code, "misp_error": "no answer" if code else ""})
    assert f"{words} or withdrawn\n" in ask(settings)[2]


def test_a_run_of_one_event_after_a_failed_one_does_not_hide_it(tmp_path):
    box, time = sandbox()
    with box:
        site = TlsSite(box, time, tmp_path)
        site.misp.load([misp_event(1, hosts(3, "a"))])
        site.misp.faults.add(Fault("/events/index", "status", times=None))
        assert site.run().exit_code == 3
        site.misp.faults.clear()
        assert site.run(RunOptions(uuid=event_uuid(1))).exit_code == 0
        lines = []
        assert status(site.settings(), lines.append, max_age_hours=None, as_json=True, now=time.now) == 1
        (destination,) = json.loads(lines[0])["destinations"]
    assert destination["last_run"]["exit_code"] == 3
    assert [(run["kind"], run["exit_code"]) for run in destination["runs"]] == [("uuid", 0), ("plain", 3)]


@pytest.fixture
def two(settings):
    login = {"tenantId": "contoso.example.org", "id": OTHER, "secret": "s3cret"}
    tenants = [Tenant(name=name, workspaceId=id_, **login) for name, id_ in (("paris", WORKSPACE), ("oslo", OTHER))]
    return settings.model_copy(update={"ms_tenants": tenants})


@pytest.mark.parametrize(
    ("oslo", "code", "words"),
    [
        (DONE, 0, "OK. The oldest of the last runs was 7 h ago, the latest 60 min ago. 2 indicators live at 2 dest"),
        ({**DONE, "at": NOW - HOURS}, 0, "OK. The last runs were 60 min ago. 2 indicators live at 2 destinations."),
        ({**DONE, "exit_code": 4, "given_up": "no role."}, 1, "FAILED at oslo, 1 of 2 destinations, 7 h ago: no role."),
        (None, 0, "OK, but oslo: no run yet. The last run was 60 min ago. 2 indicators live at 2 destinations."),
    ],
)
def test_each_destination_of_the_settings_counts(two, keep, oslo, code, words):
    keep(object_record(), last_run={**DONE, "at": NOW - HOURS})
    keep(object_record(), workspace=OTHER, last_run=oslo)
    got, answer, _ = ask(two)
    assert (got, answer["verdict"][: len(words)]) == (code, words)


def test_a_destination_that_the_ledger_does_not_know_is_named(two, keep):
    keep(last_run=DONE)
    code, answer, text = ask(two)
    assert (code, answer["not_in_ledger"]) == (0, ["oslo"])
    assert text.startswith("OK, but oslo: no run yet.")
    assert ask(two, 24)[0] == 1


def test_a_destination_that_the_settings_do_not_name_does_not_count(settings, keep):
    keep(last_run=DONE)
    keep(workspace=OTHER, last_run={**DONE, "exit_code": 4})
    assert ask(settings)[0] == 0


# -- what is shown ------------------------------------------------------------------------------------


def test_what_the_last_run_did_is_said_without_zeros(settings, keep):
    row = RunRecord(DONE["at"], seconds=34.2, new=12, changed=3, withdrawn=1)
    keep(last_run={**DONE, "seconds": 34.2}, runs=[row], last_good=DONE["at"])
    text = ask(settings)[2]
    assert (
        "last run  7 h ago (2026-09-21 09:13 CEST), took 34 s: done\n            12 new, 3 changed, 1 withdrawn\n"
        in text
    )
    assert "last good run" not in text and "rejected" not in text


def test_an_older_ledger_has_no_row_and_its_report_says_what_was_done(settings, keep):
    keep(last_run={**DONE, "planned": {"new": 4}, "withdrawals": {GONE: 2, LEFT_FILTERS: 1}, "rejected": 5})
    assert "4 new, 3 withdrawn, 5 rejected" in ask(settings)[2]
    keep(last_run=DONE)
    assert "nothing was to be sent or withdrawn" in ask(settings)[2]


@pytest.mark.parametrize("outcome", ["rejected", "pending"])
def test_withdrawals_that_were_not_made_are_said_of_a_run(settings, keep, outcome):
    run = RunRecord(DONE["at"], exit_code=4, seconds=34, **{f"withdrawals_{outcome}": 2})
    keep(last_run={**DONE, "exit_code": 4}, runs=[RunRecord(DONE["at"] - DAY, new=1), run])
    text = ask(settings)[2]
    assert f"            2 withdrawals {outcome}\n" in text and "nothing was sent" not in text
    head, row = [line for line in text.splitlines() if "last runs" in line or "34 s" in line][-2:]
    assert row[head.index(outcome) :].split()[0] == row[: head.index(outcome) + len(outcome)].split()[-1] == "2"


def test_what_is_in_flight_is_sent_again_once_what_is_in_the_way_is_mended(settings, keep):
    keep(object_record(stage=Stage.SENDING, live=True, perhaps_taken=True), last_run=DONE, blocked=Blocked.ROLE)
    assert "1 sent and not yet answered, sent again once the role is given\n" in ask(settings)[2]


def test_zero_rows_are_left_out(settings, keep):
    keep(last_run=DONE, last_good=DONE["at"])
    text = ask(settings)[2]
    titles = [line.split("  ")[1] for line in text.splitlines() if line.startswith("  ") and line[2] != " "]
    assert titles == ["last run", "live"]


def test_what_is_live_is_shown_by_kind(settings, keep):
    address = object_record(pattern="[ipv4-addr:value = '192.0.2.1']")
    keep(object_record(), object_record(), address, object_record(stage=Stage.WITHDRAWN, live=False), last_run=DONE)
    _, answer, text = ask(settings)
    assert answer["destinations"][0]["live_by_kind"] == {"domain": 2, "address": 1}
    assert " 3: 2 domain, 1 address\n" in text


def test_the_last_runs_are_a_table_of_what_is_not_zero_in_all_of_them(settings, keep):
    runs = [RunRecord(NOW - n * DAY, seconds=34, new=n, exit_code=(n == 3) * 4) for n in range(9, 1, -1)]
    runs += [RunRecord(NOW - DAY, kind=RunKind.FULL, seconds=4000, renewed=2, again=1)]
    runs += [RunRecord(NOW - 60, kind=RunKind.UUID, seconds=1, new=1)]
    keep(runs=runs, last_run=DONE)
    _, answer, text = ask(settings)
    assert text.splitlines()[-10:-2] == [
        "  last runs              took  new  again  ended",
        "  2026-09-21 16:12        1 s    1         done, --uuid",
        "  2026-09-20 16:13  1 h 7 min           3  done, --full",
        "  2026-09-19 16:13       34 s    2         done",
        "  2026-09-18 16:13       34 s    3         Microsoft failed",
        "  2026-09-17 16:13       34 s    4         done",
        "  2026-09-16 16:13       34 s    5         done",
        "  2026-09-15 16:13       34 s    6         done",
    ]
    assert [run["new"] for run in answer["destinations"][0]["runs"]] == [1, 0, 2, 3, 4, 5, 6]
    assert len(ask(settings, runs=None)[1]["destinations"][0]["runs"]) == 10


def test_one_run_alone_is_no_table():
    assert list(run_table([{"at": "2026-09-21T14:12:20Z"}], Watch(NOW, ZONE))) == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((-1, "in the future"), (0, "just now"), (59, "just now"), (60, "1 min ago"), (5_999, "99 min ago")),
        *((6_000, "1 h ago"), (7 * HOURS + 3_599, "7 h ago"), (2 * DAY - 1, "47 h ago"), (2 * DAY, "2 days ago")),
    ],
)
def test_ages_are_said_in_the_unit_that_says_enough(seconds, words):
    assert ago(seconds) == words


@given(st.integers(0, 400 * DAY))
def test_an_age_is_never_said_to_be_older_than_it_is(seconds):
    number, unit, *_ = f"{ago(seconds)} x".split()
    assert number == "just" or int(number) * {"min": 60, "h": HOURS, "days": DAY}[unit] <= seconds


def test_a_row_of_facts_that_somebody_wrote_by_hand_is_shown(settings, keep):
    keep(last_run={"at": NOW, "exit_code": 4, "cause": 5, "unread_events": "x", "warnings": {}, "failure": []})
    assert ask(settings)[0] == 1


# -- in a terminal ------------------------------------------------------------------------------------


def test_it_is_coloured_and_wrapped_in_a_terminal(tmp_path):
    box, _ = sandbox()
    with box:
        host = Host(box, tmp_path)
        box.misp.load([misp_event(1, hosts(3, "a"))])
        assert host.run().returncode == 0
        good = host.show("status")
        box.azure.faults.add(Fault("threat-intelligence-stix-objects:upload", "status", times=None, status=403))
        box.misp.edit_attribute(event_uuid(1), attribute_uuid(1, 0), comment="edited")
        box.misp.publish(event_uuid(1))
        assert host.run().returncode == 4
        bad = {columns: host.show("status", columns=columns) for columns in (60, 80, 160)}
    assert good.exit_code == 0
    assert good.lines[0] == "✓ OK. The last run was just now. 3 indicators live in Sentinel."
    assert good.style_of("✓") == {"green", "bold"} and good.style_of("last run  ") == {"green"}
    for columns, shown_ in bad.items():
        assert shown_.exit_code == 1
        assert shown_.lines[0].startswith("✗ FAILED, just now: the app lacks the role Microsoft")
        assert shown_.style_of("FAILED") == {"red", "bold"} and shown_.style_of("last run  ") == {"red"}
        head = next(line for line in shown_.lines if "last runs" in line)
        assert head.split() == ["last", "runs", "took", "new", "changed", "pending", "ended"], columns
        assert head.startswith("  last runs         took  new  changed"), "and the columns stand where they stood"
