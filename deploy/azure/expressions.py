"""Pieces of which a template's expressions are made; ``[...]`` around one makes Azure work it out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

# The versions of Azure's interfaces, which are the versions of their schemas too. Each has all that is used here, and
# has been there long enough for Azure Government to have it as well.
API_VERSIONS = {
    "Microsoft.Authorization/roleAssignments": "2022-04-01",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.KeyVault/vaults": "2023-07-01",
    "Microsoft.KeyVault/vaults/secrets": "2023-07-01",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "2023-01-31",
    "Microsoft.OperationalInsights/workspaces": "2023-09-01",
    "Microsoft.Resources/deployments": "2022-09-01",
    "Microsoft.Storage/storageAccounts": "2023-05-01",
    "Microsoft.Storage/storageAccounts/blobServices/containers": "2023-05-01",
    "Microsoft.Web/serverfarms": "2024-04-01",
    "Microsoft.Web/sites": "2024-04-01",
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": "2024-04-01",
    "Microsoft.Web/sites/config": "2024-04-01",
}


def resource(kind: str, name: str, /, **rest: Any) -> Json:
    """Return a resource of a type of API_VERSIONS; ``name`` and ``rest`` are as the template has them."""
    return {"type": kind, "apiVersion": API_VERSIONS[kind], "name": name, **rest}


def worked_out(expression: str) -> str:
    """Return the expression so that Azure works it out."""
    return f"[{expression}]"


def parameter(name: str) -> str:
    """Return the expression for a parameter."""
    return f"parameters('{name}')"


def variable(name: str) -> str:
    """Return the expression for a variable."""
    return f"variables('{name}')"


def resource_id(kind: str, *names: str) -> str:
    """Return the expression for the id of a resource in the resource group, each name an expression too."""
    return f"resourceId('{kind}', {', '.join(names)})"


def state_of(identifier: str, kind: str, *path: str) -> str:
    """Return the expression for what Azure says of a resource, by the expression for its id."""
    return ".".join([f"reference({identifier}, '{API_VERSIONS[kind]}')", *path])


def made_object(content: Mapping[str, str]) -> str:
    """Return the expression for an object whose values are expressions."""
    pairs = [f"{text(key)}, {value}" for key, value in content.items()]
    return f"createObject({', '.join(pairs)})"


def text(value: str) -> str:
    """Return the expression for a text."""
    quoted = value.replace("'", "''")
    return f"'{quoted}'"
