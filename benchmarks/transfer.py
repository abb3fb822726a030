"""How many bytes MISP sends when events are read as this project reads them, beside whole events.

    python -m benchmarks.transfer --events ../events/*.json

Both are read from the sandbox through PyMISP, then converted; indicators and counts of skips must be the same, else
this ends with an error. The listing, which tells what is to be read, comes before both and is not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.sandboxed import Measured, events, parser, show, site
from helpers.commands.convert import events_in
from helpers.indicators import ConversionRules, convert_event
from helpers.misp import MispReader
from helpers.settings import load
from sandbox.serve import Sandbox

FILTERS = {"published": 1, "enforceWarninglist": True}
SHOWN = ("bytes", "indicators", "times_less")


def measure(events: Iterable[dict[str, Any]]) -> dict[str, Measured]:
    """Read events both ways; raises AssertionError when what becomes of them differs."""
    with Sandbox() as box, TemporaryDirectory() as folder:
        box.misp.load({**event, "published": True} for event in events)
        settings = load(None, site(box, Path(folder))).settings
        rules, reader = ConversionRules.of(settings), MispReader(settings)
        listed = reader.listing(FILTERS)
        client = reader.client.connect()
        ways = {
            "whole events": lambda: [record["Event"] for record in client.search(controller="events", **FILTERS)],
            "this project": lambda: [event for page in reader.pages(listed, FILTERS) for event in page.slices],
        }
        columns: dict[str, Measured] = {}
        for title, way in ways.items():
            before = len(box.misp_exchanges)
            read = way()
            sent = sum(exchange.size for exchange in box.misp_exchanges[before:])
            parts = [part for event in read for part in convert_event(event, rules, datetime.now(UTC))]
            skips = Counter(skip.reason.value for part in parts for skip in part.skipped)
            indicators = sum(len(part.indicators) for part in parts)
            columns[title] = {"bytes": sent, "indicators": indicators, "skips": dict(skips)}
    theirs, ours = columns.values()
    if (theirs["indicators"], theirs["skips"]) != (ours["indicators"], ours["skips"]):
        raise AssertionError(f"the two differ: {theirs} and {ours}")
    return {
        title: {**column, "times_less": round(theirs["bytes"] / column["bytes"], 2)}
        for title, column in columns.items()
    }


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--events", type=Path, nargs="+", metavar="FILE", help="events in place of made-up ones")
    options = command_line.parse_args()
    read = (event for path in options.events or [] for event in events_in(path))
    show(measure(read if options.events else events(20, 50)), options.json, SHOWN)


if __name__ == "__main__":
    main()
