"""The templates as wholes."""

from __future__ import annotations

from deploy.azure import foundation, function_app, settings, vault
from deploy.azure.expressions import Json, parameter, resource, resource_id, variable, worked_out
from deploy.azure.parameters import example, function_parameters, role_parameters
from deploy.azure.roles import role_assignment

_SCHEMAS = "https://schema.management.azure.com/schemas/2019-04-01"
_SENTINEL = "Microsoft Sentinel Contributor"


def function_template() -> Json:
    """Return the template of the Function and of all that it needs but its ledger."""
    made = [*foundation.resources(), *vault.resources(), *function_app.resources(), _role_on_the_workspace()]
    outputs = {
        "functionApp": {"type": "string", "value": worked_out(parameter("name"))},
        "vault": {"type": "string", "value": worked_out(variable("vault"))},
        "principal": {"type": "string", "value": worked_out(foundation.PRINCIPAL)},
    }
    variables = {**foundation.variables(), **settings.variables()}
    return _template(function_parameters(), variables, made, outputs)


def role_template() -> Json:
    """Return the template that gives a principal the one role that the upload needs, on the workspace alone."""
    workspace = resource_id(foundation.LOGS, parameter("workspace"))
    principal = parameter("principal")
    return _template(role_parameters(), {}, [role_assignment(_SENTINEL, workspace, principal, principal)], {})


def example_parameters() -> Json:
    """Return the example of a file of parameters."""
    return {"$schema": f"{_SCHEMAS}/deploymentParameters.json#", "contentVersion": "1.0.0.0", "parameters": example()}


def _role_on_the_workspace() -> Json:
    """Return the other template, deployed where the workspace is, unless ``tenants`` says who signs in."""
    parts = f"split({parameter('workspaceResourceId')}, '/')"
    values = {"workspace": f"last({parts})", "principal": foundation.PRINCIPAL}
    return {
        "condition": worked_out(f"empty({parameter('tenants')})"),
        **resource("Microsoft.Resources/deployments", worked_out(f"concat({variable('vault')}, '-role')")),
        "subscriptionId": worked_out(f"{parts}[2]"),
        "resourceGroup": worked_out(f"{parts}[4]"),
        "properties": {
            "mode": "Incremental",
            "expressionEvaluationOptions": {"scope": "Inner"},
            "parameters": {name: {"value": worked_out(value)} for name, value in values.items()},
            "template": role_template(),
        },
        "dependsOn": [worked_out(foundation.IDENTITY_ID)],
    }


def _template(parameters: Json, variables: Json, resources: list[Json], outputs: Json) -> Json:
    return {
        "$schema": f"{_SCHEMAS}/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": parameters,
        "variables": variables,
        "resources": resources,
        "outputs": outputs,
    }
