"""The application settings: what the program reads, and what Azure's host reads."""

from __future__ import annotations

from deploy.azure.expressions import Json, made_object, parameter, state_of, text, variable, worked_out
from deploy.azure.foundation import IDENTITIES, IDENTITY_ID, INSIGHTS, INSIGHTS_ID, LOGS, STORAGE, STORAGE_ID
from deploy.azure.vault import reference_to

_CLIENT = state_of(IDENTITY_ID, IDENTITIES, "clientId")


def variables() -> Json:
    """Return those that can be said before anything is there, by the variable that holds them."""
    return {
        "settingsOfTheProgram": {
            "timerTriggerSchedule": worked_out(parameter("schedule")),
            "MISP2SENTINEL_MISP_DOMAIN": worked_out(parameter("mispUrl")),
            "MISP2SENTINEL_MISP_KEY": worked_out(reference_to("mispKey")),
            "MISP2SENTINEL_MISP_EVENT_FILTERS": worked_out(f"string({parameter('mispEventFilters')})"),
            "MISP2SENTINEL_STATE_URL": worked_out(reference_to("stateUrl")),
        },
        "settingOfTenants": {"MISP2SENTINEL_MS_TENANTS": worked_out(reference_to("tenants"))},
        "settingOfThePing": {"MISP2SENTINEL_ON_SUCCESS": worked_out(reference_to("onSuccess"))},
    }


def application_settings() -> str:
    """Return the expression for all of them; those that are named in the parameter ``settings`` win."""
    own, listed = made_object(_own_workspace()), variable("settingOfTenants")
    parts = [
        variable("settingsOfTheProgram"),
        f"if(empty({parameter('tenants')}), {own}, {listed})",
        f"if(empty({parameter('onSuccess')}), json('{{}}'), {variable('settingOfThePing')})",
        made_object(_of_the_host()),
        parameter("settings"),
    ]
    return f"union({', '.join(parts)})"


def _own_workspace() -> dict[str, str]:
    """One destination, which the Function's identity signs in for."""
    return {
        "MISP2SENTINEL_MS_AUTH__CREDENTIAL": text("managed_identity"),
        "MISP2SENTINEL_MS_AUTH__MANAGED_IDENTITY_CLIENT_ID": _CLIENT,
        "MISP2SENTINEL_MS_AUTH__WORKSPACE_ID": state_of(parameter("workspaceResourceId"), LOGS, "customerId"),
    }


def _of_the_host() -> dict[str, str]:
    """What Azure's host signs in with, as the identity: neither its storage nor its log has a key."""
    return {
        # Not its name alone, which the host would complete with Azure's own domain: US Government has another one.
        **{f"AzureWebJobsStorage__{service}ServiceUri": _address_of(service) for service in ("blob", "queue", "table")},
        "AzureWebJobsStorage__credential": text("managedidentity"),
        "AzureWebJobsStorage__clientId": _CLIENT,
        "APPLICATIONINSIGHTS_CONNECTION_STRING": state_of(INSIGHTS_ID, INSIGHTS, "ConnectionString"),
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": f"concat('ClientId=', {_CLIENT}, ';Authorization=AAD')",
    }


def _address_of(service: str) -> str:
    return state_of(STORAGE_ID, STORAGE, "primaryEndpoints", service)
