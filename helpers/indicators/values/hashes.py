"""Hashes, fingerprints and plain numbers, written as logs write them. Pure."""

from __future__ import annotations

import re

from constants import HASH_DIGITS, HASH_TYPES
from helpers.indicators.values.text import EDGES

_CASELESS_HASHES = frozenset(HASH_TYPES) - {"ssdeep", "impfuzzy"}
_TLSH_WITH_VERSION = 72
_DIGESTS = {kind: re.compile(f"[0-9a-f]{{{digits}}}") for kind, digits in HASH_DIGITS.items()}
_DIGESTS |= dict.fromkeys(("ssdeep", "impfuzzy"), re.compile(r"[0-9]+:[^:]+:[^:]+"))
_AS = re.compile(f"(?:AS|[{re.escape(EDGES)}])+", re.IGNORECASE)
_ASDOT = re.compile(r"[0-9]{1,5}\.[0-9]{1,5}")


def is_digest(kind: str, text: str) -> bool:
    """Say whether a normalised value looks like a hash of its MISP type."""
    return kind in _DIGESTS and _DIGESTS[kind].fullmatch(text) is not None


def digest(kind: str, text: str) -> str:
    """Return hashes and fingerprints in lower case, everything else as it is."""
    if kind.startswith("x509-fingerprint-"):
        return text.replace(":", "").strip(EDGES).lower()
    if kind == "ssdeep":
        return text.partition(",")[0].strip(EDGES)
    if kind == "tlsh" and len(text) == _TLSH_WITH_VERSION and text[:2].upper() == "T1":
        return text[2:].lower()
    return text.lower() if kind in _CASELESS_HASHES else text


def as_number(text: str) -> str:
    """Return the plain number: no AS before it, RFC 5396's asdot worked out."""
    prefix = _AS.match(text)
    number = text[prefix.end() :] if prefix else text
    if not _ASDOT.fullmatch(number):
        return number
    high, _, low = number.partition(".")
    return str(int(high) * 65536 + int(low))
