"""What the sandbox's MISP makes of a sighting is what MISP 2.5.1 made of it, also where no recording shows it."""

from __future__ import annotations

import pytest

from sandbox.misp.app import MispState, create_app
from sandbox.misp.sightings import INTERNAL, NO_MOMENT, NONE_MATCHES
from tests.support import hosts, misp_event


@pytest.fixture
def state():
    state = MispState()
    state.load([misp_event(1, hosts(2), distribution="3")])
    return state


@pytest.fixture
def add(state):
    client, key = create_app(state).test_client(), state.add_user("User")

    def add(uuid=None, **content):
        path = f"/sightings/add/{uuid or attribute(state)}"
        headers = {"Authorization": key, "Accept": "application/json"}
        answer = client.post(path, json={"type": "0", "source": "sandbox", **content}, headers=headers)
        return answer.status_code, answer.get_json()

    return add


def attribute(state, number=0):
    return next(iter(state.events()))["Attribute"][number]["uuid"]


def test_a_soft_deleted_attribute_is_sighted_and_one_that_is_gone_is_not(state, add):
    event, uuid = next(iter(state.events()))["uuid"], attribute(state)
    state.soft_delete(event, uuid)
    assert "Sighting" in add(uuid)[1]
    state.hard_delete(event, uuid)
    assert add(uuid) == (200, {"message": NONE_MATCHES})


def test_a_uuid_in_capital_letters_is_none(state, add):
    uuid = "20000000-0000-4000-8000-00000000abcd"
    state.load([misp_event(2, [{"type": "domain", "value": "c2.example.org", "uuid": uuid}], distribution="3")])
    assert "Sighting" in add(uuid)[1]
    assert add(uuid.upper()) == (200, {"message": NONE_MATCHES})


@pytest.mark.parametrize("timestamp", [0, "0", "", "abc", "2026-11-30T10:00:00Z"])
def test_what_is_no_time_is_refused_in_words(state, add, timestamp):
    assert add(timestamp=timestamp) == (200, {"message": NO_MOMENT})
    assert not state.sightings


@pytest.mark.parametrize("source", ["x" * 256, "\N{FOX FACE}"])
def test_a_source_that_the_column_does_not_hold_is_an_error_of_the_server(state, add, source):
    status, answer = add(source=source)
    assert (status, answer["message"]) == (500, INTERNAL)
    assert not state.sightings


def test_a_source_of_255_letters_is_kept(state, add):
    assert add(source="ä" * 255)[0] == 200
    assert state.sightings[0]["source"] == "ä" * 255
