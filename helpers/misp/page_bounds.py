"""When the pages of a search must have come to their end, whatever MISP says of how many there are. Pure.

A page may be empty with more behind it: warninglists, and some filters, take things out after the page was cut
(MISP 2.5.1). So an empty page is not the end, and MISP's own counters say where it is; but those may be anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from helpers.errors import MispError

# No MISP has so many events, and no event so many attributes; nothing hides so many of them in a row.
MOST = 10_000_000
MOST_HIDDEN = 1_000_000

_SAME_PAGE = "MISP, or a cache in front of it, answers every page with the same one"
_NO_END = "MISP, or what is in front of it, gives pages without an end: the search was left after {:,}"
_ALL_EMPTY = "MISP counts more than it gives: {:,} in a row were empty places"


@dataclass
class PageBounds:
    """Watches one search; ``pages`` has a number for each page that was seen, made of its ids."""

    pages: set[int] = field(default_factory=set)
    _filled_to: int = 0

    def check(self, ids: Iterable[object], end: int) -> None:
        """Take note of a page that ends at this place of the whole. Raises MispError where there is no end in sight."""
        page = frozenset(map(str, ids))
        if page and hash(page) in self.pages:
            raise MispError(_SAME_PAGE)
        if page:
            self.pages.add(hash(page))
            self._filled_to = end
        if end > MOST:
            raise MispError(_NO_END.format(MOST))
        if end - self._filled_to > MOST_HIDDEN:
            raise MispError(_ALL_EMPTY.format(end - self._filled_to))
