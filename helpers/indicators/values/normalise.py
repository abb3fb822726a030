"""A MISP value in the form that Sentinel can match, by the type that MISP gives it. Pure."""

from __future__ import annotations

from collections.abc import Callable

from constants import HASH_TYPES, Skip
from helpers.indicators.values.addresses import address, may_be_address, network_in
from helpers.indicators.values.emails import email
from helpers.indicators.values.hashes import as_number, digest
from helpers.indicators.values.hosts import ends_in_number, host, without_port
from helpers.indicators.values.text import EDGES, no_longer, opened, plain, text_in, unwrapped, visible
from helpers.indicators.values.urls import url
from helpers.indicators.values.value import Unsendable, Value

_ADDRESS_TYPES = frozenset({"ip-src", "ip-dst"})
_HOST_TYPES = frozenset({"domain", "hostname"})
_EMAIL_TYPES = frozenset({"email", "email-src", "email-dst"})
_WITH_PORT = frozenset({"ip-src|port", "ip-dst|port", "hostname|port"})
# Of these no value begins or ends with a quote or an angle bracket.
_BARE = _ADDRESS_TYPES | _HOST_TYPES | _WITH_PORT | frozenset(HASH_TYPES) | {"domain|ip", "AS", "port", "size-in-bytes"}
_BARE |= {"x509-fingerprint-md5", "x509-fingerprint-sha1", "x509-fingerprint-sha256"}
# Of these none has them around it; composites are read by halves, and the texts of all other types are as they are.
_UNWRAPPED = _EMAIL_TYPES | {"url", "filename", "regkey"}
_SEEN = (_BARE | _EMAIL_TYPES | {"url"}) - _WITH_PORT - {"domain|ip"}

Address = Callable[[str], str]


def normalise(misp_type: str, value: object, *, send_private_and_cidr: bool, send_cidr: bool = False) -> Value:
    """Return a MISP value in the form that Sentinel can match, reduced to the part that it matches.

    ``send_private_and_cidr`` is the setting; ``send_cidr`` is for a format that has a property for blocks of addresses.
    Raises Unsendable with the reason when there is no such part.
    """
    text = _read(misp_type, value)

    def as_address(part: str) -> str:
        return address(part, send_private_and_cidr=send_private_and_cidr, send_cidr=send_cidr)

    normal = _normalised(misp_type, text, as_address)
    for kind, part in normal.typed_parts:
        no_longer(kind, part)  # punycode is longer than what it stands for
    return normal


def _read(kind: str, value: object) -> str:
    """Return a value without what stands around it and means nothing."""
    whole = text = text_in(value)
    if kind in _BARE:
        text = text.strip(EDGES)
    elif kind in _UNWRAPPED:
        text = unwrapped(text)
    if kind in _SEEN:
        text = visible(text, joiners=kind not in _BARE or kind in _HOST_TYPES)
    no_longer(kind, text or whole)
    return _some(text)


def _some(text: str) -> str:
    if not text:
        raise Unsendable(Skip.BAD_VALUE, "nothing is left of the value")
    return text


def _normalised(misp_type: str, text: str, as_address: Address) -> Value:
    if misp_type.startswith("filename|") or misp_type == "malware-sample":
        name, _, hash_ = text.rpartition("|")
        kind = "md5" if misp_type == "malware-sample" else misp_type.removeprefix("filename|")
        return _single(kind, _read(kind, hash_), as_address, _first_half(name, text))
    if misp_type == "domain|ip":
        return _domain_and_address(text, as_address)
    if misp_type in _WITH_PORT:
        kind = misp_type.removesuffix("|port")
        return _single(kind, _read(kind, without_port(text)), as_address)
    if misp_type == "regkey|value":
        return Value("regkey", (_read("regkey", _first_half(text.partition("|")[0], text)),))
    return _single(misp_type, text, as_address)


def _single(kind: str, text: str, as_address: Address, file_name: str = "") -> Value:
    """Return a value of one part; an address is one also where its type asks for a host's name."""
    part = _part(kind, text, as_address)
    if kind in _HOST_TYPES and may_be_address(part) and network_in(part):
        return Value("ip-dst", (as_address(part),))
    return Value(kind, (part,), file_name)


def _part(kind: str, text: str, as_address: Address) -> str:
    """Return a value that is no composite, as its type writes it."""
    if kind in _HOST_TYPES:
        return _name_or_address(text)
    if kind in _ADDRESS_TYPES:
        return as_address(text)
    if kind == "url":
        return url(text)
    if kind in _EMAIL_TYPES:
        return _some(email(text))
    return _some(as_number(text) if kind == "AS" else digest(kind, text))


def _first_half(half: str, whole: str) -> str:
    """Take off what stands around a half or, closed only behind the other one, around the whole."""
    return opened(half.strip()) if unwrapped(whole) != whole else unwrapped(half.strip())


def _name_or_address(text: str) -> str:
    """Return a host's name, or the address in its place, which is read as one later."""
    name = _some(host(text))
    if ends_in_number(name) and not network_in(name):
        raise Unsendable(Skip.BAD_VALUE, "it ends in a number, as no host's name does, and is no IP address")
    return name


def _domain_and_address(text: str, as_address: Address) -> Value:
    """Return both halves, or one: each is what it means, also where they are written the other way round."""
    sendable: dict[str, str] = {}
    left_out: list[Unsendable] = []
    for kind, half in _halves(text):
        try:
            part = _part(kind, _read(kind, half), as_address)
        except Unsendable as reason:
            left_out.append(reason)
        else:
            if sendable.setdefault(kind, part) != part:
                left_out.append(Unsendable(Skip.BAD_VALUE, "a second address, where the name belongs"))
    if not sendable:
        raise left_out[0]
    kind = "domain|ip" if len(sendable) == 2 else next(iter(sendable))
    return Value(kind, tuple(sendable.values()), left_out=tuple(left_out))


def _halves(text: str) -> list[tuple[str, str]]:
    """Return the halves of a domain|ip, the name first, each with what it is."""
    halves = text.split("|")
    if len(halves) != 2:
        raise Unsendable(Skip.BAD_VALUE, "a domain|ip needs exactly one pipe")
    addresses = [network_in(plain(half)) for half in halves]
    if addresses[0] and not addresses[1]:
        halves.reverse()
    both = all(addresses)
    return [("ip-dst" if both else "domain", halves[0]), ("ip-dst", halves[1])]
