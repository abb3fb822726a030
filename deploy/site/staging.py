"""The pages as Sphinx reads them: side by side, with a list of contents."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.site.contents import FRONT
from deploy.site.links import PICTURES, name_of, relinked

# What GitHub draws with a script. The pages that have such a chart have its numbers as a table too.
_CHART = re.compile(r"^```mermaid\n.*?^```\n", re.MULTILINE | re.DOTALL)


def lay_out(root: Path, contents: Mapping[str, Sequence[str]], directory: Path) -> None:
    """Write the front page and the pages of ``contents`` to a directory, with the pictures that they show.

    Raises OSError where a page is missing.
    """
    pages = (FRONT, *(page for section in contents.values() for page in section))
    for page in pages:
        text = _titled(_CHART.sub("", relinked((root / page).read_text(encoding="utf-8"), page, pages)))
        listed = _listed(contents) if page == FRONT else ""
        (directory / name_of(page)).write_text(text + listed, encoding="utf-8")
    for pictures in PICTURES:
        if (root / pictures).is_dir():
            shutil.copytree(root / pictures, directory / Path(pictures).name)


def _titled(text: str) -> str:
    """Return a page whose first line is its title, which LICENSE does not mark as one."""
    return text if text.startswith("#") else f"# {text}"


def _listed(contents: Mapping[str, Sequence[str]]) -> str:
    """Return the list of contents in MyST's words."""
    return "".join(
        "\n```{toctree}\n:hidden:\n:caption: " + "\n".join([heading, "", *map(name_of, pages)]) + "\n```\n"
        for heading, pages in contents.items()
    )
