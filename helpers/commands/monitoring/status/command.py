"""Asks the ledger where each destination stands, and shows it to people and to monitoring."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Callable
from datetime import tzinfo

from helpers.commands.monitoring.answer import answer_of
from helpers.commands.monitoring.moments import Watch
from helpers.commands.monitoring.status.lines import lines_of
from helpers.commands.monitoring.status.nagios import service_of
from helpers.commands.monitoring.told.telling import tell_standing
from helpers.commands.monitoring.verdict import verdict_of
from helpers.commands.screen import Say
from helpers.errors import ExitCode
from helpers.settings import Settings

# So many of the last runs are shown; with --verbose all that the ledger has.
RUNS = 7


def main(settings: Settings, arguments: Namespace, say: Say) -> int:
    """Say whether all is well and where each destination stands, and return the exit code."""
    watch = Watch(int(time.time()))
    if arguments.notify:
        tell_standing(settings, watch, arguments.max_age)
    if arguments.nagios:
        state, line = service_of(answer_of(settings, watch, max_age_hours=arguments.max_age, runs=0), watch)
        say(line)
        return state
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
    watch = Watch(int(now()), zone)
    answer = answer_of(settings, watch, max_age_hours=max_age_hours, runs=runs)
    verdict = verdict_of(answer, watch)
    code = ExitCode.DONE if verdict.wakes_nobody else ExitCode.UNFINISHED
    if as_json:
        said = {"verdict": verdict.words, "state": verdict.state, "exit_code": int(code)}
        say(json.dumps({**answer, **said}))
        return code
    for line in lines_of(answer, verdict, watch):
        say(line)
    return code
