"""The part of ``constants.py`` that is for sites to change: checked, and in the one spelling that counts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import constants
from constants import HASH_DIGITS, LONGEST_VALUES, RULE_LANGUAGES, THREAT_TYPES
from helpers.settings.config.values.tlp import tlp_word
from helpers.text import did_you_mean

Problem = tuple[str, str]

# STIX objects that Microsoft's upload API takes ("Import threat intelligence with the upload API").
_STIX_TYPES = ("indicator", "attack-pattern", "identity", "threat-actor", "relationship")
# MISP types that are not sent as shipped and that misp-stix makes an indicator of all the same.
_MORE_HASHES = ("vhash", "telfhash", "cdhash", "sha3-224", "sha3-256", "sha3-384", "sha3-512")
_MORE_TYPES = (
    "attachment",
    "email-attachment",
    "email-body",
    "email-header",
    "email-message-id",
    "email-reply-to",
    "link",
    "mac-address",
    "malware-sample",
    "uri",
)
_HASHES = (*HASH_DIGITS, "ssdeep", "impfuzzy", *_MORE_HASHES)
_MORE_PAIRS = tuple(f"filename|{name}" for name in _MORE_HASHES if name not in ("telfhash", "cdhash"))
SENDABLE_TYPES = frozenset({*LONGEST_VALUES, *_MORE_TYPES, *_MORE_HASHES, *_MORE_PAIRS})
# MISP's taxonomy "misp", predicate "confidence-level".
_CONFIDENCE_LEVELS = (
    "completely-confident",
    "usually-confident",
    "fairly-confident",
    "rarely-confident",
    "unconfident",
    "confidence-cannot-be-evaluated",
)
# Microsoft, the tiIndicator resource: what an indicator may be about, of those that are a text or a number.
_ABOUT = """
    malwareFamilyNames emailEncoding emailLanguage emailRecipient emailSenderAddress emailSenderName emailSourceDomain
    emailSourceIpAddress emailSubject emailXMailer fileHashValue fileMutexName fileName filePacker filePath fileSize
    fileType domainName networkDestinationAsn networkDestinationPort networkPort networkSourceAsn networkSourcePort
    url userAgent
"""
_GRAPH_PROPERTIES = frozenset(_ABOUT.split())


def problems() -> Iterator[Problem]:
    """Yield (constant, what is wrong and how to fix it); a constant may be followed by an index or a key."""
    for name, check in _CHECKS.items():
        if hasattr(constants, name):
            yield from ((name + path, problem) for path, problem in check(getattr(constants, name)))
        else:
            yield name, "is missing: take it from constants.py as it was shipped."


def accepted_types() -> list[str]:
    """Return the MISP types that are sent; what is no text is left out, and is a problem."""
    types: Any = constants.UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES
    return [kind for kind in types if isinstance(kind, str)] if isinstance(types, list | tuple) else []


def default_tlp() -> str:
    """Return the tag that counts where nobody set one. Raises ValueError."""
    return f"tlp:{tlp_word(constants.SENTINEL_DEFAULT_TLP)}"


def default_threat_type() -> str:
    """Return the threat type that counts where no tag gives one, as Microsoft writes it."""
    return _threat_type(constants.SENTINEL_DEFAULT_THREATTYPE) or constants.SENTINEL_DEFAULT_THREATTYPE


def _list_of(check: Callable[[str], str], *, empty: str = "") -> Callable[[Any], Iterator[Problem]]:
    """Return a check of lists; ``check`` returns what is wrong with an entry, ``empty`` is what is with no entry."""

    def found(value: Any) -> Iterator[Problem]:
        if not isinstance(value, list | tuple):
            yield "", 'must be a list: write ["…", "…"], also around a single one.'
        elif not value and empty:
            yield "", empty
        else:
            for index, entry in enumerate(value):
                problem = check(entry) if isinstance(entry, str) else "must be text: put it in quotes."
                if problem:
                    yield f"[{index}]", problem

    return found


def _known_as(what: str, known: tuple[str, ...] | frozenset[str]) -> Callable[[str], str]:
    """Return a check of entries that must be one of the known words."""

    def problem(entry: str) -> str:
        if entry in known:
            return ""
        meant = did_you_mean(entry, sorted(known)) or next(
            (word for word in known if word.lower() == entry.lower()), ""
        )
        return f"is not {what}: take it out{f', or write {meant!r}, if that is meant' if meant else ''}."

    return problem


def _stix_types(value: Any) -> Iterator[Problem]:
    wrong = list(_list_of(_known_as("a STIX type that Microsoft takes", _STIX_TYPES))(value))
    yield from wrong
    if not wrong and "indicator" not in value:
        yield "", 'lacks "indicator", so that nothing would be sent: write ["indicator"].'


def _type(entry: str) -> str:
    if entry in RULE_LANGUAGES:
        return "is a rule, which Sentinel cannot match: take it out."
    properties: Any = constants.ATTR_MAPPING
    return "" if isinstance(properties, Mapping) and entry in properties else _SENDABLE(entry)


_SENDABLE = _known_as("a MISP type that can be sent", SENDABLE_TYPES)


def _beginning(entry: str) -> str:
    if not entry.strip():
        return "is empty, with which every tag begins: take it out."
    if entry.endswith(("*", "%")):
        return f"ends with {entry[-1]}: take that away, since whatever begins with the rest is meant already."
    return ""


def _taxonomy(entry: str) -> str:
    name = entry.partition(":")[0].strip()
    if name != entry or not name:
        return f"is not a taxonomy's name: write what stands before the first colon of a tag{name and f', {name!r}'}."
    return f"has {entry[-1]} in it: write a taxonomy's whole name." if entry.endswith(("*", "%")) else ""


def _confidences(value: Any) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield "", 'must be a dictionary: write { "completely-confident": 100, … }.'
        return
    for word, number in value.items():
        if type(number) is not int or not 0 <= number <= 100:
            yield f"[{word!r}]", "must be a whole number from 0 to 100: write digits without quotes."
        meant = did_you_mean(str(word), _CONFIDENCE_LEVELS)
        if word not in _CONFIDENCE_LEVELS and (meant or word != str(word).lower()):
            yield f"[{word!r}]", f"is no level that a tag can have: write {meant or str(word).lower()!r}."


def _tlp(value: Any) -> Iterator[Problem]:
    try:
        tlp_word(value)
    except ValueError as error:
        yield "", str(error)


def _threat(value: Any) -> Iterator[Problem]:
    if not _threat_type(value):
        yield "", f"is not a threat type of Microsoft's: write one of {', '.join(THREAT_TYPES)}."


def _threat_type(value: object) -> str:
    return next((known for known in THREAT_TYPES if known.lower() == str(value).strip().lower()), "")


def _properties(value: Any) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield "", 'must be a dictionary: write { "domain": "domainName", … }.'
        return
    for kind, name in value.items():
        if not isinstance(kind, str):
            yield f"[{kind!r}]", "must be text: put the MISP type in quotes."
        problem = _PROPERTY(name) if isinstance(name, str) else "must be text: put it in quotes."
        if problem:
            yield f"[{kind!r}]", problem


_PROPERTY = _known_as("a property of a tiIndicator that an attribute can be", _GRAPH_PROPERTIES)
_NOTHING_SENT = "is empty, so that nothing would be sent: write the types that are."

_CHECKS: Mapping[str, Callable[[Any], Iterator[Problem]]] = {
    "UPLOAD_INDICATOR_API_ACCEPTED_TYPES": _stix_types,
    "HASH_TYPES": _list_of(_known_as("a hash that can be sent", _HASHES)),
    "UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES": _list_of(_type, empty=_NOTHING_SENT),
    "MISP_TAGS_IGNORE": _list_of(_beginning),
    "MISP_ALLOWED_TAXONOMIES": _list_of(_taxonomy),
    "MISP_CONFIDENCE": _confidences,
    "SENTINEL_DEFAULT_TLP": _tlp,
    "SENTINEL_DEFAULT_THREATTYPE": _threat,
    "ATTR_MAPPING": _properties,
}
NAMES = frozenset(_CHECKS)
