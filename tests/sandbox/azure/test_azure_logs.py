"""Both endpoints of the sandbox's logs answer and refuse as Microsoft documents it."""

import pytest

from sandbox.azure.app import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE, WORKSPACE_NAME, AzureState, create_app
from sandbox.azure.logs.queries import ALERTS, NOTHING, VERDICTS
from sandbox.azure.token import GRAPH_SCOPE, LOGS_SCOPE, SCOPE
from sandbox.faults import Fault

MANAGED = (
    "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.OperationalInsights/workspaces/{}/api/query"
    "?api-version=2017-01-01-preview"
)
OURS = MANAGED.format(SUBSCRIPTION, RESOURCE_GROUP, WORKSPACE_NAME)
DIRECT = f"/v1/workspaces/{WORKSPACE}/query"
OTHER = "44444444-4444-4444-8444-444444444444"
TIMES = {"SINCE": "2026-11-20T00:00:00Z", "UNTIL": "2030-01-01T00:00:00Z"}
BOTH = pytest.mark.parametrize(("url", "token"), [(OURS, "management"), (DIRECT, "logs")], ids=["managed", "direct"])


class Clock:
    now = 1_795_300_000.0

    def __call__(self):
        return self.now


class Client:
    """Asks as a program with tokens would."""

    def __init__(self, state):
        self.http = create_app(state).test_client()
        for name, scope in {"management": SCOPE, "logs": LOGS_SCOPE, "graph": GRAPH_SCOPE}.items():
            state.grant(name, scope)

    def ask(self, url, token, text=ALERTS, prefer="response-v1=true,wait=180", **options):
        for name, time in TIMES.items():
            text = text.replace(name, time)
        headers = {"Authorization": f"Bearer {token}", "Prefer": prefer}
        return self.http.post(url, headers=headers, **({"json": {"query": text}} | options))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def state(clock):
    """A workspace in which an alert has three entities, and an incident was closed."""
    state = AzureState(clock=clock)
    alert = state.add_alert("TI map test", entities=[("ip", f"192.0.2.{number}") for number in (1, 2, 3)])
    state.add_incident([alert])
    return state


@pytest.fixture
def client(state):
    return Client(state)


def refusal(answer):
    """Its status, its code, and the codes of what it has inside."""
    error, codes = answer.json["error"], []
    while error:
        codes.append(error["code"])
        error = error.get("innererror")
    return (answer.status_code, *codes)


@BOTH
def test_answer_is_a_table(client, url, token):
    answer = client.ask(url, token)
    (table,) = answer.json["tables"]
    assert (answer.status_code, table["name"]) == (200, "PrimaryResult")
    assert table["columns"][0] == {"name": "SystemAlertId", "type": "string"}
    assert [row[5] for row in table["rows"]] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert len(client.ask(url, token, VERDICTS).json["tables"][0]["rows"]) == 1
    assert client.ask(url, token, NOTHING).json["tables"][0]["rows"] == []


def test_management_api_has_an_older_form_for_who_does_not_prefer_the_newer_one(client):
    assert client.ask(OURS, "management", prefer="wait=180").json.keys() == {"Tables"}
    assert client.ask(DIRECT, "logs", prefer="").json.keys() == {"tables"}


@BOTH
def test_more_rows_than_an_answer_holds_are_a_partial_result(client, state, url, token):
    state.rows_per_answer = 2
    answer = client.ask(url, token)
    assert (answer.status_code, len(answer.json["tables"][0]["rows"])) == (200, 2)
    assert answer.json["error"]["code"] == "PartialError"
    assert "E_QUERY_RESULT_SET_TOO_LARGE" in answer.json["error"]["details"][0]["innererror"]["message"]
    state.rows_per_answer = 3
    assert "error" not in client.ask(url, token).json


@BOTH
@pytest.mark.parametrize("text", ["Heartbeat | count", "", ALERTS.replace("50001", "50002")])
def test_a_query_that_is_not_known_is_refused(client, url, token, text):
    assert refusal(client.ask(url, token, text)) == (400, "BadArgumentError", "SyntaxError", "SYN0002")


@BOTH
@pytest.mark.parametrize(("text", "table"), [(ALERTS, "SecurityAlert"), (VERDICTS, "SecurityIncident")])
def test_a_workspace_without_sentinel_has_no_such_table(client, state, url, token, text, table):
    state.without_sentinel.add(WORKSPACE)
    answer = client.ask(url, token, text)
    assert refusal(answer) == (400, "BadArgumentError", "SemanticError", "SEM0100")
    words = answer.json["error"]["innererror"]["innererror"]["message"]
    assert words.endswith(f"Failed to resolve table or column expression named '{table}'")


@BOTH
@pytest.mark.parametrize("body", [[], {"query": 7}, {"query": NOTHING, "timespan": "P1D"}, {}])
def test_another_body_than_a_query_is_refused(client, url, token, body):
    assert refusal(client.ask(url, token, json=body))[:2] == (400, "BadArgumentError")


@BOTH
def test_a_request_that_does_not_say_that_it_is_json_is_answered_with_nothing(client, url, token):
    answer = client.ask(url, token, json=None, data='{"query": "x"}')
    assert (answer.status_code, answer.data) == (200, b"")


@pytest.mark.parametrize(
    ("url", "token", "expected"),
    [
        (OURS, "", (401, "InvalidAuthenticationToken")),
        (OURS, "wrong", (401, "InvalidAuthenticationToken")),
        (OURS, "logs", (403, "InvalidAuthenticationTokenAudience")),
        (OURS, "graph", (403, "InvalidAuthenticationTokenAudience")),
        (OURS.replace("2017", "2018"), "management", (400, "InvalidApiVersionParameter")),
        (MANAGED.format(OTHER, RESOURCE_GROUP, WORKSPACE_NAME), "management", (404, "ResourceNotFound")),
        (MANAGED.format(SUBSCRIPTION, "other", WORKSPACE_NAME), "management", (404, "ResourceNotFound")),
        (MANAGED.format(SUBSCRIPTION, RESOURCE_GROUP, "other"), "management", (404, "ResourceNotFound")),
        (DIRECT, "", (401, "AuthenticationFailed")),
        (DIRECT, "wrong", (403, "InvalidAuthenticationToken")),
        (DIRECT, "management", (403, "InvalidTokenError")),
        (DIRECT.replace(WORKSPACE, OTHER), "logs", (404, "PathNotFoundError")),
    ],
)
def test_refusals(client, url, token, expected):
    assert refusal(client.ask(url, token)) == expected


@pytest.mark.parametrize(
    ("url", "token", "code"),
    [(OURS, "management", "ExpiredAuthenticationToken"), (DIRECT, "logs", "AuthorizationRequiredError")],
)
def test_a_token_expires(client, clock, url, token, code):
    clock.now += 3600
    assert refusal(client.ask(url, token)) == (401, code)


def test_names_in_any_case(client):
    assert client.ask(MANAGED.format(SUBSCRIPTION, "SANDBOX", WORKSPACE_NAME.upper()), "management").status_code == 200


def test_reading_takes_a_role_of_its_own(client, state):
    state.allowed.clear()
    assert client.ask(OURS, "management").status_code == 200
    state.readable.clear()
    assert refusal(client.ask(OURS, "management")) == (403, "AuthorizationFailed")
    assert refusal(client.ask(DIRECT, "logs")) == (403, "InsufficientAccessError")


def test_log_analytics_wants_its_own_permission_too(client, state):
    state.logs_permission = False
    assert client.ask(OURS, "management").status_code == 200
    assert refusal(client.ask(DIRECT, "logs")) == (403, "InsufficientAccessError", "UnauthorizedClient")


def test_a_customers_client_reads_its_own_workspace_alone(client, state):
    state.add_customer("tenant", "customer", "secret", OTHER)
    state.management_names[OTHER, "other", "second"] = OTHER
    state.grant("theirs", client="customer")
    state.add_alert(entities=[("ip", "192.0.2.9")], workspace=OTHER)
    rows = client.ask(MANAGED.format(OTHER, "other", "second"), "theirs").json["tables"][0]["rows"]
    assert [row[5] for row in rows] == ["192.0.2.9"]
    assert client.ask(OURS, "theirs").status_code == 403
    assert client.ask(MANAGED.format(OTHER, "other", "second"), "management").status_code == 403


@BOTH
def test_queries_of_half_a_minute_are_counted_apart_from_uploads(client, state, clock, url, token):
    state.queries_per_half_minute = state.requests_per_minute = 1
    assert client.ask(url, token).status_code == 200
    answer = client.ask(url, token)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "30")
    assert state.wait(state.client_id) is None
    clock.now += 30
    assert client.ask(url, token).status_code == 200


@BOTH
def test_faults_reach_queries_by_their_text(client, state, url, token):
    fault = Fault("/query", "status", status=504, when=lambda body: "SecurityAlert" in body["query"])
    state.faults.add(fault)
    assert client.ask(url, token, VERDICTS).status_code == 200
    assert client.ask(url, token).status_code == 504
    assert client.ask(url, token).status_code == 200


@BOTH
def test_each_question_is_noted_also_one_that_a_fault_answers(client, state, url, token):
    state.faults.add(Fault("/query", "status", status=500))
    client.ask(url, token, VERDICTS)
    client.ask(url, token)
    failed, answered = state.log_queries
    assert (failed["status"], failed["rows"]) == (500, 0)
    assert (answered["status"], answered["rows"]) == (200, 3)
    assert (answered["path"], answered["prefer"]) == (url.partition("?")[0], "response-v1=true,wait=180")
    assert "SecurityIncident" in failed["query"]
    assert "SecurityAlert" in answered["query"]


def test_a_login_gives_tokens_for_both_scopes(state):
    http = create_app(state).test_client()
    form = {"client_id": state.client_id, "client_secret": state.client_secret, "grant_type": "client_credentials"}
    for url, scope in ((OURS, SCOPE), (DIRECT, LOGS_SCOPE)):
        token = http.post(f"/{state.tenant}/oauth2/v2.0/token", data=form | {"scope": scope}).json["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert http.post(url, json={"query": NOTHING}, headers=headers).status_code == 200
