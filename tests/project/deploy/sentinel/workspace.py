"""A workspace of Log Analytics in DuckDB: the documented tables, what Sentinel makes of an indicator, and KQL."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import duckdb_kql
import yaml

from deploy.sentinel.made import queries, rules
from helpers.context import Cluster, Verb
from helpers.indicators import stix_time
from helpers.indicators.convert import convert_event
from helpers.indicators.rules import ConversionRules
from helpers.ledger.bodies.packing import unpacked
from helpers.microsoft.reading import queries as queries_of_the_program
from helpers.settings import Settings
from helpers.sync.context.desired import Ends, desired_cluster, desired_identity, desired_relationship

SENTINEL = Path(__file__).resolve().parents[4] / "deploy" / "sentinel"
EVENTS = Path(__file__).resolve().parents[4] / "sandbox" / "samples" / "events"
TABLES = yaml.safe_load((SENTINEL / "tables.yaml").read_text(encoding="utf-8"))
RULES = rules()
KQL = {**queries(), **{name: rule["query"] for name, rule in RULES.items()}}
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
_DAY = (int(NOW.timestamp()) - 86_400, int(NOW.timestamp()))
# What the program itself asks a workspace, of the day before now.
ASKED = {
    "alerts": queries_of_the_program.alerts_query(*_DAY),
    "verdicts": queries_of_the_program.verdicts_query(*_DAY),
    "permission": queries_of_the_program.PERMISSION,
}
REPUBLISHED = "LogARepublisher"
_TYPES = {"string": "VARCHAR", "int": "INTEGER", "real": "DOUBLE", "bool": "BOOLEAN", "datetime": "TIMESTAMP"}
_TYPES |= {"dynamic": "JSON"}
_SINGLE = re.compile(r"\[[^ ]+ = '(.*)'\]", re.DOTALL)


def ago(**time):
    """Return a moment before now, as the tables have it."""
    return NOW.replace(tzinfo=None) - timedelta(**time)


@cache
def sql_of(text):
    """Return what a query is in DuckDB, and its parameters."""
    columns = {name: list(table["columns"]) for name, table in TABLES.items()}
    return duckdb_kql.to_sql(text, schema=columns, query_now=ago())


class Workspace:
    """Empty tables; ``ask`` runs a query by its name and returns its rows as dictionaries."""

    def __init__(self):
        self.connection = duckdb_kql.connect()
        for name, table in TABLES.items():
            columns = ", ".join(f'"{column}" {_TYPES[type_]}' for column, type_ in table["columns"].items())
            self.connection.sql(f"CREATE TABLE {name} ({columns})")

    def add(self, table, **values):
        """Add a row, of five minutes ago unless it says otherwise."""
        values = {"TimeGenerated": ago(minutes=5), **values}
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" * len(values))
        self.connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(values.values()))

    def send(self, indicator, source="MISP", parsed=True, **changes):
        """Add the row that Sentinel writes for an indicator; not ``parsed``: with its pattern alone."""
        self.add("ThreatIntelIndicators", **{**row_of(indicator, source, parsed), **changes})

    def send_context(self, said, source="MISP", **changes):
        """Add the row that Sentinel writes for an actor, a technique, an organisation or a relationship."""
        row = {
            "Id": id_of(said, source),
            "SourceSystem": source,
            "StixType": said["type"],
            "Data": json.dumps(said),
            "LastUpdateMethod": "Upload",
            "Type": "ThreatIntelObjects",
        }
        self.add("ThreatIntelObjects", **{**row, **changes})

    def ask(self, name, **values):
        """Run a query with other values of its own, such as source; rows count as ingested when they were generated."""
        text = KQL[name].replace("ingestion_time()", "TimeGenerated")
        for key, value in values.items():
            text, number = re.subn(rf'(?<=let {key} = )(@?)".*"', lambda old, new=value: f'{old[1]}"{new}"', text)
            assert number == 1
        return self.run(text)

    def run(self, text):
        sql = sql_of(text)
        answer = self.connection.execute(sql, sql.parameters)
        names = [column[0] for column in answer.description]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def id_of(said, source):
    """Return what Sentinel calls an object of a source."""
    return f"{base64.b64encode(source.encode()).decode()}---{said['id']}"


def row_of(indicator, source, parsed):
    """Return the columns of an indicator as Microsoft documents them."""
    (value,) = _SINGLE.fullmatch(indicator["pattern"]).groups()
    until = datetime.fromisoformat(indicator["valid_until"]).astimezone(UTC).replace(tzinfo=None)
    return {
        "Id": id_of(indicator, source),
        "SourceSystem": source,
        "Pattern": indicator["pattern"],
        "ObservableValue": re.sub(r"\\(.)", r"\1", value) if parsed else "",
        "IsActive": not indicator.get("revoked", False) and until > ago(),
        "Revoked": indicator.get("revoked", False),
        "ValidUntil": until,
        "Confidence": indicator["confidence"],
        "AdditionalFields": json.dumps({"TLPLevel": "green"}),
        "Data": json.dumps(indicator),
        "LastUpdateMethod": "Upload",
        "Type": "ThreatIntelIndicators",
    }


def indicators_of(event):
    """Return what is sent of a MISP event now."""
    parts = convert_event(event, ConversionRules.of(Settings()), NOW)
    return [indicator for part in parts for indicator in part.indicators]


def of_attributes(*attributes):
    """Return what is sent of (type, value) pairs."""
    uuids = (f"aaaaaaaa-0000-4000-8000-{number:012d}" for number in range(1, 99))
    made = [
        {"uuid": uuid, "type": kind, "value": value, "to_ids": True, "timestamp": "1700000000"}
        for uuid, (kind, value) in zip(uuids, attributes, strict=False)
    ]
    event = {"uuid": "bbbbbbbb-0000-4000-8000-000000000001", "info": "An event", "id": "7", "Attribute": made}
    return indicators_of(event)


def context_of(indicator):
    """Return what is sent beside an indicator of which an actor and a technique are known: ends, then relationships."""
    actor = Cluster("aaaaaaaa-0000-4000-8000-0000000000a1", "tag", "threat-actor", "Moon Fox", "1", "3")
    technique = Cluster("aaaaaaaa-0000-4000-8000-0000000000a2", "tag", "mitre-attack-pattern", "Phishing", "1", "3")
    uses = Ends(Verb.USES, actor.end, technique.end)
    indicating = [Ends(Verb.INDICATES, indicator["id"], cluster.end) for cluster in (actor, technique)]
    ends = [desired_cluster(actor), desired_cluster(technique), desired_identity(actor.uuid, "Example CERT")]
    return [_as_sent(one) for one in (*ends, *map(desired_relationship, (uses, *indicating)))]


def _as_sent(wanted):
    moment = stix_time(NOW)
    return unpacked(wanted.body(wanted.first_id, moment, moment))


def of_sandbox():
    """Return what is sent of all events of the sandbox."""
    read = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(EVENTS.glob("*.json")))
    return [indicator for event in read for indicator in indicators_of(event.get("Event", event))]
