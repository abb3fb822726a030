"""Which withdrawals look like a mistake, at once and over a day, and what may have led to it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from constants import WithdrawalReason
from helpers.indicators import DAY
from helpers.ledger import EventRecord, LiveCount
from helpers.process import installation, invocation
from helpers.settings import Settings
from helpers.text import counted, shorten

# So many at once, or over a day, are never a mistake that costs more than it is worth to ask about.
ALWAYS_ALLOWED = 100
ALWAYS_ALLOWED_IN_A_DAY = 20
# Somebody asked for these withdrawals by a command of their own.
ASKED_FOR = (WithdrawalReason.WORKSPACE_LEFT, WithdrawalReason.NOT_IN_MISP)
# How many runs with --force-withdraw are remembered; of older ones the withdrawals count, which holds back more.
MOST_FORCED = 50
_HOUR = 3600
_LONGEST_VALUE = 100


@dataclass(frozen=True)
class WithdrawalLimits:
    """What may leave a destination, of objects that are called ``names``: one of them, and several.

    ``live`` objects are live now, ``live_before`` were a day ago; ``left`` were withdrawn since then, without those
    that somebody accepted. ``percent`` is max_withdraw_percent. ``force`` says that somebody has looked and accepts
    it (``--force-withdraw``).
    """

    live: int
    percent: int
    force: bool = False
    left: int = 0
    live_before: int = 0
    names: tuple[str, str] = ("live object", "live objects")

    def allows_at_once(self, count: int) -> bool:
        """Whether so many may leave at once, whatever has left before."""
        return self.force or count <= ALWAYS_ALLOWED or count * 100 <= self.live * self.percent

    def allows_in_a_day(self, count: int) -> bool:
        """Whether so many may leave beside those that have left over the last day."""
        together = self.left + count
        few = together <= ALWAYS_ALLOWED_IN_A_DAY or together * 100 <= self.live_before * self.percent
        return self.force or not count or few

    def refusal(self, count: int) -> str:
        """Return why so many may not leave; nothing where they may."""
        of_live = f"{count:,} of {counted(self.live, *self.names)}"
        if not self.allows_at_once(count):
            return f"{of_live} would leave Sentinel, more than max_withdraw_percent ({self.percent}) allows"
        if not self.allows_in_a_day(count):
            be = "was" if self.live_before == 1 else "were"
            return (
                f"{of_live} would leave Sentinel, {self.left + count:,} within 24 hours of the {self.live_before:,} "
                f"that {be} live before, which is more than max_withdraw_percent ({self.percent}) allows"
            )
        return ""


# -- how many were live a day ago ---------------------------------------------------------------------


def with_count(counts: Iterable[LiveCount], now: int, live: int) -> tuple[LiveCount, ...]:
    """Add how many objects are live to the counts that are kept: the last one of each hour of the last day.

    One older than that stays, from which the day began; one of the future is of a clock that was wrong.
    """
    past = sorted((count for count in counts if count.at <= now), key=lambda count: count.at)
    begin = count_a_day_ago(past, now)
    kept = [count for count in past if begin is None or count.at >= begin.at]
    others = [count for count in kept if count is begin or count.at // _HOUR != now // _HOUR]
    return (*others, LiveCount(now, live))


def count_a_day_ago(counts: Iterable[LiveCount], now: int) -> LiveCount | None:
    """Return the last count that is a day old, if there is one."""
    old = [count for count in counts if count.at <= now - DAY]
    return max(old, key=lambda count: count.at, default=None)


# -- what the workspace has ---------------------------------------------------------------------------


def difference(there: int, live: int, known: int) -> str:
    """Say how far a workspace's count of ours is from what the ledger has live, or knows at all; nothing where near.

    The workspace counts what is revoked or has expired as well, and its count may lag.
    """
    found = counted(there, "indicator", "indicators")
    if live - there > _far(live):
        return f"it has {found} of this sourcesystem, and by the ledger {live:,} are live there"
    if there - known > _far(known):
        return f"it has {found} of this sourcesystem, and the ledger knows of {known:,}"
    return ""


def _far(count: int) -> int:
    return max(ALWAYS_ALLOWED_IN_A_DAY, count // 10)


# -- the days of grace --------------------------------------------------------------------------------


def without_days(events: Iterable[EventRecord], seconds: int, now: int) -> list[EventRecord]:
    """Return the events that are held, as if so many seconds had not passed: nobody could see them."""
    held = [event for event in events if event.held_since is not None]
    return [replace(event, held_since=min(now, (event.held_since or 0) + seconds)) for event in held]


# -- what may have led to it --------------------------------------------------------------------------


def view_of(settings: Settings, identity: Mapping[str, Any]) -> dict[str, str]:
    """Return who reads MISP and by which filters, each part of it by its name, as text."""
    who = {f"the key's {name}": str(identity[name]) for name in ("user", "role", "organisation")}
    filters = {
        "misp_event_filters": settings.misp_event_filters,
        "filters": settings.filters,
        f"the filters of {settings.name}": settings.own_filters,
    }
    named = {f"{name}[{key!r}]": value for name, entries in filters.items() for key, value in entries.items()}
    return who | {name: json.dumps(value, sort_keys=True, default=str) for name, value in named.items()}


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """Yield what of a view is another one now, a clause each."""
    for name in dict.fromkeys([*before, *now]):
        if before.get(name) != now.get(name):
            was, is_now = (shorten(view.get(name, "not set"), _LONGEST_VALUE) for view in (before, now))
            yield f"{name} was {was} and is {is_now}"


def changes_since(before: Mapping[str, str], at: int, now: Mapping[str, str]) -> str:
    """Say what of a view has changed since a run, whose time is in seconds since 1970; nothing where nothing has."""
    found = "; ".join(changes(before, now)) if before else ""
    return f"Since the run of {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC: {found}." if found else ""


def named(settings: Settings) -> list[str]:
    """Return the option that keeps a command to a destination; none where there is one only."""
    return ["--workspace", settings.name] if settings.name else []


def accepting(settings: Settings, *words: str) -> str:
    """Return the command line that accepts what was refused: this program's, with ``words`` and --force-withdraw."""
    return to_type(settings, *words, "--force-withdraw")


def to_type(settings: Settings, *words: str) -> str:
    """Return the command line that calls this program again with these settings and ``words``."""
    config = "" if settings.config in ("config.py", str(installation.default_config())) else settings.config
    return invocation.to_type(*words, config=config)


def refusal(reason: str, changed: str, command: str, cause: str = "look at status and at MISP.") -> str:
    """Return a refusal as people read it: why, the ``cause`` or where to look, what has changed, what accepts it."""
    return " ".join(filter(None, [f"{reason}: {cause}", changed, f"To accept it: {command}"]))
