"""What a workspace is asked about its alerts and incidents, in KQL. Pure.

Of SecurityAlert, SystemAlertId, AlertName, StartTime, TimeGenerated, ExtendedProperties and Entities are read; of
SecurityIncident, IncidentNumber, Status, Classification, ClosedTime, LastModifiedTime, TimeGenerated and AlertIds
(Microsoft, Azure Monitor reference, SecurityAlert and SecurityIncident). Both have a row for each change, of which the
newest in a window counts. Nothing else leaves Sentinel: no host, no account, and of custom details only what can be an
indicator's id.
"""

from __future__ import annotations

from helpers.text import moment_text

# An answer with more rows than this is not taken; the query asks for one more, so that it is seen. Microsoft gives
# 500,000 at most (Azure Monitor service limits, Log Analytics queries and language).
MOST_ROWS = 50_000
# What the answers of the two have as columns.
ALERT_COLUMNS = ("SystemAlertId", "AlertName", "StartTime", "TimeGenerated", "Kind", "Value")
VERDICT_COLUMNS = ("Incident", "AlertId", "ClosedTime")
# Gives nothing, where alerts may be read; else it is refused for the reason.
PERMISSION = "SecurityAlert\n| take 0"

_WINDOW = """let since = datetime({});
let until = datetime({});
"""
# Custom details are a list of values under each name (Microsoft, "Surface custom event details in alerts"); both they
# and the entities stand in the row as JSON in a text. What an entity has where is in the entities' reference.
_ALERTS = r"""let alerts = SecurityAlert
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
"""
_VERDICTS = """SecurityIncident
| where TimeGenerated >= since and TimeGenerated < until
| summarize arg_max(TimeGenerated, Status, Classification, ClosedTime, LastModifiedTime, AlertIds) by IncidentNumber
| where Status == "Closed" and Classification == "FalsePositive"
| mv-expand AlertId = parse_json(tostring(AlertIds)) to typeof(string)
| where isnotempty(AlertId)
| project Incident = tostring(IncidentNumber), AlertId, ClosedTime = coalesce(ClosedTime, LastModifiedTime)
"""
_TAKE = f"| take {MOST_ROWS + 1}"


def alerts_query(since: int, until: int) -> str:
    """Return what asks for what the alerts of a window name: ids and values, a row each.

    Times are seconds since 1970, ``until`` is no part of the window; alerts count by when they were written.
    """
    return f"{_window(since, until)}{_ALERTS}{_TAKE}"


def verdicts_query(since: int, until: int) -> str:
    """Return what asks for the alerts of incidents that were closed as false positive, a row each."""
    return f"{_window(since, until)}{_VERDICTS}{_TAKE}"


def _window(since: int, until: int) -> str:
    return _WINDOW.format(moment_text(since), moment_text(until))
