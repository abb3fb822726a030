"""What a destination holds, counted for whoever draws or measures it: by indexes, where objects are concerned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sql

from helpers.indicators import DAY
from helpers.ledger.records import EventRecord
from helpers.ledger.store import INDICATORS, Ledger, taken
from helpers.ledger.tables import (
    ATTRIBUTE_LINKS,
    CONTENTS,
    EVENT_NAMES,
    EVENTS,
    FINDINGS,
    MARKS,
    PARTS,
    SKIPPED,
    SOURCE_LINKS,
    STANDINGS,
)


@dataclass(frozen=True)
class LedgerCounts:
    """What one destination's ledger holds at ``now``, in seconds since 1970."""

    ledger: Ledger
    now: int

    def expiring(self, days: int) -> list[int]:
        """Count what ends in Sentinel on each of the next days, of 24 hours each, the nearest first."""
        day = (STANDINGS.c.live_until - self.now - 1) // DAY
        by_then = STANDINGS.c.live_until <= self.now + days * DAY
        counted = self.ledger.in_sentinel_by(day, self.now, by_then)
        return [counted[day] for day in range(days)]

    def tlp(self) -> dict[str, int]:
        """Count what is live in Sentinel by its level of TLP, the most first; ``""`` is where it is unknown."""
        return dict(self.ledger.in_sentinel_by(MARKS.c.tlp, self.now).most_common())

    def confidence(self) -> dict[int, int]:
        """Count what is live in Sentinel by its confidence from 0 to 100, the lowest first; -1: unknown."""
        return dict(sorted(self.ledger.in_sentinel_by(MARKS.c.confidence, self.now).items()))

    def paths(self) -> dict[str, int]:
        """Count what is live in Sentinel by the path that its pattern compares first, as much of it as marks keep."""
        return dict(self.ledger.in_sentinel_by(MARKS.c.observable, self.now))

    def patterns(self, paths: Collection[str], most: int) -> list[str]:
        """Return the patterns of indicators that are live and compare one of these paths first, at most so many."""
        marks = sql.select(MARKS.c.number).where(MARKS.c.observable.in_(paths))
        of_ours = sql.and_(STANDINGS.c.destination == self.ledger.destination, INDICATORS)
        live = sql.and_(STANDINGS.c.live, STANDINGS.c.live_until > self.now, taken(self.now, STANDINGS))
        joined = STANDINGS.join(CONTENTS, CONTENTS.c.number == STANDINGS.c.content)
        found = sql.select(CONTENTS.c.pattern).select_from(joined).where(of_ours, live, STANDINGS.c.mark.in_(marks))
        rows = self.ledger.answers(found.limit(most))
        return [str(pattern) for (pattern,) in rows]

    def organisations(self) -> dict[str, int]:
        """Count the attributes that indicators are made of by the organisation of their event, the most first.

        An organisation has the name that one of its events has; without any, it has its UUID.
        """
        number = self.ledger.destination
        of_event = sql.and_(EVENTS.c.destination == number, EVENT_NAMES.c.uuid == EVENTS.c.uuid)
        linked = sql.and_(SOURCE_LINKS.c.destination == number, SOURCE_LINKS.c.part == PARTS.c.number)
        total = sql.func.count()
        columns = (EVENTS.c.organisation, sql.func.max(EVENTS.c.organisation_name), total)
        wanted = sql.select(*columns).where(of_event, PARTS.c.event == EVENT_NAMES.c.number, linked)
        ordered = wanted.group_by(EVENTS.c.organisation).order_by(total.desc(), EVENTS.c.organisation)
        counted: Counter[str] = Counter()
        for uuid, name, number in self.ledger.answers(ordered):
            counted[str(name or uuid)] += int(number)
        return dict(counted.most_common())

    def skips(self) -> dict[str, int]:
        """Count the attributes that are not sent by the name of the reason, the most frequent first."""
        count, ours = sql.func.count(), ATTRIBUTE_LINKS.c.destination == self.ledger.destination
        linked = sql.and_(ours, ATTRIBUTE_LINKS.c.finding == FINDINGS.c.number)
        question = sql.select(FINDINGS.c.skip, count).where(linked, SKIPPED).group_by(FINDINGS.c.skip)
        return dict(self.ledger.answers(question.order_by(count.desc(), FINDINGS.c.skip)))

    def held(self, most: int) -> list[EventRecord]:
        """Return the events that wait for being published again, the longest held first."""
        held = self.ledger.search(EVENTS, EventRecord, EVENTS.c.held_since.is_not(None))
        return sorted(held, key=lambda event: (event.held_since or 0, event.uuid))[:most]
