"""A ledger as accepted runs would have left it, of one destination or of several, and the MISP that it was read from.

The events are in the MISP without their attributes, which a run does not ask for while nothing changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import UUID

import sqlalchemy as sql

from benchmarks.sandboxed import attribute, event
from helpers.indicators import DAY, ConversionRules, Indicator, convert_event
from helpers.ledger import (
    AttributeRecord,
    Database,
    DestinationFacts,
    EventRecord,
    Ledger,
    ObjectRecord,
    RetryPolicy,
    Source,
    Stage,
)
from helpers.ledger.tables import METADATA
from helpers.misp.responses import listed_event
from helpers.settings import Settings
from helpers.sync import DesiredObject, attribute_key, decide_objects, settings_fingerprint
from sandbox.misp.records import Record

EVENTS_AT_ONCE = 100
TAGS = ({"name": "tlp:green"}, {"name": "type:OSINT"})

Rows = tuple[AttributeRecord, Source, ObjectRecord]


def light(number: int, attributes: int, published_at: int) -> Record:
    """Make an event that says how many attributes it has, and has none."""
    return {**event(number, published_at), "attribute_count": attributes, "Tag": list(TAGS)}


def with_attributes(number: int, attributes: int, published_at: int, comment: str) -> Record:
    """Make the same event with its attributes, which have another comment than the ledger knows."""
    numbers = range(number * attributes, (number + 1) * attributes)
    made = [{**attribute(0), "uuid": _uuid(n), "value": _value(n), "comment": comment} for n in numbers]
    return {**light(number, attributes, published_at), "Attribute": made}


def fill(destinations: Sequence[Settings], events: Iterator[Record], then: int) -> None:
    """Write down these events, and everything in them, as accepted ``then`` by each destination.

    The first one is filled by the ledger itself, and what it has is copied for the others.
    """
    database = Database(destinations[0].ledger_url)
    ledgers = [Ledger(database, settings.workspace_key, settings.sourcesystem) for settings in destinations]
    _fill_one(ledgers[0], _model(destinations[0], then), events, then)
    for ledger, settings in zip(ledgers, destinations, strict=True):
        if ledger is not ledgers[0]:
            _copy(database, ledgers[0].destination, ledger.destination)
        print_ = settings_fingerprint(settings)
        ledger.save_facts(DestinationFacts(full_at=then, settings_fingerprint=print_, deduplicate=settings.deduplicate))
    database.close()


def _fill_one(ledger: Ledger, model: Indicator, events: Iterator[Record], then: int) -> None:
    while batch := list(islice(events, EVENTS_AT_ONCE)):
        rows = [row for event in batch for row in _objects(model, event, then)]
        attributes, sources, objects = zip(*rows, strict=True)
        ledger.keep(events=_remembered(batch, then), attributes=attributes, sources=sources, objects=objects)


def _copy(database: Database, known: int, other: int) -> None:
    """Give a destination every row that another one has, in whichever tables destinations have rows."""
    with database.transaction() as connection:
        for table in METADATA.sorted_tables:
            if "destination" in table.c:
                columns: dict[str, Any] = {column.name: column for column in table.c}
                columns["destination"] = sql.literal(other)
                rows = sql.select(*columns.values()).where(table.c.destination == known)
                connection.execute(sql.insert(table).from_select(list(columns), rows))


def _model(settings: Settings, then: int) -> Indicator:
    """Convert one attribute, for all others to be like."""
    event_with_attribute = with_attributes(0, 1, then, "made for a measurement")
    parts = convert_event(event_with_attribute, ConversionRules.of(settings), datetime.fromtimestamp(then, UTC))
    (indicator,) = (indicator for part in parts for indicator in part.indicators)
    return indicator


def _remembered(events: Iterable[Record], then: int) -> Iterator[EventRecord]:
    for seen in map(listed_event, events):
        listed = seen.timestamp > then - DAY
        yield EventRecord(seen.uuid, seen.timestamp, seen.published, seen.organisation, seen.listing, listed)


def _objects(model: Indicator, event: Record, then: int) -> Iterator[Rows]:
    """Make the rows of an event's attributes: each has one object, accepted and far from renewal."""
    number, count = int(event["uuid"][-12:], 16), int(event["attribute_count"])
    for n in range(number * count, (number + 1) * count):
        uuid, value = _uuid(n), _value(n)
        indicator = {**model, "id": f"indicator--{uuid}", "pattern": f"[domain-name:value = '{value}']"}
        source = Source(attribute_key(indicator, uuid), event["uuid"], uuid)
        want = DesiredObject(source.key, indicator, UUID(uuid), indicator["id"], lifetime=300 * DAY)
        (new,) = decide_objects({want.key: want}, {}, [], (), RetryPolicy(then), in_window=True).new
        print_ = hashlib.sha256(uuid.encode()).hexdigest()
        record = AttributeRecord(event["uuid"], uuid, print_, "domain", value)
        accepted = replace(new, stage=Stage.ACCEPTED, live=True, live_until=new.valid_until)
        yield record, source, replace(accepted, sent_at=then, accepted_at=then)


def _uuid(number: int) -> str:
    return str(attribute(number)["uuid"])


def _value(number: int) -> str:
    return f"host{number}.example.org"
