"""Endpoints: what answers queries of a workspace's logs: the management API's, and Log Analytics' own.

Microsoft: Azure Monitor Log Analytics API errors, which has the envelopes, also of a token for another audience, of a
client without the API's permission and of a request without JSON; response format, which has the partial result; access
the API, which has both addresses; timeouts; service limits (200 requests in 30 seconds for each client). What the
innermost errors say of a query is as in the troubleshooting guides of Azure's SDKs (SYN0002) and in Grafana's tests
(SEM0100). Azure/azure-sdk-for-js, pull request 15399, has the answer of Log Analytics to a token for the management API
(InvalidTokenError), Azure/Azure-Sentinel, issue 11922, that of the management API to an expired one. Inferred: the
answer of Log Analytics to an expired token, the code of a 429, and that without ``Prefer: response-v1=true`` the
management API writes the older form of an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flask import Flask, Response, g, jsonify, request

from sandbox.azure.answers import Refused, service
from sandbox.azure.logs.queries import Result, recognised

if TYPE_CHECKING:
    from sandbox.azure.app import AzureState

VERSION = "2017-01-01-preview"
SCOPE = "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.OperationalInsights/workspaces/{}"
MANAGED = SCOPE.format("<subscription>", "<group>", "<name>") + "/api/query"
DIRECT = "/v1/workspaces/<workspace>/query"
PERMISSION = "Microsoft.OperationalInsights/workspaces/query/read"
INVALID = "The request had some invalid properties"
NO_ACCESS = "The provided credentials have insufficient access to perform the requested operation"
WRONG_AUDIENCE = (
    "The access token has been obtained from wrong audience or resource '{}'. It should exactly match (including"
    " forward slash) with one of the allowed audiences 'https://management.core.windows.net/',"
    "'https://management.azure.com/'."
)
TOO_MANY = (
    "The results of this query exceed the set limit of {} records, so not all records were returned"
    " (E_QUERY_RESULT_SET_TOO_LARGE, 0x80DA0003)."
)


class LogQueries:
    """The routes of both."""

    def __init__(self, state: AzureState) -> None:
        self.state = state

    def install(self, app: Flask) -> None:
        """Add the routes to ``app``."""
        app.add_url_rule(MANAGED, "logs managed", self.managed, methods=["POST"])
        app.add_url_rule(DIRECT, "logs direct", self.direct, methods=["POST"])
        app.after_request(_answered)

    def record(self, app: Flask) -> None:
        """Note every query, also those that a fault keeps from being answered."""
        app.before_request(self._arrived)

    def managed(self, subscription: str, group: str, name: str) -> Response:
        """Answer a query at the management API."""
        return self._guarded(lambda: self._admit_managed(subscription, group, name), _forms(request.headers))

    def direct(self, workspace: str) -> Response:
        """Answer a query at Log Analytics."""
        return self._guarded(lambda: self._admit_direct(workspace), _table)

    def _guarded(self, admit: Callable[[], str], form: Callable[[Result], dict[str, Any]]) -> Response:
        try:
            workspace = admit()
            text = _query()
            return Response(status=200) if text is None else self._answer(workspace, text, form)
        except Refused as refused:
            return refused.response

    def _answer(self, workspace: str, text: str, form: Callable[[Result], dict[str, Any]]) -> Response:
        asked = recognised(text)
        if asked is None:
            message = "Query could not be parsed: the sandbox knows none but those of misp2sentinel."
            raise Refused(_bad_query("SyntaxError", "A recognition error occurred in the query.", "SYN0002", message))
        if workspace in self.state.without_sentinel:
            message = f"'where' operator: Failed to resolve table or column expression named '{asked.known.table}'"
            raise Refused(_bad_query("SemanticError", "A semantic error occurred.", "SEM0100", message))
        with self.state.lock:
            result = asked.result(self.state.table(asked.known.table, workspace))
        most = self.state.rows_per_answer
        g.log_query["rows"] = len(result.rows)
        if len(result.rows) <= most:
            return jsonify(form(result))
        return jsonify(**form(result._replace(rows=result.rows[:most])), error=_partial(most))

    def _admit_managed(self, subscription: str, group: str, name: str) -> str:
        token = _bearer()
        principal = self.state.principal(token)
        if principal is None:
            raise Refused(self._no_token_of_management(token))
        if request.args.get("api-version") != VERSION:
            raise Refused(service(400, "InvalidApiVersionParameter", "The api-version is missing or invalid."))
        workspace = self.state.managed(subscription, group, name)
        if workspace is None:
            message = f"The Resource 'Microsoft.OperationalInsights/workspaces/{name}' under {group} was not found."
            raise Refused(service(404, "ResourceNotFound", message))
        if not self.state.may_read(principal, workspace):
            raise Refused(_no_role(principal, SCOPE.format(subscription, group, name)))
        return self._within_limits(principal, workspace)

    def _admit_direct(self, workspace: str) -> str:
        token = _bearer()
        principal = self.state.principal(token, "logs")
        if principal is None:
            raise Refused(self._no_token_of_logs(token))
        if workspace not in self.state.workspaces:
            raise Refused(_error(404, "PathNotFoundError", "The requested path does not exist"))
        if not self.state.logs_permission:
            message = f"The service principal does not have sufficient permissions to access this resource: {workspace}"
            inner = {"code": "UnauthorizedClient", "message": message}
            raise Refused(_error(403, "InsufficientAccessError", NO_ACCESS, innererror=inner))
        if not self.state.may_read(principal, workspace):
            raise Refused(_error(403, "InsufficientAccessError", NO_ACCESS))
        return self._within_limits(principal, workspace)

    def _within_limits(self, principal: str, workspace: str) -> str:
        wait = self.state.wait_for_query(principal)
        if wait is not None:
            answer = _error(429, "TooManyRequests", f"Rate limit is exceeded. Try again in {wait} seconds.")
            answer.headers["Retry-After"] = str(wait)
            raise Refused(answer)
        return workspace

    def _no_token_of_management(self, token: str) -> Response:
        audience = self.state.audience(token)
        if audience is None:
            return service(401, "InvalidAuthenticationToken", "The access token is missing or invalid.")
        if audience == "management":
            return service(401, "ExpiredAuthenticationToken", "The access token has expired.")
        resource = "https://api.loganalytics.io" if audience == "logs" else audience
        return service(403, "InvalidAuthenticationTokenAudience", WRONG_AUDIENCE.format(resource))

    def _no_token_of_logs(self, token: str) -> Response:
        audience = self.state.audience(token)
        if not token:
            message = "Authentication failed. The 'Authorization' header is missing."
            return _error(401, "AuthenticationFailed", message)
        if audience is None:
            return _error(403, "InvalidAuthenticationToken", "The access token is invalid.")
        if audience == "logs":
            return _error(401, "AuthorizationRequiredError", "Valid authentication was not provided")
        return _error(403, "InvalidTokenError", "The provided authentication is not valid for this resource")

    def _arrived(self) -> None:
        if request.endpoint in ("logs managed", "logs direct"):
            body = request.get_json(force=True, silent=True)
            text = body.get("query") if isinstance(body, dict) else None
            path, prefer = request.path, request.headers.get("Prefer", "")
            g.log_query = {"path": path, "prefer": prefer, "query": text, "rows": 0, "status": None}
            self.state.log_queries.append(g.log_query)


def _answered(response: Response) -> Response:
    if "log_query" in g:
        g.log_query["status"] = response.status_code
    return response


def _bearer() -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def _query() -> str | None:
    """Give the text of the query, or None where the request says of no JSON; another form is refused."""
    body = request.get_json(silent=True) if request.is_json else None
    if body is None:
        return None
    if not isinstance(body, dict) or body.keys() != {"query"} or not isinstance(body["query"], str):
        message = "The sandbox knows a body with a query alone."
        raise Refused(_error(400, "BadArgumentError", INVALID, innererror={"code": "Unknown", "message": message}))
    return body["query"]


def _forms(headers: Any) -> Callable[[Result], dict[str, Any]]:
    preferences = [part.strip() for part in headers.get("Prefer", "").split(",")]
    return _table if "response-v1=true" in preferences else _older_table


def _table(result: Result) -> dict[str, Any]:
    columns = [{"name": name, "type": kind} for name, kind in result.columns]
    return {"tables": [{"name": "PrimaryResult", "columns": columns, "rows": result.rows}]}


def _older_table(result: Result) -> dict[str, Any]:
    columns = [{"ColumnName": name, "ColumnType": kind} for name, kind in result.columns]
    return {"Tables": [{"TableName": "Table_0", "Columns": columns, "Rows": result.rows}]}


def _partial(most: int) -> dict[str, Any]:
    inner = {"code": "-2133196797", "message": TOO_MANY.format(most), "severity": 2, "severityName": "Error"}
    message = "Something went wrong processing your query on the server."
    detail = {"code": "EngineError", "message": message, "innererror": inner}
    words = "There were some errors when processing your query."
    return {"code": "PartialError", "message": words, "details": [detail]}


def _bad_query(code: str, words: str, number: str, message: str) -> Response:
    inner = {"code": code, "message": words, "innererror": {"code": number, "message": message}}
    return _error(400, "BadArgumentError", INVALID, innererror=inner)


def _no_role(principal: str, scope: str) -> Response:
    message = (
        f"The client '{principal}' with object id '{principal}' does not have authorization to perform action"
        f" '{PERMISSION}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh"
        " your credentials."
    )
    return service(403, "AuthorizationFailed", message)


def _error(status: int, code: str, message: str, **more: Any) -> Response:
    answer = jsonify(error={"message": message, "code": code, "correlationId": str(uuid4()), **more})
    answer.status_code = status
    return answer
