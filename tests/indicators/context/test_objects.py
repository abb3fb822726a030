"""What stands beside indicators in STIX: of whatever MISP has, an object that keeps the rules, or none."""

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.context import Cluster, Verb, identity, of_cluster, read_cluster, relationship, threat_actor
from tests.indicators.context.test_cluster import ANYTHING, UUID, raw_cluster, recorded
from tests.support.stix_rules import broken_rules

TLP_RED = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"
URLS = [f"https://example.com/{number}" for number in range(100)]


def test_a_technique():
    technique, _ = recorded("tag_name")
    body = of_cluster(technique)
    assert not broken_rules(body, whole=False)
    assert body["name"] == "Spearphishing Attachment"
    assert body["kill_chain_phases"] == [{"kill_chain_name": "mitre-attack", "phase_name": "initial-access"}]
    assert body["external_references"][0] == {
        "source_name": "mitre-attack",
        "external_id": "T1566.001",
        "url": "https://attack.mitre.org/techniques/T1566/001",
    }
    assert body["labels"] == ['misp-galaxy:mitre-attack-pattern="Spearphishing Attachment - T1566.001"']


def test_an_intrusion_set_is_an_actor_with_the_page_of_its_group_once():
    (group,) = recorded("intrusion_set")
    body = of_cluster(group)
    assert not broken_rules(body, whole=False)
    assert (body["type"], body["name"]) == ("threat-actor", "Lazarus Group")
    urls = [reference["url"] for reference in body["external_references"]]
    assert urls.count("https://attack.mitre.org/groups/G0032") == 1 and len(urls) > 1
    assert {reference["source_name"] for reference in body["external_references"][1:]} == {"misp-galaxy"}


def test_every_recorded_cluster_keeps_the_rules():
    for name in ("tag_name", "intrusion_set", "limit_page", "no_filters_limit"):
        for cluster in recorded(name):
            assert not broken_rules(of_cluster(cluster), whole=False)


def test_what_is_not_known_is_not_there():
    assert set(of_cluster(read_cluster(raw_cluster()))) == {"type", "spec_version", "name", "labels"}
    assert set(of_cluster(Cluster(UUID, "", "mitre-attack-pattern", "x", "1", "3"))) == {"type", "spec_version", "name"}


def test_a_motive_is_one_of_those_that_stix_knows():
    motive = {
        text: threat_actor(read_cluster(raw_cluster([("motive", text)]))) for text in ("Personal Gain", "Espionage")
    }
    assert motive["Personal Gain"]["primary_motivation"] == "personal-gain"
    assert "primary_motivation" not in motive["Espionage"]


def test_long_lists_have_a_bound():
    elements = [("refs", url) for url in URLS] + [("synonyms", url) for url in URLS]
    body = of_cluster(read_cluster(raw_cluster(elements, description="word " * 1_000)))
    assert (len(body["external_references"]), len(body["aliases"])) == (20, 50)
    assert len(json.dumps(body)) < 32_000 and not broken_rules(body, whole=False)


@pytest.mark.parametrize(
    ("number", "page"),
    [("T1593.001", "techniques/T1593/001"), ("TA0040", "tactics/TA0040"), ("G0032", "groups/G0032"), ("PRE-T1054", "")],
)
def test_a_number_leads_to_mitres_page_but_one_of_an_older_collection_does_not(number, page):
    body = of_cluster(read_cluster(raw_cluster(value=f"Some Name - {number}", type="mitre-attack-pattern")))
    url = {"url": f"https://attack.mitre.org/{page}"} if page else {}
    assert body["external_references"] == [{"source_name": "mitre-attack", "external_id": number, **url}]


def test_an_organisation_has_a_name_or_is_not_sent():
    assert identity("  ") is None
    body = identity("Some\nCompany")
    assert body == {
        "type": "identity",
        "spec_version": "2.1",
        "name": "Some Company",
        "identity_class": "organization",
    }
    assert not broken_rules(body, whole=False)


def test_a_relationship_carries_markings_if_there_are_any():
    source, target = f"indicator--{uuid.uuid4()}", f"threat-actor--{UUID}"
    assert "object_marking_refs" not in relationship(Verb.INDICATES, source, target)
    body = relationship(Verb.INDICATES, source, target, [TLP_RED])
    assert body["object_marking_refs"] == [TLP_RED] and body["relationship_type"] == "indicates"
    times = {"created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z"}
    assert not broken_rules(body | times | {"id": f"relationship--{UUID}"})
    assert broken_rules(body) == ["bad id", "created and modified are no times in UTC"]


TEXTS = st.text(max_size=30) | st.sampled_from(["attack-Linux:initial-access", "T1566.001", URLS[0], "[a](https://b)"])
KEYS = st.sampled_from(["synonyms", "refs", "external_id", "kill_chain", "motive"])
ELEMENTS = st.lists(st.fixed_dictionaries({"key": KEYS | ANYTHING, "value": TEXTS | ANYTHING}) | ANYTHING, max_size=9)
RELATIONS = st.lists(
    st.fixed_dictionaries(
        {
            "referenced_galaxy_cluster_type": st.sampled_from(["uses", "similar", "Uses"]) | ANYTHING,
            "referenced_galaxy_cluster_uuid": st.uuids().map(str) | ANYTHING,
        }
    )
    | ANYTHING,
    max_size=4,
)
GALAXIES = st.sampled_from(["threat-actor", "mitre-attack-pattern", "eset-Threat-Actor", "mitre-intrusion-set"])
RAW = st.fixed_dictionaries(
    {
        "uuid": st.uuids().map(str) | st.just(UUID) | ANYTHING,
        "type": GALAXIES | ANYTHING,
        "value": TEXTS | st.text(max_size=600) | st.sampled_from(["x - T1566", " - G0032"]) | ANYTHING,
        "GalaxyElement": ELEMENTS | ANYTHING,
    },
    optional={
        "tag_name": TEXTS | ANYTHING,
        "description": st.text(max_size=3_000) | ANYTHING,
        "version": ANYTHING,
        "distribution": ANYTHING,
        "deleted": st.just(False) | ANYTHING,
        "Galaxy": ANYTHING,
        "GalaxyClusterRelation": RELATIONS | ANYTHING,
    },
)


@given(RAW | st.fixed_dictionaries({"GalaxyCluster": RAW | ANYTHING}) | ANYTHING)
def test_of_any_json_comes_an_object_that_keeps_the_rules_or_none(raw):
    cluster = read_cluster(json.loads(json.dumps(raw)))
    if cluster is not None:
        assert broken_rules(of_cluster(cluster), whole=False) == []
        assert Cluster.of(json.loads(json.dumps(cluster.stored()))) == cluster
        assert all(name == name.encode().decode() for name in cluster.names)
