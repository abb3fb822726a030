"""A ledger in a file: where it is, how SQLite opens it, and the lock beside it."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import URL, make_url

from helpers.errors import LedgerError, RunActive
from helpers.files import OddFile, open_private, permission_hint

_FILE = "sqlite:///"
# UUIDs and hashes go all over their indexes. With SQLite's own cache of 2 MB and log of 1,000 pages, an object of a
# first run over 100,000 of published events takes 13 reads and 13 writes; with 32 MB of each, 2 and 9.
_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "busy_timeout = 15000",
    "cache_size = -32768",
    "wal_autocheckpoint = 8000",
)


def file_of(url: str) -> Path | None:
    """Return the file that an address names, as it stands there; None for a ledger in memory or on a server."""
    path = url.removeprefix(_FILE) if url.startswith(_FILE) else ""
    return Path(path) if path else None


def engine_of(url: str, *, dry: bool) -> sql.Engine:
    """Return what connects to the file, which is made for its owner alone; a dry run makes none. Raises OSError."""
    file = file_of(url)
    if file and not file.exists():
        _check_it_can_be_made(file)
        _check_it_is_not_misread(url, file)
        file = None if dry else file
    if file:
        os.close(open_private(file, os.O_RDWR))
    address = URL.create("sqlite", database=str(file) if file else None)
    engine = sql.create_engine(address, poolclass=sql.StaticPool, connect_args={"check_same_thread": False})
    sql.event.listen(engine, "connect", _tune)
    return engine


def _check_it_can_be_made(file: Path) -> None:
    """Raise OSError where the file cannot be made: a dry run, which makes none, has to say so too."""
    place = file.parent
    if not place.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"{os.strerror(errno.ENOENT)}, so make it first", str(place))
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))


def _check_it_is_not_misread(url: str, file: Path) -> None:
    """Refuse to begin anew where there is a ledger at the path as SQLAlchemy reads it, which earlier versions took."""
    before = make_url(url).database
    if before and Path(before) != file and Path(before).exists():
        raise LedgerError(
            f"There is no {file}, which state_url names, but there is {before}. What stands after sqlite:/// is a path "
            f"as it is, without escapes such as %20 and without options after a ?: write sqlite:///{before}"
        )


def _tune(connection: Any, _record: Any) -> None:
    """Write-ahead logging lets status and explain read during a run."""
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock that is a file. Raises RunActive where another run holds it, LedgerError where it cannot be."""
    import filelock  # noqa: PLC0415

    lock = filelock.FileLock(path, timeout=0, mode=0o600)
    try:
        os.close(open_private(path, os.O_RDWR))  # filelock takes a pipe or a device too
        lock.acquire()
    except filelock.Timeout as error:
        raise RunActive(f"Another run is active (it holds {path}); this one does nothing.") from error
    except OddFile as error:
        raise LedgerError(f"The lock {error}: take it away.") from error
    except OSError as error:
        advice = permission_hint(error) or "Name a state_dir that this user may write."
        raise LedgerError(f"{path} cannot be used: {error}. {advice}") from error
    try:
        yield
    finally:
        lock.release()


def is_file_locked(path: Path) -> bool:
    """Say whether a run holds the lock that is a file; also where that cannot be found out."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # what filelock takes; closing the file lets go of it
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
