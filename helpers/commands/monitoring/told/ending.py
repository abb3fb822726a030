"""How a run ended, for those outside: codes, counts, names of destinations, and sentences of our own. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from helpers.commands.monitoring.moments import Watch, seconds_of
from helpers.commands.monitoring.told.causes import GUARD, cause_in, cause_of
from helpers.errors import ExitCode
from helpers.microsoft import OutcomeState
from helpers.text import counted

if TYPE_CHECKING:
    from helpers.commands.explain.ledger_view import Json
    from helpers.sync import Report, SightingsReport

_NO_GOOD_RUN = "there was no good run in the last "
_LATE = f"{_NO_GOOD_RUN}{{}}: is cron still there, and what does the log say?"
_CUT_OFF = "a run did not come to its end: it was cut off (kill, no memory left, a full disk, a reboot)"
_WELL = (ExitCode.DONE, ExitCode.UNFINISHED)
_SIGHTINGS = "sightings: "


@dataclass(frozen=True)
class Ending:
    """How a run ended at one destination; ``name`` is that of the settings, empty for the only one.

    ``exit_code`` is None where it is not about one run. ``cause`` says why it failed, or that a guard held withdrawals
    back; empty where it went well. ``has_read_alerts`` is False where it says nothing of sightings.
    """

    name: str
    exit_code: int | None
    cause: str = ""
    counts: str = ""
    has_read_alerts: bool = True

    @property
    def is_told(self) -> bool:
        """Whether there is anything to tell: another run, which is active, tells of itself."""
        return self.exit_code != ExitCode.RUN_ACTIVE

    @property
    def is_well(self) -> bool:
        """Whether it did what a run does, even where something was rejected or is pending."""
        return not self.cause

    def ends(self, cause: str) -> bool:
        """Whether what was wrong is over now; a run that ended with 1 is no good one, which is what was waited for."""
        if cause.startswith(_SIGHTINGS) and not self.has_read_alerts:
            return False
        return self.is_well and not (self.exit_code == ExitCode.UNFINISHED and cause.startswith(_NO_GOOD_RUN))


@dataclass(frozen=True)
class RunEnding:
    """How a run ended at each of its destinations, and its exit code."""

    exit_code: int
    parts: Sequence[Ending]

    @property
    def told(self) -> list[Ending]:
        """The destinations of which there is something to tell."""
        return [part for part in self.parts if part.is_told]

    @property
    def is_well(self) -> bool:
        """Whether all of them went well."""
        return all(part.is_well for part in self.told)


def ending_of(report: Report, name: str) -> RunEnding:
    """Return how a run ended that has a report; ``name`` is that of its destination where there is one only."""
    parts = [_part(part, part.name or name, _sightings_at(report, part)) for part in report.parts or [report]]
    return RunEnding(report.exit_code, parts)


def ending_of_failure(names: Sequence[str], exit_code: int, text: str) -> RunEnding:
    """Return how a run ended at destinations of these names that has no report, but a text about its failure."""
    cause = cause_of(exit_code, text)
    return RunEnding(exit_code, [Ending(name, exit_code, cause) for name in names])


def endings_of(answer: Json, watch: Watch) -> list[Ending]:
    """Return how it stands at each destination of the settings, by what the ledger knows of all of them."""
    ours = [known for known in answer["destinations"] if known["in_settings"]]
    never = [] if answer["max_age_hours"] is None else answer["not_in_ledger"]
    late = _LATE.format(counted(answer["max_age_hours"] or 0, "hour", "hours"))
    causes = {known["name"]: _trouble_of(known) or (late if _is_late(known, answer, watch) else "") for known in ours}
    return [Ending(name, None, cause) for name, cause in {**causes, **dict.fromkeys(never, late)}.items()]


def _trouble_of(known: Json) -> str:
    """Return what is wrong with the last whole run, as the run itself told it."""
    run = known["last_run"] or {}
    if known["cut_off"]:
        return _CUT_OFF
    if run.get("exit_code", ExitCode.DONE) not in _WELL:
        return cause_in(run)
    return GUARD if run.get("refused_withdrawals") else _trouble_with_sightings(known["sightings"])


def _trouble_with_sightings(known: Json | None) -> str:
    reading = (known["last_reading"] if known and known["configured"] else None) or {}
    return f"{_SIGHTINGS}{cause_in(reading)}" if reading.get("exit_code", ExitCode.DONE) not in _WELL else ""


def _is_late(known: Json, answer: Json, watch: Watch) -> bool:
    hours, good = answer["max_age_hours"], known["last_good_run"]
    return hours is not None and (good is None or watch.now - seconds_of(good) > hours * 3600)


def _sightings_at(report: Report, part: Report) -> SightingsReport | None:
    """Return what became of the sightings of a part of a run; None where they were none of it."""
    told = report.sightings
    each = told.parts if told else ()
    return next((one for one in each if one.name == part.name), None) if each else told


def _part(report: Report, name: str, sightings: SightingsReport | None) -> Ending:
    code = report.own_exit_code
    unread = "could not be read" if report.unread else ""
    text = " ".join(filter(None, [report.misp_error, unread, report.given_up, report.failure]))
    if code == ExitCode.RUN_ACTIVE:
        cause = ""
    elif code not in _WELL or report.failure:
        cause = cause_of(code, text)
    else:
        cause = GUARD if report.refusals else _failure_of(sightings)
    if sightings and code in _WELL:
        code = max(code, sightings.exit_code)
    return Ending(name, code, cause, _counts(report), has_read_alerts=bool(sightings and sightings.until))


def _failure_of(sightings: SightingsReport | None) -> str:
    if sightings is None or sightings.exit_code in _WELL:
        return ""
    text = " ".join(filter(None, [sightings.misp_error, sightings.failure]))
    return f"{_SIGHTINGS}{cause_of(sightings.exit_code, text)}"


def _counts(report: Report) -> str:
    """Say what was done, zeros too, and what is left."""
    sent, gone = report.states, report.withdrawal_states
    done = [
        f"{sent[OutcomeState.ACCEPTED]:,} sent",
        f"{gone[OutcomeState.ACCEPTED]:,} withdrawn",
        f"{report.skipped.total():,} skipped",
    ]
    left = {
        "rejected": report.rejected,
        "pending": sent[OutcomeState.PENDING] + gone[OutcomeState.PENDING],
    }
    done += [f"{count:,} {what}" for what, count in left.items() if count]
    live = f"; {counted(report.live, 'indicator', 'indicators')} live" if report.keeps_ledger else ""
    return f"{', '.join(done)}{live}"
