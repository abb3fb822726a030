"""Sightings and late filters of the sandbox's MISP, beyond what the replayed recordings show."""

import pytest

from sandbox.misp.accounts import organisation
from sandbox.misp.app import MispState, create_app

NOW = 1_795_890_000
DAY = 86_400
EVENT = "00000000-0000-4000-8000-000000000001"
HOST = "00000000-0000-4000-8000-00000000000a"
MEMBER = "00000000-0000-4000-8000-00000000000b"
OTHERS = organisation(7, "Others", "00000000-0000-4000-8000-0000000000a7")


@pytest.fixture
def misp():
    inner = {"uuid": MEMBER, "type": "domain|ip", "value": "b.example.org|192.0.2.1"}
    host = {"uuid": HOST, "type": "domain", "value": "a.example.org"}
    event = {"uuid": EVENT, "distribution": "1", "published": True, "timestamp": NOW - DAY, "Attribute": [host]}
    state = MispState([event | {"Object": [{"name": "thing", "Attribute": [inner]}]}], clock=lambda: NOW)
    state.keys = {"user": state.add_user("User"), "others": state.add_user("User", OTHERS)}
    state.keys["reader"] = state.add_user("Read Only")
    return state


def post(misp, path, user="user", **body):
    return create_app(misp).test_client().post(path, json=body, headers={"Authorization": misp.keys[user]})


def seen(misp, **query):
    answer = post(misp, "/sightings/restSearch", "reader", **query).json["response"]
    return [(record["Sighting"]["attribute_id"], record["Sighting"]["date_sighting"]) for record in answer]


def test_a_sighting_moves_nothing_and_the_same_once_more_is_another(misp):
    before = dict(misp.event(EVENT))
    for _ in range(2):
        post(misp, f"/sightings/add/{HOST}", source="us", timestamp=NOW - 60)
    assert seen(misp, source="us") == [("1", str(NOW - 60))] * 2
    assert misp.event(EVENT) == before


def test_sightings_are_found_by_source_type_and_time(misp):
    post(misp, f"/sightings/add/{HOST}", source="us", timestamp=NOW - 60)
    post(misp, f"/sightings/add/{MEMBER}", source="us", type="1", timestamp=NOW - 5 * DAY)
    post(misp, f"/sightings/add/{HOST}", "others", source="them", timestamp=NOW - 40 * DAY)
    assert [sighting[0] for sighting in seen(misp, source="us")] == ["1", "2"]
    assert seen(misp, source="us", type="1") == seen(misp, source="us", **{"from": NOW - 6 * DAY, "to": NOW - DAY})
    assert [sighting[0] for sighting in seen(misp, last="1d")] == ["1"]
    assert len(seen(misp)) == 2, "without a time, 30 days count"
    assert len(seen(misp, last="90d", limit=1)) == 3, "a limit changes nothing"


def test_a_value_is_seen_wherever_it_is(misp):
    answer = post(misp, "/sightings/add", values=["192.0.2.1"]).json["Sighting"]
    assert answer["attribute_id"] == "2"
    (shown,) = post(misp, f"/events/view/{EVENT}").json["Event"]["Object"][0]["Attribute"]
    assert [sighting["attribute_uuid"] for sighting in shown["Sighting"]] == [MEMBER]


def test_who_does_not_see_an_attribute_has_not_seen_it(misp):
    misp.load([{"uuid": EVENT[:-1] + "2", "Attribute": [{"uuid": EVENT[:-1] + "c", "value": "x"}]}])
    assert "message" in post(misp, f"/sightings/add/{EVENT[:-1]}c", "others").json
    assert misp.sightings == []


def test_uuids_are_shown_to_who_asks_for_them(misp):
    post(misp, f"/sightings/add/{MEMBER}", source="us", timestamp=NOW - 60)
    (plain,) = post(misp, "/sightings/restSearch", source="us").json["response"]
    (named,) = post(misp, "/sightings/restSearch", source="us", includeUuid=True).json["response"]
    assert named["Sighting"] == {**plain["Sighting"], "attribute_uuid": MEMBER, "event_uuid": EVENT}


def test_both_ends_of_a_time_count_whichever_is_first(misp):
    for moment in (NOW - DAY, NOW - 2 * DAY, NOW - 3 * DAY):
        post(misp, f"/sightings/add/{HOST}", timestamp=moment)
    found = [("1", str(NOW - DAY)), ("1", str(NOW - 2 * DAY))]
    assert seen(misp, **{"from": NOW - 2 * DAY, "to": NOW - DAY}) == found
    assert seen(misp, **{"from": NOW - DAY, "to": NOW - 2 * DAY}) == found


def test_of_others_events_an_organisation_sees_its_own_sightings_alone(misp):
    post(misp, f"/sightings/add/{HOST}", "user", source="us")
    post(misp, f"/sightings/add/{HOST}", "others", source="us")
    whose = {
        user: [record["Sighting"]["org_id"] for record in post(misp, "/sightings/restSearch", user).json["response"]]
        for user in ("user", "reader", "others")
    }
    assert whose == {"user": ["1", "7"], "reader": ["1", "7"], "others": ["7"]}
    shown = post(misp, f"/events/view/{EVENT}", "others").json["Event"]["Attribute"][0]["Sighting"]
    assert [sighting["org_id"] for sighting in shown] == ["7"]


def test_sightings_are_found_by_organisations_uuids_and_not_by_their_numbers(misp):
    post(misp, f"/sightings/add/{HOST}", "user", timestamp=NOW - 1)
    post(misp, f"/sightings/add/{HOST}", "others", timestamp=NOW - 2)
    ours, theirs = ("1", str(NOW - 1)), ("1", str(NOW - 2))
    uuid = OTHERS["uuid"]
    assert seen(misp, org_id=uuid) == seen(misp, org_id=[uuid]) == [theirs]
    assert seen(misp, org_id=f"!{uuid}") == [ours]
    assert seen(misp, org_id="7") == []


@pytest.mark.parametrize("type_", ["3", "x", 3])
def test_a_type_that_is_none_is_refused_with_status_200(misp, type_):
    answer = post(misp, f"/sightings/add/{HOST}", type=type_)
    assert answer.status_code == 200
    assert answer.json["message"].startswith("Could not add the Sighting. Reason: Invalid type")
    assert misp.sightings == []


def test_a_key_for_reading_adds_none_though_its_role_may(misp):
    misp.keys["key"] = misp.add_user("User", read_only=True)
    me = create_app(misp).test_client().get("/users/view/me", headers={"Authorization": misp.keys["key"]}).json
    assert me["Role"]["perm_sighting"] is True
    unknown = "00000000-0000-4000-8000-0000000000ff"
    assert post(misp, f"/sightings/add/{unknown}", "key").status_code == 403
    assert post(misp, f"/sightings/add/{unknown}", "user").json.keys() == {"message"}
    assert post(misp, "/sightings/restSearch", "key").status_code == 200


def event_ids(misp, **query):
    return [record["Event"]["id"] for record in post(misp, "/events/restSearch", **query).json["response"]]


def test_filters_that_are_applied_to_the_finished_page(misp):
    first, second = (f"00000000-0000-4000-8000-00000000001{number}" for number in range(2))
    misp.load([{"uuid": EVENT[:-1] + "2", "extends_uuid": first, "sharing_group_id": "4", "distribution": "4"}])
    misp.load([{"uuid": EVENT[:-1] + "3", "extends_uuid": second}])
    assert event_ids(misp, sharing_group_id=4) == event_ids(misp, distribution=4) == ["2"]
    assert [event_ids(misp, sharing_group_id=4, limit=1, page=page) for page in (1, 2)] == [[], ["2"]]
    assert event_ids(misp, eventsExtendingUuid=first) == ["2"]
    assert event_ids(misp, eventsExtendingUuid=[first, second]) == ["3"], "of a list the last one counts"
    assert event_ids(misp, eventsExtendingUuid=first, limit=1, page=1) == []


def test_a_uuid_is_that_of_an_event_or_of_an_attribute(misp):
    assert event_ids(misp, uuid=HOST) == event_ids(misp, uuid=EVENT) == ["1"]
    answer = post(misp, "/attributes/restSearch", uuid=EVENT).json["response"]["Attribute"]
    assert [attribute["uuid"] for attribute in answer] == [HOST, MEMBER]


def test_an_event_without_attributes_is_not_found_where_their_state_is_asked_for(misp):
    misp.load([{"uuid": EVENT[:-1] + "2"}])
    assert (event_ids(misp), event_ids(misp, deleted=[0, 1]), event_ids(misp, deleted=1)) == (["1", "2"], ["1"], [])


def test_distribution_takes_attributes_away_as_well(misp):
    (event,) = post(misp, "/events/restSearch", distribution=1).json["response"]
    assert event["Event"]["Attribute"] == []


def test_local_tags_are_left_out_where_that_is_asked_for(misp):
    misp.tag_event(EVENT, "tlp:red")
    misp.tag_event(EVENT, 'misp-galaxy:threat-actor="Sandbox Spider"', local=True)
    misp.tag_attribute(EVENT, HOST, 'misp-galaxy:sector="Finance"', local=True)

    def names(**query):
        (event,) = post(misp, "/events/restSearch", excludeGalaxy=1, **query).json["response"]
        (host,) = (one for one in event["Event"]["Attribute"] if one["uuid"] == HOST)
        (alone, _) = post(misp, "/attributes/restSearch", includeEventTags=1, **query).json["response"]["Attribute"]
        shown = [record["Tag"] for record in (event["Event"], host, alone) if "Tag" in record]
        return [[tag["name"] for tag in tags] for tags in shown]

    sector, spider = 'misp-galaxy:sector="Finance"', 'misp-galaxy:threat-actor="Sandbox Spider"'
    assert names() == [["tlp:red", spider], [sector], [sector, "tlp:red", spider]]
    assert names(excludeLocalTags=1) == [["tlp:red"], ["tlp:red"]]
