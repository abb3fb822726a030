"""How a run went, in one sentence. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from helpers.commands.screen import Tone
from helpers.microsoft import OutcomeState
from helpers.sync import Problem, problems_of, shared_problems
from helpers.text import counted, duration

if TYPE_CHECKING:
    from helpers.sync import Report

FAILED, PARTLY, DRY = "FAILED", "PARTLY DONE", "Dry run"
_NOT_SENT = "Nothing was sent, and Microsoft was not asked (check does)."
_ALERTS_ASKED = "Nothing was sent; Microsoft was asked for alerts alone."
_NOT_TAKEN_OVER = "Nothing was taken over, and nothing was sent."


@dataclass(frozen=True)
class Verdict:
    """How a run went: ``cause`` is what the words name of what went wrong, ``problems`` what they do not name."""

    tone: Tone
    words: str
    cause: Problem | None = None
    problems: Sequence[Problem] = ()


def verdict_of(report: Report) -> Verdict:
    """Say how a run went, at one destination or at several."""
    if report.parts:
        return _of_several(report)
    problems = problems_of(report)
    if not report.exit_code:
        return _good(report, problems)
    cause, *others = problems
    return Verdict(tone_of(cause), f"{label(report, cause)}: {cause.words}", cause, others)


def tone_of(problem: Problem) -> Tone:
    """Return the colour of something that went wrong."""
    return Tone.BAD if problem.fatal else Tone.ODD


def label(report: Report, cause: Problem) -> str:
    """Return what a verdict begins with where something went wrong."""
    if cause.fatal:
        return f"{FAILED} at {cause.at}" if cause.at else FAILED
    return DRY if report.dry_run else PARTLY


def counts(report: Report) -> str:
    """Say how many were sent, withdrawn and skipped: zeros too, since each of the three is looked for."""
    if report.command:
        return _counts_of_command(report)
    would = "would be " if report.dry_run else ""
    said = [f"{sent(report):,} {would}sent", f"{withdrawn(report):,} withdrawn", f"{report.skipped.total():,} skipped"]
    if report.unchanged:
        said.append(f"{report.unchanged:,} unchanged")
    return ", ".join([*said, *_beside(report)])


def sent(report: Report) -> int:
    """Return how many indicators Microsoft took; in a dry run, how many would go out."""
    return report.states[OutcomeState.PENDING if report.dry_run else OutcomeState.ACCEPTED]


def withdrawn(report: Report) -> int:
    """Return how many indicators were withdrawn, or would be in a dry run."""
    return report.withdrawals.total() if report.dry_run else report.withdrawal_states[OutcomeState.ACCEPTED]


def nothing_changed(report: Report) -> bool:
    """Say whether there was nothing to do, since MISP shows what it showed before."""
    changed = report.events or report.indicators or report.withdrawals.total() or report.held
    return not (report.command or changed or any(moved_beside(report).values()))


def moved_beside(report: Report) -> dict[str, int]:
    """Return how much that is no indicator was sent and withdrawn, or would be in a dry run, by these words."""
    context = report.context
    if report.dry_run:
        return {"sent": context.planned.total(), "withdrawn": context.leaving.total()}
    return {"sent": context.accepted.total(), "withdrawn": context.withdrawn.total()}


def _beside(report: Report) -> list[str]:
    """Say how much that is no indicator was sent and withdrawn; nothing where nothing was."""
    said = [f"{count:,} {what}" for what, count in moved_beside(report).items() if count]
    return [f"context: {' and '.join(said)}"] if said else []


def _counts_of_command(report: Report) -> str:
    would = "would be " if report.dry_run else ""
    said = [f"{report.adopted.total():,} {would}taken over"] if report.command == "adopt" else []
    if report.command == "withdraw" or report.withdrawals:
        said.append(f"{withdrawn(report):,} {would}withdrawn")
    return ", ".join([*said, *_beside(report)])


# -- where all went well --------------------------------------------------------------------------


def _good(report: Report, problems: Sequence[Problem]) -> Verdict:
    if report.nothing_found:
        return Verdict(Tone.ODD, f"Nothing to send: {report.nothing_found}", problems=problems)
    if report.dry_run:
        not_sent = _ALERTS_ASKED if report.sightings else _NOT_SENT
        not_done = _NOT_TAKEN_OVER if report.command == "adopt" else not_sent
        return Verdict(Tone.ODD, f"{DRY}: {counts(report)}. {not_done}", problems=problems)
    if problems:
        warnings = counted(len(problems), "warning", "warnings")
        return Verdict(Tone.ODD, f"OK, with {warnings}: {_done(report)}", problems=problems)
    if nothing_changed(report):
        return Verdict(Tone.GOOD, f"Nothing changed in MISP. {live(report)}".strip())
    return Verdict(Tone.GOOD, f"OK: {_done(report)}")


def _done(report: Report) -> str:
    where = f" at {_places(report)}" if report.parts else ""
    return f"{counts(report)}{where}, in {duration(report.seconds)}"


def live(report: Report) -> str:
    """Say how many indicators are live; nothing where no ledger counts them."""
    if not report.keeps_ledger:
        return ""
    where = f"at {_places(report)}" if report.parts else "in Sentinel"
    return f"{counted(report.live, 'indicator', 'indicators')} live {where}."


# -- several destinations -------------------------------------------------------------------------


def _of_several(report: Report) -> Verdict:
    """Say at how many destinations it went wrong, and what at the first of the worst; else the sums."""
    shared = shared_problems(report)
    causes = [(part.name, cause) for part in report.parts if (cause := verdict_of(part).cause)]
    if not causes and report.exit_code:  # of the sightings, which are the run's as a whole
        causes = [("", problem) for problem in shared]
    if not causes:
        return _good(report, shared)
    name, cause = next(((name, cause) for name, cause in causes if cause.fatal), causes[0])
    alike = [other for _, other in causes if other.fatal is cause.fatal]
    where = "" if cause.at or not name else f" at {_some(name, len(alike), len(report.parts))}"
    whose = f"{name}: " if name and any(other != cause for other in alike) else ""
    words = f"{label(report, cause)}{where}: {whose}{cause.words}"
    return Verdict(tone_of(cause), words, cause, [problem for problem in shared if problem != cause])


def _places(report: Report) -> str:
    return counted(len(report.parts), "destination", "destinations")


def _some(name: str, some: int, of: int) -> str:
    if some == of == 1:
        return name
    if some == 1:
        return f"{name}, 1 of {of} destinations"
    return f"all {of} destinations" if some == of else f"{some} of {of} destinations"
