"""A ledger on a PostgreSQL server: how it is reached, and how long it is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sql
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from sqlalchemy.engine import make_url

from helpers.errors import LedgerError

CONNECT_SECONDS = 15
# How long a statement may take, and how much longer a server is waited for that does not even say so.
ANSWER_SECONDS = 300.0
SILENCE_SECONDS = 10.0
_ENCODING = "UTF8"
# What libpq is told of each connection, whatever stands in the address (its manual, "Parameter Key Words").
_PARAMETERS = {
    "connect_timeout": CONNECT_SECONDS,
    "client_encoding": "utf8",
    "keepalives": 1,
    "keepalives_idle": 60,
    "keepalives_interval": 15,
    "keepalives_count": 4,
    "tcp_user_timeout": int(1000 * ANSWER_SECONDS),
}
# The server is to end what takes too long, and not a session that waits for MISP. It keeps the lock of a run whose host
# is gone until it notices, by its system's own rules after hours: so within two minutes, for which the next run waits.
# Not each version has all of these.
_SESSION = """
SELECT set_config(name, wanted.value, false) FROM pg_settings JOIN (VALUES
    ('statement_timeout', %s), ('idle_session_timeout', '0'), ('idle_in_transaction_session_timeout', '0'),
    ('tcp_keepalives_idle', '60'), ('tcp_keepalives_interval', '15'), ('tcp_keepalives_count', '4'),
    ('tcp_user_timeout', '120000')
) AS wanted (name, value) USING (name)
"""

Result = TypeVar("Result")


class _Connection(psycopg.Connection[Any]):
    """A connection to a server that may fall silent: every wait for it has an end."""

    def wait(self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None) -> Result:
        """Let the generator go on whenever the server says something; what it says too late is of no use any more."""
        longest = ANSWER_SECONDS + SILENCE_SECONDS
        try:
            return super().wait(gen, interval, timeout or longest)
        except psycopg.OperationalError as error:
            if self.info.transaction_status is not TransactionStatus.ACTIVE:
                raise
            self.close()
            raise psycopg.OperationalError(f"it said nothing for {longest:g} seconds") from error


def engine_of(url: str) -> sql.Engine:
    """Return what connects to the server. A connection raises LedgerError where the database is not in UTF-8."""
    address = make_url(url).set(drivername="postgresql+psycopg")
    engine = sql.create_engine(address, poolclass=sql.NullPool, connect_args=_PARAMETERS)
    sql.event.listen(engine, "do_connect", _connect)
    sql.event.listen(engine, "connect", _prepare)
    sql.event.listen(engine, "do_executemany", _copy)
    return engine


def _connect(_dialect: Any, _record: Any, arguments: Any, named: Any) -> _Connection:
    return _Connection.connect(*arguments, **named)


def _copy(cursor: psycopg.Cursor[Any], statement: str, rows: Sequence[tuple[Any, ...]], _context: Any) -> bool:
    """Carry a COPY out, which takes rows in a quarter of an INSERT's time; say whether it was one."""
    if not statement.startswith("COPY "):
        return False
    with cursor.copy(statement) as copy:  # the ledger's own names
        for row in rows:
            copy.write_row(row)
    return True


def _prepare(connection: _Connection, _record: Any) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != _ENCODING:
        raise LedgerError(
            f"The ledger cannot be used (state_url): the database's encoding is {encoding}: make it UTF8. Make another "
            "one, with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0, name it in state_url, and move what is "
            "in this one with pg_dump and pg_restore, or let adopt fill it (docs/ledger.md#sqlite-or-postgresql)."
        )
    connection.execute(_SESSION, [str(int(1000 * ANSWER_SECONDS))])
    connection.commit()
