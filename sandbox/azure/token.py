"""The token endpoint: OAuth 2.0 client credentials, as Microsoft Entra ID answers them.

Microsoft: OAuth 2.0 client credentials flow on the Microsoft identity platform; Microsoft
Entra authentication and authorization error codes. Tokens are opaque here.
"""

from __future__ import annotations

from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flask import Flask, Response, jsonify, request

from sandbox.azure.assertion import refused_assertion

if TYPE_CHECKING:
    from sandbox.azure.app import AzureState

SCOPE = "https://management.azure.com/.default"
VAULT_SCOPE = "https://vault.azure.net/.default"
GRAPH_SCOPE = "https://graph.microsoft.com/.default"
LOGS_SCOPE = "https://api.loganalytics.io/.default"
# What a token for each scope opens.
AUDIENCES = {SCOPE: "management", VAULT_SCOPE: "vault", GRAPH_SCOPE: "graph", LOGS_SCOPE: "logs"}
FIELDS = ("grant_type", "client_id", "client_secret", "scope")
# The field that is wrong, the status, the OAuth error, the AADSTS code and its text, in the order checked.
REFUSALS = (
    (
        "grant_type",
        400,
        "unsupported_grant_type",
        70003,
        "The app requested an unsupported grant type '{grant_type}'.",
    ),
    (
        "client_id",
        400,
        "unauthorized_client",
        700016,
        "Application with identifier '{client_id}' was not found in the directory '{tenant}'.",
    ),
    (
        "client_secret",
        401,
        "invalid_client",
        7000215,
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value,"
        " not the client secret ID, for a secret added to app '{client_id}'.",
    ),
    ("scope", 400, "invalid_scope", 70011, "The provided value for scope {scope} is not valid."),
)


class Login:
    """The routes of the login host."""

    def __init__(self, state: AzureState) -> None:
        self.state = state

    def install(self, app: Flask) -> None:
        """Add the routes to ``app``."""
        app.add_url_rule("/<tenant>/v2.0/.well-known/openid-configuration", view_func=self.discovery)
        app.add_url_rule("/common/discovery/instance", view_func=self.instance)
        app.add_url_rule("/<tenant>/oauth2/v2.0/token", view_func=self.token, methods=["POST"])

    def discovery(self, tenant: str) -> Response:
        """OpenID discovery of one tenant."""
        if not self.state.secrets_of(tenant):
            return self._unknown_tenant(tenant)
        base = f"{request.url_root}{tenant}"
        return jsonify(
            issuer=f"{base}/v2.0",
            authorization_endpoint=f"{base}/oauth2/v2.0/authorize",
            token_endpoint=f"{base}/oauth2/v2.0/token",
            jwks_uri=f"{base}/discovery/v2.0/keys",
            response_types_supported=["code", "id_token"],
        )

    def instance(self) -> Response:
        """Instance discovery: this host is the only one of its cloud."""
        host = request.host
        names = {"preferred_network": host, "preferred_cache": host, "aliases": [host]}
        endpoint = f"{request.url_root}{self.state.tenant}/v2.0/.well-known/openid-configuration"
        return jsonify({"tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": [names]})

    def token(self, tenant: str) -> Response:
        """Give a token for the right secret, or the documented error."""
        if not self.state.secrets_of(tenant):
            return self._unknown_tenant(tenant)
        refusal = self._refusal(tenant, request.form)
        if refusal:
            return self._error(*refusal)
        token = token_urlsafe(48)
        lifetime = self.state.grant(token, request.form["scope"], request.form["client_id"])
        return jsonify(
            {
                "token_type": "Bearer",
                "expires_in": lifetime,
                "ext_expires_in": lifetime,
                "access_token": token,
            }
        )

    def _refusal(self, tenant: str, form: Any) -> tuple[int, str, int, str] | None:
        values = {name: form.get(name, "") for name in FIELDS} | {"tenant": tenant}
        expected = self._expected(self.state.secrets_of(tenant), values["client_id"])
        for name, status, error, code, text in REFUSALS:
            if name == "client_secret" and "client_assertion" in form:
                refusal = refused_assertion(self.state, form, request.base_url)
                if refusal:
                    return refusal
            elif values[name] not in expected[name]:
                return status, error, code, text.format(**values)
        return None

    def _expected(self, secrets: dict[str, str], client: str) -> dict[str, set[str]]:
        accepted = {"client_id": set(secrets), "client_secret": {secrets.get(client, "")}}
        return accepted | {"grant_type": {"client_credentials"}, "scope": self.state.scopes}

    def _unknown_tenant(self, tenant: str) -> Response:
        text = f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID."
        return self._error(400, "invalid_request", 90002, text)

    def _error(self, status: int, error: str, code: int, text: str) -> Response:
        trace, correlation, now = str(uuid4()), str(uuid4()), self.state.now_text()
        trail = f" Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}"
        answer = jsonify(
            error=error,
            error_description=f"AADSTS{code}: {text}{trail}",
            error_codes=[code],
            timestamp=now,
            trace_id=trace,
            correlation_id=correlation,
            error_uri=f"https://login.microsoftonline.com/error?code={code}",
        )
        answer.status_code = status
        return answer
