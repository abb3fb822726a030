"""Withdraw what is not a run's to withdraw: a whole destination that is to be left, or what nobody asked for.

Of a destination everything leaves: relationships, then what they are between, then organisations, which others name.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby

from constants import WithdrawalReason
from helpers.commands.run import show_report
from helpers.commands.screen import question
from helpers.commands.screen.question import Withdrawn
from helpers.context import in_order_of_leaving, kinds_in_words
from helpers.errors import LedgerError, NoLedger
from helpers.ledger import ContextLedger, Ledger, ObjectRecord, known_destinations
from helpers.microsoft import Clock, RateLimiters
from helpers.settings import Settings
from helpers.sync import Delivery, Report, SendQueue, WithdrawalLimits, accepting, make_state_dir, opened
from helpers.text import batched, counted

_AT_ONCE = 500
_STAYS = (
    "{} stay in workspace {} (sourcesystem {}): upload_api = {!r} is for indicators alone. Withdraw once more with "
    "the settings by which they were sent."
)


def main(settings: Settings, arguments: Namespace, say: Callable[[str], None]) -> int:
    """Empty a destination, show what was done and return the exit code; in a terminal it is asked about first."""
    if question.is_to_be_asked(settings, arguments):
        question.ask(what_would_be_withdrawn(settings, arguments.workspace, force_withdraw=arguments.force_withdraw))
    report = withdraw_all(
        settings,
        arguments.workspace,
        force_withdraw=arguments.force_withdraw,
        line=say if arguments.list else None,
    )
    show_report(report, settings, arguments)
    return report.exit_code


@dataclass(frozen=True)
class Withdrawal:
    """Objects on their way out of one destination; ``now`` is in seconds since 1970.

    ``command`` has the words of the command line that asked for it, which a refusal names.
    """

    settings: Settings
    ledger: Ledger
    report: Report
    clock: Clock
    now: int
    force: bool
    command: Sequence[str]

    def withdraw(
        self,
        objects: Sequence[ObjectRecord],
        reason: str,
        *,
        beside: Sequence[ObjectRecord] = (),
        forget: bool = False,
    ) -> None:
        """Withdraw indicators, unless it looks like a mistake, and what stands ``beside`` them, which does not count.

        ``forget`` all that they were made of as well.
        """
        if not (objects or beside) or not self._may(len(objects)):
            return
        leaving = [replace(record, leaving=reason, left_event="") for record in (*objects, *beside)]
        with self.ledger.single_transaction():
            self.ledger.keep(objects=leaving)
            if forget:
                self._forget()
        self.report.context.name_ends(beside)
        self._send(leaving)

    def _forget(self) -> None:
        """Forget what objects were made of, so that a run that comes all the same decides on everything again."""
        self.ledger.forget_all()
        self.ledger.save_facts(replace(self.ledger.facts(), woven=""))

    def _may(self, count: int) -> bool:
        live = self.ledger.live(self.now)
        percent = self.settings.max_withdraw_percent
        if WithdrawalLimits(live, percent, self.force).allows_at_once(count):
            return True
        self.report.refuse(
            f"{counted(count, 'object', 'objects')} would leave {self.settings.sourcesystem} in workspace "
            f"{self.settings.workspace_key}, where {live} are live, more than max_withdraw_percent "
            f"({percent}) allows. To accept it: {accepting(self.settings, *self.command)}"
        )
        return False

    def _send(self, leaving: Sequence[ObjectRecord]) -> None:
        delivery = Delivery(self.settings, self.ledger, self.report, RateLimiters(self.clock), self.now)
        queue = SendQueue(self.ledger, self.report, delivery, shared=False, unsent=set())
        delivery.start()
        try:
            for turn in turns(leaving):
                for records in batched(turn, _AT_ONCE):
                    queue.withdraw(records)
                delivery.drain()
        finally:
            delivery.finish()


def withdraw_all(
    settings: Settings,
    workspace: str,
    *,
    force_withdraw: bool,
    line: Callable[[str], None] | None,
    clock: Clock | None = None,
    now: Callable[[], float] = time.time,
) -> Report:
    """Empty every destination of a workspace, each under its own source system, or the one of this name only.

    ``line`` is told each object, ``now`` gives seconds since 1970.
    Raises LedgerError for a workspace that the ledger does not know, NoLedger where there is none, RunActive when
    a run holds it.
    """
    started = time.monotonic()
    report = Report(command="withdraw", dry_run=settings.dry_run, line=line)
    command, clock, moment = ("withdraw", "--workspace", workspace), clock or Clock(), int(now())
    for destination in _destinations(settings, workspace):
        with _held(destination) as ledger:
            _empty(Withdrawal(destination, ledger, report, clock, moment, force_withdraw, command))
    report.seconds = time.monotonic() - started
    return report


def what_would_be_withdrawn(
    settings: Settings, workspace: str, *, force_withdraw: bool, now: Callable[[], float] = time.time
) -> list[Withdrawn]:
    """Return what ``withdraw_all`` would withdraw, at each destination; raises what that raises."""
    dry = settings.model_copy(update={"dry_run": True, "write_parsed_indicators": False})
    in_use = {_place(destination) for destination in settings.destinations()}
    found = []
    for destination in _destinations(dry, workspace):
        report = Report(command="withdraw", dry_run=True)
        with _held(destination) as ledger:
            _empty(Withdrawal(destination, ledger, report, Clock(), int(now()), force_withdraw, ()))
        found.append(Withdrawn.of(report, destination, comes_back=_place(destination) in in_use))
    return found


@contextmanager
def _held(destination: Settings) -> Iterator[Ledger]:
    with opened(destination) as ledger, ledger.hold_lock(destination.state_path):
        ledger.recover()
        yield ledger


def _empty(withdrawal: Withdrawal) -> None:
    objects = withdrawal.ledger.every_live_object(withdrawal.now)
    withdrawal.withdraw(objects, WithdrawalReason.WORKSPACE_LEFT, beside=_beside(withdrawal), forget=True)


def _beside(withdrawal: Withdrawal) -> list[ObjectRecord]:
    """Return what stands beside indicators; nothing, and a warning, where the API takes indicators alone."""
    settings, beside = withdrawal.settings, ContextLedger(withdrawal.ledger).every_live_object()
    if not beside or settings.may_have_context:
        return beside
    what = kinds_in_words(Counter(record.kind for record in beside))
    place = (settings.workspace_key, settings.sourcesystem)
    withdrawal.report.warnings.append(_STAYS.format(what, *place, settings.upload_api))
    return []


def turns(leaving: Iterable[ObjectRecord]) -> list[list[ObjectRecord]]:
    """Return objects in the order in which they leave; each turn has its answers before the next one goes out."""
    in_order = in_order_of_leaving(leaving)
    return [list(of_turn) for _, of_turn in groupby(in_order, key=lambda record: record.kind.facts.turn)]


def _place(destination: Settings) -> tuple[str, str]:
    """Return what objects belong to."""
    return destination.workspace_key.lower(), destination.sourcesystem


def _destinations(settings: Settings, workspace: str) -> list[Settings]:
    """Return the settings for each destination of a workspace, also of one that they do not name; or the one named.

    Raises LedgerError for a workspace that the ledger does not know, NoLedger where there is none.
    """
    if not settings.keeps_ledger:
        raise NoLedger
    make_state_dir(settings)
    known = known_destinations(settings.ledger_url)
    wanted = _of_name(settings, workspace, known)
    wanted = wanted or [(id_, source) for id_, source in known if id_.lower() == workspace.lower()]
    if not wanted:
        ids = ", ".join(sorted({id_ for id_, _ in known})) or "none"
        raise LedgerError(f"The ledger knows no workspace {workspace}; it knows {ids}.")
    return [settings.for_destination(id_, source) for id_, source in wanted]


def _of_name(settings: Settings, name: str, known: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the known destinations that the settings call by this name, where it is not just their workspace."""
    called = {
        _place(destination)
        for destination in settings.destinations()
        if name.lower() == destination.name.lower() != destination.workspace_key.lower()
    }
    return [(id_, source) for id_, source in known if (id_.lower(), source) in called]
