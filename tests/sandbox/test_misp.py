"""The sandbox's MISP answers as a real one was recorded to answer."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pymisp
import pytest

from sandbox.faults import Fault
from sandbox.misp.app import MispState, create_app
from sandbox.serve import Sandbox

RECORDINGS = Path(__file__).parents[2].parent / "shared" / "misp-recordings"
NOW = 1_795_290_400.0

PAGES = [
    "attributes_restSearch_no_match",
    "attributes_restSearch_page_nolimit",
    "attributes_restSearch_to_ids0",
    "attributes_restSearch_to_ids0_page3",
    "attributes_restSearch_to_ids0_page4_empty",
    "attributes_restSearch_to_ids1",
    "attributes_restSearch_unknown_tag",
    "attributes_restSearch_value",
    "events_restSearch_enforceWarninglist_0",
    "events_restSearch_eventid_not_found",
    "events_restSearch_form_content_type",
    "events_restSearch_get_url_params",
    "events_restSearch_gzip_accept",
    "events_restSearch_limit0",
    "events_restSearch_limit2_nopage",
    "events_restSearch_limit2_page0",
    "events_restSearch_limit2_page1",
    "events_restSearch_limit2_page2",
    "events_restSearch_limit2_page3",
    "events_restSearch_limit2_page4",
    "events_restSearch_limit2_page5",
    "events_restSearch_limit2_page_minus1",
    "events_restSearch_metadata",
    "events_restSearch_no_accept",
    "events_restSearch_no_match",
    "events_restSearch_order_bad",
    "events_restSearch_order_id_desc",
    "events_restSearch_order_timestamp_asc",
    "events_restSearch_page2_nolimit",
    "events_restSearch_page_huge",
    "events_restSearch_publish_timestamp_last",
    "events_restSearch_string_numbers",
    "events_restSearch_timestamp",
    "events_restSearch_timestamp_bad",
    "events_restSearch_to_ids_0",
    "events_restSearch_unknown_not_tag",
    "events_restSearch_unknown_parameter",
    "events_restSearch_unknown_tag",
    "events_restSearch_unknown_tag_plus_known",
    "events_restSearch_unknown_tag_string",
]
WARNINGLISTS = [
    *(f"attributes_restSearch_enforceWarninglist_limit2_page{number}" for number in range(1, 8)),
    "attributes_restSearch_enforceWarninglist_off",
    "attributes_restSearch_enforceWarninglist_on",
    "attributes_restSearch_includeWarninglistHits",
    "events_restSearch_enforceWarninglist_off",
    "events_restSearch_enforceWarninglist_on",
    "events_restSearch_includeWarninglistHits",
]
SERIES = [
    "events_restSearch_limit_text",
    "events_restSearch_page_text",
    "events_restSearch_uuid",
    "paging_shift_after_delete_page2",
    "paging_shift_after_unpublish_page2",
]
CLAIMED = [*PAGES, *WARNINGLISTS, *SERIES]

recorded = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings of a real MISP are not here")


def recording(name):
    return json.loads((RECORDINGS / f"{name}.json").read_text())


def events_of(name):
    body = recording(name)["response"]["json"]
    return [record["Event"] for record in body.get("response", [body])]


def series():
    """The two series of the paging recordings: some events whole, the rest as related events."""
    known = {}
    for name in ("events_restSearch_page_text", "paging_shift_after_delete_page2"):
        for event in events_of(name):
            related = {record["Event"]["uuid"]: record["Event"] for record in event["RelatedEvent"]}
            known = related | known | {event["uuid"]: event}
    return [event | {"published": True} for event in known.values()]


def warninglist():
    attributes = recording("attributes_restSearch_includeWarninglistHits")["response"]["json"]["response"]
    return {hit["value"] for attribute in attributes["Attribute"] for hit in attribute.get("warnings", ())}


def state_with(events=()):
    return MispState(events, clock=lambda: NOW)


def request_of(state, exchange):
    """The recorded request, with a key of the sandbox in place of the recorded one."""
    url, body = urlsplit(exchange["request"]["url"]), exchange["request"]["body"]
    keys = {"admin": state.key, "other_user": state.readonly_key, "other_readonly": state.readonly_key}
    headers = exchange["request"]["headers"] | {"Authorization": keys.get(exchange["as"], "wrong")}
    if exchange["as"] == "no key":
        del headers["Authorization"]
    data = body if body is None or isinstance(body, str) else json.dumps(body)
    path = f"{url.path}?{url.query}" if url.query else url.path
    return {"method": exchange["request"]["method"], "path": path, "headers": headers, "data": data}


def replay(state, name):
    exchange = recording(name)
    answer = create_app(state).test_client().open(**request_of(state, exchange))
    assert answer.status_code == exchange["response"]["status"]
    return answer, exchange["response"]


def rows(body):
    """The records of an answer, each with the attributes in it."""
    if isinstance(body["response"], dict):
        return [(attribute, []) for attribute in body["response"]["Attribute"]]
    return [(record["Event"], record["Event"].get("Attribute", [])) for record in body["response"]]


def identities(body):
    return [(record["id"], record["uuid"], [inner["id"] for inner in members]) for record, members in rows(body)]


def keys(body):
    return [(set(record), [set(inner) for inner in members]) for record, members in rows(body)]


def counts(headers):
    names = ("X-Result-Count", "X-Skipped-Elements-Count", "X-Response-Format", "Content-Disposition")
    return {name: headers.get(name) for name in (*names, "Content-Type")}


def assert_same(answer, response):
    assert counts(answer.headers) == counts(response["headers"])
    assert identities(answer.json) == identities(response["json"])
    assert keys(answer.json) == keys(response["json"])


@recorded
def test_claims_are_recordings():
    missing = [name for name in CLAIMED if not (RECORDINGS / f"{name}.json").exists()]
    assert (missing, len(CLAIMED)) == ([], len(set(CLAIMED)))


@recorded
@pytest.mark.parametrize("name", PAGES)
def test_pages(name):
    assert_same(*replay(state_with(events_of("events_restSearch_limit0")), name))


@recorded
@pytest.mark.parametrize("name", WARNINGLISTS)
def test_warninglists(name):
    state = state_with(events_of("events_restSearch_enforceWarninglist_off"))
    state.warninglist = warninglist()
    assert_same(*replay(state, name))


@recorded
@pytest.mark.parametrize("name", SERIES)
def test_series(name):
    state = state_with(series())
    if name == "paging_shift_after_unpublish_page2":
        state.unpublish("f33fc8cf-96ea-46be-a16e-770054480214")
    answer, response = replay(state, name)
    assert counts(answer.headers) == counts(response["headers"])
    assert [row[:2] for row in identities(answer.json)] == [row[:2] for row in identities(response["json"])]


@recorded
def test_deleted_attributes_on_request():
    (event,) = events_of("events_restSearch_deleted")
    state = state_with([event])
    assert_same(*replay(state, "events_restSearch_deleted"))
    shown = replay(state, "events_restSearch_without_proposals")[0].json["response"][0]["Event"]
    assert [attribute["deleted"] for attribute in shown["Attribute"]] == [False, False]


def small(number, **changes):
    event = {
        "uuid": f"00000000-0000-4000-8000-{number:012d}",
        "info": f"event {number}",
        "timestamp": 1000 + number,
        "published": True,
        "Attribute": [domain(f"n{number}.example")],
    }
    return event | changes


def domain(value, to_ids=True, **changes):
    return {"type": "domain", "category": "Network activity", "value": value, "to_ids": to_ids} | changes


def search(state, controller="events", **query):
    client = create_app(state).test_client()
    return client.post(f"/{controller}/restSearch", json=query, headers={"Authorization": state.readonly_key})


def event_ids(state, **query):
    return [record["Event"]["id"] for record in search(state, **query).json["response"]]


def test_published_false_is_applied_to_the_finished_page():
    state = state_with(small(number, published=number != 4) for number in range(1, 6))
    pages = [search(state, published=False, limit=2, page=page) for page in (1, 2, 3)]
    assert [[record["Event"]["id"] for record in page.json["response"]] for page in pages] == [[], ["4"], []]
    assert {page.headers["X-Result-Count"] for page in pages} == {"5"}
    assert event_ids(state, published=0, limit=2) == event_ids(state, published=[0]) == ["4"]
    assert event_ids(state, published=[0, 1]) == ["1", "2", "3", "4", "5"]


def test_offset_paging_skips_after_a_deletion():
    state = state_with(small(number) for number in range(1, 6))
    assert event_ids(state, limit=2, page=1) == ["1", "2"]
    state.delete("00000000-0000-4000-8000-000000000001")
    assert event_ids(state, limit=2, page=2) == ["4", "5"]


@pytest.mark.parametrize("checks", ["enforceWarninglist", "includeWarninglistHits"])
@pytest.mark.parametrize("leaves_out", ["metadata", "noShadowAttributes"])
def test_a_check_of_warninglists_wants_the_lists_that_metadata_leaves_out(checks, leaves_out):
    state = state_with([small(1)])
    assert search(state, **{checks: 1, leaves_out: 1}).status_code == 500
    assert search(state, **{checks: 1}).status_code == search(state, **{leaves_out: 1}).status_code == 200


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"eventid": [1, "00000000-0000-4000-8000-000000000003"]}, ["1", "3"]),
        ({"eventinfo": "%2"}, ["2"]),
        ({"eventinfo": "!event 2"}, ["1", "3"]),
        ({"org": "CERT"}, ["3"]),
        ({"tags": ["tlp:%"]}, ["1", "2"]),
        ({"tags": "tlp:red"}, ["2"]),
        ({"tags": ["!tlp:red"]}, ["1", "3"]),
        ({"tags": {"OR": ["tlp:red", "tlp:green"], "NOT": ["tlp:green"]}}, ["2"]),
        ({"tags": "TLP:RED"}, []),
        ({"tags": ["!TLP:RED"]}, ["1", "2", "3"]),
        ({"tags": ["TLP:%"]}, []),
        ({"tag": "tlp:red"}, ["2"]),
        ({"event_tags": ["inner"]}, []),
        ({"org": "cert"}, []),
        ({"eventinfo": "EVENT 2"}, []),
        ({"type": "DOMAIN", "value": "N2.example"}, ["2"]),
        ({"object_relation": "story_id"}, ["1"]),
        ({"sharing_group_id": 7}, ["2"]),
        ({"eventsExtendingUuid": "00000000-0000-4000-8000-000000000001"}, ["3"]),
        ({"object_name": ["story"]}, ["1", "2", "3"]),
        ({"Tags": ["tlp:red"]}, ["1", "2", "3"]),
        ({"threat_level": 1, "attribute_timestamp": "1h"}, ["1", "2", "3"]),
        ({"tags": ["inner"]}, ["3"]),
        ({"type": "domain", "value": "n2.%"}, ["2"]),
        ({"to_ids": 0}, ["3"]),
        ({"to_ids": False}, ["1", "2", "3"]),
        ({"category": ["Network activity", "!Other"]}, ["1", "2", "3"]),
        ({"timestamp": "1002"}, ["2", "3"]),
        ({"timestamp": [1001, "1002"]}, ["1", "2"]),
        ({"timestamp": "5d"}, []),
        ({"event_timestamp": 1003}, ["3"]),
        ({"publish_timestamp": "2d"}, ["2"]),
        ({"publish_timestamp": "2D"}, ["2"]),
        ({"last": "1d"}, []),
        ({"from": "2026-11-02"}, ["2", "3"]),
        ({"from": 1_793_577_600.0}, ["2", "3"]),
        ({"from": "2026-11-02", "to": "2026-11-02"}, ["2"]),
        ({"date": ["2026-11-01", "2026-11-02"]}, ["1", "2"]),
    ],
)
def test_filters(query, expected):
    inner = domain("n3.example", to_ids=False, Tag=[{"name": "inner"}])
    member = {"type": "text", "category": "Other", "value": "1", "to_ids": True, "object_relation": "story_id"}
    story = {"name": "story", "Attribute": [member]}
    events = [
        small(1, date="2026-11-01", Tag=[{"name": "tlp:green"}], Object=[story]),
        small(2, date="2026-11-02", Tag=[{"name": "tlp:red"}], publish_timestamp=int(NOW) - 90_000, sharing_group_id=7),
        small(
            3,
            date="2026-11-03",
            Orgc={"name": "CERT", "uuid": "c"},
            Attribute=[inner],
            extends_uuid="00000000-0000-4000-8000-000000000001",
        ),
    ]
    assert event_ids(state_with(events), **query) == expected


def test_attribute_search_has_object_members_and_inherited_tags():
    member = {"type": "md5", "category": "Payload delivery", "value": "0" * 32, "object_relation": "md5"}
    object_ = {"name": "file", "Attribute": [member]}
    state = state_with([small(1, Object=[object_], Tag=[{"name": "tlp:red"}])])
    answer = search(state, "attributes", includeEventTags=1, eventid="1").json["response"]["Attribute"]
    assert [attribute["object_id"] for attribute in answer] == ["0", "1"]
    assert [attribute["Tag"][0]["inherited"] for attribute in answer] == [1, 1]


def test_loading_again_keeps_the_ids():
    state = state_with([small(1), small(2)])
    before = search(state).json["response"]
    state.load([{"Event": before[1]["Event"] | {"info": "changed"}}])
    after = search(state).json["response"]
    assert after[1]["Event"] == before[1]["Event"] | {"info": "changed"}
    assert after[0] == before[0]


def test_index_leaves_out_the_empty_and_the_protected():
    state = state_with([small(1), small(2, Attribute=[]), small(3, protected=True)])
    client = create_app(state).test_client()
    answer = client.post("/events/index", json={"minimal": 1}, headers={"Authorization": state.key})
    assert [row["id"] for row in answer.json] == ["1"]


def test_requests_are_noted():
    state = state_with([small(1)])
    search(state, limit=3)
    assert state.requests == [("POST", "/events/restSearch", {"limit": 3})]


def test_pymisp_works_over_tls():
    with Sandbox(state_misp=state_with(small(number) for number in range(1, 4))) as box:
        misp = pymisp.PyMISP(box.misp_url, box.misp.readonly_key, ssl=box.ca_file)
        events = misp.search(published=1, limit=2, page=1, pythonify=True)
        rows = misp.search_index(minimal=True)
        attributes = misp.search(controller="attributes", to_ids=1)
        event = misp.get_event(3, pythonify=True)
    assert [event.info for event in events] == ["event 1", "event 2"]
    assert [row["id"] for row in rows] == ["1", "2", "3"]
    assert [attribute["value"] for attribute in attributes["Attribute"]] == ["n1.example", "n2.example", "n3.example"]
    assert event.attributes[0].value == "n3.example"


def test_faults_reach_misp():
    state = state_with([small(1)])
    state.faults.add(Fault("restSearch", "truncate"))
    state.faults.add(Fault("restSearch", "reset-before"))
    with pytest.raises(json.JSONDecodeError):
        json.loads(search(state).data)
    with pytest.raises(ConnectionResetError):
        search(state)
    assert event_ids(state) == ["1"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"tags": {"not": ["tlp:red"]}}, 500),
        ({"tags": {"AND": "tlp:red"}}, 500),
        ({"tags": {"OR": "tlp:red"}}, 200),
        ({"tags": {"XOR": ["tlp:red"]}}, 500),
        ({"threat_level_id": {"NOT": [4]}}, 500),
        ({"published": {"OR": [1]}}, 500),
        ({"searchall": ["x"]}, 500),
    ],
    ids=str,
)
def test_forms_at_which_misp_fails(query, status):
    assert search(state_with([small(1)]), **query).status_code == status
