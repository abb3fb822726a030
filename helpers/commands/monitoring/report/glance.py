"""The numbers at a glance, of one destination or of several together. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from helpers.commands.monitoring.moments import Watch, seconds_of
from helpers.commands.monitoring.report.blocks import Tile
from helpers.indicators import DAY
from helpers.text import counted

if TYPE_CHECKING:
    from helpers.commands.explain.ledger_view import Json

_SOON, _WEEK = 30, 7
# Name, which of the standing's counts, what it means, and whether it is to be looked at.
_COUNTS = (
    ("live", ("live",), "indicators that Sentinel may match", False),
    ("pending", ("pending", "waiting_withdrawals"), "waiting to be sent or withdrawn", True),
    ("in flight", ("in_flight",), "sent, and not yet answered", True),
    ("rejected", ("rejected",), "Microsoft does not take them", True),
    ("leaving", ("leaving",), "to be withdrawn", True),
    ("held", ("held_events",), "events, edited and not published again, or out of sight", False),
)


def tiles_of(destinations: Sequence[Json], watch: Watch) -> Iterator[Tile]:
    """Yield what there is of everything, then when the last good run was and when the credential expires."""
    for name, fields, words, is_odd in _COUNTS:
        count = sum(destination[field] for destination in destinations for field in fields)
        yield Tile(name, f"{count:,}", words, "odd" if is_odd and count else "plain")
    week = sum(sum(destination["holdings"].expiring[:_WEEK]) for destination in destinations)
    yield Tile("expiring", f"{week:,}", f"live ones that end within {_WEEK} days")
    yield _last_good_run(destinations, watch)
    yield from _credential(destinations, watch)


def _last_good_run(destinations: Sequence[Json], watch: Watch) -> Tile:
    """Tell of several destinations the one whose last good run is the oldest."""
    moments = [destination["last_good_run"] for destination in destinations]
    if None in moments:
        return Tile("last good run", "none yet", "" if len(moments) == 1 else "at one of them at least", "odd")
    oldest = min(moments, key=seconds_of)
    return Tile("last good run", watch.ago(oldest), watch.at(oldest))


def _credential(destinations: Sequence[Json], watch: Watch) -> Iterator[Tile]:
    """Tell when the certificate or the secret ends that ends first, where that is known."""
    if ends := [moment for destination in destinations if (moment := destination.get("credential_ends"))]:
        first = min(map(seconds_of, ends))
        days = (first - watch.now) // DAY
        words = f"in {counted(days, 'day', 'days')}" if days >= 0 else "it has expired"
        yield Tile("credential", watch.day(first), words, "plain" if days >= _SOON else "odd" if days >= 0 else "bad")
