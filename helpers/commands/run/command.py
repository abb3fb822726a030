"""A run, which is what happens without a command, and the summary that people and programs read."""

from __future__ import annotations

import json
import logging
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace

from helpers.commands.monitoring.files import write_files
from helpers.commands.monitoring.told.telling import telling
from helpers.commands.run import summary
from helpers.commands.run.progress_bar import progress_bar
from helpers.commands.run.verdict import verdict_of
from helpers.commands.screen import Screen, Tone, question
from helpers.commands.screen.question import Withdrawn
from helpers.commands.sightings import run_beside
from helpers.errors import ExitCode
from helpers.microsoft import key_vault
from helpers.process import redact
from helpers.settings import Settings
from helpers.sync import Progress, Report, RunOptions, SightingOptions, SightingsReport, not_matched, run
from helpers.text import counted

logger = logging.getLogger(__name__)


def main(settings: Settings, arguments: Namespace, say: Callable[[str], None]) -> int:
    """Bring Sentinel in step with MISP, show what was done and return the exit code."""
    flags = (arguments.full, arguments.retry_rejected, arguments.force_withdraw)
    options = RunOptions(arguments.uuid or "", *flags, arguments.part)
    if not settings.destinations(arguments.workspace, options.part):
        return _nothing_to_do(settings, arguments)
    with telling(settings, arguments.workspace, arguments.part, uuid=arguments.uuid) as watched:
        settings = key_vault.with_secrets(settings)
        report = _ask(settings, options, arguments) or _run(settings, options, arguments, say, watched.begun)
        report.sightings = _sightings(report, settings, arguments, say)
        watched.ended(report)
    show_report(report, settings, arguments)
    if not report.dry_run:
        write_files(settings, int(time.time()))
    return report.exit_code


def _nothing_to_do(settings: Settings, arguments: Namespace) -> int:
    """Say that no destination is this run's, which is nothing that anybody outside has to be told."""
    words = f"no destination falls into part {arguments.part}."
    show_report(Report(dry_run=settings.dry_run, several=True, nothing_found=words), settings, arguments)
    return ExitCode.DONE


def _run(
    settings: Settings,
    options: RunOptions,
    arguments: Namespace,
    say: Callable[[str], None] | None = None,
    begun: Callable[[Sequence[str]], None] = Progress.begun,
) -> Report:
    line = say if arguments.list else None
    with progress_bar(arguments) as drawn:
        progress = replace(drawn, begun=begun)
        return run.run(settings, options, workspace=arguments.workspace, progress=progress, line=line)


def _sightings(
    report: Report, settings: Settings, arguments: Namespace, say: Callable[[str], None]
) -> SightingsReport | None:
    """Write sightings as well, where the settings say so; not where somebody asked for one event alone."""
    if arguments.uuid:
        return None
    options = SightingOptions(workspace=arguments.workspace, part=arguments.part)
    return run_beside(settings, report.seconds, options, say if arguments.list else None)


def _ask(settings: Settings, options: RunOptions, arguments: Namespace) -> Report | None:
    """Ask whether to withdraw what --force-withdraw would; return the report of the dry run where that failed.

    Nothing where the run may go on. Raises Declined.
    """
    if not (options.force_withdraw and question.is_to_be_asked(settings, arguments)):
        return None
    question.say_that_it_reads_twice()
    dry = settings.model_copy(update={"dry_run": True, "write_parsed_indicators": False})
    seen = _run(dry, options, arguments)
    if seen.exit_code > ExitCode.UNFINISHED:
        return seen
    chosen = settings.destinations(arguments.workspace, arguments.part)
    destinations = {destination.name: destination for destination in chosen}
    parts = [(destinations[part.name], part) for part in seen.parts] or [(next(iter(destinations.values())), seen)]
    question.ask([Withdrawn.of(part, destination) for destination, part in parts])
    return None


def show_report(report: Report, settings: Settings, arguments: Namespace) -> None:
    """Log how it went; show it in a terminal, as JSON where that is asked for, and on stderr what went wrong."""
    as_json, unmatched = json.dumps(redact.within(report.as_json())), _not_matched(report, settings)
    for words in unmatched:
        logger.info("Not matched: %s", words)
    logger.info("Summary: %s", as_json)
    logger.info("Verdict: %s", verdict_of(report).words)
    if arguments.json:
        print(as_json)
    on_stdout = not (arguments.json or arguments.quiet) and (report.dry_run or sys.stdout.isatty())
    if on_stdout:
        _show_summary(report, settings, unmatched, verbose=arguments.verbose)
    if not (on_stdout and sys.stdout.isatty() and sys.stderr.isatty()):  # else it was seen
        _show_trouble(report, settings)


def _not_matched(report: Report, settings: Settings) -> list[str]:
    """Say of what is new which Microsoft's rules do not match; of what was there before an earlier run has said it."""
    where = f" at {counted(len(report.parts), 'destination', 'destinations')}" if report.parts else ""
    return list(not_matched(settings, report.new_sorts, where))


def _show_summary(report: Report, settings: Settings, unmatched: Sequence[str], *, verbose: bool) -> None:
    screen, verdict = Screen(sys.stdout), verdict_of(report)
    told = () if verdict.tone is Tone.BAD else unmatched  # after a failure other things are more urgent
    lines = [*summary.headline(report, verdict), *summary.details(report, verbose=verbose, not_matched=told)]
    for line in [*lines, *summary.closing(report, verdict, str(settings.log_path))]:
        screen.show(line)


def _show_trouble(report: Report, settings: Settings) -> None:
    """Show on stderr what went wrong, the verdict first, and after a good run only what it warns of."""
    screen, verdict = Screen(sys.stderr), verdict_of(report)
    lines = summary.headline(report, verdict) if report.exit_code else summary.warnings(verdict)
    for line in [*lines, *summary.closing(report, verdict, str(settings.log_path))]:
        screen.show(line)
