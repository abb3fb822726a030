"""How many bytes an object takes in the ledger: at the first destination, and at each further one.

    python -m benchmarks.ledger_size
    python -m benchmarks.ledger_size --postgresql

A first run of events of 50 attributes to one destination, and one to several, each to a ledger of its own; an empty
ledger's size is taken off. With SQLite it is the file's size after the run, with PostgreSQL the database's.
``vacuumed`` is what it takes without the room that a run leaves behind and later ones use: PostgreSQL keeps each row
as it was before a change until it is vacuumed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psycopg

from benchmarks.sandboxed import Measured, events, new_ledgers, parser, run, show, site, tenants
from helpers.settings import load
from sandbox.serve import Sandbox

PER_EVENT = 50
SHOWN = ("indicators", "bytes", "vacuumed")


class Bytes(NamedTuple):
    """How many bytes a ledger takes after a run, and when it was vacuumed."""

    bytes: int
    vacuumed: int


def measure(indicators: int, destinations: int, new_ledger: Callable[[], Mapping[str, str]]) -> dict[str, Measured]:
    """Run to one destination, and to several; raises AssertionError when a run sent another number than it should."""
    empty, first, all_ = (
        _taken(number, count, new_ledger()) for number, count in ((0, 1), (indicators, 1), (indicators, destinations))
    )
    columns = {"the first": _an_object(first, empty, indicators)}
    columns["a further one"] = _an_object(all_, first, indicators * (destinations - 1))
    return columns


def _an_object(more: Bytes, less: Bytes, objects: int) -> Measured:
    each = (round((one - other) / objects) for one, other in zip(more, less, strict=True))
    return {"indicators": objects, **Bytes(*each)._asdict()}


def _taken(indicators: int, count: int, ledger: Mapping[str, str]) -> Bytes:
    with Sandbox() as box, TemporaryDirectory() as folder:
        box.misp.load(events(indicators // PER_EVENT, PER_EVENT))
        environ = site(box, Path(folder), **tenants(box, count), **ledger)
        taken = run(box, environ)
        if (taken["exit_code"], taken["accepted"]) != (0, indicators * count):
            raise AssertionError(f"a run was to send {indicators * count}: {taken}")
        address = load(None, environ).settings.ledger_url
        after_the_run = size_of(address)
        vacuum(address)
        return Bytes(after_the_run, size_of(address))


def size_of(address: str) -> int:
    """Return how many bytes a ledger takes at its address, which no run uses now."""
    if address.startswith("sqlite"):
        return sum(file.stat().st_size for file in _file(address).parent.glob("ledger*"))
    with psycopg.connect(address) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        return int(row[0]) if row else 0


def vacuum(address: str) -> None:
    """Give back the room in a ledger that nothing is in."""
    if address.startswith("sqlite"):
        with closing(sqlite3.connect(_file(address), isolation_level=None)) as file:
            file.execute("VACUUM")
    else:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("VACUUM FULL")


def _file(address: str) -> Path:
    return Path(address.removeprefix("sqlite:///"))


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--indicators", type=int, default=20_000)
    command_line.add_argument("--destinations", type=int, default=5)
    command_line.add_argument("--postgresql", action="store_true", help="the ledger in a PostgreSQL started for it")
    options = command_line.parse_args()
    with new_ledgers(postgresql=options.postgresql) as new_ledger:
        show(measure(options.indicators, options.destinations, new_ledger), options.json, SHOWN)


if __name__ == "__main__":
    main()
