"""What an answer may take, in time and size, and what keeps its time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """The longest silence, what all of an answer may take from its first byte on, and its size when it is decoded.

    ``request_seconds`` is what the whole request may take, from its beginning; all times are in seconds.
    """

    silence_seconds: float
    answer_seconds: float
    most_bytes: int
    request_seconds: float = math.inf


class Allowance:
    """The time of one request and its answers, by ``now`` in seconds; ``used_up`` says that it ended one of them."""

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        self.limits, self.now = limits, now
        self.ends = now() + limits.request_seconds
        self.used_up = False


class AnswerTime:
    """The time of one answer; it begins with the first byte, since how long that takes is the longest silence."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._ends = allowance.ends

    def seconds_to_wait(self) -> float:
        """Return how many seconds the next bytes may take. Raises TimeoutError when no time is left."""
        left = self._ends - self._allowance.now()
        if left <= 0:
            self._allowance.used_up = True
            raise TimeoutError("the answer's time is used up")
        return min(self._allowance.limits.silence_seconds, left)

    def heard(self) -> None:
        """Note that bytes have come."""
        if self._ends == self._allowance.ends:
            self._ends = min(self._ends, self._allowance.now() + self._allowance.limits.answer_seconds)


# The request that this thread sends.
_allowance: ContextVar[Allowance] = ContextVar("allowance")


@contextmanager
def timed_by(allowance: Allowance) -> Iterator[None]:
    """Let an allowance count for the answers that this thread reads."""
    token = _allowance.set(allowance)
    try:
        yield
    finally:
        _allowance.reset(token)


def answer_time() -> AnswerTime:
    """Return the time of an answer that this thread begins to read."""
    return AnswerTime(_allowance.get())
