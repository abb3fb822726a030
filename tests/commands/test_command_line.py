"""The command line as somebody types it: what is understood, and what it says of itself."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from constants import VERSION
from helpers.commands.command_line import EXIT_CODES, make_parser, parse
from helpers.commands.command_line.options import COMMANDS
from helpers.errors import UsageError
from helpers.process import invocation
from helpers.settings import load
from sandbox.terminal import in_terminal

ROOT = Path(__file__).resolve().parents[2]


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


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
    command = [sys.executable, "-c", program, "--version", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("constants.py stopped in line 1 with SyntaxError")
    assert json.loads(done.stdout) == {"error": done.stderr.strip(), "exit_code": 2}


# --- what is understood ------------------------------------------------------------------------------

EVENT, OTHER = (f"{digit * 8}-0000-4000-8000-000000000001" for digit in "ab")


@pytest.mark.parametrize("words", [[], ["run"]])
def test_a_run_has_a_name(words):
    assert parse(words).command == "run"


OPTIONS_OF_A_RUN = [
    ["--uuid", EVENT],
    ["--workspace", "paris"],
    ["--part", "2/4"],
    ["--json"],
    ["--dry-run", "--list"],
    ["--force-withdraw"],
    ["--yes"],
    ["--full"],
    ["--retry-rejected"],
    ["--quiet"],
    ["--verbose"],
    ["--config", "a.py"],
]


@pytest.mark.parametrize("options", OPTIONS_OF_A_RUN, ids=" ".join)
def test_all_options_of_a_plain_run_go_with_its_name_on_either_side(options):
    assert parse(options) == parse(["run", *options]) == parse([*options, "run"]) != parse(["run"])


def test_these_are_all_options_of_a_run():
    tried = {word for options in OPTIONS_OF_A_RUN for word in options if word.startswith("--")}
    parser = make_parser()
    known = {name for name in parser.parser_of("run").option_names() if name.startswith("--")}
    assert (
        tried
        == known - {"--help"}
        == {name for name in parser.option_names() if name.startswith("--")}
        - {
            "--help",
            "--version",
        }
    )


@pytest.mark.parametrize(("short", "long"), [("-n", "--dry-run"), ("-v", "--verbose"), ("-q", "--quiet")])
def test_what_is_often_typed_is_short(short, long):
    assert parse([short]) == parse([long]) == parse(["run", short])


def test_short_options_can_be_put_together():
    assert parse(["-nv", "adopt"]) == parse(["adopt", "--dry-run", "--verbose"])


@pytest.mark.parametrize(
    "words",
    [[EVENT], [EVENT.upper()], ["run", EVENT], [EVENT, "-n"], ["-n", EVENT], ["--config", "a.py", EVENT, "--json"]],
)
def test_the_uuid_of_an_event_alone_is_a_run_for_it(words):
    arguments = parse(words)
    assert (arguments.command, arguments.uuid) == ("run", EVENT)
    assert arguments.dry_run is ("-n" in words)


@pytest.mark.parametrize("words", [["--workspace", EVENT], ["check", "--workspace", EVENT], ["explain", EVENT]])
def test_a_uuid_elsewhere_is_no_event(words):
    assert parse(words).uuid is None


@pytest.mark.parametrize("words", [[EVENT, "--uuid", OTHER], ["run", EVENT, "--uuid", OTHER], [EVENT, OTHER]])
def test_one_event_at_a_time(words):
    with pytest.raises(UsageError, match=r"one (event at a time|word too many)"):
        parse(words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["chekc"], "'chekc' is no command: do you mean check?"),
        (["Explain", "x"], "'Explain' is no command: do you mean explain?"),
        (["evil.example.org"], "'evil.example.org' is no command."),
        (["d41d8cd98f00b204e9800998ecf8427e"], "'d41d8cd98f00b204e9800998ecf8427e' is no command."),
        (["--dryrun"], "--dryrun is no option of run: do you mean --dry-run?"),
        (["check", "--worksapce=x"], "--worksapce is no option of check: do you mean --workspace?"),
        (["status", "--max-ago", "3"], "--max-ago is no option of status: do you mean --max-age?"),
        (["--nonsense"], "--nonsense is no option of run."),
        (["status", "--full"], "--full does not go with status."),
        (["--full", "status"], "--full does not go with status."),
        (["check", "-q"], "-q does not go with check."),
        (["explain", "x", "--uuid", EVENT], "--uuid does not go with explain."),
        (["status", "paris"], "'paris' is one word too many for status."),
        (["-q", "-v"], "--quiet does not go with --verbose."),
        (["--list"], "--list goes with --dry-run."),
        (["convert"], "the following arguments are required: FILE."),
        (["--uuid"], "argument --uuid: expected one argument."),
        (["--part", "5/4"], "argument --part: 5/4 is no part: write one from 1/4 to 4/4."),
        (["--part", "1/4", "--workspace", "paris"], "--part does not go with --workspace."),
        (["check", "--part", "1/4"], "--part does not go with check."),
        (["--part", "1/1", "status"], "--part does not go with status."),
    ],
    ids=str,
)
def test_what_is_not_understood_is_said_with_what_may_be_meant(words, said):
    with pytest.raises(UsageError) as error:
        parse(words)
    assert str(error.value).startswith(f"{said} See python script.py ")
    assert str(error.value).endswith(" --help.")


def test_a_mistake_ends_with_2_and_one_line_and_is_an_object_where_one_is_asked_for():
    done = script("chekc", "--json")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "do you mean check?" in done.stderr
    assert json.loads(done.stdout) == {"version": VERSION, "error": done.stderr.strip(), "exit_code": 2}
    assert script("chekc").stdout == ""


# --- help --------------------------------------------------------------------------------------------

NAMES = (None, *COMMANDS)


def parser_of(name):
    return make_parser().parser_of(name) if name else make_parser()


@pytest.mark.parametrize("name", NAMES)
def test_help_has_every_option_command_and_exit_code_in_a_line_of_its_own(name):
    parser = parser_of(name)
    lines = parser.format_help().splitlines()
    for option in parser.option_names():
        assert [line for line in lines if re.match(rf"  (-\w, )?{option}\b", line) or f"  {option}, " in line]
    if name is None:
        assert {line.split()[0] for line in lines if line.startswith("  ")} >= {*COMMANDS, *map(str, EXIT_CODES)}
        assert "130" in parser.format_help()


@pytest.mark.parametrize("width", [60, 80, 100, 160])
@pytest.mark.parametrize("name", NAMES)
def test_help_is_as_wide_as_the_terminal_and_cuts_no_word(monkeypatch, name, width):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("MISP2SENTINEL_COMMAND", "misp2sentinel")
    terminal = Terminal()
    parser_of(name).print_help(terminal)
    lines = terminal.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert terminal.getvalue().split() == parser_of(name).format_help().split()
    rows = [line for line in lines if line.startswith("  ") and not line.startswith("   ")]
    start = {re.search(r"\S  +(\S)", line).start(1) for line in rows}
    assert len(start) == 1, "the words of all rows begin at one column"
    assert {len(line) - len(line.lstrip()) for line in lines if line.startswith("   ")} <= start


def test_help_that_is_piped_is_not_wrapped():
    shown = script("--help", COLUMNS="40").stdout
    assert max(map(len, shown.splitlines())) > 80


def test_a_mistake_wraps_at_the_width_of_a_terminal():
    shown = in_terminal([sys.executable, str(ROOT / "script.py"), "check", "--worksapce", "x"], columns=60)
    assert shown.exit_code == 2
    assert "do you mean --workspace?" in " ".join(shown.text.split())
    assert len(shown.lines) > 1


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
    """The command that deploy/install.sh puts there, for whoever runs the tests, in a directory of its own."""
    text = (ROOT / "deploy" / "host" / "misp2sentinel").read_text(encoding="utf-8")
    (tmp_path / "environment").write_text(f"MISP2SENTINEL_CONFIG='{tmp_path / 'config.py'}'\n")
    text = text.replace('"$(id -u)" -eq 0', "no = root")
    text = text.replace("/etc/misp2sentinel/environment", str(tmp_path / "environment"))
    text = text.replace('"$program/.venv/bin/python"', sys.executable)
    program = tmp_path / "misp2sentinel"
    program.write_text(text.replace("program=/opt/misp2sentinel", f"program={ROOT}"))
    program.chmod(0o755)
    return program


def test_the_wrapper_hands_its_name_over(wrapper):
    done = subprocess.run([wrapper, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: misp2sentinel ")


def test_that_name_is_no_setting():
    assert load(Path(os.devnull), {"MISP2SENTINEL_COMMAND": "misp2sentinel"}, offline=True).warnings == ()


def test_help_has_the_name_that_was_typed():
    assert script("--help").stdout.startswith(f"usage: {sys.executable} {ROOT / 'script.py'} ")
