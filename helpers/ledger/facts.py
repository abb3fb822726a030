"""What a ledger says of a destination as a whole, read with distrust: it may be cut off, or changed by hand. Pure."""

from __future__ import annotations

import json
from typing import Any

from helpers.ledger.records import DestinationFacts


def read_facts(text: Any) -> tuple[DestinationFacts, list[str]]:
    """Return what a row says, and the names of what it says in a form that no version of this program writes.

    That counts as unknown, and costs nothing else of the row.
    """
    try:
        stored = json.loads(text or "{}")
    except (TypeError, ValueError, RecursionError):  # cut off, no text, an endless number, nested without end
        stored = None
    if not isinstance(stored, dict):
        return DestinationFacts(), ["everything"]
    facts = DestinationFacts.of(stored)
    understood = json.loads(json.dumps(facts.stored()))
    known = DestinationFacts.stored_names() & stored.keys()
    return facts, sorted(name for name in known if stored[name] and understood.get(name) != stored[name])
