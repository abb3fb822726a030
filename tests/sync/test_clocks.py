"""A clock that was wrong once: moments in the future count as unknown wherever they are read."""

from dataclasses import replace

import pytest

from helpers.commands.monitoring.status import status
from helpers.ledger import DestinationFacts, EventRecord, FullRun
from helpers.sync.event_selection import Action, RunConditions, decide_event
from helpers.sync.run import opened
from sandbox.faults import Fault
from tests.support.in_process import UPLOAD_PATH
from tests.sync.test_destination import DAY, START, edited, later, load, make_site, patterns, uuid

__all__ = ["make_site"]
AHEAD = 30 * DAY
MOVING = {"DAYS_TO_EXPIRE": "12", "DAYS_TO_EXPIRE_MAPPING": "{}"}
FIXED = {**MOVING, "DAYS_TO_EXPIRE_START": "valid_from"}
WARNING = "A clock was wrong"


def ends(site):
    """When what is live ends, in days from now."""
    with opened(site.settings) as ledger:
        records = ledger.every_live_object(site.seconds)
        assert all(record.live_until == record.valid_until for record in records)
        return {round((record.valid_until - site.seconds) / DAY, 2) for record in records}


def max_age(site, hours=26):
    lines = []
    code = status(site.settings, lines.append, max_age_hours=hours, as_json=False, now=lambda: site.seconds)
    return code, "\n".join(line.text() for line in lines)


def full_run_of(site):
    with opened(site.settings) as ledger:
        return ledger.facts().full_at


def test_what_a_run_with_a_clock_ahead_has_sent_comes_back(make_site):
    site = make_site(**MOVING)
    load(site)
    site.seconds += AHEAD
    site.run()
    site.seconds -= AHEAD
    assert ends(site) == {42}
    report = later(site)
    assert (report.exit_code, report.events, report.plans["changed"]) == (0, 3, 9)
    assert any(WARNING in warning for warning in report.warnings)
    assert ends(site) == {12}
    assert full_run_of(site) == site.seconds
    report = later(site)
    assert (report.exit_code, report.events, report.indicators, report.warnings) == (0, 0, 0, [])
    assert ends(site) == {11.9}


def test_a_run_of_the_future_is_no_good_run(make_site):
    site = make_site()
    load(site)
    site.seconds += AHEAD
    site.run()
    assert max_age(site)[0] == 0
    site.seconds -= AHEAD
    code, text = max_age(site)
    assert code == 1
    assert "LATE: no good run in the last 26 hours (--max-age), and a run of the future counts as unknown." in text
    assert "clock          was ahead: the ledger has a run of 2026-10-21 " in text
    assert "last good run  none yet" in text and "last full run  none yet" in text
    assert max_age(site, hours=10_000)[0] == 1
    later(site)
    code, text = max_age(site)
    assert (code, "counts as unknown" in text) == (0, False)


def test_runs_that_fail_after_a_clock_ahead_do_not_hide_it(make_site):
    site = make_site(**MOVING)
    load(site)
    site.seconds += AHEAD
    site.run()
    site.seconds -= AHEAD
    site.azure.faults.add(Fault(UPLOAD_PATH, "status", times=None, status=403))
    for _ in range(2):
        assert later(site).exit_code == 4
        assert max_age(site)[0] == 1
    site.azure.faults.clear()
    assert later(site).exit_code == 0
    assert ends(site) == {11.8}, "as the first of them would have it"
    assert max_age(site)[0] == 0


@pytest.mark.parametrize("step", range(10, 80, 10))
def test_a_run_that_dies_while_it_corrects_is_gone_on_with(make_site, step):
    site = make_site(**MOVING)
    load(site, events=2)
    site.seconds += AHEAD
    site.run()
    site.seconds -= AHEAD
    site.seconds += 60
    site.run(last_step=step)
    later(site)
    assert ends(site) <= {12, 11.9}
    later(site)
    assert site.azure.wrong == []


def test_what_had_expired_by_a_clock_ahead_is_sent_and_leaves_as_it_should(make_site):
    site = make_site(**FIXED)
    load(site, events=1)
    site.run()
    site.seconds += AHEAD
    edited(site, 1, 0, value="new.example.org")
    site.run()
    site.seconds -= AHEAD
    assert later(site).exit_code == 0
    assert patterns(site) == ["e1h1.example.org", "e1h2.example.org", "new.example.org"]


@pytest.mark.parametrize("settings", [MOVING, FIXED])
@pytest.mark.parametrize("behind", [3 * DAY, 400 * DAY])
def test_a_clock_that_was_behind_once_costs_nothing_for_long(make_site, settings, behind):
    site = make_site(**settings)
    load(site)
    site.run()
    before = ends(site)
    site.seconds -= behind
    site.run()
    site.seconds += behind
    report = later(site)
    assert (report.exit_code, len(site.live())) == (0, 9)
    assert any(WARNING in warning for warning in report.warnings)
    moved = 3 if settings is MOVING and behind == 3 * DAY else 0  # half of its days are left: it is renewed in time
    assert min(ends(site)) >= min(before) - moved - 0.2
    report = later(site)
    assert (report.events, report.indicators, report.warnings) == (0, 0, [])


def test_what_was_new_to_a_clock_that_was_behind_ends_as_it_should(make_site):
    site = make_site(**FIXED)
    load(site, events=1)
    site.run()
    ends_of_the_first = ends(site)
    load(site, events=2)
    site.seconds -= 400 * DAY
    site.run()
    site.seconds += 400 * DAY
    later(site)
    assert len(site.live()) == 6
    assert min(ends(site)) >= min(ends_of_the_first) - 0.2


def test_an_event_held_since_the_future_is_held_from_now_on():
    event = EventRecord("e", 1, published=True, held_since=START + AHEAD)
    unpublished = replace(event, held_since=START)
    row = type("Row", (), {"timestamp": 2, "published": False})
    for known in (event, unpublished):
        decision = decide_event(known, row, None, RunConditions(START), lambda: True)
        assert (decision.action, decision.held_since) == (Action.HOLD, START)


def test_an_object_accepted_in_the_future_is_refreshed(make_site):
    site = make_site(REFRESH_DAYS="3")
    load(site, events=1)
    site.run()
    with opened(site.settings) as ledger:
        records = ledger.every_live_object(site.seconds)
        ledger.keep(objects=[replace(record, accepted_at=site.seconds + AHEAD) for record in records])
    assert later(site).plans["renewed"] == 3
    assert later(site).plans["renewed"] == 0


def test_an_object_that_is_read_much_later_comes_back_too(make_site):
    site = make_site(**MOVING)
    load(site, events=2)
    site.seconds += AHEAD
    site.run()
    site.seconds -= AHEAD
    site.misp.edit_attribute(uuid(1), site.misp.event(uuid(1))["Attribute"][0]["uuid"], comment="not published yet")
    assert later(site).held == 1
    assert ends(site) == {12, 41.9}
    site.misp.publish(uuid(1))
    assert later(site).exit_code == 0
    assert ends(site) == {12, 11.9}


@pytest.mark.parametrize("deduplicate", ["attribute", "value"])
def test_a_fixed_end_beside_a_moving_one_stays(make_site, deduplicate):
    """With values shared, the latest end counts, which may be later than the days of a moving one."""
    site = make_site(DEDUPLICATE=deduplicate, **MOVING)
    load(site, events=1, attributes=1)
    far = "2026-12-24T00:00:00+00:00"
    site.misp.load(
        [
            {
                **site.misp.event(uuid(1)),
                "uuid": uuid(2),
                "Attribute": [
                    {
                        **site.misp.event(uuid(1))["Attribute"][0],
                        "uuid": "77777777-7777-4777-8777-777777777777",
                        "last_seen": far,
                    }
                ],
            }
        ]
    )
    site.run()
    before = ends(site)
    assert later(site, full=True).indicators == 0
    assert max(before) > 12


def test_facts_of_the_future_are_unknown():
    facts = DestinationFacts(
        full_begun=FullRun(START + 1, "x"),
        full_at=START + 2,
        last_good=START + 3,
        surveyed_at=START + 4,
        last_run={"at": START + 5},
    )
    assert facts.latest() == START + 5
    assert facts.known_at(START) == DestinationFacts(last_run={"at": START + 5})
    assert facts.known_at(START + 5) == facts
    assert DestinationFacts(last_run={"at": 10**30}).latest() == 0
    assert DestinationFacts(last_run={"at": "now"}).latest() == 0
