"""Writes the files of a version into a directory: ``.venv/bin/python -m deploy.release DIRECTORY``."""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.release import made

directory = Path(sys.argv[1])
for path in made.release(directory):
    print(f"{path}: {path.stat().st_size} bytes")
if left_out := made.not_committed():
    print(f"They have what is committed, so without {len(left_out)} files that differ: git status", file=sys.stderr)
