"""What of an object's body stands in columns of its own, so that it is counted without reading bodies. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from constants import TLP_MARKINGS
from helpers.errors import LedgerError
from helpers.ledger.bodies.packing import decompressed

HIGHEST_CONFIDENCE = 100
_LEVELS = {marking: level for level, marking in TLP_MARKINGS.items()}
# Both as they are written of nearly all objects: to parse the whole of each takes ten times as long.
_CONFIDENCE = re.compile(rb'\{"confidence":(100|[1-9]?[0-9]),')
_MARKING = re.compile(rb'"object_marking_refs":\["(marking-definition--[0-9a-f-]{36})"\]')


class Marks(NamedTuple):
    """Whom an indicator is for and how sure it is: a level of TLP, ``""`` where unknown, and 0 to 100 or -1."""

    tlp: str = ""
    confidence: int = -1


def marks_of(body: Any) -> Marks:
    """Return what a packed indicator says; what of it cannot be read is unknown. Both APIs' have the same names."""
    try:
        text = decompressed(body)
        return _as_written(text) or _parsed(json.loads(text))
    except (LedgerError, TypeError, ValueError, RecursionError):  # damaged, no bytes, no JSON, nested without end
        return Marks()


def _as_written(text: bytes) -> Marks | None:
    """Return what the JSON of an indicator says where it is written as it nearly always is.

    The indicator's own marking has one brace behind it; one of something within has more.
    """
    confidence, marking = _CONFIDENCE.match(text), _MARKING.search(text)
    if not confidence or not marking or text.count(b"}", marking.end()) != 1:
        return None
    return Marks(_LEVELS.get(marking[1].decode(), ""), int(confidence[1]))


def _parsed(indicator: Any) -> Marks:
    return Marks(_tlp(indicator), _confidence(indicator)) if isinstance(indicator, dict) else Marks()


def _tlp(indicator: dict[str, Any]) -> str:
    markings = indicator.get("object_marking_refs")
    named = (marking for marking in markings if isinstance(marking, str)) if isinstance(markings, list) else iter(())
    return next((_LEVELS[marking] for marking in named if marking in _LEVELS), "")


def _confidence(indicator: dict[str, Any]) -> int:
    confidence = indicator.get("confidence")
    if not isinstance(confidence, int) or isinstance(confidence, bool):
        return -1
    return confidence if 0 <= confidence <= HIGHEST_CONFIDENCE else -1
