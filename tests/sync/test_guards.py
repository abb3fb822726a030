"""Withdrawals that look like a mistake are held until somebody decides, and the refusal says how."""

from collections import deque
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constants import WithdrawalReason
from helpers.ledger import DestinationFacts, EventRecord, LiveCount, Stage
from helpers.settings import Settings
from helpers.sync.run import opened
from helpers.sync.withdrawals import (
    ALWAYS_ALLOWED,
    ALWAYS_ALLOWED_IN_A_DAY,
    WithdrawalLimits,
    accepting,
    changes_since,
    count_a_day_ago,
    refusal,
    with_count,
    without_days,
)
from sandbox.faults import Fault
from sandbox.misp.app import READONLY_KEY
from tests.support.in_process import UPLOAD_PATH
from tests.sync.test_destination import DAY, attribute, edited, filters, later, load, make_site, uuid

__all__ = ["make_site"]
HOUR = 3600
NOW = 1_790_000_000
NO_EVENT = "MISP shows no event at all"


# --- how many ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("live", "live_before", "left", "count", "words"),
    [
        (1000, 1000, 0, 200, ""),
        (1000, 1000, 0, 201, "201 of 1,000 live objects"),
        (10, 10, 0, 10, ""),  # few
        (20, 20, 0, 20, ""),
        (21, 21, 0, 21, "21 within 24 hours of the 21"),
        (200, 200, 0, 40, ""),
        (200, 200, 0, 41, "41 within 24 hours of the 200"),
        (160, 200, 40, 1, "41 within 24 hours of the 200"),
        (160, 200, 40, 0, ""),  # nothing would leave
        (160, 0, 19, 1, ""),
        (160, 0, 20, 1, "21 within 24 hours of the 0"),  # nothing was live a day ago
        (10_000, 100, 0, 25, "25 within 24 hours of the 100"),  # what came today counts for nothing
        (300, 10_000, 0, 101, "101 of 300 live objects"),  # what expired meanwhile does not either
    ],
)
def test_how_many_may_leave(live, live_before, left, count, words):
    limits = WithdrawalLimits(live, 20, left=left, live_before=live_before)
    assert bool(words) == bool(limits.refusal(count))
    assert words in limits.refusal(count)
    assert not replace(limits, force=True).refusal(count)


@given(
    live=st.integers(0, 3000),
    percent=st.integers(0, 100),
    runs=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3 * HOUR), st.integers(0, 100)), max_size=40),
)
def test_in_no_24_hours_does_more_leave_than_is_allowed(live, percent, runs):
    """Runs at any distance, each of which would withdraw something, after new objects came; nobody forces any."""
    at, counts, past = NOW, (LiveCount(NOW - 2 * DAY, live),), deque()
    for wished, passed, came in runs:
        at += passed
        recent = [(count, when) for count, when in past if when > at - DAY]
        before = count_a_day_ago(counts, at).live
        left, wanted = sum(count for count, _ in recent), min(wished, live + came)
        live += came
        limits = WithdrawalLimits(live, percent, left=left, live_before=before)
        if not limits.refusal(wanted):
            past.append((wanted, at))
            assert not wanted or left + wanted <= max(ALWAYS_ALLOWED_IN_A_DAY, before * percent // 100)
            assert wanted <= max(ALWAYS_ALLOWED, live * percent // 100)
            live -= wanted
        counts = with_count(counts, at, live)
        assert len(counts) <= 26


def test_the_counts_of_a_day_are_the_last_of_each_hour_and_one_from_before():
    counts = ()
    for minute in range(3 * 24 * 60):
        counts = with_count(counts, NOW + 60 * minute, minute)
    now = counts[-1].at
    assert (len(counts), counts[-1].live) == (26, 3 * 24 * 60 - 1)
    assert count_a_day_ago(counts, now) == counts[0]
    assert now - DAY - HOUR < counts[0].at <= now - DAY


def test_a_count_of_the_future_is_of_a_clock_that_was_wrong():
    counts = (LiveCount(NOW - DAY, 5), LiveCount(NOW + 30 * DAY, 900))
    assert with_count(counts, NOW, 7) == (LiveCount(NOW - DAY, 5), LiveCount(NOW, 7))
    assert count_a_day_ago(counts, NOW) == counts[0]


@pytest.mark.parametrize(
    ("since", "passed", "expected"),
    [(None, DAY, []), (NOW - 3 * DAY, 2 * DAY, [NOW - DAY]), (NOW - DAY, 9 * DAY, [NOW])],
)
def test_days_that_nobody_saw_do_not_count(since, passed, expected):
    event = EventRecord("e", 1, published=True, held_since=since)
    assert [event.held_since for event in without_days([event], passed, NOW)] == expected


@pytest.mark.parametrize(
    "stored",
    [
        {"live_counts": "many"},
        {"live_counts": [["a", 1], [1], 7, None, [1, 2, 3], [True, 2]], "forced_at": ["x", None, 1.5]},
        {"forced_at": 7, "view": [1], "view_at": "x", "surveyed_at": [], "blind": None},
        {"view": {"the key's role": 7}},
    ],
)
def test_what_is_of_another_form_counts_as_never_noted(stored):
    assert DestinationFacts.of(stored) == DestinationFacts()


# --- what may have led to it -------------------------------------------------------------------------


def test_what_changed_is_said_and_not_at_too_great_a_length():
    before = {"the key's role": "User", "misp_event_filters['tags']": '["a"]', "same": "1"}
    now = {"the key's role": "Read Only", "filters['types']": "x" * 500, "same": "1"}
    words = changes_since(before, NOW, now)
    assert words.startswith("Since the run of 2026-09-21 ")
    assert "the key's role was User and is Read Only" in words
    assert "misp_event_filters['tags'] was [\"a\"] and is not set" in words
    assert "filters['types'] was not set and is xxx" in words
    assert len(words) < 400
    assert changes_since(now, NOW, now) == changes_since({}, 0, now) == ""


def test_a_refusal_is_whole_with_and_without_a_change():
    assert refusal("too many", "", "this") == "too many: look at status and at MISP. To accept it: this"
    assert refusal("too many", "A is B.", "this") == "too many: look at status and at MISP. A is B. To accept it: this"


def test_the_shipped_config_need_not_be_named():
    assert accepting(Settings()) == "python script.py --force-withdraw"


# --- whole runs --------------------------------------------------------------------------------------


def flags(site, numbers, to_ids=False):
    """Take the flag off so many attributes of the first event, and publish it."""
    for position in numbers:
        site.misp.edit_attribute(uuid(1), attribute(1, position), to_ids=to_ids)
    site.misp.publish(uuid(1))


def accepted_by(site, words=""):
    return f" To accept it: python script.py --config {site.settings.config} {words}--force-withdraw"


def deleted(site, *numbers):
    for number in numbers:
        site.misp.delete(uuid(number))


def test_three_runs_in_a_day_do_not_take_more_together_than_one_may(make_site):
    site = make_site()
    load(site, events=1, attributes=200)
    site.run()
    later(site, days=2)
    codes = []
    for begin in (0, 35, 70):
        flags(site, range(begin, begin + 35))
        codes.append(later(site).exit_code)
    assert codes == [0, 1, 1]
    assert len(site.live()) == 165
    refused = later(site)
    assert "105 within 24 hours of the 200 that were live before" in refused.refusals[0]
    assert refused.refusals[0].endswith(accepted_by(site))
    assert later(site, days=1).exit_code == 1, "a day later 70 would leave, of 165"
    assert later(site, force_withdraw=True).exit_code == 0
    assert len(site.live()) == 95


def test_what_somebody_accepted_does_not_count_also_when_it_had_no_answer(make_site):
    site = make_site()
    load(site, events=1, attributes=200)
    site.run()
    later(site, days=2)
    flags(site, range(100))
    site.azure.faults.add(Fault(UPLOAD_PATH, "reset-after", times=None))
    assert later(site, force_withdraw=True).exit_code == 4
    site.azure.faults.clear()
    assert later(site).exit_code == 0, "the withdrawals are repeated"
    flags(site, range(100, 140))
    assert later(site).exit_code == 0
    flags(site, range(140, 141))
    assert later(site).exit_code == 1
    assert len(site.live()) == 60


@pytest.mark.parametrize("options", [{}, {"uuid": uuid(1)}], ids=["all", "one event"])
def test_withdrawals_that_a_clock_ahead_has_dated_hold_back_for_a_day_and_no_longer(make_site, options):
    site = make_site()
    load(site, events=1, attributes=200)
    site.run()
    later(site, days=2)
    site.seconds += 30 * DAY
    flags(site, range(40))
    assert site.run(**options).exit_code == 0
    site.seconds -= 30 * DAY
    flags(site, [40])
    assert "41 within 24 hours of the 200" in later(site, **options).refusals[0]
    assert later(site, days=0.8).exit_code == 1
    assert later(site, days=0.3).exit_code == 0
    assert len(site.live()) == 159


def test_what_somebody_accepted_by_a_clock_ahead_does_not_count(make_site):
    site = make_site()
    load(site, events=1, attributes=200)
    site.run()
    site.seconds += 30 * DAY
    flags(site, range(100))
    assert site.run(force_withdraw=True).exit_code == 0
    site.seconds -= 30 * DAY
    flags(site, range(100, 120))
    assert later(site).exit_code == 0
    assert later(site).exit_code == 0
    assert len(site.live()) == 80


def test_withdrawals_and_counts_that_a_clock_ahead_has_dated_still_hold_back(make_site):
    site = make_site()
    load(site, events=1, attributes=200)
    site.run()
    site.seconds += 30 * DAY
    flags(site, range(40))
    site.run()
    site.seconds -= 30 * DAY
    flags(site, range(40, 50))
    assert "50 within 24 hours of the 200" in later(site).refusals[0]
    assert len(site.live()) == 160


def test_what_leaves_by_itself_or_by_a_command_of_its_own_does_not_count(make_site):
    site = make_site()
    load(site, events=1, attributes=30)
    site.run()
    with opened(site.settings) as ledger:
        records = ledger.every_live_object(site.seconds)
        reasons = [WithdrawalReason.WORKSPACE_LEFT, WithdrawalReason.NOT_IN_MISP, WithdrawalReason.GONE]
        for number, record in enumerate(records):
            left = replace(record, stage=Stage.WITHDRAWN, words=reasons[number % 3], sent_at=site.seconds)
            in_flight = replace(left, stage=Stage.WITHDRAWING, words="", leaving=reasons[number % 3])
            ledger.keep(objects=[left if number < 15 else in_flight])
        assert ledger.withdrawn_since(site.seconds - 1) == 30
        assert ledger.withdrawn_since(site.seconds - 1, but=reasons[:2]) == 10
        assert ledger.withdrawn_since(site.seconds) == 0
        assert ledger.withdrawn_since(site.seconds - 1, not_at=[site.seconds]) == 0


@pytest.mark.parametrize("days", [0.1, 1, 8])
@pytest.mark.parametrize("own", [True, False])
def test_of_a_misp_that_shows_nothing_nothing_leaves_however_little_is_live(make_site, days, own):
    site = make_site()
    load(site, events=2, attributes=1)
    if own:
        for event in site.misp.events():
            event["Orgc"] = {"name": "Ours", "uuid": site.misp.organisation_uuid}
    site.run()
    deleted(site, 1, 2)
    for _ in range(3):
        report = later(site, days=days)
        assert report.exit_code == 1
        assert f"{NO_EVENT}, and 2 live objects came from events of it" in report.refusals[0]
        assert report.refusals[0].endswith(accepted_by(site))
        assert (len(site.live()), report.held, report.indicators) == (2, 0, 0)
    assert later(site, force_withdraw=True).exit_code == 0
    assert site.live() == {}
    assert later(site).exit_code == 0, "nothing is live any more"


def test_events_that_are_seen_again_after_blind_days_go_on_as_they_were(make_site):
    site = make_site(DAYS_TO_EXPIRE="12", DAYS_TO_EXPIRE_MAPPING="{}")
    load(site, events=2)
    site.run()
    until = {indicator["valid_until"] for indicator in site.live().values()}
    kept = [dict(event) for event in site.misp.events()]
    deleted(site, 1, 2)
    assert later(site, days=7).exit_code == 1
    assert {indicator["valid_until"] for indicator in site.live().values()} == until, "nothing is renewed"
    site.misp.load(kept)
    report = later(site)
    assert (report.exit_code, report.withdrawals.total(), report.held) == (0, 0, 0)
    assert len(site.live()) == 6
    assert min(indicator["valid_until"] for indicator in site.live().values()) > max(until)


@pytest.mark.parametrize("before", [0.1, 3])
def test_days_on_which_nothing_is_visible_count_towards_no_grace(make_site, before):
    site = make_site()
    load(site, events=2)
    site.run()
    site.misp.edit_attribute(uuid(1), attribute(1, 0), comment="edited, and not published")
    assert later(site).held == 1
    assert later(site, days=before).held == 1
    kept = [dict(event) for event in site.misp.events()]
    deleted(site, 1, 2)
    for _ in range(4):
        assert later(site, days=3).exit_code == 1
    site.misp.load(kept)
    report = later(site, days=3)
    assert (report.exit_code, report.held, len(site.live())) == (0, 1, 6)
    assert later(site, days=6.5 - before).held == 1
    report = later(site, days=1)
    assert (report.exit_code, report.held, len(site.live())) == (0, 0, 3)


def test_days_on_which_another_misp_is_read_count_towards_no_grace(make_site):
    site = make_site()
    load(site, events=2)
    site.run()
    site.misp.edit_attribute(uuid(1), attribute(1, 0), comment="edited, and not published")
    later(site)
    ours = site.settings
    site.settings = ours.model_copy(update={"misp_domain": "https://other.example.org"})
    for _ in range(3):
        assert later(site, days=4).exit_code == 1
    site.settings = ours
    assert (later(site).held, len(site.live())) == (1, 6)


def test_a_refusal_names_what_changed_since_the_last_run_that_was_refused_nothing(make_site):
    site = make_site('{"published": 1, "tags": ["tlp:green"]}')
    load(site, events=1, attributes=30)
    site.misp.tag_event(uuid(1), "tlp:green")
    site.misp.publish(uuid(1))
    site.run()
    filters(site, published=1, tags=["no:such"])
    for _ in range(2):
        (words,) = later(site).refusals
        assert 'misp_event_filters[\'tags\'] was ["tlp:green"] and is ["no:such"]' in words
        assert "Since the run of 2026-09-21 " in words and "user" not in words
    assert later(site, force_withdraw=True).exit_code == 0


def test_a_run_that_could_not_read_does_not_hide_what_changed_before_it(make_site):
    site = make_site('{"published": 1, "tags": ["tlp:green"]}')
    load(site, events=1, attributes=30)
    site.misp.tag_event(uuid(1), "tlp:green")
    site.misp.publish(uuid(1))
    site.run()
    filters(site, published=1, tags=["no:such"])
    site.misp.faults.add(Fault("restSearch", "status", times=None))
    assert later(site).exit_code == 3
    site.misp.faults.clear()
    assert "misp_event_filters['tags'] was" in later(site).refusals[0]


def test_what_changed_before_events_went_out_of_sight_is_named_when_their_days_are_over(make_site):
    site = make_site(MISP_KEY=READONLY_KEY)
    load(site, events=3, attributes=30)
    site.run()
    with opened(site.settings) as ledger:
        facts = ledger.facts()
        ledger.save_facts(replace(facts, view={**facts.view, "the key's role": "Publisher"}))
    deleted(site, 1, 2)
    for _ in range(7):
        report = later(site, days=1)
        assert (report.exit_code, report.held) == (0, 2)
    assert "the key's role was Publisher" in later(site, days=1).refusals[0]
    assert later(site, force_withdraw=True).exit_code == 0
    later(site)
    with opened(site.settings) as ledger:
        assert ledger.facts().view["the key's role"] != "Publisher"


def test_the_view_of_another_user_is_named_with_its_role(make_site):
    site = make_site()
    load(site)
    site.run()
    with opened(site.settings) as ledger:
        facts = ledger.facts()
        before = {**facts.view, "the key's role": "Publisher", "the key's organisation": "another"}
        ledger.save_facts(replace(facts, view=before))
    deleted(site, 1, 2, 3)
    (words,) = later(site).refusals
    assert "the key's role was Publisher and is " in words
    assert "the key's organisation was another and is " in words


def test_a_refusal_of_one_event_and_of_one_destination_names_that(make_site):
    site = make_site()
    load(site, events=1, attributes=30)
    site.run()
    flags(site, range(30))
    (words,) = later(site, uuid=uuid(1)).refusals
    assert words.endswith(accepted_by(site, f"--uuid {uuid(1)} "))
    site.settings._name = "north america"
    (words,) = later(site).refusals
    assert words.endswith(accepted_by(site, "--workspace 'north america' "))


def test_what_was_refused_before_blind_days_is_not_forgotten_by_them(make_site):
    site = make_site('{"published": 1, "tags": ["tlp:green"]}')
    load(site, events=3, attributes=10)
    for number in (1, 2, 3):
        site.misp.tag_event(uuid(number), "tlp:green")
        site.misp.publish(uuid(number))
    site.run()
    for number in (1, 2, 3):
        site.misp.untag_event(uuid(number), "tlp:green")
        site.misp.publish(uuid(number))
    assert "30 of 30" in later(site).refusals[0]
    kept = [dict(event) for event in site.misp.events()]
    deleted(site, 1, 2, 3)
    assert NO_EVENT in later(site).refusals[0]
    site.misp.load(kept)
    assert "30 of 30" in later(site).refusals[0]
    edited(site, 1, 0)
    assert later(site, force_withdraw=True).exit_code == 0
    assert site.live() == {}
