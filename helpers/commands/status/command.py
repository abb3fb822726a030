"""Asks the ledger where each destination stands, and shows it to people and to monitoring."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Callable
from datetime import tzinfo

from constants import VERSION
from helpers.commands.explain.ledger_view import Json
from helpers.commands.screen import Say
from helpers.commands.status.lines import lines_of
from helpers.commands.status.moments import Watch
from helpers.commands.status.standing import standing
from helpers.commands.status.verdict import is_late, verdict_of
from helpers.errors import ExitCode, NoLedger
from helpers.ledger import ledger_destinations
from helpers.settings import Settings

# So many of the last runs are shown; with --verbose all that the ledger has.
RUNS = 7


def main(settings: Settings, arguments: Namespace, say: Say) -> int:
    """Say whether all is well and where each destination stands, and return the exit code."""
    runs = None if arguments.verbose else RUNS
    return status(settings, say, max_age_hours=arguments.max_age, as_json=arguments.json, runs=runs)


def status(
    settings: Settings,
    say: Say,
    *,
    max_age_hours: float | None,
    as_json: bool,
    runs: int | None = RUNS,
    now: Callable[[], float] = time.time,
    zone: tzinfo | None = None,
) -> int:
    """Say where each destination stands; return 1 where a last whole run failed, or the last good one is too old.

    So many ``runs`` are shown of each, all where it is None; ``now`` gives seconds since 1970, ``zone`` is the one in
    which people are told times, by default this host's. Raises NoLedger where the settings want none.
    """
    if not settings.keeps_ledger:
        raise NoLedger
    watch = Watch(int(now()), zone)
    answer = _known(settings, max_age_hours, runs, watch)
    verdict = verdict_of(answer, watch)
    code = ExitCode.DONE if verdict.wakes_nobody else ExitCode.UNFINISHED
    if as_json:
        said = {"verdict": verdict.words, "state": verdict.state, "exit_code": int(code)}
        say(json.dumps({**answer, **said}))
        return code
    for line in lines_of(answer, verdict, watch):
        say(line)
    return code


def _known(settings: Settings, max_age_hours: float | None, runs: int | None, watch: Watch) -> Json:
    """Return what is known of each destination."""
    with ledger_destinations(settings) as in_ledger:
        destinations = [standing(destination, settings, watch.now, runs) for destination in in_ledger]
        ours = {(known.workspace, known.sourcesystem) for known in in_ledger}
    without_run = [
        wanted.name or wanted.workspace_key
        for wanted in settings.destinations()
        if (wanted.workspace_key, wanted.sourcesystem) not in ours
    ]
    answer: Json = {
        "version": VERSION,
        "state_dir": str(settings.state_path) if settings.has_state_path else None,
        "destinations": destinations,
        "not_in_ledger": without_run,
        "max_age_hours": max_age_hours,
    }
    return {**answer, "late": is_late(answer, watch)}
