"""What reports are told of attributes that were decided on: once for all destinations that decide alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from constants import Skip
from helpers.indicators import Skipped


@dataclass
class Told:
    """How many attributes were decided on, and which of them, or halves of them, are not sent, and why.

    ``unasked`` counts attributes of a large event that MISP was not asked for, since they are not flagged, ``twins``
    the URLs that are sent in small letters as well.
    """

    attributes: int = 0
    unasked: int = 0
    twins: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    reasons: Counter[Skip] = field(default_factory=Counter)
    left_out: Counter[Skip] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.attributes or self.unasked or self.skipped or self.left_out)

    def add(self, attributes: int, skipped: Iterable[Skipped], left_out: Iterable[Skipped]) -> None:
        """Take note of more attributes."""
        before = len(self.skipped)
        self.attributes += attributes
        self.skipped += skipped
        self.reasons.update(skip.reason for skip in self.skipped[before:])
        self.left_out.update(half.reason for half in left_out)
