"""Where tiIndicators go, and in which envelope. Pure.

Rules: Microsoft, submitTiIndicators, updateTiIndicators, deleteTiIndicators and
deleteTiIndicatorsByExternalId (beta); Microsoft Graph security error codes. A request takes at most 100;
206 means that one or more of them failed, and its items say which. What an item looks like is not documented.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from constants import GRAPH_EDITABLE, VERSION
from helpers.indicators import external_id, ti_indicator
from helpers.ledger import DueObject
from helpers.microsoft.batch import Batch, OutgoingObject, TextOf, text_of
from helpers.microsoft.graph_responses import Operation, interpret_items
from helpers.microsoft.particulars import with_particulars
from helpers.microsoft.responses import Answer, Verdict, interpret
from helpers.settings import Settings

_WRONG_SCOPE = "Microsoft refuses a new token too: the Graph API wants its own ms_auth['scope']."
_NO_PERMISSION = (
    "the {} lacks the permission ThreatIndicators.ReadWrite.OwnedBy. Give it that application permission of Microsoft "
    "Graph, and grant admin consent; Microsoft takes tiIndicators from existing customers only."
)
_NO_INDICATORS = (
    "Graph does not know tiIndicators here. Microsoft announced their removal by April 2026: use the upload API "
    "(ms_auth['graph_api'] = False); or the address is wrong (ms_endpoints['graph'])."
)
_UPDATED = (*GRAPH_EDITABLE, "targetProduct")


@dataclass(frozen=True)
class GraphApi:
    """The tiIndicators of one tenant.

    A second submit makes a second indicator, so what may be there already is deleted before it is submitted.
    """

    settings: Settings
    text_of: TextOf = text_of

    @property
    def program(self) -> str:
        """The API and this program's version."""
        return f"graph {VERSION}"

    @property
    def address_setting(self) -> str:
        """The choice of this API."""
        return "ms_auth.graph_api"

    @property
    def probed(self) -> str:
        """That the app may write tiIndicators."""
        return f"may write tiIndicators at {self.settings.ms_endpoints.graph}"

    @property
    def why_no_adoption(self) -> str:
        """That Graph has other objects than ours."""
        return (
            'adopt is not possible with ms_auth["graph_api"] = True: it takes over STIX objects, and what the Graph '
            "API holds has neither their ids nor their patterns. Let what another program sent there expire, or "
            "delete it there."
        )

    def outgoing(self, due: DueObject, now: int) -> OutgoingObject:
        """Return an object with what is to be done with it at Graph.

        What may be there under an id that is not known here is in doubt; without a ledger of earlier runs,
        that is everything.
        """
        del now
        remote_id, taken = due.remote_id, due.perhaps_taken
        if due.leaving:
            deletion = Operation.DELETE if remote_id else Operation.DELETE_BY_EXTERNAL_ID
            return OutgoingObject(due.id, due.pattern, b"", True, remote_id, deletion, perhaps_taken=taken)
        in_doubt = not remote_id and (due.live or not self.settings.keeps_ledger)
        operation = Operation.UPDATE if remote_id else Operation.SUBMIT
        text = self.text_of(due)
        return OutgoingObject(due.id, due.pattern, text, False, remote_id, operation, in_doubt, taken)

    def dumped(self, object_: OutgoingObject) -> bytes:
        """Return what is done with an object, and the tiIndicator where one is sent."""
        shown = {name: getattr(object_, name) for name in ("id", "pattern", "remote_id", "operation")}
        if object_.revoked:
            return json.dumps({**shown, "revoked": True}).encode()
        shown |= {"in_doubt": object_.in_doubt, "tiIndicator": _ti_indicator(object_)}
        return json.dumps(shown).encode()

    def split(self, objects: Sequence[OutgoingObject]) -> list[Batch]:
        """One batch for each operation; of what is submitted, what is in doubt by itself."""
        batches: dict[tuple[str, bool], Batch] = {}
        for object_ in objects:
            key = (object_.operation, object_.in_doubt)
            batches.setdefault(key, Batch([], *key)).objects.append(object_)
        return list(batches.values())

    def precondition(self, batch: Batch) -> Batch | None:
        """Before a submit of what may have arrived already, delete it by our own id."""
        if batch.operation == Operation.SUBMIT and batch.in_doubt:
            return Batch(batch.objects, Operation.DELETE_BY_EXTERNAL_ID)
        return None

    def follow_up(self, batch: Batch, verdict: Verdict) -> list[Batch]:
        """What Graph no longer has under its id is submitted, or deleted by ours: it may be there under a newer one."""
        lost = [batch.objects[position] for position in sorted(verdict.lost)]
        if batch.operation == Operation.DELETE:
            return [Batch(lost, Operation.DELETE_BY_EXTERNAL_ID, perhaps_taken=True)] if lost else []
        return [Batch(lost, Operation.SUBMIT, in_doubt=True, perhaps_taken=True)] if lost else []

    def url(self, batch: Batch) -> str:
        """Return the address of a batch's operation."""
        return f"{self.settings.ms_endpoints.graph}/security/tiIndicators/{batch.operation or Operation.SUBMIT}"

    def body(self, batch: Batch) -> bytes:
        """Return the request's JSON for a batch."""
        return json.dumps({"value": [_item(object_, batch.operation) for object_ in batch.objects]}).encode()

    def interpret(self, answer: Answer, batch: Batch, now: datetime) -> Verdict:
        """Say what an answer means for a batch, item by item."""
        if answer.status in (200, 206):
            return interpret_items(answer, batch)
        return interpret(answer, len(batch.objects), now)

    def failure(self, status: int, words: str) -> str:
        """Say what stops the upload and what to do about it."""
        auth, where = self.settings.ms_auth, self.url(Batch([]))
        if status == 401:
            return with_particulars(_WRONG_SCOPE, words, scope=auth.scope, address=where)
        if status == 403:
            who = "app" if auth.client_id else "managed identity of this host"
            return with_particulars(_NO_PERMISSION.format(who), words, app=auth.client_id, address=where)
        if status == 404:
            return with_particulars(_NO_INDICATORS, words, address=where)
        return with_particulars(f"Microsoft refuses the upload: {words}", address=where)


def _item(object_: OutgoingObject, operation: str) -> str | Mapping[str, Any]:
    """Return an object as an item of a request."""
    if operation == Operation.DELETE:
        return object_.remote_id
    if operation == Operation.DELETE_BY_EXTERNAL_ID:
        return external_id(object_.id)
    fields = _ti_indicator(object_)
    if operation == Operation.UPDATE:
        return {"id": object_.remote_id, **{name: fields[name] for name in _UPDATED}}
    return fields


def _ti_indicator(object_: OutgoingObject) -> dict[str, Any]:
    return ti_indicator(json.loads(object_.body))
