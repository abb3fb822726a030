"""Runs that need the same thing take turns: the later one waits until the other has ended, but not for ever."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

from helpers.errors import RunActive

logger = logging.getLogger(__name__)

# MISP's workflow module kills the run of an event after 300 seconds: this leaves most of them to the run itself.
EVENT_SECONDS = 120.0
# A whole run waits for as long as such a run of an event may take.
RUN_SECONDS = 300.0
# How long it is until a run looks again whether it is its turn, in seconds.
BETWEEN = 1.0
WAITING = "another run is active: waiting for its end"
_IN_VAIN = "{} It waited {:.0f} seconds for its turn. The next run without --uuid sends what is missing."


@dataclass
class Turn:
    """The turn of one run, for which it waits so many ``seconds`` in all; 0: not at all.

    ``now`` and ``sleep`` are what waiting goes by, ``waiting`` is told what is waited for and how long, in seconds: 0
    when that is over. ``sleep`` raises Stopped on a signal.
    """

    seconds: float
    now: Callable[[], float]
    sleep: Callable[[float], None]
    waiting: Callable[[str, float], None]
    _until: float | None = field(default=None, init=False)

    @contextmanager
    def hold(self, lock: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
        """Hold a lock as soon as no other run does. Raises RunActive where that takes too long."""
        with ExitStack() as held:
            self._take(lock, held)
            yield

    def _take(self, lock: Callable[[], AbstractContextManager[None]], held: ExitStack) -> None:
        waited = False
        try:
            while True:
                try:
                    held.enter_context(lock())
                except RunActive as error:
                    self._wait(error)
                    waited = True
                else:
                    return
        finally:
            if waited:
                self.waiting(WAITING, 0)

    def _wait(self, error: RunActive) -> None:
        if not self.seconds:
            raise error
        if self._until is None:
            self._until = self.now() + self.seconds
            logger.info("Another run is active: this one waits for its end, %.0f seconds at most", self.seconds)
        left = self._until - self.now()
        if left <= 0:
            raise RunActive(_IN_VAIN.format(error, self.seconds))
        self.waiting(WAITING, left)
        self.sleep(min(BETWEEN, left))
