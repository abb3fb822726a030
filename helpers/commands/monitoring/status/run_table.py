"""The last runs as a small table: what is zero in all of them has no column. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from helpers.commands.explain.ledger_view import Json
from helpers.commands.monitoring.moments import Watch
from helpers.commands.monitoring.verdict import result_of
from helpers.commands.screen import Line, Tone, columns
from helpers.ledger import RunKind
from helpers.text import duration

_COUNTS: Mapping[str, tuple[str, ...]] = {
    "new": ("new",),
    "changed": ("changed",),
    "again": ("renewed", "again"),
    "withdrawn": ("withdrawn",),
    "rejected": ("rejected", "withdrawals_rejected"),
    "pending": ("pending", "withdrawals_pending"),
}
_OPTIONS = {RunKind.FULL: "--full", RunKind.UUID: "--uuid"}


def run_table(runs: Sequence[Json], watch: Watch) -> Iterator[Line]:
    """Yield a line for each run, the last one first, under the names of the columns; nothing for one run alone."""
    if len(runs) < 2:
        return
    counts = [name for name, fields in _COUNTS.items() if any(_sum(run, fields) for run in runs)]
    head = ["last runs", "took", *counts, "ended"]
    rows = [[watch.at(run["at"]), duration(run["seconds"]), *_cells(run, counts), _ending(run)] for run in runs]
    title, *lines = columns([head, *rows], indent=2, right=range(1, len(head)))
    yield Line("")
    yield replace(title, tone=Tone.QUIET)
    yield from lines


def _cells(run: Json, counts: Sequence[str]) -> list[str]:
    numbers = (_sum(run, _COUNTS[name]) for name in counts)
    return [f"{number:,}" if number else "" for number in numbers]


def _sum(run: Json, fields: Sequence[str]) -> int:
    return sum(run[name] for name in fields)


def _ending(run: Json) -> str:
    asked = _OPTIONS.get(run["kind"], "")
    return ", ".join(filter(None, [result_of(run), asked]))
