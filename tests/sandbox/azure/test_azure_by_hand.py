"""Alerts can be put into the sandbox's Azure by hand, and seen there."""

import pytest

from sandbox.azure.app import AzureState, create_app

ID = "indicator--00000000-0000-4000-8000-00000000000a"
NOW = 1_795_300_000.5


@pytest.fixture
def state():
    return AzureState(clock=lambda: NOW)


@pytest.fixture
def http(state):
    return create_app(state).test_client()


def url(state, workspace=""):
    return f"/workspaces/{workspace or state.workspace_id}/alerts"


def test_an_alert_names_an_indicator_or_a_value(state, http):
    assert http.get(url(state)).json == []
    by_id = http.post(url(state), data=f'{{"indicator": "{ID}"}}')  # as curl -d sends it
    by_value = http.post(url(state), json={"value": "192.0.2.1", "kind": "ip", "rule": "TI map test"})
    assert (by_id.status_code, by_value.status_code) == (201, 201)
    assert ID in by_id.json["ExtendedProperties"]
    assert by_id.json["AlertName"].startswith("TI map ")
    assert (by_value.json["AlertName"], by_value.json["StartTime"]) == ("TI map test", "2026-11-21T22:16:40.5Z")
    assert by_value.json["TimeGenerated"] == "2026-11-21T22:25:40.5Z", "so whoever asks in this second finds it"
    assert "192.0.2.1" in by_value.json["Entities"]
    assert http.get(url(state)).json == [by_id.json, by_value.json]
    assert len(state.alerts[state.workspace_id]) == 2


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"rule": "TI map test"},
        {"indicator": 7},
        {"indicator": ID, "value": "192.0.2.1", "kind": "ip"},
        {"value": "192.0.2.1"},
        {"value": "192.0.2.1", "kind": "address"},
        {"indicator": ID, "start": "now"},
    ],
)
def test_what_is_no_alert_is_refused_with_how_to_say_it(state, http, body):
    answer = http.post(url(state), json=body)
    assert answer.status_code == 400
    assert '{"value": VALUE, "kind": ip|dns|url|filehash|mailbox|host|account}' in answer.json["message"]
    assert state.alerts == {}


def test_a_workspace_that_is_not_there_has_no_alerts(state, http):
    assert http.post(url(state, "other"), json={"indicator": ID}).status_code == 404
    assert state.alerts == {}
