"""How many indicators a second come out of the misp-stix stage, beside a plain loop of misp-stix.

    python -m benchmarks.conversion
    python -m benchmarks.conversion --events ../events/*.json

Both convert the same prepared events in one process: made-up ones, or those in files. Every indicator of the loop
must come out of the stage too, with the same id and pattern, else this ends with an error.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.sandboxed import Measured, events, parser, show
from helpers.commands.convert import events_in
from helpers.indicators import CHUNK, ConversionRules, RequestObjectEvent, through_misp_stix
from helpers.settings import Settings
from helpers.text import batched

AROUND = {"uuid": "10000000-0000-4000-8000-000000000000", "info": "prepared", "timestamp": "1"}
SHOWN = ("indicators", "seconds", "a_second", "times")
Pairs = set[tuple[str, str]]
Way = Callable[[list[RequestObjectEvent]], Pairs]


def measure(given: Iterable[dict[str, Any]]) -> dict[str, Measured]:
    """Convert events both ways; raises AssertionError when they differ."""
    now = datetime.now(UTC)
    prepared = [RequestObjectEvent(each, ConversionRules.of(Settings()), now) for each in given]
    plain_loop(prepared[:1])  # what is imported and built once counts for neither
    stage(prepared[:1])
    plain, of_loop = timed(plain_loop, prepared)
    ours, of_stage = timed(stage, prepared)
    if of_loop != of_stage:
        raise AssertionError(f"the two differ: {sorted(of_loop ^ of_stage)[:4]}")
    return {"plain loop": plain, "this project": {**ours, "times": round(ours["a_second"] / plain["a_second"], 1)}}


def timed(
    way: Callable[[list[RequestObjectEvent]], Pairs], prepared: list[RequestObjectEvent]
) -> tuple[Measured, Pairs]:
    """Return how fast a way of converting is, and what it made."""
    begin = time.perf_counter()
    made = way(prepared)
    seconds = time.perf_counter() - begin
    return {
        "indicators": len(made),
        "seconds": round(seconds, 2),
        "a_second": round(len(made) / seconds),
        "times": 1,
    }, made


def plain_loop(prepared: Iterable[RequestObjectEvent]) -> Pairs:
    """Return the ids and patterns that misp-stix makes of whole events."""
    from misp_stix_converter import MISPtoSTIX21Parser  # noqa: PLC0415  takes 0.7 s to import

    made: Pairs = set()
    for event in prepared:
        converter = MISPtoSTIX21Parser()
        converter.parse_misp_event({**AROUND, "Attribute": [item.for_misp_stix for item in event.items]})
        made |= {(each.id, each.pattern) for each in converter.stix_objects if each.type == "indicator"}
    return made


def stage(prepared: Iterable[RequestObjectEvent]) -> Pairs:
    """Return the ids and patterns that this project's stage makes of whole events."""
    made: Pairs = set()
    for event in prepared:
        for chunk in batched(event.items, CHUNK):
            indicators = through_misp_stix(chunk, {}).indicators.values()
            made |= {(each["id"], each["pattern"]) for each in indicators}
    return made


def main() -> None:
    """Measure what the command line asks for."""
    command_line: argparse.ArgumentParser = parser(__doc__)
    command_line.add_argument("--attributes", type=int, default=10_000, help="of a made-up event")
    command_line.add_argument("--events", type=Path, nargs="+", metavar="FILE", help="events in place of that one")
    given = command_line.parse_args()
    read = (event for path in given.events or [] for event in events_in(path))
    show(
        measure(read if given.events else events(1, given.attributes)),
        given.json,
        ("indicators", "seconds", "a_second", "times"),
    )


if __name__ == "__main__":
    main()
