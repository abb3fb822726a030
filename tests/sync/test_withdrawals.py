"""Withdrawals, and what must never be one: expiries, guards, refusals, old decisions, death in the middle."""

from datetime import UTC, datetime

import pytest

from helpers.sync.run import opened
from sandbox.faults import Fault
from tests.support import misp_event
from tests.support.in_process import UPLOAD_PATH
from tests.sync.test_destination import DAY, attribute, edited, filters, later, load, patterns, site, uuid

__all__ = ["site"]
MOVING = {"DAYS_TO_EXPIRE": "12", "DAYS_TO_EXPIRE_MAPPING": "{}"}


def iso(seconds):
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def not_read(here, number):
    """MISP lists the event, and cannot deliver it."""
    row = next(each for each in here.misp.events() if each["uuid"] == uuid(number))
    wanted = {str(row["id"]), row["id"]}
    here.misp.faults.add(
        Fault(
            "restSearch",
            "status",
            times=None,
            when=lambda body: not body.get("metadata") and bool(wanted & set(_named(body.get("eventid")))),
        )
    )
    here.misp.faults.add(
        Fault("/attributes/restSearch", "status", times=None, when=lambda body: body.get("eventid") in wanted)
    )


def _named(given):
    return given if isinstance(given, list) else [given]


@pytest.mark.parametrize("fault", [{"kind": "status", "times": None}, {"kind": "reset-before", "times": None}])
def test_an_end_moved_up_that_microsoft_did_not_hear_of_is_withdrawn_when_it_comes(site, fault):
    here = site(**MOVING)
    load(here, events=1, attributes=1)
    here.run()
    edited(here, 1, 0, last_seen=iso(here.seconds + DAY))
    here.azure.faults.add(Fault(UPLOAD_PATH, **fault))
    assert later(here).exit_code == 1
    here.azure.faults.clear()
    assert later(here, days=2).exit_code == 0
    assert here.live() == {}


def test_an_event_that_leaves_is_not_renewed_on_the_way(site):
    here = site(**MOVING)
    load(here, events=1)
    here.run()
    here.misp.unpublish(uuid(1))
    report = later(here, days=8)
    assert (report.plans["renewed"], report.withdrawals.total()) == (0, 3)
    assert here.azure.wrong == []


def test_a_refused_event_is_not_renewed_and_is_refused_in_each_run(site):
    here = site('{"published": 1, "publish_timestamp": "7d"}', **MOVING)
    load(here, events=3, attributes=60)
    here.run()
    here.seconds += 8 * DAY
    assert here.run().exit_code == 0
    until = {each["valid_until"] for each in here.live().values()}
    filters(here, published=1, publish_timestamp="7d", tags=["no:such"])
    for _ in range(3):
        refused = later(here)
        assert refused.exit_code == 1 and "180 of 180" in refused.refusals[0]
        assert refused.plans["renewed"] == 0
    assert {each["valid_until"] for each in here.live().values()} == until
    forced = later(here, force_withdraw=True)
    assert (forced.exit_code, forced.withdrawals.total()) == (0, 180)
    assert here.live() == {}


def test_a_refusal_for_another_user_is_carried_out_when_accepted(site):
    here = site('{"published": 1, "publish_timestamp": "7d"}')
    load(here, events=2)
    here.run()
    here.seconds += 8 * DAY
    here.run()
    here.settings = here.settings.model_copy(update={"misp_domain": "https://other.example.org"})
    here.misp.delete(uuid(1))
    assert later(here).exit_code == 1
    assert len(here.live()) == 6
    assert later(here, force_withdraw=True).exit_code == 0
    assert patterns(here) == ["e2h0.example.org", "e2h1.example.org", "e2h2.example.org"]


@pytest.mark.parametrize("how", ["held", "not delivered"])
def test_an_old_decision_is_not_carried_out_on_an_event_that_was_not_read(site, how):
    here = site()
    load(here, events=1, attributes=150)
    here.run()
    for position in range(150):
        here.misp.edit_attribute(uuid(1), attribute(1, position), to_ids=False)
    here.misp.publish(uuid(1))
    assert "150 of 150" in later(here).refusals[0]
    for position in range(150):
        here.misp.edit_attribute(uuid(1), attribute(1, position), to_ids=True)
    if how == "not delivered":
        here.misp.publish(uuid(1))
        not_read(here, 1)
    later(here, force_withdraw=True)
    assert len(here.live()) == 150
    here.misp.faults.clear()
    here.misp.publish(uuid(1))
    assert later(here).exit_code == 0
    assert len(here.live()) == 150


def test_what_was_to_leave_when_microsoft_was_down_leaves_later(site):
    here = site()
    load(here, events=2)
    here.run()
    here.misp.unpublish(uuid(1))
    edited(here, 2, 0, to_ids=False)
    here.azure.faults.add(Fault(UPLOAD_PATH, "status", status=403, times=None))
    assert later(here).exit_code == 4
    here.azure.faults.clear()
    assert later(here).exit_code == 0
    assert patterns(here) == ["e2h1.example.org", "e2h2.example.org"]


def test_a_withdrawal_without_an_answer_is_repeated_whatever_the_guard_says(site):
    here = site()
    load(here, events=1, attributes=150)
    here.run()
    here.misp.delete(uuid(1))
    here.azure.faults.add(Fault(UPLOAD_PATH, "reset-after", times=None))
    assert later(here, force_withdraw=True).exit_code == 1
    here.azure.faults.clear()
    again = later(here)
    assert (again.exit_code, again.refusals) == (0, [])
    assert here.azure.wrong == []


@pytest.mark.parametrize("given", ['{"published": 1, "limit": 100}', '{"published": 1}'])
def test_a_rejected_object_is_left_alone_although_a_run_is_never_whole(site, given):
    here = site(given)
    load(here, events=2)
    refused = {"errors": [{"recordIndex": 0, "errorMessages": ["never"]}]}
    here.azure.faults.add(Fault(UPLOAD_PATH, "body", body=refused))
    assert here.run().exit_code == 1
    if "limit" not in given:
        here.misp.add_event({"uuid": uuid(9), "info": "Event 9", "published": True, "Attribute": []})
        not_read(here, 9)
    for _ in range(2):
        assert later(here).plans.total() == 0


def test_a_site_with_a_limit_has_good_nights(site):
    here = site('{"published": 1, "limit": 100}')
    load(here)
    here.run()
    with opened(here.settings) as ledger:
        assert ledger.facts().last_good == here.seconds


def test_three_events_that_misp_cannot_deliver_hold_back_no_others(site):
    here = site(MISP_EVENT_LIMIT_PER_PAGE="1")
    load(here, events=6)
    for number in (1, 2, 3):
        not_read(here, number)
    assert here.run().exit_code == 3
    assert later(here).exit_code == 3
    assert len(here.live()) == 9


def test_the_guard_counts_what_would_leave_and_not_what_another_event_keeps(site):
    here = site(DEDUPLICATE="value")
    values = [("domain", f"shared{n}.example.org") for n in range(150)]
    here.misp.load(misp_event(number, values) for number in (1, 2))
    here.run()
    assert len(here.live()) == 150
    here.misp.unpublish(uuid(1))
    report = later(here)
    assert (report.exit_code, report.refusals) == (0, [])
    assert len(here.live()) == 150
    assert all(len(each["external_references"]) == 1 for each in here.live().values())


@pytest.mark.parametrize("step", range(20, 60, 4))
def test_an_unpublishing_on_purpose_is_seen_after_a_death_in_the_first_reading(site, step):
    here = site(MS_MAX_INDICATORS_REQUEST="1")
    load(here, events=1)
    here.run(last_step=step)
    here.misp.unpublish(uuid(1))
    report = later(here)
    assert (report.exit_code, report.held) == (0, 0)
    assert here.live() == {}


def test_an_event_of_which_nothing_lives_is_not_held(site):
    here = site()
    load(here, events=1)
    here.run()
    here.misp.unpublish(uuid(1))
    later(here)
    here.misp.edit_attribute(uuid(1), attribute(1, 0), comment="edited, and not published")
    assert later(here).held == 0


def test_other_days_move_nothing_outside_the_window(site):
    here = site('{"published": 1, "publish_timestamp": "7d"}', **MOVING)
    load(here, events=1)
    here.run()
    until = {each["valid_until"] for each in here.live().values()}
    here.settings = here.settings.model_copy(update={"days_to_expire": 30})
    later(here, days=8)
    assert {each["valid_until"] for each in here.live().values()} == until


def change(here, deduplicate):
    here.settings = here.settings.model_copy(update={"deduplicate": deduplicate})


def test_a_change_of_deduplicate_takes_nothing_from_an_event_that_was_not_read(site):
    here = site()
    load(here, events=3)
    here.run()
    before = set(here.live())
    change(here, "value")
    not_read(here, 2)
    assert later(here, force_withdraw=True).exit_code == 3
    assert len(here.live()) == 9
    assert len(before & set(here.live())) == 3
    here.misp.faults.clear()
    assert later(here).exit_code == 0
    assert not before & set(here.live())
    assert len(here.live()) == 9
    assert here.azure.wrong == []


@pytest.mark.parametrize("step", range(10, 60, 5))
def test_death_in_a_change_of_deduplicate_loses_nothing(site, step):
    here = site()
    load(here, events=2)
    here.run()
    change(here, "value")
    here.run(last_step=step, force_withdraw=True)
    later(here, force_withdraw=True)
    assert patterns(here) == sorted(f"e{event}h{n}.example.org" for event in (1, 2) for n in range(3))
    assert here.azure.wrong == []
