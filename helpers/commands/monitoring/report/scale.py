"""Round numbers for an axis, short ones for its labels, and fewer of what there is too much of to be seen. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

_UNITS = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))

Item = TypeVar("Item")


def ticks(largest: int, steps: int) -> list[int]:
    """Return the numbers that an axis shows in about so many steps, from 0 to one that no value is larger than."""
    least = max(1, largest / steps)
    power = 10 ** math.floor(math.log10(least))
    step = next(round(factor * power) for factor in (1, 2, 5, 10) if factor * power >= least)
    return list(range(0, largest + step, step)) if largest else [0, 1]


def short(number: float) -> str:
    """Return a round number in few letters: ``1.5M``, ``20k``."""
    for unit, letter in _UNITS:
        if number >= unit:
            return f"{number / unit:.3g}{letter}"
    return f"{number:g}"


def thinned(items: Sequence[Item], most: int) -> list[Item]:
    """Return so many of the items at equal distances, the first and the last among them; all if there are fewer."""
    if len(items) <= most:
        return list(items)
    return [items[round(position * (len(items) - 1) / (most - 1))] for position in range(most)]


def at_some(labels: Sequence[str], shown: int) -> list[str]:
    """Return the labels with only so many left at equal distances, since more would not fit; the others are empty."""
    places = set(thinned(range(len(labels)), shown))
    return [label if place in places else "" for place, label in enumerate(labels)]


def once(labels: Sequence[str]) -> list[str]:
    """Return the labels without those that repeat the one before, empty ones aside."""
    shown = ""
    kept = []
    for label in labels:
        kept.append("" if label == shown else label)
        shown = label or shown
    return kept
