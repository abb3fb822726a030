"""The pictures in the docs show what the program shows, and the diagrams what their texts say."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.project.site import diagrams, pictures

ROOT = Path(__file__).resolve().parents[3]
SVGS = sorted((ROOT / "docs").rglob("*.svg"))
SHOWN = sorted([*SVGS, *(ROOT / "docs").rglob("*.png")])
AGAIN = "To make them anew: .venv/bin/python -m tests.project.site.pictures"
# What is another one each time: ports, days, moments, and how long it took.
PASSING = re.compile(r"localhost:\d+|\d+ [A-Z][a-z]+ 20\d\d|20\d\d-\d\d-\d\d \d\d:\d\d|\b\d+ s\b|just now|a minute ago")
LARGEST = 150_000


def lasting(text: str) -> list[str]:
    """The words of a screen without what passes; a line may then end elsewhere."""
    return PASSING.sub("…", " ".join(text.split())).split()


def test_the_terminals_show_what_the_program_shows():
    for scene, seen in pictures.screens():
        shown = pictures.words((pictures.PICTURES / f"{scene.name}.svg").read_text(encoding="utf-8"))
        today = pictures.words(pictures.picture(scene, seen))
        assert seen.exit_code == 0
        assert lasting(shown) == lasting(today), AGAIN


def test_the_readmes_sample_is_the_picture():
    shown = pictures.words((pictures.PICTURES / "run.svg").read_text(encoding="utf-8"))
    sample = re.search(r"^```\n(✓.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert lasting(f"$ {pictures.COMMAND} {sample[1]}") == lasting(shown)


@pytest.mark.parametrize("path", diagrams.TEXTS, ids=lambda path: path.stem)
def test_a_diagram_has_the_words_of_the_text_beside_it(path):
    tree = ElementTree.parse(path.with_suffix(".svg"))
    assert sorted(part.text for part in tree.iter(f"{pictures.SVG}text")) == diagrams.labels(path), AGAIN
    told = [tree.findtext(f"{pictures.SVG}{name}") for name in ("title", "desc")]
    assert tuple(told) == diagrams.about(path)


@pytest.mark.parametrize("path", SVGS, ids=lambda path: path.name)
def test_a_drawing_has_a_title_and_asks_nobody_for_anything(path):
    text = path.read_text(encoding="utf-8")
    tree = ElementTree.fromstring(text)
    assert tree.get("role") == "img" and tree.findtext(f"{pictures.SVG}title")
    assert not re.search(r"<script|@import|@font-face|(href|src)=|url\((?!#)", text)


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.name)
def test_a_picture_is_small_and_a_page_shows_it_and_says_what_it_is(path):
    assert path.stat().st_size < LARGEST
    pages = [page.read_text(encoding="utf-8") for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]]
    shown = [
        words for text in pages for words in re.findall(rf"!\[([^\]]*)\]\([\w/]*{path.parent.name}/{path.name}\)", text)
    ]
    assert shown and all(shown)
