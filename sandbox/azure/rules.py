"""What the upload APIs ask of one STIX object, of each of the five kinds.

Microsoft: Reference the STIX objects upload API, and its predecessor the upload indicators
API. Where the reference cites the STIX specification, STIX 2.1 is followed: so for all that
is asked of an attack pattern, a threat actor, an identity and a relationship. What
``source_ref`` and ``target_ref`` lead to is not looked up: nothing documents that it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

UPLOAD_TYPES = frozenset({"indicator", "attack-pattern", "threat-actor", "identity", "relationship"})
LEGACY_TYPES = frozenset({"indicator"})
COMMON = ("id", "type", "created", "modified")
REQUIRED = {
    "indicator": ("pattern", "pattern_type", "valid_from"),
    "attack-pattern": ("name",),
    "threat-actor": ("name",),
    "identity": ("name",),
    "relationship": ("relationship_type", "source_ref", "target_ref"),
}
# Which time is not before which; those marked True may not be the same either.
ORDERED_TIMES = (
    ("created", "modified", False),
    ("valid_from", "valid_until", True),
    ("start_time", "stop_time", True),
    ("first_seen", "last_seen", False),
)
TIMES = tuple(name for *names, _ in ORDERED_TIMES for name in names)
TEXTS = (
    *("type", "pattern", "pattern_type", "name", "description", "lang", "identity_class", "contact_information"),
    *("sophistication", "resource_level", "primary_motivation"),
)
LISTS = (
    *("labels", "indicator_types", "threat_actor_types", "aliases", "roles", "sectors", "goals"),
    *("secondary_motivations", "personal_motivations"),
)
REFERENCES = ("id", "created_by_ref", "source_ref", "target_ref")

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_IDENTIFIER = re.compile(rf"([a-z0-9-]+)--{_UUID}", re.IGNORECASE)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_ONE_COMPARISON = re.compile(
    r"\s*\[\s*([a-z0-9-]+:(?:[\w.*-]|'[^']*'|\[[^\]]*\])+)\s*=\s*'((?:[^'\\]|\\.)*)'\s*\]\s*", re.DOTALL
)


def object_errors(object_: Any, types: frozenset[str]) -> list[str]:
    """Say what is wrong with one object, a message for each property."""
    if not isinstance(object_, dict):
        return ["The record is not a JSON object."]
    missing = [name for name in _required(object_) if object_.get(name) in (None, "")]
    errors = [_message(name, "Required property is missing.", None) for name in missing]
    for name, (rule, text) in RULES.items():
        value = object_.get(name)
        if name not in missing and value is not None and not rule(value):
            errors.append(_message(name, text, value))
    return [*errors, *_cross_errors(object_, types)]


def parse_time(value: Any) -> datetime | None:
    """Read a STIX timestamp (UTC, ``Z``), or nothing when it is not one."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def observable(object_: dict[str, Any]) -> tuple[str, str] | None:
    """Give ObservableKey and ObservableValue, which Sentinel parses from a single comparison only."""
    if object_.get("pattern_type", "stix") != "stix":
        return None
    match = _ONE_COMPARISON.fullmatch(str(object_.get("pattern", "")))
    return (match[1], re.sub(r"\\(.)", r"\1", match[2])) if match else None


def _required(object_: dict[str, Any]) -> tuple[str, ...]:
    return COMMON + REQUIRED.get(str(object_.get("type")), ())


def _cross_errors(object_: dict[str, Any], types: frozenset[str]) -> Iterator[str]:
    kind, identifier = object_.get("type"), object_.get("id")
    if kind and kind not in types:
        yield _message("type", f"Value must be one of {', '.join(sorted(types))}.", kind)
    match = _IDENTIFIER.fullmatch(identifier) if isinstance(identifier, str) else None
    if match and kind and match[1] != kind:
        yield _message("id", "Identifier must start with the object's type.", identifier)
    for first, last, is_later in ORDERED_TIMES:
        start, end = parse_time(object_.get(first)), parse_time(object_.get(last))
        if start and end and (end < start or (is_later and end == start)):
            wanted = "must be later than" if is_later else "must not be earlier than"
            yield _message(last, f"Value {wanted} {first}.", object_[last])


def _message(name: str, text: str, value: Any) -> str:
    shown = "NULL" if value is None else value
    return f"Error for Property={name}: {text} Actual value: {shown}."


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_identifier(value: Any) -> bool:
    return isinstance(value, str) and bool(_IDENTIFIER.fullmatch(value))


def _is_time(value: Any) -> bool:
    return parse_time(value) is not None


def _is_confidence(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 100


def _is_version(value: Any) -> bool:
    return value in ("2.0", "2.1")


def _list_of(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _is_markings(value: Any) -> bool:
    return isinstance(value, list) and all(
        _is_identifier(item) and item.startswith("marking-definition--") for item in value
    )


def _is_phases(value: Any) -> bool:
    keys = ("kill_chain_name", "phase_name")
    return _list_of(dict)(value) and all(_is_text(phase.get(key)) for phase in value for key in keys)


def _is_verb(value: Any) -> bool:
    return _is_text(value) and bool(re.fullmatch(r"[a-z0-9-]+", value))


def _is_sources(value: Any) -> bool:
    return _list_of(dict)(value) and all(
        _is_text(source.get("source_name")) and {"description", "url", "external_id"} & source.keys()
        for source in value
    )


def _is_extensions(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(extension, dict) for extension in value.values())


Rule = tuple[Callable[[Any], bool], str]
RULES: dict[str, Rule] = {
    **dict.fromkeys(REFERENCES, (_is_identifier, "Value must have the form type--UUID.")),
    **dict.fromkeys(TIMES, (_is_time, "Value must be a STIX timestamp.")),
    **dict.fromkeys(TEXTS, (_is_text, "Value must be a string.")),
    **dict.fromkeys(LISTS, (_list_of(str), "Value must be a list of strings.")),
    "relationship_type": (_is_verb, "Value must be a word of lower-case letters, digits and hyphens."),
    "spec_version": (_is_version, "Only STIX 2.0 and 2.1 are supported."),
    "revoked": (_is_flag, "Value must be a boolean."),
    "confidence": (_is_confidence, "Value must be an integer from 0 to 100."),
    "kill_chain_phases": (_is_phases, "Value must be a list of kill chain phases."),
    "external_references": (
        _is_sources,
        "Value must be a list of sources, each with a name and what it says or where.",
    ),
    "granular_markings": (_list_of(dict), "Value must be a list of objects."),
    "object_marking_refs": (_is_markings, "Value must be a list of marking-definition identifiers."),
    "extensions": (_is_extensions, "Value must be an object of extensions."),
}
