"""Addresses of those who are told how runs went: which are taken, and what of them is secret. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import SplitResult, unquote, urlsplit

EXIT_CODE, DESTINATION = "{exit_code}", "{destination}"
PLACEHOLDERS = (EXIT_CODE, DESTINATION)
# From so many characters on, a part of an address is a token and no word: an id of Healthchecks has 36, a key 22.
_SHORTEST_TOKEN = 16
# Tokens in apprise's addresses are shorter.
_SHORTEST_NOTIFY = 8
# What this program is called stands in paths and commands; as a topic or a sender it is guessed, and no secret.
_OWN_NAME = "misp2sentinel"
_PARTS = re.compile(r"[/?&=#:@]+")


def ping_address(value: str) -> str:
    """Accept an address that is pinged, with placeholders in its path or query, or an empty text."""
    if not value:
        return value
    if re.search(r"[\s<>\\#]", value) or not value.isascii() or not value.isprintable():
        raise ValueError("has a space, <, >, # or an odd character in it: copy the address again.")
    url = _split(re.sub("|".join(map(re.escape, PLACEHOLDERS)), "0", value))
    if re.search("[{}]", url.geturl()):
        raise ValueError(f"has a placeholder that there is not: write {' or '.join(PLACEHOLDERS)}.")
    if url.scheme not in ("http", "https") or not url.hostname or "{" in urlsplit(value).netloc:
        raise ValueError("is not a web address: write it whole, as in https://ping.example.org/your-id.")
    if "@" in url.netloc:
        raise ValueError("has a user or password in it: take them out of the address.")
    if url.scheme == "http" and not _is_near(url.hostname):
        raise ValueError("must begin with https://: whoever sees it can report in your name.")
    return value


def token_parts(address: str) -> Iterator[str]:
    """Yield what of an address that is pinged is secret: all of it, what follows the host, and each long part of that.

    Whoever has the address of a check can report in its name.
    """
    yield address
    behind = re.sub(r"^[^:/]*:/+[^/?]*", "", address)
    for text in (behind, *_PARTS.split(behind)):
        without = re.split("|".join(map(re.escape, PLACEHOLDERS)), text)[0]
        if len(without.strip("/")) >= _SHORTEST_TOKEN:
            yield from dict.fromkeys((without, unquote(without)))


def notify_addresses(addresses: list[str]) -> list[str]:
    """Accept addresses of apprise, a scheme and :// each; what follows is apprise's to judge."""
    for number, address in enumerate(addresses):
        if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://\S", address) or not address.isprintable():
            raise ValueError(
                f"has no address as its entry {number}: write each as in mailtos://user:password@example.org."
            )
    return addresses


def notify_secrets(address: str) -> Iterator[str]:
    """Yield what of an address of apprise is secret: all of it, and each part that may be a token or a password."""
    yield address
    for part in re.split(r"[/?&=:@]+", address.partition("://")[2]):
        if len(part) >= _SHORTEST_NOTIFY and _is_no_host(part) and part.lower() not in _OWN_NAME:
            yield from dict.fromkeys((part, unquote(part)))


def _is_no_host(part: str) -> bool:
    """Say whether a part is no host: it has no dot, or a long piece with capital letters, as keys and tokens do."""
    pieces = part.split(".")
    return len(pieces) == 1 or any(len(piece) >= _SHORTEST_TOKEN and piece != piece.lower() for piece in pieces)


def _split(value: str) -> SplitResult:
    try:
        url = urlsplit(value)
        _ = url.port
    except ValueError:
        raise ValueError("is not an address: copy it again.") from None
    return url


def _is_near(host: str) -> bool:
    """Say whether a host is this machine, or an address in a private network."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_private
    except ValueError:
        return False
