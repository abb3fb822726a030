"""How far a run is, drawn while it goes on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from helpers.sync import Progress

TASK = "MISP events"


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Yield what draws a run's progress on stderr; it draws nothing where nobody looks."""
    if not sys.stderr.isatty():
        yield Progress()
        return
    from rich import progress  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415  only for a terminal

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(TASK, total=None)
        yield Progress(
            lambda done, listed: bar.update(task, completed=done, total=listed),
            lambda words: bar.update(task, description=f"{TASK}, {words}" if words else TASK),
        )
