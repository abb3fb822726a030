"""Events with more attributes than MISP can answer at once, read in pages of attributes."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from helpers.errors import MispError
from helpers.indicators import NAMED, ConversionRules
from helpers.misp import search_filters
from helpers.misp.event_slices import FILE_NAME, UNASKED, UnflaggedFileNames, as_event, split_open_object
from helpers.misp.paged_search import PagedSearch
from helpers.misp.responses import Attribute, Event, ListedEvent, events_in, whole_number
from helpers.settings import Settings

# What of an event changes with its attributes.
_CHANGES_WITH_ATTRIBUTES = ("timestamp", "published", "attribute_count")


@dataclass
class LargeEventReader:
    """Reads what is flagged in an event; objects come without their names, members together.

    ``damaged`` counts the rows of the event read last that are no attributes.
    """

    settings: Settings
    search: PagedSearch
    damaged: int = 0

    def slices(self, listed: ListedEvent, filters: Mapping[str, Any]) -> Generator[Event, None, bool]:
        """Yield the event in slices, each with its header; return whether it changed meanwhile. Raises MispError.

        Of what is not flagged, the names of files that have flagged members are read; the last slice counts the rest.
        """
        self.damaged = 0
        header = {**self._header(listed, filters), **self._event_names(listed)}
        file_names = UnflaggedFileNames(self._unflagged_file_names(listed, filters))
        scores = search_filters.for_scores(wanted=self.settings.needs_decay_scores)
        arguments = {**search_filters.for_attributes(filters), **scores, "eventid": listed.id}
        unasked = whole_number(header.get("attribute_count")) if _only_flagged(arguments) else 0
        held_back: list[Attribute] = []
        for page in self.search.attribute_pages(arguments, listed.attributes):
            self.damaged += page.damaged
            complete, held_back = split_open_object(held_back + page.attributes)
            names = file_names.take(complete)
            live = sum(not attribute.get("deleted") for attribute in page.attributes)
            unasked -= live + page.hidden + len(names)
            yield {**header, **as_event(names + complete)}
        names = file_names.take(held_back)
        yield {**header, **as_event(names + held_back), UNASKED: max(0, unasked - len(names))}
        header_after = self._header(listed, filters)
        return any(header_after.get(name) != header.get(name) for name in _CHANGES_WITH_ATTRIBUTES)

    def _header(self, listed: ListedEvent, filters: Mapping[str, Any]) -> Event:
        by_uuid = search_filters.by_uuid(filters, listed.uuid)
        answer = self.search.search("events", {**search_filters.without_time_windows(filters), **by_uuid})
        headers = [event for event in events_in(answer) if str(event.get("uuid")).lower() == listed.uuid]
        if not headers:
            raise MispError("the event left the filters while it was read")
        return headers[0]

    def _event_names(self, listed: ListedEvent) -> dict[str, list[Attribute]]:
        """Return, where each slice of an event has to say them, the attributes that speak for the whole of it."""
        types = ConversionRules.of(self.settings).event_names
        if not types:
            return {}
        pages = self.search.attribute_pages({"eventid": listed.id, "type_attribute": list(types)}, 0)
        return {NAMED: [attribute for page in pages for attribute in page.attributes]}

    def _unflagged_file_names(self, listed: ListedEvent, filters: Mapping[str, Any]) -> Iterator[Attribute]:
        """Yield an event's file names that are not flagged: hashes in their objects are described with them."""
        arguments = search_filters.for_attributes(filters)
        if not _only_flagged(arguments):  # what the site wants to read is its own affair
            return
        of_names = {"to_ids": 0, "type_attribute": FILE_NAME, "deleted": 0, "eventid": listed.id}
        for page in self.search.attribute_pages({**arguments, **of_names}, 0):
            yield from page.attributes


def _only_flagged(arguments: Mapping[str, Any]) -> bool:
    """Whether attributes are asked for that are flagged, and no others."""
    return str(arguments["to_ids"]) == "1"
