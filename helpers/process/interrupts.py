"""SIGTERM and Ctrl-C end a run, but not between taking a lock and releasing it.

Python raises KeyboardInterrupt wherever the main thread happens to be, so also where a context manager has been
entered and ``with`` does not know of it yet. A lock that is lost there blocks the threads of the upload for ever.

Other threads get no signal: what waits, in whatever thread, waits with ``sleep``, which the first signal ends. A
second one ends the process on the spot, as ``kill -9`` may at any moment, and so does ending that takes too long.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from helpers.errors import ExitCode

# How long, in seconds, a signal is put off, mostly for a transaction: its database may have gone silent.
LONGEST_PUT_OFF = 10.0
# How long ending may take: a silent Microsoft is given up after 60, and systemd kills after 180.
LONGEST_END = 90.0
_AT_ONCE = b"Stopped from outside, at once; what was not finished is taken up by the next run.\n"


class Stopped(KeyboardInterrupt):
    """A wait that a signal ended, in whatever thread."""


class _PerThread(threading.local):
    """How many ``put_off`` a thread is in, and whether a signal came there; signals reach the main thread alone."""

    depth = 0
    longest = 0.0
    signal_came = False


class _Process:
    """Whether a signal came, and is still put off.

    ``running`` is held until it comes: of all that wakes other threads, a lock is what a signal may release.
    """

    def __init__(self) -> None:
        self.stopped = self.put_off = False
        self.running = threading.Lock()
        self.running.acquire()


_this_thread = _PerThread()
_process = _Process()


def end_on_signals() -> None:
    """Have both signals raise KeyboardInterrupt, where it may be raised, and end every ``sleep``."""
    global _process  # noqa: PLW0603  signals are the process's
    _process = _Process()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)


def _end(_number: int, _frame: FrameType | None) -> None:
    if _process.stopped:
        _leave()
    _process.stopped = True
    _process.running.release()
    # threading's own way takes locks, under which the signal may have come.
    first = _this_thread.longest if _this_thread.depth else 0.0
    _thread.start_new_thread(_leave_late, (_process, first, threading.Event().wait))
    if _this_thread.depth:
        _this_thread.signal_came = _process.put_off = True
    else:
        raise KeyboardInterrupt


def _leave_late(process: _Process, put_off_for: float, pause: Callable[[float], object]) -> None:
    """Leave when ending takes too long: a database that is silent, an answer that never ends."""
    pause(put_off_for)
    if not process.put_off:
        pause(LONGEST_END)
    if process is _process:
        _leave()


def _leave() -> None:
    with contextlib.suppress(OSError):
        os.write(2, _AT_ONCE)
    os._exit(ExitCode.STOPPED)


def stopped() -> bool:
    """Say whether a signal has come."""
    return _process.stopped


def end_if_stopped() -> None:
    """Raise Stopped where a signal has come, also where it is put off."""
    if _process.stopped:
        raise Stopped


def sleep(seconds: float) -> None:
    """Wait so many seconds. Raises Stopped, in any thread, as soon as a signal comes."""
    process = _process
    if process.running.acquire(timeout=max(0.0, seconds)):
        process.running.release()
        raise Stopped


@contextmanager
def put_off(longest: float = LONGEST_PUT_OFF) -> Iterator[None]:
    """Let what is inside finish within so many seconds; a signal that came meanwhile ends the run after it."""
    if not _this_thread.depth:
        _this_thread.longest = longest
    _this_thread.depth += 1
    try:
        yield
    finally:
        _this_thread.depth -= 1
        if _this_thread.signal_came and not _this_thread.depth:
            _this_thread.signal_came = _process.put_off = False
            raise KeyboardInterrupt
