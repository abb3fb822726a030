"""What goes out to one destination in a run: to Microsoft by way of the ledger, or nowhere in a dry run.

Objects to be sent wait in the ledger's queue, and the upload takes them from there. So a slow destination
costs rows and no memory, and nobody waits for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from helpers.errors import MicrosoftError
from helpers.ledger import Blocked, Ledger, ObjectRecord
from helpers.microsoft import (
    Answer,
    ManagementApi,
    MicrosoftClient,
    Outcome,
    OutcomeState,
    OutgoingObject,
    RateLimiters,
    RequestManager,
    TextOf,
    api_for,
    is_named,
    text_of,
)
from helpers.process import DestinationLogger
from helpers.settings import Settings
from helpers.sync.report import Report
from helpers.sync.sending.debug_files import (
    ANSWERS,
    PARSED_INDICATORS,
    SENTINEL_RESPONSE,
    AnswerFiles,
    IndicatorDump,
    ResponseDump,
    file_name,
)

logger = logging.getLogger(__name__)

# Is told how many more objects are to be sent, and how many more have Microsoft's answer.
Counted = Callable[[int, int], None]


class Uploader(Protocol):
    """Where indicators go."""

    @property
    def given_up(self) -> str:
        """Why the destination was given up, if it was."""

    @property
    def requests(self) -> int:
        """How many requests were sent."""

    @property
    def blocked(self) -> Blocked | None:
        """What has to be mended before Microsoft takes anything, where it said so."""

    def start(self) -> None:
        """Begin to send."""

    def enqueue(self, count: int) -> None:
        """Take note of so many more objects in the queue."""

    def drain(self) -> None:
        """Have what is in the queue sent, and wait for its outcomes; more may come."""

    def no_more(self) -> None:
        """Have what remains sent: no more will come."""

    def finish(self) -> None:
        """Settle every object in the queue."""

    def abandon(self) -> None:
        """Send nothing more."""


class DryRun:
    """Sends nothing: what waits in the queue stays pending."""

    given_up = ""
    requests = 0
    blocked: Blocked | None = None

    def start(self) -> None:
        """Nothing begins."""

    def enqueue(self, count: int) -> None:
        """Nothing is sent of it."""

    def drain(self) -> None:
        """Nothing is waited for."""

    def no_more(self) -> None:
        """Nothing waits for it."""

    def finish(self) -> None:
        """Nothing remains to be done."""

    def abandon(self) -> None:
        """Nothing was sent."""


class Delivery:
    """Takes objects to the settings' destination; writes down and counts what becomes of them.

    It is the ``Outbox`` that the upload takes them out of. ``now`` is the run's time in seconds since 1970, ``counted``
    is told how many more objects are to be sent, and how many more have Microsoft's answer; in a dry run it is not.
    ``texts`` gives the objects' JSON.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        report: Report,
        rate_limiters: RateLimiters,
        now: int,
        counted: Counted | None = None,
        texts: TextOf = text_of,
    ) -> None:
        self._ledger = ledger
        self._report = report
        self._now = now
        self._counted = _not_counted if settings.dry_run or not counted else counted
        self._settings, self._clock = settings, rate_limiters.clock
        self._api = api_for(settings, texts)
        path = settings.state_path
        dump = path / file_name(PARSED_INDICATORS, settings.name)
        self._indicator_dump = IndicatorDump(dump) if settings.write_parsed_indicators else None
        self._failed_answers: ResponseDump | None = None
        self._all_answers: AnswerFiles | None = None
        self._uploader: Uploader = DryRun()
        self._answered = False
        if not settings.dry_run:
            if settings.sentinel_write_response:
                self._failed_answers = ResponseDump(path / SENTINEL_RESPONSE)
            if settings.write_post_json:
                self._all_answers = AnswerFiles(path / ANSWERS, settings.name)
            client = MicrosoftClient(settings, rate_limiters.clock, waiting=rate_limiters.waiting)
            self._uploader = RequestManager(self._api, client, self, rate_limiters)

    def count_there(self) -> int | None:
        """Return how many indicators of ours the destination says it has; None where it cannot be asked, or says no.

        Microsoft's words about that are in the log.
        """
        settings = self._settings
        if settings.dry_run or self._api.why_no_adoption or not is_named(settings):
            return None
        try:
            return ManagementApi(settings, self._clock, MicrosoftClient(settings, self._clock)).count()
        except MicrosoftError as error:
            DestinationLogger(logger, settings.name).warning("The workspace does not say what it has: %s", error)
            return None

    def start(self) -> None:
        """Begin to send what is enqueued."""
        self._uploader.start()

    def enqueue(self, records: Sequence[ObjectRecord], *, in_line: bool = False) -> None:
        """Take objects, as the ledger has them; they go out when the destination is ready for them.

        ``in_line``: they stand in the ledger's queue already.
        """
        if not records:
            return
        indicators = [record for record in records if not record.kind.facts.beside]
        if self._indicator_dump and indicators:
            self._dump(self._indicator_dump, indicators)
        self._report.indicators += len(indicators)
        self._counted(len(indicators), 0)
        if self._settings.dry_run:
            self._report.would_send(indicators)
        if not in_line:
            self._ledger.enqueue([record.id for record in records])
        self._uploader.enqueue(len(records))

    def dump_wanted(self, event: str = "") -> None:
        """Have the dump show each indicator that is wanted now as it is, or was, sent; or those of one event only."""
        if not self._indicator_dump:
            return
        self._indicator_dump.begin()
        count = 0
        for records in self._ledger.wanted(self._now, event):
            self._dump(self._indicator_dump, records)
            count += len(records)
        name, path = self._settings.name, self._indicator_dump.path
        DestinationLogger(logger, name).info("%s has the %d indicators that are wanted now", path, count)

    def _dump(self, dump: IndicatorDump, records: Sequence[ObjectRecord]) -> None:
        dump.add([self._api.dumped(self._api.outgoing(record.due, self._now)) for record in records])

    def drain(self) -> None:
        """Have what is enqueued sent, and wait until Microsoft has answered; more may come."""
        self._uploader.drain()

    def no_more(self) -> None:
        """Have what remains sent, without waiting for it."""
        self._uploader.no_more()

    def finish(self) -> None:
        """Wait until every object has its outcome."""
        self._uploader.no_more()
        self._uploader.finish()
        self._report.given_up = self._report.given_up or self._uploader.given_up
        self._report.requests += self._uploader.requests
        sent, withdrawn = self._report.states.total(), self._report.withdrawal_states.total()
        self._counted(sent + withdrawn - self._report.indicators, 0)
        self._report.indicators = sent
        self._report.blocked = self._uploader.blocked
        self._note_what_blocks()

    def _note_what_blocks(self) -> None:
        """Remember what has to be mended before Microsoft takes anything, until it has answered for an object."""
        blocked, facts = self._uploader.blocked, self._ledger.facts()
        if blocked or self._answered:
            self._ledger.save_facts(replace(facts, blocked=blocked))

    def abandon(self) -> None:
        """Send nothing more; what has no outcome yet is taken up by the next run."""
        self._uploader.abandon()

    # -- the outbox --------------------------------------------------------------------------------

    def dequeue(self, most: int, *, in_flight: bool) -> list[OutgoingObject]:
        """Take the next objects out of the queue, as they are sent."""
        objects = self._ledger.dequeue(most, self._now, in_flight=in_flight)
        return [self._api.outgoing(due, self._now) for due in objects]

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Write Microsoft's answers down, and count them."""
        ledger, accepted = self._ledger, [outcome for outcome in outcomes if outcome.state is OutcomeState.ACCEPTED]
        if named := {outcome.object.id: outcome.remote_id for outcome in outcomes if outcome.remote_id}:
            ledger.save_remote_ids(named)
        if sent := [outcome.object.id for outcome in accepted if not outcome.object.revoked]:
            ledger.accepted(sent, self._now)
        if revoked := [outcome.object.id for outcome in accepted if outcome.object.revoked]:
            ledger.withdrawn(revoked)
        if len(accepted) < len(outcomes):
            self._note_what_was_not_accepted(outcomes)
        self._answered = self._answered or any(outcome.state is not OutcomeState.PENDING for outcome in outcomes)
        indicators = [one for one in outcomes if not one.object.kind.facts.beside]
        self._report.settle(indicators)
        self._report.context.settle([one for one in outcomes if one.object.kind.facts.beside])
        self._counted(0, sum(outcome.state is not OutcomeState.PENDING for outcome in indicators))

    def _note_what_was_not_accepted(self, outcomes: Sequence[Outcome]) -> None:
        ledger, rejected = self._ledger, _words_by_id(outcomes, OutcomeState.REJECTED)
        revoked = {outcome.object.id for outcome in outcomes if outcome.refused_as_revoked}
        ledger.revoked({id_: words for id_, words in rejected.items() if id_ in revoked})
        ledger.rejected({id_: words for id_, words in rejected.items() if id_ not in revoked}, self._api.program)
        ledger.unanswered(_words_by_id(outcomes, OutcomeState.PENDING))
        ledger.not_taken([outcome.object.id for outcome in outcomes if outcome.not_taken])

    def note_answer(self, answer: Answer, *, success: bool) -> None:
        """Write an answer down where the settings want that."""
        if self._failed_answers and not success:
            self._failed_answers.add(answer)
        if self._all_answers:
            self._all_answers.add(answer)


def _not_counted(_planned: int, _answered: int) -> None:
    """Tell nobody."""


def _words_by_id(outcomes: Sequence[Outcome], state: OutcomeState) -> dict[str, str]:
    return {outcome.object.id: outcome.words for outcome in outcomes if outcome.state is state}
