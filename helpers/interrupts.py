"""SIGTERM and Ctrl-C end a run, but not between taking a lock and releasing it.

Python raises KeyboardInterrupt wherever the main thread happens to be, so also where a context manager has been
entered and ``with`` does not know of it yet. A lock that is lost there blocks the threads of the upload for ever.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class _PerThread(threading.local):
    """How many ``put_off`` a thread is in, and whether a signal came there; signals reach the main thread alone."""

    depth = 0
    signal_came = False


_this_thread = _PerThread()


def end_on_signals() -> None:
    """Have both signals raise KeyboardInterrupt, where it may be raised."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)


def _end(_number: int, _frame: FrameType | None) -> None:
    if _this_thread.depth:
        _this_thread.signal_came = True
    else:
        raise KeyboardInterrupt


@contextmanager
def put_off() -> Iterator[None]:
    """Let what is inside finish; a signal that came meanwhile ends the run after it."""
    _this_thread.depth += 1
    try:
        yield
    finally:
        _this_thread.depth -= 1
        if _this_thread.signal_came and not _this_thread.depth:
            _this_thread.signal_came = False
            raise KeyboardInterrupt
