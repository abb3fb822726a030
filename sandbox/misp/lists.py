"""Lists: the routes about tags, warninglists and decaying models (measured on MISP 2.5.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from flask import Response, request

from sandbox.misp.answers import WARNINGLIST, answer
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
        names = body.get("tag") or list(body.values())
        words = [str(name) for name in (names if isinstance(names, list) else [names])]
        tags = {name: tag for name, tag in self._all() if any(_like(word, name) for word in words)}
        return answer([{"Tag": tag} for tag in sorted(tags.values(), key=lambda tag: int(tag["id"]))])

    def _all(self) -> Iterator[tuple[str, Record]]:
        yield from ((name, _bare_tag(self.state.tag(name))) for name in self.state.tags)
        for event in self.state.events():
            for record in (event, *attributes(event)):
                yield from ((tag["name"], _bare_tag(tag)) for tag in record.get("Tag", ()))


def _bare_tag(tag: Record) -> Record:
    """Show a tag without what belongs to where it is attached."""
    return {"org_id": "0"} | {name: tag[name] for name in tag if name not in ("local", "relationship_type")}


def _like(word: str, name: str) -> bool:
    forms = {"%": ".*", "_": "."}
    pattern = "".join(forms.get(letter) or re.escape(letter) for letter in word.lower())
    return re.fullmatch(pattern, name.lower(), re.DOTALL) is not None


class Warninglists:
    """The one list that the sandbox has, of plain values, unless tests have put records of others there."""

    def __init__(self, state: MispState) -> None:
        self.state = state

    def routes(self) -> dict[str, Callable[..., Response]]:
        """Give each path with what answers it."""
        return {"/warninglists/index": self.index, "/warninglists/checkValue": self.check_values}

    def index(self) -> Response:
        """warninglists/index."""
        shown = self.state.warninglists or [_warninglist(len(self.state.warninglist))]
        return answer({"Warninglists": [{"Warninglist": warninglist} for warninglist in shown]})

    def check_values(self) -> Response:
        """warninglists/checkValue: the values that are listed; a PHP list when there is none."""
        body = request.get_json(force=True, silent=True)
        values = body.get("[]", ()) if isinstance(body, dict) else body or ()
        hit = {"id": WARNINGLIST["warninglist_id"], "name": WARNINGLIST["warninglist_name"]}
        return answer({value: [{**hit, "matched": value}] for value in values if value in self.state.warninglist} or [])


def _warninglist(entries: int) -> Record:
    return {
        "id": WARNINGLIST["warninglist_id"],
        "name": WARNINGLIST["warninglist_name"],
        "type": "string",
        "description": "",
        "version": "1",
        "enabled": True,
        "default": False,
        "category": WARNINGLIST["warninglist_category"],
        "warninglist_entry_count": str(entries),
        "valid_attributes": "domain, hostname",
    }


class DecayingModels:
    """The models that have scored something, and those that were named besides."""

    def __init__(self, state: MispState) -> None:
        self.state = state

    def routes(self) -> dict[str, Callable[..., Response]]:
        """Give each path with what answers it."""
        return {"/decayingModel/index": self.index}

    def index(self) -> Response:
        """decayingModel/index, which a read-only key may ask too."""
        scoring = [score["DecayingModel"] for scores in self.state.scores.values() for score in scores.values()]
        models = {model["name"]: _model(str(model["id"]), model["name"], True) for model in scoring}
        for name, enabled in self.state.decaying_models.items():
            models[name] = _model(str(len(models) + 1), name, enabled)
        shown = [model | self.state.model_details.get(name, {}) for name, model in models.items()]
        return answer([{"DecayingModel": model, "DecayingModelMapping": []} for model in shown])


def _model(number: str, name: str, enabled: bool) -> Record:
    return {
        "id": number,
        "uuid": f"ddddeeee-0000-4000-8000-{int(number):012d}",
        "name": name,
        "parameters": {
            "lifetime": 120,
            "decay_speed": 2,
            "threshold": 30,
            "default_base_score": 80,
            "base_score_config": {},
        },
        "attribute_types": ["domain", "ip-dst"],
        "description": "A model of the sandbox.",
        "org_id": "1",
        "enabled": enabled,
        "all_orgs": True,
        "ref": [],
        "formula": "Polynomial",
        "version": "1",
        "default": True,
    }
