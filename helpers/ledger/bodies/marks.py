"""What of an object's body stands in columns of its own, so that it is counted without reading bodies. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from constants import TLP_MARKINGS
from helpers.errors import LedgerError
from helpers.ledger.bodies.packing import unpacked

HIGHEST_CONFIDENCE = 100
_LEVELS = {marking: level for level, marking in TLP_MARKINGS.items()}


class Marks(NamedTuple):
    """Whom an indicator is for and how sure it is: a level of TLP, ``""`` where unknown, and 0 to 100 or -1."""

    tlp: str = ""
    confidence: int = -1


def marks_of(body: Any) -> Marks:
    """Return what a packed indicator says; what of it cannot be read is unknown. Both APIs' have the same names."""
    try:
        indicator = unpacked(body)
    except (LedgerError, TypeError, RecursionError):  # damaged, no bytes, nested without end
        return Marks()
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
