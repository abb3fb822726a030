"""Where indicators go and in which envelope: Microsoft's STIX objects API and the two legacy ones. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from constants import VERSION
from helpers.indicators import stix_time
from helpers.ledger import DueObject
from helpers.microsoft.batch import Batch, OutgoingObject, TextOf, text_of
from helpers.microsoft.particulars import with_particulars
from helpers.microsoft.responses import Answer, Verdict, interpret
from helpers.settings import Settings

_WRONG_SCOPE = "Microsoft refuses a new token too: the API wants ms_auth['scope'] of its own cloud."
_NO_ROLE = (
    "the {} lacks the role Microsoft Sentinel Contributor. Give it that role on the workspace (Log Analytics workspace "
    "> Access control); a new role takes some minutes to work."
)
_NO_WORKSPACE = (
    "there is no such workspace. ms_auth['workspace_id'] must be the workspace's GUID, not its name, and the address "
    "that of its cloud (ms_cloud, ms_endpoints)."
)
_ARRAYS = {"stix": "stixobjects", "legacy": "indicators", "legacy-value": "value"}


@dataclass(frozen=True)
class UploadApi:
    """One of the upload APIs: what is sent again replaces what is there, so nothing differs between objects."""

    settings: Settings
    text_of: TextOf = text_of

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
        return f"may write to workspace {self.settings.ms_auth.workspace_id}"

    @property
    def why_no_adoption(self) -> str:
        """Nothing is in the way: the management API shows what was uploaded."""
        return ""

    def outgoing(self, due: DueObject, now: int) -> OutgoingObject:
        """Return an object as it is, or revoked where it is to leave: an upload withdraws as well."""
        body = _withdrawal(due, now) if due.leaving else self.text_of(due)
        return OutgoingObject(due.id, due.pattern, body, bool(due.leaving), perhaps_taken=due.perhaps_taken)

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

    def failure(self, status: int, words: str) -> str:
        """Say what stops the upload and what to do about it."""
        auth = self.settings.ms_auth
        own = {"workspace": auth.workspace_id, "address": self.url()}
        if status == 401:
            return with_particulars(_WRONG_SCOPE, words, scope=auth.scope, **own)
        if status == 403:
            who = "app" if auth.client_id else "managed identity of this host"
            return with_particulars(_NO_ROLE.format(who), words, app=auth.client_id, **own)
        if status == 404:
            return with_particulars(_NO_WORKSPACE, words, **own)
        return with_particulars(f"Microsoft refuses the upload: {words}", **own)


def _withdrawal(due: DueObject, now: int) -> bytes:
    """Return what withdraws an object: the same object, revoked, and expired as soon as it may be.

    An indicator ends after it begins (STIX 2.1, section 4.7: valid_until must be later than valid_from); what is none
    has no end.
    """
    indicator = due.indicator
    revoked = {**indicator, "revoked": True, "modified": _time(now), **_ended(indicator, now)}
    return json.dumps(revoked, sort_keys=True, separators=(",", ":")).encode()


def _ended(indicator: Mapping[str, Any], now: int) -> dict[str, str]:
    if "valid_from" not in indicator:
        return {}
    begin = int(datetime.fromisoformat(indicator["valid_from"]).timestamp())
    return {"valid_until": _time(max(now, begin + 1))}


def _time(moment: int) -> str:
    return stix_time(datetime.fromtimestamp(moment, UTC))
