"""What MISP shows now of what somebody asks about, and what of it stands in the way of Sentinel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from constants import HASH_TYPES
from helpers.commands import advice
from helpers.commands.explain_ledger import page
from helpers.indicators import ConversionResult, ConversionRules, convert_event
from helpers.ledger import Question, holds
from helpers.misp import Event, ListedEvent, MispReader, is_on
from helpers.settings import Settings
from helpers.sync import event_selection

Json = dict[str, Any]

_HASHES = [*HASH_TYPES, *(f"filename|{name}" for name in HASH_TYPES)]
_WARNINGLIST = ("enforceWarninglist", "enforce_warninglist")
_PAGING = ("limit", "page")
_OF_PUBLISHING = ("publish_timestamp", "last")


@dataclass
class MispView:
    """Asks MISP about a value, an attribute or an event, read-only.

    ``named`` are attributes that the ledger has found already, ``known`` the events that it has sent.
    """

    settings: Settings
    reader: MispReader
    asked: Question
    named: Sequence[str]
    known: frozenset[str]
    now: datetime
    _events: dict[str, Event] = field(default_factory=dict)

    def answer(self) -> Json:
        """Return the attributes and the event that MISP shows. Raises MispError."""
        found = self._attributes()
        self._events = {_uuid(each["Event"]): each["Event"] for each in found}
        gone = set(self.named) - {_uuid(each) for each in found}
        return {
            "attributes": [self._attribute(each) for each in found],
            "not_shown": sorted(gone),
            "event": self._event(),
        }

    # -- asking ---------------------------------------------------------------------------------------

    def _attributes(self) -> list[Event]:
        found: list[Event] = []
        if self.asked.values:
            wanted = sorted(value for value in self.asked.values if not value.startswith("!"))
            near = self.reader.find_attributes(value=wanted)
            found = [each for each in near if holds(str(each.get("value")), self.asked.values)]
        uuids = {*self.named, *filter(None, [self.asked.uuid])} - {_uuid(each) for each in found}
        if uuids:
            found += self.reader.find_attributes(uuid=sorted(uuids))
        return [each for each in found if isinstance(each.get("Event"), Mapping)]

    def _event(self) -> Json | None:
        uuid = self.asked.uuid
        seen = self.reader.find_events({}, [uuid]).get(uuid) if uuid and not self.asked.stix_id else None
        if seen is None:
            return None
        self._events[uuid] = {"uuid": uuid, "published": seen.published}
        return {
            "event": uuid,
            "url": page(self.settings, uuid),
            "published": seen.published,
            "attributes": seen.attributes,
            "in_the_way": list(self._around(uuid)),
        }

    @cached_property
    def _filters(self) -> dict[str, Any]:
        """The site's filters; that an event must be published is told apart from them."""
        filters = self.settings.misp_event_filters
        apart = ("published", *_PAGING) if event_selection.needs_published(filters) else _PAGING
        return {name: value for name, value in filters.items() if name not in apart}

    @cached_property
    def _found(self) -> dict[str, ListedEvent]:
        """Events that the filters find, time windows set aside."""
        return self.reader.find_events(self._filters, list(self._events))

    @cached_property
    def _in_window(self) -> set[str]:
        """Events that the filters find, time windows too; to publish an event puts it into those of publishing."""
        found: set[str] = set()
        for unpublished, apart in ((False, ()), (True, _OF_PUBLISHING)):
            asked = [uuid for uuid in self._events if self._unpublished(uuid) is unpublished]
            filters = {name: value for name, value in self._filters.items() if name not in apart}
            listed = self.reader.listing({**filters, "eventid": asked}) if asked else []
            found |= {each.uuid for each in listed}
        return found

    def _unpublished(self, uuid: str) -> bool:
        """Say whether an event has to be published first."""
        needed = event_selection.needs_published(self.settings.misp_event_filters)
        return needed and not _flag(self._events[uuid].get("published"))

    # -- answering ------------------------------------------------------------------------------------

    def _attribute(self, attribute: Event) -> Json:
        event = attribute["Event"]
        made = self._converted(attribute)
        return {
            "attribute": _uuid(attribute),
            "type": str(attribute.get("type")),
            "value": str(attribute.get("value")),
            "to_ids": _flag(attribute.get("to_ids")),
            "deleted": _flag(attribute.get("deleted")),
            "event": _uuid(event),
            "info": str(event.get("info")),
            "url": page(self.settings, _uuid(event)),
            "published": _flag(event.get("published")),
            "would_send": [str(each["pattern"]) for each in made.indicators],
            "in_the_way": [
                *self._around(_uuid(event)),
                *self._on_warninglists(attribute),
                *(advice.on_skip(skip.reason.name, skip.words) for skip in made.skipped),
            ],
            "halves_left_out": [advice.on_skip(half.reason.name, half.words) for half in made.left_out],
        }

    def _converted(self, attribute: Event) -> ConversionResult:
        """Convert one attribute as a run would; the name of a file together with the file's hashes."""
        event = {**attribute["Event"], "Attribute": [attribute]}
        object_id = str(attribute.get("object_id") or "0")
        if object_id != "0" and attribute.get("type") == "filename":
            hashes = self.reader.find_attributes(eventid=_uuid(attribute["Event"]), type_attribute=_HASHES)
            members = [each for each in hashes if str(each.get("object_id")) == object_id]
            event = {**attribute["Event"], "Object": [{"Attribute": [attribute, *members]}]}
        made = ConversionResult()
        for part in convert_event(event, ConversionRules.of(self.settings), self.now):
            made.indicators += [each for each in part.indicators if _made_of(each) == _uuid(attribute)]
            made.skipped += [each for each in part.skipped if each.attribute_uuid.lower() == _uuid(attribute)]
            made.left_out += [each for each in part.left_out if each.attribute_uuid.lower() == _uuid(attribute)]
        return made

    def _around(self, uuid: str) -> Iterator[Json]:
        """Say what keeps the event of an attribute out."""
        if self._unpublished(uuid):
            yield {"why": "the event is not published", "advice": advice.PUBLISH}
        if uuid not in self._found:
            yield {"why": "misp_event_filters do not find the event, time windows set aside", "advice": advice.FILTERS}
        elif uuid not in self._in_window and uuid not in self.known:
            why = "the event is outside the time window of misp_event_filters, and was never sent"
            yield {"why": why, "advice": advice.WINDOW.format(uuid)}

    def _on_warninglists(self, attribute: Event) -> Iterator[Json]:
        filters = self.settings.misp_event_filters
        hits = attribute.get("warnings") or []
        if hits and any(_flag(filters.get(name)) for name in _WARNINGLIST):
            names = {str(each.get("warninglist_name")) for each in hits if isinstance(each, Mapping)}
            yield {"why": f"a warninglist holds the value: {', '.join(sorted(names))}", "advice": advice.WARNINGLIST}


def _made_of(indicator: Mapping[str, Any]) -> str:
    references: Iterable[Mapping[str, Any]] = indicator["external_references"]
    return next(str(each["external_id"]) for each in references)


def _uuid(record: Mapping[str, Any]) -> str:
    return str(record.get("uuid")).lower()


def _flag(value: object) -> bool:
    return is_on(value)
