"""The rows of runs: what each keeps of what a run did, how it is read again, and how long it stays. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, NamedTuple

from helpers.indicators import DAY
from helpers.text import excerpt

# Every run of the last days stays, up to so many; of the days before, the last run of each, for a year.
EVERY_RUN_DAYS, MOST_RECENT = 14, 400
ONE_A_DAY_DAYS = 366
# Runs of one event come with every event that an analyst sends: only the last of them stay.
MOST_OF_EVENTS = 100
# The last ones stay whatever the clock says, which may be wrong.
STAY_ANYWAY = 14
LONGEST_CAUSE = 300
_END_OF_TIME = 253_402_300_800  # the year 10000
_LONGEST_VERSION = 30


class RunKind(StrEnum):
    """What a run was asked for; only ``UUID`` is not whole: it was about one event."""

    PLAIN = "plain"
    FULL = "full"
    UUID = "uuid"


class RunKey(NamedTuple):
    """Which row it is: rows are numbered as they are written; ``at`` is when the run was, in seconds since 1970."""

    number: int
    at: int
    kind: str


@dataclass(frozen=True)
class RunRecord:
    """What one run did at one destination, for the last runs in ``status``, and for whoever draws or measures them.

    ``at`` is the run's time in seconds since 1970, ``seconds`` how long it took, ``cause`` why it did not go well.
    ``new``, ``changed``, ``renewed`` and ``again`` are what was planned, ``accepted`` and ``withdrawn`` what Microsoft
    took of that. ``not_taken`` are those of ``pending`` that Microsoft has certainly not taken. ``skipped`` has
    attributes by the name of the reason, ``live`` indicators by kind at the run's end. ``beside_sent`` and
    ``beside_withdrawn`` count what Microsoft took beside indicators, which no other count has.
    """

    at: int
    kind: RunKind = RunKind.PLAIN
    exit_code: int = 0
    seconds: float = 0.0
    events: int = 0
    attributes: int = 0
    new: int = 0
    changed: int = 0
    renewed: int = 0
    again: int = 0
    accepted: int = 0
    withdrawn: int = 0
    rejected: int = 0
    pending: int = 0
    not_taken: int = 0
    withdrawals_rejected: int = 0
    withdrawals_pending: int = 0
    unchanged: int = 0
    beside_sent: int = 0
    beside_withdrawn: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    live: Mapping[str, int] = field(default_factory=dict)
    requests: int = 0
    version: str = ""
    cause: str = ""

    def stored(self) -> str:
        """Return what a row says beside its columns; zeros are left out."""
        known = {name: getattr(self, name) for name in _IN_TEXT}
        known["cause"] = excerpt(self.cause, LONGEST_CAUSE)
        known["version"] = excerpt(self.version, _LONGEST_VERSION)
        return json.dumps({name: value for name, value in known.items() if value}, ensure_ascii=False)

    @classmethod
    def of_row(cls, at: Any, kind: str, text: Any) -> RunRecord:
        """Read a row; what is of another form in it than any version writes counts as never noted."""
        try:
            stored = json.loads(text)
        except (TypeError, ValueError, RecursionError):  # cut off, no text, an endless number, nested without end
            stored = None
        known = stored if isinstance(stored, dict) else {}
        values = {name: known[name] for name, like in _IN_TEXT.items() if name in known and like(known[name])}
        return cls(at if _is_moment(at) else 0, RunKind(kind) if kind in set(RunKind) else RunKind.PLAIN, **values)


def outlived(rows: Iterable[RunKey], now: int) -> set[int]:
    """Return the numbers of the rows that are to go, at ``now`` in seconds since 1970."""
    newest_first = sorted(rows, reverse=True)
    whole = [row for row in newest_first if row.kind != RunKind.UUID]
    of_events = [row for row in newest_first if row.kind == RunKind.UUID]
    stay = {*_recent(whole, now)[:MOST_RECENT], *_recent(of_events, now)[:MOST_OF_EVENTS], *whole[:STAY_ANYWAY]}
    stay.update(_one_a_day((row for row in whole if row not in stay), now))
    return {row.number for row in newest_first if row not in stay}


def _recent(rows: Sequence[RunKey], now: int) -> list[RunKey]:
    return [row for row in rows if row.at > now - EVERY_RUN_DAYS * DAY]


def _one_a_day(newest_first: Iterable[RunKey], now: int) -> Iterable[RunKey]:
    """Return the last row of each day (UTC) of the last year."""
    of_day: dict[int, RunKey] = {}
    for row in newest_first:
        if now - ONE_A_DAY_DAYS * DAY < row.at <= now:
            of_day.setdefault(row.at // DAY, row)
    return of_day.values()


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_moment(value: Any) -> bool:
    return _is_count(value) and value < _END_OF_TIME


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**63


def _are_counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_count, value.values()))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


# How what a row says beside its columns is known to be of its form, by the type of its field.
_FORMS = {"int": _is_count, "float": _is_seconds, "str": _is_text, "Mapping[str, int]": _are_counts}
_IN_TEXT = {known.name: _FORMS[str(known.type)] for known in fields(RunRecord) if known.name not in RunKey._fields}
