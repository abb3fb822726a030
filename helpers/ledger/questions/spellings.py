"""Values as analysts write them: in any case, defanged, or half of a composite. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator

from constants import UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES
from helpers.indicators import Unsendable, compared_values, network_in, normalise, plain

# As much of a long value as the ledger is asked for; it keeps long values cut.
LONGEST = 100

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# MISP types of which a value, or a half of one, may be an address or a block.
WITH_ADDRESSES = ("ip-src", "ip-dst", "ip-src|port", "ip-dst|port", "domain", "hostname", "hostname|port", "domain|ip")
_CUT = "..."
# What has a quoted value in brackets is a STIX pattern, or the parser says that it is none.
_PATTERN = re.compile(r"\s*[\[(].*'.*[\])]\s*", re.DOTALL)
_DEFANGED = (
    (re.compile(r"\bh(?:xx|\*\*|tt)p(?=s?\W)", re.IGNORECASE), "http"),
    (re.compile(r"\bfxp(?=s?\W)", re.IGNORECASE), "ftp"),
    (re.compile(r"[\[({]://[\])}]"), "://"),
    (re.compile(r"\s?[\[({]\s?(?:\.|dot)\s?[\])}]\s?|\\\.", re.IGNORECASE), "."),
    (re.compile(r"[\[({]:[\])}]"), ":"),
    (re.compile(r"\s?[\[({]\s?(?:@|at)\s?[\])}]\s?", re.IGNORECASE), "@"),
)
_WITH_PORT = re.compile(r"[^:/|]+:\d{1,5}\Z")
_IPV6_WITH_PORT = re.compile(r"\[(?P<address>[0-9a-f:.]+)\](?::\d{1,5})?\Z", re.IGNORECASE)
_SIMPLE = tuple(kind for kind in UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES if "|" not in kind)
_PORTS = ("hostname|port", "ip-dst|port")
_PAIRS = tuple(kind for kind in UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES if "|" in kind and kind not in _PORTS)


def refanged(text: str) -> str:
    """Return a value that can be compared: nothing in it that keeps people from clicking."""
    text = plain(text)
    for defanged, readable in _DEFANGED:
        text = defanged.sub(readable, text)
    return text


def spellings(text: str) -> frozenset[str]:
    """Return every form, in lower case, in which MISP or Sentinel may hold what an analyst wrote.

    Of a STIX pattern these are the forms of each value in it.
    """
    values = _values_in_pattern(text) if _PATTERN.fullmatch(text) else []
    return frozenset().union(*map(_spellings, values)) if values else _spellings(text)


def addresses(asked: Iterable[str]) -> frozenset[Address]:
    """Return the single addresses among some spellings."""
    networks = [network for text in asked if (network := network_in(text))]
    return frozenset(network.network_address for network in networks if network.num_addresses == 1)


def blocks_with(address: Address) -> list[str]:
    """Return every block with an address in it, as it is written, the largest first."""
    lengths = range(address.max_prefixlen)
    return [str(ipaddress.ip_network((address, length), strict=False)) for length in lengths]


def mapped(address: Address) -> list[str]:
    """Return an IPv4 address as IPv6 writes it; MISP has it in hexadecimal."""
    if address.version == 6:
        return []
    number = int(address)
    return [f"::ffff:{address}", f"::ffff:{number >> 16:x}:{number & 0xFFFF:x}"]


def block_texts(address: Address) -> tuple[str, list[str]]:
    """Return how blocks with an address begin as texts, and those that are too large to begin so."""
    mark, bits = (".", 8) if address.version == 4 else (":", 16)
    return str(address).partition(mark)[0] + mark, blocks_with(address)[:bits]


def is_block_with(kind: str, value: str, asked: Collection[Address]) -> bool:
    """Whether a value as MISP has it is a block that holds one of these addresses."""
    if "/" not in value or kind not in WITH_ADDRESSES:
        return False
    blocks = [network for part in _parts(kind, value) if (network := network_in(part))]
    return any(address in block for address in asked for block in blocks)


def _values_in_pattern(text: str) -> list[str]:
    try:
        return compared_values(text.strip())
    except ValueError:
        return []


def _spellings(text: str) -> frozenset[str]:
    forms: set[str] = set()
    for form in {text.strip(), refanged(text)}:
        for variant in _variants(form):
            forms |= {variant.lower(), *_prepared(variant)}
    # What is left of a bare scheme or dot stands for nothing; "::" is an address (RFC 4291, section 2.5.2).
    return frozenset(form for form in forms if form.strip("./:") or form == "::")


def shortest(texts: Collection[str]) -> list[str]:
    """Return the spellings that hold no other one: what holds none of these holds no spelling at all."""
    kept: list[str] = []
    for text in sorted(texts, key=len):
        if not any(shorter in text for shorter in kept):
            kept.append(text)
    return [text[:LONGEST] for text in kept]


def holds(value: str, asked: Collection[str], kind: str = "") -> bool:
    """Whether a value as MISP has it, one of its halves, or what it means, is spelled in one of these ways.

    ``kind`` is its type in MISP, where that is known.
    """
    whole = refanged(value).lower()
    parts = {part.strip().rstrip(".") for part in (whole, *whole.split("|"))}
    if parts & set(asked) or any(part.lower() in asked for part in _parts(kind, value)):
        return True
    return whole.endswith(_CUT) and any(text.startswith(whole.removesuffix(_CUT)) for text in asked)


def _variants(form: str) -> Iterator[str]:
    """Write a value with and without scheme, closing slash and dot, its host in letters and in punycode."""
    yield form
    if address := _IPV6_WITH_PORT.match(form):
        yield address["address"]
    scheme, mark, bare = form.partition("://")
    host, slash, path = (bare if mark else form).partition("/")
    schemes = [f"{scheme}://"] if mark else ["http://", "https://"]
    for name in _names(host):
        for end in {slash + path} if path else {"", "/"}:
            yield name + end
            yield from (before + name + end for before in schemes)


def _names(host: str) -> set[str]:
    """Return a host name as it is, in punycode, and in letters."""
    labels = host.rstrip(".").lower().split(".")
    return {host, host.rstrip("."), ".".join(map(_letters, labels)), *_parts("domain", host)}


def _letters(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label.removeprefix("xn--").encode().decode("punycode")
    except (UnicodeError, ValueError):
        return label


def _prepared(form: str) -> set[str]:
    return {part.lower() for kind in _kinds(form) for part in _parts(kind, form)}


def _kinds(form: str) -> tuple[str, ...]:
    """Return the types that a value may be of; a composite's halves are only taken where they look like it."""
    name, pipe, data = form.rpartition("|")
    if not pipe:
        return _SIMPLE + (_PORTS if _WITH_PORT.match(form) else ())
    if data.strip().isdigit():
        return _PORTS
    return ("regkey|value",) if "\\" in name else tuple(kind for kind in _PAIRS if kind != "regkey|value")


def _parts(kind: str, form: str) -> tuple[str, ...]:
    try:
        value = normalise(kind, form, send_private_and_cidr=True)
    except Unsendable:
        return ()
    return () if value.left_out else value.parts
