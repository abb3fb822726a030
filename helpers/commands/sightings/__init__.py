"""``sightings``: what Sentinel's alerts matched, written into MISP."""

from helpers.commands.sightings.command import main, run_beside
from helpers.commands.sightings.summary import counts_of

__all__ = ["counts_of", "main", "run_beside"]
