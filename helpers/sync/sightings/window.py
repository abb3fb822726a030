"""Which alerts are read: from when to when, by the time at which Sentinel got them. Pure."""

from __future__ import annotations

from typing import NamedTuple

from helpers.indicators import DAY

# A row may come so much later than its TimeGenerated says (Azure Monitor, "Log data ingestion time": minutes, as a
# rule; a rule's own delay is five).
OVERLAP = 3600
FIRST = DAY
MOST_DAYS = 14


class Window(NamedTuple):
    """From when to when alerts are read, in seconds since 1970; what is between ``unread`` and ``since`` is not."""

    since: int
    until: int
    unread: int = 0


def window_of(now: int, read_until: int, asked: int = 0) -> Window:
    """Return what is read at ``now`` where everything until ``read_until`` was read before, 0 for nothing.

    ``asked`` is how many seconds somebody wants to look back. A clock that was ahead leaves no gap: what it says was
    read of the future is read again.
    """
    cursor = min(read_until, now)
    due = cursor - OVERLAP if cursor else now - FIRST
    since = max(now - asked if asked else due, now - MOST_DAYS * DAY)
    return Window(since, now, cursor if 0 < cursor < since and not asked else 0)


def moved(read_until: int, read: Window) -> int:
    """Return until when everything was read, after this: where a gap stays before it, no further than before.

    A first reading that looked back less than a first one does leaves the rest of that to the next one.
    """
    if not read_until:
        return read.until if read.until - read.since >= FIRST else read.until - FIRST + OVERLAP
    joined = read.since <= read_until or bool(read.unread)
    return read.until if joined else read_until
