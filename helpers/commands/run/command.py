"""A run, which is what happens without a command, and the summary that people and programs read."""

from __future__ import annotations

import json
import logging
import sys
from argparse import Namespace
from collections.abc import Callable

from helpers.commands.run.progress_bar import progress_bar
from helpers.commands.run.table import summary_table
from helpers.log import redact, safe_to_show
from helpers.settings import Settings
from helpers.sync import Report, RunOptions, run

logger = logging.getLogger(__name__)


def main(settings: Settings, arguments: Namespace, say: Callable[[str], None]) -> int:
    """Bring Sentinel in step with MISP, show what was done and return the exit code."""
    options = RunOptions(arguments.uuid or "", arguments.full, arguments.retry_rejected, arguments.force_withdraw)
    line = say if arguments.list else None
    with progress_bar(arguments) as progress:
        report = run.run(settings, options, workspace=arguments.workspace, progress=progress, line=line)
    show_report(report, settings, as_json=arguments.json)
    return report.exit_code


def show_report(report: Report, settings: Settings, *, as_json: bool) -> None:
    """Print JSON where it is asked for, a table in a terminal, and on stderr only what went wrong."""
    summary = json.dumps(redact.within(report.as_json()))
    logger.info("Summary: %s", summary)
    if as_json:
        print(summary)
    elif sys.stdout and (report.dry_run or sys.stdout.isatty()):
        from rich.console import Console  # noqa: PLC0415  only for a terminal

        Console().print(summary_table(report))
    for trouble in report.troubles():
        print(safe_to_show(trouble), file=sys.stderr)
    if report.exit_code:
        print(f"Exit code {report.exit_code}; the log is {settings.log_path}", file=sys.stderr)
