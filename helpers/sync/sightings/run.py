"""The way back, at every destination: alerts are read, then what they matched is written into MISP."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from helpers.errors import LedgerError, MicrosoftError, MispError, RunActive, SettingsError, TimeUp
from helpers.ledger import UNWRITTEN, Database, Ledger, SightingLedger, SightingStage
from helpers.microsoft import Clock, LogsApi
from helpers.misp import SightingWriter
from helpers.process import WHOLE, DestinationLogger, Part
from helpers.settings import Settings
from helpers.sync.run import database_of
from helpers.sync.sightings.deciding import shares
from helpers.sync.sightings.reading import AlertReading
from helpers.sync.sightings.report import SightingsReport
from helpers.sync.sightings.writing import NO_TIME, SightingWriting

logger = logging.getLogger(__name__)

# MISP takes 10 to 20 a second; what is above waits for the next run.
MOST_WRITTEN = 1000
_NO_KEY = "misp_sightings['api_key'] must be given: write the key of a MISP user who may add sightings."
_NO_LEDGER = (
    'state_url is "none", and which indicator came from which attribute, and what was sighted before, is in the ledger '
    "alone: keep one, or write no sightings."
)


@dataclass(frozen=True)
class SightingOptions:
    """What somebody asks for: how many seconds to look back (0: since the last time), and at which destinations.

    ``workspace`` names one of them, ``part`` is a part of all.
    """

    since: int = 0
    workspace: str = ""
    part: Part = WHOLE


@dataclass(frozen=True)
class SightingProgress:
    """What is told how far it is.

    ``reads`` takes the name of the destination whose alerts are read, ``written`` how many of a destination's sightings
    are dealt with, of how many, and ``waiting`` what is waited for, and the seconds that it takes.
    """

    reads: Callable[[str], None] = lambda _name: None
    written: Callable[[int, int], None] = lambda _done, _of: None
    waiting: Callable[[str, float], None] = lambda _words, _seconds: None


@dataclass(frozen=True)
class _Sightings:
    """What all destinations share; ``now`` is in seconds since 1970."""

    options: SightingOptions
    writer: SightingWriter
    clock: Clock
    now: int
    progress: SightingProgress
    seconds_left: Callable[[], float]
    started: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class _Held:
    """A destination whose sightings nobody else writes meanwhile."""

    settings: Settings
    ledger: Ledger
    report: SightingsReport


def run_sightings(
    settings: Settings,
    options: SightingOptions | None = None,
    *,
    line: Callable[[str], None] | None = None,
    clock: Clock | None = None,
    now: Callable[[], float] = time.time,
    seconds_left: Callable[[], float] = lambda: math.inf,
    progress: SightingProgress | None = None,
) -> SightingsReport:
    """Read the alerts of every destination that is asked for, and write what they match into MISP.

    ``line`` is told each sighting that a dry run would write; ``seconds_left`` is how long there is for asking, ``now``
    gives seconds since 1970. Raises SettingsError where there is no key or no ledger, LedgerError, and RunActive when
    somebody else writes the only destination's sightings. What happens at MISP or Microsoft is in the report.
    """
    options, clock, progress = options or SightingOptions(), clock or Clock(), progress or SightingProgress()
    if why := why_no_sightings(settings):
        raise SettingsError([why])
    chosen = settings.destinations(options.workspace, options.part)
    writer = SightingWriter(settings, clock.sleep, seconds_left, progress.waiting)
    these = _Sightings(options, writer, clock, int(now()), progress, seconds_left)
    reports = [_new_report(settings, chosen, destination, line) for destination in chosen]
    with ExitStack() as stack:
        database = stack.enter_context(database_of(settings))
        held = list(_hold(chosen, reports, database, stack))
        for each in held:
            _read(these, each)
        _write(these, held)
        for each in held:
            _remember(these, each)
    single = len(settings.destinations(options.workspace)) == 1
    total = reports[0] if single else SightingsReport.of(reports)
    total.dry_run, total.seconds = settings.dry_run, time.monotonic() - these.started
    return total


def why_no_sightings(settings: Settings) -> str:
    """Say why sightings cannot be written with these settings; "" where they can."""
    if not settings.keeps_ledger:
        return _NO_LEDGER
    return "" if settings.misp_sightings.configured else _NO_KEY


def _new_report(
    settings: Settings, chosen: Sequence[Settings], destination: Settings, line: Callable[[str], None] | None
) -> SightingsReport:
    """Return the report of a destination; its lines carry its name where there are several."""
    name = destination.name if len(settings.destinations()) > 1 or destination.name else ""
    if line and len(chosen) > 1:
        return SightingsReport(name, settings.dry_run, lambda text: line(f"{name}: {text}"))
    return SightingsReport(name, settings.dry_run, line)


def _hold(
    chosen: Sequence[Settings], reports: Sequence[SightingsReport], database: Database, stack: ExitStack
) -> Iterator[_Held]:
    """Yield the destinations whose sightings the stack holds for us. Raises RunActive where the only one is held."""
    for settings, report in zip(chosen, reports, strict=True):
        ledger = Ledger(database, settings.workspace_key, settings.sourcesystem)
        try:
            stack.enter_context(_lock(ledger, settings))
        except RunActive as error:
            if len(chosen) == 1:
                raise
            report.fail(error)
        else:
            yield _Held(settings, ledger, report)


@contextmanager
def _lock(ledger: Ledger, settings: Settings) -> Iterator[None]:
    """Hold a destination's sightings. Raises RunActive.

    A dry run holds it against runs as well: all of it is one transaction, for which they would wait in vain.
    """
    with ExitStack() as stack:
        if settings.dry_run:
            stack.enter_context(ledger.hold_lock(settings.state_path))
        stack.enter_context(ledger.database.hold_sightings(ledger.destination))
        yield


def _read(these: _Sightings, held: _Held) -> None:
    SightingLedger(held.ledger).forget(these.now)
    these.progress.reads(held.report.name)
    with _noted(held):
        api = LogsApi(held.settings, _ending(these.clock, these.seconds_left), waiting=these.progress.waiting)
        listed = these.writer.on_warninglists
        AlertReading(held.settings, held.ledger, api, listed, held.report, these.now).read(these.options.since)


def _write(these: _Sightings, held: Sequence[_Held]) -> None:
    """Write what waits at each destination; where MISP failed for one, it is left alone: it is the same for all."""
    waiting = [SightingLedger(each.ledger).stages() for each in held]
    parts = shares([sum(stages[stage] for stage in UNWRITTEN) for stages in waiting], MOST_WRITTEN)
    for each, most in zip(held, parts, strict=True):
        with _noted(each):
            if failed := next((other.report.misp_error for other in held if other.report.misp_error), ""):
                raise MispError(failed)
            told = these.progress.written
            SightingWriting(each.settings, each.ledger, these.writer, each.report, these.now, told).write(most)


def _ending(clock: Clock, seconds_left: Callable[[], float]) -> Clock:
    """Return a clock that waits for nothing that comes too late: its sleep raises TimeUp then."""

    def sleep(seconds: float) -> None:
        if seconds >= seconds_left():
            raise TimeUp("there was no time left to ask Microsoft again")
        clock.sleep(seconds)

    return Clock(clock.now, sleep)


@contextmanager
def _noted(held: _Held) -> Iterator[None]:
    """Note in the report what fails at MISP or Microsoft, or in the settings of one destination."""
    try:
        yield
    except LedgerError:
        raise
    except TimeUp:
        if NO_TIME not in held.report.warnings:
            held.report.warnings.append(NO_TIME)
    except (MicrosoftError, MispError, SettingsError) as error:
        DestinationLogger(logger, held.report.name).error("Sightings failed: %s", error)
        held.report.fail(error)


def _remember(these: _Sightings, held: _Held) -> None:
    """Count what waits, and write down how it went."""
    known, report = SightingLedger(held.ledger), held.report
    stages = known.stages()
    report.in_doubt = stages[SightingStage.WRITING]
    report.waiting = stages[SightingStage.WAITING] + report.in_doubt
    report.seconds = time.monotonic() - these.started
    known.keep_window(replace(known.window(), report={"at": these.now, **report.as_json()}))
