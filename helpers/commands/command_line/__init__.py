"""The command line: what can be asked for, and which options go with what."""

from __future__ import annotations

from helpers.commands.command_line.builder import make_parser
from helpers.commands.command_line.help_screen import HelpfulParser
from helpers.commands.command_line.options import EXIT_CODES, RUN
from helpers.commands.command_line.parser import parse

__all__ = ["EXIT_CODES", "RUN", "HelpfulParser", "make_parser", "parse"]
