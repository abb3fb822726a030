"""What the ledger knows, without what MISP and Microsoft said: as it may leave this host. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.commands.monitoring.told.causes import SAID, cause_in
from helpers.errors import ExitCode

if TYPE_CHECKING:
    from helpers.commands.explain.ledger_view import Json

_LISTED = ("unread_events", "warnings", "refused_withdrawals")


def in_own_words(answer: Json) -> Json:
    """Return what is known of all destinations with our own sentence for the cause of each failure."""
    return {**answer, "destinations": [_destination(known) for known in answer["destinations"]]}


def _destination(known: Json) -> Json:
    run = known["last_run"] and _run(known["last_run"])
    return {**known, "last_run": run, "rejections": {}, "sightings": _sightings(known["sightings"])}


def _sightings(known: Json | None) -> Json | None:
    reading = known and known["last_reading"]
    return {**known, "last_reading": {**_run(reading), "refusals": []}} if known and reading else known


def _run(run: Json) -> Json:
    """Of what was said only how much stays: nobody else's word, but a count."""
    code = run.get("exit_code", ExitCode.DONE)
    counted = {name: [""] * len(run.get(name, [])) for name in _LISTED}
    failed = code not in (ExitCode.DONE, ExitCode.UNFINISHED)
    bare = {**run, **dict.fromkeys(SAID, ""), **counted, "unread_events": []}
    return {**bare, "failure": f"{cause_in(run)}."} if failed else bare
