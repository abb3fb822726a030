"""What somebody was told, by a name, for all destinations of a ledger together: so that nobody is told it twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sql

from helpers.ledger.database import engine_of
from helpers.ledger.databases import sqlite
from helpers.ledger.databases.trouble import explained
from helpers.ledger.tables import ABOUT

_BEFORE = "told: "
_FIRST = sql.text("INSERT INTO about (name, value) VALUES (:name, '') ON CONFLICT (name) DO NOTHING")


@dataclass(frozen=True)
class Told:
    """What somebody was told, in the ledger at an address, of whatever version it is; several processes share it.

    Nothing here makes a ledger: where there is none, nobody was told anything, and nothing is kept.
    """

    url: str

    def told(self, name: str) -> str:
        """Return what is kept under a name; ``""`` where nothing is. Raises LedgerError."""
        with self._open() as connection:
            return _kept(connection, name) if connection else ""

    def keep_told(self, name: str, value: str, *, instead_of: str) -> bool:
        """Keep a text in place of the one that was read, ``""`` where nothing was; return whether it is kept.

        It is not where another process has kept another one since, nor where there is no ledger. Raises LedgerError.
        """
        with self._open() as connection:
            return connection is not None and _replace(connection, _BEFORE + name, value, instead_of)

    @contextmanager
    def _open(self) -> Iterator[sql.Connection | None]:
        """Give a connection, in a transaction of its own; None where there is no ledger."""
        file = sqlite.file_of(self.url)
        with explained(self.url):
            if file and not file.exists():
                yield None
                return
            engine = engine_of(self.url, dry=False)
            try:
                with engine.begin() as connection:
                    yield connection if sql.inspect(connection).has_table(ABOUT.name) else None
            finally:
                engine.dispose()


def _kept(connection: sql.Connection, name: str) -> str:
    return connection.scalar(sql.select(ABOUT.c.value).where(ABOUT.c.name == _BEFORE + name)) or ""


def _replace(connection: sql.Connection, name: str, value: str, instead_of: str) -> bool:
    """Put a value in the place of another one, unless that is there no more."""
    connection.execute(_FIRST, {"name": name})
    same = sql.and_(ABOUT.c.name == name, ABOUT.c.value == instead_of)
    return connection.execute(sql.update(ABOUT).where(same).values(value=value)).rowcount == 1
