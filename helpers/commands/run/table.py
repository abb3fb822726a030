"""A run's summary as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from constants import AdoptionKind
from helpers.log import safe_to_show
from helpers.microsoft import OutcomeState
from helpers.misp import Detours
from helpers.sync import Report
from helpers.text import shorten

# What is counted, how many, and why or for example.
Rows = Iterable[tuple[str, int, str]]

LONGEST_EXAMPLE = 80


def summary_table(report: Report) -> Any:
    """Return the summary as a table for rich to print."""
    from rich.markup import escape  # noqa: PLC0415  only for a terminal
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    # What MISP and Microsoft say may look like rich's markup.
    caption = escape(safe_to_show(report.advice)) or None
    table = Table(title=_title(report), title_justify="left", caption=caption, caption_justify="left")
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_column("why, or for example", overflow="fold")
    for name, count, words in _rows(report):
        table.add_row(name, f"{count:,}", Text(safe_to_show(words)))
    return table


def _title(report: Report) -> str:
    if not report.dry_run:
        return "MISP2Sentinel"
    if report.command == "adopt":
        return "Dry run: nothing was taken over, nothing was sent"
    return "Dry run: nothing was sent, Microsoft was not asked (check does)"


def _rows(report: Report) -> Rows:
    for part in report.parts:
        words = "; ".join(filter(None, [f"exit code {part.exit_code}", part.failure, part.given_up]))
        yield f"{part.name}", part.indicators, words
    yield from _rows_of_command(report) if report.command else _rows_of_run(report)


def _rows_of_command(report: Report) -> Rows:
    """Yield what adopt and withdraw did; neither reads events."""
    if report.command == "adopt":
        yield "indicators taken over", report.adopted.total(), f"seconds: {report.seconds:.0f}"
    for kind, count in report.adopted.most_common():
        yield f"  {kind}", count, "; ".join(report.unmatched) if kind is AdoptionKind.UNMATCHED else ""
    if report.indicators or report.command == "withdraw":
        yield from _rows_of_indicators(report)
    yield from _rows_of_withdrawals(report)


def _rows_of_run(report: Report) -> Rows:
    yield "events read", report.events, f"{len(report.unread)} could not be read" if report.unread else ""
    yield from _rows_of_detours(report.detours)
    with_indicators = report.attributes - report.skipped.total()
    yield "attributes in them", report.attributes, f"{with_indicators:,} of them have indicators"
    yield from _rows_of_indicators(report)
    yield "unchanged since an earlier run", report.unchanged, ""
    yield from _rows_of_withdrawals(report)
    if report.held:
        yield "events held", report.held, "edited and not yet published again, or out of sight"
    yield from _rows_of_skips(report)


def _rows_of_detours(detours: Detours) -> Rows:
    if detours.failed:
        yield "  requests that failed", detours.failed, detours.reason
    if detours.singly:
        yield "  events read one by one", detours.singly, "since their page could not be read; it takes longer"
    if detours.waited:
        yield "  seconds waited", round(detours.waited), "for MISP's rate limit for this key"


def _rows_of_indicators(report: Report) -> Rows:
    yield "indicators", report.indicators, f"requests: {report.requests}, seconds: {report.seconds:.0f}"
    if report.dry_run:
        for kind, count in report.plans.most_common():
            yield f"  {kind}", count, next(iter(report.plan_examples.get(f"send_{kind}", [])), "")
    else:
        yield "  accepted", report.states[OutcomeState.ACCEPTED], ""
        yield "  rejected", report.states[OutcomeState.REJECTED], next(map(str, report.rejections), "")
        yield "  pending", report.states[OutcomeState.PENDING], report.given_up


def _rows_of_withdrawals(report: Report) -> Rows:
    for reason, count in report.withdrawals.most_common():
        example = next(iter(report.plan_examples.get(f"withdraw: {reason}", [])), "")
        yield "would be withdrawn" if report.dry_run else "withdrawn", count, f"{reason}; {example}"


def _rows_of_skips(report: Report) -> Rows:
    yield "attributes skipped", report.skipped.total(), ""
    for reason, count in report.skipped.most_common():
        example = shorten(report.examples[reason][0], LONGEST_EXAMPLE)
        yield f"  {reason.name.lower()}", count, f"{reason.value}; {example}"
    for reason, count in report.left_out.most_common():
        yield f"  half: {reason.name.lower()}", count, reason.value
