"""Everything that talks to MISP: what is asked, how it is read, what its answers mean."""

from helpers.misp.client import MispClient, MispConnection, limits_of
from helpers.misp.detours import Detours
from helpers.misp.event_slices import UNASKED
from helpers.misp.paged_search import LISTED_PER_PAGE
from helpers.misp.pymisp_errors import SettingNames
from helpers.misp.read_ahead import ReadAhead
from helpers.misp.reader import MispReader, Page
from helpers.misp.responses import (
    Event,
    ListedEvent,
    dictionaries_in,
    dictionary_in,
    events_in,
    organisation_id_in,
    warninglists_in,
    whole_event,
    whole_number,
)
from helpers.misp.search_filters import NOTHING_FOUND, is_on
from helpers.misp.sightings import SightingInMisp, SightingWriter

__all__ = [
    "LISTED_PER_PAGE",
    "NOTHING_FOUND",
    "UNASKED",
    "Detours",
    "Event",
    "ListedEvent",
    "MispClient",
    "MispConnection",
    "MispReader",
    "Page",
    "ReadAhead",
    "SettingNames",
    "SightingInMisp",
    "SightingWriter",
    "dictionaries_in",
    "dictionary_in",
    "events_in",
    "is_on",
    "limits_of",
    "organisation_id_in",
    "warninglists_in",
    "whole_event",
    "whole_number",
]
