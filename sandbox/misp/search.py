"""Search: which events and attributes a restSearch request picks, and which page of them.

Measured on MISP 2.5.1. What surprises: a JSON ``false`` counts as not given (a published
``false`` is applied to the finished page), an unknown parameter is ignored, an unreadable
time or limit finds nothing, a page without a limit is ignored, letter case counts in tags,
organisations and titles, and not in values, types and categories.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sandbox.misp.records import Record, attributes

EventTest = Callable[[Record], bool]
AttributeTest = Callable[[Record, Record], bool]
UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
ORDERS = {"id": int, "timestamp": int, "publish_timestamp": int, "date": str, "info": str}


@dataclass(frozen=True)
class Page:
    """Which part of the matches is answered; ``limit`` None is all of them."""

    limit: int | None
    number: int

    @classmethod
    def of(cls, query: Record) -> Page:
        """Read limit and page: no limit is 0, a limit that is no number finds nothing."""
        limit, number = query.get("limit"), _number(query.get("page"))
        if limit is None or limit is False or _number(limit) == 0:
            return cls(None, 1)
        return cls(max(_number(limit) or 0, 0), max(number or 1, 1))

    def cut(self, matches: list[Any]) -> list[Any]:
        """Give the page of ``matches``."""
        if self.limit is None:
            return matches
        return matches[(self.number - 1) * self.limit : self.number * self.limit]


@dataclass(frozen=True)
class Words:
    """A value, a list (``!`` for not) or OR/AND/NOT of values; ``%`` stands for anything."""

    any_of: tuple[str, ...] = ()
    all_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    any_case: bool = False

    @classmethod
    def of(cls, value: Any, *, any_case: bool = False) -> Words:
        """Read the forms that restSearch takes."""
        if isinstance(value, dict):
            upper = {str(name).upper(): _texts(words) for name, words in value.items()}
            return cls(*(upper.get(name, ()) for name in ("OR", "AND", "NOT")), any_case)
        words = _texts(value)
        negated = tuple(word[1:] for word in words if word.startswith("!"))
        return cls(tuple(word for word in words if not word.startswith("!")), (), negated, any_case)

    def hold(self, texts: Collection[str]) -> bool:
        """Say whether ``texts`` satisfy these words."""
        return self.wanted(texts) and not self.refused(texts)

    def wanted(self, texts: Collection[str]) -> bool:
        """Say whether any of the wanted and all of the required words are among ``texts``."""
        has_any = not self.any_of or any(self._is_among(word, texts) for word in self.any_of)
        return has_any and all(self._is_among(word, texts) for word in self.all_of)

    def refused(self, texts: Collection[str]) -> bool:
        """Say whether a word that must not be is among ``texts``."""
        return any(self._is_among(word, texts) for word in self.none_of)

    def _is_among(self, word: str, texts: Collection[str]) -> bool:
        pattern = _pattern(word, self.any_case)
        return any(pattern.fullmatch(text) for text in texts)


def cannot_be_read(query: Record) -> bool:
    """Say whether MISP fails inside over the form of a filter (measured on MISP 2.5.1)."""
    plain = ("threat_level_id", "published", "timestamp", "publish_timestamp", "event_timestamp", "searchall")
    if any(isinstance(query.get(name), dict) for name in plain) or isinstance(query.get("searchall"), list):
        return True
    tags = [query[name] for name in ("tags", "tag", "event_tags") if isinstance(query.get(name), dict)]
    operators = {"AND", "OR", "NOT"}
    return any(not operators.issuperset(words) or isinstance(words.get("AND"), str) for words in tags)


def pick_events(events: Iterable[Record], query: Record, now: float) -> list[Record]:
    """Give the events that a query finds, ordered by id unless it says otherwise."""
    tests = _tests(EVENT_TESTS, query, now)
    inner = _tests({**ATTRIBUTE_TESTS, "deleted": _deleted}, query, now)
    matches = [event for event in events if all(test(event) for test in tests)]
    if inner:
        matches = [
            event for event in matches if any(_passes(inner, attribute, event) for attribute in attributes(event))
        ]
    return _ordered(matches, query.get("order"))


def pick_attributes(events: Iterable[Record], query: Record, now: float) -> list[Record]:
    """Give the attributes that a query finds, ordered by id."""
    tests = _tests(CONTEXT_TESTS, query, now)
    inner = [*_tests(ATTRIBUTE_TESTS, query, now), *_tests(MEMBER_TESTS, query, now)]
    inner.append(lambda attribute, _event: shows_deleted(query, attribute["deleted"]))
    matches = [
        attribute
        for event in events
        if all(test(event) for test in tests)
        for attribute in attributes(event)
        if _passes(inner, attribute, event)
    ]
    return sorted(matches, key=lambda attribute: int(attribute["id"]))


def pick_objects(events: Iterable[Record], query: Record, now: float) -> list[Record]:
    """Give the objects that a query finds, deleted ones too, ordered by id."""
    tests, inner = _tests(CONTEXT_TESTS, query, now), _tests(OBJECT_TESTS, query, now)
    matches = [
        object_
        for event in events
        if all(test(event) for test in tests)
        for object_ in event["Object"]
        if all(test(object_) for test in inner)
    ]
    by_name = "object_name" in query
    return sorted(matches, key=lambda object_: (object_["name"] if by_name else "", int(object_["id"])))


def shows_deleted(query: Record, deleted: bool) -> bool:
    """Say whether ``deleted`` asks for a record in this state; without it, only live ones."""
    wanted = query.get("deleted", 0)
    values = wanted if isinstance(wanted, list) else [wanted]
    return deleted in {value in (1, "1", True, "only") for value in values}


def shows_to_ids(query: Record, to_ids: bool) -> bool:
    """Say whether ``to_ids`` leaves an attribute in an event."""
    wanted = query.get("to_ids")
    return not _is_set(wanted) or to_ids in _flags(wanted)


def stays(query: Record, event: Record, now: float) -> bool:
    """Apply to an event of a page already cut what MISP applies there: a published ``false``, and other filters."""
    if query.get("published") is False and event["published"]:
        return False
    filters = {name: value for name, value in query.items() if str(value) != "0"}
    return all(test(event) for test in _tests(LATE_TESTS, filters, now))


def moment(value: Any, now: float) -> float | None:
    """Read an epoch, an age such as ``14d`` or a date; nothing when it is none of them."""
    text = str(value).strip()
    if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", text):  # PyMISP writes a date with a point
        return float(text)
    age = re.fullmatch(r"(\d+)([dhms])", text, re.IGNORECASE)
    if age:
        return now - int(age[1]) * UNITS[age[2].lower()]
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def _tests(makers: dict[str, Any], query: Record, now: float) -> list[Any]:
    filters = ((makers[name], value) for name, value in query.items() if name in makers and _is_set(value))
    return [make(value, now) for make, value in filters]


def _is_set(value: Any) -> bool:
    return value is not None and value is not False and value not in ("", [], {})


def _passes(tests: list[AttributeTest], attribute: Record, event: Record) -> bool:
    return all(test(attribute, event) for test in tests)


def _ordered(events: list[Record], order: Any) -> list[Record]:
    field, _, direction = str(order or "").removeprefix("Event.").partition(" ")
    events.sort(key=lambda event: int(event["id"]))
    if field in ORDERS:
        events.sort(key=lambda event: ORDERS[field](event[field]), reverse=direction.lower() == "desc")
    return events


def _number(value: Any) -> int | None:
    return int(value) if re.fullmatch(r"-?\d+", str(value)) else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)


def _flags(value: Any) -> set[bool]:
    return {text in ("1", "True") for text in _texts(value)}


@lru_cache(maxsize=1024)
def _pattern(word: str, any_case: bool) -> re.Pattern[str]:
    case = re.IGNORECASE if any_case else re.NOFLAG
    return re.compile(".*".join(map(re.escape, word.split("%"))), case | re.DOTALL)


def _identity(*fields: str) -> Callable[[Any, float], EventTest]:
    def make(value: Any, _now: float) -> EventTest:
        wanted = {text.lower() for text in _texts(value)}
        return lambda record: any(str(record[field]).lower() in wanted for field in fields)

    return make


def _extending(value: Any, _now: float) -> EventTest:
    """Of a list, the last UUID counts alone (MISP's source, which starts again with each)."""
    last = value[-1] if isinstance(value, list) else value
    return lambda event: event["extends_uuid"].lower() == str(last).lower()


def _published(value: Any, _now: float) -> EventTest:
    wanted = _flags(value)
    return lambda event: event["published"] in wanted


def _words(read: Callable[[Record], Collection[str]], *, any_case: bool = False) -> Callable[[Any, float], EventTest]:
    def make(value: Any, _now: float) -> EventTest:
        words = Words.of(value, any_case=any_case)
        return lambda record: words.hold(read(record))

    return make


def _since(field: str) -> Callable[[Any, float], EventTest]:
    def make(value: Any, now: float) -> EventTest:
        moments = [moment(text, now) for text in (value if isinstance(value, list) else [value])]
        known = sorted(seconds for seconds in moments if seconds is not None)
        if len(known) < len(moments):
            return lambda _record: False
        last = known[-1] if len(known) > 1 else float("inf")
        return lambda record: known[0] <= float(record[field]) <= last

    return make


def _day(value: Any, now: float) -> str:
    read = moment(value, now)
    return "9999-99-99" if read is None else f"{datetime.fromtimestamp(read, UTC):%Y-%m-%d}"


def _from(value: Any, now: float) -> EventTest:
    first = _day(value, now)
    return lambda event: event["date"] >= first


def _to(value: Any, now: float) -> EventTest:
    last = _day(value, now)
    return lambda event: event["date"] <= last


def _date(value: Any, now: float) -> EventTest:
    days = value if isinstance(value, list) else [value]
    tests = [_from(days[0], now), *(_to(day, now) for day in days[1:2])]
    return lambda event: all(test(event) for test in tests)


def _event_tags(value: Any, _now: float) -> EventTest:
    words = Words.of(value)

    def test(event: Record) -> bool:
        if words.refused(tag_names(event)):
            return False
        return words.wanted(tag_names(event, *attributes(event)))

    return test


def _member_tags(value: Any, _now: float) -> AttributeTest:
    words = Words.of(value)
    return lambda attribute, event: words.hold(tag_names(attribute, event))


def _event_uuid(value: Any, now: float) -> EventTest:
    """A UUID is that of the event, or of an attribute in it."""
    test = _identity("uuid")(value, now)
    return lambda event: test(event) or any(map(test, attributes(event)))


def _member_uuid(value: Any, now: float) -> AttributeTest:
    """A UUID is that of the attribute, or of the whole event that it is in."""
    test = _identity("uuid")(value, now)
    return lambda attribute, event: test(attribute) or test(event)


def _of_attribute(make: Callable[[Any, float], EventTest]) -> Callable[[Any, float], AttributeTest]:
    def make_test(value: Any, now: float) -> AttributeTest:
        test = make(value, now)
        return lambda attribute, _event: test(attribute)

    return make_test


def _to_ids(value: Any, _now: float) -> AttributeTest:
    wanted = _flags(value)
    return lambda attribute, _event: attribute["to_ids"] in wanted


def _deleted(value: Any, _now: float) -> AttributeTest:
    """An event is found if it has an attribute in one of these states; one without any attribute never is."""
    return lambda attribute, _event: shows_deleted({"deleted": value}, attribute["deleted"])


def tag_names(*records: Record) -> set[str]:
    """Give the names of all tags on these records."""
    return {tag["name"] for record in records for tag in record.get("Tag", ())}


def _values(attribute: Record) -> list[str]:
    value = str(attribute["value"])
    return [value, *value.split("|")] if "|" in value else [value]


CONTEXT_TESTS: dict[str, Any] = {
    "eventid": _identity("id", "uuid"),
    "published": _published,
    "event_timestamp": _since("timestamp"),
    "publish_timestamp": _since("publish_timestamp"),
    "last": _since("publish_timestamp"),
    "from": _from,
    "to": _to,
    "date": _date,
    "eventinfo": _words(lambda event: [event["info"]]),
    "org": _words(lambda event: [event["Orgc"]["name"], event["Orgc"]["uuid"], event["orgc_id"]]),
    "threat_level_id": _identity("threat_level_id"),
}
EVENT_TESTS: dict[str, Any] = {
    **CONTEXT_TESTS,
    "sharinggroup": _identity("sharing_group_id"),
    "uuid": _event_uuid,
    "timestamp": _since("timestamp"),
    "tags": _event_tags,
    "tag": _event_tags,
    "event_tags": _words(tag_names),
}
LATE_TESTS: dict[str, Any] = {
    "sharing_group_id": _identity("sharing_group_id"),
    "distribution": _identity("distribution"),
    "event_uuid": _identity("uuid"),
    "idList": _identity("id"),
    "eventsExtendingUuid": _extending,
}
ATTRIBUTE_TESTS: dict[str, Any] = {
    "type": _of_attribute(_words(lambda attribute: [attribute["type"]], any_case=True)),
    "category": _of_attribute(_words(lambda attribute: [attribute["category"]], any_case=True)),
    "value": _of_attribute(_words(_values, any_case=True)),
    "object_relation": _of_attribute(_words(lambda attribute: [str(attribute["object_relation"] or "")])),
    "to_ids": _to_ids,
}
MEMBER_TESTS: dict[str, Any] = {
    "uuid": _member_uuid,
    "timestamp": _of_attribute(_since("timestamp")),
    "attribute_timestamp": _of_attribute(_since("timestamp")),
    "tags": _member_tags,
    "tag": _member_tags,
}
OBJECT_TESTS: dict[str, Any] = {
    "object_name": _words(lambda object_: [object_["name"]], any_case=True),
    "uuid": _identity("uuid"),
}
