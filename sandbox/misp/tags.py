"""Tags: the route that finds them by name (measured on MISP 2.5.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from flask import Response, request

from sandbox.misp.answers import answer
from sandbox.misp.records import Record, attributes

if TYPE_CHECKING:
    from sandbox.misp.app import MispState


class Tags:
    """The route that a reader uses; it shows every tag to everybody, also those of events out of sight."""

    def __init__(self, state: MispState) -> None:
        self.state = state

    def routes(self) -> dict[str, Callable[..., Response]]:
        """Give each path with what answers it."""
        return {"/tags/search": self.search}

    def search(self) -> Response:
        """tags/search: by LIKE, in any letter case; taxonomies and clusters, which MISP adds, are not kept here.

        Without ``tag`` every value of the body is a name, which is how PyMISP's ``tagname`` works.
        """
        body = request.get_json(force=True, silent=True) or {}
        named = body.get("tag") or list(body.values())
        words = [str(each) for each in (named if isinstance(named, list) else [named])]
        found = {name: tag for name, tag in self._every() if any(_like(word, name) for word in words)}
        return answer([{"Tag": tag} for tag in sorted(found.values(), key=lambda tag: int(tag["id"]))])

    def _every(self) -> Iterator[tuple[str, Record]]:
        yield from ((name, _shown(self.state.tag(name))) for name in self.state.tags)
        for event in self.state.events():
            for one in (event, *attributes(event)):
                yield from ((tag["name"], _shown(tag)) for tag in one.get("Tag", ()))


def _shown(tag: Record) -> Record:
    """Show a tag without what belongs to where it is attached."""
    return {"org_id": "0"} | {name: tag[name] for name in tag if name not in ("local", "relationship_type")}


def _like(word: str, name: str) -> bool:
    forms = {"%": ".*", "_": "."}
    pattern = "".join(forms.get(letter) or re.escape(letter) for letter in word.lower())
    return re.fullmatch(pattern, name.lower(), re.DOTALL) is not None
