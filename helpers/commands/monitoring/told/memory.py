"""What was told, remembered in the ledger, and in a file of the state directory where the ledger is what failed."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Protocol, TypeVar

from helpers.commands.monitoring.told.due import News, Remembered, is_due
from helpers.errors import LedgerError, SettingsError
from helpers.files import open_private
from helpers.ledger import Told
from helpers.settings import Settings

FILE = "told.json"
_MOST_BYTES = 1_048_576
# So many seconds the ledger is waited for, of the ten that all may take: the message is to go out in the rest.
PATIENCE = 3.0
_SILENT = "the ledger does not answer"
# Each try is lost to another process that changed the same text, and so is one that has got on.
_MOST_TRIES = 10

Answer = TypeVar("Answer")


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
        self._ledger = _ledger_of(settings)
        self._file = ToldFile(settings.state_path / FILE) if settings.has_state_path else None

    def claim(self, name: str, news: News, now: int) -> Claim | None:
        """Note that news is told now; return None where it must not be told.

        So of two processes one tells. Where nothing can be remembered it is told each time: better than never.
        """
        in_ledger, in_file = self._in_ledger(name), self._in_file(name)
        before = Remembered.read(in_ledger or "").and_also(Remembered.read(in_file))
        if not is_due(before, news, now):
            return None
        store, text = (self._file, in_file) if in_ledger is None else (self._ledger, in_ledger)
        if store is None:
            return Claim(None, name, news, now)
        try:
            kept = store.keep_told(name, before.claiming(news.thing, now).stored(), instead_of=text)
        except (OSError, LedgerError):
            return Claim(None, name, news, now)
        if kept and in_file and store is self._ledger:  # which has what the file had
            self._forget_file(name, in_file)
        return Claim(store, name, news, now) if kept else None

    def _in_ledger(self, name: str) -> str | None:
        """Return what the ledger has; None where it cannot be used, or is not there."""
        if self._ledger is None:
            return None
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

    def _forget_file(self, name: str, text: str) -> None:
        with suppress(OSError):
            if self._file:
                self._file.keep_told(name, "", instead_of=text)


@dataclass(frozen=True)
class Claim:
    """That this process tells some news, from ``now`` on, as a store has it; None remembers nothing."""

    store: Store | None
    name: str
    news: News
    now: int

    def keep(self) -> None:
        """Remember that it was told."""
        self._change(lambda known: known.having_told(self.news, self.now))

    def take_back(self) -> None:
        """Remember that nobody was told."""
        self._change(lambda known: known.without_claim(self.news.thing))

    def _change(self, change: Callable[[Remembered], Remembered]) -> None:
        """Change what is remembered, which other processes may do as well; where it cannot be, the claim ends."""
        if self.store:
            with suppress(OSError, LedgerError):
                _changed(self.store, self.name, change)


def _changed(store: Store, name: str, change: Callable[[Remembered], Remembered]) -> bool:
    """Change what is remembered under a name; return whether it could be done. Raises OSError and LedgerError."""
    for _ in range(_MOST_TRIES):
        text = store.told(name)
        if store.keep_told(name, change(Remembered.read(text)).stored(), instead_of=text):
            return True
    return False


@dataclass
class _Patient:
    """The ledger, for which nobody waits long: it may be what failed. Raises LedgerError, and then at once."""

    ledger: Told
    is_silent: bool = False

    def told(self, name: str) -> str:
        """Return the text under a name; empty where there is none."""
        return self._within_time(lambda: self.ledger.told(name))

    def keep_told(self, name: str, value: str, *, instead_of: str) -> bool:
        """Keep a text, unless another process has kept another one since."""
        return self._within_time(lambda: self.ledger.keep_told(name, value, instead_of=instead_of))

    def _within_time(self, ask: Callable[[], Answer]) -> Answer:
        if self.is_silent:
            raise LedgerError(_SILENT)
        answers: Queue[Answer | Exception] = Queue()
        threading.Thread(target=_answer, args=(ask, answers), daemon=True).start()
        try:
            answer = answers.get(timeout=PATIENCE)
        except Empty:
            self.is_silent = True
            raise LedgerError(_SILENT) from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def _ledger_of(settings: Settings) -> _Patient | None:
    """Return the ledger; None where the settings find no place for it, which is what there is to tell then."""
    try:
        return _Patient(Told(settings.ledger_url))
    except SettingsError:
        return None


def _answer(ask: Callable[[], Answer], answers: Queue[Answer | Exception]) -> None:
    try:
        answers.put(ask())
    except Exception as error:  # it is raised again where the answer is waited for
        answers.put(error)
