"""Where indicators go and in which envelope: Microsoft's STIX objects API and the two legacy ones. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from constants import VERSION
from helpers.settings import Settings

_ARRAYS = {"stix": "stixobjects", "legacy": "indicators", "legacy-value": "value"}


def url(settings: Settings) -> str:
    """Return the address that takes a batch, with its version."""
    workspace, hosts = settings.ms_auth.workspace_id, settings.ms_endpoints
    path = {
        "stix": f"{hosts.upload}/workspaces/{workspace}/threat-intelligence-stix-objects:upload",
        "legacy": f"{hosts.upload_legacy}/workspaces/{workspace}/threatintelligenceindicators:upload",
        "legacy-value": f"{hosts.upload_legacy}/{workspace}/threatintelligence:upload-indicators",
    }[settings.upload_api]
    return path if settings.upload_api == "legacy-value" else f"{path}?api-version={settings.api_version}"


def principal(settings: Settings) -> tuple[str, ...]:
    """Return who calls, and where: what Microsoft counts requests by."""
    auth, host = settings.ms_auth, url(settings).split("/")[2].lower()
    if auth.credential == "managed_identity":
        return (auth.credential, auth.managed_identity_client_id.lower(), host)
    return (auth.tenant.lower(), auth.client_id.lower(), host)


def program(settings: Settings) -> str:
    """Return what may take an object that was rejected before: another API, another version of this program."""
    return f"{settings.upload_api} {settings.api_version} {VERSION}"


def body(settings: Settings, objects: Sequence[dict[str, Any]]) -> bytes:
    """Return the request's JSON for a batch."""
    envelope = {"sourcesystem": settings.sourcesystem, _ARRAYS[settings.upload_api]: list(objects)}
    return json.dumps(envelope).encode()


def hint(settings: Settings, status: int) -> str:
    """Say what to do about a status that stops the upload."""
    auth, where = settings.ms_auth, url(settings)
    return {
        401: f"Microsoft refuses a new token too: the API wants ms_auth['scope'] ({auth.scope}) of its own cloud.",
        403: (
            f"The app registration {auth.client_id} may not write to the workspace {auth.workspace_id} ({where}): give "
            "it the role 'Microsoft Sentinel Contributor' there (Log Analytics workspace > Access control). A new "
            "role takes some minutes to work."
        ),
        404: (
            f"There is no such workspace: ms_auth['workspace_id'] ({auth.workspace_id}) must be the workspace's GUID, "
            f"not its name, and the address must be right ({where}; ms_endpoints)."
        ),
    }.get(status, f"The upload to {where} is refused.")
