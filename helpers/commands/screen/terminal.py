"""Where lines are shown: coloured and wrapped where the stream is a terminal, plain where it is not."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from typing import TextIO

from helpers.commands.screen.line import Line
from helpers.process import safe_to_show

# What a command shows its lines with.
Say = Callable[[Line | str], None]

_WIDTH = 80  # of a terminal that does not say
_NARROWEST = 20
# For streams whose encoding lacks them, such as cron's with LANG=C.
_ASCII = str.maketrans({"✓": "+", "✗": "x", "→": "->", "…": "...", "·": "-", "–": "-", "—": "-"})


class Screen:
    """Shows lines on a stream, without secrets, and without what would command a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, line: Line | str) -> None:
        """Show a line; a string stays as it is and is not wrapped, since it is for programs."""
        if isinstance(line, str):
            print(safe_to_show(line), file=self._stream)
            return
        terminal = self._stream.isatty()
        shown = _clean(line.in_terminal() if terminal else line)
        pieces = shown.wrapped(self._width()) if terminal else [shown.text()]
        for piece in self._coloured(shown, pieces):
            print(self._encodable(piece), file=self._stream)

    def _is_coloured(self) -> bool:
        """Say whether colours are wanted: https://no-color.org, https://force-color.org."""
        if os.environ.get("NO_COLOR") or os.environ.get("TERM") in ("dumb", "unknown"):
            return False
        return self._stream.isatty() or bool(os.environ.get("FORCE_COLOR"))

    def _coloured(self, line: Line, pieces: list[str]) -> list[str]:
        """Return a line's pieces with its colour in them, where there is one and it is wanted."""
        if not line.tone or not self._is_coloured():
            return pieces
        from rich.style import Style  # noqa: PLC0415  only for colours

        style = Style.parse(f"bold {line.tone}" if line.whole else line.tone.value)
        start, end = line.coloured
        first, *more = pieces
        head = f"{first[:start]}{style.render(first[start:end])}{first[end:] if end else ''}"
        return [head, *(more if end else map(style.render, more))]

    def _width(self) -> int:
        """Return how many columns there are; COLUMNS counts more than what the terminal says, as in rich."""
        told = os.environ.get("COLUMNS", "")
        if told.isdecimal() and int(told):  # 0 is what some programs set where they do not know
            return max(int(told), _NARROWEST)
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except OSError:
            columns = 0
        return max(columns or _WIDTH, _NARROWEST)

    def _encodable(self, text: str) -> str:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            return text.translate(_ASCII)
        return text


def _clean(line: Line) -> Line:
    """Return a line without secrets; what strangers say makes no line of its own."""
    return replace(line, words=safe_to_show(line.words), mark=safe_to_show(line.mark))


def is_seen(arguments: Namespace) -> bool:
    """Whether somebody looks at a terminal in which progress can be drawn, and no other lines come in between."""
    if not sys.stderr.isatty() or os.environ.get("TERM", "").lower() in ("dumb", "unknown"):
        return False
    lists = arguments.list and sys.stdout.isatty()
    return not (arguments.verbose or lists or arguments.quiet)
