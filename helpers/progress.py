"""A progress bar on stderr, in a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int, int], None]


@contextmanager
def progress() -> Iterator[Advance]:
    """Yield a function that takes (events done, events listed) and draws them where somebody looks."""
    if not sys.stderr.isatty():
        yield lambda _done, _listed: None
        return
    from rich.console import Console  # noqa: PLC0415  only for a terminal
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("MISP events", total=None)
        yield lambda done, listed: bar.update(task, completed=done, total=listed)
