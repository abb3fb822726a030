"""The commands that docs/supply-chain.md walks through."""

from __future__ import annotations

import argparse
import subprocess
import sys

from deploy.supply import locks


def main() -> int:
    """Run the command that was chosen and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.supply", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("locks", help="write the files of requirements anew; further options are uv's, as --upgrade")
    chosen, further = parser.parse_known_args()
    if further and chosen.command != "locks":
        parser.error(f"unrecognized arguments: {' '.join(further)}")
    return _locks(further)


def _locks(options: list[str]) -> int:
    try:
        locks.write(options)
    except subprocess.CalledProcessError as problem:
        return problem.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
