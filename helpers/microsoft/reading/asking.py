"""Asking until there is an answer, in bounded tries: for what a workspace holds, and for what its logs say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import tenacity

from helpers.microsoft.client import MicrosoftClient, Reply
from helpers.microsoft.rate_limit import ASKED_TO_WAIT, Clock, Waiting, tell_nobody
from helpers.microsoft.responses import Answer, NextStep, Verdict

TRIES = 6
LONGEST_WAIT = 900.0
TRYING_AGAIN = "Waiting before the workspace is asked again"
_AGAIN = (NextStep.RETRY, NextStep.THROTTLED)


@dataclass(frozen=True)
class Question:
    """One request: JSON is its ``body``, and ``headers`` go along."""

    method: str
    url: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Asking:
    """Asks one API; ``understand`` says what its answers mean, and ``waiting`` is told of what it waits for."""

    def __init__(
        self,
        client: MicrosoftClient,
        clock: Clock,
        understand: Callable[[Answer], Verdict],
        waiting: Waiting = tell_nobody,
    ) -> None:
        self._client = client
        self._understand = understand
        self._waiting = waiting
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda reply: reply.verdict.next_step in _AGAIN),
            stop=tenacity.stop_after_attempt(TRIES),
            wait=_seconds_to_wait,
            before_sleep=self._tell,
            sleep=clock.sleep,
            retry_error_callback=_reply_of,
        )

    def once(self, question: Question) -> Reply:
        """Ask in one try, and in a second one with a new token. Raises MicrosoftError where there is no token."""
        return self._client.with_token(partial(self._send, question))

    def until_answered(self, question: Question) -> Reply:
        """Ask until asking again does not help, or often enough. Raises MicrosoftError where there is no token."""
        reply: Reply = self._retrying(self.once, question)
        return reply

    def _send(self, question: Question, token: str) -> Reply:
        answer = self._client.send(question.method, question.url, token, question.body, question.headers)
        return Reply(answer, self._understand(answer))

    def _tell(self, state: tenacity.RetryCallState) -> None:
        reply = _reply_of(state)
        throttled = reply and reply.verdict.next_step is NextStep.THROTTLED
        self._waiting(ASKED_TO_WAIT if throttled else TRYING_AGAIN, state.upcoming_sleep)


def _reply_of(state: tenacity.RetryCallState) -> Reply | None:
    return state.outcome.result() if state.outcome else None


def _seconds_to_wait(state: tenacity.RetryCallState) -> float:
    """Seconds before the next try: as Microsoft says, else longer each time with jitter."""
    reply = _reply_of(state)
    if reply and reply.verdict.wait is not None:
        return min(reply.verdict.wait, LONGEST_WAIT)
    return tenacity.wait_random_exponential(multiplier=2, max=60)(state)
