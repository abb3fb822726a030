"""The files that a run leaves for those who look from outside, where the settings name them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from helpers.commands.monitoring.metrics import write_metrics
from helpers.commands.monitoring.report import write_report
from helpers.commands.screen import Line, Screen, Tone
from helpers.errors import SyncError
from helpers.process import safe_to_show
from helpers.settings import Settings
from helpers.text import one_line

logger = logging.getLogger(__name__)

_Writer = Callable[[Settings, Path, int], object]
_OWN_FAULT = "a fault of MISP2Sentinel's own, please report it"


def write_files(settings: Settings, now: int) -> None:
    """Write the files that the settings name, at ``now`` in seconds since 1970.

    One that cannot be written costs a warning, in the log and on stderr: the run before it is done.
    """
    for name, path, write in _wanted(settings):
        try:
            write(settings, path, now)
        except SyncError as error:
            _warn(name, one_line(error))
        except Exception as error:  # a fault of our own, and the run is done whatever it is
            logger.warning("%s could not be made", name, exc_info=error)
            _warn(name, f"{_OWN_FAULT}: {type(error).__name__}: {one_line(error)}")


def _warn(name: str, why: str) -> None:
    words = safe_to_show(f"{name} was not written: {why}")
    logger.warning("%s", words)
    Screen(sys.stderr).show(Line(words, Tone.ODD, mark="warning:"))


def _wanted(settings: Settings) -> Iterator[tuple[str, Path, _Writer]]:
    """Yield the name of each setting that is set, its path, and what writes there."""
    if settings.report_file:
        yield "report_file", settings.report_file, write_report
    if settings.metrics_file:
        yield "metrics_file", settings.metrics_file, write_metrics
