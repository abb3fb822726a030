"""What MISP's tags mean to Sentinel: TLP, confidence, threat type, kill chain, labels. Pure.

The attribute's own tags come before those of its event. Local tags count for what they mean, so that
a local ``tlp:red`` is respected, and are left out of the labels when ``ignore_localtags`` is on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

from constants import (
    KILL_CHAIN_NAME,
    LONGEST_NAME,
    MOST_LABELS,
    THREAT_TYPES,
    TLP_2_LEVELS,
    TLP_BY_STRICTNESS,
    TLP_LEVELS,
)
from helpers.indicators.misp_fields import is_true
from helpers.indicators.values import storable

if TYPE_CHECKING:  # the rules know the formats, which know this module: what is here is given its rules
    from helpers.indicators.rules import ConversionRules

Rules = TypeVar("Rules")
Found = TypeVar("Found")

_CONFIDENCE = "misp:confidence-level"
_SAME_LEVEL_IN_TLP_1 = frozenset({"clear", "amber+strict"})
_OTHER_QUOTES = frozenset({"''", "“”", "„“", "””"})


@dataclass(frozen=True)
class Tag:
    """One MISP tag; ``local`` tags never left the MISP that they were set on."""

    name: str
    local: bool = False

    @cached_property
    def words(self) -> tuple[str, str, str]:
        """Taxonomy and predicate in lower case, value as written; empty where the tag has none."""
        name, _, value = self.name.partition("=")
        taxonomy, _, predicate = (part.strip().lower() for part in name.partition(":"))
        if not (taxonomy and predicate):
            return ("", self.name.strip().lower(), "")
        return (taxonomy, predicate, _without_quotes(value.strip()).strip())


class Tags(list[Tag]):
    """The tags of an event: what they mean is worked out once, however many attributes ask."""

    def __init__(self, tags: Iterable[Tag] = ()) -> None:
        """Take the tags over; nothing is asked yet."""
        super().__init__(tags)
        self._known: dict[tuple[object, int], tuple[object, Any]] = {}

    def once(self, read: Callable[[Sequence[Tag], Rules], Found], rules: Rules) -> Found:
        """Return what a function finds in them by some rules, without asking it again."""
        key = (read, id(rules))
        if key not in self._known:
            self._known[key] = (rules, read(self, rules))  # which keeps the rules, and so their id
        return cast("Found", self._known[key][1])


def found_in(tags: Sequence[Tag], read: Callable[[Sequence[Tag], Rules], Found], rules: Rules) -> Found:
    """Return what a function finds in the tags of an attribute or, once, in those of an event."""
    return tags.once(read, rules) if isinstance(tags, Tags) else read(tags, rules)


@dataclass(frozen=True)
class TagSets:
    """The tags of the attributes of an event, which mostly have the same ones: each set is there once."""

    _sets: dict[tuple[tuple[str, bool], ...], Tags] = field(default_factory=dict)

    def read(self, raw: Any) -> Tags:
        """Return the tags that an attribute has in MISP's form, as ``read_tags`` does."""
        named = tuple(_named(raw))
        if named not in self._sets:
            self._sets[named] = Tags(Tag(name, local) for name, local in named)
        return self._sets[named]


def read_tags(raw: Any) -> list[Tag]:
    """Return the tags of an event or attribute; what is no tag, or only inherited, is left out."""
    return [Tag(name, local) for name, local in _named(raw)]


def _named(raw: Any) -> list[tuple[str, bool]]:
    """Return the name of each tag, and whether it is a local one."""
    if not raw:
        return []
    return [
        (storable(name).strip(), is_true(tag.get("local")))
        for tag in (raw if isinstance(raw, list) else raw.values() if isinstance(raw, Mapping) else [])
        if isinstance(tag, dict)
        and isinstance(name := tag.get("name"), str)
        and name.strip()
        and not is_true(tag.get("inherited"))
    ]


def tlp_level(attribute_tags: Sequence[Tag], event_tags: Sequence[Tag], default: str) -> str:
    """Return white, green, amber or red: the strictest of the attribute, else the event, else the default."""
    return TLP_BY_STRICTNESS[TLP_LEVELS[tlp_word(attribute_tags, event_tags, default)]]


def tlp_word(attribute_tags: Sequence[Tag], event_tags: Sequence[Tag], default: str) -> str:
    """Return the same as the tag says it, ``clear`` and ``amber+strict`` included."""
    for tags in (attribute_tags, event_tags, (Tag(default),)):
        if word := found_in(tags, _strictest, None):
            return word
    return TLP_BY_STRICTNESS[0]


def confidence(attribute_tags: Sequence[Tag], event_tags: Sequence[Tag], rules: ConversionRules) -> int:
    """Return 0 to 100: the lowest on the attribute, else on the event, else the default."""
    for tags in (attribute_tags, event_tags):
        lowest = found_in(tags, _lowest_confidence, rules)
        if lowest is not None:
            return lowest
    return rules.default_confidence


def threat_types(attribute_tags: Sequence[Tag], event_tags: Sequence[Tag], default: str) -> list[str]:
    """Return the sentinel-threattype words on the attribute, else on the event, else the default."""
    for tags in (attribute_tags, event_tags):
        if words := found_in(tags, _threat_types, None):
            return list(words)
    return [default]


def kill_chain_phases(*tags: Sequence[Tag]) -> list[dict[str, str]]:
    """Return the phases that kill-chain tags name, in STIX's form, each once."""
    phases = [phase for some in tags for phase in found_in(some, _phases, None)]
    return [{"kill_chain_name": KILL_CHAIN_NAME, "phase_name": phase} for phase in _some(phases)]


def labels(attribute_tags: Sequence[Tag], rules: ConversionRules, event_tags: Sequence[Tag] = ()) -> list[str]:
    """Return the names of the tags that mean nothing else, under the ignore and allow lists, each once."""
    return _some([*found_in(attribute_tags, _labels, rules), *found_in(event_tags, _labels, rules)])


def may_be_label(tag: Tag, rules: ConversionRules) -> bool:
    """Say whether the site's lists (MISP_TAGS_IGNORE, MISP_ALLOWED_TAXONOMIES, local tags) let a tag become a label."""
    if (rules.ignore_localtags and tag.local) or tag.name.lower().startswith(rules.ignored_prefixes):
        return False
    return not rules.taxonomies or tag.words[0] in rules.taxonomies


def _strictest(tags: Sequence[Tag], _rules: None) -> str:
    words = [word for tag in tags if (word := _tlp(tag)) in TLP_2_LEVELS]
    return max(words, key=TLP_2_LEVELS.__getitem__) if words else ""


def _lowest_confidence(tags: Sequence[Tag], rules: ConversionRules) -> int | None:
    levels = rules.confidence_levels
    values = [levels[word] for tag in tags if (word := _confidence_word(tag)) in levels]
    return min(values) if values else None


def _threat_types(tags: Sequence[Tag], _rules: None) -> list[str]:
    return _some(filter(None, map(_threat_type, tags)))


def _phases(tags: Sequence[Tag], _rules: None) -> list[str]:
    return _some(filter(None, map(_phase, tags)))


def _labels(tags: Sequence[Tag], rules: ConversionRules) -> list[str]:
    return _some([tag.name for tag in tags if may_be_label(tag, rules) and not _has_meaning(tag, rules)])


def _some(names: Iterable[str]) -> list[str]:
    """Return the first names, each once; longer ones than MISP's are none."""
    distinct = list(dict.fromkeys(names))
    if max(map(len, distinct), default=0) > LONGEST_NAME:
        distinct = [name for name in distinct if len(name) <= LONGEST_NAME]
    return distinct[:MOST_LABELS]


def _tlp(tag: Tag) -> str:
    taxonomy, predicate, _ = tag.words
    return "".join(predicate.split()) if taxonomy == "tlp" else ""  # "amber + strict" is typed too


def _without_quotes(value: str) -> str:
    """Take off the quotes that MISP puts around a tag's value, or those of another kind that people type."""
    if len(value) > 1 and value[0] + value[-1] in _OTHER_QUOTES:
        return value[1:-1]
    return value.removeprefix('"').removesuffix('"')


def _confidence_word(tag: Tag) -> str:
    taxonomy, predicate, value = tag.words
    return value.lower() if f"{taxonomy}:{predicate}" == _CONFIDENCE else ""


def _threat_type(tag: Tag) -> str:
    taxonomy, predicate, value = tag.words
    if taxonomy != "sentinel-threattype":
        return ""
    word = value or tag.name.partition(":")[2].strip()
    return next((type_ for type_ in THREAT_TYPES if type_.lower() == word.lower()), word or predicate)


def _phase(tag: Tag) -> str:
    taxonomy, predicate, value = tag.words
    return "-".join((value or predicate).lower().split()) if taxonomy == "kill-chain" else ""


def _has_meaning(tag: Tag, rules: ConversionRules) -> bool:
    """Whether another property of the indicator says the same; TLP 2.0 names say more than the marking."""
    level = _tlp(tag)
    plain_tlp = level in TLP_LEVELS and level not in _SAME_LEVEL_IN_TLP_1
    return plain_tlp or bool(_threat_type(tag) or _phase(tag)) or _confidence_word(tag) in rules.confidence_levels
