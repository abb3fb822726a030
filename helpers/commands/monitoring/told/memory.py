"""What was told, remembered in the ledger, and in a file of the state directory where the ledger is what failed."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from helpers.commands.monitoring.told.due import Remembered, decide
from helpers.errors import LedgerError
from helpers.files import open_private
from helpers.ledger import Told
from helpers.settings import Settings

FILE = "told.json"
_MOST_BYTES = 1_048_576


class Store(Protocol):
    """Where texts are kept by name; ``keep_told`` says whether the one that was read is still there, and replaced."""

    def told(self, name: str) -> str:
        """Return the text under a name; empty where there is none."""

    def keep_told(self, name: str, value: str, *, instead_of: str) -> bool:
        """Keep a text, unless another process has kept another one since."""


@dataclass(frozen=True)
class ToldFile:
    """A private file; processes that change it wait for each other. Raises OSError."""

    path: Path

    def told(self, name: str) -> str:
        """Return the text under a name; empty where there is none, or no file."""
        if not self.path.exists():
            return ""
        with self._held() as descriptor:
            return str(_read(descriptor).get(name, ""))

    def keep_told(self, name: str, value: str, *, instead_of: str) -> bool:
        """Keep a text, unless another process has kept another one since."""
        with self._held() as descriptor:
            texts = _read(descriptor)
            if texts.get(name, "") != instead_of:
                return False
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({**texts, name: value}).encode(), 0)
            return True

    @contextmanager
    def _held(self) -> Iterator[int]:
        descriptor = open_private(self.path, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # it ends with the descriptor
            yield descriptor
        finally:
            os.close(descriptor)


def _read(descriptor: int) -> dict[str, str]:
    """Return what a file has; nothing of one that was cut off while it was written."""
    with suppress(ValueError):
        texts = json.loads(os.pread(descriptor, _MOST_BYTES, 0))
        if isinstance(texts, dict):
            return texts
    return {}


class Memory:
    """What was told of each destination; several processes, on several hosts with a PostgreSQL, share it."""

    def __init__(self, settings: Settings) -> None:
        self._ledger = Told(settings.ledger_url)
        self._file = ToldFile(settings.state_path / FILE) if settings.has_state_path else None

    def claim(self, name: str, thing: str, now: int) -> Callable[[], None] | None:
        """Note that a thing is told now; return what takes the note back, or None where it must not be told.

        So of two processes one tells. Where nothing can be remembered it is told each time: better than never.
        """
        in_ledger = self._in_ledger(name)
        in_file = self._in_file(name)
        decision = decide(Remembered.read(in_ledger or "").and_also(Remembered.read(in_file)), thing, now)
        if not decision.tells:
            return None
        after = decision.after.stored()
        if in_ledger is not None:
            return self._claimed(self._ledger, name, in_ledger, after) and self._without_file(name, in_ledger, in_file)
        if self._file is None:
            return lambda: None
        return self._claimed(self._file, name, in_file, after)

    def _in_ledger(self, name: str) -> str | None:
        """Return what the ledger has; None where it cannot be used, or is not there."""
        try:
            text = self._ledger.told(name)
            if text or self._ledger.keep_told(name, "", instead_of=""):
                return text
            return self._ledger.told(name) or None  # another process was faster, or there is no ledger
        except LedgerError:
            return None

    def _in_file(self, name: str) -> str:
        with suppress(OSError):
            return self._file.told(name) if self._file else ""
        return ""

    def _claimed(self, store: Store, name: str, before: str, after: str) -> Callable[[], None] | None:
        try:
            kept = store.keep_told(name, after, instead_of=before)
        except (OSError, LedgerError):
            return lambda: None
        return (lambda: _put_back(store, name, before, after)) if kept else None

    def _without_file(self, name: str, in_ledger: str, in_file: str) -> Callable[[], None]:
        """Let the file forget what the ledger remembers from now on; taken back, both have what they had."""
        after = self._in_ledger(name) or ""
        if self._file and in_file:
            _put_back(self._file, name, "", in_file)

        def take_back() -> None:
            _put_back(self._ledger, name, in_ledger, after)
            if self._file and in_file:
                _put_back(self._file, name, in_file, "")

        return take_back


def _put_back(store: Store, name: str, before: str, after: str) -> None:
    with suppress(OSError, LedgerError):
        store.keep_told(name, before, instead_of=after)
