"""``init``: the file of settings, by questions and answers."""

from helpers.commands.init.command import main

__all__ = ["main"]
