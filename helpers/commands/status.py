"""``status``: where each destination stands, for people and for monitoring."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from helpers.commands.explain_ledger import iso
from helpers.errors import NoLedger
from helpers.ledger import LedgerDestination, Stage, ledger_destinations
from helpers.settings import Settings
from helpers.sync import DAY

Json = dict[str, Any]

EXPIRES_SOON = 7
_MOST_FREQUENT = 5
_NO_LEDGER = "There is no ledger yet: nothing has run with these settings. A first run, or adopt, makes it."
_RESULTS = {0: "done", 1: "done, but not all of it", 3: "MISP failed", 4: "Microsoft failed"}


def status(
    settings: Settings,
    say: Callable[[str], None],
    *,
    max_age_hours: float | None,
    as_json: bool,
    now: Callable[[], float] = time.time,
) -> int:
    """Say where each destination stands; return 1 when the last good run is older than so many hours, or none was.

    Raises NoLedger where the settings want none.
    """
    if not settings.remembers:
        raise NoLedger
    moment = int(now())
    with ledger_destinations(settings) as every:
        destinations = [standing(place, settings, moment) for place in every]
    wanted = len(settings.destinations())
    late = max_age_hours is not None and _too_old(destinations, wanted, max_age_hours, moment)
    answer = {"destinations": destinations, "max_age_hours": max_age_hours, "late": late, "exit_code": int(late)}
    for line in [json.dumps(answer)] if as_json else _lines(answer):
        say(line)
    return int(late)


def standing(place: LedgerDestination, settings: Settings, now: int) -> Json:
    """Count what a destination holds, and say how its last run went."""
    counted = place.ledger.count(now)
    facts = place.ledger.facts()
    leaving = place.leaving()
    rejections = place.rejections()
    return {
        "workspace": place.workspace,
        "sourcesystem": place.sourcesystem,
        "name": place.name_in(settings) or "",
        "in_settings": place.is_of(settings),
        "live": counted["live"],
        f"expiring_in_{EXPIRES_SOON}_days": place.expiring(now, now + EXPIRES_SOON * DAY),
        "held_events": place.held_events(),
        "pending": counted.get(Stage.PENDING, 0),
        "in_flight": counted.get(Stage.SENDING, 0) + counted.get(Stage.WITHDRAWING, 0),
        "rejected": counted.get(Stage.REJECTED, 0),
        "rejections": dict(list(rejections.items())[:_MOST_FREQUENT]),
        "withdrawn": counted.get(Stage.WITHDRAWN, 0),
        "leaving": sum(leaving.values()),
        "leaving_reasons": leaving,
        "refused_events": len(facts.refused_events),
        "last_run": _last_run(facts.last_run),
        "last_good_run": iso(facts.last_good),
        "last_full_run": iso(facts.full_at or None),
        "misp": facts.misp,
    }


def _last_run(known: Mapping[str, Any] | None) -> Json | None:
    return {**known, "at": iso(known.get("at"))} if known else None


def _too_old(destinations: list[Json], wanted: int, hours: float, now: int) -> bool:
    """Whether any of the settings' destinations had no good run lately."""
    runs = [each["last_good_run"] for each in destinations if each["in_settings"]]
    if len(runs) < wanted or None in runs:
        return True
    return any(now - datetime.fromisoformat(run).timestamp() > hours * 3600 for run in runs)


def _lines(answer: Json) -> Iterator[str]:
    if not answer["destinations"]:
        yield _NO_LEDGER
    elif not any(each["in_settings"] for each in answer["destinations"]):
        yield "The destination that the settings name is not in the ledger: it has had no run yet."
    for each in answer["destinations"]:
        yield from _of_destination(each)
        if not each["in_settings"]:
            yield f"  The settings don't name this destination. {_to_empty(each, answer['destinations'])}"
    if answer["late"]:
        yield f"LATE: no good run in the last {answer['max_age_hours']:g} hours (--max-age)."


def _of_destination(each: Json) -> Iterator[str]:
    name = f"{each['name']}: " if each["name"] else ""
    yield f"{name}Workspace {each['workspace']}, source system {each['sourcesystem']}"
    for name, words in _rows(each):
        yield f"  {name:<14} {words}".rstrip()


def _rows(each: Json) -> Iterator[tuple[str, str]]:
    yield "live", f"{each['live']:,}{_perhaps(each)}"
    yield "expiring", f"{each[f'expiring_in_{EXPIRES_SOON}_days']:,} of them within {EXPIRES_SOON} days"
    yield "held", f"{each['held_events']:,} events{_held(each)}"
    yield "pending", f"{each['pending']:,} to send, {each['in_flight']:,} sent and not yet answered"
    yield "rejected", f"{each['rejected']:,}"
    yield from (("", f"{count:,}  {words}") for words, count in each["rejections"].items())
    yield "withdrawn", f"{each['withdrawn']:,}"
    yield "leaving", f"{each['leaving']:,}{_leaving(each)}"
    yield from (("", f"{count:,}  {reason}") for reason, count in each["leaving_reasons"].items())
    yield "refused", f"{each['refused_events']:,} events{_refused(each)}"
    yield "last run", _result(each["last_run"])
    yield "last good run", each["last_good_run"] or "none yet"
    yield "last full run", each["last_full_run"] or "none yet"
    if each["misp"]:
        yield "MISP", str(each["misp"].get("url"))


def _perhaps(each: Json) -> str:
    return ", where what was sent and not yet answered counts, since it may have arrived" if each["in_flight"] else ""


def _held(each: Json) -> str:
    return ", edited and not published again yet, or out of sight" if each["held_events"] else ""


def _leaving(each: Json) -> str:
    return " to be withdrawn; what the guards hold back leaves with --force-withdraw" if each["leaving"] else ""


def _refused(each: Json) -> str:
    return ", whose withdrawals a guard held back; they leave with --force-withdraw" if each["refused_events"] else ""


def _result(last: Json | None) -> str:
    if last is None:
        return "none yet"
    code = last.get("exit_code", 0)
    said = [last.get("misp_error"), last.get("given_up"), *last.get("refused_withdrawals", [])]
    words = "; ".join(filter(None, [_RESULTS.get(code, "failed"), *said]))
    return f"{last['at']}  exit code {code}: {words}"


def _to_empty(each: Json, every: list[Json]) -> str:
    """Say how to empty a destination; the command takes a workspace as a whole."""
    if not (each["live"] or each["leaving"]):
        return "Nothing of it is live."
    command = f"To empty it: python script.py withdraw --workspace {shlex.quote(each['workspace'])}"
    shared = any(other["in_settings"] and other["workspace"] == each["workspace"] for other in every)
    return command + (" (which empties the one that the settings name as well)" if shared else "")
