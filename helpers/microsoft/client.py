"""Requests to Microsoft with a token of the settings' login."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple

import requests

from helpers.http import (
    MIB,
    AnswerTooLarge,
    Limits,
    PinnedHttpAdapter,
    Redirected,
    Unacceptable,
    certificate_words,
    innermost_cause,
    session,
)
from helpers.microsoft.rate_limit import Clock, Waiting, tell_nobody
from helpers.microsoft.responses import Answer, NextStep, Verdict
from helpers.microsoft.tokens import TokenSource
from helpers.process import DestinationLogger, redact
from helpers.settings import Settings

logger = logging.getLogger(__name__)

LIMITS = Limits(silence_seconds=60, answer_seconds=300, most_bytes=16 * MIB)


class Reply(NamedTuple):
    """An answer of Microsoft's, and what it means."""

    answer: Answer
    verdict: Verdict


class MicrosoftClient:
    """Sends single requests of one destination, with the token that they need; threads may share it."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        http: requests.Session | None = None,
        waiting: Waiting = tell_nobody,
        limits: Limits = LIMITS,
    ) -> None:
        self._log = DestinationLogger(logger, settings.name)
        self._limits = limits
        adapter = PinnedHttpAdapter(settings.ms_verifycert, settings.ms_proxies or None, limits)
        self._http = http or session(adapter, settings.ms_useragent)
        self._tokens = TokenSource(settings, self._http, clock, waiting)

    def get_token(self) -> str:
        """Return a token with some minutes left. Raises MicrosoftError with what to do."""
        return self._tokens.token()

    def with_token(self, send: Callable[[str], Reply]) -> Reply:
        """Send with a token; one that is refused is renewed once. Raises MicrosoftError where there is none."""
        token = self.get_token()
        reply = send(token)
        if reply.verdict.next_step is not NextStep.NEW_TOKEN:
            return reply
        self._tokens.refused(token)
        return send(self.get_token())

    def send(
        self,
        method: str,
        url: str,
        token: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request, with JSON where there is a body, and return the answer, also where none came.

        ``headers`` go along with those that every request has.
        """
        own = {"Authorization": f"Bearer {token}"} | ({} if body is None else {"Content-Type": "application/json"})
        try:
            response = self._http.request(
                method,
                url,
                data=body,
                headers={**(headers or {}), **own},
                timeout=self._limits.silence_seconds,
                allow_redirects=False,
            )
            return Answer(response.status_code, redact(response.text), response.headers)
        except Redirected as error:
            return Answer(error.status, f"{error}: does ms_endpoints name Microsoft's own address?")
        except Unacceptable as error:
            too_large = isinstance(error, AnswerTooLarge)
            return Answer(0, f"no answer of Microsoft's: {error}", may_pass=False, too_large=too_large)
        except requests.RequestException as error:
            self._log.info("No answer from Microsoft: %s", error)
            if words := certificate_words(error, "ms_verifycert", "ms_endpoints", of_microsoft=True):
                return Answer(0, f"no answer from Microsoft: {words}", may_pass=False)
            hint = "firewall, ms_proxies, ms_verifycert, ms_endpoints?"
            return Answer(0, redact(f"no answer from Microsoft ({hint}): {innermost_cause(error)}"))
