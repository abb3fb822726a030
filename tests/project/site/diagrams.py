"""Diagrams of ``docs/diagrams``: Graphviz (Debian: ``graphviz``) draws each from the text beside it.

The first two lines of a text are its title and what it shows, for those who do not see it.
"""

from __future__ import annotations

import html
import re
import subprocess
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parents[3] / "docs" / "diagrams"
TEXTS = sorted(DIRECTORY.glob("*.dot"))
_ABOUT = re.compile(r"// title: (.+)\n// shows: (.+)\n")
_LABEL = re.compile(r'label="([^"]*)"')


def about(path: Path) -> tuple[str, str]:
    """Return a diagram's title and what it shows. Raises ValueError where they are missing."""
    if not (found := _ABOUT.match(path.read_text(encoding="utf-8"))):
        raise ValueError(f"{path} does not begin with the lines // title: and // shows:")
    return found[1], found[2]


def labels(path: Path) -> list[str]:
    """Return each line that stands in a diagram, sorted."""
    found = _LABEL.findall(path.read_text(encoding="utf-8"))
    return sorted(line for label in found for line in label.split("\\n") if line)


def drawn(path: Path) -> str:
    """Draw a diagram, as SVG. Raises CalledProcessError where Graphviz finds a mistake in the text."""
    made = subprocess.run(["dot", "-Tsvg", path], check=True, capture_output=True, text=True)
    title, shows = (html.escape(words, quote=False) for words in about(path))
    opening, rest = re.fullmatch(r".*<svg(.*?>)(.*)", made.stdout, re.DOTALL).groups()
    drawing = re.sub(r"<!--.*?-->\s*|<title>.*?</title>\s*", "", rest, flags=re.DOTALL)
    return f'<svg role="img"{opening}\n<title>{title}</title>\n<desc>{shows}</desc>{drawing}'
