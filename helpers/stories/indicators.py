"""Which indicators a story names: addresses, domains, URLs, hashes, CVEs, e-mail addresses, defanged or not. Pure.

ioc-finder finds them, and ``urls.py`` says where a URL ends; PyMISP's copy of MISP's own rules says in which form
MISP keeps a value, and whether it takes it at all. What stands on the site of the news itself is a reference and no
indicator.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from constants import LONGEST_OTHER, LONGEST_VALUES
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
# ioc-finder and ioc-fanger take time with the square of a text's length (measured: 16,000 times "(" 50 s).
WINDOW = 4_096
# A gap that nothing defanged reaches over: ioc-fanger joins what is on one line, by brackets, a slash or such a word.
_JOINING = "DOT|AT|ET|ARROBA|dot|at|et|arroba|punto|punkt|https?|@"
_ENDS = ("DOT", "AT", "ET", "ROBA", "dot", "at", "et", "roba", "nto", "nkt", "http")
_JOINED = "".join(f"(?<!{end})" for end in _ENDS)
_SAFE_GAP = re.compile(rf"\n|(?<=[\w.,;!?]){_JOINED} +(?!{_JOINING})(?=\w)")
_GAP = re.compile(rf"\n|(?<=[\w.,;!?])(?<!DOT)(?<!AT)(?<!ET)(?<!ROBA)(?<!dot)(?<!at)(?<!http) +(?!{_JOINING})(?=\w)")
_GAP = re.compile(f"[{BETWEEN}]")
_WORD = re.compile(f"[^{BETWEEN}]+")
# Longer runs than in any defanged name, whose labels have 63 characters; of spaces, ioc-fanger looks at three.
_BRACKETS, _SPACES = re.compile(r"[-\[\](){}]{64,}"), re.compile(r"[^\S\n]{5,}")
# What cannot begin the domain of an address; ioc-finder's grammar is slow with each that might.
_NO_ADDRESS = re.compile(r"@(?![\w-]{1,63}\.|\[)")
# To ioc-fanger it is a part of a defanged dot, with whatever follows.
_CARET = re.compile(r"\^")


class StoryIndicator(NamedTuple):
    """An indicator, by MISP's type and in the form in which MISP keeps it."""

    type: str
    value: str


class StoryIndicators(NamedTuple):
    """What a story names: its indicators, each once and in a fixed order, and URLs and hosts that are unclear.

    ``long_words`` counts what is longer than any indicator, and was not looked at.
    """

    indicators: tuple[StoryIndicator, ...]
    unclear: tuple[str, ...]
    long_words: int = 0


def indicators_in(story: Story) -> StoryIndicators:
    """Return the indicators that a story names."""
    text = _thinned("\n".join(_texts(story)))
    found: set[tuple[str, str]] = set()
    unclear: list[str] = []
    for window in windows(encoded(text, _CARET)):
        found_here, unclear_here = _find_in(window)
        found |= found_here
        unclear += unclear_here
    news_hosts = _news_hosts(story)
    stored = {indicator for type_, value in found for indicator in _as_stored(type_, value)}
    indicators = sorted(indicator for indicator in stored if _host_of(indicator) not in news_hosts)
    return StoryIndicators(tuple(indicators), tuple(dict.fromkeys(unclear)), _long_words(text))


def _thinned(text: str) -> str:
    """Take out what no indicator holds, and what takes the longest to look through."""
    return _SPACES.sub("    ", _BRACKETS.sub(" ", text))


def _find_in(window: str) -> tuple[set[tuple[str, str]], list[str]]:
    """Return MISP's type and the value of what is in a text, and which of its URLs and hosts are unclear."""
    from ioc_finder.ioc_finder import prepare_text  # noqa: PLC0415  takes 0.4 s to import

    requested = Requested(prepare_text(window))
    found: set[tuple[str, str]] = set()
    for part in windows(_NO_ADDRESS.sub(" ", requested.text)):  # encoding makes a text longer
        found |= _iocs_in(part, requested.urls)
    return found, requested.unclear


def _iocs_in(text: str, requested: Mapping[str, str]) -> set[tuple[str, str]]:
    from ioc_finder import find_iocs  # noqa: PLC0415  takes 0.4 s to import

    iocs = find_iocs(
        text,
        parse_domain_from_url=False,
        parse_domain_from_email_address=False,
        parse_address_from_cidr=False,
    )
    urls = {("url", requested[url]) for url in iocs.pop("urls", ()) if url in requested}
    return urls | {(TYPES[name][0], str(value)) for name, values in iocs.items() if name in TYPES for value in values}


def windows(text: str) -> Iterator[str]:
    """Cut a text between words; a word that is longer than a window is no indicator, and is left out."""
    start = 0
    while len(text) - start > WINDOW:
        end = start + WINDOW
        cut = _last_cut(text, start, end)
        if cut:
            yield text[start:cut]
            start = cut
        else:
            gap = _GAP.search(text, end)
            start = gap.end() if gap else len(text)
    yield text[start:]


def _last_cut(text: str, start: int, end: int) -> int:
    """Return where to cut a part of a text; 0 where it is in the middle of one word."""
    for gaps in (_SAFE_GAP, _GAP):
        if cuts := [gap.end() for gap in gaps.finditer(text, start, end)]:
            return cuts[-1]
    return 0


def _long_words(text: str) -> int:
    return sum(len(word[0]) > WINDOW for word in _WORD.finditer(text))


def _texts(story: Story) -> Iterator[str]:
    yield from (story.title, story.description, story.summary, story.comments)
    for item in story.news_items:
        yield from (item.title, item.content, item.review)


def _as_stored(type_: str, value: str) -> Iterator[StoryIndicator]:
    """Yield the value as MISP would keep it, if it would."""
    from pymisp.tools.attributevalidationtool import AttributeValidationTool  # noqa: PLC0415  0.2 s to import

    rules: Any = AttributeValidationTool
    if len(value) > LONGEST_VALUES.get(type_, LONGEST_OTHER):
        return
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
