"""Whether somebody is told something, by what they were told before. Pure.

Of a destination there is one thing to tell at a time: what is wrong with it, in our own words, or that it is well. The
same thing is told once in 24 hours, and that it is well again once, after something was told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

WELL = ""
# For so many seconds the same thing is not told again.
QUIET = 86_400
# Who tells something has so many seconds for that; a process that was killed meanwhile has told nobody.
LONGEST_TELLING = 60


@dataclass(frozen=True)
class Remembered:
    """What was told of a destination: each thing with its time, in seconds since 1970.

    ``claimed`` are things that somebody began to tell at a time, and ``not_over`` those of which it was not told yet
    that it is well again.
    """

    told: Mapping[str, int] = field(default_factory=dict)
    claimed: Mapping[str, int] = field(default_factory=dict)
    not_over: frozenset[str] = frozenset()

    @classmethod
    def read(cls, text: str) -> Remembered:
        """Return what was stored; nothing for what is damaged, so that rather too much is told than too little."""
        try:
            stored = json.loads(text)
            return cls(_times(stored["told"]), _times(stored["claimed"]), frozenset(map(str, stored["not_over"])))
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()

    def stored(self) -> str:
        """Return it as text."""
        parts = {"told": dict(self.told), "claimed": dict(self.claimed), "not_over": sorted(self.not_over)}
        return json.dumps(parts, sort_keys=True)

    def and_also(self, other: Remembered) -> Remembered:
        """Return what either of two memories has."""
        told, claimed = _later(self.told, other.told), _later(self.claimed, other.claimed)
        return Remembered(told, claimed, self.not_over | other.not_over)

    def claiming(self, thing: str, now: int) -> Remembered:
        """Return it where somebody begins to tell a thing; what is older than a day is forgotten."""
        recent = {known: at for known, at in self.told.items() if _is_within(QUIET, at, now)}
        return replace(self, told=recent, claimed={**self.claimed, thing: now})

    def without_claim(self, thing: str) -> Remembered:
        """Return it where nobody tells a thing any more, whether or not it was told."""
        return replace(self, claimed={known: at for known, at in self.claimed.items() if known != thing})

    def having_told(self, news: News, now: int) -> Remembered:
        """Return it where news was told."""
        freed = self.without_claim(news.thing)
        if news.thing == WELL:
            return replace(freed, not_over=frozenset(thing for thing in self.not_over if not news.ends(thing)))
        return replace(freed, told={**self.told, news.thing: now}, not_over=self.not_over | {news.thing})


class News(NamedTuple):
    """What there is to tell; where a thing is WELL, ``ends`` says of one that was told whether it is over."""

    thing: str
    ends: Callable[[str], bool] = lambda _thing: True


def is_due(before: Remembered, news: News, now: int) -> bool:
    """Decide whether to tell it; ``now`` in seconds since 1970. What happened in the future counts as unknown."""
    claimed = before.claimed.get(news.thing)
    if claimed is not None and _is_within(LONGEST_TELLING, claimed, now):
        return False
    if news.thing == WELL:
        return bool(before.not_over) and all(map(news.ends, before.not_over))
    told = before.told.get(news.thing)
    return told is None or not _is_within(QUIET, told, now)


def _is_within(seconds: int, at: int, now: int) -> bool:
    return 0 <= now - at < seconds


def _times(stored: Mapping[str, int]) -> dict[str, int]:
    return {str(thing): int(at) for thing, at in stored.items()}


def _later(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {thing: max(one.get(thing, 0), other.get(thing, 0)) for thing in {*one, *other}}
