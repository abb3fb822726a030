"""Moves the rows of schema 5 to the tables of this one, so many in a transaction: what dies in between loses nothing.

A row is moved when it is in the new tables and in the old ones no more, which is one transaction. While there are old
tables, whoever opens the ledger goes on, several at once too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sql

from helpers.errors import LedgerError
from helpers.ledger.bodies.packing import compressed, decompressed
from helpers.ledger.records import AttributeRecord, ObjectRecord, Source
from helpers.ledger.tables import ATTRIBUTE_LINKS, METADATA, SOURCE_LINKS, STANDINGS
from helpers.ledger.upgrades.tables_5 import ATTRIBUTES_5, OBJECTS_5, SOURCES_5
from helpers.ledger.writing import Writing, write_into

if TYPE_CHECKING:
    from helpers.ledger.database import Database

_AT_ONCE = 1000


@dataclass(frozen=True)
class _Rows:
    """The rows of one destination, as ``Writing`` has it; nothing is due in them."""

    destination: int

    def next_line(self) -> int:
        return 0


class _Kind(NamedTuple):
    """An old table, what a row of it is read as, what writes such rows, and which column is packed."""

    table: sql.Table
    record: type[Any]
    write: Callable[[_Rows, list[Any]], Writing]
    packed: str = ""

    def read(self, row: sql.Row[Any]) -> Any:
        """Return a row as a record, its body packed as this program packs it, so that equal ones are the same."""
        record = self.record(*row[1:])
        return replace(record, **{self.packed: _repacked(getattr(record, self.packed))}) if self.packed else record


_KINDS = (
    _Kind(ATTRIBUTES_5, AttributeRecord, lambda rows, records: Writing(rows, attributes=records)),
    _Kind(SOURCES_5, Source, lambda rows, records: Writing(rows, sources=records), packed="contribution"),
    _Kind(OBJECTS_5, ObjectRecord, lambda rows, records: Writing(rows, objects=records), packed="body"),
)


def _repacked(body: bytes) -> bytes:
    """Pack a body anew; one that is damaged, or empty, stays as it is."""
    try:
        return compressed(decompressed(body)) if body else body
    except LedgerError:
        return body


def is_unfinished(connection: sql.Connection) -> bool:
    """Whether there are rows of an older schema that were not moved yet."""
    return sql.inspect(connection).has_table(OBJECTS_5.name)


class Moving:
    """Moves rows in the order of their keys; each of its methods is for a transaction that holds the schema."""

    def __init__(self, database: Database, connection: sql.Connection) -> None:
        """Count the rows: ``moved``, perhaps by another process, and ``total``. Each is one link where it is moved."""
        left = [kind.table for kind in _KINDS if is_unfinished(connection)]
        self.moved = _rows_in(connection, (ATTRIBUTE_LINKS, SOURCE_LINKS, STANDINGS) if left else ())
        self.total = self.moved + _rows_in(connection, left)
        self._database, self._kinds = database, list(_KINDS)
        self._after: tuple[Any, ...] = ()
        self._analyze_at = self.moved + _AT_ONCE

    def move(self, connection: sql.Connection) -> bool:
        """Move the next rows, and say whether there were any; when there are none any more, the old tables go."""
        if not is_unfinished(connection):  # another process came to the end
            return False
        while self._kinds:
            if moved := self._move(connection, self._kinds[0]):
                self.moved += moved
                self._analyze_if_grown(connection)
                return True
            self._kinds.pop(0)
            self._after = ()
        for kind in _KINDS:
            kind.table.drop(connection)
        return False

    def _move(self, connection: sql.Connection, kind: _Kind) -> int:
        """Move rows behind the last ones: looking for them from the beginning, PostgreSQL would pass all that went."""
        keys = list(kind.table.primary_key)
        behind = sql.tuple_(*keys) > self._after if self._after else sql.true()
        columns = [kind.table.c[name] for name in ("destination", *(field.name for field in fields(kind.record)))]
        rows = connection.execute(sql.select(*columns).where(behind).order_by(*keys).limit(_AT_ONCE)).all()
        for destination, of_destination in groupby(rows, key=itemgetter(0)):
            records = [kind.read(row) for row in of_destination]
            write_into(self._database, connection, [kind.write(_Rows(destination), records)])
        if rows:
            self._after = tuple(getattr(rows[-1], key.name) for key in keys)
            connection.execute(sql.delete(kind.table).where(behind, sql.tuple_(*keys) <= self._after))
        return len(rows)

    def _analyze_if_grown(self, connection: sql.Connection) -> None:
        """Have PostgreSQL look at its tables whenever they may have doubled (``Database.analyze_if_grown``)."""
        if connection.dialect.name == "postgresql" and self.moved >= self._analyze_at:
            self._analyze_at = 2 * self.moved
            connection.execute(sql.text(f"ANALYZE {', '.join(METADATA.tables)}"))


def _rows_in(connection: sql.Connection, tables: Iterable[sql.Table]) -> int:
    counts = (sql.select(sql.func.count()).select_from(table) for table in tables)
    return sum(connection.scalar(count) or 0 for count in counts)
