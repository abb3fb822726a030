"""Several destinations of one database, read and written at once.

What is equal is the same Python object: who decides on what several destinations know of something, decides once for
those that are given the same. So shared rows are read once, and of each destination only which of them it has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sql

from helpers.ledger.records import AttributeRecord, EventRecord, ObjectRecord, Relation, RetryPolicy, Source
from helpers.ledger.rows import PARAMETERS
from helpers.ledger.store import FULL, Ledger, unsettled
from helpers.ledger.tables import (
    ATTRIBUTE_LINKS,
    CONTENTS,
    EVENT_NAMES,
    FINDINGS,
    PARTS,
    RELATION_LINKS,
    RELATIONS,
    SOURCE_LINKS,
    STANDINGS,
)
from helpers.ledger.writing import Writing, write
from helpers.text import batched

Record = TypeVar("Record", AttributeRecord, Source, Relation)
OfKey = TypeVar("OfKey", Source, ObjectRecord)
Answer = TypeVar("Answer")

_OF: sql.BindParameter[Any] = sql.bindparam("of", expanding=True)


def _these(column: sql.Column[Any]) -> sql.ColumnElement[bool]:
    return column.in_(sql.bindparam("these", expanding=True))


def _as_one_text(numbers: sql.Column[Any]) -> sql.Function[str]:
    """Ask for all numbers of a group at once, as ``_numbers_in`` reads them."""
    return sql.func.aggregate_strings(sql.cast(numbers, sql.Text), ",")


def _numbers_in(text: str) -> Iterator[int]:
    return map(int, text.split(","))


def _linked(links: sql.Table, shared: sql.Table, by: sql.Column[Any]) -> sql.Select[Any]:
    """Ask which shared rows each destination has, as one text of their numbers for each of what they are asked by."""
    destination, number = list(links.columns)[:2]
    question = sql.select(destination, by, _as_one_text(number)).where(
        destination.in_(_OF), _these(by), number == shared.c.number
    )
    named = shared.c.event == EVENT_NAMES.c.number if by.table is EVENT_NAMES else sql.true()
    return question.where(named).group_by(destination, by)


_FINDING = [EVENT_NAMES.c.uuid, *(column for column in FINDINGS.columns if column.name not in ("number", "event"))]
_PART = (PARTS.c.key, EVENT_NAMES.c.uuid, PARTS.c.attribute, PARTS.c.contribution)
_FINDINGS_OF_EVENTS = sql.select(FINDINGS.c.number, *_FINDING).where(
    FINDINGS.c.event == EVENT_NAMES.c.number, _these(EVENT_NAMES.c.uuid)
)
_PARTS_OF_EVENTS = sql.select(PARTS.c.number, *_PART).where(
    PARTS.c.event == EVENT_NAMES.c.number, _these(EVENT_NAMES.c.uuid)
)
_RELATIONS_OF_EVENTS = sql.select(
    RELATIONS.c.number, EVENT_NAMES.c.uuid, RELATIONS.c.attribute, RELATIONS.c.indicator, RELATIONS.c.target
).where(RELATIONS.c.event == EVENT_NAMES.c.number, _these(EVENT_NAMES.c.uuid))
_RELATIONS_LINKED = _linked(RELATION_LINKS, RELATIONS, EVENT_NAMES.c.uuid)
_FINDINGS_LINKED = _linked(ATTRIBUTE_LINKS, FINDINGS, EVENT_NAMES.c.uuid)
_PARTS_OF_EVENTS_LINKED = _linked(SOURCE_LINKS, PARTS, EVENT_NAMES.c.uuid)
_STANDING = (STANDINGS.c.destination.in_(_OF), STANDINGS.c.content == CONTENTS.c.number)
# What several destinations have alike is one row of these, with all of them in its first column.
_PARTS_OF_KEYS = (
    sql.select(_as_one_text(SOURCE_LINKS.c.destination), *_PART)
    .where(
        SOURCE_LINKS.c.destination.in_(_OF),
        SOURCE_LINKS.c.part == PARTS.c.number,
        PARTS.c.event == EVENT_NAMES.c.number,
        _these(PARTS.c.key),
    )
    .group_by(PARTS.c.number, EVENT_NAMES.c.uuid)
    .order_by(PARTS.c.number)
)
_OBJECTS_OF_KEYS = (
    sql.select(_as_one_text(STANDINGS.c.destination), *FULL)
    .where(*_STANDING, _these(CONTENTS.c.key))
    .group_by(CONTENTS.c.number, *(column for column in FULL if column.table is STANDINGS))
)
_IDS, _KEYS = (
    sql.select(_as_one_text(STANDINGS.c.destination), named).where(*_STANDING, _these(named)).group_by(named)
    for named in (CONTENTS.c.id, CONTENTS.c.key)
)


class Together:
    """Several destinations of one database, read and written at once. What is not known has no key in an answer."""

    def __init__(self, ledgers: Sequence[Ledger]) -> None:
        self._ledgers = {ledger.destination: ledger for ledger in ledgers}
        self._database = ledgers[0].database

    def events(self) -> dict[Ledger, Mapping[str, EventRecord]]:
        """Return every event known, by UUID: the same mapping for destinations that know the same."""
        seen: dict[tuple[Any, ...], EventRecord] = {}
        same: dict[Hashable, Mapping[str, EventRecord]] = {}
        answers: dict[Ledger, Mapping[str, EventRecord]] = {}
        for ledger in self._ledgers.values():
            known = ledger.events(seen)
            answers[ledger] = same.setdefault(tuple(map(id, known.values())), known)
        return answers

    def attributes(self, events: Collection[str]) -> dict[Ledger, dict[str, Mapping[str, AttributeRecord]]]:
        """Return what was decided on the attributes of events, by event and by UUID."""

        def by_uuid(records: Sequence[AttributeRecord]) -> Mapping[str, AttributeRecord]:
            return {record.uuid: record for record in records}

        return self._shared(AttributeRecord, _FINDINGS_OF_EVENTS, _FINDINGS_LINKED, events, by_uuid)

    def sources_of_events(self, events: Collection[str]) -> dict[Ledger, dict[str, Sequence[Source]]]:
        """Return the parts that the attributes of events have in objects, by event."""
        return self._shared(Source, _PARTS_OF_EVENTS, _PARTS_OF_EVENTS_LINKED, events, tuple)

    def relations(self, events: Collection[str]) -> dict[Ledger, dict[str, Sequence[Relation]]]:
        """Return what the indicators of events point to, by event."""
        return self._shared(Relation, _RELATIONS_OF_EVENTS, _RELATIONS_LINKED, events, tuple)

    def sources(self, keys: Collection[str]) -> dict[Ledger, dict[str, Sequence[Source]]]:
        """Return every source of the objects with these keys, by key."""
        return self._of_keys((text, Source(*row)) for text, *row in self._ask(_PARTS_OF_KEYS, keys))

    def objects(self, keys: Collection[str]) -> dict[Ledger, dict[str, Sequence[ObjectRecord]]]:
        """Return every life of the objects with these keys, by key."""
        lives = ((text, ObjectRecord.of_row(row)) for text, *row in self._ask(_OBJECTS_OF_KEYS, keys))
        return self._of_keys(sorted(lives, key=lambda found: _life(found[1])))

    def known_ids(self, ids: Collection[str]) -> dict[Ledger, frozenset[str]]:
        """Return those of these STIX ids that an object has, or had."""
        return self._sets(_IDS, ids)

    def unsettled_keys(self, keys: Collection[str], policy: RetryPolicy) -> dict[Ledger, frozenset[str]]:
        """Return those of these keys of whose objects no answer of Microsoft's stands, or which may end too late."""
        return self._sets(_KEYS.where(unsettled(policy, STANDINGS)), keys)

    def keep(self, writings: Sequence[Writing]) -> None:
        """Write what was decided and enqueue what is due, as one transaction for all; what is named ``no_`` goes."""
        write(self._database, writings)

    def _shared(
        self,
        kind: Callable[..., Record],
        rows: sql.Select[Any],
        linked: sql.Select[Any],
        asked: Collection[str],
        put_together: Callable[[Sequence[Record]], Answer],
    ) -> dict[Ledger, dict[str, Answer]]:
        """Return what destinations have of shared rows, put together: one object for all that have the same."""
        records = {row[0]: kind(*row[1:]) for row in self._ask(rows, asked)}
        answers: dict[Ledger, dict[str, Answer]] = {ledger: {} for ledger in self._ledgers.values()}
        same: dict[Hashable, Answer] = {}
        for destination, of, text in self._ask(linked, asked) if records else ():
            if text not in same:
                numbers = tuple(sorted(_numbers_in(text)))
                answer = same[numbers] if numbers in same else put_together([records[number] for number in numbers])
                same[text] = same[numbers] = answer
            answers[self._ledgers[destination]][of] = same[text]
        return answers

    def _of_keys(self, found: Iterable[tuple[str, OfKey]]) -> dict[Ledger, dict[str, Sequence[OfKey]]]:
        """Return the records of each key, in this order; each comes with the destinations that have it, as one text."""
        of_keys: dict[str, list[tuple[str, OfKey]]] = {}
        for destinations, record in found:
            of_keys.setdefault(record.key, []).append((destinations, record))
        answers: dict[int, dict[str, Sequence[OfKey]]] = {destination: {} for destination in self._ledgers}
        for key, of_key in of_keys.items():
            for destination, records in _handed_out(of_key):
                answers[destination][key] = records
        return {ledger: answers[destination] for destination, ledger in self._ledgers.items()}

    def _sets(self, question: sql.Select[Any], asked: Collection[str]) -> dict[Ledger, frozenset[str]]:
        alike: dict[str, set[str]] = {}
        for destinations, value in self._ask(question, asked):
            alike.setdefault(destinations, set()).add(value)
        found: dict[int, set[str]] = {destination: set() for destination in self._ledgers}
        for destinations, values in alike.items():
            for destination in set(_numbers_in(destinations)):
                found[destination] |= values
        same: dict[frozenset[str], frozenset[str]] = {}
        answers = ((ledger, frozenset(found[destination])) for destination, ledger in self._ledgers.items())
        return {ledger: same.setdefault(answer, answer) for ledger, answer in answers}

    def _ask(self, question: sql.Select[Any], asked: Collection[str]) -> Iterator[tuple[Any, ...]]:
        of = list(self._ledgers)
        for batch in batched(asked, PARAMETERS):
            with self._database.transaction() as connection:
                rows = connection.execute(question, {"these": batch, "of": of}).all()
            yield from map(tuple, rows)


def _handed_out(found: Sequence[tuple[str, OfKey]]) -> Iterator[tuple[int, Sequence[OfKey]]]:
    """Yield what each destination has of one key: one object for all that have the same."""
    if len(found) == 1:  # most keys have one life, and one source
        (destinations, record), records = found[0], [found[0][1]]
        yield from ((destination, records) for destination in _numbers_in(destinations))
        return
    of_destinations: dict[int, list[OfKey]] = {}
    for destinations, record in found:
        for destination in _numbers_in(destinations):
            of_destinations.setdefault(destination, []).append(record)
    same: dict[Hashable, Sequence[OfKey]] = {}
    for destination, records in of_destinations.items():
        yield destination, same.setdefault(tuple(map(id, records)), records)


def _life(record: ObjectRecord) -> tuple[int, str]:
    return record.life, record.id
