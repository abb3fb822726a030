"""Which names in ``misp_event_filters`` MISP's events/restSearch knows, and what was meant by others. Pure.

Measured on MISP 2.5.1: it ignores a name that it does not know, also one in another letter case, and so finds every
event. What counts is the name that MISP receives: PyMISP has some of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from helpers.settings.attribute_filters import AttributeFilters

Filters = Mapping[str, Any]

# MISP 2.5.1, app/Controller/Component/RestSearchComponent.php. Not galaxy.*: it is in that list, and the expression
# that reads it does not compile, so that it is ignored.
_KNOWN = """
    returnFormat value type category org tags searchall from to last eventid withAttachments metadata uuid
    publish_timestamp timestamp event_timestamp event_tags published enforceWarninglist sgReferenceOnly limit page
    requested_attributes includeContext headerless includeWarninglistHits attackGalaxy to_ids deleted excludeLocalTags
    date includeSightingdb tag object_relation threat_level_id eventinfo sharinggroup idList includeAllTags
    includeAttachments event_uuid sharing_group_id disableSiteAdmin flatten blockedAttributeTags
    eventsExtendingUuid extended extensionList excludeGalaxy includeAnalystData includeRelatedTags includeDecayScore
    includeScoresOnEvent includeFeedCorrelations includeServerCorrelations noEventReports noShadowAttributes order
    protected includeGranularCorrelations org.sector org.local org.nationality
"""
KNOWN = frozenset(_KNOWN.split())
# What MISP receives for names that PyMISP.search has, and for the one that misp/search_filters.py sends as another.
RECEIVED = {
    "type_attribute": "type",
    "date_from": "from",
    "date_to": "to",
    "last": "publish_timestamp",
    "quick_filter": "quickFilter",
    "enforce_warninglist": "enforceWarninglist",
    "with_attachments": "withAttachments",
    "sg_reference_only": "sgReferenceOnly",
    "include_event_uuid": "includeEventUuid",
    "include_event_tags": "includeEventTags",
    "include_context": "includeContext",
    "include_sightings": "includeSightings",
    "include_correlations": "includeCorrelations",
    "include_decay_score": "includeDecayScore",
    "exclude_decayed": "excludeDecayed",
    "return_format": "returnFormat",
    "sharing_group_id": "sharinggroup",
}
# What asks for more in the answer of other searches, or tells PyMISP how to ask: ignored here, and nobody misses it.
_HARMLESS = """
    includeEventTags includeEventUuid includeSightings includeCorrelations includeEventCorrelations includeGalaxy
    includeProposals includeAttributeUuid includeFullModel controller pythonify
"""
HARMLESS = frozenset(_HARMLESS.split())
# What people write for a filter that is called otherwise.
MEANT = {
    "threatlevel": "threat_level_id",
    "info": "eventinfo",
    "orgc": "org",
    "orgcid": "org",
    "orgcuuid": "org",
    "objectname": "object_relation",
    "quickfilter": "searchall",
    "comment": "searchall",
    "attributetimestamp": "timestamp",
    "id": "eventid",
}
_NOTES = {
    "searchall": ", beside which MISP heeds few others",
    "object_relation": ", with the relation that a member has in the object",
}
NO_FILTER = frozenset({"analysis", "firstseen", "lastseen"})
# Filters on attributes in the names of MISP, by the key of ``filters`` that does it.
OF_ATTRIBUTES = {
    **{each.name.replace("_", ""): each.name for each in fields(AttributeFilters)},
    "decayingmodel": "decaying_models",
    "score": "min_decay_score",
    "confidence": "min_confidence",
    "tlp": "max_tlp",
}
# Measured: what MISP does not heed beside another name. ``searchall`` makes it skip nearly all the others.
_SEARCHALL = """
    type category org eventid uuid publish_timestamp timestamp event_timestamp event_tags date object_relation
    threat_level_id eventinfo sharinggroup org.local org.sector org.nationality
"""
DEAF = {
    "searchall": frozenset(_SEARCHALL.split()),
    "tags": frozenset({"tag"}),
    "event_tags": frozenset({"tags", "tag"}),
    "value": frozenset({"searchall"}),
}
_TAGS = ("tags", "tag", "event_tags")
_ALL_FOUND = "{!r}, which MISP ignores and so finds every event"


def received(name: str) -> str:
    """Return the name under which MISP gets a filter."""
    return RECEIVED.get(name, name)


def odd_filters(filters: Filters, origin: str) -> list[str]:
    """Return a warning for what MISP does not do as it is meant, or cannot answer; ``origin`` is the settings'."""
    doubts = (*_ignored(filters), *_lost(filters), *_misshapen(filters))
    return [f"misp_event_filters ({origin}) has {words}" for words in doubts]


def _ignored(filters: Filters) -> Iterator[str]:
    for name in filters:
        if name == "distribution":
            yield (
                "'distribution', by which MISP finds every event (0) or takes away the attributes that inherit it: "
                "write 'sharing_group_id' for the events of a sharing group, or take it out."
            )
        elif received(name) not in _ACCEPTED:
            yield f"{_ALL_FOUND.format(name)}: {_mend(name)}"


def _mend(name: str) -> str:
    """Say what to write in the place of a name that MISP ignores."""
    bare = _bare(name)
    if name.startswith("galaxy."):
        return "write the cluster's tag into 'tags'."
    if bare in _BARE:
        return f"write {_BARE[bare]!r}{_NOTES.get(MEANT.get(bare, ''), '')}."
    if bare in NO_FILTER:
        return "it has no filter on events for this, so take it out."
    if bare in OF_ATTRIBUTES:
        return f"the setting filters has {OF_ATTRIBUTES[bare]!r} for this, which is applied here."
    near = get_close_matches(bare, _BARE, n=1, cutoff=0.7)
    return f"do you mean {_BARE[near[0]]!r}?" if near else "take it out, or look for a slip in its name."


def _bare(name: str) -> str:
    return re.sub(r"[^0-9a-z]", "", name.lower())


_ACCEPTED = KNOWN | HARMLESS
_BARE = {
    **{_bare(name): name for name, of in RECEIVED.items() if of in KNOWN},
    **{_bare(name): name for name in sorted(_ACCEPTED)},
    **MEANT,
}


def _lost(filters: Filters) -> Iterator[str]:
    """Yield what MISP gets and does not heed, or what PyMISP does not send since it has another name for it."""
    given: dict[str, str] = {}
    for name in filters:
        if received(name) in given:
            yield f"{given[received(name)]!r} and {name!r}, which are the same filter to MISP: take one of them out."
        given.setdefault(received(name), name)
    for stays, deaf in DEAF.items():
        lost = [name for other, name in given.items() if other in deaf]
        if stays in given and lost:
            yield f"{given[stays]!r}, beside which MISP does not heed {', '.join(lost)}: take one or the other out."


# Measured: MISP answers 500 where these are given otherwise.
_NO_OPERATORS = frozenset(
    {"threat_level_id", "published", "timestamp", "publish_timestamp", "event_timestamp", "searchall"}
)
OPERATORS = frozenset({"AND", "OR", "NOT"})


def _misshapen(filters: Filters) -> Iterator[str]:
    """Yield what MISP cannot answer for the shape of its value."""
    for name, value in filters.items():
        misp_name = received(name)
        if misp_name in _NO_OPERATORS and isinstance(value, Mapping):
            yield f"{name!r} with AND, OR or NOT, which MISP cannot answer: write a value or a list of values."
        elif misp_name == "searchall" and not isinstance(value, str | int):
            yield f"{name!r} as a list, which MISP cannot answer: write a text."
        elif misp_name == "blockedAttributeTags" and isinstance(value, str):
            yield f"{name!r} as a text, which MISP cannot answer: write a list."
        elif name in _TAGS and isinstance(value, Mapping) and not OPERATORS.issuperset(map(str.upper, map(str, value))):
            yield f"{name!r} with something else than AND, OR and NOT, which MISP cannot answer: write one of these."


# -- tags ---------------------------------------------------------------------------------------------


def tags_in(filters: Filters) -> list[str]:
    """Return the tags that the filters name, without ``!``; MISP takes what is a number for a tag's id."""
    named = [tag for name in _TAGS for tag in _tags(filters.get(name))]
    return [tag for tag in dict.fromkeys(named) if tag and not tag.isdecimal()]


def _tags(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for operand in value.values():
            yield from map(str, operand if isinstance(operand, list | tuple) else [operand])
    elif isinstance(value, list | tuple):
        yield from (str(each).removeprefix("!") for each in value)
    elif value:
        yield from (each.strip().removeprefix("!") for each in re.split(r"\|\||&&", str(value)))


def has_wildcard(tag: str) -> bool:
    """Say whether a tag in the filters stands for many."""
    return "%" in tag


def absent_tag(tag: str, known: Iterable[str]) -> str:
    """Return a warning about a tag in the filters that is none of MISP's; nothing when it is one.

    ``known`` are names that MISP has, or the tag itself where it has a wildcard and an event is found by it.
    """
    names = sorted(name for name in known if _like(tag, re.IGNORECASE).fullmatch(name))
    if any(_like(tag).fullmatch(name) for name in names):
        return ""
    nowhere = "no event has" if has_wildcard(tag) else "MISP does not have"
    words = f"misp_event_filters name the tag {tag!r}, which {nowhere}"
    if names:
        return f"{words}: letter case counts in tags, so write {names[0]!r}."
    return f"{words}: it finds nothing, and with ! before it nothing is left out; letter case counts."


def _like(tag: str, case: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    """Read a tag as SQL's LIKE does: % stands for anything, _ for one character."""
    forms = {"%": ".*", "_": "."}
    return re.compile("".join(forms.get(letter) or re.escape(letter) for letter in tag), re.DOTALL | case)
