"""The one sentence that says how a run went: what is good, what is left, what failed, at one destination or several."""

from __future__ import annotations

from collections import Counter

import pytest

from constants import AdoptionKind, Skip
from helpers.commands.run.summary import details
from helpers.commands.run.verdict import verdict_of
from helpers.commands.screen import Tone
from helpers.context import Kind
from helpers.errors import ExitCode, MispError, RunActive
from helpers.microsoft import Outcome, OutcomeState, OutgoingObject
from helpers.misp import Detours
from helpers.sync import Report
from helpers.sync.report.context import ContextReport
from helpers.text import duration

NO_ROLE = "the app lacks the role Microsoft Sentinel Contributor. Give it that role."
WITH_NUMBERS = f"{NO_ROLE} (app: 22222222; workspace: 33333333) Microsoft's words: 403 Forbidden: no"


def report(sent=0, *, name="", **fields):
    """A report of a run that sent so many of as many indicators."""
    fields.setdefault("states", Counter({OutcomeState.ACCEPTED: sent}))
    made = Report(name, **fields)
    made.indicators = made.states.total()
    return made


def left(sent, **states):
    """A report of a run of which something is left."""
    counted = Counter({OutcomeState(state): number for state, number in states.items()})
    return report(states=counted + Counter({OutcomeState.ACCEPTED: sent}), events=1)


def rejected(*words):
    made = report(events=1)
    made.settle(
        [Outcome(OutgoingObject(f"id{n}", f"[p{n}]", b""), OutcomeState.REJECTED, w) for n, w in enumerate(words)]
    )
    made.indicators = made.states.total()
    return made


def test_a_good_run_says_what_was_done():
    done = report(42, events=8, seconds=34.4, skipped=Counter({Skip.EXPIRED: 23}))
    assert verdict_of(done).words == "OK: 42 sent, 0 withdrawn, 23 skipped, in 34 s"
    assert verdict_of(done).tone is Tone.GOOD


def test_a_quiet_night_says_that_nothing_changed_and_what_is_live():
    quiet = verdict_of(report(live=42, seconds=2))
    assert (quiet.tone, quiet.words) == (Tone.GOOD, "Nothing changed in MISP. 42 indicators live in Sentinel.")
    assert verdict_of(report(live=1)).words == "Nothing changed in MISP. 1 indicator live in Sentinel."
    assert verdict_of(report(keeps_ledger=False)).words == "Nothing changed in MISP."


def test_what_was_read_again_and_is_as_it_was_is_counted():
    same = report(0, events=2, unchanged=40, seconds=3)
    assert verdict_of(same).words == "OK: 0 sent, 0 withdrawn, 0 skipped, 40 unchanged, in 3 s"


def test_what_moves_beside_indicators_is_counted_apart_and_is_a_change():
    context = ContextReport(accepted=Counter({Kind.THREAT_ACTOR: 2}), withdrawn=Counter({Kind.RELATIONSHIP: 1200}))
    words = "OK: 0 sent, 0 withdrawn, 0 skipped, context: 2 sent and 1,200 withdrawn, in 1 s"
    assert verdict_of(report(seconds=1, context=context)).words == words
    left_workspace = report(command="withdraw", context=context)
    assert verdict_of(left_workspace).words.startswith("OK: 0 withdrawn, context: 2 sent and 1,200 withdrawn")


def test_where_something_was_withdrawn_a_refusal_does_not_say_that_nothing_was():
    context = ContextReport(to_leave=Counter({"a reason": 1}))
    refused = verdict_of(report(refusals=["40 would leave."], context=context))
    assert refused.words == "PARTLY DONE: not everything was withdrawn: 40 would leave."


def test_held_events_are_a_change():
    assert verdict_of(report(held=1, seconds=1)).words == "OK: 0 sent, 0 withdrawn, 0 skipped, in 1 s"


def test_filters_that_find_nothing_are_no_good_night():
    nothing = verdict_of(report(nothing_found="the filters find no event: try fewer."))
    assert (nothing.tone, nothing.words) == (Tone.ODD, "Nothing to send: the filters find no event: try fewer.")


def test_warnings_make_a_good_run_yellow():
    warned = verdict_of(report(3, events=1, seconds=9, warnings=["A clock was wrong."]))
    assert (warned.tone, warned.words) == (Tone.ODD, "OK, with 1 warning: 3 sent, 0 withdrawn, 0 skipped, in 9 s")
    assert [problem.words for problem in warned.problems] == ["A clock was wrong."]


def test_a_dry_run_is_never_taken_for_a_real_one():
    would = verdict_of(report(dry_run=True, events=8, states=Counter({OutcomeState.PENDING: 42})))
    assert would.tone is Tone.ODD
    assert would.words == (
        "Dry run: 42 would be sent, 0 withdrawn, 0 skipped. Nothing was sent, and Microsoft was not asked (check does)."
    )


def test_a_dry_run_that_a_guard_would_stop_says_so_first():
    refused = verdict_of(report(dry_run=True, events=1, refusals=["40 of 42 live objects would leave."]))
    assert refused.words == "Dry run: nothing was withdrawn: 40 of 42 live objects would leave."


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"given_up": WITH_NUMBERS}, f"FAILED: {NO_ROLE}"),
        ({"misp_error": "no connection: is it up?"}, "FAILED at MISP: no connection: is it up?"),
        ({"failure": "The disk is full.", "failure_code": ExitCode.SETTINGS}, "FAILED: The disk is full."),
        (
            {"unread": ["a: no answer", "b: no answer"]},
            "FAILED at MISP: 2 events could not be read; the next run reads what could not be read again.",
        ),
    ],
)
def test_a_failure_says_what_failed_and_what_to_do(fields, words):
    failed = verdict_of(report(**fields))
    assert (failed.tone, failed.words, failed.problems) == (Tone.BAD, words, [])


def test_ids_and_microsofts_words_are_no_part_of_the_sentence():
    cause = verdict_of(report(given_up=WITH_NUMBERS)).cause
    assert cause.particulars == (
        ("app", "22222222"),
        ("workspace", "33333333"),
        ("Microsoft's words", "403 Forbidden: no"),
    )


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (rejected("bad pattern", "bad pattern"), "PARTLY DONE: Microsoft rejects 2 of 2 indicators: bad pattern"),
        (left(40, pending=2), "PARTLY DONE: 2 indicators are pending"),
        (report(refusals=["40 would leave."]), "PARTLY DONE: nothing was withdrawn: 40 would leave."),
        (report(stopped=True), "PARTLY DONE: the run's time was up (max_run_minutes): the next run goes on."),
        (report(faults=["e: KeyError: x"]), "PARTLY DONE: a fault of MISP2Sentinel's own, please report it"),
    ],
)
def test_a_run_of_which_something_is_left_says_the_first_thing_that_matters(made, words):
    verdict = verdict_of(made)
    assert verdict.tone is Tone.ODD
    assert verdict.words.startswith(words)


def test_each_object_is_shown_with_its_own_words_where_they_differ():
    alike, apart = verdict_of(rejected("bad", "bad")), verdict_of(rejected("bad", "worse"))
    assert alike.cause.cases == (("[p0]", ""), ("[p1]", ""))
    assert apart.cause.cases == (("[p0]", "bad"), ("[p1]", "worse"))


def test_of_many_cases_three_are_shown_and_the_others_counted():
    cause = verdict_of(report(unread=[f"e{n}: no answer" for n in range(1200)])).cause
    assert cause.cases[:2] == (("e0", "no answer"), ("e1", "no answer"))
    assert cause.cases[3:] == (("", "and 1,197 more: the log has each"),)


def test_what_failed_at_misp_stands_before_what_failed_at_microsoft_and_nothing_is_said_twice():
    both = report(misp_error="no answer", given_up="no role", refusals=["40 would leave."])
    verdict = verdict_of(both)
    assert verdict.words == "FAILED at MISP: no answer"
    assert [problem.words for problem in verdict.problems] == ["no role", "nothing was withdrawn: 40 would leave."]


# --- several destinations -------------------------------------------------------------------------


def several(*parts, events=1):
    total = Report.of(parts, events)
    total.seconds = 3
    return verdict_of(total)


def part(name, sent=0, **fields):
    return report(sent, name=name, events=1, live=sent, **fields)


def test_destinations_that_are_all_well_are_summed():
    assert several(part("paris", 2), part("rome", 3)).words == (
        "OK: 5 sent, 0 withdrawn, 0 skipped at 2 destinations, in 3 s"
    )
    quiet = [report(name=name, live=21) for name in ("paris", "rome")]
    assert several(*quiet, events=0).words == "Nothing changed in MISP. 42 indicators live at 2 destinations."


def test_one_destination_that_fails_is_named_with_the_cause():
    verdict = several(part("paris", 2), part("rome", given_up=WITH_NUMBERS))
    assert (verdict.tone, verdict.words) == (Tone.BAD, f"FAILED at rome, 1 of 2 destinations: {NO_ROLE}")


def test_a_destination_that_fails_weighs_more_than_one_with_a_rest():
    waiting = part("paris", states=Counter({OutcomeState.PENDING: 1}))
    verdict = several(waiting, part("rome", given_up="no role"), part("oslo", given_up="no workspace"))
    assert verdict.words == "FAILED at 2 of 3 destinations: rome: no role"


def test_what_failed_at_all_alike_is_said_once_and_without_a_name():
    verdict = several(part("paris", given_up=WITH_NUMBERS), part("rome", given_up=WITH_NUMBERS.replace("3", "4")))
    assert (verdict.words, verdict.problems) == (f"FAILED at all 2 destinations: {NO_ROLE}", [])


def test_what_is_left_at_one_destination_alone_is_no_problem_of_all():
    verdict = several(part("paris", given_up="no role", refusals=["40 would leave."]), part("rome"))
    assert (verdict.words, verdict.problems) == ("FAILED at paris, 1 of 2 destinations: no role", [])


def test_misp_fails_once_for_all():
    parts = [part("paris", 1), part("rome")]
    for one in parts:
        one.fail_at_misp(MispError("no answer"))
    assert several(*parts).words == "FAILED at MISP: no answer"


def test_a_destination_that_another_run_holds_is_left_and_not_failed():
    busy = part("rome")
    busy.fail(RunActive("Another run is active."))
    verdict = several(part("paris", 1), busy)
    assert (verdict.tone, verdict.words) == (
        Tone.ODD,
        "PARTLY DONE at rome, 1 of 2 destinations: Another run is active.",
    )


def test_a_part_of_one_destination_says_which():
    assert several(part("rome", 5)).words == "OK: 5 sent, 0 withdrawn, 0 skipped at 1 destination, in 3 s"
    assert several(part("rome", given_up="no role")).words == "FAILED at rome: no role"


def test_warnings_of_the_run_are_shared():
    slow = Detours(failed=9, reason="no answer")
    verdict = several(part("paris", 1, detours=slow), part("rome", 1, detours=slow))
    assert verdict.words.startswith("OK, with 1 warning: 2 sent")


# --- adopt and withdraw ---------------------------------------------------------------------------


def test_commands_say_what_they_did():
    taken = report(command="adopt", adopted=Counter({AdoptionKind.MATCHED: 40, AdoptionKind.UNMATCHED: 2}), seconds=3)
    assert verdict_of(taken).words == "OK: 42 taken over, in 3 s"
    left_workspace = report(command="withdraw", withdrawals=Counter({"a": 9}), seconds=120)
    left_workspace.withdrawal_states[OutcomeState.ACCEPTED] = 7
    assert verdict_of(left_workspace).words == "OK: 7 withdrawn, in 2 min"
    assert verdict_of(report(command="withdraw")).words == "OK: 0 withdrawn, in 0 s"
    dry = report(command="adopt", dry_run=True, adopted=Counter({AdoptionKind.MATCHED: 40}))
    assert verdict_of(dry).words == "Dry run: 40 would be taken over. Nothing was taken over, and nothing was sent."


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (99.4, "99 s"), (120, "2 min"), (3600, "1 h"), (12_000, "3 h 20 min"), (172_800, "48 h")],
)
def test_time_spans_are_said_as_people_say_them(seconds, words):
    assert duration(seconds) == words


# --- detail ---------------------------------------------------------------------------------------


def rows(made):
    """What is shown in detail: what is counted, and how much of it."""
    return [(line.mark, line.words) for line in details(made, verbose=False)]


def test_what_is_none_is_left_out_of_the_detail():
    assert rows(report(keeps_ledger=False)) == []
    assert rows(report(3, events=1, attributes=3, plans=Counter(new=3, changed=0), requests=1, live=9)) == [
        ("read", "1 event, 3 attributes: 3 with indicators, 0 skipped"),
        ("sent", "3 new, in 1 request"),
        ("live", "9 in Sentinel now"),
    ]


def test_of_what_is_withdrawn_each_reason_has_a_line_and_a_rest_is_told():
    made = report(command="withdraw", withdrawals=Counter(left=3, gone=1), keeps_ledger=False)
    made.withdrawal_states[OutcomeState.ACCEPTED] = 4
    assert rows(made) == [("withdrawn", "3: left"), ("", "1: gone")]
    made.withdrawal_states[OutcomeState.ACCEPTED] = 2
    assert rows(made) == [("withdrawn", "2 of 4"), ("", "3: left"), ("", "1: gone")]
