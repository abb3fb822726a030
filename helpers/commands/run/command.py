"""A run, which is what happens without a command, and the summary that people and programs read."""

from __future__ import annotations

import json
import logging
import sys
from argparse import Namespace
from collections.abc import Callable

from helpers.commands.run import summary
from helpers.commands.run.progress_bar import progress_bar
from helpers.commands.run.verdict import verdict_of
from helpers.commands.screen import Screen
from helpers.log import redact
from helpers.settings import Settings
from helpers.sync import Report, RunOptions, run

logger = logging.getLogger(__name__)


def main(settings: Settings, arguments: Namespace, say: Callable[[str], None]) -> int:
    """Bring Sentinel in step with MISP, show what was done and return the exit code."""
    options = RunOptions(arguments.uuid or "", arguments.full, arguments.retry_rejected, arguments.force_withdraw)
    line = say if arguments.list else None
    with progress_bar(arguments) as progress:
        report = run.run(settings, options, workspace=arguments.workspace, progress=progress, line=line)
    show_report(report, settings, arguments)
    return report.exit_code


def show_report(report: Report, settings: Settings, arguments: Namespace) -> None:
    """Log how it went; show it in a terminal, as JSON where that is asked for, and on stderr what went wrong."""
    as_json = json.dumps(redact.within(report.as_json()))
    logger.info("Summary: %s", as_json)
    logger.info("Verdict: %s", verdict_of(report).words)
    if arguments.json:
        print(as_json)
    on_stdout = not (arguments.json or arguments.quiet) and (report.dry_run or sys.stdout.isatty())
    if on_stdout:
        _show_summary(report, settings, verbose=arguments.verbose)
    if not (on_stdout and sys.stdout.isatty() and sys.stderr.isatty()):  # else it was seen
        _show_trouble(report, settings)


def _show_summary(report: Report, settings: Settings, *, verbose: bool) -> None:
    screen, verdict = Screen(sys.stdout), verdict_of(report)
    lines = [*summary.headline(report, verdict), *summary.details(report, verbose=verbose)]
    for line in [*lines, *summary.closing(report, verdict, str(settings.log_path))]:
        screen.show(line)


def _show_trouble(report: Report, settings: Settings) -> None:
    """Show on stderr what went wrong, the verdict first, and after a good run only what it warns of."""
    screen, verdict = Screen(sys.stderr), verdict_of(report)
    lines = summary.headline(report, verdict) if report.exit_code else summary.warnings(verdict)
    for line in [*lines, *summary.closing(report, verdict, str(settings.log_path))]:
        screen.show(line)
