"""A line for people: what stands before its words, its colour, and how it wraps. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

# Fewer columns than this for the words: then they wrap under the mark.
_FEWEST_COLUMNS = 24
_SHORT_INDENT = 4
# A word, with the number before it: "23 skipped", "12 s".
_PIECE = re.compile(r"(?:\d[\d,.]* )?\S+")


class Tone(StrEnum):
    """What a line tells by its colour; the values are styles of rich's, in the terminal's own colours."""

    PLAIN = ""
    GOOD = "green"
    ODD = "yellow"
    BAD = "red"
    STRONG = "bold"
    QUIET = "dim"


SYMBOLS = {Tone.GOOD: "✓", Tone.ODD: "!", Tone.BAD: "✗"}


@dataclass(frozen=True)
class Line:
    """Words, and what stands before them.

    ``mark`` has the colour of ``tone``; where there is none, and where ``whole`` says so, the words have it. In a
    terminal ``symbol`` takes the mark's place. ``indent`` is how many columns are left free, and ``column`` how many
    after these the words begin at, at least; wrapped lines go on where the words begin.
    """

    words: str
    tone: Tone = Tone.PLAIN
    mark: str = ""
    indent: int = 0
    column: int = 0
    symbol: str = ""
    whole: bool = False

    def in_terminal(self) -> Line:
        """Return the line with its symbol in the mark's place."""
        return replace(self, mark=self.symbol or self.mark, symbol="")

    @property
    def coloured(self) -> tuple[int, int | None]:
        """From which letter of the text on to which one the colour goes; None is the end of the line."""
        return self.indent, None if self.whole or not self.mark else self.indent + len(self.mark)

    def text(self) -> str:
        """Return the whole line, not wrapped."""
        return f"{self._before}{self.words}".rstrip()

    def __str__(self) -> str:
        return self.text()

    def wrapped(self, width: int) -> list[str]:
        """Return the line in pieces of at most ``width`` columns; a longer word has a line of its own."""
        if cells(self.text()) <= width:
            return [self.text()]
        start = cells(self._before)
        rest = start if width - start >= _FEWEST_COLUMNS else min(start, self.indent + _SHORT_INDENT)
        return list(_wrapped(self._before, _unbroken(self.words, width - rest), " " * rest, width))

    @property
    def _before(self) -> str:
        mark = f"{self.mark} " if self.mark else ""
        return " " * self.indent + mark + " " * (self.column - cells(mark))


def verdict(tone: Tone, words: str) -> Line:
    """Return the line that says how something went."""
    return Line(words, tone, symbol=SYMBOLS.get(tone, ""), whole=True)


def columns(rows: Sequence[Sequence[str]], indent: int = 0, right: Collection[int] = ()) -> list[Line]:
    """Return rows as aligned lines, two columns apart; the last cell of each wraps where it begins.

    ``right`` are the numbers of the columns, from 0, whose cells end where their column ends.
    """
    heads = [row[:-1] for row in rows]
    widths = [max(map(cells, column)) for column in zip(*heads, strict=True)]
    return [
        Line(row[-1], mark=_padded(row[:-1], widths, right), indent=indent, column=sum(widths) + 2 * len(widths))
        for row in rows
    ]


def looked_up(particulars: Sequence[tuple[str, str]]) -> list[Line]:
    """Return what only somebody looks up who searches for it, by name; addresses, which are long, without one."""
    links = [value for _, value in particulars if value.startswith("https://")]
    named = columns([pair for pair in particulars if pair[1] not in links], indent=2)
    return named + [Line(link, indent=2) for link in links]


def cells(text: str) -> int:
    """Return how many of a terminal's columns a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415  heavy, and seldom needed

    return cell_len(text)


def _padded(row: Sequence[str], widths: Sequence[int], right: Collection[int]) -> str:
    gaps = [" " * (width - cells(cell)) for cell, width in zip(row, widths, strict=True)]
    filled = [f"{gaps[i]}{cell}" if i in right else f"{cell}{gaps[i]}" for i, cell in enumerate(row)]
    return "  ".join(filled).rstrip()


def _unbroken(words: str, width: int) -> Iterator[str]:
    """Yield what is not broken: words, and a number with what it counts, where there is room for that."""
    for piece in _PIECE.findall(" ".join(words.split())):
        yield from [piece] if cells(piece) <= width else piece.split()


def _wrapped(line: str, words: Iterable[str], rest: str, width: int) -> Iterator[str]:
    """Yield lines; ``rest`` is what each but the first begins with."""
    empty = not line.strip()
    for word in words:
        between = "" if not line or line[-1] == " " else " "
        if cells(f"{line}{between}{word}") <= width:
            line, empty = f"{line}{between}{word}", False
            continue
        if not empty:
            yield line.rstrip()
        # A word that has no room beside the indent gets as much of the line as it needs.
        line, empty = " " * min(len(rest), max(0, width - cells(word))) + word, False
    yield line
