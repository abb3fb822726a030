"""Withdrawals, and what must never be one: expiries, guards, refusals, old decisions, death in the middle."""

from datetime import UTC, datetime

import pytest

from helpers.sync.run import opened
from sandbox.faults import Fault
from tests.support import misp_event
from tests.support.in_process import UPLOAD_PATH
from tests.sync.test_destination import DAY, attribute, edited, filters, later, load, make_site, patterns, uuid

__all__ = ["make_site"]
MOVING = {"DAYS_TO_EXPIRE": "12", "DAYS_TO_EXPIRE_MAPPING": "{}"}


def iso(seconds):
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def not_read(site, number):
    """MISP lists the event, and cannot deliver it."""
    row = next(event for event in site.misp.events() if event["uuid"] == uuid(number))
    wanted = {str(row["id"]), row["id"]}
    site.misp.faults.add(
        Fault(
            "restSearch",
            "status",
            times=None,
            when=lambda body: not body.get("metadata") and bool(wanted & set(_named(body.get("eventid")))),
        )
    )
    site.misp.faults.add(
        Fault("/attributes/restSearch", "status", times=None, when=lambda body: body.get("eventid") in wanted)
    )


def _named(event_ids):
    return event_ids if isinstance(event_ids, list) else [event_ids]


@pytest.mark.parametrize("fault", [{"kind": "status", "times": None}, {"kind": "reset-before", "times": None}])
def test_an_end_moved_up_that_microsoft_did_not_hear_of_is_withdrawn_when_it_comes(make_site, fault):
    site = make_site(**MOVING)
    load(site, events=1, attributes=1)
    site.run()
    edited(site, 1, 0, last_seen=iso(site.seconds + DAY))
    site.azure.faults.add(Fault(UPLOAD_PATH, **fault))
    assert later(site).exit_code == 4
    site.azure.faults.clear()
    assert later(site, days=2).exit_code == 0
    assert site.live() == {}


def test_an_event_that_leaves_is_not_renewed_on_the_way(make_site):
    site = make_site(**MOVING)
    load(site, events=1)
    site.run()
    site.misp.unpublish(uuid(1))
    report = later(site, days=8)
    assert (report.plans["renewed"], report.withdrawals.total()) == (0, 3)
    assert site.azure.wrong == []


def test_a_refused_event_is_not_renewed_and_is_refused_in_each_run(make_site):
    site = make_site('{"published": 1, "publish_timestamp": "7d"}', **MOVING)
    load(site, events=3, attributes=60)
    site.run()
    site.seconds += 8 * DAY
    assert site.run().exit_code == 0
    until = {indicator["valid_until"] for indicator in site.live().values()}
    filters(site, published=1, publish_timestamp="7d", tags=["no:such"])
    for _ in range(3):
        refused = later(site)
        assert refused.exit_code == 1 and "180 of 180" in refused.refusals[0]
        assert refused.plans["renewed"] == 0
    assert {indicator["valid_until"] for indicator in site.live().values()} == until
    forced = later(site, force_withdraw=True)
    assert (forced.exit_code, forced.withdrawals.total()) == (0, 180)
    assert site.live() == {}


def test_a_refusal_for_another_user_is_carried_out_when_accepted(make_site):
    site = make_site('{"published": 1, "publish_timestamp": "7d"}')
    load(site, events=2)
    site.run()
    site.seconds += 8 * DAY
    site.run()
    site.settings = site.settings.model_copy(update={"misp_domain": "https://other.example.org"})
    site.misp.delete(uuid(1))
    assert later(site).exit_code == 1
    assert len(site.live()) == 6
    assert later(site, force_withdraw=True).exit_code == 0
    assert patterns(site) == ["e2h0.example.org", "e2h1.example.org", "e2h2.example.org"]


@pytest.mark.parametrize("how", ["held", "not delivered"])
def test_an_old_decision_is_not_carried_out_on_an_event_that_was_not_read(make_site, how):
    site = make_site()
    load(site, events=1, attributes=150)
    site.run()
    for position in range(150):
        site.misp.edit_attribute(uuid(1), attribute(1, position), to_ids=False)
    site.misp.publish(uuid(1))
    assert "150 of 150" in later(site).refusals[0]
    for position in range(150):
        site.misp.edit_attribute(uuid(1), attribute(1, position), to_ids=True)
    if how == "not delivered":
        site.misp.publish(uuid(1))
        not_read(site, 1)
    later(site, force_withdraw=True)
    assert len(site.live()) == 150
    site.misp.faults.clear()
    site.misp.publish(uuid(1))
    assert later(site).exit_code == 0
    assert len(site.live()) == 150


def test_what_was_to_leave_when_microsoft_was_down_leaves_later(make_site):
    site = make_site()
    load(site, events=2)
    site.run()
    site.misp.unpublish(uuid(1))
    edited(site, 2, 0, to_ids=False)
    site.azure.faults.add(Fault(UPLOAD_PATH, "status", status=403, times=None))
    assert later(site).exit_code == 4
    site.azure.faults.clear()
    assert later(site).exit_code == 0
    assert patterns(site) == ["e2h1.example.org", "e2h2.example.org"]


def test_a_withdrawal_without_an_answer_is_repeated_whatever_the_guard_says(make_site):
    site = make_site()
    load(site, events=1, attributes=150)
    site.run()
    site.misp.delete(uuid(1))
    site.azure.faults.add(Fault(UPLOAD_PATH, "reset-after", times=None))
    assert later(site, force_withdraw=True).exit_code == 4
    site.azure.faults.clear()
    again = later(site)
    assert (again.exit_code, again.refusals) == (0, [])
    assert site.azure.wrong == []


@pytest.mark.parametrize("event_filters", ['{"published": 1, "limit": 100}', '{"published": 1}'])
def test_a_rejected_object_is_not_sent_again_although_no_run_is_whole(make_site, event_filters):
    site = make_site(event_filters)
    load(site, events=2)
    refused = {"errors": [{"recordIndex": 0, "errorMessages": ["never"]}]}
    site.azure.faults.add(Fault(UPLOAD_PATH, "body", body=refused))
    assert site.run().exit_code == 1
    if "limit" not in event_filters:
        site.misp.add_event({"uuid": uuid(9), "info": "Event 9", "published": True, "Attribute": []})
        not_read(site, 9)
    for _ in range(2):
        assert later(site).plans.total() == 0


def test_a_site_with_a_limit_has_good_nights(make_site):
    site = make_site('{"published": 1, "limit": 100}')
    load(site)
    site.run()
    with opened(site.settings) as ledger:
        assert ledger.facts().last_good == site.seconds


def test_three_events_that_misp_cannot_deliver_hold_back_no_others(make_site):
    site = make_site(MISP_EVENT_LIMIT_PER_PAGE="1")
    load(site, events=6)
    for number in (1, 2, 3):
        not_read(site, number)
    assert site.run().exit_code == 3
    assert later(site).exit_code == 3
    assert len(site.live()) == 9


def test_the_guard_counts_what_would_leave_and_not_what_another_event_keeps(make_site):
    site = make_site(DEDUPLICATE="value")
    values = [("domain", f"shared{n}.example.org") for n in range(150)]
    site.misp.load(misp_event(number, values) for number in (1, 2))
    site.run()
    assert len(site.live()) == 150
    site.misp.unpublish(uuid(1))
    report = later(site)
    assert (report.exit_code, report.refusals) == (0, [])
    assert len(site.live()) == 150
    assert all(len(indicator["external_references"]) == 1 for indicator in site.live().values())


@pytest.mark.parametrize("step", range(20, 60, 4))
def test_an_unpublishing_on_purpose_is_seen_after_a_death_in_the_first_reading(make_site, step):
    site = make_site(MS_MAX_INDICATORS_REQUEST="1")
    load(site, events=1)
    site.run(last_step=step)
    site.misp.unpublish(uuid(1))
    report = later(site)
    assert (report.exit_code, report.held) == (0, 0)
    assert site.live() == {}


def test_an_event_of_which_nothing_lives_is_not_held(make_site):
    site = make_site()
    load(site, events=1)
    site.run()
    site.misp.unpublish(uuid(1))
    later(site)
    site.misp.edit_attribute(uuid(1), attribute(1, 0), comment="edited, and not published")
    assert later(site).held == 0


def test_other_days_move_nothing_outside_the_window(make_site):
    site = make_site('{"published": 1, "publish_timestamp": "7d"}', **MOVING)
    load(site, events=1)
    site.run()
    until = {indicator["valid_until"] for indicator in site.live().values()}
    site.settings = site.settings.model_copy(update={"days_to_expire": 30})
    later(site, days=8)
    assert {indicator["valid_until"] for indicator in site.live().values()} == until


def change(site, deduplicate):
    site.settings = site.settings.model_copy(update={"deduplicate": deduplicate})


def test_a_change_of_deduplicate_takes_nothing_from_an_event_that_was_not_read(make_site):
    site = make_site()
    load(site, events=3)
    site.run()
    before = set(site.live())
    change(site, "value")
    not_read(site, 2)
    assert later(site, force_withdraw=True).exit_code == 3
    assert len(site.live()) == 9
    assert len(before & set(site.live())) == 3
    site.misp.faults.clear()
    assert later(site).exit_code == 0
    assert not before & set(site.live())
    assert len(site.live()) == 9
    assert site.azure.wrong == []


@pytest.mark.parametrize("step", range(10, 60, 5))
def test_death_in_a_change_of_deduplicate_loses_nothing(make_site, step):
    site = make_site()
    load(site, events=2)
    site.run()
    change(site, "value")
    site.run(last_step=step, force_withdraw=True)
    later(site, force_withdraw=True)
    assert patterns(site) == sorted(f"e{event}h{n}.example.org" for event in (1, 2) for n in range(3))
    assert site.azure.wrong == []
