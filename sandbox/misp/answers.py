"""Answers: how MISP shows events, attributes and its errors (measured on MISP 2.5.1)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Response, request

from sandbox.misp.accounts import Account
from sandbox.misp.records import Record
from sandbox.misp.search import shows_deleted, shows_to_ids

CONTENT_TYPE = "application/json; charset=UTF-8"
WARNINGLIST = {
    "warninglist_id": "1",
    "warninglist_name": "List of the sandbox",
    "warninglist_category": "false_positive",
}
INNER = ("Attribute", "ShadowAttribute", "Object", "EventReport")
BRIEF = ("org_id", "distribution", "publish_timestamp", "id", "info", "orgc_id", "uuid")
CONTEXT = (
    *("id", "orgc_id", "org_id", "date", "threat_level_id", "info", "published", "uuid", "analysis"),
    *("timestamp", "distribution", "publish_timestamp", "sharing_group_id", "extends_uuid"),
)
MEMBER = (
    *("id", "event_id", "object_id", "object_relation", "category", "type", "to_ids", "uuid", "timestamp"),
    *("distribution", "sharing_group_id", "comment", "deleted", "disable_correlation", "first_seen"),
    *("last_seen", "value"),
)


@dataclass(frozen=True)
class View:
    """How one request wants its records shown."""

    query: Record
    warninglist: Collection[str]
    viewer: Account
    scores: Mapping[str, Mapping[str, Record]] = field(default_factory=dict)
    sightings: Mapping[str, list[Record]] = field(default_factory=dict)

    def flag(self, name: str) -> bool:
        """Say whether the query switches ``name`` on."""
        return str(self.query.get(name)) in ("1", "True", "true")

    @property
    def fails(self) -> bool:
        """Say whether MISP fails inside: its check of the warninglists wants lists that these leave out."""
        checks = self.flag("enforceWarninglist") or self.flag("includeWarninglistHits")
        return checks and (self.flag("metadata") or self.flag("noShadowAttributes"))

    def event(self, event: Record) -> Record:
        """Show an event, with its content or (metadata) without."""
        shown = dict(self._without_local(event))
        if not self.viewer.owns(event):
            shown.pop("event_creator_email", None)
        if self.flag("excludeGalaxy"):
            shown["Galaxy"] = []
        if self.flag("noEventReports"):
            shown.pop("EventReport", None)
        if self.flag("noShadowAttributes"):
            shown.pop("ShadowAttribute", None)
        if self.flag("metadata"):
            return {name: value for name, value in shown.items() if name not in INNER}
        shown["Attribute"] = self._attributes(filter(self._passes_sharing, event["Attribute"]))
        shown["Object"] = [
            object_ | {"Attribute": self._attributes(filter(self._passes_sharing, object_["Attribute"]))}
            for object_ in event["Object"]
            if shows_deleted(self.query, object_["deleted"]) and self._passes_sharing(object_)
        ]
        return shown

    def attribute(self, attribute: Record, event: Record) -> Record:
        """Show an attribute as attributes/restSearch does, with a little of its event."""
        shown = {name: attribute[name] for name in MEMBER}
        if self.flag("includeWarninglistHits"):
            shown |= self._warnings(attribute)
        if self.flag("includeSightings"):
            shown |= {"Sighting": []} | self._seen(attribute)
        if self.flag("includeCorrelations"):
            shown["RelatedAttribute"] = []
        if self.flag("includeDecayScore") and attribute["uuid"] in self.scores:
            shown["decay_score"] = list(self.scores[attribute["uuid"]].values())
        event = self._without_local(event)
        shown["Event"] = self._context(event)
        own = (
            {**_short(tag), "is_galaxy": tag["is_galaxy"], "local": tag["local"]}
            for tag in self._without_local(attribute).get("Tag", ())
        )
        tags = [*own, *self._inherited(event)]
        return shown | {"Tag": tags} if tags else shown

    def object(self, object_: Record, event: Record) -> Record:
        """Show an object as objects/restSearch does, with a little of its event."""
        shown = {name: value for name, value in object_.items() if name not in ("Attribute", "ObjectReference")}
        if not self.flag("metadata"):
            shown["Attribute"] = [
                in_parts(attribute) | {"AttributeTag": []}
                for attribute in object_["Attribute"]
                if self._shows(attribute)
            ]
        return shown | {"Event": {name: event[name] for name in ("id", "info", "org_id", "orgc_id")}}

    def listed(self, attribute: Record) -> bool:
        """Say whether a warninglist holds the value or, of a composite one, a part."""
        return bool(self.warninglist) and bool(_hits(attribute, self.warninglist))

    def _passes_sharing(self, part: Record) -> bool:
        """Say whether a filter that is meant for events leaves a part of one: MISP compares the part's own field."""
        asked = {name: self.query.get(name) for name in ("distribution", "sharing_group_id")}
        wanted = {name: value if isinstance(value, list) else [value] for name, value in asked.items() if value}
        return all(part[name] in map(str, values) for name, values in wanted.items())

    def _attributes(self, members: Iterable[Record]) -> list[Record]:
        return [self._inner(attribute) for attribute in members if self._shows(attribute)]

    def _shows(self, attribute: Record) -> bool:
        if not shows_deleted(self.query, attribute["deleted"]) or not shows_to_ids(self.query, attribute["to_ids"]):
            return False
        return not (self.flag("enforceWarninglist") and self.listed(attribute))

    def _inner(self, attribute: Record) -> Record:
        shown = self._without_local(attribute)
        if self.flag("includeWarninglistHits"):
            # A search for attributes writes all numbers as texts, one for events does not.
            hits = self._warnings(attribute).get("warnings", ())
            numbered = [hit | {"warninglist_id": int(hit["warninglist_id"])} for hit in hits]
            shown = shown | ({"warnings": numbered} if numbered else {})
        left_out = {"excludeGalaxy": "Galaxy", "noShadowAttributes": "ShadowAttribute"}
        return shown | {name: [] for flag, name in left_out.items() if self.flag(flag)} | self._seen(attribute)

    def _without_local(self, record: Record) -> Record:
        """Leave out local tags if the query wants that; nothing says then that there was one."""
        if not self.flag("excludeLocalTags") or "Tag" not in record:
            return record
        bare = {name: value for name, value in record.items() if name != "Tag"}
        tags = [tag for tag in record["Tag"] if not tag["local"]]
        return bare | ({"Tag": tags} if tags else {})

    def _warnings(self, attribute: Record) -> Record:
        warnings = [{"match": hit, "value": hit, **WARNINGLIST} for hit in _hits(attribute, self.warninglist)]
        return {"warnings": warnings} if warnings else {}

    def _seen(self, attribute: Record) -> Record:
        seen = [
            sighting | {"attribute_uuid": attribute["uuid"]} for sighting in self.sightings.get(attribute["id"], ())
        ]
        return {"Sighting": seen} if seen else {}

    def _context(self, event: Record) -> Record:
        if not self.flag("includeContext"):
            return {name: event[name] for name in BRIEF}
        tags = [{"local": tag["local"], **_short(tag)} for tag in event.get("Tag", ())]
        shown = {name: event[name] for name in CONTEXT}
        return shown | ({"Tag": tags} if tags else {}) | {"Orgc": event["Orgc"]}

    def _inherited(self, event: Record) -> list[Record]:
        """Asking for scores brings the event's tags along, since they count in them (MISP's source)."""
        if not self.flag("includeEventTags") and not self.flag("includeDecayScore"):
            return []
        return [{**_short(tag), "inherited": 1} for tag in event.get("Tag", ())]


def row(event: Record) -> Record:
    """Show an event as a row of the minimal index."""
    return {
        "id": event["id"],
        "timestamp": event["timestamp"],
        "sighting_timestamp": "0",
        "published": event["published"],
        "uuid": event["uuid"],
        "orgc_uuid": event["Orgc"]["uuid"],
    }


def answer(body: Any, headers: dict[str, str] | None = None, status: int = 200) -> Response:
    """Give a JSON answer."""
    return Response(json.dumps(body), status, headers, content_type=CONTENT_TYPE)


def search_answer(body: Any, total: int, skipped: int = 0, name: str = "") -> Response:
    """Give the answer of a restSearch, with the counts in its headers."""
    headers = {
        "X-Result-Count": str(total),
        "X-Export-Module-Used": "json",
        "X-Response-Format": "json",
        "X-Skipped-Elements-Count": str(skipped),
    }
    if name:
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer({"response": body}, headers)


def error(status: int, text: str) -> Response:
    """Give an error as MISP words it."""
    return answer({"name": text, "message": text, "url": request.path}, status=status)


def in_parts(attribute: Record) -> Record:
    """Show an attribute as it is kept, with the two parts of its value."""
    first, _, second = str(attribute["value"]).partition("|")
    return {name: attribute[name] for name in MEMBER} | {"value1": first, "value2": second}


def _short(tag: Record) -> Record:
    return {name: tag[name] for name in ("id", "name", "colour", "numerical_value")}


def _hits(attribute: Record, warninglist: Collection[str]) -> list[str]:
    value = str(attribute["value"])
    parts = [value, *value.split("|")] if "|" in value else [value]
    return [part for part in parts if part in warninglist]
