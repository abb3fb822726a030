"""Watches over a run, and tells those outside when it begins and how it ended, whatever ended it."""

from __future__ import annotations

import logging
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from constants import VERSION
from helpers.commands.monitoring.answer import answer_of
from helpers.commands.monitoring.moments import Watch
from helpers.commands.monitoring.told import delivery, messages
from helpers.commands.monitoring.told.ending import RunEnding, ending_of, ending_of_failure, endings_of
from helpers.commands.monitoring.told.pings import pings_of_end, pings_of_start
from helpers.commands.monitoring.told.words import Sender
from helpers.commands.screen import Line, Screen, Tone
from helpers.errors import Declined, ExitCode, LedgerError, NoLedger, RunActive, SettingsError, SyncError
from helpers.process import WHOLE, Part, interrupts, is_kept
from helpers.settings import Settings

if TYPE_CHECKING:
    from helpers.sync import Report

logger = logging.getLogger(__name__)

Warn = Callable[[str], None]
_NOT_TOLD = "{} was not told: {}. The run is not affected (docs/monitor.md)."


def warn_loudly(words: str) -> None:
    """Warn in the log and on stderr."""
    if is_kept():
        logger.warning("%s", words)
    Screen(sys.stderr).show(Line(words, Tone.ODD, mark="warning:"))


class Telling:
    """What is told of one run, by the settings; ``names`` are those of the destinations that it is for.

    ``silent`` is one that is nobody's business.
    """

    def __init__(self, settings: Settings, names: Sequence[str], warn: Warn, *, silent: bool) -> None:
        self._settings, self._warn, self._silent = settings, warn, silent
        self._names = names
        self._started: list[delivery.Delivery] = []
        self._report: Report | None = None

    def begun(self, names: Sequence[str]) -> None:
        """Tell that the run has begun at these destinations; the run does not wait for it."""
        pings = [] if self._silent else pings_of_start(self._settings.on_start, names)
        self._started = [delivery.ping(self._settings, ping) for ping in pings]

    def ended(self, report: Report) -> None:
        """Take note of how the run ended."""
        self._report = report

    def tell(self, error: BaseException | None = None) -> None:
        """Tell how the run ended, by its report or by what was raised, and wait for that in a bounded time."""
        ended = self._ending(error)
        if self._silent or ended is None:
            return
        with interrupts.put_off(delivery.LONGEST + 1):
            self._deliver(ended)

    def _ending(self, error: BaseException | None) -> RunEnding | None:
        if self._report:
            return ending_of(self._report, self._names[0])
        return ending_of_failure(self._names, exit_code_of(error), str(error)) if error else None

    def _deliver(self, ended: RunEnding) -> None:
        until = time.monotonic() + delivery.LONGEST
        settings = self._settings
        pings = pings_of_end(settings.on_success, settings.on_failure, ended, sender_of(settings))
        last = [delivery.ping(settings, ping, self._started) for ping in pings]
        last += messages.tell(settings, ended.told, sender_of(settings))
        warn_of([*self._started, *last], until, self._warn)


@contextmanager
def telling(
    settings: Settings, workspace: str = "", part: Part = WHOLE, *, uuid: str | None = None, warn: Warn = warn_loudly
) -> Iterator[Telling]:
    """Watch over what is inside, a run or what comes before it, and tell how it ended; an error goes on.

    The run is for all destinations of a ``part``, or for the one named ``workspace``.

    A dry run and one of a single event, ``uuid``, are nobody's business; nor is one that another run keeps from
    beginning, or that somebody at a terminal did not want.
    """
    watched = Telling(settings, _names(settings, workspace, part), warn, silent=settings.dry_run or bool(uuid))
    try:
        messages.require(settings)
        yield watched
    except (RunActive, Declined):
        raise
    except BaseException as error:
        watched.tell(error)
        raise
    watched.tell()


def tell_standing(settings: Settings, watch: Watch, max_age_hours: float | None, warn: Warn = warn_loudly) -> None:
    """Send messages about how it stands, where that is new.

    Raises SettingsError where nobody is named, and NoLedger.
    """
    if not settings.notify:
        raise SettingsError(["notify names nobody whom --notify could tell: write addresses there (docs/monitor.md)."])
    messages.require(settings)
    try:
        parts = endings_of(answer_of(settings, watch, max_age_hours=max_age_hours, runs=0), watch)
    except NoLedger:
        raise
    except LedgerError as error:
        parts = list(ending_of_failure(_names(settings), error.exit_code, str(error)).parts)
    until = time.monotonic() + delivery.LONGEST
    with interrupts.put_off(delivery.LONGEST + 1):
        warn_of(messages.tell(settings, parts, sender_of(settings)), until, warn)


def warn_of(deliveries: Sequence[delivery.Delivery], until: float, warn: Warn) -> None:
    """Wait until a moment of the monotonic clock, and warn of what was not delivered."""
    for told, trouble in delivery.troubles(deliveries, until):
        if trouble:
            warn(_NOT_TOLD.format(told.setting, trouble.rstrip(".")))


def exit_code_of(error: BaseException | None) -> int:
    """Return what a process ends with where this was raised."""
    if isinstance(error, SyncError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.STOPPED
    return ExitCode.SETTINGS if isinstance(error, ModuleNotFoundError) else ExitCode.OWN_FAULT


def sender_of(settings: Settings) -> Sender:
    """Return who tells it, here."""
    return Sender(VERSION, platform.node(), str(settings.log_path) if is_kept() else "")


def _names(settings: Settings, workspace: str = "", part: Part = WHOLE) -> list[str]:
    """Return the names of the destinations that a run is for; one that the settings do not know is what it is."""
    try:
        return [destination.name for destination in settings.destinations(workspace, part)]
    except SettingsError:
        return [workspace]
