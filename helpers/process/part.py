"""The share of the destinations that one of several processes takes. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

_FORM = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")


class Part(NamedTuple):
    """One part of so many, counted from 1. A destination is in exactly one of them, whichever others there are."""

    number: int
    of: int

    @classmethod
    def read(cls, text: str) -> Part:
        """Read ``2/4``. Raises ValueError with what to write instead."""
        form = _FORM.fullmatch(text)
        number, of = map(int, form.groups()) if form else (0, 0)
        if of < 1:
            raise ValueError(f"{text} is no part: write which one of how many, such as 1/4")
        if not 1 <= number <= of:
            raise ValueError(f"{text} is no part: write one from 1/{of} to {of}/{of}")
        return cls(number, of)

    def __str__(self) -> str:
        """Return it as it is typed: ``2/4``."""
        return f"{self.number}/{self.of}"

    def has(self, workspace: str, sourcesystem: str) -> bool:
        """Say whether the destination with this workspace, in its canonical spelling, and source system is in it.

        Python's own hash differs from process to process; this one is the same everywhere.
        """
        digest = hashlib.sha256(f"{workspace} {sourcesystem}".encode()).digest()
        return int.from_bytes(digest[:8]) % self.of == self.number - 1


WHOLE = Part(1, 1)
