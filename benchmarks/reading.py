"""How a first run reads MISP with the filters as they are shipped: requests, seconds, and what went wrong on the way.

    python -m benchmarks.reading --count 5000 --attributes 2
    python -m benchmarks.reading --events ../events/*.json

The events are published in the time window of the shipped filters. ``misp_requests`` are all that MISP was asked, the
login among them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import config
from benchmarks.sandboxed import Measured, events, parser, run, show, site
from helpers.commands.convert import events_in
from sandbox.serve import Sandbox

SHOWN = (
    *("whole_seconds", "processor_seconds", "misp_requests", "misp_failed_requests", "events_read_singly"),
    *("events", "attributes", "indicators", "exit_code"),
)


def measure(events: Iterable[dict[str, Any]]) -> Measured:
    """Run once over these events, published now, and return what that took."""
    with Sandbox() as box, TemporaryDirectory() as folder:
        published = {"published": True, "publish_timestamp": str(int(time.time()))}
        box.misp.load({**event, **published} for event in events)
        filters = {"MISP_EVENT_FILTERS": json.dumps(config.misp_event_filters)}
        return run(box, site(box, Path(folder), **filters))


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--events", type=Path, nargs="+", metavar="FILE", help="events in place of made-up ones")
    command_line.add_argument("--count", type=int, default=5000, help="so many made-up events (default %(default)s)")
    command_line.add_argument("--attributes", type=int, default=2, help="attributes in each (default %(default)s)")
    options = command_line.parse_args()
    read = [event for path in options.events or [] for event in events_in(path)]
    show({"first run": measure(read or events(options.count, options.attributes))}, options.json, SHOWN)


if __name__ == "__main__":
    main()
