"""Moments as people say them: how long ago, and when by their own clock. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


@dataclass(frozen=True)
class Watch:
    """What time it is for whoever looks: ``now`` in seconds since 1970, and their zone; None is this host's."""

    now: int
    zone: tzinfo | None = None

    def ago(self, moment: str) -> str:
        """Return how long ago a moment, as ``--json`` has it, was: ``7 h ago``."""
        return ago(self.now - seconds_of(moment))

    def told(self, moment: str) -> str:
        """Return how long ago a moment was, and when by the clock of the zone, with the zone's name."""
        return f"{self.ago(moment)} ({self.moment_with_zone(seconds_of(moment))})"

    def at(self, moment: str) -> str:
        """Return when a moment was by the clock of the zone."""
        return self.moment(seconds_of(moment))

    def day(self, seconds: int) -> str:
        """Return the day, by the clock of the zone, of a moment in seconds since 1970."""
        return f"{self._local(seconds):%Y-%m-%d}"

    def short_day(self, seconds: int) -> str:
        """Return the day of such a moment in few letters: ``29 Nov``."""
        return f"{self._local(seconds):%-d %b}"

    def clock(self, seconds: int) -> str:
        """Return the time of day of such a moment: ``17:05``."""
        return f"{self._local(seconds):%H:%M}"

    def moment(self, seconds: int) -> str:
        """Return when a moment in seconds since 1970 was by the clock of the zone."""
        return f"{self._local(seconds):%Y-%m-%d %H:%M}"

    def moment_with_zone(self, seconds: int) -> str:
        """Return when a moment in seconds since 1970 was by the clock of the zone, with the zone's name."""
        return f"{self._local(seconds):%Y-%m-%d %H:%M %Z}"

    def _local(self, seconds: int) -> datetime:
        return datetime.fromtimestamp(seconds, UTC).astimezone(self.zone)


def ago(seconds: float) -> str:
    """Return how long ago something was, in the unit that says enough."""
    if seconds < 0:
        return "in the future"
    if seconds < _MINUTE:
        return "just now"
    for unit, name, most in ((_MINUTE, "min", 100 * _MINUTE), (_HOUR, "h", 2 * _DAY)):
        if seconds < most:
            return f"{seconds // unit:.0f} {name} ago"
    return f"{seconds // _DAY:.0f} days ago"


def seconds_of(moment: str) -> int:
    """Return the seconds since 1970 of a moment as ``--json`` has it."""
    return int(datetime.fromisoformat(moment).timestamp())
