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
from math import ceil, inf

from helpers.process import interrupts
from helpers.text import counted

WINDOW = 60.0
# When a request has reached Microsoft is known to be before its answer; one that takes longer is counted from here.
ON_THE_WAY = 2.0
# How often, in seconds, a destination that had its share looks at the clock while others may take theirs.
LOOK_AGAIN = 1.0
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


class Share:
    """What one destination has of a limit; where several have something to send, none takes more than the others may.

    Without that, those whose objects are planned first would use a minute up before the last ones begin.
    """

    def __init__(self, limiter: RateLimiter) -> None:
        self._limiter = limiter
        self.taken: deque[Slot] = deque(maxlen=limiter.per_minute)

    def wants(self, *, more: bool, over: bool = False) -> None:
        """Note whether there is something to send: who has nothing leaves its part to the others.

        It does so at once when it is ``over``, else a minute later: what is read next may be for it again.
        """
        self._limiter.wants(self, more=more, over=over)

    def take(self, until: float = float("inf")) -> Slot | None:
        """Wait for a slot in the window; None when none is free before the clock shows ``until``."""
        return self._limiter.take(until, self)

    def free_at(self, most: int) -> float:
        """Return when this destination has less than so many slots in the window."""
        return self.taken[-most].latest + WINDOW if len(self.taken) >= most else float("-inf")


class RateLimiter:
    """Lets requests through, in the order in which they came, within the shares of who asks; many threads may ask."""

    def __init__(self, per_minute: int, clock: Clock, on_pause: Waiting) -> None:
        self.per_minute = per_minute
        self._slots: deque[Slot] = deque(maxlen=per_minute)
        self._clock = clock
        self._on_pause = on_pause
        self._closed_until = 0.0
        self._queue: deque[_Ticket] = deque()
        self._wanting: dict[Share, float] = {}  # until when each counts
        self._changed = threading.Condition()

    def take(self, until: float = float("inf"), share: Share | None = None) -> Slot | None:
        """Wait for a slot in the window; None when none is free before the clock shows ``until``."""
        ticket = _Ticket(share or Share(self))
        with self._changed:
            self._queue.append(ticket)
            self._changed.notify_all()
        try:
            while not (slot := self._slot_for(ticket)):
                wait = self._free_for_all_at() - self._clock.now()
                if self._clock.now() + max(0.0, wait) > until:
                    return None
                self._tell(ticket)
                self._pause(wait)
            return slot
        finally:
            with self._changed:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def answered(self, slot: Slot) -> None:
        """Note that the request in a slot has its answer, so that Microsoft has counted it by now."""
        with self._changed:
            slot.latest = min(slot.latest, self._clock.now())
            self._changed.notify_all()

    def hold(self, seconds: float) -> None:
        """Let nothing through for so many seconds: Microsoft said so."""
        with self._changed:
            self._closed_until = max(self._closed_until, self._clock.now() + seconds)
            self._changed.notify_all()

    def wants(self, share: Share, *, more: bool, over: bool) -> None:
        """Note whether a destination has something to send; ``Share.wants`` says until when it counts."""
        with self._changed:
            before = self._wanting.get(share)
            if over and not more:
                self._wanting.pop(share, None)
            elif more or before == inf:
                self._wanting[share] = inf if more else self._clock.now() + WINDOW
            if self._wanting.get(share) != before:
                self._changed.notify_all()

    def _slot_for(self, ticket: _Ticket) -> Slot | None:
        """Return a new slot when it is a ticket's turn; None when none is free by then.

        Time too changes whose turn it is: of those whose shares are free again, the first in the queue goes first.
        """
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: min(self._queue, key=self._free_at) is ticket)
            if self._free_at(ticket) > self._clock.now():
                return None
            slot = Slot(self._clock.now() + ON_THE_WAY)
            self._slots.append(slot)
            ticket.share.taken.append(slot)
            return slot

    def _pause(self, wait: float) -> None:
        """Wait so many seconds; where slots are free already, until others have what is theirs, or leave it."""
        if wait > 0:
            self._clock.sleep(wait)
            return
        with self._changed:
            self._changed.wait(LOOK_AGAIN)
        interrupts.end_if_stopped()

    def _tell(self, ticket: _Ticket) -> None:
        """Say once that somebody waits, and why."""
        with self._changed:
            free_at = self._free_at(ticket)
        if free_at > ticket.told_until:
            ticket.told_until = free_at
            self._on_pause(self._why(), free_at - self._clock.now())

    def _free_at(self, ticket: _Ticket) -> float:
        """Return when a slot is free for a ticket: not before now, so that the first one of those goes first."""
        now = self._clock.now()
        others = sum(until > now for share, until in self._wanting.items() if share is not ticket.share)
        return max(self._free_for_all_at(), ticket.share.free_at(ceil(self.per_minute / (1 + others))), now)

    def _free_for_all_at(self) -> float:
        """Return when the window has a free slot, whoever takes it."""
        with self._changed:
            full = len(self._slots) == self._slots.maxlen
            return max(self._closed_until, self._slots[0].latest + WINDOW if full else float("-inf"))

    def _why(self) -> str:
        """Say why nothing goes through: Microsoft said so, or the minute's requests are used up."""
        with self._changed:
            asked = self._closed_until > self._clock.now()
        limit = counted(self.per_minute, "request", "requests")
        return ASKED_TO_WAIT if asked else f"The limit of {limit} a minute is used up"


@dataclass(eq=False)
class _Ticket:
    """The place of somebody in the queue; ``told_until`` is the end of the pause that was told."""

    share: Share
    told_until: float = float("-inf")


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
