"""The ledger's database: SQLite in the state directory, or a PostgreSQL that several hosts share.

One connection serves every destination and every thread, one transaction at a time. In a dry run everything
is one transaction that is never committed.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from helpers import interrupts
from helpers.errors import LedgerError, RunActive
from helpers.files import open_private, permission_hint
from helpers.ledger.tables import ABOUT, DESTINATIONS, METADATA, SCHEMA, upgrade
from helpers.settings import without_secrets

# What a database says when it is gone; it concerns every destination.
DatabaseTrouble = SQLAlchemyError
_LOCK = 0x4D325345
# Rows after which PostgreSQL is to look at its tables for the first time.
_ANALYZE_FIRST_AT = 500


class Database:
    """An open database with the ledger's tables; destinations and threads share it."""

    def __init__(self, url: str, *, dry: bool = False) -> None:
        """Open it, creating or upgrading the tables. Raises LedgerError with what to do.

        ``dry`` keeps nothing of what is written.
        """
        self.dry = dry
        self._together = False
        self.lock = threading.RLock()
        self._locks: sql.Connection | None = None
        self._written, self._analyze_at = 0, _ANALYZE_FIRST_AT
        with _explained(url):
            _check_file_can_be_made(url)
            self.engine = _engine(url, dry)
            self.connection = self.engine.connect()
            try:
                self._open()
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Let go of the database; a dry run's writing goes with it."""
        with self.lock:
            if self._locks:
                self._locks.invalidate()
            self.connection.rollback()
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

    @contextmanager
    def transaction(self) -> Iterator[sql.Connection]:
        """Give the connection; what was done with it is kept when all went well."""
        with interrupts.put_off(), self.lock:
            try:
                yield self.connection
            except BaseException:
                self.connection.rollback()
                raise
            if not (self.dry or self._together):
                self.connection.commit()

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
                self.connection.rollback()
                raise
            finally:
                self._together = False
            with self.transaction():
                pass

    @contextmanager
    def hold_lock(self, destination: int, beside: Path | None = None) -> Iterator[None]:
        """Hold a destination against other runs, on other hosts too. Raises RunActive.

        On PostgreSQL an advisory lock on a connection of its own, which ends with the process; for SQLite a
        lock beside the file, or the lock ``beside`` where there is no file.
        """
        file = self.engine.url.database
        if self.is_postgresql:
            with self._advisory_lock(destination):
                yield
        elif file or beside:
            with _file_lock(Path(f"{file}.{destination}.lock") if file else Path(beside or "")):
                yield
        else:
            yield

    @contextmanager
    def _advisory_lock(self, destination: int) -> Iterator[None]:
        with self.lock:
            if self._locks is None:
                self._locks = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            taken = self._locks.scalar(sql.select(sql.func.pg_try_advisory_lock(_LOCK, destination)))
        if not taken:
            raise RunActive("Another run is active for this destination, perhaps on another host.")
        try:
            yield
        finally:
            with self.lock:
                self._let_go(destination)

    def _let_go(self, destination: int) -> None:
        """Give an advisory lock back; a connection that is broken has lost it already."""
        try:
            if self._locks:
                self._locks.scalar(sql.select(sql.func.pg_advisory_unlock(_LOCK, destination)))
        except SQLAlchemyError:
            self._locks.invalidate() if self._locks else None
            self._locks = None

    # -- opening ------------------------------------------------------------------------------------

    def _open(self) -> None:
        with self.transaction() as connection:
            if not sql.inspect(connection).has_table(ABOUT.name):
                self._create(connection)
            if self._version(connection) < SCHEMA:
                self._upgrade(connection)

    def _create(self, connection: sql.Connection) -> None:
        """Create the tables, unless another run was faster."""
        self._hold_schema(connection)
        METADATA.create_all(connection)
        schema = self.insert(ABOUT).values(name="schema", value=str(SCHEMA))
        connection.execute(schema.on_conflict_do_nothing())

    def _upgrade(self, connection: sql.Connection) -> None:
        self._hold_schema(connection)
        upgrade(connection, self._version(connection))

    def _version(self, connection: sql.Connection) -> int:
        version = int(connection.scalar(sql.select(ABOUT.c.value).where(ABOUT.c.name == "schema")) or 0)
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
            connection.exec_driver_sql("BEGIN IMMEDIATE")


def known_destinations(url: str) -> list[tuple[str, str]]:
    """Return workspace and source system of each destination in a ledger; none when there is no ledger yet."""
    with _explained(url):
        engine = _engine(url, dry=True)
        try:
            with engine.connect() as connection:
                if not sql.inspect(connection).has_table(DESTINATIONS.name):
                    return []
                columns = (DESTINATIONS.c.workspace, DESTINATIONS.c.sourcesystem)
                question = sql.select(*columns).order_by(DESTINATIONS.c.id)
                return [(workspace, system) for workspace, system in connection.execute(question)]
        finally:
            engine.dispose()


@contextmanager
def lost(url: str) -> Iterator[None]:
    """Turn a database that goes away in the middle into a sentence. Raises LedgerError.

    SQLAlchemy gives a connection up in which a signal arrived; what fails because of that is the signal's doing.
    """
    try:
        yield
    except SQLAlchemyError as error:
        if _interrupted(error):
            raise KeyboardInterrupt from error
        words = str(getattr(error, "orig", None) or error).strip().splitlines()
        where = without_secrets(url)
        raise LedgerError(f"The ledger at {where} was lost (state_url): {words[0] if words else error}") from error


def _interrupted(error: BaseException | None) -> bool:
    """Whether an error came up while an interruption was dealt with."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        error = error.__context__
    return any(isinstance(raised, KeyboardInterrupt) for raised in seen)


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    import filelock  # noqa: PLC0415

    lock = filelock.FileLock(path, timeout=0, mode=0o600)
    try:
        os.close(open_private(path, os.O_RDWR))  # filelock takes a pipe or a device too
        lock.acquire()
    except filelock.Timeout as error:
        raise RunActive(f"Another run is active (it holds {path}); this one does nothing.") from error
    except OSError as error:
        advice = permission_hint(error) or "Name a state_dir that this user may write."
        raise LedgerError(f"{path} cannot be used: {error}. {advice}") from error
    try:
        yield
    finally:
        lock.release()


def _engine(url: str, dry: bool) -> sql.Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return sql.create_engine(parsed.set(drivername="postgresql+psycopg"), connect_args={"connect_timeout": 15})
    if parsed.get_backend_name() != "sqlite":
        raise LedgerError(f"state_url names {parsed.get_backend_name()}; sqlite and postgresql are supported.")
    if dry and parsed.database and not Path(parsed.database).exists():
        parsed = parsed.set(database="")
    if parsed.database:
        os.close(open_private(Path(parsed.database), os.O_RDWR))
    engine = sql.create_engine(parsed, poolclass=sql.StaticPool, connect_args={"check_same_thread": False})
    sql.event.listen(engine, "connect", _tune)
    return engine


def _check_file_can_be_made(url: str) -> None:
    """Raise OSError where SQLite's file is not and cannot be made: a dry run, which makes none, has to say so too."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or Path(parsed.database).exists():
        return
    place = Path(parsed.database).parent
    if not place.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"{os.strerror(errno.ENOENT)}, so make it first", str(place))
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))


def _tune(connection: Any, _record: Any) -> None:
    """Write-ahead logging lets status and explain read during a run."""
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "busy_timeout = 15000"):
        connection.execute(f"PRAGMA {pragma}")


@contextmanager
def _explained(url: str) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError, ValueError, ImportError) as error:
        words = str(getattr(error, "orig", None) or error).strip().splitlines()
        where = without_secrets(url) if "://" in url else "state_url"
        advice = f". {permission_hint(error)}" if isinstance(error, OSError) and permission_hint(error) else ""
        raise LedgerError(
            f"The ledger at {where} cannot be used (state_url): {words[0] if words else error}{advice}"
        ) from error
