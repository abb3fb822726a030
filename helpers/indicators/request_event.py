"""A MISP event prepared for misp-stix, and its indicators made ready for Microsoft's upload APIs.

``RequestObjectEvent`` decides what of an event is converted and in which form; ``RequestObjectIndicator``
is one observable as it is uploaded. Pure: no network, no clock, no disk; the run's time comes in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from constants import RULE_LANGUAGES, TLP_MARKINGS, Skip
from helpers.indicators import tags
from helpers.indicators.dates import expires_at, from_timestamp, stix_time
from helpers.indicators.misp_fields import dicts, event_url, is_true, stix_uuid, text_of
from helpers.indicators.patterns import Observable
from helpers.indicators.tags import Tag, read_tags
from helpers.indicators.values import Unsendable, Value, is_digest, prepare
from helpers.text import printable, shorten

if TYPE_CHECKING:  # the rules know the formats, which know this module: what is here is given its rules
    from helpers.indicators.rules import ConversionRules

Json = Mapping[str, Any]

# Attributes that say something of their whole event, flagged to_ids or not.
EVENT_NAMES = ("threat-actor", "malware-type")
# Where the attributes of these types are in a slice of an event; the rest of it has its own.
NAMED = "_named"


@dataclass(frozen=True)
class Skipped:
    """An attribute, or a half of one, that is not sent, with the reason and what about it."""

    reason: Skip
    event_uuid: str
    attribute_uuid: str
    type: str
    value: str
    words: str = ""

    def __str__(self) -> str:
        words = f" ({self.words})" if self.words else ""
        where = f"event {self.event_uuid} attribute {self.attribute_uuid} {self.type} {self.value!r}"
        return f"{where}: {self.reason.value}{words}"


@dataclass(frozen=True)
class EventHeader:
    """What an event says about all its attributes; anything malformed in it is empty here."""

    uuid: str
    id: str
    info: str
    date: str
    organisation: str
    organisation_uuid: str
    created: datetime | None
    tags: tuple[Tag, ...]
    published: bool = False
    threat_actors: tuple[str, ...] = ()
    malware: tuple[str, ...] = ()

    @classmethod
    def read(cls, event: Json) -> EventHeader:
        """Read the header of a MISP event in its REST form."""
        organisation = event.get("Orgc")
        organisation = organisation if isinstance(organisation, Mapping) else {}
        named = _values_of_types(event, EVENT_NAMES)
        return cls(
            uuid=stix_uuid(event.get("uuid")),
            id=text_of(event.get("id")),
            info=text_of(event.get("info")) or "(no info)",
            date=text_of(event.get("date")),
            organisation=text_of(organisation.get("name")),
            organisation_uuid=stix_uuid(organisation.get("uuid")),
            created=from_timestamp(event.get("timestamp")),
            tags=tuple(read_tags(event.get("Tag"))),
            published=is_true(event.get("published")),
            threat_actors=named["threat-actor"],
            malware=named["malware-type"],
        )

    @property
    def name(self) -> str:
        """How the event is named in logs and skips."""
        return self.uuid or _on_a_line(self.id) or "without a UUID"


@dataclass(frozen=True)
class PreparedAttribute:
    """An attribute that is to be sent: its own JSON, its UUID in lower case, and the value prepared.

    ``hashes`` of a file's name are the attributes that will carry it in their descriptions, if they are sent.
    """

    uuid: str
    raw: Json
    value: Value
    object_uuid: str = ""
    object_name: str = ""
    file_name: str = ""
    hashes: tuple[str, ...] = ()

    @property
    def for_misp_stix(self) -> dict[str, Any]:
        """The attribute with nothing in it but what makes its pattern."""
        moment = from_timestamp(self.raw.get("timestamp"))
        return {
            "uuid": self.uuid,
            "type": self.value.type,
            "value": self.value.text,
            "to_ids": True,
            "timestamp": str(int(moment.timestamp())) if moment else "1",
            "object_relation": text_of(self.raw.get("object_relation")) or self.value.type,
        }

    @property
    def tags(self) -> list[Tag]:
        """The attribute's own tags."""
        return read_tags(self.raw.get("Tag"))

    def skipped(self, event: EventHeader, reason: Skip, words: str = "") -> Skipped:
        """Say why this attribute, or a half of it, is not sent."""
        return skip_of(event, self.raw, reason, words)


@dataclass(frozen=True)
class PreparedObject:
    """An object that is left to misp-stix, with the members of it that are to be sent."""

    uuid: str
    name: str
    category: str
    members: tuple[PreparedAttribute, ...]

    @property
    def for_misp_stix(self) -> dict[str, Any]:
        """The object with its prepared members."""
        return {
            "uuid": self.uuid,
            "name": self.name,
            "meta-category": self.category,
            "timestamp": "1",
            "Attribute": [member.for_misp_stix for member in self.members],
        }


@dataclass
class RequestObjectEvent:
    """A MISP event, filtered, flattened and normalised; every attribute is prepared or skipped.

    Each attribute is counted in ``attributes`` and stands in exactly one of ``prepared``, ``objects``
    and ``skipped``; ``left_out`` has halves of attributes whose other half is prepared. ``now`` is the run's time.
    """

    event: Json
    rules: ConversionRules
    now: datetime
    header: EventHeader = field(init=False)
    attributes: int = 0
    prepared: list[PreparedAttribute] = field(default_factory=list)
    objects: list[PreparedObject] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    left_out: list[Skipped] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Prepare the whole event."""
        self.header = EventHeader.read(self.event)
        for raw in dicts(self.event.get("Attribute")):
            self.prepared += self._attribute(raw)
        for raw_object in dicts(self.event.get("Object")):
            self._object(raw_object)
        self._keep_apart()

    @property
    def items(self) -> list[PreparedAttribute | PreparedObject]:
        """What is to be converted."""
        return [*self.prepared, *self.objects]

    @property
    def reports(self) -> dict[str, Any]:
        """The event's reports, where the rules want misp-stix to see them."""
        reports = dicts(self.event.get("EventReport"))
        return {} if self.rules.misp_remove_eventreports or not reports else {"EventReport": reports}

    def _object(self, raw: Json) -> None:
        members = dicts(raw.get("Attribute"))
        names = dict.fromkeys(text_of(member.get("value")) for member in members if _names_file(member))
        prepared = [each for member in members for each in self._attribute(member, raw, ", ".join(filter(None, names)))]
        prepared = self._with_hashes(prepared)
        uuid = stix_uuid(raw.get("uuid"))
        if self.rules.misp_flatten_attributes or not self.rules.format.takes_objects or not uuid:
            self.prepared += prepared
        elif prepared:
            alone = _names_without_hashes(prepared, self.rules.hash_types)
            self.prepared += alone
            left = tuple(each for each in prepared if each not in alone)
            name, category = text_of(raw.get("name")), text_of(raw.get("meta-category"))
            self.objects.append(PreparedObject(uuid, name, category, left))

    def _keep_apart(self) -> None:
        """Flatten each object whose UUID something else has as well: what comes back must have one owner."""
        taken = Counter([*self._seen, *(each.uuid for each in self.objects)])
        for each in self.objects:
            if taken[each.uuid] > 1:
                self.prepared += each.members
        self.objects = [each for each in self.objects if taken[each.uuid] == 1]

    def _with_hashes(self, members: list[PreparedAttribute]) -> list[PreparedAttribute]:
        """Note at a file's name which hashes it has that may be sent: one of them is enough to carry it."""
        if not any(each.value.type == "filename" for each in members):
            return members
        hashes = tuple(each.uuid for each in members if self._is_good_hash(each))
        return [replace(each, hashes=hashes) if each.value.type == "filename" else each for each in members]

    def _is_good_hash(self, attribute: PreparedAttribute) -> bool:
        if not is_digest(attribute.value.type, attribute.value.text):
            return False
        try:
            end_of(attribute.raw, "file:hashes", self.header, self.rules, self.now)
        except Unsendable:
            return False
        return True

    def _attribute(self, raw: Json, parent: Json | None = None, file_name: str = "") -> list[PreparedAttribute]:
        """Return the attribute prepared, in a list; or an empty one, and why in ``skipped``."""
        self.attributes += 1
        parent = parent or {}
        try:
            uuid, value = self._accepted(raw, parent)
        except Unsendable as reason:
            self.skipped.append(skip_of(self.header, raw, reason.reason, reason.words))
            return []
        self.left_out += [skip_of(self.header, raw, half.reason, half.words) for half in value.left_out]
        return [
            PreparedAttribute(
                uuid,
                raw,
                value,
                object_uuid=stix_uuid(parent.get("uuid")),
                object_name=text_of(parent.get("name")),
                file_name=value.file_name or (file_name if value.type in self.rules.hash_types else ""),
            )
        ]

    def _accepted(self, raw: Json, parent: Json) -> tuple[str, Value]:
        _refuse_unwanted(raw, parent, self.rules.accepted_types)
        uuid = stix_uuid(raw.get("uuid"))
        if not uuid:
            raise Unsendable(Skip.BAD_UUID)
        value = prepare(
            raw["type"],
            raw.get("value"),
            send_private_and_cidr=self.rules.send_private_and_cidr,
            send_cidr=self.rules.format.takes_networks,
        )
        if uuid in self._seen:
            raise Unsendable(Skip.DUPLICATE_UUID)
        self._seen.add(uuid)
        return uuid, value


@dataclass(frozen=True)
class RequestObject:
    """What an attribute becomes at Microsoft; ``now`` is the run's time."""

    id: str
    attribute: PreparedAttribute
    event: EventHeader
    rules: ConversionRules
    now: datetime

    @property
    def created(self) -> datetime:
        """The attribute's timestamp, else the event's; never after the run's time."""
        return begin_of(self.attribute.raw, self.event, self.now)

    @property
    def description(self) -> str:
        """The comment, then what leads back to MISP; Log Analytics shows the first 1,000 characters."""
        event, attribute = self.event, self.attribute
        of_event = " ".join(filter(None, ["MISP event", event.id, f"({event.uuid})" if event.uuid else ""]))
        by = " ".join(filter(None, [f"by {event.organisation}" if event.organisation else "", event.date]))
        return "\n".join(
            filter(
                None,
                [
                    text_of(attribute.raw.get("comment")),
                    f"File name: {attribute.file_name}" if attribute.file_name else "",
                    f"Part of a MISP object: {attribute.object_name}" if attribute.object_name else "",
                    f"{event.info} - {of_event} {by}".strip(),
                ],
            )
        )

    @property
    def reference(self) -> dict[str, str]:
        """The way back to MISP."""
        reference = {
            "source_name": "MISP",
            "description": f"Attribute {self.attribute.uuid} of {self.event.info}",
            "external_id": self.attribute.uuid,
        }
        page = self.event.uuid or (self.event.id if self.event.id.isdecimal() else "")
        if self.rules.misp_domain and page:
            reference["url"] = event_url(self.rules.misp_domain, page)
        return reference


@dataclass(frozen=True)
class RequestObjectIndicator(RequestObject):
    """One observable of one attribute, enriched for the upload APIs."""

    stix: Json
    observable: Observable

    @property
    def valid_until(self) -> datetime:
        """When the indicator ends. Raises Unsendable when no date can be given or it has passed."""
        return end_of(self.attribute.raw, self.observable.path, self.event, self.rules, self.now)

    def as_json(self) -> dict[str, Any]:
        """Return the indicator as it is uploaded. Raises Unsendable when it must not be."""
        own, inherited = self.attribute.tags, self.event.tags
        tlp = tags.tlp_level(own, inherited, self.rules.default_tlp)
        made: dict[str, Any] = {
            "type": "indicator",
            "spec_version": "2.1",
            "id": self.id,
            "created": stix_time(self.created),
            "modified": stix_time(self.now),
            "name": self.event.info,
            "description": self.description,
            "indicator_types": tags.threat_types(own, inherited, self.rules.default_threat_type),
            "pattern": self.observable.pattern,
            "pattern_type": "stix",
            "pattern_version": "2.1",
            "valid_from": stix_time(self.created),
            "valid_until": stix_time(self.valid_until),
            "confidence": tags.confidence(own, inherited, self.rules),
            "labels": self._labels([*own, *inherited]),
            "external_references": [self.reference],
            "object_marking_refs": [TLP_MARKINGS[tlp]],
        }
        if phases := self._category_phases() + tags.kill_chain_phases([*own, *inherited]):
            made["kill_chain_phases"] = phases
        if self.event.organisation_uuid:
            made["created_by_ref"] = f"identity--{self.event.organisation_uuid}"
        return made

    def _labels(self, all_tags: list[Tag]) -> list[str]:
        """What misp-stix says of type and category, as the attribute has them, then the tags."""
        raw = self.attribute.raw
        own = [f'misp:{key}="{text_of(raw.get(key))}"' for key in ("type", "category") if text_of(raw.get(key))]
        return own + tags.labels(all_tags, self.rules)

    def _category_phases(self) -> list[dict[str, str]]:
        """misp-stix's phases, with the attribute's own category for the one that its type would have."""
        category = text_of(self.attribute.raw.get("category"))
        phases = [dict(phase) for phase in self.stix.get("kill_chain_phases", [])]
        return [
            {**phase, "phase_name": category} if category and phase["kill_chain_name"] == "misp-category" else phase
            for phase in phases
        ]


def begin_of(raw: Json, event: EventHeader, now: datetime) -> datetime:
    """Return the attribute's timestamp, else the event's; never after the run's time."""
    return min(from_timestamp(raw.get("timestamp")) or event.created or now, now)


def end_of(raw: Json, path: str, event: EventHeader, rules: ConversionRules, now: datetime) -> datetime:
    """Return when an attribute's indicator on the object path ends. Raises Unsendable as ``valid_until``."""
    last_seen = None if rules.days_to_expire_ignore_misp_last_seen else raw.get("last_seen")
    start = now if rules.days_to_expire_start == "current_date" else begin_of(raw, event, now)
    until = expires_at(last_seen, path, start, rules.days_to_expire, rules.days_to_expire_mapping)
    if until is None:
        raise Unsendable(Skip.NO_VALID_UNTIL)
    if stix_time(until) <= stix_time(now):
        raise Unsendable(Skip.EXPIRED, f"on {stix_time(until)}")
    return until


def indicator_id(uuid: str, observable: Observable, position: int) -> str:
    """Return the STIX id of an observable: the first has its attribute's UUID, others one derived from it."""
    return f"indicator--{uuid if position == 0 else uuid5(UUID(uuid), observable.pattern)}"


def skip_of(event: EventHeader, raw: Json, reason: Skip, words: str = "") -> Skipped:
    """Say why an attribute is not sent, with as much of it as fits on a line."""
    uuid, kind, value = (text_of(raw.get(key)) for key in ("uuid", "type", "value"))
    return Skipped(reason, event.name, _on_a_line(uuid), _on_a_line(kind), shorten(value, 120, "..."), words)


def _on_a_line(text: str) -> str:
    return printable(shorten(text, 120, "..."))


def _refuse_unwanted(raw: Json, parent: Json, accepted_types: Collection[str]) -> None:
    """Raise Unsendable for what nobody asked to be sent; the first reason counts."""
    kind = raw.get("type")
    if _is_deleted(raw) or _is_deleted(parent):
        raise Unsendable(Skip.DELETED)
    if not is_true(raw.get("to_ids")):
        raise Unsendable(Skip.NO_TO_IDS)
    if isinstance(kind, str) and kind in RULE_LANGUAGES:
        raise Unsendable(Skip.RULE_LANGUAGE)
    if kind not in accepted_types:
        raise Unsendable(Skip.TYPE_NOT_ACCEPTED)


def _names_without_hashes(members: Iterable[PreparedAttribute], hash_types: Iterable[str]) -> list[PreparedAttribute]:
    """Return the names of a file whose hashes cannot be sent: beside a hash a pattern's name is not looked at."""
    kinds = {each.value.type for each in members}
    names = [each for each in members if each.value.type == "filename" and not each.hashes]
    return names if kinds.intersection(hash_types) else []


def _values_of_types(event: Json, types: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the values of attributes of an event by type, those of its objects too, each once."""
    members = (member for each in dicts(event.get("Object")) for member in dicts(each.get("Attribute")))
    found: dict[str, dict[str, None]] = {kind: {} for kind in types}
    for each in (*dicts(event.get(NAMED)), *dicts(event.get("Attribute")), *members):
        if each.get("type") in types and not _is_deleted(each) and (value := text_of(each.get("value"))):
            found[each["type"]][value] = None
    return {kind: tuple(sorted(values)) for kind, values in found.items()}


def _is_deleted(raw: Json) -> bool:
    return is_true(raw.get("deleted"))


def _names_file(member: Json) -> bool:
    return member.get("type") == "filename" and not _is_deleted(member)
