"""What a workspace's logs answer: what it means, and every row in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.errors import MicrosoftError
from helpers.microsoft.reading.logs_answers import (
    KINDS,
    AlertHit,
    FalsePositive,
    alert_hits,
    false_positives,
    refusal_in,
    understood,
)
from helpers.microsoft.reading.queries import ALERT_COLUMNS, MOST_ROWS, VERDICT_COLUMNS
from helpers.microsoft.responses import Answer, NextStep, own_words

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
NOON, ONE = "2026-11-29T12:00:00Z", "2026-11-29T13:00:00.1234567Z"
AT = int(NOW.timestamp())
HIT = ["alert-1", "TI map IP", NOON, ONE, "ip", "192.0.2.5"]
VERDICT = ["7", "alert-1", NOON]
PARTIAL = {
    "code": "PartialError",
    "message": "There were some errors when processing your query.",
    "details": [
        {
            "code": "EngineError",
            "message": "Something went wrong processing your query on the server.",
            "innererror": {"code": "-2133196797", "message": "exceed the set limit (E_QUERY_RESULT_SET_TOO_LARGE)"},
        }
    ],
}
NO_TABLE = {
    "message": "The request had some invalid properties",
    "code": "BadArgumentError",
    "innererror": {
        "code": "SemanticError",
        "message": "A semantic error occurred.",
        "innererror": {
            "code": "SEM0100",
            "message": "'where' operator: Failed to resolve table or column expression named 'SecurityAlert'",
        },
    },
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def table(rows, columns=ALERT_COLUMNS, **more):
    named = [{"name": name, "type": "string"} for name in columns]
    return json.dumps({"tables": [{"name": "PrimaryResult", "columns": named, "rows": rows}], **more})


def step(status, body, **more):
    text = body if isinstance(body, str) else json.dumps(body)
    return understood(Answer(status, text, **more), NOW).next_step


# --- what an answer means ----------------------------------------------------------------------------


def test_an_answer_with_every_row_is_settled():
    assert step(200, table([HIT])) is NextStep.SETTLED
    assert step(200, table([HIT] * MOST_ROWS)) is NextStep.SETTLED
    assert step(204, "") is NextStep.SETTLED, "a workspace without any data"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, table([HIT], error=PARTIAL)),
        (200, table([HIT] * (MOST_ROWS + 1))),
        (504, {"error": {"code": "GatewayTimeout", "message": "The request timed out"}}),
        (413, "Request Entity Too Large"),
        (400, {"error": {**NO_TABLE, "innererror": {"code": "E_RUNAWAY_QUERY", "message": "aborted"}}}),
        (500, {"error": {"code": "ResponsePayloadTooLarge", "message": "Response is too large"}}),
    ],
)
def test_what_is_too_much_for_one_answer_is_asked_for_in_halves(status, body):
    assert step(status, body) is NextStep.SPLIT


def test_an_answer_that_was_too_large_to_be_taken_is_asked_for_in_halves():
    assert step(0, "no answer of Microsoft's", may_pass=False, too_large=True) is NextStep.SPLIT
    assert step(0, "no answer of Microsoft's", may_pass=False) is NextStep.FAILED


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "AuthenticationFailed"),
        (403, "InvalidAuthenticationToken"),
        (403, "InvalidAuthenticationTokenAudience"),
        (401, "ExpiredAuthenticationToken"),
        (403, "InvalidTokenError"),
    ],
)
def test_a_token_that_is_not_taken_is_renewed_whatever_the_status(status, code):
    assert step(status, {"error": {"code": code, "message": "no"}}) is NextStep.NEW_TOKEN


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (403, {"error": {"code": "InsufficientAccessError", "message": "no"}}, NextStep.STOP),
        (404, {"error": {"code": "PathNotFoundError", "message": "no"}}, NextStep.STOP),
        (400, {"error": NO_TABLE}, NextStep.FAILED),
        (422, {"error": NO_TABLE}, NextStep.FAILED),
        (302, "", NextStep.STOP),
        (429, {"error": {"code": "TooManyRequests", "message": "Try again in 7 seconds."}}, NextStep.THROTTLED),
        (500, {"error": {"code": "Internal", "message": "no"}}, NextStep.RETRY),
        (504, "<html><title>Gateway Timeout</title>", NextStep.RETRY),
        (0, "no answer from Microsoft", NextStep.RETRY),
        (200, "", NextStep.RETRY),
        (200, "<html><title>Sign in</title>", NextStep.RETRY),
        (200, {"value": []}, NextStep.RETRY),
        (200, {"Tables": [{"TableName": "Table_0", "Columns": [], "Rows": []}]}, NextStep.RETRY),
        (200, {"tables": [{"name": "PrimaryResult", "columns": [], "rows": {}}]}, NextStep.RETRY),
        (200, {"error": {"code": "BadArgumentError", "message": "no"}}, NextStep.FAILED),
    ],
)
def test_what_comes_next_after_an_answer(status, body, expected):
    assert step(status, body) is expected


def test_a_wait_that_is_asked_for_is_kept():
    words = json.dumps({"error": {"code": "TooManyRequests", "message": "Rate limit. Try again in 7 seconds."}})
    assert understood(Answer(429, words), NOW).wait == 7
    assert understood(Answer(429, words, {"Retry-After": "30"}), NOW).wait == 30


def test_what_a_query_is_refused_for_stands_innermost():
    refusal = refusal_in({"error": NO_TABLE})
    assert refusal.codes == ("BadArgumentError", "SemanticError", "SEM0100")
    assert "Failed to resolve table or column expression named 'SecurityAlert'" in refusal.words
    assert understood(Answer(400, json.dumps({"error": NO_TABLE})), NOW).words.startswith("400 BadArgumentError: The ")
    assert refusal_in({"error": PARTIAL}).codes[-1] == "-2133196797"


def test_errors_in_errors_have_an_end_and_words_are_cut():
    error = {"code": "x" * 1000, "message": "\x1b[2J" * 1000}
    for _ in range(100):
        error = {"code": "y", "message": "z", "innererror": error}
    refusal = refusal_in({"error": error})
    assert len(refusal.codes) == 8
    assert len(refusal.words) <= 600 and refusal.words.isprintable()
    assert refusal.words == own_words(refusal.words)


@given(JSON, st.sampled_from([0, 200, 204, 302, 400, 401, 403, 404, 413, 429, 500, 504]))
def test_no_answer_is_a_fault_of_ours(body, status):
    for text in (json.dumps(body), json.dumps({"error": body}), json.dumps({"tables": body, "error": body})):
        verdict = understood(Answer(status, text), NOW)
        assert verdict.words.isprintable() and len(verdict.words) <= 700
        if verdict.next_step is NextStep.SETTLED:
            assert status == 204 or "PrimaryResult" in text


# --- rows --------------------------------------------------------------------------------------------


def test_each_row_is_what_an_alert_names():
    hits, unreadable = alert_hits(table([HIT, [*HIT[:4], "id", "MISP---indicator--1"]]))
    assert hits == (
        AlertHit("alert-1", "TI map IP", AT, "ip", "192.0.2.5"),
        AlertHit("alert-1", "TI map IP", AT, "id", "MISP---indicator--1"),
    )
    assert unreadable == 0


@pytest.mark.parametrize("start", [None, "", "0001-01-01T00:00:00Z", "soon", 5])
def test_an_alert_that_does_not_say_when_it_began_began_when_it_was_written(start):
    ((hit,), _) = alert_hits(table([[*HIT[:2], start, *HIT[3:]]]))
    assert hit.at == AT + 3600


def test_a_time_without_a_zone_is_in_utc():
    ((hit,), _) = alert_hits(table([[*HIT[:2], "2026-11-29T12:00:00", *HIT[3:]]]))
    assert hit.at == AT


def test_columns_may_come_in_any_order_and_with_others():
    columns = ["Type", *reversed(ALERT_COLUMNS)]
    ((hit,), unreadable) = alert_hits(table([["x", *reversed(HIT)]], columns))
    assert (hit.value, unreadable) == ("192.0.2.5", 0)


ODD = [
    None,
    5,
    {},
    [],
    HIT[:5],
    [*HIT, "more"],
    [None, *HIT[1:]],
    ["", *HIT[1:]],
    ["x" * 257, *HIT[1:]],
    ["a\0b", *HIT[1:]],
    [*HIT[:2], None, None, *HIT[4:]],
    [*HIT[:4], "host", "pc7"],
    [*HIT[:4], ["ip"], "192.0.2.5"],
    [*HIT[:5], None],
    [*HIT[:5], " "],
    [*HIT[:5], 5],
    [*HIT[:5], "\ud800"],
]


@pytest.mark.parametrize("row", ODD, ids=range(len(ODD)))
def test_a_row_that_cannot_be_read_is_counted_and_costs_no_other(row):
    hits, unreadable = alert_hits(table([HIT, row, HIT]))
    assert (len(hits), unreadable) == (2, 1)


@pytest.mark.parametrize("rule", [None, 5, "", "\ud800"])
def test_a_rule_without_a_name_is_no_reason_to_leave_an_id_out(rule):
    ((hit,), unreadable) = alert_hits(table([["alert-1", rule, *HIT[2:]]]))
    assert (hit.rule, unreadable) == ("", 0)


def test_each_row_is_an_alert_of_a_false_positive():
    rows = [VERDICT, ["7", "alert-2", ONE], ["8", "alert-3", None], [8, "alert-3", NOON], ["8", "", NOON]]
    verdicts, unreadable = false_positives(table(rows, VERDICT_COLUMNS))
    assert verdicts == (FalsePositive("7", "alert-1", AT), FalsePositive("7", "alert-2", AT + 3600))
    assert unreadable == 3


def test_a_workspace_without_any_data_has_no_rows():
    assert alert_hits("") == false_positives("") == ((), 0)


@pytest.mark.parametrize("columns", [(), ALERT_COLUMNS[1:], ("a", "b")])
def test_another_table_is_an_error(columns):
    with pytest.raises(MicrosoftError, match="not the one that was asked for"):
        alert_hits(table([], columns))


@given(st.lists(st.lists(JSON, min_size=6, max_size=6) | JSON, max_size=5))
def test_every_row_is_read_or_counted(rows):
    hits, unreadable = alert_hits(table([HIT, *rows]))
    assert len(hits) + unreadable == len(rows) + 1
    for hit in hits:
        assert hit.kind in KINDS and hit.value.strip() and hit.alert and hit.at > 0
        (hit.alert + hit.rule + hit.value).encode()


@given(st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1)), st.integers(0, 9_999_999))
def test_times_are_whole_seconds_since_1970(moment, decimals):
    text = f"{moment:%Y-%m-%dT%H:%M:%S}.{decimals:07d}Z"
    ((hit,), _) = alert_hits(table([[*HIT[:2], text, *HIT[3:]]]))
    assert hit.at == int(moment.replace(microsecond=0, tzinfo=UTC).timestamp())
