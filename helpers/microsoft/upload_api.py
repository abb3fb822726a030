"""Where indicators go and in which envelope: Microsoft's STIX objects API and the two legacy ones. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from constants import VERSION
from helpers.microsoft.api import Batch, principal_of
from helpers.microsoft.responses import Answer, Verdict, interpret
from helpers.settings import Settings

_ARRAYS = {"stix": "stixobjects", "legacy": "indicators", "legacy-value": "value"}


@dataclass(frozen=True)
class UploadApi:
    """One of the upload APIs: what is sent again replaces what is there, so nothing differs between objects."""

    settings: Settings

    @property
    def principal(self) -> tuple[str, ...]:
        """Who calls, and where."""
        return principal_of(self.settings, self.url())

    @property
    def program(self) -> str:
        """The API, its version and this program's."""
        return f"{self.settings.upload_api} {self.settings.api_version} {VERSION}"

    def split(self, batch: Sequence[dict[str, Any]]) -> list[Batch]:
        """All may travel together."""
        return [Batch(list(batch))]

    def precondition(self, part: Batch) -> None:
        """Nothing has to be done before."""

    def follow_up(self, part: Batch, verdict: Verdict) -> list[Batch]:
        """Nothing is sent another way."""
        del part, verdict
        return []

    def url(self, part: Batch | None = None) -> str:
        """Return the address that takes a batch, with its version."""
        del part
        settings = self.settings
        workspace, hosts = settings.ms_auth.workspace_id, settings.ms_endpoints
        path = {
            "stix": f"{hosts.upload}/workspaces/{workspace}/threat-intelligence-stix-objects:upload",
            "legacy": f"{hosts.upload_legacy}/workspaces/{workspace}/threatintelligenceindicators:upload",
            "legacy-value": f"{hosts.upload_legacy}/{workspace}/threatintelligence:upload-indicators",
        }[settings.upload_api]
        return path if settings.upload_api == "legacy-value" else f"{path}?api-version={settings.api_version}"

    def body(self, part: Batch) -> bytes:
        """Return the request's JSON for a batch."""
        settings = self.settings
        envelope = {"sourcesystem": settings.sourcesystem, _ARRAYS[settings.upload_api]: part.objects}
        return json.dumps(envelope).encode()

    def interpret(self, answer: Answer, part: Batch, now: datetime) -> Verdict:
        """Say what an answer means for a batch."""
        return interpret(answer, len(part.objects), now)

    def hint(self, status: int) -> str:
        """Say what to do about a status that stops the upload."""
        auth, where = self.settings.ms_auth, self.url()
        who = f"app registration {auth.client_id}" if auth.client_id else "managed identity"
        return {
            401: f"Microsoft refuses a new token too: the API wants ms_auth['scope'] ({auth.scope}) of its own cloud.",
            403: (
                f"The {who} may not write to the workspace {auth.workspace_id} ({where}): "
                "give it the role 'Microsoft Sentinel Contributor' there (Log Analytics workspace > Access control). A "
                "new role takes some minutes to work."
            ),
            404: (
                f"There is no such workspace: ms_auth['workspace_id'] ({auth.workspace_id}) must be the workspace's "
                f"GUID, not its name, and the address must be right ({where}; ms_endpoints)."
            ),
        }.get(status, f"The upload to {where} is refused.")
