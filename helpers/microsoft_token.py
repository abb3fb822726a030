"""Tokens for Microsoft's APIs, through msal, renewed before they run out."""

from __future__ import annotations

import re
import threading
from typing import Any

import requests
import tenacity

from helpers.connection_words import cause
from helpers.errors import MicrosoftError
from helpers.log import redact
from helpers.pacer import Clock
from helpers.settings import Settings

EARLY = 300.0
TRIES = 4

_HINTS = {
    "Unable to get authority configuration": "ms_auth['tenant'] is not a tenant that this authority knows.",
    "AADSTS7000215": "ms_auth['client_secret'] is not a secret of this app: take the secret's value, not its ID.",
    "AADSTS7000222": "ms_auth['client_secret'] has expired: make a new one for the app registration.",
    "AADSTS700016": "ms_auth['client_id'] is not an app of this tenant: compare both with the app's overview page.",
    "AADSTS90002": "ms_auth['tenant'] is not a tenant that this authority knows (ms_endpoints['authority']).",
    "AADSTS900382": "ms_auth belongs to another cloud than ms_endpoints['authority'].",
    "AADSTS70011": "ms_auth['scope'] is not a scope of this cloud.",
    "AADSTS500011": "ms_auth['scope'] is not a scope of this cloud.",
}


class _Passing(Exception):
    """The token service failed in a way that may pass."""


class TokenSource:
    """Hands out bearer tokens; threads may share it."""

    def __init__(self, settings: Settings, session: requests.Session, clock: Clock) -> None:
        self._auth = settings.ms_auth
        self._authority = f"{settings.ms_endpoints.authority}/{settings.ms_auth.tenant}"
        self._session = session
        self._clock = clock
        self._lock = threading.Lock()
        self._http_cache: dict[Any, Any] = {}
        self._app: Any = None
        self._token = ""
        self._good_until = float("-inf")

    def token(self) -> str:
        """Return a token with some minutes left. Raises MicrosoftError with what to do."""
        with self._lock:
            if self._clock.now() >= self._good_until:
                self._renew()
            return self._token

    def refused(self, token: str) -> None:
        """Forget a token that an API did not accept, unless another thread has renewed it already."""
        with self._lock:
            if token == self._token:
                self._good_until = float("-inf")

    def _renew(self) -> None:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Passing),
            stop=tenacity.stop_after_attempt(TRIES),
            wait=tenacity.wait_random_exponential(multiplier=1, max=30),
            sleep=self._clock.sleep,
            reraise=True,
        )
        try:
            answer = retrying(self._ask)
        except _Passing as error:
            hint = "Is it reachable from this host (firewall, ms_proxies, ms_verifycert, ms_endpoints['authority'])?"
            raise MicrosoftError(f"No token from {self._authority}. {hint} {error}") from error
        lifetime = float(answer.get("expires_in", 0))
        self._token = str(answer["access_token"])
        redact.learn([self._token])
        self._good_until = self._clock.now() + max(lifetime - EARLY, lifetime / 2)

    def _ask(self) -> dict[str, Any]:
        import msal  # noqa: PLC0415  takes 0.1 s to import

        self._http_cache.clear()  # msal repeats a failure for 5 to 60 seconds from here
        try:
            app = self._application(msal)
            app.remove_tokens_for_client()
            answer: dict[str, Any] = app.acquire_token_for_client(scopes=[self._auth.scope])
        except (requests.RequestException, msal.exceptions.MsalServiceError) as error:
            raise _Passing(cause(error)) from error
        except ValueError as error:
            raise MicrosoftError(_sentence(self._authority, str(error))) from error
        if "access_token" not in answer:
            raise MicrosoftError(_sentence(self._authority, str(answer.get("error_description") or answer)))
        return answer

    def _application(self, msal: Any) -> Any:
        if self._app is None:
            self._app = msal.ConfidentialClientApplication(
                self._auth.client_id,
                client_credential=self._auth.client_secret.get_secret_value(),
                authority=self._authority,
                instance_discovery=False,
                http_client=self._session,
                http_cache=self._http_cache,
            )
        return self._app


def _sentence(authority: str, words: str) -> str:
    hint = next((f"{hint} " for code, hint in _HINTS.items() if re.search(rf"{code}\b", words)), "")
    return f"{authority} gives no token. {hint}Microsoft's words: {' '.join(words.split())[:500]}"
