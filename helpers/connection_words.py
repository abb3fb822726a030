"""Why a connection failed, without what requests and urllib3 wrap around it. Pure."""

from __future__ import annotations

import re

_WRAPPED = ("ConnectionPool(", "Connection aborted")
_OBJECT = re.compile(r"<[^<>]* at 0x[0-9a-f]+>(?:, |: )?")
_INNERMOST = re.compile(r"""^.*\b[A-Za-z]+\((?:\d+, )?(['"])(.*?)(?:\1\)*)?$""", re.DOTALL)
_PLACE = re.compile(r"^HTTPS?Connection(?:Pool)?\([^()]*\): ")


def innermost_cause(words: object) -> str:
    """Return the innermost cause that an exception's text names: ``[Errno 111] Connection refused`` and the like.

    Text that none of the two libraries wrote is returned as it is.
    """
    text = str(words)
    if not any(mark in text for mark in _WRAPPED):
        return text
    plain = _OBJECT.sub("", text)
    found = _INNERMOST.match(plain)
    said = _PLACE.sub("", found[2] if found else plain)
    return f"Unable to connect to proxy: {said}" if "ProxyError(" in text else said
