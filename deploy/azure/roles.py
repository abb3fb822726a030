"""Who may do what: each role of Azure that is given, and to whom for what."""

from __future__ import annotations

from deploy.azure.expressions import Json, resource, worked_out

# Microsoft: "Azure built-in roles". The host of a Function writes blobs for its timer's lock and reads its archive, and
# writes diagnostic events into tables (AZFD0003).
ROLES = {
    "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
    "Microsoft Sentinel Contributor": "ab8e14d6-4a74-4a29-9ba8-549422addade",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
}


def role_assignment(role: str, scope: str, holder: str, principal: str) -> Json:
    """Return a role for one resource: ``scope`` is its id, ``principal`` the object id of who gets it, as expressions.

    ``holder`` names the same one in the assignment's name, which Azure has to know before it makes anything.
    """
    definition = f"subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '{ROLES[role]}')"
    return resource(
        "Microsoft.Authorization/roleAssignments",
        worked_out(f"guid({scope}, {holder}, '{ROLES[role]}')"),
        scope=worked_out(scope),
        properties={
            "roleDefinitionId": worked_out(definition),
            "principalId": worked_out(principal),
            # Without it Azure looks the principal up, and often does not find one that was just made.
            "principalType": "ServicePrincipal",
        },
    )
