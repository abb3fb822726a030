"""``status``: where each destination stands, for people and for monitoring."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from constants import VERSION
from helpers.commands.explain.ledger_view import Json, iso_time
from helpers.errors import NoLedger
from helpers.indicators import DAY
from helpers.ledger import LedgerDestination, Stage, ledger_destinations
from helpers.process import invocation
from helpers.settings import Settings

EXPIRES_SOON = 7
_MOST_FREQUENT = 5
_NO_LEDGER = "There is no ledger yet: nothing has run with these settings. A first run, or adopt, makes it."
_IN_FLIGHT = ", where what was sent and not yet answered counts, since it may have arrived"
_HELD = ", edited and not published again yet, or out of sight"
_LEAVING = " to be withdrawn; what the guards hold back leaves with --force-withdraw"
_REFUSED = ", whose withdrawals a guard held back; they leave with --force-withdraw"
_UNKNOWN = ", and a run of the future counts as unknown"
_IN_USE = (
    "They use its workspace, so don't empty that. To withdraw this source system alone, give it an entry in ms_tenants "
    "and withdraw it by the entry's name (docs/ledger.md#leaving-a-workspace)."
)
_RESULTS = {0: "done", 1: "done, but not all of it", 3: "MISP failed", 4: "Microsoft failed"}


def main(settings: Settings, arguments: Namespace, say: Callable[[str], None]) -> int:
    """Say where each destination stands and return the exit code."""
    return status(settings, say, max_age_hours=arguments.max_age, as_json=arguments.json)


def status(
    settings: Settings,
    say: Callable[[str], None],
    *,
    max_age_hours: float | None,
    as_json: bool,
    now: Callable[[], float] = time.time,
) -> int:
    """Say where each destination stands; return 1 when the last good run is older than ``max_age_hours``, or none was.

    ``now`` gives seconds since 1970. Raises NoLedger where the settings want none.
    """
    if not settings.keeps_ledger:
        raise NoLedger
    moment = int(now())
    with ledger_destinations(settings) as in_ledger:
        destinations = [standing(destination, settings, moment) for destination in in_ledger]
    wanted = len(settings.destinations())
    late = max_age_hours is not None and _too_old(destinations, wanted, max_age_hours, moment)
    answer = {
        "version": VERSION,
        "state_dir": str(settings.state_path) if settings.has_state_path else None,
        "destinations": destinations,
        "max_age_hours": max_age_hours,
        "late": late,
        "exit_code": int(late),
    }
    for line in [json.dumps(answer)] if as_json else _lines(answer):
        say(line)
    return int(late)


def standing(destination: LedgerDestination, settings: Settings, now: int) -> Json:
    """Count what a destination holds, and say how its last run went."""
    counted = destination.ledger.count(now)
    facts = destination.ledger.facts()
    known = facts.known_at(now)
    leaving = destination.leaving()
    rejections = destination.rejections()
    return {
        "workspace": destination.workspace,
        "sourcesystem": destination.sourcesystem,
        "name": destination.name_in(settings) or "",
        "in_settings": destination.is_of(settings),
        "workspace_in_settings": destination.workspace in {known.workspace_key for known in settings.destinations()},
        "live": counted["live"],
        f"expiring_in_{EXPIRES_SOON}_days": destination.ledger.expiring(now, now + EXPIRES_SOON * DAY),
        "held_events": destination.held_events(),
        "pending": counted.get(Stage.PENDING, 0),
        "in_flight": counted.get(Stage.SENDING, 0) + counted.get(Stage.WITHDRAWING, 0),
        "rejected": counted.get(Stage.REJECTED, 0),
        "rejections": dict(list(rejections.items())[:_MOST_FREQUENT]),
        "withdrawn": counted.get(Stage.WITHDRAWN, 0),
        "leaving": sum(leaving.values()),
        "leaving_reasons": leaving,
        "refused_events": len(facts.refused_events),
        "last_run": _last_run(facts.last_run),
        "last_good_run": iso_time(known.last_good),
        "last_full_run": iso_time(known.full_at or None),
        "in_the_future": iso_time(facts.latest()) if facts.latest() > now else None,
        "misp": facts.misp,
    }


def _last_run(run: Mapping[str, Any] | None) -> Json | None:
    return {**run, "at": iso_time(run.get("at"))} if run else None


def _too_old(destinations: list[Json], wanted: int, hours: float, now: int) -> bool:
    """Whether any of the settings' destinations had no good run lately."""
    runs = [destination["last_good_run"] for destination in destinations if destination["in_settings"]]
    if len(runs) < wanted or None in runs:
        return True
    return any(now - datetime.fromisoformat(run).timestamp() > hours * 3600 for run in runs)


# -- as text ------------------------------------------------------------------------------------------


def _lines(answer: Json) -> Iterator[str]:
    destinations = answer["destinations"]
    if answer["state_dir"]:
        yield f"State directory {answer['state_dir']}"
    if not destinations:
        yield _NO_LEDGER
    elif not any(destination["in_settings"] for destination in destinations):
        yield "The destination that the settings name is not in the ledger: it has had no run yet."
    for destination in destinations:
        yield from _destination_lines(destination)
        if not destination["in_settings"]:
            yield f"  The settings don't name this destination. {_how_to_empty(destination)}"
    if answer["late"]:
        ahead = any(destination["in_settings"] and destination["in_the_future"] for destination in destinations)
        yield f"LATE: no good run in the last {answer['max_age_hours']:g} hours (--max-age){_UNKNOWN if ahead else ''}."


def _destination_lines(destination: Json) -> Iterator[str]:
    name = f"{destination['name']}: " if destination["name"] else ""
    yield f"{name}Workspace {destination['workspace']}, source system {destination['sourcesystem']}"
    for title, words in _rows(destination):
        yield f"  {title:<14} {words}".rstrip()


def _rows(destination: Json) -> Iterator[tuple[str, str]]:
    in_flight, held = destination["in_flight"], destination["held_events"]
    leaving, refused = destination["leaving"], destination["refused_events"]
    yield "live", f"{destination['live']:,}{_IN_FLIGHT if in_flight else ''}"
    yield "expiring", f"{destination[f'expiring_in_{EXPIRES_SOON}_days']:,} of them within {EXPIRES_SOON} days"
    yield "held", f"{held:,} events{_HELD if held else ''}"
    yield "pending", f"{destination['pending']:,} to send, {in_flight:,} sent and not yet answered"
    yield "rejected", f"{destination['rejected']:,}"
    yield from (("", f"{count:,}  {words}") for words, count in destination["rejections"].items())
    yield "withdrawn", f"{destination['withdrawn']:,}"
    yield "leaving", f"{leaving:,}{_LEAVING if leaving else ''}"
    yield from (("", f"{count:,}  {reason}") for reason, count in destination["leaving_reasons"].items())
    yield "refused", f"{refused:,} events{_REFUSED if refused else ''}"
    yield "last run", _result(destination["last_run"])
    yield "last good run", destination["last_good_run"] or "none yet"
    yield "last full run", destination["last_full_run"] or "none yet"
    if destination["in_the_future"]:
        yield "clock", f"was ahead: the ledger has a run of {destination['in_the_future']}{_UNKNOWN}"
    if destination["misp"]:
        yield "MISP", str(destination["misp"].get("url"))


def _result(run: Json | None) -> str:
    if run is None:
        return "none yet"
    code = run.get("exit_code", 0)
    troubles = [run.get("misp_error"), run.get("given_up"), *run.get("refused_withdrawals", [])]
    words = "; ".join(filter(None, [_RESULTS.get(code, "failed"), *troubles]))
    return f"{run['at']}  exit code {code}: {words}"


def _how_to_empty(destination: Json) -> str:
    """Say how to empty a destination; the command takes a workspace as a whole, so not where it is in use."""
    if not (destination["live"] or destination["leaving"]):
        return "Nothing of it is live."
    if destination["workspace_in_settings"]:
        return _IN_USE
    return f"To empty it: {invocation.to_type('withdraw', '--workspace', destination['workspace'])}"
