"""The same events into the same sandbox, by this project and by a plain loop of the libraries that it stands on.

    python -m benchmarks.side_by_side
    python -m benchmarks.side_by_side --events ../events/*.json

Each goes to a workspace of its own, twice: the second time nothing has changed. ``matchable`` are the indicators
whose pattern Sentinel can match, which is one comparison; Microsoft's limit is lifted. ``times`` is how many times
as long the plain loop takes, ``times_processor`` how many times as much of the processor.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.sandboxed import OF_A_RUN, ROOT, Measured, events, measured, parser, run, show, site
from helpers.commands.convert import events_in
from sandbox.serve import Sandbox

SHOWN = (*OF_A_RUN, "arrived", "matchable", "times", "times_processor")
WAYS = ("this project", "plain loop")


def measure(events: Iterable[dict[str, Any]]) -> dict[str, Measured]:
    """Carry events over both ways, twice each."""
    published = [{**event, "published": True} for event in events]
    columns: dict[str, Measured] = {}
    for way in WAYS:
        with Sandbox() as box, TemporaryDirectory() as folder:
            box.misp.load(published)
            settings = site(box, Path(folder))
            for title in (way, f"{way}, again"):
                plain = [str(ROOT / "benchmarks" / "plain_loop.py")]
                took = run(box, settings) if way == "this project" else measured(box, plain, settings)
                columns[title] = {**took, **arrived(box)}
    return {title: {**column, **beside(column, columns[_plain(title)])} for title, column in columns.items()}


def _plain(title: str) -> str:
    """Return the plain loop's column that belongs beside one."""
    ours, plain = WAYS
    return title.replace(ours, plain)


def beside(column: Measured, plain: Measured) -> Measured:
    """Say how many times as much the plain loop takes."""
    of = {"times": "whole_seconds", "times_processor": "processor_seconds"}
    return {name: round(plain[seconds] / column[seconds], 2) for name, seconds in of.items()}


def arrived(box: Sandbox) -> Measured:
    """Count what is in the workspace, and what of it Sentinel can match."""
    live = box.azure.live().values()
    return {"arrived": len(live), "matchable": sum(box.azure.observable(indicator) is not None for indicator in live)}


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--count", type=int, default=200, help="of made-up events of 50 attributes")
    command_line.add_argument("--events", type=Path, nargs="+", metavar="FILE", help="events in place of those")
    options = command_line.parse_args()
    read = (event for path in options.events or [] for event in events_in(path))
    show(measure(read if options.events else events(options.count, 50)), options.json, SHOWN)


if __name__ == "__main__":
    main()
