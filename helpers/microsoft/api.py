"""What differs between Microsoft's APIs, as one object for each kind, and which one the settings choose. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from helpers.ledger import DueObject
from helpers.microsoft.batch import Batch, OutgoingObject, TextOf, text_of
from helpers.microsoft.graph_api import GraphApi
from helpers.microsoft.responses import Answer, Verdict
from helpers.microsoft.upload_api import UploadApi
from helpers.settings import Settings


class Api(Protocol):
    """One of Microsoft's APIs: where a request goes, what is in it, what its answer means."""

    @property
    def settings(self) -> Settings:
        """The settings of the destination."""

    @property
    def program(self) -> str:
        """What may take an object that was rejected before: another API, another version of this program."""

    @property
    def address_setting(self) -> str:
        """The setting that decides where uploads go."""

    @property
    def probed(self) -> str:
        """What it means that Microsoft took an empty batch."""

    @property
    def why_no_adoption(self) -> str:
        """Why ``adopt`` cannot take over what this API's objects are; empty where it can."""

    def outgoing(self, due: DueObject, now: int) -> OutgoingObject:
        """Return an object as it goes out, or what withdraws it where it is to leave; ``now`` in seconds since 1970."""

    def dumped(self, object_: OutgoingObject) -> bytes:
        """Return an object as JSON for people who look into what is sent."""

    def split(self, objects: Sequence[OutgoingObject]) -> list[Batch]:
        """Sort objects into those that may travel together."""

    def precondition(self, batch: Batch) -> Batch | None:
        """Return what has to be done before a batch is sent, if anything has."""

    def follow_up(self, batch: Batch, verdict: Verdict) -> list[Batch]:
        """Return what of a batch is to be sent another way, after its answer."""

    def url(self, batch: Batch) -> str:
        """Return the address that takes a batch."""

    def body(self, batch: Batch) -> bytes:
        """Return a batch as it is sent."""

    def interpret(self, answer: Answer, batch: Batch, now: datetime) -> Verdict:
        """Say what an answer means for a batch."""

    def failure(self, status: int, words: str) -> str:
        """Say what stops the upload, by status and Microsoft's words, and what to do about it."""


_KINDS: Mapping[str, Callable[[Settings, TextOf], Api]] = {
    "graph": GraphApi,
    "stix": UploadApi,
    "legacy": UploadApi,
    "legacy-value": UploadApi,
}


def api_for(settings: Settings, texts: TextOf = text_of) -> Api:
    """Return the API that a destination's objects go to; ``texts`` gives their JSON."""
    return _KINDS[settings.upload_api](settings, texts)


def principal_of(api: Api) -> tuple[str, ...]:
    """Return who calls an API, and at which host: what Microsoft counts requests by."""
    auth, host = api.settings.ms_auth, api.url(Batch([])).split("/")[2].lower()
    if auth.credential == "managed_identity":
        return (auth.credential, auth.managed_identity_client_id.lower(), host)
    return (auth.tenant.lower(), auth.client_id.lower(), host)
