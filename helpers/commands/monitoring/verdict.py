"""Whether all is well: one sentence, its colour, and what it means for the exit code. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from helpers.commands.monitoring.moments import Watch, ago, seconds_of
from helpers.commands.screen import Tone
from helpers.context import kinds_in_words
from helpers.errors import ExitCode
from helpers.microsoft import Failure, taken_apart
from helpers.text import counted

if TYPE_CHECKING:
    from helpers.commands.explain.ledger_view import Json

NO_LEDGER = "There is no ledger yet: nothing has run with these settings. A first run, or adopt, makes it."
_NOT_THERE = "The destination that the settings name is not in the ledger: it has had no run yet."
_NO_RUN = "There has been no run yet with these settings."
_CUT_OFF = (
    "the run that began {} did not come to its end: it was cut off (kill, no memory left, a full disk, a reboot). The "
    "next run goes on from there; see how far the log of this one goes."
)
_UNFINISHED = "a run that began {} is active"
_LATE = "LATE: no good run in the last {} (--max-age){}."
_UNKNOWN = ", and a run of the future counts as unknown"
_RESULTS = {
    ExitCode.DONE: "done",
    ExitCode.UNFINISHED: "done, but not all of it",
    ExitCode.SETTINGS: "it could not be done",
    ExitCode.MISP: "MISP failed",
    ExitCode.MICROSOFT: "Microsoft failed",
    ExitCode.OWN_FAULT: "a fault of this program's own",
    ExitCode.STOPPED: "stopped from outside",
}
_STATES = {Tone.GOOD: "good", Tone.ODD: "odd", Tone.BAD: "bad"}


@dataclass(frozen=True)
class Verdict:
    """How all of it stands: BAD wakes somebody, ODD is to be looked at.

    ``more`` are further sentences of the same weight, ``failure`` is what the words tell the cause of.
    """

    tone: Tone
    words: str
    more: Sequence[str] = ()
    failure: Failure = field(default=Failure(""))

    @property
    def wakes_nobody(self) -> bool:
        """Whether monitoring has nothing to report."""
        return self.tone is not Tone.BAD

    @property
    def state(self) -> str:
        """The verdict for programs."""
        return _STATES[self.tone]


def verdict_of(answer: Json, watch: Watch) -> Verdict:
    """Say whether all is well at the destinations of the settings."""
    ours = [destination for destination in answer["destinations"] if destination["in_settings"]]
    bad = [destination for destination in ours if has_failed(destination)]
    late = [_lateness(answer, ours)] if answer["late"] else []
    if bad:
        return _failed(bad, len(ours), late, watch)
    nothing = _nothing_known(answer, ours)
    if late:
        return Verdict(Tone.BAD, late[0], [nothing] if nothing else [])
    told = (_named(destination, words) for destination in ours for words in oddities(destination, watch))
    odd = ", ".join([*told, *_without_run(answer, ours)])
    if nothing:
        return Verdict(Tone.ODD, f"{nothing} To be looked at: {odd}." if ours and odd else nothing)
    summary = _summary(ours, watch)
    return Verdict(Tone.ODD, f"OK, but {odd}. {summary}") if odd else Verdict(Tone.GOOD, f"OK. {summary}")


def is_late(answer: Json, watch: Watch) -> bool:
    """Say whether any of the settings' destinations had no good run in the hours that were asked for."""
    hours = answer["max_age_hours"]
    if hours is None:
        return False
    runs = [destination["last_good_run"] for destination in answer["destinations"] if destination["in_settings"]]
    return bool(answer["not_in_ledger"]) or any(
        run is None or watch.now - seconds_of(run) > hours * 3600 for run in runs
    )


def has_failed(destination: Json) -> bool:
    """Say whether the last whole run ended with anything but 0 or 1, or never came to its end."""
    return destination["cut_off"] or ended_badly(destination["last_run"] or {})


def ended_badly(run: Json) -> bool:
    """Say whether a run, or a reading of alerts, ended with anything but 0 or 1."""
    return run.get("exit_code", ExitCode.DONE) not in (ExitCode.DONE, ExitCode.UNFINISHED)


def oddities(destination: Json, watch: Watch) -> Iterator[str]:
    """Yield what is to be looked at in a destination, and wakes nobody."""
    run = destination["last_run"] or {}
    if destination["unfinished_since"]:
        yield _UNFINISHED.format(watch.ago(destination["unfinished_since"]))
    left = list(_remaining(destination))
    yield from left
    if run.get("exit_code") == ExitCode.UNFINISHED and not left:
        yield f"the last run ended with 1: {cause_of(run)[1].sentence or result_of(run)}".rstrip(".")
    yield from _sightings(destination)
    if destination["in_the_future"]:
        yield "a clock was ahead"
    if warnings := len(run.get("warnings", [])):
        yield counted(warnings, "warning", "warnings")


def result_of(run: Json) -> str:
    """Return what a run's exit code means."""
    code = run.get("exit_code", 0)
    return _RESULTS.get(code, f"it ended with {code}")


def cause_of(run: Json) -> tuple[str, Failure]:
    """Return at whom a run failed, empty where the words say so, and why."""
    if run.get("exit_code") in (ExitCode.OWN_FAULT, ExitCode.STOPPED):  # what else the report has came before that
        return "", taken_apart(run.get("cause") or "")
    if run.get("misp_error"):
        return " at MISP", taken_apart(run["misp_error"])
    if unread := run.get("unread_events"):
        return " at MISP", Failure(f"{counted(len(unread), 'event', 'events')} could not be read: {unread[0]}")
    return "", taken_apart(run.get("failure") or run.get("given_up") or run.get("cause") or "")


# -- where something failed -------------------------------------------------------------------------


def _failed(failed: Sequence[Json], of: int, late: Sequence[str], watch: Watch) -> Verdict:
    """Tell the cause of the first failure, and at how many destinations there was one."""
    first = failed[0]
    where = _some(first["name"], len(failed), of) if of > 1 else ""
    if first["cut_off"]:
        words = _CUT_OFF.format(watch.ago(first["unfinished_since"]))
        return Verdict(Tone.BAD, f"FAILED{where}: {words}", late)
    at, failure = cause_of(first["last_run"])
    words = failure.sentence or f"{result_of(first['last_run'])}."
    return Verdict(Tone.BAD, f"FAILED{at}{where}, {ago(first['seconds_ago'])}: {words}", late, failure)


def _some(name: str, some: int, of: int) -> str:
    if some == 1:
        return f" at {name}, 1 of {of} destinations"
    return f" at all {of} destinations" if some == of else f" at {some} of {of} destinations"


def _lateness(answer: Json, ours: Sequence[Json]) -> str:
    ahead = any(destination["in_the_future"] for destination in ours)
    return _LATE.format(counted(answer["max_age_hours"], "hour", "hours"), _UNKNOWN if ahead else "")


# -- where nothing failed ---------------------------------------------------------------------------


def _nothing_known(answer: Json, ours: Sequence[Json]) -> str:
    if not answer["destinations"]:
        return NO_LEDGER
    if not ours:
        return _NOT_THERE
    return "" if any(destination["last_run"] for destination in ours) else _NO_RUN


def _remaining(destination: Json) -> Iterator[str]:
    """Yield what is left to be done, or to be decided, of what was wanted."""
    refused = destination["refused_events"] or (destination["last_run"] or {}).get("refused_withdrawals")
    for count, words in (
        (destination["rejected"], "rejected by Microsoft"),
        (destination["pending"], "waiting to be sent"),
        (destination["in_flight"], "sent and not yet answered"),
        (destination["leaving"] + destination["waiting_withdrawals"], "waiting to be withdrawn"),
    ):
        if count:
            yield f"{count:,} {words}"
    for name, words in (("rejected", "rejected by Microsoft"), ("pending", "waiting to be sent")):
        if said := kinds_in_words({kind: counts[name] for kind, counts in destination["context"].items()}):
            yield f"{said} {words}"
    if refused:
        yield "a guard held withdrawals back"


def _sightings(destination: Json) -> Iterator[str]:
    """Yield why what alerts matched did not get to MISP, where it is to get there."""
    known = destination["sightings"]
    reading = (known["last_reading"] if known and known["configured"] else None) or {}
    if ended_badly(reading):
        at, failure = cause_of(reading)
        yield f"sightings failed{at}: {failure.sentence or result_of(reading)}".rstrip(".")


def _without_run(answer: Json, ours: Sequence[Json]) -> Iterator[str]:
    """Yield which of several destinations had no run yet."""
    known = [destination["name"] for destination in ours if not destination["last_run"]]
    return (f"{name}: no run yet" for name in [*known, *answer["not_in_ledger"]] if name)


def _summary(ours: Sequence[Json], watch: Watch) -> str:
    """Say when the last run was, of several the oldest and the latest, and how many indicators are live."""
    runs = [destination["last_run"]["at"] for destination in ours if destination["last_run"]]
    live = counted(sum(destination["live"] for destination in ours), "indicator", "indicators")
    where = "in Sentinel" if len(ours) == 1 else f"at {len(ours)} destinations"
    return f"{_last(runs, watch)} {live} live {where}."


def _last(runs: Sequence[str], watch: Watch) -> str:
    """Say when the last run of each destination was."""
    oldest, latest = watch.ago(min(runs)), watch.ago(max(runs))
    if oldest != latest:
        return f"The oldest of the last runs was {oldest}, the latest {latest}."
    return f"The last runs were {oldest}." if len(runs) > 1 else f"The last run was {oldest}."


def _named(destination: Json, words: str) -> str:
    return f"{destination['name']}: {words}" if destination["name"] else words
