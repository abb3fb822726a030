"""Where indicators go and in which envelope: Microsoft's STIX objects API and the two legacy ones. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from constants import VERSION
from helpers.indicators import stix_time
from helpers.ledger import ObjectRecord
from helpers.microsoft.batch import Batch, OutgoingObject
from helpers.microsoft.responses import Answer, Verdict, interpret
from helpers.settings import Settings

_ARRAYS = {"stix": "stixobjects", "legacy": "indicators", "legacy-value": "value"}


@dataclass(frozen=True)
class UploadApi:
    """One of the upload APIs: what is sent again replaces what is there, so nothing differs between objects."""

    settings: Settings

    @property
    def program(self) -> str:
        """The API, its version and this program's."""
        return f"{self.settings.upload_api} {self.settings.api_version} {VERSION}"

    @property
    def address_setting(self) -> str:
        """The workspace."""
        return "ms_auth.workspace_id"

    @property
    def probed(self) -> str:
        """That the app may write to the workspace."""
        return f"the app may write to workspace {self.settings.ms_auth.workspace_id} (tried with an empty upload)"

    @property
    def why_no_adoption(self) -> str:
        """Nothing is in the way: the management API shows what was uploaded."""
        return ""

    def outgoing(self, record: ObjectRecord, now: int) -> OutgoingObject:
        """Return an object as it is, or revoked where it is to leave: an upload withdraws as well."""
        body = _withdrawal(record, now) if record.leaving else record.json_text
        return OutgoingObject(record.id, record.pattern, body, revoked=bool(record.leaving))

    def dumped(self, object_: OutgoingObject) -> bytes:
        """Return what is sent."""
        return object_.body

    def split(self, objects: Sequence[OutgoingObject]) -> list[Batch]:
        """All may travel together."""
        return [Batch(list(objects))]

    def precondition(self, batch: Batch) -> None:
        """Nothing has to be done before."""

    def follow_up(self, batch: Batch, verdict: Verdict) -> list[Batch]:
        """Nothing is sent another way."""
        del batch, verdict
        return []

    def url(self, batch: Batch | None = None) -> str:
        """Return the address that takes a batch, with its version."""
        del batch
        settings = self.settings
        workspace, hosts = settings.ms_auth.workspace_id, settings.ms_endpoints
        path = {
            "stix": f"{hosts.upload}/workspaces/{workspace}/threat-intelligence-stix-objects:upload",
            "legacy": f"{hosts.upload_legacy}/workspaces/{workspace}/threatintelligenceindicators:upload",
            "legacy-value": f"{hosts.upload_legacy}/{workspace}/threatintelligence:upload-indicators",
        }[settings.upload_api]
        return path if settings.upload_api == "legacy-value" else f"{path}?api-version={settings.api_version}"

    def body(self, batch: Batch) -> bytes:
        """Return the request's JSON for a batch: an envelope around the objects, which are JSON already."""
        source, array = json.dumps(self.settings.sourcesystem), _ARRAYS[self.settings.upload_api]
        objects = b",".join(object_.body for object_ in batch.objects)
        return f'{{"sourcesystem":{source},"{array}":['.encode() + objects + b"]}"

    def interpret(self, answer: Answer, batch: Batch, now: datetime) -> Verdict:
        """Say what an answer means for a batch."""
        return interpret(answer, len(batch.objects), now)

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


def _withdrawal(record: ObjectRecord, now: int) -> bytes:
    """Return what withdraws an object: the same object, revoked, and expired as soon as it may be.

    An indicator ends after it begins (STIX 2.1, section 4.7: valid_until must be later than valid_from).
    """
    indicator = record.indicator
    begin = int(datetime.fromisoformat(indicator["valid_from"]).timestamp())
    end = max(now, begin + 1)
    revoked = {**indicator, "revoked": True, "modified": _time(now), "valid_until": _time(end)}
    return json.dumps(revoked, sort_keys=True, separators=(",", ":")).encode()


def _time(moment: int) -> str:
    return stix_time(datetime.fromtimestamp(moment, UTC))
