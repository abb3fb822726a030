"""What goes out to one destination in a run: to Microsoft by way of the ledger, or nowhere in a dry run.

Objects to be sent stand in line in the ledger, and the upload takes them from there. So a slow destination
costs rows and no memory, and nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from helpers.indicators import Indicator
from helpers.ledger import Ledger, ObjectRecord
from helpers.microsoft import Answer, Outcome, OutcomeState, RateLimiters, RequestManager, api_of, outgoing
from helpers.settings import Settings
from helpers.sync import plan as plan_module
from helpers.sync.debug_files import (
    ANSWERS,
    PARSED_INDICATORS,
    SENTINEL_RESPONSE,
    AnswerFiles,
    IndicatorDump,
    ResponseDump,
    named,
)
from helpers.sync.report import Report


class Destination(Protocol):
    """Where indicators go."""

    given_up: str
    requests: int

    def more(self, count: int) -> None:
        """Learn that so many more objects stand in line."""

    def complete(self) -> None:
        """Learn that no more will come."""

    def finish(self) -> None:
        """Settle every object in line."""

    def abandon(self) -> None:
        """Send nothing more."""


class DryRun:
    """Sends nothing: what stands in line stays pending."""

    given_up = ""
    requests = 0

    def __init__(self, report: Report) -> None:
        self._report = report

    def more(self, count: int) -> None:
        """Count what would be sent."""
        self._report.states[OutcomeState.PENDING] += count

    def complete(self) -> None:
        """Nothing waits for it."""

    def finish(self) -> None:
        """Nothing is left to do."""

    def abandon(self) -> None:
        """Nothing was sent."""


class Delivery:
    """Takes objects to the settings' destination; writes down and counts what becomes of them.

    ``now`` is the run's time in seconds since 1970.
    """

    def __init__(
        self, settings: Settings, ledger: Ledger, report: Report, rate_limiters: RateLimiters, now: int
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._report = report
        self._now = now
        dump = settings.state_path / named(PARSED_INDICATORS, settings.name)
        self._dump = IndicatorDump(dump) if settings.write_parsed_indicators else None
        self._destination = self._made(rate_limiters)

    def submit(self, objects: Sequence[ObjectRecord]) -> None:
        """Take objects, as the ledger has them; they go out when the destination has a place for them."""
        if not objects:
            return
        if self._dump:
            self._dump.add([self._outgoing(each) for each in objects])
        self._report.indicators += len(objects)
        self._ledger.enqueue([each.id for each in objects])
        self._destination.more(len(objects))

    def complete(self) -> None:
        """Have what is left sent, without waiting for it."""
        self._destination.complete()

    def finish(self) -> None:
        """Wait until every object has its outcome."""
        self._destination.complete()
        self._destination.finish()
        self._report.given_up = self._report.given_up or self._destination.given_up
        self._report.requests += self._destination.requests
        self._report.indicators = self._report.states.total()

    def abandon(self) -> None:
        """Send nothing more; what has no outcome yet is taken up by the next run."""
        self._destination.abandon()

    def dequeue(self, most: int, *, in_flight: bool) -> list[Indicator]:
        """Take the next objects out of the line, as they are sent (``request_manager.Outbox``)."""
        taken = self._ledger.dequeue(most, self._now, in_flight=in_flight)
        return [self._outgoing(each) for each in taken]

    def _outgoing(self, each: ObjectRecord) -> Indicator:
        if self._settings.graph:
            return outgoing(each, remembers=self._settings.remembers)
        return plan_module.outgoing(each, self._now)

    def _made(self, rate_limiters: RateLimiters) -> Destination:
        settings = self._settings
        if settings.dry_run:
            return DryRun(self._report)
        return RequestManager(settings, self, self._settle, on_answer=self._written(), rate_limiters=rate_limiters)

    def _written(self) -> Callable[[Answer, bool], None]:
        """Return what writes answers down, where the settings want that."""
        settings = self._settings
        troubles = ResponseDump(settings.state_path / SENTINEL_RESPONSE) if settings.sentinel_write_response else None
        every = AnswerFiles(settings.state_path / ANSWERS, settings.name) if settings.write_post_json else None

        def write(answer: Answer, fine: bool) -> None:
            if troubles and not fine:
                troubles.add(answer)
            if every:
                every.add(answer)

        return write

    def _settle(self, outcomes: Sequence[Outcome]) -> None:
        """Write Microsoft's answers down, and count them."""
        self._ledger.save_remote_ids({each.object["id"]: each.remote_id for each in outcomes if each.remote_id})
        accepted = [each.object for each in outcomes if each.state is OutcomeState.ACCEPTED]
        self._ledger.accepted([each["id"] for each in accepted if not each.get("revoked")], self._now)
        self._ledger.withdrawn([each["id"] for each in accepted if each.get("revoked")])
        rejected = {each.object["id"]: each.words for each in outcomes if each.state is OutcomeState.REJECTED}
        self._ledger.rejected(rejected, api_of(self._settings).program)
        self._ledger.unanswered(
            {each.object["id"]: each.words for each in outcomes if each.state is OutcomeState.PENDING}
        )
        self._report.settle(outcomes)
