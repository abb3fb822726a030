"""What a workspace's logs answer to a query: what it means, and the rows in it. Pure.

Rules: Microsoft, Azure Monitor Log Analytics API, "Response format" (one table, ``PrimaryResult``; a non-fatal error is
a 200 with ``error`` beside ``tables``, and then rows are missing), "Timeouts" (504) and "Errors" (a 204 without a body
where a workspace has no data; a token for another audience may be a 403; what a query is refused for stands in an
``innererror``, or in one of that).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

from helpers.errors import MicrosoftError
from helpers.microsoft.reading.queries import ALERT_COLUMNS, MOST_ROWS, VERDICT_COLUMNS
from helpers.microsoft.responses import Answer, NextStep, Verdict, interpret, own_words, parse_json_or_none, words_of

ID = "id"
# What an alert can name: an indicator's id, or an entity by its value.
KINDS = frozenset({ID, "ip", "dns", "url", "filehash", "mailbox"})
# The codes of errors that another token may mend, whatever their status.
_OF_TOKEN = re.compile(r"(?:Invalid|Expired)AuthenticationToken\w*|InvalidTokenError")
# Kusto, "Query limits": what it refuses, or gives in part, since there is too much of it.
_TOO_MUCH = re.compile(
    r"E_QUERY_RESULT_SET_TOO_LARGE|E_RUNAWAY_QUERY|E_LOW_MEMORY_CONDITION|ResponsePayloadTooLarge"
    r"|(?:Result|Response)SizeLimitExceeded"
)
# How deep errors lie in errors, at most.
_DEEPEST = 8
# Ids have 36 characters, and are in an index of the ledger's. Neither database takes what no text of UTF-8 can be.
_LONGEST_ID = 256
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
# An alert that began on the first day of our time, or before, has a time that says nothing.
_SAYS_NOTHING = 86_400

Record = TypeVar("Record")


@dataclass(frozen=True)
class AlertHit:
    """What an alert names: an indicator's id, bare or whole, or a value; ``kind`` is one of ``KINDS``.

    ``rule`` is the alert's name, which is its rule's; ``at`` is when it began, in seconds since 1970.
    """

    alert: str
    rule: str
    at: int
    kind: str
    value: str


@dataclass(frozen=True)
class FalsePositive:
    """An alert of an incident that was closed as false positive, ``at`` seconds since 1970."""

    incident: str
    alert: str
    at: int


@dataclass(frozen=True)
class Refusal:
    """What an error says: every code in it, the outermost first, and its words in one text."""

    codes: tuple[str, ...] = ()
    words: str = ""


# -- what an answer means -----------------------------------------------------------------------------


def understood(answer: Answer, now: datetime) -> Verdict:
    """Say what an answer means: SETTLED has every row, SPLIT wants a smaller window."""
    body = parse_json_or_none(answer.text)
    refusal = refusal_in(body)
    words = _words(answer, refusal)
    if answer.status in (200, 204):
        return _read(answer, body, refusal, words)
    if answer.too_large or answer.status == 413 or _TOO_MUCH.search(words):
        return Verdict(NextStep.SPLIT, words)
    if answer.status == 504 and refusal.codes:  # else a gateway in between says so, and the same may work
        return Verdict(NextStep.SPLIT, words)
    if any(map(_OF_TOKEN.fullmatch, refusal.codes)):
        return Verdict(NextStep.NEW_TOKEN, words)
    verdict = interpret(answer, 1, now)
    step = NextStep.FAILED if verdict.next_step is NextStep.SPLIT else verdict.next_step
    return Verdict(step, words, verdict.wait)


def refusal_in(body: Any) -> Refusal:
    """Return what the error of an answer says; nothing where there is none."""
    errors = list(islice(_errors(body.get("error") if isinstance(body, Mapping) else None), _DEEPEST))
    texts = [text for error in errors for text in (error.get("code"), error.get("message")) if isinstance(text, str)]
    codes = tuple(error["code"] for error in errors if isinstance(error.get("code"), str))
    return Refusal(codes, own_words(": ".join(filter(None, texts))))


def _errors(error: Any) -> Iterator[Mapping[str, Any]]:
    """Yield an error and what is in it, ever further inside."""
    while isinstance(error, Mapping):
        yield error
        details = error.get("details")
        inner = details[0] if isinstance(details, list) and details else None
        error = error.get("innererror") or inner


def _words(answer: Answer, refusal: Refusal) -> str:
    return f"{answer.status} {refusal.words}" if refusal.words and answer.status else words_of(answer)


def _read(answer: Answer, body: Any, refusal: Refusal, words: str) -> Verdict:
    """Say what a success is: all rows, some of them, or nothing of Microsoft's."""
    if answer.status == 204 and not answer.text.strip():
        return Verdict(NextStep.SETTLED)
    rows = _rows_of(body)
    if rows is None and refusal.codes:
        return Verdict(NextStep.FAILED, words)
    if rows is None:
        return Verdict(NextStep.RETRY, f"an answer that is not Microsoft's (a proxy's page?): {words}")
    if body.get("error"):
        return Verdict(NextStep.SPLIT, words)
    if len(rows) > MOST_ROWS:
        return Verdict(NextStep.SPLIT, f"more than {MOST_ROWS:,} rows")
    return Verdict(NextStep.SETTLED)


def _table_of(body: Any) -> Mapping[str, Any] | None:
    tables = body.get("tables") if isinstance(body, Mapping) else None
    named = [table for table in tables if isinstance(table, Mapping)] if isinstance(tables, list) else []
    return next((table for table in named if table.get("name") == "PrimaryResult"), None)


def _rows_of(body: Any) -> list[Any] | None:
    table = _table_of(body)
    rows = table.get("rows") if table else None
    return rows if isinstance(rows, list) else None


# -- rows ---------------------------------------------------------------------------------------------


def alert_hits(text: str) -> tuple[tuple[AlertHit, ...], int]:
    """Return what the alerts in an answer name, and how many rows cannot be read. Raises MicrosoftError."""
    return _records(text, ALERT_COLUMNS, _alert_hit)


def false_positives(text: str) -> tuple[tuple[FalsePositive, ...], int]:
    """Return the alerts of false positives in an answer, and how many rows cannot be read. Raises MicrosoftError."""
    return _records(text, VERDICT_COLUMNS, _false_positive)


def _records(
    text: str, columns: Sequence[str], read: Callable[[Mapping[str, Any]], Record | None]
) -> tuple[tuple[Record, ...], int]:
    """Read each row; one that is none of ours costs no other."""
    rows = list(_named_rows(text, columns))
    records = [record for row in rows if row is not None and (record := read(row)) is not None]
    return tuple(records), len(rows) - len(records)


def _named_rows(text: str, columns: Sequence[str]) -> Iterator[Mapping[str, Any] | None]:
    """Yield each row by the names of its columns; None for one that has not as many cells."""
    if not text.strip():  # a workspace without any data
        return
    table = _table_of(parse_json_or_none(text)) or {}
    names = [str(column.get("name")) for column in table.get("columns") or () if isinstance(column, Mapping)]
    if not {*columns} <= {*names}:
        raise MicrosoftError(
            f"The workspace answered with a table that is not the one that was asked for: it lacks one of {columns}."
        )
    for row in table.get("rows") or ():
        fits = isinstance(row, list) and len(row) == len(names)
        yield dict(zip(names, row, strict=True)) if fits else None


def _alert_hit(row: Mapping[str, Any]) -> AlertHit | None:
    at = _moment(row["StartTime"]) or _moment(row["TimeGenerated"])
    alert, rule, kind, value = (row[name] for name in ("SystemAlertId", "AlertName", "Kind", "Value"))
    if not (at and _is_id(alert) and _is_text(kind) and kind in KINDS and _is_text(value)):
        return None
    return AlertHit(alert, rule if _is_text(rule) else "", at, kind, value)


def _false_positive(row: Mapping[str, Any]) -> FalsePositive | None:
    incident, alert, at = row["Incident"], row["AlertId"], _moment(row["ClosedTime"])
    return FalsePositive(incident, alert, at) if at and _is_id(incident) and _is_id(alert) else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not _UNSTORABLE.search(value)


def _is_id(value: Any) -> bool:
    return _is_text(value) and len(value) <= _LONGEST_ID


def _moment(value: Any) -> int | None:
    """Return a time in seconds since 1970; None for what is none. All of Log Analytics' are in UTC."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    seconds = int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
    return seconds if seconds > _SAYS_NOTHING else None
