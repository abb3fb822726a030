"""The command line as somebody types it: what is understood, and what it says of itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from constants import VERSION

ROOT = Path(__file__).resolve().parents[2]


def script(*arguments, python=(), cwd=ROOT, **environ):
    """Run script.py as somebody types it who has no settings, and no terminal."""
    return subprocess.run(
        [sys.executable, *python, str(ROOT / "script.py"), *arguments],
        env={"PATH": os.environ["PATH"], **environ},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


# --- the version -------------------------------------------------------------------------------------


def test_the_version_is_said_without_anything_that_takes_time():
    done = script("--version", python=["-X", "importtime"])
    assert (done.returncode, done.stdout) == (0, f"MISP2Sentinel {VERSION}\n")
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "helpers" in imported
    assert not imported & {"pydantic", "sqlalchemy", "requests", "rich", "pymisp"}


def test_no_settings_are_needed_to_say_the_version():
    assert script("--config", "absent.py", "--version").returncode == 0


def test_a_slip_in_the_file_with_the_number_is_said_in_plain_words(tmp_path):
    for name in ("script.py", "helpers"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "constants.py").write_text("VERSION = \n")
    program = "import sys, runpy; sys.path[0] = '.'; runpy.run_path('script.py', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", program, "--version"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("constants.py stopped in line 1 with SyntaxError")
