"""The ledger's database: SQLite in the state directory, or a PostgreSQL that several hosts share.

One connection serves every destination and every thread, one transaction at a time. In a dry run everything
is one transaction that is never committed.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from helpers.errors import LedgerError, RunActive
from helpers.ledger.databases import sqlite
from helpers.ledger.databases.trouble import explained
from helpers.ledger.tables import ABOUT, DESTINATIONS, METADATA, SCHEMA, VIEWS, create
from helpers.ledger.upgrades.moving import Moving, is_unfinished
from helpers.ledger.upgrades.steps import make_tables
from helpers.process import interrupts
from helpers.settings import canonical_workspace, without_secrets
from helpers.text import shorten

logger = logging.getLogger(__name__)

# PostgreSQL's advisory locks: of a destination or the schema, of shared rows, of events' numbers, of who writes a
# destination's sightings, which may be done beside a run, and of what is remembered of sources that left.
_LOCK, _SHARING, _NAMING, _SIGHTING, _LEAVING = 0x4D325345, 0x4D325346, 0x4D325347, 0x4D325348, 0x4D325349
# Rows after which PostgreSQL is to look at its tables for the first time.
_ANALYZE_FIRST_AT = 500
_SIGHTED_ALREADY = (
    "Sightings of this destination are being written already, perhaps on another host; this one does nothing."
)
_ALTERED = (
    "Restore the backup, or move the ledger away and let adopt fill a new one (docs/ledger.md#when-the-ledger-is-lost)."
)


class Database:
    """An open database with the ledger's tables; destinations and threads share it."""

    def __init__(
        self,
        url: str,
        *,
        dry: bool = False,
        upgrades: bool = True,
        upgraded: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> None:
        """Open it, creating or upgrading the tables. Raises LedgerError with what to do.

        ``dry`` keeps nothing of what is written. Who only looks ``upgrades`` nothing, since that may take minutes: an
        older ledger is refused. ``upgraded`` is told how many of its rows are moved by now, of how many.
        """
        self.dry = dry
        self._upgrades, self._upgraded = upgrades, upgraded
        self._url = url
        self._together = False
        self._lost = ""
        self.lock = threading.RLock()
        self.marks: dict[tuple[Any, ...], int] = {}
        self._driver_texts: dict[Hashable, str] = {}
        self._written, self._analyze_at = 0, _ANALYZE_FIRST_AT
        with explained(url):
            self.engine = engine_of(url, dry=dry)
            self.connection = self.engine.connect()
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the database; a dry run's writing goes with it."""
        with self.lock:
            self._roll_back()
            self.connection.close()
            self.engine.dispose()

    @property
    def is_postgresql(self) -> bool:
        """Whether it is a PostgreSQL; else it is SQLite."""
        return self.engine.dialect.name == "postgresql"

    def insert(self, table: sql.Table) -> Any:
        """Return an INSERT that can say what to do about rows that are there."""
        if self.is_postgresql:
            from sqlalchemy.dialects.postgresql import insert as with_conflict  # noqa: PLC0415  slow to import

            return with_conflict(table)
        from sqlalchemy.dialects.sqlite import insert  # noqa: PLC0415

        return insert(table)

    def upsert(self, table: sql.Table) -> Any:
        """Return the INSERT of whole rows that takes the place of those that are there."""
        statement = self.insert(table)
        keys = [column.name for column in table.primary_key]
        changed = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
        return statement.on_conflict_do_update(index_elements=keys, set_=changed)

    @contextmanager
    def transaction(self) -> Iterator[sql.Connection]:
        """Give the connection; what was done with it is kept when all went well. Raises LedgerError."""
        with interrupts.put_off(), self.lock, self._on_the_same_connection(), explained(self._url):
            try:
                yield self.connection
                if not (self.dry or self._together):
                    self.connection.commit()  # where that fails, on a full disk, say, the transaction has to end too
            except BaseException:
                self._roll_back()
                raise

    @contextmanager
    def sharing(self) -> Iterator[sql.Connection]:
        """Give the connection, in a transaction in which shared rows are looked up and made; none is dropped meanwhile.

        On SQLite nobody else writes from its beginning on, so that nothing that was looked up is out of date.
        """
        with self.transaction() as connection:
            if self.is_postgresql:
                connection.execute(sql.select(sql.func.pg_advisory_xact_lock_shared(_SHARING)))
            else:
                self._begin(connection)
            yield connection

    @contextmanager
    def sweeping(self) -> Iterator[sql.Connection | None]:
        """Give the connection, in a transaction in which nobody else links shared rows; None where somebody does."""
        with self.transaction() as connection:
            if self.is_postgresql:
                held = connection.scalar(sql.select(sql.func.pg_try_advisory_xact_lock(_SHARING)))
                yield connection if held else None
            else:
                self._begin(connection)
                yield connection

    def hold_names(self, connection: sql.Connection) -> None:
        """Let nobody else give events a number until the transaction ends.

        A dry one ends with its run, and nobody is to wait for that; its numbers go with it.
        """
        if self.is_postgresql and not self.dry:
            connection.execute(sql.select(sql.func.pg_advisory_xact_lock(_NAMING)))

    def hold_former_sources(self, connection: sql.Connection) -> None:
        """Let nobody else write down which sources left until the transaction ends, which is to be soon.

        A run forgets those of all destinations, and would wait for another one for ever that writes some at the moment,
        as that one for it. Everybody would wait for the end of a dry run: it is to write none of them.
        """
        if self.is_postgresql:
            connection.execute(sql.select(sql.func.pg_advisory_xact_lock(_LEAVING)))

    def insert_text(self, table: sql.Table, *, in_place: bool = False, several: bool = False) -> str:
        """Return the INSERT of whole rows, tuples in the order of the columns, as the driver takes it.

        ``in_place``: such a row takes the place of the one that is there. ``several``: PostgreSQL may get a COPY.
        """
        if self.is_postgresql and several and not in_place:
            return f"COPY {table.name} ({', '.join(table.columns.keys())}) FROM STDIN"
        return self.driver_text((table.name, in_place), lambda: self.upsert(table) if in_place else sql.insert(table))

    def driver_text(self, name: Hashable, make: Callable[[], sql.UpdateBase]) -> str:
        """Return a statement as the driver takes it, made once under its name; its values are tuples in their order."""
        if name not in self._driver_texts:
            kind: Any = type(self.engine.dialect)
            dialect = kind(paramstyle="format" if self.is_postgresql else "qmark")
            self._driver_texts[name] = str(make().compile(dialect=dialect))
        return self._driver_texts[name]

    @contextmanager
    def _on_the_same_connection(self) -> Iterator[None]:
        """Refuse everything after a loss, with its reason: SQLAlchemy would connect anew, without the lock."""
        if self._is_lost():
            raise LedgerError(self._lost or f"The ledger at {without_secrets(self._url)} was lost (state_url).")
        try:
            yield
        except LedgerError as error:
            self._lost = str(error) if self._is_lost() else ""
            raise

    def _is_lost(self) -> bool:
        return self.connection.invalidated

    def _roll_back(self) -> None:
        """Undo what was not kept; a connection that cannot even do that is of no use any more.

        SQLAlchemy takes a transaction whose commit failed for ended, and the driver may hold it open still.
        """
        self.marks.clear()  # it may have some that are not there now
        try:
            self.connection.rollback()
            if not (self.connection.closed or self.connection.invalidated):
                self.engine.dialect.do_rollback(self.connection.connection)
        except Exception:  # SQLAlchemy's, or the driver's own
            self.connection.invalidate()

    def analyze_if_grown(self, rows: int) -> None:
        """Note that so many rows were written; PostgreSQL is to look at its tables whenever they may have doubled.

        Until it has, which by itself it does once a minute or never, it takes a destination for one of two hundred
        and reads all of it for each question. ``ANALYZE`` holds a lock until the transaction ends, which a dry one
        does at the end of the run.
        """
        self._written += rows
        if self.is_postgresql and not (self.dry or self._together) and self._written >= self._analyze_at:
            self._analyze_at = 2 * self._written
            with self.transaction() as connection:
                connection.execute(sql.text(f"ANALYZE {', '.join(METADATA.tables)}"))

    @contextmanager
    def single_transaction(self) -> Iterator[None]:
        """Keep all of what is written inside, or nothing of it."""
        with interrupts.put_off(), self.lock:
            self._together = True
            try:
                yield
            except BaseException:
                self._roll_back()
                raise
            finally:
                self._together = False
            with self.transaction():
                pass

    @contextmanager
    def hold_lock(self, destination: int, beside: Path | None = None) -> Iterator[None]:
        """Hold a destination against other runs, on other hosts too. Raises RunActive.

        On PostgreSQL an advisory lock, which ends with the connection that writes; for SQLite a lock beside the
        file, or the lock ``beside`` where there is no file.
        """
        file = self.engine.url.database
        if self.is_postgresql:
            with self._advisory_lock(_LOCK, destination):
                yield
        elif file or beside:
            with sqlite.file_lock(_lock_beside(file, destination) if file else Path(beside or "")):
                yield
        else:
            yield

    @contextmanager
    def hold_sightings(self, destination: int) -> Iterator[None]:
        """Hold a destination's sightings against others that write them, on other hosts too. Raises RunActive.

        A run may be active meanwhile.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(self._sightings_lock(destination))
            except RunActive as error:
                raise RunActive(_SIGHTED_ALREADY) from error
            yield

    def _sightings_lock(self, destination: int) -> AbstractContextManager[None]:
        file = self.engine.url.database
        if self.is_postgresql:
            return self._advisory_lock(_SIGHTING, destination)
        return sqlite.file_lock(Path(f"{file}.{destination}.sightings.lock")) if file else nullcontext()

    def is_locked(self, destination: int) -> bool:
        """Say whether a run holds a destination, here or on another host; nothing is held while it is found out."""
        file = self.engine.url.database
        if self.is_postgresql:
            held = sql.text(
                "SELECT EXISTS (SELECT 1 FROM pg_locks JOIN pg_database ON oid = database WHERE datname = "
                "current_database() AND locktype = 'advisory' AND classid = :lock AND objid = :destination AND granted)"
            )
            with self.transaction() as connection:
                return bool(connection.scalar(held, {"lock": _LOCK, "destination": destination}))
        return bool(file) and sqlite.is_file_locked(_lock_beside(str(file), destination))

    @contextmanager
    def _advisory_lock(self, lock: int, destination: int) -> Iterator[None]:
        with self.transaction() as connection:
            taken = connection.scalar(sql.select(sql.func.pg_try_advisory_lock(lock, destination)))
        if not taken:
            raise RunActive("Another run is active for this destination, perhaps on another host.")
        try:
            yield
        finally:
            with suppress(LedgerError), self.transaction() as connection:  # one that is lost took the lock along
                connection.scalar(sql.select(sql.func.pg_advisory_unlock(lock, destination)))

    # -- opening ------------------------------------------------------------------------------------

    def _open(self) -> None:
        with self.transaction() as connection:
            if not sql.inspect(connection).has_table(ABOUT.name):
                self._create(connection)
            version = self._version(connection)
            is_current = version == SCHEMA and not is_unfinished(connection)
        if not is_current:
            self._upgrade(version)
        with self.transaction() as connection:
            for table in (
                *METADATA.sorted_tables,
                *VIEWS.sorted_tables,
            ):  # one that was altered is found now, and not in the middle of a run
                connection.execute(sql.select(table).limit(0))

    def _create(self, connection: sql.Connection) -> None:
        """Create the tables, unless another run was faster."""
        self._hold_schema(connection)
        if not sql.inspect(connection).has_table(ABOUT.name):
            create(connection)
            connection.execute(sql.insert(ABOUT).values(name="schema", value=str(SCHEMA)))

    def _upgrade(self, version: int) -> None:
        """Bring an older ledger up to date, or go on with it where another process ended; each step is kept."""
        if not self._upgrades:
            raise LedgerError(f"The ledger at {without_secrets(self._url)} {_of_older(version)}")
        if version < SCHEMA:
            logger.info("The ledger is brought up to date: its schema is %s, this program's is %s", version, SCHEMA)
        else:
            logger.info("The upgrade of the ledger goes on where it was")
        with self._changing_tables() as connection:
            version = self._version(connection)  # another process may have been faster
            if version < SCHEMA:
                make_tables(connection, version)
            moving = Moving(self, connection)
        self._upgraded(moving.moved, moving.total)
        while self._move(moving):
            self._upgraded(moving.moved, moving.total)
        self._upgraded(moving.total, moving.total)

    def _move(self, moving: Moving) -> bool:
        with self._changing_tables() as connection:
            return moving.move(connection)

    @contextmanager
    def _changing_tables(self) -> Iterator[sql.Connection]:
        with self.transaction() as connection:
            self._hold_schema(connection)
            yield connection

    def _version(self, connection: sql.Connection) -> int:
        text = str(connection.scalar(sql.select(ABOUT.c.value).where(ABOUT.c.name == "schema")))
        version = int(text) if re.fullmatch("[1-9][0-9]{0,8}", text) else 0
        if not version:
            raise LedgerError(
                f"The ledger at {without_secrets(self._url)} cannot be used (state_url): its schema is "
                f"{shorten(text, 20)!r}, which no version of this program wrote. {_ALTERED}"
            )
        if version > SCHEMA:
            raise LedgerError(
                f"The ledger was written by a newer MISP2Sentinel (its schema is {version}, this program knows "
                f"{SCHEMA}): run that version, or name another state_url."
            )
        return version

    def _hold_schema(self, connection: sql.Connection) -> None:
        """Let one process at a time make or change tables, in one transaction; SQLite begins none by itself."""
        if self.is_postgresql:
            connection.execute(sql.select(sql.func.pg_advisory_xact_lock(_LOCK)))
        elif self.engine.url.database:
            self._begin(connection)

    def _begin(self, connection: sql.Connection) -> None:
        """Let nobody else write to the file until the transaction ends; that of a dry one ends with it alone."""
        driver: Any = connection.connection
        if not driver.dbapi_connection.in_transaction:
            connection.exec_driver_sql("BEGIN IMMEDIATE")


def known_destinations(url: str) -> list[tuple[str, str]]:
    """Return workspace and source system of each destination in a ledger; none when there is no ledger yet.

    One of which an older ledger has several spellings is one. Raises LedgerError.
    """
    with explained(url):
        file = sqlite.file_of(url)
        if file and not file.exists():
            return []
        engine = engine_of(url, dry=True)
        try:
            with engine.connect() as connection:
                if not sql.inspect(connection).has_table(DESTINATIONS.name):
                    return []
                columns = (DESTINATIONS.c.workspace, DESTINATIONS.c.sourcesystem)
                question = sql.select(*columns).order_by(DESTINATIONS.c.id)
                named = ((canonical_workspace(workspace), system) for workspace, system in connection.execute(question))
                return list(dict.fromkeys(named))
        finally:
            engine.dispose()


def engine_of(url: str, *, dry: bool) -> sql.Engine:
    """Return what connects to the database at an address; a dry one makes no file. Raises LedgerError and OSError."""
    kind = url.partition(":")[0].partition("+")[0]
    if kind == "postgresql":
        from helpers.ledger.databases import postgresql  # noqa: PLC0415  slow to import

        return postgresql.engine_of(url)
    if kind != "sqlite":
        raise LedgerError("state_url names neither sqlite nor postgresql: these are supported.")
    return sqlite.engine_of(url, dry=dry)


def _of_older(version: int) -> str:
    if version == SCHEMA:
        return (
            "was not brought up to date to its end: the next run goes on with it. Until then, nothing is read from it."
        )
    return (
        f"is of an earlier MISP2Sentinel (its schema is {version}, this program's is {SCHEMA}): the next run brings it "
        "up to date. Until then, nothing is read from it."
    )


def _lock_beside(file: str, destination: int) -> Path:
    return Path(f"{file}.{destination}.lock")
