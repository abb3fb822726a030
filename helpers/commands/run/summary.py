"""A run's summary for people: the verdict, then what matters, then detail, and last what is only looked up. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from helpers.commands.run.context_rows import adopted_of_context, kinds_of_context, rows_of_context
from helpers.commands.run.verdict import Verdict, counts, label, sent, tone_of, verdict_of, withdrawn
from helpers.commands.screen import SYMBOLS, Line, Tone, columns, looked_up
from helpers.commands.screen import verdict as first_line
from helpers.commands.sightings import counts_of
from helpers.errors import ExitCode
from helpers.sync import Problem, problems_of
from helpers.text import counted, shorten

if TYPE_CHECKING:
    from constants import Skip
    from helpers.sync import Report

_INDENT = 2
_LONGEST_EXAMPLE = 160
_ADOPT = "New here? Nothing to do. Sentinel held indicators of MISP before? → adopt"
_ADOPT_THESE = "Sentinel holds {} of MISP's that the ledger does not know → adopt (docs/ledger.md)"

# What is counted, and how much of it.
Row = tuple[str, str]


def headline(report: Report, verdict: Verdict) -> Iterator[Line]:
    """Yield the verdict and everything else that matters."""
    yield first_line(verdict.tone, verdict.words)
    if verdict.cause:
        yield from _cases(verdict.cause)
    yield from _problems(verdict.problems, warnings=not report.exit_code)
    yield from _parts(report, verdict)


def warnings(verdict: Verdict) -> Iterator[Line]:
    """Yield what went well, but not as it should."""
    yield from _problems(verdict.problems, warnings=True, indent=0)


def details(report: Report, *, verbose: bool, not_matched: Sequence[str] = ()) -> Iterator[Line]:
    """Yield what was read, sent, withdrawn and skipped; what is none is left out. ``verbose`` adds examples.

    ``not_matched`` are sentences about what Microsoft's rules do not match.
    """
    rows = _rows_of_command(report) if report.command else _rows_of_run(report)
    titles = ["no match", *[""] * len(not_matched)]
    yield from columns([*rows, *_live(report), *zip(titles, not_matched, strict=False)], _INDENT)
    if verbose:
        yield from _examples(report)
    yield from _advice(report)


def closing(report: Report, verdict: Verdict, log: str) -> Iterator[Line]:
    """Yield, of a run that did not go well, what is only looked up: ids, addresses, Microsoft's words, the log."""
    problems = [*([verdict.cause] if verdict.cause else []), *verdict.problems]
    for part in report.parts:
        problems += problems_of(part)
    particulars = dict.fromkeys(pair for problem in problems for pair in problem.particulars)
    yield from looked_up(list(particulars))
    if report.exit_code:
        yield Line(f"Exit code {report.exit_code}; the log is {log}", Tone.QUIET)


# -- what matters ---------------------------------------------------------------------------------


def _problems(problems: Iterable[Problem], *, warnings: bool, indent: int = _INDENT) -> Iterator[Line]:
    for problem in problems:
        words = f"{problem.at}: {problem.words}" if problem.at else problem.words
        tone = tone_of(problem)
        mark, symbol = ("warning:", "") if warnings else ("", SYMBOLS[tone])
        yield Line(words, tone, mark, indent, symbol=symbol)
        yield from _cases(problem)


def _cases(problem: Problem) -> Iterator[Line]:
    if any(why for _, why in problem.cases):
        yield from columns(problem.cases, 2 * _INDENT)
    else:
        yield from (Line(what, indent=2 * _INDENT) for what, _ in problem.cases)


def _parts(report: Report, whole: Verdict) -> Iterator[Line]:
    """Yield a line for each of several destinations; the cause that the verdict names is not said again."""
    width = max((len(part.name) for part in report.parts), default=0)
    for part in report.parts:
        told = verdict_of(part)
        again = told.cause is not None and told.cause == whole.cause
        words = f"{label(part, told.cause)}: {counts(part)}" if again and told.cause else told.words
        yield Line(words, told.tone, mark=f"{SYMBOLS.get(told.tone, ' ')} {part.name:<{width}} ", indent=_INDENT)
        own = [problem for problem in told.problems if problem not in whole.problems]
        yield from _problems(own, warnings=not part.exit_code, indent=width + _INDENT + 4)


# -- detail ---------------------------------------------------------------------------------------


def _rows_of_run(report: Report) -> Iterator[Row]:
    if report.events:
        yield "read", _read(report)
    yield from _rows_of_detours(report)
    if report.indicators:
        yield "to send" if report.dry_run else "sent", _sent(report)
    if report.twins:
        yield "twins", f"{counted(report.twins, 'URL', 'URLs')} with capital letters, in small letters as well"
    yield from _rows_of_withdrawals(report)
    yield from rows_of_context(report.context, dry=report.dry_run)
    if report.held:
        events = counted(report.held, "event", "events")
        yield "held", f"{events}, edited and not yet published again, or out of sight"
    if report.skipped:
        yield "skipped", _reasons(report.skipped)
    if report.sightings:
        yield "sightings", counts_of(report.sightings)
    if report.left_out:
        yield "left out", f"halves whose other half is sent: {_reasons(report.left_out)}"


def _read(report: Report) -> str:
    where = f" at {len(report.parts)} destinations" if report.parts else ""
    events, skipped = counted(report.events, "event", "events"), report.skipped.total()
    attributes = counted(report.attributes, "attribute", "attributes")
    said = f"{report.attributes - skipped:,} with indicators, {skipped:,} skipped"
    return f"{events}, {attributes}{where}: {said}"


def _rows_of_detours(report: Report) -> Iterator[Row]:
    detours = report.detours
    failed, singly = counted(detours.failed, "request", "requests"), counted(detours.singly, "event", "events")
    said = [
        f"{failed} without an answer ({detours.reason})" if detours.failed else "",
        f"{singly} read one by one" if detours.singly else "",
        f"{detours.waited:,.0f} s waited for its rate limit" if detours.waited >= 1 else "",
    ]
    if any(said) and not (detours.warning or report.misp_error):
        yield "MISP", ", ".join(filter(None, said))


def _sent(report: Report) -> str:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in report.plans.most_common() if count)
    taken = sent(report)
    said = kinds if taken == report.indicators else f"{taken:,} of {report.indicators:,} ({kinds})"
    return f"{said}, in {counted(report.requests, 'request', 'requests')}" if report.requests else said


def _rows_of_withdrawals(report: Report) -> Iterator[Row]:
    title = "to withdraw" if report.dry_run else "withdrawn"
    done, planned = withdrawn(report), report.withdrawals.total()
    if done != planned:
        yield title, f"{done:,} of {planned:,}"
        title = ""
    for reason, count in report.withdrawals.most_common():
        yield title, f"{count:,}: {reason}"
        title = ""


def _rows_of_command(report: Report) -> Iterator[Row]:
    """Yield what adopt and withdraw did; neither reads events."""
    indicators = ", ".join(f"{count:,} {kind}" for kind, count in report.adopted.most_common())
    if indicators:
        yield "to take over" if report.dry_run else "taken over", indicators
    yield from adopted_of_context(report.context, dry=report.dry_run)
    yield from (("unmatched", example) for example in report.unmatched)
    yield from _rows_of_withdrawals(report)
    yield from rows_of_context(report.context, dry=report.dry_run)


def _reasons(skipped: Counter[Skip]) -> str:
    return ", ".join(f"{count:,} {reason.name.lower()}" for reason, count in _sorted(skipped))


def _sorted(skipped: Counter[Skip]) -> list[tuple[Skip, int]]:
    """Return reasons with their counts, the most frequent first, so that two runs say the same in the same order."""
    return sorted(skipped.items(), key=lambda counted: (-counted[1], counted[0].name))


def _live(report: Report) -> Iterator[Row]:
    if report.keeps_ledger and not report.dry_run and (report.events or report.exit_code):
        yield "live", f"{report.live:,} in Sentinel now"


def _examples(report: Report) -> Iterator[Line]:
    """Yield why things are sent, withdrawn and skipped, with an example of each kind."""
    rows: list[Sequence[str]] = []
    for count, kind, why, examples in _kinds(report):
        rows.append((f"{count:,}", kind, why))
        rows += [("", "", f"e.g. {shorten(example, _LONGEST_EXAMPLE)}") for example in examples[:1]]
    yield from columns(rows, _INDENT, right={0})


def _kinds(report: Report) -> Iterator[tuple[int, str, str, Sequence[str]]]:
    """Yield each kind of what was decided: how many, its name, why, and examples."""
    for kind, count in report.plans.items():
        if count:
            yield count, kind, "to be sent", report.plan_examples.get(f"send_{kind}", ())
    for reason, count in report.withdrawals.most_common():
        yield count, "withdraw", reason, report.plan_examples.get(f"withdraw: {reason}", ())
    yield from kinds_of_context(report.context)
    for skip, count in _sorted(report.skipped):
        yield count, skip.name.lower(), skip.value, report.examples.get(skip, ())


def _advice(report: Report) -> Iterator[Line]:
    if report.advice and report.there:
        held = counted(report.there, "indicator", "indicators")
        yield Line(_ADOPT_THESE.format(held), Tone.ODD, symbol=SYMBOLS[Tone.ODD], whole=True, indent=_INDENT)
    elif report.advice and report.exit_code <= ExitCode.UNFINISHED:
        yield Line(_ADOPT, indent=_INDENT)
