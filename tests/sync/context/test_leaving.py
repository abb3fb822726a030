"""What stands beside indicators leaves when it should, and only then."""

from functools import partial

import pytest

from constants import WithdrawalReason
from helpers.ledger import Stage
from helpers.ledger.context import standings
from helpers.misp import MispReader
from helpers.sync.context import context_sync, event_relations
from helpers.sync.run import opened
from sandbox.faults import Fault
from tests.support import hosts, misp_event
from tests.support.context.site import (
    ACTOR,
    ACTOR_TAG,
    DAY,
    NO_ACTOR,
    SET,
    SET_TAG,
    TECHNIQUE,
    TECHNIQUE_TAG,
    actor_labels,
    context_site,
    later,
    live,
    sent_since,
    tagged,
    uuid,
    verbs,
)
from tests.support.in_process import UPLOAD_PATH

ONE_OF_EACH = {"identity": 1, "threat-actor": 1, "relationship": 2}


@pytest.fixture
def make_site(tmp_path):
    return partial(context_site, tmp_path)


def refuse_indicators_of(site, number):
    """Have Microsoft refuse the indicators of an event."""
    event = site.misp.event(uuid(number))
    site.azure.refused |= {f"indicator--{attribute['uuid']}" for attribute in event["Attribute"]}


def test_an_actor_of_whom_every_indicator_was_refused_does_not_stay(make_site):
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG)])
    refuse_indicators_of(site, 1)
    site.run()
    later(site)
    assert live(site) == NO_ACTOR


def test_what_points_at_an_indicator_stays_while_that_may_not_leave(make_site):
    site = make_site("actors", MAX_WITHDRAW_PERCENT="5")
    site.misp.load([tagged(1, ACTOR_TAG, count=150), tagged(2, count=150)])
    site.run()
    before = live(site)
    for attribute in list(site.misp.event(uuid(1))["Attribute"]):
        site.misp.edit_attribute(uuid(1), attribute["uuid"], to_ids=False)
    site.misp.publish(uuid(1))
    report = later(site)
    assert report.refusals
    assert len(site.live()) == 301
    assert live(site) == before
    later(site, 0.1, force_withdraw=True)
    later(site, 0.1)
    assert live(site) == NO_ACTOR
    assert len(site.live()) == 151


def test_what_expired_takes_its_relationships_along_although_no_event_is_read(make_site):
    site = make_site("actors", DAYS_TO_EXPIRE="5", DAYS_TO_EXPIRE_START="valid_from", DAYS_TO_EXPIRE_MAPPING="{}")
    site.misp.load([tagged(1, ACTOR_TAG, timestamp=site.seconds)])
    for attribute in site.misp.event(uuid(1))["Attribute"]:
        attribute["timestamp"] = str(site.seconds)
    site.run()
    assert live(site) == ONE_OF_EACH
    report = later(site, 6)
    assert report.events == 0
    assert live(site) == NO_ACTOR


def test_with_a_limit_what_expired_takes_its_relationships_along_too(make_site):
    site = make_site("actors", DAYS_TO_EXPIRE="5", DAYS_TO_EXPIRE_START="valid_from", DAYS_TO_EXPIRE_MAPPING="{}")
    site.configure(MISP_EVENT_FILTERS='{"published": 1, "limit": 5}')
    site.misp.load([tagged(1, ACTOR_TAG)])
    for attribute in site.misp.event(uuid(1))["Attribute"]:
        attribute["timestamp"] = str(site.seconds)
    site.run()
    assert live(site) == ONE_OF_EACH
    later(site, 6)
    assert live(site) == NO_ACTOR


def test_a_dry_run_tells_of_the_ends_that_leave_with_their_last_relationship(make_site):
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG)])
    site.run()
    site.misp.delete(uuid(1))
    site.seconds += DAY
    uploads = len(site.azure.uploads)
    site.configure(DRY_RUN="true")
    planned = site.run().context.to_leave.total()
    assert len(site.azure.uploads) == uploads
    site.configure(DRY_RUN="false")
    assert site.run().context.withdrawn.total() == planned == 3
    assert live(site) == NO_ACTOR


def test_a_dry_run_before_the_first_one_tells_of_everything_and_keeps_nothing(make_site):
    site = make_site("techniques")
    site.misp.load([tagged(1, ACTOR_TAG, SET_TAG, TECHNIQUE_TAG)])
    site.configure(DRY_RUN="true")
    planned = site.run().context.planned
    assert not site.azure.objects(kind=None)
    site.configure(DRY_RUN="false")
    assert site.run().context.accepted == planned


def test_what_was_refused_is_tried_again_where_somebody_wants_that(make_site):
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG)])
    site.azure.refused.add(f"threat-actor--{ACTOR}")
    site.run()
    later(site, 0.1)
    site.azure.refused.clear()
    later(site, 0.1)
    assert live(site) == NO_ACTOR
    later(site, 0.1, retry_rejected=True)
    assert live(site) == ONE_OF_EACH


def test_a_withdrawal_that_is_refused_is_repeated_like_an_indicators(make_site):
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG)])
    site.run()
    site.misp.delete(uuid(1))
    site.azure.refused.add("relationship")
    later(site)
    assert live(site) == ONE_OF_EACH, "an end stays as long as something names it"
    site.azure.refused.clear()
    later(site)
    assert live(site) == NO_ACTOR


def test_a_fault_in_weaving_is_made_good_by_the_next_run(make_site, monkeypatch):
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG)])
    with monkeypatch.context() as broken:
        broken.setattr(context_sync.ContextSync, "weave", lambda *_, **__: 1 // 0)
        assert site.run().faults
    later(site, 0.1)
    assert live(site) == ONE_OF_EACH


def test_what_the_legacy_api_does_not_take_is_left_as_it_is(make_site):
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG)])
    site.run()
    before = live(site)
    site.configure(MS_AUTH__NEW_UPLOAD_API="false", CONTEXT="")
    site.misp.delete(uuid(1))
    assert [later(site).exit_code for _ in range(2)] == [0, 0]
    assert live(site) == before
    site.configure(MS_AUTH__NEW_UPLOAD_API="true")
    later(site)
    later(site)
    assert live(site) == NO_ACTOR


def test_turned_down_it_needs_force_once_and_leaves_over_several_runs(make_site, monkeypatch):
    monkeypatch.setattr(context_sync, "MOST_LEAVING", 50)
    site = make_site("actors", MAX_WITHDRAW_PERCENT="5")
    site.misp.load([tagged(1, ACTOR_TAG, count=120)])
    site.run()
    site.configure(CONTEXT="identities")
    (refusal,) = later(site, 2).refusals
    assert "121 of 121 live actors, techniques and relationships would leave Sentinel" in refusal
    assert live(site)["relationship"] == 120
    left = [later(site, 0.1, force_withdraw=not number) for number in range(4)]
    assert [report.context.withdrawn.total() for report in left] == [50, 50, 21, 0]
    assert not any(report.refusals for report in left)
    assert live(site) == NO_ACTOR


def test_a_refusal_names_what_would_leave_and_why(make_site):
    site = make_site("actors", MAX_WITHDRAW_PERCENT="5")
    site.misp.load([tagged(1, ACTOR_TAG, count=30)])
    site.run()
    site.configure(CONTEXT="identities")
    report = later(site)
    (refusal,) = report.refusals
    assert "(5) allows: 1 actor, 30 relationships, since the setting context sends less. To accept it: " in refusal
    assert "MISP" not in refusal.partition("To accept")[0]
    assert report.context.as_json()["refused"] == {"relationship": 30, "threat-actor": 1}
    assert not report.context.leaving
    assert not later(site, 0.1, force_withdraw=True).context.refused
    assert live(site) == NO_ACTOR


def test_a_refusal_for_clusters_that_are_gone_says_so_and_sends_to_misp(make_site):
    site = make_site("techniques", MAX_WITHDRAW_PERCENT="5")
    site.misp.load([tagged(1, ACTOR_TAG, TECHNIQUE_TAG, count=30)])
    site.run()
    site.configure(CONTEXT="actors")
    site.misp.delete_cluster(ACTOR)
    (refusal,) = later(site).refusals
    assert "1 technique, 30 relationships, since the setting context sends less" in refusal
    assert "1 actor, 30 relationships, since MISP does not have its cluster any more, or shows it to few" in refusal
    assert "look at MISP, and at context_private." in refusal


def test_what_a_run_accepted_before_is_refused_no_more(make_site, monkeypatch):
    monkeypatch.setattr(context_sync, "MOST_LEAVING", 10)
    site = make_site("actors", MAX_WITHDRAW_PERCENT="5")
    site.misp.load([tagged(1, ACTOR_TAG, count=30)])
    site.run()
    site.configure(CONTEXT="identities")
    assert later(site).refusals
    later(site, 0.1, force_withdraw=True)
    report = later(site, 0.1)
    assert not report.refusals and not report.context.refused


def test_what_follows_indicators_leaves_whatever_else_may_not(make_site, monkeypatch):
    monkeypatch.setattr(context_sync, "MOST_LEAVING", 20)
    site = make_site("techniques", MAX_WITHDRAW_PERCENT="5")
    site.misp.load([tagged(1, TECHNIQUE_TAG, count=120), tagged(2, ACTOR_TAG)])
    site.run()
    site.configure(CONTEXT="actors")
    site.misp.delete(uuid(2))
    assert later(site, 2).refusals
    assert live(site) == {"identity": 1, "attack-pattern": 1, "relationship": 120}


def test_a_value_of_many_events_has_each_relationship_once(make_site, monkeypatch):
    monkeypatch.setattr(standings, "AT_ONCE", 3)
    site = make_site("actors", DEDUPLICATE="value")
    site.misp.load([misp_event(n, hosts(1, "same"), Tag=[{"name": ACTOR_TAG}]) for n in range(1, 11)])
    report = site.run()
    assert live(site) == {"identity": 1, "threat-actor": 1, "relationship": 1}
    assert report.context.accepted["relationship"] == report.context.planned["relationship"] == 1
    uploads = len(site.azure.uploads)
    later(site, 0.1, full=True)
    assert len(site.azure.uploads) == uploads


def test_an_event_with_too_many_relationships_goes_without_techniques(make_site, monkeypatch):
    monkeypatch.setattr(event_relations, "MOST_RELATIONS", 5)
    site = make_site("techniques")
    site.misp.load([tagged(1, ACTOR_TAG, TECHNIQUE_TAG, count=3)])
    report = site.run()
    assert report.context.left_out == [uuid(1)]
    assert live(site) == {"identity": 1, "threat-actor": 1, "relationship": 3}


def test_an_event_that_has_grown_too_large_says_so_of_what_leaves(make_site, monkeypatch):
    monkeypatch.setattr(event_relations, "MOST_RELATIONS", 6)
    site = make_site("techniques")
    site.misp.load([tagged(1, SET_TAG, TECHNIQUE_TAG, count=3)])
    site.run()
    assert live(site)["relationship"] == 7, "one between the actor and the technique, which is of no event"
    site.misp.add_attribute(uuid(1), {"type": "domain", "value": "new.example.org", "to_ids": True})
    site.misp.publish(uuid(1))
    context = later(site, 0.1).context
    assert context.to_leave == {WithdrawalReason.TOO_MANY: 3, WithdrawalReason.POINTED_BY_NONE: 2}
    assert live(site) == {"identity": 1, "threat-actor": 1, "relationship": 4}
    (first, *_) = site.misp.event(uuid(1))["Attribute"]
    site.misp.edit_attribute(uuid(1), first["uuid"], to_ids=False)
    site.misp.publish(uuid(1))
    assert not later(site, 0.1).context.left_out
    assert live(site) == {"identity": 1, "threat-actor": 1, "attack-pattern": 1, "relationship": 7}


def test_an_event_with_too_many_actors_is_cut_and_lacks_no_techniques(make_site, monkeypatch):
    monkeypatch.setattr(event_relations, "MOST_RELATIONS", 2)
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG, TECHNIQUE_TAG, count=3)])
    context = site.run().context
    assert (context.left_out, context.cut) == ([], [uuid(1)])
    assert context.as_json()["events_cut"] == [uuid(1)]
    assert live(site) == {"identity": 1, "threat-actor": 1, "relationship": 2}


def test_relationships_are_counted_and_not_the_attributes_that_say_them(make_site, monkeypatch):
    monkeypatch.setattr(event_relations, "MOST_RELATIONS", 4)
    site = make_site("techniques", DEDUPLICATE="value")
    values = [("domain", f"host{number % 2}.example.org") for number in range(6)]
    site.misp.load([misp_event(1, values, Tag=[{"name": ACTOR_TAG}, {"name": TECHNIQUE_TAG}])])
    assert not site.run().context.left_out
    assert live(site) == {"identity": 1, "threat-actor": 1, "attack-pattern": 1, "relationship": 4}


def test_the_next_life_of_an_indicator_takes_its_relationships_along(make_site):
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG, count=1), tagged(2, ACTOR_TAG, count=1)])
    site.run()
    (attribute,) = site.misp.event(uuid(1))["Attribute"]
    for flag in (False, True):
        site.misp.edit_attribute(uuid(1), attribute["uuid"], to_ids=flag)
        site.misp.publish(uuid(1))
        later(site)
    assert f"indicator--{attribute['uuid']}" not in site.live()
    sources = {one["source_ref"] for one in site.azure.live(kind="relationship").values()}
    assert len(sources) == 2
    assert sources <= {*site.live()}


def test_an_attribute_that_names_another_actor_moves_over(make_site):
    site = make_site("actors")
    site.misp.load([tagged(1, count=1)])
    (attribute,) = site.misp.event(uuid(1))["Attribute"]
    site.misp.tag_attribute(uuid(1), attribute["uuid"], ACTOR_TAG)
    site.run()
    site.misp.untag_attribute(uuid(1), attribute["uuid"], ACTOR_TAG)
    site.misp.tag_attribute(uuid(1), attribute["uuid"], SET_TAG)
    site.misp.publish(uuid(1))
    site.seconds += 5
    later(site)
    assert verbs(site) == [("indicates", "indicator", f"threat-actor--{SET}")]
    assert list(site.azure.live(kind="threat-actor")) == [f"threat-actor--{SET}"]


def test_time_that_is_up_between_indicators_and_relationships_costs_a_run(make_site):
    site = make_site("actors", MAX_RUN_MINUTES="10")
    site.misp.load([tagged(1, ACTOR_TAG)])
    drain = context_sync.ContextSync.send_ends

    def slowly(sync):
        drain(sync)
        site.waiting.sleep(3600)

    with pytest.MonkeyPatch.context() as slow:
        slow.setattr(context_sync.ContextSync, "send_ends", slowly)
        site.run()
    assert "relationship" not in live(site)
    later(site, 0.1)
    assert live(site) == ONE_OF_EACH


def test_another_misp_lets_nothing_leave(make_site):
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG)])
    site.run()
    site.misp.delete(uuid(1))
    site.misp.delete_cluster(ACTOR)
    site.misp.organisation_uuid = "99999999-9999-4999-8999-999999999999"
    with opened(site.settings) as ledger:
        facts = ledger.facts()
        ledger.save_facts(type(facts)(**{**vars(facts), "misp": {**facts.misp, "url": "https://other.example.org"}}))
    assert later(site).refusals
    assert live(site) == ONE_OF_EACH


def test_one_event_alone_sends_its_relationships_and_lets_nothing_of_others_leave(make_site):
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG), tagged(2, SET_TAG)])
    site.run(uuid=uuid(1))
    assert live(site) == ONE_OF_EACH
    site.misp.delete(uuid(1))
    later(site, uuid=uuid(2))
    assert live(site) == {"identity": 1, "threat-actor": 2, "relationship": 5}


def test_a_run_cut_off_by_microsoft_between_ends_and_relationships(make_site):
    site = make_site("actors", MS_MAX_INDICATORS_REQUEST="5")
    site.misp.load([tagged(1, ACTOR_TAG)])
    site.azure.faults.add(Fault(UPLOAD_PATH, "status", times=None, after=1))
    site.run()
    assert "relationship" not in live(site)
    site.azure.faults.clear()
    later(site, 0.1)
    assert live(site) == ONE_OF_EACH
    assert {one.stage for one in relationships(site)} == {Stage.ACCEPTED}
    uploads = len(site.azure.uploads)
    later(site, 0.1)
    assert sent_since(site, uploads) == 0


def test_techniques_of_the_same_event(make_site):
    site = make_site("techniques")
    site.misp.load([tagged(1, SET_TAG, TECHNIQUE_TAG, count=1)])
    site.run()
    assert ("uses", "threat-actor", f"attack-pattern--{TECHNIQUE}") in verbs(site)


def test_what_cannot_be_changed_stays_with_what_points_from_it(make_site):
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG, count=1)])
    site.run()
    before = live(site)
    refuse_indicators_of(site, 1)
    (attribute,) = site.misp.event(uuid(1))["Attribute"]
    site.misp.edit_attribute(uuid(1), attribute["uuid"], comment="seen again")
    site.misp.publish(uuid(1))
    for _ in range(2):
        later(site)
    assert attribute["uuid"] in str(site.live().keys())
    assert live(site) == before


def test_of_an_indicator_that_was_refused_the_relationship_is_kept_back_with_its_reason(make_site):
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG, count=1), tagged(2, ACTOR_TAG, count=1)])
    refuse_indicators_of(site, 1)
    site.run()
    assert live(site) == {"identity": 1, "threat-actor": 1, "relationship": 1}
    for _ in range(2):
        later(site, 0.1)
        (kept_back,) = (one for one in relationships(site) if one.stage == Stage.KEPT_BACK)
        assert kept_back.words.startswith("indicator--")
    site.azure.refused.clear()
    later(site, 0.1, retry_rejected=True)
    assert live(site) == ONE_OF_EACH
    site.misp.delete(uuid(1))
    later(site)
    later(site, 0.1)
    assert len(relationships(site)) == 1


def relationships(site):
    with opened(site.settings) as ledger:
        return [one for some in standings.ContextLedger(ledger).relationships() for one in some]


@pytest.mark.parametrize("questions", range(1, 5))
def test_time_that_is_up_within_a_page_forgets_no_events_tags(make_site, monkeypatch, questions):
    """What was decided by then is settled; when its actor is private later, it must be found again."""
    site = make_site("actors", MAX_RUN_MINUTES="10")
    site.misp.load([tagged(number, ACTOR_TAG, count=1) for number in range(1, 6)])
    seconds_left, asked = MispReader.seconds_left, []

    def less_and_less(reader):
        asked.append(1)
        return 0 if len(asked) > questions else seconds_left(reader)

    with monkeypatch.context() as hasty:
        hasty.setattr(MispReader, "seconds_left", less_and_less)
        assert site.run().stopped
    later(site, 0.1)
    assert len(actor_labels(site)) == 5
    site.misp.edit_cluster(ACTOR, distribution="0")
    later(site, 0.1)
    later(site, 0.1)
    assert actor_labels(site) == []


def test_the_only_cluster_that_is_known_may_be_gone(make_site):
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG)])
    site.run()
    site.misp.clusters.clear()
    later(site)
    later(site, 0.1)
    assert live(site) == NO_ACTOR


def test_that_many_are_gone_is_believed_where_somebody_says_so(make_site):
    site = make_site("actors")
    names = [f"Fox {number}" for number in range(6)]
    for name in names:
        site.misp.add_cluster("threat-actor", name)
    site.misp.load([tagged(n, f'misp-galaxy:threat-actor="{name}"', count=1) for n, name in enumerate(names, 1)])
    site.run()
    before = live(site)
    site.misp.clusters.clear()
    report = later(site)
    assert live(site) == before
    assert "none of the 6 actors and techniques" in report.context.none_shown
    later(site, 0.1, force_withdraw=True)
    later(site, 0.1)
    assert live(site) == NO_ACTOR


def test_a_misp_that_does_not_say_what_tags_name_is_asked_once_in_a_run(make_site):
    site = make_site("actors", MISP_EVENT_LIMIT_PER_PAGE="1")
    tags = [f'misp-galaxy:threat-actor="Nobody {number}"' for number in range(6)]
    site.misp.load([tagged(number, tag, count=1) for number, tag in enumerate(tags, 1)])
    site.misp.faults.add(Fault("galaxy_clusters", "status", times=None, status=403))
    site.run()
    asked = [path for _, path, _ in site.misp.requests if path.startswith("/galaxy_clusters")]
    assert len(asked) == 1


@pytest.mark.parametrize("flagged", [False, True])
def test_the_name_of_an_organisation_changes_where_an_indicator_shows_it(make_site, flagged):
    site = make_site("identities")
    site.misp.load([tagged(1, count=1, Orgc={"name": "Old", "uuid": SET})])
    site.run()
    (attribute,) = site.misp.event(uuid(1))["Attribute"]
    site.misp.edit_attribute(uuid(1), attribute["uuid"], to_ids=flagged)
    site.misp.event(uuid(1))["Orgc"]["name"] = "New"
    site.misp.publish(uuid(1))
    later(site, 0.1)
    assert site.azure.live(kind="identity")[f"identity--{SET}"]["name"] == ("New" if flagged else "Old")
