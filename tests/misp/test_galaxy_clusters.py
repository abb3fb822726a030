"""Asking MISP for clusters: whatever was named is found in few questions, and nothing else is taken for it."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given

from helpers.errors import MispBusy, MispDeclined, MispError
from helpers.misp import galaxy_clusters
from helpers.misp.galaxy_clusters import clusters_by_tag, clusters_by_uuid, current_tags, rows_in, versions
from sandbox.faults import Fault
from sandbox.serve import Sandbox
from tests.indicators.context.test_cluster import ANYTHING, OTHER, UUID, raw_cluster
from tests.misp.test_reader import reader_for

RECORDINGS = Path(__file__).parents[2].parent / "shared" / "misp-recordings"
RECORDED = sorted(RECORDINGS.glob("galaxy_clusters_restSearch_*.json"))
ROUTE = "/galaxy_clusters/restSearch"
GROUP = "APT28 - G0007"
TECHNIQUE = "Phishing - T1566"


@pytest.fixture
def box():
    with Sandbox() as running:
        yield running


@pytest.fixture
def reader(box, tmp_path):
    return reader_for(box, tmp_path)


def tag(value, galaxy="threat-actor"):
    return f'misp-galaxy:{galaxy}="{value}"'


def asked(box):
    return [body for _, path, body in box.misp.requests if path == ROUTE]


def test_clusters_are_found_by_the_tag_as_it_was_asked(box, reader):
    uuid = box.misp.add_cluster("threat-actor", "Some Actor", {"synonyms": ["APT1"]})
    found = reader.clusters_by_tag([tag("Some Actor"), tag("some actor"), tag("Nobody")])
    assert {name: cluster.uuid for name, cluster in found.items()} == {tag("Some Actor"): uuid, tag("some actor"): uuid}
    assert found[tag("some actor")].aliases == ("APT1",)


def test_nothing_is_asked_about_nothing(box, reader):
    assert reader.clusters_by_tag([]) == reader.clusters_by_uuid([]) == reader.cluster_versions([]) == {}
    assert asked(box) == []


def test_fifty_are_asked_for_at_once_and_a_page_has_room_for_more(box, reader):
    names = [f"Actor {number}" for number in range(120)]
    uuids = [box.misp.add_cluster("threat-actor", name) for name in names]
    assert len(reader.clusters_by_tag(map(tag, names))) == len(reader.clusters_by_uuid(uuids)) == 120
    numbers = [len(body.get("tag_name") or body["uuid"]) for body in asked(box)]
    assert numbers == [50, 50, 20, 50, 50, 20]
    assert all(body["page"] == 1 and body["limit"] > 100 for body in asked(box) if len(body.get("uuid", ())) == 50)
    assert len(reader.cluster_versions(uuids)) == 120
    assert asked(box)[6:] == [{"uuid": sorted(uuids), "minimal": True, "limit": 480, "page": 1}]


def test_a_tag_of_many_clusters_is_read_to_the_last_page(box, reader, monkeypatch):
    monkeypatch.setattr(galaxy_clusters, "ROWS_FOR_EACH", 2)
    uuids = [box.misp.add_cluster("threat-actor", "Some Actor") for _ in range(5)]
    found = reader.clusters_by_tag([tag("Some Actor")])
    assert [body["page"] for body in asked(box)] == [1, 2, 3]
    assert found[tag("Some Actor")].uuid == min(uuids), "which one does not depend on MISP's order"


def test_a_cluster_of_misps_own_galaxy_comes_before_a_custom_one_of_the_same_tag(box, reader):
    shown = {"tag_name": tag("Some Actor")}
    box.misp.add_cluster("threat-actor", "Some Actor", uuid=UUID, default=False, **shown)
    box.misp.add_cluster("threat-actor", "Some Actor", uuid=OTHER)
    assert reader.clusters_by_tag([tag("Some Actor")])[tag("Some Actor")].uuid == OTHER


def test_a_technique_of_an_older_galaxy_is_asked_again_in_the_current_one(box, reader):
    uuid = box.misp.add_cluster("mitre-attack-pattern", TECHNIQUE)
    old, unknown = tag(TECHNIQUE, "mitre-enterprise-attack-attack-pattern"), tag("X", "mitre-attack-pattern")
    assert {name: found.uuid for name, found in reader.clusters_by_tag([old, unknown]).items()} == {old: uuid}
    assert [body["tag_name"] for body in asked(box)] == [[unknown, old], [tag(TECHNIQUE, "mitre-attack-pattern")]]


def test_of_several_galaxies_with_one_uuid_it_is_always_mitres_current_one(box, reader):
    galaxies = ("mitre-mobile-attack-intrusion-set", "mitre-intrusion-set", "mitre-enterprise-attack-intrusion-set")
    for number, galaxy in enumerate(galaxies):
        box.misp.add_cluster(galaxy, GROUP, uuid=UUID, version=number)
    tags = [tag(GROUP, galaxy) for galaxy in galaxies]
    found = [*reader.clusters_by_tag(tags).values(), *reader.clusters_by_tag(tags[2:]).values()]
    assert {cluster.galaxy for cluster in [*found, *reader.clusters_by_uuid([UUID]).values()]} == {
        "mitre-intrusion-set"
    }
    assert len(found) == 4
    assert reader.cluster_versions([UUID]) == {UUID: {"0", "1", "2"}}


def test_a_deleted_cluster_is_none_and_has_a_new_version(box, reader):
    uuid = box.misp.add_cluster("threat-actor", "Some Actor")
    before = reader.cluster_versions([uuid])
    box.misp.delete_cluster(uuid)
    assert reader.clusters_by_tag([tag("Some Actor")]) == reader.clusters_by_uuid([uuid]) == {}
    assert reader.cluster_versions([uuid]) != before
    box.misp.delete_cluster(uuid, hard=True)
    assert reader.cluster_versions([uuid]) == {}


@pytest.mark.parametrize(
    ("status", "words"),
    [(403, "You do not have permission to use this functionality."), (404, "Not Found"), (405, "Not allowed")],
)
def test_a_misp_without_the_route_is_told_from_a_key_that_is_refused(box, reader, status, words):
    """Measured: 403 with these words for most roles, 404 for a site admin."""
    refusal = {"name": words, "message": words, "url": ROUTE}
    box.misp.faults.add(Fault(ROUTE, "status", status, refusal))
    with pytest.raises(MispDeclined) as declined:
        reader.clusters_by_tag([tag("Some Actor")])
    assert declined.value.status == status and words in str(declined.value)
    assert "galaxy_clusters/restSearch" in str(declined.value) and "too old" in str(declined.value)
    assert len(asked(box)) == 1
    box.misp.add_cluster("threat-actor", "Some Actor")
    assert reader.clusters_by_tag([tag("Some Actor")]), "the next question is asked all the same"


def test_a_key_that_is_refused_is_said_as_ever(box, reader):
    words = "Authentication failed. Please make sure you pass the API key of an API enabled user along."
    reader.version()
    box.misp.faults.add(Fault(ROUTE, "status", 403, {"name": words, "message": words, "url": ROUTE}))
    with pytest.raises(MispError, match=re.escape("(misp_key) is refused")) as refused:
        reader.clusters_by_tag([tag("Some Actor")])
    assert not isinstance(refused.value, MispDeclined)


def test_an_answer_of_another_shape_is_asked_again(box, reader):
    box.misp.add_cluster("threat-actor", "Some Actor")
    box.misp.faults.add(Fault(ROUTE, "body", body={"saved": True}))
    assert reader.clusters_by_tag([tag("Some Actor")])
    assert reader.detours.failed == 1


@pytest.mark.parametrize("answer", [{"x": 1}, "text", [1, 2], [{"Event": {}}], [{"GalaxyCluster": 3}], None])
def test_what_is_no_list_of_clusters_is_no_answer(answer):
    with pytest.raises(MispBusy):
        rows_in(answer)


@given(ANYTHING)
def test_of_any_json_come_clusters_or_none(anything):
    rows = rows_in([raw_cluster(), {"GalaxyCluster": anything}, anything])
    assert clusters_by_uuid(rows).keys() >= {UUID} and versions(rows)[UUID] == {""}
    assert clusters_by_tag([tag("Some Actor")], rows)


def test_a_tag_in_its_own_letters_comes_before_one_in_others():
    upper, lower = raw_cluster(value="ACTOR", uuid=OTHER), raw_cluster(value="Actor")
    for rows in ([upper, lower], [lower, upper]):
        found = clusters_by_tag([tag("ACTOR"), tag("Actor")], rows)
        assert [cluster.uuid for cluster in found.values()] == [OTHER, UUID]
        assert clusters_by_tag([tag("actor")], rows)[tag("actor")].uuid == UUID


def test_tags_of_the_current_galaxy_and_of_actors_are_not_asked_again():
    assert current_tags([tag("X", "MITRE-attack-pattern"), tag("X"), tag("X", "mitre-malware"), "tlp:red"]) == {}


@pytest.mark.parametrize(
    "path", sorted(RECORDINGS.glob("galaxy_clusters_restSearch_*.json")), ids=lambda path: path.stem
)
def test_recorded_answers_are_read(path):
    exchange = json.loads(path.read_text())
    if exchange["response"]["status"] != 200:
        return
    answer = exchange["response"]["json"]["response"]
    rows = rows_in(answer)
    tags = exchange["request"]["body"].get("tag_name", [])
    assert {cluster.uuid for cluster in clusters_by_tag(tags, rows).values()} == (
        set(clusters_by_uuid(rows)) if tags else set()
    )
    assert len(versions(rows)) == len(rows)
