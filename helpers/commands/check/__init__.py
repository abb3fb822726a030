"""``check``: try, read-only, everything that a run needs, and say what to do where it fails."""

from helpers.commands.check.command import Preflight, main

__all__ = ["Preflight", "main"]
