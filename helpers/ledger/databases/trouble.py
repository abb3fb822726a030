"""What a database says when something is wrong with it, as a sentence: what it is, and what to do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from helpers.errors import LedgerError, LedgerRefusal
from helpers.files import OddFile, permission_hint, user_name
from helpers.ledger.databases.sqlite import file_of
from helpers.settings import secrets_in, without_secrets
from helpers.text import one_line, shorten

_LONGEST_WORDS = 300
_SOMETHING_ELSE = 0
_SMALLEST_SECRET = 3
# Less room than this on the disk of a file, in bytes, and SQLite's "disk I/O error" is a full disk.
_FULL_BELOW = 1_048_576
_RESTORE = "Restore the backup, or move it away and let adopt fill a new one (docs/ledger.md#when-the-ledger-is-lost)."
_AGAIN = "Then run again: what was recorded until now is there, and the rest is taken up."


@dataclass(frozen=True)
class _Trouble:
    """What is wrong, and what to do; ``{file}``, ``{place}`` and ``{user}`` stand for SQLite's."""

    cause: str
    advice: str


_FULL = _Trouble("the disk is full", f"Make room on the disk of {{place}}. {_AGAIN}")
_DAMAGED = _Trouble("the file is damaged", _RESTORE)
_ALTERED = _Trouble("it does not have the tables as this program makes them", _RESTORE)
_FAILING = _Trouble("the disk, or its file system, failed", f"See what the system's log says of it. {_AGAIN}")
_NOT_OPENED = _Trouble(
    "{user} may not open or make its files",
    "Let {user} write {file}, the directory {place}, and /tmp, where SQLite puts what is too large for its memory.",
)
_KEPT = _Trouble("another program keeps it to itself", f"End that one (a backup, sqlite3 in a shell). {_AGAIN}")
_NO_SUCH_ROW = _Trouble(
    "it does not take a row like this", "Report it, please: this program makes them so that it does."
)
# By the primary codes of https://www.sqlite.org/rescode.html.
_OF_SQLITE = {
    1: _ALTERED,
    3: _NOT_OPENED,
    5: _KEPT,
    6: _KEPT,
    7: _Trouble("the system has no memory left", f"End what takes it. {_AGAIN}"),
    8: _Trouble("{user} may not write it", "Let {user} write {file} and the directory {place}."),
    10: _FAILING,
    11: _DAMAGED,
    13: _FULL,
    14: _NOT_OPENED,
    18: _NO_SUCH_ROW,
    19: _NO_SUCH_ROW,
    20: _NO_SUCH_ROW,
    26: _Trouble("the file is not a database, or is damaged", _RESTORE),
}

_UNREACHED = _Trouble(
    "no connection",
    "Is the server up, are name and password right, does pg_hba.conf let this host in? "
    "(docs/ledger.md#sqlite-or-postgresql)",
)
_GONE = _Trouble(
    "the connection ended, and the lock against other runs with it: another run may be active",
    f"Is the server up, and the network steady? {_AGAIN}",
)
_NOT_ALLOWED = _Trouble("the user may not do that", "Make it the owner of the database and of the ledger's tables.")
_BUSY = _Trouble(
    "the server did not come to an end in five minutes", f"See what holds it up (pg_stat_activity). {_AGAIN}"
)
_FULL_SERVER = _Trouble("the server's disk is full", f"Make room there. {_AGAIN}")
_OVERLOADED = _Trouble("the server has no room for it", f"Give it more connections, or memory. {_AGAIN}")
# By the codes of https://www.postgresql.org/docs/current/errcodes-appendix.html, or the classes that they begin with.
_OF_POSTGRESQL = {
    "08": _GONE,
    "22": _NO_SUCH_ROW,
    "23": _NO_SUCH_ROW,
    "25006": _Trouble("it may only be read", "Is it a standby? Name the server that may be written to."),
    "28": _UNREACHED,
    "3D": _Trouble("there is no such database", "Make it as in docs/ledger.md#sqlite-or-postgresql."),
    "40": _Trouble("another program changed the same rows", f"Let nothing else write to it. {_AGAIN}"),
    "42501": _NOT_ALLOWED,
    "42": _ALTERED,
    "53100": _FULL_SERVER,
    "53": _OVERLOADED,
    "55P03": _BUSY,
    "57014": _BUSY,
    "57": _GONE,
    "58": _Trouble("the server failed", f"See its log. {_AGAIN}"),
    "XX": _Trouble("the database is damaged, or the server failed", f"See the server's log. {_RESTORE}"),
}


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn whatever a database raises inside into a sentence.

    Raises LedgerError, or LedgerRefusal where it is about one row.

    SQLAlchemy gives a connection up in which a signal arrived; what fails because of that is the signal's doing.
    """
    try:
        yield
    except (DataError, IntegrityError) as error:
        raise LedgerRefusal(_sentence(error, url)) from error
    except (SQLAlchemyError, OSError, ImportError) as error:
        if _interrupted(error):
            raise KeyboardInterrupt from error
        raise LedgerError(_sentence(error, url)) from error


def was_lost(error: BaseException | None) -> bool:
    """Whether an error means that the connection is gone, or of no use any more."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def _sentence(error: Exception, url: str) -> str:
    trouble = _trouble(error, url)
    said = _their_words(error, url)
    file = file_of(url)
    place = file.absolute().parent if file else Path()
    words = f"{trouble.cause}{f' ({said})' if said else ''}. {trouble.advice}".strip()
    named = words.replace("{file}", str(file)).replace("{place}", str(place)).replace("{user}", user_name())
    what = "was lost" if was_lost(error) else "cannot be used"
    return f"The ledger at {without_secrets(url)} {what} (state_url): {named}"


def _trouble(error: Exception, url: str) -> _Trouble:
    if isinstance(error, ImportError):
        return _Trouble(f"the package {error.name or 'psycopg'} is missing", "Install the packages (docs/install.md).")
    if isinstance(error, OddFile):
        return _Trouble(_plain(str(error), url), "Take it away, or name another file.")
    if isinstance(error, OSError):
        return _Trouble(_plain(str(error), url), permission_hint(error))
    if not isinstance(error, DBAPIError):
        return _Trouble("its address cannot be read", "Write it as in docs/ledger.md#sqlite-or-postgresql.")
    if not url.startswith("postgresql"):
        return _of_sqlite(getattr(error.orig, "sqlite_errorcode", _SOMETHING_ELSE), url)
    state = getattr(error.orig, "sqlstate", None) or ""
    known = _OF_POSTGRESQL.get(state) or _OF_POSTGRESQL.get(state[:2])
    return known or (_GONE if was_lost(error) else _UNREACHED)


def _of_sqlite(code: int, url: str) -> _Trouble:
    code, file = code & 0xFF, file_of(url)
    if code == 10 and file and shutil.disk_usage(file.absolute().parent).free < _FULL_BELOW:
        return _FULL
    return _OF_SQLITE.get(code, _ALTERED)


def _their_words(error: Exception, url: str) -> str:
    """What the database itself says, in one line and without secrets; nothing where SQLAlchemy or Python says it."""
    if not isinstance(error, DBAPIError):
        return ""
    lines = str(error.orig).strip().splitlines()
    return _plain(lines[0], url) if lines else ""


def _plain(text: str, url: str) -> str:
    for secret in sorted(secrets_in(url), key=len, reverse=True):
        if len(secret) >= _SMALLEST_SECRET:
            text = text.replace(secret, "***")
    return shorten(one_line(text), _LONGEST_WORDS).rstrip(".")


def _interrupted(error: BaseException | None) -> bool:
    """Whether an error came up while an interruption was dealt with."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        error = error.__context__
    return any(isinstance(raised, KeyboardInterrupt) for raised in seen)
