"""Edits of the sandbox's MISP have the effects that were measured on MISP 2.5.1."""

import time

import pytest

from sandbox.misp.app import MispState, create_app
from sandbox.misp.records import ORGANISATION

START = 1_795_290_000
EVENT = "00000000-0000-4000-8000-000000000001"
FIRST = "00000000-0000-4000-8000-00000000000a"
SECOND = "00000000-0000-4000-8000-00000000000b"
GONE = "00000000-0000-4000-8000-00000000000c"
OBJECT = "00000000-0000-4000-8000-00000000000e"
MEMBERS = [f"00000000-0000-4000-8000-0000000000f{number}" for number in range(3)]
UNKNOWN = "00000000-0000-4000-8000-0000000000ff"
THEIRS = "99999999-9999-4999-8999-999999999999"


class Clock:
    def __init__(self):
        self.now = START + 1000.5

    def __call__(self):
        return self.now


def attribute(uuid, **changes):
    fields = {"uuid": uuid, "type": "domain", "category": "Network activity", "value": f"{uuid[-2:]}.example"}
    return fields | {"to_ids": True, "timestamp": START} | changes


def event(**changes):
    fields = {
        "uuid": EVENT,
        "info": "one",
        "timestamp": START,
        "publish_timestamp": START + 5,
        "published": True,
        "Tag": [{"name": "global"}, {"name": "local", "local": True}],
        "Attribute": [
            attribute(FIRST, Tag=[{"name": "global"}, {"name": "local", "local": True}]),
            attribute(SECOND),
            attribute(GONE, deleted=True),
        ],
        "Object": [{"uuid": OBJECT, "name": "file", "Attribute": [attribute(uuid) for uuid in MEMBERS]}],
    }
    return fields | changes


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def misp(clock):
    return MispState([event()], clock=clock)


def post(misp, path, key=None, **body):
    return create_app(misp).test_client().post(path, json=body, headers={"Authorization": key or misp.key})


def listing(misp, key=None, **query):
    return post(misp, "/events/index", key, minimal=1, **query).json


def search(misp, key=None, **query):
    return [record["Event"] for record in post(misp, "/events/restSearch", key, **query).json["response"]]


def attributes(misp, **query):
    answer = post(misp, "/attributes/restSearch", eventid=EVENT, **query).json["response"]["Attribute"]
    return {attribute["uuid"]: attribute for attribute in answer}


def members(misp):
    """All attributes of the event that live, as events/restSearch shows them."""
    (shown,) = search(misp, uuid=EVENT)
    inner = [attribute for object_ in shown["Object"] for attribute in object_["Attribute"]]
    return {attribute["uuid"]: attribute for attribute in [*shown["Attribute"], *inner]}


MOVING = {
    "info": lambda misp: misp.edit_info(EVENT, "two"),
    "value": lambda misp: misp.edit_attribute(EVENT, FIRST, value="new.example"),
    "comment": lambda misp: misp.edit_attribute(EVENT, FIRST, comment="new"),
    "type": lambda misp: misp.edit_attribute(EVENT, FIRST, type="hostname"),
    "to_ids": lambda misp: misp.edit_attribute(EVENT, FIRST, to_ids=False),
    "last_seen": lambda misp: misp.edit_attribute(EVENT, FIRST, last_seen="2026-11-01T00:00:00.000000+00:00"),
    "member of an object": lambda misp: misp.edit_attribute(EVENT, MEMBERS[0], value="new"),
    "tag on event": lambda misp: misp.tag_event(EVENT, "new"),
    "tag off event": lambda misp: misp.untag_event(EVENT, "global"),
    "tag on attribute": lambda misp: misp.tag_attribute(EVENT, SECOND, "new"),
    "tag off attribute": lambda misp: misp.untag_attribute(EVENT, FIRST, "global"),
    "add": lambda misp: misp.add_attribute(EVENT, attribute(UNKNOWN)),
    "soft delete": lambda misp: misp.soft_delete(EVENT, FIRST),
    "restore": lambda misp: misp.restore(EVENT, GONE),
    "hard delete": lambda misp: misp.hard_delete(EVENT, FIRST),
    "object": lambda misp: misp.delete_object(EVENT, OBJECT),
}
STILL = {
    "local tag on event": lambda misp: misp.tag_event(EVENT, "new", local=True),
    "local tag off event": lambda misp: misp.untag_event(EVENT, "local"),
    "local tag on attribute": lambda misp: misp.tag_attribute(EVENT, FIRST, "new", local=True),
    "local tag off attribute": lambda misp: misp.untag_attribute(EVENT, FIRST, "local"),
    "tag that is there, on event": lambda misp: misp.tag_event(EVENT, "global"),
    "tag that is there, on attribute": lambda misp: misp.tag_attribute(EVENT, FIRST, "global"),
    "warninglist": lambda misp: misp.warninglist.add("0a.example"),
    "published again": lambda misp: misp.publish(EVENT),
}
# The attributes that get the time of the edit.
DATED = {
    **dict.fromkeys(("value", "comment", "type", "to_ids", "last_seen", "tag off attribute"), FIRST),
    "member of an object": MEMBERS[0],
    "tag on attribute": SECOND,
    "add": UNKNOWN,
    "restore": GONE,
}
COUNTS = {"add": 6, "soft delete": 4, "restore": 6, "hard delete": 4, "object": -1}
REFUSED = {
    "event": lambda misp: misp.publish(UNKNOWN),
    "attribute": lambda misp: misp.edit_attribute(EVENT, UNKNOWN, value="x"),
    "field": lambda misp: misp.edit_attribute(EVENT, FIRST, values="x"),
    "tag of event": lambda misp: misp.untag_event(EVENT, "other"),
    "tag of attribute": lambda misp: misp.untag_attribute(EVENT, SECOND, "global"),
    "deleted already": lambda misp: misp.soft_delete(EVENT, GONE),
    "not deleted": lambda misp: misp.restore(EVENT, FIRST),
    "object": lambda misp: misp.delete_object(EVENT, UNKNOWN),
}


@pytest.mark.parametrize("name", MOVING)
def test_an_edit_moves_the_row_and_unpublishes(misp, clock, name):
    MOVING[name](misp)
    (shown,) = search(misp, uuid=EVENT, metadata=1)
    assert (shown["timestamp"], shown["publish_timestamp"]) == (str(int(clock.now)), str(START + 5))
    assert not shown["published"]
    dated = {uuid for uuid, attribute in members(misp).items() if attribute["timestamp"] == shown["timestamp"]}
    assert dated == ({DATED[name]} if name in DATED else set())


@pytest.mark.parametrize("name", MOVING)
def test_an_edit_in_the_same_second_still_moves_the_row(misp, clock, name):
    clock.now = START - 100
    MOVING[name](misp)
    assert misp.event(EVENT)["timestamp"] == str(START + 1)


@pytest.mark.parametrize("name", MOVING)
def test_edits_keep_the_counter_right_but_for_objects(misp, name):
    MOVING[name](misp)
    assert search(misp, uuid=EVENT)[0]["attribute_count"] == str(COUNTS.get(name, 5))
    assert len(members(misp)) == COUNTS.get(name, 5) + (3 if name == "object" else 0)


@pytest.mark.parametrize("name", STILL)
def test_what_does_not_move_the_row(misp, name):
    before = listing(misp)
    STILL[name](misp)
    assert listing(misp) == before
    assert {attribute["timestamp"] for attribute in members(misp).values()} == {str(START)}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_changes_nothing(misp, name):
    before = search(misp, deleted=[0, 1])
    with pytest.raises(KeyError):
        REFUSED[name](misp)
    assert search(misp, deleted=[0, 1]) == before


def test_the_row_leaves_with_drifted_counters_while_the_event_lives():
    misp = MispState([event(Attribute=[attribute(FIRST), attribute(SECOND), attribute(UNKNOWN)])])
    misp.delete_object(EVENT, OBJECT)
    assert listing(misp) == []
    assert (search(misp, uuid=EVENT)[0]["attribute_count"], set(members(misp))) == ("0", {FIRST, SECOND, UNKNOWN})


def test_protected_event_leaves_the_index_only(misp):
    misp.protect(EVENT)
    assert (listing(misp), len(search(misp, uuid=EVENT))) == ([], 1)


def test_publishing_moves_publish_timestamp_only(misp, clock):
    misp.edit_info(EVENT, "two")
    edited = misp.event(EVENT)["timestamp"]
    clock.now += 60
    misp.publish(EVENT)
    (shown,) = search(misp, metadata=1, excludeGalaxy=1)
    assert (shown["timestamp"], shown["publish_timestamp"]) == (edited, str(int(clock.now)))
    assert (shown["published"], shown["Galaxy"], "Attribute" in shown) == (True, [], False)


def test_unpublishing_keeps_the_timestamps(misp):
    before = listing(misp)[0]
    misp.unpublish(EVENT)
    assert listing(misp) == [before | {"published": False}]
    assert listing(misp, published=1) == []
    assert misp.event(EVENT)["publish_timestamp"] == str(START + 5)


def test_local_tags_are_shown_as_such(misp):
    misp.tag_event(EVENT, "mine", local=True)
    misp.tag_attribute(EVENT, SECOND, "mine", local=True)
    flags = {"global": False, "local": True, "mine": True}
    for query in ({"metadata": 1, "excludeGalaxy": 1}, {}):
        (shown,) = search(misp, **query)
        assert {tag["name"]: tag["local"] for tag in shown["Tag"]} == flags
    assert [(tag["name"], tag["local"]) for tag in attributes(misp)[SECOND]["Tag"]] == [("mine", True)]


def test_tags_of_one_name_have_one_id_and_the_last_one_leaves_no_trace(misp):
    misp.tag_attribute(EVENT, SECOND, "global")
    (shown,) = search(misp, uuid=EVENT)
    assert members(misp)[SECOND]["Tag"][0]["id"] == shown["Tag"][0]["id"]
    misp.untag_attribute(EVENT, SECOND, "global")
    assert "Tag" not in members(misp)[SECOND]


@pytest.mark.parametrize("named", [{"uuid": EVENT}, {"eventid": EVENT}, {"eventid": [EVENT]}])
@pytest.mark.parametrize(("tags", "count"), [({}, 1), ({"tags": ["global"]}, 1), ({"tags": ["other"]}, 0)])
def test_an_event_by_uuid_has_to_match_the_tags_too(misp, named, tags, count):
    assert len(search(misp, **named, **tags)) == count


def test_deleted_attributes_are_shown_on_request(misp):
    misp.soft_delete(EVENT, FIRST)
    misp.soft_delete(EVENT, MEMBERS[0])
    misp.hard_delete(EVENT, SECOND)
    misp.hard_delete(EVENT, MEMBERS[1])
    assert set(members(misp)) == set(attributes(misp)) == {MEMBERS[2]}
    assert set(attributes(misp, deleted=[0, 1])) == {FIRST, GONE, MEMBERS[0], MEMBERS[2]}


def test_members_of_a_deleted_object_are_shown_on_request(misp):
    misp.delete_object(EVENT, OBJECT)
    assert set(attributes(misp)) == {FIRST, SECOND}
    assert set(attributes(misp, deleted=[0, 1])) == {FIRST, SECOND, GONE, *MEMBERS}


def test_deleting_an_event(misp):
    misp.delete(EVENT)
    assert (listing(misp), search(misp, uuid=EVENT)) == ([], [])


@pytest.mark.parametrize(("published", "moment"), [(True, str(START + 1000)), (False, "0")])
def test_adding_an_event(misp, published, moment):
    bare = {"info": "two", "published": published, "Attribute": [{"type": "domain", "value": "x.example"}]}
    uuid = misp.add_event({"Event": bare})
    (shown,) = search(misp, uuid=uuid)
    assert (shown["timestamp"], shown["publish_timestamp"]) == (str(START + 1000), moment)
    assert (shown["published"], shown["attribute_count"]) == (published, "1")
    assert shown["Attribute"][0]["timestamp"] == str(START + 1000)
    with pytest.raises(ValueError, match="already exists"):
        misp.add_event(shown)


def sees(misp, key):
    """Whether a key sees the event: in the index, by restSearch twice, and by view."""
    view = create_app(misp).test_client().get(f"/events/view/{EVENT}", headers={"Authorization": key})
    inner = post(misp, "/attributes/restSearch", key, eventid=EVENT).json["response"]["Attribute"]
    return [bool(listing(misp, key)), bool(search(misp, key, uuid=EVENT)), bool(inner), view.status_code == 200]


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("published", [True, False])
@pytest.mark.parametrize("theirs", [True, False])
@pytest.mark.parametrize("admin", [True, False])
def test_unpublishedprivate(private, published, theirs, admin):
    organisation = {"name": "THEIRS", "uuid": THEIRS} if theirs else ORGANISATION
    misp = MispState([event(published=published, Orgc=organisation)])
    misp.unpublishedprivate = private
    hidden = private and theirs and not published and not admin
    assert sees(misp, misp.key if admin else misp.readonly_key) == [not hidden] * 4


def test_whose_an_event_is_follows_the_readers_organisation():
    misp = MispState([event(published=False, Orgc={"name": "THEIRS", "uuid": THEIRS})])
    misp.unpublishedprivate, misp.organisation_uuid = True, THEIRS
    assert sees(misp, misp.readonly_key) == [True] * 4


def scores(misp, **query):
    answer = post(misp, "/attributes/restSearch", misp.readonly_key, eventid=EVENT, **query).json["response"][
        "Attribute"
    ]
    return {attribute["uuid"]: attribute.get("decay_score") for attribute in answer}


def test_scores_are_shown_to_who_asks_and_move_nothing(misp):
    before = listing(misp, misp.readonly_key)
    misp.score(EVENT, FIRST, 12.5, "NIDS")
    misp.score(EVENT, FIRST, 30, "Phishing")
    misp.score(EVENT, SECOND, 45, "Phishing", threshold=50)
    shown = scores(misp, includeDecayScore=1)
    assert [(score["score"], score["decayed"], score["DecayingModel"]) for score in shown[FIRST]] == [
        (12.5, True, {"id": "1", "name": "NIDS"}),
        (30, False, {"id": "2", "name": "Phishing"}),
    ]
    assert [(score["decayed"], score["DecayingModel"]["id"]) for score in shown[SECOND]] == [(True, "2")]
    assert not any(scores(misp).values())
    assert not any(
        "decay_score" in attribute for attribute in search(misp, uuid=EVENT, includeDecayScore=1)[0]["Attribute"]
    )
    assert listing(misp, misp.readonly_key) == before
    with pytest.raises(KeyError):
        misp.score(EVENT, UNKNOWN, 1)


def test_scores_bring_the_events_tags_along(misp):
    misp.tag_event(EVENT, "of the event")
    for query, shown in (({"includeDecayScore": 1}, True), ({}, False)):
        first = post(misp, "/attributes/restSearch", eventid=EVENT, **query).json["response"]["Attribute"][0]
        assert ("of the event" in [tag["name"] for tag in first.get("Tag", []) if tag.get("inherited")]) is shown


def me(misp, key):
    return create_app(misp).test_client().get("/users/view/me", headers={"Authorization": key}).json


def test_accounts_tell_the_keys_apart(misp):
    misp.organisation_uuid = THEIRS
    admin, reader = me(misp, misp.key), me(misp, misp.readonly_key)
    assert (admin["Role"]["perm_site_admin"], reader["Role"]["perm_site_admin"]) == (True, False)
    assert (admin["Organisation"]["uuid"], reader["Organisation"]["uuid"]) == (ORGANISATION["uuid"], THEIRS)
    for account in (admin, reader):
        assert account["User"]["org_id"] == account["Organisation"]["id"]
    for name in ("id", "email", "org_id"):
        assert admin["User"][name] != reader["User"][name]


def test_the_instance_has_a_uuid_that_can_change(misp):
    misp.uuid = UNKNOWN
    headers = {"Authorization": misp.readonly_key}
    answer = create_app(misp).test_client().get("/servers/getVersion", headers=headers)
    assert answer.json["uuid"] == UNKNOWN


def test_index_is_whole_unless_a_page_is_asked_for_and_quick():
    misp = MispState({"info": str(number), "attribute_count": 1} for number in range(50_000))
    started = time.perf_counter()
    rows = listing(misp, misp.readonly_key)
    assert time.perf_counter() - started < 5
    assert len(rows) == 50_000
    assert set(rows[0]) == {"id", "timestamp", "sighting_timestamp", "published", "uuid", "orgc_uuid"}
    assert [row["id"] for row in listing(misp, limit=2, page=2)] == ["3", "4"]
