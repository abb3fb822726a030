"""How those outside are reached: all at once, in a time that all share, and nothing of it outlives the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from helpers.commands.monitoring.told.pings import Ping
from helpers.http import MIB, AnswerTooSlow, Limits, PinnedHttpAdapter, certificate_words, innermost_cause, session
from helpers.process import redact
from helpers.settings import Settings
from helpers.text import excerpt

# What all that is told at a run may cost it, in seconds.
LONGEST = 10.0
# One receiver has a little less, so that what it says in the end is heard.
LIMITS = Limits(silence_seconds=9, answer_seconds=9, most_bytes=MIB, request_seconds=9)
_LATE = f"it did not answer in {LONGEST:g} seconds"
# Of what a receiver says so many characters are shown.
MOST_WORDS = 200
_TEXT = {"Content-Type": "text/plain; charset=utf-8"}
# Healthchecks answers so, with 200, where a ping did not count: "OK (not found)", "OK (rate limited)".
_NOT_TAKEN = "OK ("


@dataclass
class Delivery:
    """One thing that is told, from now on; ``setting`` names who is told, ``tell`` returns what went wrong.

    So many characters of that are shown, ``longest``.
    """

    setting: str
    tell: Callable[[], str]
    longest: int = MOST_WORDS

    def __post_init__(self) -> None:
        self._trouble = _LATE
        # A daemon: the process does not wait for it when it ends.
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._trouble = self.tell()
        except Exception as error:  # whatever a receiver's library raises, it costs the run a warning
            self._trouble = f"{type(error).__name__}: {error}"

    def trouble(self, until: float = 0.0) -> str:
        """Return what went wrong, empty where nothing did; wait ``until`` a moment of the monotonic clock."""
        self._thread.join(max(0.0, until - time.monotonic()))
        return excerpt(redact(self._trouble), self.longest)


def troubles(deliveries: Sequence[Delivery], until: float) -> list[tuple[Delivery, str]]:
    """Return each delivery with what went wrong, when all have ended or the time is up."""
    return [(delivery, delivery.trouble(until)) for delivery in deliveries]


def ping(settings: Settings, what: Ping, after: Sequence[Delivery] = ()) -> Delivery:
    """Begin to ping, when those ``after`` which it comes have ended, since a check goes by the last one."""
    until = time.monotonic() + LONGEST

    def tell() -> str:
        for earlier in after:
            earlier.trouble(until)
        return _post(settings, what)

    return Delivery(what.setting, tell)


def _post(settings: Settings, what: Ping) -> str:
    """Ping, the way that requests to Microsoft go; return what went wrong."""
    adapter = PinnedHttpAdapter(settings.ms_verifycert, settings.ms_proxies or None, LIMITS)
    try:
        with session(adapter, settings.ms_useragent) as http:
            answer = http.post(what.address, data=what.body.encode(), headers=_TEXT, allow_redirects=False)
    except AnswerTooSlow:
        return _LATE
    except OSError as error:  # all of requests' errors are such
        return certificate_words(error, "ms_verifycert", what.setting) or innermost_cause(error)
    if not answer.ok:
        return f"it answered {answer.status_code}"
    return answer.text if answer.text.startswith(_NOT_TAKEN) else ""
