"""``status``: whether all is well, what the last run did, and where each destination stands."""

from helpers.commands.status.command import main, status
from helpers.commands.status.standing import standing

__all__ = ["main", "standing", "status"]
