"""Lists: the routes about warninglists and decaying models (measured on MISP 2.5.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Response, request

from sandbox.misp.answers import WARNINGLIST, answer
from sandbox.misp.records import Record

if TYPE_CHECKING:
    from sandbox.misp.app import MispState


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
        return answer({"Warninglists": [{"Warninglist": each} for each in shown]})

    def check_values(self) -> Response:
        """warninglists/checkValue: the values that are listed; a PHP list when there is none."""
        body = request.get_json(force=True, silent=True)
        values = body.get("[]", ()) if isinstance(body, dict) else body or ()
        hit = {"id": WARNINGLIST["warninglist_id"], "name": WARNINGLIST["warninglist_name"]}
        return answer({each: [{**hit, "matched": each}] for each in values if each in self.state.warninglist} or [])


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
        models = {each["name"]: _model(str(each["id"]), each["name"], True) for each in scoring}
        for name, enabled in self.state.decaying_models.items():
            models[name] = _model(str(len(models) + 1), name, enabled)
        shown = [each | self.state.model_details.get(name, {}) for name, each in models.items()]
        return answer([{"DecayingModel": each, "DecayingModelMapping": []} for each in shown])


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
