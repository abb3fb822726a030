"""Whether somebody is told something, by what they were told before. Pure.

Of a destination there is one thing to tell at a time: what is wrong with it, in our own words, or that it is well. The
same thing is told once in 24 hours, and that it is well again once, after something was told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

WELL = ""
# For so many seconds the same thing is not told again.
QUIET = 86_400


@dataclass(frozen=True)
class Remembered:
    """What was told of a destination: each thing with its time, in seconds since 1970.

    ``is_open`` says that something was told, and not yet that it is well again.
    """

    told: Mapping[str, int] = field(default_factory=dict)
    is_open: bool = False

    @classmethod
    def read(cls, text: str) -> Remembered:
        """Return what was stored; nothing for what is damaged, so that rather too much is told than too little."""
        try:
            stored = json.loads(text)
            return cls({str(thing): int(at) for thing, at in stored["told"].items()}, bool(stored["open"]))
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()

    def stored(self) -> str:
        """Return it as text."""
        return json.dumps({"told": dict(self.told), "open": self.is_open}, sort_keys=True)

    def and_also(self, other: Remembered) -> Remembered:
        """Return what either of two memories has."""
        things = {*self.told, *other.told}
        told = {thing: max(self.told.get(thing, 0), other.told.get(thing, 0)) for thing in things}
        return Remembered(told, self.is_open or other.is_open)


class Decision(NamedTuple):
    """Whether to tell, and what is remembered once that has been done."""

    tells: bool
    after: Remembered


def decide(before: Remembered, thing: str, now: int) -> Decision:
    """Decide what to do about a thing; ``now`` in seconds since 1970. What was told in the future counts as unknown."""
    recent = {known: at for known, at in before.told.items() if 0 <= now - at < QUIET}
    if thing == WELL:
        return Decision(before.is_open, Remembered(recent, is_open=False))
    if thing in recent:
        return Decision(False, before)
    return Decision(True, Remembered({**recent, thing: now}, is_open=True))
