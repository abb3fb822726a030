"""Where a first run's processor time goes: which package's lines were running, by samples that py-spy takes.

    python -m benchmarks.where
    python -m benchmarks.where --destinations 8 --py-spy ~/py-spy/bin/py-spy

py-spy is no part of this project, so it is taken from the PATH, or from where ``--py-spy`` says. It looks 100 times a
second at which thread holds the interpreter's lock. A sample counts for the innermost line of this project's packages,
with what that called of others'; what runs while something is imported counts as ``imports``. All are percent of the
samples.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.sandboxed import ROOT, Measured, events, parser, script, show, site, tenants
from sandbox.serve import Sandbox

PER_EVENT = 50
_OURS = re.compile(r"\(helpers/(\w+)")
_IMPORTS = "<frozen importlib._bootstrap>"
_NO_PY_SPY = (
    "py-spy is not on the PATH: get it with 'python3 -m venv ~/py-spy' and '~/py-spy/bin/pip install py-spy', then add "
    "'--py-spy ~/py-spy/bin/py-spy'"
)


def measure(py_spy: str, indicators: int, destinations: int) -> Measured:
    """Run once under py-spy, and return the share of each package in percent, the largest first."""
    with Sandbox() as box, TemporaryDirectory() as folder:
        box.misp.load(events(indicators // PER_EVENT, PER_EVENT))
        settings = site(box, Path(folder), **tenants(box, destinations))
        samples = Path(folder) / "samples"
        record = [py_spy, "record", "--gil", "--rate", "100", "--format", "raw", "--output", str(samples), "--"]
        program = [sys.executable, script(), "--quiet"]
        subprocess.run([*record, *program], check=True, cwd=ROOT, env={**os.environ, **settings})  # noqa: S603
        return shares(samples.read_text(encoding="utf-8").splitlines())


def shares(lines: Iterable[str]) -> Measured:
    """Return the share of each package: each line has a stack, the outermost frame first, and how often it was seen."""
    seen: Counter[str] = Counter()
    for line in lines:
        stack, _, times = line.rpartition(" ")
        seen[_package(stack.split(";"))] += int(times)
    total = seen.total()
    return {name: round(100 * times / total, 1) for name, times in seen.most_common()}


def _package(stack: list[str]) -> str:
    """Return which package a stack counts for."""
    if any(_IMPORTS in frame for frame in stack):
        return "imports"
    ours = [match[1] for frame in stack if (match := _OURS.search(frame))]
    return ours[-1] if ours else "others"


def main() -> None:
    """Measure what the command line asks for."""
    command_line = parser(__doc__)
    command_line.add_argument("--py-spy", default=shutil.which("py-spy"), metavar="FILE")
    command_line.add_argument("--indicators", type=int, default=20_000)
    command_line.add_argument("--destinations", type=int, default=1)
    options = command_line.parse_args()
    if not options.py_spy:
        command_line.error(_NO_PY_SPY)
    measured = measure(options.py_spy, options.indicators, options.destinations)
    show({"percent": measured}, options.json, list(measured))


if __name__ == "__main__":
    main()
