"""How long commands take that do little: the time of a whole process, of which most is importing.

python -m benchmarks.start
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.sandboxed import Measured, events, parser, run, script, show, site
from sandbox.serve import Sandbox

COMMANDS = {"--help": ("--help",), "status": ("status",)}


def measure(times: int) -> dict[str, Measured]:
    """Start each command so many times, beside a ledger that one run has filled."""
    with Sandbox() as box, TemporaryDirectory() as folder:
        box.misp.load(events(1, 50))
        settings = site(box, Path(folder))
        run(box, settings)
        return {title: started(command, {**os.environ, **settings}, times) for title, command in COMMANDS.items()}


def started(command: tuple[str, ...], environ: dict[str, str], times: int) -> Measured:
    """Return the median and the best of the times of a command, in seconds."""
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        program = [sys.executable, script(), *command]
        subprocess.run(program, env=environ, check=True, capture_output=True)  # noqa: S603
        taken.append(time.perf_counter() - begin)
    return {"median": round(statistics.median(taken), 2), "best": round(min(taken), 2)}


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--times", type=int, default=15)
    options = command_line.parse_args()
    show(measure(options.times), options.json, ("median", "best"))


if __name__ == "__main__":
    main()
