"""Cases of keeping in step that were once wrong, or that go wrong easily; the state machine drives the rest."""

import json
from collections import Counter

import pytest

import constants
from constants import Skip, WithdrawalReason
from helpers.errors import EventNotFound, SettingsError
from helpers.indicators import seconds
from helpers.indicators.values import addresses
from helpers.microsoft.batch import OutcomeState
from helpers.misp import paged_search
from helpers.misp.paged_search import PagedSearch
from helpers.sync import RunOptions, settings_fingerprint
from helpers.sync.run import opened, run
from sandbox.faults import Fault
from sandbox.misp.app import READONLY_KEY
from tests.support import hosts, misp_event
from tests.support.in_process import UPLOAD_PATH, OneProcess

START = 1_790_000_100
DAY = 86_400
PUBLISHED = '{"published": 1}'


@pytest.fixture
def make_site(tmp_path):
    def make(filters=PUBLISHED, **settings):
        return OneProcess(tmp_path, START, MISP_EVENT_FILTERS=filters, **settings)

    return make


def load(site, events=3, attributes=3):
    site.misp.load(misp_event(n, hosts(attributes, f"e{n}h")) for n in range(1, events + 1))


def uuid(number):
    return misp_event(number)["uuid"]


def attribute(number, position):
    return misp_event(number, hosts(position + 1))["Attribute"][position]["uuid"]


def later(site, days=0.1, **options):
    site.seconds += int(days * DAY)
    return site.run(**options)


def filters(site, **event_filters):
    site.settings = site.settings.model_copy(update={"misp_event_filters": event_filters})


def patterns(site):
    return sorted(indicator["pattern"].split("'")[1] for indicator in site.live().values())


def edited(site, number, position, **changes):
    site.misp.edit_attribute(uuid(number), attribute(number, position), **changes)
    site.misp.publish(uuid(number))


def test_a_mistaken_filter_that_was_refused_leaves_no_trace_when_it_is_corrected(make_site):
    site = make_site()
    load(site, events=5, attributes=60)
    site.run()
    site.seconds += 8 * DAY
    for number in range(1, 5):
        site.misp.publish(uuid(number))
    filters(site, published=1, publish_timestamp="7d")
    assert site.run().exit_code == 0
    filters(site, published=1, publish_timestamp="7d", tags=["no:such"])
    refused = site.run()
    assert refused.exit_code == 1 and "300 of 300" in refused.refusals[0]
    filters(site, published=1, publish_timestamp="7d")
    corrected = later(site)
    assert (corrected.exit_code, corrected.withdrawals) == (0, {})
    assert len(site.live()) == 300


def test_an_event_known_as_unpublished_leaves_when_publishing_is_asked_for(make_site):
    site = make_site("{}")
    load(site)
    site.misp.unpublish(uuid(2))
    site.run()
    assert len(site.live()) == 9
    filters(site, published=1)
    later(site)
    assert len(site.live()) == 6


@pytest.mark.parametrize("batch", ["1", "100"])
def test_a_shared_object_goes_out_once_with_what_all_its_events_say(make_site, batch):
    site = make_site(DEDUPLICATE="value", MS_MAX_INDICATORS_REQUEST=batch)
    same = [("domain", "shared.example.org")]
    for number, tlp in ((1, "tlp:green"), (2, "tlp:red"), (3, "tlp:amber")):
        site.misp.load([misp_event(number, same, Tag=[{"name": tlp}])])
    site.run()
    (only,) = site.live().values()
    assert len(only["external_references"]) == 3
    assert only["object_marking_refs"] == ["marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"]
    assert sum(entry["kinds"]["indicator"] for entry in site.azure.uploads) == 1


def test_a_shared_object_whose_upload_failed_is_sent_again(make_site):
    site = make_site(DEDUPLICATE="value")
    load(site)
    site.azure.faults.add(Fault(UPLOAD_PATH, "status", times=5))
    assert site.run().exit_code == 4
    assert later(site).exit_code == 0
    assert len(site.live()) == 9


def test_nothing_is_renewed_while_misp_does_not_say_which_events_match(make_site):
    site = make_site(DAYS_TO_EXPIRE="12", DAYS_TO_EXPIRE_MAPPING="{}")
    load(site, events=1)
    site.run()
    before = {indicator["valid_until"] for indicator in site.live().values()}
    site.misp.edit_attribute(uuid(1), attribute(1, 0), comment="edited, and not published again")
    site.misp.faults.add(Fault("restSearch", "status", times=None))
    assert later(site, days=8).exit_code == 3
    assert {indicator["valid_until"] for indicator in site.live().values()} == before
    site.misp.faults.clear()
    assert later(site).held == 1
    assert {indicator["valid_until"] for indicator in site.live().values()} == before


def test_a_shared_object_that_had_expired_comes_back_as_it_is_wanted_now(make_site):
    site = make_site(DEDUPLICATE="value", DAYS_TO_EXPIRE="12", DAYS_TO_EXPIRE_MAPPING="{}")
    site.misp.load([misp_event(1, [("domain", "shared.example.org")] * 2)])
    site.run()
    site.seconds += 14 * DAY
    assert site.live() == {}
    edited(site, 1, 0, to_ids=False)
    later(site)
    (only,) = site.live().values()
    assert [reference["external_id"] for reference in only["external_references"]] == [attribute(1, 1)]


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr(paged_search, "ATTRIBUTES_PER_PAGE", 8)


def with_some_that_are_not_flagged():
    """An event with flagged attributes and others, alone and in objects, and one that is deleted."""
    plain = [("domain", f"alone{n}.example.org") for n in range(12)]
    event = misp_event(1, [*plain, ("filename", "alone.exe"), ("text", "words")])
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
    for object_ in event["Object"]:
        object_["Attribute"][0]["to_ids"] = object_["Attribute"][2]["to_ids"] = False
    return event


def test_of_a_large_event_what_is_not_flagged_is_counted_and_not_read(make_site, monkeypatch):
    """The same indicators, file names in them too, and the same counts as when it is read whole.

    But for what is deleted: MISP shows it in pages of attributes only.
    """
    site = make_site()
    site.misp.load([with_some_that_are_not_flagged()])
    whole = site.run()
    indicators = site.live()
    monkeypatch.setattr(paged_search, "ATTRIBUTES_PER_PAGE", 8)
    before = len(site.misp.requests)
    pieces = later(site, full=True)
    asked = [body for _, path, body in site.misp.requests[before:] if path == "/attributes/restSearch"]
    questions = {(body.get("to_ids"), str(body.get("type"))) for body in asked}
    assert questions == {(1, "None"), (0, "filename"), (None, "['threat-actor']")}
    assert pieces.skipped == whole.skipped + Counter({Skip.DELETED: 1})
    assert pieces.attributes == whole.attributes + 1 == 12 + 2 + 27
    texts = {
        key: indicator["description"].replace("Part of a MISP object: file\n", "")
        for key, indicator in indicators.items()
    }
    assert {key: indicator["description"] for key, indicator in site.live().items()} == texts
    assert sum("File name: f" in text for text in texts.values()) == 9
    assert site.azure.wrong == []


@pytest.mark.parametrize("pages", [4096, 8])
def test_every_indicator_of_an_event_is_sent_again_when_an_actor_behind_it_changes(make_site, monkeypatch, pages):
    monkeypatch.setattr(paged_search, "ATTRIBUTES_PER_PAGE", pages)
    site = make_site()
    actor = {"type": "threat-actor", "value": "APT28", "to_ids": False}
    site.misp.load([misp_event(1, [*hosts(20), actor]), misp_event(2, hosts(3, "others"))])
    labels = Counter({"ActivityGroup:APT28": 20})
    assert site.run().indicators == 23
    assert named(site) == labels
    assert later(site, full=True).indicators == 0
    edited(site, 1, 20, value="Sofacy")
    assert later(site).indicators == 20
    assert named(site) == {"ActivityGroup:Sofacy": 20}
    site.settings = site.settings.model_copy(update={"activity_group_labels": False})
    assert (later(site).indicators, named(site)) == (20, {})
    assert later(site, full=True).indicators == 0


def named(site):
    return Counter(label for indicator in site.live().values() for label in indicator.get("labels", []))


def test_what_is_no_longer_flagged_in_a_large_event_leaves(make_site, small_pages):
    site = make_site()
    load(site, events=1, attributes=20)
    site.run()
    edited(site, 1, 3, to_ids=False)
    report = later(site)
    assert report.withdrawals == {WithdrawalReason.NOT_FLAGGED: 1}
    assert "e1h3.example.org" not in patterns(site)
    assert len(site.live()) == 19
    edited(site, 1, 3, to_ids=True)
    later(site)
    assert len(site.live()) == 20


def test_a_large_event_that_changes_while_it_is_read_keeps_what_it_has(make_site, small_pages, monkeypatch):
    site = make_site()
    load(site, events=1, attributes=20)
    site.run()
    search = PagedSearch.search
    edited(site, 1, 3, comment="to have it read again")

    def meanwhile(paged, controller, arguments, *tries):
        answer = search(paged, controller, arguments, *tries)
        if controller == "attributes" and arguments["page"] == 1 and arguments.get("to_ids") == 1:
            site.misp.hard_delete(uuid(1), attribute(1, 0))
        return answer

    monkeypatch.setattr(PagedSearch, "search", meanwhile)
    later(site)
    monkeypatch.undo()
    assert len(site.live()) == 20
    site.misp.publish(uuid(1))
    later(site)
    assert len(site.live()) == 19
    assert site.azure.wrong == []


def test_a_large_event_that_changes_twice_within_a_second_keeps_what_it_has(make_site, small_pages, monkeypatch):
    """Its timestamp is the same then, and it was not published before either; what it counts is another."""
    site = make_site("{}")
    load(site, events=1, attributes=20)
    site.run()
    site.seconds += DAY
    edited(site, 1, 3, comment="to have it read again")
    site.misp.edit_attribute(uuid(1), attribute(1, 3), comment="not published")
    (event,) = site.misp.events()
    moment = event["timestamp"]
    search = PagedSearch.search

    def meanwhile(paged, controller, arguments, *tries):
        answer = search(paged, controller, arguments, *tries)
        if controller == "attributes" and arguments["page"] == 1 and arguments.get("to_ids") == 1:
            site.misp.hard_delete(uuid(1), attribute(1, 0))
            event["timestamp"] = moment
        return answer

    monkeypatch.setattr(PagedSearch, "search", meanwhile)
    site.run()
    monkeypatch.undo()
    assert len(site.live()) == 20
    later(site)
    assert len(site.live()) == 19


def test_a_change_of_deduplicate_takes_every_event_along(make_site):
    site = make_site('{"published": 1, "publish_timestamp": "7d"}')
    load(site, events=2)
    site.run()
    site.seconds += 8 * DAY
    site.misp.publish(uuid(1))
    later(site)
    site.settings = site.settings.model_copy(update={"deduplicate": "value"})
    assert later(site, force_withdraw=True).exit_code == 0
    assert patterns(site) == sorted(f"e{n}h{k}.example.org" for n in (1, 2) for k in range(3))
    assert site.azure.wrong == []


def test_what_has_expired_is_not_withdrawn_and_does_not_stand_in_the_way(make_site):
    site = make_site(DAYS_TO_EXPIRE_START="valid_from", DAYS_TO_EXPIRE_MAPPING='{"domain-name": 10}')
    load(site, events=1, attributes=150)
    site.run()
    site.seconds += 20 * DAY
    site.misp.load([misp_event(2, [{"type": "domain", "value": "new.example.org", "timestamp": str(site.seconds)}])])
    site.misp.tag_event(uuid(1), "type:OSINT")
    site.misp.publish(uuid(1))
    report = later(site)
    assert (report.exit_code, report.withdrawals) == (0, {})
    assert patterns(site) == ["new.example.org"]


def test_the_guard_counts_what_was_live_before_the_run(make_site):
    site = make_site()
    load(site, events=4, attributes=150)
    site.run()
    for position in range(140):
        site.misp.edit_attribute(uuid(1), attribute(1, position), value=f"other{position}.example.org")
    site.misp.publish(uuid(1))
    wet = site.settings
    site.settings = wet.model_copy(update={"dry_run": True})
    dry = later(site)
    site.settings = wet
    assert dry.exit_code == later(site).exit_code == 1


def test_events_that_cannot_be_read_hold_back_no_other(make_site):
    site = make_site()
    load(site, events=7)
    site.run()
    for number in (2, 3, 4):
        site.misp.edit_info(uuid(number), "edited")
        site.misp.publish(uuid(number))
    site.misp.unpublish(uuid(7))
    for path in ("/events/restSearch", "/attributes/restSearch"):
        site.misp.faults.add(Fault(path, "status", when=lambda body: not body.get("metadata"), times=None))
    assert later(site).exit_code == 3
    assert len(site.live()) == 18


def test_rejected_objects_are_tried_again_when_asked_for(make_site):
    site = make_site()
    load(site, events=1)
    refused = {"errors": [{"recordIndex": 0, "errorMessages": ["not today"]}]}
    site.azure.faults.add(Fault(UPLOAD_PATH, "body", body=refused))
    assert site.run().exit_code == 1
    assert later(site).plans.total() == 0
    assert later(site, retry_rejected=True).plans["again"] == 1
    assert later(site).exit_code == 0


def test_another_number_of_days_reaches_what_was_sent_before(make_site):
    site = make_site(DAYS_TO_EXPIRE_MAPPING='{"domain-name": 10}')
    load(site, events=1)
    site.run()
    site.settings = site.settings.model_copy(update={"days_to_expire_mapping": {"domain-name": 100}})
    later(site)
    assert {seconds(indicator["valid_until"]) - site.seconds for indicator in site.live().values()} == {100 * DAY}


def test_a_rejected_withdrawal_may_have_arrived_so_a_return_gets_a_new_life(make_site):
    site = make_site()
    load(site, events=1)
    site.run()
    first = set(site.live())
    edited(site, 1, 0, to_ids=False)
    site.azure.faults.add(Fault(UPLOAD_PATH, "reset-after"))
    refused = {"errors": [{"recordIndex": 0, "errorMessages": ["no"]}]}
    site.azure.faults.add(Fault(UPLOAD_PATH, "body", body=refused, times=None))
    later(site)
    site.azure.faults.clear()
    edited(site, 1, 0, to_ids=True)
    later(site)
    assert len(site.live()) == 3
    assert len(set(site.live()) - first) == 1
    assert site.azure.wrong == []


def test_a_protected_event_outside_the_window_is_not_read_each_night(make_site):
    site = make_site('{"published": 1, "publish_timestamp": "7d"}')
    load(site, events=1)
    site.run()
    site.misp.protect(uuid(1))
    site.seconds += 8 * DAY
    later(site)
    before = len(site.misp.requests)
    later(site)
    whole = [
        body for _, path, body in site.misp.requests[before:] if path.endswith("restSearch") and not body["metadata"]
    ]
    assert whole == []
    assert len(site.live()) == 3


def test_one_event_by_hand_is_no_good_night(make_site):
    site = make_site()
    load(site)
    site.run()
    site.seconds += 5 * DAY
    site.run(uuid=uuid(1))
    with opened(site.settings) as ledger:
        assert ledger.facts().last_good == START


def test_the_second_run_asks_two_small_questions_and_sends_nothing(make_site):
    site = make_site()
    load(site)
    site.run()
    requests, uploads = len(site.misp.requests), len(site.azure.uploads)
    later(site)
    asked = [path for _, path, _ in site.misp.requests[requests:] if "restSearch" in path or "index" in path]
    assert asked == ["/events/index", "/events/restSearch"]
    assert len(site.azure.uploads) == uploads


# --- filters on attributes ---------------------------------------------------------------------------


def test_what_decays_leaves_with_the_next_full_run_and_comes_back_under_a_new_id(make_site):
    site = make_site(FILTERS='{"min_decay_score": 30}')
    load(site, events=2, attributes=2)
    for position, score in enumerate([31, 5]):
        site.misp.score(uuid(1), attribute(1, position), score)
    first = site.run()
    assert first.skipped == {Skip.DECAYED: 1}
    assert patterns(site) == ["e1h0.example.org", "e2h0.example.org", "e2h1.example.org"]
    before = set(site.live())
    site.misp.score(uuid(1), attribute(1, 0), 29)
    assert later(site).events == 0, "nothing in MISP has moved, so nobody looks"
    crossed = later(site, full=True)
    assert (crossed.exit_code, crossed.withdrawals) == (0, {Skip.DECAYED.value: 1})
    assert patterns(site) == ["e2h0.example.org", "e2h1.example.org"]
    site.misp.score(uuid(1), attribute(1, 0), 80)
    later(site, days=8)
    assert patterns(site) == ["e1h0.example.org", "e2h0.example.org", "e2h1.example.org"]
    assert len(set(site.live()) - before) == 1, "the revoked id is dead"
    assert site.azure.wrong == []


def test_a_change_of_filters_is_carried_out_by_the_next_run(make_site):
    site = make_site()
    load(site, events=1, attributes=3)
    site.misp.tag_attribute(uuid(1), attribute(1, 1), "not-for-siem", local=True)
    site.run()
    site.settings = site.settings.model_copy(update={"filters": {"exclude_tags": ["not-for-*"]}})
    filtered = later(site)
    assert filtered.skipped == {Skip.FILTERED_TAG: 1}
    assert patterns(site) == ["e1h0.example.org", "e1h2.example.org"]
    site.settings = site.settings.model_copy(update={"filters": {}})
    later(site)
    assert patterns(site) == ["e1h0.example.org", "e1h1.example.org", "e1h2.example.org"]
    assert site.azure.wrong == []


def test_a_shared_value_stays_while_one_of_its_attributes_passes(make_site):
    site = make_site(DEDUPLICATE="value", FILTERS='{"exclude_tags": ["not"]}')
    site.misp.load(misp_event(n, hosts(1)) for n in (1, 2))
    site.run()
    for number, still in ((1, 1), (2, 0)):
        site.misp.tag_attribute(uuid(number), attribute(number, 0), "not")
        site.misp.publish(uuid(number))
        later(site)
        assert len(site.live()) == still


def test_scores_that_cannot_be_had_change_nothing(make_site):
    site = make_site(FILTERS='{"exclude_decayed": true}')
    load(site, events=2, attributes=2)
    site.misp.score(uuid(1), attribute(1, 0), 5)
    site.run()
    live = patterns(site)
    site.misp.faults.add(Fault("/attributes/restSearch", "status", status=405, times=None))
    failed = later(site, full=True)
    assert len(failed.unread) == 2 and patterns(site) == live
    site.misp.faults.clear()
    assert later(site).exit_code == 0 and patterns(site) == live


# Settings that shape what is sent, with another value than before; the other one, where it is true or false (None).
SHAPING = {
    "misp_event_filters": {"published": 1, "tags": ["!never-set"]},
    "misp_domain": "https://misp.example.com",
    "misp_flatten_attributes": None,
    "misp_remove_eventreports": None,
    "default_confidence": 17,
    "days_to_expire": 17,
    "days_to_expire_start": "valid_from",
    "days_to_expire_mapping": {"url": 17},
    "days_to_expire_ignore_misp_last_seen": None,
    "ignore_localtags": None,
    "send_private_and_cidr": None,
    "network_ignore_direction": None,
    "ms_target_product": "Microsoft Defender ATP",
    "ms_action": "block",
    "ms_passiveonly": None,
    "filters": {"exclude_types": ["url"]},
    "ms_api_version": "2030-01-01",
    "activity_group_labels": None,
    "context": "identities",
    "context_private": None,
}


@pytest.mark.parametrize(("name", "value"), SHAPING.items(), ids=SHAPING)
def test_a_run_with_another_setting_reads_everything(make_site, name, value):
    site = make_site()
    load(site)
    site.run()
    assert later(site).events == 0
    before = getattr(site.settings, name)
    value = not before if value is None else value
    assert before != value
    site.settings = site.settings.model_copy(update={name: value})
    assert settings_fingerprint(site.settings) != settings_fingerprint(site.settings.model_copy(update={name: before}))
    with site.patched():
        report = run(site.settings, RunOptions(force_withdraw=True), clock=site.waiting.clock, now=lambda: site.seconds)
    assert report.events == 3


BEFORE = ["misp:tool", "misp:automation-level", "misp:should-not-sync", "workflow:"]  # MISP_TAGS_IGNORE of 1.1.0


@pytest.mark.parametrize("graph", [False, True])
def test_an_upgraded_ledger_sends_each_live_object_once_for_its_labels_and_not_again(make_site, monkeypatch, graph):
    more = {"MS_AUTH__GRAPH_API": "true", "MS_ENDPOINTS__GRAPH": "https://graph.example.org/beta"} if graph else {}
    site = make_site(**more)
    monkeypatch.setattr(constants, "MISP_TAGS_IGNORE", BEFORE)
    load(site)
    assert site.run().indicators == 9
    if not graph:
        assert all('misp:type="domain"' in indicator["labels"] for indicator in site.live().values())
    ids = set(site.live())
    monkeypatch.undo()
    upgraded = later(site)
    assert (upgraded.indicators, upgraded.unchanged) == ((0, 9) if graph else (9, 0))
    assert upgraded.states.total() == upgraded.indicators == upgraded.states[OutcomeState.ACCEPTED]
    assert [indicator["labels"] for indicator in site.live().values() if "labels" in indicator] == []
    assert set(site.live()) == ids
    assert [later(site, full=full).indicators for full in (False, True)] == [0, 0]


def test_a_value_that_is_read_otherwise_after_an_upgrade_leaves_in_its_old_form_and_comes_in_its_new_one(
    make_site, monkeypatch
):
    site = make_site()
    monkeypatch.setattr(constants, "VERSION", "1.1.0 of before")
    monkeypatch.setattr(addresses, "_held", lambda network: network)
    site.misp.load([misp_event(1, [("ip-dst", "::ffff:192.0.2.1"), ("domain", "a.example.org")])])
    site.run()
    assert patterns(site) == ["::ffff:c000:201", "a.example.org"]
    monkeypatch.undo()
    later(site)
    assert patterns(site) == ["192.0.2.1", "a.example.org"]
    assert later(site, full=True).indicators == 0
    edited(site, 1, 0, deleted=True)
    later(site)
    assert patterns(site) == ["a.example.org"]


def test_an_address_under_a_host_s_type_has_the_id_of_its_attribute_and_leaves_with_it(make_site):
    site = make_site()
    site.misp.load([misp_event(1, [("domain", "203.0.113.9"), ("hostname", "a.example.org")])])
    site.run()
    assert [indicator["id"] for indicator in site.live().values() if "ipv4" in indicator["pattern"]] == [
        f"indicator--{attribute(1, 0)}"
    ]
    edited(site, 1, 0, to_ids=False)
    later(site)
    assert patterns(site) == ["a.example.org"]


def test_a_run_that_was_refused_is_recorded_as_one_that_failed(make_site):
    site = make_site()
    load(site)
    site.run()
    site.settings = site.settings.model_copy(update={"deduplicate": "value"})
    with pytest.raises(SettingsError):
        later(site)
    with opened(site.settings) as ledger:
        facts = ledger.facts()
    assert (facts.last_run["exit_code"], facts.last_good) == (2, START)


def test_another_spelling_is_the_same_destination_and_the_same_misp(make_site):
    site = make_site()
    load(site)
    site.run()
    spelt = {"MISP_DOMAIN": "https://MISP.example.org:443/"}
    spelt |= {f"MS_AUTH__{name}": getattr(site.azure, name.lower()).upper() for name in ("WORKSPACE_ID", "TENANT")}
    site.settings = make_site(**spelt).settings
    uploads = len(site.azure.uploads)
    report = later(site, full=True)
    assert (report.exit_code, report.refusals, report.unchanged) == (0, [], 9)
    assert len(site.azure.uploads) == uploads
    with opened(site.settings) as ledger:
        assert len(ledger.destinations()) == 1


# --- one event that the filters do not find ------------------------------------------------------------


def asked_for(site, number, **options):
    """What a run says that was asked for one event, and did not find it: exit code 2, and nothing was done."""
    uploads, before = len(site.azure.uploads), site.live()
    with pytest.raises(EventNotFound) as caught:
        later(site, uuid=uuid(number), **options)
    assert caught.value.exit_code == 2
    assert (len(site.azure.uploads), site.live()) == (uploads, before)
    return str(caught.value)


def test_an_event_that_is_not_there_is_no_failure_of_misp(make_site):
    site = make_site()
    load(site)
    assert asked_for(site, 9).startswith(f"MISP has no event {uuid(9)}: ")


def test_an_event_that_the_key_may_not_see_looks_like_one_that_is_not_there(make_site):
    site = make_site(MISP_KEY=READONLY_KEY)
    load(site)
    site.misp.organisation_uuid, site.misp.unpublishedprivate = "30000000-0000-4000-8000-000000000001", True
    site.misp.unpublish(uuid(1))
    assert asked_for(site, 1) == asked_for(site, 9).replace(uuid(9), uuid(1))
    words = asked_for(site, 9)
    assert words.startswith(f"MISP shows this key no event {uuid(9)}: ")
    assert "not shared with the organisation of the key, which MISP answers in the same way" in words


def test_an_event_that_is_not_published_is_no_failure_of_misp(make_site):
    site = make_site()
    load(site)
    site.misp.unpublish(uuid(2))
    words = asked_for(site, 2)
    assert words.startswith(f"Event {uuid(2)} is not published, and misp_event_filters (")
    assert "publish it in MISP and run this again" in words
    assert "outside of the filters" not in words and "live" not in words
    site.misp.publish(uuid(2))
    assert later(site, uuid=uuid(2)).indicators == 3


def test_an_event_outside_of_the_filters_is_said_with_the_filters_that_leave_it_out(make_site):
    site = make_site('{"published": 1, "tags": ["no:such"], "org": ["nobody"], "publish_timestamp": "1d", "to_ids": 1}')
    load(site)
    words = asked_for(site, 1)
    assert words.startswith(f"Event {uuid(1)} is outside of the filters: misp_event_filters (")
    assert "leave it out by 'tags', 'org'. Change the event in MISP, or that filter" in words
    site.misp.unpublish(uuid(1))
    assert "is not published (publish it in MISP), and outside of the filters: " in asked_for(site, 1)


def test_an_event_that_need_not_be_published_is_not_told_to_be(make_site):
    site = make_site('{"tags": ["no:such"]}')
    load(site)
    site.misp.unpublish(uuid(1))
    assert f"Event {uuid(1)} is outside of the filters: " in asked_for(site, 1)


def test_of_an_event_that_is_not_found_a_dry_run_writes_no_indicator_down(make_site):
    site = make_site(WRITE_PARSED_INDICATORS="true")
    load(site)
    site.run()
    site.misp.unpublish(uuid(1))
    site.settings = site.settings.model_copy(update={"dry_run": True})
    asked_for(site, 1)
    assert dumped(site) == {}


def test_what_the_next_run_does_is_said_as_it_will_be_without_force(make_site):
    site = make_site(MISP_KEY=READONLY_KEY)
    site.misp.organisation_uuid = "30000000-0000-4000-8000-000000000001"
    load(site)
    site.run()
    site.misp.delete(uuid(1))
    assert "3 indicators of it are live in Sentinel and will be held until" in asked_for(site, 1, force_withdraw=True)


def test_what_was_sent_of_an_event_that_is_not_found_stays_and_is_said(make_site):
    site = make_site()
    load(site, events=4)
    site.run()
    site.misp.unpublish(uuid(1))
    site.misp.edit_info(uuid(2), "edited, which unpublishes it")
    site.misp.delete(uuid(3))
    leaves = "3 indicators of it are live in Sentinel: a run without --uuid withdraws"
    assert leaves in asked_for(site, 1)
    assert "3 indicators of it are live in Sentinel and will be held until" in asked_for(site, 2)
    assert leaves in asked_for(site, 3)
    filters(site, published=1, tags=["no:such"])
    assert leaves in asked_for(site, 4)
    filters(site, published=1, tags=["no:such"], limit=1)
    assert "3 indicators of it are live in Sentinel and will stay there" in asked_for(site, 4)
    filters(site, published=1)
    later(site)
    assert len(site.live()) == 6, "what was held, and what was published"
    assert "live" not in asked_for(site, 1)


def test_an_event_that_is_not_found_is_said_in_the_log_too(make_site, caplog):
    site = make_site()
    load(site)
    words = asked_for(site, 9)
    assert words in caplog.messages


# --- all that is wanted ------------------------------------------------------------------------------


def dumped(site, name="parsed_indicators.txt"):
    return {indicator["id"]: indicator for indicator in json.loads((site.settings.state_path / name).read_text())}


def wanted(site, **options):
    """What a dry run writes down of all that is wanted; it sends nothing."""
    uploads, settings = len(site.azure.uploads) + len(site.azure.graph_requests), site.settings
    site.settings = settings.model_copy(update={"dry_run": True, "write_parsed_indicators": True})
    assert site.run(**options).exit_code == 0
    site.settings = settings
    assert len(site.azure.uploads) + len(site.azure.graph_requests) == uploads
    return dumped(site)


def first_sent(site, **options):
    """What the first run for a source system that nobody knows writes down of what it sends."""
    site.settings = site.settings.model_copy(update={"sourcesystem": "fresh", "write_parsed_indicators": True})
    assert site.run(**options).exit_code == 0
    return dumped(site)


APIS = {
    "upload": {},
    "graph": {"MS_AUTH__GRAPH_API": "true", "MS_ENDPOINTS__GRAPH": "https://graph.example.org/beta"},
}


def as_sent(indicators):
    """Indicators without how the Graph API is told of them, which differs for what it has already."""
    return {id_: indicator.get("tiIndicator", indicator) for id_, indicator in indicators.items()}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("deduplicate", ["attribute", "value"])
def test_a_dry_run_writes_down_all_that_a_first_run_sends_also_where_nothing_changed(make_site, api, deduplicate):
    site = make_site(DEDUPLICATE=deduplicate, **APIS[api])
    load(site, events=3, attributes=250)  # more than are read of the ledger at once
    site.misp.load([misp_event(4, [("domain", "e1h0.example.org"), ("filename", "a.exe"), ("ip-dst", "192.0.2.1")])])
    assert site.run().exit_code == 0
    assert site.run().indicators == 0, "nothing has changed"
    all_of_it = wanted(site)
    assert len(all_of_it) > 750
    assert as_sent(all_of_it) == as_sent(first_sent(site))


def test_a_dry_run_writes_down_what_is_wanted_as_the_run_would_leave_it(make_site):
    site = make_site()
    load(site, events=4)
    site.run()
    before = wanted(site)
    edited(site, 1, 0, to_ids=False)  # leaves
    edited(site, 1, 1, comment="changed")
    site.misp.delete(uuid(2))
    site.misp.edit_info(uuid(3), "edited, and so held")
    site.misp.load([misp_event(5, [("domain", "new.example.org")])])
    site.seconds += 3600
    now = wanted(site)
    names = {indicator["pattern"].split("'")[1] for indicator in now.values()}
    assert names == {
        *("e1h1.example.org", "e1h2.example.org", "new.example.org"),
        *(f"e{event}h{host}.example.org" for event in (3, 4) for host in range(3)),
    }
    assert not any(indicator.get("revoked") for indicator in now.values())
    sent = {id_: indicator for id_, indicator in now.items() if indicator["pattern"] in str(before.values())}
    assert {id_ for id_, indicator in sent.items() if indicator != before[id_]} == {f"indicator--{attribute(1, 1)}"}, (
        "of what was sent, it is what was sent"
    )
    assert sorted(wanted(site, uuid=uuid(1))) == sorted(id_ for id_ in now if "e1h" in now[id_]["pattern"])


def test_what_microsoft_rejected_or_did_not_get_is_wanted_and_what_has_expired_is_not(make_site):
    site = make_site(DAYS_TO_EXPIRE="10", DAYS_TO_EXPIRE_START="valid_from")
    load(site, events=1)
    site.azure.faults.add(Fault(UPLOAD_PATH, "status", status=403, times=None))
    assert site.run().exit_code == 4
    assert len(wanted(site)) == 3, "what is pending"
    site.azure.faults.clear()
    no = {"errors": [{"recordIndex": 1, "errorMessages": ["no"]}]}
    site.azure.faults.add(Fault(UPLOAD_PATH, "body", body=no))
    assert site.run().states[OutcomeState.REJECTED] == 1
    with opened(site.settings) as ledger:
        assert ledger.count(site.seconds)["rejected"] == 1
    assert len(wanted(site)) == 3, "what was rejected too"
    site.seconds += 4000 * DAY
    assert wanted(site) == {}


def test_a_real_run_writes_down_what_it_sends_alone(make_site):
    site = make_site(WRITE_PARSED_INDICATORS="true")
    load(site)
    site.run()
    assert len(dumped(site)) == 9
    site.run()
    assert dumped(site) == {}


def test_without_a_ledger_a_dry_run_writes_down_the_same_and_the_log_says_where(make_site, caplog, tmp_path):
    site = make_site(STATE_URL="none")
    load(site)
    caplog.set_level("INFO")
    assert len(wanted(site)) == 9
    assert f"{tmp_path / 'parsed_indicators.txt'} has the 9 indicators that are wanted now" in caplog.messages
    assert as_sent(wanted(site)) == as_sent(first_sent(site)) != {}


def counts(report):
    """What a run sent, withdrew, left as it is, and what is live after it."""
    done = OutcomeState.PENDING if report.dry_run else OutcomeState.ACCEPTED
    return (report.states[done], report.withdrawal_states[done], report.unchanged, report.live)


@pytest.mark.parametrize("deduplicate", ["attribute", "value"])
def test_what_stays_as_it_is_is_counted_also_where_no_event_was_read(make_site, deduplicate):
    site = make_site(DEDUPLICATE=deduplicate)
    load(site)
    assert counts(site.run()) == (9, 0, 0, 9)
    quiet = later(site)
    assert (quiet.events, counts(quiet)) == (0, (0, 0, 9, 9))
    assert counts(later(site, full=True)) == (0, 0, 9, 9)
    edited(site, 1, 0, comment="edited")
    edited(site, 1, 1, to_ids=False)
    assert counts(later(site)) == (1, 1, 7, 8)
    edited(site, 2, 0, comment="edited")
    edited(site, 2, 1, to_ids=False)
    site.settings = site.settings.model_copy(update={"dry_run": True})
    assert counts(later(site)) == (1, 1, 6, 8)
    site.settings = site.settings.model_copy(update={"dry_run": False})
    site.azure.faults.add(Fault(UPLOAD_PATH, "status", status=403, times=None))
    assert counts(later(site)) == (0, 0, 6, 8)
    site.azure.faults.clear()
    assert counts(later(site)) == (1, 1, 6, 7)
