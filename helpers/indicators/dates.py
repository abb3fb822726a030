"""When an indicator begins and when it expires, and how moments are written. Pure: the run's time comes in.

Sentinel's stock rules drop an indicator without ``valid_until``, so each one gets one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from dateutil import parser as date_parser

from constants import Skip
from helpers.indicators.misp_fields import Json
from helpers.indicators.values import Unsendable

if TYPE_CHECKING:  # the rules know the formats, which know this module: what is here is given its rules
    from helpers.indicators.rules import ConversionRules

DAY = 86_400  # seconds
# Nothing was seen on the first day of Unix time, in any zone: a tool wrote 0.
_FIRST_SEEN = datetime(1970, 1, 2, tzinfo=UTC)
# The moments of an event's attributes repeat; so many are written and read without working them out again.
_REMEMBERED = 1024
_LONGEST_REMEMBERED = 40


@lru_cache(_REMEMBERED)
def stix_time(moment: datetime) -> str:
    """Return a moment as STIX writes it: UTC, three decimals, Z (STIX 2.1, section 3.2)."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


@lru_cache(_REMEMBERED)
def stix_time_of(moment: int) -> str:
    """Return seconds since 1970 as STIX writes them."""
    return stix_time(datetime.fromtimestamp(moment, UTC))


@lru_cache(_REMEMBERED)
def seconds(text: str) -> int:
    """Return a time as STIX writes it in whole seconds since 1970. Raises ValueError."""
    try:
        moment = datetime.fromisoformat(text)  # which reads what is written here, in a twentieth of the time
    except ValueError:
        moment = date_parser.isoparse(text)
    return int(moment.timestamp())


def from_timestamp(value: object) -> datetime | None:
    """Read a MISP timestamp (seconds since 1970, as text or number); None when it is not one."""
    try:
        return datetime.fromtimestamp(int(str(value)), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def from_text(value: object) -> datetime | None:
    """Read a MISP date such as last_seen; without a zone it is UTC. None when it is not one."""
    text = str(value)
    return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else _moment(text)


def _moment(text: str) -> datetime | None:
    try:
        moment = date_parser.isoparse(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return from_timestamp(text)


_remembered = lru_cache(_REMEMBERED)(_moment)


def begin_of(raw: Json, event_created: datetime | None, now: datetime) -> datetime:
    """Return the timestamp of an attribute, as MISP has it, else that of its event; never after the run's time."""
    return min(from_timestamp(raw.get("timestamp")) or event_created or now, now)


def last_seen_of(raw: Json) -> object:
    """Return the last_seen of an attribute, as MISP has it; None where it is none, as 0 and 1970-01-01 are."""
    last_seen = raw.get("last_seen")
    if not last_seen or str(last_seen).startswith("0000-00-00"):  # MySQL's date of nothing
        return None
    moment = from_text(last_seen)
    return None if moment and moment < _FIRST_SEEN else last_seen


def end_of(raw: Json, path: str, begin: datetime, rules: ConversionRules, now: datetime) -> datetime:
    """Return when the indicator of an attribute on the object path expires.

    ``begin`` is when it began, ``now`` the run's time. Raises Unsendable when no date can be given or it has passed.
    """
    last_seen = None if rules.days_to_expire_ignore_misp_last_seen else last_seen_of(raw)
    start = now if rules.days_to_expire_start == "current_date" else begin
    until = expires_at(last_seen, path, start, rules.days_to_expire, rules.days_to_expire_mapping)
    if until is None:
        raise Unsendable(Skip.NO_VALID_UNTIL)
    # Compared as it is written: what differs by less than a millisecond is the same moment to Sentinel.
    if stix_time(until) <= stix_time(now):
        raise Unsendable(Skip.EXPIRED, f"on {stix_time(until)}")
    return until


def expires_at(last_seen: object, path: str, start: datetime, days: int, by_path: Mapping[str, int]) -> datetime | None:
    """Return when an indicator on the object path expires: at last_seen if there is one, else at start + days.

    The longest key of ``by_path`` that begins the path replaces ``days``. None when last_seen is not a
    date or the days lead out of the calendar.
    """
    if last_seen:
        return from_text(last_seen)
    key = max((key for key in by_path if path.startswith(key)), key=len, default=None)
    try:
        return start + timedelta(days=days if key is None else by_path[key])
    except OverflowError:
        return None
