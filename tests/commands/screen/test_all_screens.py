"""Every command's screen in a real terminal: as wide as that is, words whole, colours where they are wanted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from rich.cells import cell_len

from sandbox import screens
from sandbox.azure.app import AzureState
from sandbox.place import write_config
from sandbox.samples import demo_misp
from sandbox.screens import NOBODY_THERE, WRONG_SECRET, played
from sandbox.serve import Sandbox
from sandbox.terminal import in_terminal
from tests.support.examples import EXAMPLES
from tests.support.processes import ROOT

ESCAPE_CODE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# What is redrawn, from where the cursor is hidden to where it is seen again.
REDRAWN = re.compile(r"\x1b\[\?25l.*\x1b\[\?25h", re.DOTALL)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
UUID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
# The log's lines are not wrapped, and what waits takes its time.
SCENES = [scene for scene in screens.SCENES if scene.name not in ("progress", "first-run-verbose")]
# So wide that nothing wraps.
ENDLESS = 5_000


@pytest.fixture(scope="module")
def shown():
    """A function that returns what each scene shows in a terminal of so many columns; each is played once."""
    known = {}
    with TemporaryDirectory() as top:  # pytest's own names are so long that they wrap

        def at(columns):
            if columns not in known:
                directory = Path(top, str(columns))
                directory.mkdir()
                known[columns] = {scene.name: seen for scene, seen in played(SCENES, columns, directory)}
            return known[columns]

        yield at


def written(seen):
    """Return the lines that a command wrote, as it wrote them; what was drawn over is not among them."""
    text = REDRAWN.sub("", seen.raw.decode())
    return [line.rstrip() for line in re.split(r"[\r\n]+", ESCAPE_CODE.sub("", text))]


def words(lines):
    """Return the words of some lines; numbers and UUIDs are alike, since they differ from run to run."""
    text = UUID.sub("UUID", "\n".join(lines))
    return {re.sub(r"\d+", "0", word) for word in text.split()}


@pytest.mark.parametrize("columns", [60, 80] if EXAMPLES == "few" else [60, 80, 100, 160])
def test_no_line_is_wider_than_the_terminal_and_no_word_is_cut(shown, columns):
    """A word that is wider than the terminal has a line of its own; each word is one where nothing wraps."""
    faults = []
    for name, seen in shown(columns).items():
        lines = written(seen)
        faults += [f"{name}: {line}" for line in lines if cell_len(line) > columns and len(line.split()) > 1]
        faults += [f"{name}: {piece}" for piece in words(lines) - words(written(shown(ENDLESS)[name]))]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("name", "most"),
    [("first-run", 12), ("quiet-night", 4), ("role-missing", 25), ("misp-down", 25), ("explain", 12)],
)
def test_a_screen_has_few_lines(shown, name, most):
    assert len(shown(80)[name].lines) <= most


@pytest.mark.parametrize(("name", "cause"), [("role-missing", "the app lacks the role"), ("misp-down", "misp_domain")])
def test_the_cause_of_a_failure_is_in_the_first_two_lines(shown, name, cause):
    assert cause in " ".join(shown(80)[name].lines[:2])


def test_what_is_well_takes_a_line_each_in_check(shown):
    lines = shown(80)["check-well"].lines
    note = next(number for number, line in enumerate(lines) if line.startswith("· Sentinel's rules"))
    assert note >= 8
    assert all(line.startswith("✓") for line in lines[:note])
    assert lines[note + 2].startswith("✓ Ready.")


def test_what_is_drawn_over_fits_too(shown):
    lines = re.split(r"[\r\n]+", ESCAPE_CODE.sub("", shown(60)["first-run"].raw.decode()))
    assert any("MISP events" in line for line in lines)
    assert max(map(cell_len, lines)) <= 60


# -- colours ------------------------------------------------------------------------------------------

COMMANDS = {
    "run": ([], {}),
    "failed run": ([], NOBODY_THERE),
    "check": (["check"], {}),
    "failed check": (["check"], WRONG_SECRET),
    "status": (["status"], {}),
    "explain": (["explain", "c2.loader.example"], {}),
    "help": (["--help"], {}),
    "usage": (["chek"], {}),
}
COLOURED = sorted(COMMANDS.keys() - {"run", "help", "usage"})


@pytest.fixture(scope="module")
def run_script(tmp_path_factory):
    """A function that runs a command in a terminal, or into a pipe, and returns all that it wrote."""
    directory = tmp_path_factory.mktemp("colours")
    with Sandbox(AzureState(), demo_misp(time.time), directory=directory) as box:
        config = str(write_config(box, directory))
        plain = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}

        def run(arguments, environ, terminal):
            command = [sys.executable, str(ROOT / "script.py"), "--config", config, *arguments]
            if terminal:
                return in_terminal(command, env={**plain, **environ}).raw.decode()
            piped = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
            return subprocess.run(command, env={**plain, **environ}, check=False, timeout=120, **piped).stdout.decode()

        run([], {}, terminal=False)
        yield run


@pytest.mark.parametrize("name", COMMANDS)
def test_in_a_terminal_without_colours_there_are_none(run_script, name):
    arguments, environ = COMMANDS[name]
    written = run_script(arguments, {**environ, "NO_COLOR": "1"}, terminal=True)
    assert not COLOUR.findall(REDRAWN.sub("", written))
    assert not set(COLOUR.findall(written)) - {"\x1b[0m"}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_dumb_terminal_gets_no_codes(run_script, name):
    arguments, environ = COMMANDS[name]
    assert "\x1b" not in run_script(arguments, {**environ, "TERM": "dumb"}, terminal=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_pipe_gets_no_codes(run_script, name):
    arguments, environ = COMMANDS[name]
    assert "\x1b" not in run_script(arguments, {**environ, "TERM": "xterm-256color"}, terminal=False)


@pytest.mark.parametrize("name", COLOURED)
def test_a_pipe_gets_colours_where_they_are_forced_and_nothing_that_moves(run_script, name):
    arguments, environ = COMMANDS[name]
    written = run_script(arguments, {**environ, "FORCE_COLOR": "1"}, terminal=False)
    assert COLOUR.search(written)
    assert "\x1b" not in COLOUR.sub("", written)


@pytest.mark.parametrize("name", COLOURED)
def test_a_terminal_gets_colours(run_script, name):
    arguments, environ = COMMANDS[name]
    assert COLOUR.search(run_script(arguments, environ, terminal=True))
