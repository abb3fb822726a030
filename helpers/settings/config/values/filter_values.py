"""What is wrong with a value in ``misp_event_filters``: a shape that MISP cannot read, a time without a unit. Pure.

MISP says nothing of either: it finds nothing, every event, or answers 500. What it understands is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

from helpers.settings.filter_names import OPERATORS, received

Problem = tuple[str, str]

_TIMES = frozenset({"timestamp", "publish_timestamp", "event_timestamp", "date"})
# MISP 2.5.1 compares these with an event's date as they stand, unless they are numbers, which are seconds since 1970.
_EVENT_DAYS = frozenset({"from", "to"})
# Compared with a column of numbers: any other text is 0 to MISP's database.
_ZERO_OR_ONE = frozenset({"published", "to_ids"})
_SWITCHES = frozenset(
    {
        *("enforceWarninglist", "includeWarninglistHits", "withAttachments", "metadata", "sgReferenceOnly"),
        *("includeContext", "headerless", "excludeLocalTags", "includeSightingdb", "includeAllTags", "flatten"),
        *("excludeGalaxy", "includeDecayScore", "noEventReports", "noShadowAttributes", "includeEventTags"),
    }
)
_NUMBERS = frozenset({"limit", "page"})
# Names of types, categories and members are words, and never numbers.
_WORDS = frozenset({"type", "category", "object_relation", "uuid", "event_uuid"})
_TAGS = frozenset({"tags", "tag", "event_tags"})
_NOT_TRUE_OR_FALSE = _WORDS | _TAGS | {"org", "value", "eventinfo", "searchall", "eventid"}
# Measured on MISP 2.5.1: it answers 500 where these have anything but a value or a list of values.
_NO_OPERATORS = frozenset({"threat_level_id", "published", *_TIMES, *_EVENT_DAYS, "searchall"})
# The first as PyMISP has it, which raises; of the others MISP answers 500 to a list.
_NO_LISTS = frozenset({"to_ids", *_EVENT_DAYS})

# Seconds since 1970 that somebody may mean: from 1973, to the year 3000.
_FIRST, _LAST = 10**8, 32_503_680_000
_WITH_UNIT = re.compile(r"\d+(?:\.\d+)?[dhms]", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-?\d{2}-?\d{2}(?:[T ]\d{2}:?\d{2}(?::?\d{2}(?:\.\d+)?)?\s*(?:Z|[+-]\d{2}:?\d{2})?)?")
_DAY = re.compile(r"\d{4}([-/.])\d{1,2}\1\d{1,2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?")
_BEGIN_OF_DATE = re.compile(r"(\d{4})([-/.]?)(\d{1,2})\2(\d{1,2})(?!\d)")
# Other texts that PHP's strtotime reads. What ends in d, h, m or s never gets there: MISP takes that for a unit.
_IN_WORDS = re.compile(
    r".*\b(?:ago|today|yesterday|now|midnight|noon|last|first|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec).*"
    r"|-\d+ ?(?:week|day|hour|minute|year)|@\d+|\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}(?: .*\d)?",
    re.IGNORECASE | re.DOTALL,
)
_UNIT_LETTERS = "dhms"
_SPAN = re.compile(r"[+-]?(\d+)\s*([a-z]+)(?:\s+ago)?", re.IGNORECASE)
_DAYS = {"w": 7, "week": 7, "weeks": 7, "mo": 30, "month": 30, "months": 30, "y": 365, "year": 365, "years": 365}
_UNITS = {"day": "d", "days": "d", "hour": "h", "hours": "h", "hr": "h", "hrs": "h", "minute": "m", "minutes": "m"}


def problems(filters: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield (path below misp_event_filters, what is wrong and how to fix it)."""
    for name, value in filters.items():
        found = _shape(value) or _operators(name, value)
        for path, problem in [found] if found else _entries(received(name), value):
            yield f"[{name!r}]{path}", problem


def _shape(value: Any) -> Problem | None:
    """Return what no filter may be: nothing, or something within a list that is no value."""
    if value is None or value in ("", [], (), {}):
        return "", "is empty, so that it filters nothing: write a value, or take it out."
    for operand, listed in value.items() if isinstance(value, Mapping) else [("", value)]:
        if listed in ([], ()):
            return f"[{operand!r}]", "is empty: write a value, or take it out."
        for index, entry in enumerate(listed if isinstance(listed, list | tuple) else [listed]):
            below = f"{f'[{operand!r}]' if operand else ''}{f'[{index}]' if isinstance(listed, list | tuple) else ''}"
            if not isinstance(entry, str | int | float | date):
                return below, "is not a value: write a text or a number, and lists of these only, without None."
            if entry == "":
                return below, "is empty: write a value, or take it out."
    return None


def _operators(name: str, value: Any) -> Problem | None:
    misp_name = received(name)
    if misp_name == "searchall" and not isinstance(value, str | int):
        return "", "is no text, which MISP cannot answer: write a text."
    if misp_name == "blockedAttributeTags" and isinstance(value, str):
        return "", "is no list, which MISP cannot answer: write [ … ] around it."
    if misp_name in _NO_LISTS and isinstance(value, list | tuple):
        return "", "is a list, which cannot be asked for: write a single value."
    if not isinstance(value, Mapping):
        return None
    if misp_name in _NO_OPERATORS | _SWITCHES | _NUMBERS | {"to_ids"}:
        return "", "has AND, OR or NOT, which MISP cannot answer: write a value or a list of values."
    if not OPERATORS.issuperset(str(word).upper() for word in value):
        return "", "has something else than AND, OR and NOT, which MISP cannot answer: write one of these."
    return None


def _entries(misp_name: str, value: Any) -> Iterator[Problem]:
    """Yield what is wrong with each of the values of a filter."""
    if misp_name in _TIMES and isinstance(value, list | tuple) and len(value) != 2:
        yield "", "is a list of other than two times: write one time, or the first and the last in a list."
        return
    for path, entry in _values(value):
        for names, check in _CHECKS:
            if misp_name in names and (problem := check(entry)):
                yield path, problem
                break


def _values(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield (path, value) for each value in a filter."""
    if isinstance(value, Mapping):
        for word, operand in value.items():
            yield from ((f"[{word!r}]{path}", entry) for path, entry in _values(operand))
    elif isinstance(value, list | tuple):
        yield from ((f"[{index}]", entry) for index, entry in enumerate(value))
    else:
        yield "", value


def _zero_or_one(entry: Any) -> str:
    return "" if entry in (0, 1, "0", "1") else "must be 1 or 0: write 1 for yes, or 0 for no."


def _switch(entry: Any) -> str:
    return "" if entry in (0, 1, "0", "1", "true") else "must be True or False: write one of them without quotes."


def _number(entry: Any) -> str:
    plain = (type(entry) is int and entry >= 0) or (isinstance(entry, str) and entry.isascii() and entry.isdecimal())
    return "" if plain else "must be a whole number: write digits."


def _word(entry: Any) -> str:
    return "" if isinstance(entry, str) else "must be text: put it in quotes."


def _no_switch(entry: Any) -> str:
    return "is True or False, which no event has there: write text or a number." if isinstance(entry, bool) else ""


def _tag(entry: Any) -> str:
    if isinstance(entry, str) and entry.endswith("*"):
        return "ends with *, which is a letter to MISP: write % for any text."
    return ""


def _level(entry: Any) -> str:
    known = str(entry) in ("1", "2", "3", "4")
    return "" if known else "must be a number from 1 (high) to 4 (undefined): write digits."


def _time(entry: Any) -> str:
    """Return what is wrong with a time, as MISP reads one: a number is seconds since 1970, whatever it is meant as."""
    if isinstance(entry, date):
        return ""
    text = str(entry).strip()
    if isinstance(entry, bool) or (isinstance(entry, str) and text != entry):
        return 'is no time: write "14d", a date, or seconds since 1970, without spaces around it.'
    if re.fullmatch(r"[+-]?\d+(?:\.\d+)?", text):
        return _since_1970(float(text[:40]))
    if _WITH_UNIT.fullmatch(text):
        return ""
    if _DATE.fullmatch(text):
        return _no_such_day(text)
    if text[-1:].lower() not in _UNIT_LETTERS and _IN_WORDS.fullmatch(text):
        return ""
    return f"is no time that MISP understands, and finds nothing: write {_meant(text)}."


def _day(entry: Any) -> str:
    """Return what is wrong with a day: an age finds every event or none, and so does a number that is no time."""
    if isinstance(entry, date):
        return ""
    if isinstance(entry, str) and _DAY.fullmatch(entry):
        return _no_such_day(entry)
    number = str(entry)
    if not isinstance(entry, bool) and re.fullmatch(r"\d+(?:\.\d+)?", number) and _FIRST <= float(number[:40]) <= _LAST:
        return ""
    return "is no date, as MISP wants here: write one as in 2026-01-31; an age such as 14d goes into publish_timestamp."


def _no_such_day(text: str) -> str:
    """Return what is wrong with a date whose letters are right: a month 13 finds nothing."""
    begin = _BEGIN_OF_DATE.match(text)
    if begin is None:
        return ""
    try:
        date(int(begin[1]), int(begin[3]), int(begin[4]))
    except ValueError:
        return "is no day of the calendar: write one as in 2026-01-31."
    return ""


def _since_1970(seconds: float) -> str:
    if seconds == 0 or _FIRST <= seconds <= _LAST:
        return ""
    if 0 < seconds < _FIRST:
        return 'has no unit, so that MISP takes it for seconds since 1970 and finds every event: write "14d" or "12h".'
    return 'is no time in seconds since 1970: write "14d", a date, or such seconds (no milliseconds).'


def _meant(text: str) -> str:
    """Return how a span is written that somebody wrote in other words."""
    span = _SPAN.fullmatch(text)
    number, unit = (int(span[1][:9]), span[2].lower()) if span else (0, "")
    if unit in _DAYS:
        return f'"{number * _DAYS[unit]}d"'
    return f'"{number}{_UNITS[unit]}"' if unit in _UNITS else '"14d", "12h", or a date as in 2026-01-31'


_CHECKS: tuple[tuple[frozenset[str], Callable[[Any], str]], ...] = (
    (_ZERO_OR_ONE, _zero_or_one),
    (_SWITCHES, _switch),
    (_NUMBERS, _number),
    (_NOT_TRUE_OR_FALSE, _no_switch),
    (_WORDS, _word),
    (_TAGS, _tag),
    (frozenset({"threat_level_id"}), _level),
    (_TIMES, _time),
    (_EVENT_DAYS, _day),
)
