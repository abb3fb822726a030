"""What was live over time, by kind, from the rows of runs. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from helpers.commands.monitoring.moments import seconds_of
from helpers.errors import ExitCode

if TYPE_CHECKING:
    from helpers.commands.explain.ledger_view import Json

OTHERS = "others"


@dataclass(frozen=True)
class Counted:
    """What was live at a moment, in seconds since 1970, by kind."""

    at: int
    live: Mapping[str, int]


def counted_runs(runs: Sequence[Json], now: int) -> list[Counted]:
    """Return what was live at each run's end, the first one first; a run that came to nothing did not count it.

    What is later than ``now``, in seconds since 1970, was written by a clock that was ahead, and 0 is what
    cannot be read: nobody knows when it was.
    """
    known = [run for run in runs if run["live"] or run["exit_code"] in (ExitCode.DONE, ExitCode.UNFINISHED)]
    counted = (Counted(seconds_of(run["at"]), run["live"]) for run in known)
    return sorted((one for one in counted if 0 < one.at <= now), key=lambda one: one.at)


def kinds_of(counted: Sequence[Counted], number: int) -> list[str]:
    """Return so many kinds, the most frequent first; the last one stands for all others where there are more.

    That goes by what each had at its most, so that a kind that is gone is there too.
    """
    most: Counter[str] = Counter()
    for one in counted:
        most |= Counter(one.live)
    names = [kind for kind, count in sorted(most.items(), key=lambda item: (-item[1], item[0])) if count]
    return names if len(names) <= number else [*names[: number - 1], OTHERS]


def by_kind(one: Counted, kinds: Sequence[str]) -> list[int]:
    """Return the counts of these kinds; the last stands for all others where it is called so."""
    counts = [one.live.get(kind, 0) for kind in kinds]
    if kinds and kinds[-1] == OTHERS:
        counts[-1] = sum(one.live.values()) - sum(counts[:-1])
    return counts


def evenly(counted: Sequence[Counted], most: int) -> list[Counted]:
    """Return what was live at so many moments at equal distances: what the last run before each had counted."""
    first, last = counted[0].at, counted[-1].at
    times = [one.at for one in counted]
    moments = [first + (last - first) * place // (most - 1) for place in range(most)]
    return [Counted(moment, counted[bisect_right(times, moment) - 1].live) for moment in moments]
