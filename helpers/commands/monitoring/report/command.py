"""Asks the ledger how it stands, and writes the page that tells it."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from datetime import tzinfo
from pathlib import Path

from constants import VERSION
from helpers.commands.monitoring.answer import answer_of
from helpers.commands.monitoring.moments import Watch
from helpers.commands.monitoring.output import write_output
from helpers.commands.monitoring.report.contents import contents_of
from helpers.commands.monitoring.report.page import page_of
from helpers.commands.monitoring.verdict import Verdict, verdict_of
from helpers.commands.screen import Say
from helpers.errors import ExitCode
from helpers.settings import Settings


def main(settings: Settings, arguments: Namespace, say: Say) -> int:
    """Write the page, say where it is, and return the exit code. Raises NoLedger, LedgerError and OutputError."""
    path = arguments.file.absolute()
    verdict = write_report(settings, path, int(time.time()))
    if arguments.json:
        say(json.dumps({"version": VERSION, "file": str(path), "verdict": verdict.words, "state": verdict.state}))
    else:
        say(f"Report: {path}")
    return ExitCode.DONE


def write_report(settings: Settings, path: Path, now: int, zone: tzinfo | None = None) -> Verdict:
    """Write the page for its owner alone, whole or not at all, and return the verdict that it begins with.

    ``now`` is in seconds since 1970, ``zone`` the one in which people are told times, by default this host's. Raises
    NoLedger where the settings want none, LedgerError, and OutputError; what was there stays then.
    """
    watch = Watch(now, zone)
    answer = answer_of(settings, watch, holdings=True)
    verdict = verdict_of(answer, watch)
    write_output(path, page_of(contents_of(answer, verdict, watch)))
    return verdict
