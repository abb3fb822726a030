"""What a site's ``filters`` ask for, read and checked; every problem is reported at once. Pure.

``helpers/indicators/filtering.py`` applies them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from helpers.settings.config.values.site_constants import accepted_types
from helpers.settings.config.values.tlp import tlp_word
from helpers.text import did_you_mean

Problem = tuple[str, str]


class FilterProblems(ValueError):
    """Filters that cannot be used; ``problems`` are pairs: the path below ``filters``, and how to fix what is wrong."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{path} {problem}" for path, problem in problems))

    def below(self, key: object) -> list[Problem]:
        """Return the problems as those of the value under a key or index."""
        return [(f"[{key!r}]{path}", problem) for path, problem in self.problems]


@dataclass(frozen=True)
class NamePatterns:
    """Names as a site writes them: letter case does not count, and ``*`` stands for anything."""

    words: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Say whether there are any."""
        return bool(self.words)

    def first(self, texts: Iterable[str]) -> str:
        """Return the first of the texts that matches one of the names; an empty text when none does."""
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
    def parse(cls, filters: Mapping[str, Any]) -> AttributeFilters:
        """Read filters as a site writes them. Raises FilterProblems with all that is wrong."""
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        for key, value in filters.items():
            try:
                values[key] = _reader_of(key)(value)
            except FilterProblems as error:
                problems += error.below(key)
        if "decaying_models" in filters and not {"exclude_decayed", "min_decay_score"} & filters.keys():
            problems.append(
                ("['decaying_models']", "leaves nothing out by itself: add exclude_decayed or min_decay_score.")
            )
        if problems:
            raise FilterProblems(problems)
        return cls(**values)

    @property
    def need_scores(self) -> bool:
        """Whether MISP must be asked for the scores of its decaying models."""
        return self.exclude_decayed or self.min_decay_score > 0

    @property
    def active(self) -> bool:
        """Whether they leave anything out."""
        return self != AttributeFilters()


def _problem(problem: str) -> FilterProblems:
    """Return what is wrong with a whole value, as an exception."""
    return FilterProblems([("", problem)])


def _reader_of(key: str) -> Callable[[Any], Any]:
    if key in _READERS:
        return _READERS[key]
    meant = did_you_mean(key, _READERS, 0.6)
    hint = f"write {meant!r}, if that is meant." if meant else f"write one of {', '.join(_READERS)}."
    raise _problem(f"is not a filter: {hint}")


def _list_of(read_entry: Callable[[Any], str]) -> Callable[[Any], NamePatterns]:
    """Return a reader of lists, which reports every entry that cannot be read."""

    def read(value: Any) -> NamePatterns:
        if not isinstance(value, list | tuple) or not value:
            raise _problem('must be a list with something in it: write ["…", "…"], or leave it out.')
        words, problems = [], []
        for index, entry in enumerate(value):
            try:
                words.append(read_entry(entry))
            except FilterProblems as error:
                problems += error.below(index)
        if problems:
            raise FilterProblems(problems)
        return NamePatterns(tuple(words))

    return read


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _problem("must be text: put a name in quotes.")
    return value.strip()


def _tag(value: Any) -> str:
    """Refuse what means something in misp_event_filters and would be taken literally here."""
    name = _name(value)
    if name.startswith("!"):
        raise _problem("begins with !: put the tag into exclude_tags, without it.")
    return _without_percent(name)


def _organisation(value: Any) -> str:
    return _without_percent(_name(value))


def _without_percent(name: str) -> str:
    """Refuse what stands for anything in misp_event_filters."""
    if name.startswith("%") or name.endswith("%"):
        raise _problem(f"{'ends' if name.endswith('%') else 'begins'} with %: write * for anything.")
    return name


def _model(value: Any) -> str:
    """Read a decaying model's name or number."""
    return _name(str(value) if type(value) is int else value)


def _type(value: Any) -> str:
    """Accept what matches a type that is sent: a slip would leave out everything, or nothing."""
    name = _name(value)
    if not NamePatterns((name,)).first(accepted_types()):
        meant = did_you_mean(name, accepted_types(), 0.6)
        hint = f"write {meant!r}, if that is meant." if meant else "write one of these, or a part of one with *."
        raise _problem(f"is not a type in UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES: {hint}")
    return name


def _percentage(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= 100:
        raise _problem("must be a whole number from 0 to 100: write digits without quotes.")
    return value


def _score(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= 100:
        raise _problem("must be a number from 0 to 100: write it without quotes.")
    return float(value)


def _tlp(value: Any) -> str:
    try:
        return tlp_word(value)
    except ValueError as error:
        raise _problem(str(error)) from None


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _problem("must be True or False: write one of them without quotes.")
    return value


_READERS: dict[str, Callable[[Any], Any]] = {
    "types": _list_of(_type),
    "exclude_types": _list_of(_type),
    "include_tags": _list_of(_tag),
    "exclude_tags": _list_of(_tag),
    "organisations": _list_of(_organisation),
    "exclude_organisations": _list_of(_organisation),
    "min_confidence": _percentage,
    "max_tlp": _tlp,
    "exclude_decayed": _flag,
    "min_decay_score": _score,
    "decaying_models": _list_of(_model),
}
