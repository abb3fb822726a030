"""How long the upgrade of an older ledger takes, and how much memory: each of its rows is moved.

    python -m benchmarks.upgrade --objects 300000
    python -m benchmarks.upgrade --objects 100000 --destinations 5
    python -m benchmarks.upgrade --objects 300000 --state-url postgresql://user:password@localhost/name

The ledger is filled as runs would have left it, for each destination the same, made one of schema 5, and opened by a
process of its own. A database that is named has to be an empty one. Bytes are those of the file, or of the database,
for each object of each destination. PostgreSQL needs both at once in between.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sql

from benchmarks.held import fill
from benchmarks.older_ledgers import make_older
from benchmarks.sandboxed import Measured, parser, peak_megabytes, show, site, used
from helpers.ledger import Database
from helpers.ledger.database import engine_of
from helpers.ledger.databases.sqlite import file_of
from helpers.settings import load
from sandbox.serve import Sandbox

OPEN = "import sys; from helpers.ledger import Database; Database(sys.argv[1]).close()"


NAMES = ("whole_seconds", "processor_seconds", "peak_mb", "bytes_before", "bytes_after", "exit_code")


def measure(objects: int, destinations: int = 1, schema: int = 5, state_url: str = "") -> Measured:
    """Fill a ledger for so many destinations, make an older one of it, and return what its upgrade took."""
    with Sandbox() as box, TemporaryDirectory() as folder:
        settings = load(None, site(box, Path(folder), STATE_URL=state_url)).settings
        for number in range(destinations):
            fill(settings.model_copy(update={"sourcesystem": f"MISP {number}"}), objects, int(time.time()))
        _age(settings.ledger_url, schema)
        before, begin, processor = _bytes(settings.ledger_url), time.monotonic(), used()
        with subprocess.Popen([sys.executable, "-c", OPEN, settings.ledger_url]) as process:  # noqa: S603
            peak = peak_megabytes(process)
        return {
            "whole_seconds": round(time.monotonic() - begin, 1),
            "processor_seconds": round(used() - processor, 1),
            "peak_mb": round(peak, 1),
            "bytes_before": before // (objects * destinations),
            "bytes_after": _bytes(settings.ledger_url) // (objects * destinations),
            "exit_code": process.returncode,
        }


def _age(url: str, schema: int) -> None:
    """Make an older ledger of it, with no room left over from that."""
    with closing(Database(url)) as database, database.transaction() as connection:
        make_older(connection, schema)
    engine = engine_of(url, dry=False).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("VACUUM FULL" if url.startswith("postgresql") else "VACUUM")
    engine.dispose()


def _bytes(url: str) -> int:
    """Return how much of the disk a ledger takes; what SQLite has free inside its file counts."""
    file = file_of(url)
    if file:
        return sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*"))
    with closing(Database(url, dry=True)) as database, database.transaction() as connection:
        return int(connection.scalar(sql.text("SELECT pg_database_size(current_database())")))


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--objects", type=int, default=300_000, help="of each destination")
    command_line.add_argument("--destinations", type=int, default=1)
    command_line.add_argument("--schema", type=int, default=5)
    command_line.add_argument("--state-url", default="")
    options = command_line.parse_args()
    measured = measure(options.objects, options.destinations, options.schema, options.state_url)
    show({"upgrade": measured}, options.json, NAMES)


if __name__ == "__main__":
    main()
