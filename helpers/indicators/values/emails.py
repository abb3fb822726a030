"""E-mail addresses: what stands between the angle brackets of a header's line, in lower case. Pure."""

from __future__ import annotations

import re

from constants import Skip
from helpers.indicators.values.text import EDGES, refanged, unwrapped, visible
from helpers.indicators.values.value import Unsendable

_NAMED = re.compile(r"[^<>]*<([^<>]*@[^<>]*)>")
_QUOTED = re.compile(r'"[^"]*"@')  # a local part that needs quotes (RFC 5321, section 4.1.2)
# What an address has only within such quotes (RFC 5322, section 3.2.3), and nothing that MISP takes needs.
_BETWEEN = re.compile(r"[\s<>,;]")


def email(text: str) -> str:
    """Return one e-mail address: no name, mailto:, quotes or final dot around it. Raises Unsendable."""
    text = refanged(text).lower()
    while (inner := _inner(text)) != text:
        text = inner
    quoted = _QUOTED.match(text)
    if _BETWEEN.search(text, quoted.end() if quoted else 0):
        raise Unsendable(Skip.BAD_VALUE, "not one e-mail address")
    return text


def _inner(text: str) -> str:
    """Take off what stands around an address, one layer of it."""
    text = visible(unwrapped(text).removesuffix(".").rstrip(EDGES))
    if named := _NAMED.fullmatch(text + ">" if "<" in text else text):
        return named[1]
    if text.startswith("mailto:"):
        return text.removeprefix("mailto:").partition("?")[0]
    return text if _QUOTED.match(text) else text.lstrip(EDGES)
