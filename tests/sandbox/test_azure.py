"""The sandbox's Azure keeps the documented contract of the upload APIs."""

import msal
import pytest
import requests

from sandbox.azure.app import AzureState, create_app
from sandbox.faults import Fault
from sandbox.serve import Sandbox

SCOPE = "https://management.azure.com/.default"
UPLOAD = "/workspaces/{}/threat-intelligence-stix-objects:upload?api-version=2024-02-01-preview"
LEGACY = "/workspaces/{}/threatintelligenceindicators:upload?api-version=2022-07-01"
OLDEST = "/{}/threatintelligence:upload-indicators"
OTHER = "44444444-4444-4444-8444-444444444444"


class Clock:
    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now


class Client:
    """Uploads as a program with a token would."""

    def __init__(self, state):
        self.state = state
        self.http = create_app(state).test_client()
        self.headers = {"Authorization": f"Bearer {self.token().json['access_token']}"}

    def token(self, tenant=None, **changes):
        form = {
            "client_id": self.state.client_id,
            "client_secret": self.state.client_secret,
            "grant_type": "client_credentials",
            "scope": SCOPE,
        }
        return self.http.post(f"/{tenant or self.state.tenant}/oauth2/v2.0/token", data=form | changes)

    def post(self, body, url=UPLOAD, workspace=None):
        path = url.format(workspace or self.state.workspace_id)
        return self.http.post(path, json=body, headers=self.headers)

    def upload(self, *things, source="MISP", **options):
        return self.post({"sourcesystem": source, "stixobjects": list(things)}, **options)


def identifier(number, kind="indicator"):
    return f"{kind}--00000000-0000-4000-8000-{number:012d}"


def indicator(number=1, **changes):
    fields = {
        "type": "indicator",
        "spec_version": "2.1",
        "id": identifier(number),
        "created": "2026-11-20T08:00:00.000Z",
        "modified": "2026-11-20T08:00:00.000Z",
        "pattern": "[domain-name:value = 'bad.example']",
        "pattern_type": "stix",
        "valid_from": "2026-11-20T08:00:00Z",
    }
    return {name: value for name, value in (fields | changes).items() if value is not ...}


CONTEXT = {
    "identity": {"name": "CERT", "identity_class": "organization"},
    "threat-actor": {"name": "Sandbox Spider", "aliases": ["Loader Crew"], "first_seen": "2026-01-01T00:00:00Z"},
    "attack-pattern": {"name": "Phishing", "external_references": [{"source_name": "x", "external_id": "T1566"}]},
    "relationship": {
        "relationship_type": "indicates",
        "source_ref": identifier(1),
        "target_ref": identifier(1, "threat-actor"),
    },
}


def context(kind, number=1, **changes):
    times = {"created": "2026-11-20T08:00:00.000Z", "modified": "2026-11-20T08:00:00.000Z"}
    fields = {"type": kind, "id": identifier(number, kind), **times, **CONTEXT[kind], **changes}
    return {name: value for name, value in fields.items() if value is not ...}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def state(clock):
    return AzureState(clock=clock)


@pytest.fixture
def client(state):
    return Client(state)


@pytest.mark.parametrize(
    ("changes", "status", "error", "code"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_id": OTHER}, 400, "unauthorized_client", 700016),
        ({"scope": "https://graph.microsoft.us/.default"}, 400, "invalid_scope", 70011),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"tenant": OTHER}, 400, "invalid_request", 90002),
    ],
)
def test_login_refuses_with_the_documented_code(client, changes, status, error, code):
    answer = client.token(**changes)
    assert (answer.status_code, answer.json["error"], answer.json["error_codes"]) == (status, error, [code])
    assert answer.json["error_description"].startswith(f"AADSTS{code}: ")


def test_complete_success_has_an_empty_body(client, state):
    answer = client.upload(indicator(1), indicator(2))
    assert (answer.status_code, answer.data) == (200, b"")
    assert set(state.live()) == {identifier(1), identifier(2)}


def test_partial_success_names_the_records_by_index(client, state):
    answer = client.upload(indicator(1), indicator(2, id=...), indicator(3))
    message = "Error for Property=id: Required property is missing. Actual value: NULL."
    assert answer.status_code == 200
    assert answer.json == {"errors": [{"recordIndex": 1, "errorMessages": [message]}]}
    assert len(state.live()) == 2


def test_error_key_of_the_openapi_description(client, state):
    state.error_key = "validationErrorMessages"
    answer = client.upload(indicator(1), indicator(2, id=...))
    assert "validationErrorMessages" in answer.json["errors"][0]


def test_no_valid_object_refuses_the_request(client, state):
    answer = client.upload(indicator(1, pattern=...))
    assert (answer.status_code, answer.json["errors"][0]["recordIndex"]) == (400, 0)
    assert state.objects() == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", ...),
        ("id", "no-identifier"),
        ("id", identifier(1, "identity")),
        ("type", ...),
        ("type", "malware"),
        ("created", ...),
        ("modified", "20 November 2026"),
        ("modified", "2026-11-20T08:00:00+00:00"),
        ("modified", "2026-13-20T08:00:00Z"),
        ("pattern", ...),
        ("pattern", ""),
        ("pattern_type", ...),
        ("valid_from", ...),
        ("valid_until", "2026-11-20T08:00:00Z"),
        ("valid_until", "2026-11-19T08:00:00Z"),
        ("confidence", 101),
        ("confidence", "95"),
        ("confidence", True),
        ("labels", "misp"),
        ("labels", [1]),
        ("spec_version", "1.2"),
        ("revoked", "true"),
        ("kill_chain_phases", ["exploitation"]),
        ("kill_chain_phases", [{"kill_chain_name": "misp-category"}]),
        ("object_marking_refs", ["tlp:amber"]),
        ("created_by_ref", "CIRCL"),
    ],
)
def test_a_bad_property_is_an_error_of_its_record(client, name, value):
    answer = client.upload(indicator(1, **{name: value}), indicator(2))
    (record,) = answer.json["errors"]
    assert record["recordIndex"] == 0
    assert any(f"Property={name}:" in text for text in record["errorMessages"])


def test_full_indicator_is_accepted(client):
    whole = indicator(
        valid_until="2026-12-20T08:00:00.5Z",
        confidence=0,
        labels=["tlp:amber"],
        kill_chain_phases=[{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        object_marking_refs=["marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"],
        x_unknown={"any": "thing"},
    )
    assert client.upload(whole).data == b""


def test_the_five_kinds_are_kept_as_what_they_are(client, state):
    assert client.upload(indicator(), *map(context, CONTEXT)).data == b""
    assert {kind: len(state.live(kind=kind)) for kind in ("indicator", *CONTEXT)} == dict.fromkeys(
        ("indicator", *CONTEXT), 1
    )
    assert state.uploads[0]["kinds"] == dict.fromkeys(("indicator", *CONTEXT), 1)


@pytest.mark.parametrize("kind", ["malware", "intrusion-set", "report", "bundle", "marking-definition", "Indicator"])
def test_a_record_of_another_kind_is_refused_and_the_rest_taken(client, state, kind):
    other = indicator(2) | {"type": kind, "id": identifier(2, kind), "name": "x"}
    (record,) = client.upload(indicator(1), other, context("threat-actor")).json["errors"]
    assert record["recordIndex"] == 1
    assert any("Property=type:" in text and kind in text for text in record["errorMessages"])
    assert set(state.objects(kind=None)) == {identifier(1), identifier(1, "threat-actor")}


@pytest.mark.parametrize("kind", CONTEXT)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("id", wrong) for wrong in (..., "", "1", "00000000-0000-4000-8000-000000000001", identifier(1, "malware"))),
        *(("created", wrong) for wrong in (..., "2026-11-20")),
        *(("modified", wrong) for wrong in (..., "2026-11-20T08:00:00+00:00", "2026-11-19T08:00:00.000Z")),
        ("revoked", 1),
        ("confidence", -1),
        ("labels", ["a", None]),
        ("spec_version", "2.2"),
        ("created_by_ref", "CERT"),
        ("object_marking_refs", [identifier(1)]),
        *(("external_references", wrong) for wrong in ([{"source_name": "x"}], [{"url": "https://example.org"}], "x")),
        ("granular_markings", ["x"]),
        ("extensions", {"extension-definition--x": 1}),
    ],
)
def test_what_every_kind_is_asked_for(client, kind, name, value):
    (record,) = client.upload(context(kind, **{name: value}), indicator(2)).json["errors"]
    assert record["recordIndex"] == 0
    assert any(f"Property={name}:" in text for text in record["errorMessages"])


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        *((kind, "name", wrong) for kind in ("identity", "threat-actor", "attack-pattern") for wrong in (..., "", 7)),
        *((kind, "description", 7) for kind in CONTEXT),
        *(("identity", name, "x") for name in ("roles", "sectors")),
        *(("identity", name, ["x"]) for name in ("identity_class", "contact_information")),
        *(("threat-actor", name, "x") for name in ("aliases", "threat_actor_types", "roles", "goals")),
        *(("threat-actor", name, "x") for name in ("secondary_motivations", "personal_motivations")),
        *(("threat-actor", name, []) for name in ("sophistication", "resource_level", "primary_motivation")),
        ("threat-actor", "first_seen", "2026"),
        ("threat-actor", "last_seen", "2025-12-31T00:00:00Z"),
        ("attack-pattern", "aliases", [1]),
        ("attack-pattern", "kill_chain_phases", [{"phase_name": "delivery"}]),
        *(("relationship", name, ...) for name in ("relationship_type", "source_ref", "target_ref")),
        *(("relationship", "relationship_type", wrong) for wrong in ("", "Indicates", "attributed to")),
        *(("relationship", name, "CERT") for name in ("source_ref", "target_ref")),
    ],
)
def test_what_one_kind_is_asked_for(client, kind, name, value):
    (record,) = client.upload(indicator(2), context(kind, **{name: value})).json["errors"]
    assert record["recordIndex"] == 1
    assert [f"Property={name}:" in text for text in record["errorMessages"]] == [True]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("relationship", {"start_time": "2026-11-20T08:00:00Z", "stop_time": "2026-11-20T08:00:01Z"}),
        ("threat-actor", {"last_seen": "2026-01-01T00:00:00Z", "goals": ["money"], "sophistication": "minimal"}),
        ("identity", {"identity_class": ..., "contact_information": "cert@example.org", "sectors": []}),
        ("attack-pattern", {"external_references": ..., "spec_version": "2.0", "extensions": {"extension--1": {}}}),
    ],
)
def test_what_is_optional_may_be_there_or_not(client, kind, changes):
    assert client.upload(context(kind, **changes)).data == b""


def test_a_relationship_ends_after_it_begins(client):
    moment = "2026-11-20T08:00:00Z"
    (record,) = client.upload(context("relationship", start_time=moment, stop_time=moment), indicator()).json["errors"]
    assert "Property=stop_time:" in record["errorMessages"][0]


@pytest.mark.parametrize("named", [identifier(1, "threat-actor"), "threat-actor"])
def test_an_id_or_a_kind_that_is_to_be_refused_is_refused_record_by_record(client, state, named):
    state.refused.add(named)
    (record,) = client.upload(*map(context, CONTEXT)).json["errors"]
    assert (record["recordIndex"], state.objects(kind="threat-actor")) == (1, {})
    assert len(state.objects(kind=None)) == len(CONTEXT) - 1
    assert bool(client.upload(context("threat-actor", 2), indicator()).data) is (named == "threat-actor")
    state.refused.clear()
    assert client.upload(context("threat-actor")).data == b""


def test_a_revoked_context_object_is_kept_as_revoked(client, state):
    client.upload(context("threat-actor"))
    client.upload(context("threat-actor", revoked=True, modified="2026-11-20T08:00:01Z"))
    assert state.live() == {}
    assert state.objects(kind="threat-actor")[identifier(1, "threat-actor")]["revoked"] is True
    assert client.upload(context("threat-actor")).status_code == 400


def test_record_that_is_no_object(client):
    assert client.upload("indicator", indicator()).json["errors"][0]["recordIndex"] == 0


def test_newest_upload_of_an_id_wins(client, state):
    client.upload(indicator(1, confidence=10))
    client.upload(indicator(1, confidence=90))
    assert state.live()[identifier(1)]["confidence"] == 90


def test_revocation_is_permanent(client, state):
    client.upload(indicator(1))
    client.upload(indicator(1, revoked=True))
    answer = client.upload(indicator(1), indicator(2))
    assert "Property=revoked" in answer.json["errors"][0]["errorMessages"][0]
    assert set(state.live()) == {identifier(2)}
    assert state.objects()[identifier(1)]["revoked"] is True
    assert client.upload(indicator(1, revoked=True)).data == b""


def test_source_systems_and_workspaces_are_apart(client, state):
    state.add_workspace(OTHER)
    client.upload(indicator(1))
    client.upload(indicator(1, revoked=True), source="Other")
    client.upload(indicator(2), workspace=OTHER)
    assert set(state.live()) == {identifier(1)}
    assert set(state.live(sourcesystem="Other")) == set()
    assert set(state.live(OTHER)) == {identifier(2)}


@pytest.mark.parametrize(("url", "key"), [(UPLOAD, "stixobjects"), (LEGACY, "indicators"), (OLDEST, "value")])
def test_each_generation_has_its_key(client, state, url, key):
    answer = client.post({"sourcesystem": "MISP", key: [indicator()]}, url=url)
    assert (answer.status_code, answer.data) == (200, b"")
    assert client.post({"sourcesystem": "MISP", "objects": [indicator()]}, url=url).status_code == 400


@pytest.mark.parametrize(("url", "key"), [(LEGACY, "indicators"), (OLDEST, "value")])
def test_legacy_takes_indicators_only(client, url, key):
    answer = client.post({"sourcesystem": "MISP", key: [indicator(), *map(context, CONTEXT)]}, url=url)
    assert [error["recordIndex"] for error in answer.json["errors"]] == [1, 2, 3, 4]


def test_token_is_asked_for(client):
    client.headers = {}
    answer = client.upload(indicator())
    message = "Unauthorized. Access token is missing or invalid."
    assert (answer.status_code, answer.json) == (401, {"statusCode": 401, "message": message})


def test_token_expires(client, clock, state):
    clock.now += state.token_lifetime - 1
    assert client.upload(indicator()).status_code == 200
    clock.now += 1
    assert client.upload(indicator()).status_code == 401


def test_workspace_without_role_is_forbidden(client, state):
    state.allowed.clear()
    answer = client.upload(indicator())
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (403, "Forbidden")
    assert answer.json["error"]["code"] == "Forbidden"


def test_unknown_workspace_and_path_are_not_found(client):
    assert client.upload(indicator(), workspace=OTHER).status_code == 404
    assert client.upload(indicator(), url="/workspaces/{}/indicators:upload").status_code == 404


@pytest.mark.parametrize("version", ["", "?api-version=2030-01-01"])
def test_api_version_is_asked_for(client, version):
    assert client.upload(indicator(), url=UPLOAD.split("?", maxsplit=1)[0] + version).status_code == 400


@pytest.mark.parametrize("source", [None, "", 7, "x" * 257, "Microsoft Sentinel"])
def test_bad_sourcesystem_refuses_the_request(client, source):
    answer = client.upload(indicator(), source=source)
    assert answer.status_code == 400
    assert answer.json["error"]["code"] == "InvalidRequestBodyProperty(RequestBody)"


def test_malformed_json_refuses_the_request(client, state):
    path = UPLOAD.format(state.workspace_id)
    answer = client.http.post(path, data='{"sourcesystem": ', headers=client.headers)
    assert answer.status_code == 400
    assert answer.json["error"]["message"] == "Body of the request is not in valid JSON format."


def test_objects_a_request_are_limited(client, state):
    assert client.upload(*map(indicator, range(100))).status_code == 200
    assert client.upload(*map(indicator, range(100, 201))).status_code == 400
    assert client.upload().status_code == 400
    assert len(state.live()) == 100


def test_requests_a_minute_are_limited_over_a_rolling_window(client, clock, state):
    state.requests_per_minute = 2
    client.upload(indicator())
    clock.now += 40
    client.upload(indicator(id=...))
    answer = client.upload(indicator())
    message = "Rate limit is exceeded. Try again in 20 seconds."
    assert (answer.status_code, answer.json) == (429, {"statusCode": 429, "message": message})
    assert "Retry-After" not in answer.headers
    clock.now += 20
    assert client.upload(indicator()).status_code == 200
    assert client.upload(indicator()).status_code == 429


class Stranger(Client):
    """Signs in as the client of another tenant."""

    def __init__(self, state, number):
        self.ids = [f"{kind}0000000-0000-4000-8000-{number:012d}" for kind in "abc"]
        self.secret = f"secret of {number}"
        state.add_customer(*self.ids[:2], self.secret, self.ids[2])
        super().__init__(state)

    def token(self, **changes):
        tenant, client, _ = self.ids
        return super().token(tenant, **{"client_id": client, "client_secret": self.secret} | changes)


def test_each_customer_signs_in_with_what_is_theirs(client, state):
    one, two = Stranger(state, 1), Stranger(state, 2)
    assert one.token(client_secret=two.secret).json["error_codes"] == [7000215]
    assert one.token(client_id=two.ids[1]).json["error_codes"] == [700016]
    assert client.token(tenant=one.ids[0]).json["error_codes"] == [700016]
    assert client.http.get(f"/{one.ids[0]}/v2.0/.well-known/openid-configuration").status_code == 200


def test_each_customer_writes_to_their_own_workspaces_alone(client, state):
    one, two = Stranger(state, 1), Stranger(state, 2)
    state.add_customer(*one.ids[:2], one.secret, OTHER)
    assert [one.upload(indicator(), workspace=mine).status_code for mine in (one.ids[2], OTHER)] == [200, 200]
    theirs = (two.ids[2], state.workspace_id)
    assert [one.upload(indicator(), workspace=workspace).status_code for workspace in theirs] == [403, 403]
    assert client.upload(indicator(), workspace=one.ids[2]).status_code == 403


def test_the_requests_of_each_client_are_counted_apart(client, state):
    state.requests_per_minute = 1
    clients = [client, Stranger(state, 1), Stranger(state, 2)]
    own = [client.ids[2] if isinstance(client, Stranger) else None for client in clients]
    for expected in (200, 429):
        statuses = [
            client.upload(indicator(), workspace=mine).status_code for client, mine in zip(clients, own, strict=True)
        ]
        assert statuses == [expected] * 3


def test_every_upload_request_is_noted(client, clock, state):
    request = client.upload(indicator(1), indicator(2)).request
    client.upload(indicator(1), source="Microsoft Sentinel")
    expected = {"time": clock.now, "workspace": state.workspace_id, "count": 2, "sourcesystem": "MISP"}
    assert state.uploads[0] == expected | {"status": 200, "kinds": {"indicator": 2}, "bytes": request.content_length}
    assert state.uploads[0]["bytes"] > state.uploads[1]["bytes"] > 300
    assert [upload["status"] for upload in state.uploads] == [200, 400]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[domain-name:value = 'bad.example']", ("domain-name:value", "bad.example")),
        ("[file:hashes.'SHA-256'='00ff']", ("file:hashes.'SHA-256'", "00ff")),
        (r"[url:value = 'http://bad.example/it\'s\\x']", ("url:value", r"http://bad.example/it's\x")),
        ("[file:name = 'a' AND file:hashes.MD5 = 'b']", None),
        ("[ipv4-addr:value = '192.0.2.1'] OR [ipv4-addr:value = '192.0.2.2']", None),
        ("[network-traffic:dst_port = 443]", None),
        ("not a pattern", None),
    ],
)
def test_only_one_comparison_is_parsed(state, pattern, expected):
    assert state.observable(indicator(pattern=pattern)) == expected


def test_other_pattern_languages_are_not_parsed(state):
    rule = indicator(pattern="[domain-name:value = 'bad.example']", pattern_type="yara")
    assert state.observable(rule) is None


def test_people_can_read_what_is_stored(client, state):
    client.upload(indicator(1), indicator(2, revoked=True), context("threat-actor"), context("identity", revoked=True))
    assert "MISP  domain-name:value  1\n  MISP  threat-actor  1\n" in client.http.get("/").text
    shown = {
        name: client.http.get(f"/workspaces/{state.workspace_id}/{name}").json for name in ("indicators", "objects")
    }
    assert [object_["id"] for object_ in shown["indicators"]["MISP"]] == [identifier(1), identifier(2)]
    assert [object_["type"] for object_ in shown["objects"]["MISP"]] == [*["indicator"] * 2, "threat-actor", "identity"]


def test_fault_status_lets_the_first_through_and_ends(client, state):
    state.faults.add(Fault("objects:upload", "status", 503, after=1, times=2, headers={"Retry-After": "7"}))
    answers = [client.upload(indicator(number)) for number in range(4)]
    assert [answer.status_code for answer in answers] == [200, 503, 503, 200]
    assert answers[1].headers["Retry-After"] == "7"
    assert set(state.live()) == {identifier(0), identifier(3)}
    assert [upload["status"] for upload in state.uploads] == [200, 503, 503, 200]


def test_fault_for_some_bodies_only(client, state):
    state.faults.add(Fault(":upload", "status", times=None, when=lambda body: len(body["stixobjects"]) > 1))
    answers = [client.upload(*map(indicator, range(count))) for count in (1, 2, 1, 3)]
    assert [answer.status_code for answer in answers] == [200, 500, 200, 500]


def test_fault_answers(client, state):
    state.faults.add(Fault(":upload", "html", 502))
    state.faults.add(Fault(":upload", "body", body={"errors": []}))
    state.faults.add(Fault(":upload", "truncate"))
    page, body = client.upload(indicator()), client.upload(indicator())
    assert (page.status_code, page.mimetype) == (502, "text/html")
    assert (body.status_code, body.json) == (200, {"errors": []})
    assert client.upload(indicator(1)).data == b"{"


def test_unknown_kind_of_fault():
    with pytest.raises(ValueError, match="explode"):
        Fault("/", "explode")


@pytest.mark.parametrize(
    ("kind", "error", "stored"),
    [
        ("reset-before", ConnectionResetError, 0),
        ("reset-after", ConnectionResetError, 1),
        ("hang", TimeoutError, 0),
    ],
)
def test_fault_in_process_raises(client, state, kind, error, stored):
    state.faults.add(Fault(":upload", kind))
    with pytest.raises(error):
        client.upload(indicator())
    assert len(state.live()) == stored
    assert state.uploads[0]["status"] == (200 if stored else None)
    assert client.upload(indicator()).status_code == 200


@pytest.fixture
def session():
    with requests.Session() as http_session:
        http_session.trust_env = False
        yield http_session


@pytest.fixture
def box(session):
    with Sandbox() as sandbox:
        session.verify = sandbox.ca_file
        yield sandbox


def msal_token(box, session, secret=None):
    application = msal.ConfidentialClientApplication(
        box.azure.client_id,
        client_credential=secret or box.azure.client_secret,
        authority=f"{box.azure_url}/{box.azure.tenant}",
        instance_discovery=False,
        http_client=session,
    )
    return application.acquire_token_for_client(scopes=[SCOPE])


def test_msal_logs_in_over_tls(box, session):
    token = msal_token(box, session)["access_token"]
    url = box.azure_url + UPLOAD.format(box.azure.workspace_id)
    body = {"sourcesystem": "MISP", "stixobjects": [indicator()]}
    answer = session.post(url, json=body, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.text) == (200, "")
    assert set(box.azure.live()) == {identifier(1)}


def test_msal_shows_the_refusal(box, session):
    assert msal_token(box, session, "wrong")["error_codes"] == [7000215]


@pytest.mark.parametrize("kind", ["reset-before", "reset-after", "truncate"])
def test_faults_break_the_connection_over_tls(box, session, kind):
    box.azure.faults.add(Fault("/", kind))
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        session.get(box.azure_url)
    assert session.get(box.azure_url).status_code == 200


def test_fault_hang_keeps_the_client_waiting(box, session):
    box.azure.faults.add(Fault("/", "hang"))
    with pytest.raises(requests.exceptions.ReadTimeout):
        session.get(box.azure_url, timeout=0.2)
    assert session.get(box.azure_url).status_code == 200


def test_connections_are_kept_alive(box, session):
    for _ in range(3):
        session.get(box.azure_url)
    (pool,) = session.get_adapter(box.azure_url).poolmanager.pools._container.values()
    assert (pool.num_connections, pool.num_requests) == (1, 3)
