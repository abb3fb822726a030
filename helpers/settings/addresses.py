"""What is secret in an address, and which addresses are the same: of a database, a proxy or a service. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from posixpath import normpath
from urllib.parse import quote, unquote, unquote_plus, unquote_to_bytes, urlsplit

_HIDDEN = "***"
_PORTS = {"http": 80, "https": 443}
_PLAIN_IN_PATH = "!$&'()*+,;=:@~"
# What stands between two names and values, and in a value up to the next "&": it may hold the rest of them.
_NAMED = re.compile(r"(?<=[?#&;])([^=?#&;]*)=(?=([^&]*))")
_SECRET_NAME = re.compile(
    r".*(?:pass(?:word|wd|phrase)|pwd|secret|token|api[-_]?key|(?:access|account|client|server|subscription)[-_]?key).*"
    r"|pass|pw|key|code|auth|authorization|sas|sig|(?:.*-)?signature",
    re.IGNORECASE,
)


def secrets_in(address: str) -> tuple[str, ...]:
    """Return every secret in an address, as it stands there and as the other side gets it; () where there is none."""
    raw = [address[start:end] for start, end in _places(address)]
    return tuple(dict.fromkeys(form for text in raw for form in (text, unquote(text), unquote_plus(text)) if form))


def without_secrets(address: str) -> str:
    """Return an address as people may see it: *** stands for each secret in it."""
    shown, shown_to = "", 0
    for start, end in sorted(_places(address)):
        if end > shown_to:
            shown += address[shown_to:start] + _HIDDEN
            shown_to = end
    return shown + address[shown_to:]


def canonical_address(address: str) -> str:
    """Return the one spelling of a web address: its host in lower case, no port that goes without saying, no slash.

    RFC 3986, 6.2.2 and 6.2.3: scheme and host have no letter case, an empty or a default port is none, ``.`` and
    ``..`` are resolved, and what need not be escaped is not. Doubled slashes are one, as for web servers.
    """
    url = urlsplit(address)
    host, port = url.netloc.lower().removesuffix(":"), url.port
    if port is not None and port == _PORTS.get(url.scheme):
        host = host.rpartition(":")[0]
    parts = [quote(unquote_to_bytes(part), safe=_PLAIN_IN_PATH) for part in url.path.split("/") if part]
    return f"{url.scheme}://{host}{normpath('/' + '/'.join(parts))}".rstrip("/")


def _places(address: str) -> Iterator[tuple[int, int]]:
    """Yield where the secrets of an address begin and end; what SQLite has is the path of a file."""
    if address.startswith("sqlite:"):
        return
    yield from _place_beside_user(address)
    for named in _NAMED.finditer(address):
        if named[2] and _SECRET_NAME.fullmatch(unquote(named[1]).strip()):
            yield named.start(2), named.end(2)


def _place_beside_user(address: str) -> Iterator[tuple[int, int]]:
    """Yield where the password is, even one with characters that should have been escaped.

    A user without one is a token, but for a database, which may know its users otherwise.
    """
    scheme, mark, _ = address.partition("://")
    begin, end = len(scheme + mark) if mark else 0, address.rfind("@")
    user = address[begin:end].partition(":")[0]
    if end > begin and begin + len(user) + 1 < end:
        yield begin + len(user) + 1, end
    elif end > begin and user and not scheme.startswith("postgresql"):
        yield begin, begin + len(user)
