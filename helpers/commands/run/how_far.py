"""How far a run is, as numbers and words to be drawn. Pure: the time, in seconds that only grow, comes in."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

# A rate is taken over so many seconds: Microsoft's minute, of which a part is waiting.
WINDOW = 60.0
# How many seconds lie between two samples at least, and how many are needed before a rate says something.
APART = 0.5
ENOUGH = 2.0


@dataclass(frozen=True)
class Row:
    """A bar and what stands beside it; ``total`` is None while it is not known."""

    label: str
    done: int
    total: int | None
    count: str
    rate: str
    left: str

    @property
    def full(self) -> bool:
        """Whether there is nothing more to come, as far as is known."""
        return self.total is not None and self.done >= self.total


@dataclass
class Half:
    """One of the two things that a run counts, and how fast that goes."""

    done: int = 0
    total: int | None = None
    _samples: deque[tuple[float, int]] = field(default_factory=deque)

    def note(self, now: float) -> None:
        """Remember how much is done by now; of what is older than the window, one sample stays."""
        if not self._samples or now - self._samples[-1][0] >= APART:
            self._samples.append((now, self.done))
        while len(self._samples) > 1 and self._samples[1][0] <= now - WINDOW:
            self._samples.popleft()

    def per_second(self, now: float) -> float | None:
        """Return how many were done in a second of the last minute; None when there is too little to go by."""
        if not self._samples:
            return None
        since, before = self._samples[0]
        seconds = now - since
        return (self.done - before) / seconds if seconds >= ENOUGH and self.done > before else None

    def row(self, label: str, expected: float, now: float) -> Row:
        """Return what is to be drawn, where so many are ``expected`` in the end."""
        count = "" if self.total is None else f"{self.done:,}/{self.total:,}"
        row = Row(label, self.done, self.total, count, "", "")
        rate = self.per_second(now)
        if row.full or rate is None or self.total is None:
            return row
        return Row(
            label, self.done, self.total, count, rate_in_words(rate), left_in_words((expected - self.done) / rate)
        )


@dataclass
class HowFar:
    """Adds up what a run tells of itself; it is one thread's at a time."""

    events: Half = field(default_factory=Half)
    indicators: Half = field(default_factory=lambda: Half(total=0))
    older: Half = field(default_factory=lambda: Half(total=0))
    _until: dict[str, float] = field(default_factory=dict)

    def count_events(self, done: int, listed: int, now: float) -> None:
        """Note how many events were read, of those that are to be read."""
        self.events.done, self.events.total = done, listed
        self.events.note(now)

    def count_indicators(self, planned: int, answered: int, now: float) -> None:
        """Note that so many more indicators are to be sent, and that so many more have Microsoft's answer."""
        self.indicators.total = (self.indicators.total or 0) + planned
        self.indicators.done += answered
        self.indicators.note(now)

    def count_upgraded(self, done: int, rows: int, now: float) -> None:
        """Note how many rows of an older ledger are brought up to date, of how many."""
        self.older.done, self.older.total = done, rows
        self.older.note(now)

    def wait(self, words: str, seconds: float, now: float) -> None:
        """Note what is waited for, from now on for so many seconds; 0 when that is over."""
        self._until[words] = max(self._until.get(words, 0), now + seconds) if seconds else now

    def rows(self, now: float) -> list[Row]:
        """Return the two bars; that of the indicators is there as soon as there are any, before them an upgrade's."""
        if self.older.done < (self.older.total or 0):
            return [self.older.row("ledger upgrade", self.older.total or 0, now)]
        rows = [self.events.row("MISP events", self.events.total or 0, now)]
        return [*rows, self.indicators.row("indicators", self._expected(), now)] if self.indicators.total else rows

    def waits(self, now: float) -> list[str]:
        """Return what is waited for, and for how many seconds yet."""
        left = {words: math.ceil(until - now) for words, until in self._until.items()}
        return [f"{words}, {seconds} s" for words, seconds in left.items() if seconds > 0]

    def _expected(self) -> float:
        """Return how many indicators there will be, if the events that were not read yet have as many as the others."""
        planned, done, listed = self.indicators.total or 0, self.events.done, self.events.total or 0
        return planned * listed / done if 0 < done < listed else planned


def rate_in_words(per_second: float) -> str:
    """Return a rate, by the minute where it is slow."""
    if per_second < 1:
        return f"{60 * per_second:.0f}/min"
    return f"{per_second:.1f}/s" if per_second < 10 else f"{per_second:,.0f}/s"


def left_in_words(seconds: float) -> str:
    """Return how long it takes yet, as exactly as one cares to know."""
    for unit, size in (("s", 1), ("min", 60)):
        if seconds <= 90 * size:
            return f"{math.ceil(seconds / size)} {unit} left"
    return f"{seconds / 3_600:,.0f} h left"
