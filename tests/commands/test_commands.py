"""Commands as ``script.py`` finds them: one table, the command line, and a module for each."""

import argparse
import importlib
import inspect

import pytest

from helpers.commands import COMMANDS
from helpers.commands.command_line import make_parser


def test_the_table_has_what_can_be_typed():
    (subparsers,) = [action for action in make_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    assert set(COMMANDS) == {*subparsers.choices}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=str)
def test_each_has_a_module_with_a_main(command):
    main = importlib.import_module(command.module).main
    assert len(inspect.signature(main).parameters) == 3
    assert inspect.getdoc(main)
