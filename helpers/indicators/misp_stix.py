"""The only module that calls misp-stix: prepared attributes and objects in, STIX indicators out.

misp-stix raises out of an event for what is wrong with one attribute, and drops values with no more
than a line in its warnings. So it is fed chunks with nothing in them but what makes a pattern, a chunk
that raises is converted again one by one, and every item that comes back without an indicator comes
back with misp-stix's words. Pure: same input, same output.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from helpers.indicators.patterns import Observable

_HALF_OF_WORDS = 150
# As Python has it, unless it is told otherwise.
_OBJECTS_BETWEEN_COLLECTIONS = 700
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# misp-stix wants a well-formed event around the attributes; nothing of it reaches an indicator.
_EVENT_UUID = "00000000-0000-4000-8000-000000000000"
_EVENT = {"uuid": _EVENT_UUID, "info": "prepared", "timestamp": "1", "threat_level_id": "4", "analysis": "0"}


@dataclass(frozen=True)
class MispStixResult:
    """What misp-stix made: STIX indicators and, for what gave none, its words; both by MISP UUID.

    ``observables`` has those of indicators whose pattern is known and need not be taken apart.
    """

    indicators: Mapping[str, Mapping[str, Any]]
    words: Mapping[str, str]
    observables: Mapping[str, Sequence[Observable]] = field(default_factory=dict)


def version() -> str:
    """Return which misp-stix is installed, empty where it does not say so; it is not imported for that."""
    try:
        return importlib.metadata.version("misp-stix")
    except importlib.metadata.PackageNotFoundError:  # packed without what pip writes beside it
        return ""


def convert(items: Sequence[Mapping[str, Any]], extra: Mapping[str, Any] | None = None) -> MispStixResult:
    """Convert prepared MISP attributes and objects (an object is what has an ``Attribute``).

    ``extra`` are further parts of the event, such as EventReport, which are given up first when
    misp-stix does not get along with them.
    """
    from misp_stix_converter import MISPtoSTIX21Parser  # noqa: PLC0415  takes 0.7 s to import

    try:
        result = _collecting_often(MISPtoSTIX21Parser(), items, extra or {})
    except Exception as error:  # misp-stix and stix2 let through what their dependencies raise
        if len(items) == 1 and not extra:
            return MispStixResult({}, {str(items[0]["uuid"]): _short(f"{type(error).__name__}: {error}")})
        return _one_by_one(items)
    return _one_by_one(items) if extra and not result.indicators else result


def _collecting_often(parser: Any, items: Sequence[Mapping[str, Any]], extra: Mapping[str, Any]) -> MispStixResult:
    """Convert, with Python looking for cycles as often as ever: each pattern leaves some, as large as its value."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, *before[1:])
    try:
        return _converted(parser, items, extra)
    finally:
        gc.set_threshold(*before)


def _one_by_one(items: Sequence[Mapping[str, Any]]) -> MispStixResult:
    indicators: dict[str, Mapping[str, Any]] = {}
    words: dict[str, str] = {}
    for result in (convert([item]) for item in items):
        indicators.update(result.indicators)
        words.update(result.words)
    return MispStixResult(indicators, words)


def _converted(parser: Any, items: Sequence[Mapping[str, Any]], extra: Mapping[str, Any]) -> MispStixResult:
    parser.parse_misp_event(
        {
            **_EVENT,
            **extra,
            "Attribute": [dict(item) for item in items if "Attribute" not in item],
            "Object": [dict(item) for item in items if "Attribute" in item],
        }
    )
    indicators = {
        stix.id.removeprefix("indicator--"): json.loads(stix.serialize())
        for stix in parser.stix_objects
        if stix.type == "indicator"
    }
    refused = [item for item in items if item["uuid"] not in indicators]
    return MispStixResult(indicators, _words([*_flat(parser.errors), *_flat(parser.warnings)], refused))


def as_rewritten(misp_type: str, value: str) -> str:
    """Return a value as misp-stix means it in a pattern, after PyMISP has gone over it."""
    from pymisp.tools.attributevalidationtool import AttributeValidationTool  # noqa: PLC0415

    rewrite: Callable[[str, str], object] = AttributeValidationTool.modifyBeforeValidation
    try:
        written = str(rewrite(misp_type, value))
    except Exception:  # PyMISP lets through what its dependencies raise; such a value comes to no pattern
        return value
    if misp_type == "regkey" and "\\%" not in written:
        return written.replace("%", "\\%")
    return written


def refusal(misp_type: str, value: str) -> str:
    """Return why PyMISP does not take a value for one of its type, as misp-stix would say; empty where it does."""
    from pymisp.tools.attributevalidationtool import AttributeValidationTool  # noqa: PLC0415

    validate: Callable[[str, str], object] = AttributeValidationTool.validate
    try:
        answer = validate(misp_type, value)
    except Exception as error:  # PyMISP lets through what its dependencies raise
        return _short(f"{type(error).__name__}: {error}")
    return "" if answer is True else _short(str(answer)).partition(" Please double check")[0]


def _flat(messages: Mapping[str, Iterable[str]]) -> list[str]:
    return [str(message) for event_messages in messages.values() for message in event_messages]


def _words(messages: Iterable[str], refused: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Give each message to the items whose UUIDs it names, else to those that it speaks of in another way."""
    words: dict[str, str] = {}
    without_uuid = []
    for message in messages:
        uuids = _UUID.findall(message.lower())
        for uuid in uuids:
            words.setdefault(uuid, _short(message))
        if not uuids:
            without_uuid.append(message)
    for item in refused:
        if item["uuid"] in words:
            continue
        if message := next((message for message in without_uuid if _is_about(message, item)), ""):
            words[item["uuid"]] = _short(message)
    return words


def _is_about(message: str, item: Mapping[str, Any]) -> bool:
    """Say whether a message is about an object, by its name, or about an attribute, by its type and value."""
    if "Attribute" in item:
        name = item.get("name")
        return message == f"MISP Object name {name} not mapped." or f"object template name {name!r}" in message
    return f"the {item['type']} value" in message and as_rewritten(item["type"], item["value"]) in message


def _short(message: str) -> str:
    """Return the part of a message that says what is wrong, on one line: without the places of a traceback."""
    lines = [line.strip() for line in message.strip().splitlines() if line.strip()]
    if any(line.startswith('File "') for line in lines):
        lines = [lines[0].partition("Traceback")[0].strip(), lines[-1]]
    text = " ".join(filter(None, lines))
    return text if len(text) <= 2 * _HALF_OF_WORDS else f"{text[:_HALF_OF_WORDS]} … {text[-_HALF_OF_WORDS:]}"
