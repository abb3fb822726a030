"""At most so many requests in any 60 seconds, and nothing in the way of that many.

Microsoft counts 100 requests a minute for each calling principal. The libraries for this (limits,
pyrate-limiter) wait by a clock of their own; here the clock comes in, so that tests need not wait.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

WINDOW = 60.0
# When a request has reached Microsoft is known to be before its answer; one that takes longer is counted from here.
ON_THE_WAY = 2.0


@dataclass(frozen=True)
class Clock:
    """Where time comes from: ``now`` in seconds that only grow, and ``sleep``."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass
class Slot:
    """A request's place in the window; ``latest`` is when, by the clock, it has reached Microsoft at the latest."""

    latest: float


class RateLimiter:
    """Lets requests through, in the order in which they came; many threads may ask, they share the limit."""

    def __init__(self, per_minute: int, clock: Clock, on_pause: Callable[[float], None]) -> None:
        self._places: deque[Slot] = deque(maxlen=per_minute)
        self._clock = clock
        self._on_pause = on_pause
        self._held_until = 0.0
        self._line: deque[object] = deque()
        self._moved = threading.Condition()

    def take(self, until: float = float("inf")) -> Slot | None:
        """Wait for a place in the window; None when there is none before the clock shows ``until``."""
        ticket = object()
        with self._moved:
            self._line.append(ticket)
            self._moved.notify_all()
            self._moved.wait_for(lambda: self._line[0] is ticket)
        try:
            while self._clock.now() + (wait := self._wait()) <= until:
                if wait <= 0:
                    return self._placed()
                self._on_pause(wait)
                self._clock.sleep(wait)
            return None
        finally:
            with self._moved:
                self._line.popleft()
                self._moved.notify_all()

    def answered(self, place: Slot) -> None:
        """Learn that the request in a place has its answer, so that Microsoft has counted it by now."""
        with self._moved:
            place.latest = min(place.latest, self._clock.now())

    def hold(self, seconds: float) -> None:
        """Let nothing through for so many seconds: Microsoft said so."""
        with self._moved:
            self._held_until = max(self._held_until, self._clock.now() + seconds)

    def _wait(self) -> float:
        """Return the seconds until a place is free, 0 when one is."""
        with self._moved:
            full = len(self._places) == self._places.maxlen
            free_at = max(self._held_until, self._places[0].latest + WINDOW if full else float("-inf"))
            return max(0.0, free_at - self._clock.now())

    def _placed(self) -> Slot:
        place = Slot(self._clock.now() + ON_THE_WAY)
        with self._moved:
            self._places.append(place)
        return place


class RateLimiters:
    """One rate_limiter for each calling principal: what shares a limit shares the rate_limiter, and takes turns.

    ``until`` is when, by the clock, nothing is sent any more.
    """

    def __init__(self, clock: Clock, until: float = float("inf")) -> None:
        self.clock = clock
        self.until = until
        self._limiters: dict[tuple[str, ...], RateLimiter] = {}
        self._sharing: Counter[tuple[str, ...]] = Counter()

    def announce(self, principal: tuple[str, ...]) -> None:
        """Say that a destination will ask for this principal's rate_limiter."""
        self._sharing[principal] += 1

    def sharing(self, principal: tuple[str, ...]) -> int:
        """Return how many destinations share a principal's rate_limiter."""
        return max(1, self._sharing[principal])

    def of(self, principal: tuple[str, ...], per_minute: int, on_pause: Callable[[float], None]) -> RateLimiter:
        """Return the rate_limiter of a principal."""
        return self._limiters.setdefault(principal, RateLimiter(per_minute, self.clock, on_pause))
