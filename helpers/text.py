"""Text for people, moments, and long lists in pieces: cut short, on one line, free of control characters. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from itertools import islice
from typing import TypeVar

Element = TypeVar("Element")

# Words may begin with white space: so many times as much of them is looked at as is kept.
_LOOKED_AT = 4


def shorten(text: str, most: int, mark: str = "…") -> str:
    """Return a text of at most ``most`` characters; ``mark`` at its end says that more was cut off."""
    return text if len(text) <= most else text[: most - len(mark)] + mark


def one_line(text: object) -> str:
    """Return a text on one line, with one space wherever there was white space."""
    return " ".join(str(text).split())


def printable(text: str, keep: str = "") -> str:
    """Return a text in which nothing ends the line or commands a terminal; the characters in ``keep`` stay."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in keep else letter.encode("unicode_escape").decode()
        for letter in text
    )


def counted(number: float, one: str, several: str) -> str:
    """Return a number with the word for what is counted: ``1 story``, ``1,200 stories``."""
    shown = f"{number:,}" if isinstance(number, int) else f"{number:g}"
    return f"{shown} {one if number == 1 else several}"


def listed(words: Sequence[str]) -> str:
    """Return words as one reads them out: ``a, b and c``."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def duration(seconds: float) -> str:
    """Return a time span as people say it: ``34 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    hours, left = divmod(minutes, 60)
    return " ".join(filter(None, [f"{hours:,} h" if hours else "", f"{left} min" if left or not hours else ""]))


def moment_text(seconds: int) -> str:
    """Return a moment in seconds since 1970 as people and programs read it: 2027-09-24T14:05:00Z."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def excerpt(words: object, most: int, mark: str = "…") -> str:
    """Return somebody else's words as they are kept and shown: printable, on one line, at most ``most`` characters.

    However long they are, no more is looked at than may be needed for that.
    """
    return shorten(printable(one_line(str(words)[: most * _LOOKED_AT])), most, mark)


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.8) -> str | None:
    """Return which of the known words is meant by one that is none of them, in any letter case; None if none is near.

    ``cutoff`` says how alike they must be, from 0 to 1.
    """
    nearest = get_close_matches(word.lower(), list(known), n=1, cutoff=cutoff)
    return nearest[0] if nearest else None


def batched(items: Iterable[Element], size: int) -> Iterator[list[Element]]:
    """Cut items into lists of at most ``size`` (itertools.batched comes with Python 3.12)."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
