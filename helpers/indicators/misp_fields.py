"""MISP's own ways of writing things: truth, text, UUIDs, lists, and the address of an event. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from constants import LONGEST_NAME
from helpers.indicators.values import storable
from helpers.text import shorten

# An event, or a part of one, in MISP's REST form.
Json = Mapping[str, Any]
# Of a version and of the variant that has versions (RFC 9562, sections 4.1 and 4.2).
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[1-9a-f][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def is_true(value: object) -> bool:
    """Say whether a field of MISP's is set: it is true, 1 or "1", from version to version and route to route."""
    return value in (True, 1, "1")


def text_of(value: object) -> str:
    """Return a MISP field as text that can be stored anywhere; nothing when it is no text or number."""
    if isinstance(value, str):
        return storable(value).strip()
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def name_of(value: object) -> str:
    """Return the same of a field in which MISP keeps no more than a name."""
    return shorten(text_of(value), LONGEST_NAME)


def stix_uuid(value: object) -> str:
    """Return a UUID in lower case, or nothing when it is malformed or has no version (the nil UUID)."""
    text = value.strip().lower() if isinstance(value, str) else ""
    return text if _UUID.fullmatch(text) else ""


def dicts(value: object) -> list[dict[str, Any]]:
    """Return the dictionaries in one of MISP's lists; whatever else is in it is left out."""
    entries = value.values() if isinstance(value, Mapping) else value  # PHP writes a list with gaps as an object
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, Iterable) else []


def event_url(misp: str, event: str) -> str:
    """Return where people see an event, given by its UUID or its number; ``misp`` is MISP's address."""
    return f"{misp}/events/view/{event}"
