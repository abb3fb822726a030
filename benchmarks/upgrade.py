"""How long the upgrade of an older ledger takes, and how much memory: it reads the body of each object.

    python -m benchmarks.upgrade --objects 300000
    python -m benchmarks.upgrade --objects 300000 --state-url postgresql://user:password@localhost/name

The ledger is filled as runs would have left it, brought back to schema 4, and opened by a process of its own. A
database that is named has to be an empty one.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sql

from benchmarks.held import fill
from benchmarks.sandboxed import Measured, parser, peak_megabytes, show, site
from helpers.ledger import Database
from helpers.settings import load
from sandbox.serve import Sandbox

OPEN = "import sys; from helpers.ledger import Database; Database(sys.argv[1]).close()"
# What makes a ledger of schema 4 of one of schema 5, apart from the number that it says.
FOURTH_SCHEMA = (
    "DROP INDEX attributes_skipped",
    "DROP INDEX objects_live",
    "ALTER TABLE events DROP COLUMN organisation_name",
    "ALTER TABLE objects DROP COLUMN tlp",
    "ALTER TABLE objects DROP COLUMN confidence",
    "CREATE INDEX objects_live ON objects (destination, live, live_until, observable)",
)
TO_SCHEMA_4 = (*FOURTH_SCHEMA, "UPDATE about SET value = '4' WHERE name = 'schema'")


def measure(objects: int, state_url: str = "") -> Measured:
    """Fill a ledger, make an older one of it, and return what its upgrade took."""
    with Sandbox() as box, TemporaryDirectory() as folder:
        environ = site(box, Path(folder), STATE_URL=state_url)
        settings = load(None, environ).settings
        fill(settings, objects, int(time.time()))
        database = Database(settings.ledger_url)
        with database.transaction() as connection:
            for statement in TO_SCHEMA_4:
                connection.execute(sql.text(statement))
        database.close()
        begin = time.monotonic()
        with subprocess.Popen([sys.executable, "-c", OPEN, settings.ledger_url]) as process:  # noqa: S603
            peak = peak_megabytes(process)
        seconds = time.monotonic() - begin
        return {
            "whole_seconds": round(seconds, 1),
            "peak_mb": round(peak, 1),
            "exit_code": process.returncode,
        }


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--objects", type=int, default=300_000)
    command_line.add_argument("--state-url", default="")
    options = command_line.parse_args()
    names = ("whole_seconds", "peak_mb", "exit_code")
    show({"upgrade": measure(options.objects, options.state_url)}, options.json, names)


if __name__ == "__main__":
    main()
