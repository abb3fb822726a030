"""How far a run is, drawn on stderr while it goes on."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from helpers.commands.run.how_far import HowFar, Row
from helpers.commands.screen import is_seen
from helpers.sync import Progress

# What the words beside a bar take, at 60 columns too, and how long a bar is at most.
WORDS_WIDTH = 52
LONGEST_BAR = 40
# From so many columns on there is room for wider gaps between the words.
ROOMY = 80


@contextmanager
def progress_bar(arguments: Namespace) -> Iterator[Progress]:
    """Yield what draws a run's progress on stderr, and is gone at the end; it draws nothing where nobody looks."""
    if not is_seen(arguments):
        yield Progress()
        return
    from rich.console import Console  # noqa: PLC0415  only for a terminal
    from rich.live import Live  # noqa: PLC0415

    console, bar = Console(stderr=True), _Bar()
    with Live(
        get_renderable=lambda: bar.drawn(console.width),
        console=console,
        transient=True,
        redirect_stdout=False,  # it may be a file
        redirect_stderr=False,
    ):
        yield Progress(bar.count_events, bar.count_indicators, bar.wait, upgraded=bar.count_upgraded)


class _Bar:
    """Is told how far a run is by its threads, and drawn by another one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._how_far = HowFar()
        self._clock = clock
        self._lock = Lock()

    def count_events(self, done: int, listed: int) -> None:
        with self._lock:
            self._how_far.count_events(done, listed, self._clock())

    def count_indicators(self, planned: int, answered: int) -> None:
        with self._lock:
            self._how_far.count_indicators(planned, answered, self._clock())

    def count_upgraded(self, done: int, rows: int) -> None:
        with self._lock:
            self._how_far.count_upgraded(done, rows, self._clock())

    def wait(self, words: str, seconds: float) -> None:
        with self._lock:
            self._how_far.wait(words, seconds, self._clock())

    def drawn(self, columns: int) -> Any:
        """Return what rich is to draw."""
        now = self._clock()
        with self._lock:
            rows, waits = self._how_far.rows(now), self._how_far.waits(now)
        return _drawing(rows, waits, columns, now)


def _drawing(rows: list[Row], waits: list[str], columns: int, now: float) -> Any:
    from rich.console import Group  # noqa: PLC0415  only for a terminal
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    gap = 2 if columns >= ROOMY else 1
    width = max(4, min(LONGEST_BAR, columns - WORDS_WIDTH - 4 * (gap - 1)))
    table = Table.grid(padding=(0, gap), pad_edge=False)
    for justify in ("left", "left", "right", "right", "left"):
        table.add_column(justify=justify, no_wrap=True)
    for row in rows:
        styles = {"complete_style": "cyan", "finished_style": "green", "pulse_style": "cyan", "style": "bright_black"}
        bar = ProgressBar(row.total, row.done, width, pulse=row.total is None, animation_time=now, **styles)
        table.add_row(row.label, bar, row.count, row.rate, row.left)
    return Group(table, *(Text(words, style="yellow", no_wrap=True, overflow="ellipsis") for words in waits))
