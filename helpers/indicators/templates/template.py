"""A STIX indicator without its values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from helpers.indicators.patterns import Observable

# A type and, of each part of its value, the example that stands for it.
Question = tuple[str, tuple[str, ...]]


class FilledTemplate(NamedTuple):
    """What misp-stix would have made of an attribute, and the observables in its pattern."""

    stix: Mapping[str, Any]
    observables: list[Observable]


@dataclass(frozen=True)
class PatternTemplate:
    """A STIX indicator without its values.

    ``pieces`` of the pattern stand before, between and after the values, which come in the ``order`` of their
    positions in the attribute; ``observables`` are paths, each with the position of its value.
    """

    stix: Mapping[str, Any]
    pieces: tuple[str, ...]
    order: tuple[int, ...]
    observables: tuple[tuple[str, int], ...]

    def filled(self, uuid: str, parts: tuple[str, ...]) -> FilledTemplate:
        """Return the indicator of an attribute with these values."""
        pattern = self.pieces[0]
        for position, after in zip(self.order, self.pieces[1:], strict=True):
            pattern += parts[position].replace("\\", "\\\\") + after
        stix = {**self.stix, "id": f"indicator--{uuid}", "pattern": pattern}
        return FilledTemplate(stix, [Observable(path, parts[position]) for path, position in self.observables])
