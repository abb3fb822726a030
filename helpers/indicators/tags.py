"""What MISP's tags mean to Sentinel: TLP, confidence, threat type, kill chain, labels, actors. Pure.

The attribute's own tags come before those of its event. Local tags count for what they mean, so that
a local ``tlp:red`` is respected, and are left out of the labels when ``ignore_localtags`` is on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

from constants import (
    ACTIVITY_GROUP,
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
from helpers.text import one_line

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


@dataclass(frozen=True)
class Actors:
    """The actors behind the attributes of an event.

    ``by_tag`` has the name of an actor for each tag that names one. That is empty where it is not known, or not to be
    told: the attribute then has no actor from its event's tags either, which would be another one.
    ``of_all`` are the names that the event's attributes have, which are behind each of them. A name has at most
    ``longest`` characters; longer ones are none, since the beginning of a name may be another's.
    """

    by_tag: Mapping[str, str]
    event_tags: Sequence[Tag]
    of_all: Sequence[str]
    ignore_localtags: bool
    longest: int

    def behind(self, own: Tags) -> tuple[str, ...]:
        """Return the actors behind an attribute, each once: those of its own tags, else its event's, then all's."""
        return own.once(_behind, self)

    def told_of_all(self, name: str) -> bool:
        """Say whether the value of an attribute is the name of an actor behind all attributes of its event."""
        return name_of_actor(name).casefold() in self._of_all

    def told_by(self, tags: Sequence[Tag]) -> list[str] | None:
        """Return the names of the actors that tags name, as they are; None where no tag names any."""
        counting = [tag.name for tag in tags if not (self.ignore_localtags and tag.local)]
        names = sorted(self.by_tag[name] for name in counting if name in self.by_tag)
        return names or None

    @cached_property
    def of_event(self) -> list[str] | None:
        """The same of the event's tags."""
        return self.told_by(self.event_tags)

    @cached_property
    def _of_all(self) -> frozenset[str]:
        return frozenset(name.casefold() for name in distinct_names(self.of_all, self.longest))


def name_of_actor(text: str) -> str:
    """Return the name of an actor as it stands in a label: on one line, and nothing in it that cannot be seen."""
    return one_line("".join(letter for letter in storable(text) if letter.isprintable() or letter.isspace()))


def distinct_names(names: Iterable[str], longest: int) -> tuple[str, ...]:
    """Return the names of actors, each in the first of its spellings in capital and small letters."""
    distinct: dict[str, str] = {}
    for name in map(name_of_actor, names):
        if 0 < len(name) <= longest:
            distinct.setdefault(name.casefold(), name)
    return tuple(distinct.values())[:MOST_LABELS]


def _behind(own: Sequence[Tag], actors: Actors) -> tuple[str, ...]:
    told = actors.told_by(own) or actors.of_event or ()
    return distinct_names([*told, *actors.of_all], actors.longest)


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


def with_actors(names: Sequence[str], actors: Sequence[str]) -> list[str]:
    """Return labels with one more for each actor, by which Sentinel's published rules name it in alerts.

    They read from ``ActivityGroup:`` to the next blank of all labels as JSON, and so see least of others in the last.
    """
    known = {name.casefold() for name in names}
    new = [label for actor in actors if (label := f"{ACTIVITY_GROUP}{actor}").casefold() not in known]
    return [*names[: MOST_LABELS - len(new)], *new]


def joined_labels(labels: Iterable[str]) -> list[str]:
    """Return the labels of several indicators that are sent as one, each once; those that name actors stay last."""
    distinct = dict.fromkeys(labels)
    actors: dict[str, str] = {}
    for label in distinct:
        if label.startswith(ACTIVITY_GROUP):
            actors.setdefault(label.casefold(), label)
    return [*(label for label in distinct if not label.startswith(ACTIVITY_GROUP)), *actors.values()]


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
