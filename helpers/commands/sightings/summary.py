"""What became of what alerts matched, for people: the verdict, what is left, and why something was left out. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from constants import NotSighted
from helpers.commands.screen import Line, Tone, columns, looked_up
from helpers.commands.screen import verdict as first_line
from helpers.microsoft import taken_apart
from helpers.text import counted, duration

if TYPE_CHECKING:
    from helpers.sync import SightingsReport

_INDENT = 2
_FAILED, _PARTLY, _DRY = "FAILED", "PARTLY DONE", "Dry run"
_NOTHING_WRITTEN = "Nothing was written into MISP."
_OF_OTHER_RULES = (
    "alert names values, and is of a rule that misp_sightings['rules'] does not name",
    "alerts name values, and are of rules that misp_sightings['rules'] does not name",
)
_IN_DOUBT = "without an answer of MISP's: it is asked which of them it has before any is written again"

Row = tuple[str, str]


def lines_of(report: SightingsReport, log: str) -> Iterator[Line]:
    """Yield all that is said of a reading, the verdict first; ``log`` is where the log is."""
    yield first_line(_tone(report), verdict_of(report))
    yield from columns(list(_rows(report)), _INDENT)
    for part in report.parts:
        yield Line(verdict_of(part), _tone(part), mark=f"{part.name}:", indent=_INDENT)
        yield from (Line(words, Tone.ODD, "warning:", indent=2 * _INDENT) for words in part.warnings)
    yield from (Line(words, Tone.ODD, "warning:", indent=_INDENT) for words in report.warnings)
    if report.failure:
        yield from looked_up(taken_apart(report.failure).particulars)
    if report.exit_code:
        yield Line(f"Exit code {report.exit_code}; the log is {log}", Tone.QUIET)


def verdict_of(report: SightingsReport) -> str:
    """Say how it went, in one sentence."""
    if cause := problem_of(report):
        return f"{_FAILED}: {cause}"
    if report.in_doubt:
        return f"{_PARTLY}: {counts_of(report)}; {report.in_doubt:,} {_IN_DOUBT}."
    if report.dry_run:
        return f"{_DRY}: {counts_of(report)}. {_NOTHING_WRITTEN}"
    where = f" at {counted(len(report.parts), 'destination', 'destinations')}" if report.parts else ""
    return f"OK: {counts_of(report)}{where}, in {duration(report.seconds)}"


def problem_of(report: SightingsReport) -> str:
    """Return what went wrong, of several destinations the first; "" where nothing did."""
    if report.misp_error:
        return f"MISP: {report.misp_error}"
    if report.failure:
        return taken_apart(report.failure).sentence
    return next((f"{part.name}: {words}" for part in report.parts if (words := problem_of(part))), "")


def _tone(report: SightingsReport) -> Tone:
    if problem_of(report):
        return Tone.BAD
    return Tone.ODD if report.exit_code or report.dry_run or report.warnings else Tone.GOOD


def counts_of(report: SightingsReport) -> str:
    """Say how many alerts there were, and what became of what they matched; nothing of what is none."""
    said = [counted(report.alerts, "alert", "alerts"), _matches(report)]
    waiting = "would be written" if report.dry_run else "waiting"
    counts = {"written": report.written, "there already": report.there, waiting: report.waiting}
    counts |= {"refused": report.refused, "left out": left_out_matches(report)}
    return ", ".join([*said, *(f"{count:,} {what}" for what, count in counts.items() if count)])


def left_out_matches(report: SightingsReport) -> int:
    """Return how many matches led to no sighting; a private address is no match."""
    return report.left_out.total() - report.left_out[NotSighted.PRIVATE]


def _matches(report: SightingsReport) -> str:
    if report.alerts and report.other_rules == report.alerts:
        return "none of a rule that misp_sightings['rules'] names"
    return counted(report.matches, "match", "matches") if report.matches else "no new match"


def _rows(report: SightingsReport) -> Iterator[Row]:
    """Yield what lies behind the verdict; nothing for what is none."""
    if report.false_positives:
        yield "written", f"{counted(report.false_positives, 'false positive', 'false positives')} among them"
    for reason, count in report.left_out.most_common():
        yield "left out", f"{count:,}  {reason.value}"
    if report.unknown:
        words = "id or value that is no indicator of ours", "ids or values that are no indicators of ours"
        yield "unknown", counted(report.unknown, *words)
    if report.other_rules:
        yield "others", counted(report.other_rules, *_OF_OTHER_RULES)
    if report.unreadable:
        yield "unreadable", f"{counted(report.unreadable, 'row or value', 'rows or values')} of Sentinel's"
    yield from (("refused", words) for words in report.refusals)
