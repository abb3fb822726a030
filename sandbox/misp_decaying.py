"""Decaying models: the route that lists them (measured on MISP 2.5.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Response

from sandbox.misp_answers import answer
from sandbox.misp_records import Record

if TYPE_CHECKING:
    from sandbox.misp import MispState


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
