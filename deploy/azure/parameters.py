"""What whoever deploys a template says, and what the example says."""

from __future__ import annotations

from typing import Any

from deploy.azure.expressions import Json

NAME = {"minLength": 4, "maxLength": 60}  # what a Function app and a Log Analytics workspace both may be called
FILTERS = {"published": 1, "enforceWarninglist": True, "publish_timestamp": "14d"}
EVERY_NIGHT = "0 17 2 * * *"


def _parameter(kind: str, description: str, **rest: Any) -> Json:
    return {"type": kind, **rest, "metadata": {"description": description}}


def function_parameters() -> Json:
    """Return the parameters of the Function's template; what has no ``defaultValue`` must be said."""
    return {
        "name": _parameter("string", "Name of the Function app; no other one in Azure has it", **NAME),
        "location": _parameter("string", "Region", defaultValue="[resourceGroup().location]"),
        "workspaceResourceId": _parameter("string", "Resource ID of the Log Analytics workspace that Sentinel is on"),
        "mispUrl": _parameter("string", "Address of MISP (misp_domain)"),
        "mispEventFilters": _parameter("object", "Which events (misp_event_filters)", defaultValue=FILTERS),
        "schedule": _parameter("string", "When to run: six fields, seconds first, in UTC", defaultValue=EVERY_NIGHT),
        "subnetResourceId": _parameter("string", "Subnet that reaches MISP and PostgreSQL", defaultValue=""),
        "settings": _parameter("object", "More application settings, without secrets", defaultValue={}),
        "mispKey": _parameter("securestring", "Authentication key of MISP (misp_key)", minLength=1),
        "stateUrl": _parameter("securestring", "The ledger: a PostgreSQL, or none (state_url)", minLength=1),
        "tenants": _parameter("securestring", "Destinations as JSON (ms_tenants), instead of one", defaultValue=""),
        "onSuccess": _parameter("securestring", "Address to ping after a run (on_success)", defaultValue=""),
    }


def role_parameters() -> Json:
    """Return the parameters of the template for a role on a workspace."""
    return {
        "workspace": _parameter("string", "Name of the Log Analytics workspace that Sentinel is on"),
        "principal": _parameter("string", "Object ID of who gets the role", minLength=36, maxLength=36),
    }


def example() -> Json:
    """Return values for the Function's template: all that must be said, but for the secrets."""
    workspace = (
        "/subscriptions/44444444-4444-4444-8444-444444444444/resourceGroups/soc"
        "/providers/Microsoft.OperationalInsights/workspaces/soc-logs"
    )
    return {
        "name": {"value": "soc-misp2sentinel"},
        "workspaceResourceId": {"value": workspace},
        "mispUrl": {"value": "https://misp.example.org"},
        "mispEventFilters": {"value": FILTERS},
        "settings": {"value": {"MISP2SENTINEL_DEFAULT_CONFIDENCE": "50"}},
    }
