"""A progress bar on stderr, in a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from helpers.sync import Progress

TASK = "MISP events"


@contextmanager
def progress() -> Iterator[Progress]:
    """Yield what draws a run's progress; it draws nothing where nobody looks."""
    if not sys.stderr.isatty():
        yield Progress()
        return
    from rich import progress as rich_progress  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415  only for a terminal

    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeElapsedColumn(),
    )
    with rich_progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(TASK, total=None)
        yield Progress(
            lambda done, listed: bar.update(task, completed=done, total=listed),
            lambda words: bar.update(task, description=f"{TASK}, {words}" if words else TASK),
        )
