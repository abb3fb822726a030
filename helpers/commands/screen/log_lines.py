"""The log's lines for who looks on: with a hanging indent in a terminal, as in the log elsewhere."""

from __future__ import annotations

import logging
import sys
import time

from helpers.commands.screen.line import Line, Tone
from helpers.commands.screen.terminal import Screen

_TONES = {logging.DEBUG: Tone.QUIET, logging.WARNING: Tone.ODD, logging.ERROR: Tone.BAD, logging.CRITICAL: Tone.BAD}
# What a terminal gets in words, below.
_SAID_BELOW = ("Summary: ", "Verdict: ")


class LogLines(logging.StreamHandler):  # type: ignore[type-arg]  # generic for type checkers alone
    """Shows on stderr what is logged."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record; in a terminal with the time of day alone, and without what is said at the end anyway."""
        if record.exc_text or not self.stream.isatty():
            super().emit(record)
            return
        words = record.getMessage()
        if not words.startswith(_SAID_BELOW):
            mark = f"{time.strftime('%H:%M:%S', time.localtime(record.created))} {record.levelname}"
            Screen(self.stream).show(Line(words, _TONES.get(record.levelno, Tone.PLAIN), mark=mark))
