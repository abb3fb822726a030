"""The sandbox's management API answers queries as Microsoft's description has it."""

from base64 import b64decode

import pytest

from sandbox.azure.app import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE_NAME, AzureState, create_app
from sandbox.faults import Fault

VERSION = "2025-07-01-preview"
URL = (
    "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.OperationalInsights/workspaces/{}"
    "/providers/Microsoft.SecurityInsights/threatIntelligence/main/query"
)
OTHER = "44444444-4444-4444-8444-444444444444"
NAMES = (SUBSCRIPTION, RESOURCE_GROUP, WORKSPACE_NAME)


class Clock:
    def __init__(self):
        self.now = 1_800_000_000.25

    def __call__(self):
        return self.now


class Client:
    """Asks the management API as a program with a token would."""

    def __init__(self, state):
        self.http = create_app(state).test_client()
        state.grant("token")

    def post(self, body, names=NAMES, token="token", version=VERSION, url=URL):
        headers = {"Authorization": f"Bearer {token}"}
        return self.http.post(f"{url.format(*names)}?api-version={version}", json=body, headers=headers)

    def follow(self, link, method="GET"):
        return self.http.open(link, method=method, headers={"Authorization": "Bearer token"})

    def all_records(self, **body):
        """All records of a query, page by page."""
        answer = self.post(body).json
        records = answer["value"]
        while "nextLink" in answer:
            answer = self.follow(answer["nextLink"]).json
            records += answer["value"]
        return records


def identifier(number, kind="indicator"):
    return f"{kind}--00000000-0000-4000-8000-{number:012d}"


def stix_object(number, kind="indicator", **changes):
    return {"type": kind, "id": identifier(number, kind), "pattern": f"[domain-name:value = 'n{number}']"} | changes


def clause(field, *values, operator="Equals"):
    return {"field": field, "operator": operator, "values": list(values)}


def condition(*clauses, connective="And", kind="indicator"):
    return {"stixObjectType": kind, "conditionConnective": connective, "clauses": list(clauses)}


def numbers(records):
    return [int(record["name"][-12:]) for record in records]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def state(clock):
    """Three objects of MISP, the second revoked and the third expired, and two of others."""
    state = AzureState(clock=clock)
    state.add_workspace(OTHER)
    objects = [
        ("MISP", stix_object(1)),
        ("MISP", stix_object(2, revoked=True)),
        ("MISP", stix_object(3, valid_until="2020-01-01T00:00:00Z")),
        ("other", stix_object(4)),
        ("MISP", stix_object(5, "identity")),
    ]
    for source, object_ in objects:
        state.store(state.workspace_id, source, object_)
        clock.now += 1
    state.store(OTHER, "MISP", stix_object(6))
    return state


@pytest.fixture
def client(state):
    return Client(state)


def test_a_count_is_of_what_a_query_gives(client):
    url = URL.removesuffix("query") + "count"
    ours = condition(clause("source", "MISP"))
    assert client.post({"condition": ours}, url=url).json == {"count": len(client.all_records(condition=ours))}
    assert client.post({}, url=url).json == {"count": 5}
    assert client.post({"condition": ours}, url=url, token="another").status_code == 401


def test_record_has_the_whole_object_and_its_times(client, state, clock):
    again = stix_object(1, labels=["again"])
    clock.now = 1_800_000_060.5
    state.store(state.workspace_id, "MISP", again)
    (record,) = client.all_records(condition=condition(clause("id", identifier(1))))
    source, _, stix_id = record["name"].partition("---")
    assert (b64decode(source), stix_id) == (b"MISP", identifier(1))
    place = URL.format(*NAMES).removesuffix("/threatIntelligence/main/query")
    assert record["id"] == f"{place}/threatintelligence/{record['name']}"
    assert record["properties"] == {
        "data": again,
        "source": "MISP",
        "firstIngestedTimeUtc": "2027-01-15T08:00:00.2500000",
        "lastIngestedTimeUtc": "2027-01-15T08:01:00.5000000",
        "lastUpdatedDateTimeUtc": "2027-01-15T08:01:00.5000000",
    }


KINDS = {
    "indicator": "Indicator",
    "attack-pattern": "AttackPattern",
    "identity": "Identity",
    "relationship": "Relationship",
    "threat-actor": "ThreatActor",
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_listed_and_counted_apart_by_its_type_or_its_name(client, state, kind):
    for number, other in enumerate(KINDS):
        state.store(state.workspace_id, "kinds", stix_object(number, other, revoked=number % 2 == 0))
    for asked in (kind, KINDS[kind], KINDS[kind].lower()):
        ours = condition(clause("source", "kinds"), kind=asked)
        (record,) = client.all_records(condition=ours)
        assert (record["kind"], record["properties"]["data"]["type"]) == (KINDS[kind], kind)
        assert client.post({"condition": ours}, url=URL.removesuffix("query") + "count").json == {"count": 1}


def test_an_indicator_can_be_deleted_and_nothing_else(client, state):
    def delete(name, token="token"):
        url = URL.format(*NAMES).removesuffix("query") + f"indicators/{name}?api-version={VERSION}"
        return client.http.delete(url, headers={"Authorization": f"Bearer {token}"}).status_code

    names = {record["properties"]["data"]["id"]: record["name"] for record in client.all_records()}
    indicator, identity = (names[identifier(*named)] for named in ((1,), (5, "identity")))
    assert [delete(indicator, "another"), delete(identity), delete(indicator), delete(indicator)] == [
        401,
        400,
        200,
        204,
    ]
    assert sorted(numbers(client.all_records())) == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (None, [1, 2, 3, 4, 5]),
        ({}, [1, 2, 3, 4, 5]),
        (condition(), [1, 2, 3, 4]),
        (condition(kind=None), [1, 2, 3, 4, 5]),
        (condition(clause("source", "MISP")), [1, 2, 3]),
        (condition(clause("source", "misp")), []),
        (condition(clause("source", "MISP", "other")), [1, 2, 3, 4]),
        (condition(clause("id", identifier(4)), connective=None), [4]),
        (condition(clause("id", identifier(4)), clause("source", "MISP")), []),
        (condition(clause("id", identifier(4)), clause("source", "MISP"), connective="Or"), [1, 2, 3, 4]),
        (condition(connective="Or"), [1, 2, 3, 4]),
    ],
)
def test_conditions(client, asked, expected):
    assert sorted(numbers(client.all_records(condition=asked))) == expected


@pytest.mark.parametrize(("direction", "expected"), [("ASC", [2, 3, 1]), ("DESC", [1, 3, 2])])
def test_sorting_by_the_last_update(client, state, direction, expected):
    state.store(state.workspace_id, "MISP", stix_object(1))
    order = {"field": "lastUpdatedTimeUtc", "direction": direction}
    assert numbers(client.all_records(condition=condition(clause("source", "MISP")), sortBy=order)) == expected


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pages(client, method):
    first = client.post({"minPageSize": 2, "maxPageSize": 2}).json
    second = client.follow(first["nextLink"], method).json
    third = client.follow(second["nextLink"], method).json
    assert first["nextLink"].startswith(f"http://localhost{URL.format(*NAMES)}?api-version={VERSION}&")
    assert [len(page["value"]) for page in (first, second, third)] == [2, 2, 1]
    assert "nextLink" not in third
    assert client.follow(first["nextLink"], method).json == second


def test_pages_show_what_was_there_at_the_first(client, state):
    first = client.post({"maxPageSize": 2, "sortBy": {"field": "lastUpdatedTimeUtc", "direction": "DESC"}}).json
    state.store(state.workspace_id, "MISP", stix_object(9))
    second = client.follow(first["nextLink"]).json
    assert not {record["name"] for record in first["value"]} & {record["name"] for record in second["value"]}


def test_a_page_is_a_hundred_unless_asked_otherwise(client, state):
    for number in range(10, 110):
        state.store(state.workspace_id, "MISP", stix_object(number))
    assert len(client.post({}).json["value"]) == 100
    assert len(client.all_records()) == 105


def test_only_the_latest_answers_can_be_continued(client):
    link = client.post({"maxPageSize": 2}).json["nextLink"]
    for _ in range(8):
        client.post({"maxPageSize": 2})
    assert client.follow(link).status_code == 400


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"token": "wrong"}, 401, "InvalidAuthenticationToken"),
        ({"version": "2024-02-01-preview"}, 400, "InvalidApiVersionParameter"),
        ({"names": (OTHER, RESOURCE_GROUP, WORKSPACE_NAME)}, 404, "ResourceNotFound"),
        ({"names": (SUBSCRIPTION, "other", WORKSPACE_NAME)}, 404, "ResourceNotFound"),
        ({"names": (SUBSCRIPTION, RESOURCE_GROUP, "other")}, 404, "ResourceNotFound"),
        ({"body": []}, 400, "BadRequest"),
        ({"body": {"minPageSize": 3, "maxPageSize": 2}}, 400, "BadRequest"),
        ({"body": {"maxPageSize": "2"}}, 400, "BadRequest"),
        ({"body": {"condition": condition(kind="malware")}}, 400, "BadRequest"),
        ({"body": {"condition": condition(clause("labels", "x"))}}, 501, "NotImplemented"),
        ({"body": {"condition": condition(clause("id", "x", operator="Like"))}}, 501, "NotImplemented"),
        ({"body": {"condition": condition(connective="Nor")}}, 501, "NotImplemented"),
        ({"body": {"sortBy": {"field": "id", "direction": "ASC"}}}, 501, "NotImplemented"),
    ],
)
def test_refusals(client, options, status, code):
    answer = client.post(**{"body": {}, **options})
    assert (answer.status_code, answer.json["error"]["code"]) == (status, code)
    assert answer.headers["x-ms-error-code"] == code


def test_a_query_does_not_start_with_get(client):
    assert client.follow(f"{URL.format(*NAMES)}?api-version={VERSION}").status_code == 405


def test_client_without_permission(client, state):
    state.allowed.clear()
    assert client.post({}).json["error"]["code"] == "AuthorizationFailed"


def test_names_in_any_case_and_of_another_workspace(client, state):
    state.management_names[OTHER, "other", "second"] = OTHER
    assert numbers(client.post({}, (OTHER, "OTHER", "Second")).json["value"]) == [6]


def test_faults_reach_the_query(client, state):
    state.faults.add(Fault("threatIntelligence/main/query", "status", status=429, headers={"Retry-After": "7"}))
    answer = client.post({})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert client.post({}).status_code == 200


def test_uploaded_objects_are_found(client, state):
    indicator = stix_object(8, created="2026-11-20T08:00:00Z", modified="2026-11-20T08:00:00Z", pattern_type="stix")
    indicator["valid_from"] = "2026-11-20T08:00:00Z"
    url = f"/workspaces/{state.workspace_id}/threat-intelligence-stix-objects:upload?api-version=2024-02-01-preview"
    body = {"sourcesystem": "uploaded", "stixobjects": [indicator]}
    assert client.http.post(url, json=body, headers={"Authorization": "Bearer token"}).status_code == 200
    (record,) = client.all_records(condition=condition(clause("source", "uploaded")))
    assert record["properties"]["data"] == indicator
