"""Makes the files beside it of the parser of the command line, the same ones each time."""

from __future__ import annotations

from pathlib import Path

import shtab
from argparse_manpage.manpage import Manpage

from constants import VERSION
from helpers.commands.command_line import EXIT_CODES, HelpfulParser, make_parser
from helpers.commands.command_line.options import COMMANDS

NAME = "misp2sentinel"
_COMPLETIONS = {"bash": f"{NAME}.bash", "zsh": f"_{NAME}", "fish": f"{NAME}.fish"}
_PAGE = {
    "version": VERSION,
    "description": "MISP events in, indicators in Microsoft Sentinel",
    "manual_title": "MISP2Sentinel",
    "date": " ",  # the version says it; a day would change the file each day
}


def files() -> dict[str, str]:
    """Return what is in each file, by its name."""
    completions = {name: shtab.complete(_parser(), shell=shell) for shell, name in _COMPLETIONS.items()}
    return {**completions, f"{NAME}.1": _manual_page()}


def _parser() -> HelpfulParser:
    """Return the parser, which names files where one is wanted."""
    parser = make_parser(name=NAME)
    for each in _with_commands(parser):
        for action in each._actions:
            if action.type is Path:
                vars(action)["complete"] = shtab.FILE
    return parser


def _with_commands(parser: HelpfulParser) -> list[HelpfulParser]:
    return [parser, *(parser.parser_of(command) for command in COMMANDS)]


def _manual_page() -> str:
    parser = _parser()
    for command in _with_commands(parser)[1:]:
        command.description = None  # what the list of commands says of it
    page = Manpage(parser, _PAGE, format="single-commands-section")
    page.add_section("exit status", "=", "".join(f".TP\n.B {code}\n{words}\n" for code, words in EXIT_CODES.items()))
    return str(page)
