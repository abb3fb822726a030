"""Writes what the ledger knows of each destination into a file for Prometheus."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path

from helpers.commands.monitoring.answer import answer_of
from helpers.commands.monitoring.metrics.exposition import exposition
from helpers.commands.monitoring.metrics.samples import samples_of
from helpers.commands.monitoring.moments import Watch
from helpers.commands.monitoring.output import write_output
from helpers.commands.screen import Say
from helpers.errors import ExitCode
from helpers.ledger import MOST_OF_EVENTS
from helpers.settings import Settings

STDOUT = Path("-")
# node_exporter runs as a user of its own, and there is no secret in it.
FOR_EVERYBODY = 0o644


def main(settings: Settings, arguments: Namespace, say: Say) -> int:
    """Write the numbers into the file that was named, or to stdout, and return the exit code.

    Raises NoLedger where the settings want none, LedgerError, and OutputError; a file that was there stays then.
    """
    now = int(time.time())
    if arguments.file == STDOUT:
        for line in metrics(settings, now).splitlines():
            say(line)
        return ExitCode.DONE
    path = arguments.file.absolute()
    write_metrics(settings, path, now)
    say(f"Metrics: {path}")
    return ExitCode.DONE


def write_metrics(settings: Settings, path: Path, now: int) -> None:
    """Write a metrics file, whole or not at all; ``now`` is in seconds since 1970.

    Raises NoLedger, LedgerError, and OutputError where the file cannot be written.
    """
    write_output(path, metrics(settings, now), FOR_EVERYBODY)


def metrics(settings: Settings, now: int) -> str:
    """Return what the ledger knows, as Prometheus reads it. Raises NoLedger and LedgerError."""
    # So many that the last whole run is among them.
    answer = answer_of(settings, Watch(now), runs=MOST_OF_EVENTS + 1, holdings=True)
    return exposition(samples_of(answer))
