"""Files to debug with: the indicators as they are sent, and Microsoft's answers: those that were no success, or all.

A dump that cannot be written is a warning, never the end of a run.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from helpers.files import open_private
from helpers.log import redact
from helpers.microsoft import Answer

logger = logging.getLogger(__name__)

PARSED_INDICATORS = "parsed_indicators.txt"
SENTINEL_RESPONSE = "sentinel_response.txt"
ANSWERS = "logs"
_END = b"\n]\n"


def named(file: str, name: str) -> str:
    """Return the name of a dump of one of several destinations."""
    stem, dot, ending = file.rpartition(".")
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)
    return f"{stem}-{safe}{dot}{ending}" if name else file


class IndicatorDump:
    """One JSON array of what is sent, new each run, valid after every write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._empty = True
        self._broken = not _written(path, lambda: self._write(os.O_TRUNC, b"[" + _END, 0))

    def add(self, indicators: Iterable[dict[str, Any]]) -> None:
        """Append indicators to the array."""
        lines = [json.dumps(indicator).encode() for indicator in indicators]
        if not lines or self._broken:
            return
        text = (b"\n" if self._empty else b",\n") + b",\n".join(lines) + _END
        self._broken = not _written(self._path, lambda: self._write(0, text, len(_END)))
        self._empty = False

    def _write(self, flags: int, text: bytes, over: int) -> None:
        with os.fdopen(open_private(self._path, os.O_WRONLY | flags), "wb") as file:
            file.seek(-over, os.SEEK_END) if over else None
            file.write(text)


class ResponseDump:
    """Microsoft's answers that were no plain success, one line of JSON each, kept from run to run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._broken = False

    def add(self, answer: Answer) -> None:
        """Append one answer."""
        line = {"time": datetime.now(UTC).isoformat(), "status": answer.status, "text": answer.text}
        text = json.dumps(redact.within(line)) + "\n"
        if not self._broken:
            self._broken = not _written(self._path, lambda: self._append(text))

    def _append(self, text: str) -> None:
        with os.fdopen(open_private(self._path, os.O_WRONLY | os.O_APPEND), "w", encoding="utf-8") as file:
            file.write(text)


class AnswerFiles:
    """Each of Microsoft's answers in a file of its own, in a directory that only its owner may enter."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}-{{}}.json"
        self._destination = name
        self._numbers = count(1)
        self._broken = not _written(directory, lambda: directory.mkdir(parents=True, exist_ok=True, mode=0o700))

    def add(self, answer: Answer) -> None:
        """Write one answer."""
        path = self._directory / named(self._name.format(next(self._numbers)), self._destination)
        content = {"time": datetime.now(UTC).isoformat(), "status": answer.status, "text": answer.text}
        text = json.dumps(redact.within(content)) + "\n"
        if not self._broken:
            self._broken = not _written(path, lambda: self._write(path, text))

    def _write(self, path: Path, text: str) -> None:
        with os.fdopen(open_private(path, os.O_WRONLY | os.O_TRUNC), "w", encoding="utf-8") as file:
            file.write(text)


def _written(path: Path, write: Callable[[], None]) -> bool:
    try:
        write()
    except OSError as error:
        what = "is a symbolic link, which is refused" if path.is_symlink() else f"cannot be written: {error}"
        logger.warning("The dump %s %s", path, what)
        return False
    return True
