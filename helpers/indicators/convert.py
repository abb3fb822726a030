"""One MISP event in, indicators and skips out, chunk by chunk. Pure: no network, no clock, no disk."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from constants import TRUE_HASH_NAMES, Skip
from helpers.indicators import misp_stix
from helpers.indicators.filtering import Item, apply_filters
from helpers.indicators.misp_fields import Json
from helpers.indicators.misp_stix import MispStixResult
from helpers.indicators.patterns import Observable, address_path, in_small_letters, observables
from helpers.indicators.request_event import PreparedAttribute, PreparedObject, RequestObjectEvent, Skipped
from helpers.indicators.request_indicator import Indicator, RequestObjectIndicator, indicator_id
from helpers.indicators.templates import pattern_templates
from helpers.indicators.values import Unsendable
from helpers.text import batched

if TYPE_CHECKING:  # the rules know the formats, which know this module: what is here is given its rules
    from helpers.indicators.rules import ConversionRules

CHUNK = 500


@dataclass
class ConversionResult:
    """What became of some attributes of one event.

    ``indicators`` are ready for upload; ``attributes`` counts the attributes that this is about; ``skipped`` has the
    ones of which nothing is sent and ``left_out`` halves of others. ``twins`` are the ids of indicators that say what
    another one of their attribute does, with the URL in small letters.
    """

    attributes: int = 0
    indicators: list[Indicator] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    left_out: list[Skipped] = field(default_factory=list)
    twins: set[str] = field(default_factory=set)

    def add_twins(self) -> None:
        """Put a twin behind each indicator whose URL has capital letters, unless its attribute has that one as well."""
        there = {(attribute_of(indicator), indicator["pattern"]) for indicator in self.indicators}
        with_twins: list[Indicator] = []
        for indicator in self.indicators:
            with_twins.append(indicator)
            twin = twin_of(indicator)
            if twin and (made_of := (attribute_of(twin), twin["pattern"])) not in there:
                there.add(made_of)
                self.twins.add(twin["id"])
                with_twins.append(twin)
        self.indicators = with_twins

    def for_attributes(self, attributes: Container[str]) -> ConversionResult:
        """Return the part that is about some attributes, by UUID."""
        part = ConversionResult(
            indicators=[indicator for indicator in self.indicators if attribute_of(indicator) in attributes],
            skipped=[skip for skip in self.skipped if skip.attribute_uuid.lower() in attributes],
            left_out=[half for half in self.left_out if half.attribute_uuid.lower() in attributes],
        )
        part.twins = self.twins.intersection(indicator["id"] for indicator in part.indicators)
        skipped = {skip.attribute_uuid.lower() for skip in part.skipped}
        part.attributes = len(skipped.union(map(attribute_of, part.indicators)))
        return part


def attribute_of(indicator: Mapping[str, Any]) -> str:
    """Return the UUID of the attribute that an indicator was made of."""
    return str(indicator["external_references"][0]["external_id"])


def twin_of(indicator: Indicator) -> Indicator | None:
    """Return the same indicator with its URL in small letters, under an id of its own; None where it has no others."""
    pattern = in_small_letters(indicator["pattern"])
    if not pattern:
        return None
    twin = {**indicator, "id": f"indicator--{uuid5(UUID(attribute_of(indicator)), pattern)}", "pattern": pattern}
    if "graph" in twin:
        twin["graph"] = {**twin["graph"], "url": twin["graph"]["url"].lower()}
    return twin


def convert_event(
    event: Json, rules: ConversionRules, now: datetime, actor_names: Mapping[str, str] = {}
) -> Iterator[ConversionResult]:
    """Convert a MISP event (its REST form, without the ``Event`` around it) in results of bounded size.

    ``now`` is the run's time: indicators that would have expired by then are skipped. ``actor_names`` are those of
    ``RequestObjectEvent``.
    """
    prepared = RequestObjectEvent(event, rules, now, actor_names)
    passing = apply_filters(prepared, rules.filters)
    yield ConversionResult(len(passing.skipped), skipped=passing.skipped, left_out=passing.left_out)
    yield from convert_prepared(prepared, passing.items)


def convert_prepared(prepared: RequestObjectEvent, items: list[Item]) -> Iterator[ConversionResult]:
    """Convert some of the prepared attributes and objects of an event."""
    reports = prepared.reports
    for chunk in batched(items, CHUNK):
        result = prepared.rules.format.convert(prepared, chunk, reports)
        if prepared.rules.lowercase_url_twins:
            result.add_twins()
        yield result
        reports = {}


@dataclass
class ChunkConverter:
    """Some prepared attributes and objects of one event on their way through misp-stix."""

    event: RequestObjectEvent
    items: Sequence[Item]
    result: ConversionResult = field(default_factory=ConversionResult)

    def __post_init__(self) -> None:
        """Take what the indicators of all of them have in common from the event."""
        event = self.event
        self._request = RequestObjectIndicator(event.header, event.rules, event.now, event.actors)

    def convert(self, reports: Json) -> ConversionResult:
        """Make an indicator of each observable that misp-stix finds in them; it is shown the event's reports too."""
        from_misp_stix = through_misp_stix(self.items, reports)
        for item in self.items:
            members = item.members if isinstance(item, PreparedObject) else (item,)
            self.result.attributes += len(members)
            self._item(item, members, from_misp_stix)
        return self.result

    def _item(self, item: Item, members: Sequence[PreparedAttribute], from_misp_stix: MispStixResult) -> None:
        stix = from_misp_stix.indicators.get(item.uuid)
        if stix is None:
            self._refuse(item, members, from_misp_stix.words)
            return
        if stix["pattern_type"] != "stix":
            self._refuse(item, members, {item.uuid: f"it made a rule of it, of the kind {stix['pattern_type']}"})
            return
        observed = from_misp_stix.observables.get(item.uuid) or observables(stix["pattern"])
        if isinstance(item, PreparedObject):
            self._object(item, stix, observed, from_misp_stix.words)
        else:
            self._send(item, stix, corrected(item, observed))

    def _refuse(self, item: Item, members: Sequence[PreparedAttribute], words: Mapping[str, str]) -> None:
        """Skip what misp-stix made nothing of, with its words about the member or its object."""
        where = f" in an object of the kind {item.name!r}" if isinstance(item, PreparedObject) else ""
        for member in members:
            default = f"it makes no indicator of the type {member.value.type}{where}"
            why = words.get(member.uuid) or words.get(item.uuid) or default
            self.result.skipped.append(member.skipped(self.event.header, Skip.REFUSED, why))

    def _object(
        self, object_: PreparedObject, stix: Json, observed: Sequence[Observable], words: Mapping[str, str]
    ) -> None:
        """Trace each observable of an object's pattern to the member that holds its value."""
        owners: dict[str, list[str]] = {}
        for member in object_.members:
            for written in _written_values(member):
                owners.setdefault(written, []).append(member.uuid)
        traced: dict[str, list[Observable]] = {member.uuid: [] for member in object_.members}
        for observable in observed:
            if holders := owners.get(observable.value):
                # Of several members with the same value, each gets one of the observables.
                traced[min(holders, key=lambda uuid: len(traced[uuid]))].append(observable)
            else:
                self._untraced(object_, stix, observable)
        for member in object_.members:
            if member.uuid in words and not traced[member.uuid]:
                self._refuse(object_, [member], words)
            else:
                self._send(member, stix, corrected(member, traced[member.uuid]))

    def _untraced(self, object_: PreparedObject, stix: Json, observable: Observable) -> None:
        """Send an observable of no member of its own under the object's UUID, with the tags of the first member."""
        new_id = f"indicator--{uuid5(UUID(object_.uuid), observable.pattern)}"
        try:
            self.result.indicators.append(self._indicator(object_.members[0], stix, observable, new_id))
        except Unsendable as reason:
            self.result.left_out.append(self._skipped(object_.members[0], reason))

    def _send(self, attribute: PreparedAttribute, stix: Json, observed: Sequence[Observable]) -> None:
        """Make an indicator of each observable; the attribute is skipped when none can be sent."""
        refused = [Unsendable(Skip.NOT_MATCHABLE)] if not observed else []
        sent = 0
        for position, observable in enumerate(observed):
            new_id = indicator_id(attribute.uuid, observable, position)
            try:
                self.result.indicators.append(self._indicator(attribute, stix, observable, new_id))
                sent += 1
            except Unsendable as reason:
                refused.append(reason)
        if sent:
            self.result.left_out += [self._skipped(attribute, reason) for reason in refused]
        else:
            self.result.skipped.append(self._skipped(attribute, refused[0]))

    def _skipped(self, attribute: PreparedAttribute, reason: Unsendable) -> Skipped:
        return attribute.skipped(self.event.header, reason.reason, reason.words)

    def _indicator(self, attribute: PreparedAttribute, stix: Json, observable: Observable, new_id: str) -> Indicator:
        if stix["type"] not in self.event.rules.accepted_stix_types:
            raise Unsendable(Skip.STIX_TYPE_NOT_ACCEPTED)
        return self._request.as_json(new_id, attribute, stix, observable)


def through_misp_stix(items: Sequence[Item], reports: Json) -> MispStixResult:
    """Return what misp-stix makes of prepared attributes and objects: plain values go into its templates.

    ``reports`` are the parts of the event beside these that misp-stix is to see.
    """
    attributes = (item for item in items if isinstance(item, PreparedAttribute))
    filled = {
        attribute.uuid: template
        for attribute in attributes
        if (template := pattern_templates.from_template(attribute.uuid, attribute.value))
    }
    others = [item.for_misp_stix for item in items if item.uuid not in filled]
    converted = misp_stix.convert(others, reports) if others else MispStixResult({}, {})
    return MispStixResult(
        {**converted.indicators, **{uuid: template.stix for uuid, template in filled.items()}},
        converted.words,
        {uuid: template.observables for uuid, template in filled.items()},
    )


def corrected(attribute: PreparedAttribute, observed: Sequence[Observable]) -> list[Observable]:
    """Put right what misp-stix changes: the value is the attribute's, a hash keeps its algorithm's name.

    misp-stix replaces characters above U+FFFF, ``(dot)`` inside a URL's query and ``%`` in registry
    keys, and files sha512/224 and sha512/256 under SHA-224 and SHA-256. In objects it goes by a member's relation,
    which calls an address a domain where MISP does.
    """
    values: Sequence[str] = attribute.value.parts
    if len(observed) != len(values):
        written = _written_values(attribute)
        values = [written.get(observable.value, observable.value) for observable in observed]
    kind = attribute.value.type
    return [
        Observable(_path(kind, observable, value), value) for observable, value in zip(observed, values, strict=True)
    ]


def _path(kind: str, observable: Observable, value: str) -> str:
    """Return the path of a value of a MISP type; of an address under a host's relation it is the address's."""
    if name := TRUE_HASH_NAMES.get(kind):
        return f"file:hashes.'{name}'"
    if kind in ("ip-src", "ip-dst") and observable.path == "domain-name:value":
        return address_path(value)
    return observable.path


def _written_values(attribute: PreparedAttribute) -> dict[str, str]:
    """Return the attribute's values by the form in which misp-stix writes them."""
    return {misp_stix.as_rewritten(kind, part): part for kind, part in attribute.value.typed_parts}
