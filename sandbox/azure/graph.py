"""The Graph API's tiIndicators: submit, update, delete by id and by externalId.

Microsoft: the tiIndicator resource and its actions (beta); Microsoft Graph security error codes. A request
that cannot be read gets 400; one of which items fail gets 206, with a result for each item in their order.
What such a result looks like is not documented: here it is the stored indicator, or an ``error`` with the
externalId. Submitting makes a new indicator each time, also under an externalId that is there already.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flask import Flask, Response, g, jsonify, request

from sandbox.azure.answers import Refused, service
from sandbox.azure.graph_rules import EDITABLE, indicator_error, update_error

if TYPE_CHECKING:
    from sandbox.azure.app import AzureState

ROUTE = "/beta/security/tiIndicators/"
MOST = 100

Indicator = dict[str, Any]


class ItemError(Exception):
    """One item failed; the others of its request are not affected."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


class Graph:
    """The routes of the Graph host."""

    def __init__(self, state: AzureState) -> None:
        self.state = state

    def install(self, app: Flask) -> None:
        """Add the routes to ``app``."""
        actions = {
            "submitTiIndicators": self._submit,
            "updateTiIndicators": self._update,
            "deleteTiIndicators": self._delete,
            "deleteTiIndicatorsByExternalId": self._delete_by_external_id,
        }
        for name, action in actions.items():
            app.add_url_rule(f"{ROUTE}{name}", name, self._view(name, action), methods=["POST"])
        app.after_request(_answered)

    def record(self, app: Flask) -> None:
        """Note every request, also those that a fault keeps from being processed."""
        app.before_request(self._arrived)

    def _arrived(self) -> None:
        if request.path.startswith(ROUTE):
            body = request.get_json(force=True, silent=True)
            value = body.get("value") if isinstance(body, dict) else None
            count = len(value) if isinstance(value, list) else 0
            g.graph = {"action": request.path.removeprefix(ROUTE), "count": count, "status": None}
            self.state.graph_requests.append(g.graph)

    def _view(self, name: str, action: Callable[[Any], Indicator]) -> Callable[[], Response]:
        def view() -> Response:
            try:
                self._admit()
                return self._for_all(name, action, self._value())
            except Refused as refused:
                return refused.response

        return view

    def _admit(self) -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        principal = self.state.principal(token, "graph")
        if principal is None:
            raise Refused(service(401, "InvalidAuthenticationToken", "Access token validation failure."))
        wait = self.state.wait(principal)
        if wait is not None:
            answer = service(429, "TooManyRequests", "Too many requests.")
            answer.headers["Retry-After"] = str(wait)
            raise Refused(answer)
        if not self.state.graph_permission:
            raise Refused(service(403, "Forbidden", "Missing scope permissions: ThreatIndicators.ReadWrite.OwnedBy."))

    def _value(self) -> list[Any]:
        body = request.get_json(force=True, silent=True)
        value = body.get("value") if isinstance(body, dict) else None
        if not isinstance(value, list) or len(value) > MOST:
            raise Refused(service(400, "BadRequest", f"The body must be a value of at most {MOST} items."))
        return value

    def _for_all(self, name: str, action: Callable[[Any], Indicator], value: list[Any]) -> Response:
        results: list[Indicator] = []
        with self.state.lock:
            for item in value:
                try:
                    results.append(action(item))
                except ItemError as error:
                    results.append(_failed(name, item, error))
        answer = jsonify(value=results)
        answer.status_code = 206 if any("error" in result or result.get("code") for result in results) else 200
        return answer

    def _submit(self, item: Any) -> Indicator:
        wrong = indicator_error(item, self.state.clock())
        if wrong:
            raise ItemError(400, wrong)
        indicator = {**item, "id": str(uuid4()), "azureTenantId": self.state.tenant}
        self.state.ti_indicators[indicator["id"]] = indicator
        return dict(indicator)

    def _update(self, item: Any) -> Indicator:
        wrong = update_error(item, self.state.clock())
        if wrong:
            raise ItemError(400, wrong)
        indicator = self._known(item["id"])
        indicator.update({name: value for name, value in item.items() if name in EDITABLE})
        return dict(indicator)

    def _delete(self, item: Any) -> Indicator:
        del self.state.ti_indicators[self._known(item)["id"]]
        return {"code": 0, "message": None, "subCode": 0}

    def _delete_by_external_id(self, item: Any) -> Indicator:
        indicators = self.state.ti_indicators
        keys = [key for key, indicator in indicators.items() if indicator.get("externalId") == item]
        if not keys:
            raise ItemError(404, "The indicator was not found.")
        for key in keys:
            del indicators[key]
        return {"code": 0, "message": None, "subCode": 0}

    def _known(self, key: Any) -> Indicator:
        if key not in self.state.ti_indicators:
            raise ItemError(404, "The indicator was not found.")
        return self.state.ti_indicators[key]


def _answered(response: Response) -> Response:
    if "graph" in g:
        g.graph["status"] = response.status_code
    return response


def _failed(name: str, item: Any, error: ItemError) -> Indicator:
    if name.startswith("delete"):
        return {"code": error.code, "message": error.message, "subCode": 0}
    external_id = {"externalId": item["externalId"]} if isinstance(item, dict) and item.get("externalId") else {}
    return {**external_id, "error": {"code": str(error.code), "message": error.message}}
