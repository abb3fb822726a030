"""Lists: the tags, decaying models and warninglists that the sandbox's MISP knows (measured on MISP 2.5.1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Response, request

from sandbox.misp_answers import answer
from sandbox.misp_records import Record

if TYPE_CHECKING:
    from sandbox.misp import MispState

# What a tag has on an event, and not by itself.
ATTACHED = ("local", "relationship_type")


class Lists:
    """The routes that list what events refer to."""

    def __init__(self, state: MispState) -> None:
        self.state = state

    def routes(self) -> dict[str, Callable[..., Response]]:
        """Give each path with what answers it."""
        return {
            "/tags/search": self.search_tags,
            "/tags/search/<name>/<int:strict>": self.search_tags,
            "/decayingModel/index": self.decaying_models,
            "/warninglists/index": self.warninglists,
        }

    def search_tags(self, name: str = "", strict: int = 0) -> Response:
        """tags/search: ``%`` stands for anything; letter case counts where the path asks for the very name."""
        body = request.get_json(force=True, silent=True) or {}
        # Where no ``tag`` is given, each value of the body is a name to MISP, whatever it is called (its source).
        wanted = _texts(body.get("tag") or list(body.values()) if isinstance(body, dict) else body) or [name]
        found = [tag for tag in self.state.known_tags() if any(_is_named(tag, each, strict) for each in wanted)]
        return answer([{"Tag": _alone(tag)} for tag in found])

    def decaying_models(self) -> Response:
        """decayingModel/index."""
        return answer([{"DecayingModel": each, "DecayingModelMapping": []} for each in self.state.decaying_models])

    def warninglists(self) -> Response:
        """warninglists/index."""
        return answer({"Warninglists": [{"Warninglist": each} for each in self.state.known_warninglists()]})


def _alone(tag: Record) -> Record:
    return {"org_id": "0", **{name: value for name, value in tag.items() if name not in ATTACHED}}


def _is_named(tag: Record, wanted: str, strict: int) -> bool:
    if strict:
        return wanted in (tag["name"], tag["id"])
    return re.fullmatch(".*".join(map(re.escape, wanted.lower().split("%"))), tag["name"].lower()) is not None


def _texts(value: Any) -> list[str]:
    return [str(each) for each in (value if isinstance(value, list) else [value])]
