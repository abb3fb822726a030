"""Tokens for Microsoft's APIs, through msal, renewed before they run out."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import requests
import tenacity

from helpers.errors import MicrosoftError
from helpers.http import OneOriginSession, Unacceptable, certificate_words, found_in, innermost_cause
from helpers.microsoft.particulars import with_particulars
from helpers.microsoft.rate_limit import Clock, Waiting, tell_nobody
from helpers.microsoft.responses import Answer, own_words, wait_asked_for
from helpers.process import redact
from helpers.settings import MsAuth, Settings, certificates, validators
from helpers.text import excerpt

# Who is told to wait longer has no token in this run.
LONGEST_WAIT = 120.0
# So many seconds before it runs out, a token is renewed.
EARLY = 300.0
TRIES = 4
TRYING_AGAIN = "Waiting before a token is asked for again"
# Microsoft's tokens have some 2,000 characters and are good for 28 hours at most; more than this is no token's.
LONGEST_TOKEN = 32_768
LONGEST_LIFETIME = 30 * 86_400.0

_NO_TENANT = "ms_auth['tenant'] is not a tenant that this authority knows"
_HINTS = {
    "Unable to get authority configuration": f"{_NO_TENANT}.",
    "AADSTS7000215": "ms_auth['client_secret'] is not a secret of this app: take the secret's value, not its ID.",
    "AADSTS7000222": "ms_auth['client_secret'] has expired: make a new one for the app registration.",
    "AADSTS700016": "ms_auth['client_id'] is not an app of this tenant: compare both with the app's overview page.",
    "AADSTS90002": f"{_NO_TENANT} (ms_endpoints['authority']).",
    "AADSTS900382": "ms_auth belongs to another cloud than ms_endpoints['authority'].",
    "AADSTS700027": "ms_auth['certificate_path'] is no certificate of this app: add it under Certificates & secrets.",
    "AADSTS700023": "ms_auth['credential'] signs for another login than ms_endpoints['authority'].",
    "AADSTS700024": "What ms_auth['credential'] presents has expired, or this host's clock is wrong.",
    "AADSTS50027": "What ms_auth['credential'] presents is no token: look into ms_auth['federated_token_file'].",
    "AADSTS70021": "No federated credential of this app is like the token in ms_auth['federated_token_file'].",
    "AADSTS700211": "No federated credential of this app has the issuer of ms_auth['federated_token_file'].",
    "AADSTS700212": "No federated credential of this app has the audience of ms_auth['federated_token_file'].",
    "AADSTS700213": "No federated credential of this app has the subject of ms_auth['federated_token_file'].",
    "Identity not found": "This host has no such identity: assign it, and name it in managed_identity_client_id.",
    "Managed Identity found": "This host has no such identity: assign it, and name it in managed_identity_client_id.",
    "AADSTS70011": "ms_auth['scope'] is not a scope of this cloud.",
    "AADSTS500011": "ms_auth['scope'] is not a scope of this cloud.",
}
_PASSING = frozenset({408, 429})
# What the identity endpoint of a virtual machine asks to try again (Microsoft: managed identities, error handling).
_PASSING_OF_IDENTITY = _PASSING | {404, 410}
# What msal raises over an answer that is not what it should be.
_UNREADABLE = (LookupError, AttributeError, TypeError, ArithmeticError, RecursionError, RuntimeError)
_NO_IDENTITY = (
    "This host has no managed identity, or its endpoint does not answer: assign one to the virtual machine, the App "
    "Service or the Function, or choose another ms_auth['credential']."
)
_UNREACHABLE = "Is it reachable from this host (firewall, ms_proxies, ms_verifycert, ms_endpoints['authority'])?"

_ADDRESS = "ms_endpoints['authority'] must be Microsoft's own login, and nothing in between may answer for it."


class _Passing(Exception):
    """The token service failed in a way that may pass, in so many seconds where it says so."""

    def __init__(self, words: str, wait: float | None = None) -> None:
        self.wait = wait
        super().__init__(words)


class TokenSource:
    """Hands out bearer tokens; threads may share it. ``waiting`` is told of what it waits for."""

    def __init__(
        self, settings: Settings, session: requests.Session, clock: Clock, waiting: Waiting = tell_nobody
    ) -> None:
        self._auth = settings.ms_auth
        self._in_own_words = settings.in_own_words
        self._authority = f"{settings.ms_endpoints.authority}/{settings.ms_auth.tenant}"
        self._session = session
        self._clock = clock
        self._waiting = waiting
        self._lock = threading.Lock()
        self._http_cache: dict[Any, Any] = {}
        self._app: Any = None
        self._token = ""
        self._good_until = float("-inf")

    def token(self) -> str:
        """Return a token with some minutes left. Raises MicrosoftError with what to do."""
        with self._lock:
            if self._clock.now() >= self._good_until:
                try:
                    self._renew()
                except MicrosoftError as error:
                    raise MicrosoftError(self._in_own_words(str(error))) from error
            return self._token

    def refused(self, token: str) -> None:
        """Forget a token that an API did not accept, unless another thread has renewed it already."""
        with self._lock:
            if token == self._token:
                self._good_until = float("-inf")

    def _renew(self) -> None:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Passing),
            stop=_tried_enough,
            wait=_seconds_to_wait,
            before_sleep=lambda state: self._waiting(TRYING_AGAIN, state.upcoming_sleep),
            sleep=self._clock.sleep,
            reraise=True,
        )
        try:
            answer = retrying(self._ask)
        except _Passing as error:
            hint = _NO_IDENTITY if self._is_identity else _UNREACHABLE
            raise MicrosoftError(self._told(f"no token from {self._who}: {error}. {hint}")) from error
        lifetime = _lifetime(answer) or 0
        self._token = answer["access_token"]
        redact.add([self._token])
        self._good_until = self._clock.now() + max(lifetime - EARLY, lifetime / 2)

    @property
    def _who(self) -> str:
        return "this host's managed identity" if self._is_identity else "Microsoft's login"

    def _ask(self) -> dict[str, Any]:
        import msal  # noqa: PLC0415  takes 0.1 s to import

        try:
            answer = self._ask_identity(msal) if self._is_identity else self._ask_login(msal)
        except Unacceptable as error:
            raise MicrosoftError(self._told(f"{self._who} gives no token: {error}. {_ADDRESS}")) from error
        except (requests.RequestException, msal.exceptions.MsalServiceError) as error:
            if words := certificate_words(error, "ms_verifycert", "ms_endpoints['authority']", of_microsoft=True):
                raise MicrosoftError(self._told(f"no token from {self._who}: {words}")) from error
            raise _Passing(innermost_cause(error)) from error
        except ValueError as error:
            if cause := found_in(error, requests.RequestException):  # some of requests' errors are ValueErrors to msal
                raise _Passing(innermost_cause(cause)) from error
            raise MicrosoftError(self._no_token(str(error))) from error
        except _UNREADABLE as error:
            raise _Passing(f"it gave an answer that cannot be read ({type(error).__name__}: {error})") from error
        if "error" in answer:
            raise MicrosoftError(self._no_token(str(answer.get("error_description") or answer)))
        if not _is_token(answer.get("access_token")):
            raise _Passing("it gave an answer without a token in it")
        if _lifetime(answer) is None:
            raise _Passing(f"it gave a token for a time that is none: {excerpt(answer.get('expires_in'), 40)}")
        return answer

    def _no_token(self, words: str) -> str:
        hint = next((hint for code, hint in _HINTS.items() if re.search(rf"{code}\b", words)), "")
        both = (self._auth.tenant, self._auth.client_id)
        if hint.startswith(_NO_TENANT) and all(validators.GUID.fullmatch(value) for value in both):
            hint += " Are ms_auth['tenant'] and ms_auth['client_id'] swapped?"
        if not hint:
            return self._told(f"{self._who} gives no token: {own_words(words)}")
        return self._told(f"{self._who} gives no token: {hint}", own_words(words))

    def _told(self, sentence: str, words: str = "") -> str:
        return with_particulars(sentence, words, login="" if self._is_identity else self._authority)

    @property
    def _is_identity(self) -> bool:
        return self._auth.credential == "managed_identity"

    def _ask_login(self, msal: Any) -> dict[str, Any]:
        self._http_cache.clear()  # msal repeats a failure for 5 to 60 seconds from here
        if self._app is None:
            self._app = msal.ConfidentialClientApplication(
                self._auth.client_id,
                client_credential=self._client_credential(),
                authority=self._authority,
                instance_discovery=False,
                http_client=self._strict_session(_PASSING),
                http_cache=self._http_cache,
            )
        self._app.remove_tokens_for_client()
        answer: dict[str, Any] = self._app.acquire_token_for_client(scopes=[self._auth.scope])
        return answer

    def _ask_identity(self, msal: Any) -> dict[str, Any]:
        client = self._auth.managed_identity_client_id
        identity = (
            msal.UserAssignedManagedIdentity(client_id=client) if client else msal.SystemAssignedManagedIdentity()
        )
        # A new one each time: the old one would hand out from memory the token that is to be renewed.
        app = msal.ManagedIdentityClient(identity, http_client=self._strict_session(_PASSING_OF_IDENTITY))
        answer: dict[str, Any] = app.acquire_token_for_client(resource=self._auth.scope.removesuffix("/.default"))
        return answer

    def _strict_session(self, passing: Collection[int]) -> requests.Session:
        """Return a session over the same adapters that sends secrets to the authority alone.

        An answer that may pass is an error in it, as msal tries once only.
        """
        strict = OneOriginSession(self._authority)
        strict.trust_env, strict.headers, strict.adapters = False, self._session.headers, self._session.adapters
        strict.hooks["response"].append(partial(_refuse_passing, passing=passing))
        return strict

    def _client_credential(self) -> Any:
        """Return what msal takes for the credential. Raises MicrosoftError."""
        if self._auth.credential == "certificate":
            return _certificate(self._auth)
        if self._auth.credential == "workload_identity":
            return {"client_assertion": self._assertion}
        return self._auth.client_secret.get_secret_value()

    def _assertion(self) -> str:
        """Read the federated token each time: it is short-lived, and whoever issues it writes the file again."""
        path = self._auth.federated_token_file
        try:
            text = path.read_text(encoding="utf-8").strip() if path else ""
        except (OSError, UnicodeDecodeError) as error:
            raise MicrosoftError(f"ms_auth['federated_token_file'] ({path}) cannot be read: {error}") from error
        if not text:
            raise MicrosoftError(f"ms_auth['federated_token_file'] ({path}) is empty: does its issuer still write it?")
        redact.add([text])
        return text


def _refuse_passing(response: requests.Response, *, passing: Collection[int], **_: Any) -> None:
    """Raise _Passing for a status that may pass, and for what no token service answers, as a proxy's page."""
    words = f"HTTP {response.status_code}: {excerpt(response.text, 200, '')}"
    if response.status_code in passing or response.status_code >= 500:
        answer = Answer(response.status_code, response.text, response.headers)
        raise _Passing(words, wait_asked_for(answer, datetime.now(UTC)))
    if not _is_object(response):
        raise _Passing(f"it gave an answer that is no token service's (a proxy's page?): {words}")


def _seconds_to_wait(state: tenacity.RetryCallState) -> float:
    """Wait as long as the token service asks, else longer each time, with jitter."""
    return _wait_after(state) or tenacity.wait_random_exponential(multiplier=1, max=30)(state)


def _tried_enough(state: tenacity.RetryCallState) -> bool:
    return state.attempt_number >= TRIES or _wait_after(state) > LONGEST_WAIT


def _wait_after(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return (error.wait or 0) if isinstance(error, _Passing) else 0


def _is_object(response: requests.Response) -> bool:
    try:
        return isinstance(response.json(), dict)
    except (ValueError, RecursionError):
        return False


def _is_token(token: object) -> bool:
    """Whether this can stand in a header (RFC 6750): visible ASCII characters, and no more than servers take."""
    return isinstance(token, str) and len(token) <= LONGEST_TOKEN and re.fullmatch(r"[!-~]+", token) is not None


def _lifetime(answer: Mapping[str, Any]) -> float | None:
    """Return for how many seconds a token is good, 0 where that is not said; None for what is no time."""
    try:
        seconds = float(answer.get("expires_in", 0))
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds <= LONGEST_LIFETIME else None


def _certificate(auth: MsAuth) -> dict[str, str]:
    """Return the certificate in the form that msal signs with by SHA-256."""
    try:
        certificate = certificates.certificate_of(auth)
    except certificates.Unusable as error:
        raise MicrosoftError(f"ms_auth['{error.key}'] {error}") from error
    return {"private_key": certificate.key, "public_certificate": certificate.certificate}


def credential_ends(settings: Settings) -> int:
    """Return when what signs in at Microsoft expires, in seconds since 1970; 0 where that is not known.

    A certificate says so itself, a client secret where a key vault has it and knows.
    """
    if settings.ms_auth.credential == "secret":
        return settings.expiry_of("ms_auth.client_secret")
    if settings.ms_auth.credential != "certificate":
        return 0
    try:
        return int(certificates.certificate_of(settings.ms_auth).ends.timestamp())
    except certificates.Unusable:  # it has been replaced meanwhile, say: the next run knows
        return 0
