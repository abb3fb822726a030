"""MISP's searches, paged to their end, in smaller pages where MISP does not manage."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from helpers.errors import MispBusy, MispError
from helpers.misp import search_filters
from helpers.misp.client import TRIES, MispClient
from helpers.misp.page_bounds import PageBounds
from helpers.misp.responses import (
    Attribute,
    ListedEvent,
    attributes_in,
    damaged_rows,
    hidden_count,
    listed_events,
    result_count,
)

Arguments = Mapping[str, Any]

logger = logging.getLogger(__name__)

ATTRIBUTES_PER_PAGE = 4096
LISTED_PER_PAGE = 2048
SMALLEST_PAGE = 32
LISTING_PASSES = 5


class AttributePage(NamedTuple):
    """A page of attributes, how many the warninglists took from it, and how many rows of it are no attributes."""

    attributes: list[Attribute]
    hidden: int
    damaged: int = 0


@dataclass
class PagedSearch:
    """Searches MISP under the site's filters. Methods raise MispError."""

    client: MispClient
    _logged: set[str] = field(default_factory=set)

    def search(self, controller: str, arguments: Arguments, tries: int = TRIES) -> Any:
        """Return what a search answers; ``controller`` is ``events`` or ``attributes``."""
        return self.client.ask(
            lambda pymisp: pymisp.search(controller=controller, **arguments), tries, setting="misp_event_filters"
        )

    def list_events(self, filters: Arguments) -> list[ListedEvent]:
        """List events until two passes agree: a set that changes while it is paged hides events (in id order)."""
        arguments = search_filters.for_listing(filters)
        if filters.get("limit"):  # the site wants one page, and not what there is
            page = {**arguments, "limit": filters["limit"], "page": filters.get("page", 1)}
            return listed_events(self.search("events", page))
        events: dict[str, ListedEvent] = {}
        for _ in range(LISTING_PASSES):
            listed, page_count = self._listing_pass(arguments)
            agreed = page_count == 1 or events.keys() == {event.uuid for event in listed}
            events |= {event.uuid: event for event in listed}
            if agreed:
                break
        return list(events.values())

    def _listing_pass(self, arguments: Arguments) -> tuple[list[ListedEvent], int]:
        """List events page by page; return them, and how many pages they filled."""
        events: list[ListedEvent] = []
        offset, size, page_count, tries = 0, LISTED_PER_PAGE, 0, TRIES
        bounds = PageBounds()
        while True:
            try:
                page = {**arguments, "limit": size, "page": offset // size + 1}
                listed = listed_events(self.search("events", page, tries))
            except MispBusy as error:
                self.log_detour("in smaller pages", f"{size} events could not be listed at once", error)
                size, tries = _smaller(size, error), 1
                continue
            events += listed
            offset, page_count = offset + size, page_count + 1
            bounds.check((event.id for event in listed), offset)
            if len(listed) < size and offset >= result_count(self.client.last_headers):
                return events, page_count

    def attribute_pages(self, arguments: Arguments, counted: int) -> Iterator[AttributePage]:
        """Page through attributes; warninglists shorten a page after it is cut, so short is not the end.

        ``counted`` is how many there are by MISP's own counters, for when it does not say how many it left out.
        """
        offset, size, tries = 0, ATTRIBUTES_PER_PAGE, TRIES
        bounds = PageBounds()
        while True:
            try:
                page = {**arguments, "limit": size, "page": offset // size + 1}
                answer = self.search("attributes", page, tries)
                attributes, damaged = attributes_in(answer), damaged_rows(answer)
            except MispBusy as error:
                self.log_detour("in smaller pages", f"{size} attributes could not be read at once", error)
                size, tries = _smaller(size, error), 1
                continue
            offset += size
            bounds.check((attribute.get("id") for attribute in attributes), offset)
            hidden = hidden_count(self.client.last_headers)
            yield AttributePage(attributes, hidden or 0, damaged)
            if hidden is None and offset < counted:
                continue
            if len(attributes) + damaged + (hidden or 0) < size:
                return

    def log_detour(self, how: str, what: str, error: MispError) -> None:
        """Log that something is read in another way than planned, and why, once for each way."""
        if how not in self._logged:
            self._logged.add(how)
            logger.warning("MISP: %s. What is like it is read %s in this run. Why: %s", what, how, error)


def _smaller(size: int, error: MispBusy) -> int:
    """Return the size to try next, a divisor, so that the same place begins a page; else raise the error."""
    if size <= SMALLEST_PAGE:
        raise error
    return size // 4
