"""URLs in a text, in the form in which clients request them. Pure.

RFC 3987, 3.1: what a URL cannot hold is written as the percent-encoded bytes of its UTF-8, its host in punycode.
ioc-finder ends a URL at the first such character, also at an accent, "@" or a comma: at worst at its site's root.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from helpers.indicators import Unsendable, punycode

LOST = "\ufffd"
# What ends a URL in any text: RFC 3986, appendix C, and what Markdown puts around one.
BETWEEN = r"\s<>\"|`"
_SPACES = re.compile(f"([{BETWEEN}]+)")
# Where the host ends and the rest begins, also in what is defanged.
_BEHIND_HOST = re.compile(r"//[^/?#]+[/?#]|[.\])}][a-z][a-z0-9-]{1,62}(?::\d{1,5})?/", re.IGNORECASE)
# Letters of hosts, which have 127 labels at most. Scripts without spaces stand beside a host, and are no part of it.
_LETTER = r"[^\W\u2e80-\ud7ff\uf900-\uffef]"
_NAME = rf"(?<!{_LETTER})(?<![{LOST}-])(?:(?:{_LETTER}|[{LOST}-])+\.){{1,126}}(?:{_LETTER}|-)+"
_URL = re.compile(
    rf"(?<![a-z0-9])(?P<scheme>[a-z][a-z0-9+.-]{{0,30}}://)[^{BETWEEN}]+|{_NAME}(?P<path>(?::\d{{1,5}})?/[^{BETWEEN}]*)?",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_NEXT = re.compile(r"(?<![,;'])[,;']+(?=[a-z][a-z0-9+.-]{1,30}://)", re.IGNORECASE)
_CLOSING = {")": "(", "]": "[", "}": "{"}
# RFC 3986: what may stand behind the host, and what is percent-encoded already.
_ALLOWED = "/?#:@!$&'()*+,;=%-._~"
_ENDS = frozenset(".,;:!?'»")


def encoded(text: str, characters: re.Pattern[str]) -> str:
    """Percent-encode these characters where they stand in a URL, behind its host."""
    if not characters.search(text):
        return text
    return "".join(_encoded(word, characters) for word in _SPACES.split(text))


def _encoded(word: str, characters: re.Pattern[str]) -> str:
    host = _BEHIND_HOST.search(word)
    if host is None:
        return word
    return word[: host.end()] + characters.sub(lambda match: quote(match[0]), word[host.end() :])


@dataclass
class Requested:
    """A text in which a plain stand-in is written for each URL, so that whoever looks for URLs takes the whole of it.

    ``urls`` says which URL each one stands for; ``unclear`` are those of which nobody can tell what is requested.
    """

    text: str
    urls: dict[str, str] = field(default_factory=dict)
    unclear: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Look through the text."""
        self.text = "".join(self._pieces(self.text))

    def _pieces(self, text: str) -> Iterator[str]:
        position = 0
        while match := _URL.search(text, position):
            is_url = bool(match["scheme"] or match["path"])
            whole = _whole(match[0]) if is_url else match[0]
            yield text[position : match.start()]
            yield f"{self._stand_in(whole)} " if is_url else _plain(whole)
            position = match.start() + len(whole)
        yield text[position:]

    def _stand_in(self, url: str) -> str:
        start, authority, rest = _split(url)
        host = dns_name(authority)
        if host is None or "@" in host or not _is_clear(rest):
            self.unclear += [url] if start or host else []
            return ""
        path = "/" + quote(rest.removeprefix("/"), safe="/%") if rest else ""
        # What stands before a host and is no scheme to ioc-finder, it leaves out.
        self.urls[host + path] = host + quote(rest, safe=_ALLOWED)
        self.urls[start + host + path] = start + self.urls[host + path]
        return start + host + path


def dns_name(host: str) -> str | None:
    """Return a host as DNS knows it; None where it is none."""
    if host.isascii():
        return host.lower() if _is_clear(host) else None
    try:
        return punycode(host)
    except Unsendable:
        return None


def _plain(name: str) -> str:
    """Return a name that is in no URL as DNS knows it, without what is left of an emoji beside it; " " for none."""
    bare = name.lstrip(LOST)
    if bare.isascii():
        return " " if bare.startswith(".") else bare
    return dns_name(bare) or " "


def _split(url: str) -> tuple[str, str, str]:
    """Return the scheme with ``://``, if there is one, the authority, and the rest with the slashes of browsers."""
    slashed = url.replace("\\", "/")
    start = _SCHEME.match(slashed)
    behind = slashed[start.end() :] if start else slashed
    host = re.split(r"[/?#]", behind, maxsplit=1)[0]
    return start[0].lower().replace("hxxp", "http") if start else "", host, behind[len(host) :]


def _whole(text: str) -> str:
    """Cut what follows a URL off it: another URL, a bracket that closes none of its own, punctuation at its end."""
    following = _NEXT.search(text, 1)
    url = text[: following.start()] if following else text
    opened: list[str] = []
    for index, letter in enumerate(url):
        if letter in _CLOSING.values():
            opened.append(letter)
        elif letter in _CLOSING and (not opened or opened.pop() != _CLOSING[letter]):
            url = url[:index]
            break
    while url and (url[-1] in _ENDS or (not url[-1].isascii() and unicodedata.category(url[-1]).startswith("P"))):
        url = url[:-1]
    return url


def _is_clear(text: str) -> bool:
    return LOST not in text and not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text)
