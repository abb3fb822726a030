"""The management API: every indicator that Sentinel holds for a source system, revoked and expired ones too.

Rules: Microsoft, operation ThreatIntelligence_Query of version 2025-07-01-preview, and its example.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

import requests
import tenacity

from helpers.errors import MicrosoftError
from helpers.http import PinnedHttpAdapter, innermost_cause, session
from helpers.microsoft.rate_limit import Clock
from helpers.microsoft.responses import Answer, NextStep, Verdict, interpret, parsed, words_of
from helpers.microsoft.tokens import TokenSource
from helpers.settings import Settings

Indicator = dict[str, Any]
Answered = tuple[Verdict, Answer]

VERSION = "2025-07-01-preview"
PER_PAGE = 100
READ_SECONDS = 60.0
TRIES = 6
LONGEST_WAIT = 900.0
_PATH = (
    "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.OperationalInsights/workspaces/{}"
    "/providers/Microsoft.SecurityInsights/threatIntelligence/main/query?api-version="
)


class ManagementApi:
    """Reads one workspace, page by page."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        adapter = PinnedHttpAdapter(settings.ms_verifycert, settings.ms_proxies or None, READ_SECONDS)
        self._http = session(adapter, settings.ms_useragent)
        self._tokens = TokenSource(settings, self._http, clock)

    def indicators(self) -> Iterator[Indicator]:
        """Yield each indicator as it was uploaded. Raises MicrosoftError with what to do."""
        answer = self._asked("POST", address(self._settings), _query(self._settings))
        yield from _indicators(answer)
        while link := answer.get("nextLink"):
            answer = self._asked("GET", self._own(str(link)))
            yield from _indicators(answer)

    def _own(self, link: str) -> str:
        """Accept the address of the next page if it is on the same host: the token goes there."""
        if _host(link) != _host(self._settings.ms_endpoints.management):
            raise MicrosoftError(f"The management API names a next page on another host: {urlsplit(link).hostname}.")
        return link

    def _asked(self, method: str, url: str, body: Any = None) -> dict[str, Any]:
        """Ask until there is an answer, in bounded tries."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda answered: answered[0].kind in (NextStep.RETRY, NextStep.THROTTLED)),
            stop=tenacity.stop_after_attempt(TRIES),
            wait=_wait,
            sleep=self._clock.sleep,
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        answered: Answered = retrying(partial(self._with_token, method, url, body))
        verdict, answer = answered
        if answer.status != 200 or verdict.kind is not NextStep.SETTLED:
            raise MicrosoftError(f"{_hint(self._settings, answer.status)} Microsoft's words: {verdict.words}")
        return _parsed(answer.text)

    def _with_token(self, method: str, url: str, body: Any) -> Answered:
        """Ask once; a token that is refused is renewed once."""
        for last in (False, True):
            token = self._tokens.token()
            answer = self._send(method, url, body, token)
            verdict = _judged(answer)
            if verdict.kind is not NextStep.NEW_TOKEN or last:
                break
            self._tokens.refused(token)
        return verdict, answer

    def _send(self, method: str, url: str, body: Any, token: str) -> Answer:
        headers = {"Authorization": f"Bearer {token}"}
        try:
            response = self._http.request(
                method, url, json=body, headers=headers, timeout=READ_SECONDS, allow_redirects=False
            )
        except requests.RequestException as error:
            return Answer(0, f"no answer from Microsoft: {innermost_cause(error)}")
        return Answer(response.status_code, response.text, response.headers)


def _judged(answer: Answer) -> Verdict:
    """Say what an answer means: this API's success has a body, and one that is cut short may come whole again."""
    if answer.status != 200:
        return interpret(answer, PER_PAGE, datetime.now(UTC))
    if isinstance(parsed(answer.text), dict):
        return Verdict(NextStep.SETTLED)
    return Verdict(NextStep.RETRY, f"an answer that is not Microsoft's (a proxy's page?): {words_of(answer)}")


def address(settings: Settings) -> str:
    """Return the address of the query."""
    auth = settings.ms_auth
    names = (auth.subscription_id, auth.resourceGroupName, auth.workspaceName)
    return f"{settings.ms_endpoints.management}{_PATH.format(*map(quote, names))}{VERSION}"


def _query(settings: Settings) -> dict[str, Any]:
    source = {"field": "source", "operator": "Equals", "values": [settings.sourcesystem]}
    condition = {"stixObjectType": "indicator", "conditionConnective": "And", "clauses": [source]}
    return {"condition": condition, "minPageSize": PER_PAGE, "maxPageSize": PER_PAGE}


def _parsed(text: str) -> dict[str, Any]:
    answer = parsed(text)
    if not isinstance(answer, dict) or not isinstance(answer.get("value"), list):
        raise MicrosoftError("The management API answered with something that is no list of indicators.")
    return answer


def _indicators(answer: dict[str, Any]) -> Iterator[Indicator]:
    for record in answer["value"]:
        properties = record.get("properties") if isinstance(record, dict) else None
        indicator = properties.get("data") if isinstance(properties, dict) else None
        if not isinstance(indicator, dict) or not all(isinstance(indicator.get(key), str) for key in ("id", "pattern")):
            raise MicrosoftError("The management API answered with a record that holds no indicator.")
        yield indicator


def _host(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or 443


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds before the next try: as told, else longer each time with jitter."""
    verdict = state.outcome.result()[0] if state.outcome else None
    if isinstance(verdict, Verdict) and verdict.wait is not None:
        return min(verdict.wait, LONGEST_WAIT)
    return tenacity.wait_random_exponential(multiplier=2, max=60)(state)


def _hint(settings: Settings, status: int) -> str:
    """Say what to do about an answer that is no success."""
    auth, where = settings.ms_auth, settings.ms_endpoints.management
    return {
        401: f"{where} refuses a new token too: the management API wants ms_auth['scope'] ({auth.scope}) of its cloud.",
        403: (
            f"The app registration {auth.client_id} may not read what {auth.workspaceName} holds: give it the role "
            "'Microsoft Sentinel Contributor' there. A new role takes some minutes to work."
        ),
        404: (
            f"There is no workspace {auth.workspaceName} in resource group {auth.resourceGroupName} of subscription "
            f"{auth.subscription_id} ({where}): compare workspaceName, resourceGroupName and subscription_id in "
            f"{'ms_tenants' if settings.name else 'ms_auth'} with the workspace's overview page."
        ),
        429: f"{where} allows no more requests for now: try again later.",
    }.get(status, f"{where} does not answer the query for indicators.")
