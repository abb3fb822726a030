"""At most so many requests in any 60 seconds, and nothing in the way of that many.

Microsoft counts 100 requests a minute for each calling principal. The libraries for this (limits,
pyrate-limiter) wait by a clock of their own; here the clock comes in, so that tests need not wait.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

WINDOW = 60.0
# Requests may reach Microsoft closer together than they left here.
MARGIN = 0.5


@dataclass(frozen=True)
class Clock:
    """Where time comes from: ``now`` in seconds that only grow, and ``sleep``."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Pacer:
    """Lets requests through; many threads may ask, they share the limit."""

    def __init__(self, per_minute: int, clock: Clock, on_pause: Callable[[float], None]) -> None:
        self._starts: deque[float] = deque(maxlen=per_minute)
        self._clock = clock
        self._on_pause = on_pause
        self._held_until = 0.0
        self._lock = threading.Lock()
        self.taken = 0

    def take(self) -> int:
        """Wait for a place in the window; return the number of the request, from 1."""
        while True:
            with self._lock:
                now = self._clock.now()
                wait = self._free_at() - now
                if wait <= 0:
                    self._starts.append(now)
                    self.taken += 1
                    return self.taken
            self._on_pause(wait)
            self._clock.sleep(wait)

    def hold(self, seconds: float) -> None:
        """Let nothing through for so many seconds: Microsoft said so."""
        with self._lock:
            self._held_until = max(self._held_until, self._clock.now() + seconds)

    def _free_at(self) -> float:
        full = len(self._starts) == self._starts.maxlen
        return max(self._held_until, self._starts[0] + WINDOW + MARGIN if full else float("-inf"))
