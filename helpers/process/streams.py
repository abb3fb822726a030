"""stdout and stderr that may be closed, full, or a pipe that nobody reads any more: what was done stays done.

They never raise: a run that has sent everything has not failed because its summary found no room. Who began it learns
of it from the exit code, and what only prints ends by itself.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class StdoutLost(Exception):
    """What is printed reaches nobody."""


class _File(io.FileIO):
    """What lies under a stream; ``trouble`` is why something could not be written there."""

    trouble: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        """Write, or keep why that cannot be done."""
        try:
            return super().write(data)
        except OSError as error:
            self.trouble = self.trouble or error
            return memoryview(data).nbytes


def guard() -> None:
    """Put streams that never raise in the place of stdout and stderr, also where they were closed."""
    _occupy()
    if sys.stdout is sys.__stdout__:
        sys.stdout = _stream(1, sys.stdout, each_line=False)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _stream(2, sys.stderr, each_line=True)


def _occupy() -> None:
    """Let no file of ours take the number of a closed stream; what is written to such a stdout fails."""
    for number, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)


def _stream(number: int, before: io.TextIOBase | None, *, each_line: bool) -> io.TextIOWrapper:
    file = _File(number, "w", closefd=False)
    encoding = getattr(before, "encoding", None) or "utf-8"
    # A title may have letters that the locale lacks.
    text = io.TextIOWrapper(io.BufferedWriter(file), encoding, "backslashreplace")
    text.reconfigure(line_buffering=each_line or file.isatty())
    return text


def stdout_trouble() -> OSError | None:
    """Return why something could not be written to stdout."""
    sys.stdout.flush()
    file = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return file.trouble if isinstance(file, _File) else None


def end_if_lost() -> None:
    """Raise StdoutLost where what is printed reaches nobody."""
    if stdout_trouble():
        raise StdoutLost
