"""A run: what happens without a command, or under its name; its progress, and how it went."""

from helpers.commands.run.command import main, show_report
from helpers.commands.run.progress_bar import progress_bar

__all__ = ["main", "progress_bar", "show_report"]
