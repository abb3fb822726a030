"""Tries what sightings need: a key that may add them, and each workspace's alerts. Nothing is written."""

from __future__ import annotations

import time

from helpers.errors import SettingsError
from helpers.microsoft import Clock, LogsApi
from helpers.misp import SightingWriter
from helpers.settings import Settings
from helpers.sync import why_no_sightings

TO_MISP = "MISP sightings"
_ALERTS = "Sentinel's alerts"
_APIS = {"management": "the management API", "log_analytics": "Log Analytics' own API"}


def name_of_alerts(destination: Settings) -> str:
    """Return what the step about a destination's alerts is called."""
    return " ".join(filter(None, [_ALERTS, destination.name]))


def may_add(settings: Settings) -> str:
    """Say that the key may add sightings; one that MISP cannot take shows it. Raises MispError and SettingsError."""
    if why := why_no_sightings(settings):
        raise SettingsError([why])
    first = settings.destinations()[0].sightings_source
    SightingWriter(settings).check(first, int(time.time()))
    return f"may be added, as {first!r}" + (", by each run" if settings.misp_sightings.in_run else "")


def may_read(destination: Settings) -> str:
    """Say that a destination's alerts may be read. Raises MicrosoftError and SettingsError."""
    LogsApi(destination, Clock()).may_read()
    return f"may be read, through {_APIS[destination.misp_sightings.endpoint]}"
