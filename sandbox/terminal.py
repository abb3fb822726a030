"""A command in a real pseudo-terminal, and what a person then sees there."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pyte
from pyte.screens import Char

SCROLLBACK = 10_000
# Makes the terminal that the command is given the one that Ctrl-C and /dev/tty go by, as a shell does.
_TAKE_TERMINAL = "import os, sys; os.login_tty(0); os.execvp(sys.argv[1], sys.argv[1:])"
# What a question ends with, where a person begins to type.
_QUESTION = re.compile(rb"[?:>\])] ?$")
_ESCAPE_CODE = re.compile(rb"\x1b(\[[0-9;?]*[A-Za-z]|[=>])")


@dataclass(frozen=True)
class Shown:
    """How a command ended, and what it left in a terminal of so many columns and rows."""

    exit_code: int
    raw: bytes = field(repr=False)
    columns: int
    rows: int

    @cached_property
    def cells(self) -> list[list[Char]]:
        """The lines of the scrollback and the screen, each with a character and its style for each column."""
        screen = _Screen(self.columns, self.rows, history=SCROLLBACK)
        pyte.ByteStream(screen).feed(self.raw)
        lines = [*screen.history.top, *(screen.buffer[row] for row in range(self.rows))]
        return [[line[column] for column in range(self.columns)] for line in lines]

    @property
    def lines(self) -> list[str]:
        """What stands in each line, without what is blank at its end and at the end of the screen."""
        return self.text.splitlines()

    @cached_property
    def text(self) -> str:
        """The scrollback and the screen as a person sees them."""
        return "\n".join("".join(cell.data for cell in line).rstrip() for line in self.cells).rstrip("\n")

    def style_of(self, words: str) -> set[str]:
        """Return how the first place with these words looks: ``{"green", "bold"}``, say; empty where it is plain.

        Raises ValueError when they stand in no line.
        """
        row, line = next(((n, line) for n, line in enumerate(self.lines) if words in line), (-1, ""))
        if row < 0:
            raise ValueError(f"{words!r} stands in no line of the terminal")
        return styles(self.cells[row][line.index(words)])


def styles(cell: Char) -> set[str]:
    """Return the colour, by its name or as six hexadecimal digits, and the other attributes of a character."""
    flags = {"bold": cell.bold, "dim": cell.blink, "underlined": cell.underscore, "reversed": cell.reverse}
    # Yellow was brown once, and pyte has a slip in the name of one colour.
    colour = re.sub("^b[rf]ight", "bright_", cell.fg).replace("brown", "yellow")
    return {name for name, is_set in flags.items() if is_set} | ({colour} - {"default"})


class _Screen(pyte.HistoryScreen):
    """A screen that knows faint characters: pyte has no place for them, so they are kept as blinking ones."""

    def select_graphic_rendition(self, *attrs: int, **_: bool) -> None:
        if not {38, 48} & set(attrs):  # colours, in which a 2 means something else
            attrs = tuple(code for attr in attrs for code in {2: (5,), 22: (22, 25)}.get(attr, (attr,)))
        super().select_graphic_rendition(*attrs)


def in_terminal(
    command: Sequence[str],
    *,
    columns: int = 80,
    rows: int = 50,
    env: Mapping[str, str] | None = None,
    typed: str = "",
    timeout: float = 120,
    echo: Callable[[bytes], object] = len,
) -> Shown:
    """Run a command with stdin, stdout and stderr in a pseudo-terminal to its end.

    ``env`` is the whole environment, this process's without one; TERM is xterm-256color unless it says otherwise.
    ``typed`` is typed line by line, each when the last line on the screen looks like a question. ``echo`` is given
    what comes, as it comes.
    Raises TimeoutExpired when the command has not ended after so many seconds, and ends it.
    """
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (rows, columns))
    with subprocess.Popen(  # noqa: S603 - whoever calls says what to run
        [sys.executable, "-ISc", _TAKE_TERMINAL, *command],
        env=_environment(os.environ if env is None else env),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    ) as process:
        os.close(slave)
        try:
            raw = _read_to_end(master, typed, time.monotonic() + timeout, echo)
            return Shown(process.wait(timeout), raw, columns, rows)
        except TimeoutError:
            raise subprocess.TimeoutExpired(list(command), timeout) from None
        finally:
            process.kill()  # where it is there still; what it started is hung up on
            os.close(master)


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which the terminal's own size counts."""
    sizes = ("COLUMNS", "LINES")
    return {"TERM": "xterm-256color", **{name: value for name, value in env.items() if name not in sizes}}


def _read_to_end(master: int, typed: str, deadline: float, echo: Callable[[bytes], object]) -> bytes:
    """Read all that comes, answering questions. Raises TimeoutError at the deadline, by time.monotonic."""
    raw, answers = b"", typed.splitlines(keepends=True)
    while chunk := _read(master, deadline):
        raw += chunk
        echo(chunk)
        if answers and _QUESTION.search(_ESCAPE_CODE.sub(b"", raw)):
            os.write(master, answers.pop(0).encode())
    return raw


def _read(master: int, deadline: float) -> bytes:
    """Return what comes next; nothing when whoever had the terminal is gone, which Linux calls an error."""
    readable, _, _ = select.select([master], [], [], max(0.0, deadline - time.monotonic()))
    if not readable:
        raise TimeoutError
    try:
        return os.read(master, 65_536)
    except OSError:
        return b""
