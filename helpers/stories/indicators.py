"""Which indicators a story names: addresses, domains, URLs, hashes, CVEs, e-mail addresses, defanged or not. Pure.

ioc-finder finds them, and ``urls.py`` says where a URL ends; PyMISP's copy of MISP's own rules says in which form
MISP keeps a value, and whether it takes it at all. What stands on the site of the news itself is a reference and no
indicator.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from helpers.stories.story import Story
from helpers.stories.urls import BETWEEN, Requested, dns_name, encoded

# ioc-finder's names → MISP's types, with MISP's default category of each (describeTypes of MISP 2.5).
TYPES = {
    "ipv4s": ("ip-dst", "Network activity"),
    "ipv6s": ("ip-dst", "Network activity"),
    "domains": ("domain", "Network activity"),
    "urls": ("url", "Network activity"),
    "email_addresses": ("email-src", "Payload delivery"),
    "md5s": ("md5", "Payload delivery"),
    "sha1s": ("sha1", "Payload delivery"),
    "sha256s": ("sha256", "Payload delivery"),
    "cves": ("vulnerability", "External analysis"),
}
CATEGORIES = dict(TYPES.values())
# Top-level domains (IANA) that are more often the end of a file's name than of a domain's.
_FILE_ENDINGS = frozenset({"zip", "mov", "md", "py", "sh", "rs", "pl", "so", "app", "ps", "cab", "cpl"})
# ioc-finder takes time with the square of a text's length (measured: 60,000 characters of "a." 2 s, 240,000 29 s).
_WINDOW = 16_384
_BETWEEN = re.compile(f"[{BETWEEN}]")
# To ioc-fanger it is a part of a defanged dot, with whatever follows.
_CARET = re.compile(r"\^")


class StoryIndicator(NamedTuple):
    """An indicator, by MISP's type and in the form in which MISP keeps it."""

    type: str
    value: str


class StoryIndicators(NamedTuple):
    """What a story names: its indicators, each once and in a fixed order, and URLs and hosts that are unclear."""

    indicators: tuple[StoryIndicator, ...]
    unclear: tuple[str, ...]


def indicators_in(story: Story) -> StoryIndicators:
    """Return the indicators that a story names."""
    found: set[tuple[str, str]] = set()
    unclear: list[str] = []
    for window in windows("\n".join(_texts(story))):
        found_here, unclear_here = _find_in(window)
        found |= found_here
        unclear += unclear_here
    news_hosts = _news_hosts(story)
    stored = {indicator for type_, value in found for indicator in _as_stored(type_, value)}
    indicators = sorted(indicator for indicator in stored if _host_of(indicator) not in news_hosts)
    return StoryIndicators(tuple(indicators), tuple(dict.fromkeys(unclear)))


def _find_in(text: str) -> tuple[set[tuple[str, str]], list[str]]:
    """Return MISP's type and the value of what is in a text, and which of its URLs and hosts are unclear."""
    from ioc_finder import find_iocs  # noqa: PLC0415  takes 0.4 s to import
    from ioc_finder.ioc_finder import prepare_text  # noqa: PLC0415

    requested = Requested(prepare_text(encoded(text, _CARET)))
    iocs = find_iocs(
        requested.text,
        parse_domain_from_url=False,
        parse_domain_from_email_address=False,
        parse_address_from_cidr=False,
    )
    urls = {requested.urls[url] for url in iocs.pop("urls", ()) if url in requested.urls}
    others = {(TYPES[name][0], str(value)) for name, values in iocs.items() if name in TYPES for value in values}
    return others | {("url", url) for url in urls}, requested.unclear


def windows(text: str) -> Iterator[str]:
    """Cut a text between words; a word that is longer than a window is no indicator, and is left out."""
    start = 0
    while len(text) - start > _WINDOW:
        end = start + _WINDOW
        cuts = [gap.end() for gap in _BETWEEN.finditer(text, start, end)]
        if cuts:
            yield text[start : cuts[-1]]
            start = cuts[-1]
        else:
            gap = _BETWEEN.search(text, end)
            start = gap.end() if gap else len(text)
    yield text[start:]


def _texts(story: Story) -> Iterator[str]:
    yield from (story.title, story.description, story.summary, story.comments)
    for item in story.news_items:
        yield from (item.title, item.content, item.review)


def _as_stored(type_: str, value: str) -> Iterator[StoryIndicator]:
    """Yield the value as MISP would keep it, if it would."""
    from pymisp.tools.attributevalidationtool import AttributeValidationTool  # noqa: PLC0415  0.2 s to import

    rules: Any = AttributeValidationTool
    if type_ == "domain" and value.rpartition(".")[2].lower() in _FILE_ENDINGS:
        return
    try:
        stored = rules.modifyBeforeValidation(type_, value)
        if rules.validate(type_, stored) is True:
            yield StoryIndicator(type_, str(stored))
    except (ValueError, UnicodeError):  # what cannot even be checked is none
        return


def _news_hosts(story: Story) -> set[str]:
    """Return the hosts that the news comes from."""
    addresses: Iterable[str] = (
        *(link.link for link in story.links),
        *(address for item in story.news_items for address in (item.link, item.source)),
    )
    return {host for host in map(_host, addresses) if host}


def _host_of(indicator: StoryIndicator) -> str:
    if indicator.type == "domain":
        return indicator.value
    return _host(indicator.value) if indicator.type == "url" else ""


def _host(address: str) -> str:
    try:
        return dns_name(urlsplit(address).hostname or "") or ""
    except ValueError:
        return ""
