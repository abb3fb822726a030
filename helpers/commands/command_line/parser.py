"""What a command line means, and what it may not mean."""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from collections.abc import Sequence
from uuid import UUID

from helpers.commands.command_line.builder import make_parser
from helpers.commands.command_line.help_screen import HelpfulParser, meant
from helpers.commands.command_line.options import COMMANDS, EVERYWHERE, OF_A_RUN, RUN, option
from helpers.process import WHOLE

# As MISP shows one; 32 digits without hyphens may be a hash that somebody wants explained.
_EVENT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def parse(argv: Sequence[str] | None = None) -> Namespace:
    """Parse the command line; without a command it is a run, and so is the UUID of an event in its place.

    ``--help`` ends the process. Raises UsageError.
    """
    words = sys.argv[1:] if argv is None else argv
    parser = make_parser({word for word in words if _EVENT.fullmatch(word)})
    arguments, unknown = parser.parse_known_args(words)
    alone = arguments.command if arguments.command and arguments.command not in COMMANDS else None
    arguments.command = RUN if alone else arguments.command or RUN
    if unknown:
        _refuse(parser, unknown, arguments.command)
    _choose_event(parser, arguments, alone)
    _refuse_what_does_not_go_together(parser, arguments)
    arguments.part = arguments.part or WHOLE
    return arguments


def _refuse(parser: HelpfulParser, words: Sequence[str], command: str) -> None:
    """Say of words that the command does not take what is wrong with the first option, else with the first of all."""
    word = next((word for word in words if word.startswith("-")), words[0]).partition("=")[0]
    known = parser.parser_of(command).option_names()
    if not word.startswith("-"):
        parser.error(f"{word!r} is one word too many for {command}")
    if word in parser.option_names():
        parser.error(f"{word} does not go with {command}")
    parser.error(f"{word} is no option of {command}{meant(word, known)}")


def _choose_event(parser: HelpfulParser, arguments: Namespace, alone: str | None) -> None:
    """Let all ways to name one event say the same."""
    events = {event for event in (arguments.uuid, arguments.event, alone and str(UUID(alone))) if event}
    if len(events) > 1:
        parser.error("one event at a time: name one UUID")
    arguments.uuid = next(iter(events), None)


def _refuse_what_does_not_go_together(parser: HelpfulParser, arguments: Namespace) -> None:
    command = COMMANDS[arguments.command]
    allowed = {*EVERYWHERE, *command.flags, *(["workspace"] if command.one_destination else [])}
    allowed |= {"uuid", "part"} if arguments.command == RUN else set()
    given = [name for name in (*OF_A_RUN, "uuid", "workspace", "part") if getattr(arguments, name)]
    if odd := [option(name) for name in given if name not in allowed]:
        parser.error(f"{', '.join(odd)} does not go with {arguments.command}")
    if arguments.list and not arguments.dry_run:
        parser.error("--list goes with --dry-run")
    if arguments.part and arguments.workspace:
        parser.error("--part does not go with --workspace")
    if getattr(arguments, "nagios", False) and arguments.json:
        parser.error("--nagios does not go with --json")
    if arguments.quiet and arguments.verbose:
        parser.error("--quiet does not go with --verbose")
