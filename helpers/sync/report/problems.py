"""What went wrong in a run, the heaviest first: the first of it is the verdict, the rest what matters. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from helpers.errors import ExitCode
from helpers.microsoft import taken_apart
from helpers.text import counted, shorten

if TYPE_CHECKING:
    from helpers.sync.report.report import Report

Rows = tuple[tuple[str, str], ...]

_MOST = 3
_LONGEST = 60
_MORE = "and {:,} more: the log has each"
_UNREAD = "{} could not be read; the next run reads what could not be read again."
_FAULTS = "a fault of MISP2Sentinel's own, please report it (the log has more)."
_NEXT_RUN_SENDS = "the next run sends what is wanted of it"
_TIME_UP = "the run's time was up (max_run_minutes): {}."
_GOES_ON = "the next run goes on"
_BEGINS_AGAIN = 'the next run begins from scratch and may never come to the end, since state_url is "none"'
_SIGHTINGS = "sightings: "
_IN_DOUBT = "{} had no answer of MISP's, which is asked by the next run whether it has them."
_REVOKED = (
    "Microsoft keeps {} as revoked of which the ledger did not know: it is an older one (restored from a backup?), or "
    "somebody else did that. The next run sends what is wanted of it under another id; what else may differ, and how "
    "to have all of it right at once, is in docs/ledger.md#when-the-ledger-and-sentinel-differ."
)


@dataclass(frozen=True)
class Problem:
    """One thing that went wrong; ``fatal`` where it ended the run, or a destination's part in it.

    ``at`` is who failed, where the words do not say so. ``cases`` are what it happened to and how, ``particulars`` ids
    and the like, as (name, value), and ``whole`` is the text that was taken apart into these and the words.
    """

    words: str
    fatal: bool = False
    at: str = ""
    cases: Rows = field(default=(), compare=False)
    particulars: Rows = field(default=(), compare=False)
    whole: str = field(default="", compare=False)

    @property
    def text(self) -> str:
        """Return it as one text, as ledgers keep it."""
        return f"{self.at} failed: {self.whole or self.words}" if self.at else self.whole or self.words


def problems_of(report: Report) -> list[Problem]:
    """Return what went wrong at one destination, or at all of them alike."""
    sightings = _sightings(report)
    fatal, others = ([each for each in sightings if each.fatal is kind] for kind in (True, False))
    return [*_endings(report), *fatal, *_remainders(report), *others, *map(Problem, report.all_warnings)]


def shared_problems(report: Report) -> list[Problem]:
    """Return what went wrong at each of several destinations alike, and what the run is warned of."""
    first, *others = [problems_of(part) for part in report.parts]
    alike = [problem for problem in first if all(problem in of_other for of_other in others)]
    return list(dict.fromkeys([*alike, *_sightings(report), *map(Problem, report.all_warnings)]))


def _sightings(report: Report) -> list[Problem]:
    """Return what went wrong with the sightings of a run; nothing where they are no part of it."""
    sightings = report.sightings
    if sightings is None:
        return []
    failed = [(sightings.misp_error, "MISP"), (sightings.failure, "")]
    failed += [(part.misp_error or part.failure, part.name) for part in sightings.parts if part.error_code]
    ended = [_ended(text, at) for text, at in failed if text]
    problems = [replace(problem, words=f"{_SIGHTINGS}{problem.words}") for problem in ended]
    if sightings.in_doubt:
        problems.append(Problem(_IN_DOUBT.format(counted(sightings.in_doubt, "sighting", "sightings"))))
    warnings = [*sightings.warnings, *(f"{part.name}: {words}" for part in sightings.parts for words in part.warnings)]
    return [*problems, *(Problem(f"{_SIGHTINGS}{words}") for words in warnings)]


def _endings(report: Report) -> Iterator[Problem]:
    """Yield why the run, or this destination's part in it, came to its end: at MISP, here, at Microsoft."""
    if report.misp_error:
        yield _ended(report.misp_error, at="MISP")
    if report.unread:
        events = counted(len(report.unread), "event", "events")
        yield Problem(_UNREAD.format(events), True, "MISP", _cases(_apart(report.unread), len(report.unread)))
    if report.failure:
        busy = report.failure_code == ExitCode.RUN_ACTIVE
        yield Problem(report.failure) if busy else _ended(report.failure)
    if report.given_up:
        yield _ended(report.given_up)


def _remainders(report: Report) -> Iterator[Problem]:
    """Yield what remains to be done, or to be decided, of a run that came to its end."""
    if report.faults:
        yield Problem(_FAULTS, cases=_cases(_apart(report.faults), len(report.faults)))
    left = report.withdrawals.total() + report.context.to_leave.total()
    how_much = "not everything was withdrawn" if left else "nothing was withdrawn"
    yield from (Problem(f"{how_much}: {refusal}") for refusal in report.refusals)
    if report.stopped:
        yield Problem(_TIME_UP.format(_GOES_ON if report.keeps_ledger else _BEGINS_AGAIN))
    if report.rejections:
        yield _rejected(report)
    if report.revoked_ids:
        yield Problem(_REVOKED.format(counted(report.revoked_ids, "id", "ids")))
    yield from map(Problem, report.waiting())
    yield from _context(report)


def _context(report: Report) -> Iterator[Problem]:
    """Yield what of actors, techniques, organisations and relationships is not at Microsoft as it should be."""
    context = report.context
    if context.rejected:
        what = counted(context.rejected, "object", "objects")
        cases = _cases(_apart(context.rejections), context.rejected)
        yield Problem(f"Microsoft rejects {what} beside the indicators (actors, relationships, …).", cases=cases)
    if context.pending and not (report.dry_run or report.waiting()):  # which says the same of indicators
        be = "is" if context.pending == 1 else "are"
        what = counted(context.pending, "object", "objects")
        again = "withdraw sends them when it is run again" if report.command == "withdraw" else _NEXT_RUN_SENDS
        yield Problem(f"{what} beside the indicators {be} pending: {again}.")


def _ended(text: str, at: str = "") -> Problem:
    sentence, particulars = taken_apart(text)
    return Problem(sentence, fatal=True, at=at, particulars=particulars, whole=text)


def _rejected(report: Report) -> Problem:
    """Say what Microsoft does not take and why: for all of them where it is the same, else for each."""
    count, (first, *_) = report.rejected, report.rejections
    planned = report.indicators + report.withdrawals.total()
    sentence, particulars = taken_apart(first.words)
    alike = all(rejection.words == first.words for rejection in report.rejections)
    rows = [(rejection.pattern, "" if alike else rejection.words) for rejection in report.rejections]
    told = f"Microsoft rejects {count:,} of {counted(planned, 'indicator', 'indicators')}: {sentence}"
    return Problem(told, cases=_cases(rows, count), particulars=particulars)


def _apart(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield what stands before and after the colon: an event, and what is wrong with it."""
    for text in texts:
        what, _, why = text.partition(": ")
        yield what, why


def _cases(rows: Iterable[tuple[str, str]], count: int) -> Rows:
    shown = [(shorten(what, _LONGEST), why) for what, why in islice(rows, _MOST)]
    return tuple(shown + ([("", _MORE.format(count - _MOST))] if count > _MOST else []))
