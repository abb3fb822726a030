"""Who deploys the templates here: their values, with secrets that can be told apart."""

from __future__ import annotations

import json

from deploy.azure.made import files
from tests.project.deploy.azure.arm import PRINCIPAL

FUNCTION, ROLE, EXAMPLE = "function.template.json", "role.template.json", "function.parameters.json"
SECRETS = {"mispKey": "m" * 40, "stateUrl": "postgresql://sync:p-w-d@db.example.org/misp2sentinel"}


def made(name):
    return json.loads(files()[name])


def example():
    return {name: value["value"] for name, value in made(EXAMPLE)["parameters"].items()}


VALUES = {FUNCTION: {**example(), **SECRETS}, ROLE: {"workspace": "soc-logs", "principal": PRINCIPAL}}
