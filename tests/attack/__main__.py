"""Attack the program: ``python -m tests.attack [--part NAME] [--quick] [--seed N] [--json FILE]``."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.attack.outcome import NEVER
from tests.attack.parts import PARTS, is_clean, run

AT_ONCE = 2
WIDTH, SHOWN = 16, 5


def main(arguments=None):
    """Run all parts, two at once, or one; print what came of them, and give the exit code."""
    options = _options(arguments)
    names = [options.part] if options.part else list(PARTS)
    with tempfile.TemporaryDirectory(prefix="attack-") as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        tasks = {
            name: pool.submit(run, name, Path(folder) / name, seed=options.seed, quick=options.quick) for name in names
        }
        figures = {name: task.result() for name, task in tasks.items()}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    for line in [*_table(figures), *_findings(figures)]:
        print(line)
    return 0 if all(map(is_clean, figures.values())) else 1


def _options(arguments):
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description="Try what strangers and faults do.")
    parser.add_argument("--part", choices=PARTS, help="run one part only")
    parser.add_argument("--quick", action="store_true", help="try a few things of each part")
    parser.add_argument("--seed", type=int, default=12, help="what chance begins with (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures and findings to FILE")
    return parser.parse_args(arguments)


def _table(figures):
    """A line for each part, with what must be 0."""
    yield "".join(f"{title:>{WIDTH}}" for title in ("part", "tried", *NEVER, "seconds"))
    for name, of_part in figures.items():
        cells = (name, of_part["tried"], *of_part["counts"].values(), of_part["seconds"])
        yield "".join(f"{cell:>{WIDTH}}" for cell in cells) + (
            f"  not tried: {of_part['skipped']}" if "skipped" in of_part else ""
        )


def _findings(figures):
    for name, of_part in figures.items():
        for finding in of_part["findings"][:SHOWN]:
            yield f"{name}: {finding}"


if __name__ == "__main__":
    sys.exit(main())
