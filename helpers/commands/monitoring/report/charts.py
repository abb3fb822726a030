"""Draws charts as SVG, with pygal: no script, no style, no colour and no id of pygal's is left in them. Pure."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from xml.etree import ElementTree

from helpers.commands.monitoring.report.scale import short, ticks

# Units of the picture; the page draws one at 340 to 620 pixels, and sets the size of its text by the screen's width.
WIDTH, HEIGHT, LOW = 540, 220, 120
LARGEST_TEXT = 20
_HALF_A_LABEL, _LOWER = 30, 14
# What is left of pygal's tree; anything else, such as a style, a script, an id or what it says in English, goes.
_ELEMENTS = {"g", "path", "rect", "text"}
_ATTRIBUTES = {
    "g": ("transform", "class"),
    "path": ("d",),
    "rect": ("x", "y", "width", "height"),
    "text": ("x", "y"),
}
_CLASSES = re.compile(r"\b(?:axis [xy]|series|color-\d+)(?=\s|$)")
_NUMBER = re.compile(r"-?\d+\.\d+")
_SMALLEST_BAR = 1.5


class Said(NamedTuple):
    """What a picture is called on its page, and what it shows, for those who do not see it."""

    name: str
    title: str
    told: str


def bars(said: Said, values: Sequence[int], labels: Sequence[str], height: int = HEIGHT) -> str:
    """Draw a bar for each value, over its label; an empty label is left out."""
    return _drawn("Bar", [values], labels, height, said)


def areas(said: Said, layers: Sequence[Sequence[int]], labels: Sequence[str]) -> str:
    """Draw areas, the first at the bottom, each from where the one below it ends."""
    return _drawn("StackedLine", layers, labels, HEIGHT, said)


def _drawn(kind: str, layers: Sequence[Sequence[int]], labels: Sequence[str], height: int, said: Said) -> str:
    pygal = _pygal()
    text = pygal.style.Style(label_font_size=LARGEST_TEXT, major_label_font_size=LARGEST_TEXT)
    steps = ticks(max(map(sum, zip(*layers, strict=True))), 3 if height == HEIGHT else 2)
    chart = getattr(pygal, kind)(
        width=WIDTH,
        height=height,
        margin=6,
        margin_right=_HALF_A_LABEL,
        margin_bottom=_LOWER,
        style=text,
        show_legend=False,
        fill=True,
        show_dots=False,
        truncate_label=-1,
        y_labels=steps,
        range=(0, steps[-1]),
        value_formatter=short,
        x_labels=labels,
    )
    for layer in layers:
        chart.add("", list(layer))
    return _page_ready(chart.render_tree(), height, said)


def _pygal() -> Any:
    """Return the library, without the finder that it leaves to all imports after it.

    That one is for plugins, is of before Python 3.4, and Python warns of it at each import that fails.
    """
    import pygal.style  # noqa: PLC0415  only for a page

    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]
    return pygal


def _page_ready(tree: Any, height: int, said: Said) -> str:
    """Return the picture with nothing in it but what it is drawn of, and what it is called."""
    picture = ElementTree.Element("svg", {"viewBox": f"0 0 {WIDTH} {height}", "role": "img"})
    picture.set("aria-labelledby", f"{said.name}-title {said.name}-told")
    ElementTree.SubElement(picture, "title", {"id": f"{said.name}-title"}).text = said.title
    ElementTree.SubElement(picture, "desc", {"id": f"{said.name}-told"}).text = said.told
    plot = next(node for node in tree.iter() if _tag(node) == "g" and node.get("class") == "plot")
    picture.extend(_copied(plot))
    return ElementTree.tostring(picture, encoding="unicode")


def _copied(node: Any) -> Iterator[ElementTree.Element]:
    """Yield a node with what is allowed in it; nothing where it draws nothing."""
    tag = _tag(node)
    if tag not in _ELEMENTS or node.get("class") == "background":
        return
    copy = ElementTree.Element(tag, dict(_attributes(tag, node)))
    if tag == "g":
        yield from _group(node, copy)
    elif tag == "rect":
        yield from _bar(node, copy)
    elif tag == "path" or node.text:
        copy.text = node.text if tag == "text" else None
        yield copy


def _group(node: Any, copy: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Yield a group; where it says nothing of its members, they stand for themselves. No line goes up from a label."""
    for child in node:
        copy.extend(_copied(child))
    if copy.get("class") == "axis x":
        copy[:] = copy.findall("text")
    if copy.attrib and len(copy):
        yield copy
    else:
        yield from copy


def _attributes(tag: str, node: Any) -> Iterator[tuple[str, str]]:
    for name in _ATTRIBUTES[tag]:
        value = node.get(name, "")
        if name == "class":
            value = " ".join(_CLASSES.findall(value))
        if value:
            yield name, _NUMBER.sub(_rounded, value)


def _bar(node: Any, copy: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Yield a bar, unless it is of nothing; one that is too low to be seen gets higher."""
    height, top = float(node.get("height")), float(node.get("y"))
    if 0 < height < _SMALLEST_BAR:
        copy.set("height", str(_SMALLEST_BAR))
        copy.set("y", f"{top + height - _SMALLEST_BAR:.1f}")
    if height > 0:
        yield copy


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")


def _tag(node: Any) -> str:
    """Return an element's name without its namespace; nothing for a comment."""
    return node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""
