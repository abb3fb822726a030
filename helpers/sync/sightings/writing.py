"""Writes the sightings of one destination into MISP: none that it has, and none twice."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import NamedTuple

from constants import NotSighted
from helpers.errors import MispError, MispRefused, TimeUp
from helpers.indicators import DAY
from helpers.ledger import Ledger, OriginLookup, SightingLedger, SightingRecord, SightingStage
from helpers.misp import SightingInMisp, SightingWriter
from helpers.process import redact
from helpers.settings import Settings
from helpers.sync.sightings.deciding import SEEN, STRICTEST, is_allowed
from helpers.sync.sightings.report import SightingsReport
from helpers.text import counted, moment_text

# After so many answers in a row that say nothing, MISP is left alone.
FAILURES_IN_A_ROW = 3
_REFUSED = (
    "MISP refused {}: does its key see the attributes (misp_sightings)? explain says which; --since tries them again."
)
NO_TIME = "The run's time was up (max_run_minutes) before each sighting was written: the next one goes on."


class _Name(NamedTuple):
    """What tells sightings of one source apart: of a day there is one, of incidents one at each moment."""

    attribute: str
    type: int
    at: int


@dataclass
class SightingWriting:
    """Writes what waits at one destination; ``now`` is in seconds since 1970.

    ``told`` is told how many are dealt with, of how many.
    """

    settings: Settings
    ledger: Ledger
    writer: SightingWriter
    report: SightingsReport
    now: int
    told: Callable[[int, int], None] = lambda _done, _of: None
    _done: int = field(default=0, init=False)
    _failures: int = field(default=0, init=False)

    def write(self, most: int) -> None:
        """Write what waits, at most so many.

        A sighting is written down as on its way before it is sent, and MISP is asked first which ones of its day it
        has: a process may have died, an answer been lost, and a ledger too. Raises MispError where MISP fails, and
        TimeUp.
        """
        records = list(self._allowed(SightingLedger(self.ledger).unwritten(most)))
        try:
            for (_, day), of_day in groupby(sorted(records, key=_order), key=_turn):
                self._write_day(day, list(of_day), len(records))
        finally:
            if refused := self.report.refused:
                self.report.warnings.append(_REFUSED.format(counted(refused, "sighting", "sightings")))

    def _allowed(self, records: Sequence[SightingRecord]) -> Iterator[SightingRecord]:
        """Yield what its TLP allows to be written now: an event may have become stricter since the alert."""
        limit = self.settings.misp_sightings.max_tlp
        markings = OriginLookup(self.ledger).markings(record.event for record in records) if limit != STRICTEST else {}
        for record in records:
            if all(is_allowed(tlp, limit) for tlp in markings.get(record.attribute, ())):
                yield record
            else:
                self._settle(record, SightingStage.LEFT_OUT, NotSighted.TLP.value)

    def _write_day(self, day: int, records: Iterable[SightingRecord], of: int) -> None:
        first = day * DAY
        there = set(map(_name_in_misp, self.writer.there(self.settings.sightings_source, first, first + DAY - 1)))
        for record in records:
            self._write(record, there)
            self._done += 1
            self.told(self._done, of)

    def _write(self, record: SightingRecord, there: Collection[_Name]) -> None:
        if _name(record) in there:
            self._settle(record, SightingStage.THERE)
        elif self.report.dry_run:
            self.report.say(f"sighting {_described(record)}")
        else:
            self._send(record)

    def _send(self, record: SightingRecord) -> None:
        self._keep(record, SightingStage.WRITING)
        try:
            words = self.writer.add(record.attribute, record.type, self.settings.sightings_source, record.at)
        except (MispRefused, TimeUp):  # nothing was written, and nothing can be
            self._keep(record, SightingStage.WAITING)
            raise
        except MispError as error:
            self._keep(record, SightingStage.WRITING, str(error))
            self._failures += 1
            if self._failures >= FAILURES_IN_A_ROW:
                raise
        else:
            self._failures = 0
            self._settle(record, SightingStage.REFUSED if words else SightingStage.WRITTEN, words)

    def _settle(self, record: SightingRecord, stage: SightingStage, words: str = "") -> None:
        self.report.settle(self._keep(record, stage, words))

    def _keep(self, record: SightingRecord, stage: SightingStage, words: str = "") -> SightingRecord:
        changed = replace(record, stage=stage, words=redact(words), settled_at=self.now)
        SightingLedger(self.ledger).keep([], [changed])
        return changed


def _turn(record: SightingRecord) -> tuple[bool, int]:
    """Return when it is a record's turn: day by day, and last what MISP gave no answer to, which may end it again."""
    return record.stage is SightingStage.WRITING, record.at // DAY


def _order(record: SightingRecord) -> tuple[tuple[bool, int], int, str]:
    return _turn(record), record.at, record.attribute


def _name(record: SightingRecord) -> _Name:
    return _Name(record.attribute, record.type, 0 if record.type == SEEN else record.at)


def _name_in_misp(sighting: SightingInMisp) -> _Name:
    return _Name(sighting.attribute, sighting.type, 0 if sighting.type == SEEN else sighting.at)


def _described(record: SightingRecord) -> str:
    what = "" if record.type == SEEN else f" (false positive, {record.occasion})"
    return f"{moment_text(record.at)} {record.attribute} {record.value}{what}"
