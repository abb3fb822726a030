"""At most so many requests in any 60 seconds, and no waiting for fewer.

Microsoft counts 100 requests a minute for each calling principal. The libraries for this (limits,
pyrate-limiter) wait by a clock of their own; here the clock comes in, so that tests need not wait.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from helpers.process import interrupts
from helpers.text import counted

WINDOW = 60.0
# When a request has reached Microsoft is known to be before its answer; one that takes longer is counted from here.
ON_THE_WAY = 2.0
ASKED_TO_WAIT = "Microsoft asks to wait"
# Is told what is waited for, and the seconds that it takes.
Waiting = Callable[[str, float], None]


def tell_nobody(_words: str, _seconds: float) -> None:
    """Let nobody know what is waited for."""


@dataclass(frozen=True)
class Clock:
    """Where time comes from: ``now`` in seconds that only grow, and ``sleep``, which raises Stopped on a signal."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = interrupts.sleep


@dataclass
class Slot:
    """One request in the window; ``latest`` is when, by the clock, it has reached Microsoft at the latest."""

    latest: float


class RateLimiter:
    """Lets requests through, in the order in which they came; many threads may ask, they share the limit."""

    def __init__(self, per_minute: int, clock: Clock, on_pause: Waiting) -> None:
        self._per_minute = per_minute
        self._slots: deque[Slot] = deque(maxlen=per_minute)
        self._clock = clock
        self._on_pause = on_pause
        self._closed_until = 0.0
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    def take(self, until: float = float("inf")) -> Slot | None:
        """Wait for a slot in the window; None when none is free before the clock shows ``until``."""
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._queue[0] is ticket)
        try:
            while self._clock.now() + (wait := self._wait()) <= until:
                if wait <= 0:
                    return self._new_slot()
                self._on_pause(self._why(), wait)
                self._clock.sleep(wait)
            return None
        finally:
            with self._changed:
                self._queue.popleft()
                self._changed.notify_all()

    def answered(self, slot: Slot) -> None:
        """Note that the request in a slot has its answer, so that Microsoft has counted it by now."""
        with self._changed:
            slot.latest = min(slot.latest, self._clock.now())

    def hold(self, seconds: float) -> None:
        """Let nothing through for so many seconds: Microsoft said so."""
        with self._changed:
            self._closed_until = max(self._closed_until, self._clock.now() + seconds)

    def _wait(self) -> float:
        """Return the seconds until a slot is free, 0 when one is."""
        with self._changed:
            full = len(self._slots) == self._slots.maxlen
            free_at = max(self._closed_until, self._slots[0].latest + WINDOW if full else float("-inf"))
            return max(0.0, free_at - self._clock.now())

    def _why(self) -> str:
        """Say why nothing goes through: Microsoft said so, or the minute's requests are used up."""
        with self._changed:
            asked = self._closed_until > self._clock.now()
        limit = counted(self._per_minute, "request", "requests")
        return ASKED_TO_WAIT if asked else f"The limit of {limit} a minute is used up"

    def _new_slot(self) -> Slot:
        slot = Slot(self._clock.now() + ON_THE_WAY)
        with self._changed:
            self._slots.append(slot)
        return slot


class RateLimiters:
    """One rate limiter for each calling principal: destinations that share a limit share it, and take turns.

    ``until`` is when, by the clock, nothing is sent any more; ``waiting`` is told what is waited for.
    """

    def __init__(self, clock: Clock, until: float = float("inf"), waiting: Waiting = tell_nobody) -> None:
        self.clock = clock
        self.until = until
        self.waiting = waiting
        self._limiters: dict[tuple[str, ...], RateLimiter] = {}
        self._sharing: Counter[tuple[str, ...]] = Counter()

    def announce(self, principal: tuple[str, ...]) -> None:
        """Note that a destination will ask for this principal's rate limiter."""
        self._sharing[principal] += 1

    def sharing(self, principal: tuple[str, ...]) -> int:
        """Return how many destinations share a principal's rate limiter."""
        return max(1, self._sharing[principal])

    def limiter_for(self, principal: tuple[str, ...], per_minute: int, on_pause: Waiting) -> RateLimiter:
        """Return the rate limiter of a principal."""
        return self._limiters.setdefault(principal, RateLimiter(per_minute, self.clock, on_pause))
