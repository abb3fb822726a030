"""What a config.py prints: in a terminal it is shown, on stderr; elsewhere it goes nowhere.

stdout is the program's, whose JSON others read, and of a good night cron has nothing to mail. It is kept nowhere, since
it may be a secret.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STDOUT, _STDERR = 1, 2


class _Nowhere(io.RawIOBase):
    """Takes what is written to it; as long as config.py runs, its number leads nowhere too."""

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        return memoryview(data).nbytes

    def fileno(self) -> int:
        return _STDOUT


@contextmanager
def aside() -> Iterator[None]:
    """Keep stdout, and without a terminal stderr, free of what is printed, by other programs and by logging too."""
    shown = sys.stderr.isatty()
    # A handler that config.py makes keeps the stream, so that it has no number of its own that would be closed.
    stream: TextIO = (
        sys.stderr if shown else io.TextIOWrapper(io.BufferedWriter(_Nowhere()), "utf-8", write_through=True)
    )
    with ExitStack() as stack:
        stack.enter_context(_numbers_lead(_STDERR if shown else None))
        stack.enter_context(redirect_stdout(stream))
        stack.enter_context(redirect_stderr(stream))
        stack.enter_context(_root_logger_stays())
        yield


@contextmanager
def _numbers_lead(to: int | None) -> Iterator[None]:
    """Let stdout's number lead to another, or without one those of stdout and stderr nowhere."""
    _flush()
    target = os.open(os.devnull, os.O_WRONLY) if to is None else os.dup(to)
    kept = {number: os.dup(number) for number in (_STDOUT, _STDERR)}
    try:
        for number in kept:
            os.dup2(target, number)
        yield
    finally:
        _flush()
        for number, before in kept.items():
            os.dup2(before, number)
        for number in (target, *kept.values()):
            os.close(number)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if stream and not stream.closed:
            stream.flush()


@contextmanager
def _root_logger_stays() -> Iterator[None]:
    """Let the program's log be what it is, also after ``logging.basicConfig`` in config.py."""
    root = logging.getLogger()
    handlers, level, disabled = root.handlers[:], root.level, root.manager.disable
    try:
        yield
    finally:
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.disable(disabled)
