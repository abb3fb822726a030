"""How much memory a first run needs: one large event, or many small ones, against the sandbox.

    python -m benchmarks.memory --events 1 --attributes 100000
    python -m benchmarks.memory --events 50000 --attributes 1

The peak is the run's proportional set size with its children, in MB. The sandbox lives in this process,
the run in one of its own; Microsoft's limit is lifted, so that the run is as fast as it can be.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.sandboxed import Measured, events, parser, run, show, site
from sandbox.serve import Sandbox


def measure(event_count: int, attributes: int) -> Measured:
    """Run once and return what that took."""
    with Sandbox() as box, TemporaryDirectory() as folder:
        box.misp.load(events(event_count, attributes))
        measured = run(box, site(box, Path(folder)))
        return {**measured, "arrived": len(box.azure.live())}


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--events", type=int, default=1)
    command_line.add_argument("--attributes", type=int, default=100_000)
    options = command_line.parse_args()
    show({"first run": measure(options.events, options.attributes)}, options.json)


if __name__ == "__main__":
    main()
