"""A workspace's logs: what its alerts name, and which of its incidents were false positives, window by window."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from helpers.errors import MicrosoftError
from helpers.http import MIB, Limits
from helpers.microsoft.client import MicrosoftClient, Reply
from helpers.microsoft.rate_limit import Clock, Waiting, tell_nobody
from helpers.microsoft.reading import logs_answers, logs_endpoints, queries
from helpers.microsoft.reading.asking import Asking, Question
from helpers.microsoft.reading.logs_answers import AlertHit, FalsePositive
from helpers.microsoft.responses import Answer, NextStep, Verdict, parse_json_or_none
from helpers.process import DestinationLogger
from helpers.settings import Settings

logger = logging.getLogger(__name__)

# A query may take as long as Microsoft is asked to try, and some.
LIMITS = Limits(silence_seconds=logs_endpoints.WAIT + 60, answer_seconds=300, most_bytes=64 * MIB)
# A window of this many seconds is not made smaller: what is in it is too much, or takes too long whatever its size.
SHORTEST, SHORTEST_IN_VAIN = 1, 900
# No workspace has so many alerts in two weeks.
MOST_ASKED = 2000


@dataclass(frozen=True)
class AlertWindow:
    """What alerts of some time name, all of it; ``unreadable`` rows are none of ours. Times: seconds since 1970."""

    since: int
    until: int
    hits: tuple[AlertHit, ...]
    unreadable: int


@dataclass(frozen=True)
class VerdictWindow:
    """The alerts of incidents that were closed as false positive in some time, all of them."""

    since: int
    until: int
    verdicts: tuple[FalsePositive, ...]
    unreadable: int


class LogsApi:
    """Asks one workspace for its alerts. Raises SettingsError where the settings do not say which it is.

    ``waiting`` is told of what it waits for.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        client: MicrosoftClient | None = None,
        waiting: Waiting = tell_nobody,
    ) -> None:
        self._settings = settings
        self._endpoint = logs_endpoints.endpoint_of(settings)
        self._log = DestinationLogger(logger, settings.name)
        client = client or MicrosoftClient(self._with_scope(), clock, waiting=waiting, limits=LIMITS)
        self._asking = Asking(client, clock, _understood, waiting)

    def alerts(self, since: int, until: int) -> Iterator[AlertWindow]:
        """Yield what alerts name that were written from ``since`` on and before ``until``, in seconds since 1970.

        Windows follow one another, each as large as can be answered whole. Raises MicrosoftError with what to do.
        """
        for begins, ends, text in self._windows(since, until, queries.alerts_query):
            yield AlertWindow(begins, ends, *logs_answers.alert_hits(text))

    def verdicts(self, since: int, until: int) -> Iterator[VerdictWindow]:
        """Yield the false positives among incidents that were changed in this time, as ``alerts`` does."""
        for begins, ends, text in self._windows(since, until, queries.verdicts_query):
            yield VerdictWindow(begins, ends, *logs_answers.false_positives(text))

    def may_read(self) -> None:
        """Ask for no alert at all, in one try. Raises MicrosoftError with what to do where even that is refused."""
        reply = self._asking.once(self._question(queries.PERMISSION))
        if reply.verdict.next_step is not NextStep.SETTLED:
            raise self._failure(reply)

    def _windows(self, since: int, until: int, query: Callable[[int, int], str]) -> Iterator[tuple[int, int, str]]:
        """Yield each window and the answer to it; what is too much for one answer is asked for in halves."""
        waiting, asked = [(since, until)] if since < until else [], 0
        while waiting:
            begins, ends = waiting.pop()
            asked += 1
            if asked > MOST_ASKED:
                raise MicrosoftError(
                    f"The workspace's logs were asked {MOST_ASKED:,} times, and there is no end to it."
                )
            reply = self._asking.until_answered(self._question(query(begins, ends)))
            if reply.verdict.next_step is NextStep.SETTLED:
                yield begins, ends, reply.answer.text
            elif reply.verdict.next_step is NextStep.SPLIT:
                middle = self._middle(begins, ends, reply)
                waiting += [(middle, ends), (begins, middle)]
            else:
                raise self._failure(reply)

    def _middle(self, since: int, until: int, reply: Reply) -> int:
        """Return where a window is cut. Raises MicrosoftError for one that is not made smaller."""
        shortest = SHORTEST_IN_VAIN if reply.answer.status == 504 else SHORTEST
        when, words = f"what is there from {_shown(since)} to {_shown(until)}", reply.verdict.words
        if until - since <= shortest:
            raise MicrosoftError(logs_endpoints.too_much(self._settings, self._endpoint, when, words))
        self._log.info("Asking for %s in halves: %s", when, words)
        return (since + until) // 2

    def _question(self, query: str) -> Question:
        body = json.dumps({"query": query}).encode()
        return Question("POST", self._endpoint.address, body, self._endpoint.headers)

    def _failure(self, reply: Reply) -> MicrosoftError:
        refused_token = reply.verdict.next_step is NextStep.NEW_TOKEN
        status = 401 if refused_token else reply.answer.status
        refusal = logs_answers.refusal_in(parse_json_or_none(reply.answer.text))
        return MicrosoftError(
            logs_endpoints.failure(self._settings, self._endpoint, status, refusal, reply.verdict.words)
        )

    def _with_scope(self) -> Settings:
        auth = self._settings.ms_auth.model_copy(update={"scope": self._endpoint.scope})
        return self._settings.model_copy(update={"ms_auth": auth})


def _understood(answer: Answer) -> Verdict:
    return logs_answers.understood(answer, datetime.now(UTC))


def _shown(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"
