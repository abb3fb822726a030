"""Where an address leads: scheme, host and port, which decide who may get a secret. Pure.

Programs read odd addresses differently: for urllib3, as for browsers (WHATWG, URL), a backslash ends the host, for
urllib.parse it does not. So an address is taken only where both read the same.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from urllib3.util import parse_url

from helpers.text import printable, shorten

_MOST_SHOWN = 200
_PORTS = {"http": 80, "https": 443}
# Visible ASCII, but for the backslash.
_PLAIN = re.compile(r"[!-\[\]-~]+")


class Origin(NamedTuple):
    """What of an address decides whom a request reaches (RFC 6454, section 4)."""

    scheme: str
    host: str
    port: int


def origin_of(address: str) -> Origin | None:
    """Return the origin of an address; None for one with a user in it, or one that may be read in two ways."""
    if not _PLAIN.fullmatch(address):
        return None
    try:
        url, url_of_urllib3 = urlsplit(address), parse_url(address)
        port = url.port
    except ValueError:
        return None
    if "@" in url.netloc or not url.hostname or url.scheme not in _PORTS:
        return None
    if (url_of_urllib3.host or "").strip("[]") != url.hostname or url_of_urllib3.port != port:
        return None
    return Origin(url.scheme, url.hostname, _PORTS[url.scheme] if port is None else port)


def same_origin(address: str, other: str) -> bool:
    """Whether two addresses have the same scheme, host and port beyond doubt."""
    origin = origin_of(address)
    return origin is not None and origin == origin_of(other)


def joined(address: str, location: str) -> str:
    """Return where a ``location`` leads that an answer from ``address`` named; it may be relative, or no address."""
    try:
        return urljoin(address, location)
    except ValueError:
        return location


def shown(address: str) -> str:
    """Return an address for people: without a user and without its query, which may hold a secret."""
    try:
        url = urlsplit(address)
        bare = url._replace(netloc=url.netloc.rpartition("@")[2], query="", fragment="").geturl()
    except ValueError:
        bare = address.partition("?")[0]
    return shorten(printable(bare[:_MOST_SHOWN]), _MOST_SHOWN)
