"""``kill -9`` between actors and what points to them, or while both leave; then one clean run brings all in step."""

from __future__ import annotations

import pytest

from tests.support.context.site import ACTOR, ACTOR_TAG, SET, SET_TAG
from tests.support.postgres import postgres_server, postgres_url
from tests.sync.cut_off.kill_trial import Trial, When, sandbox

__all__ = ["postgres_server", "postgres_url"]
NAMED = {ACTOR_TAG: ACTOR, SET_TAG: SET}
# Indicators and ends are in the first half of the requests to Microsoft, relationships in the second.
SHARES = [0.45, 0.6, 0.8]


def new_trial(box, place, state_url=""):
    """A third of the events name an actor, a third an intrusion set as well."""
    box.misp.add_cluster("threat-actor", "Moon Fox", uuid=ACTOR)
    box.misp.add_cluster("mitre-intrusion-set", "Moon Fox - G9999", relations=[("similar", ACTOR)], uuid=SET)
    trial = Trial(box, place, state_url, indicators=400, batch=20)
    for number, event in enumerate(list(box.misp.events())):
        for tag in (ACTOR_TAG, SET_TAG)[: number % 3]:
            box.misp.tag_event(event["uuid"], tag)
        box.misp.publish(event["uuid"])
    return trial


def edit(trial):
    """Edit attributes; events of the intrusion set name it no more, others do."""
    misp = trial.box.misp
    for number, event in enumerate(list(misp.events())):
        if number % 3 == 2:
            misp.untag_event(event["uuid"], SET_TAG)
        elif number % 6 == 0:
            misp.tag_event(event["uuid"], ACTOR_TAG)
    trial.edit()


def wanted(box):
    """Which values point to which cluster, by MISP."""
    return {
        (attribute["value"], NAMED[tag["name"]])
        for event in box.misp.events()
        for attribute in event["Attribute"]
        if attribute["to_ids"]
        for tag in event.get("Tag", [])
    }


def related(box):
    """Which values are related to which cluster, in the workspace."""
    values = {id_: one["pattern"].split("'")[1] for id_, one in box.azure.live().items()}
    live = box.azure.live(kind="relationship").values()
    assert all(box.azure.live(kind=None).keys() >= {one["source_ref"], one["target_ref"]} for one in live)
    indicates = [one for one in live if one["relationship_type"] == "indicates"]
    pairs = {(values[one["source_ref"]], one["target_ref"].partition("--")[2]) for one in indicates}
    assert len(pairs) == len(indicates)
    return pairs


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """How many requests a first and a later run make to either service."""
    with sandbox() as box:
        trial, counts = new_trial(box, tmp_path_factory.mktemp("counted")), {}
        for later in (False, True):
            if later:
                edit(trial)
            trial.count()
            assert trial.phase("clean") == 0
            counts[later] = trial.requests
            assert related(box) == wanted(box)
        return counts


def kill_and_run_again(when, expected, place, state_url=""):
    with sandbox() as box:
        trial = new_trial(box, place, state_url)
        if when.later:
            assert trial.phase("before") == 0
            edit(trial)
        trial.order(when, expected[when.later])
        assert trial.phase("killed") == -9, f"not killed: {when}, {trial.requests}"
        trial.count()
        assert trial.phase("clean") == 0
        lost, stale, _ = trial.verdict()
        assert (lost, stale, box.azure.wrong) == (0, 0, [])
        assert related(box) == wanted(box)
        uploads = len(box.azure.uploads)
        assert trial.phase("unchanged") == 0
        assert len(box.azure.uploads) == uploads


@pytest.mark.parametrize("later", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("share", SHARES)
def test_killed_between_ends_and_relationships(share, later, expected, tmp_path):
    processed = SHARES.index(share) % 2 == later
    kill_and_run_again(When(later, share, of_misp=False, processed=processed), expected, tmp_path)


def test_killed_with_a_ledger_in_postgresql(expected, tmp_path, postgres_url):
    kill_and_run_again(When(later=True, share=0.6, of_misp=False, processed=True), expected, tmp_path, postgres_url)
