"""What becomes of a MISP value: what misp-stix is given for it, or why it is not sent. Pure."""

from __future__ import annotations

from typing import NamedTuple

from constants import Skip

_HALVES = ("domain", "ip-dst")  # of a domain|ip


class Unsendable(Exception):
    """Raised for a value that is not sent; ``reason`` says why, ``words`` what about it."""

    def __init__(self, reason: Skip, words: str = "") -> None:
        self.reason = reason
        self.words = words
        super().__init__(words or reason.value)


class Value(NamedTuple):
    """What misp-stix is given for an attribute.

    ``parts`` are the values in the order of the observables that come out; ``file_name`` is the name
    that belongs to a hash; ``left_out`` are the halves of a composite that are not sent, with the reason.
    """

    type: str
    parts: tuple[str, ...]
    file_name: str = ""
    left_out: tuple[Unsendable, ...] = ()

    @property
    def text(self) -> str:
        """The value as MISP writes it, parts joined by a pipe."""
        return "|".join(self.parts)

    @property
    def typed_parts(self) -> list[tuple[str, str]]:
        """Each part with the MISP type that it has by itself."""
        if len(self.parts) == 1:
            return [(self.type, self.parts[0])]
        return list(zip(_HALVES, self.parts, strict=True))
