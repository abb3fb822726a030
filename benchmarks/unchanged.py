"""How long a run takes that finds nothing changed, and how much memory, at so many remembered objects.

    python -m benchmarks.unchanged --objects 1000000
    python -m benchmarks.unchanged --objects 1000000 --events 20000 --listed 1000

The ledger is filled directly, as accepted runs would have left it. The sandbox's MISP has all the events
and none of their attributes, which an unchanged run does not ask for. ``--listed`` is how many of the
events the filters still find, the others having left their time window (default: all).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from benchmarks.sandboxed import Measured, attribute, event, parser, run, show, site
from helpers.indicators import DAY, ConversionRules, Indicator, convert_event
from helpers.ledger import (
    AttributeRecord,
    DestinationFacts,
    EventRecord,
    Ledger,
    ObjectRecord,
    RetryPolicy,
    Source,
    Stage,
)
from helpers.misp.responses import listed_event
from helpers.settings import Settings, load
from helpers.sync import DesiredObject, attribute_key, decide_objects, settings_fingerprint
from sandbox.misp.records import Record
from sandbox.serve import Sandbox

FILTERS = '{"published": 1, "enforceWarninglist": true, "publish_timestamp": "14d"}'
EVENTS_AT_ONCE = 100

Rows = tuple[AttributeRecord, Source, ObjectRecord]


def measure(objects: int, event_count: int, listed: int) -> Measured:
    """Fill MISP and ledger, run once, and return what that took."""
    attributes = objects // event_count
    with Sandbox() as box, TemporaryDirectory() as folder:
        environ = site(box, Path(folder), MISP_EVENT_FILTERS=FILTERS)
        now = int(time.time())
        box.misp.load(_light(n, attributes, now if n < listed else now - 100 * DAY) for n in range(event_count))
        fill(load(None, environ).settings, box.misp.events(), now - DAY)
        size = sum(path.stat().st_size for path in Path(folder).glob("ledger*"))
        remembered = {"remembered_objects": event_count * attributes, "remembered_events": event_count}
        return {**remembered, "ledger_mb": size // 1_000_000, **run(box, environ)}


def fill(settings: Settings, events: Iterator[Record], then: int) -> None:
    """Write down these events, and everything in them, as accepted ``then``."""
    ledger = Ledger(settings.ledger_url, settings.ms_auth.workspace_id, settings.sourcesystem)
    model = _model(settings, then)
    while batch := list(islice(events, EVENTS_AT_ONCE)):
        rows = [row for event in batch for row in _objects(model, event, then)]
        attributes, sources, objects = zip(*rows, strict=True)
        ledger.keep(events=_remembered(batch, then), attributes=attributes, sources=sources, objects=objects)
    fingerprint = settings_fingerprint(settings)
    ledger.save_facts(
        DestinationFacts(full_at=then, settings_fingerprint=fingerprint, deduplicate=settings.deduplicate)
    )
    ledger.close()


def _light(number: int, attributes: int, published_at: int) -> Record:
    """Make an event that says how many attributes it has, and has none."""
    tags = [{"name": "tlp:green"}, {"name": "type:OSINT"}]
    return {**event(number, published_at), "attribute_count": attributes, "Tag": tags}


def _model(settings: Settings, then: int) -> Indicator:
    """Convert one attribute, for all others to be like."""
    event_with_attribute = {**event(0, then), "Attribute": [attribute(0)]}
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
        uuid, value = f"20000000-0000-4000-8000-{n:012x}", f"host{n}.example.org"
        indicator = {**model, "id": f"indicator--{uuid}", "pattern": f"[domain-name:value = '{value}']"}
        source = Source(attribute_key(indicator, uuid), event["uuid"], uuid)
        want = DesiredObject(source.key, indicator, UUID(uuid), indicator["id"], lifetime=300 * DAY)
        (new,) = decide_objects({want.key: want}, {}, [], (), RetryPolicy(then), in_window=True).new
        print_ = hashlib.sha256(uuid.encode()).hexdigest()
        record = AttributeRecord(event["uuid"], uuid, print_, "domain", value)
        yield record, source, replace(new, stage=Stage.ACCEPTED, live=True, sent_at=then, accepted_at=then)


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--objects", type=int, default=1_000_000)
    command_line.add_argument("--events", type=int, default=20_000)
    command_line.add_argument("--listed", type=int, default=None)
    options = command_line.parse_args()
    events = min(options.events, options.objects)
    listed = events if options.listed is None else options.listed
    show({"unchanged": measure(options.objects, events, listed)}, options.json)


if __name__ == "__main__":
    main()
