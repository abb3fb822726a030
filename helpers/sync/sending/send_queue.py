"""What is to go out to one destination: at once, or, where events share objects, when all of them have been read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from helpers.ledger import Ledger, ObjectRecord, Stage
from helpers.sync.plan import Plan
from helpers.sync.report import Report
from helpers.sync.sending.delivery import Delivery


@dataclass
class SendQueue:
    """Puts what was planned, and is in the ledger by then, into the queue of one destination.

    ``shared`` says that several events may change one object (``deduplicate = "value"``); ``unsent`` are the ids of
    objects that an earlier run could not send, until this one has.
    """

    ledger: Ledger
    report: Report
    delivery: Delivery
    shared: bool
    unsent: set[str]
    _at_the_end: set[str] = field(default_factory=set)

    def send(self, plan: Plan, *, in_line: bool = False) -> None:
        """Enqueue what a plan sends; what events share goes out once, when every event had its say.

        ``in_line``: what goes out now stands in the ledger's queue already.
        """
        if self.shared:
            self.send_at_the_end(plan)
        else:
            if self.unsent or self._at_the_end:
                self.unsent -= _ids(plan)
                self._at_the_end -= _ids(plan)
            self._enqueue(plan, in_line=in_line)

    def send_at_the_end(self, plan: Plan) -> None:
        """Enqueue what a plan sends when every event had its say, since another one may still change it."""
        self.unsent -= _ids(plan)
        self._at_the_end |= _ids(plan)

    def send_shared(self) -> None:
        """Enqueue what waits for the end: objects that events share, as all of their events together want them."""
        for records in self.ledger.load_in_batches(sorted(self._at_the_end)):
            waiting = [record for record in records if record.stage == Stage.PENDING and not record.leaving]
            new = [record for record in waiting if record.accepted_at is None]
            self._enqueue(Plan(new=new, changed=[record for record in waiting if record.accepted_at is not None]))
        self._at_the_end.clear()

    def withdraw(self, records: Sequence[ObjectRecord]) -> None:
        """Enqueue objects that are to leave."""
        for record in records:
            report = self.report.context if record.kind.facts.beside else self.report
            report.add_withdrawal(record)
        self.delivery.enqueue(records)

    def send_context(self, plan: Plan) -> None:
        """Enqueue what stands beside indicators; it is planned once, when every event had its say."""
        self.report.context.add_plan(plan)
        self.delivery.enqueue(plan.send)

    def _enqueue(self, plan: Plan, *, in_line: bool = False) -> None:
        self.report.add_plan(plan)
        self.delivery.enqueue(plan.send, in_line=in_line)


def _ids(plan: Plan) -> set[str]:
    return {record.id for record in plan.send}
