"""The sandbox's Azure has alerts and incidents as Microsoft has them, and known queries mean what KQL says."""

import json
from datetime import UTC, datetime

import pytest

from sandbox.azure.app import AzureState
from sandbox.azure.logs.queries import ALERTS, NOTHING, VERDICTS, recognised

NOW = 1_795_300_000.0
OTHER = "44444444-4444-4444-8444-444444444444"
ID = "00000000-0000-4000-8000-00000000000a"
WHOLE = "bWlzcA==---indicator--00000000-0000-4000-8000-00000000000b"


@pytest.fixture
def state():
    return AzureState(clock=lambda: NOW)


def iso(seconds):
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def ask(state, text=ALERTS, since=NOW - 3600, until=NOW + 1):
    """What a query finds in the rows of a window."""
    asked = recognised(text.replace("SINCE", iso(since)).replace("UNTIL", iso(until)))
    return asked.result(state.table(asked.known.table, state.workspace_id))


def hits(state, **window):
    """Each hit's kind and value."""
    return [(row[4], row[5]) for row in ask(state, **window).rows]


def test_an_alert_has_its_custom_details_and_entities_as_json_in_strings(state):
    entities = [("ip", "192.0.2.1"), ("dns", "c2.example"), ("filehash", "0" * 64), ("host", "desk-7")]
    identifier = state.add_alert("TI map test", indicators=[ID], entities=entities, start=NOW - 600)
    (row,) = state.alerts[state.workspace_id]
    properties = json.loads(row["ExtendedProperties"])
    assert (row["SystemAlertId"], row["AlertName"]) == (identifier, "TI map test")
    assert properties["Analytic Rule Name"] == "TI map test"
    assert json.loads(properties["Custom Details"]) == {"IndicatorId": [ID]}
    assert json.loads(row["Entities"]) == [
        {"$id": "3", "Address": "192.0.2.1", "Type": "ip"},
        {"$id": "4", "DomainName": "c2.example", "Type": "dns"},
        {"$id": "5", "Algorithm": "SHA256", "Value": "0" * 64, "Type": "filehash"},
        {"$id": "6", "HostName": "desk-7", "Type": "host"},
    ]
    assert (row["StartTime"], row["TimeGenerated"]) == tuple(
        datetime.fromtimestamp(seconds, UTC) for seconds in (NOW - 600, NOW)
    )


def test_an_alert_without_custom_details_has_none(state):
    state.add_alert()
    assert "Custom Details" not in json.loads(state.alerts[state.workspace_id][0]["ExtendedProperties"])


def test_a_hit_has_the_documented_columns_and_times(state):
    identifier = state.add_alert("TI map test", indicators=[ID], start=NOW - 599.25, generated=NOW - 60.5)
    result = ask(state)
    assert result.columns == [
        ("SystemAlertId", "string"),
        ("AlertName", "string"),
        ("StartTime", "datetime"),
        ("TimeGenerated", "datetime"),
        ("Kind", "string"),
        ("Value", "string"),
    ]
    start, generated = "2026-11-21T22:16:40.75Z", "2026-11-21T22:25:39.5Z"
    assert result.rows == [[identifier, "TI map test", start, generated, "id", ID]]


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"IndicatorId": [ID, ID, WHOLE]}, [ID, WHOLE]),
        ({"my INDICATOR": ID}, [ID]),
        ({"TI": [WHOLE, "indicator--", ID, 7]}, [WHOLE]),
        ({"TI": f"INDICATOR--{ID.upper()}"}, [f"INDICATOR--{ID.upper()}"]),
        ({"Host": ["desk-7"]}, []),
        ({"IndicatorId": []}, []),
        ({"IndicatorId": [None, "", 7, True, ID[:-1], {"a": ID}]}, [f'{{"a":"{ID}"}}']),
        ({"IndicatorId": {"a": [ID]}}, [f'{{"a":["{ID}"]}}']),
        ({}, []),
    ],
)
def test_custom_details_name_indicators_by_their_name_or_by_what_stands_in_them(state, details, expected):
    state.add_alert(details=details)
    assert hits(state) == [("id", value) for value in expected]


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (json.dumps({"Custom Details": {"IndicatorId": [ID]}}), [ID]),
        (json.dumps({"Custom Details": [["IndicatorId", [ID]], ["Host", "x"]]}), [ID]),
        (json.dumps({"Custom Details": WHOLE}), []),
        (json.dumps({"Custom Details": ["IndicatorId", ID]}), []),
        (json.dumps({"Custom Details": None}), []),
        ('["Custom Details"]', []),
        (WHOLE, []),
        ("{broken", []),
        ("", []),
        (None, []),
    ],
)
def test_extended_properties_of_other_forms(state, properties, expected):
    state.add_alert(ExtendedProperties=properties)
    assert hits(state) == [("id", value) for value in expected]


def test_entities_of_five_kinds_are_hits_and_others_are_not(state):
    wanted = [
        ("ip", "192.0.2.1"),
        ("dns", "C2.example"),
        ("url", "http://c2.example/a"),
        ("filehash", "0" * 32),
        ("mailbox", "a@example.org"),
    ]
    state.add_alert(entities=[*wanted, ("host", "desk-7"), ("account", "alice")])
    assert hits(state) == wanted


@pytest.mark.parametrize(
    ("entities", "expected"),
    [
        ([{"Type": "IP", "Address": "192.0.2.1"}, {"Type": "ip", "Address": "192.0.2.1"}], [("ip", "192.0.2.1")]),
        ([{"Type": "ip"}, {"Type": "ip", "Address": None}, {"Address": "192.0.2.1"}, None, "ip", 7], []),
        ({"Type": "ip", "Address": "192.0.2.1"}, []),
        ("ip", []),
        ([], []),
        (None, []),
    ],
)
def test_entities_of_other_forms(state, entities, expected):
    state.add_alert(Entities=json.dumps(entities))
    assert hits(state) == expected


@pytest.mark.parametrize("entities", ["[broken", "", None])
def test_entities_that_are_no_json(state, entities):
    state.add_alert(Entities=entities)
    assert hits(state) == []


def test_the_newest_row_of_an_alert_within_the_window_speaks_for_it(state):
    first = state.add_alert(indicators=[ID], generated=NOW - 600)
    state.add_alert(indicators=[WHOLE], generated=NOW - 300, SystemAlertId=first)
    state.add_alert(entities=[("ip", "192.0.2.1")], generated=NOW - 300, SystemAlertId=first)
    assert hits(state) == [("ip", "192.0.2.1")]
    assert hits(state, until=NOW - 300) == [("id", ID)]


def test_a_window_has_its_first_moment_and_not_its_last(state):
    state.add_alert(entities=[("ip", "192.0.2.1")], start=NOW - 9000, generated=NOW - 60)
    assert len(hits(state, since=NOW - 60, until=NOW - 59)) == 1
    assert hits(state, since=NOW - 61, until=NOW - 60) == []
    assert hits(state, since=NOW - 59) == []


def test_an_answer_ends_behind_what_shows_that_there_is_more(state):
    state.add_alert(entities=[("dns", f"n{number}.example") for number in range(50_002)])
    assert len(hits(state)) == 50_001


def test_false_positives_are_closed_ones_by_each_of_their_alerts(state):
    number = state.add_incident(["a", "b", ""], closed=NOW - 60)
    state.add_incident(["c"], status="Active")
    state.add_incident(["d"], classification="BenignPositive")
    state.add_incident([])
    state.add_incident(["e"], closed=NOW - 10_000, generated=NOW - 30, ClosedTime=None)
    result = ask(state, VERDICTS)
    closed, modified = iso(NOW - 60), iso(NOW - 30)
    assert result.columns == [("Incident", "string"), ("AlertId", "string"), ("ClosedTime", "datetime")]
    assert result.rows == [[str(number), "a", closed], [str(number), "b", closed], ["5", "e", modified]]


def test_the_newest_row_of_an_incident_has_its_verdict(state):
    number = state.add_incident(["a"], generated=NOW - 600)
    state.add_incident(["a"], classification="TruePositive", generated=NOW - 300, IncidentNumber=number)
    assert ask(state, VERDICTS).rows == []
    assert [row[1] for row in ask(state, VERDICTS, until=NOW - 300).rows] == ["a"]


def test_workspaces_have_rows_of_their_own(state):
    state.add_alert(entities=[("ip", "192.0.2.1")], workspace=OTHER)
    state.add_incident(["a"], workspace=OTHER)
    assert (hits(state), ask(state, VERDICTS).rows) == ([], [])
    assert len(state.alerts[OTHER]) == len(state.incidents[OTHER]) == 1


def test_what_a_check_asks_has_no_rows(state):
    state.add_alert(entities=[("ip", "192.0.2.1")])
    assert ask(state, NOTHING).rows == []


@pytest.mark.parametrize(
    ("text", "known"),
    [
        (ALERTS.replace("SINCE", "2026-11-21T00:00:00Z").replace("UNTIL", "2026-11-22T00:00:00Z"), True),
        (ALERTS.replace("SINCE", "2026-11-21T00:00:00Z").replace("UNTIL", "2026-11-22"), False),
        (ALERTS.replace("SINCE", "x").replace("UNTIL", "y"), False),
        (ALERTS, False),
        (f"{NOTHING}0", False),
        (f"  {NOTHING}\n", True),
        ("", False),
    ],
)
def test_only_known_queries_with_times_are_known(text, known):
    assert (recognised(text) is not None) == known
