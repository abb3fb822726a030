"""One run: MISP events in, indicators to every destination, a report out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from constants import LOG_RECEIVED, VERSION
from helpers.errors import ExitCode, LedgerError, MispError, RunActive, SettingsError, SyncError
from helpers.files import OddFile, make_private_directory, permission_hint
from helpers.ledger import Database, Ledger, RunKind, RunRecord, forget_former_sources
from helpers.microsoft import (
    Clock,
    OutcomeState,
    RateLimiters,
    SharedTexts,
    TextOf,
    api_for,
    credential_ends,
    principal_of,
    text_of,
)
from helpers.misp import MispReader
from helpers.process import DestinationLogger, interrupts, safe_to_show, turns
from helpers.settings import Settings, cross_checks
from helpers.sync.destination import DestinationRun, RunOptions
from helpers.sync.report import Report, problems_of
from helpers.sync.sending.delivery import Delivery
from helpers.sync.shared_reading import SharedReading

logger = logging.getLogger(__name__)

_ADOPT = (
    "adopt, which needs three more names in ms_auth (docs/ledger.md#when-sentinel-holds-objects-already-adopt): then "
    "nothing is sent twice and nothing stays behind."
)
# How much of max_run_minutes is for reading; the rest is for sending what was read, so that each run gets on.
READING = 5 / 6
# What the row of a run has as its report has it.
_IN_ROWS = (
    *("events", "attributes", "accepted", "rejected", "pending", "not_taken", "unchanged", "skipped"),
    *("withdrawn", "withdrawals_rejected", "withdrawals_pending", "requests", "seconds"),
)
ADOPT_FIRST = (
    "The ledger holds nothing for this destination yet. If Sentinel holds indicators of this sourcesystem already, "
    f"let them be taken over before the first run, with {_ADOPT}"
)
ADOPT_NEXT = (
    "The ledger was empty before this run. If Sentinel held indicators of this sourcesystem already, move the ledger "
    f"away and take them over before the next run, with {_ADOPT}"
)


@dataclass(frozen=True)
class Progress:
    """What is told how far a run is; several threads tell it.

    ``events`` takes how many events were read, of how many; ``indicators`` how many more are to be sent, and how many
    more have Microsoft's answer, of all destinations; ``waiting`` what is waited for, and the seconds that it takes,
    or 0 when that is over. ``begun`` takes the names of the destinations that the run holds, as soon as it does;
    ``upgraded`` how many rows of an older ledger are brought up to date, of how many.
    """

    events: Callable[[int, int], None] = lambda _done, _listed: None
    indicators: Callable[[int, int], None] = lambda _planned, _answered: None
    waiting: Callable[[str, float], None] = lambda _words, _seconds: None
    begun: Callable[[Sequence[str]], None] = lambda _names: None
    upgraded: Callable[[int, int], None] = lambda _done, _rows: None


@dataclass(frozen=True)
class _Run:
    """What all destinations share in a run; ``read_until`` by the clock, ``now`` in seconds since 1970.

    ``texts`` gives the JSON of the objects that they send.
    """

    settings: Settings
    options: RunOptions
    clock: Clock
    now: int
    rate_limiters: RateLimiters
    read_until: float
    line: Callable[[str], None] | None
    progress: Progress
    texts: TextOf
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return time.monotonic() - self.started

    def seconds_left_to_read(self) -> float:
        """Return how many seconds there are for reading."""
        return self.read_until - self.clock.now()


def run(
    settings: Settings,
    options: RunOptions | None = None,
    *,
    workspace: str = "",
    progress: Progress | None = None,
    line: Callable[[str], None] | None = None,
    clock: Clock | None = None,
    now: Callable[[], float] = time.time,
) -> Report:
    """Bring every destination, those of a part, or the one named ``workspace``, in step with MISP and report.

    ``progress`` shows how far the run is, ``line`` is told each line of a dry run's plan; ``clock`` is
    what waiting goes by, ``now`` gives the run's time in seconds since 1970.
    Raises RunActive when another run is active and does not end in time, SettingsError when state_dir or the ledger
    cannot be used or there is no such destination; what happens at MISP or Microsoft is in the report.
    """
    options, clock, progress = options or RunOptions(), clock or Clock(), progress or Progress()
    chosen, single = settings.destinations(workspace, options.part), len(settings.destinations(workspace)) == 1
    seconds = 60 * settings.max_run_minutes or float("inf")
    with ExitStack() as stack:
        database = stack.enter_context(database_of(settings, progress))
        # Counted from here, since who stops a run from outside counts its waiting for another one too.
        until = clock.now() + seconds
        held, busy = _lock_destinations(chosen, database, stack, _turn_of(settings, options, clock, progress))
        rate_limiters = RateLimiters(clock, until, progress.waiting)
        for destination in chosen:
            rate_limiters.announce(principal_of(api_for(destination)))
        read_until = clock.now() + READING * (until - clock.now())
        texts = SharedTexts() if len(held) > 1 else text_of
        this_run = _Run(settings, options, clock, int(now()), rate_limiters, read_until, line, progress, texts)
        destinations = [_begin_destination(this_run, ledger, settings, single=single) for settings, ledger in held]
        if destinations:
            progress.begun([destination.settings.name for destination in destinations])
        events = _read_and_send(this_run, destinations) if destinations else 0
        if destinations:
            destinations[0].ledger.sweep()
            forget_former_sources(destinations[0].ledger, this_run.now)
    reports = [destination.report for destination in destinations]
    reports += [_busy_report(this_run, settings, error) for settings, error in busy]
    total = reports[0] if single else Report.of(reports, events)
    total.seconds = this_run.seconds
    return total


def _turn_of(settings: Settings, options: RunOptions, clock: Clock, progress: Progress) -> turns.Turn:
    """Return how long a run waits for others: half of max_run_minutes at most, so that enough is left for the run.

    A dry run does not: all of it is one transaction, which began before the other run has written what it does.
    """
    longest = turns.EVENT_SECONDS if options.uuid else turns.RUN_SECONDS
    if settings.max_run_minutes:
        longest = min(longest, 60 * settings.max_run_minutes / 2)
    return turns.Turn(0 if settings.dry_run else longest, clock.now, clock.sleep, progress.waiting)


def _lock_destinations(
    chosen: Sequence[Settings], database: Database, stack: ExitStack, turn: turns.Turn
) -> tuple[list[tuple[Settings, Ledger]], list[tuple[Settings, RunActive]]]:
    """Return the destinations that the stack holds for this run, and those that another run holds."""
    held: list[tuple[Settings, Ledger]] = []
    busy: list[tuple[Settings, RunActive]] = []
    for settings in chosen:
        ledger = Ledger(database, settings.workspace_key, settings.sourcesystem)
        try:
            stack.enter_context(turn.hold(partial(ledger.hold_lock, settings.state_path)))
        except RunActive as error:
            if len(chosen) == 1:
                raise
            busy.append((settings, error))
        else:
            held.append((settings, ledger))
    return held, busy


def _begin_destination(this_run: _Run, ledger: Ledger, settings: Settings, *, single: bool) -> DestinationRun:
    report, counted = _new_report(this_run, settings, single=single), this_run.progress.indicators
    delivery = Delivery(settings, ledger, report, this_run.rate_limiters, this_run.now, counted, this_run.texts)
    return DestinationRun(settings, ledger, report, delivery, first=ledger.empty)


def _busy_report(this_run: _Run, settings: Settings, error: RunActive) -> Report:
    """Return the report of one of several destinations that another run holds."""
    report = _new_report(this_run, settings, single=False)
    report.fail(error)
    return report


def _new_report(this_run: _Run, settings: Settings, *, single: bool) -> Report:
    """Return the report of a destination; its lines carry its name where there are several."""
    line, name = this_run.line, settings.name
    if line and not single:
        return Report(
            name, settings.dry_run, keeps_ledger=settings.keeps_ledger, line=lambda text: line(f"{name}: {text}")
        )
    return Report("" if single else name, settings.dry_run, keeps_ledger=settings.keeps_ledger, line=line)


def _read_and_send(this_run: _Run, destinations: Sequence[DestinationRun]) -> int:
    """Read MISP once, while what is planned goes out, and wait for all answers; return how many events were read."""
    progress = this_run.progress
    reader = MispReader(this_run.settings, this_run.clock.sleep, this_run.seconds_left_to_read, progress.waiting)
    reading = SharedReading(this_run.settings, this_run.options, reader, destinations, progress.events, this_run.now)
    for destination in destinations:
        destination.report.detours = reader.detours
        destination.delivery.start()
    read_to_the_end = False
    cut_off: BaseException | None = None
    try:
        _note_beginning(this_run, destinations)
        reading.run()
        read_to_the_end = True
    except MispError as error:
        for destination in destinations:
            destination.report.fail_at_misp(error)
    except BaseException as error:  # a signal, the ledger, a fault of this program's own
        cut_off = error
        if isinstance(error, KeyboardInterrupt | LedgerError):
            _abandon(destinations)
        raise
    finally:
        logger.info(LOG_RECEIVED.format(sum(destination.report.indicators for destination in destinations)))
        with interrupts.put_off(interrupts.LONGEST_END):  # uploads end by themselves
            for destination in _as_answered(destinations, reading):
                _finish(this_run, reading, destination, read_to_the_end)
                _remember(this_run, destination, cut_off)
    return reading.events_done


def _as_answered(destinations: Sequence[DestinationRun], reading: SharedReading) -> Iterator[DestinationRun]:
    """Yield each destination when Microsoft has answered for everything; a slow one is not waited for."""
    with ThreadPoolExecutor(len(destinations)) as pool:
        answers = {pool.submit(_send_the_rest, destination, reading): destination for destination in destinations}
        for answered in as_completed(answers):
            answered.result()
            yield answers[answered]


def _send_the_rest(destination: DestinationRun, reading: SharedReading) -> None:
    """Wait until Microsoft has answered for what is enqueued, and then for what depends on these answers."""
    delivery, sync = destination.delivery, reading.concluded(destination)
    try:
        if sync:
            delivery.drain()
        if sync and not interrupts.stopped():
            sync.weave()
    except LedgerError:
        delivery.abandon()
        raise
    except Exception as error:  # a fault of ours costs what it was about, and not what was sent
        logger.exception("What stands beside the indicators could not be brought in step")
        destination.report.faults.append(f"{type(error).__name__}: {error}")
    finally:
        delivery.finish()


def _abandon(destinations: Sequence[DestinationRun]) -> None:
    for destination in destinations:
        destination.report.stopped = True
        destination.delivery.abandon()


def _finish(this_run: _Run, reading: SharedReading, destination: DestinationRun, read_to_the_end: bool) -> None:
    """Save what a destination's next run goes by, and conclude its report."""
    report = destination.report
    if report.misp_error:
        DestinationLogger(logger, report.name).error("MISP failed: %s", report.misp_error)
    totals = destination.ledger.live_totals(this_run.now)
    for sync in reading.begun:
        if sync.destination is destination:
            sync.finish(totals.live, complete=read_to_the_end and not (report.stopped or report.failure))
    if report.dry_run and not report.failure:
        destination.delivery.dump_wanted(this_run.options.uuid)
    report.advice = _advice(destination)
    report.count_live(totals.by_kind)
    # What Microsoft took in this run is live now, and did not stay as it was.
    report.unchanged = max(0, totals.staying - report.states[OutcomeState.ACCEPTED])
    report.seconds = this_run.seconds


def _note_beginning(this_run: _Run, destinations: Sequence[DestinationRun]) -> None:
    """Note that a whole run begins: of one that is cut off there is nothing else to see."""
    if not this_run.options.uuid:
        for destination in destinations:
            facts = destination.ledger.facts()
            destination.ledger.save_facts(replace(facts, begun_at=this_run.now))


def _remember(this_run: _Run, destination: DestinationRun, cut_off: BaseException | None) -> None:
    """Record how the run went; one of a single event says nothing of how the last whole one went."""
    report, ledger, now = destination.report, destination.ledger, this_run.now
    outcome = _outcome(report, cut_off)
    ledger.keep_run(_row(this_run, report, outcome))
    ends = credential_ends(destination.settings)
    misp_key_ends = destination.settings.expiry_of("misp_key")
    facts = replace(ledger.facts(), ended_at=now, credential_ends=ends, misp_key_ends=misp_key_ends)
    if not this_run.options.uuid:
        facts = replace(facts, last_run={**report.outline(), **outcome._asdict(), "at": now})
        facts = replace(facts, last_good=now) if outcome.exit_code == ExitCode.DONE else facts
    ledger.save_facts(facts)


class _Outcome(NamedTuple):
    """The exit code of a run at one destination, and the first cause where that is not 0."""

    exit_code: int
    cause: str


def _outcome(report: Report, cut_off: BaseException | None) -> _Outcome:
    """Return how a run ended; the report of one that was cut off knows nothing of that."""
    stopped = interrupts.stopped() and report.exit_code != ExitCode.DONE
    if stopped or isinstance(cut_off, KeyboardInterrupt):
        return _Outcome(ExitCode.STOPPED, "Stopped from outside.")
    if isinstance(cut_off, SyncError):
        return _Outcome(cut_off.exit_code, str(cut_off))
    if cut_off is not None:
        return _Outcome(ExitCode.OWN_FAULT, f"A fault of this program's own: {type(cut_off).__name__}: {cut_off}")
    return _Outcome(report.exit_code, problems_of(report)[0].text if report.exit_code else "")


def _row(this_run: _Run, report: Report, outcome: _Outcome) -> RunRecord:
    """Return what is kept of a run for the years to come."""
    options = this_run.options
    kind = RunKind.UUID if options.uuid else RunKind.FULL if options.full else RunKind.PLAIN
    told = report.as_json()
    return RunRecord(
        at=this_run.now,
        kind=kind,
        exit_code=outcome.exit_code,
        **{name: told[name] for name in _IN_ROWS},
        **{name: told["planned"].get(name, 0) for name in ("new", "changed", "renewed", "again")},
        beside_sent=report.context.accepted.total(),
        beside_withdrawn=report.context.withdrawn.total(),
        live=report.live_by_kind,
        version=VERSION,
        cause=safe_to_show(outcome.cause),
    )


def _advice(destination: DestinationRun) -> str:
    """Recommend to adopt, in a first run that could read MISP, unless Sentinel says that it holds nothing of ours."""
    report, settings = destination.report, destination.settings
    adoptable = settings.keeps_ledger and not api_for(settings).why_no_adoption
    if not (destination.first and adoptable) or report.there == 0 or report.misp_error or report.failure:
        return ""
    adopt = ADOPT_FIRST if report.dry_run else ADOPT_NEXT
    DestinationLogger(logger, report.name).info(adopt)
    return adopt


@contextmanager
def database_of(settings: Settings, progress: Progress | None = None) -> Iterator[Database]:
    """Open the ledger's database. Raises LedgerError, also when it goes away in the middle."""
    upgraded = (progress or Progress()).upgraded
    with closing(Database(settings.ledger_url, dry=settings.dry_run, upgraded=upgraded)) as database:
        yield database


@contextmanager
def opened(settings: Settings) -> Iterator[Ledger]:
    """Open the ledger of the settings' destination. Raises LedgerError."""
    with database_of(settings) as database:
        yield Ledger(database, settings.workspace_key, settings.sourcesystem)


def make_state_dir(settings: Settings) -> None:
    """Create the state directory for its owner alone.

    Raises SettingsError when that cannot be done, or when root would write where others may.
    """
    cross_checks.refuse_foreign_state(settings)
    try:
        make_private_directory(settings.state_path, hide_from_git=settings.state_is_beside_config)
    except OSError as error:
        where = settings.source_of("state_dir")
        if isinstance(error, OddFile):
            raise SettingsError([f"state_dir ({where}) cannot be used: {error}: name the directory itself."]) from error
        advice = permission_hint(error) or "Name a directory that this user may write."
        raise SettingsError([f"state_dir ({where}) cannot be used: {error}. {advice}"]) from error
