"""Who deploys the templates here: their values, with secrets that can be told apart."""

from __future__ import annotations

import json

from deploy.azure.made import files
from tests.project.deploy.azure.arm import PRINCIPAL, Deployment

FUNCTION, ROLE, EXAMPLE = "function.template.json", "role.template.json", "function.parameters.json"
SECRETS = {"mispKey": "m" * 40, "stateUrl": "postgresql://sync:p-w-d@db.example.org/misp2sentinel"}


def made(name):
    return json.loads(files()[name])


def example():
    return {name: value["value"] for name, value in made(EXAMPLE)["parameters"].items()}


VALUES = {FUNCTION: {**example(), **SECRETS}, ROLE: {"workspace": "soc-logs", "principal": PRINCIPAL}}


def deployment(file=FUNCTION, /, **more):
    """A template with the values from above, and those that are given."""
    return Deployment(made(file), {**VALUES[file], **more})


def of_type(resources, kind):
    """Those of the resources that are of a type."""
    return [resource for resource in resources if resource["type"] == kind]


def settings_of_the_template(**more):
    """The application settings, with what Azure resolves its vault's references to."""
    resources = deployment(**more).resources()
    (config,) = of_type(resources, "Microsoft.Web/sites/config")
    (vault,) = of_type(resources, "Microsoft.KeyVault/vaults")
    secrets = {
        f"@Microsoft.KeyVault(VaultName={vault['name']};SecretName={secret['name'].partition('/')[2]})": secret
        for secret in of_type(resources, "Microsoft.KeyVault/vaults/secrets")
    }
    settings = config["properties"]
    references = {key: value for key, value in settings.items() if value.startswith("@Microsoft")}
    return settings | {key: secrets[value]["properties"]["value"] for key, value in references.items()}
