"""The upload APIs: the STIX objects API and the two generations of its predecessor.

Microsoft: Reference the STIX objects upload API; Reference the legacy upload indicators API;
the OpenAPI description of version 2024-02-01-preview. Answers that these leave open are
strict ones: an empty array and a request without any valid object get 400.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from sandbox.azure.answers import Refused, gateway, service
from sandbox.azure.rules import LEGACY_TYPES, UPLOAD_TYPES, object_errors

if TYPE_CHECKING:
    from sandbox.azure.app import AzureState

SOURCESYSTEM_LENGTH = 256
RESTRICTED = "microsoft sentinel"


@dataclass(frozen=True)
class Contract:
    """What sets one upload API apart from the others."""

    route: str
    key: str
    types: frozenset[str]
    versions: frozenset[str]


CONTRACTS = (
    Contract(
        "/workspaces/<workspace_id>/threat-intelligence-stix-objects:upload",
        "stixobjects",
        UPLOAD_TYPES,
        frozenset({"2024-02-01-preview"}),
    ),
    Contract(
        "/workspaces/<workspace_id>/threatintelligenceindicators:upload",
        "indicators",
        LEGACY_TYPES,
        frozenset({"2022-07-01", "2022-12-01-preview"}),
    ),
    Contract("/<workspace_id>/threatintelligence:upload-indicators", "value", LEGACY_TYPES, frozenset()),
)


class Upload:
    """The routes of the upload host."""

    def __init__(self, state: AzureState) -> None:
        self.state = state

    def install(self, app: Flask) -> None:
        """Add the routes to ``app``."""
        for contract in CONTRACTS:
            app.add_url_rule(contract.route, contract.route, self._view(contract), methods=["POST"])
        app.register_error_handler(HTTPException, _http_error)
        app.after_request(self._answered)

    def record(self, app: Flask) -> None:
        """Note every upload request, also those that a fault keeps from being processed."""
        app.before_request(self._arrived)

    def _view(self, contract: Contract) -> Callable[[str], Response]:
        def view(workspace_id: str) -> Response:
            try:
                self._admit(contract, workspace_id)
                return self._take(contract, workspace_id, self._body(contract))
            except Refused as refused:
                return refused.response

        return view

    def _admit(self, contract: Contract, workspace_id: str) -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        principal = self.state.principal(token)
        if principal is None:
            raise Refused(gateway(401, "Unauthorized. Access token is missing or invalid."))
        wait = self.state.wait(principal)
        if wait is not None:
            raise Refused(gateway(429, f"Rate limit is exceeded. Try again in {wait} seconds."))
        if contract.versions and request.args.get("api-version") not in contract.versions:
            raise Refused(service(400, "InvalidApiVersionParameter", "The api-version is missing or invalid."))
        if workspace_id not in self.state.workspaces:
            raise Refused(service(404, "WorkspaceNotFound", f"Workspace {workspace_id} was not found."))
        if not self.state.may_write(principal, workspace_id):
            raise Refused(service(403, "Forbidden", "The caller may not write to this workspace."))

    def _body(self, contract: Contract) -> dict[str, Any]:
        body = request.get_json(force=True, silent=True)
        if not isinstance(body, dict):
            raise Refused(_bad_body("Body of the request is not in valid JSON format."))
        source = body.get("sourcesystem")
        if not isinstance(source, str) or not 0 < len(source) <= SOURCESYSTEM_LENGTH:
            raise Refused(_bad_body("Property sourcesystem is missing or is not a string of 1 to 256 characters."))
        if source.lower() == RESTRICTED:
            raise Refused(_bad_body(f"The value {source} of property sourcesystem is restricted."))
        objects, most = body.get(contract.key), self.state.objects_per_request
        if not isinstance(objects, list) or not 0 < len(objects) <= most:
            raise Refused(_bad_body(f"Property {contract.key} must be an array of 1 to {most} objects."))
        return body

    def _take(self, contract: Contract, workspace_id: str, body: dict[str, Any]) -> Response:
        source, objects = body["sourcesystem"], body[contract.key]
        with self.state.lock:
            texts_by_object = [self._store(contract, workspace_id, source, object_) for object_ in objects]
        errors = [
            {"recordIndex": index, self.state.error_key: texts} for index, texts in enumerate(texts_by_object) if texts
        ]
        if not errors:
            return Response(status=200)
        answer = jsonify(errors=errors)
        answer.status_code = 400 if len(errors) == len(objects) else 200
        return answer

    def _store(self, contract: Contract, workspace_id: str, source: str, object_: Any) -> list[str]:
        errors = object_errors(object_, contract.types) or self.state.refusals(object_)
        if not errors:
            revived = self.state.store(workspace_id, source, object_)
            errors = [revived] if revived else []
        return errors

    def _arrived(self) -> None:
        contract = next((candidate for candidate in CONTRACTS if candidate.route == request.endpoint), None)
        if contract:
            g.upload = self._entry(contract)
            self.state.uploads.append(g.upload)

    def _answered(self, response: Response) -> Response:
        if "upload" in g:
            g.upload["status"] = response.status_code
        return response

    def _entry(self, contract: Contract) -> dict[str, Any]:
        body = request.get_json(force=True, silent=True)
        body = body if isinstance(body, dict) else {}
        objects = body.get(contract.key)
        objects = objects if isinstance(objects, list) else []
        return {
            "time": self.state.clock(),
            "workspace": (request.view_args or {})["workspace_id"],
            "sourcesystem": body.get("sourcesystem"),
            "count": len(objects),
            "bytes": request.content_length,
            "kinds": Counter(str(object_.get("type")) for object_ in objects if isinstance(object_, dict)),
            "status": None,
        }


def _bad_body(message: str) -> Response:
    return service(400, "InvalidRequestBodyProperty(RequestBody)", message)


def _http_error(error: HTTPException) -> Response:
    return gateway(error.code or 500, error.name)
