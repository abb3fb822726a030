"""What a run does, and how long it takes, when one attribute of a large event was changed.

    python -m benchmarks.one_change --attributes 27000

A first run sends the whole event. Then one attribute gets another comment, and in a third run another
value, which sends a new object and withdraws the old one. The event is published after each edit.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.sandboxed import Measured, events, parser, run, show, site
from sandbox.serve import Sandbox

CHANGES = {"comment changed": {"comment": "looked at again"}, "value changed": {"value": "changed.example.org"}}


def measure(attributes: int) -> dict[str, Measured]:
    """Run once for all of the event, and once for each change."""
    with Sandbox() as box, TemporaryDirectory() as folder:
        (event,) = events(1, attributes)
        box.misp.load([event])
        environ = site(box, Path(folder))
        measured = {"first run": run(box, environ)}
        for title, change in CHANGES.items():
            box.misp.edit_attribute(event["uuid"], event["Attribute"][0]["uuid"], **change)
            box.misp.publish(event["uuid"])
            measured[title] = run(box, environ)
        return measured


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--attributes", type=int, default=27_000)
    options = command_line.parse_args()
    show(measure(options.attributes), options.json)


if __name__ == "__main__":
    main()
