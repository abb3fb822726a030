"""Managed identities: the endpoints that a virtual machine and an App Service ask for tokens.

Microsoft: How to use managed identities for Azure resources on an Azure VM to acquire an access token; How to
use managed identities for App Service and Azure Functions, REST endpoint reference.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify, request

if TYPE_CHECKING:
    from sandbox.azure.app import AzureState

IMDS = "/metadata/identity/oauth2/token"
APP_SERVICE = "/msi/token"


class Identity:
    """The two routes."""

    def __init__(self, state: AzureState) -> None:
        self.state = state

    def install(self, app: Flask) -> None:
        """Add the routes to ``app``."""
        app.add_url_rule(IMDS, view_func=self.machine)
        app.add_url_rule(APP_SERVICE, view_func=self.app_service)

    def machine(self) -> Response:
        """Answer as the instance metadata service, which wants no request that a proxy passed on."""
        if request.headers.get("Metadata") != "true" or "X-Forwarded-For" in request.headers:
            return _refused(400, error="invalid_request", error_description="Required metadata header not specified")
        client = self._identity()
        if client is None:
            return _refused(400, error="invalid_request", error_description="Identity not found")
        scope = self._scope()
        if scope is None:
            text = f"AADSTS500011: The resource principal named {request.args.get('resource')} was not found."
            return _refused(400, error="invalid_resource", error_description=text)
        return self._token(client, scope)

    def app_service(self) -> Response:
        """Answer as an App Service, whose own processes know the secret header."""
        if request.headers.get("X-IDENTITY-HEADER") != self.state.identity_header:
            return _refused(401, statusCode=401, message="Unauthorized")
        client, scope = self._identity(), self._scope()
        if client is None:
            text = "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."
            return _refused(400, statusCode=400, message=text)
        if scope is None:
            return _refused(500, statusCode=500, message="An unexpected error occured while fetching the AAD Token.")
        return self._token(client, scope)

    def _identity(self) -> str | None:
        return self.state.identities.get(request.args.get("client_id", ""))

    def _scope(self) -> str | None:
        scope = f"{request.args.get('resource', '').rstrip('/')}/.default"
        return scope if scope in self.state.scopes else None

    def _token(self, client: str, scope: str) -> Response:
        token = secrets.token_urlsafe(48)
        lifetime = self.state.grant(token, scope, client)
        return jsonify(
            access_token=token,
            client_id=client,
            expires_in=str(lifetime),
            expires_on=str(int(time.time()) + lifetime),
            resource=request.args["resource"],
            token_type="Bearer",  # noqa: S106 - the kind, as OAuth names it
        )


def create_app(state: AzureState) -> Flask:
    """Give both endpoints on one host."""
    app = Flask(__name__)
    state.faults.install(app)
    Identity(state).install(app)
    return app


def _refused(status: int, **body: Any) -> Response:
    answer = jsonify(body)
    answer.status_code = status
    return answer
