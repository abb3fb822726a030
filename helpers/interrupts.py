"""SIGTERM and Ctrl-C end a run, but not between taking a lock and what gives it back.

Python raises KeyboardInterrupt wherever the main thread happens to be, so also where a context manager has done its
first half and ``with`` does not know of it yet. A lock that is lost there keeps the threads of the upload for ever.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class _OfThread(threading.local):
    """How deep a thread is in what must not be interrupted; signals reach the main thread alone."""

    depth = 0
    came = False


_here = _OfThread()


def end_on_signals() -> None:
    """Have both signals raise KeyboardInterrupt, where it may be raised."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)


def _end(_number: int, _frame: FrameType | None) -> None:
    if _here.depth:
        _here.came = True
    else:
        raise KeyboardInterrupt


@contextmanager
def put_off() -> Iterator[None]:
    """Let what is inside come to its end; a signal that came meanwhile counts after it."""
    _here.depth += 1
    try:
        yield
    finally:
        _here.depth -= 1
        if _here.came and not _here.depth:
            _here.came = False
            raise KeyboardInterrupt
