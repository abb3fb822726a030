"""What the Function stands on: an identity, a storage account without keys, a plan, and somewhere to log to."""

from __future__ import annotations

from deploy.azure.expressions import Json, parameter, resource, resource_id, state_of, variable, worked_out
from deploy.azure.roles import role_assignment

IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"
STORAGE = "Microsoft.Storage/storageAccounts"
CONTAINER = "Microsoft.Storage/storageAccounts/blobServices/containers"
PLAN = "Microsoft.Web/serverfarms"
INSIGHTS = "Microsoft.Insights/components"
LOGS = "Microsoft.OperationalInsights/workspaces"

ARCHIVES = "archives"  # the container that the Function's archive is in
_NAME = parameter("name")
IDENTITY_ID = resource_id(IDENTITIES, _NAME)
PRINCIPAL = state_of(IDENTITY_ID, IDENTITIES, "principalId")
STORAGE_ID = resource_id(STORAGE, variable("storage"))
CONTAINER_ID = resource_id(CONTAINER, variable("storage"), "'default'", f"'{ARCHIVES}'")
PLAN_ID = resource_id(PLAN, _NAME)
INSIGHTS_ID = resource_id(INSIGHTS, _NAME)
LOGS_ID = resource_id(LOGS, _NAME)


def variables() -> Json:
    """Return the names that Azure wants short and alone in the world: the same ones each time."""
    unique = f"uniqueString(resourceGroup().id, {_NAME})"
    return {"storage": worked_out(f"concat('m2s', {unique})"), "vault": worked_out(f"concat('m2s-', {unique})")}


def resources() -> list[Json]:
    """Return them all, with the identity's roles for them."""
    storage_roles = ("Storage Blob Data Owner", "Storage Table Data Contributor")
    return [
        _named(IDENTITIES),
        *_storage(),
        *(role_of_the_function(role, STORAGE_ID) for role in storage_roles),
        _named(PLAN, kind="functionapp", sku={"name": "FC1", "tier": "FlexConsumption"}, properties={"reserved": True}),
        *_logging(),
        role_of_the_function("Monitoring Metrics Publisher", INSIGHTS_ID),
    ]


def role_of_the_function(role: str, scope: str) -> Json:
    """Return a role of the Function's identity for a resource of the template, by the expression for its id."""
    needed = {"dependsOn": [worked_out(IDENTITY_ID), worked_out(scope)]}
    return {**role_assignment(role, scope, IDENTITY_ID, PRINCIPAL), **needed}


def _named(kind: str, /, **rest: object) -> Json:
    return resource(kind, worked_out(_NAME), location=worked_out(parameter("location")), **rest)


def _storage() -> list[Json]:
    properties = {
        "minimumTlsVersion": "TLS1_2",
        "supportsHttpsTrafficOnly": True,
        "allowBlobPublicAccess": False,
        "allowSharedKeyAccess": False,
        "defaultToOAuthAuthentication": True,
    }
    account = resource(
        STORAGE,
        worked_out(variable("storage")),
        location=worked_out(parameter("location")),
        kind="StorageV2",
        sku={"name": "Standard_LRS"},
        properties=properties,
    )
    name = worked_out(f"concat({variable('storage')}, '/default/{ARCHIVES}')")
    return [account, resource(CONTAINER, name, dependsOn=[worked_out(STORAGE_ID)])]


def _logging() -> list[Json]:
    """Return a workspace of its own, since each GB in Sentinel's costs what Sentinel costs."""
    workspace = _named(LOGS, properties={"sku": {"name": "PerGB2018"}, "retentionInDays": 30})
    properties = {
        "Application_Type": "web",
        "WorkspaceResourceId": worked_out(LOGS_ID),
        # Whoever has the connection string can then write nothing: only the identity can.
        "DisableLocalAuth": True,
    }
    return [workspace, _named(INSIGHTS, kind="web", properties=properties, dependsOn=[worked_out(LOGS_ID)])]
