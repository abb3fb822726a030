"""The Function app itself, on the plan Flex Consumption, and that its passwords are of no use."""

from __future__ import annotations

from deploy.azure import foundation, settings, vault
from deploy.azure.expressions import Json, parameter, resource, resource_id, state_of, worked_out

SITE = "Microsoft.Web/sites"
CONFIG = "Microsoft.Web/sites/config"
PUBLISHING = "Microsoft.Web/sites/basicPublishingCredentialsPolicies"
SITE_ID = resource_id(SITE, parameter("name"))
CONFIG_ID = resource_id(CONFIG, parameter("name"), "'appsettings'")

PYTHON = "3.12"
# Azure runs a timer once, however many instances there are. Microsoft: flex-consumption-plan, "the lowest maximum".
_SCALE = {"maximumInstanceCount": 40, "instanceMemoryMB": 2048}


def resources() -> list[Json]:
    """Return the app, its settings, and what turns its publishing passwords off."""
    return [_site(), _settings(), _no_password("scm", CONFIG_ID), _no_password("ftp", _policy_id("scm"))]


def _site() -> Json:
    identity = worked_out(f"format('{{0}}', {foundation.IDENTITY_ID})")
    return resource(
        SITE,
        worked_out(parameter("name")),
        location=worked_out(parameter("location")),
        kind="functionapp,linux",
        identity={"type": "UserAssigned", "userAssignedIdentities": {identity: {}}},
        properties={
            "serverFarmId": worked_out(foundation.PLAN_ID),
            "httpsOnly": True,
            "keyVaultReferenceIdentity": worked_out(foundation.IDENTITY_ID),
            "virtualNetworkSubnetId": worked_out(_subnet()),
            "siteConfig": {"minTlsVersion": "1.2"},
            "functionAppConfig": {
                "deployment": {"storage": _archives()},
                "scaleAndConcurrency": _SCALE,
                "runtime": {"name": "python", "version": PYTHON},
            },
        },
        dependsOn=_before_the_site(),
    )


def _subnet() -> str:
    return f"if(empty({parameter('subnetResourceId')}), null(), {parameter('subnetResourceId')})"


def _archives() -> Json:
    blobs = state_of(foundation.STORAGE_ID, foundation.STORAGE, "primaryEndpoints", "blob")
    signs_in = {"type": "UserAssignedIdentity", "userAssignedIdentityResourceId": worked_out(foundation.IDENTITY_ID)}
    return {
        "type": "blobContainer",
        "value": worked_out(f"concat({blobs}, '{foundation.ARCHIVES}')"),
        "authentication": signs_in,
    }


def _before_the_site() -> list[str]:
    """Return all that the app takes when it starts: its roles too, since it may read nothing without them."""
    made = [*foundation.resources(), *vault.resources()]
    roles = [_id_of_role(role) for role in made if role["type"] == "Microsoft.Authorization/roleAssignments"]
    ids = [foundation.IDENTITY_ID, foundation.PLAN_ID, foundation.STORAGE_ID, foundation.CONTAINER_ID]
    return [worked_out(expression) for expression in (*ids, *roles)]


def _id_of_role(role: Json) -> str:
    scope, name = (role[key].removeprefix("[").removesuffix("]") for key in ("scope", "name"))
    return f"extensionResourceId({scope}, '{role['type']}', {name})"


def _settings() -> Json:
    secrets = [vault.secret_id(name) for name in vault.SECRETS]
    needed = [SITE_ID, foundation.IDENTITY_ID, foundation.STORAGE_ID, foundation.INSIGHTS_ID, *secrets]
    return resource(
        CONFIG,
        worked_out(f"concat({parameter('name')}, '/appsettings')"),
        properties=worked_out(settings.application_settings()),
        dependsOn=[worked_out(expression) for expression in needed],
    )


def _policy_id(name: str) -> str:
    return resource_id(PUBLISHING, parameter("name"), f"'{name}'")


def _no_password(name: str, before: str) -> Json:
    """Return what turns a password off; one after the other, since a site refuses two changes at once."""
    called = worked_out(f"concat({parameter('name')}, '/{name}')")
    needed = [worked_out(SITE_ID), worked_out(before)]
    return resource(PUBLISHING, called, properties={"allow": False}, dependsOn=needed)
