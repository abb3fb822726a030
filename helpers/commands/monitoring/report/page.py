"""Makes the page of what it says: HTML with its style inside, and nothing that a browser would fetch or run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from helpers.commands.monitoring.report.contents import Contents
from helpers.process import safe_to_show
from helpers.text import shorten

TOO_LARGE = 1_000_000
_HERE = Path(__file__).parent
_JOINER = "\N{ZERO WIDTH JOINER}"  # holds emoji and letters together
_NOTHING_ELSE = "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'"


def page_of(versions: Iterable[Contents]) -> str:
    """Return the page of the first of these that makes none of 1 MB, or of the last.

    Whatever MISP and Microsoft said is text in it.
    """
    page = ""
    for contents in versions:
        page = _made(contents)
        if len(page.encode()) < TOO_LARGE:
            break
    return page


def _made(contents: Contents) -> str:
    import jinja2  # noqa: PLC0415  only for a page

    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    templates.filters["cut"] = lambda words: shorten(safe_to_show(words, keep=_JOINER), contents.letters)
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    return templates.get_template("page.html").render(page=contents, style=style, policy=policy(style))


def policy(style: str) -> str:
    """Return what a browser may do with the page: use this style, and nothing else (Content Security Policy)."""
    return _NOTHING_ELSE.format(base64.b64encode(hashlib.sha256(style.encode()).digest()).decode())


def _shown(value: Any) -> Any:
    """Take secrets, and what commands a terminal or turns a line around, out of any text that is not our own markup."""
    return safe_to_show(value, keep=_JOINER) if type(value) is str else value
