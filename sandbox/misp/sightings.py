"""Sightings: what users say of having seen an attribute's value, as recorded of MISP 2.5.1.

A sighting is taken as often as it is sent, and moves nothing of the event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

from flask import Response, g, request

from sandbox.misp.answers import answer, error, found
from sandbox.misp.records import Record, attributes
from sandbox.misp.search import moment
from sandbox.misp.writes import needing, sent

if TYPE_CHECKING:
    from sandbox.misp.app import MispState

NONE_MATCHES = "Could not add the Sighting. Reason: No valid attributes found that match the criteria."
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
            "/sightings/listSightings/<identifier>/attribute": self.of_attribute,
        }

    @needing("perm_sighting")
    def add(self, identifier: str = "") -> Response:
        """sightings/add, of one attribute or of all that have one of some values; the last one is answered."""
        given = sent("Sighting")
        named = str(identifier or given.get("uuid") or given.get("id") or "")
        values = given.get("values", [given["value"]] if "value" in given else [])
        seen = [one for one in self._attributes() if _is_named(one, named) or (not named and _has_value(one, values))]
        if not seen:
            return answer({"message": NONE_MATCHES})
        for one in seen:
            self.state.sightings.append(self._made(one, given))
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
            {"Sighting": self._shown(each, one)}
            for each, one in self._visible()
            if (not named or _is_named(one, named))
            and first <= int(each["date_sighting"]) <= last
            and all(str(query[name]) == each[name] for name in ("source", "type") if name in query)
        ]
        return found(shown, 0)

    def of_attribute(self, identifier: str) -> Response:
        """sightings/listSightings, newest first; a UUID finds nothing."""
        pairs = [(each, one) for each, one in self._visible() if one["id"] == identifier]
        newest = sorted(pairs, key=lambda pair: -int(pair[0]["date_sighting"]))
        names = (self.state.organisation_of(each["org_id"])["name"] for each, _ in newest)
        shown = zip((each for each, _ in newest), names, strict=True)
        return answer([{"Sighting": each, "Organisation": {"name": name}} for each, name in shown])

    def _made(self, one: Record, given: Record) -> Record:
        number = max((int(each["id"]) for each in self.state.sightings), default=0) + 1
        return {
            "id": str(number),
            "attribute_id": one["id"],
            "event_id": one["event_id"],
            "org_id": g.user.organisation["id"],
            "date_sighting": str(int(given.get("timestamp") or self.state.clock())),
            "uuid": str(uuid4()),
            "source": str(given.get("source", "")).strip(),
            "type": str(given.get("type", "0")),
        }

    def _window(self, query: Record) -> tuple[float, float]:
        """Read from when to when; one end alone is ignored (MISP's source)."""
        now = self.state.clock()
        if "from" in query and "to" in query:
            return moment(query["from"], now) or 0, moment(query["to"], now) or 0
        return moment(query.get("last", USUAL_AGE), now) or 0, float("inf")

    def _attributes(self) -> Iterator[Record]:
        for event in self.state.events():
            if self.state.shows(event, g.user):
                yield from (one for one in attributes(event) if not one["deleted"])

    def _visible(self) -> Iterator[tuple[Record, Record]]:
        known = {one["id"]: one for one in self._attributes()}
        return ((each, known[each["attribute_id"]]) for each in self.state.sightings if each["attribute_id"] in known)

    def _shown(self, each: Record, one: Record) -> Record:
        owner = self.state.organisation_of(each["org_id"])
        return {**each, "value": one["value"], "Organisation": {name: owner[name] for name in ("id", "uuid", "name")}}


def _is_named(one: Record, named: str) -> bool:
    return named.lower() in (one["uuid"], one["id"])


def _has_value(one: Record, values: list[str]) -> bool:
    return bool({one["value"], *one["value"].split("|")} & set(values))
