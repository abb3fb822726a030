"""The vault: a secret for each parameter that is one, and what an application setting says in its place."""

from __future__ import annotations

from deploy.azure.expressions import Json, parameter, resource, resource_id, variable, worked_out
from deploy.azure.foundation import role_of_the_function

VAULT = "Microsoft.KeyVault/vaults"
SECRET = "Microsoft.KeyVault/vaults/secrets"  # noqa: S105  a type of resource
VAULT_ID = resource_id(VAULT, variable("vault"))

# The vault's secrets by the parameters that they are of.
SECRETS = {"mispKey": "misp-key", "stateUrl": "state-url", "tenants": "tenants", "onSuccess": "on-success"}
OPTIONAL = ("tenants", "onSuccess")


def resources() -> list[Json]:
    """Return the vault, the Function's role for it, and the secrets."""
    properties = {
        "tenantId": "[tenant().tenantId]",
        "sku": {"family": "A", "name": "standard"},
        "enableRbacAuthorization": True,
    }
    location = worked_out(parameter("location"))
    vault = resource(VAULT, worked_out(variable("vault")), location=location, properties=properties)
    return [vault, role_of_the_function("Key Vault Secrets User", VAULT_ID), *map(_secret, SECRETS)]


def reference_to(name: str) -> str:
    """Return the expression for an application setting that the vault's secret of that parameter stands for."""
    return f"concat('@Microsoft.KeyVault(VaultName=', {variable('vault')}, ';SecretName={SECRETS[name]})')"


def secret_id(name: str) -> str:
    """Return the expression for the id of the secret of a parameter."""
    return resource_id(SECRET, variable("vault"), f"'{SECRETS[name]}'")


def _secret(name: str) -> Json:
    only = {"condition": worked_out(f"not(empty({parameter(name)}))")} if name in OPTIONAL else {}
    called = worked_out(f"concat({variable('vault')}, '/{SECRETS[name]}')")
    properties = {"value": worked_out(parameter(name))}
    return {**only, **resource(SECRET, called, properties=properties, dependsOn=[worked_out(VAULT_ID)])}
