"""When an indicator begins and when it ends. Pure: the run's time comes in.

Sentinel's stock rules drop an indicator without ``valid_until``, so each one gets one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from dateutil import parser as date_parser


def stix_time(moment: datetime) -> str:
    """Return a moment as STIX writes it: UTC, three decimals, Z (STIX 2.1, section 3.2)."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def from_timestamp(value: object) -> datetime | None:
    """Read a MISP timestamp (seconds since 1970, as text or number); None when it is not one."""
    try:
        return datetime.fromtimestamp(int(str(value)), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def from_text(value: object) -> datetime | None:
    """Read a MISP date such as last_seen; without a zone it is UTC. None when it is not one."""
    try:
        moment = date_parser.isoparse(str(value))
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return from_timestamp(value)


def expires_at(last_seen: object, path: str, start: datetime, days: int, by_path: Mapping[str, int]) -> datetime | None:
    """Return when an indicator on the object path ends: last_seen if there is one, else start + days.

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
