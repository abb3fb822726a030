"""How long the upgrade of an older ledger takes, and how much memory: each of its rows is moved.

    python -m benchmarks.upgrade --objects 300000
    python -m benchmarks.upgrade --objects 100000 --destinations 5
    python -m benchmarks.upgrade --objects 300000 --postgresql --kill

The ledger is filled as runs would have left it, for each destination the same, made one of an older schema, and opened
by a process of its own. With ``--kill`` that one gets a ``kill -9`` when half of the rows are moved, and a second one
goes on. Bytes are those of the file, or of the database, for each object of each destination. When an object is
missing in the end, this ends with an error.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import IO

import sqlalchemy as sql

from benchmarks.held import fill
from benchmarks.ledger_size import size_of, vacuum
from benchmarks.older_ledgers import make_older
from benchmarks.sandboxed import Measured, new_ledgers, parser, peak_megabytes, show, site, used
from helpers.ledger import Database
from helpers.settings import load
from sandbox.serve import Sandbox

OPEN = (
    "import sys; from helpers.ledger import Database; "
    "Database(sys.argv[1], upgraded=lambda *told: print(*told, flush=True)).close()"
)
NAMES = ("whole_seconds", "processor_seconds", "peak_mb", "bytes_before", "bytes_after", "exit_code")
HALF, NEVER = 0.5, float("inf")


def measure(
    objects: int, destinations: int = 1, schema: int = 5, *, kill: bool = False, **more: str
) -> dict[str, Measured]:
    """Fill a ledger for so many destinations, make an older one of it, and return what its upgrade took.

    ``more`` are further settings, as ``site`` takes them. Raises AssertionError when objects are missing.
    """
    with Sandbox() as box, TemporaryDirectory() as folder:
        settings = load(None, site(box, Path(folder), **more)).settings
        for number in range(destinations):
            fill(settings.model_copy(update={"sourcesystem": f"MISP {number}"}), objects, int(time.time()))
        url, filled = settings.ledger_url, objects * destinations
        _age(url, schema)
        columns = {"until kill -9": _upgraded(url, filled, until=HALF)} if kill else {}
        columns["going on" if kill else "upgrade"] = _upgraded(url, filled)
        if (there := _objects(url)) != filled:
            raise AssertionError(f"of {filled} objects {there} are there")
        return columns


def _upgraded(url: str, objects: int, until: float = NEVER) -> Measured:
    before, begin, processor = size_of(url), time.monotonic(), used()
    with subprocess.Popen([sys.executable, "-c", OPEN, url], stdout=subprocess.PIPE) as process:  # noqa: S603
        told = Thread(target=_kill_at, args=(process, process.stdout, until))
        told.start()
        peak = peak_megabytes(process)
        told.join()
    return {
        "whole_seconds": round(time.monotonic() - begin, 1),
        "processor_seconds": round(used() - processor, 1),
        "peak_mb": round(peak, 1),
        "bytes_before": before // objects,
        "bytes_after": size_of(url) // objects,
        "exit_code": process.returncode,
    }


def _kill_at(process: subprocess.Popen[bytes], told: IO[bytes], until: float) -> None:
    """Read how many rows of how many are moved, and end the process at once where that is its time."""
    for line in told:
        done, rows = map(int, line.split())
        if done >= until * rows:
            process.kill()


def _age(url: str, schema: int) -> None:
    """Make an older ledger of it, with no room left over from that."""
    with closing(Database(url)) as database, database.transaction() as connection:
        make_older(connection, schema)
    vacuum(url)


def _objects(url: str) -> int:
    with closing(Database(url)) as database, database.transaction() as connection:
        return int(connection.scalar(sql.text("SELECT count(*) FROM objects")) or 0)


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--objects", type=int, default=300_000, help="of each destination")
    command_line.add_argument("--destinations", type=int, default=1)
    command_line.add_argument("--schema", type=int, default=5)
    command_line.add_argument("--kill", action="store_true", help="end it in the middle, and let another go on")
    command_line.add_argument("--postgresql", action="store_true", help="the ledger in a PostgreSQL started for it")
    options = command_line.parse_args()
    with new_ledgers(postgresql=options.postgresql) as new_ledger:
        wanted = (options.objects, options.destinations, options.schema)
        show(measure(*wanted, kill=options.kill, **new_ledger()), options.json, NAMES)


if __name__ == "__main__":
    main()
