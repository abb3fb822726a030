"""What the Azure Function's timer starts: the run that ``script.py`` makes, reported to Azure's log."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from helpers.errors import ExitCode, SyncError
from helpers.process import log, redact, safe_to_show
from helpers.text import one_line

if TYPE_CHECKING:
    from helpers.sync.report import Report

logger = logging.getLogger(__name__)


class RunFailed(Exception):
    """A run did not do its work; the text says why, without secrets."""


def run_on_timer(environ: Mapping[str, str]) -> None:
    """Bring the destinations in step with MISP, with the settings in ``environ``.

    What is left for the next run is a warning in the log. Raises RunFailed where ``script.py`` would end with
    2 or more, so that Azure counts the invocation as failed.
    """
    try:
        failure = _report_failure(_run(environ))
    except SyncError as error:
        failure = _early_end(one_line(error))
    except Exception as error:
        logger.exception("A fault of MISP2Sentinel's own, please report it")
        failure = _early_end(one_line(f"{type(error).__name__}: {error}"))
    if failure:  # not inside of except: Azure would write the first error down too, as it is
        raise RunFailed(failure)


def _early_end(words: str) -> str:
    """Log why a run has no report, and return it."""
    logger.error("Verdict: FAILED: %s", words)
    return safe_to_show(words)


def _run(environ: Mapping[str, str]) -> Report:
    from constants import VERSION  # noqa: PLC0415
    from helpers.commands.monitoring.files import write_files  # noqa: PLC0415
    from helpers.commands.monitoring.told.telling import telling  # noqa: PLC0415
    from helpers.commands.sightings import run_beside  # noqa: PLC0415
    from helpers.microsoft.key_vault import with_secrets  # noqa: PLC0415
    from helpers.settings import environment, load  # noqa: PLC0415
    from helpers.sync import Progress, make_state_dir, run  # noqa: PLC0415  the host looks for its functions first, and waits

    loaded = load(None, {environment.FUNCTION_SIGNS[0]: "python", **environ})  # not every plan shows it
    redact.add(loaded.settings.secret_values())
    log.leave_to_host(detailed=loaded.settings.verbose_log)
    log.note_beginning(VERSION, "a run on Azure's timer", loaded.settings.config_file)
    for warning in loaded.warnings:
        logger.warning("%s", warning)
    with telling(loaded.settings, warn=logger.warning) as watched:
        settings = with_secrets(loaded.settings)
        make_state_dir(settings)
        report = run.run(settings, progress=Progress(begun=watched.begun))
        report.sightings = run_beside(settings, report.seconds)
        watched.ended(report)
    if not report.dry_run:
        write_files(settings, int(time.time()))
    return report


def _report_failure(report: Report) -> str:
    """Log how a run went, the verdict last; return why it failed, empty when it did not."""
    from helpers.commands.run import summary  # noqa: PLC0415
    from helpers.commands.run.verdict import verdict_of  # noqa: PLC0415
    from helpers.commands.screen import Tone  # noqa: PLC0415

    logger.info("Summary: %s", json.dumps(redact.within(report.as_json())))
    verdict = verdict_of(report)
    _, *matters = summary.headline(report, verdict)
    for line in matters:
        logger.log(logging.INFO if line.tone is Tone.GOOD else logging.WARNING, "%s", line.text().strip())
    logger.log(logging.WARNING if report.exit_code else logging.INFO, "Verdict: %s", verdict.words)
    failed = report.exit_code > ExitCode.UNFINISHED
    return safe_to_show(f"Exit code {report.exit_code}: {verdict.words}") if failed else ""
