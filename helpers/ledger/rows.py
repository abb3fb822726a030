"""How the rows of one destination are read, written and dropped, whatever stands in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, TypeVar

import sqlalchemy as sql

from helpers.indicators import first_path
from helpers.ledger.database import Database
from helpers.ledger.marks import marks_of
from helpers.ledger.records import ObjectRecord, Source
from helpers.ledger.tables import DESTINATIONS, EVENTS, OBJECTS, SOURCES
from helpers.text import batched

Row = TypeVar("Row")
# Older SQLite takes 999 parameters in a statement (SQLITE_MAX_VARIABLE_NUMBER).
PARAMETERS = 500
# What Microsoft's answers say of an object is written by itself: who decides on it may have read it before.
_OF_ANSWERS = frozenset({"remote_id", "perhaps_taken", "accepted_until"})
_REPEATED = frozenset({"event", "type", "skip", "words"})


class LedgerRows:
    """The rows of one destination, whose number is ``destination``. Threads may share it."""

    destination: int

    def __init__(self, database: Database) -> None:
        self._database = database
        self._inserts: dict[str, Any] = {}

    def _destination(self, workspace: str, sourcesystem: str) -> int:
        where = sql.and_(DESTINATIONS.c.workspace == workspace, DESTINATIONS.c.sourcesystem == sourcesystem)
        question = sql.select(DESTINATIONS.c.id).where(where)
        with self._transaction() as connection:
            known = connection.scalar(question)
            if known is None:
                values = {"workspace": workspace, "sourcesystem": sourcesystem, "facts": "{}"}
                connection.execute(self._database.insert(DESTINATIONS).values(values).on_conflict_do_nothing())
                known = connection.scalar(question)
        return int(known or 0)

    @contextmanager
    def _transaction(self) -> Iterator[sql.Connection]:
        with self._database.transaction() as connection:
            yield connection

    def _write(self, statement: sql.Executable) -> None:
        with self._transaction() as connection:
            connection.execute(statement)

    def _change(self, ids: Sequence[str], values: Mapping[str, Any], *where: sql.ColumnElement[bool]) -> None:
        with self._transaction() as connection:
            for batch in batched(ids, PARAMETERS):
                these = sql.and_(OBJECTS.c.destination == self.destination, OBJECTS.c.id.in_(batch), *where)
                connection.execute(sql.update(OBJECTS).where(these).values(**values))

    def _put(self, connection: sql.Connection, table: sql.Table, rows: Iterable[Any]) -> int:
        """Write rows; return how many."""
        values = [{"destination": self.destination, **_storable(row)} for row in rows]
        if values:
            if table.name not in self._inserts:
                self._inserts[table.name] = self._insert_into(table, values[0])
            connection.execute(self._inserts[table.name], values)
        return len(values)

    def _insert_into(self, table: sql.Table, names: Iterable[str]) -> Any:
        """Return the statement that inserts a row or takes the place of the one that is there."""
        statement = self._database.insert(table)
        keys = [column.name for column in table.primary_key]
        changed = {name: statement.excluded[name] for name in names if name not in (_OF_ANSWERS | {*keys})}
        return statement.on_conflict_do_update(index_elements=keys, set_=changed)

    def _drop_sources(self, connection: sql.Connection, sources: Sequence[Source]) -> None:
        # One at a time: SQLite finds no row of a list of rows by an index.
        row = [SOURCES.c[name] == sql.bindparam(f"of_{name}") for name in ("key", "event", "attribute")]
        statement = sql.delete(SOURCES).where(SOURCES.c.destination == self.destination, *row)
        if sources:
            named = [
                {"of_key": source.key, "of_event": source.event, "of_attribute": source.attribute} for source in sources
            ]
            connection.execute(statement, named)

    def _drop(
        self,
        connection: sql.Connection,
        table: sql.Table,
        column: sql.Column[Any],
        values: Iterable[str] | Iterable[int],
        where: sql.ColumnElement[bool],
    ) -> None:
        for batch in batched(values, PARAMETERS):
            connection.execute(
                sql.delete(table).where(table.c.destination == self.destination, where, column.in_(batch))
            )

    def _rows(self, kind: Callable[..., Row], table: sql.Table, where: sql.ColumnElement[bool]) -> Iterator[Row]:
        names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
        question = sql.select(*(table.c[name] for name in names)).where(table.c.destination == self.destination, where)
        with self._transaction() as connection:
            return iter([kind(**values) for values in _sharing(connection.execute(question))])

    def _in(
        self, kind: Callable[..., Row], table: sql.Table, column: sql.Column[Any], values: Iterable[str]
    ) -> Iterator[Row]:
        for batch in batched(values, PARAMETERS):
            yield from self._rows(kind, table, column.in_(batch))

    def _ids(self, where: sql.ColumnElement[bool]) -> list[str]:
        question = sql.select(OBJECTS.c.id).where(OBJECTS.c.destination == self.destination, where)
        with self._transaction() as connection:
            return [str(id_) for id_ in connection.scalars(question)]

    def _of_event(self, *where: sql.ColumnElement[bool]) -> sql.ColumnElement[bool]:
        """Whether an object came from an event of which this holds."""
        return sql.exists().where(
            SOURCES.c.destination == self.destination,
            SOURCES.c.key == OBJECTS.c.key,
            EVENTS.c.destination == self.destination,
            EVENTS.c.uuid == SOURCES.c.event,
            *where,
        )

    def _events_where(self, objects: sql.ColumnElement[bool]) -> set[str]:
        """Return the events of some objects, of few among many: as a join, SQLite would begin with all sources."""
        keys = sql.select(OBJECTS.c.key).where(OBJECTS.c.destination == self.destination, objects)
        with self._transaction() as connection:
            of_objects = connection.scalars(keys).all()
        return self._values_where(SOURCES.c.event, SOURCES.c.key, of_objects)

    def _values_where(
        self, wanted: sql.Column[Any], column: sql.Column[Any], values: Iterable[str], *where: sql.ColumnElement[bool]
    ) -> set[str]:
        """Return what a column says in the rows in which another one of its table has one of these values."""
        answers: set[str] = set()
        ours = sql.and_(column.table.c.destination == self.destination, *where)
        with self._transaction() as connection:
            for batch in batched(values, PARAMETERS):
                answers |= set(connection.scalars(sql.select(wanted).where(ours, column.in_(batch))))
        return answers


def _storable(row: Any) -> dict[str, Any]:
    """PostgreSQL's text holds every character but NUL."""
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    if isinstance(row, ObjectRecord):
        values |= {"observable": first_path(row.pattern), **marks_of(row.body)._asdict()}
    return {name: value.replace("\0", "") if isinstance(value, str) else value for name, value in values.items()}


def _sharing(rows: Iterable[sql.Row[Any]]) -> Iterator[dict[str, Any]]:
    """Yield rows of which those that say the same share it: a large event has one row for each attribute."""
    texts: dict[str, str] = {}
    for row in rows:
        values = dict(row._mapping)
        yield values | {name: texts.setdefault(values[name], values[name]) for name in _REPEATED & values.keys()}
