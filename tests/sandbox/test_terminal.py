"""A command in a pseudo-terminal: what a person sees of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sandbox.terminal import in_terminal


def python(code, **options):
    return in_terminal([sys.executable, "-c", code], **options)


def test_all_three_streams_are_a_terminal_of_the_size_that_was_asked_for():
    size = "import os, sys; print(*os.get_terminal_size(), [s.isatty() for s in (sys.stdin, sys.stdout, sys.stderr)])"
    shown = python(size, columns=61, rows=20, env={**os.environ, "COLUMNS": "300", "LINES": "9"})
    assert shown.exit_code == 0
    assert shown.text == "61 20 [True, True, True]"


def test_what_was_overwritten_is_not_seen_and_what_scrolled_off_is():
    shown = python("for n in range(9): print('line', n)\nprint('10 %', end='\\r'); print('done')", rows=4)
    assert shown.lines == [*(f"line {n}" for n in range(9)), "done"]
    assert b"10 %" in shown.raw


def test_the_terminal_breaks_lines_that_are_too_long_and_the_raw_output_tells():
    shown = python("print('x' * 50)", columns=40)
    assert shown.lines == ["x" * 40, "x" * 10]
    assert b"x" * 50 in shown.raw


@pytest.mark.parametrize(
    ("code", "style"),
    [
        ("1;32", {"bold", "green"}),
        ("33", {"yellow"}),
        ("90", {"bright_black"}),
        ("93", {"bright_yellow"}),
        ("95", {"bright_magenta"}),
        ("2", {"dim"}),
        ("2;22", set()),
        ("38;5;2", {"00cd00"}),  # one of 256, not faint
        ("31;0", set()),
    ],
)
def test_colours_are_told(code, style):
    shown = python(f"print('plain \\x1b[{code}mwords\\x1b[0m')")
    assert shown.text == "plain words"
    assert shown.style_of("words") == style
    assert shown.style_of("plain") == set()


def test_words_that_are_nowhere_have_no_style():
    with pytest.raises(ValueError, match="'words' stands in no line"):
        python("pass").style_of("words")


def test_answers_are_typed_when_questions_are_asked():
    asks = "import getpass; n = input('Revoke 3? [y/N] '); s = getpass.getpass('Key: '); print(n, len(s))"
    shown = python(asks, typed="no\nsecret\n")
    assert shown.lines == ["Revoke 3? [y/N] no", "Key:", "no 6"]


def test_ctrl_c_reaches_the_command():
    # What it prints then may get lost: a terminal throws away what was not read yet when somebody types Ctrl-C.
    shown = python("try: input('Sure? ')\nexcept KeyboardInterrupt: raise SystemExit(7)", typed="\x03\n")
    assert shown.exit_code == 7


def test_a_command_that_does_not_end_is_ended_with_what_it_started():
    with pytest.raises(subprocess.TimeoutExpired):
        in_terminal(["sh", "-c", "sleep 600; true"], timeout=0.3)


def test_the_exit_code_is_the_command_s():
    assert python("raise SystemExit(3)").exit_code == 3
