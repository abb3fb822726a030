"""A MISP event prepared for its conversion: what of it is converted, in which form, and what is skipped and why.

Pure: no network, no clock, no disk; the run's time comes in.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from constants import LONGEST_INFO, LONGEST_VALUES, MOST_LABELS, RULE_LANGUAGES, Skip
from helpers.indicators.dates import begin_of, end_of, from_timestamp
from helpers.indicators.misp_fields import Json, dicts, is_true, name_of, stix_uuid, text_of
from helpers.indicators.tags import Actors, Tags, TagSets, read_tags
from helpers.indicators.values import Unsendable, Value, is_digest, normalise
from helpers.text import printable, shorten

if TYPE_CHECKING:  # the rules know the formats, which know this module: what is here is given its rules
    from helpers.indicators.rules import ConversionRules

# Attributes that say something of their whole event, flagged to_ids or not.
THREAT_ACTOR, MALWARE = "threat-actor", "malware-type"
# Where a slice of an event has the attributes of these types, wherever in the event they are.
NAMED = "_named"


class Skipped(NamedTuple):
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
    tags: Tags
    published: bool = False
    threat_actors: tuple[str, ...] = ()
    malware: tuple[str, ...] = ()

    @classmethod
    def of(cls, event: Json) -> EventHeader:
        """Read the header of a MISP event in its REST form."""
        organisation = event.get("Orgc")
        organisation = organisation if isinstance(organisation, Mapping) else {}
        names = _values_of_types(event, (THREAT_ACTOR, MALWARE))
        return cls(
            uuid=stix_uuid(event.get("uuid")),
            id=name_of(event.get("id")),
            info=shorten(text_of(event.get("info")), LONGEST_INFO) or "(no info)",
            date=name_of(event.get("date")),
            organisation=name_of(organisation.get("name")),
            organisation_uuid=stix_uuid(organisation.get("uuid")),
            created=from_timestamp(event.get("timestamp")),
            tags=Tags(read_tags(event.get("Tag"))),
            published=is_true(event.get("published")),
            threat_actors=names[THREAT_ACTOR],
            malware=names[MALWARE],
        )

    def said_by(self, rules: str) -> hashlib._Hash:
        """Return a SHA-256 of the beginning of a list in JSON: the rules' fingerprint and what the event says."""
        if rules not in self._said:
            said = [self.uuid, self.id, self.info, self.date, self.organisation, self.organisation_uuid]
            all_tags = sorted([tag.name, tag.local] for tag in self.tags)
            self._said[rules] = hashlib.sha256(json.dumps([rules, said, all_tags])[:-1].encode())
        return self._said[rules].copy()

    @cached_property
    def _said(self) -> dict[str, hashlib._Hash]:
        return {}

    @property
    def name(self) -> str:
        """How the event is named in logs and skips."""
        return self.uuid or excerpt(self.id) or "without a UUID"


class PreparedAttribute(NamedTuple):
    """An attribute that is to be sent: its own JSON, its UUID in lower case, and its value as Sentinel compares it.

    ``tags`` are its own. ``hashes`` of a file's name are the attributes that will carry it in their descriptions, if
    they are sent.
    """

    uuid: str
    raw: Json
    value: Value
    tags: Tags
    object_name: str = ""
    file_name: str = ""
    hashes: tuple[str, ...] = ()

    @property
    def for_misp_stix(self) -> dict[str, Any]:
        """The attribute with nothing in it but what makes its pattern."""
        timestamp = from_timestamp(self.raw.get("timestamp"))
        return {
            "uuid": self.uuid,
            "type": self.value.type,
            "value": self.value.text,
            "to_ids": True,
            "timestamp": str(int(timestamp.timestamp())) if timestamp else "1",
            "object_relation": name_of(self.raw.get("object_relation")) or self.value.type,
        }

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
    ``actor_names`` has the actor's name for each tag of the event or its attributes that names one, by the tag's name
    as ``read_tags`` has it: empty where the name is not to be told.
    """

    event: Json
    rules: ConversionRules
    now: datetime
    actor_names: Mapping[str, str] = field(default_factory=dict)
    header: EventHeader = field(init=False)
    actors: Actors = field(init=False)
    attributes: int = 0
    prepared: list[PreparedAttribute] = field(default_factory=list)
    objects: list[PreparedObject] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    left_out: list[Skipped] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    _tag_sets: TagSets = field(default_factory=TagSets)

    def __post_init__(self) -> None:
        """Prepare the whole event."""
        self.header = EventHeader.of(self.event)
        self.actors = self._actors()
        for raw in dicts(self.event.get("Attribute")):
            self.prepared += self._attribute(raw)
        for raw_object in dicts(self.event.get("Object")):
            self._object(raw_object)
        self._take_apart_ambiguous_objects()

    @property
    def items(self) -> list[PreparedAttribute | PreparedObject]:
        """What is to be converted."""
        return [*self.prepared, *self.objects]

    @property
    def reports(self) -> dict[str, Any]:
        """The event's reports, where the rules want misp-stix to see them."""
        reports = dicts(self.event.get("EventReport"))
        return {} if self.rules.misp_remove_eventreports or not reports else {"EventReport": reports}

    def _actors(self) -> Actors:
        """Return who is behind attributes as far as the rules want it told."""
        rules, told_of_all = self.rules, THREAT_ACTOR in self.rules.event_names
        return Actors(
            by_tag=self.actor_names if rules.activity_group_labels else {},
            event_tags=self.header.tags,
            of_all=self.header.threat_actors if told_of_all else (),
            ignore_localtags=rules.ignore_localtags,
            longest=rules.format.longest_actor,
        )

    def _object(self, raw: Json) -> None:
        members = dicts(raw.get("Attribute"))
        names = dict.fromkeys(text_of(member.get("value")) for member in members if _names_file(member))
        file_name = shorten(", ".join(filter(None, names)), LONGEST_VALUES["filename"])
        prepared = self._with_hashes(
            [attribute for member in members for attribute in self._attribute(member, raw, file_name)]
        )
        uuid = stix_uuid(raw.get("uuid"))
        # misp-stix wants a UUID of the object; without one its members are converted each by itself.
        if self.rules.misp_flatten_attributes or not self.rules.format.takes_objects or not uuid:
            self.prepared += prepared
        elif prepared:
            single = _names_without_hashes(prepared, self.rules.hash_types)
            self.prepared += single
            apart = {attribute.uuid for attribute in single}
            members_together = tuple(attribute for attribute in prepared if attribute.uuid not in apart)
            name, category = name_of(raw.get("name")), name_of(raw.get("meta-category"))
            self.objects.append(PreparedObject(uuid, name, category, members_together))

    def _take_apart_ambiguous_objects(self) -> None:
        """Flatten each object whose UUID something else has as well: an indicator is traced to its origin by UUID."""
        owners = Counter([*self._seen, *(object_.uuid for object_ in self.objects)])
        for object_ in self.objects:
            if owners[object_.uuid] > 1:
                self.prepared += object_.members
        self.objects = [object_ for object_ in self.objects if owners[object_.uuid] == 1]

    def _with_hashes(self, members: list[PreparedAttribute]) -> list[PreparedAttribute]:
        """Note at a file's name which hashes it has that may be sent: one of them is enough to carry it."""
        if not any(member.value.type == "filename" for member in members):
            return members
        hashes = tuple(member.uuid for member in members if self._is_good_hash(member))
        return [member._replace(hashes=hashes) if member.value.type == "filename" else member for member in members]

    def _is_good_hash(self, attribute: PreparedAttribute) -> bool:
        if not is_digest(attribute.value.type, attribute.value.text):
            return False
        begin = begin_of(attribute.raw, self.header.created, self.now)
        try:
            end_of(attribute.raw, "file:hashes", begin, self.rules, self.now)
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
                self._tag_sets.read(raw.get("Tag")),
                object_name=name_of(parent.get("name")),
                file_name=value.file_name or (file_name if value.type in self.rules.hash_types else ""),
            )
        ]

    def _accepted(self, raw: Json, parent: Json) -> tuple[str, Value]:
        if _is_deleted(raw) or _is_deleted(parent):
            raise Unsendable(Skip.DELETED)
        if self._goes_with_all(raw):
            raise Unsendable(Skip.EVENT_NAME)
        _refuse_unwanted(raw, self.rules.accepted_types)
        uuid = stix_uuid(raw.get("uuid"))
        if not uuid:
            raise Unsendable(Skip.BAD_UUID)
        value = normalise(
            raw["type"],
            raw.get("value"),
            send_private_and_cidr=self.rules.send_private_and_cidr,
            send_cidr=self.rules.format.takes_networks,
        )
        if uuid in self._seen:
            raise Unsendable(Skip.DUPLICATE_UUID)
        self._seen.add(uuid)
        return uuid, value

    def _goes_with_all(self, raw: Json) -> bool:
        """Say whether what an attribute names is in each indicator of its event, flagged to_ids or not."""
        if raw.get("type") not in self.rules.event_names:
            return False
        name = name_of(raw.get("value"))
        return self.actors.told_of_all(name) if raw["type"] == THREAT_ACTOR else name in self.header.malware


def skip_of(event: EventHeader, raw: Json, reason: Skip, words: str = "") -> Skipped:
    """Say why an attribute is not sent, with as much of it as fits on a line."""
    uuid, kind = excerpt(text_of(raw.get("uuid"))), excerpt(text_of(raw.get("type")))
    return Skipped(reason, event.name, uuid, kind, shorten(text_of(raw.get("value")), 120, "..."), words)


def excerpt(text: str) -> str:
    """Return the beginning of a text as it can stand on a line of a log."""
    return printable(shorten(text, 120, "..."))


def _refuse_unwanted(raw: Json, accepted_types: Collection[str]) -> None:
    """Raise Unsendable for what nobody asked to be sent; the first reason counts."""
    kind = raw.get("type")
    if not is_true(raw.get("to_ids")):
        raise Unsendable(Skip.NO_TO_IDS)
    if isinstance(kind, str) and kind in RULE_LANGUAGES:
        raise Unsendable(Skip.RULE_LANGUAGE)
    if kind not in accepted_types:
        raise Unsendable(Skip.TYPE_NOT_ACCEPTED)


def _names_without_hashes(members: Iterable[PreparedAttribute], hash_types: Iterable[str]) -> list[PreparedAttribute]:
    """Return the names of a file whose hashes cannot be sent: beside a hash a pattern's name is not looked at."""
    types = {member.value.type for member in members}
    names = [member for member in members if member.value.type == "filename" and not member.hashes]
    return names if types.intersection(hash_types) else []


def _values_of_types(event: Json, types: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the values of attributes of an event by type, those of its objects too, each once."""
    members = (member for object_ in dicts(event.get("Object")) for member in dicts(object_.get("Attribute")))
    by_type: dict[str, dict[str, None]] = {type_: {} for type_ in types}
    for attribute in (*dicts(event.get(NAMED)), *dicts(event.get("Attribute")), *members):
        if attribute.get("type") in types and not _is_deleted(attribute) and (value := name_of(attribute.get("value"))):
            by_type[attribute["type"]][value] = None
    return {type_: tuple(sorted(values)[:MOST_LABELS]) for type_, values in by_type.items()}


def _is_deleted(raw: Json) -> bool:
    return is_true(raw.get("deleted"))


def _names_file(member: Json) -> bool:
    return member.get("type") == "filename" and not _is_deleted(member)
