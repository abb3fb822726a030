"""The sandbox's MISP takes, refuses and drops what a real one was recorded to take, refuse and drop."""

import json
from urllib.parse import urlsplit

import pytest

from sandbox.misp.accounts import organisation
from sandbox.misp.app import MispState, create_app
from tests.sandbox.test_misp import recorded, recording

NOW = 1_795_290_400
US = {"id": "1", "name": "VERIFY-ORG", "uuid": "88938aad-c9d3-4073-b263-89976724c711", "local": True}
OTHERS = organisation(2, "OTHER-ORG", "06fe014e-e929-4a11-9c1e-aacbf56d0674")
USERS = {
    "other_user": ("User", OTHERS),
    "other_publisher": ("Publisher", OTHERS),
    "other_readonly": ("Read Only", OTHERS),
    "verify_user": ("User", US),
    "verify_publisher": ("Publisher", US),
}
# What is another number, moment or name in each MISP, or that of the site that was recorded.
OWN = {"id", "uuid", "timestamp", "event_id", "object_id", "old_id", "publish_timestamp", "email", "colour"}
OWN |= {"event_creator_email", "RelatedEvent", "org_id", "orgc_id", "event_org_id", "Org", "Orgc", "event_uuid"}
OWN |= {"old_uuid", "org_uuid", "user_id", "date", "Server", "Date"}
EMOJI = "f84782d6-b0ea-4d23-9884-cc219951a91f"
WORKFLOW = 'workflow:state="complete"'
TAGS = [("366", WORKFLOW), ("323", "tlp:white"), ("322", "tlp:green"), ("660", "page-set"), ("309", "tlp:red")]


def event(number, uuid, distribution="0", **changes):
    fields = {
        "id": number,
        "uuid": uuid,
        "info": f"event {number}",
        "distribution": distribution,
        "Org": US,
        "Orgc": US,
    }
    return fields | {"date": "2026-11-21", "timestamp": NOW - 100} | changes


def attribute(number, **changes):
    fields = {"id": number, "uuid": f"dddddddd-0000-4000-8000-00000000{number}", "type": "ip-dst"}
    return fields | {"category": "Network activity", "value": "203.0.113.50", "to_ids": True} | changes


def state():
    """A MISP that holds what the recorded requests are about."""
    tags = [{"id": number, "name": name} for number, name in TAGS]
    misp = MispState(
        [
            event("1", "00000000-0000-4000-8000-000000000001", Tag=tags),
            event("247", "17b9c587-0000-4266-a3d4-17bb8f9c14d6", info="page-set-993882 1"),
            event("251", "b7e56146-886b-4bd1-a502-4ef9f4d33174"),
            event("254", "8138790c-04a8-4621-9c51-11639eb382cc", "1", Attribute=[attribute("8277")]),
            event("257", "dddddddd-0000-4000-8000-000000000257"),
            event("273", "aba1a39a-7243-4efb-bb1c-3190a5c13bf4", info="report by uuid"),
            event("274", "dd89f669-d974-4eb1-a609-4d4f6a44929b", info="emoji tests"),
            event("276", EMOJI, info="emoji tests"),
        ],
        clock=lambda: NOW,
    )
    misp.keys = {"admin": misp.key, **{name: misp.add_user(*role_and_owner) for name, role_and_owner in USERS.items()}}
    return misp


def domain(value):
    return {"type": "domain", "category": "Network activity", "value": value}


def replay(misp, name):
    exchange = recording(name)
    url, body = urlsplit(exchange["request"]["url"]), exchange["request"]["body"]
    headers = exchange["request"]["headers"] | {"Authorization": misp.keys[exchange["as"]]}
    misp.utf8mb4 = name.endswith("utf8mb4")
    data = body if body is None or isinstance(body, str) else json.dumps(body)
    answer = (
        create_app(misp).test_client().open(url.path, method=exchange["request"]["method"], headers=headers, data=data)
    )
    return answer, exchange["response"]


def common(value):
    """What two MISPs say alike: everything but numbers, moments and owners, of which only that they are there."""
    if isinstance(value, dict):
        return {key: "..." if key in OWN else common(inner) for key, inner in value.items()}
    return [common(item) for item in value] if isinstance(value, list) else value


@recorded
def test_an_edit_adds_what_it_names_and_keeps_the_rest():
    misp = state()
    before = misp.event("251") | {"Attribute": [domain("pageset4.example.org")]}
    misp.load([before])
    answer, response = replay(misp, "events_edit")
    assert answer.status_code == response["status"]
    shown, expected = answer.json["Event"], response["json"]["Event"]
    assert (shown["info"], shown["published"], shown["publish_timestamp"]) == (expected["info"], False, "0")
    assert {attribute["value"] for attribute in shown["Attribute"]} == {"pageset4.example.org", "edited-in.example.org"}
    assert int(shown["timestamp"]) >= NOW
    assert set(shown) == set(expected) - {"Tag"}


@recorded
def test_proposals_are_listed_as_recorded():
    misp = state()
    for name in ("add", "add_duplicate", "add_own_event", "edit_propose_change", "propose_delete"):
        replay(misp, f"shadow_attributes_{name}")
    answer, response = replay(misp, "shadow_attributes_index_event")
    shown = [common(record["ShadowAttribute"]) for record in answer.json]
    expected = [common(record["ShadowAttribute"]) for record in response["json"]]
    assert [proposal["value"] for proposal in shown[:4]] == [proposal["value"] for proposal in expected[:4]]
    assert shown[:4] == expected[:4]
    assert shown[4]["proposal_to_delete"] is True
    of_all = recording("shadow_attributes_index")["response"]["json"][-1]["ShadowAttribute"]
    assert set(shown[4]) == set(of_all) and of_all["proposal_to_delete"] is True


@recorded
def test_proposals_come_with_their_event_as_recorded():
    misp = state()
    for name in ("add", "add_duplicate", "add_own_event", "edit_propose_change", "propose_delete"):
        replay(misp, f"shadow_attributes_{name}")
    answer, response = replay(misp, "events_view_with_proposals")
    shown, expected = answer.json["Event"], response["json"]["Event"]
    assert common(shown["ShadowAttribute"]) == common(expected["ShadowAttribute"])
    mine, real = (common(event["Attribute"][0]["ShadowAttribute"]) for event in (shown, expected))
    bare = [{name: value for name, value in proposal.items() if name != "warnings"} for proposal in real]
    assert mine == bare


@recorded
def test_reports_are_listed_as_recorded():
    misp = state()
    replay(misp, "event_reports_add")
    answer, response = replay(misp, "event_reports_index")
    shown, expected = (common(body) for body in (answer.json, response["json"]))
    assert shown == expected


@recorded
def test_an_accepted_proposal_changes_the_event():
    misp = state()
    for name in ("add", "add_duplicate", "add_own_event", "edit_propose_change"):
        replay(misp, f"shadow_attributes_{name}")
    misp.publish("8138790c-04a8-4621-9c51-11639eb382cc")
    accepted = post(misp, "/shadow_attributes/accept/1")
    assert accepted.json["name"] == recording("shadow_attributes_accept")["response"]["json"]["name"]
    changed = misp.event("254")
    assert {attribute["value"] for attribute in changed["Attribute"]} == {"203.0.113.50", "proposed.example.org"}
    assert changed["published"] is False


@recorded
def test_a_failure_over_an_emoji_leaves_the_event_without_attributes():
    misp = state()
    replay(misp, "emoji_attribute_in_events_add")
    (left,) = [event for event in misp.events() if event["info"] == "emoji attr"]
    assert left["Attribute"] == []


OWNER = "8138790c-04a8-4621-9c51-11639eb382cc"


def post(misp, path, body=None, user="admin"):
    return create_app(misp).test_client().post(path, json=body or {}, headers={"Authorization": misp.keys[user]})


def object_body(**changes):
    member = {"object_relation": "id", "type": "text", "value": "one"}
    fields = {"name": "thing", "meta-category": "misc", "description": "x", "template_uuid": OWNER}
    return {"Object": fields | {"template_version": "1", "Attribute": [member]} | changes}


def test_an_edited_object_has_what_was_sent_and_nothing_else():
    misp = state()
    two = [{"object_relation": relation, "type": "text", "value": relation} for relation in ("stays", "goes")]
    added = post(misp, f"/objects/add/{OWNER}", object_body(Attribute=two)).json["Object"]
    misp.publish(OWNER)
    stays = added["Attribute"][0] | {"value": "changed"}
    new = {"object_relation": "new", "type": "text", "value": "new"}
    post(
        misp,
        f"/objects/edit/{added['uuid']}",
        object_body(Attribute=[stays, new], first_seen="2026-11-20T08:00:00+00:00"),
    )
    (kept,) = misp.event("254")["Object"]
    live = {attribute["value"]: attribute["uuid"] for attribute in kept["Attribute"] if not attribute["deleted"]}
    assert live.keys() == {"changed", "new"} and live["changed"] == stays["uuid"]
    assert kept["first_seen"] == "2026-11-20T08:00:00.000000+00:00"
    assert misp.event("254")["published"] is False


@pytest.mark.parametrize("user", ["other_user", "other_publisher"])
@pytest.mark.parametrize("path", ["objects/edit/{object}", "objects/delete/{object}", "eventReports/edit/{report}"])
def test_others_objects_and_reports_are_not_edited(path, user):
    misp = state()
    added = post(misp, f"/objects/add/{OWNER}", object_body()).json["Object"]
    report = post(misp, "/eventReports/add/254", {"name": "r", "content": "c"}).json["EventReport"]
    before = json.dumps(misp.event("254"))
    answer = post(misp, f"/{path.format(object=added['uuid'], report=report['id'])}", object_body(), user)
    assert answer.status_code == 403 and json.dumps(misp.event("254")) == before


def test_an_edited_report_keeps_its_uuid_and_unpublishes():
    misp = state()
    report = post(misp, "/eventReports/add/254", {"name": "r", "content": "c"}).json["EventReport"]
    misp.publish(OWNER)
    edited = post(misp, f"/eventReports/edit/{report['id']}", {"EventReport": {"content": "d"}}).json["EventReport"]
    assert (edited["uuid"], edited["name"], edited["content"]) == (report["uuid"], "r", "d")
    assert misp.event("254")["published"] is False


def test_a_sharing_group_decides_who_sees_an_event():
    misp = state()
    third = organisation(3, "THIRD", "dddddddd-0000-4000-8000-0000000000a3")
    misp.keys["third"] = misp.add_user("User", third)
    group = misp.add_sharing_group("two of us", US, OTHERS)
    misp.load([event("300", "dddddddd-0000-4000-8000-000000000300", "4", sharing_group_id=group)])
    seen = {user: post(misp, "/events/view/300", user=user).status_code for user in ("other_user", "third")}
    assert seen == {"other_user": 200, "third": 404}
    groups = {user: post(misp, "/sharingGroups/index", user=user).json["response"] for user in ("other_user", "third")}
    assert [len(answer) for answer in groups.values()] == [1, 0]
