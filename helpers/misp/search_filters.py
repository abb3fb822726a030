"""The site's filters as PyMISP's search takes them. Pure.

Facts measured on MISP 2.5.1 with PyMISP 2.5.34: a JSON ``false`` for ``published`` or ``to_ids`` is
ignored while events are picked, and PyMISP overwrites ``type``, ``from`` and ``to`` with nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from helpers.indicators import is_true
from helpers.settings import filter_names


class Clash(NamedTuple):
    """Two parameters that MISP 2.5.1 answers with HTTP 500 together, and either of them by itself with events.

    ``recording`` names the exchange that shows it.
    """

    stays: str
    gives_way: str
    recording: str


# MISP looks through lists of attributes and of proposals for what is on a warninglist, also where it was told to leave
# these lists out. Nothing is lost by what gives way: the warninglists never take an event away, and proposals are not
# converted.
_NO_SHADOWS = "events_restSearch_noShadowAttributes"
CLASHES = (
    Clash("metadata", "enforceWarninglist", "events_restSearch_metadata_enforceWarninglist"),
    Clash("metadata", "includeWarninglistHits", "events_restSearch_metadata_includeWarninglistHits"),
    Clash("enforceWarninglist", "noShadowAttributes", f"{_NO_SHADOWS}_enforceWarninglist"),
    Clash("includeWarninglistHits", "noShadowAttributes", f"{_NO_SHADOWS}_includeWarninglistHits"),
)

# What to say when the filters find nothing at all.
NOTHING_FOUND = (
    "the filters find no event: try fewer of them, a longer publish_timestamp (14d, 12h), and look whether MISP has "
    "published events at all; letter case counts in tags, organisations and titles, and % stands for any text."
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
# PyMISP has parameters of its own for some names of MISP's, and sends nothing for these names themselves.
_OWN_PARAMETERS = ("type_attribute", "date_from", "date_to", "sg_reference_only")
_PYMISP_NAMES = {
    **{filter_names.RECEIVED[name]: name for name in _OWN_PARAMETERS},
    # MISP applies this name to pages already cut and to attributes too, which mostly inherit: none of them comes.
    "sharing_group_id": filter_names.RECEIVED["sharing_group_id"],
}
# Beside ``searchall`` MISP does not heed which events are asked for; it has done its work in the listing too.
_OVER_EVENT_IDS = frozenset({"eventid", "searchall"})
_NOT_NEEDED = {"excludeGalaxy": True, "noShadowAttributes": 1}
_FLAGS = frozenset({"published", "to_ids"})
_FOR_ATTRIBUTES = _WARNINGLIST | {"to_ids", "sharinggroup", "sharing_group_id", "excludeLocalTags"}


def for_listing(filters: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that list the events, without their attributes and without paging."""
    kept = _translated(_without(filters, _PAGING | _OURS))
    return answerable({**kept, "metadata": True, "excludeGalaxy": True})


def without_time_windows(filters: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that ask whether the filters, time windows set aside, still find an event."""
    return for_listing(_without(filters, TIME_WINDOWS))


def for_reading(filters: Mapping[str, Any], *, reports: bool = False) -> dict[str, Any]:
    """The arguments that read listed events whole: time windows have done their work in the listing.

    What no indicator is made of stays where it is: galaxies, proposals (where MISP can leave them) and, unless
    ``reports`` are wanted, event reports. Correlations come along; this route has nothing that leaves them out.
    """
    kept = _translated(_without(filters, _PAGING | TIME_WINDOWS | _OURS | _OVER_EVENT_IDS))
    return answerable({**kept, **_NOT_NEEDED, **({} if reports else {"noEventReports": 1})})


def answerable(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return these arguments without what MISP cannot answer beside the others (``CLASHES``)."""
    received = {filter_names.received(name) for name in arguments}
    dropped = {clash.gives_way for clash in CLASHES if clash.stays in received}
    return {name: value for name, value in arguments.items() if filter_names.received(name) not in dropped}


def for_attributes(filters: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that read what is flagged of one event's attributes in pages, soft-deleted ones too.

    With them in the answer, deleting an attribute moves no other one to an earlier page.
    """
    kept = {name: value for name, value in filters.items() if name in _FOR_ATTRIBUTES}
    return {"to_ids": 1, **_translated(kept), "deleted": [0, 1]}


def for_scores(*, wanted: bool) -> dict[str, Any]:
    """The arguments that ask for decay scores; not ``excludeDecayed``: MISP drops attributes from pages already cut."""
    return {"includeDecayScore": True} if wanted else {}


def for_one_event(filters: Mapping[str, Any], uuid: str) -> dict[str, Any]:
    """The site's filters narrowed to one event, whenever it was changed or published; see ``by_uuid``."""
    return {**_without(filters, TIME_WINDOWS | _PAGING), **by_uuid(filters, uuid)}


def by_uuid(filters: Mapping[str, Any], uuids: Any) -> dict[str, Any]:
    """The parameter that names events by UUID beside the site's filters, which may hold the usual one.

    Nothing when they hold both, or ``searchall``: then what they find has to be looked through.
    """
    free = next((name for name in ("eventid", "uuid") if name not in filters), None)
    free = None if "searchall" in filters else free
    return {free: uuids} if free else {}


def is_on(value: object) -> bool:
    """Whether a filter's value is true: as MISP's own, or as the text that environment variables have."""
    return is_true(value) or value == "true"


def _without(filters: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in filters.items() if name not in names}


def _translated(filters: Mapping[str, Any]) -> dict[str, Any]:
    return {_PYMISP_NAMES.get(name, name): _sent(name, value) for name, value in filters.items()}


def _sent(name: str, value: Any) -> Any:
    """Return a value as MISP takes it: a flag as a number; AND, OR and NOT in capitals, with lists (else it fails)."""
    if isinstance(value, Mapping):
        return {_operator(word): [words] if isinstance(words, str) else words for word, words in value.items()}
    return int(value) if name in _FLAGS and isinstance(value, bool) else value


def _operator(word: str) -> str:
    return word.upper() if word.upper() in filter_names.OPERATORS else word
