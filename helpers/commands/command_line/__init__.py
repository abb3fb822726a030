"""The command line: what can be asked for, and which options go with what."""

from __future__ import annotations

from helpers.commands.command_line.parser import make_parser, parse

__all__ = ["make_parser", "parse"]
