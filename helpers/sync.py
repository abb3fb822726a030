"""One nightly run: MISP events in, indicators to Sentinel, a report out."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import constants
from constants import LOG_NO_VALID_UNTIL, LOG_RECEIVED, VERSION, Skip
from helpers.conversion import Converted
from helpers.dumps import PARSED_INDICATORS, SENTINEL_RESPONSE, IndicatorDump, ResponseDump
from helpers.errors import MispError, RunActive, SettingsError
from helpers.ledger import Ledger, lost
from helpers.microsoft_answers import Answer
from helpers.misp import MispReader
from helpers.pacer import Clock
from helpers.reconcile import Options, Reconciliation
from helpers.report import Report
from helpers.request_manager import Outcome, RequestManager, State
from helpers.settings import Settings

logger = logging.getLogger(__name__)

Indicator = dict[str, Any]

ADOPT_FIRST = (
    "The ledger holds nothing for this destination yet. If Sentinel holds indicators of MISP2Sentinel already, "
    "let `script.py adopt` take them over first: then nothing is sent twice and nothing stays behind."
)
_SITES_CONSTANTS = (
    "UPLOAD_INDICATOR_API_ACCEPTED_TYPES",
    "UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES",
    "MISP_TAGS_IGNORE",
    "MISP_ALLOWED_TAXONOMIES",
    "MISP_CONFIDENCE",
    "SENTINEL_DEFAULT_TLP",
    "SENTINEL_DEFAULT_THREATTYPE",
)


class Destination(Protocol):
    """Where indicators go: Microsoft, or nowhere in a dry run."""

    given_up: str

    @property
    def requests(self) -> int:
        """How many requests were made."""

    def submit(self, indicators: Iterable[Indicator]) -> None:
        """Take indicators."""

    def finish(self) -> None:
        """Settle every object taken."""

    def abandon(self) -> None:
        """Send nothing more."""


class DryRun:
    """Takes indicators and sends nothing: each stays pending."""

    given_up = ""
    requests = 0

    def __init__(self, report: Report) -> None:
        self._report = report

    def submit(self, indicators: Iterable[Indicator]) -> None:
        """Count what would be sent."""
        self._report.settle([Outcome(each, State.PENDING, "dry run") for each in indicators])

    def finish(self) -> None:
        """Nothing is left to do."""

    def abandon(self) -> None:
        """Nothing was sent."""


def run(
    settings: Settings,
    options: Options | None = None,
    *,
    advance: Callable[[int, int], None] = lambda _done, _listed: None,
    line: Callable[[str], None] | None = None,
    clock: Clock | None = None,
    now: Callable[[], float] = time.time,
) -> Report:
    """Bring the destination in step with MISP and report.

    ``advance`` is told the events done and listed, ``line`` each line of a dry run's plan; ``clock`` is
    what waiting goes by, ``now`` gives the run's time in seconds since 1970.
    Raises RunActive when another run is active and SettingsError when state_dir or the ledger cannot be
    used; what happens at MISP or Microsoft is in the report.
    """
    with lock(settings), opened(settings) as ledger, ledger.alone():
        started = time.monotonic()
        report = Report(dry_run=settings.dry_run, line=line, advice=_advice(ledger))
        run_ = _Run(settings, options or Options(), report, ledger, clock or Clock(), int(now()), advance)
        run_.carry_out()
        report.seconds = time.monotonic() - started
        ledger.learn(last_run={**report.outline(), "at": int(now())})
        if report.exit_code == 0 and not (options and options.uuid) and not settings.misp_event_filters.get("limit"):
            ledger.learn(last_good=int(now()))
        return report


def _advice(ledger: Ledger) -> str:
    """Recommend to adopt before a first run."""
    if not ledger.empty:
        return ""
    logger.info(ADOPT_FIRST)
    return ADOPT_FIRST


def ledger_url(settings: Settings) -> str:
    """Return the address of the ledger's database."""
    return settings.state_url or f"sqlite:///{settings.state_path / 'ledger.sqlite'}"


@contextmanager
def opened(settings: Settings) -> Iterator[Ledger]:
    """Open the ledger of the settings' destination. Raises LedgerError."""
    workspace = settings.ms_auth.workspace_id
    ledger = Ledger(ledger_url(settings), workspace, settings.sourcesystem, dry=settings.dry_run)
    try:
        with lost(ledger_url(settings)):
            yield ledger
    finally:
        ledger.close()


def make_state_dir(settings: Settings) -> None:
    """Create the state directory for its owner alone. Raises SettingsError when that cannot be done."""
    try:
        settings.state_path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _unusable(settings, error) from error


def _unusable(settings: Settings, error: OSError) -> SettingsError:
    where = settings.source_of("state_dir")
    mend = "Name a directory that this user may write, or give this user what another one left there (chown)."
    return SettingsError([f"state_dir ({where}) cannot be used: {error}. {mend}"])


@contextmanager
def lock(settings: Settings) -> Iterator[None]:
    """Hold the lock of the state directory; the operating system frees it even after kill -9."""
    import filelock  # noqa: PLC0415

    path = settings.state_path / "run.lock"
    held = filelock.FileLock(path, timeout=0, mode=0o600)
    try:
        held.acquire()
    except filelock.Timeout as error:
        raise RunActive(f"Another run is active (it holds {path}); this one does nothing.") from error
    except OSError as error:
        raise _unusable(settings, error) from error
    try:
        yield
    finally:
        held.release()


class Delivery:
    """Takes indicators to the settings' destination; writes down and counts what becomes of them."""

    def __init__(self, settings: Settings, ledger: Ledger, report: Report, clock: Clock, now: int) -> None:
        self._settings = settings
        self._ledger = ledger
        self._report = report
        self._now = now
        dump = settings.state_path / PARSED_INDICATORS
        self._dump = IndicatorDump(dump) if settings.write_parsed_indicators else None
        self._destination = self._made(clock)

    def submit(self, indicators: Sequence[Indicator]) -> None:
        """Take indicators; full batches go out at once."""
        if self._dump:
            self._dump.add(indicators)
        self._report.indicators += len(indicators)
        self._destination.submit(indicators)

    def finish(self) -> None:
        """Send what is left, and wait until every object has its outcome."""
        self._destination.finish()
        self._report.given_up = self._report.given_up or self._destination.given_up
        self._report.requests += self._destination.requests

    def abandon(self) -> None:
        """Send nothing more; what has no outcome yet is taken up by the next run."""
        self._destination.abandon()

    def _made(self, clock: Clock) -> Destination:
        settings = self._settings
        if settings.dry_run:
            return DryRun(self._report)
        on_error: Callable[[Answer], None] = lambda _answer: None  # noqa: E731
        if settings.sentinel_write_response:
            on_error = ResponseDump(settings.state_path / SENTINEL_RESPONSE).add
        return RequestManager(settings, self._settle, before=self._in_flight, on_error=on_error, clock=clock)

    def _in_flight(self, batch: Sequence[Indicator]) -> None:
        for revoked in (False, True):
            ids = [each["id"] for each in batch if bool(each.get("revoked")) is revoked]
            self._ledger.in_flight(ids, revoked=revoked, now=self._now)

    def _settle(self, outcomes: Sequence[Outcome]) -> None:
        """Write Microsoft's answers down, and count them."""
        accepted = [each.object for each in outcomes if each.state is State.ACCEPTED]
        self._ledger.accepted([each["id"] for each in accepted if not each.get("revoked")], self._now)
        self._ledger.withdrawn([each["id"] for each in accepted if each.get("revoked")])
        self._ledger.rejected({each.object["id"]: each.words for each in outcomes if each.state is State.REJECTED})
        self._ledger.unanswered({each.object["id"]: each.words for each in outcomes if each.state is State.PENDING})
        self._report.settle(outcomes)


class _Run:
    """Puts the rooms together for one run."""

    def __init__(
        self,
        settings: Settings,
        options: Options,
        report: Report,
        ledger: Ledger,
        clock: Clock,
        now: int,
        advance: Callable[[int, int], None],
    ) -> None:
        self._report = report
        self._delivery = Delivery(settings, ledger, report, clock, now)
        reader = MispReader(settings, clock.sleep)
        submit = self._delivery.submit
        self._reconciliation = Reconciliation(
            settings, options, ledger, reader, report, submit, self._tell, advance, shape(settings), now
        )

    def carry_out(self) -> None:
        """Read, plan, upload, and move the marks when everything has its answer."""
        started = False
        try:
            self._reconciliation.run()
            started = True
        except MispError as error:
            self._report.misp_error = str(error)
        except KeyboardInterrupt:
            self._delivery.abandon()
            raise
        finally:
            self._delivery.finish()
        if self._report.misp_error:
            logger.error("MISP failed: %s", self._report.misp_error)
        logger.info(LOG_RECEIVED.format(self._report.indicators))
        self._reconciliation.finished(complete=started)

    def _tell(self, part: Converted) -> None:
        report = self._report
        report.attributes += part.attributes
        report.unchanged += part.unchanged
        report.add_skips(part.skipped, part.left_out)
        for skip in part.skipped:
            logger.debug("Skipped: %s", skip)
            if skip.reason is Skip.NO_VALID_UNTIL:
                logger.warning(LOG_NO_VALID_UNTIL.format(skip))


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
    )
    values = [getattr(settings, name) for name in names]
    values += [settings.upload_api, settings.api_version, VERSION]
    values += [list(getattr(constants, name)) for name in _SITES_CONSTANTS]
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
