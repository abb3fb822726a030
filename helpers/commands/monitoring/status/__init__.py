"""``status``: whether all is well, what the last run did, and where each destination stands."""

from helpers.commands.monitoring.status.command import main, status

__all__ = ["main", "status"]
