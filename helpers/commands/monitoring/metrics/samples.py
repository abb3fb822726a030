"""What the ledger knows, as numbers for Prometheus. What is not known is left out, and never 0. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from constants import Skip
from helpers.commands.monitoring.moments import seconds_of
from helpers.ledger import RunKind

if TYPE_CHECKING:
    from helpers.commands.explain.ledger_view import Json

Labels = Mapping[str, str]
Numbers = Iterator[tuple[str, Labels, float | None]]
NO_LABELS: Labels = {}

_OUTCOMES = (
    *("accepted", "rejected", "pending", "unchanged"),
    *("withdrawn", "withdrawals_rejected", "withdrawals_pending"),
)
_PLANS = ("new", "changed", "renewed", "again")
_EXPIRING = (7, 30)
_OF_READING = ("exit_code", "alerts", "matches")
_REASONS = frozenset(reason.name.lower() for reason in Skip)
_OTHER = "other"


class Sample(NamedTuple):
    """One number: its metric's name without the prefix, and its labels."""

    name: str
    labels: Labels
    value: float


def samples_of(answer: Json) -> Iterator[Sample]:
    """Yield every number of the destinations that the settings name, from what ``answer_of`` knows of them."""
    yield Sample("build_info", {"version": answer["version"]}, 1)
    for name in answer["not_in_ledger"]:
        yield Sample("destination_info", {"destination": name}, 1)
    for destination in answer["destinations"]:
        if destination["in_settings"]:
            yield from _of_destination(destination)


def _of_destination(destination: Json) -> Iterator[Sample]:
    named = {"destination": destination["name"] or destination["workspace"]}
    yield Sample("destination_info", named, 1)
    for numbers in (_moments, _last_run, _counts_of_run, _objects, _context, _sightings, _events, _holdings):
        for name, labels, value in numbers(destination):
            if value is not None:
                yield Sample(name, {**named, **labels}, value)


def _moments(destination: Json) -> Numbers:
    last_run = destination["last_run"] or {}
    for name, moment in (
        ("last_run", last_run.get("at")),
        ("last_good_run", destination["last_good_run"]),
        ("last_full_run", destination["last_full_run"]),
    ):
        yield f"{name}_timestamp_seconds", NO_LABELS, _seconds(moment)
    for name, moment in (("microsoft", destination["credential_ends"]), ("misp_key", destination["misp_key_ends"])):
        yield "credential_expiry_timestamp_seconds", {"credential": name}, _seconds(moment)


def _seconds(moment: str | None) -> int | None:
    return seconds_of(moment) if moment else None


def _last_run(destination: Json) -> Numbers:
    last_run = destination["last_run"]
    yield "run_cut_off", NO_LABELS, float(destination["cut_off"])
    if last_run:
        yield "last_run_duration_seconds", NO_LABELS, last_run.get("seconds")
        yield "last_run_exit_code", NO_LABELS, last_run.get("exit_code")
        yield "last_run_refusals", NO_LABELS, len(last_run.get("refused_withdrawals", []))


def _counts_of_run(destination: Json) -> Numbers:
    """Yield what the last whole run did; nothing where the ledger has no row of it."""
    run = next((run for run in destination["runs"] if run["kind"] != RunKind.UUID), None)
    if run is None:
        return
    yield from (("last_run_indicators", {"outcome": name}, run[name]) for name in _OUTCOMES)
    yield from (("last_run_planned_indicators", {"plan": name}, run[name]) for name in _PLANS)
    yield from ((f"last_run_{name}", NO_LABELS, run[name]) for name in ("events", "attributes", "requests"))
    yield from _by_reason("last_run_skipped_attributes", run["skipped"])


def _objects(destination: Json) -> Numbers:
    yield "live_indicators", NO_LABELS, destination["live"]
    for kind, count in destination["live_by_kind"].items():
        yield "live_indicators_by_kind", {"kind": kind}, count
    yield "pending_indicators", {"action": "send"}, destination["pending"]
    yield "pending_indicators", {"action": "withdraw"}, destination["waiting_withdrawals"]
    yield "in_flight_indicators", {"action": "send"}, destination["unknown"]
    yield "in_flight_indicators", {"action": "withdraw"}, destination["unknown_withdrawals"]
    yield "rejected_indicators", NO_LABELS, destination["rejected"]
    yield "leaving_indicators", NO_LABELS, destination["leaving"]


def _context(destination: Json) -> Numbers:
    for kind, counts in destination["context"].items():
        yield from (("context_objects", {"kind": kind, "state": state}, count) for state, count in counts.items())


def _sightings(destination: Json) -> Numbers:
    """Yield what is known of sightings; nothing where alerts were never read, or are read no longer."""
    known = destination["sightings"]
    if known is None or not known["configured"]:
        return
    yield from (("sightings", {"state": state}, count) for state, count in known["states"].items())
    yield "sightings_read_until_timestamp_seconds", NO_LABELS, _seconds(known["read_until"])
    if reading := known["last_reading"]:
        yield from ((f"last_sightings_{name}", NO_LABELS, reading.get(name)) for name in _OF_READING)


def _events(destination: Json) -> Numbers:
    yield "held_events", NO_LABELS, destination["held_events"]
    yield "refused_events", NO_LABELS, destination["refused_events"]


def _holdings(destination: Json) -> Numbers:
    holdings = destination["holdings"]
    for days in _EXPIRING:
        yield "expiring_indicators", {"within": f"{days}d"}, sum(holdings.expiring[:days])
    for tlp, count in holdings.tlp.items():
        yield "live_indicators_by_tlp", {"tlp": tlp or "unknown"}, count
    yield from _by_reason("skipped_attributes", {name.lower(): count for name, count in holdings.skips.items()})
    if holdings.held:
        yield "oldest_held_event_timestamp_seconds", NO_LABELS, holdings.held[0].since or None


def _by_reason(name: str, skips: Mapping[str, int]) -> Numbers:
    """Yield how many are skipped for each reason; what is none that this version knows is counted together."""
    counts = dict.fromkeys(_REASONS & skips.keys(), 0)
    for reason, count in skips.items():
        known = reason if reason in _REASONS else _OTHER
        counts[known] = counts.get(known, 0) + count
    yield from ((name, {"reason": reason}, count) for reason, count in counts.items())
