"""Sightings: what users say of having seen an attribute's value, as recorded of MISP 2.5.1.

A sighting is taken as often as it is sent, and moves nothing of the event. What was not recorded is as in MISP's
source: ``includeUuid``, ``org_id``, which wants UUIDs and finds nothing by numbers, a type that is none, and whose
sightings a user sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

from flask import Response, g, request

from sandbox.misp.answers import answer, error, search_answer
from sandbox.misp.records import Record, attributes
from sandbox.misp.search import moment
from sandbox.misp.writes.events import needing, sent

if TYPE_CHECKING:
    from sandbox.misp.app import MispState

NOT_ADDED = "Could not add the Sighting. Reason: {}"
NONE_MATCHES = NOT_ADDED.format("No valid attributes found that match the criteria.")
NO_TYPE = NOT_ADDED.format("Invalid type, please change it before you POST 1000000 sightings.")
TYPES = ("0", "1", "2")
NO_MOMENT = NOT_ADDED.format('{"date_sighting":["This field cannot be left blank"]}')
# A source that the column does not hold: 255 characters of three bytes at most (measured).
INTERNAL = "An Internal Error Has Occurred."
LONGEST_SOURCE, LARGEST = 255, 0xFFFF
NOT_NAMED = "An ID or UUID must be provided if the context is set."
# How far back a search goes that does not say it (MISP's source).
USUAL_AGE = "30d"


class Sightings:
    """The routes about sightings."""

    def __init__(self, state: MispState) -> None:
        self.state = state

    def routes(self) -> dict[str, Callable[..., Response]]:
        """Give each path with what answers it."""
        return {
            "/sightings/add": self.add,
            "/sightings/add/<identifier>": self.add,
            "/sightings/restSearch": self.search,
            "/sightings/restSearch/<context>": self.search,
            "/sightings/listSightings/<identifier>/attribute": self.list_of_attribute,
        }

    @needing("perm_sighting")
    def add(self, identifier: str = "") -> Response:
        """sightings/add, of one attribute or of all that have one of some values; the last one is answered."""
        content = sent("Sighting")
        if str(content.get("type", "0")) not in TYPES:
            return answer({"message": NO_TYPE})
        named = str(identifier or content.get("uuid") or content.get("id") or "")
        values = content.get("values", [content["value"]] if "value" in content else [])
        matches = [
            attribute
            for attribute in self._attributes()
            if _is_named(attribute, named) or (not named and _has_value(attribute, values))
        ]
        if not matches:
            return answer({"message": NONE_MATCHES})
        if not _is_kept(str(content.get("source", ""))):
            return error(500, INTERNAL)
        if not _is_moment(content.get("timestamp")):
            return answer({"message": NO_MOMENT})
        for attribute in matches:
            self.state.sightings.append(self._new(attribute, content))
        return answer({"Sighting": self.state.sightings[-1]})

    def search(self, context: str = "") -> Response:
        """sightings/restSearch, of one attribute or of all; a limit changes nothing."""
        query = request.get_json(force=True, silent=True) or {}
        number, uuid = query.get("id"), query.get("uuid")
        if context and not number and not uuid:
            return error(400, NOT_NAMED)
        if number and not isinstance(number, int):
            return error(400, f"Invalid ID `{number}` provided.")
        named = str(number or uuid or "") if context else ""
        first, last = self._window(query)
        shown = [
            {"Sighting": self._shown(sighting, attribute, with_uuids=bool(query.get("includeUuid")))}
            for sighting, attribute in self._visible()
            if (not named or _is_named(attribute, named))
            and first <= int(sighting["date_sighting"]) <= last
            and all(str(query[name]) == sighting[name] for name in ("source", "type") if name in query)
            and ("org_id" not in query or self._is_of(sighting, query["org_id"]))
        ]
        return search_answer(shown, 0)

    def list_of_attribute(self, identifier: str) -> Response:
        """sightings/listSightings, newest first; a UUID finds nothing."""
        pairs = [(sighting, attribute) for sighting, attribute in self._visible() if attribute["id"] == identifier]
        newest = sorted(pairs, key=lambda pair: -int(pair[0]["date_sighting"]))
        names = (self.state.organisation_of(sighting["org_id"])["name"] for sighting, _ in newest)
        shown = zip((sighting for sighting, _ in newest), names, strict=True)
        return answer([{"Sighting": sighting, "Organisation": {"name": name}} for sighting, name in shown])

    def _new(self, attribute: Record, content: Record) -> Record:
        number = max((int(sighting["id"]) for sighting in self.state.sightings), default=0) + 1
        return {
            "id": str(number),
            "attribute_id": attribute["id"],
            "event_id": attribute["event_id"],
            "org_id": g.user.organisation["id"],
            "date_sighting": str(int(content.get("timestamp") or self.state.clock())),
            "uuid": str(uuid4()),
            "source": str(content.get("source", "")).strip(),
            "type": str(content.get("type", "0")),
        }

    def _window(self, query: Record) -> tuple[float, float]:
        """Read from when to when; one end alone is ignored (MISP's source)."""
        now = self.state.clock()
        if "from" in query and "to" in query:
            first, last = sorted(moment(query[name], now) or 0 for name in ("from", "to"))
            return first, last
        return moment(query.get("last", USUAL_AGE), now) or 0, float("inf")

    def _attributes(self) -> Iterator[Record]:
        """Yield the attributes that a user may sight: soft-deleted ones too (measured)."""
        return (attribute for attribute in self._of_shown_events() if not self._is_hidden(attribute))

    def _of_shown_events(self) -> Iterator[Record]:
        for event in self.state.events():
            if self.state.shows(event, g.user):
                yield from attributes(event)

    def _is_hidden(self, attribute: Record) -> bool:
        """Say whether an attribute is for its own organisation alone, and the user is of another one."""
        event = self.state.owner(attribute)
        return attribute["distribution"] == "0" and not self.state.shows(event | {"distribution": "0"}, g.user)

    def _visible(self) -> Iterator[tuple[Record, Record]]:
        """Yield sightings with their attributes: also those of soft-deleted and of hidden ones (measured)."""
        known = {attribute["id"]: attribute for attribute in self._of_shown_events()}
        return (
            (sighting, known[sighting["attribute_id"]])
            for sighting in self.state.shown_sightings(g.user)
            if sighting["attribute_id"] in known
        )

    def _is_of(self, sighting: Record, asked: str | list[str]) -> bool:
        owner = self.state.organisation_of(sighting["org_id"])["uuid"]
        uuids = asked if isinstance(asked, list) else [asked]
        wanted = {uuid for uuid in uuids if not str(uuid).startswith("!")}
        return f"!{owner}" not in uuids and (not wanted or owner in wanted)

    def _shown(self, sighting: Record, attribute: Record, *, with_uuids: bool) -> Record:
        owner, event = self.state.organisation_of(sighting["org_id"]), self.state.owner(attribute)
        uuids = {"attribute_uuid": attribute["uuid"], "event_uuid": event["uuid"]} if with_uuids else {}
        of_attribute = {"value": attribute["value"], **uuids}
        return {
            **sighting,
            **(dict.fromkeys(of_attribute) if self._is_hidden(attribute) else of_attribute),
            "Organisation": {name: owner[name] for name in ("id", "uuid", "name")},
        }


def _is_named(attribute: Record, named: str) -> bool:
    """Say whether it is the attribute's number or UUID; in capital letters that is none (measured)."""
    return named in (attribute["uuid"], attribute["id"])


def _has_value(attribute: Record, values: list[str]) -> bool:
    return bool({attribute["value"], *attribute["value"].split("|")} & set(values))


def _is_kept(source: str) -> bool:
    text = source.strip()
    return len(text) <= LONGEST_SOURCE and all(ord(letter) <= LARGEST for letter in text)


def _is_moment(timestamp: object) -> bool:
    """Say whether MISP takes a time: none is now, and 0 or a text is refused (measured)."""
    return timestamp is None or (str(timestamp).lstrip("-").isdecimal() and int(str(timestamp)) != 0)
