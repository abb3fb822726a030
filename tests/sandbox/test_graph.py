"""The sandbox's Graph refuses what Microsoft documents that Graph refuses."""

import pytest

from sandbox.azure.app import AzureState, create_app
from sandbox.azure.graph_rules import REQUIRED
from sandbox.azure.token import GRAPH_SCOPE

PATH = "/beta/security/tiIndicators/"
GOOD = {
    "action": "alert",
    "description": "example",
    "domainName": "example.org",
    "expirationDateTime": "2036-01-01T00:00:00Z",
    "externalId": "one",
    "targetProduct": "Azure Sentinel",
    "threatType": "WatchList",
    "tlpLevel": "white",
}


class Client:
    def __init__(self, scope=GRAPH_SCOPE):
        self.state = AzureState()
        self.state.grant("token", scope)
        self.http = create_app(self.state).test_client()

    def post(self, action, value):
        answer = self.http.post(f"{PATH}{action}", json={"value": value}, headers={"Authorization": "Bearer token"})
        return answer.status_code, answer.get_json().get("value")


@pytest.fixture
def client():
    return Client()


def without(name):
    return {key: value for key, value in GOOD.items() if key != name}


@pytest.mark.parametrize(
    ("item", "words"),
    [
        *((without(name), f"{name} is required") for name in REQUIRED),
        (without("domainName"), "observable is required"),
        ({**GOOD, "description": "x" * 101}, "description is not valid"),
        ({**GOOD, "threatType": "Odd"}, "threatType is not valid"),
        ({**GOOD, "networkPort": "80"}, "networkPort is not valid"),
        ({**GOOD, "networkIPv4": "2001:db8::1"}, "networkIPv4 is not valid"),
        ({**GOOD, "killChain": ["Command and Control"]}, "killChain is not valid"),
        ({**GOOD, "fileHashValue": "0"}, "go together"),
        ({**GOOD, "colour": "red"}, "colour does not exist"),
        ({**GOOD, "expirationDateTime": "2016-01-01T00:00:00Z"}, "has passed"),
        ("odd", "not an object"),
    ],
)
def test_an_item_that_is_wrong_fails_by_itself(client, item, words):
    status, (bad, good) = client.post("submitTiIndicators", [item, GOOD])
    assert (status, list(client.state.ti_indicators)) == (206, [good["id"]])
    assert words in bad["error"]["message"]


def test_an_update_changes_what_may_be_changed(client):
    _, (indicator,) = client.post("submitTiIndicators", [GOOD])
    named = {"id": indicator["id"], "targetProduct": "Azure Sentinel", "expirationDateTime": GOOD["expirationDateTime"]}
    assert client.post("updateTiIndicators", [{**named, "tags": ["seen"]}])[0] == 200
    assert client.state.ti_indicators[indicator["id"]]["tags"] == ["seen"]
    for item in ({**named, "domainName": "other.example.org"}, {**named, "id": "other"}, {"id": indicator["id"]}):
        assert client.post("updateTiIndicators", [item])[0] == 206


def test_a_second_submit_is_a_second_indicator_and_both_go_by_their_external_id(client):
    client.post("submitTiIndicators", [GOOD, GOOD])
    assert len(client.state.ti_indicators) == 2
    assert client.post("deleteTiIndicatorsByExternalId", ["one"])[0] == 200
    assert client.state.ti_indicators == {}
    status, (result,) = client.post("deleteTiIndicatorsByExternalId", ["one"])
    assert (status, result["code"]) == (206, 404)


def test_deleting_by_id(client):
    _, (indicator,) = client.post("submitTiIndicators", [GOOD])
    assert client.post("deleteTiIndicators", [indicator["id"], "other"])[0] == 206
    assert client.state.ti_indicators == {}


@pytest.mark.parametrize("value", [[GOOD] * 101, "odd", None])
def test_a_body_that_is_wrong_fails_whole(client, value):
    assert client.post("submitTiIndicators", value)[0] == 400


def test_only_tokens_for_graph_with_the_permission(client):
    assert Client("https://management.azure.com/.default").post("submitTiIndicators", [GOOD])[0] == 401
    client.state.graph_permission = False
    assert client.post("submitTiIndicators", [GOOD])[0] == 403


def test_one_caller_has_so_many_requests_a_minute(client):
    client.state.requests_per_minute = 1
    assert [client.post("submitTiIndicators", [])[0] for _ in range(2)] == [200, 429]
