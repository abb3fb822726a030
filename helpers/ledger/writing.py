"""How what was decided is written, for one destination or for several at once, in one transaction.

What they share is looked up by what it says, in that transaction, and made where it is not there; so no number of a
row is ever of use in another transaction. On PostgreSQL two runs may make the same row at once: then it is there twice,
which costs its bytes and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

import sqlalchemy as sql

from helpers.indicators import first_path
from helpers.ledger.bodies.marks import marks_of
from helpers.ledger.bodies.names import names_of
from helpers.ledger.records import KINDS, AttributeRecord, EventRecord, ObjectRecord, Relation, Source, kind_of_id
from helpers.ledger.tables import (
    ATTRIBUTE_LINKS,
    CONTENTS,
    DESTINATIONS,
    EVENT_NAMES,
    EVENTS,
    FINDINGS,
    FORMER_SOURCES,
    LOOSE,
    MARKS,
    PARTS,
    RELATION_LINKS,
    RELATIONS,
    SOURCE_LINKS,
    STANDINGS,
)
from helpers.text import batched

if TYPE_CHECKING:
    from helpers.ledger.database import Database

# Older SQLite takes 999 parameters in a statement (SQLITE_MAX_VARIABLE_NUMBER).
PARAMETERS = 500
SWEPT_AT_ONCE = 5000
# What Microsoft's answers say of an object is written by itself: who decides on it may have read it before.
_OF_ANSWERS = ("remote_id", "perhaps_taken", "accepted_until")
_EVENT = [column.name for column in EVENTS.columns][1:]
_STANDING = [column.name for column in STANDINGS.columns if column.name not in ("destination", "content")]
_DECIDED = [name for name in _STANDING if name not in (*_OF_ANSWERS, "due", "kind")]
_standing_of = attrgetter(*_STANDING[1:-2])
_decided_of = attrgetter(*_DECIDED[1:])
Row = tuple[Any, ...]
Name = TypeVar("Name")
Made = TypeVar("Made")


class OfDestination(Protocol):
    """What is written into: the rows of the destination of this number."""

    @property
    def destination(self) -> int:
        """The destination's number."""

    def next_line(self) -> int:
        """Return the next place in the queue of what is to go out."""


@dataclass
class Writing:
    """What is written of one destination; what is named ``no_`` goes.

    ``due`` are the ids of the objects that are enqueued then, in the order in which they go out.
    """

    ledger: OfDestination
    events: list[EventRecord] = field(default_factory=list)
    attributes: list[AttributeRecord] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    objects: list[ObjectRecord] = field(default_factory=list)
    no_attributes: dict[str, list[str]] = field(default_factory=dict)
    no_sources: list[Source] = field(default_factory=list)
    no_objects: list[str] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    no_relations: list[Relation] = field(default_factory=list)
    due: list[str] = field(default_factory=list)

    @property
    def destination(self) -> int:
        """The destination's number."""
        return self.ledger.destination


class _Shared(NamedTuple):
    """A kind of shared rows: where they stand, and the links to them."""

    table: sql.Table
    links: sql.Table

    @property
    def kind(self) -> str:
        return str(self.links.columns[1].name)


_FINDINGS = _Shared(FINDINGS, ATTRIBUTE_LINKS)
_PARTS = _Shared(PARTS, SOURCE_LINKS)
_RELATIONS = _Shared(RELATIONS, RELATION_LINKS)
_CONTENTS = _Shared(CONTENTS, STANDINGS)


def _these(column: sql.Column[Any]) -> sql.ColumnElement[bool]:
    return column.in_(sql.bindparam("these", expanding=True))


# Statements are made once: SQLAlchemy takes longer to make one than SQLite to carry it out.
# The first number counts, which is the last row: a dry run may see another one beside its own.
_EVENTS_OF = (
    sql.select(EVENT_NAMES.c.uuid, EVENT_NAMES.c.number)
    .where(_these(EVENT_NAMES.c.uuid))
    .order_by(EVENT_NAMES.c.number.desc())
)
_FINDINGS_OF = sql.select(FINDINGS).where(FINDINGS.c.event == sql.bindparam("event"), _these(FINDINGS.c.uuid))
_PARTS_OF = sql.select(PARTS).where(_these(PARTS.c.key))
_RELATIONS_OF = sql.select(RELATIONS).where(_these(RELATIONS.c.event))
_CONTENTS_OF = sql.select(CONTENTS).where(_these(CONTENTS.c.id))
_OF: sql.BindParameter[Any] = sql.bindparam("of", expanding=True)
_LINKS_OF = {
    shared.kind: sql.select(shared.links.c.destination, shared.links.columns[1]).where(
        shared.links.c.destination.in_(_OF), _these(shared.links.columns[1])
    )
    for shared in (_FINDINGS, _PARTS, _RELATIONS, _CONTENTS)
}
_THIS = (STANDINGS.c.destination == sql.bindparam("of"), STANDINGS.c.content == sql.bindparam("this"))
_DUE = sql.update(STANDINGS).where(*_THIS).values(due=sql.bindparam("line"))
# Its place in the queue stays where it gets none.
_DECIDE = (
    sql.update(STANDINGS)
    .where(*_THIS)
    .ordered_values(
        ("content", sql.bindparam("there")),
        *((name, sql.bindparam(f"new_{name}")) for name in _DECIDED),
        ("due", sql.func.coalesce(sql.bindparam("line"), STANDINGS.c.due)),
    )
)


def write(database: Database, writings: Sequence[Writing]) -> None:
    """Write what was decided, as one transaction."""
    with database.sharing() as connection:
        write_into(database, connection, writings)
    database.analyze_if_grown(sum(len(w.attributes) + len(w.sources) + len(w.objects) for w in writings))


def write_into(database: Database, connection: sql.Connection, writings: Sequence[Writing]) -> None:
    """Write what was decided, in the caller's transaction, in which nobody else gives rows numbers or drops any."""
    transaction = _Transaction(database, connection)
    transaction.events(writings)
    transaction.attributes(writings)
    transaction.sources(writings)
    transaction.relations(writings)
    transaction.objects(writings)
    transaction.former_sources(writings)


def sweep(database: Database) -> None:
    """Drop shared rows that lost their last link; where somebody writes just now, a later run does it.

    So many at once are a transaction.
    """
    for shared in (_FINDINGS, _PARTS, _RELATIONS, _CONTENTS):
        while _sweep(database, shared) == SWEPT_AT_ONCE:
            pass


def _sweep(database: Database, shared: _Shared) -> int:
    """Look at the next rows of a kind that lost a link; return how many they were."""
    number = shared.table.c.number
    loose = sql.select(LOOSE.c.number).distinct().where(LOOSE.c.kind == shared.kind).limit(SWEPT_AT_ONCE)
    with database.sweeping() as connection:
        if connection is None:
            return 0
        numbers = connection.scalars(loose).all()
        of_any = shared.links.c.destination.in_(sql.select(DESTINATIONS.c.id))
        linked = sql.exists().where(of_any, shared.links.columns[1] == number)
        for these in batched(numbers, PARAMETERS):
            connection.execute(sql.delete(shared.table).where(number.in_(these), ~linked))
            connection.execute(sql.delete(LOOSE).where(LOOSE.c.kind == shared.kind, LOOSE.c.number.in_(these)))
        return len(numbers)


@dataclass
class _Links:
    """What changes of the links of one kind: those that are made, and those that go."""

    made: list[Row] = field(default_factory=list)
    gone: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class _Content:
    """How an object that has the contents of this number stands, whatever the destination: as a row, and as values."""

    record: ObjectRecord
    number: int
    mark: int

    @property
    def kind(self) -> int:
        """What it is, as the ledger keeps it."""
        return KINDS.index(self.record.kind)

    @cached_property
    def standing(self) -> Row:
        """The row of a new standing, but for what it is of, its place in the queue and its kind."""
        return (self.number, self.mark, *map(_storable, _standing_of(self.record)))

    @cached_property
    def decided(self) -> Row:
        """What is written of a standing that is there, but for its place in the queue."""
        return (self.number, self.mark, *map(_storable, _decided_of(self.record)))


class _Alike(Generic[Name, Made]):
    """What is made of the records of a writing, by name: once for all destinations that are handed the same ones."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, ...], dict[Name, Made]] = {}

    def of(self, records: Sequence[Any], make: Callable[[Any], tuple[Name, Made]]) -> Mapping[Name, Made]:
        """Return what is made of these records."""
        same = tuple(map(id, records))
        if same not in self._made:
            self._made[same] = dict(map(make, records))
        return self._made[same]


class _Transaction:
    """One transaction, in which shared rows are found or made, and linked."""

    def __init__(self, database: Database, connection: sql.Connection) -> None:
        self._database, self._connection = database, connection

    # -- what is written ------------------------------------------------------------------------------

    def events(self, writings: Sequence[Writing]) -> None:
        """Write how events were last seen."""
        rows = [(of.destination, *_of_event(event)) for of in writings for event in of.events]
        self._insert(EVENTS, rows, in_place=True)

    def attributes(self, writings: Sequence[Writing]) -> None:
        """Write what was decided on attributes."""
        records = _unique(record for of in writings for record in of.attributes)
        gone = {(event, uuid) for of in writings for event, uuids in of.no_attributes.items() for uuid in uuids}
        if not (records or gone):
            return
        events, new = self._events({record.event for record in records} | {event for event, _ in gone})
        rows = {id(record): _finding(record, events) for record in records}
        named = {row[:2] for row in rows.values()} | {(events[event], uuid) for event, uuid in gone}
        found = self._findings([of for of in named if of[0] not in new])
        numbers = self._interned(_FINDINGS, rows.values(), found)
        links, names = _Links(), {number: row[:2] for number, row in found}
        alike = _Alike[Row, int]()
        for of, had in self._linked(_FINDINGS, names, writings):
            wanted = alike.of(of.attributes, lambda record: (rows[id(record)][:2], numbers[rows[id(record)]]))
            dropped = [(events[event], uuid) for event, uuids in of.no_attributes.items() for uuid in uuids]
            _relink(links, of.destination, had, wanted, dropped)
        self._write_links(_FINDINGS, links)

    def sources(self, writings: Sequence[Writing]) -> None:
        """Write which attributes have a part in which objects."""
        records = _unique(record for of in writings for record in of.sources)
        gone = _unique(record for of in writings for record in of.no_sources)
        if not (records or gone):
            return
        events, _ = self._events({record.event for record in (*records, *gone)})
        rows = {id(record): _part(record, events) for record in (*records, *gone)}
        found = self._parts({record.key for record in (*records, *gone)})
        numbers = self._interned(_PARTS, [rows[id(record)] for record in records], found)
        links, names = _Links(), {number: row[:3] for number, row in found}
        alike = _Alike[Row, int]()
        for of, had in self._linked(_PARTS, names, writings):
            wanted = alike.of(of.sources, lambda record: (rows[id(record)][:3], numbers[rows[id(record)]]))
            _relink(links, of.destination, had, wanted, [rows[id(record)][:3] for record in of.no_sources])
        self._write_links(_PARTS, links)

    def relations(self, writings: Sequence[Writing]) -> None:
        """Write what the indicators of attributes point to."""
        records = _unique(record for of in writings for record in of.relations)
        gone = _unique(record for of in writings for record in of.no_relations)
        if not (records or gone):
            return
        events, new = self._events({record.event for record in (*records, *gone)})
        rows = {id(record): _relation(record, events) for record in (*records, *gone)}
        found = [(row[0], row[1:]) for row in self._ask(_RELATIONS_OF, set(events.values()) - new)]
        numbers = self._interned(_RELATIONS, [rows[id(record)] for record in records], found)
        links, names = _Links(), dict(found)
        alike = _Alike[Row, int]()
        for of, had in self._linked(_RELATIONS, names, writings):
            wanted = alike.of(of.relations, lambda record: (rows[id(record)], numbers[rows[id(record)]]))
            _relink(links, of.destination, had, wanted, [rows[id(record)] for record in of.no_relations])
        self._write_links(_RELATIONS, links)

    def objects(self, writings: Sequence[Writing]) -> None:
        """Write how objects stand, and enqueue what is due."""
        records = _unique(record for of in writings for record in of.objects)
        ids = {record.id for record in records}.union(*(of.no_objects for of in writings), *(of.due for of in writings))
        if not ids:
            return
        found = self._contents(ids)
        known = {row[:-1]: (number, row[-1]) for number, row in found}
        rows = {id(record): _content(record) for record in records}
        numbers = {**known, **self._new_contents(row for row in rows.values() if row not in known)}
        names = {number: row[0] for number, row in found}
        alike, loose = _Alike[str, _Content](), list[int]()
        for of, had in self._linked(_CONTENTS, names, writings):
            contents = alike.of(of.objects, lambda record: (record.id, _Content(record, *numbers[rows[id(record)]])))
            loose += self._write_objects(of, had, contents)
        self._note_loose(_CONTENTS, loose)

    def former_sources(self, writings: Sequence[Writing]) -> None:
        """Write down which attributes have a part in which objects no more; last, since others that do so wait."""
        rows = [(of.destination, gone.key, gone.event, gone.attribute, 0) for of in writings for gone in of.no_sources]
        if rows and not self._database.dry:
            self._database.hold_former_sources(self._connection)
            self._insert(FORMER_SOURCES, rows, in_place=True)

    def _write_objects(self, of: Writing, had: dict[Hashable, int], contents: Mapping[str, _Content]) -> Iterable[int]:
        """Write how objects stand at a destination, and what is due; return the contents that lost a link."""
        lines = {id_: of.ledger.next_line() for id_ in of.due}
        gone = [(of.destination, had.pop(id_)) for id_ in of.no_objects if id_ in had]
        self._delete_links(STANDINGS, gone)
        new = [
            (of.destination, *content.standing, lines.pop(id_, None), content.kind)
            for id_, content in contents.items()
            if id_ not in had
        ]
        self._insert(STANDINGS, new)
        there = [(content, had[id_], lines.pop(id_, None)) for id_, content in contents.items() if id_ in had]
        self._update_standings(of.destination, there)
        due = [{"of": of.destination, "this": had[id_], "line": line} for id_, line in lines.items() if id_ in had]
        self._many(_DUE, due)
        return [number for _, number in gone] + [before for content, before, _ in there if content.number != before]

    def _update_standings(self, destination: int, there: Sequence[tuple[_Content, int, int | None]]) -> None:
        """Write how objects stand that the destination knew; one that says something else moves to other contents."""
        text = self._database.driver_text("decide", lambda: _DECIDE)
        self._many_rows(text, [(*content.decided, line, destination, before) for content, before, line in there])

    # -- shared rows ----------------------------------------------------------------------------------

    def _events(self, uuids: Collection[str]) -> tuple[dict[str, int], set[int]]:
        """Return the numbers of events, and which of them are new. An event has one number, whoever made it."""
        known = self._known_events(uuids)
        if known.keys() != set(uuids):
            self._database.hold_names(self._connection)
            known = self._known_events(uuids)
        missing = [uuid for uuid in uuids if uuid not in known]
        new = dict(zip(missing, self._numbers(EVENT_NAMES, len(missing)), strict=True))
        self._insert(EVENT_NAMES, [(number, uuid) for uuid, number in new.items()])
        return {**known, **new}, set(new.values())

    def _known_events(self, uuids: Iterable[str]) -> dict[str, int]:
        return dict(self._ask(_EVENTS_OF, uuids))

    def _findings(self, named: Iterable[Row]) -> list[tuple[int, Row]]:
        """Return the rows of these events' attributes, each with its number; an attribute may have several.

        An event at a time: SQLite finds no row of a list of rows by an index.
        """
        uuids: dict[int, list[str]] = {}
        for event, uuid in named:
            uuids.setdefault(event, []).append(uuid)
        rows = (row for event, of_event in uuids.items() for row in self._ask(_FINDINGS_OF, of_event, event=event))
        return [(row[0], row[1:]) for row in rows]

    def _parts(self, keys: Collection[str]) -> list[tuple[int, Row]]:
        return [(row[0], row[1:]) for row in self._ask(_PARTS_OF, keys)]

    def _contents(self, ids: Collection[str]) -> list[tuple[int, Row]]:
        """Return the contents of objects, each with its number, the mark last."""
        return [(row[0], row[1:]) for row in self._ask(_CONTENTS_OF, ids)]

    def _new_contents(self, rows: Iterable[Row]) -> dict[Row, tuple[int, int]]:
        """Make contents; return their numbers and their marks'."""
        new = list(dict.fromkeys(rows))
        marks = self._marks([(_observable(row), *marks_of(row[-2])) for row in new])
        numbers = list(zip(self._numbers(CONTENTS, len(new)), marks, strict=True))
        self._insert(CONTENTS, [(number, *row, mark) for row, (number, mark) in zip(new, numbers, strict=True)])
        return dict(zip(new, numbers, strict=True))

    def _marks(self, wanted: Sequence[Row]) -> list[int]:
        """Return the number of each mark. They are few, and stay: the database knows those of earlier transactions."""
        marks = self._database.marks
        if not marks:  # one that another process has made since may be there twice
            rows = self._connection.execute(sql.select(MARKS))
            marks.update({tuple(row[1:]): row[0] for row in rows})
        new = list(dict.fromkeys(mark for mark in wanted if mark not in marks))
        marks.update(self._made(MARKS, new))
        return [marks[mark] for mark in wanted]

    def _interned(self, shared: _Shared, rows: Iterable[Row], found: Iterable[tuple[int, Row]]) -> dict[Row, int]:
        """Return the number of each row, which is made where it is not among those that were found."""
        known = {row: number for number, row in found}
        new = list(dict.fromkeys(row for row in rows if row not in known))
        return {**known, **self._made(shared.table, new)}

    def _made(self, table: sql.Table, rows: Sequence[Row]) -> dict[Row, int]:
        numbers = self._numbers(table, len(rows))
        self._insert(table, [(number, *row) for row, number in zip(rows, numbers, strict=True)])
        return dict(zip(rows, numbers, strict=True))

    # -- links ----------------------------------------------------------------------------------------

    def _linked(
        self, shared: _Shared, names: Mapping[int, Hashable], writings: Sequence[Writing]
    ) -> Iterable[tuple[Writing, dict[Hashable, int]]]:
        """Return, with each writing, what its destination is linked to of these rows, by what they are called."""
        of_destinations: dict[int, dict[Hashable, int]] = {of.destination: {} for of in writings}
        question = _LINKS_OF[shared.kind]
        for destination, number in self._ask(question, names, of=list(of_destinations)):
            of_destinations[destination][names[number]] = number
        return [(of, of_destinations[of.destination]) for of in writings]

    def _write_links(self, shared: _Shared, links: _Links) -> None:
        self._delete_links(shared.links, links.gone)
        self._insert(shared.links, links.made)
        self._note_loose(shared, (number for _, number in links.gone))

    def _delete_links(self, table: sql.Table, links: Sequence[Row]) -> None:
        def of_both() -> sql.Delete:
            destination, number = list(table.columns)[:2]
            return sql.delete(table).where(destination == sql.bindparam("of"), number == sql.bindparam("this"))

        self._many_rows(self._database.driver_text(("unlink", table.name), of_both), links)

    def _note_loose(self, shared: _Shared, numbers: Iterable[int]) -> None:
        """Note rows that lost a link: they go where that was the last one."""
        self._insert(LOOSE, [(shared.kind, number) for number in dict.fromkeys(numbers)])

    # -- statements -----------------------------------------------------------------------------------

    def _ask(self, question: sql.Select[Any], these: Iterable[Any], **others: Any) -> Iterator[Row]:
        for batch in batched(these, PARAMETERS):
            yield from map(tuple, self._connection.execute(question, {"these": batch, **others}))

    def _numbers(self, table: sql.Table, many: int) -> Sequence[int]:
        """Return numbers for new rows; SQLite lets nobody else write meanwhile."""
        if not many:
            return []
        if self._database.is_postgresql:
            following = sql.select(sql.func.nextval(f"{table.name}_number_seq"))
            return list(self._connection.scalars(following.select_from(sql.func.generate_series(1, many))))
        last = self._connection.scalar(sql.select(sql.func.max(table.c.number))) or 0
        return range(last + 1, last + 1 + many)

    def _insert(self, table: sql.Table, rows: Sequence[Row], *, in_place: bool = False) -> None:
        """Insert rows as the driver takes them: SQLAlchemy takes longer to look at each than SQLite to write it."""
        self._many_rows(self._database.insert_text(table, in_place=in_place, several=len(rows) > 1), rows)

    def _many_rows(self, text: str, rows: Sequence[Row]) -> None:
        if rows:
            self._connection.exec_driver_sql(text, list(rows))

    def _many(self, statement: sql.Executable, rows: Sequence[dict[str, Any]]) -> None:
        if rows:
            self._connection.execute(statement, rows)


def _unique(records: Iterable[Any]) -> list[Any]:
    """Return each object once: destinations are handed the same."""
    return list({id(record): record for record in records}.values())


def _relink(
    links: _Links, destination: int, had: dict[Hashable, int], wanted: Mapping[Row, int], dropped: Iterable[Row]
) -> None:
    """Note which links change, from what a destination had to what it wants now."""
    if not had:  # what is new to a destination is most of what is ever written
        links.made += [(destination, number) for number in wanted.values()]
        return
    before = {name: had[name] for name in dropped if name in had and name not in wanted}
    before |= {name: had[name] for name, number in wanted.items() if had.get(name, number) != number}
    links.gone += [(destination, number) for number in before.values()]
    links.made += [(destination, number) for name, number in wanted.items() if had.get(name) != number]


def _finding(record: AttributeRecord, events: Mapping[str, int]) -> Row:
    said = (record.fingerprint, record.type, record.value, record.skip, record.words)
    return (events[record.event], record.uuid, *map(_storable, said))


def _part(record: Source, events: Mapping[str, int]) -> Row:
    return (record.key, events[record.event], record.attribute, record.contribution)


def _relation(record: Relation, events: Mapping[str, int]) -> Row:
    return (events[record.event], record.attribute, _text(record.indicator), record.target)


def _content(record: ObjectRecord) -> Row:
    said = (_text(record.pattern), _text(record.value), record.life, record.fingerprint)
    return (record.id, _text(record.key), *said, record.body, _text(names_of(record.kind, record.body)))


def _observable(row: Row) -> str:
    """Return what is counted of contents: what an indicator's pattern compares, else which kind they are of."""
    return first_path(row[2]) or kind_of_id(row[0]).value


def _of_event(event: EventRecord) -> Row:
    return tuple(_storable(getattr(event, name)) for name in _EVENT)


def _storable(value: Any) -> Any:
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    """PostgreSQL's text holds every character but NUL."""
    return text.replace("\0", "") if "\0" in text else text
