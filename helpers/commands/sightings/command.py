"""Writes what alerts matched into MISP, by itself or at the end of a run, and says what became of it."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable
from typing import TextIO

from helpers.commands.monitoring.files import write_files
from helpers.commands.screen import Line, Screen
from helpers.commands.sightings import summary
from helpers.commands.sightings.progress_bar import progress_bar
from helpers.errors import ExitCode, LedgerError, RunActive, SettingsError
from helpers.process import redact
from helpers.settings import Settings
from helpers.sync import SightingOptions, SightingsReport, run_sightings

logger = logging.getLogger(__name__)

# A run that has less time left than this leaves the sightings to the next one.
_LEAST_SECONDS = 60
_NO_TIME = "The run's time was up (max_run_minutes) before its sightings: the next one goes on."


def main(settings: Settings, arguments: Namespace, say: Callable[[str], None]) -> int:
    """Read alerts, write sightings, show what became of them and return the exit code."""
    options = SightingOptions(arguments.since, arguments.workspace)
    with progress_bar(arguments) as progress:
        report = run_sightings(settings, options, line=say if arguments.list else None, progress=progress)
    _show(report, settings, arguments)
    if not report.dry_run:
        write_files(settings, int(time.time()))
    return report.exit_code


def run_beside(
    settings: Settings,
    seconds: float,
    options: SightingOptions | None = None,
    line: Callable[[str], None] | None = None,
) -> SightingsReport | None:
    """Write sightings at the end of a run that took so many seconds; None where ``misp_sightings`` does not say so.

    Nothing of it ends the run: what fails is in the report.
    """
    if not settings.misp_sightings.in_run:
        return None
    until = time.monotonic() + (60 * settings.max_run_minutes - seconds if settings.max_run_minutes else math.inf)

    def seconds_left() -> float:
        return until - time.monotonic()

    if seconds_left() < _LEAST_SECONDS:
        return SightingsReport(dry_run=settings.dry_run, warnings=[_NO_TIME])
    try:
        report = run_sightings(settings, options, line=line, seconds_left=seconds_left)
        _leave_to_others(report)
    except RunActive as error:  # whoever writes them now, writes these too
        report = SightingsReport(dry_run=settings.dry_run, warnings=[str(error)])
    except (LedgerError, SettingsError) as error:
        report = SightingsReport(dry_run=settings.dry_run)
        report.fail(error)
    logger.info("Sightings: %s", json.dumps(redact.within(report.as_json())))
    return report


def _leave_to_others(report: SightingsReport) -> None:
    """Take it for no failure of the run that somebody else writes the sightings of one of several destinations now."""
    for part in report.parts:
        if part.error_code == ExitCode.RUN_ACTIVE:
            part.warnings.append(part.failure)
            part.failure, part.error_code = "", ExitCode.DONE


def _show(report: SightingsReport, settings: Settings, arguments: Namespace) -> None:
    """Log how it went; show it in a terminal, as JSON where that is asked for, and on stderr what went wrong."""
    as_json = json.dumps(redact.within(report.as_json()))
    logger.info("Summary: %s", as_json)
    lines = list(summary.lines_of(report, str(settings.log_path)))
    logger.info("Verdict: %s", lines[0].words)
    if arguments.json:
        print(as_json)
    on_stdout = not arguments.json and (report.dry_run or sys.stdout.isatty())
    if on_stdout:
        _print(lines, sys.stdout)
    warned = any(each.warnings for each in (report, *report.parts))
    if (report.exit_code or warned) and not (on_stdout and sys.stdout.isatty() and sys.stderr.isatty()):
        _print(lines, sys.stderr)


def _print(lines: Iterable[Line], out: TextIO) -> None:
    screen = Screen(out)
    for line in lines:
        screen.show(line)
