"""Makes the parser of what can be typed."""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any
from uuid import UUID

from helpers.commands.command_line.help_screen import HelpfulParser
from helpers.commands.command_line.options import COMMANDS, EVERYWHERE, EXIT_CODES, OF_A_RUN, RUN, SHORT, option
from helpers.process import Part, invocation

_ABOUT = "MISP2Sentinel: MISP events in, indicators in Microsoft Sentinel. Without a command: one run."
_ONE_DESTINATION = "one destination only, by its name or its workspace's id"
# How far back alerts are read at most.
MOST_DAYS = 14
_SECONDS = {"m": 60, "h": 3600, "d": 86_400}
_PERIOD = re.compile(r"(\d{1,6})\s?([mhd])")
_PART = "one part of the destinations only, such as 1/4: four runs side by side take all of them"


def make_parser(events: Collection[str] = (), name: str = "") -> HelpfulParser:
    """Return what parses a command line; which options go with which command, ``parse`` checks afterwards.

    Each of the ``events`` is a command too: the UUID of an event, which may stand in the place of one. ``name`` is what
    the program is called, where that is not what was typed.
    """
    parser = HelpfulParser(prog=name or invocation.typed_name(), description=_ABOUT, add_help=False)
    parser.tables = {"exit codes": [(str(code), words) for code, words in EXIT_CODES.items()]}
    subparsers = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND", prog=parser.prog)
    _add_run(parser.add_argument_group("options of a run"), in_command=False)
    everywhere = parser.add_argument_group("options of every command")
    _add_everywhere(everywhere, in_command=False)
    everywhere.add_argument("--version", action="store_true", help="show which version this is")
    parser.set_defaults(event=None)
    commands = {name: _add_command(subparsers, name) for name in COMMANDS}
    _add_own_arguments(commands)
    for command in commands.values():
        _add_everywhere(command, in_command=True)
    for event in events:
        _add_run(subparsers.add_parser(event, add_help=False), in_command=True)
    return parser


def _add_command(subparsers: Any, name: str) -> HelpfulParser:
    """Add a command with the options that others have too."""
    command: HelpfulParser = subparsers.add_parser(
        name, help=COMMANDS[name].words, description=_sentence(COMMANDS[name].words), add_help=False
    )
    if name == RUN:
        command.add_argument("event", nargs="?", type=_uuid, metavar="EVENT", help="as --uuid")
        _add_run(command, in_command=True)
    else:
        _add_flags(command, COMMANDS[name].flags, in_command=True)
    return command


def _add_run(parser: argparse._ActionsContainer, *, in_command: bool) -> None:
    parser.add_argument(
        "--uuid",
        type=_uuid,
        metavar="EVENT",
        default=_default(None, in_command),
        help="one event only; a UUID alone means the same",
    )
    _add_workspace(parser, in_command=in_command)
    parser.add_argument("--part", type=_part, metavar="I/N", default=_default(None, in_command), help=_PART)
    _add_flags(parser, OF_A_RUN, in_command=in_command)


def _add_everywhere(parser: argparse._ActionsContainer, *, in_command: bool) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", default=_default(None, in_command), help="settings file")
    _add_flags(parser, EVERYWHERE, in_command=in_command)
    parser.add_argument("-h", "--help", action="help", help="show this")


def _add_workspace(parser: argparse._ActionsContainer, *, in_command: bool) -> None:
    default = _default("", in_command)
    parser.add_argument("--workspace", metavar="NAME", default=default, help=_ONE_DESTINATION)


def _add_flags(parser: argparse._ActionsContainer, flags: dict[str, str], *, in_command: bool) -> None:
    for name, words in flags.items():
        names = [*filter(None, [SHORT.get(name)]), option(name)]
        parser.add_argument(*names, action="store_true", dest=name, default=_default(False, in_command), help=words)


def _default(value: Any, in_command: bool) -> Any:
    """In a command an option has no default, so that it may stand on either side of it."""
    return argparse.SUPPRESS if in_command else value


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _add_own_arguments(commands: dict[str, HelpfulParser]) -> None:
    """Add what goes with one command only."""
    commands["convert"].add_argument("files", nargs="+", type=Path, metavar="FILE", help="MISP events as JSON")
    commands["explain"].add_argument(
        "what",
        nargs="+",
        type=_value,
        metavar="VALUE|UUID|STIX-ID",
        help="as analysts write it, defanged or not, or the name, number or tag of an actor or a technique; - is "
        "stdin, one on a line",
    )
    commands["explain"].add_argument("--offline", action="store_true", help="do not ask MISP")
    commands["status"].add_argument(
        "--max-age", type=_hours, metavar="HOURS", help="exit 1 when the last good run is older"
    )
    commands["status"].add_argument("--notify", action="store_true", help="send messages where something is new")
    commands["report"].add_argument("file", type=Path, metavar="FILE", help="where the page goes; it is replaced")
    commands["status"].add_argument("--nagios", action="store_true", help="the line and exit code that Nagios reads")
    commands["metrics"].add_argument("file", type=Path, metavar="FILE", help="it ends with .prom; - is stdout")
    commands["adopt"].add_argument(
        "--withdraw-unmatched", action="store_true", help="withdraw what is in Sentinel and not in MISP"
    )
    commands["share"].add_argument("files", nargs="+", type=Path, metavar="FILE", help="stories as JSON; - is stdin")
    commands["share"].add_argument("--publish", action="store_true", help="publish the events")
    commands["share"].add_argument("--to-ids", action="store_true", help="flag the indicators for detection")
    commands["share"].add_argument("--force", action="store_true", help="update although proposals are pending")
    commands["withdraw"].add_argument(
        "--workspace", required=True, metavar="NAME", help="a destination's name, or a workspace's id, as in status"
    )
    commands["sightings"].add_argument(
        "--since",
        type=_period,
        metavar="TIME",
        default=0,
        help="look back so far, such as 24h, 90m or 14d; without it, since the last time",
    )
    for name in ("check", "adopt", "sightings"):
        _add_workspace(commands[name], in_command=True)


def _value(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty: write a value, a UUID or a STIX id")
    return text


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = -1
    if not 0 <= hours < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of hours: write one from 0")
    return hours


def _period(text: str) -> int:
    """Return how many seconds a time is, of the days that alerts are read of."""
    found = _PERIOD.fullmatch(text.strip().lower())
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not seconds:
        raise argparse.ArgumentTypeError(f"{text} is not a time: write one such as 24h, 90m or 7d")
    if seconds > MOST_DAYS * _SECONDS["d"]:
        raise argparse.ArgumentTypeError(f"{text} is further back than alerts are read of: write {MOST_DAYS}d at most")
    return seconds


def _part(text: str) -> Part:
    try:
        return Part.read(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not the UUID of an event") from None
