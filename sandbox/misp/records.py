"""Records: what MISP adds to an event on storing it.

Published event files lack numeric ids, counters and many keys; an answer of MISP 2.5.1 has
them all, with ids, counts and timestamps as strings and flags as booleans.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import count
from typing import Any
from uuid import uuid4

Record = dict[str, Any]

GALAXY_TAG = re.compile(r'misp-galaxy:[^=]*(="(?P<value>.*)")?.*', re.IGNORECASE | re.DOTALL)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

ORGANISATION: Record = {
    "id": "1",
    "name": "Sandbox",
    "uuid": "55555555-5555-4555-8555-555555555555",
    "local": True,
}
EVENT: Record = {
    "id": "",
    "orgc_id": "1",
    "org_id": "1",
    "date": "1970-01-01",
    "threat_level_id": "4",
    "info": "",
    "published": False,
    "uuid": "",
    "attribute_count": "",
    "analysis": "0",
    "timestamp": "0",
    "distribution": "0",
    "proposal_email_lock": False,
    "locked": False,
    "publish_timestamp": "0",
    "sharing_group_id": "0",
    "disable_correlation": False,
    "extends_uuid": "",
    "protected": None,
    "event_creator_email": "admin@sandbox.example",
    "Org": ORGANISATION,
    "Orgc": ORGANISATION,
    "Attribute": [],
    "ShadowAttribute": [],
    "RelatedEvent": [],
    "Galaxy": [],
    "Object": [],
    "EventReport": [],
    "CryptographicKey": [],
}
ATTRIBUTE: Record = {
    "id": "",
    "type": "other",
    "category": "Other",
    "to_ids": False,
    "uuid": "",
    "event_id": "",
    "distribution": "5",
    "timestamp": "0",
    "comment": "",
    "sharing_group_id": "0",
    "deleted": False,
    "disable_correlation": False,
    "object_id": "0",
    "object_relation": None,
    "first_seen": None,
    "last_seen": None,
    "value": "",
    "Galaxy": [],
    "ShadowAttribute": [],
}
OBJECT: Record = {
    "id": "",
    "name": "",
    "meta-category": "",
    "description": "",
    "template_uuid": "",
    "template_version": "1",
    "event_id": "",
    "uuid": "",
    "timestamp": "0",
    "distribution": "5",
    "sharing_group_id": "0",
    "comment": "",
    "deleted": False,
    "first_seen": None,
    "last_seen": None,
    "ObjectReference": [],
    "Attribute": [],
}
REPORT: Record = {
    "id": "",
    "uuid": "",
    "event_id": "",
    "name": "",
    "content": "",
    "distribution": "0",
    "sharing_group_id": "0",
    "timestamp": "0",
    "deleted": False,
}
TAG: Record = {
    "id": "",
    "name": "",
    "colour": "#5a5a5a",
    "exportable": True,
    "user_id": "0",
    "hide_tag": False,
    "numerical_value": None,
    "is_galaxy": False,
    "is_custom_galaxy": False,
    "local_only": False,
    "local": False,
    "relationship_type": None,
}
TEXTS = frozenset(
    {"id", "orgc_id", "org_id", "threat_level_id", "attribute_count", "analysis", "timestamp", "distribution"}
    | {"publish_timestamp", "sharing_group_id", "event_id", "object_id", "template_version", "user_id"}
)
FLAGS = frozenset({"published", "to_ids", "deleted", "disable_correlation", "locked", "local"})


class Numbers:
    """Numeric ids of one kind: a uuid keeps its id, an id that comes along is kept while it is free."""

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._known: dict[str, int] = {}
        self._next = count(1)

    def of(self, record: Record) -> str:
        """Give the id of ``record``: the known one of its uuid, the one it has, or the next."""
        number = self._known.get(record["uuid"]) or self._free(record["id"])
        self._taken.add(number)
        self._known[record["uuid"]] = number
        return str(number)

    def _free(self, wanted: str) -> int:
        number = int(wanted) if wanted.isdecimal() else 0
        if number and number not in self._taken:
            return number
        return next(candidate for candidate in self._next if candidate not in self._taken)


class Filler:
    """Makes complete records, with numbers that are unique within one MISP."""

    def __init__(self) -> None:
        self.events = Numbers()
        self.attributes = Numbers()
        self.objects = Numbers()
        self.reports = Numbers()
        self._tags: dict[str, Record] = {}

    def event(self, fields: Record) -> Record:
        """Complete an event and all in it."""
        event = _complete(EVENT, fields)
        event["id"] = self.events.of(event)
        event["Attribute"] = [self.attribute(attribute, event) for attribute in event["Attribute"]]
        event["Object"] = [self.object(object_, event) for object_ in event["Object"]]
        self._tag_all(event)
        if event["attribute_count"] == "":
            event["attribute_count"] = str(sum(1 for attribute in attributes(event) if not attribute["deleted"]))
        return event

    def object(self, fields: Record, event: Record) -> Record:
        """Complete an object of ``event``."""
        object_ = _complete(OBJECT, fields)
        object_["id"] = self.objects.of(object_)
        object_["event_id"] = event["id"]
        object_["Attribute"] = [self.attribute(attribute, event, object_["id"]) for attribute in object_["Attribute"]]
        return object_

    def report(self, fields: Record, event: Record) -> Record:
        """Complete a report of ``event``."""
        report = _complete(REPORT, {name: value for name, value in fields.items() if name in REPORT})
        report["id"], report["event_id"] = self.reports.of(report), event["id"]
        return report

    def attribute(self, fields: Record, event: Record, object_id: str = "0") -> Record:
        """Complete an attribute of ``event``, or of one of its objects."""
        attribute = _complete(ATTRIBUTE, fields)
        attribute["id"] = self.attributes.of(attribute)
        attribute["event_id"], attribute["object_id"] = event["id"], object_id
        attribute.pop("warnings", None)
        self._tag_all(attribute)
        return attribute

    def _tag_all(self, record: Record) -> None:
        tags = [self.tag(tag) for tag in record.pop("Tag", ())]
        if tags:
            record["Tag"] = tags

    def tag(self, fields: Record) -> Record:
        """Complete a tag; the same name keeps the same id."""
        galaxy = GALAXY_TAG.fullmatch(fields["name"])
        kind = {"is_galaxy": bool(galaxy), "is_custom_galaxy": bool(galaxy and UUID.fullmatch(galaxy["value"]))}
        tag = texts(TAG | kind | fields)
        own = {"id": str(fields.get("id") or len(self._tags) + 1), "colour": tag["colour"]}
        return tag | self._tags.setdefault(fields["name"], own)


def attributes(event: Record) -> Iterable[Record]:
    """Give all attributes of an event, those of its objects too."""
    yield from event["Attribute"]
    for object_ in event["Object"]:
        yield from object_["Attribute"]


def _complete(defaults: Record, fields: Record) -> Record:
    record = texts(defaults | {name: value for name, value in fields.items() if value is not None})
    record["uuid"] = str(record["uuid"]).lower() or str(uuid4())
    return {name: list(value) if isinstance(value, list) else value for name, value in record.items()}


def texts(record: Record) -> Record:
    """Write ids, counts and timestamps as strings and flags as booleans; the record is changed."""
    for name in TEXTS & record.keys():
        record[name] = str(record[name])
    for name in FLAGS & record.keys():
        record[name] = record[name] in (True, 1, "1")
    return record
