"""The last runs as a small table: what is zero in all of them has no column. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from helpers.commands.explain.ledger_view import Json
from helpers.commands.monitoring.moments import Watch
from helpers.commands.monitoring.run_rows import Columns, cells, columns_in_use, ended, total
from helpers.commands.screen import Line, Tone, columns
from helpers.text import duration

_COUNTS: Columns = {
    "new": ("new",),
    "changed": ("changed",),
    "again": ("renewed", "again"),
    "withdrawn": ("withdrawn",),
    "rejected": ("rejected", "withdrawals_rejected"),
    "pending": ("pending", "withdrawals_pending"),
}


def run_table(runs: Sequence[Json], watch: Watch) -> Iterator[Line]:
    """Yield a line for each run, the last one first, under the names of the columns; nothing for one run alone."""
    if len(runs) < 2:
        return
    counts = columns_in_use(runs, _COUNTS)
    endings = [", ".join(filter(None, [ended(run), _beside(run)])) for run in runs]
    head = ["last runs", "took", *counts, "ended"]
    rows = [
        [watch.at(run["at"]), duration(run["seconds"]), *cells(run, _COUNTS, counts), ending]
        for run, ending in zip(runs, endings, strict=True)
    ]
    title, *lines = columns([head, *rows], indent=2, right=range(1, len(head)))
    yield Line("")
    yield replace(title, tone=Tone.QUIET)
    yield from lines


def _beside(run: Json) -> str:
    """Say how much that is no indicator a run sent and withdrew; it has no column, for which there is no room."""
    count = total(run, ("beside_sent", "beside_withdrawn"))
    return f"beside indicators: {count:,}" if count else ""
