"""How near a first run comes to Microsoft's limit, or to one ten times as high, and what it does at the same time.

    python -m benchmarks.ceiling
    python -m benchmarks.ceiling --limit 1000

The sandbox's Azure refuses what is above the limit, as the real one does. ``a_minute`` is how many objects it took
in a minute, from the first full minute to the last; ``at_once`` is in how many seconds MISP was answering, the run
converting and Azure taking, all three.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.sandboxed import OF_A_RUN, Measured, events, parser, run, show, site
from constants import LOG_MISP_PAGE, LOG_PROCESSED
from sandbox.azure.app import RATE_WINDOW
from sandbox.serve import Sandbox

PER_REQUEST = 100
OK = 200
Span = tuple[float, float]
_BEGIN, _END = (re.compile(re.sub(r"\\\{\\\}", ".*", re.escape(message))) for message in (LOG_MISP_PAGE, LOG_PROCESSED))


def measure(limit: int, indicators: int, per_event: int) -> Measured:
    """Run once under a limit of so many requests a minute, and return what that took."""
    with Sandbox() as box, TemporaryDirectory() as folder:
        box.misp.load(events(indicators // per_event, per_event))
        settings = site(box, Path(folder), MS_MAX_REQUESTS_MINUTE=str(limit))
        box.azure.requests_per_minute = limit
        measured = run(box, settings)
        rate = sustained(box.azure.uploads)
        doing = [
            [(exchange.begin, exchange.end) for exchange in box.misp_exchanges],
            list(converting((Path(folder) / "misp2sentinel.log").read_text(encoding="utf-8"))),
            [(exchange.begin, exchange.end) for exchange in box.azure_exchanges],
        ]
        return {
            **measured,
            "arrived": len(box.azure.live()),
            "refused": sum(upload["status"] == 429 for upload in box.azure.uploads),
            "a_minute": round(rate),
            "of_limit": round(rate / (limit * PER_REQUEST), 3),
            "at_once": round(at_once(doing), 1),
        }


def sustained(uploads: list[dict[str, Any]]) -> float:
    """Return how many objects were taken a minute over all full minutes; over all of it where there is none."""
    taken = [upload for upload in uploads if upload["status"] == OK]
    begin = taken[0]["time"]
    passed = taken[-1]["time"] - begin
    minutes = passed // RATE_WINDOW * RATE_WINDOW or passed
    return sum(upload["count"] for upload in taken if upload["time"] < begin + minutes) / minutes * RATE_WINDOW


def converting(log: str) -> Iterable[Span]:
    """Return when the run was at a page of events: from MISP's answer to the last indicator of it."""
    begin = 0.0
    for line in log.splitlines():
        if _BEGIN.search(line):
            begin = moment(line)
        elif _END.search(line):
            yield begin, moment(line)


def moment(line: str) -> float:
    """Return the time in front of a line of the log, which is this machine's, in seconds since 1970."""
    return datetime.strptime(" ".join(line.split()[:2]), "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()


def at_once(doing: Iterable[Iterable[Span]]) -> float:
    """Return how long each of several was at it, all at once, in seconds."""
    activities = list(doing)
    edges = [(end, kind, step) for kind, spans in enumerate(activities) for span in spans for end, step in _edges(span)]
    busy = [0] * len(activities)
    total, last = 0.0, 0.0
    for time, kind, step in sorted(edges):
        total += time - last if all(busy) else 0
        busy[kind] += step
        last = time
    return total


def _edges(span: Span) -> list[tuple[float, int]]:
    return [(span[0], 1), (span[1], -1)]


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--limit", type=int, default=100, help="requests a minute")
    command_line.add_argument("--indicators", type=int, default=60_000)
    command_line.add_argument("--per-event", type=int, default=50)
    options = command_line.parse_args()
    measured = measure(options.limit, options.indicators, options.per_event)
    show(
        {f"{options.limit} a minute": measured}, options.json, (*OF_A_RUN, "refused", "a_minute", "of_limit", "at_once")
    )


if __name__ == "__main__":
    main()
