"""Withdraw what is not a run's to withdraw: a whole destination that is to be left, or what nobody asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from constants import WithdrawalReason
from helpers.errors import LedgerError, NoLedger
from helpers.ledger import Ledger, ObjectRecord, known_destinations
from helpers.microsoft import Clock, RateLimiters
from helpers.settings import Settings
from helpers.sync import Delivery, Report, WithdrawalGuard, make_state_dir, opened


@dataclass(frozen=True)
class Withdrawal:
    """Objects on their way out of one destination; ``now`` is in seconds since 1970."""

    settings: Settings
    ledger: Ledger
    report: Report
    clock: Clock
    now: int
    force: bool

    def withdraw(self, objects: Sequence[ObjectRecord], reason: str, *, forget: bool = False) -> None:
        """Withdraw objects, unless it looks like a mistake; ``forget`` all that they were made of as well."""
        if not objects or not self._may(len(objects)):
            return
        leaving = [replace(each, leaving=reason, left_event="") for each in objects]
        with self.ledger.single_transaction():
            self.ledger.keep(objects=leaving)
            if forget:
                self.ledger.forget_all()
        self._send(leaving)

    def _may(self, count: int) -> bool:
        live = self.ledger.count(self.now)["live"]
        percent = self.settings.max_withdraw_percent
        if WithdrawalGuard(live, percent, self.force).allows(count):
            return True
        self.report.refuse(
            f"{count} objects would leave {self.settings.sourcesystem} in workspace "
            f"{self.settings.workspace_key}, where {live} are live, more than max_withdraw_percent "
            f"({percent}) allows"
        )
        return False

    def _send(self, leaving: Iterable[ObjectRecord]) -> None:
        delivery = Delivery(self.settings, self.ledger, self.report, RateLimiters(self.clock), self.now)
        delivery.start()
        try:
            for each in leaving:
                self.report.add_withdrawal(each)
                delivery.enqueue([each])
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
    """Empty every destination of a workspace, each under its own source system, or the one of this name alone.

    Raises LedgerError for a workspace that the ledger does not know, NoLedger where there is none, RunActive when
    a run holds it.
    """
    if not settings.remembers:
        raise NoLedger
    make_state_dir(settings)
    started = time.monotonic()
    report = Report(command="withdraw", dry_run=settings.dry_run, line=line)
    for there in _destinations(settings, workspace):
        with opened(there) as ledger, ledger.hold_lock(there.state_path):
            ledger.recover()
            leaving = Withdrawal(there, ledger, report, clock or Clock(), int(now()), force_withdraw)
            leaving.withdraw(ledger.every_live_object(leaving.now), WithdrawalReason.WORKSPACE_LEFT, forget=True)
    report.seconds = time.monotonic() - started
    return report


def _destinations(settings: Settings, workspace: str) -> list[Settings]:
    """Return the settings for each destination of a workspace, also of one that they do not name; or the one named."""
    known = known_destinations(settings.ledger_url)
    asked = workspace.lower()
    named = [each for each in settings.destinations() if asked == each.name.lower() != each.workspace_key.lower()]
    places = {(each.workspace_key.lower(), each.sourcesystem) for each in named}
    every = [(name, source) for name, source in known if name.lower() == asked]
    wanted = [(name, source) for name, source in known if (name.lower(), source) in places] or every
    if not wanted:
        names = ", ".join(sorted({name for name, _ in known})) or "none"
        raise LedgerError(f"The ledger knows no workspace {workspace}; it knows {names}.")
    return [settings.for_destination(name, source) for name, source in wanted]
