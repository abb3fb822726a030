"""What the ledger knows of one destination as a whole: what is there, what is left to do, and how runs went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from helpers.commands.explain.dates import iso_time
from helpers.commands.explain.ledger_view import Json
from helpers.indicators import DAY
from helpers.ledger import (
    ContextLedger,
    DestinationFacts,
    Ledger,
    LedgerDestination,
    RunRecord,
    SightingLedger,
    SightingStage,
    SightingWindow,
    Stage,
)
from helpers.settings import Settings

EXPIRES_SOON = 7
_MOST_FREQUENT = 5


def standing(destination: LedgerDestination, settings: Settings, now: int, runs: int | None = None) -> Json:
    """Count what a destination holds, and say how its last run, and so many before, went."""
    facts = destination.ledger.facts()
    return {
        "workspace": destination.workspace,
        "sourcesystem": destination.sourcesystem,
        "name": destination.name_in(settings) or "",
        "in_settings": destination.is_of(settings),
        "workspace_in_settings": destination.workspace in {known.workspace_key for known in settings.destinations()},
        **_objects(destination, now),
        "context": _context(destination.ledger, facts),
        "sightings": _sightings(destination.ledger, settings),
        "held_events": destination.held_events(),
        "refused_events": len(facts.refused_events),
        "last_run": _last_run(facts.last_run),
        "seconds_ago": now - facts.whole_run_at if facts.whole_run_at else None,
        **_unfinished(destination.ledger, settings, now),
        "last_good_run": iso_time(facts.known_at(now).last_good),
        "last_full_run": iso_time(facts.known_at(now).full_at or None),
        "in_the_future": iso_time(facts.latest()) if facts.latest() > now else None,
        "runs": [_run(run) for run in destination.ledger.runs(runs)],
        "misp": facts.misp,
        "credential_ends": iso_time(facts.credential_ends or None),
        "misp_key_ends": iso_time(facts.misp_key_ends or None),
    }


def _objects(destination: LedgerDestination, now: int) -> Json:
    """Count objects: each is in one of waiting, in flight, rejected, leaving and withdrawn, or well where it is.

    What waits, to be sent (``pending``) or withdrawn, was not taken; what is in flight may have been.
    """
    ledger = destination.ledger
    stages, unknown, leaving = ledger.standings()
    pending = stages[Stage.PENDING] + stages[Stage.SENDING]
    kinds = ledger.live_by_kind(now)
    return {
        "live": sum(kinds.values()),
        "live_by_kind": kinds,
        f"expiring_in_{EXPIRES_SOON}_days": ledger.expiring_in_sentinel(now, now + EXPIRES_SOON * DAY),
        "pending": pending,
        "in_flight": unknown.total(),
        "waiting": pending + stages[Stage.WITHDRAWING],
        "waiting_withdrawals": stages[Stage.WITHDRAWING],
        "unknown": unknown.total() - unknown[Stage.WITHDRAWING],
        "unknown_withdrawals": unknown[Stage.WITHDRAWING],
        "blocked": ledger.facts().blocked,
        "rejected": stages[Stage.REJECTED],
        "rejections": dict(list(destination.rejections().items())[:_MOST_FREQUENT]) if stages[Stage.REJECTED] else {},
        "withdrawn": stages[Stage.WITHDRAWN],
        "leaving": leaving.total(),
        "leaving_reasons": dict(leaving.most_common()),
    }


def _context(ledger: Ledger, facts: DestinationFacts) -> Json:
    """Count by kind what stands beside indicators: what is live, and where the rest of it stands.

    What a guard held back in the last whole run is leaving as well, as long as it is live.
    """
    held_back = ((facts.last_run or {}).get("context") or {}).get("refused", {})
    return {
        str(kind): {
            "live": stages["live"],
            "pending": stages[Stage.PENDING] + stages[Stage.SENDING],
            "rejected": stages[Stage.REJECTED],
            "kept_back": stages[Stage.KEPT_BACK],
            "leaving": _leaving(stages, held_back.get(kind, 0)),
            "withdrawn": stages[Stage.WITHDRAWN],
        }
        for kind, stages in ContextLedger(ledger).counts().items()
    }


def _leaving(stages: Mapping[str, int], held_back: int) -> int:
    leaving = stages["leaving"] + stages[Stage.WITHDRAWING]
    return leaving + min(held_back, max(0, stages["live"] - leaving))


def _sightings(ledger: Ledger, settings: Settings) -> Json | None:
    """Say until when alerts were read, how that last went, and where sightings stand; None where they never were."""
    known = SightingLedger(ledger)
    window = known.window()
    if window == SightingWindow():
        return None
    stages = known.stages()
    return {
        "configured": settings.misp_sightings.configured,
        "read_until": iso_time(window.until or None),
        "last_reading": _last_run(window.report),
        "states": {stage.name.lower(): stages[stage] for stage in SightingStage},
    }


def _unfinished(ledger: Ledger, settings: Settings, now: int) -> Json:
    """Say since when a whole run has not come to its end, and whether it never will: nobody holds its lock any more.

    A run holds that until the ledger has how it ended, so the ledger is asked again after it. It may be held by
    another one since, which is why it is not believed for longer than a run takes.
    """
    begun = _begun(ledger.facts(), now)
    gone = bool(begun) and not ledger.is_locked()
    if gone and _begun(ledger.facts(), now) != begun:
        return {"unfinished_since": None, "cut_off": False}
    longest = max(DAY, 60 * settings.max_run_minutes)
    return {"unfinished_since": iso_time(begun or None), "cut_off": gone or (bool(begun) and now - begun > longest)}


def _begun(facts: DestinationFacts, now: int) -> int:
    """Return when a whole run began that has not come to its end; 0 without one."""
    return facts.begun_at if facts.whole_run_at != facts.begun_at <= now else 0


def _last_run(run: Mapping[str, Any] | None) -> Json | None:
    return {**run, "at": iso_time(run.get("at"))} if run else None


def _run(run: RunRecord) -> Json:
    return {**asdict(run), "at": iso_time(run.at)}
