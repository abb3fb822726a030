"""How the rows of one destination are read, written and dropped, whatever stands in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, TypeVar

import sqlalchemy as sql

from helpers.ledger.database import Database
from helpers.ledger.tables import CONTENTS, DESTINATIONS, EVENTS, OBJECTS, SOURCES, STANDINGS
from helpers.text import batched

Row = TypeVar("Row")
# Older SQLite takes 999 parameters in a statement (SQLITE_MAX_VARIABLE_NUMBER).
PARAMETERS = 500
_REPEATED = frozenset({"event", "type", "skip", "words", "stage"})


class LedgerRows:
    """The rows of one destination, whose number is ``destination``. Threads may share it."""

    destination: int

    def __init__(self, database: Database) -> None:
        self.database = database
        self._line = 0

    def _destination(self, workspace: str, sourcesystem: str) -> int:
        where = sql.and_(DESTINATIONS.c.workspace == workspace, DESTINATIONS.c.sourcesystem == sourcesystem)
        question = sql.select(DESTINATIONS.c.id).where(where)
        with self._transaction() as connection:
            known = connection.scalar(question)
            if known is None:
                values = {"workspace": workspace, "sourcesystem": sourcesystem, "facts": "{}"}
                connection.execute(self.database.insert(DESTINATIONS).values(values).on_conflict_do_nothing())
                known = connection.scalar(question)
        return int(known or 0)

    def next_line(self) -> int:
        """Return the next place in the queue of what is to go out in this run."""
        self._line += 1
        return self._line

    @contextmanager
    def _transaction(self) -> Iterator[sql.Connection]:
        with self.database.transaction() as connection:
            yield connection

    def _write(self, statement: sql.Executable) -> None:
        with self._transaction() as connection:
            connection.execute(statement)

    def _change(self, ids: Sequence[str], values: Mapping[str, Any], *where: sql.ColumnElement[bool]) -> None:
        if not ids:
            return
        with self._transaction() as connection:
            for batch in batched(ids, PARAMETERS):
                contents = sql.select(CONTENTS.c.number).where(CONTENTS.c.id.in_(batch))
                these = (STANDINGS.c.destination == self.destination, STANDINGS.c.content.in_(contents), *where)
                connection.execute(sql.update(STANDINGS).where(*these).values(**values))

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
            return iter([kind(*values) for values in _sharing(names, connection.execute(question))])

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


def _sharing(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    """Yield rows of which those that say the same share it: a large event has one row for each attribute."""
    repeated = [at for at, name in enumerate(names) if name in _REPEATED]
    texts: dict[str, str] = {}
    for row in rows:
        values = list(row)
        for at in repeated:
            values[at] = texts.setdefault(values[at], values[at])
        yield values
