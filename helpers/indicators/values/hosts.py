"""Names of hosts as logs have them: lower case, punycode, no dot at the ends; and ports beside them. Pure."""

from __future__ import annotations

import re

import idna

from constants import Skip
from helpers.indicators.values.text import EDGES, refanged, text_in
from helpers.indicators.values.value import Unsendable

_EDGES_OF_NAME = "." + EDGES
# Four bytes of UTF-8 for each of the 253 characters that a name in DNS may have; anything longer is no name.
_LONGEST_NAME = 4 * 253
# No top-level domain is a number (RFC 3696, section 2); browsers read such a host as an address, octal or hexadecimal.
_NUMBER_AT_END = re.compile(r"(?:\A|\.)(?:[0-9]+|0x[0-9a-f]*)\Z")


def host(text: str) -> str:
    """Return a host's name in lower case and punycode (UTS 46), without a dot at either end."""
    name = _bare(text)
    return name if name.isascii() else punycode(name)


def ends_in_number(name: str) -> bool:
    """Say whether a host, in lower case, is no name whatever else it is."""
    return _NUMBER_AT_END.search(name) is not None


def punycode(name: str) -> str:
    """Return a host's name in another script as DNS knows it (UTS 46). Raises Unsendable."""
    if len(name) > _LONGEST_NAME:
        raise Unsendable(Skip.BAD_VALUE, "too long for a name that DNS can hold")
    try:
        mapped = _bare(idna.uts46_remap(name, std3_rules=False))
        return ".".join(label if label.isascii() else idna.alabel(label).decode() for label in mapped.split("."))
    except idna.IDNAError as error:
        raise Unsendable(Skip.BAD_VALUE, f"not a name that DNS can hold: {error}") from error


def without_port(text: str) -> str:
    """Return the host of a host|port, whatever stands between them."""
    name, pipe, _ = refanged(text).strip(EDGES).partition("|")
    name = name.strip(EDGES)
    if name.startswith("[") and "]" in name:
        return name[1:].partition("]")[0]
    if not pipe and name.count(":") == 1:
        return name.partition(":")[0]
    return name


def port_of(value: object) -> str:
    """Return the port of a host|port as it is written, empty where there is none."""
    text = refanged(text_in(value)).strip(EDGES)
    if "|" in text:
        return text.rpartition("|")[2].strip(EDGES)
    rest = text.partition("]")[2] if text.startswith("[") else text[len(without_port(text)) :]
    return rest.removeprefix(":")


def _bare(text: str) -> str:
    return refanged(text).lower().strip(_EDGES_OF_NAME)
