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


def measure(given: Iterable[dict[str, Any]]) -> dict[str, Measured]:
    """Read events both ways; raises AssertionError when what becomes of them differs."""
    with Sandbox() as box, TemporaryDirectory() as folder:
        box.misp.load({**each, "published": True} for each in given)
        settings = load(None, site(box, Path(folder))).settings
        rules, reader = ConversionRules.of(settings), MispReader(settings)
        listed = reader.listing(FILTERS)
        client = reader.client.connect()
        ways = {
            "whole events": lambda: [each["Event"] for each in client.search(controller="events", **FILTERS)],
            "this project": lambda: [each for page in reader.pages(listed, FILTERS) for each in page.slices],
        }
        found: dict[str, Measured] = {}
        for title, way in ways.items():
            before = len(box.misp_exchanges)
            read = way()
            sent = sum(each.size for each in box.misp_exchanges[before:])
            parts = [part for each in read for part in convert_event(each, rules, datetime.now(UTC))]
            skips = Counter(skip.reason.value for part in parts for skip in part.skipped)
            indicators = sum(len(part.indicators) for part in parts)
            found[title] = {"bytes": sent, "indicators": indicators, "skips": dict(skips)}
    whole, ours = found.values()
    if (whole["indicators"], whole["skips"]) != (ours["indicators"], ours["skips"]):
        raise AssertionError(f"the two differ: {whole} and {ours}")
    return {title: {**each, "times_less": round(whole["bytes"] / each["bytes"], 2)} for title, each in found.items()}


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--events", type=Path, nargs="+", metavar="FILE", help="events in place of made-up ones")
    given = command_line.parse_args()
    read = (event for path in given.events or [] for event in events_in(path))
    show(measure(read if given.events else events(20, 50)), given.json, SHOWN)


if __name__ == "__main__":
    main()
