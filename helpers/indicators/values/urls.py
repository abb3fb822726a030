"""URLs as logs have them: the path as it is, a scheme, and a host that can be looked up. Pure."""

from __future__ import annotations

import re

from constants import Skip
from helpers.indicators.values.hosts import punycode
from helpers.indicators.values.text import opened, refanged, visible
from helpers.indicators.values.value import Unsendable

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# What stands before a colon is a scheme unless a port comes after it (RFC 3986, sections 3 and 3.2.3).
_OTHER_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:(?!//)(?![0-9]+(?:[/?#]|\Z))", re.IGNORECASE)
_DEFANGED_SCHEME = re.compile(r"(?:hxxp|h\*\*p|hxtp|htxp|meow|h\[tt\]p)(?=s?(?:://|\[:\]//|\[://\]))", re.IGNORECASE)
_DEFANGED_MARK = re.compile(r"([a-z][a-z0-9+.-]*)(?:\[:\]//|\[://\])", re.IGNORECASE)
_ONE_SLASH = re.compile(r"\A(https?:)/(?!/)", re.IGNORECASE)
_END_OF_HOST = re.compile(r"[/?#]|\Z")


def url(text: str) -> str:
    """Keep the case and the path; make the scheme and the host readable again. Raises Unsendable without a host."""
    text = _with_readable_scheme(opened(text))
    if _OTHER_SCHEME.match(text):
        raise Unsendable(Skip.BAD_VALUE, "a URI that names no host, as mailto: and javascript: do")
    match = _SCHEME.match(text)
    scheme, rest = (text[: match.end()], text[match.end() :]) if match else ("http://", text)
    end = _END_OF_HOST.search(rest)
    authority = rest[: end.start()] if end else rest
    requested = refanged(_as_requested(refanged(authority)))
    if not requested:
        raise Unsendable(Skip.BAD_VALUE, "a URL without a host")
    return visible(scheme + requested + rest[len(authority) :])


def _with_readable_scheme(text: str) -> str:
    if defanged := _DEFANGED_SCHEME.match(text):
        text = "http" + text[defanged.end() :]
    if defanged := _DEFANGED_MARK.match(text):
        text = f"{defanged[1]}://{text[defanged.end() :]}"
    if text.startswith("//"):
        text = f"http:{text}"
    return _ONE_SLASH.sub(r"\1//", text)


def _as_requested(authority: str) -> str:
    """Return a host in punycode, which is what DNS, TLS and HTTP carry, and so what logs have (RFC 5890, RFC 3986)."""
    if authority.isascii():
        return authority
    user, at, name = authority.rpartition("@")
    name, colon, port = name.partition(":")
    try:
        return user + at + punycode(name) + colon + port
    except Unsendable:  # an emoji, for instance, of which browsers make a name and IDNA 2008 does not
        return authority
