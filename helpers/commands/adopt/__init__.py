"""``adopt``: fill an empty ledger from what Sentinel holds, so that the first run sends and withdraws what differs."""

from helpers.commands.adopt.command import adopt, completed, main

__all__ = ["adopt", "completed", "main"]
