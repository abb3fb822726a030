"""Where tiIndicators go, in which envelope, and what the Graph API says of each of them. Pure.

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
from helpers.indicators import Indicator, external_id, ti_indicator
from helpers.ledger import ObjectRecord
from helpers.microsoft import responses as microsoft_answers
from helpers.microsoft.api import Batch, principal_of
from helpers.microsoft.graph_items import Operation, by_item
from helpers.microsoft.responses import Answer, Verdict
from helpers.settings import Settings

_FOR_UPDATE = (*GRAPH_EDITABLE, "targetProduct")


@dataclass(frozen=True)
class GraphApi:
    """The tiIndicators of one tenant. A second submit makes a second indicator, so what is in doubt goes first."""

    settings: Settings

    @property
    def principal(self) -> tuple[str, ...]:
        """Who calls, and where."""
        return principal_of(self.settings, self.settings.ms_endpoints.graph)

    @property
    def program(self) -> str:
        """The API and this program's version."""
        return f"graph {VERSION}"

    def split(self, batch: Sequence[Indicator]) -> list[Batch]:
        """One part for each operation; of what is submitted, what is in doubt by itself."""
        parts: dict[tuple[str, bool], Batch] = {}
        for each in batch:
            key = (str(each["operation"]), bool(each.get("in_doubt")))
            parts.setdefault(key, Batch([], *key)).objects.append(each)
        return list(parts.values())

    def precondition(self, part: Batch) -> Batch | None:
        """Before a submit of what may have arrived already, delete it by our own id."""
        if part.operation == Operation.SUBMIT and part.in_doubt:
            return Batch(part.objects, Operation.DELETE_BY_EXTERNAL_ID)
        return None

    def follow_up(self, part: Batch, verdict: Verdict) -> list[Batch]:
        """What Graph no longer has under the id that it gave is submitted, or deleted by ours: it may be there anew."""
        lost = [part.objects[position] for position in sorted(verdict.lost)]
        if part.operation == Operation.DELETE:
            return [Batch(lost, Operation.DELETE_BY_EXTERNAL_ID)] if lost else []
        return [Batch(lost, Operation.SUBMIT, in_doubt=True)] if lost else []

    def url(self, part: Batch) -> str:
        """Return the address of a part's operation."""
        return f"{self.settings.ms_endpoints.graph}/security/tiIndicators/{part.operation or Operation.SUBMIT}"

    def body(self, part: Batch) -> bytes:
        """Return the request's JSON for a part."""
        return json.dumps({"value": [_item(each, part.operation) for each in part.objects]}).encode()

    def interpret(self, answer: Answer, part: Batch, now: datetime) -> Verdict:
        """Say what an answer means for a part, item by item."""
        if answer.status in (200, 206):
            return by_item(answer, part)
        return microsoft_answers.interpret(answer, len(part.objects), now)

    def hint(self, status: int) -> str:
        """Say what to do about a status that stops the upload."""
        auth, where = self.settings.ms_auth, self.url(Batch([]))
        who = f"app registration {auth.client_id}" if auth.client_id else "identity"
        return {
            401: f"Microsoft refuses a new token too: the Graph API wants its own ms_auth['scope'] (now {auth.scope}).",
            403: (
                f"The {who} may not write tiIndicators ({where}): give it the application permission "
                "ThreatIndicators.ReadWrite.OwnedBy of Microsoft Graph and grant admin consent. Microsoft takes "
                "tiIndicators from existing customers only."
            ),
            404: (
                f"Graph does not know {where}: Microsoft announced the removal of tiIndicators by April 2026, so use "
                "the upload API (ms_auth['graph_api'] = False), or the address is wrong (ms_endpoints['graph'])."
            ),
        }.get(status, f"The upload to {where} is refused.")


def outgoing(each: ObjectRecord, *, remembers: bool = True) -> Indicator:
    """Return an object as it goes out: what is to be done with it, and the tiIndicator where one is sent.

    What may be at Graph under an id that is not known here is ``in_doubt``; without a ledger that ``remembers``
    earlier runs, that is everything.
    """
    there = {"id": each.id, "pattern": each.pattern, "remote_id": each.remote_id}
    if each.leaving:
        operation = Operation.DELETE if each.remote_id else Operation.DELETE_BY_EXTERNAL_ID
        return {**there, "operation": operation, "revoked": True}
    in_doubt = not each.remote_id and (each.live or not remembers)
    operation = Operation.UPDATE if each.remote_id else Operation.SUBMIT
    return {**there, "operation": operation, "in_doubt": in_doubt, "tiIndicator": ti_indicator(each.indicator)}


def _item(each: Indicator, operation: str) -> Any:
    if operation == Operation.DELETE:
        return each["remote_id"]
    if operation == Operation.DELETE_BY_EXTERNAL_ID:
        return external_id(each["id"])
    made: Mapping[str, Any] = each["tiIndicator"]
    if operation == Operation.UPDATE:
        return {"id": each["remote_id"], **{name: made[name] for name in _FOR_UPDATE}}
    return dict(made)
