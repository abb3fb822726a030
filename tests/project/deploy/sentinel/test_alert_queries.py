"""What the program asks a workspace about alerts and incidents, run: on rows as Sentinel writes them."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.microsoft.reading.queries import (
    ALERT_COLUMNS,
    MOST_ROWS,
    VERDICT_COLUMNS,
    alerts_query,
    verdicts_query,
)
from tests.project.deploy.sentinel.workspace import ASKED, RULES, Workspace, ago

ID = "aaaaaaaa-0000-4000-8000-000000000001"
WHOLE = f"TUlTUA==---indicator--{ID}"
ENTITIES = {
    "ip": {"$id": "3", "Address": "192.0.2.5", "Location": {"CountryCode": "US"}, "Type": "ip"},
    "dns": {"$id": "4", "DomainName": "bad.example.org", "IpAddress": {"$ref": "3"}, "Type": "dns"},
    "url": {"$id": "5", "Url": "https://bad.example.org/A?b=1", "Type": "url"},
    "filehash": {"$id": "6", "Algorithm": "SHA256", "Value": "0" * 64, "Type": "filehash"},
    "mailbox": {"$id": "7", "MailboxPrimaryAddress": "bad@example.org", "Type": "mailbox"},
}
PRIVATE = [
    {"$id": "8", "HostName": "pc7", "DnsDomain": "corp.example.org", "Type": "host"},
    {"$id": "9", "Name": "jane", "UPNSuffix": "corp.example.org", "Type": "account"},
    {"$id": "10", "Directory": "C:\\Users\\jane", "Name": "a.exe", "Type": "file"},
    {"$ref": "3"},
]


@pytest.fixture
def workspace():
    return Workspace()


def alert(workspace, name="TI map IP entity to AzureActivity", details=None, entities=(), **more):
    """Add an alert as Sentinel writes it: JSON in a text, and in that custom details as another."""
    properties = {"Analytic Rule Name": name, "Query": "ThreatIntelIndicators | where true"}
    if details is not None:
        properties["Custom Details"] = details if isinstance(details, str) else json.dumps(details)
    row = {"SystemAlertId": "alert-1", "AlertName": name, "StartTime": ago(minutes=50)}
    row |= {"ExtendedProperties": json.dumps(properties), "Entities": json.dumps(list(entities))}
    workspace.add("SecurityAlert", **{**row, **more})


def hits(workspace):
    rows = workspace.run(ASKED["alerts"])
    assert all(tuple(row) == ALERT_COLUMNS for row in rows)
    return {(row["Kind"], row["Value"]) for row in rows}


def test_each_query_runs_where_nothing_is(workspace):
    assert [workspace.run(text) for text in ASKED.values()] == [[], [], []]


def test_values_of_entities_are_read_and_nothing_of_hosts_accounts_and_files(workspace):
    alert(workspace, entities=[*ENTITIES.values(), *PRIVATE])
    assert hits(workspace) == {
        ("ip", "192.0.2.5"),
        ("dns", "bad.example.org"),
        ("url", "https://bad.example.org/A?b=1"),
        ("filehash", "0" * 64),
        ("mailbox", "bad@example.org"),
    }


@pytest.mark.parametrize("details", [{"IndicatorId": [ID]}, {"IndicatorId": ID}, {"indicators": [ID]}])
def test_a_bare_id_is_read_where_the_name_says_that_it_is_an_indicators(workspace, details):
    alert(workspace, details=details)
    assert hits(workspace) == {("id", ID)}


@pytest.mark.parametrize("name", ["IndicatorId", "Id", "Matched"])
def test_a_whole_id_is_read_under_any_name(workspace, name):
    alert(workspace, details={name: [WHOLE, "-"], "Host": ["pc7"]})
    assert hits(workspace) == {("id", WHOLE)}


def test_of_custom_details_only_what_can_be_an_id_is_read(workspace):
    alert(workspace, details={"IndicatorHost": ["pc7.corp.example.org"], "Account": [ID], "IndicatorId": ["", "jane"]})
    assert hits(workspace) == set()


def test_the_custom_details_of_our_own_rules_name_the_id(workspace):
    names = {name for rule in RULES.values() for name in rule.get("customDetails", ())}
    assert "IndicatorId" in names
    alert(workspace, details={name: [ID] if name == "IndicatorId" else ["x"] for name in names})
    assert hits(workspace) == {("id", ID)}


@pytest.mark.parametrize(
    "odd",
    [
        {"ExtendedProperties": ""},
        {"ExtendedProperties": None},
        {"ExtendedProperties": "[]"},
        {"ExtendedProperties": '{"Custom Details": ""}'},
        {"ExtendedProperties": '{"Custom Details": "[1, 2]"}'},
        {"Entities": ""},
        {"Entities": None},
        {"Entities": "[null, 5, {}]"},
    ],
    ids=str,
)
def test_a_row_that_lacks_something_costs_no_other(workspace, odd):
    alert(workspace, SystemAlertId="odd", **odd)
    alert(workspace, SystemAlertId="plain", details={"IndicatorId": [ID]}, entities=[ENTITIES["ip"]])
    assert hits(workspace) == {("id", ID), ("ip", "192.0.2.5")}


def test_an_alert_that_was_written_again_counts_as_it_was_written_last(workspace):
    alert(workspace, entities=[ENTITIES["ip"]], TimeGenerated=ago(hours=3))
    alert(workspace, entities=[ENTITIES["dns"]], TimeGenerated=ago(hours=2))
    assert hits(workspace) == {("dns", "bad.example.org")}


@pytest.mark.parametrize(
    ("generated", "is_in"), [(ago(hours=24), True), (ago(hours=24, seconds=1), False), (ago(seconds=0), False)]
)
def test_a_window_begins_with_its_first_second_and_ends_before_its_last(workspace, generated, is_in):
    alert(workspace, entities=[ENTITIES["ip"]], TimeGenerated=generated, StartTime=ago(days=30))
    assert bool(hits(workspace)) is is_in


def incident(workspace, number=7, alerts=("alert-1", "alert-2"), **more):
    row = {"IncidentNumber": number, "Status": "Closed", "Classification": "FalsePositive"}
    row |= {"AlertIds": json.dumps(alerts), "ClosedTime": ago(hours=1), "LastModifiedTime": ago(minutes=30)}
    workspace.add("SecurityIncident", **{**row, **more})


def verdicts(workspace):
    rows = workspace.run(ASKED["verdicts"])
    assert all(tuple(row) == VERDICT_COLUMNS for row in rows)
    return [tuple(row.values()) for row in rows]


def test_each_alert_of_a_false_positive_has_its_incident_and_when_that_was_closed(workspace):
    incident(workspace)
    incident(workspace, 8, ["alert-3"], ClosedTime=None)
    incident(workspace, 9, [])
    assert sorted(verdicts(workspace)) == [
        ("7", "alert-1", ago(hours=1)),
        ("7", "alert-2", ago(hours=1)),
        ("8", "alert-3", ago(minutes=30)),
    ]


@pytest.mark.parametrize("newest", [{"Status": "Active"}, {"Classification": "BenignPositive"}], ids=str)
def test_what_an_incident_is_now_counts(workspace, newest):
    incident(workspace, TimeGenerated=ago(hours=2))
    incident(workspace, TimeGenerated=ago(hours=1), **newest)
    assert verdicts(workspace) == []


@pytest.mark.parametrize("query", [alerts_query, verdicts_query])
def test_one_row_more_is_asked_for_than_is_taken(query):
    assert query(0, 1).endswith(f"\n| take {MOST_ROWS + 1}")


@given(st.integers(0, 4_000_000_000), st.integers(0, 4_000_000_000))
def test_the_window_alone_differs(since, until):
    for query in (alerts_query, verdicts_query):
        texts = re.findall(r"datetime\((.*?)\)", query(since, until))
        assert len(texts) == 2 and all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text) for text in texts)
        assert re.sub(r"datetime\(.*?\)", "", query(since, until)) == re.sub(r"datetime\(.*?\)", "", query(0, 0))
