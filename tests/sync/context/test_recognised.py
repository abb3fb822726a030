"""What an object beside indicators is that a workspace has, by its id."""

from uuid import UUID, uuid5

import pytest

from helpers.context import Cluster, Verb
from helpers.ledger import NEVER, Stage
from helpers.sync.context.desired import Ends, desired_cluster, desired_identity, desired_relationship
from helpers.sync.context.recognised import Lives, Ours, recognised, record_of

UUID_1, UUID_2 = "68391641-859f-4a9a-9a1e-3e5cf71ec376", "bbe5b322-e2af-4a5e-9625-a4e62bf84ed3"
ACTOR, TECHNIQUE = f"threat-actor--{UUID_1}", f"attack-pattern--{UUID_2}"
TIMES = dict.fromkeys(("created", "modified"), "2026-09-01T00:00:00.000Z")
CLUSTER = Cluster(UUID_1, 'misp-galaxy:threat-actor="Moon Fox"', "threat-actor", "Moon Fox", "1", "3", ("Fox",))
WANTED = (
    desired_cluster(CLUSTER),
    desired_identity(UUID_2, "Example CERT"),
    desired_relationship(Ends(Verb.USES, ACTOR, TECHNIQUE)),
    desired_relationship(Ends(Verb.INDICATES, f"indicator--{UUID_2}", ACTOR), ["marking-definition--1"]),
)


def as_stored(wanted, number=1, **changes):
    """What a workspace has of an object that was sent, in one of its lives."""
    lives = (life for life in wanted.lives_after(0) if life.number == number)
    return {**wanted.says, "id": next(lives).id, **TIMES, **changes}


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: wanted.says["type"])
@pytest.mark.parametrize("life", [1, 2, 100])
def test_what_was_sent_is_recognised_in_each_life_and_is_the_same(wanted, life):
    stored = as_stored(wanted, life)
    known = recognised(stored, Lives.of([UUID_1, UUID_2]))
    assert known is not None
    assert (known.wanted.key, known.life) == (wanted.key, life)
    record = record_of(stored, known)
    assert (record.fingerprint, record.id, record.stage) == (wanted.fingerprint, stored["id"], Stage.ACCEPTED)
    assert (record.live, record.live_until) == (True, NEVER)
    assert record.indicator == stored


@pytest.mark.parametrize(
    "changes",
    [
        {"id": f"relationship--{UUID_1}"},
        {"relationship_type": "targets"},
        {"source_ref": f"threat-actor--{UUID_2}"},
        {"target_ref": None},
        {"relationship_type": ["uses"]},
    ],
)
def test_a_relationship_whose_id_its_ends_do_not_give_is_none_of_ours(changes):
    assert recognised({**as_stored(WANTED[2]), **changes}, Lives.of([])) is None


def test_an_id_without_a_uuid_is_none_of_ours():
    assert recognised({"id": "threat-actor--x", "type": "threat-actor"}, Lives.of([UUID_1])) is None


def test_what_is_empty_or_of_another_form_counts_as_not_said():
    odd = {"description": "", "aliases": 5, "labels": [None], "external_references": "x", "lang": None}
    known = recognised({**as_stored(WANTED[0]), **odd}, Lives.of([UUID_1]))
    assert known.wanted.says == {"type": "threat-actor", "spec_version": "2.1", "name": "Moon Fox"}


def test_what_is_revoked_is_withdrawn_and_its_id_is_known():
    stored = as_stored(WANTED[0], revoked=True)
    record = record_of(stored, recognised(stored, Lives.of([UUID_1])))
    assert (record.stage, record.live, record.live_until) == (Stage.WITHDRAWN, False, 0)


def test_an_end_is_ours_by_its_cluster_by_a_relationship_of_ours_or_by_an_indicator():
    later = f"identity--{uuid5(UUID(UUID_2), 'context#2')}"
    ours = Ours(Lives.of([UUID_2]), {UUID_1}, {TECHNIQUE}, {f"identity--{UUID_2}"})
    assert all(ours.has(id_) for id_ in (ACTOR, TECHNIQUE, later))
    assert not ours.has(f"threat-actor--{UUID_2}"), "of another kind than the organisation"
