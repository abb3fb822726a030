"""The sandbox's MISP where readers ask for tags and models, and where filters come late: as a real one was measured."""

import json
from pathlib import Path

import pytest

from sandbox.misp.app import MispState, create_app
from tests.support import hosts, misp_event

RECORDINGS = Path(__file__).parents[2].parent / "shared" / "misp-recordings"
GROUP = {"distribution": "4", "sharing_group_id": "3"}


@pytest.fixture
def ask():
    """Ask with the read-only key: (status, headers, JSON)."""
    state = MispState([misp_event(1, hosts(1), Tag=[{"name": "tlp:white"}]), misp_event(2, hosts(1), **GROUP)])
    state.tags = {"no-siem"}
    state.score(misp_event(1)["uuid"], misp_event(1, hosts(1))["Attribute"][0]["uuid"], 12.5, "NIDS")
    state.decaying_models = {"Old model": False}

    def asking(path, body=None):
        headers = {"Authorization": state.readonly_key, "Accept": "application/json"}
        answer = (
            create_app(state)
            .test_client()
            .open(path, method="GET" if body is None else "POST", json=body, headers=headers)
        )
        return answer.status_code, answer.headers, answer.json

    return asking


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"tag": "TLP:WHITE"}, ["tlp:white"]),
        ({"tag": ["tlp:%", "no_siem", "unknown"]}, ["tlp:white", "no-siem"]),
        ({"tagname": "Tlp:White", "strict_tagname": True}, ["tlp:white"]),
        ({"tag": "!tlp:white"}, []),
    ],
)
def test_tags_are_found_by_like_in_any_letter_case(ask, body, names):
    _, _, answer = ask("/tags/search", body)
    assert [record["Tag"]["name"] for record in answer] == names
    assert all(
        {"id", "org_id", "is_galaxy"} <= record["Tag"].keys() and "local" not in record["Tag"] for record in answer
    )


def test_models_are_listed_with_whether_they_are_enabled(ask):
    _, _, answer = ask("/decayingModel/index")
    models = [record["DecayingModel"] for record in answer]
    assert [(model["id"], model["name"], model["enabled"]) for model in models] == [
        ("1", "NIDS", True),
        ("2", "Old model", False),
    ]


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings of a real MISP are not here")
def test_models_have_the_fields_of_real_ones(ask):
    _, _, answer = ask("/decayingModel/index")
    (real, *_) = json.loads((RECORDINGS / "decayingModel_index.json").read_text())["response"]["json"]
    for shown in answer:
        assert shown.keys() == real.keys()
        kinds = [{name: type(value) for name, value in record["DecayingModel"].items()} for record in (shown, real)]
        assert kinds[0] == kinds[1]


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({"sharing_group_id": 3}, ["2"]),
        ({"sharing_group_id": 0}, ["1", "2"]),
        ({"distribution": 4}, ["2"]),
        ({"distribution": 0}, ["1", "2"]),
        ({"idList": [1]}, ["1"]),
        ({"event_uuid": misp_event(1)["uuid"]}, ["1"]),
        ({"eventsExtendingUuid": "unknown"}, []),
    ],
)
def test_some_filters_are_applied_to_a_page_already_cut(ask, filters, left):
    """Measured: X-Result-Count is that of all events, and a page of the first may be empty."""
    _, headers, answer = ask("/events/restSearch", {"returnFormat": "json", **filters})
    assert [record["Event"]["id"] for record in answer["response"]] == left
    assert headers["X-Result-Count"] == "2"
    _, _, answer = ask("/events/restSearch", {"returnFormat": "json", "limit": 1, "page": 1, **filters})
    assert [record["Event"]["id"] for record in answer["response"]] == [number for number in left if number == "1"]
