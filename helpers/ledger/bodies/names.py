"""What actors, techniques and organisations are found by, out of what is sent of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from helpers.context import Kind
from helpers.errors import LedgerError
from helpers.ledger.bodies.packing import unpacked


def names_of(kind: Kind, body: bytes) -> str:
    """Return the names, aliases, numbers and tags of a packed object, in lower case, a line each; "" of other kinds."""
    if not kind.facts.named:
        return ""
    try:
        said = unpacked(body)
    except LedgerError:  # damaged: it has no names any more
        return ""
    return "\n".join(dict.fromkeys(name.lower() for name in _names(said) if isinstance(name, str)))


def _names(said: dict[str, Any]) -> Iterator[Any]:
    yield said.get("name")
    yield from said.get("aliases", ())
    yield from (reference.get("external_id") for reference in said.get("external_references", ()))
    yield from said.get("labels", ())
