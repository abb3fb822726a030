"""``RequestManager``: uploads what waits in an outbox. One outcome for each object that it takes out of there.

A few workers take batches out of an outbox, so that uploading begins while MISP is being read and a slow
answer costs none of the allowed requests; one rate limiter keeps all of them under Microsoft's limit.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from constants import LOG_FINISHED
from helpers.errors import LedgerError
from helpers.ledger import Blocked
from helpers.microsoft.api import Api, principal_of
from helpers.microsoft.batch import Batch, Outbox, Outcome, OutcomeState, OutgoingObject, all_alike, settled
from helpers.microsoft.batch_sender import STOPPED, BatchSender, UploadCounts
from helpers.microsoft.client import MicrosoftClient
from helpers.microsoft.rate_limit import RateLimiters
from helpers.microsoft.responses import NextStep, Verdict
from helpers.process import DestinationLogger, interrupts

logger = logging.getLogger(__name__)

WORKERS = 4
WAKE_SECONDS = 300.0
FAILURES_IN_A_ROW = 3


class RequestManager:
    """Uploads indicators to one workspace, or to the Graph API of one tenant.

    They come out of ``outbox``, a full batch at a time, which is told of every answer and of the outcomes.
    ``given_up`` says why the destination was given up, if it was, ``blocked`` what has to be mended first. Without
    ``workers`` the thread that enqueues objects does the work.
    """

    def __init__(
        self,
        api: Api,
        client: MicrosoftClient,
        outbox: Outbox,
        rate_limiters: RateLimiters,
        *,
        workers: int | None = None,
    ) -> None:
        self._api = api
        self._outbox = outbox
        self._log = DestinationLogger(logger, api.settings.name)
        self._batch_size = api.settings.ms_max_indicators_request
        self._counts = UploadCounts()
        self._sender = BatchSender(api, client, rate_limiters, outbox, self._counts)
        sharing = rate_limiters.sharing(principal_of(api))
        self._workers = max(1, WORKERS // sharing) if workers is None else workers
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._settling = threading.Lock()
        self._waiting = 0
        self._delivering = 0
        self._draining = False
        self._no_more = False
        self._failures = 0
        self._heard = False
        self._unheard_words = ""
        self._ended = ""
        self._ledger_error: LedgerError | None = None
        self.given_up = ""
        self.blocked: Blocked | None = None

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self._counts.requests

    def start(self) -> None:
        """Start the workers."""
        name = f"upload {self._api.settings.name}".strip()
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for _ in range(self._workers)]
        for thread in self._threads:
            thread.start()

    def enqueue(self, count: int) -> None:
        """Take note of so many more objects in the outbox; full batches go out at once."""
        with interrupts.put_off(), self._changed:
            self._waiting += count
            self._counts.count_unsettled(count)
            self._tell_the_others()
            if self._has_a_batch:  # one worker for each of them: to wake the others costs more than a small event does
                self._changed.notify(max(1, self._waiting // self._batch_size))
        if not self._workers:
            self._work(wait=False)

    def drain(self) -> None:
        """Send what waits, in a batch that need not be full, and wait until all of it has its outcome.

        More may come afterwards. Every request has a bound, and so has this.
        """
        with interrupts.put_off(interrupts.LONGEST_END), self._changed:
            self._draining = True
            self._tell_the_others()
            self._changed.notify_all()
            while self._workers and (self._waiting or self._delivering) and not self._ended:
                self._changed.wait(WAKE_SECONDS)
        if not self._workers:
            self._work(wait=False)
        with self._changed:
            self._draining = False

    def no_more(self) -> None:
        """Have what remains sent, in a batch that need not be full: no more will come."""
        with interrupts.put_off(), self._changed:
            self._no_more = True
            self._tell_the_others()
            self._changed.notify_all()

    def finish(self) -> None:
        """Send what remains and wait until every object has its outcome; after a signal, no more is sent.

        Raises LedgerError where outcomes cannot be kept.
        """
        with interrupts.put_off(interrupts.LONGEST_END):
            self.no_more()
            for thread in self._threads:
                thread.join()
            if not self._workers:
                self._work(wait=False)
            self._give_up_the_unheard()
            self._settle_unsent()
        if self._ledger_error:
            raise self._ledger_error
        if not self._ended:
            self._log.info(LOG_FINISHED)

    def abandon(self) -> None:
        """Send nothing more: what has no outcome yet is pending."""
        self._end(STOPPED)

    # -- the outbox --------------------------------------------------------------------------------

    def _work(self, *, wait: bool = True) -> None:
        while objects := self._next(wait):
            try:
                outcomes = self._deliver(objects)
            except Exception as error:  # a fault of ours must not leave the others waiting for ever
                self._log.exception("Uploading stopped")
                self._give_up(f"uploading stopped: {type(error).__name__}: {error}")
                outcomes = all_alike(objects, OutcomeState.PENDING, self._ended)
            self._settle(outcomes)
            self._delivered()

    def _delivered(self) -> None:
        with self._changed:
            self._delivering -= 1
            if self._draining:
                self._changed.notify_all()

    def _next(self, wait: bool) -> list[OutgoingObject]:
        """Take a full batch, or what remains when no more will come; nothing when there is nothing more to do."""
        with self._changed:
            while not self._ended:
                if self._has_a_batch or self._no_more:
                    objects = self._dequeue(in_flight=True)
                    self._delivering += 1 if objects else 0
                    if self._draining and not objects:  # who waits for it sees that there is nothing more
                        self._changed.notify_all()
                    if objects or self._no_more:
                        return objects
                elif wait:
                    self._changed.wait(WAKE_SECONDS)
                else:
                    break
        return []

    def _dequeue(self, *, in_flight: bool) -> list[OutgoingObject]:
        try:
            objects = self._outbox.dequeue(self._batch_size, in_flight=in_flight) if self._waiting else []
        except LedgerError as error:
            self._stop_for(error)
            objects = []
        except Exception as error:  # whoever keeps the objects failed: the next run finds what waits
            self._log.exception("The next batch could not be taken")
            self._give_up(f"the next batch could not be taken: {type(error).__name__}: {error}")
            objects = []
        # Nothing is there although some should be: what was counted is not there any more.
        self._waiting = max(0, self._waiting - len(objects)) if objects else 0
        self._tell_the_others()
        return objects

    @property
    def _has_a_batch(self) -> bool:
        """Whether a full batch waits, or one that need not be full."""
        return self._waiting >= self._batch_size or ((self._no_more or self._draining) and self._waiting > 0)

    def _tell_the_others(self) -> None:
        """Let those that share the limit of requests know whether there is something to send."""
        over = self._no_more or bool(self._ended)
        self._sender.share.wants(more=self._has_a_batch and not self._ended, over=over)

    def _settle_unsent(self) -> None:
        """What was not sent when nothing is sent any more is pending."""
        with interrupts.put_off(), self._changed:
            while objects := self._dequeue(in_flight=False):
                self._settle(all_alike(objects, OutcomeState.PENDING, self._ended, unheard=True))

    def _settle(self, outcomes: Sequence[Outcome]) -> None:
        """Hand outcomes over to be kept."""
        for outcome in outcomes:
            if outcome.state is OutcomeState.REJECTED:
                self._log.warning("Rejected %s %s: %s", outcome.object.id, outcome.object.pattern, outcome.words)
        try:
            with self._settling:
                self._outbox.settle(outcomes)
        except LedgerError as error:
            self._stop_for(error)
        except Exception as error:  # whoever keeps the outcomes failed: sending more would lose them
            self._log.exception("The outcomes of a batch could not be kept")
            self._give_up(f"outcomes could not be kept: {type(error).__name__}: {error}")

    # -- batches -----------------------------------------------------------------------------------

    def _deliver(self, objects: Sequence[OutgoingObject]) -> list[Outcome]:
        """Send objects, in halves where they are refused as a whole, and return an outcome for each."""
        outcomes: list[Outcome] = []
        refused_singly: list[str] = []
        batches = [part for batch in self._api.split(objects) for part in batch.cut()]
        while batches:
            batch = batches.pop()
            verdict = self._send(batch)
            known = len(outcomes)
            if verdict.next_step is NextStep.SETTLED:
                outcomes += settled(batch, verdict)
                batches += self._api.follow_up(batch, verdict)
            elif verdict.next_step is NextStep.SPLIT and len(batch.objects) > 1:
                batches += batch.halves
            elif verdict.next_step is NextStep.SPLIT:
                outcomes += all_alike(batch.objects, OutcomeState.REJECTED, verdict.words)
                refused_singly.append(verdict.words)
            else:
                unheard = not batch.perhaps_taken
                outcomes += all_alike(batch.objects, OutcomeState.PENDING, verdict.words, unheard=unheard)
            self._counts.count_unsettled(known - len(outcomes))
        self._count_failure(outcomes, refused_singly)
        return outcomes

    def _send(self, batch: Batch) -> Verdict:
        if self._ended:
            return Verdict(NextStep.STOP, self._ended)
        verdict = self._sender.send(batch)
        if verdict.next_step is NextStep.TIME_UP:
            self._end(verdict.words)
        self.blocked = self.blocked or verdict.blocked
        if verdict.next_step in (NextStep.STOP, NextStep.NEW_TOKEN):
            self._give_up(verdict.words)
        return verdict

    # -- giving up ---------------------------------------------------------------------------------

    def _count_failure(self, outcomes: Sequence[Outcome], refused_singly: Sequence[str]) -> None:
        """Give up after three batches in a row of which nothing was taken, for a reason that is not theirs.

        ``refused_singly`` are the words about objects that were refused each in a request of its own: where that is
        a whole batch, three times, it is hardly the objects, and finding out more costs hours.
        """
        refused = len(refused_singly) == len(outcomes) > 1
        pending = any(outcome.state is OutcomeState.PENDING for outcome in outcomes)
        none_accepted = all(outcome.state is not OutcomeState.ACCEPTED for outcome in outcomes)
        with self._changed:
            if not (none_accepted or self._ended):
                self.blocked = None
            failed = none_accepted and (pending or refused)
            self._failures = self._failures + 1 if failed else 0
            self._heard = self._heard or not (none_accepted and pending)
            self._unheard_words = outcomes[-1].words
            enough = self._failures >= FAILURES_IN_A_ROW
        if enough:
            self._give_up(f"{FAILURES_IN_A_ROW} batches in a row failed; the last one: {outcomes[-1].words}")

    def _give_up_the_unheard(self) -> None:
        """Say that Microsoft failed where it took none of the run's batches, few as they may be."""
        if self._unheard_words and not (self._heard or self._ended):
            self._give_up(f"Microsoft took nothing in this run: {self._unheard_words}")

    def _give_up(self, words: str) -> None:
        """Send nothing more. MISP is read to the end all the same: what is planned waits in the ledger."""
        if self._end(words):
            self.given_up = words
            self._log.error("Microsoft is given up for this run: %s", words)

    def _stop_for(self, error: LedgerError) -> None:
        """Send nothing more, since nothing more can be recorded; it is not Microsoft's doing."""
        self._ledger_error = self._ledger_error or error
        self._end(str(error))

    def _end(self, words: str) -> bool:
        """Send nothing more; False when that was so already."""
        with interrupts.put_off(), self._changed:
            first, self._ended = not self._ended, self._ended or words
            self._tell_the_others()
            self._changed.notify_all()
        return first
