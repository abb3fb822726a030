"""Runs of ``script.py`` one after the other, each in a fork of a process that has imported all that they need.

``python -m tests.project.site.forked`` reads lists of arguments as JSON from stdin, and writes for each how it ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile

ROOT = Path(__file__).resolve().parents[3]


def run_all(commands: list[list[str]], environ: dict[str, str]) -> list[tuple[int, str]]:
    """Run the program once for each list of arguments, in this order; return each exit code and what was said."""
    command = [sys.executable, "-m", "tests.project.site.forked"]
    asked = json.dumps(commands)
    run = subprocess.run(command, input=asked, capture_output=True, text=True, check=True, env=environ, cwd=ROOT)
    return [tuple(end) for end in json.loads(run.stdout)]


def _forked(arguments: list[str]) -> tuple[int, str]:
    with TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            _become(arguments, said.fileno())
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        return code, said.read().decode()


def _become(arguments: list[str], said: int) -> None:
    """Be the program, until its end."""
    for stream in (1, 2):
        os.dup2(said, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["script.py", *arguments]
    import script

    code = 70
    try:
        code = script.main(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Import what takes long, then run each command that stdin names."""
    import misp_stix_converter  # noqa: F401
    import msal  # noqa: F401
    import pymisp  # noqa: F401
    import sqlalchemy.dialects.sqlite  # noqa: F401

    import script  # noqa: F401

    ends = [_forked(arguments) for arguments in json.load(sys.stdin)]
    json.dump(ends, sys.stdout)


if __name__ == "__main__":
    main()
