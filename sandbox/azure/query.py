"""The management API: the stored objects, those revoked or expired too, in pages, and the delete of an indicator.

Microsoft: operation ThreatIntelligence_Query and its example, version 2025-07-01-preview:
the body, the record, its five kinds, and times of seven decimals without a zone. The
operations of that version delete indicators alone. ``stixObjectType`` is "the STIX type":
taken as that (``threat-actor``) and as the kind (``ThreatActor``). Inferred, since nothing
describes them: the padding of the base64 in a record's name; ``nextLink`` works with GET and
with POST, whose body is then ignored, and goes on with the answer as it was on its first
page; errors have the envelope of a service, with the codes of the Azure Resource Manager;
reading needs the permission that writing needs. Clauses other than on ``source`` and ``id``
and other orders than the example's are not known here.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Flask, Response, jsonify, request

from sandbox.azure.answers import Refused, service
from sandbox.azure.rules import UPLOAD_TYPES

if TYPE_CHECKING:
    from sandbox.azure.app import AzureState, Kept

VERSION = "2025-07-01-preview"
PAGE = 100
SNAPSHOTS = 8
WORKSPACE = (
    "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.OperationalInsights/workspaces/{}"
    "/providers/Microsoft.SecurityInsights"
)
ROUTE = WORKSPACE.format("<subscription>", "<group>", "<name>") + "/threatIntelligence/main/query"
DELETE_ROUTE = ROUTE.removesuffix("query") + "indicators/<path:record>"
COUNT_ROUTE = ROUTE.removesuffix("query") + "count"
FIELDS: dict[str, Callable[[Kept], str]] = {
    "source": lambda kept: kept.source,
    "id": lambda kept: str(kept.object_["id"]),
}
KINDS = {kind: kind.title().replace("-", "") for kind in UPLOAD_TYPES}
CONNECTIVES: dict[str | None, Callable[[list[bool]], bool]] = {None: all, "And": all, "Or": any}


class Query:
    """The route of the management host, and the answers that are being read page by page."""

    def __init__(self, state: AzureState) -> None:
        self.state = state
        self._numbers = count(1)
        self._open: dict[str, tuple[list[Kept], int]] = {}

    def install(self, app: Flask) -> None:
        """Add the route to ``app``."""
        app.add_url_rule(ROUTE, view_func=self.query, methods=["GET", "POST"])
        app.add_url_rule(COUNT_ROUTE, view_func=self.count, methods=["POST"])
        app.add_url_rule(DELETE_ROUTE, view_func=self.delete, methods=["DELETE"])

    def query(self, subscription: str, group: str, name: str) -> Response:
        """Give a page of the objects that the body asks for, or the page of a ``nextLink``."""
        try:
            workspace = self._admit(subscription, group, name)
            return self._page(workspace, WORKSPACE.format(subscription, group, name))
        except Refused as refused:
            return refused.response

    def count(self, subscription: str, group: str, name: str) -> Response:
        """Give how many objects the body asks for."""
        try:
            workspace = self._admit(subscription, group, name)
            return jsonify({"count": len(_matching(_body(), self.state.kept(workspace)))})
        except Refused as refused:
            return refused.response

    def delete(self, subscription: str, group: str, name: str, record: str) -> Response:
        """Take an indicator out by the name that a query gave it; of other kinds no delete is documented."""
        try:
            workspace = self._admit(subscription, group, name)
        except Refused as refused:
            return refused.response
        match = next((kept for kept in self.state.kept(workspace) if _name(kept) == record), None)
        if match is None:
            return Response(status=204)
        if match.object_["type"] != "indicator":
            return _bad(f"{record} is no indicator.")
        self.state.delete(workspace, match.source, match.object_["id"])
        return Response(status=200)

    def _admit(self, subscription: str, group: str, name: str) -> str:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        principal = self.state.principal(token)
        if principal is None:
            raise Refused(service(401, "InvalidAuthenticationToken", "The access token is missing or invalid."))
        if request.args.get("api-version") != VERSION:
            raise Refused(service(400, "InvalidApiVersionParameter", "The api-version is missing or invalid."))
        workspace = self.state.managed(subscription, group, name)
        if workspace is None:
            raise Refused(service(404, "ResourceNotFound", f"The workspace {name} in {group} was not found."))
        if not self.state.may_write(principal, workspace):
            raise Refused(service(403, "AuthorizationFailed", "The client may not read this workspace."))
        return workspace

    def _page(self, workspace: str, place: str) -> Response:
        number, _, start = request.args.get("$skipToken", "").partition(".")
        if not number:
            number, start = self._start(workspace), "0"
        if number not in self._open or not start.isdecimal():
            raise Refused(_bad("The skip token is not known."))
        matches, size = self._open[number]
        first, last = int(start), int(start) + size
        body: dict[str, Any] = {"value": [_record(kept, place) for kept in matches[first:last]]}
        if last < len(matches):
            body["nextLink"] = f"{request.base_url}?{_parameters(f'{number}.{last}')}"
        return jsonify(body)

    def _start(self, workspace: str) -> str:
        """Answer a query and remember the answer, of which only the latest few are kept."""
        body = _body()
        size, matches = _size(body), _ordered(body, _matching(body, self.state.kept(workspace)))
        with self.state.lock:
            number = str(next(self._numbers))
            self._open[number] = (matches, size)
            for old in list(self._open)[:-SNAPSHOTS]:
                del self._open[old]
        return number


def _body() -> dict[str, Any]:
    if request.method == "GET":
        raise Refused(service(405, "MethodNotAllowed", "A query starts with POST."))
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise Refused(_bad("Body of the request is not in valid JSON format."))
    return body


def _size(body: dict[str, Any]) -> int:
    least, most = body.get("minPageSize", 1), body.get("maxPageSize", PAGE)
    if type(least) is not int or type(most) is not int or not 0 < least <= most:
        raise Refused(_bad("minPageSize and maxPageSize must be positive integers in this order."))
    return most


def _matching(body: dict[str, Any], objects: list[Kept]) -> list[Kept]:
    condition = body.get("condition") or {}
    kinds, clauses = _kinds(condition.get("stixObjectType")), condition.get("clauses") or []
    connective = condition.get("conditionConnective")
    is_known = all(clause.get("field") in FIELDS and clause.get("operator") == "Equals" for clause in clauses)
    if not is_known or connective not in CONNECTIVES:
        raise Refused(service(501, "NotImplemented", "The sandbox knows Equals on source and id, with And or Or."))
    tests = [(FIELDS[clause["field"]], frozenset(clause.get("values", ()))) for clause in clauses]
    joined = CONNECTIVES[connective] if tests else all
    objects_of_kind = [kept for kept in objects if kept.object_["type"] in kinds]
    return [kept for kept in objects_of_kind if joined([read(kept) in values for read, values in tests])]


def _kinds(asked: Any) -> Collection[str]:
    if asked is None:
        return KINDS
    named = [kind for kind, name in KINDS.items() if str(asked).casefold() in (kind, name.casefold())]
    if not named:
        raise Refused(_bad(f"{asked} is no type of threat intelligence objects."))
    return named


def _ordered(body: dict[str, Any], matches: list[Kept]) -> list[Kept]:
    order = body.get("sortBy")
    if not order:
        return matches
    if order.get("field") != "lastUpdatedTimeUtc" or order.get("direction") not in ("ASC", "DESC"):
        raise Refused(service(501, "NotImplemented", "The sandbox sorts by lastUpdatedTimeUtc, ASC or DESC."))
    return sorted(matches, key=lambda kept: kept.last, reverse=order["direction"] == "DESC")


def _record(kept: Kept, place: str) -> dict[str, Any]:
    name = _name(kept)
    return {
        "id": f"{place}/threatintelligence/{name}",
        "name": name,
        "type": "Microsoft.SecurityInsights/threatintelligence",
        "kind": KINDS[kept.object_["type"]],
        "properties": {
            "data": kept.object_,
            "source": kept.source,
            "firstIngestedTimeUtc": _time(kept.first),
            "lastIngestedTimeUtc": _time(kept.last),
            "lastUpdatedDateTimeUtc": _time(kept.last),
        },
    }


def _name(kept: Kept) -> str:
    return f"{b64encode(kept.source.encode()).decode()}---{kept.object_['id']}"


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%f}0"


def _parameters(skip_token: str) -> str:
    return urlencode({"api-version": VERSION, "$skipToken": skip_token})


def _bad(message: str) -> Response:
    return service(400, "BadRequest", message)
