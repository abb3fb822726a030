"""Reading ahead: a thread reads the next item while this one is worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from itertools import islice
from typing import Generic, TypeVar

Element = TypeVar("Element")

# How long a thread that is no longer wanted is waited for, in seconds; it dies with the process.
PATIENCE = 5.0


class ReadAhead(Generic[Element]):
    """Gives what an iterator gives, and has it read at most one item more than was taken.

    What the iterator raises is raised here, in its turn. After ``close`` nothing more is read; a thread that is in the
    middle of an item by then ends with it.
    """

    def __init__(self, items: Iterator[Element]) -> None:
        """Nothing is read before the first item is asked for."""
        self._items = items
        self._results: queue.SimpleQueue[tuple[list[Element], BaseException | None]] = queue.SimpleQueue()
        self._wanted = threading.Semaphore()
        self._closed = False
        self._thread = threading.Thread(target=self._read, name="read ahead", daemon=True)

    def __iter__(self) -> Iterator[Element]:
        """Take the items; the thread begins with the first."""
        self._thread.start()
        while True:
            items, error = self._results.get()
            if error:
                raise error
            if not items:
                return
            self._wanted.release()
            yield items[0]

    def close(self) -> None:
        """Read nothing more."""
        self._closed = True
        self._wanted.release()
        if self._thread.ident:
            self._thread.join(PATIENCE)

    def _read(self) -> None:
        try:
            while self._wanted.acquire() and not self._closed:
                self._results.put((list(islice(self._items, 1)), None))
        except BaseException as error:  # it is the taker's
            self._results.put(([], error))
