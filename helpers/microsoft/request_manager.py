"""``RequestManager``: the only room that talks to Microsoft. One outcome for each object it was given.

A few workers take batches out of an outbox, so that uploading begins while MISP is being read and a slow
answer costs none of the allowed requests; one rate_limiter keeps all of them under Microsoft's limit.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from typing import Protocol

import requests
import tenacity

from constants import LOG_FINISHED, LOG_PAUSING, LOG_SENT, LOG_SUBMIT_ERROR
from helpers import interrupts
from helpers.errors import MicrosoftError
from helpers.http import PinnedHttpAdapter, innermost_cause, session
from helpers.log import DestinationLogger, redact
from helpers.microsoft.api import Batch, Indicator
from helpers.microsoft.apis import api_of
from helpers.microsoft.rate_limit import Clock, RateLimiters
from helpers.microsoft.responses import Answer, NextStep, Verdict
from helpers.microsoft.tokens import TokenSource
from helpers.settings import Settings

logger = logging.getLogger(__name__)

WORKERS = 4
READ_SECONDS = 60.0
TRIES = 5
TRIES_WHEN_THROTTLED = 10
WAKE_SECONDS = 300.0
# Who is told to wait longer leaves the batch to the next run.
LONGEST_WAIT = 900.0
FAILURES_IN_A_ROW = 3
# Microsoft publishes no limit for the size of a request; larger ones are cut before they are refused.
BYTES_PER_REQUEST = 1_000_000
TIME_UP = "the run's time was up (max_run_minutes)"


class OutcomeState(Enum):
    """What became of an object."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    PENDING = "pending"


@dataclass(frozen=True)
class Outcome:
    """One object, what became of it, Microsoft's words where it was not accepted, and its id where it gave one."""

    object: Indicator
    state: OutcomeState
    words: str = ""
    remote_id: str = ""


Settle = Callable[[Sequence[Outcome]], None]


class Outbox(Protocol):
    """Where objects wait that are to go out; what has no place in it is not in memory either."""

    def dequeue(self, most: int, *, in_flight: bool) -> list[Indicator]:
        """Take the next objects out, at most so many; ``in_flight`` notes that they are on their way."""


class RequestManager:
    """Uploads indicators to one workspace, or to the Graph API of one tenant.

    They come out of ``outbox``, a full batch at a time; ``settle`` is called, by one thread at a time, with the
    outcomes of each batch, ``on_answer`` with each answer and whether it is a plain success. ``given_up`` says why
    the destination was given up, if it was. Without ``workers`` the thread that tells of more objects does the work.
    """

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        settle: Settle,
        *,
        on_answer: Callable[[Answer, bool], None] = lambda _answer, _fine: None,
        http: requests.Session | None = None,
        rate_limiters: RateLimiters | None = None,
        workers: int | None = None,
    ) -> None:
        self._settings = settings
        self._log = DestinationLogger(logger, settings.name)
        self._outbox = outbox
        self._settle = settle
        self._on_answer = on_answer
        self._api = api_of(settings)
        rate_limiters = rate_limiters or RateLimiters(Clock())
        self._clock = rate_limiters.clock
        self._until = rate_limiters.until
        adapter = PinnedHttpAdapter(settings.ms_verifycert, settings.ms_proxies or None, READ_SECONDS)
        self._http = http or session(adapter, settings.ms_useragent)
        self._tokens = TokenSource(settings, self._http, self._clock)
        principal = self._api.principal
        self._rate_limiter = rate_limiters.of(principal, settings.ms_max_requests_minute, _log_pause)
        self._changed = threading.Condition()
        self._settling = threading.Lock()
        self._waiting = 0
        self._unsettled = 0
        self._complete = False
        self._failures = 0
        self._ended = ""
        self.given_up = ""
        self.requests = 0
        count = max(1, WORKERS // rate_limiters.sharing(principal)) if workers is None else workers
        name = f"upload {settings.name}".strip()
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def more(self, count: int) -> None:
        """Tell that so many more objects are in the outbox; full batches go out at once."""
        with interrupts.put_off(), self._changed:
            self._waiting += count
            self._unsettled += count
            self._changed.notify_all()
        if not self._threads:
            self._work(wait=False)

    def complete(self) -> None:
        """Learn that no more will come: what is left goes out."""
        with interrupts.put_off(), self._changed:
            self._complete = True
            self._changed.notify_all()

    def finish(self) -> None:
        """Send what is left and wait until every object has its outcome."""
        self.complete()
        for thread in self._threads:
            thread.join()
        if not self._threads:
            self._work(wait=False)
        self._leave_the_rest()
        if not self._ended:
            self._log.info(LOG_FINISHED)

    def abandon(self) -> None:
        """Send nothing more: what has no outcome yet is pending."""
        self._give_up("the run was stopped from outside")

    def probe(self) -> None:
        """Send an empty batch, which Microsoft refuses by design. Raises MicrosoftError when it may not."""
        verdict = self._deliver_once(Batch([]))
        if verdict.kind not in (NextStep.SETTLED, NextStep.SPLIT):
            raise MicrosoftError(verdict.words)

    def get_token(self) -> None:
        """Fetch a token and nothing else. Raises MicrosoftError with what to do."""
        self._tokens.token()

    # -- the outbox --------------------------------------------------------------------------------

    def _work(self, *, wait: bool = True) -> None:
        while batch := self._next(wait):
            try:
                outcomes = self._deliver(batch)
            except Exception as error:  # a fault of ours must not leave the others waiting for ever
                self._log.exception("Uploading stopped")
                self._give_up(f"uploading stopped: {type(error).__name__}: {error}")
                outcomes = _all(batch, OutcomeState.PENDING, self._ended)
            self._close(batch, outcomes)

    def _next(self, wait: bool) -> list[Indicator]:
        """Take a full batch, or what is left when no more will come; nothing when the work is over."""
        size = self._settings.ms_max_indicators_request
        with self._changed:
            while not self._ended:
                if self._waiting >= size or self._complete:
                    batch = self._taken(size, in_flight=True)
                    if batch or self._complete:
                        return batch
                elif wait:
                    self._changed.wait(WAKE_SECONDS)
                else:
                    break
        return []

    def _taken(self, size: int, *, in_flight: bool) -> list[Indicator]:
        try:
            batch = self._outbox.dequeue(size, in_flight=in_flight) if self._waiting else []
        except Exception as error:  # whoever keeps the objects failed: what waits is found by the next run
            self._log.exception("The next batch could not be taken")
            self._give_up(f"the next batch could not be taken: {type(error).__name__}: {error}")
            batch = []
        self._waiting = max(0, self._waiting - len(batch)) if batch else 0
        return batch

    def _leave_the_rest(self) -> None:
        """What was not sent when nothing is sent any more is pending."""
        with interrupts.put_off(), self._changed:
            while batch := self._taken(self._settings.ms_max_indicators_request, in_flight=False):
                self._close(batch, _all(batch, OutcomeState.PENDING, self._ended))

    def _close(self, batch: Sequence[Indicator], outcomes: Sequence[Outcome]) -> None:
        for each in outcomes:
            if each.state is OutcomeState.REJECTED:
                self._log.warning("Rejected %s %s: %s", each.object["id"], each.object.get("pattern"), each.words)
        try:
            with self._settling:
                self._unsettled -= len(batch)
                self._settle(outcomes)
        except Exception as error:  # whoever keeps the outcomes failed: sending more would lose them
            self._log.exception("The outcomes of a batch could not be kept")
            self._give_up(f"outcomes could not be kept: {type(error).__name__}: {error}")

    # -- one batch ---------------------------------------------------------------------------------

    def _deliver(self, batch: list[Indicator]) -> list[Outcome]:
        """Send a batch, in halves where it is refused as a whole, and return an outcome for each object."""
        outcomes: list[Outcome] = []
        alone: list[str] = []
        parts = [cut for part in self._api.split(batch) for cut in _cut(part)]
        while parts:
            part = parts.pop()
            verdict = self._verdict(part)
            if verdict.kind is NextStep.SETTLED:
                outcomes += _settled(part, verdict)
                parts += self._api.follow_up(part, verdict)
            elif verdict.kind is NextStep.SPLIT and len(part.objects) > 1:
                parts += part.halves
            elif verdict.kind is NextStep.SPLIT:
                outcomes += _all(part.objects, OutcomeState.REJECTED, verdict.words)
                alone.append(verdict.words)
            else:
                outcomes += _all(part.objects, OutcomeState.PENDING, verdict.words)
        self._count_failure(outcomes, alone)
        return outcomes

    def _verdict(self, part: Batch) -> Verdict:
        if self._clock.now() > self._until:  # not even a token is asked for
            self._end(TIME_UP)
        if self._ended:
            return Verdict(NextStep.STOP, self._ended)
        verdict = self._deliver_once(part)
        if verdict.kind is NextStep.TIME_UP:
            self._end(verdict.words)
        if verdict.kind in (NextStep.STOP, NextStep.NEW_TOKEN):
            self._give_up(verdict.words)
        return verdict

    def _deliver_once(self, part: Batch) -> Verdict:
        """Send one batch until Microsoft has answered, in bounded tries."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda verdict: verdict.kind in (NextStep.RETRY, NextStep.THROTTLED)),
            stop=self._tried_enough,
            wait=_backoff,
            sleep=self._clock.sleep,
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        try:
            verdict: Verdict = retrying(partial(self._attempt, part))
        except MicrosoftError as error:
            return Verdict(NextStep.STOP, str(error))
        return verdict

    def _attempt(self, part: Batch) -> Verdict:
        """Send once, after what has to be done before; a part of which that fails for some is sent in halves."""
        before = self._api.precondition(part)
        verdict = self._with_token(before) if before else Verdict(NextStep.SETTLED)
        if verdict.rejected or verdict.failed:
            words = next(iter((*verdict.rejected.values(), *verdict.failed.values())))
            return Verdict(NextStep.SPLIT if verdict.rejected else NextStep.RETRY, words)
        return self._with_token(part) if verdict.kind is NextStep.SETTLED else verdict

    def _with_token(self, part: Batch) -> Verdict:
        """Send once; a token that is refused is renewed once."""
        size = len(part.objects)
        for last in (False, True):
            token = self._tokens.token()
            place = self._rate_limiter.take(self._until)
            if place is None:
                return Verdict(NextStep.TIME_UP, TIME_UP)
            answer = self._send(part, token)
            self._rate_limiter.answered(place)
            part.note_answer(answer)
            verdict = self._api.interpret(answer, part, datetime.now(UTC))
            fine = verdict.kind is NextStep.SETTLED and not (verdict.rejected or verdict.failed)
            self._on_answer(answer, fine)
            if verdict.kind is not NextStep.NEW_TOKEN or last:
                break
            self._tokens.refused(token)
        if not fine:
            self._log.log(logging.DEBUG if size == 0 else logging.WARNING, LOG_SUBMIT_ERROR.format(_said(verdict)))
        if verdict.kind is NextStep.THROTTLED and verdict.wait and not _too_long(verdict):
            self._rate_limiter.hold(verdict.wait)
        if verdict.kind in (NextStep.STOP, NextStep.NEW_TOKEN):
            hint = self._settings.in_own_words(self._api.hint(answer.status))
            return Verdict(verdict.kind, f"{hint} Microsoft's words: {verdict.words}")
        return verdict

    def _send(self, part: Batch, token: str) -> Answer:
        number, size = self._numbered(), len(part.objects)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            response = self._http.post(
                self._api.url(part),
                data=self._api.body(part),
                headers=headers,
                timeout=READ_SECONDS,
                allow_redirects=False,
            )
            answer = Answer(response.status_code, redact(response.text), response.headers)
        except requests.RequestException as error:
            hint = "firewall, ms_proxies, ms_verifycert, ms_endpoints?"
            answer = Answer(0, redact(f"no answer from Microsoft ({hint}): {innermost_cause(error)}"))
            self._log.info("No answer from Microsoft: %s", error)
        self._log.info(LOG_SENT.format(number, size, max(0, self._unsettled - size)))
        return answer

    # -- giving up ---------------------------------------------------------------------------------

    def _count_failure(self, outcomes: Sequence[Outcome], alone: Sequence[str]) -> None:
        """Give up after three batches in a row of which nothing was taken, for a reason that is not theirs.

        ``alone`` are the words about objects that were refused each in a request of its own: where that is
        a whole batch, three times, it is hardly the objects, and finding out more costs hours.
        """
        refused = len(alone) == len(outcomes) > 1
        pending = any(outcome.state is OutcomeState.PENDING for outcome in outcomes)
        none_accepted = all(outcome.state is not OutcomeState.ACCEPTED for outcome in outcomes)
        with self._changed:
            self._failures = self._failures + 1 if none_accepted and (pending or refused) else 0
            enough = self._failures >= FAILURES_IN_A_ROW
        if enough:
            self._give_up(f"{FAILURES_IN_A_ROW} batches in a row failed; the last one: {outcomes[-1].words}")

    def _give_up(self, words: str) -> None:
        if self._end(words):
            self.given_up = words
            self._log.error("Microsoft is given up for this run: %s", words)

    def _end(self, words: str) -> bool:
        """Send nothing more; False when that was so already."""
        with interrupts.put_off(), self._changed:
            first, self._ended = not self._ended, self._ended or words
            self._changed.notify_all()
        return first

    def _numbered(self) -> int:
        with self._settling:
            self.requests += 1
            return self.requests

    def _tried_enough(self, state: tenacity.RetryCallState) -> bool:
        verdict = state.outcome.result() if state.outcome else None
        throttled = isinstance(verdict, Verdict) and verdict.kind is NextStep.THROTTLED
        late = self._clock.now() + state.upcoming_sleep > self._until
        too_long = isinstance(verdict, Verdict) and _too_long(verdict)
        return late or too_long or state.attempt_number >= (TRIES_WHEN_THROTTLED if throttled else TRIES)


def _cut(part: Batch) -> list[Batch]:
    """Cut a part into some that are not too large, the last one first."""
    parts = [part.of([])]
    size = 0
    for each in part.objects:
        length = len(json.dumps(each))
        if parts[-1].objects and size + length > BYTES_PER_REQUEST:
            parts.append(part.of([]))
            size = 0
        parts[-1].objects.append(each)
        size += length
    return parts[::-1]


def _settled(part: Batch, verdict: Verdict) -> list[Outcome]:
    """Return the outcome of each object, but for those that are sent another way."""
    outcomes: list[Outcome] = []
    for position, each in enumerate(part.objects):
        if position in verdict.rejected:
            outcomes.append(Outcome(each, OutcomeState.REJECTED, verdict.rejected[position]))
        elif position in verdict.failed:
            outcomes.append(Outcome(each, OutcomeState.PENDING, verdict.failed[position]))
        elif position not in verdict.lost:
            outcomes.append(Outcome(each, OutcomeState.ACCEPTED, remote_id=verdict.remote_ids.get(position, "")))
    return outcomes


def _all(part: Iterable[Indicator], state: OutcomeState, words: str) -> list[Outcome]:
    return [Outcome(each, state, words) for each in part]


def _said(verdict: Verdict) -> str:
    refused = verdict.rejected or verdict.failed
    if not refused:
        return verdict.words
    first, words = next(iter(refused.items()))
    return f"{len(refused)} objects {'rejected' if verdict.rejected else 'failed'}, the first at {first}: {words}"


def _backoff(state: tenacity.RetryCallState) -> float:
    """Seconds before the next try: as told, else longer each time with jitter. The rate_limiter waits for a 429."""
    verdict = state.outcome.result() if state.outcome else None
    if isinstance(verdict, Verdict) and verdict.wait:
        return 0.0 if verdict.kind is NextStep.THROTTLED else verdict.wait
    return 1 + tenacity.wait_random_exponential(multiplier=2, max=60)(state)


def _too_long(verdict: Verdict) -> bool:
    """Whether Microsoft asks to be left alone for longer than a run waits."""
    return verdict.wait is not None and verdict.wait > LONGEST_WAIT


def _log_pause(seconds: float) -> None:
    logger.info(LOG_PAUSING.format(f"{seconds:.1f}s"))
