"""What Sentinel's alerts matched: which alert named which attribute, and what became of the sighting in MISP.

A sighting is written down before it is sent (``WRITING``), and what became of it after MISP has answered. What is
between the two may be in MISP, and MISP is asked before it is sent again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sql

from helpers.indicators import DAY
from helpers.ledger.history.sighting_records import (
    UNWRITTEN,
    MatchRecord,
    Occasion,
    Seen,
    SightingRecord,
    SightingStage,
    SightingWindow,
)
from helpers.ledger.rows import PARAMETERS
from helpers.ledger.store import Ledger
from helpers.ledger.tables import FORMER_SOURCES, MATCHES, SIGHTING_WINDOWS, SIGHTINGS
from helpers.text import batched, shorten

# For how long a match is remembered, and the attribute of an indicator that left.
REMEMBERED_DAYS = 90
_LONGEST_WORDS = 500
_NOT_TAKEN = "MISP has not taken it for 90 days"
_SIGHTING = [SIGHTINGS.c[each.name] for each in fields(SightingRecord)]


@dataclass(frozen=True)
class SightingLedger:
    """Reads and writes what was matched at one destination; each method is one transaction, or some."""

    ledger: Ledger

    # -- the window -------------------------------------------------------------------------------

    def window(self) -> SightingWindow:
        """Return until when alerts were read; what is damaged of the report counts as none."""
        ours = SIGHTING_WINDOWS.c.destination == self.ledger.destination
        rows = self.ledger.answers(sql.select(SIGHTING_WINDOWS.c.until, SIGHTING_WINDOWS.c.report).where(ours))
        return SightingWindow(rows[0][0], _report(rows[0][1])) if rows else SightingWindow()

    def keep_window(self, window: SightingWindow) -> None:
        """Write down until when alerts were read, and how it went."""
        row = {"destination": self.ledger.destination, "until": window.until, "report": json.dumps(dict(window.report))}
        with self.ledger.database.transaction() as connection:
            connection.execute(self.ledger.database.upsert(SIGHTING_WINDOWS), row)

    # -- what was matched ---------------------------------------------------------------------------

    def known(self, names: Iterable[Occasion]) -> dict[Occasion, SightingRecord]:
        """Return the sightings that are known of these."""
        wanted = set(names)
        attributes = {name.attribute for name in wanted}
        found = self._sightings(SIGHTINGS.c.attribute.in_(batch) for batch in batched(attributes, PARAMETERS))
        return {record.name: record for record in found if record.name in wanted}

    def known_matches(self, alerts: Iterable[str]) -> dict[str, set[str]]:
        """Return which attributes these alerts are known to have named, by the alert."""
        found: dict[str, set[str]] = {}
        for batch in batched(set(alerts), PARAMETERS):
            ours = (MATCHES.c.destination == self.ledger.destination, MATCHES.c.alert.in_(batch))
            for alert, attribute in self.ledger.answers(sql.select(MATCHES.c.alert, MATCHES.c.attribute).where(*ours)):
                found.setdefault(alert, set()).add(attribute)
        return found

    def of_alerts(self, alerts: Iterable[str]) -> dict[str, list[SightingRecord]]:
        """Return the sightings that these alerts led to, by the alert."""
        same = (
            MATCHES.c.destination == SIGHTINGS.c.destination,
            MATCHES.c.attribute == SIGHTINGS.c.attribute,
            MATCHES.c.occasion == SIGHTINGS.c.occasion,
        )
        question = sql.select(MATCHES.c.alert, *_SIGHTING).where(
            *same, MATCHES.c.destination == self.ledger.destination
        )
        found: dict[str, list[SightingRecord]] = {}
        for batch in batched(set(alerts), PARAMETERS):
            for alert, *row in self.ledger.answers(question.where(MATCHES.c.alert.in_(batch))):
                found.setdefault(alert, []).append(_record(row))
        return found

    def keep(self, matches: Iterable[MatchRecord], sightings: Iterable[SightingRecord]) -> None:
        """Write down matches and their sightings, as one transaction; a match that is known stays as it was."""
        of = {"destination": self.ledger.destination}
        named = [of | vars(match) for match in matches]
        to_write = [of | _row(record) for record in sightings]
        database = self.ledger.database
        with database.transaction() as connection:
            if named:
                connection.execute(database.insert(MATCHES).on_conflict_do_nothing(), named)
            if to_write:
                connection.execute(database.upsert(SIGHTINGS), to_write)

    # -- what is to be written into MISP ----------------------------------------------------------------

    def unwritten(self, most: int) -> list[SightingRecord]:
        """Return sightings that MISP has not, by when they were seen; those that it has perhaps come last."""
        ours = (SIGHTINGS.c.destination == self.ledger.destination, SIGHTINGS.c.stage.in_(UNWRITTEN))
        order = (SIGHTINGS.c.stage, SIGHTINGS.c.at, SIGHTINGS.c.attribute)
        rows = self.ledger.answers(sql.select(*_SIGHTING).where(*ours).order_by(*order).limit(most))
        return [_record(row) for row in rows]

    def stages(self) -> Counter[str]:
        """Count the sightings by where they stand."""
        return Counter(self.ledger.tally(SIGHTINGS.c.stage, sql.true()))

    # -- what people ask ----------------------------------------------------------------------------

    def seen(self, attributes: Collection[str]) -> Seen | None:
        """Return when and how often these attributes were seen; None where they never were."""
        of_attributes = list(batched(set(attributes), PARAMETERS))
        matches = [
            row
            for batch in of_attributes
            for row in self.ledger.answers(
                sql.select(MATCHES.c.alert, MATCHES.c.at).where(
                    MATCHES.c.destination == self.ledger.destination, MATCHES.c.attribute.in_(batch)
                )
            )
        ]
        sightings = self._sightings(SIGHTINGS.c.attribute.in_(batch) for batch in of_attributes)
        if not (matches or sightings):
            return None
        times = [at for _, at in matches] + [record.at for record in sightings if not record.is_false_positive]
        newest = sorted(sightings, key=lambda record: (-record.at, record.attribute))
        return Seen(len({alert for alert, _ in matches}), max(times, default=0), tuple(newest))

    # -- forgetting -----------------------------------------------------------------------------------

    def forget(self, now: int) -> None:
        """Drop what is remembered no longer; what MISP has not taken for so long counts as refused, and stays on."""
        before = now - REMEMBERED_DAYS * DAY
        old = (SIGHTINGS.c.destination == self.ledger.destination, SIGHTINGS.c.at < before)
        unwritten = SIGHTINGS.c.stage.in_(UNWRITTEN)
        refused = {"stage": str(SightingStage.REFUSED), "words": _NOT_TAKEN, "settled_at": now}
        statements = (
            sql.delete(MATCHES).where(MATCHES.c.destination == self.ledger.destination, MATCHES.c.at < before),
            sql.delete(SIGHTINGS).where(*old, ~unwritten, SIGHTINGS.c.settled_at < before),
            sql.update(SIGHTINGS).where(*old, unwritten).values(**refused),
        )
        with self.ledger.database.transaction() as connection:
            for statement in statements:
                connection.execute(statement)
        forget_former_sources(self.ledger, now)

    def _sightings(self, conditions: Iterable[sql.ColumnElement[bool]]) -> list[SightingRecord]:
        ours = sql.select(*_SIGHTING).where(SIGHTINGS.c.destination == self.ledger.destination)
        return [_record(row) for condition in conditions for row in self.ledger.answers(ours.where(condition))]


def forget_former_sources(ledger: Ledger, now: int) -> None:
    """Note since when attributes have no part in objects any more, and drop those for which that is long ago."""
    if ledger.database.dry:
        return
    left = FORMER_SOURCES.c.left_at
    with ledger.database.transaction() as connection:
        ledger.database.hold_former_sources(connection)
        connection.execute(sql.update(FORMER_SOURCES).where(left == 0).values(left_at=now))
        connection.execute(sql.delete(FORMER_SOURCES).where(left < now - REMEMBERED_DAYS * DAY))


def _row(record: SightingRecord) -> dict[str, Any]:
    words = shorten(record.words, _LONGEST_WORDS, "")
    return vars(record) | {"words": words, "stage": str(record.stage)}


def _record(row: Sequence[Any]) -> SightingRecord:
    names = (each.name for each in fields(SightingRecord))
    values = dict(zip(names, row, strict=True))
    return SightingRecord(**values | {"stage": SightingStage(values["stage"])})


def _report(text: str) -> Mapping[str, Any]:
    try:
        known = json.loads(text)
    except ValueError:
        return {}
    return known if isinstance(known, dict) else {}
