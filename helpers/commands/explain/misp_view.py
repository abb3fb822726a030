"""What MISP shows now of what somebody asks about, and what of it stands in the way of Sentinel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from constants import HASH_TYPES
from helpers.commands.explain import advice
from helpers.commands.explain.advice import Obstacle
from helpers.commands.explain.ledger_view import Json
from helpers.commands.explain.next_run import Place, ShownEvents
from helpers.commands.explain.state import NextRun
from helpers.indicators import (
    ConversionResult,
    ConversionRules,
    RequestObjectEvent,
    apply_filters,
    convert_prepared,
    event_url,
    is_true,
)
from helpers.ledger import Question
from helpers.misp import Event, ListedEvent, MispReader
from helpers.settings import Settings
from helpers.sync import needs_published

_HASHES = [*HASH_TYPES, *(f"filename|{name}" for name in HASH_TYPES)]
_WARNINGLIST = ("enforceWarninglist", "enforce_warninglist")
_PAGING = ("limit", "page")
_OF_PUBLISHING = ("publish_timestamp", "last")


@dataclass
class MispView:
    """Asks MISP about a value, an attribute or an event, read-only, and says for each destination what it gives there.

    ``in_ledger`` are the attributes that the ledger has of it, ``places`` the destinations of the settings.
    """

    settings: Settings
    reader: MispReader
    asked: Question
    in_ledger: Sequence[str]
    places: Sequence[Place]
    now: datetime
    _events: dict[str, Event] = field(default_factory=dict)
    _prepared_before: dict[str, RequestObjectEvent] = field(default_factory=dict)

    def answer(self) -> Json:
        """Return the attributes and the event that MISP shows. Raises MispError."""
        attributes, event = self._find_attributes(), self._find_event()
        self._events = {_uuid(attribute["Event"]): attribute["Event"] for attribute in attributes}
        if event:
            self._events[event.uuid] = {"uuid": event.uuid, "published": event.published}
        return {
            "attributes": [self._attribute(attribute) for attribute in attributes],
            "not_shown": sorted(set(self.in_ledger) - {_uuid(attribute) for attribute in attributes}),
            "event": self._event(event) if event else None,
        }

    # -- asking ---------------------------------------------------------------------------------------

    def _find_attributes(self) -> list[Event]:
        attributes: list[Event] = []
        if self.asked.values:
            values = sorted(value for value in self.asked.exact if not value.startswith("!"))  # MISP reads ! as not
            alike = self.reader.find_attributes(value=values)
            attributes = [raw for raw in alike if self.asked.is_about(str(raw.get("type")), str(raw.get("value")))]
        uuids = {*self.in_ledger, *filter(None, [self.asked.uuid])} - {_uuid(attribute) for attribute in attributes}
        if uuids:
            attributes += self.reader.find_attributes(uuid=sorted(uuids))
        return [attribute for attribute in attributes if isinstance(attribute.get("Event"), Mapping)]

    def _find_event(self) -> ListedEvent | None:
        uuid = self.asked.uuid
        return self.reader.find_events({}, [uuid]).get(uuid) if uuid and not self.asked.stix_id else None

    def _event(self, event: ListedEvent) -> Json:
        uuid = event.uuid
        by_place = [self._in_place(place, uuid, list(self._obstacles(uuid, place))) for place in self.places]
        return {
            "event": uuid,
            "url": event_url(self.settings.misp_domain, uuid),
            "published": event.published,
            "attributes": event.attributes,
            "in_the_way": _everywhere(by_place, "in_the_way"),
            "destinations": by_place,
        }

    @cached_property
    def _filters(self) -> dict[str, Any]:
        """The site's filters; that an event must be published is told apart from them."""
        filters = self.settings.misp_event_filters
        apart = ("published", *_PAGING) if needs_published(filters) else _PAGING
        return {name: value for name, value in filters.items() if name not in apart}

    @cached_property
    def _in_filters(self) -> dict[str, ListedEvent]:
        """Events that the filters find, time windows set aside."""
        return self.reader.find_events(self._filters, list(self._events))

    @cached_property
    def _in_window(self) -> dict[str, ListedEvent]:
        """Events that the filters find, time windows too; to publish an event puts it into those of publishing."""
        listed: list[ListedEvent] = []
        for unpublished, apart in ((False, ()), (True, _OF_PUBLISHING)):
            asked = [uuid for uuid in self._events if self._unpublished(uuid) is unpublished]
            filters = {name: value for name, value in self._filters.items() if name not in apart}
            listed += self.reader.listing({**filters, "eventid": asked}) if asked else []
        return {event.uuid: event for event in listed}

    @cached_property
    def _shown(self) -> ShownEvents:
        published = {uuid: row for uuid, row in self._in_window.items() if not self._unpublished(uuid)}
        found = {uuid: row for uuid, row in self._in_filters.items() if not self._unpublished(uuid)}
        return ShownEvents(self.reader.find_events({}, list(self._events)), found, published)

    @cached_property
    def _next_runs(self) -> list[tuple[Place, dict[str, NextRun]]]:
        return [(place, place.next_run(self._shown)) for place in self.places]

    def _unpublished(self, uuid: str) -> bool:
        """Say whether an event has to be published first."""
        needed = needs_published(self.settings.misp_event_filters)
        return needed and not is_true(self._events[uuid].get("published"))

    # -- answering ------------------------------------------------------------------------------------

    def _attribute(self, attribute: Event) -> Json:
        event = attribute["Event"]
        by_place = [self._attribute_in_place(attribute, place) for place in self.places]
        return {
            "attribute": _uuid(attribute),
            "type": str(attribute.get("type")),
            "value": str(attribute.get("value")),
            "to_ids": is_true(attribute.get("to_ids")),
            "deleted": is_true(attribute.get("deleted")),
            "event": _uuid(event),
            "info": str(event.get("info")),
            "url": event_url(self.settings.misp_domain, _uuid(event)),
            "published": is_true(event.get("published")),
            "would_send": list(dict.fromkeys(pattern for place in by_place for pattern in place["would_send"])),
            "in_the_way": _everywhere(by_place, "in_the_way"),
            "halves_left_out": _everywhere(by_place, "halves_left_out"),
            "destinations": by_place,
        }

    def _attribute_in_place(self, attribute: Event, place: Place) -> Json:
        """Say what an attribute gives at a destination, by the filters of this one too."""
        uuid, result = _uuid(attribute["Event"]), self._converted(attribute, place)
        in_the_way = [
            *self._obstacles(uuid, place),
            *self._warninglists(attribute),
            *(advice.skip_as_json(skip.reason.name, skip.words) for skip in result.skipped),
        ]
        return {
            **self._in_place(place, uuid, in_the_way),
            "would_send": [str(indicator["pattern"]) for indicator in result.indicators],
            "halves_left_out": [advice.skip_as_json(half.reason.name, half.words) for half in result.left_out],
        }

    def _in_place(self, place: Place, event: str, in_the_way: list[Json]) -> Json:
        next_run = next(done for known, done in self._next_runs if known is place)
        return {**place.name, "in_the_way": in_the_way, "next_run": str(next_run.get(event, NextRun.PASSES_OVER))}

    @cached_property
    def _rules(self) -> ConversionRules:
        return ConversionRules.of(self.settings)

    def _converted(self, attribute: Event, place: Place) -> ConversionResult:
        """Convert one attribute as a run would; the name of a file together with the file's hashes."""
        uuid = _uuid(attribute)
        prepared = self._prepared(attribute)
        passing = apply_filters(prepared, *place.settings.every_filter)
        result = ConversionResult(skipped=passing.skipped, left_out=passing.left_out)
        for part in convert_prepared(prepared, passing.items):
            result.indicators += part.indicators
            result.skipped += part.skipped
            result.left_out += part.left_out
        return result.for_attributes({uuid})

    def _prepared(self, attribute: Event) -> RequestObjectEvent:
        uuid = _uuid(attribute)
        if uuid not in self._prepared_before:
            self._prepared_before[uuid] = RequestObjectEvent(self._event_with(attribute), self._rules, self.now)
        return self._prepared_before[uuid]

    def _event_with(self, attribute: Event) -> Event:
        """Return an attribute's event with it, and what of its object decides whether it is sent."""
        object_id = str(attribute.get("object_id") or "0")
        if object_id == "0" or attribute.get("type") != "filename":
            return {**attribute["Event"], "Attribute": [attribute]}
        hashes = self.reader.find_attributes(eventid=_uuid(attribute["Event"]), type_attribute=_HASHES)
        members = [member for member in hashes if str(member.get("object_id")) == object_id]
        return {**attribute["Event"], "Object": [{"Attribute": [attribute, *members]}]}

    def _obstacles(self, event: str, place: Place) -> Iterator[Json]:
        """Say what keeps an event, and with it its attributes, out of a destination."""
        if self._unpublished(event):
            yield advice.obstacle_as_json(Obstacle.NOT_PUBLISHED, event)
        if event not in self._in_filters:
            yield advice.obstacle_as_json(Obstacle.NOT_IN_FILTERS, event)
        elif event not in self._in_window and not place.known([event]):
            yield advice.obstacle_as_json(Obstacle.OUTSIDE_WINDOW, event)

    def _warninglists(self, attribute: Event) -> Iterator[Json]:
        filters = self.settings.misp_event_filters
        hits = attribute.get("warnings") or []
        if hits and any(is_true(value) or value == "true" for value in map(filters.get, _WARNINGLIST)):
            names = {str(hit.get("warninglist_name")) for hit in hits if isinstance(hit, Mapping)}
            yield advice.obstacle_as_json(
                Obstacle.ON_WARNINGLIST, _uuid(attribute["Event"]), words=", ".join(sorted(names))
            )


def _everywhere(by_place: Sequence[Json], name: str) -> list[Json]:
    """Return what holds at every destination."""
    return [said for said in by_place[0][name] if all(said in place[name] for place in by_place)]


def _uuid(record: Mapping[str, Any]) -> str:
    return str(record.get("uuid")).lower()
