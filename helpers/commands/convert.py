"""``convert``: show, offline, what files with MISP events would become."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from helpers.commands.screen import Line, Screen, Tone, verdict
from helpers.errors import ExitCode, InputError
from helpers.indicators import ConversionRules, convert_event
from helpers.settings import Settings


def main(settings: Settings, arguments: Namespace, _say: Callable[[str], None]) -> int:
    """Convert files, the indicators to stdout, and return the exit code."""
    return convert_files(arguments.files, settings, sys.stdout, sys.stderr)


def convert_files(paths: Iterable[Path], settings: Settings, out: TextIO, notes: TextIO) -> int:
    """Write the indicators of all files to ``out`` as one JSON array and each skip to ``notes``.

    Returns the exit code: 2 when a file could not be used (it is named, the others are converted). Where none could,
    nothing is written to ``out``: an empty array would say that there is nothing to send.
    """
    now, rules = datetime.now(UTC), ConversionRules.of(settings)
    exit_code, array = ExitCode.DONE, _Array(out)
    for path in paths:
        try:
            events = events_in(path)
        except InputError as error:
            exit_code = error.exit_code
            Screen(notes).show(verdict(Tone.BAD, str(error)))
            continue
        array.begin()
        for event in events:
            for indicator in _converted(event, rules, now, notes):
                array.add(rules.format.shown(indicator))
    array.end()
    return exit_code


class _Array:
    """A JSON array on a stream, an entry a line; where it was never begun, nothing is written."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._separator = ""

    def begin(self) -> None:
        """Open the array, once."""
        if not self._separator:
            self._out.write("[")
            self._separator = "\n"

    def add(self, entry: Any) -> None:
        """Append an entry."""
        self._out.write(self._separator + json.dumps(entry))
        self._separator = ",\n"

    def end(self) -> None:
        """Close the array, if it was begun."""
        if self._separator:
            self._out.write("\n]\n")


def events_in(path: Path) -> list[dict[str, Any]]:
    """Return the events in a file: one, a list, or MISP's answer. Raises InputError naming the file."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not whole JSON ({error}): export the event again.") from error
    rows = content.get("response", content) if isinstance(content, dict) else content
    rows = rows if isinstance(rows, list) else [rows]
    events = [row.get("Event", row) if isinstance(row, dict) else row for row in rows]
    if not events or not all(isinstance(event, dict) and {"info", "uuid"} & event.keys() for event in events):
        raise InputError(f"{path} holds no MISP event: expected {{'Event': ...}}, a list of them, or MISP's answer.")
    return events


def _converted(event: dict[str, Any], rules: ConversionRules, now: datetime, notes: TextIO) -> Iterator[dict[str, Any]]:
    for part in convert_event(event, rules, now):
        yield from part.indicators
        for skip in part.skipped:
            Screen(notes).show(Line(str(skip), mark="skipped:"))
        for half in part.left_out:
            Screen(notes).show(Line(str(half), mark="half left out:"))
