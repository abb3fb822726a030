"""What status, monitors, metrics and the page tell of alerts: until when they were read, how that went, and so on."""

from contextlib import closing
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constants import NotSighted
from helpers.commands.explain.command import Options, explain
from helpers.commands.monitoring.metrics.command import metrics
from helpers.commands.monitoring.moments import Watch
from helpers.commands.monitoring.status import status
from helpers.commands.monitoring.status.nagios import service_of
from helpers.commands.monitoring.told.ending import ending_of, endings_of
from helpers.commands.monitoring.told.pings import pings_of_end
from helpers.commands.monitoring.told.words import Sender
from helpers.commands.screen import Service, Tone
from helpers.errors import ExitCode, MicrosoftError, MispError
from helpers.indicators import DAY
from helpers.ledger import SightingLedger, SightingRecord, SightingStage, SightingWindow
from helpers.ledger.store import Ledger
from helpers.settings.sections import MispSightings
from helpers.sync import Report, SightingsReport
from sandbox.faults import Fault
from tests.commands.monitoring.test_metrics import read
from tests.commands.monitoring.test_nagios import MARK, SAID, answer, known
from tests.commands.monitoring.test_status import DONE, ask, keep, settings, shown, two
from tests.commands.test_explain import ATTRIBUTE, EVENT, NOW, OTHER, WORKSPACE, object_record
from tests.support.postgres import ledger_url, postgres_server, postgres_url
from tests.sync.sightings.site import SOURCE, Site

__all__ = ["keep", "ledger_url", "postgres_server", "postgres_url", "settings", "two"]
HOUR = 3_600
STATES = dict.fromkeys((stage.name.lower() for stage in SightingStage), 0)
NO_ANSWER = "MISP does not answer"
ON = {"misp_sightings": MispSightings(api_key="k" * 40)}


@pytest.fixture
def writes(settings):
    """Settings with a key for sightings."""
    return settings.model_copy(update=ON)


def reading(error=None, **counts):
    """How a reading of ten minutes ago went, as the ledger has it."""
    report = SightingsReport(**counts)
    if error:
        report.fail(error)
    return {"at": NOW - 600, **report.as_json()}


def remember(settings, report=None, stages=(), until=NOW - HOUR, workspace=WORKSPACE):
    """Write down until when alerts were read, how that went, and sightings at these stages."""
    records = [
        SightingRecord(ATTRIBUTE, f"day {day}", EVENT, 0, NOW - day * DAY, "evil.example.org", stage)
        for day, stage in enumerate(stages)
    ]
    with closing(Ledger(settings.state_url, workspace, "MISP")) as ledger:
        SightingLedger(ledger).keep([], records)
        SightingLedger(ledger).keep_window(SightingWindow(until, report or {}))


def rows(text):
    """The row about sightings, and those that go on with it."""
    lines = text.splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith("  sightings")), len(lines))
    found = []
    for line in lines[first:]:
        if found and not line.startswith(" " * 8):
            break
        found.append(line.removeprefix("  sightings").strip())
    return found


# -- status -------------------------------------------------------------------------------------------


def test_where_alerts_were_never_read_nothing_is_said(writes, keep):
    keep(object_record(), last_run=DONE)
    _, answer, text = ask(writes)
    assert answer["destinations"][0]["sightings"] is None
    assert rows(text) == []


def test_it_says_until_when_alerts_were_read_how_that_went_and_what_is_left(writes, keep):
    keep(last_run=DONE, last_good=DONE["at"])
    counts = {"alerts": 5, "matches": 3, "written": 2, "there": 1, "refused": 1}
    report = reading(**counts)
    report["left_out"] = {NotSighted.TLP.name.lower(): 2, NotSighted.PRIVATE.name.lower(): 1}
    remember(writes, report, [SightingStage.WAITING, SightingStage.WAITING, SightingStage.WRITTEN])
    code, answer, text = ask(writes)
    assert (code, answer["state"]) == (0, "good")
    assert answer["destinations"][0]["sightings"] == {
        "configured": True,
        "read_until": "2026-09-21T13:13:20Z",
        "last_reading": {**report, "at": "2026-09-21T14:03:20Z"},
        "states": {**STATES, "waiting": 2, "written": 1},
    }
    assert rows(text) == [
        "10 min ago (2026-09-21 16:03 CEST): done",
        "alerts read until 60 min ago (2026-09-21 15:13 CEST); "
        "5 alerts, 3 matches, 2 written, 1 there already, 1 refused, 3 left out",
        "of the last 90 days: 1 sighting in MISP",
        "2 waiting to be written into MISP",
    ]


FAILURES = {
    "MISP": (MispError(NO_ANSWER), " at MISP", "MISP failed"),
    "Microsoft": (MicrosoftError("the app lacks a role. (app: 1234)"), "", "Microsoft failed"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_reading_that_failed_is_red_and_to_be_looked_at_and_wakes_nobody(writes, keep, name):
    error, at, ended = FAILURES[name]
    cause = str(error).partition(" (")[0]
    keep(last_run=DONE)
    remember(writes, reading(error))
    code, answer, text = ask(writes)
    assert (code, answer["state"]) == (0, "odd")
    said = f"OK, but sightings failed{at}: {cause.rstrip('.')}. The last run was 7 h ago."
    assert answer["verdict"].startswith(said)
    assert rows(text)[0].endswith(f": {ended}") and rows(text)[-1] == cause
    _, lines = shown(writes, None, as_json=False)
    assert next(line for line in lines if line.mark.startswith("sightings")).tone is Tone.BAD


def test_a_failed_run_comes_first(writes, keep):
    keep(last_run={**DONE, "exit_code": 4, "given_up": "no role."})
    remember(writes, reading(MispError(NO_ANSWER)))
    code, answer, _ = ask(writes)
    assert (code, answer["verdict"]) == (1, "FAILED, 7 h ago: no role.")


def test_where_nobody_writes_sightings_any_more_the_last_reading_is_shown_and_counts_for_nothing(settings, keep):
    keep(last_run=DONE)
    remember(settings, reading(MispError(NO_ANSWER)))
    code, answer, text = ask(settings)
    assert (code, answer["state"], answer["destinations"][0]["sightings"]["configured"]) == (0, "good", False)
    assert rows(text)[-1] == NO_ANSWER


def test_what_is_in_doubt_is_yellow_and_said(writes, keep):
    keep(last_run=DONE)
    remember(writes, reading(in_doubt=1, waiting=1), [SightingStage.WRITING])
    _, answer, text = ask(writes)
    assert answer["state"] == "good"
    assert rows(text)[-1] == "1 in doubt: MISP gave no answer"
    _, lines = shown(writes, None, as_json=False)
    assert next(line for line in lines if line.mark.startswith("sightings")).tone is Tone.ODD


def test_what_a_reading_warned_of_is_said(writes, keep):
    keep(last_run=DONE)
    remember(writes, reading(warnings=["those between are lost."]))
    assert rows(ask(writes)[2])[-1] == "those between are lost."


def test_a_first_reading_that_failed_has_read_nothing(writes, keep):
    keep(last_run=DONE)
    remember(writes, reading(MispError(NO_ANSWER)), until=0)
    _, answer, text = ask(writes)
    assert answer["destinations"][0]["sightings"]["read_until"] is None
    assert rows(text)[1] == "no alerts read yet"


def test_a_reading_that_was_killed_before_it_was_remembered_has_a_cursor(writes, keep):
    keep(last_run=DONE)
    remember(writes)
    _, answer, text = ask(writes)
    assert answer["destinations"][0]["sightings"]["last_reading"] is None
    assert rows(text) == ["alerts read until 60 min ago (2026-09-21 15:13 CEST)"]


def test_each_destination_has_its_own(two, keep):
    both = two.model_copy(update=ON)
    for workspace in (WORKSPACE, OTHER):
        keep(workspace=workspace, last_run=DONE)
    remember(both, reading(MispError(NO_ANSWER)), workspace=OTHER)
    _, answer, _ = ask(both)
    assert answer["verdict"].startswith(f"OK, but oslo: sightings failed at MISP: {NO_ANSWER}. The last")
    assert [destination["sightings"] is None for destination in answer["destinations"]] == [True, False]


# -- what travels on ----------------------------------------------------------------------------------


def at(report):
    return known(sightings={"configured": True, "read_until": None, "last_reading": report, "states": STATES})


def test_a_monitor_reads_the_cause_in_our_own_words():
    report = {**reading(MispError(f'the key (misp_sightings["api_key"]) may not add sightings: {MARK}')), "at": "x"}
    state, line = service_of(answer(at(report)), Watch(NOW))
    assert state is Service.WARNING
    assert "sightings failed: MISP refuses the key for sightings (misp_sightings['api_key'])" in line
    assert MARK not in line


READINGS = st.fixed_dictionaries(
    {"at": st.just("2026-09-21T13:00:00Z"), "exit_code": st.sampled_from(ExitCode)},
    optional={
        **dict.fromkeys(("misp_error", "failure"), SAID | st.just("")),
        **dict.fromkeys(("refusals", "warnings"), st.lists(SAID, max_size=2)),
    },
)


@given(READINGS)
def test_nothing_that_others_said_is_in_the_line(report):
    state, line = service_of(answer(at(report)), Watch(NOW))
    assert MARK not in line
    assert (state is Service.WARNING) is (report["exit_code"] not in (0, 1))


# -- messages and pings -------------------------------------------------------------------------------

REFUSED = MispError(f'the key (misp_sightings["api_key"]) may not add sightings: {MARK}')
TROUBLE = "sightings: MISP refuses the key for sightings (misp_sightings['api_key']): check says more"
SENDER = Sender("1.1.0", "sync.example.org")


def sightings(error=None, name="", until=NOW):
    report = SightingsReport(name, until=until)
    if error:
        report.fail(error)
    return report


def test_a_run_tells_why_its_sightings_failed_and_its_failure_is_pinged():
    ended = ending_of(Report(sightings=sightings(REFUSED)), "paris")
    (part,) = ended.parts
    assert (ended.exit_code, part.exit_code, part.cause, part.is_well) == (3, 3, TROUBLE, False)
    (ping,) = pings_of_end("https://p.example.org/s", "https://p.example.org/f/{exit_code}", ended, SENDER)
    assert ping.address.endswith("/f/3") and MARK not in ping.body


def test_what_failed_of_the_run_itself_is_told_first():
    report = Report(misp_error="no answer from MISP", sightings=sightings(REFUSED))
    assert ending_of(report, "paris").parts[0].cause.startswith("MISP did not answer")
    report = Report(refusals=["too many"], sightings=sightings(REFUSED))
    assert ending_of(report, "paris").parts[0].cause.startswith("a guard held withdrawals back")


def test_of_several_destinations_the_one_is_told_whose_sightings_failed():
    total = Report.of([Report(name="paris"), Report(name="oslo")], 0)
    total.sightings = SightingsReport.of([sightings(name="paris"), sightings(MicrosoftError("403 Forbidden"), "oslo")])
    ended = ending_of(total, "")
    assert ended.exit_code == 4
    assert [(part.name, part.exit_code, part.is_well) for part in ended.parts] == [
        ("paris", 0, True),
        ("oslo", 4, False),
    ]
    total.sightings = sightings(REFUSED)  # before it came to any of them
    assert [part.cause for part in ending_of(total, "").parts] == [TROUBLE] * 2


@pytest.mark.parametrize(
    ("beside", "is_over"),
    [(None, False), (sightings(until=0), False), (sightings(), True), (sightings(REFUSED), False)],
)
def test_only_who_has_read_alerts_tells_that_it_is_well_again(beside, is_over):
    (part,) = ending_of(Report(sightings=beside), "paris").parts
    assert part.ends(TROUBLE) is is_over
    assert part.ends("MISP did not answer") is part.is_well


@pytest.mark.parametrize("configured", [True, False])
def test_status_tells_it_as_the_run_did(configured):
    destination = at(reading(REFUSED))
    destination["sightings"]["configured"] = configured
    (told,) = endings_of(answer(destination), Watch(NOW))
    assert told.cause == (TROUBLE if configured else "")
    assert told.ends(TROUBLE) is not configured


# -- metrics ------------------------------------------------------------------------------------------


def numbers(settings):
    """Every number about sightings, by its name and state."""
    known = read(metrics(settings, NOW))
    return {(key[0], *key[2:]): value for key, value in known.items() if "sightings" in key[0]}


def test_metrics_have_what_is_known_of_sightings(writes, keep):
    keep(last_run=DONE)
    assert numbers(writes) == {}
    remember(writes, reading(alerts=5, matches=3), [SightingStage.LEFT_OUT, SightingStage.WRITING])
    assert numbers(writes) == {
        **{("sightings", state): count for state, count in {**STATES, "left_out": 1, "writing": 1}.items()},
        ("sightings_read_until_timestamp_seconds",): NOW - HOUR,
        ("last_sightings_exit_code",): 0,
        ("last_sightings_alerts",): 5,
        ("last_sightings_matches",): 3,
    }


def test_a_first_reading_that_failed_has_no_moment_until_which_alerts_were_read(writes, keep):
    keep(last_run=DONE)
    remember(writes, reading(MispError(NO_ANSWER)), until=0)
    known = numbers(writes)
    assert ("sightings_read_until_timestamp_seconds",) not in known
    assert known["last_sightings_exit_code",] == ExitCode.MISP


# -- after a reading ----------------------------------------------------------------------------------


def test_what_a_reading_leaves_in_the_ledger_is_what_is_told(tmp_path):
    site = Site(tmp_path)
    site.run()
    site.seconds += HOUR
    site.alert(indicators=[site.indicator(0)])
    site.misp.faults.add(Fault("/sightings/add", "status", status=403, times=None))
    assert site.sightings().exit_code == ExitCode.MISP
    lines = []
    status(site.settings, lines.append, max_age_hours=None, as_json=False, now=lambda: site.seconds, zone=UTC)
    told = rows("\n".join(line.text() for line in lines))
    assert told[0].endswith(": MISP failed") and "; 1 alert, 1 match" in told[1]
    assert 'the key (misp_sightings["api_key"])' in told[2]
    assert told[3] == "1 waiting to be written into MISP"
    lines.clear()
    explain(site.settings, ["host0.example.org"], lines.append, Options(offline=True), now=lambda: site.seconds)
    assert f'in MISP as "{SOURCE}": 1 waiting' in "\n".join(line.text() for line in lines)
