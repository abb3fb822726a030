"""Where an indicator came from, by its id or its value: which attributes of MISP's, also those that left of late."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sql

from helpers.ledger.records import EventRecord
from helpers.ledger.rows import PARAMETERS
from helpers.ledger.store import Ledger
from helpers.ledger.tables import EVENTS, FORMER_SOURCES, OBJECTS, SOURCES
from helpers.text import batched

# What Graph knows two observables of that an alert can name: a domain, and the address that it had.
_COMPOSITE = "[domainName = '%' AND network%"
_COMPARED = re.compile("= '([^']*)'")
_FOUND = (OBJECTS.c.id, OBJECTS.c.key, OBJECTS.c.pattern, OBJECTS.c.value, OBJECTS.c.tlp)


class Origin(NamedTuple):
    """An attribute that an indicator came from, and what is remembered of the indicator.

    ``value`` is what its pattern compares first, in lower case; ``tlp`` its marking, "" where that is unknown.
    ``newness`` is its event's timestamp, in seconds since 1970; 0 where the ledger does not know the event any more.
    """

    id: str
    pattern: str
    value: str
    tlp: str
    event: str
    attribute: str
    newness: int


@dataclass(frozen=True)
class OriginLookup:
    """Finds the attributes behind the indicators of one destination, whatever became of these. Raises LedgerError."""

    ledger: Ledger

    def of_ids(self, ids: Iterable[str]) -> list[Origin]:
        """Return the origins of indicators by their STIX ids, of any of their lives."""
        return self._origins(self._objects(OBJECTS.c.id.in_(batch) for batch in batched(ids, PARAMETERS)))

    def of_values(self, values: Iterable[str], *, in_patterns: bool = False) -> list[Origin]:
        """Return the origins of indicators by what their patterns compare first, in lower case.

        ``in_patterns``: by the second value as well, for an API whose indicators may have two. No index finds that: all
        such indicators are looked at, once, however many values there are.
        """
        wanted = set(values)
        found = self._objects(OBJECTS.c.value.in_(batch) for batch in batched(wanted, PARAMETERS))
        if in_patterns and wanted:
            composites = self._objects([OBJECTS.c.pattern.like(_COMPOSITE)])
            found |= {id_: row for id_, row in composites.items() if not wanted.isdisjoint(_compared(row[2]))}
        return self._origins(found)

    def markings(self, events: Iterable[str]) -> dict[str, set[str]]:
        """Return the markings of the indicators that the attributes of some events have now, by the attribute."""
        ours, same = self.ledger.destination, OBJECTS.c.key == SOURCES.c.key
        of_ours = (SOURCES.c.destination == ours, OBJECTS.c.destination == ours, same)
        question = sql.select(SOURCES.c.attribute, OBJECTS.c.tlp).distinct().where(*of_ours)
        found: dict[str, set[str]] = {}
        for batch in batched(set(events), PARAMETERS):
            for attribute, tlp in self.ledger.answers(question.where(SOURCES.c.event.in_(batch))):
                found.setdefault(attribute, set()).add(tlp)
        return found

    def _objects(self, conditions: Iterable[sql.ColumnElement[bool]]) -> dict[str, tuple[str, ...]]:
        """Return what is remembered of the objects of which one of these holds, by their ids."""
        ours = sql.select(*_FOUND).where(OBJECTS.c.destination == self.ledger.destination)
        rows = (row for condition in conditions for row in self.ledger.answers(ours.where(condition)))
        return {row[0]: row for row in rows}

    def _origins(self, objects: dict[str, tuple[str, ...]]) -> list[Origin]:
        attributes = self._attributes({key for _, key, *_ in objects.values()})
        newness = self._newness({event for of_key in attributes.values() for event, _ in of_key})
        return [
            Origin(id_, pattern, value, tlp, event, attribute, newness.get(event, 0))
            for id_, key, pattern, value, tlp in objects.values()
            for event, attribute in attributes.get(key, ())
        ]

    def _attributes(self, keys: set[str]) -> dict[str, list[tuple[str, str]]]:
        """Return event and attribute of each source of the objects with these keys, those that left last."""
        found: dict[str, dict[tuple[str, str], None]] = {}
        for source in self.ledger.sources(keys):
            found.setdefault(source.key, {})[source.event, source.attribute] = None
        for key, event, attribute in self._former(keys):
            found.setdefault(key, {})[event, attribute] = None
        return {key: list(of_key) for key, of_key in found.items()}

    def _former(self, keys: set[str]) -> Iterator[tuple[str, str, str]]:
        columns = (FORMER_SOURCES.c.key, FORMER_SOURCES.c.event, FORMER_SOURCES.c.attribute)
        ours = sql.select(*columns).where(FORMER_SOURCES.c.destination == self.ledger.destination)
        for batch in batched(keys, PARAMETERS):
            yield from self.ledger.answers(ours.where(FORMER_SOURCES.c.key.in_(batch)))

    def _newness(self, events: set[str]) -> dict[str, int]:
        """Return the timestamps of events, by UUID."""
        return {
            event.uuid: event.timestamp
            for batch in batched(events, PARAMETERS)
            for event in self.ledger.search(EVENTS, EventRecord, EVENTS.c.uuid.in_(batch))
        }


def _compared(pattern: str) -> list[str]:
    return _COMPARED.findall(pattern.lower())
