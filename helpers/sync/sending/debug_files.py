"""Files to debug with: the indicators as they are sent, and Microsoft's answers: those that were no success, or all.

In a dry run the first has every indicator that is wanted, also what would not be sent since it did not change.

A dump that cannot be written is a warning, never the end of a run.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from helpers.files import OddFile, make_private_directory, open_private
from helpers.microsoft import Answer
from helpers.process import redact

logger = logging.getLogger(__name__)

PARSED_INDICATORS = "parsed_indicators.txt"
SENTINEL_RESPONSE = "sentinel_response.txt"
ANSWERS = "logs"
_END = b"\n]\n"


def file_name(file: str, destination: str) -> str:
    """Return the name of a dump, which has its destination's name in it where there are several."""
    stem, dot, ending = file.rpartition(".")
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in destination)
    return f"{stem}-{safe}{dot}{ending}" if destination else file


class IndicatorDump:
    """One JSON array of what is sent, new each run, valid after every write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._broken = False
        self.begin()

    def begin(self) -> None:
        """Begin the array anew, without any indicator."""
        self._empty = True
        if not self._broken:
            self._broken = not _written(self.path, lambda: self._write(os.O_TRUNC, b"[" + _END, 0))

    def add(self, indicators: Sequence[bytes]) -> None:
        """Append indicators, each of them JSON, to the array."""
        if not indicators or self._broken:
            return
        text = (b"\n" if self._empty else b",\n") + b",\n".join(indicators) + _END
        self._broken = not _written(self.path, lambda: self._write(0, text, len(_END)))
        self._empty = False

    def _write(self, flags: int, text: bytes, overwritten: int) -> None:
        """Write at the end of the file, over so many of its last bytes."""
        with os.fdopen(open_private(self.path, os.O_WRONLY | flags), "wb") as file:
            file.seek(-overwritten, os.SEEK_END) if overwritten else None
            file.write(text)


class ResponseDump:
    """Microsoft's answers that were no plain success, one line of JSON each; the file grows from run to run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._broken = False

    def add(self, answer: Answer) -> None:
        """Append one answer."""
        text = _as_json(answer)
        if not self._broken:
            self._broken = not _written(self._path, lambda: self._append(text))

    def _append(self, text: str) -> None:
        with os.fdopen(open_private(self._path, os.O_WRONLY | os.O_APPEND), "w", encoding="utf-8") as file:
            file.write(text)


class AnswerFiles:
    """Each of Microsoft's answers in a file of its own, in a directory that only its owner may enter."""

    def __init__(self, directory: Path, destination: str) -> None:
        self._directory = directory
        self._destination = destination
        self._name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}-{{}}.json"
        self._numbers = count(1)
        self._broken = not _written(directory, lambda: make_private_directory(directory))

    def add(self, answer: Answer) -> None:
        """Write one answer."""
        path = self._directory / file_name(self._name.format(next(self._numbers)), self._destination)
        text = _as_json(answer)
        if not self._broken:
            self._broken = not _written(path, lambda: self._write(path, text))

    def _write(self, path: Path, text: str) -> None:
        with os.fdopen(open_private(path, os.O_WRONLY | os.O_TRUNC), "w", encoding="utf-8") as file:
            file.write(text)


def _as_json(answer: Answer) -> str:
    content = {"time": datetime.now(UTC).isoformat(), "status": answer.status, "text": answer.text}
    return json.dumps(redact.within(content)) + "\n"


def _written(path: Path, write: Callable[[], None]) -> bool:
    """Write a dump; False, and a warning, where that cannot be done."""
    try:
        write()
    except OddFile as error:
        logger.warning("The dump %s: take it away", error)
        return False
    except OSError as error:
        logger.warning("The dump %s cannot be written: %s", path, error)
        return False
    return True
