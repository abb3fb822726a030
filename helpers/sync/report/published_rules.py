"""Indicators that the rules which Microsoft publishes do not match, or not all of them: counted, and in words. Pure.

docs/sentinel.md ("What Microsoft's published content reads") has the rules, pattern by pattern.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from helpers.indicators import in_small_letters
from helpers.text import counted

if TYPE_CHECKING:
    from helpers.settings import Settings

# Of STIX, and as it is recorded of a tiIndicator.
_ADDRESS = re.compile(r"\[(?:ipv|network(?:Source|Destination)?IPv)([46])")
# Microsoft, "TI map IP entity to AppServiceHTTPLogs" 1.5.5: Confidence > 50.
_TOO_LOW = 50


class Sort(StrEnum):
    """What is told apart of indicators here; --json has the value."""

    IPV4 = "ipv4_addresses"
    IPV6 = "ipv6_addresses"
    CAPITALS = "urls_with_capitals"


def sort_of(pattern: str) -> Sort | None:
    """Return of which sort an indicator is, by its pattern or as much of that as has its kind and value."""
    if address := _ADDRESS.match(pattern):
        return Sort.IPV4 if address[1] == "4" else Sort.IPV6
    return Sort.CAPITALS if in_small_letters(pattern) else None


def sorted_by(patterns: Iterable[str]) -> Counter[Sort]:
    """Count indicators by their sorts."""
    return Counter(filter(None, map(sort_of, patterns)))


def not_matched(
    settings: Settings, counts: Mapping[Sort, int], where: str = "", *, more_urls: bool = False
) -> Iterator[str]:
    """Say which of so many indicators Microsoft's rules for Sentinel match not, or not all, a sentence for each sort.

    ``where`` is at which destinations; ``more_urls``: not all of these were looked at.
    """
    if not _reach_sentinel(settings):
        return
    if addresses := counts.get(Sort.IPV6, 0):
        said = counted(addresses, "IPv6 address", "IPv6 addresses")
        yield f"{said}{where}: no rule that Microsoft publishes matches {_them(addresses)}"
    if (urls := counts.get(Sort.CAPITALS, 0)) and not settings.lowercase_url_twins:
        said = f"{'at least ' if more_urls else ''}{counted(urls, 'URL', 'URLs')} with capital letters{where}"
        yield f"{said}: 3 of Microsoft's 8 rules never match {_them(urls)}; lowercase_url_twins sends small ones too"
    if counts.get(Sort.IPV4, 0) and settings.default_confidence <= _TOO_LOW:
        yield f"default_confidence {settings.default_confidence}: the rule for AppServiceHTTPLogs wants more"


def not_to_be_matched(settings: Settings) -> Iterator[str]:
    """Say in a sentence what Microsoft's rules for Sentinel would not match of what may be sent."""
    if _reach_sentinel(settings):
        urls = "" if settings.lowercase_url_twins else ", not all match URLs with capitals (lowercase_url_twins)"
        too_low = settings.default_confidence <= _TOO_LOW
        confidence = f", one wants default_confidence > {_TOO_LOW}" if too_low else ""
        yield f"match no IPv6 address{urls}{confidence}"


def _reach_sentinel(settings: Settings) -> bool:
    return not settings.graph or settings.ms_target_product == "Azure Sentinel"


def _them(number: int) -> str:
    return "it" if number == 1 else "them"
