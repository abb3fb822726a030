"""One event as it is read: what of it changed, what it wants at Microsoft, and what it no longer wants.

Deciding is ``helpers/sync/plan.py``'s; this carries an event's slices there and writes down what was decided.
Nothing of an event leaves before it was read to its end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from constants import Skip, WithdrawalReason
from helpers.indicators import (
    ConversionResult,
    EventHeader,
    Item,
    Json,
    PreparedAttribute,
    PreparedObject,
    RequestObjectEvent,
    Skipped,
    apply_filters,
    attribute_of,
    convert_prepared,
    text_of,
)
from helpers.indicators import request_graph as graph_objects
from helpers.ledger import AttributeRecord, EventRecord, Indicator, Ledger, RetryPolicy, Source
from helpers.misp import UNASKED, ListedEvent, whole_number
from helpers.settings import Settings
from helpers.sync import plan as plan_module
from helpers.sync.plan import DesiredObject, Plan, Reason

_PARTS = ("type", "category", "value", "comment", "timestamp", "last_seen", "Tag")


@dataclass(frozen=True)
class ObjectPlanner:
    """Where events are planned.

    ``carry_out`` gets each plan after it was written down, ``tell`` each part of an event's conversion;
    ``full_run`` is the number of the latest full run, ``changed`` the reason for what is no longer wanted of an
    attribute of which something else is.
    """

    settings: Settings
    ledger: Ledger
    terms: RetryPolicy
    carry_out: Callable[[Plan], None]
    tell: Callable[[ConversionResult], None]
    full_run: int = 0
    changed: str = WithdrawalReason.CHANGED

    @property
    def now(self) -> datetime:
        """The run's time."""
        return datetime.fromtimestamp(self.terms.now, UTC)

    def source(self, event: str, attribute: PreparedAttribute, indicator: Indicator) -> Source:
        """Return an attribute's part in the object that one of its indicators stands for."""
        if self.settings.deduplicate == "attribute":
            return Source(plan_module.attribute_key(indicator, attribute.uuid), event, attribute.uuid)
        lifetime = self.lifetime(attribute, indicator)
        return plan_module.contribution(plan_module.value_key(indicator), event, attribute.uuid, indicator, lifetime)

    def lifetime(self, attribute: PreparedAttribute, indicator: Indicator) -> int:
        """Return how many seconds an expiry that counts from the run's time is ahead of it; 0 for a fixed one."""
        has_end = (
            not self.settings.graph
            and attribute.raw.get("last_seen")
            and not self.settings.days_to_expire_ignore_misp_last_seen
        )
        if has_end or (not self.settings.graph and self.settings.days_to_expire_start != "current_date"):
            return 0
        return plan_module.seconds(indicator["valid_until"]) - plan_module.seconds(indicator["modified"])

    def decide(
        self,
        wanted: Mapping[str, DesiredObject],
        unwanted: Mapping[str, Reason],
        *,
        event: str,
        in_window: bool,
        **written: Any,
    ) -> Plan:
        """Decide by an event, write the intent down together with ``written``, carry it out, and return it."""
        remembered = self.ledger.objects([*wanted, *unwanted])
        taken = self.ledger.by_id(each.first_id for each in wanted.values())
        plan = plan_module.decide(wanted, unwanted, remembered, taken, self.terms, in_window=in_window, event=event)
        self.ledger.keep(objects=plan.kept, no_objects=[each.id for each in plan.forget], **written)
        self.carry_out(plan)
        return plan

    def drop(self, event: str, sources: Sequence[Source], reasons: Mapping[str, str], **written: Any) -> None:
        """Take an event's sources out of their objects: one without any leaves, for its attribute's reason."""
        dropped = {replace(each, contribution=b"") for each in sources}
        every = self.ledger.sources({each.key for each in sources})
        staying = [each for each in every if replace(each, contribution=b"") not in dropped]
        left = {each.key for each in staying}
        unwanted = {
            each.key: (reasons.get(each.attribute, WithdrawalReason.NOT_SHOWN), event)
            for each in sources
            if each.key not in left
        }
        together = wanted_together(staying) if self.settings.deduplicate == "value" else {}
        self.decide(together, unwanted, event=event, in_window=False, no_sources=sources, **written)


@dataclass(frozen=True)
class PreparedSlice:
    """A part of an event as MISP delivered it, prepared once for every destination."""

    prepared: RequestObjectEvent
    prints: Mapping[str, str]

    @classmethod
    def of(cls, event: Json, settings: Settings, shape: str, now: datetime) -> PreparedSlice:
        """Prepare an event, or a slice of it; ``shape`` prints the settings that shape the result."""
        prepared = RequestObjectEvent(event, settings, now)
        every = _members(prepared.items)
        shape += graph_objects.inherited(prepared.header) if settings.graph else ""
        return cls(prepared, {each.uuid: fingerprint(prepared.header, each, shape) for each in every})

    @property
    def event(self) -> Json:
        """The event as MISP delivered it."""
        return self.prepared.event

    def converted(self, changed: Iterable[Item], now: datetime) -> Iterator[ConversionResult]:
        """Convert, once, what changed for any destination."""
        left = list({id(item): item for item in changed}.values())
        while left:  # an object of which destinations want different members comes several times
            once = {item.uuid: item for item in reversed(left)}
            yield from convert_prepared(self.prepared, list(once.values())[::-1], now)
            left = [item for item in left if item is not once[item.uuid]]


@dataclass
class EventSync:
    """An event on its way from MISP's answer into one destination's rows of the ledger, part by part."""

    desk: ObjectPlanner
    uuid: str
    listed: ListedEvent | None
    known: dict[str, AttributeRecord] = field(init=False)
    sources: dict[str, list[Source]] = field(default_factory=dict)
    unsettled: set[str] = field(init=False)
    seen: set[str] = field(default_factory=set)
    late: list[AttributeRecord] = field(default_factory=list)
    dropped: list[Source] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    event: Json = field(default_factory=dict)
    changed: Mapping[str, PreparedAttribute] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Fetch what is remembered of the event's attributes."""
        ledger = self.desk.ledger
        self.known = ledger.attributes(self.uuid)
        sources = ledger.sources_of_event(self.uuid)
        for source in sources:
            self.sources.setdefault(source.attribute, []).append(source)
        unsettled = ledger.unsettled_keys({source.key for source in sources}, self.desk.terms)
        self.unsettled = {source.attribute for source in sources if source.key in unsettled}

    def look(self, part: PreparedSlice) -> list[Item]:
        """Look at a part of the event, and return what of it changed."""
        self.event = part.event
        unasked = int(part.event.get(UNASKED, 0))
        self.desk.tell(ConversionResult(unasked, unasked=unasked))
        passing = apply_filters(part.prepared, *self.desk.settings.every_filter)
        self._skips(_of_others(passing.skipped, passing.items), {})
        self.desk.tell(ConversionResult(len(passing.skipped), skipped=passing.skipped, left_out=passing.left_out))
        changed = [item for item in passing.items if any(self._differs(each, part) for each in _members([item]))]
        self.changed = {each.uuid: each for each in _members(changed)}
        self._unchanged([each for each in _members(passing.items) if each.uuid not in self.changed])
        self.seen |= {each.uuid for each in _members(passing.items)}
        return changed

    def take(self, converted: ConversionResult, part: PreparedSlice) -> None:
        """Take what became of changed attributes, other destinations' among them: send what is wanted anew."""
        mine = converted.for_attributes(self.changed)
        self.desk.tell(mine)
        self._part(mine, self.changed, part.prints)

    @property
    def absent(self) -> list[str]:
        """The attributes that are remembered and were not seen."""
        return [attribute for attribute in self.known if attribute not in self.seen]

    @property
    def lets_go(self) -> bool:
        """Whether anything of the event is to leave."""
        return bool(self.dropped or self.absent or self.late)

    def finish(self, *, let_go: bool) -> EventRecord:
        """Let go of what the event, read to its end, no longer wants; return how it is remembered."""
        if let_go and self.lets_go:
            absent = self.absent
            if UNASKED in self.event:
                self.reasons |= dict.fromkeys(absent, WithdrawalReason.NOT_FLAGGED)
            self.dropped += [source for attribute in absent for source in self.sources.get(attribute, [])]
            gone = {self.uuid: absent}
            self.desk.drop(self.uuid, self.dropped, self.reasons, attributes=self.late, no_attributes=gone)
        return EventRecord(
            uuid=self.uuid,
            timestamp=whole_number(self.event.get("timestamp")),
            published=self.event.get("published") in (True, 1, "1"),
            organisation=EventHeader.read(self.event).organisation_uuid,
            listing=self.listed.listing if self.listed else "",
            listed=self.listed is not None,
            todo=True,
            full_run=self.desk.full_run,
        )

    def _differs(self, attribute: PreparedAttribute, part: PreparedSlice) -> bool:
        known = self.known.get(attribute.uuid)
        return known is None or known.fingerprint != part.prints[attribute.uuid] or attribute.uuid in self.unsettled

    def _unchanged(self, attributes: Sequence[PreparedAttribute]) -> None:
        """Tell of attributes that stand as they did: sent before, or skipped for the reason that is known."""
        rows = [(each, self.known[each.uuid]) for each in attributes]
        header = EventHeader.read(self.event)
        skipped = [each.skipped(header, Skip[row.skip], row.words) for each, row in rows if row.skip]
        self.desk.tell(ConversionResult(len(rows), skipped=skipped, unchanged=len(rows) - len(skipped)))

    def _part(
        self, part: ConversionResult, by_uuid: Mapping[str, PreparedAttribute], prints: Mapping[str, str]
    ) -> None:
        """Plan a converted part: what it wants now, and, for later, what it wanted before."""
        sources, wanted = [], {}
        for indicator in part.indicators:
            attribute = by_uuid[attribute_of(indicator)]
            source = self.desk.source(self.uuid, attribute, indicator)
            sources.append(source)
            wanted[source.key] = plan_module.wanted_alone(source, indicator, self.desk.lifetime(attribute, indicator))
        self.desk.ledger.keep(sources=sources)
        if self.desk.settings.deduplicate == "value":
            wanted = wanted_together(self.desk.ledger.sources(wanted))
        rows = self._rows(by_uuid, prints, sources)
        plan = self.desk.decide(wanted, {}, event=self.uuid, in_window=self.listed is not None, attributes=rows)
        sent = {each.key for each in plan.send}
        going_out = {source.attribute for source in sources if source.key in sent}
        self.desk.tell(ConversionResult(unchanged=len({source.attribute for source in sources} - going_out)))
        self._skips(part.skipped, prints)

    def _rows(
        self,
        by_uuid: Mapping[str, PreparedAttribute],
        prints: Mapping[str, str],
        sources: Sequence[Source],
    ) -> list[AttributeRecord]:
        """Return how sent attributes are remembered: at once, or later where something of theirs leaves."""
        now_wanted: dict[str, set[str]] = {}
        for source in sources:
            now_wanted.setdefault(source.attribute, set()).add(source.key)
        rows: list[AttributeRecord] = []
        for uuid, keys in now_wanted.items():
            row = self._row(uuid, by_uuid[uuid].raw, prints[uuid])
            before = [source for source in self.sources.get(uuid, []) if source.key not in keys]
            self.reasons[uuid] = self.desk.changed
            self.dropped += before
            (self.late if before else rows).append(row)
        return rows

    def _skips(self, skipped: Sequence[Skipped], prints: Mapping[str, str]) -> None:
        """Remember why attributes are not sent; what was sent of them before leaves when the event is read."""
        rows = []
        for skip in skipped:
            uuid = skip.attribute_uuid.lower()
            row = AttributeRecord(
                self.uuid, uuid, prints.get(uuid, ""), skip.type, skip.value, skip.reason.name, skip.words
            )
            self.seen.add(uuid)
            before = self.sources.get(uuid, [])
            self.reasons[uuid] = skip.reason.value
            self.dropped += before
            if before:
                self.late.append(row)
            elif row != self.known.get(uuid):
                rows.append(row)
        self.desk.ledger.keep(attributes=rows)

    def _row(self, uuid: str, raw: Json, print_: str) -> AttributeRecord:
        return AttributeRecord(self.uuid, uuid, print_, text_of(raw.get("type")), text_of(raw.get("value"))[:1000])


def wanted_together(sources: Iterable[Source]) -> dict[str, DesiredObject]:
    """Return what all the sources of objects want together."""
    by_key: dict[str, list[Source]] = {}
    for source in sources:
        by_key.setdefault(source.key, []).append(source)
    return {key: plan_module.wanted_by_all(key, of_key) for key, of_key in by_key.items()}


def _of_others(skipped: Iterable[Skipped], items: Iterable[Item]) -> list[Skipped]:
    """Leave out skips under a UUID that another attribute of the event has as well: that one's fate is remembered."""
    sent = {each.uuid for each in _members(items)}
    apart = [each for each in skipped if each.reason is not Skip.DUPLICATE_UUID]
    return [each for each in apart if each.attribute_uuid.lower() not in sent]


def fingerprint(header: EventHeader, attribute: PreparedAttribute, shape: str) -> str:
    """Print all that an attribute's indicators are made of: itself, what it inherits, the settings."""
    made_of = [
        shape,
        [header.uuid, header.id, header.info, header.date, header.organisation, header.organisation_uuid],
        sorted([tag.name, tag.local] for tag in header.tags),
        [attribute.raw.get(part) for part in _PARTS[:-1]],
        sorted([tag.name, tag.local] for tag in attribute.tags),
        [attribute.object_name, attribute.file_name],
    ]
    return hashlib.sha256(json.dumps(made_of, sort_keys=True, default=str).encode()).hexdigest()


def _members(items: Iterable[Item]) -> list[PreparedAttribute]:
    every: list[PreparedAttribute] = []
    for item in items:
        every += item.members if isinstance(item, PreparedObject) else (item,)
    return every
