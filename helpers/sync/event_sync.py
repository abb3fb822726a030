"""One event on its way from MISP's answer into one destination's ledger and queue.

``PreparedSlice`` is prepared and converted once for all destinations, ``EventSync`` is one destination's part in it.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from constants import Skip, WithdrawalReason
from helpers.indicators import (
    ConversionResult,
    ConversionRules,
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
    is_true,
    text_of,
)
from helpers.ledger import AttributeRecord, EventRecord, Ledger, Source
from helpers.misp import UNASKED, ListedEvent, whole_number
from helpers.settings import AttributeFilters
from helpers.sync.object_planner import ObjectPlanner
from helpers.sync.report import Report
from helpers.sync.send_queue import SendQueue
from helpers.text import shorten

_LONGEST_VALUE = 1000


@dataclass(frozen=True)
class PreparedSlice:
    """A whole event, or a slice of a large one, prepared once for every destination.

    ``fingerprints`` has, for each attribute by UUID, what tells whether its indicators may have changed.
    """

    prepared: RequestObjectEvent
    fingerprints: Mapping[str, str]

    @classmethod
    def of(cls, event: Json, rules: ConversionRules, settings_fingerprint: str, now: datetime) -> PreparedSlice:
        """Prepare a slice; ``settings_fingerprint`` is that of the settings by which the run reads."""
        prepared = RequestObjectEvent(event, rules, now)
        inherited = settings_fingerprint + rules.format.inherited(prepared.header)
        attributes = _members(prepared.items)
        return cls(
            prepared, {attribute.uuid: fingerprint(prepared.header, attribute, inherited) for attribute in attributes}
        )

    def convert(self, changed: Iterable[Item]) -> Iterator[ConversionResult]:
        """Convert, once, what changed for any destination."""
        items = list({id(item): item for item in changed}.values())
        while items:  # an object of which destinations want different members comes several times
            once = {item.uuid: item for item in reversed(items)}
            yield from convert_prepared(self.prepared, list(once.values())[::-1])
            items = [item for item in items if item is not once[item.uuid]]


@dataclass(frozen=True)
class SyncContext:
    """What all events of one destination share in a run.

    ``full_run`` is the number of the latest full run, ``changed_reason`` the reason for what is no longer wanted of an
    attribute of which something else is. ``afresh`` says that nothing is taken to be as it was; ``unheard`` has the
    events that the next run is to read again.
    """

    filters: Sequence[AttributeFilters]
    ledger: Ledger
    planner: ObjectPlanner
    queue: SendQueue
    report: Report
    full_run: int = 0
    changed_reason: str = WithdrawalReason.CHANGED
    afresh: bool = False
    unheard: set[str] = field(default_factory=set)

    def hear_again(self, sources: Sequence[Source]) -> None:
        """Have the events of sources read again by the next run, since it is not known what they ask for."""
        if sources:
            self.ledger.hear_again(sources)
            self.unheard.update(source.event for source in sources)

    def take_back(self, event: str, sources: Sequence[Source], reasons: Mapping[str, str], **kept: Any) -> None:
        """Let an event take sources back, and write that down with what else is kept of it; enqueue what changes."""
        plan, unheard = self.planner.plan_without(event, sources, reasons)
        self.hear_again(unheard)
        forget = [record.id for record in plan.forget]
        self.ledger.keep(objects=plan.kept, no_objects=forget, no_sources=sources, **kept)
        self.queue.send_at_the_end(plan)


@dataclass
class EventSync:
    """One event at one destination: compare each slice, take what became of it, and finish.

    What leaves is decided at the end, since only an event that was read whole shows what is not in it any more.
    """

    context: SyncContext
    uuid: str
    listed: ListedEvent | None
    _known: dict[str, AttributeRecord] = field(init=False)
    _sources: dict[str, list[Source]] = field(default_factory=dict)
    _unsettled: set[str] = field(init=False)
    _seen: set[str] = field(default_factory=set)
    _accepted: set[str] = field(default_factory=set)
    _rows_for_the_end: list[AttributeRecord] = field(default_factory=list)
    _taken_back: list[Source] = field(default_factory=list)
    _reasons: dict[str, str] = field(default_factory=dict)
    _event: Json = field(default_factory=dict)
    _header: EventHeader | None = None
    _changed: Mapping[str, PreparedAttribute] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Fetch what the ledger knows of the event's attributes."""
        ledger = self.context.ledger
        self._known = ledger.attributes(self.uuid)
        sources = ledger.sources_of_event(self.uuid)
        for source in sources:
            self._sources.setdefault(source.attribute, []).append(source)
        unsettled = ledger.unsettled_keys({source.key for source in sources}, self.context.planner.policy)
        self._unsettled = {source.attribute for source in sources if source.key in unsettled}

    def compare(self, part: PreparedSlice) -> list[Item]:
        """Compare a slice with what the ledger knows, and return what of it changed and is to be converted."""
        self._event, header = part.prepared.event, part.prepared.header
        self._header = header
        passing = apply_filters(part.prepared, *self.context.filters)
        items, skipped = self._once(passing.items, header)
        skipped += passing.skipped
        self._count_what_is_not_sent(skipped, passing.left_out)
        attributes = _members(items)
        self._accepted |= {attribute.uuid for attribute in attributes}
        self._take_up_again({attribute.uuid for attribute in attributes} & self._seen)
        self._keep_skips(_of_others(skipped, self._accepted), {})
        changed = [item for item in items if any(self._differs(member, part) for member in _members([item]))]
        self._changed = {member.uuid: member for member in _members(changed)}
        self._count_known([attribute for attribute in attributes if attribute.uuid not in self._changed], header)
        self._seen |= {attribute.uuid for attribute in attributes}
        return changed

    def take(self, converted: ConversionResult, part: PreparedSlice) -> None:
        """Take what became of changed attributes, other destinations' among them.

        It is planned, the intent is written, and only then it is enqueued.
        """
        context, mine = self.context, converted.for_attributes(self._changed)
        context.report.add_attributes(mine.attributes)
        context.report.add_skips(mine.skipped, mine.left_out)
        wanted = self._wanted(mine)
        claim = context.planner.claim(self.uuid, wanted)
        context.hear_again(claim.unheard)
        context.ledger.keep(sources=claim.sources)
        desired = context.planner.desired(wanted, claim.theirs)
        plan = context.planner.plan(desired, {}, event=self.uuid, in_window=self.listed is not None)
        rows = self._rows(part, list(wanted))
        context.ledger.keep(objects=plan.kept, no_objects=[record.id for record in plan.forget], attributes=rows)
        context.queue.send(plan)
        self._keep_skips(mine.skipped, part.fingerprints)

    def finish(self, *, may_withdraw: bool) -> bool:
        """Remember the event, which was read to its end; let go of what it no longer wants, if that may leave.

        Return whether all of it is decided: what may not leave is looked at again by the next run.
        """
        nothing_leaves = not (self._taken_back or self._absent or self._rows_for_the_end)
        if may_withdraw and not nothing_leaves:
            self._withdraw_what_left()
        self.context.ledger.keep(events=[self._record()])
        self.context.unheard.discard(self.uuid)
        return may_withdraw or nothing_leaves

    @property
    def _absent(self) -> list[str]:
        """The attributes that the ledger knows and that were not seen."""
        return [attribute for attribute in self._known if attribute not in self._seen]

    def _once(self, items: Sequence[Item], header: EventHeader) -> tuple[list[Item], list[Skipped]]:
        """Return items, and skips of those whose UUID an attribute of an earlier slice has: the first one counts."""
        again = _members([item for item in items if item.uuid in self._accepted])
        skipped = [member.skipped(header, Skip.DUPLICATE_UUID) for member in again]
        return [item for item in items if item.uuid not in self._accepted], skipped

    def _take_up_again(self, attributes: AbstractSet[str]) -> None:
        """Forget that an earlier slice had other attributes with these UUIDs, which were skipped."""
        self._taken_back = [source for source in self._taken_back if source.attribute not in attributes]
        self._rows_for_the_end = [row for row in self._rows_for_the_end if row.uuid not in attributes]

    def _wanted(self, converted: ConversionResult) -> dict[Source, tuple[PreparedAttribute, dict[str, Any]]]:
        """Return what is wanted of attributes: for each source, its attribute and its indicator."""
        wanted: dict[Source, tuple[PreparedAttribute, dict[str, Any]]] = {}
        for indicator in converted.indicators:
            attribute = self._changed[attribute_of(indicator)]
            wanted[self.context.planner.source(self.uuid, attribute, indicator)] = (attribute, indicator)
        return wanted

    def _withdraw_what_left(self) -> None:
        """Plan without what the event no longer wants, write it down, and enqueue what changes by that."""
        context, absent = self.context, self._absent
        if UNASKED in self._event:
            self._reasons |= dict.fromkeys(absent, WithdrawalReason.NOT_FLAGGED)
        taken_back = self._taken_back + [source for uuid in absent for source in self._sources.get(uuid, [])]
        kept = {"attributes": self._rows_for_the_end, "no_attributes": {self.uuid: absent}}
        context.take_back(self.uuid, taken_back, self._reasons, **kept)

    def _record(self) -> EventRecord:
        """Return how the event is recorded; that all of it is settled is only known after Microsoft's answers."""
        return EventRecord(
            uuid=self.uuid,
            timestamp=whole_number(self._event.get("timestamp")),
            published=is_true(self._event.get("published")),
            organisation=self._header.organisation_uuid if self._header else "",
            organisation_name=self._header.organisation if self._header else "",
            listing=self.listed.listing if self.listed else "",
            listed=self.listed is not None,
            todo=True,
            full_run=self.context.full_run,
        )

    def _differs(self, attribute: PreparedAttribute, part: PreparedSlice) -> bool:
        known = self._known.get(attribute.uuid)
        if known is None or attribute.uuid in self._unsettled or self.context.afresh:
            return True
        return known.fingerprint != part.fingerprints[attribute.uuid]

    def _count_what_is_not_sent(self, skipped: Sequence[Skipped], left_out: Sequence[Skipped]) -> None:
        report = self.context.report
        report.add_unasked(int(self._event.get(UNASKED, 0)))
        report.add_attributes(len(skipped))
        report.add_skips(skipped, left_out)

    def _count_known(self, attributes: Sequence[PreparedAttribute], header: EventHeader) -> None:
        """Count attributes that are as they were: sent before, or skipped for the reason that is known."""
        rows = [(attribute, self._known[attribute.uuid]) for attribute in attributes]
        skipped = [attribute.skipped(header, Skip[row.skip], row.words) for attribute, row in rows if row.skip]
        self.context.report.add_attributes(len(rows))
        self.context.report.add_skips(skipped, ())

    def _rows(self, part: PreparedSlice, sources: Sequence[Source]) -> list[AttributeRecord]:
        """Return how sent attributes are recorded now; the others wait, since something of theirs leaves."""
        keys_by_attribute: dict[str, set[str]] = {}
        for source in sources:
            keys_by_attribute.setdefault(source.attribute, set()).add(source.key)
        rows: list[AttributeRecord] = []
        for uuid, keys in keys_by_attribute.items():
            row = self._row(self._changed[uuid], part.fingerprints[uuid])
            before = [source for source in self._sources.get(uuid, []) if source.key not in keys]
            self._reasons[uuid] = self.context.changed_reason
            self._taken_back += before
            (self._rows_for_the_end if before else rows).append(row)
        return rows

    def _keep_skips(self, skipped: Sequence[Skipped], fingerprints: Mapping[str, str]) -> None:
        """Remember why attributes are not sent; what was sent of them before leaves when the event is finished."""
        rows = []
        for skip in skipped:
            uuid = skip.attribute_uuid.lower()
            decided = (skip.type, skip.value, skip.reason.name, skip.words)
            row = AttributeRecord(self.uuid, uuid, fingerprints.get(uuid, ""), *decided)
            self._seen.add(uuid)
            self._reasons[uuid] = skip.reason.value
            before = self._sources.get(uuid, [])
            self._taken_back += before
            if before:
                self._rows_for_the_end.append(row)
            elif row != self._known.get(uuid):
                rows.append(row)
        self.context.ledger.keep(attributes=rows)

    def _row(self, attribute: PreparedAttribute, fingerprint: str) -> AttributeRecord:
        kind, value = (text_of(attribute.raw.get(name)) for name in ("type", "value"))
        return AttributeRecord(self.uuid, attribute.uuid, fingerprint, kind, shorten(value, _LONGEST_VALUE, ""))


def fingerprint(header: EventHeader, attribute: PreparedAttribute, settings: str) -> str:
    """Return what changes with anything that an attribute's indicators are made of: it, its event, the settings."""
    made_of = [
        [attribute.raw.get(name) for name in ("type", "category", "value", "comment", "timestamp", "last_seen")],
        sorted([tag.name, tag.local] for tag in attribute.tags),
        [attribute.object_name, attribute.file_name],
    ]
    said = header.said_by(settings)
    said.update(f", {json.dumps(made_of, sort_keys=True, default=str)[1:]}".encode())
    return said.hexdigest()


def _of_others(skipped: Iterable[Skipped], accepted: Container[str]) -> list[Skipped]:
    """Leave out skips under a UUID that another attribute of the event has as well: that one's fate is recorded."""
    others = (skip for skip in skipped if skip.reason is not Skip.DUPLICATE_UUID)
    return [skip for skip in others if skip.attribute_uuid.lower() not in accepted]


def _members(items: Iterable[Item]) -> list[PreparedAttribute]:
    attributes: list[PreparedAttribute] = []
    for item in items:
        attributes += item.members if isinstance(item, PreparedObject) else (item,)
    return attributes
