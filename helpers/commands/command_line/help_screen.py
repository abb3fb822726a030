"""A parser whose help and whose errors are lines for people, and which says what may have been meant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from helpers.commands.screen import Line, Screen, Tone, columns
from helpers.errors import UsageError
from helpers.text import did_you_mean

_INDENT = 2
_ALIKE = 0.6


class HelpfulParser(argparse.ArgumentParser):
    """Shows help as wide as the terminal, whole where it is piped; raises UsageError where argparse would exit.

    ``tables`` are shown at the end of the help: title → rows of two cells.
    """

    tables: Mapping[str, Sequence[tuple[str, str]]] = {}

    def error(self, message: str) -> NoReturn:
        """Raise UsageError, with where to read on."""
        raise UsageError(f"{message.rstrip('.')}{'' if message.endswith('?') else '.'} See {self.prog} --help.")

    def print_help(self, file: Any = None) -> None:
        """Show the help, on stdout unless it is to go elsewhere."""
        screen = Screen(file or sys.stdout)
        for line in _help_lines(self):
            screen.show(line)

    def format_help(self) -> str:
        """Return the help, not wrapped."""
        return "".join(f"{line.text()}\n" for line in _help_lines(self))

    def format_usage(self) -> str:
        """Return how the command line begins, and what must be in it."""
        return f"usage: {_usage(self)}\n"

    def option_names(self) -> list[str]:
        """Return every option as it can be typed."""
        return [name for action in self._actions for name in action.option_strings]

    def parser_of(self, command: str) -> HelpfulParser:
        """Return what parses the options of a command."""
        (subparsers,) = (action for action in self._actions if isinstance(action, argparse._SubParsersAction))
        parser: HelpfulParser = subparsers.choices[command]
        return parser

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Say which command may have been meant; they are all that has choices. Python does so from 3.14 on."""
        if action.choices is not None and value not in action.choices:
            self.error(f"{value!r} is no command{meant(value, action.choices)}")


def meant(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown word: what is like it, if anything is."""
    nearest = did_you_mean(word, known, _ALIKE)
    return f": do you mean {nearest}?" if nearest else ""


def _help_lines(parser: HelpfulParser) -> Iterator[Line]:
    groups = [(_title(group), list(_rows(group._group_actions))) for group in parser._action_groups]
    groups += [(title, list(rows)) for title, rows in parser.tables.items()]
    yield Line(_usage(parser), mark="usage:")
    yield from _paragraph(parser.description or "")
    lines = iter(columns([row for _, rows in groups for row in rows], indent=_INDENT))
    for title, rows in groups:
        if rows:
            yield from _paragraph(f"{title}:", Tone.STRONG)
            yield from (next(lines) for _ in rows)


def _title(group: argparse._ArgumentGroup) -> str:
    return (group.title or "").removeprefix("positional ")


def _paragraph(words: str, tone: Tone = Tone.PLAIN) -> Iterator[Line]:
    if words:
        yield Line("")
        yield Line(words, tone)


def _rows(actions: Iterable[argparse.Action]) -> Iterator[tuple[str, str]]:
    """Yield what can be typed and what it does."""
    for action in actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from ((command.dest, command.help or "") for command in action._choices_actions)
        else:
            names = ", ".join(action.option_strings)
            yield f"{names} {_metavar(action)}".strip(), action.help or ""


def _usage(parser: argparse.ArgumentParser) -> str:
    """Return the words of a command line: what it must have, and that it may have more."""
    actions = [action for group in parser._action_groups for action in group._group_actions]
    needed = [f"{action.option_strings[0]} {_metavar(action)}" for action in actions if _is_needed_option(action)]
    positionals = [_with_number(action) for action in actions if not action.option_strings]
    first, last = (positionals, []) if parser._subparsers else ([], positionals)
    return " ".join([parser.prog, *first, *needed, "[options]", *last])


def _is_needed_option(action: argparse.Action) -> bool:
    return action.required and bool(action.option_strings)


def _with_number(action: argparse.Action) -> str:
    """Return an argument with how often it may stand there: ``FILE...``, ``[EVENT]``."""
    metavar = _metavar(action)
    if action.nargs == argparse.ONE_OR_MORE:
        return f"{metavar}..."
    return metavar if action.required else f"[{metavar}]"


def _metavar(action: argparse.Action) -> str:
    return "" if action.nargs == 0 else str(action.metavar or "")
