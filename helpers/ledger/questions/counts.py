"""What a destination holds, counted for whoever draws or measures it: by indexes, where objects are concerned."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql

from helpers.indicators import DAY
from helpers.ledger.records import EventRecord
from helpers.ledger.store import Ledger
from helpers.ledger.tables import ATTRIBUTES, EVENTS, OBJECTS, SKIPPED, SOURCES


@dataclass(frozen=True)
class LedgerCounts:
    """What one destination's ledger holds at ``now``, in seconds since 1970."""

    ledger: Ledger
    now: int

    def expiring(self, days: int) -> list[int]:
        """Count what ends in Sentinel on each of the next days, of 24 hours each, the nearest first."""
        day = (OBJECTS.c.live_until - self.now - 1) // DAY
        by_then = OBJECTS.c.live_until <= self.now + days * DAY
        counted = self.ledger.in_sentinel_by(day, self.now, by_then)
        return [counted[day] for day in range(days)]

    def tlp(self) -> dict[str, int]:
        """Count what is live in Sentinel by its level of TLP, the most first; ``""`` is where it is unknown."""
        return dict(self.ledger.in_sentinel_by(OBJECTS.c.tlp, self.now).most_common())

    def confidence(self) -> dict[int, int]:
        """Count what is live in Sentinel by its confidence from 0 to 100, the lowest first; -1: unknown."""
        return dict(sorted(self.ledger.in_sentinel_by(OBJECTS.c.confidence, self.now).items()))

    def organisations(self) -> dict[str, int]:
        """Count the attributes that indicators are made of by the organisation of their event, the most first.

        An organisation has the name that one of its events has; without any, it has its UUID.
        """
        number = self.ledger.destination
        parts: sql.ColumnElement[int] = sql.func.count().label("parts")
        of_ours = sql.select(SOURCES.c.event, parts).where(SOURCES.c.destination == number)
        by_event = of_ours.group_by(SOURCES.c.event).subquery()
        of_event = sql.and_(EVENTS.c.destination == number, EVENTS.c.uuid == by_event.c.event)
        total: sql.ColumnElement[int] = sql.func.sum(by_event.c.parts)
        names = sql.func.max(EVENTS.c.organisation_name)
        wanted: sql.Select[Any] = sql.select(EVENTS.c.organisation, names, total).join_from(by_event, EVENTS, of_event)
        ordered = wanted.group_by(EVENTS.c.organisation).order_by(total.desc(), EVENTS.c.organisation)
        counted: Counter[str] = Counter()
        for uuid, name, number in self.ledger.answers(ordered):
            counted[str(name or uuid)] += int(number)
        return dict(counted.most_common())

    def skips(self) -> dict[str, int]:
        """Count the attributes that are not sent by the name of the reason, the most frequent first."""
        return self.ledger.tally(ATTRIBUTES.c.skip, SKIPPED)

    def held(self, most: int) -> list[EventRecord]:
        """Return the events that wait for being published again, the longest held first."""
        held = self.ledger.search(EVENTS, EventRecord, EVENTS.c.held_since.is_not(None))
        return sorted(held, key=lambda event: (event.held_since or 0, event.uuid))[:most]
