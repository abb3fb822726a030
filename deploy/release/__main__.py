"""Writes the files of a version into a directory: ``.venv/bin/python -m deploy.release DIRECTORY``."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from deploy.release import made


def main() -> int:
    """Write them, say what they are, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.release", description=__doc__)
    parser.add_argument("directory", metavar="DIRECTORY", type=Path, help="where to write them; it is made")
    try:
        paths = made.release(parser.parse_args().directory)
    except subprocess.CalledProcessError:
        print("Its words are above. A version is made in a clone, after make .venv/ready.", file=sys.stderr)
        return 1
    except OSError as problem:
        print(f"{problem}. It needs git, and a directory to write to.", file=sys.stderr)
        return 1
    print(*(f"{path}: {path.stat().st_size} bytes" for path in paths), sep="\n")
    if left_out := made.not_committed():
        print(f"They have what is committed, so without {len(left_out)} files that differ: git status", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
