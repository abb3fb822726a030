"""What the ledger knows of all destinations, as status, the report page and the metrics tell it."""

from __future__ import annotations

from constants import VERSION
from helpers.commands.explain.ledger_view import Json
from helpers.commands.monitoring.holdings import holdings_of
from helpers.commands.monitoring.moments import Watch
from helpers.commands.monitoring.standing import standing
from helpers.commands.monitoring.verdict import is_late
from helpers.errors import NoLedger
from helpers.ledger import ledger_destinations
from helpers.settings import Settings


def answer_of(
    settings: Settings,
    watch: Watch,
    *,
    max_age_hours: float | None = None,
    runs: int | None = None,
    holdings: bool = False,
) -> Json:
    """Return what is known of each destination, with so many of its last ``runs``, all where it is None.

    With ``holdings`` each has under this name what it holds, counted, as ``Holdings``. Raises NoLedger where the
    settings want none, and LedgerError.
    """
    if not settings.keeps_ledger:
        raise NoLedger
    with ledger_destinations(settings) as in_ledger:
        destinations = [
            standing(destination, settings, watch.now, runs)
            | ({"holdings": holdings_of(destination, watch.now)} if holdings else {})
            for destination in in_ledger
        ]
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
