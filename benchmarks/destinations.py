"""What a further destination costs that wants the same objects: processor time, beside that of the first.

    python -m benchmarks.destinations
    python -m benchmarks.destinations --indicators 20000 --postgresql

A first run, one without changes and one with few, for each number of destinations, each with a source system of its
own. The start is left out: from each run that of a run with as many destinations is taken off whose MISP has one
event, with an attribute of each kind. ``further`` is the slope of the line through the numbers, by least squares,
and ``ratio`` its part of what one destination takes. All are seconds of the program's processor time, the least of
``--repeats``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import linear_regression

from benchmarks.growth import RUNS, measure
from benchmarks.sandboxed import VALUES, Measured, new_ledgers, parser, show

COUNTS = (1, 2, 4, 8, 16)
SMALLEST = len(VALUES)
Seconds = dict[str, float]


def least_seconds(indicators: int, destinations: int, repeats: int, *, postgresql: bool = False) -> Seconds:
    """Return the processor time of each of the three runs; raises AssertionError when one of them failed."""
    with new_ledgers(postgresql=postgresql) as new_ledger:
        tries = [measure(indicators, destinations, **new_ledger()) for _ in range(repeats)]
    if failed := [runs for runs in tries if any(run["exit_code"] for run in runs.values())]:
        raise AssertionError(f"a run failed: {failed[0]}")
    return {name: min(runs[name]["processor_seconds"] for runs in tries) for name in RUNS}


def compared(whole: Mapping[int, Seconds], start: Mapping[int, Seconds]) -> dict[str, Measured]:
    """Return for each kind of run what each number of destinations takes beside its start, and the ratio."""
    columns: dict[str, Measured] = {}
    for name, title in RUNS.items():
        seconds = {count: whole[count][name] - start[count][name] for count in whole}
        further = linear_regression(list(seconds), list(seconds.values())).slope
        numbers = {f"destinations: {count}": round(value, 3) for count, value in seconds.items()}
        ratio = {"further": round(further, 3), "ratio": round(further / seconds[min(seconds)], 3)}
        columns[title] = {**numbers, **ratio, "start": {count: start[count][name] for count in start}}
    return columns


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--indicators", type=int, default=10_000)
    command_line.add_argument("--counts", type=int, nargs="+", default=list(COUNTS), help="numbers of destinations")
    command_line.add_argument("--repeats", type=int, default=2)
    command_line.add_argument("--postgresql", action="store_true", help="the ledger in a PostgreSQL started for it")
    options = command_line.parse_args()
    counts: Sequence[int] = options.counts
    taken = [
        {count: least_seconds(size, count, options.repeats, postgresql=options.postgresql) for count in counts}
        for size in (options.indicators, SMALLEST)
    ]
    show(compared(*taken), options.json, [*(f"destinations: {count}" for count in counts), "further", "ratio"])


if __name__ == "__main__":
    main()
