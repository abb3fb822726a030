"""How far sightings are, drawn on stderr while it goes on."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from helpers.commands.screen import is_seen
from helpers.sync import SightingProgress


@contextmanager
def progress_bar(arguments: Namespace) -> Iterator[SightingProgress]:
    """Yield what draws it on stderr, and is gone at the end; it draws nothing where nobody looks."""
    if not is_seen(arguments):
        yield SightingProgress()
        return
    from rich.console import Console  # noqa: PLC0415  only for a terminal
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    console, columns = Console(stderr=True), (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as drawn:
        task = drawn.add_task("alerts", total=None)
        yield SightingProgress(
            lambda name: drawn.update(task, description=f"alerts {name}".strip(), refresh=True),
            lambda done, of: drawn.update(task, description="sightings", completed=done, total=of, refresh=True),
            lambda words, seconds: drawn.update(task, description=f"{words}, {seconds:.0f} s", refresh=True),
        )
