"""Which names in ``misp_event_filters`` MISP's events/restSearch knows, and what was meant by others. Pure.

Measured on MISP 2.5.1: it ignores a name that it does not know, also one in another letter case, and so finds every
event. What counts is the name that MISP receives: PyMISP has other names for some.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from helpers.settings.attribute_filters import AttributeFilters
from helpers.text import did_you_mean

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
# What asks for more in the answer of other searches, or tells PyMISP how to ask: ignored here without any harm.
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
    "searchall": ", beside which MISP ignores most others",
    "object_relation": ", with the relation that a member has in the object",
}
NO_FILTER = frozenset({"analysis", "firstseen", "lastseen"})
# The key of ``filters`` that does it, by names that MISP or people have for a filter on attributes.
OF_ATTRIBUTES = {
    **{field.name.replace("_", ""): field.name for field in fields(AttributeFilters)},
    "decayingmodel": "decaying_models",
    "score": "min_decay_score",
    "confidence": "min_confidence",
    "tlp": "max_tlp",
    "nottype": "exclude_types",
    "nottypes": "exclude_types",
    "notorg": "exclude_organisations",
    "notorgs": "exclude_organisations",
}
# Measured: what MISP ignores beside another name. ``searchall`` makes it skip nearly all the others.
_SEARCHALL = """
    type category org eventid uuid publish_timestamp timestamp event_timestamp event_tags date object_relation
    threat_level_id eventinfo sharinggroup org.local org.sector org.nationality
"""
IGNORED_BESIDE = {
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


def odd_filters(filters: Filters, source: str) -> list[str]:
    """Return a warning for each filter that MISP does not apply as it is meant.

    ``source`` is where the filters came from.
    """
    doubts = (*_ignored(filters), *_ignored_beside_others(filters))
    return [f"misp_event_filters ({source}) has {doubt}" for doubt in doubts]


def _ignored(filters: Filters) -> Iterator[str]:
    for name in filters:
        if name == "distribution":
            yield (
                "'distribution', by which MISP finds every event (0) or takes away the attributes that inherit it: "
                "write 'sharing_group_id' for the events of a sharing group, or take it out."
            )
        elif received(name) not in _ACCEPTED:
            yield f"{_ALL_FOUND.format(name)}: {_hint(name)}"


def _hint(name: str) -> str:
    """Say what to write in the place of a name that MISP ignores."""
    bare = _letters_of(name)
    if name.startswith("galaxy."):
        return "write the cluster's tag into 'tags'."
    if bare in _NOT_TAGS:
        return "write 'tags' with ! before the name, or with {\"NOT\": [...]}."
    if bare in _BY_LETTERS:
        return f"write {_BY_LETTERS[bare]!r}{_NOTES.get(MEANT.get(bare, ''), '')}."
    if bare in NO_FILTER:
        return "it has no filter on events for this, so take it out."
    if bare in OF_ATTRIBUTES:
        return f"the setting filters has {OF_ATTRIBUTES[bare]!r} for this, which is applied here."
    meant = did_you_mean(bare, _BY_LETTERS, 0.7)
    return f"do you mean {_BY_LETTERS[meant]!r}?" if meant else "take it out, or look for a slip in its name."


def _letters_of(name: str) -> str:
    """Return a name's letters and digits in lower case, by which people's ways to write it are the same."""
    return re.sub(r"[^0-9a-z]", "", name.lower())


_ACCEPTED = KNOWN | HARMLESS
_NOT_TAGS = frozenset({"nottag", "nottags"})  # PyMISP.search had not_tags, and guides still have it
_BY_LETTERS = {
    **{_letters_of(name): name for name, misp_name in RECEIVED.items() if misp_name in KNOWN},
    **{_letters_of(name): name for name in sorted(_ACCEPTED)},
    **MEANT,
}


def _ignored_beside_others(filters: Filters) -> Iterator[str]:
    """Yield what MISP receives and ignores, or what PyMISP does not send since another filter is the same to MISP."""
    sent: dict[str, str] = {}
    for name in filters:
        if received(name) in sent:
            yield f"{sent[received(name)]!r} and {name!r}, which are the same filter to MISP: take one of them out."
        sent.setdefault(received(name), name)
    for applied, others in IGNORED_BESIDE.items():
        ignored = [name for misp_name, name in sent.items() if misp_name in others]
        if applied in sent and ignored:
            yield f"{sent[applied]!r}, beside which MISP ignores {', '.join(ignored)}: take one or the other out."


OPERATORS = frozenset({"AND", "OR", "NOT"})


# -- tags ---------------------------------------------------------------------------------------------


def tags_in(filters: Filters) -> list[str]:
    """Return the tags that the filters name, without ``!``; MISP takes what is a number for a tag's id."""
    tags = [tag for name in _TAGS for tag in _tags(filters.get(name))]
    return [tag for tag in dict.fromkeys(tags) if tag and not tag.isdecimal()]


def _tags(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for operand in value.values():
            yield from map(str, operand if isinstance(operand, list | tuple) else [operand])
    elif isinstance(value, list | tuple):
        yield from (str(tag).removeprefix("!") for tag in value)
    elif value:
        yield from (tag.strip().removeprefix("!") for tag in re.split(r"\|\||&&", str(value)))


def has_wildcard(tag: str) -> bool:
    """Say whether a tag in the filters stands for many."""
    return "%" in tag


def absent_tag(tag: str, known: Iterable[str]) -> str:
    """Return a warning about a tag in the filters that MISP does not have; an empty text when it has it.

    ``known`` are names that MISP has, or the tag itself where it has a wildcard and an event is found by it.
    """
    names = sorted(name for name in known if _like(tag, re.IGNORECASE).fullmatch(name))
    if any(_like(tag).fullmatch(name) for name in names):
        return ""
    absent = "no event has" if has_wildcard(tag) else "MISP does not have"
    warning = f"misp_event_filters name the tag {tag!r}, which {absent}"
    if names:
        return f"{warning}: letter case counts in tags, so write {names[0]!r}."
    return f"{warning}: it finds nothing, and with ! before it nothing is left out; letter case counts."


def _like(tag: str, case: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    """Read a tag as SQL's LIKE does: % stands for anything, _ for one character."""
    wildcards = {"%": ".*", "_": "."}
    return re.compile("".join(wildcards.get(letter) or re.escape(letter) for letter in tag), re.DOTALL | case)
