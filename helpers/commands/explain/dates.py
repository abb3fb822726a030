"""Days as people write them, in English whatever the machine's language is. Pure."""

from __future__ import annotations

from datetime import datetime

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


def day(time: str) -> str:
    """Return the day of a time in ISO 8601, in its own zone: 24 September 2027."""
    moment = datetime.fromisoformat(time)
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"
