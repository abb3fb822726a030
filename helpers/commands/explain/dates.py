"""Moments as programs read them, and days as people write them, in English whatever the machine's is. Pure."""

from __future__ import annotations

from datetime import datetime

from helpers.text import moment_text

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


def day(time: str) -> str:
    """Return the day of a time in ISO 8601, in its own zone: 24 September 2027."""
    moment = datetime.fromisoformat(time)
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def minute(time: str) -> str:
    """Return the minute of a time in ISO 8601, in its own zone: 24 September 2027, 14:05 UTC."""
    return f"{day(time)}, {datetime.fromisoformat(time):%H:%M %Z}"


def iso_time(seconds: int | None) -> str | None:
    """Write seconds since 1970 as people and programs read them."""
    return None if seconds is None else moment_text(seconds)
