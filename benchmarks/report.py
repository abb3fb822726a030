"""How long the report page and the metrics take over so many objects, how much memory, and how large they are.

    python -m benchmarks.report --objects 1000000
    python -m benchmarks.report --objects 1000000 --state-url postgresql://user:password@localhost/name

The ledger is filled as runs of a year would have left it: objects of five kinds, four levels of TLP and four of
confidence, of 40 organisations, some rejected, some events held. A database that is named has to be an empty one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.held import fill
from benchmarks.sandboxed import Measured, parser, peak_megabytes, script, show, site, used
from helpers.settings import load
from sandbox.serve import Sandbox

NAMES = ("whole_seconds", "processor_seconds", "peak_mb", "bytes", "exit_code")


def measure(objects: int, state_url: str = "") -> dict[str, Measured]:
    """Fill a ledger, let each command write its file, and return what that took."""
    with Sandbox() as box, TemporaryDirectory() as folder:
        environ = site(box, Path(folder), STATE_URL=state_url)
        fill(load(None, environ).settings, objects, int(time.time()))
        return {command: _timed(command, environ, Path(folder) / command) for command in ("report", "metrics")}


def _timed(command: str, environ: Mapping[str, str], file: Path) -> Measured:
    called = [sys.executable, script(), command, str(file)]
    begin, before = time.monotonic(), used()
    with subprocess.Popen(called, stdout=subprocess.DEVNULL, env={**os.environ, **environ}) as process:  # noqa: S603
        peak = peak_megabytes(process)
    return {
        "whole_seconds": round(time.monotonic() - begin, 1),
        "processor_seconds": round(used() - before, 1),
        "peak_mb": round(peak, 1),
        "bytes": file.stat().st_size,
        "exit_code": process.returncode,
    }


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--objects", type=int, default=1_000_000)
    command_line.add_argument("--state-url", default="")
    options = command_line.parse_args()
    show(measure(options.objects, options.state_url), options.json, NAMES)


if __name__ == "__main__":
    main()
