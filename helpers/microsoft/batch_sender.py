"""One batch, sent until Microsoft has answered: in bounded tries, and within the limit of requests."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from functools import partial

import tenacity

from constants import LOG_NOT_ACCEPTED, LOG_PAUSING, LOG_SENT, LOG_SUBMIT_ERROR
from helpers.errors import MicrosoftError
from helpers.ledger import Blocked
from helpers.microsoft.api import Api, principal_of
from helpers.microsoft.batch import Batch, Outbox
from helpers.microsoft.client import MicrosoftClient, Reply
from helpers.microsoft.rate_limit import ASKED_TO_WAIT, RateLimiters, Share
from helpers.microsoft.responses import NextStep, Verdict, blocked_by
from helpers.process import DestinationLogger, interrupts
from helpers.text import counted

logger = logging.getLogger(__name__)

TRIES = 5
TRIES_WHEN_THROTTLED = 10
# Who is told to wait longer leaves the batch to the next run.
LONGEST_WAIT = 900.0
TRYING_AGAIN = "Waiting before Microsoft is asked again"
TIME_UP = "the run's time was up (max_run_minutes)"
STOPPED = "the run was stopped from outside"
_FOREIGN = (
    "The upload is refused with an answer that is not Microsoft's (a proxy's page?): does ms_proxies let it through, "
    "and does ms_endpoints name Microsoft's own address? It says:"
)


class _TimeUp(Exception):
    """No request may be sent any more."""


class UploadCounts:
    """How many requests were sent, and how many objects have no outcome yet; threads share it."""

    def __init__(self) -> None:
        self.requests = 0
        self.unsettled = 0
        self._lock = threading.Lock()

    def count_request(self) -> int:
        """Return the number of a new request."""
        with self._lock:
            self.requests += 1
            return self.requests

    def count_unsettled(self, change: int) -> None:
        """Note that objects came, or that some have their outcomes, which is a negative ``change``."""
        with self._lock:
            self.unsettled += change


class BatchSender:
    """Sends batches to one destination; threads share it. Answers are noted in ``outbox``, if there is one.

    ``share`` is the destination's part of its principal's limit.
    """

    def __init__(
        self,
        api: Api,
        client: MicrosoftClient,
        rate_limiters: RateLimiters,
        outbox: Outbox | None = None,
        counts: UploadCounts | None = None,
    ) -> None:
        self._api = api
        self._client = client
        self._outbox = outbox
        self._counts = counts or UploadCounts()
        self._clock = rate_limiters.clock
        self._until = rate_limiters.until
        self._waiting = rate_limiters.waiting
        per_minute = api.settings.ms_max_requests_minute
        self._rate_limiter = rate_limiters.limiter_for(principal_of(api), per_minute, self._pause)
        self.share = Share(self._rate_limiter)
        self._log = DestinationLogger(logger, api.settings.name)
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda verdict: verdict.next_step in (NextStep.RETRY, NextStep.THROTTLED)),
            stop=self._tried_enough,
            wait=_backoff,
            before_sleep=self._announce,
            sleep=self._clock.sleep,
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )

    def probe(self) -> None:
        """Send an empty batch, which Microsoft refuses by design. Raises MicrosoftError when it may not."""
        verdict = self.send(Batch([]))
        if verdict.next_step not in (NextStep.SETTLED, NextStep.SPLIT):
            raise MicrosoftError(verdict.words)

    def send(self, batch: Batch) -> Verdict:
        """Send one batch until Microsoft has answered, in bounded tries."""
        if interrupts.stopped():
            return Verdict(NextStep.TIME_UP, STOPPED)
        if self._clock.now() > self._until:  # not even a token is asked for
            return Verdict(NextStep.TIME_UP, TIME_UP)
        try:
            verdict: Verdict = self._retrying(self._try, batch)
        except MicrosoftError as error:
            return Verdict(NextStep.STOP, str(error), blocked=Blocked.SIGN_IN)
        except _TimeUp:
            return Verdict(NextStep.TIME_UP, TIME_UP)
        except interrupts.Stopped:
            return Verdict(NextStep.TIME_UP, STOPPED)
        return verdict

    def _try(self, batch: Batch) -> Verdict:
        """Send once, after what has to be done before; a batch of which that fails for some is sent in halves."""
        before = self._api.precondition(batch)
        verdict = self._prepare(batch, before) if before else Verdict(NextStep.SETTLED)
        if verdict.rejected or verdict.failed:
            words = next(iter((*verdict.rejected.values(), *verdict.failed.values())))
            return Verdict(NextStep.SPLIT if verdict.rejected else NextStep.RETRY, words)
        return self._send_with_token(batch) if verdict.next_step is NextStep.SETTLED else verdict

    def _prepare(self, batch: Batch, before: Batch) -> Verdict:
        """Send what has to be done before; what is not known of it is not known of the batch."""
        try:
            return self._send_with_token(before, prepares=True)
        finally:
            batch.perhaps_taken = batch.perhaps_taken or before.perhaps_taken

    def _send_with_token(self, batch: Batch, *, prepares: bool = False) -> Verdict:
        answer, verdict = self._client.with_token(partial(self._send_once, batch, prepares=prepares))
        if not verdict.success:
            level = logging.WARNING if batch.objects else logging.DEBUG
            self._log.log(level, LOG_SUBMIT_ERROR.format(_summary(verdict)))
        if verdict.next_step is NextStep.THROTTLED and verdict.wait and not _too_long(verdict):
            self._rate_limiter.hold(verdict.wait)
        if verdict.next_step in (NextStep.STOP, NextStep.NEW_TOKEN):
            blocked = blocked_by(answer)
            foreign = blocked is Blocked.CONNECTION
            words = f"{_FOREIGN} {verdict.words}" if foreign else self._api.failure(answer.status, verdict.words)
            return Verdict(verdict.next_step, self._api.settings.in_own_words(words), blocked=blocked)
        return verdict

    def _send_once(self, batch: Batch, token: str, *, prepares: bool) -> Reply:
        """Send one request when the limit allows it. Raises _TimeUp when that would be too late."""
        slot = self.share.take(self._until)
        if slot is None:
            raise _TimeUp
        number = self._counts.count_request()
        answer = self._client.send("POST", self._api.url(batch), token, self._api.body(batch))
        self._rate_limiter.answered(slot)
        batch.note_answer(answer)
        verdict = self._api.interpret(answer, batch, datetime.now(UTC))
        if not prepares:
            self._log_request(number, len(batch.objects), verdict)
        if self._outbox:
            self._outbox.note_answer(answer, success=verdict.success)
        return Reply(answer, verdict)

    def _log_request(self, number: int, size: int, verdict: Verdict) -> None:
        """Log how many objects of a request were accepted, how many were not, and how many have no outcome yet."""
        settled = verdict.next_step is NextStep.SETTLED
        accepted = size - len({*verdict.rejected, *verdict.failed, *verdict.lost}) if settled else 0
        remaining = max(0, self._counts.unsettled - (size - len(verdict.lost) if settled else 0))
        for words, count in ((LOG_SENT, accepted), (LOG_NOT_ACCEPTED, size - accepted)):
            if count:
                self._log.info(words.format(number, count, remaining))

    def _pause(self, words: str, seconds: float) -> None:
        """Say that the rate limiter waits."""
        logger.info(LOG_PAUSING.format(f"{seconds:.1f}s"))
        self._waiting(words, seconds)

    def _announce(self, state: tenacity.RetryCallState) -> None:
        """Say that the next try is waited for; the rate limiter says its part itself."""
        verdict = state.outcome.result() if state.outcome else None
        asked = isinstance(verdict, Verdict) and verdict.wait
        if state.upcoming_sleep:
            self._waiting(ASKED_TO_WAIT if asked else TRYING_AGAIN, state.upcoming_sleep)

    def _tried_enough(self, state: tenacity.RetryCallState) -> bool:
        verdict = state.outcome.result() if state.outcome else None
        throttled = isinstance(verdict, Verdict) and verdict.next_step is NextStep.THROTTLED
        too_late = self._clock.now() + state.upcoming_sleep > self._until
        too_long = isinstance(verdict, Verdict) and _too_long(verdict)
        return too_late or too_long or state.attempt_number >= (TRIES_WHEN_THROTTLED if throttled else TRIES)


def _summary(verdict: Verdict) -> str:
    refused = verdict.rejected or verdict.failed
    if not refused:
        return verdict.words
    first, words = next(iter(refused.items()))
    objects = counted(len(refused), "object", "objects")
    return f"{objects} {'rejected' if verdict.rejected else 'failed'}, the first at {first}: {words}"


def _backoff(state: tenacity.RetryCallState) -> float:
    """Seconds before the next try: as Microsoft says, else longer each time with jitter.

    Where requests are throttled, the rate limiter waits, so that no other batch goes out meanwhile.
    """
    verdict = state.outcome.result() if state.outcome else None
    if isinstance(verdict, Verdict) and verdict.wait:
        return 0.0 if verdict.next_step is NextStep.THROTTLED else verdict.wait
    return 1 + tenacity.wait_random_exponential(multiplier=2, max=60)(state)


def _too_long(verdict: Verdict) -> bool:
    """Whether Microsoft asks to be left in peace for longer than a run waits."""
    return verdict.wait is not None and verdict.wait > LONGEST_WAIT
