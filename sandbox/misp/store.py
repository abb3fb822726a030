"""Store: the events of a MISP, by number and by uuid."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from sandbox.misp.records import Filler, Record, attributes


class Store:
    """Complete events, and what finds them and their attributes."""

    def __init__(self, events: Iterable[Record] | None = None, clock: Callable[[], float] = time.time) -> None:
        """Start with ``events``; ``clock`` gives seconds."""
        self.clock = clock
        self.scores: dict[str, dict[str, Record]] = {}
        self._filler = Filler()
        self._events: dict[int, Record] = {}
        self._numbers: dict[str, int] = {}
        self.blocklist: set[str] = set()
        self.load(events or ())

    def load(self, events: Iterable[Record]) -> None:
        """Store events, bare or under ``Event``, filling in what MISP adds; a known uuid is replaced."""
        for event in events:
            self._keep(event)

    def events(self) -> Iterator[Record]:
        """Give all events in order of their ids."""
        return (self._events[number] for number in sorted(self._events))

    def event(self, identifier: str) -> Record | None:
        """Give an event by id or uuid."""
        text = str(identifier).lower()
        number = int(text) if text.isdecimal() else self._numbers.get(text, 0)
        return self._events.get(number)

    def owner(self, attribute: Record) -> Record:
        """Give the event that an attribute is in."""
        return self._events[int(attribute["event_id"])]

    def find(self, kind: str, identifier: str) -> tuple[Record, Record] | None:
        """Give an object or a report by id or uuid, with its event."""
        for event in self.events():
            for record in event[kind]:
                if identifier.lower() in (record["uuid"], record["id"]):
                    return event, record
        return None

    def find_attribute(self, identifier: str) -> tuple[Record, Record] | None:
        """Give an attribute by id or uuid, one in an object too, with its event."""
        for event in self.events():
            for attribute in attributes(event):
                if identifier.lower() in (attribute["uuid"], attribute["id"]):
                    return event, attribute
        return None

    def attribute_of(self, event: Record, uuid: str) -> Record | None:
        """Give an attribute of an event by uuid."""
        return next((attribute for attribute in attributes(event) if attribute["uuid"] == uuid.lower()), None)

    def candidates(self, query: Record) -> Iterable[Record]:
        """Give the events that a search has to look at: those it names, or all."""
        named = query.get("eventid")
        if not named:
            return self.events()
        identifiers = named if isinstance(named, list) else [named]
        events = {id(event): event for event in map(self.event, map(str, identifiers)) if event}
        return events.values()

    def _keep(self, content: Record) -> Record:
        event = self._filler.event(content.get("Event", content))
        self._numbers[event["uuid"]] = int(event["id"])
        self._events[int(event["id"])] = event
        return event

    def _drop(self, uuid: str) -> None:
        del self._events[self._numbers.pop(self._known(uuid)["uuid"])]

    def _known(self, uuid: str) -> Record:
        event = self.event(uuid)
        if event is None:
            raise KeyError(uuid)
        return event

    def _member(self, event: Record, uuid: str) -> Record:
        """Give an attribute of ``event``, also one in an object or one that is deleted."""
        match = next((attribute for attribute in attributes(event) if attribute["uuid"] == uuid.lower()), None)
        if match is None:
            raise KeyError(uuid)
        return match
