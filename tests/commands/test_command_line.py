"""The command line as somebody types it: what is understood, and what it says of itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from constants import VERSION
from helpers.process import invocation
from helpers.settings import load

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


# --- what it is called -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (["python", "script.py", "--help"], "python script.py"),
        ([".venv/bin/python", "-W", "error", "script.py", "check"], ".venv/bin/python script.py"),
        (["python3", "/opt/my scripts/script.py"], "python3 '/opt/my scripts/script.py'"),
        (["/usr/bin/python", "-m", "azure_functions_worker"], "python script.py"),
        (["python"], "python script.py"),
    ],
)
def test_the_name_is_what_was_typed(line, name):
    assert invocation.typed_name({}, line) == name
    assert invocation.typed_name({"MISP2SENTINEL_COMMAND": "misp2sentinel"}, line) == "misp2sentinel"


def test_advice_names_the_settings_file_unless_the_wrapper_brings_it():
    wrapped = {"MISP2SENTINEL_COMMAND": "misp2sentinel", "MISP2SENTINEL_CONFIG": "/etc/misp2sentinel/config.py"}
    assert invocation.to_type("check", environ={}) == "python script.py check"
    assert (
        invocation.to_type("check", config="my file.py", environ={}) == "python script.py --config 'my file.py' check"
    )
    assert invocation.to_type("check", config=wrapped["MISP2SENTINEL_CONFIG"], environ=wrapped) == "misp2sentinel check"
    assert "--config other.py" in invocation.to_type("check", config="other.py", environ=wrapped)
    del wrapped["MISP2SENTINEL_COMMAND"]
    assert "--config" in invocation.to_type("check", config=wrapped["MISP2SENTINEL_CONFIG"], environ=wrapped)


@pytest.fixture
def wrapper(tmp_path):
    """The command that docs/install.md makes, in a directory of its own."""
    install = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"misp2sentinel <<'EOF'\n(.*?)^EOF$", install, re.MULTILINE | re.DOTALL)
    (tmp_path / "environment").write_text(f"MISP2SENTINEL_CONFIG='{tmp_path / 'config.py'}'\n")
    text = text.replace("/etc/misp2sentinel/environment", str(tmp_path / "environment"))
    text = text.replace("/opt/misp2sentinel/.venv/bin/python", sys.executable)
    program = tmp_path / "misp2sentinel"
    program.write_text(text.replace("/opt/misp2sentinel", str(ROOT)))
    program.chmod(0o755)
    return program


def test_the_wrapper_of_the_docs_hands_its_name_over(wrapper):
    done = subprocess.run([wrapper, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: misp2sentinel ")


def test_that_name_is_no_setting():
    assert load(Path(os.devnull), {"MISP2SENTINEL_COMMAND": "misp2sentinel"}, offline=True).warnings == ()


def test_help_has_the_name_that_was_typed():
    assert script("--help").stdout.startswith(f"usage: {sys.executable} {ROOT / 'script.py'} ")
