"""One run: MISP events in, indicators to every destination, a report out."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace

import constants
from constants import LOG_NO_VALID_UNTIL, LOG_RECEIVED, VERSION, Skip
from helpers.errors import ExitCode, MispError, RunActive, SettingsError
from helpers.files import permission_hint
from helpers.indicators import ConversionResult
from helpers.ledger import Database, Ledger, lost
from helpers.log import DestinationLogger
from helpers.microsoft import Clock, RateLimiters, api_of
from helpers.misp import MispReader
from helpers.settings import Settings
from helpers.sync.delivery import Delivery
from helpers.sync.destination import DestinationSync, Options
from helpers.sync.fan_out import SharedReading
from helpers.sync.report import Report

logger = logging.getLogger(__name__)

_ADOPT = (
    "adopt, which needs three more names in ms_auth (docs/ledger.md#when-sentinel-holds-objects-already-adopt): then "
    "nothing is sent twice and nothing stays behind."
)
# How much of max_run_minutes is for reading; the rest is for sending what was read, so that each run gets on.
READING = 5 / 6
ADOPT_FIRST = (
    "The ledger holds nothing for this destination yet. If Sentinel holds indicators of this sourcesystem already, "
    f"let them be taken over before the first run, with {_ADOPT}"
)
ADOPT_NEXT = (
    "The ledger was empty before this run. If Sentinel held indicators of this sourcesystem already, move the ledger "
    f"away and take them over before the next run, with {_ADOPT}"
)
_SITES_CONSTANTS = (
    "UPLOAD_INDICATOR_API_ACCEPTED_TYPES",
    "UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES",
    "MISP_TAGS_IGNORE",
    "MISP_ALLOWED_TAXONOMIES",
    "MISP_CONFIDENCE",
    "SENTINEL_DEFAULT_TLP",
    "SENTINEL_DEFAULT_THREATTYPE",
    "ATTR_MAPPING",
)


@dataclass(frozen=True)
class Progress:
    """What draws how far a run is, where somebody looks.

    ``advance`` takes the events done and listed, ``waiting`` what is waited for, and "" when that is over.
    """

    advance: Callable[[int, int], None] = lambda _done, _listed: None
    waiting: Callable[[str], None] = lambda _words: None


@dataclass(frozen=True)
class DestinationRun:
    """One destination's part in a run."""

    settings: Settings
    ledger: Ledger
    report: Report
    delivery: Delivery
    sync: DestinationSync
    first: bool


def run(
    settings: Settings,
    options: Options | None = None,
    *,
    workspace: str = "",
    progress: Progress | None = None,
    line: Callable[[str], None] | None = None,
    clock: Clock | None = None,
    now: Callable[[], float] = time.time,
) -> Report:
    """Bring every destination, or the one named ``workspace``, in step with MISP and report.

    ``progress`` shows how far the run is, ``line`` is told each line of a dry run's plan; ``clock`` is
    what waiting goes by, ``now`` gives the run's time in seconds since 1970.
    Raises RunActive when another run is active, SettingsError when state_dir or the ledger cannot be used or
    there is no such destination; what happens at MISP or Microsoft is in the report.
    """
    places = settings.destinations(workspace)
    with ExitStack() as stack:
        database = stack.enter_context(database_of(settings))
        run_ = _Run(settings, options or Options(), database, clock or Clock(), int(now()), line)
        for place in places:
            run_.rate_limiters.announce(api_of(place).principal)
        for place in places:
            run_.add(place, stack, alone=len(places) == 1)
        return run_.carry_out(progress or Progress())


def _advice(destination: DestinationRun) -> str:
    """Recommend to adopt, in a first run that could read MISP, after what the run itself had to say."""
    report = destination.report
    adoptable = destination.settings.remembers and not destination.settings.graph
    if not (destination.first and adoptable) or report.misp_error or report.failure:
        return report.advice
    adopt = ADOPT_FIRST if report.dry_run else ADOPT_NEXT
    DestinationLogger(logger, report.name).info(adopt)
    return f"{report.advice} {adopt}".strip()


@contextmanager
def database_of(settings: Settings) -> Iterator[Database]:
    """Open the ledger's database. Raises LedgerError, also when it goes away in the middle."""
    url = settings.ledger_url
    with closing(Database(url, dry=settings.dry_run)) as database, lost(url):
        yield database


@contextmanager
def opened(settings: Settings) -> Iterator[Ledger]:
    """Open the ledger of the settings' destination. Raises LedgerError."""
    with database_of(settings) as database:
        yield Ledger(database, settings.workspace_key, settings.sourcesystem)


def make_state_dir(settings: Settings) -> None:
    """Create the state directory for its owner alone. Raises SettingsError when that cannot be done."""
    try:
        settings.state_path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _unusable(settings, error) from error


def _unusable(settings: Settings, error: OSError) -> SettingsError:
    where = settings.source_of("state_dir")
    advice = permission_hint(error) or "Name a directory that this user may write."
    return SettingsError([f"state_dir ({where}) cannot be used: {error}. {advice}"])


class _Run:
    """Puts the rooms together for one run."""

    def __init__(
        self,
        settings: Settings,
        options: Options,
        database: Database,
        clock: Clock,
        now: int,
        line: Callable[[str], None] | None,
    ) -> None:
        self._settings = settings
        self._options = options
        self._database = database
        self._clock = clock
        seconds = 60 * settings.max_run_minutes or float("inf")
        self._read_until = clock.now() + READING * seconds
        self.rate_limiters = RateLimiters(clock, clock.now() + seconds)
        self._now = now
        self._line = line
        self._started = time.monotonic()
        self._shape = shape(settings)
        self._destinations: list[DestinationRun] = []
        self._out: list[Report] = []

    def add(self, settings: Settings, stack: ExitStack, *, alone: bool) -> None:
        """Take a destination into the run, which holds it; of several, one that another run holds drops out."""
        ledger = Ledger(self._database, settings.workspace_key, settings.sourcesystem)
        line = self._named(settings.name, alone)
        report = Report("" if alone else settings.name, settings.dry_run, remembers=settings.remembers, line=line)
        try:
            stack.enter_context(ledger.hold_lock(settings.state_path))
        except RunActive as error:
            if alone:
                raise
            report.fail(error)
            self._out.append(report)
            return
        first = ledger.empty
        delivery = Delivery(settings, ledger, report, self.rate_limiters, self._now)
        sync = DestinationSync(
            settings,
            self._options,
            ledger,
            report,
            delivery.submit,
            lambda part: _tell(report, part),
            shape(settings),
            self._now,
        )
        self._destinations.append(DestinationRun(settings, ledger, report, delivery, sync, first))

    def carry_out(self, progress: Progress) -> Report:
        """Read, plan, upload, and move what the next run goes by when everything has its answer."""
        done = 0

        def advanced(events: int, every: int) -> None:
            nonlocal done
            done = events
            progress.advance(events, every)

        if self._destinations:
            self._read(replace(progress, advance=advanced))
        reports = [destination.report for destination in self._destinations] + self._out
        total = reports[0] if len(reports) == 1 else Report.of(reports, done)
        total.seconds = time.monotonic() - self._started
        return total

    def _read(self, progress: Progress) -> None:
        reader = MispReader(self._settings, self._clock.sleep, self._left, progress.waiting)
        for destination in self._destinations:
            destination.report.detours = reader.detours
        reading = SharedReading(
            self._settings,
            self._options,
            reader,
            [destination.sync for destination in self._destinations],
            progress.advance,
            self._shape,
            self._now,
        )
        started = False
        try:
            reading.run()
            started = True
        except MispError as error:
            for destination in self._destinations:
                destination.report.misp_error = str(error)
        except KeyboardInterrupt:
            self._abandon()
            raise
        finally:
            for destination in self._uploaded():
                self._finish(destination, started)
        logger.info(LOG_RECEIVED.format(sum(destination.report.indicators for destination in self._destinations)))

    def _left(self) -> float:
        """Return how many seconds there are for reading."""
        return self._read_until - self._clock.now()

    def _uploaded(self) -> Iterator[DestinationRun]:
        """Yield each destination when Microsoft has answered for everything; a slow one is not waited for."""
        for destination in self._destinations:
            destination.delivery.complete()
        with ThreadPoolExecutor(len(self._destinations)) as pool:
            try:
                waiting = {pool.submit(destination.delivery.finish): destination for destination in self._destinations}
                for future in as_completed(waiting):
                    future.result()
                    yield waiting[future]
            except KeyboardInterrupt:
                self._abandon()
                raise

    def _abandon(self) -> None:
        for destination in self._destinations:
            destination.delivery.abandon()

    def _finish(self, destination: DestinationRun, started: bool) -> None:
        """Move what a destination's next run goes by, and remember how its run went."""
        report = destination.report
        if report.misp_error:
            DestinationLogger(logger, report.name).error("MISP failed: %s", report.misp_error)
        destination.sync.finished(complete=started and not (report.stopped or report.failure))
        report.advice = _advice(destination)
        self._remember(destination)

    def _remember(self, destination: DestinationRun) -> None:
        destination.report.seconds = time.monotonic() - self._started
        destination.ledger.save_facts(last_run={**destination.report.outline(), "at": self._now})
        if destination.report.exit_code == ExitCode.DONE and not self._options.uuid:
            destination.ledger.save_facts(last_good=self._now)

    def _named(self, name: str, alone: bool) -> Callable[[str], None] | None:
        """Return what prints a line of the plan, with its destination where there are several."""
        line = self._line
        if line is None or alone:
            return line
        return lambda text: line(f"{name}: {text}")


def _tell(report: Report, part: ConversionResult) -> None:
    report.attributes += part.attributes
    report.unchanged += part.unchanged
    report.add_unasked(part.unasked)
    report.add_skips(part.skipped, part.left_out)
    log = DestinationLogger(logger, report.name)
    for skip in part.skipped:
        log.debug("Skipped: %s", skip)
        if skip.reason is Skip.NO_VALID_UNTIL:
            log.warning(LOG_NO_VALID_UNTIL.format(skip))


def shape(settings: Settings) -> str:
    """Print everything besides MISP that shapes the result: when it changes, all is read again."""
    names = (
        "misp_event_filters",
        "misp_domain",
        "misp_flatten_attributes",
        "misp_remove_eventreports",
        "default_confidence",
        "days_to_expire",
        "days_to_expire_start",
        "days_to_expire_mapping",
        "days_to_expire_ignore_misp_last_seen",
        "ignore_localtags",
        "send_private_and_cidr",
        "filters",
        "deduplicate",
        "network_ignore_direction",
        "ms_target_product",
        "ms_action",
        "ms_passiveonly",
    )
    values = [getattr(settings, name) for name in names] + [settings.own_filters]
    values += [settings.upload_api, settings.api_version, VERSION]
    values += [getattr(constants, name) for name in _SITES_CONSTANTS]
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
