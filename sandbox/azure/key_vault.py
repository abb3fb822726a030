"""Azure Key Vault: gives secrets to who may read them, after the challenge that its SDK waits for.

Microsoft: Authentication, requests and responses (Key Vault); Azure Key Vault REST API error codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify, request

if TYPE_CHECKING:
    from sandbox.azure.app import AzureState

VERSION = "0123456789abcdef0123456789abcdef"


class KeyVault:
    """The route of all vaults; the host's name says which one is asked."""

    def __init__(self, state: AzureState) -> None:
        self.state = state

    def install(self, app: Flask) -> None:
        """Add the route to ``app``."""
        app.add_url_rule("/secrets/<name>/", view_func=self.secret)

    def secret(self, name: str) -> Response:
        """Give the newest version of a secret."""
        principal = self.state.principal(request.headers.get("Authorization", "").removeprefix("Bearer "), "vault")
        if principal is None:
            return self._challenge()
        if principal not in self.state.vault_readers:
            text = "Caller is not authorized to perform action on resource."
            return _error(403, "Forbidden", text, innererror={"code": "ForbiddenByRbac"})
        vault, _, domain = request.host.partition(".")
        value = self.state.vaults.get(vault, {}).get(name)
        if value is None:
            return _error(404, "SecretNotFound", f"A secret with (name/id) {name} was not found in this key vault.")
        attributes = {"enabled": True}
        if name in self.state.secret_expiries:
            attributes["exp"] = self.state.secret_expiries[name]
        return jsonify(value=value, id=f"https://{vault}.{domain}/secrets/{name}/{VERSION}", attributes=attributes)

    def _challenge(self) -> Response:
        answer = _error(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
        login, resource = f"https://login.windows.net/{self.state.tenant}", "https://vault.azure.net"
        answer.headers["WWW-Authenticate"] = f'Bearer authorization="{login}", resource="{resource}"'
        return answer


def _error(status: int, code: str, message: str, **more: Any) -> Response:
    answer = jsonify(error={"code": code, "message": message, **more})
    answer.status_code = status
    return answer
