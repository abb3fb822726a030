"""How many indicators a second come out of the misp-stix stage, beside a plain loop of misp-stix.

    python -m benchmarks.conversion
    python -m benchmarks.conversion --events ../events/*.json

Both convert the same prepared events in one process: made-up ones, or those in files. Every indicator of the loop
must come out of the stage too, with the same id and pattern, else this ends with an error. The third column has all
that becomes of an event before the plan: it is prepared, its attributes' fingerprints are made, and it is converted.
The time is the processor's.
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
from helpers.sync.events.prepared_slice import PreparedSlice
from helpers.text import batched

AROUND = {"uuid": "10000000-0000-4000-8000-000000000000", "info": "prepared", "timestamp": "1"}
SHOWN = ("indicators", "seconds", "a_second", "times")
Pairs = set[tuple[str, str]]
Way = Callable[[list[RequestObjectEvent]], Pairs]


def measure(events: Iterable[dict[str, Any]]) -> dict[str, Measured]:
    """Convert events both ways; raises AssertionError when they differ."""
    now = datetime.now(UTC)
    prepared = [RequestObjectEvent(event, ConversionRules.of(Settings()), now) for event in events]
    plain_loop(prepared[:1])  # what is imported and built once counts for neither
    stage(prepared[:1])
    plain, loop_pairs = timed(plain_loop, prepared)
    ours, stage_pairs = timed(stage, prepared)
    if loop_pairs != stage_pairs:
        raise AssertionError(f"the two differ: {sorted(loop_pairs ^ stage_pairs)[:4]}")
    all_of_it, _ = timed(whole, prepared)
    return {
        "plain loop": plain,
        **{
            name: {**way, "times": round(way["a_second"] / plain["a_second"], 1)}
            for name, way in {"this project": ours, "with all around": all_of_it}.items()
        },
    }


def timed(
    way: Callable[[list[RequestObjectEvent]], Pairs], prepared: list[RequestObjectEvent]
) -> tuple[Measured, Pairs]:
    """Return how fast a way of converting is, by the processor's time, and what it made."""
    begin = time.process_time()
    pairs = way(prepared)
    seconds = time.process_time() - begin
    return {
        "indicators": len(pairs),
        "seconds": round(seconds, 2),
        "a_second": round(len(pairs) / seconds),
        "times": 1,
    }, pairs


def plain_loop(prepared: Iterable[RequestObjectEvent]) -> Pairs:
    """Return the ids and patterns that misp-stix makes of whole events."""
    from misp_stix_converter import MISPtoSTIX21Parser  # noqa: PLC0415  takes 0.7 s to import

    pairs: Pairs = set()
    for event in prepared:
        converter = MISPtoSTIX21Parser()
        converter.parse_misp_event({**AROUND, "Attribute": [item.for_misp_stix for item in event.items]})
        pairs |= {
            (stix_object.id, stix_object.pattern)
            for stix_object in converter.stix_objects
            if stix_object.type == "indicator"
        }
    return pairs


def stage(prepared: Iterable[RequestObjectEvent]) -> Pairs:
    """Return the ids and patterns that this project's stage makes of whole events."""
    pairs: Pairs = set()
    for event in prepared:
        for chunk in batched(event.items, CHUNK):
            indicators = through_misp_stix(chunk, {}).indicators.values()
            pairs |= {(indicator["id"], indicator["pattern"]) for indicator in indicators}
    return pairs


def whole(prepared: Iterable[RequestObjectEvent]) -> Pairs:
    """Return the ids and patterns of what is sent: events are prepared, printed, converted and enriched."""
    pairs: Pairs = set()
    for event in prepared:
        part = PreparedSlice.of(event.event, event.rules, "", event.now)
        for converted in part.convert(part.prepared.items):
            pairs |= {(indicator["id"], indicator["pattern"]) for indicator in converted.indicators}
    return pairs


def main() -> None:
    """Measure what the command line asks for."""
    command_line: argparse.ArgumentParser = parser(__doc__)
    command_line.add_argument("--attributes", type=int, default=10_000, help="of a made-up event")
    command_line.add_argument("--events", type=Path, nargs="+", metavar="FILE", help="events in place of that one")
    options = command_line.parse_args()
    read = (event for path in options.events or [] for event in events_in(path))
    show(
        measure(read if options.events else events(1, options.attributes)),
        options.json,
        ("indicators", "seconds", "a_second", "times"),
    )


if __name__ == "__main__":
    main()
