"""Clusters of MISP's galaxies as they were recorded, and of any other shape."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.context import Cluster, ContextLevel, Kind, kind_of_galaxy, read_cluster

RECORDINGS = Path(__file__).parents[3].parent / "shared" / "misp-recordings"
UUID, OTHER = "68391641-859f-4a9a-9a1e-3e5cf71ec376", "c93fccb1-e8e8-42cf-ae33-2ad1d183913a"


def raw_cluster(elements=(), **values):
    listed = [{"key": key, "value": value} for key, value in elements]
    return {"uuid": UUID, "type": "threat-actor", "value": "Some Actor", "GalaxyElement": listed, **values}


def relation(verb, target):
    return {"referenced_galaxy_cluster_type": verb, "referenced_galaxy_cluster_uuid": target}


def recorded(name):
    path = RECORDINGS / f"galaxy_clusters_restSearch_{name}.json"
    if not path.is_file():
        pytest.skip("the recordings are not here")
    return [*map(read_cluster, json.loads(path.read_text())["response"]["json"]["response"])]


def test_a_recorded_technique_and_actor():
    technique, actor = recorded("tag_name")
    assert (technique.name, technique.number) == ("Spearphishing Attachment", "T1566.001")
    assert technique.kill_chain == (("mitre-attack", "initial-access"),)
    assert technique.end == "attack-pattern--2e34237d-8574-43f6-aace-ae2915de8597"
    assert technique.tag == 'misp-galaxy:mitre-attack-pattern="Spearphishing Attachment - T1566.001"'
    assert "[" not in technique.description and "User Execution" in technique.description
    assert (actor.name, actor.number, actor.version, actor.distribution) == ("Lazarus Group", "", "349", "3")
    assert actor.kind is Kind.THREAT_ACTOR and not actor.is_private
    assert actor.relations[0] == ("similar", OTHER)
    assert all(verb == "similar" for verb, _ in actor.relations), "linked-to is not sent"


def test_a_recorded_intrusion_set_is_an_actor():
    (group,) = recorded("intrusion_set")
    assert (group.name, group.number, group.kind) == ("Lazarus Group", "G0032", Kind.THREAT_ACTOR)
    assert "Citation" not in group.description and "(http" not in group.description
    assert {verb for verb, _ in group.relations} == {"uses"}
    assert group.references[0] == "https://attack.mitre.org/groups/G0032"


@pytest.mark.parametrize("deleted", [True, 1, "1"])
def test_a_deleted_cluster_is_none(deleted):
    assert read_cluster(raw_cluster()) is not None
    assert read_cluster(raw_cluster(deleted=deleted)) is None


@pytest.mark.parametrize(
    "without", [{"type": "malpedia"}, {"uuid": "no"}, {"value": " "}, {"uuid": "0" * 8 + UUID[8:-1]}]
)
def test_what_cannot_be_sent_is_none(without):
    assert read_cluster(raw_cluster(**without)) is None


def test_a_malformed_value_costs_only_itself():
    cluster = read_cluster(
        raw_cluster(
            [("synonyms", ["x"]), ("synonyms", "Good"), ("refs", "javascript:1"), ("refs", "https://example.com/a")],
            description={"no": "text"},
            version=7,
            GalaxyClusterRelation=[None, *(relation("uses", target) for target in (1, None, UUID))],
        )
    )
    assert (cluster.aliases, cluster.references) == (("Good",), ("https://example.com/a",))
    assert (cluster.description, cluster.version, cluster.relations) == ("", "7", ())


def test_aliases_are_other_names_each_once():
    cluster = read_cluster(raw_cluster([("synonyms", name) for name in ("some actor", "APT1", "apt1", " APT1 ", "")]))
    assert cluster.aliases == ("APT1",)
    assert cluster.names == ("Some Actor", "APT1", 'misp-galaxy:threat-actor="Some Actor"')


@pytest.mark.parametrize(
    ("value", "name", "number"),
    [
        ("Phishing - T1566", "Phishing", "T1566"),
        ("Acquire data - PRE-T1054", "Acquire data", "PRE-T1054"),
        ("Impact - TA0040", "Impact", "TA0040"),
        ("CIA - APT-C-39", "CIA - APT-C-39", ""),
        ("T1566", "T1566", ""),
    ],
)
def test_the_number_is_no_part_of_the_name(value, name, number):
    cluster = read_cluster(raw_cluster(value=value))
    assert (cluster.name, cluster.number) == (name, number)


@pytest.mark.parametrize(
    ("written", "chain"),
    [
        ("mitre-attack:reconnaissance", ("mitre-attack", "reconnaissance")),
        ("mitre-attack:windows:persistence", ("mitre-attack", "persistence")),
        ("attack-Office-365:Initial Access", ("mitre-attack", "initial-access")),
        ("mobile-attack-Android:impact", ("mitre-mobile-attack", "impact")),
        ("pre-attack:target-selection", ("mitre-pre-attack", "target-selection")),
        ("mitre-ics-attack:impair_process", ("mitre-ics-attack", "impair-process")),
        ("no chain", None),
        (":", None),
    ],
)
def test_the_kill_chain_in_stix_words(written, chain):
    cluster = read_cluster(raw_cluster([("kill_chain", written), ("kill_chain", written)], type="mitre-attack-pattern"))
    assert cluster.kill_chain == ((chain,) if chain else ())


@pytest.mark.parametrize(("distribution", "private"), [("0", True), (4, True), ("1", False), (3, False), (None, True)])
def test_who_may_see_it_decides_whether_it_is_private(distribution, private):
    assert read_cluster(raw_cluster(distribution=distribution)).is_private is private


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(ANYTHING)
def test_what_was_stored_is_read_whatever_became_of_it(stored):
    assert Cluster.of(stored) is None


@given(st.sampled_from(["uuid", "galaxy", "name", "aliases", "kill_chain", "relations", "version"]), ANYTHING)
def test_a_damaged_value_of_what_was_stored_makes_no_cluster_of_another_shape(name, value):
    whole = read_cluster(raw_cluster([("synonyms", "Other"), ("kill_chain", "a:b")], distribution="3", version="1"))
    assert Cluster.of(json.loads(json.dumps(whole.stored()))) == whole
    cluster = Cluster.of({**whole.stored(), name: value})
    assert cluster is None or Cluster.of(json.loads(json.dumps(cluster.stored()))) == cluster


def test_kinds_of_galaxies():
    assert kind_of_galaxy("ESET-threat-actor") is Kind.THREAT_ACTOR
    assert kind_of_galaxy("mitre-ics-techniques") is Kind.ATTACK_PATTERN
    assert kind_of_galaxy("mitre-malware") is None


def test_each_level_sends_what_those_before_it_do():
    sent = {level: {kind for kind in Kind if level.sends(kind)} for level in ContextLevel}
    assert sent[ContextLevel.NOTHING] == {Kind.INDICATOR}
    assert sent[ContextLevel.IDENTITIES] == {Kind.INDICATOR, Kind.IDENTITY}
    assert sent[ContextLevel.ACTORS] == {*Kind} - {Kind.ATTACK_PATTERN}
    assert sent[ContextLevel.TECHNIQUES] == {*Kind}
