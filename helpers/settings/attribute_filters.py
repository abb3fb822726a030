"""What a site's ``filters`` ask for, read and checked; every problem is named at once. Pure.

``helpers/indicators/filtering.py`` applies them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from constants import TLP_2_LEVELS, UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES

Problem = tuple[str, str]


class FilterProblems(ValueError):
    """Filters that cannot be used; ``problems`` are pairs: where below ``filters``, and what with its mend."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{where} {what}" for where, what in problems))


@dataclass(frozen=True)
class NamePatterns:
    """NamePatterns as a site writes them: letter case does not count, and ``*`` stands for anything."""

    words: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Say whether there are any."""
        return bool(self.words)

    def first(self, texts: Iterable[str]) -> str:
        """Return the first of the texts that is one of the names; nothing when none is."""
        return next((text for text in texts if self._expression.fullmatch(text.casefold())), "")

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        forms = (".*".join(map(re.escape, word.casefold().split("*"))) for word in self.words)
        return re.compile("|".join(f"(?:{form})" for form in forms), re.DOTALL)


@dataclass(frozen=True)
class AttributeFilters:
    """Which attributes are sent; each field is a key of ``filters``, and its default lets everything pass.

    ``min_confidence`` and ``min_decay_score`` go from 0 to 100; ``max_tlp`` is a word of TLP 2.0 or 1.0.
    """

    types: NamePatterns = NamePatterns()
    exclude_types: NamePatterns = NamePatterns()
    include_tags: NamePatterns = NamePatterns()
    exclude_tags: NamePatterns = NamePatterns()
    organisations: NamePatterns = NamePatterns()
    exclude_organisations: NamePatterns = NamePatterns()
    min_confidence: int = 0
    max_tlp: str = "red"
    exclude_decayed: bool = False
    min_decay_score: float = 0
    decaying_models: NamePatterns = NamePatterns()

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> AttributeFilters:
        """Read filters as a site writes them. Raises FilterProblems with all that is wrong."""
        read: dict[str, Any] = {}
        problems: list[Problem] = []
        for key, value in given.items():
            try:
                read[key] = _reader(key)(value)
            except FilterProblems as found:
                problems += [(f"[{key!r}]{where}", what) for where, what in found.problems]
        problems += _idle_models(given)
        if problems:
            raise FilterProblems(problems)
        return cls(**read)

    @property
    def need_scores(self) -> bool:
        """Whether MISP must be asked for the scores of its decaying models."""
        return self.exclude_decayed or self.min_decay_score > 0

    @property
    def active(self) -> bool:
        """Whether there is anything that they leave out."""
        return self != AttributeFilters()


def _reader(key: str) -> Callable[[Any], Any]:
    if key in _READERS:
        return _READERS[key]
    near = get_close_matches(key.lower(), _READERS, n=1, cutoff=0.6)
    hint = f"write {near[0]!r}, if that is meant." if near else f"write one of {', '.join(_READERS)}."
    raise FilterProblems([("", f"is no filter: {hint}")])


def _idle_models(given: Mapping[str, Any]) -> list[Problem]:
    if "decaying_models" not in given or {"exclude_decayed", "min_decay_score"} & given.keys():
        return []
    return [("['decaying_models']", "leaves nothing out by itself: add exclude_decayed or min_decay_score.")]


def _names(value: Any) -> NamePatterns:
    return _checked(value, _name)


def _tags(value: Any) -> NamePatterns:
    return _checked(value, _tag)


def _types(value: Any) -> NamePatterns:
    return _checked(value, _type)


def _models(value: Any) -> NamePatterns:
    return _checked(value, lambda each: _name(str(each) if type(each) is int else each))


def _checked(value: Any, check: Callable[[Any], str]) -> NamePatterns:
    """Read a list, naming each entry that cannot be."""
    if not isinstance(value, list | tuple) or not value:
        raise FilterProblems([("", 'must be a list with something in it: write ["…", "…"], or leave it out.')])
    words, problems = [], []
    for index, each in enumerate(value):
        try:
            words.append(check(each))
        except FilterProblems as found:
            problems += [(f"[{index}]{where}", what) for where, what in found.problems]
    if problems:
        raise FilterProblems(problems)
    return NamePatterns(tuple(words))


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise FilterProblems([("", "must be text: put a name in quotes.")])
    return value.strip()


def _tag(value: Any) -> str:
    """Refuse what means something in misp_event_filters and would be taken literally here."""
    name = _name(value)
    if name.startswith("!"):
        raise FilterProblems([("", "begins with !: put the tag into exclude_tags, without it.")])
    if name.endswith("%"):
        raise FilterProblems([("", "ends with %: write * for anything.")])
    return name


def _type(value: Any) -> str:
    """Accept what matches a type that is sent: a slip would leave out everything, or nothing."""
    name = _name(value)
    if not NamePatterns((name,)).first(UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES):
        near = get_close_matches(name.lower(), UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES, n=1)
        hint = f"write {near[0]!r}, if that is meant." if near else "write one of these, or a part of one with *."
        raise FilterProblems([("", f"is no type in UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES: {hint}")])
    return name


def _hundred(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= 100:
        raise FilterProblems([("", "must be a whole number from 0 to 100: write digits without quotes.")])
    return value


def _score(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= 100:
        raise FilterProblems([("", "must be a number from 0 to 100: write it without quotes.")])
    return float(value)


def _tlp(value: Any) -> str:
    word = value.strip().lower().removeprefix("tlp:") if isinstance(value, str) else ""
    if word not in TLP_2_LEVELS:
        raise FilterProblems([("", f"is no TLP: write one of {', '.join(TLP_2_LEVELS)}.")])
    return word


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise FilterProblems([("", "must be True or False: write one of them without quotes.")])
    return value


_READERS: dict[str, Callable[[Any], Any]] = {
    "types": _types,
    "exclude_types": _types,
    "include_tags": _tags,
    "exclude_tags": _tags,
    "organisations": _names,
    "exclude_organisations": _names,
    "min_confidence": _hundred,
    "max_tlp": _tlp,
    "exclude_decayed": _flag,
    "min_decay_score": _score,
    "decaying_models": _models,
}
