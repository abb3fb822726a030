"""For how long an answer asks to be left in peace, in seconds. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
# An amount and a unit: 45 seconds, 1 minute(s), '17' sec, an hour, 30s.
_TIME = (
    r"['\"]?([0-9]{1,9}(?:\.[0-9]{1,9})?|an?\b|one\b)['\"]?\s?"
    r"(s|m|h|d)(?:ec(?:ond)?|in(?:ute)?|(?:ou)?r|ay)?(?:s|\(s\))?(?![a-z])"
)
_AGAIN = re.compile(rf"\b(?:try again|retry) (?:in|after) ({_TIME}(?:(?:,| and)? {_TIME})?)", re.IGNORECASE)
_TIMES = re.compile(_TIME, re.IGNORECASE)


def asked_for_in_header(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that Retry-After names, None where it names none; a date counts where ``now`` is given."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
        return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()) if now else None
    except (ValueError, TypeError, OverflowError):
        return None


def asked_for_in_words(words: str) -> float | None:
    """Return the seconds of "Try again in 1 minute(s)" and the like; None where there are none.

    Microsoft's gateway names them in its words alone (upload API, answer 429): in seconds, and in minutes too.
    """
    again = _AGAIN.search(words)
    if not again:
        return None
    times = _TIMES.findall(again[1])
    return sum((float(amount) if amount[0].isdigit() else 1) * _SECONDS[unit.lower()] for amount, unit in times)
