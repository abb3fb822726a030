"""MISP values as Sentinel's stock rules compare them. Pure.

The rules (Azure-Sentinel, "Threat Intelligence (NEW)") compare text: domains in lower case and
punycode without a trailing dot, addresses in canonical form, URLs exactly, with a scheme.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

import idna

from constants import HASH_DIGITS, HASH_TYPES, LONGEST_OTHER, LONGEST_VALUES, Skip

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_ADDRESS_TYPES = frozenset({"ip-src", "ip-dst"})
_HOST_TYPES = frozenset({"domain", "hostname"})
_HALVES = ("domain", "ip-dst")  # of a domain|ip
_EMAIL_TYPES = frozenset({"email", "email-src", "email-dst"})
_CASELESS_HASHES = frozenset(HASH_TYPES) - {"ssdeep", "impfuzzy"}
_TLSH_WITH_VERSION = 72
_DIGESTS = {kind: re.compile(f"[0-9a-f]{{{digits}}}") for kind, digits in HASH_DIGITS.items()}
_DIGESTS |= dict.fromkeys(("ssdeep", "impfuzzy"), re.compile(r"[0-9]+:[^:]+:[^:]+"))
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# What stands before a colon is a scheme unless a port comes after it (RFC 3986, sections 3 and 3.2.3).
_OTHER_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:(?!//)(?![0-9]+(?:[/?#]|\Z))", re.IGNORECASE)
_DEFANGED_SCHEME = re.compile(r"(?:hxxp|h\*\*p|hxtp|htxp|meow|h\[tt\]p)(?=s?(?:://|\[:\]//|\[://\]))", re.IGNORECASE)
_DEFANGED_MARK = re.compile(r"([a-z][a-z0-9+.-]*)(?:\[:\]//|\[://\])", re.IGNORECASE)
_DEFANGED = re.compile(r"(?<![\[(])[\[(]+(\.|dot|:|@|at)[\])]+", re.IGNORECASE)
_READABLE = {"dot": ".", "at": "@"}
_END_OF_HOST = re.compile(r"[/?#]|\Z")
_EDGES_OF_NAME = "." + "".join(filter(str.isspace, map(chr, range(0x3001))))
_AS = re.compile(r"(?:AS\s*)+", re.IGNORECASE)
_ASDOT = re.compile(r"[0-9]{1,5}\.[0-9]{1,5}")
# Four bytes of UTF-8 for each of the 253 characters that a name in DNS may have; anything longer is no name.
_LONGEST_NAME = 4 * 253
_NEVER_MATCHED = [
    ipaddress.ip_network(block)
    for block in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
]
_ONE_SLASH = re.compile(r"\A(https?:)/(?!/)", re.IGNORECASE)


class Unsendable(Exception):
    """Raised for a value that is not sent; ``reason`` says why, ``words`` what about it."""

    def __init__(self, reason: Skip, words: str = "") -> None:
        self.reason = reason
        self.words = words
        super().__init__(words or reason.value)


@dataclass(frozen=True)
class Value:
    """What misp-stix is given for an attribute.

    ``parts`` are the values in the order of the observables that come out; ``file_name`` is the name
    that belongs to a hash; ``left_out`` are the halves of a composite that are not sent, with the reason.
    """

    type: str
    parts: tuple[str, ...]
    file_name: str = ""
    left_out: tuple[Unsendable, ...] = ()

    @property
    def text(self) -> str:
        """The value as MISP writes it, parts joined by a pipe."""
        return "|".join(self.parts)

    @property
    def typed_parts(self) -> list[tuple[str, str]]:
        """Each part with the MISP type that it has by itself."""
        kinds = _HALVES if len(self.parts) == len(_HALVES) else (self.type,)
        return list(zip(kinds, self.parts, strict=True))


def normalise(misp_type: str, value: object, *, send_private_and_cidr: bool, send_cidr: bool = False) -> Value:
    """Return a MISP value in the form that Sentinel can match, reduced to the part that it matches.

    ``send_private_and_cidr`` is the setting; ``send_cidr`` is for a format that has a property for blocks of addresses.
    Raises Unsendable with the reason when there is no such part.
    """
    text = _no_longer(misp_type, _text(value))

    def address(part: str) -> str:
        return _address(part, send_private_and_cidr, send_cidr)

    normal = _normalised(misp_type, text, address)
    for kind, part in normal.typed_parts:
        _no_longer(kind, part)  # punycode is longer than what it stands for
    return normal


def _normalised(misp_type: str, text: str, address: Callable[[str], str]) -> Value:
    if misp_type.startswith("filename|") or misp_type == "malware-sample":
        name, _, digest = text.rpartition("|")
        kind = "md5" if misp_type == "malware-sample" else misp_type.removeprefix("filename|")
        return Value(kind, (_simple(kind, digest, address),), file_name=name.strip())
    if misp_type == "domain|ip":
        return _domain_and_address(text, address)
    if misp_type in {"ip-src|port", "ip-dst|port", "hostname|port"}:
        kind = misp_type.removesuffix("|port")
        return Value(kind, (_simple(kind, _without_port(text), address),))
    if misp_type == "regkey|value":
        return Value("regkey", (_text(text.partition("|")[0]),))
    return Value(misp_type, (_simple(misp_type, text, address),))


def is_digest(kind: str, text: str) -> bool:
    """Say whether a normalised value looks like a hash of its MISP type."""
    return kind in _DIGESTS and _DIGESTS[kind].fullmatch(text) is not None


def storable(text: str) -> str:
    """Return a text that UTF-8 and PostgreSQL can hold: half characters (lone surrogates) and NUL become "?"."""
    if not text.isascii():
        text = text.encode(errors="replace").decode()
    return text.replace("\0", "?")


def _text(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        raise Unsendable(Skip.BAD_VALUE, "the value is empty or not text")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise Unsendable(Skip.BAD_VALUE, "the value holds half a character (a lone surrogate)")
    if "\0" in text:
        raise Unsendable(Skip.BAD_VALUE, "the value holds NUL, at which MISP's and PostgreSQL's texts end")
    return text


def _no_longer(kind: str, text: str) -> str:
    """Return a value of a type, or raise Unsendable: what is too long costs no more than being counted."""
    longest = LONGEST_VALUES.get(kind, LONGEST_OTHER)
    if len(text) > longest:
        raise Unsendable(Skip.TOO_LONG, f"{len(text):,} characters, where {kind} has at most {longest:,}")
    return text


def _simple(kind: str, text: str, address: Callable[[str], str]) -> str:
    """Normalise a value that is not a composite."""
    text = _no_longer(kind, _text(text))
    if kind in _ADDRESS_TYPES:
        return address(text)
    if kind in _HOST_TYPES:
        return _text(_host(text))
    if kind in _EMAIL_TYPES:
        return _refang(text).lower()
    if kind == "url":
        return _url(text)
    if kind == "AS":
        return _text(_as_number(text))
    return _text(_digest(kind, text))


def _domain_and_address(text: str, address: Callable[[str], str]) -> Value:
    halves = text.split("|")
    if len(halves) != 2:
        raise Unsendable(Skip.BAD_VALUE, "a domain|ip needs exactly one pipe")
    sendable: list[tuple[str, str]] = []
    left_out: list[Unsendable] = []
    for kind, half in zip(_HALVES, halves, strict=True):
        try:
            sendable.append((kind, _simple(kind, half, address)))
        except Unsendable as reason:
            left_out.append(reason)
    if not sendable:
        raise left_out[0]
    kind = "domain|ip" if len(sendable) == 2 else sendable[0][0]
    return Value(kind, tuple(value for _, value in sendable), left_out=tuple(left_out))


def port_of(value: object) -> str:
    """Return the port of a host|port as it is written, empty where there is none."""
    text = _refang(_text(value))
    if "|" in text:
        return text.rpartition("|")[2].strip()
    rest = text.partition("]")[2] if text.startswith("[") else text[len(_without_port(text)) :]
    return rest.removeprefix(":")


def _without_port(text: str) -> str:
    host, pipe, _ = _refang(text).partition("|")
    if host.startswith("[") and "]" in host:
        return host[1:].partition("]")[0]
    if not pipe and host.count(":") == 1:
        return host.partition(":")[0]
    return host


def _refang(text: str) -> str:
    """Take the brackets off what stands for a dot, a colon or an at sign, however many there are.

    What analysts type is taken apart further in ``helpers/ledger/spellings.py``: that is only compared, so braces,
    blanks and backslashes cost nothing there. This is sent, and must not change a value that means what it says.
    """
    return _DEFANGED.sub(lambda match: _READABLE.get(match[1].lower(), match[1]), text)


def _host(text: str) -> str:
    """Return a host's name in lower case and punycode (UTS 46), without a dot at either end."""
    name = _bare(text)
    return name if name.isascii() else punycode(name)


def punycode(name: str) -> str:
    """Return a host's name in another script as DNS knows it (UTS 46). Raises Unsendable."""
    if len(name) > _LONGEST_NAME:
        raise Unsendable(Skip.BAD_VALUE, "too long for a name that DNS can hold")
    try:
        mapped = _bare(idna.uts46_remap(name, std3_rules=False))
        return ".".join(label if label.isascii() else idna.alabel(label).decode() for label in mapped.split("."))
    except idna.IDNAError as error:
        raise Unsendable(Skip.BAD_VALUE, f"not a name that DNS can hold: {error}") from error


def _bare(text: str) -> str:
    return _refang(text).lower().strip(_EDGES_OF_NAME)


def _as_number(text: str) -> str:
    """Return the plain number: no AS before it, RFC 5396's asdot worked out."""
    prefix = _AS.match(text)
    number = text[prefix.end() :] if prefix else text
    if not _ASDOT.fullmatch(number):
        return number
    high, _, low = number.partition(".")
    return str(int(high) * 65536 + int(low))


def _address(text: str, send_private_and_cidr: bool, send_cidr: bool) -> str:
    try:
        network = ipaddress.ip_network(_refang(text).partition("%")[0], strict=False)
    except ValueError as error:
        raise Unsendable(Skip.BAD_VALUE, "not an IP address or block") from error
    if not send_private_and_cidr:
        _refuse_unmatched(network, send_cidr)
    return _canonical(network)


def _refuse_unmatched(network: IpNetwork, send_cidr: bool) -> None:
    if network.num_addresses > 1 and not send_cidr:
        raise Unsendable(Skip.CIDR)
    address = network.network_address
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if any(address in block for block in _NEVER_MATCHED):
        raise Unsendable(Skip.PRIVATE_ADDRESS)


def _canonical(network: IpNetwork) -> str:
    """Write it as RFC 5952 asks; as its section 5 for IPv4 mapped into IPv6, where versions of Python differ."""
    if network.num_addresses > 1:
        return str(network)
    address = network.network_address
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return f"::ffff:{address.ipv4_mapped}"
    return str(address)


def _url(text: str) -> str:
    """Keep the case and the path; make the scheme and the host readable again."""
    if defanged := _DEFANGED_SCHEME.match(text):
        text = "http" + text[defanged.end() :]
    if defanged := _DEFANGED_MARK.match(text):
        text = f"{defanged[1]}://{text[defanged.end() :]}"
    if text.startswith("//"):
        text = f"http:{text}"
    text = _ONE_SLASH.sub(r"\1//", text)
    if _OTHER_SCHEME.match(text):
        raise Unsendable(Skip.BAD_VALUE, "a URI that names no host, as mailto: and javascript: do")
    match = _SCHEME.match(text)
    scheme, rest = (text[: match.end()], text[match.end() :]) if match else ("http://", text)
    end = _END_OF_HOST.search(rest)
    host = rest[: end.start()] if end else rest
    if not host:
        raise Unsendable(Skip.BAD_VALUE, "a URL without a host")
    return scheme + _refang(host) + rest[len(host) :]


def _digest(kind: str, text: str) -> str:
    """Return hashes and fingerprints in lower case, everything else as it is."""
    if kind.startswith("x509-fingerprint-"):
        return text.replace(":", "").lower()
    if kind == "ssdeep":
        return text.partition(",")[0].strip()
    if kind == "tlsh" and len(text) == _TLSH_WITH_VERSION and text[:2].upper() == "T1":
        return text[2:].lower()
    return text.lower() if kind in _CASELESS_HASHES else text
