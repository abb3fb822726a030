"""Everything that talks to MISP: what is asked, how it is read, what its answers mean."""

from helpers.misp.detours import Detours
from helpers.misp.large_events import UNASKED
from helpers.misp.read_ahead import ReadAhead
from helpers.misp.reader import LISTED_PER_PAGE, TRIES, Event, MispReader, Page
from helpers.misp.responses import ListedEvent, number, part
from helpers.misp.search_filters import NOTHING_FOUND

__all__ = [
    "LISTED_PER_PAGE",
    "NOTHING_FOUND",
    "TRIES",
    "UNASKED",
    "Detours",
    "Event",
    "ListedEvent",
    "MispReader",
    "Page",
    "ReadAhead",
    "number",
    "part",
]
