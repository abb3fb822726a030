"""The sandbox's copies of the program's queries are the same, and mean what an engine of others makes of them."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.microsoft.reading import queries as of_the_program
from sandbox.azure.app import AzureState
from sandbox.azure.logs.queries import ALERTS, NOTHING, VERDICTS, recognised
from tests.project.deploy.sentinel.workspace import ASKED, NOW, Workspace

SECONDS = int(NOW.timestamp())
DAY = 86_400
ID = "00000000-0000-4000-8000-00000000000a"
WHOLE = f"bWlzcA==---indicator--{ID}"
NAMES = st.sampled_from(["IndicatorId", "the indicators", "TI", "Host"])
VALUES = st.sampled_from([ID, WHOLE, f"INDICATOR--{ID.upper()}", "indicator--", "desk-7", ID[:-1], "", None, 7, True])
DETAILS = st.dictionaries(NAMES, VALUES | st.lists(VALUES, max_size=3), max_size=3)
ENTITY = st.fixed_dictionaries(
    {},
    optional={
        "$id": st.just("3"),
        "Type": st.sampled_from(["ip", "IP", "dns", "url", "filehash", "mailbox", "host"]),
        "Address": st.sampled_from(["192.0.2.1", "", None]),
        "DomainName": st.just("C2.example"),
        "Url": st.just("http://c2.example/A"),
        "Value": st.just("0" * 32),
        "MailboxPrimaryAddress": st.just("a@example.org"),
        "HostName": st.just("desk-7"),
    },
)
MOMENT = st.integers(SECONDS - DAY - 2, SECONDS + 1) | st.sampled_from([SECONDS - DAY, SECONDS])
ALERT = st.fixed_dictionaries(
    {
        "SystemAlertId": st.sampled_from(["a", "b"]),
        "AlertName": st.sampled_from(["TI map test", "other"]),
        "ExtendedProperties": st.builds(lambda details: json.dumps({"Custom Details": json.dumps(details)}), DETAILS)
        | st.builds(lambda details: json.dumps({"Custom Details": details}), DETAILS)
        | st.sampled_from(["", "{broken", "{}", "[]"]),
        "Entities": st.builds(json.dumps, st.lists(ENTITY, max_size=3)) | st.sampled_from(["", "[broken", "{}", "[]"]),
    }
)
INCIDENT = st.fixed_dictionaries(
    {
        "IncidentNumber": st.sampled_from([7, 8]),
        "Status": st.sampled_from(["Closed", "Active"]),
        "Classification": st.sampled_from(["FalsePositive", "BenignPositive"]),
        "AlertIds": st.lists(st.sampled_from(["a", "b", ""]), max_size=3),
    }
)


def put(since, until, text):
    times = (f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}" for moment in (since, until))
    for name in ("SINCE", "UNTIL"):
        text = text.replace(name, next(times))
    return text.split()


@pytest.mark.parametrize(("since", "until"), [(0, 1), (SECONDS, SECONDS + DAY)])
def test_the_copies_say_what_the_program_asks(since, until):
    assert put(since, until, ALERTS) == of_the_program.alerts_query(since, until).split()
    assert put(since, until, VERDICTS) == of_the_program.verdicts_query(since, until).split()
    assert put(since, until, NOTHING) == of_the_program.PERMISSION.split()


@pytest.fixture(scope="module")
def engine():
    return Workspace()


def fill(engine, table, rows):
    """Put rows into the engine's table alone; what it has no column for is left out."""
    engine.connection.sql(f"DELETE FROM {table}")
    known = {column[0] for column in engine.connection.sql(f"DESCRIBE {table}").fetchall()}
    for row in rows:
        values = {name: plain(value) for name, value in row.items() if name in known}
        engine.add(table, **values)


def plain(value):
    """What a column takes: times without a zone, lists as JSON."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    return json.dumps(value) if isinstance(value, list) else value


def text_of(value):
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else value


def assert_same(engine, query, state, table):
    result = recognised(ASKED[query]).result(state.table(table, state.workspace_id))
    theirs = engine.run(ASKED[query])
    assert sorted(map(tuple, result.rows)) == sorted(tuple(map(text_of, row.values())) for row in theirs)
    assert all(list(row) == [name for name, _ in result.columns] for row in theirs)


@settings(max_examples=50)
@given(rows=st.lists(st.tuples(ALERT, MOMENT, MOMENT), max_size=4, unique_by=lambda row: row[2]))
def test_alerts_mean_the_same_to_an_engine_of_others(engine, rows):
    state = AzureState(clock=lambda: SECONDS)
    for columns, start, generated in rows:
        state.add_alert(start=start, generated=generated, **columns)
    fill(engine, "SecurityAlert", state.table("SecurityAlert", state.workspace_id))
    assert_same(engine, "alerts", state, "SecurityAlert")


@settings(max_examples=50)
@given(rows=st.lists(st.tuples(INCIDENT, MOMENT, MOMENT | st.none()), max_size=4, unique_by=lambda row: row[1]))
def test_verdicts_mean_the_same_to_an_engine_of_others(engine, rows):
    state = AzureState(clock=lambda: SECONDS)
    for columns, generated, closed in rows:
        without = {} if closed else {"ClosedTime": None}
        state.add_incident(closed=closed, generated=generated, **columns, **without)
    fill(engine, "SecurityIncident", state.table("SecurityIncident", state.workspace_id))
    assert_same(engine, "verdicts", state, "SecurityIncident")
