"""Actors, techniques, organisations and relationships in whole runs, against the sandbox."""

from functools import partial

import pytest

from helpers.ledger import Stage
from helpers.ledger.context.standings import ContextLedger
from helpers.sync.run import opened
from sandbox.faults import Fault
from tests.support.context.site import (
    ACTOR,
    ACTOR_TAG,
    SET,
    SET_TAG,
    TECHNIQUE,
    TECHNIQUE_TAG,
    actor_labels,
    context_site,
    later,
    live,
    tagged,
    uuid,
    verbs,
)
from tests.support.in_process import UPLOAD_PATH


@pytest.fixture
def make_site(tmp_path):
    return partial(context_site, tmp_path)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("nothing", {}),
        ("identities", {"identity": 1}),
        ("actors", {"identity": 1, "threat-actor": 1, "relationship": 2}),
        ("techniques", {"identity": 1, "threat-actor": 1, "attack-pattern": 1, "relationship": 4}),
    ],
)
def test_what_an_event_names_goes_out_as_far_as_the_setting_says(make_site, level, expected):
    site = make_site(level)
    site.misp.load([tagged(1, ACTOR_TAG, TECHNIQUE_TAG)])
    report = site.run()
    assert report.exit_code == 0 and not report.faults
    assert live(site) == expected
    assert len(site.live()) == 3


def test_relationships_name_what_is_there(make_site):
    site = make_site()
    site.misp.load([tagged(1, ACTOR_TAG, SET_TAG, TECHNIQUE_TAG, count=1)])
    site.run()
    assert verbs(site) == [
        ("indicates", "indicator", f"attack-pattern--{TECHNIQUE}"),
        ("indicates", "indicator", f"threat-actor--{ACTOR}"),
        ("indicates", "indicator", f"threat-actor--{SET}"),
        ("related-to", "threat-actor", f"threat-actor--{SET}"),
        ("uses", "threat-actor", f"attack-pattern--{TECHNIQUE}"),
    ]


def test_a_second_run_asks_one_small_question_more_and_sends_nothing(make_site):
    site = make_site()
    site.misp.load([tagged(1, ACTOR_TAG, TECHNIQUE_TAG)])
    site.run()
    requests, asked = len(site.azure.uploads), len(site.misp.requests)
    report = later(site, 0.1)
    assert (report.exit_code, len(site.azure.uploads)) == (0, requests)
    (question,) = (body for _, path, body in list(site.misp.requests)[asked:] if "galaxy_clusters" in path)
    assert question["minimal"] is True


def test_a_newer_version_of_the_same_clusters_is_asked_for_and_changes_nothing(make_site, monkeypatch):
    """A galaxy's update gives each of its clusters another version, and most of them nothing else."""
    site = make_site()
    site.misp.load([tagged(1, ACTOR_TAG, TECHNIQUE_TAG)])
    site.run()
    requests, asked = len(site.azure.uploads), len(site.misp.requests)
    for cluster in (ACTOR, SET, TECHNIQUE):
        site.misp.edit_cluster(cluster)
    monkeypatch.setattr(ContextLedger, "relationships", lambda _: pytest.fail("looked at what is related"))
    report = later(site, 0.1)
    assert (report.exit_code, report.faults, len(site.azure.uploads)) == (0, [], requests)
    questions = [body for _, path, body in list(site.misp.requests)[asked:] if "galaxy_clusters" in path]
    assert [question.get("minimal", False) for question in questions] == [True, False]
    assert later(site, 0.1).exit_code == 0


def test_what_is_no_longer_named_leaves_and_its_end_with_the_last_of_it(make_site):
    site = make_site()
    site.misp.load([tagged(1, ACTOR_TAG), tagged(2, ACTOR_TAG, TECHNIQUE_TAG)])
    site.run()
    assert live(site) == {"identity": 1, "threat-actor": 1, "attack-pattern": 1, "relationship": 6}
    site.misp.delete(uuid(2))
    later(site)
    later(site)
    assert live(site) == {"identity": 1, "threat-actor": 1, "relationship": 2}
    site.misp.delete(uuid(1))
    later(site)
    report = later(site)
    assert live(site) == {"identity": 1}, "organisations stay"
    assert report.context.waiting_to_leave == 0


def test_one_that_left_comes_back_in_its_next_life(make_site):
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG)])
    site.run()
    site.misp.delete(uuid(1))
    later(site)
    later(site)
    assert live(site) == {"identity": 1}
    site.misp.load([tagged(2, ACTOR_TAG)])
    later(site)
    assert live(site) == {"identity": 1, "threat-actor": 1, "relationship": 2}
    (actor,) = site.azure.live(kind="threat-actor")
    assert actor != f"threat-actor--{ACTOR}"


def test_a_relationship_whose_end_was_refused_is_kept_back_with_its_reason(make_site):
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG)])
    site.azure.refused.add(f"threat-actor--{ACTOR}")
    report = site.run()
    assert live(site) == {"identity": 1}
    assert report.context.kept_back == 2
    with opened(site.settings) as ledger:
        kept = [one for some in ContextLedger(ledger).relationships() for one in some]
        assert {one.stage for one in kept} == {Stage.KEPT_BACK}
        assert all(f"threat-actor--{ACTOR} was refused" in one.words for one in kept)
        assert not ledger.event(uuid(1)).todo, "it is not read again each night"


def test_what_has_no_answer_goes_out_with_the_next_run(make_site):
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG)])
    site.azure.faults.add(Fault(UPLOAD_PATH, "status", times=5))
    assert site.run().exit_code == 4
    assert later(site, 0.1).exit_code == 0
    assert live(site) == {"identity": 1, "threat-actor": 1, "relationship": 2}


def test_a_renamed_actor_is_sent_again_and_nothing_else_moves(make_site):
    site = make_site("actors", ACTIVITY_GROUP_LABELS="false")
    site.misp.load([tagged(1, ACTOR_TAG)])
    site.run()
    site.misp.edit_cluster(ACTOR, value="Sun Fox")
    report = later(site)
    (actor,) = site.azure.live(kind="threat-actor").values()
    assert (actor["name"], report.indicators) == ("Sun Fox", 0)


def test_a_cluster_that_is_deleted_leaves_with_its_relationships(make_site):
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG)])
    site.run()
    site.misp.delete_cluster(ACTOR)
    later(site)
    later(site)
    assert live(site) == {"identity": 1}


def test_an_old_misp_without_the_route_costs_nothing_that_is_known(make_site):
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG)])
    site.run()
    before = live(site)
    site.misp.faults.add(Fault("galaxy_clusters", "status", times=None, status=404))
    report = later(site, full=True)
    assert live(site) == before
    assert report.context.not_asked


# --- The label for actors ----------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["nothing", "actors"])
def test_indicators_name_their_actors_and_a_rename_sends_these_alone_again(make_site, level):
    site = make_site(level)
    site.misp.load([tagged(1, ACTOR_TAG)])
    assert site.run().indicators == 3
    assert actor_labels(site) == ["ActivityGroup:Moon Fox"] * 2
    assert later(site, full=True).indicators == 0
    site.misp.edit_cluster(ACTOR, value="Sun Fox")
    assert later(site).indicators == 2
    assert actor_labels(site) == ["ActivityGroup:Sun Fox"] * 2


@pytest.mark.parametrize("own", ["private", "deleted", "never there"])
def test_an_attribute_whose_own_actor_may_not_be_told_does_not_get_that_of_its_event(make_site, own):
    site = make_site("actors")
    site.misp.load([tagged(1, ACTOR_TAG, count=1)])
    (attribute,) = site.misp.event(uuid(1))["Attribute"]
    site.misp.tag_attribute(uuid(1), attribute["uuid"], SET_TAG)
    change = {"private": {"distribution": "0"}, "deleted": {"deleted": True}}
    if own in change:
        site.misp.edit_cluster(SET, **change[own])
    else:
        site.misp.delete_cluster(SET, hard=True)
    site.misp.publish(uuid(1))
    assert site.run().indicators == 2
    assert actor_labels(site) == []
    assert not verbs(site)
    assert later(site, full=True).indicators == 0


def test_no_label_names_an_actor_where_a_site_wants_none(make_site):
    site = make_site("actors", ACTIVITY_GROUP_LABELS="false")
    site.misp.load([tagged(1, ACTOR_TAG)])
    site.run()
    assert actor_labels(site) == []
