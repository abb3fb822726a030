"""One event as destinations that know the same of it decide on it: slice by slice, and at its end. Pure.

``group.py`` says which destinations those are, ``draft.py`` writes down what was decided.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from constants import Skip, WithdrawalReason
from helpers.indicators import (
    ConversionResult,
    EventHeader,
    Indicator,
    Item,
    Json,
    PreparedAttribute,
    Skipped,
    apply_filters,
    attribute_of,
    in_small_letters,
    is_true,
    text_of,
)
from helpers.ledger import AttributeRecord, EventRecord, Relation, Source
from helpers.misp import UNASKED, ListedEvent, whole_number
from helpers.settings import AttributeFilters
from helpers.sync.context.event_relations import ContextWishes, EventRelations
from helpers.sync.events.known import Known
from helpers.sync.events.prepared_slice import PreparedSlice, members
from helpers.sync.object_planner import ObjectWishes, Wanted
from helpers.sync.report import Told
from helpers.text import shorten

_LONGEST_VALUE = 1000


@dataclass(frozen=True)
class Wishes:
    """What decides on an event at a destination, beside what its ledger knows; destinations may wish the same.

    ``changed_reason`` is the reason for what is no longer wanted of an attribute of which something else is.
    ``afresh`` says that nothing is taken to be as it was. ``context`` is what is wanted beside indicators, if anything.
    """

    filters: Sequence[AttributeFilters]
    objects: ObjectWishes
    changed_reason: str = WithdrawalReason.CHANGED
    afresh: bool = False
    context: ContextWishes | None = None


@dataclass
class Decided:
    """What was decided on attributes of an event, and is not written down yet.

    ``wanted`` has what is wanted of them, ``rows`` how they are recorded, by UUID, ``told`` what reports are told.
    """

    wanted: dict[Source, tuple[PreparedAttribute, Indicator]] = field(default_factory=dict)
    rows: dict[str, AttributeRecord] = field(default_factory=dict)
    told: Told = field(default_factory=Told)

    def __bool__(self) -> bool:
        """Whether anything was decided."""
        return bool(self.wanted or self.rows or self.told)

    def record(self, row: AttributeRecord) -> None:
        """Have an attribute recorded; of several under one UUID the last one stays."""
        self.rows[row.uuid] = row


@dataclass(frozen=True)
class Pointed:
    """What an event's indicators point to that the ledger does not have, and what they point to no more.

    ``techniques_left_out`` says that techniques were left out since they were too many, ``cut`` that others were.
    """

    new: Sequence[Relation] = ()
    gone: Sequence[Relation] = ()
    techniques_left_out: bool = False
    cut: bool = False

    def __bool__(self) -> bool:
        """Whether anything is to be written down, or told."""
        return bool(self.new or self.gone or self.techniques_left_out or self.cut)


@dataclass(frozen=True)
class Leaving:
    """What an event takes back at its end: its part in objects, and why, by attribute.

    ``rows`` are recorded then; ``absent`` are the attributes that the ledger knows and that were not seen.
    """

    sources: Sequence[Source]
    reasons: Mapping[str, str]
    rows: Sequence[AttributeRecord]
    absent: Sequence[str]

    def __bool__(self) -> bool:
        """Whether anything changes by it."""
        return bool(self.sources or self.rows or self.absent)


@dataclass
class EventSync:
    """One event: compare each slice, take what became of it, and finish.

    What leaves is decided at the end, since only an event that was read whole shows what is not in it any more.
    """

    uuid: str
    listed: ListedEvent | None
    wishes: Wishes
    known: Known
    _seen: set[str] = field(default_factory=set)
    _accepted: set[str] = field(default_factory=set)
    _rows_for_the_end: list[AttributeRecord] = field(default_factory=list)
    _taken_back: list[Source] = field(default_factory=list)
    _reasons: dict[str, str] = field(default_factory=dict)
    _event: Json = field(default_factory=dict)
    _header: EventHeader | None = None
    _changed: Mapping[str, PreparedAttribute] = field(default_factory=dict)
    _decided: Decided = field(default_factory=Decided)
    _relations: EventRelations | None = field(init=False)

    def __post_init__(self) -> None:
        """Take note of relations where any are wanted."""
        context = self.wishes.context
        self._relations = EventRelations(self.uuid, context) if context else None

    def compare(self, part: PreparedSlice) -> list[Item]:
        """Compare a slice with what the ledger knows, and return what of it changed and is to be converted."""
        self._event, header = part.prepared.event, part.prepared.header
        self._header = header
        passing = apply_filters(part.prepared, *self.wishes.filters)
        items, skipped = self._once(passing.items, header)
        skipped += passing.skipped
        self._count_what_is_not_sent(skipped, passing.left_out)
        attributes = members(items)
        self._accepted |= {attribute.uuid for attribute in attributes}
        self._take_up_again({attribute.uuid for attribute in attributes} & self._seen)
        self._keep_skips(_of_others(skipped, self._accepted), {})
        changed = [item for item in items if any(self._differs(member, part) for member in members([item]))]
        self._changed = {member.uuid: member for member in members(changed)}
        self._count_known([attribute for attribute in attributes if attribute.uuid not in self._changed], header)
        self._seen |= {attribute.uuid for attribute in attributes}
        self._see_relations(attributes, header)
        return changed

    def _see_relations(self, attributes: Sequence[PreparedAttribute], header: EventHeader) -> None:
        if self._relations:
            for attribute in attributes:
                self._relations.see(attribute.uuid, attribute.tags, header.tags)
            self._relations.convert(self._changed, ())

    def take(self, converted: ConversionResult, part: PreparedSlice) -> None:
        """Take what became of changed attributes, other destinations' among them."""
        mine = converted.for_attributes(self._changed)
        self._decided.told.add(mine.attributes, mine.skipped, mine.left_out)
        self._decided.told.twins += len(mine.twins)
        wanted = self._wanted(mine)
        self._decided.wanted |= wanted
        if self._relations:
            self._relations.convert((), wanted)
        self._record(part, wanted)
        self._keep_skips(mine.skipped, part.fingerprints)

    def decided(self) -> Decided:
        """Return what was decided since this was asked last."""
        decided, self._decided = self._decided, Decided()
        return decided

    def leaving(self) -> Leaving:
        """Return what leaves, of the event that was read to its end."""
        absent = [attribute for attribute in self.known.attributes if attribute not in self._seen]
        reasons = dict(self._reasons)
        if UNASKED in self._event:
            reasons |= dict.fromkeys(absent, WithdrawalReason.NOT_FLAGGED)
        sources = self._taken_back + [source for uuid in absent for source in self.known.sources_of(uuid)]
        return Leaving(sources, reasons, self._rows_for_the_end, absent)

    def pointed(self) -> Pointed:
        """Return what changes of what the indicators of the event point to, which was read to its end."""
        known, relations = set(self.known.relations), self._relations
        wanted = relations.wanted(self.known.sources_of) if relations else set()
        too_many = (relations.techniques_left_out, relations.cut) if relations else (False, False)
        new, gone = [one for one in wanted if one not in known], [one for one in known if one not in wanted]
        return Pointed(new, gone, *too_many)

    def record(self, full_run: int) -> EventRecord:
        """Return how the event is recorded; that all of it is settled is only known after Microsoft's answers.

        ``full_run`` is the number of the latest full run.
        """
        return EventRecord(
            uuid=self.uuid,
            timestamp=whole_number(self._event.get("timestamp")),
            published=is_true(self._event.get("published")),
            organisation=self._header.organisation_uuid if self._header else "",
            organisation_name=self._header.organisation if self._header else "",
            listing=self.listed.listing if self.listed else "",
            listed=self.listed is not None,
            todo=True,
            full_run=full_run,
        )

    def _once(self, items: Sequence[Item], header: EventHeader) -> tuple[list[Item], list[Skipped]]:
        """Return items, and skips of those whose UUID an attribute of an earlier slice has: the first one counts."""
        again = members([item for item in items if item.uuid in self._accepted])
        skipped = [member.skipped(header, Skip.DUPLICATE_UUID) for member in again]
        return [item for item in items if item.uuid not in self._accepted], skipped

    def _take_up_again(self, attributes: AbstractSet[str]) -> None:
        """Forget that an earlier slice had other attributes with these UUIDs, which were skipped."""
        if attributes:
            self._taken_back = [source for source in self._taken_back if source.attribute not in attributes]
            self._rows_for_the_end = [row for row in self._rows_for_the_end if row.uuid not in attributes]

    def _wanted(self, converted: ConversionResult) -> Wanted:
        """Return what is wanted of attributes: for each source, its attribute and its indicator."""
        source = self.wishes.objects.source
        with_attributes = ((self._changed[attribute_of(indicator)], indicator) for indicator in converted.indicators)
        return {source(self.uuid, *both): both for both in with_attributes}

    def _differs(self, attribute: PreparedAttribute, part: PreparedSlice) -> bool:
        known = self.known.attributes.get(attribute.uuid)
        if known is None or attribute.uuid in self.known.unsettled or self.wishes.afresh:
            return True
        return known.fingerprint != part.fingerprints[attribute.uuid]

    def _count_what_is_not_sent(self, skipped: Sequence[Skipped], left_out: Sequence[Skipped]) -> None:
        told = self._decided.told
        told.unasked += int(self._event.get(UNASKED, 0))
        told.add(len(skipped), skipped, left_out)

    def _count_known(self, attributes: Sequence[PreparedAttribute], header: EventHeader) -> None:
        """Count attributes that are as they were: sent before, or skipped for the reason that is known."""
        rows = [(attribute, self.known.attributes[attribute.uuid]) for attribute in attributes]
        skipped = [attribute.skipped(header, Skip[row.skip], row.words) for attribute, row in rows if row.skip]
        self._decided.told.add(len(rows), skipped, ())

    def _record(self, part: PreparedSlice, wanted: Wanted) -> None:
        """Have sent attributes recorded now; those of which something leaves wait for the end."""
        by_attribute: dict[str, dict[str, Indicator]] = {}
        for source, (_, indicator) in wanted.items():
            by_attribute.setdefault(source.attribute, {})[source.key] = indicator
        for uuid, indicators in by_attribute.items():
            row = self._row(self._changed[uuid], part.fingerprints[uuid])
            before = [source for source in self.known.sources_of(uuid) if source.key not in indicators]
            self._taken_back += before
            if before:
                self._reasons[uuid] = self._why_less(uuid, before, indicators.values())
                self._rows_for_the_end.append(row)
            else:
                self._decided.record(row)

    def _why_less(self, attribute: str, before: Iterable[Source], indicators: Iterable[Indicator]) -> str:
        """Return why something leaves of an attribute of which these indicators are wanted."""
        in_small = filter(None, (in_small_letters(indicator["pattern"]) for indicator in indicators))
        twins = {self.wishes.objects.key(attribute, {"pattern": pattern}) for pattern in in_small}
        only_twins = all(source.key in twins for source in before)
        return WithdrawalReason.NO_TWINS if only_twins else self.wishes.changed_reason

    def _keep_skips(self, skipped: Sequence[Skipped], fingerprints: Mapping[str, str]) -> None:
        """Remember why attributes are not sent; what was sent of them before leaves when the event is finished."""
        for skip in skipped:
            uuid = skip.attribute_uuid.lower()
            decided = (skip.type, skip.value, skip.reason.name, skip.words)
            row = AttributeRecord(self.uuid, uuid, fingerprints.get(uuid, ""), *decided)
            self._seen.add(uuid)
            self._reasons[uuid] = skip.reason.value
            before = self.known.sources_of(uuid)
            self._taken_back += before
            if before:
                self._rows_for_the_end.append(row)
            elif row != self.known.attributes.get(uuid):
                self._decided.record(row)

    def _row(self, attribute: PreparedAttribute, fingerprint: str) -> AttributeRecord:
        kind, value = (text_of(attribute.raw.get(name)) for name in ("type", "value"))
        return AttributeRecord(self.uuid, attribute.uuid, fingerprint, kind, shorten(value, _LONGEST_VALUE, ""))


def _of_others(skipped: Iterable[Skipped], accepted: Container[str]) -> list[Skipped]:
    """Leave out skips under a UUID that another attribute of the event has as well: that one's fate is recorded."""
    others = (skip for skip in skipped if skip.reason is not Skip.DUPLICATE_UUID)
    return [skip for skip in others if skip.attribute_uuid.lower() not in accepted]
