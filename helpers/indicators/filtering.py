"""Which prepared attributes a destination's filters leave out, each for a reason of its own. Pure.

An event is prepared once, whoever gets it; what is left out for one destination may go to another.
An attribute is judged by what its indicators would say: tags, confidence and TLP as Sentinel sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from constants import TLP_2_LEVELS, Skip
from helpers.indicators import tags
from helpers.indicators.misp_fields import is_true, text_of
from helpers.indicators.request_event import (
    EventHeader,
    PreparedAttribute,
    PreparedObject,
    RequestObjectEvent,
    Skipped,
    excerpt,
)
from helpers.indicators.tags import Tag, Tags
from helpers.indicators.values import Unsendable
from helpers.settings import AttributeFilters, NamePatterns

if TYPE_CHECKING:  # the rules know the formats, which know this module: what is here is given its rules
    from helpers.indicators.rules import ConversionRules

Item = PreparedAttribute | PreparedObject


@dataclass(frozen=True)
class FilteredEvent:
    """A prepared event as filters leave it: what is to be converted, and everything that is not sent so far."""

    items: list[Item]
    skipped: list[Skipped]
    left_out: list[Skipped]


def apply_filters(prepared: RequestObjectEvent, *filters: AttributeFilters) -> FilteredEvent:
    """Take out of a prepared event what any of the filters refuse, and names that hashes carry.

    An object may lose some of its members.
    """
    refused = _refused(prepared, [filter_ for filter_ in filters if filter_.active])
    refused |= _names_in_descriptions(prepared, refused)
    if not refused:
        return FilteredEvent(prepared.items, prepared.skipped, prepared.left_out)
    return FilteredEvent(
        items=[rest for item in prepared.items if (rest := _without(item, refused))],
        skipped=[*prepared.skipped, *refused.values()],
        left_out=[half for half in prepared.left_out if half.attribute_uuid.lower() not in refused],
    )


def _refused(prepared: RequestObjectEvent, active: Sequence[AttributeFilters]) -> dict[str, Skipped]:
    header = prepared.header
    refused: dict[str, Skipped] = {}
    for attribute in _attributes(prepared) if active else ():
        refusals = (refusal(header, attribute, filter_, prepared.rules) for filter_ in active)
        if reason := next(filter(None, refusals), None):
            refused[attribute.uuid] = attribute.skipped(header, reason.reason, reason.words)
    return refused


def _names_in_descriptions(prepared: RequestObjectEvent, refused: Collection[str]) -> dict[str, Skipped]:
    """Return the names of files that are in the description of a hash that the filters let pass."""
    named = [attribute for attribute in _attributes(prepared) if attribute.hashes and attribute.uuid not in refused]
    # All names of an object have the same hashes, which may be many.
    lists = {id(attribute.hashes): attribute.hashes for attribute in named}
    sent = {key for key, hashes in lists.items() if any(hash_ not in refused for hash_ in hashes)}
    carried = (attribute for attribute in named if id(attribute.hashes) in sent)
    return {attribute.uuid: attribute.skipped(prepared.header, Skip.FILE_NAME) for attribute in carried}


def refusal(
    header: EventHeader, attribute: PreparedAttribute, filters: AttributeFilters, rules: ConversionRules
) -> Unsendable | None:
    """Return why filters leave an attribute out, or None when they let it pass; the first reason counts."""
    examination = _Examination(header, attribute, filters, rules)
    for reason, check in _CHECKS.items():
        words = check(examination)
        if words is not None:
            return Unsendable(reason, excerpt(words))
    return None


@dataclass(frozen=True)
class _Examination:
    """One attribute against one set of filters; each check returns what about it is refused, or None."""

    header: EventHeader
    attribute: PreparedAttribute
    filters: AttributeFilters
    rules: ConversionRules

    def type(self) -> str | None:
        kind = text_of(self.attribute.raw.get("type"))
        return _unwanted([kind], self.filters.types, self.filters.exclude_types)

    def organisation(self) -> str | None:
        """By name or UUID; an event that names none is from none of those that are asked for."""
        names = [self.header.organisation, self.header.organisation_uuid]
        refused = _unwanted(names, self.filters.organisations, self.filters.exclude_organisations)
        return None if refused is None else self.header.organisation or "the event names none"

    def missing_tag(self) -> str | None:
        wanted = self.filters.include_tags
        return "" if wanted and not self._first_tag(wanted) else None

    def unwanted_tag(self) -> str | None:
        unwanted = self.filters.exclude_tags
        return (self._first_tag(unwanted) or None) if unwanted else None

    def confidence(self) -> str | None:
        if not self.filters.min_confidence:
            return None
        confidence = tags.confidence(self._own, self.header.tags, self.rules)
        return None if confidence >= self.filters.min_confidence else str(confidence)

    def tlp(self) -> str | None:
        word = tags.tlp_word(self._own, self.header.tags, self.rules.default_tlp)
        return None if TLP_2_LEVELS[word] <= TLP_2_LEVELS[self.filters.max_tlp] else f"tlp:{word}"

    def decayed(self) -> str | None:
        """As with MISP's own excludeDecayed, one model that still stands by the attribute is enough."""
        if not self.filters.need_scores:
            return None
        scores = [score for score in _scores(self.attribute.raw) if score.counts(self.filters.decaying_models)]
        if not scores or not all(score.decayed_under(self.filters) for score in scores):
            return None
        return ", ".join(sorted(score.model for score in scores))

    @cached_property
    def _own(self) -> Tags:
        return self.attribute.tags

    def _first_tag(self, names: NamePatterns) -> str:
        return _first_of(self._own, names) or self.header.tags.once(_first_of, names)


def _first_of(all_tags: Sequence[Tag], names: NamePatterns) -> str:
    return names.first(tag.name for tag in all_tags)


_CHECKS: dict[Skip, Callable[[_Examination], str | None]] = {
    Skip.FILTERED_TYPE: _Examination.type,
    Skip.FILTERED_ORGANISATION: _Examination.organisation,
    Skip.MISSING_TAG: _Examination.missing_tag,
    Skip.FILTERED_TAG: _Examination.unwanted_tag,
    Skip.LOW_CONFIDENCE: _Examination.confidence,
    Skip.TLP_TOO_STRICT: _Examination.tlp,
    Skip.DECAYED: _Examination.decayed,
}


@dataclass(frozen=True)
class _Score:
    """What one decaying model of MISP says of an attribute (MISP, attributes/restSearch: ``decay_score``)."""

    model: str
    model_id: str
    value: float
    decayed: bool

    def counts(self, models: NamePatterns) -> bool:
        return not models or bool(models.first([self.model, self.model_id]))

    def decayed_under(self, filters: AttributeFilters) -> bool:
        return self.value < filters.min_decay_score or (filters.exclude_decayed and self.decayed)


def _scores(raw: Mapping[str, Any]) -> Iterator[_Score]:
    """Read MISP's scores; whatever is malformed is left out."""
    scores = raw.get("decay_score")
    for score in scores if isinstance(scores, list) else []:
        model = score.get("DecayingModel") if isinstance(score, Mapping) else None
        value = score.get("score") if isinstance(model, Mapping) else None
        if isinstance(model, Mapping) and isinstance(value, int | float):
            decayed = is_true(score.get("decayed"))
            yield _Score(text_of(model.get("name")), text_of(model.get("id")), value, decayed)


def _unwanted(names: list[str], wanted: NamePatterns, unwanted: NamePatterns) -> str | None:
    """Return nothing in words where a name is missing among the wanted, or is among the unwanted; else None."""
    refused = (wanted and not wanted.first(names)) or (unwanted and unwanted.first(names))
    return "" if refused else None


def _attributes(prepared: RequestObjectEvent) -> list[PreparedAttribute]:
    return [*prepared.prepared, *(member for object_ in prepared.objects for member in object_.members)]


def _without(item: Item, refused: Collection[str]) -> Item | None:
    """Return an attribute, or an object with those of its members, that are not refused; None when all are."""
    if isinstance(item, PreparedAttribute):
        return None if item.uuid in refused else item
    members = tuple(member for member in item.members if member.uuid not in refused)
    return replace(item, members=members) if members else None
