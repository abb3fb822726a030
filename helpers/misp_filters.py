"""The site's filters as PyMISP's search takes them. Pure.

Facts measured on MISP 2.5.1 with PyMISP 2.5.34: a JSON ``false`` for ``published`` or ``to_ids`` is
ignored while events are picked, and PyMISP overwrites ``type``, ``from`` and ``to`` with nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Filters = Mapping[str, Any]

# What to say when the filters find nothing at all.
NOTHING_FOUND = (
    "the filters find no event: try fewer of them, a longer publish_timestamp, and look whether MISP has published "
    "events at all; MISP ignores a filter whose name it does not know."
)
TIME_WINDOWS = frozenset(
    {
        "publish_timestamp",
        "timestamp",
        "event_timestamp",
        "last",
        "from",
        "to",
        "date",
        "date_from",
        "date_to",
    }
)
_PAGING = frozenset({"limit", "page"})
_OURS = frozenset({"controller", "return_format", "returnFormat", "pythonify", "metadata"})
_WARNINGLIST = frozenset({"enforceWarninglist", "enforce_warninglist"})
_PYMISP_NAMES = {"type": "type_attribute", "from": "date_from", "to": "date_to"}
_LEFT_THERE = {"excludeGalaxy": True, "noShadowAttributes": 1, "includeEventCorrelations": 0}
_FLAGS = frozenset({"published", "to_ids"})
_FOR_ATTRIBUTES = _WARNINGLIST | {"to_ids", "sharinggroup", "excludeLocalTags"}


def for_listing(filters: Filters) -> dict[str, Any]:
    """The arguments that list the events, without their attributes and without paging.

    ``metadata`` together with ``enforceWarninglist`` makes MISP 2.5.1 answer 500; the warninglists
    take attributes away and never an event, so the listing does without them.
    """
    kept = _translated(_without(filters, _PAGING | _WARNINGLIST | _OURS))
    return {**kept, "metadata": True, "excludeGalaxy": True}


def for_asking(filters: Filters) -> dict[str, Any]:
    """The arguments that ask whether the filters, time windows set aside, still find an event."""
    return for_listing(_without(filters, TIME_WINDOWS))


def for_reading(filters: Filters, *, reports: bool = False) -> dict[str, Any]:
    """The arguments that read listed events whole: time windows have done their work in the listing.

    What no indicator is made of stays where it is: galaxies, proposals, correlations and, unless ``reports`` are
    wanted, event reports (MISP, options of ``Event::fetchEvent``; one that a MISP does not know is ignored).
    """
    kept = _translated(_without(filters, _PAGING | TIME_WINDOWS | _OURS | {"eventid"}))
    return {**kept, **_LEFT_THERE, **({} if reports else {"noEventReports": 1})}


def for_attributes(filters: Filters) -> dict[str, Any]:
    """The arguments that read what is flagged of one event's attributes in pages, soft-deleted ones too.

    With them in the answer, deleting an attribute moves no other one to an earlier page.
    """
    return {"to_ids": 1, **_translated({k: v for k, v in filters.items() if k in _FOR_ATTRIBUTES}), "deleted": [0, 1]}


def for_one_event(filters: Filters, uuid: str) -> dict[str, Any]:
    """The site's filters narrowed to one event, whenever it was changed or published; see ``named``."""
    return {**_without(filters, TIME_WINDOWS | _PAGING), **named(filters, uuid)}


def named(filters: Filters, uuids: Any) -> dict[str, Any]:
    """The parameter that names events by UUID beside the site's filters, which may hold the usual one.

    Nothing when they hold both: then what they find, which is little, has to be looked through.
    """
    free = next((name for name in ("eventid", "uuid") if name not in filters), None)
    return {free: uuids} if free else {}


def _without(filters: Filters, names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in filters.items() if name not in names}


def _translated(filters: Filters) -> dict[str, Any]:
    return {_PYMISP_NAMES.get(name, name): _number(name, value) for name, value in filters.items()}


def _number(name: str, value: Any) -> Any:
    return int(value) if name in _FLAGS and isinstance(value, bool) else value
