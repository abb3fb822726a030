"""What the measurements of what draws from a ledger share: one that holds a mixture, as runs of a year left it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from benchmarks.sandboxed import VALUES, attribute, event
from constants import Skip
from helpers.indicators import DAY, ConversionRules, Json, convert_event
from helpers.ledger import (
    AttributeRecord,
    DestinationFacts,
    EventRecord,
    Ledger,
    ObjectRecord,
    RetryPolicy,
    RunRecord,
    Source,
    Stage,
)
from helpers.settings import Settings
from helpers.sync import DesiredObject, attribute_key, decide_objects
from helpers.text import batched

EVENTS_AT_ONCE = 50
PER_EVENT = 50
YEAR = 365
# How many days before an object was sent last, and how many it lives from then on.
_DAYS, _LIFETIME = 100, 105
_TLP = ("tlp:green", "tlp:amber", "tlp:clear", "tlp:red")
_CONFIDENCE = ("completely-confident", "usually-confident", "fairly-confident", "rarely-confident")
_MIXTURE = len(VALUES) * len(_TLP) * len(_CONFIDENCE)
_SKIPS = (Skip.NO_TO_IDS, Skip.LOW_CONFIDENCE, Skip.EXPIRED)
_ORGANISATIONS = 40
# One event in so many is held, one attribute in so many is skipped besides, one object in so many is rejected.
_HELD, _SKIPPED, _REJECTED = 100, 10, 200


@dataclass(frozen=True)
class Example:
    """An attribute and its object as it is sent, for others to be like; ``text`` is the whole object as JSON."""

    uuid: str
    value: str
    type: str
    record: ObjectRecord
    text: str


def fill(settings: Settings, objects: int, now: int) -> None:
    """Write down so many objects of events of 50, and a run for each day of the year before ``now``."""
    ledger = Ledger(settings.ledger_url, settings.workspace_key, settings.sourcesystem)
    examples = _examples(settings, now)
    for numbers in batched(range(0, objects, PER_EVENT), EVENTS_AT_ONCE):
        these = range(numbers[0], min(objects, numbers[-1] + PER_EVENT))
        attributes = [_attribute(examples[n % _MIXTURE], n) for n in these]
        ledger.keep(
            events=[_event(first // PER_EVENT, now) for first in numbers],
            attributes=[*attributes, *map(_skipped, attributes[::_SKIPPED])],
            sources=[Source(_object(examples[n % _MIXTURE], n, now).key, _event_uuid(n), _uuid(n)) for n in these],
            objects=[_object(examples[n % _MIXTURE], n, now) for n in these],
        )
    for run in _runs(objects, now):
        ledger.keep_run(run)
    last = {"at": now - DAY // 24, "exit_code": 0}
    ledger.save_facts(DestinationFacts(full_at=now - DAY, deduplicate="attribute", last_run=last, last_good=last["at"]))
    ledger.close()


def _examples(settings: Settings, now: int) -> list[Example]:
    """Convert an attribute of each kind with each TLP and each confidence."""
    rules, moment = ConversionRules.of(settings), datetime.fromtimestamp(now, UTC)
    attributes = [{**attribute(n), "Tag": _tags(n // len(VALUES))} for n in range(_MIXTURE)]
    parts = convert_event({**event(0, now), "Attribute": attributes}, rules, moment)
    indicators = {indicator["id"]: indicator for part in parts for indicator in part.indicators}
    return [_example(known, indicators[f"indicator--{known['uuid']}"], now) for known in attributes]


def _example(known: Json, indicator: Json, now: int) -> Example:
    uuid, key = known["uuid"], attribute_key(indicator, known["uuid"])
    want = DesiredObject(key, indicator, UUID(uuid), indicator["id"], lifetime=_LIFETIME * DAY)
    (new,) = decide_objects({key: want}, {}, [], (), RetryPolicy(now), in_window=True).new
    return Example(uuid, known["value"], known["type"], new, new.due.json_text.decode())


def _object(like: Example, number: int, now: int) -> ObjectRecord:
    uuid, then = _uuid(number), now - number // PER_EVENT % _DAYS * DAY
    record = replace(
        like.record,
        id=f"indicator--{uuid}",
        key=like.record.key.replace(like.uuid, uuid),
        body=zlib.compress(like.text.replace(like.uuid, uuid).encode()),
        valid_until=then + _LIFETIME * DAY,
        sent_at=then,
    )
    if number % _REJECTED == 0:
        return replace(record, stage=Stage.REJECTED, words="Value must be a list of labels.")
    return replace(record, stage=Stage.ACCEPTED, live=True, live_until=record.valid_until, accepted_at=then)


def _attribute(like: Example, number: int) -> AttributeRecord:
    return AttributeRecord(_event_uuid(number), _uuid(number), "0" * 64, like.type, like.value)


def _skipped(like: AttributeRecord) -> AttributeRecord:
    skip = _SKIPS[int(like.uuid[-12:], 16) // _SKIPPED % len(_SKIPS)]
    return replace(like, uuid=f"3{like.uuid[1:]}", skip=skip.name)


def _uuid(number: int) -> str:
    return str(attribute(number)["uuid"])


def _event_uuid(number: int) -> str:
    return str(event(number // PER_EVENT)["uuid"])


def _tags(number: int) -> list[Json]:
    confidence = f'misp:confidence-level="{_CONFIDENCE[number // len(_TLP)]}"'
    return [{"name": _TLP[number % len(_TLP)]}, {"name": confidence}, {"name": "type:OSINT"}]


def _event(number: int, now: int) -> EventRecord:
    held = now - number * 60 if number % _HELD == 0 else None
    organisation = f"Organisation {number % _ORGANISATIONS}"
    return EventRecord(event(number)["uuid"], now - DAY, held is None, organisation, held_since=held)


def _runs(objects: int, now: int) -> Iterator[RunRecord]:
    """Make a run for each day, the oldest first, in which what is live grew."""
    for day in range(YEAR):
        done, at = objects // YEAR, now - (YEAR - day) * DAY
        live = dict.fromkeys(("domain", "url", "address", "file"), done * (day + 1) // 4)
        skipped = {skip.name: objects // 100 for skip in _SKIPS}
        yield RunRecord(at, seconds=40, events=100, new=done, accepted=done, skipped=skipped, live=live)
