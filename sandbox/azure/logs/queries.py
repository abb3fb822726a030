"""Queries: the only ones that the sandbox's workspaces answer, by their text, and what each of them means.

Nothing here reads KQL: a query is known or it is not, whatever the white space and the times in it. What it means is
written down once more, after Microsoft's pages on mv-expand, arg_max, parse_json, tostring, contains and distinct.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

from sandbox.azure.logs.alerts import TYPES, Row, time_text

ALERTS = r"""
let since = datetime(SINCE);
let until = datetime(UNTIL);
let alerts = SecurityAlert
    | where TimeGenerated >= since and TimeGenerated < until
    | summarize arg_max(TimeGenerated, AlertName, StartTime, ExtendedProperties, Entities) by SystemAlertId;
let by_id = alerts
    | mv-expand kind=array Detail = parse_json(tostring(parse_json(ExtendedProperties)["Custom Details"]))
    | extend Name = tostring(Detail[0]), Values = Detail[1]
    | mv-expand Value = iff(gettype(Values) == "array", Values, pack_array(Values)) to typeof(string)
    | where Name contains "indicator" or Value contains "indicator--"
    | where Value matches regex @"[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"
    | project SystemAlertId, AlertName, StartTime, TimeGenerated, Kind = "id", Value;
let by_value = alerts
    | mv-expand Entity = parse_json(Entities)
    | extend Kind = tolower(tostring(Entity.Type))
    | extend Value = case(
        Kind == "ip", tostring(Entity.Address),
        Kind == "dns", tostring(Entity.DomainName),
        Kind == "url", tostring(Entity.Url),
        Kind == "filehash", tostring(Entity.Value),
        Kind == "mailbox", tostring(Entity.MailboxPrimaryAddress),
        "")
    | project SystemAlertId, AlertName, StartTime, TimeGenerated, Kind, Value;
union by_id, by_value
| where isnotempty(Value)
| distinct SystemAlertId, AlertName, StartTime, TimeGenerated, Kind, Value
| take 50001
"""
VERDICTS = """
let since = datetime(SINCE);
let until = datetime(UNTIL);
SecurityIncident
| where TimeGenerated >= since and TimeGenerated < until
| summarize arg_max(TimeGenerated, Status, Classification, ClosedTime, LastModifiedTime, AlertIds) by IncidentNumber
| where Status == "Closed" and Classification == "FalsePositive"
| mv-expand AlertId = parse_json(tostring(AlertIds)) to typeof(string)
| where isnotempty(AlertId)
| project Incident = tostring(IncidentNumber), AlertId, ClosedTime = coalesce(ClosedTime, LastModifiedTime)
| take 50001
"""
NOTHING = "SecurityAlert | take 0"
MOST_ROWS = 50_001
ENTITY_FIELDS = {
    **{"ip": "Address", "dns": "DomainName", "url": "Url", "filehash": "Value", "mailbox": "MailboxPrimaryAddress"},
}
UUID = re.compile(r"[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
HIT = ("SystemAlertId", "AlertName", "StartTime", "TimeGenerated", "Kind", "Value")
VERDICT = ("Incident", "AlertId", "ClosedTime")


class Result(NamedTuple):
    """What a query finds: the columns with their types, and the rows."""

    columns: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Any]]


class Known(NamedTuple):
    """A query that is known: the table that it reads, and what it makes of the rows of a window."""

    text: str
    table: str
    columns: Sequence[str]
    meaning: Callable[[list[Row]], Iterator[tuple[Any, ...]]]


class Asked(NamedTuple):
    """A known query with the times that somebody put into it; a query without any asks for no row."""

    known: Known
    since: datetime | None
    until: datetime | None

    def result(self, rows: Iterable[Row]) -> Result:
        """Give what it finds among a table's rows."""
        columns = [(name, TYPES.get(name, "string")) for name in self.known.columns]
        within = [row for row in rows if self._is_within(row["TimeGenerated"])]
        found = islice(self.known.meaning(within), MOST_ROWS)
        return Result(columns, [[_plain(value) for value in row] for row in found])

    def _is_within(self, moment: datetime) -> bool:
        return self.since is not None and self.until is not None and self.since <= moment < self.until


def recognised(text: str) -> Asked | None:
    """Give the known query that a text is, or None."""
    for known in KNOWN:
        match = _pattern(known.text).fullmatch(_spaced(text))
        if match:
            return _asked(known, match.groupdict())
    return None


def _asked(known: Known, times: dict[str, str]) -> Asked | None:
    try:
        since, until = (datetime.fromisoformat(times[name]) for name in ("SINCE", "UNTIL"))
    except KeyError:
        return Asked(known, None, None)
    except ValueError:
        return None
    return Asked(known, since, until) if since.tzinfo and until.tzinfo else None


def _hits(rows: list[Row]) -> Iterator[tuple[Any, ...]]:
    return iter(dict.fromkeys(_all_hits(rows)))


def _all_hits(rows: list[Row]) -> Iterator[tuple[Any, ...]]:
    alerts = _newest(rows, "SystemAlertId")
    for alert in alerts:
        about = tuple(alert[name] for name in HIT[:4])
        yield from ((*about, "id", value) for value in _indicators(alert["ExtendedProperties"]))
    for alert in alerts:
        about = tuple(alert[name] for name in HIT[:4])
        yield from ((*about, *named) for named in _named(alert["Entities"]))


def _indicators(properties: Any) -> Iterator[str]:
    custom = _parse_json(_tostring(_element(_parse_json(properties), "Custom Details")))
    for detail in _expanded(custom, as_pairs=True):
        name, values = _tostring(_element(detail, 0)), _element(detail, 1)
        for value in map(_tostring, _expanded(values) if isinstance(values, list) else [values]):
            is_named = "indicator" in name.lower() or "indicator--" in value.lower()
            if is_named and UUID.search(value):
                yield value


def _named(entities: Any) -> Iterator[tuple[str, str]]:
    for entity in _expanded(_parse_json(entities)):
        kind = _tostring(_element(entity, "Type")).lower()
        value = _tostring(_element(entity, ENTITY_FIELDS.get(kind, "")))
        if value:
            yield kind, value


def _verdicts(rows: list[Row]) -> Iterator[tuple[Any, ...]]:
    for row in _newest(rows, "IncidentNumber"):
        if row["Status"] == "Closed" and row["Classification"] == "FalsePositive":
            closed = row["ClosedTime"] or row["LastModifiedTime"]
            for alert in map(_tostring, _expanded(_parse_json(_tostring(row["AlertIds"])))):
                if alert:
                    yield str(row["IncidentNumber"]), alert, closed


def _newest(rows: list[Row], name: str) -> list[Row]:
    """arg_max(TimeGenerated, ...) by a column."""
    newest: dict[Any, Row] = {}
    for row in rows:
        before = newest.get(row[name])
        if before is None or row["TimeGenerated"] >= before["TimeGenerated"]:
            newest[row[name]] = row
    return list(newest.values())


def _parse_json(value: Any) -> Any:
    """parse_json: a string that is no JSON is itself, an empty one is null."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value else None
    except ValueError:
        return value


def _tostring(value: Any) -> str:
    """tostring: null is empty, and what is no string its JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _element(value: Any, key: str | int) -> Any:
    """value[key]: null for what is not there."""
    if isinstance(value, dict) and isinstance(key, str):
        return value.get(key)
    return value[key] if isinstance(value, list) and isinstance(key, int) and key < len(value) else None


def _expanded(value: Any, *, as_pairs: bool = False) -> list[Any]:
    """mv-expand: elements of an array, properties of a bag (kind=array: pairs); all else, and null, is one row."""
    if isinstance(value, dict):
        value = [[name, inner] if as_pairs else {name: inner} for name, inner in value.items()]
    return (value or [None]) if isinstance(value, list) else [value]


def _plain(value: Any) -> Any:
    return time_text(value) if isinstance(value, datetime) else value


def _spaced(text: str) -> str:
    """Give a text with one space wherever there is any."""
    return " ".join(text.split())


@cache
def _pattern(text: str) -> re.Pattern[str]:
    pattern = re.escape(_spaced(text))
    for name in ("SINCE", "UNTIL"):
        pattern = pattern.replace(name, rf"(?P<{name}>[^()]*)")
    return re.compile(pattern)


KNOWN = (
    Known(ALERTS, "SecurityAlert", HIT, _hits),
    Known(VERDICTS, "SecurityIncident", VERDICT, _verdicts),
    Known(NOTHING, "SecurityAlert", HIT[:4], lambda _: iter(())),
)
