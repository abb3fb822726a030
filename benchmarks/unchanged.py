"""How long a run takes that finds nothing changed, and how much memory, at so many remembered objects.

    python -m benchmarks.unchanged --objects 1000000
    python -m benchmarks.unchanged --objects 1000000 --events 20000 --listed 1000
    python -m benchmarks.unchanged --objects 1000000 --destinations 10

The ledger is filled directly, as accepted runs would have left it. The sandbox's MISP has all the events
and none of their attributes, which an unchanged run does not ask for. ``--listed`` is how many of the
events the filters still find, the others having left their time window (default: all). Each destination remembers all
of the objects; where there are several, a run of the first alone comes first, and ``times`` and ``times_processor``
are what all of them take beside it. Each column is the run, of ``--repeats``, that took the least of the processor.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.ledger_size import size_of
from benchmarks.remembered import fill, light
from benchmarks.sandboxed import OF_A_RUN, Measured, new_ledgers, parser, run, show, site, tenants
from helpers.indicators import DAY
from helpers.settings import load
from sandbox.serve import Sandbox

FILTERS = '{"published": 1, "enforceWarninglist": true, "publish_timestamp": "14d"}'
COMPARED = {"times": "whole_seconds", "times_processor": "processor_seconds"}


def measure(
    objects: int, event_count: int, listed: int, destinations: int = 1, repeats: int = 1, **more: str
) -> dict[str, Measured]:
    """Fill MISP and ledger, run, and return what that took, by the number of destinations that ran.

    ``more`` are further settings, as ``site`` takes them.
    """
    attributes = objects // event_count
    with Sandbox() as box, TemporaryDirectory() as folder:
        environ = site(box, Path(folder), MISP_EVENT_FILTERS=FILTERS, **tenants(box, destinations), **more)
        now = int(time.time())
        box.misp.load(light(n, attributes, now if n < listed else now - 100 * DAY) for n in range(event_count))
        fill(load(None, environ).settings.destinations(), box.misp.events(), now - DAY)
        size = size_of(load(None, environ).settings.ledger_url)
        remembered = {"remembered_objects": event_count * attributes, "remembered_events": event_count}
        options = {1: ("--workspace", "d0"), destinations: ()}
        taken = {count: _least(box, environ, options[count], repeats) for count in sorted(options)}
        first = taken[1]
        return {
            f"destinations: {count}": {
                **remembered,
                "ledger_mb": round(size / 1_000_000, 1),
                **column,
                **_beside(column, first),
            }
            for count, column in taken.items()
        }


def _least(box: Sandbox, environ: Mapping[str, str], options: tuple[str, ...], repeats: int) -> Measured:
    tries = [run(box, environ, *options) for _ in range(repeats)]
    return min(tries, key=lambda column: column["processor_seconds"])


def _beside(column: Measured, first: Measured) -> Measured:
    return {name: round(column[of] / first[of], 2) for name, of in COMPARED.items()}


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--objects", type=int, default=1_000_000)
    command_line.add_argument("--events", type=int, default=20_000)
    command_line.add_argument("--listed", type=int, default=None)
    command_line.add_argument("--destinations", type=int, default=1)
    command_line.add_argument("--repeats", type=int, default=1)
    command_line.add_argument("--postgresql", action="store_true", help="the ledger in a PostgreSQL started for it")
    options = command_line.parse_args()
    events = min(options.events, options.objects)
    listed = events if options.listed is None else options.listed
    with new_ledgers(postgresql=options.postgresql) as new_ledger:
        columns = measure(options.objects, events, listed, options.destinations, options.repeats, **new_ledger())
    show(columns, options.json, (*OF_A_RUN, "ledger_mb", *COMPARED))


if __name__ == "__main__":
    main()
