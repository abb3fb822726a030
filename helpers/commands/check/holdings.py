"""What the ledger holds that Microsoft's published rules do not match, or not all of them, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from helpers.ledger import LedgerCounts, ledger_destinations
from helpers.settings import Settings
from helpers.sync import Sort, sort_of, sorted_by

# No index says which URLs have capital letters; to look at so many of a million indicators takes under a second.
MOST_URLS = 20_000
_URLS = ("url:value", "url")


class Holdings(NamedTuple):
    """How many indicators are live, of each sort, and whether there are more URLs than were looked at."""

    sorts: Counter[Sort]
    more_urls: bool


def holdings_of(settings: Settings, destinations: Iterable[Settings], now: int) -> Holdings | None:
    """Count what is live at some destinations; None where nothing is. Raises LedgerError and SettingsError."""
    wanted = {(destination.workspace_key, destination.sourcesystem) for destination in destinations}
    paths, patterns = Counter[str](), list[str]()
    with ledger_destinations(settings) as in_ledger:
        for known in in_ledger:
            if (known.workspace, known.sourcesystem) in wanted:
                counts = LedgerCounts(known.ledger, now)
                paths.update(counts.paths())
                patterns += counts.patterns(_URLS, MOST_URLS - len(patterns))
    if not paths:
        return None
    sorts = sorted_by(patterns)
    for path, count in paths.items():
        if sort := sort_of(f"[{path}"):
            sorts[sort] += count
    return Holdings(sorts, sum(paths[path] for path in _URLS) > len(patterns))
