"""What a table of runs says of each: its counts under their columns, and how it ended. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from helpers.commands.monitoring.verdict import result_of
from helpers.ledger import RunKind

if TYPE_CHECKING:
    from helpers.commands.explain.ledger_view import Json

# What a column is called, and which numbers of a run are added up in it.
Columns = Mapping[str, tuple[str, ...]]
_OPTIONS = {RunKind.FULL: "--full", RunKind.UUID: "--uuid"}


def columns_in_use(runs: Sequence[Json], columns: Columns) -> list[str]:
    """Return the names of the columns that are not zero in all of the runs."""
    return [name for name, fields in columns.items() if any(total(run, fields) for run in runs)]


def cells(run: Json, columns: Columns, names: Sequence[str]) -> Iterator[str]:
    """Yield what stands under these columns; nothing is shown for zero."""
    numbers = (total(run, columns[name]) for name in names)
    yield from (f"{number:,}" if number else "" for number in numbers)


def total(run: Json, fields: Sequence[str]) -> int:
    """Return the sum of some numbers of a run."""
    return sum(run[name] for name in fields)


def ended(run: Json) -> str:
    """Say how a run ended, and what it was asked for where that was something else than usual."""
    return ", ".join(filter(None, [result_of(run), _OPTIONS.get(run["kind"], "")]))
