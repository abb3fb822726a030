"""What a page is made of: numbers, charts, tables and sentences, as plain values. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Tile:
    """A number at a glance; ``tone`` is what a ``Tone`` is called, and ``words`` say what it means."""

    name: str
    number: str
    words: str = ""
    tone: str = "plain"


@dataclass(frozen=True)
class Table:
    """Rows under a head; in the columns ``numbers`` digits stand below each other, those of ``dates`` stay on a line.

    So many of the rows are ``open``; those after them are behind what somebody clicks on.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()
    dates: frozenset[int] = frozenset()
    open: int = 25


@dataclass(frozen=True)
class Layer:
    """A line of a chart's legend: which of the colours it has, what it is, and how much of it there is."""

    colour: int
    name: str
    number: str


@dataclass(frozen=True)
class Chart:
    """A picture as SVG, which is markup of our own, with its legend and the numbers that it shows."""

    svg: str
    name: str = ""
    legend: Sequence[Layer] = ()
    numbers: Table | None = None


@dataclass(frozen=True)
class Share:
    """One of several that a whole is made of; ``part`` is how much it is of the largest of them, from 0 to 1."""

    name: str
    number: str
    part: float


@dataclass(frozen=True)
class Part:
    """A section of the page under its title; ``size`` is how much of the page's width it takes: full or half."""

    title: str
    words: Sequence[str] = ()
    tiles: Sequence[Tile] = ()
    charts: Sequence[Chart] = ()
    shares: Sequence[Share] = ()
    table: Table | None = None
    size: str = "full"


@dataclass(frozen=True)
class Section:
    """A destination, or what is said of all of them together."""

    title: str
    parts: Sequence[Part]
    words: Sequence[str] = field(default=())
    anchor: str = ""
