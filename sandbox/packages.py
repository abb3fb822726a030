"""Packages: have pip install what a file names, and say how far it is: ``python -m sandbox.packages FILE``.

It runs before anything is installed, so it needs Python alone. What pip says is in ``pip.log`` in the environment, and
on stderr where it fails.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path

PIP = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
LOG = Path(sys.prefix, "pip.log")
LIBRARY = Path(sysconfig.get_paths()["purelib"])
INTERVAL_S = 0.2
INTERRUPTED = 130  # as a shell ends with after Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Install what the file that is named says, and return pip's exit code."""
    (file,) = sys.argv[1:] if arguments is None else arguments
    show = Progress(sys.stdout.isatty())
    try:
        code = install([*PIP, "-r", file], LOG, LIBRARY, show)
    except KeyboardInterrupt:
        return INTERRUPTED
    show.end()
    if code:
        print(LOG.read_text(encoding="utf-8", errors="replace"), file=sys.stderr)
    return code


def install(command: Sequence[str], log: Path, library: Path, show: Callable[[str, int], None]) -> int:
    """Run pip to its end and return its exit code; show again and again its log, and how many packages it installed."""
    before = _number(library)
    with log.open("wb") as output:
        environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environ) as process:  # noqa: S603
            while True:
                try:
                    return process.wait(INTERVAL_S)
                except subprocess.TimeoutExpired:
                    show(log.read_text(encoding="utf-8", errors="replace"), _number(library) - before)


def _number(library: Path) -> int:
    return sum(1 for _ in library.glob("*.dist-info"))


class Progress:
    """One line in a terminal, written again and again; elsewhere a line for each of the two halves."""

    def __init__(self, in_terminal: bool) -> None:
        self._in_terminal = in_terminal
        self._line_end = "" if in_terminal else "\n"
        self._said = ""

    def __call__(self, log: str, installed: int) -> None:
        """Show how far pip is."""
        words = stage(log, installed)
        news = words if self._in_terminal else words.split()[0]
        if news != self._said:
            self._said = news
            print(f"\r\x1b[K  {words}" if self._in_terminal else f"  {words}", end=self._line_end, flush=True)

    def end(self) -> None:
        """Take the line away."""
        if self._in_terminal:
            print("\r\x1b[K", end="", flush=True)


def stage(log: str, installed: int) -> str:
    """Say what pip is at, by its log and by how many packages it has installed."""
    if line := re.search(r"^Installing collected packages: (.+)$", log, re.MULTILINE):
        return f"unpacking {min(installed, len(line[1].split(', ')))} of {len(line[1].split(', '))}"
    names = re.findall(r"^Collecting ([\w.-]+)", log, re.MULTILINE)
    return f"fetching {len(names)}: {names[-1]}" if names else "fetching"


if __name__ == "__main__":
    sys.exit(main())
