"""The links of a page, as they are among the pages of the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_ELSEWHERE = re.compile(r"[a-z]+:|#")
PICTURES = ("docs/pictures/", "docs/diagrams/")


def name_of(page: str) -> str:
    """Return the name that a page has in the site, where all lie side by side: ``license.md`` for LICENSE."""
    return "index.md" if page == "README.md" else posixpath.basename(page).lower().removesuffix(".md") + ".md"


def relinked(text: str, page: str, pages: Collection[str]) -> str:
    """Return a page's Markdown with its links as they are in the site.

    ``page`` and ``pages`` are paths in the repository. A link to a file that the site does not have, such as one of
    ``deploy/``, leaves its words.
    """
    known = {*pages, "README.md"}

    def put(link: re.Match[str]) -> str:
        mark, words, target = link.groups()
        if _ELSEWHERE.match(target):
            return link[0]
        path, _, anchor = target.partition("#")
        place = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
        if place.startswith(PICTURES):
            return f"{mark}[{words}]({place.removeprefix('docs/')})"
        if place in known or place.endswith(".md"):
            return f"{mark}[{words}]({name_of(place)}{'#' + anchor if anchor else ''})"
        return words

    return _LINK.sub(put, text)
