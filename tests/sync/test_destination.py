"""Cases of keeping in step that were once wrong, or that go wrong easily; the state machine drives the rest."""

from collections import Counter

import pytest

from constants import Skip, WithdrawalReason
from helpers.misp import paged_search
from helpers.misp.paged_search import PagedSearch
from helpers.sync.plan import seconds
from helpers.sync.run import opened
from sandbox.faults import Fault
from tests.support import hosts, misp_event
from tests.support.in_process import UPLOAD_PATH, OneProcess

START = 1_790_000_100
DAY = 86_400
PUBLISHED = '{"published": 1}'


@pytest.fixture
def site(tmp_path):
    def made(filters=PUBLISHED, **settings):
        return OneProcess(tmp_path, START, MISP_EVENT_FILTERS=filters, **settings)

    return made


def load(site, events=3, attributes=3):
    site.misp.load(misp_event(n, hosts(attributes, f"e{n}h")) for n in range(1, events + 1))


def uuid(number):
    return misp_event(number)["uuid"]


def attribute(number, position):
    return misp_event(number, hosts(position + 1))["Attribute"][position]["uuid"]


def later(site, days=0.1, **options):
    site.seconds += int(days * DAY)
    return site.run(**options)


def filters(site, **given):
    site.settings = site.settings.model_copy(update={"misp_event_filters": given})


def patterns(site):
    return sorted(each["pattern"].split("'")[1] for each in site.live().values())


def edited(site, number, position, **changes):
    site.misp.edit_attribute(uuid(number), attribute(number, position), **changes)
    site.misp.publish(uuid(number))


def test_a_mistaken_filter_that_was_refused_leaves_no_trace_when_it_is_mended(site):
    here = site()
    load(here, events=5, attributes=60)
    here.run()
    here.seconds += 8 * DAY
    for number in range(1, 5):
        here.misp.publish(uuid(number))
    filters(here, published=1, publish_timestamp="7d")
    assert here.run().exit_code == 0
    filters(here, published=1, publish_timestamp="7d", tags=["no:such"])
    refused = here.run()
    assert refused.exit_code == 1 and "300 of 300" in refused.refusals[0]
    filters(here, published=1, publish_timestamp="7d")
    mended = later(here)
    assert (mended.exit_code, mended.withdrawals) == (0, {})
    assert len(here.live()) == 300


def test_an_event_that_was_remembered_unpublished_leaves_when_publishing_is_asked_for(site):
    here = site("{}")
    load(here)
    here.misp.unpublish(uuid(2))
    here.run()
    assert len(here.live()) == 9
    filters(here, published=1)
    later(here)
    assert len(here.live()) == 6


@pytest.mark.parametrize("batch", ["1", "100"])
def test_a_shared_object_goes_out_once_with_what_all_its_events_say(site, batch):
    here = site(DEDUPLICATE="value", MS_MAX_INDICATORS_REQUEST=batch)
    same = [("domain", "shared.example.org")]
    for number, tlp in ((1, "tlp:green"), (2, "tlp:red"), (3, "tlp:amber")):
        here.misp.load([misp_event(number, same, Tag=[{"name": tlp}])])
    here.run()
    (only,) = here.live().values()
    assert len(only["external_references"]) == 3
    assert only["object_marking_refs"] == ["marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"]
    assert sum(entry["count"] for entry in here.azure.uploads) == 1


def test_a_shared_object_whose_upload_failed_is_sent_again(site):
    here = site(DEDUPLICATE="value")
    load(here)
    here.azure.faults.add(Fault(UPLOAD_PATH, "status", times=5))
    assert here.run().exit_code == 1
    assert later(here).exit_code == 0
    assert len(here.live()) == 9


def test_nothing_is_renewed_while_misp_does_not_say_which_events_match(site):
    here = site(DAYS_TO_EXPIRE="12", DAYS_TO_EXPIRE_MAPPING="{}")
    load(here, events=1)
    here.run()
    before = {each["valid_until"] for each in here.live().values()}
    here.misp.edit_attribute(uuid(1), attribute(1, 0), comment="edited, and not published again")
    here.misp.faults.add(Fault("restSearch", "status", times=None))
    assert later(here, days=8).exit_code == 3
    assert {each["valid_until"] for each in here.live().values()} == before
    here.misp.faults.clear()
    assert later(here).held == 1
    assert {each["valid_until"] for each in here.live().values()} == before


def test_a_shared_object_that_had_expired_comes_back_as_it_is_wanted_now(site):
    here = site(DEDUPLICATE="value", DAYS_TO_EXPIRE="12", DAYS_TO_EXPIRE_MAPPING="{}")
    here.misp.load([misp_event(1, [("domain", "shared.example.org")] * 2)])
    here.run()
    here.seconds += 14 * DAY
    assert here.live() == {}
    edited(here, 1, 0, to_ids=False)
    later(here)
    (only,) = here.live().values()
    assert [each["external_id"] for each in only["external_references"]] == [attribute(1, 1)]


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr(paged_search, "ATTRIBUTES_PER_PAGE", 8)


def with_some_that_are_not_flagged():
    """An event with flagged attributes and others, alone and in objects, and one that is deleted."""
    alone = [("domain", f"alone{n}.example.org") for n in range(12)]
    event = misp_event(1, [*alone, ("filename", "alone.exe"), ("text", "words")])
    for position in (1, 2, 12, 13):
        event["Attribute"][position]["to_ids"] = False
    event["Attribute"][3]["deleted"] = True
    event["Object"] = [
        {
            "uuid": f"30000000-0000-4000-8000-{n:012d}",
            "name": "file",
            "Attribute": misp_event(500 + n, [("filename", f"f{n}.exe"), ("md5", f"{n:032x}"), ("text", "Full")])[
                "Attribute"
            ],
        }
        for n in range(9)
    ]
    for each in event["Object"]:
        each["Attribute"][0]["to_ids"] = each["Attribute"][2]["to_ids"] = False
    return event


def test_of_a_large_event_what_is_not_flagged_is_counted_and_not_read(site, monkeypatch):
    """The same indicators, file names in them too, and the same counts as when it is read whole.

    But for what is deleted: MISP shows it in pages of attributes only.
    """
    here = site()
    here.misp.load([with_some_that_are_not_flagged()])
    whole = here.run()
    indicators = here.live()
    monkeypatch.setattr(paged_search, "ATTRIBUTES_PER_PAGE", 8)
    before = len(here.misp.requests)
    pieces = later(here, full=True)
    asked = [body for _, path, body in here.misp.requests[before:] if path == "/attributes/restSearch"]
    assert {(body["to_ids"], body.get("type")) for body in asked} == {(1, None), (0, "filename")}
    assert pieces.skipped == whole.skipped + Counter({Skip.DELETED: 1})
    assert pieces.attributes == whole.attributes + 1 == 12 + 2 + 27
    texts = {key: each["description"].replace("Part of a MISP object: file\n", "") for key, each in indicators.items()}
    assert {key: each["description"] for key, each in here.live().items()} == texts
    assert sum("File name: f" in each for each in texts.values()) == 9
    assert here.azure.wrong == []


def test_what_is_no_longer_flagged_in_a_large_event_leaves(site, small_pages):
    here = site()
    load(here, events=1, attributes=20)
    here.run()
    edited(here, 1, 3, to_ids=False)
    report = later(here)
    assert report.withdrawals == {WithdrawalReason.NOT_FLAGGED: 1}
    assert "e1h3.example.org" not in patterns(here)
    assert len(here.live()) == 19
    edited(here, 1, 3, to_ids=True)
    later(here)
    assert len(here.live()) == 20


def test_a_large_event_that_changes_while_it_is_read_keeps_what_it_has(site, small_pages, monkeypatch):
    here = site()
    load(here, events=1, attributes=20)
    here.run()
    search = PagedSearch.search
    edited(here, 1, 3, comment="to have it read again")

    def meanwhile(paged, controller, arguments, *tries):
        answer = search(paged, controller, arguments, *tries)
        if controller == "attributes" and arguments["page"] == 1 and arguments["to_ids"] == 1:
            here.misp.hard_delete(uuid(1), attribute(1, 0))
        return answer

    monkeypatch.setattr(PagedSearch, "search", meanwhile)
    later(here)
    monkeypatch.undo()
    assert len(here.live()) == 20
    here.misp.publish(uuid(1))
    later(here)
    assert len(here.live()) == 19
    assert here.azure.wrong == []


def test_a_large_event_that_changes_twice_within_a_second_keeps_what_it_has(site, small_pages, monkeypatch):
    """Its timestamp is the same then, and it was not published before either; what it counts is another."""
    here = site("{}")
    load(here, events=1, attributes=20)
    here.run()
    here.seconds += DAY
    edited(here, 1, 3, comment="to have it read again")
    here.misp.edit_attribute(uuid(1), attribute(1, 3), comment="not published")
    (event,) = here.misp.events()
    moment = event["timestamp"]
    search = PagedSearch.search

    def meanwhile(paged, controller, arguments, *tries):
        answer = search(paged, controller, arguments, *tries)
        if controller == "attributes" and arguments["page"] == 1 and arguments["to_ids"] == 1:
            here.misp.hard_delete(uuid(1), attribute(1, 0))
            event["timestamp"] = moment
        return answer

    monkeypatch.setattr(PagedSearch, "search", meanwhile)
    here.run()
    monkeypatch.undo()
    assert len(here.live()) == 20
    later(here)
    assert len(here.live()) == 19


def test_a_change_of_deduplicate_takes_every_event_along(site):
    here = site('{"published": 1, "publish_timestamp": "7d"}')
    load(here, events=2)
    here.run()
    here.seconds += 8 * DAY
    here.misp.publish(uuid(1))
    later(here)
    here.settings = here.settings.model_copy(update={"deduplicate": "value"})
    assert later(here, force_withdraw=True).exit_code == 0
    assert patterns(here) == sorted(f"e{n}h{k}.example.org" for n in (1, 2) for k in range(3))
    assert here.azure.wrong == []


def test_what_has_expired_is_not_withdrawn_and_does_not_stand_in_the_way(site):
    here = site(DAYS_TO_EXPIRE_START="valid_from", DAYS_TO_EXPIRE_MAPPING='{"domain-name": 10}')
    load(here, events=1, attributes=150)
    here.run()
    here.seconds += 20 * DAY
    here.misp.load([misp_event(2, [{"type": "domain", "value": "new.example.org", "timestamp": str(here.seconds)}])])
    here.misp.tag_event(uuid(1), "type:OSINT")
    here.misp.publish(uuid(1))
    report = later(here)
    assert (report.exit_code, report.withdrawals) == (0, {})
    assert patterns(here) == ["new.example.org"]


def test_the_guard_counts_what_was_live_before_the_run(site):
    here = site()
    load(here, events=4, attributes=150)
    here.run()
    for position in range(140):
        here.misp.edit_attribute(uuid(1), attribute(1, position), value=f"other{position}.example.org")
    here.misp.publish(uuid(1))
    wet = here.settings
    here.settings = wet.model_copy(update={"dry_run": True})
    dry = later(here)
    here.settings = wet
    assert dry.exit_code == later(here).exit_code == 1


def test_events_that_cannot_be_read_hold_back_no_other(site):
    here = site()
    load(here, events=7)
    here.run()
    for number in (2, 3, 4):
        here.misp.edit_info(uuid(number), "edited")
        here.misp.publish(uuid(number))
    here.misp.unpublish(uuid(7))
    for path in ("/events/restSearch", "/attributes/restSearch"):
        here.misp.faults.add(Fault(path, "status", when=lambda body: not body.get("metadata"), times=None))
    assert later(here).exit_code == 3
    assert len(here.live()) == 18


def test_rejected_objects_are_tried_again_when_asked_for(site):
    here = site()
    load(here, events=1)
    refused = {"errors": [{"recordIndex": 0, "errorMessages": ["not today"]}]}
    here.azure.faults.add(Fault(UPLOAD_PATH, "body", body=refused))
    assert here.run().exit_code == 1
    assert later(here).plans.total() == 0
    assert later(here, retry_rejected=True).plans["again"] == 1
    assert later(here).exit_code == 0


def test_another_number_of_days_reaches_what_was_sent_before(site):
    here = site(DAYS_TO_EXPIRE_MAPPING='{"domain-name": 10}')
    load(here, events=1)
    here.run()
    here.settings = here.settings.model_copy(update={"days_to_expire_mapping": {"domain-name": 100}})
    later(here)
    assert {seconds(each["valid_until"]) - here.seconds for each in here.live().values()} == {100 * DAY}


def test_a_rejected_withdrawal_may_have_arrived_so_a_return_gets_a_new_life(site):
    here = site()
    load(here, events=1)
    here.run()
    first = set(here.live())
    edited(here, 1, 0, to_ids=False)
    here.azure.faults.add(Fault(UPLOAD_PATH, "reset-after"))
    refused = {"errors": [{"recordIndex": 0, "errorMessages": ["no"]}]}
    here.azure.faults.add(Fault(UPLOAD_PATH, "body", body=refused, times=None))
    later(here)
    here.azure.faults.clear()
    edited(here, 1, 0, to_ids=True)
    later(here)
    assert len(here.live()) == 3
    assert len(set(here.live()) - first) == 1
    assert here.azure.wrong == []


def test_a_protected_event_outside_the_window_is_not_read_each_night(site):
    here = site('{"published": 1, "publish_timestamp": "7d"}')
    load(here, events=1)
    here.run()
    here.misp.protect(uuid(1))
    here.seconds += 8 * DAY
    later(here)
    before = len(here.misp.requests)
    later(here)
    whole = [
        body for _, path, body in here.misp.requests[before:] if path.endswith("restSearch") and not body["metadata"]
    ]
    assert whole == []
    assert len(here.live()) == 3


def test_one_event_by_hand_is_no_good_night(site):
    here = site()
    load(here)
    here.run()
    here.seconds += 5 * DAY
    here.run(uuid=uuid(1))
    with opened(here.settings) as ledger:
        assert ledger.facts().last_good == START


def test_the_second_run_asks_two_small_questions_and_sends_nothing(site):
    here = site()
    load(here)
    here.run()
    requests, uploads = len(here.misp.requests), len(here.azure.uploads)
    later(here)
    asked = [path for _, path, _ in here.misp.requests[requests:] if "restSearch" in path or "index" in path]
    assert asked == ["/events/index", "/events/restSearch"]
    assert len(here.azure.uploads) == uploads


# --- filters on attributes ---------------------------------------------------------------------------


def test_what_decays_leaves_with_the_next_full_run_and_comes_back_under_a_new_id(site):
    here = site(FILTERS='{"min_decay_score": 30}')
    load(here, events=2, attributes=2)
    for position, score in enumerate([31, 5]):
        here.misp.score(uuid(1), attribute(1, position), score)
    first = here.run()
    assert first.skipped == {Skip.DECAYED: 1}
    assert patterns(here) == ["e1h0.example.org", "e2h0.example.org", "e2h1.example.org"]
    before = set(here.live())
    here.misp.score(uuid(1), attribute(1, 0), 29)
    assert later(here).events == 0, "nothing in MISP has moved, so nobody looks"
    crossed = later(here, full=True)
    assert (crossed.exit_code, crossed.withdrawals) == (0, {Skip.DECAYED.value: 1})
    assert patterns(here) == ["e2h0.example.org", "e2h1.example.org"]
    here.misp.score(uuid(1), attribute(1, 0), 80)
    later(here, days=8)
    assert patterns(here) == ["e1h0.example.org", "e2h0.example.org", "e2h1.example.org"]
    assert len(set(here.live()) - before) == 1, "the revoked id is dead"
    assert here.azure.wrong == []


def test_a_change_of_filters_is_carried_out_by_the_next_run(site):
    here = site()
    load(here, events=1, attributes=3)
    here.misp.tag_attribute(uuid(1), attribute(1, 1), "not-for-siem", local=True)
    here.run()
    here.settings = here.settings.model_copy(update={"filters": {"exclude_tags": ["not-for-*"]}})
    left = later(here)
    assert left.skipped == {Skip.FILTERED_TAG: 1}
    assert patterns(here) == ["e1h0.example.org", "e1h2.example.org"]
    here.settings = here.settings.model_copy(update={"filters": {}})
    later(here)
    assert patterns(here) == ["e1h0.example.org", "e1h1.example.org", "e1h2.example.org"]
    assert here.azure.wrong == []


def test_a_shared_value_stays_while_one_of_its_attributes_passes(site):
    here = site(DEDUPLICATE="value", FILTERS='{"exclude_tags": ["not"]}')
    here.misp.load(misp_event(n, hosts(1)) for n in (1, 2))
    here.run()
    for number, still in ((1, 1), (2, 0)):
        here.misp.tag_attribute(uuid(number), attribute(number, 0), "not")
        here.misp.publish(uuid(number))
        later(here)
        assert len(here.live()) == still


def test_scores_that_cannot_be_had_change_nothing(site):
    here = site(FILTERS='{"exclude_decayed": true}')
    load(here, events=2, attributes=2)
    here.misp.score(uuid(1), attribute(1, 0), 5)
    here.run()
    live = patterns(here)
    here.misp.faults.add(Fault("/attributes/restSearch", "status", status=405, times=None))
    failed = later(here, full=True)
    assert len(failed.unread) == 2 and patterns(here) == live
    here.misp.faults.clear()
    assert later(here).exit_code == 0 and patterns(here) == live
