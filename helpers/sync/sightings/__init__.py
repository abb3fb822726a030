"""Sentinel's alerts in, sightings in MISP out: the way back."""

from helpers.sync.sightings.report import SightingsReport
from helpers.sync.sightings.run import SightingOptions, SightingProgress, run_sightings, why_no_sightings
from helpers.sync.sightings.window import MOST_DAYS

__all__ = ["MOST_DAYS", "SightingOptions", "SightingProgress", "SightingsReport", "run_sightings", "why_no_sightings"]
