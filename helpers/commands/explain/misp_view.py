"""What MISP shows now of what somebody asks about, and what of it stands in the way of Sentinel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from constants import HASH_TYPES
from helpers.commands.explain import advice
from helpers.commands.explain.advice import Obstacle
from helpers.commands.explain.ledger_view import Json
from helpers.indicators import ConversionResult, ConversionRules, convert_event, event_url, is_true
from helpers.ledger import Question
from helpers.misp import Event, ListedEvent, MispReader
from helpers.settings import Settings
from helpers.sync import event_selection

_HASHES = [*HASH_TYPES, *(f"filename|{name}" for name in HASH_TYPES)]
_WARNINGLIST = ("enforceWarninglist", "enforce_warninglist")
_PAGING = ("limit", "page")
_OF_PUBLISHING = ("publish_timestamp", "last")


@dataclass
class MispView:
    """Asks MISP about a value, an attribute or an event, read-only.

    ``in_ledger`` are the attributes that the ledger has of it, ``sent_events`` the events that it has sent.
    """

    settings: Settings
    reader: MispReader
    asked: Question
    in_ledger: Sequence[str]
    sent_events: frozenset[str]
    now: datetime
    _events: dict[str, Event] = field(default_factory=dict)

    def answer(self) -> Json:
        """Return the attributes and the event that MISP shows. Raises MispError."""
        attributes = self._find_attributes()
        self._events = {_uuid(attribute["Event"]): attribute["Event"] for attribute in attributes}
        return {
            "attributes": [self._attribute(attribute) for attribute in attributes],
            "not_shown": sorted(set(self.in_ledger) - {_uuid(attribute) for attribute in attributes}),
            "event": self._event(),
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

    def _event(self) -> Json | None:
        uuid = self.asked.uuid
        event = self.reader.find_events({}, [uuid]).get(uuid) if uuid and not self.asked.stix_id else None
        if event is None:
            return None
        self._events[uuid] = {"uuid": uuid, "published": event.published}
        return {
            "event": uuid,
            "url": event_url(self.settings.misp_domain, uuid),
            "published": event.published,
            "attributes": event.attributes,
            "in_the_way": list(self._obstacles(uuid)),
        }

    @cached_property
    def _filters(self) -> dict[str, Any]:
        """The site's filters; that an event must be published is told apart from them."""
        filters = self.settings.misp_event_filters
        apart = ("published", *_PAGING) if event_selection.needs_published(filters) else _PAGING
        return {name: value for name, value in filters.items() if name not in apart}

    @cached_property
    def _in_filters(self) -> dict[str, ListedEvent]:
        """Events that the filters find, time windows set aside."""
        return self.reader.find_events(self._filters, list(self._events))

    @cached_property
    def _in_window(self) -> set[str]:
        """Events that the filters find, time windows too; to publish an event puts it into those of publishing."""
        uuids: set[str] = set()
        for unpublished, apart in ((False, ()), (True, _OF_PUBLISHING)):
            asked = [uuid for uuid in self._events if self._unpublished(uuid) is unpublished]
            filters = {name: value for name, value in self._filters.items() if name not in apart}
            listed = self.reader.listing({**filters, "eventid": asked}) if asked else []
            uuids |= {event.uuid for event in listed}
        return uuids

    def _unpublished(self, uuid: str) -> bool:
        """Say whether an event has to be published first."""
        needed = event_selection.needs_published(self.settings.misp_event_filters)
        return needed and not is_true(self._events[uuid].get("published"))

    # -- answering ------------------------------------------------------------------------------------

    def _attribute(self, attribute: Event) -> Json:
        event = attribute["Event"]
        result = self._converted(attribute)
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
            "would_send": [str(indicator["pattern"]) for indicator in result.indicators],
            "in_the_way": [
                *self._obstacles(_uuid(event)),
                *self._warninglists(attribute),
                *(advice.skip_as_json(skip.reason.name, skip.words) for skip in result.skipped),
            ],
            "halves_left_out": [advice.skip_as_json(half.reason.name, half.words) for half in result.left_out],
        }

    @cached_property
    def _rules(self) -> ConversionRules:
        return ConversionRules.of(self.settings)

    def _converted(self, attribute: Event) -> ConversionResult:
        """Convert one attribute as a run would; the name of a file together with the file's hashes."""
        uuid = _uuid(attribute)
        result = ConversionResult()
        for part in convert_event(self._event_with(attribute), self._rules, self.now):
            result.indicators += [indicator for indicator in part.indicators if _attribute_of(indicator) == uuid]
            result.skipped += [skip for skip in part.skipped if skip.attribute_uuid.lower() == uuid]
            result.left_out += [half for half in part.left_out if half.attribute_uuid.lower() == uuid]
        return result

    def _event_with(self, attribute: Event) -> Event:
        """Return an attribute's event with it, and what of its object decides whether it is sent."""
        object_id = str(attribute.get("object_id") or "0")
        if object_id == "0" or attribute.get("type") != "filename":
            return {**attribute["Event"], "Attribute": [attribute]}
        hashes = self.reader.find_attributes(eventid=_uuid(attribute["Event"]), type_attribute=_HASHES)
        members = [member for member in hashes if str(member.get("object_id")) == object_id]
        return {**attribute["Event"], "Object": [{"Attribute": [attribute, *members]}]}

    def _obstacles(self, event: str) -> Iterator[Json]:
        """Say what keeps an event, and with it its attributes, out."""
        if self._unpublished(event):
            yield advice.obstacle_as_json(Obstacle.NOT_PUBLISHED, event)
        if event not in self._in_filters:
            yield advice.obstacle_as_json(Obstacle.NOT_IN_FILTERS, event)
        elif event not in self._in_window and event not in self.sent_events:
            yield advice.obstacle_as_json(Obstacle.OUTSIDE_WINDOW, event)

    def _warninglists(self, attribute: Event) -> Iterator[Json]:
        filters = self.settings.misp_event_filters
        hits = attribute.get("warnings") or []
        if hits and any(is_true(value) or value == "true" for value in map(filters.get, _WARNINGLIST)):
            names = {str(hit.get("warninglist_name")) for hit in hits if isinstance(hit, Mapping)}
            yield advice.obstacle_as_json(
                Obstacle.ON_WARNINGLIST, _uuid(attribute["Event"]), words=", ".join(sorted(names))
            )


def _attribute_of(indicator: Mapping[str, Any]) -> str:
    references: Iterable[Mapping[str, Any]] = indicator["external_references"]
    return next(str(reference["external_id"]) for reference in references)


def _uuid(record: Mapping[str, Any]) -> str:
    return str(record.get("uuid")).lower()
