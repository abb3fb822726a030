"""What a further destination costs that wants the same objects: processor time, beside that of the first.

    python -m benchmarks.destinations
    python -m benchmarks.destinations --indicators 20000 --postgresql

Each destination is a customer with a client and a workspace of its own. A first run is one to empty workspaces, of
``--indicators``. The other two are runs over a ledger that remembers ``--remembered`` objects, filled directly:
nothing changed, or every attribute of one event in a hundred has another comment. The start is left out: from each run
that of a run over one event of five attributes is taken off. ``further`` is the slope of the line through the numbers
of destinations, by least squares, and ``ratio`` its part of what one destination takes. All are seconds of the
program's processor time, the least of ``--repeats``.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import linear_regression
from tempfile import TemporaryDirectory

from benchmarks.remembered import fill, light, with_attributes
from benchmarks.sandboxed import Measured, events, new_ledgers, parser, run, show, site, tenants
from helpers.indicators import DAY
from helpers.settings import load
from sandbox.misp.records import Record
from sandbox.serve import Sandbox

COUNTS = (1, 2, 4, 8, 16)
PER_EVENT, SMALLEST = 50, 5
ONE_IN = 100
KINDS = ("first run", "nothing changed", "1 % changed")
# Seconds of the processor, by the number of destinations.
Seconds = dict[int, float]
Ledger = Mapping[str, str]


def measure(
    indicators: int, remembered: int, counts: Sequence[int], repeats: int, new_ledger: Callable[[], Ledger]
) -> dict[str, Seconds]:
    """Return what each kind of run takes; raises AssertionError when one did something else."""
    first = {count: min(_first_run(indicators, count, new_ledger()) for _ in range(repeats)) for count in counts}
    return dict(zip(KINDS, (first, *_later_runs(remembered, counts, repeats, new_ledger())), strict=True))


def _first_run(indicators: int, count: int, ledger: Ledger) -> float:
    per_event = min(indicators, PER_EVENT)
    with Sandbox() as box, TemporaryDirectory() as folder:
        box.misp.load(events(indicators // per_event, per_event))
        return _seconds(box, site(box, Path(folder), **tenants(box, count), **ledger), indicators * count)


def _later_runs(objects: int, counts: Sequence[int], repeats: int, ledger: Ledger) -> tuple[Seconds, Seconds]:
    """Return what runs take over one ledger, which knows as many destinations as any of them has."""
    per_event, then = min(objects, PER_EVENT), int(time.time()) - DAY
    total = objects // per_event
    with Sandbox() as box, TemporaryDirectory() as folder:
        sites = {count: site(box, Path(folder), **tenants(box, count), **ledger) for count in counts}
        box.misp.load(light(number, per_event, then) for number in range(total))
        fill(load(None, sites[max(counts)]).settings.destinations(), box.misp.events(), then)
        _seconds(box, sites[max(counts)], 0)  # of a MISP that it has not read yet a run asks more
        unchanged = {count: min(_seconds(box, sites[count], 0) for _ in range(repeats)) for count in counts}
        edits = (edited(max(1, total // ONE_IN), per_event, then + number) for number in itertools.count(1))
        changed = {count: min(_changed(box, sites[count], edits, count) for _ in range(repeats)) for count in counts}
        return unchanged, changed


def edited(event_count: int, per_event: int, at: int) -> list[Record]:
    """Make the first events as they are after an edit at a moment, of every attribute's comment."""
    return [with_attributes(number, per_event, at, f"looked at again: {at}") for number in range(event_count)]


def _changed(box: Sandbox, environ: Mapping[str, str], edits: Iterator[list[Record]], count: int) -> float:
    now_edited = next(edits)
    box.misp.load(now_edited)
    return _seconds(box, environ, count * sum(len(event["Attribute"]) for event in now_edited))


def _seconds(box: Sandbox, environ: Mapping[str, str], accepted: int) -> float:
    taken = run(box, environ)
    if (taken["exit_code"], taken["accepted"]) != (0, accepted):
        raise AssertionError(f"a run was to send {accepted}: {taken}")
    return float(taken["processor_seconds"])


def compared(whole: Mapping[str, Seconds], start: Mapping[str, Seconds]) -> dict[str, Measured]:
    """Return for each kind of run what each number of destinations takes beside its start, and the ratio."""
    columns: dict[str, Measured] = {}
    for kind, all_seconds in whole.items():
        seconds = {count: taken - start[kind][count] for count, taken in all_seconds.items()}
        further = linear_regression(list(seconds), list(seconds.values())).slope
        numbers = {f"destinations: {count}": round(value, 3) for count, value in seconds.items()}
        ratio = {"further": round(further, 3), "ratio": round(further / seconds[min(seconds)], 3)}
        columns[kind] = {**numbers, **ratio, "start": start[kind]}
    return columns


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--indicators", type=int, default=10_000)
    command_line.add_argument("--remembered", type=int, default=200_000)
    command_line.add_argument("--counts", type=int, nargs="+", default=list(COUNTS), help="numbers of destinations")
    command_line.add_argument("--repeats", type=int, default=2)
    command_line.add_argument("--postgresql", action="store_true", help="the ledger in a PostgreSQL started for it")
    options = command_line.parse_args()
    counts: Sequence[int] = options.counts
    with new_ledgers(postgresql=options.postgresql) as new_ledger:
        sizes = ((options.indicators, options.remembered), (SMALLEST, SMALLEST))
        whole, start = (measure(*size, counts, options.repeats, new_ledger) for size in sizes)
    names = [*(f"destinations: {count}" for count in counts), "further", "ratio"]
    show(compared(whole, start), options.json, names)


if __name__ == "__main__":
    main()
