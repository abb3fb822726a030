"""One MISP event in, indicators and skips out, chunk by chunk. Pure: no network, no clock, no disk."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from constants import TRUE_HASH_NAMES, Skip
from helpers.indicators import misp_stix, pattern_templates
from helpers.indicators.filtering import Item, apply_filters
from helpers.indicators.misp_stix import MispStixResult
from helpers.indicators.patterns import Observable, observables
from helpers.indicators.request_event import (
    Json,
    PreparedAttribute,
    PreparedObject,
    RequestObjectEvent,
    RequestObjectIndicator,
    Skipped,
    indicator_id,
)
from helpers.indicators.values import Unsendable
from helpers.text import batched

if TYPE_CHECKING:  # the rules know the formats, which know this module: what is here is given its rules
    from helpers.indicators.rules import ConversionRules

CHUNK = 500


@dataclass
class ConversionResult:
    """What became of some attributes of one event.

    ``indicators`` are ready for upload; ``attributes`` counts the attributes that the part speaks for;
    ``unchanged`` counts those that stand as they were sent before; ``skipped`` has the ones of which
    nothing is sent and ``left_out`` halves of others; ``unasked`` counts those, of a large event, that MISP was not
    asked for, since they are not flagged.
    """

    attributes: int = 0
    unasked: int = 0
    unchanged: int = 0
    indicators: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    left_out: list[Skipped] = field(default_factory=list)

    def for_attributes(self, attributes: Container[str]) -> ConversionResult:
        """Return what speaks for some attributes, by UUID."""
        kept = ConversionResult(
            indicators=[each for each in self.indicators if attribute_of(each) in attributes],
            skipped=[each for each in self.skipped if each.attribute_uuid.lower() in attributes],
            left_out=[each for each in self.left_out if each.attribute_uuid.lower() in attributes],
        )
        skipped = {each.attribute_uuid.lower() for each in kept.skipped}
        kept.attributes = len(skipped.union(map(attribute_of, kept.indicators)))
        return kept


def attribute_of(indicator: Mapping[str, Any]) -> str:
    """Return the UUID of the attribute that an indicator was made of."""
    return str(indicator["external_references"][0]["external_id"])


def convert_event(event: Json, rules: ConversionRules, now: datetime) -> Iterator[ConversionResult]:
    """Convert a MISP event (its REST form, without the ``Event`` around it) in parts of bounded size.

    ``now`` is the run's time: indicators that would have expired by then are skipped.
    """
    prepared = RequestObjectEvent(event, rules, now)
    passing = apply_filters(prepared, rules.filters)
    yield ConversionResult(len(passing.skipped), skipped=passing.skipped, left_out=passing.left_out)
    yield from convert_prepared(prepared, passing.items)


def convert_prepared(prepared: RequestObjectEvent, items: list[Item]) -> Iterator[ConversionResult]:
    """Convert some of the prepared attributes and objects of an event."""
    reports = prepared.reports
    for chunk in batched(items, CHUNK):
        yield prepared.rules.format.convert(prepared, chunk, reports)
        reports = {}


@dataclass
class ChunkConverter:
    """Some prepared attributes and objects of one event on their way through misp-stix."""

    event: RequestObjectEvent
    items: Sequence[Item]
    made: ConversionResult = field(default_factory=ConversionResult)

    def convert(self, extra: Json) -> ConversionResult:
        """Convert them; ``extra`` are further parts of the event that misp-stix is to see."""
        stixed = through_misp_stix(self.items, extra)
        for item in self.items:
            members = item.members if isinstance(item, PreparedObject) else (item,)
            self.made.attributes += len(members)
            self._item(item, members, stixed)
        return self.made

    def _item(self, item: Item, members: Sequence[PreparedAttribute], stixed: MispStixResult) -> None:
        stix = stixed.indicators.get(item.uuid)
        if stix is None:
            self._refuse(item, members, stixed.words)
            return
        if stix["pattern_type"] != "stix":
            self._refuse(item, members, {item.uuid: f"it made a rule of it, of the kind {stix['pattern_type']}"})
            return
        found = stixed.found.get(item.uuid) or observables(stix["pattern"])
        if isinstance(item, PreparedObject):
            self._object(item, stix, found, stixed.words)
        else:
            self._send(item, stix, corrected(item, found))

    def _refuse(self, item: Item, members: Sequence[PreparedAttribute], words: Mapping[str, str]) -> None:
        """Skip what misp-stix made nothing of, with its words about the member or its object."""
        of_object = f" in an object of the kind {item.name!r}" if isinstance(item, PreparedObject) else ""
        for member in members:
            said = words.get(member.uuid) or words.get(item.uuid)
            said = said or f"it makes no indicator of the type {member.value.type}{of_object}"
            self.made.skipped.append(member.skipped(self.event.header, Skip.REFUSED, said))

    def _object(self, item: PreparedObject, stix: Json, found: Sequence[Observable], words: Mapping[str, str]) -> None:
        """Trace each observable of an object's pattern to the member that holds its value."""
        owners: dict[str, list[str]] = {}
        for member in item.members:
            for written in _written_values(member):
                owners.setdefault(written, []).append(member.uuid)
        traced: dict[str, list[Observable]] = {member.uuid: [] for member in item.members}
        for observable in found:
            if of_value := owners.get(observable.value):
                traced[min(of_value, key=lambda uuid: len(traced[uuid]))].append(observable)
            else:
                self._untraced(item, stix, observable)
        for member in item.members:
            if member.uuid in words and not traced[member.uuid]:
                self._refuse(item, [member], words)
            else:
                self._send(member, stix, corrected(member, traced[member.uuid]))

    def _untraced(self, item: PreparedObject, stix: Json, observable: Observable) -> None:
        """Send an observable of no member of its own under the object's UUID, tags of the first member."""
        new_id = f"indicator--{uuid5(UUID(item.uuid), observable.pattern)}"
        try:
            self.made.indicators.append(self._indicator(item.members[0], stix, observable, new_id).as_json())
        except Unsendable as reason:
            self.made.left_out.append(item.members[0].skipped(self.event.header, reason.reason, reason.words))

    def _send(self, attribute: PreparedAttribute, stix: Json, found: Sequence[Observable]) -> None:
        """Make an indicator of each observable; the attribute is skipped when none can be sent."""
        refused = [Unsendable(Skip.NOT_MATCHABLE)] if not found else []
        sent = 0
        for position, observable in enumerate(found):
            new_id = indicator_id(attribute.uuid, observable, position)
            try:
                self.made.indicators.append(self._indicator(attribute, stix, observable, new_id).as_json())
                sent += 1
            except Unsendable as reason:
                refused.append(reason)
        if sent:
            self.made.left_out += [self._skipped(attribute, reason) for reason in refused]
        else:
            self.made.skipped.append(self._skipped(attribute, refused[0]))

    def _skipped(self, attribute: PreparedAttribute, reason: Unsendable) -> Skipped:
        return attribute.skipped(self.event.header, reason.reason, reason.words)

    def _indicator(
        self, attribute: PreparedAttribute, stix: Json, observable: Observable, new_id: str
    ) -> RequestObjectIndicator:
        if stix["type"] not in self.event.rules.accepted_stix_types:
            raise Unsendable(Skip.STIX_TYPE_NOT_ACCEPTED)
        return RequestObjectIndicator(
            new_id, attribute, self.event.header, self.event.rules, self.event.now, stix, observable
        )


def through_misp_stix(items: Sequence[Item], extra: Json) -> MispStixResult:
    """Return what misp-stix makes of prepared attributes and objects: plain values go into its templates.

    ``extra`` are further parts of the event that misp-stix is to see.
    """
    alone = (item for item in items if isinstance(item, PreparedAttribute))
    casts = {item.uuid: made for item in alone if (made := pattern_templates.from_template(item.uuid, item.value))}
    rest = [item.for_misp_stix for item in items if item.uuid not in casts]
    stixed = misp_stix.convert(rest, extra) if rest else MispStixResult({}, {})
    indicators = {**stixed.indicators, **{uuid: made.stix for uuid, made in casts.items()}}
    return MispStixResult(indicators, stixed.words, {uuid: made.found for uuid, made in casts.items()})


def corrected(attribute: PreparedAttribute, found: Sequence[Observable]) -> list[Observable]:
    """Put right what misp-stix changes: the value is the attribute's, a hash keeps its algorithm's name.

    misp-stix replaces characters above U+FFFF, ``(dot)`` inside a URL's query and ``%`` in registry
    keys, and files sha512/224 and sha512/256 under SHA-224 and SHA-256.
    """
    values: Sequence[str] = attribute.value.parts
    if len(found) != len(values):
        written = _written_values(attribute)
        values = [written.get(each.value, each.value) for each in found]
    name = TRUE_HASH_NAMES.get(attribute.value.type)
    return [
        Observable(f"file:hashes.'{name}'" if name else each.path, value)
        for each, value in zip(found, values, strict=True)
    ]


def _written_values(attribute: PreparedAttribute) -> dict[str, str]:
    """Return the attribute's values by the form in which misp-stix writes them."""
    return {misp_stix.as_rewritten(kind, part): part for kind, part in attribute.value.typed_parts}
