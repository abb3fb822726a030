"""Alerts: rows of SecurityAlert and SecurityIncident, as rules, other products and analysts leave them in a workspace.

Microsoft: Microsoft Sentinel security alert schema reference; Surface custom event details in alerts; Entity types in
Microsoft Sentinel; reference of the tables SecurityAlert and SecurityIncident. An alert or an incident that changes
is a further row of the same id. ``Entities`` and ``ExtendedProperties`` are JSON in a string, and the custom details
in the latter are so once more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

Row = dict[str, Any]

RULE = "TI map Domain entity to Web Session Events (ASIM Web Session schema)"
# The columns that are not strings, of those that rows have here.
TYPES = {
    **dict.fromkeys(("TimeGenerated", "StartTime", "EndTime", "ProcessingEndTime"), "datetime"),
    **dict.fromkeys(("CreatedTime", "ClosedTime", "LastModifiedTime"), "datetime"),
    **{"AlertIds": "dynamic", "IncidentNumber": "int", "IsIncident": "bool"},
}
# Each kind of entity, and which of its fields holds the value.
FIELDS = {
    **{"ip": "Address", "dns": "DomainName", "url": "Url", "filehash": "Value", "mailbox": "MailboxPrimaryAddress"},
    **{"host": "HostName", "account": "Name"},
}
# How long ago what a rule finds by hand happened, and the row of its alert was made: rules look back, and rows take
# their time until they are there. In seconds.
FOUND_AGO, MADE_AGO = 600, 60
ALGORITHMS = {32: "MD5", 40: "SHA1", 64: "SHA256"}


class SecurityTables:
    """Both tables of each workspace, by its id; a workspace that is ``without_sentinel`` has neither."""

    clock: Callable[[], float]
    workspace_id: str

    def __init__(self) -> None:
        self.alerts: dict[str, list[Row]] = {}
        self.incidents: dict[str, list[Row]] = {}
        self.without_sentinel: set[str] = set()

    def add_alert(
        self,
        rule: str = RULE,
        *,
        indicators: Sequence[str] = (),
        details: Mapping[str, Any] | None = None,
        entities: Iterable[tuple[str, str]] = (),
        start: float | None = None,
        generated: float | None = None,
        workspace: str = "",
        **columns: Any,
    ) -> str:
        """Add a row about an alert of a rule, a new one unless ``SystemAlertId`` names it; give that.

        ``indicators`` are in its custom details as IndicatorId, beside other ``details``; ``entities`` are kinds and
        values. It began at ``start`` and arrived in the table when it was ``generated``, in seconds since 1970; not
        named, both are now. ``columns`` are put in by name, also in place of these.
        """
        custom = {**({"IndicatorId": list(indicators)} if indicators else {}), **(details or {})}
        began, arrived = self._moment(start), self._moment(generated)
        row = {
            "TimeGenerated": arrived,
            "SystemAlertId": str(uuid4()),
            "AlertName": rule,
            "DisplayName": rule,
            "AlertSeverity": "Medium",
            "ProductName": "Azure Sentinel",
            "ProviderName": "ASI Scheduled Alerts",
            "VendorName": "Microsoft",
            "StartTime": began,
            "EndTime": began,
            "ProcessingEndTime": arrived,
            "Status": "New",
            "IsIncident": False,
            "ExtendedProperties": _properties(rule, custom),
            "Entities": json.dumps([entity(number, *named) for number, named in enumerate(entities, 3)]),
        }
        row |= columns
        self.alerts.setdefault(workspace or self.workspace_id, []).append(row)
        return str(row["SystemAlertId"])

    def raise_alert(self, rule: str = RULE, workspace: str = "", **found: Any) -> str:
        """Add the row of an alert that somebody may ask for at once, as ``add_alert`` does; give its SystemAlertId."""
        now = self.clock()
        return self.add_alert(rule, start=now - FOUND_AGO, generated=now - MADE_AGO, workspace=workspace, **found)

    def add_incident(
        self,
        alerts: Sequence[str] = (),
        *,
        status: str = "Closed",
        classification: str = "FalsePositive",
        closed: float | None = None,
        generated: float | None = None,
        workspace: str = "",
        **columns: Any,
    ) -> int:
        """Add a row about an incident of these alerts, a new one unless ``IncidentNumber`` names it; give that.

        It was ``closed``, if it is, and arrived in the table when it was ``generated``, as in ``add_alert``.
        """
        rows = self.incidents.setdefault(workspace or self.workspace_id, [])
        arrived = self._moment(generated)
        row = {
            "TimeGenerated": arrived,
            "IncidentNumber": max((int(row["IncidentNumber"]) for row in rows), default=0) + 1,
            "IncidentName": str(uuid4()),
            "Title": RULE,
            "Severity": "Medium",
            "Status": status,
            "Classification": classification if status == "Closed" else "",
            "CreatedTime": arrived,
            "ClosedTime": self._moment(closed) if status == "Closed" else None,
            "LastModifiedTime": arrived,
            "AlertIds": list(alerts),
        }
        row |= columns
        rows.append(row)
        return int(row["IncidentNumber"])

    def table(self, name: str, workspace_id: str) -> list[Row]:
        """Give the rows of SecurityAlert or SecurityIncident in a workspace."""
        return {"SecurityAlert": self.alerts, "SecurityIncident": self.incidents}[name].get(workspace_id, [])

    def _moment(self, seconds: float | None) -> datetime:
        return datetime.fromtimestamp(self.clock() if seconds is None else seconds, UTC)


def entity(number: int, kind: str, value: str) -> Row:
    """Give an entity as alerts have it, of one of the known kinds. Raises KeyError for another."""
    algorithm = {"Algorithm": ALGORITHMS.get(len(value), "Unknown")} if kind == "filehash" else {}
    return {"$id": str(number), **algorithm, FIELDS[kind]: value, "Type": kind}


def time_text(moment: datetime | None) -> str | None:
    """Give a moment as Log Analytics writes it: up to seven decimals, and none that says nothing."""
    if moment is None:
        return None
    decimals = f".{moment.microsecond:06d}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{decimals}Z"


def shown(row: Row) -> Row:
    """Give a row with its times as text."""
    return {name: time_text(value) if TYPES.get(name) == "datetime" else value for name, value in row.items()}


def _properties(rule: str, custom: Mapping[str, Any]) -> str:
    properties = {
        "Query Period": "01:00:00",
        "Trigger Operator": "GreaterThan",
        "Trigger Threshold": "0",
        "Analytic Rule Name": rule,
        "Event Grouping": "SingleAlert",
        "ProcessedBySentinel": "True",
    }
    return json.dumps({**properties, "Custom Details": json.dumps(custom)} if custom else properties)
