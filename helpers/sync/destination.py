"""Keep a destination in step with MISP: what changed is read and sent, what MISP withdraws leaves.

``event_selection.py`` decides which events are looked at, ``plan.py`` what becomes of objects; this carries decisions
out for one destination, and guards the withdrawals. What MISP shows is asked once for all destinations, by
``fan_out.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from constants import LOG_EVENT_ERROR, WithdrawalReason
from helpers.errors import SettingsError
from helpers.indicators import ConversionResult, Item
from helpers.ledger import EventRecord, Ledger, ObjectRecord, RetryPolicy, Stage
from helpers.microsoft import api_for
from helpers.misp import ListedEvent
from helpers.settings import Settings
from helpers.sync import event_selection
from helpers.sync import plan as plan_module
from helpers.sync.event_selection import Action, Decision, RunConditions
from helpers.sync.event_sync import EventSync, ObjectPlanner, PreparedSlice
from helpers.sync.plan import Plan
from helpers.sync.report import Report

logger = logging.getLogger(__name__)

_DEDUPLICATE = (
    "deduplicate was {!r} and is {!r} now: every indicator would leave Sentinel and come back under another id. "
    "Set it back, or run once with --force-withdraw."
)


@dataclass(frozen=True)
class Options:
    """What a run was asked for: one event only, everything, what was rejected as well, withdrawals unguarded."""

    uuid: str = ""
    full: bool = False
    retry_rejected: bool = False
    force_withdraw: bool = False


@dataclass
class DestinationSync:
    """One run for one destination.

    ``submit`` takes objects to be uploaded, ``tell`` parts of the conversion. ``shape`` prints the settings
    that shape the result, ``now`` is in seconds since 1970. ``to_read`` has the events that are to be read for
    this destination, by UUID, with their row where the site's filters find them, time windows included.
    """

    settings: Settings
    options: Options
    ledger: Ledger
    report: Report
    submit: Callable[[Sequence[ObjectRecord]], None]
    tell: Callable[[ConversionResult], None]
    shape: str
    now: int
    to_read: dict[str, ListedEvent | None] = field(default_factory=dict)
    _known: Mapping[str, EventRecord] = field(default_factory=dict)
    _listed: Mapping[str, ListedEvent] = field(default_factory=dict)
    _rows: dict[str, ListedEvent] = field(default_factory=dict)
    _to_ask: list[str] = field(default_factory=list)
    _reading: EventSync | None = None
    _pending: set[str] = field(default_factory=set)
    _read: set[str] = field(default_factory=set)
    _failed: set[str] = field(default_factory=set)
    _later: set[str] = field(default_factory=set)
    _to_go: list[tuple[EventRecord, ListedEvent | None, str]] = field(default_factory=list)
    _live: int = 0
    _identity: Mapping[str, Any] = field(default_factory=dict)
    _trusted: bool = False
    _other_keys: bool = False
    _surveyed: bool = False

    def begin(self, identity: Mapping[str, Any]) -> None:
        """Take up what an earlier run left; ``identity`` is who reads which MISP. Raises SettingsError."""
        self.ledger.recover()
        self._live = self.ledger.count(self.now)["live"]
        self._pending = set(self.ledger.to_send_again(self.now))
        self._identity = identity
        self._trusted = self._knows_this_misp()
        self._let_go_of_other_keys()
        self._begin_full_run()
        self._known = self.ledger.events()

    def conclude(self) -> None:
        """Send and withdraw what is due, when everything was read that could be.

        When MISP was given up before, what was decided by then is still carried out: nothing of an event leaves
        that was not read to its end. What leaves is decided first, so that nothing of it is sent any more.
        """
        leaving = self._decide_withdrawals()
        if not self.options.uuid:
            self._send_pending()
        if self._surveyed and self._trusted:
            self._renew()
        self._send_later()
        self._withdraw(leaving)

    def finished(self, *, complete: bool) -> None:
        """Save what the next run goes by, once Microsoft has answered; ``complete`` if nothing stopped the run."""
        self.ledger.settle_events(self._read)
        whole = complete and not (self._failed or self.report.misp_error or self.options.uuid or self._narrowed)
        if whole and self._conditions.full_run:
            begun = self.ledger.facts()["full_begun"]
            self.ledger.save_facts(full_at=begun["at"], full_begun=None, shape=self.shape)

    # -- what the run goes by -------------------------------------------------------------------------

    def _knows_this_misp(self) -> bool:
        """Whether this MISP, read by this user, is the one that the ledger knows; a first one is learned."""
        seen = {name: self._identity[name] for name in ("url", "uuid", "user", "organisation")}
        known = self.ledger.facts().get("misp", seen)
        changed = [f"{name} {known.get(name)} is now {seen[name]}" for name in seen if known.get(name) != seen[name]]
        if changed and not self.options.force_withdraw:
            self.report.refuse(
                f"another MISP, or another user's view of it, is read than before ({', '.join(changed)})"
            )
            return False
        self.ledger.save_facts(misp=seen)
        return True

    def _begin_full_run(self) -> None:
        """Number a full run that is due, and remember it; one that was cut off is the same one still."""
        if self.options.uuid or not self._full_run_is_due():
            return
        facts = self.ledger.facts()
        begun = facts.get("full_begun") or {}
        young = self.now - begun.get("at", 0) < self.settings.full_sync_days * event_selection.DAY
        if self.options.full or begun.get("shape") != self.shape or not young:
            number = facts.get("full_run", 0) + 1
            self.ledger.save_facts(full_run=number, full_begun={"at": self.now, "shape": self.shape})

    def _full_run_is_due(self) -> bool:
        facts = self.ledger.facts()
        late = self.now - int(facts.get("full_at", 0)) >= self.settings.full_sync_days * event_selection.DAY
        return self.options.full or late or facts.get("shape") != self.shape

    @cached_property
    def _conditions(self) -> RunConditions:
        facts = self.ledger.facts()
        return RunConditions(
            now=self.now,
            full_run=facts.get("full_run", 0) if facts.get("full_begun") else 0,
            needs_published=event_selection.needs_published(self.settings.misp_event_filters),
            grace=self.settings.unpublished_grace_days * event_selection.DAY,
            own_organisation=self._identity["organisation"],
            site_admin=self._identity["site_admin"],
            force=self.options.force_withdraw,
        )

    @property
    def _narrowed(self) -> bool:
        return bool(self.settings.misp_event_filters.get("limit")) and not self.options.uuid

    @property
    def _may_let_go(self) -> bool:
        return self._trusted and not self._narrowed

    @cached_property
    def _planner(self) -> ObjectPlanner:
        terms = RetryPolicy(self.now, self.options.retry_rejected, api_for(self.settings).program)
        number = self.ledger.facts().get("full_run", 0)
        changed = WithdrawalReason.DEDUPLICATE_CHANGED if self._other_keys else WithdrawalReason.CHANGED
        return ObjectPlanner(self.settings, self.ledger, terms, self._carry_out, self.tell, number, changed)

    @cached_property
    def _with_objects(self) -> set[str]:
        return self.ledger.events_with_live_objects(self.now) | self.ledger.events_that_let_go(self.now)

    # -- which events to read -------------------------------------------------------------------------

    def look_at_one(self, listed: ListedEvent) -> None:
        """Have the one event read that was asked for."""
        known = self._known.get(listed.uuid)
        self.to_read = {listed.uuid: listed if known is None or known.listed else None}

    def look_around(self, index: Mapping[str, ListedEvent], listed: Mapping[str, ListedEvent]) -> list[str]:
        """Action at every event known or listed; return the known ones that MISP is to be asked for by UUID."""
        self._listed = listed
        self._rows = {**listed, **index}
        looked_at = listed.keys() if self._narrowed else self._known.keys() | listed.keys()
        decisions = {uuid: self._look(index.get(uuid), uuid) for uuid in sorted(looked_at)}
        self._hold_or_leave(index, decisions)
        to_read = [uuid for uuid, decision in decisions.items() if decision.action in (Action.READ, Action.ASK)]
        self.to_read = {uuid: listed[uuid] for uuid in to_read if uuid in listed}
        self._to_ask = [uuid for uuid in to_read if uuid not in listed]
        return self._to_ask

    def answered(self, found: Mapping[str, ListedEvent], exist: Mapping[str, ListedEvent]) -> None:
        """Take what MISP said: the events that its filters find, time windows set aside, and those that exist."""
        self._rows |= found
        decisions = {uuid: self._not_found(uuid, exist.get(uuid)) for uuid in self._to_ask if uuid not in found}
        self._hold_or_leave(exist, decisions)
        events = [self._known[uuid] for uuid in self._to_ask if uuid in found]
        self.ledger.keep(events=[replace(event, listed=False) for event in events if event.listed])
        self.to_read |= {event.uuid: None for event in events if not self._stands(event, found[event.uuid])}
        self._surveyed = True

    def _look(self, row: ListedEvent | None, uuid: str) -> Decision:
        event = self._known.get(uuid)
        if event and uuid in self._again:
            event = replace(event, todo=True)
        left_unpublished = event is not None and not event.published and row is not None and not row.published
        matters = event is not None and (self._conditions.full_run or row is None or left_unpublished)
        has_objects = bool(matters) and uuid in self._with_objects
        return event_selection.decide_event(
            event, row, self._listed.get(uuid), self._conditions, has_objects=has_objects
        )

    @cached_property
    def _again(self) -> set[str]:
        """Events to be read whatever their rows say: withdrawals wait, or rejections are tried again."""
        again = set(self.ledger.facts().get("refused_events", [])) | self.ledger.events_that_let_go(self.now)
        return again | self.ledger.events_with_rejected_objects(self._planner.terms)

    def _stands(self, event: EventRecord, seen: ListedEvent) -> bool:
        """Whether an event only left the time window, or the index: nothing of it is to be read."""
        to_read = event.todo or event.held_since is not None or event.uuid in self._again
        return not (to_read or self._conditions.wants_anew(event) or event_selection.moved(event, seen))

    def _not_found(self, uuid: str, seen: ListedEvent | None) -> Decision:
        event = self._known[uuid]
        if seen is None:
            return event_selection.gone(event, self._conditions)
        if self._conditions.needs_published and not seen.published:
            has_objects = uuid in self._with_objects
            return event_selection.unpublished(event, seen, self._conditions, has_objects=has_objects)
        return Decision(Action.LEAVE, WithdrawalReason.LEFT_FILTERS)

    def _hold_or_leave(self, seen: Mapping[str, ListedEvent], decisions: Mapping[str, Decision]) -> None:
        for uuid, decision in decisions.items():
            if decision.action is Action.HOLD:
                self.report.held += 1
                self.ledger.keep(events=[replace(self._known[uuid], held_since=decision.held_since)])
            elif decision.action is Action.LEAVE:
                self._to_go.append((self._known[uuid], seen.get(uuid), decision.reason))

    # -- events as they are read ----------------------------------------------------------------------

    def open(self, uuid: str) -> None:
        """Begin with an event that is read for this destination."""
        self._reading = None
        self.report.events += 1
        listed = self.to_read[uuid]
        if listed and uuid not in self._known:  # what is sent of it must be found again, also when this run is cut off
            seen = (listed.timestamp, listed.published, listed.organisation, listed.listing)
            begun = EventRecord(uuid, *seen, todo=True)
            self.ledger.keep(events=[begun])
        self._reading = EventSync(self._planner, uuid, listed)

    def look(self, part: PreparedSlice) -> Iterable[Item]:
        """Action at a part of the open event; return what is to be converted."""
        return self._reading.look(part) if self._reading else ()

    def take(self, converted: ConversionResult, part: PreparedSlice) -> None:
        """Take what became of a part of the open event, for this destination or others."""
        if self._reading:
            self._reading.take(converted, part)

    def stumble(self, uuid: str, error: Exception) -> None:
        """Leave an event where it is: a fault of ours costs the event that it stumbles over, not the run."""
        self._reading = None
        logger.error(LOG_EVENT_ERROR.format(uuid, type(error).__name__), exc_info=error)
        self.report.faults.append(f"{uuid}: {type(error).__name__}: {error}")
        self.take_up_again(uuid)

    def close(self, unfinished: frozenset[str]) -> None:
        """Remember the open event, if it was read to its end, and let go of what it no longer wants."""
        reading, self._reading = self._reading, None
        if reading is None or reading.uuid in unfinished | self._failed:
            return
        whole = self._may_let_go or not reading.lets_go
        self.ledger.keep(events=[reading.finish(let_go=self._may_let_go)])
        if whole:
            self._read.add(reading.uuid)

    def not_read(self, uuid: str, words: str) -> None:
        """Name an event that could not be read; it is taken up again by the next run, whatever its row says."""
        if uuid in self.to_read:
            self.report.unread.append(f"{uuid}: {words}")
            self.take_up_again(uuid)

    def take_up_again(self, uuid: str) -> None:
        """Have an event read anew by the next run; how it was seen in this one is remembered all the same."""
        if uuid in self.to_read:
            self._failed.add(uuid)
            known = self.ledger.event(uuid) or EventRecord(uuid, 0, published=False)
            if seen := self._rows.get(uuid):
                known = replace(known, timestamp=seen.timestamp, published=seen.published)
            self.ledger.keep(events=[replace(known, todo=True)])

    def failed_before(self, uuid: str) -> bool:
        """Whether not all of an event could be settled the last time."""
        event = self._known.get(uuid)
        return event is not None and event.todo

    # -- objects --------------------------------------------------------------------------------------

    def _carry_out(self, plan: Plan) -> None:
        self._pending -= {each.id for each in plan.send}
        if self.settings.deduplicate == "value":  # several events may change one object: it goes out once, at the end
            self._later |= {each.id for each in plan.send}
        else:
            self.report.planned(plan)
            self.submit(plan.send)

    def _send_later(self) -> None:
        """Send the objects that several events share, as all of them together want them."""
        for some in self.ledger.load_in_batches(sorted(self._later)):
            waiting = [each for each in some if each.stage == Stage.PENDING and not each.leaving]
            first = [each for each in waiting if each.accepted_at is None]
            plan = Plan(new=first, changed=[each for each in waiting if each.accepted_at is not None])
            self.report.planned(plan)
            self.submit(plan.send)
        self._later.clear()

    def _send_pending(self) -> None:
        """Send what an earlier run could not, of events that there was no reason to read."""
        if self._narrowed:
            return
        for some in self.ledger.load_in_batches(self._pending):
            still = [each for each in some if each.stage == Stage.PENDING and not each.leaving]
            plan = Plan(again=[plan_module.renewal(each, self.now, moves=False) for each in still])
            self.ledger.keep(objects=plan.kept)
            self._carry_out(plan)

    def _renew(self) -> None:
        """Send what is due again: expiries that move on, and what is to stay visible to rules that look back.

        Which events match the filters must be known of this run: what MISP did not show moves nothing on.
        """
        if self._narrowed:
            return
        self._send_again(self.ledger.to_renew(self.now), moves=True)
        if self.settings.refresh_days:
            before = self.now - self.settings.refresh_days * event_selection.DAY
            self._send_again(self.ledger.to_refresh(self.now, before), moves=False)

    def _send_again(self, ids: Sequence[str], *, moves: bool) -> None:
        for some in self.ledger.load_in_batches(ids):
            plan = Plan(renewed=[plan_module.renewal(each, self.now, moves=moves) for each in some])
            self.ledger.keep(objects=plan.kept)
            self._carry_out(plan)

    def _let_go_of_other_keys(self) -> None:
        """Refuse a change of ``deduplicate`` that nobody asked for; else each event lets go of its old keys when read.

        The change is one of the settings that shape the result, so a full run is due.
        """
        before = self.ledger.facts().get("deduplicate", self.settings.deduplicate)
        self._other_keys = before != self.settings.deduplicate
        if self._other_keys and (not self.options.force_withdraw or self.options.uuid or self._narrowed):
            raise SettingsError([_DEDUPLICATE.format(before, self.settings.deduplicate)])
        self.ledger.save_facts(deduplicate=self.settings.deduplicate)

    def _decide_withdrawals(self) -> list[str]:
        """Let go of whole events, and return the ids to withdraw; none when it looks like a mistake.

        What was refused is decided anew by each run, whether or not rows move, until somebody accepts it.
        """
        done = self._read | {event.uuid for event, _, _ in self._to_go}
        leaving = self.ledger.leaving_ids(self.now, done)
        count = len(leaving) + self.ledger.live_of({event.uuid for event, _, _ in self._to_go}, self.now)
        if (self._to_go and not self._may_let_go) or (count and not self._may_withdraw(count)):
            self._refuse(leaving)
            return []
        for event, seen, reason in self._to_go:
            self._let_event_go(event, seen, reason)
        if not self.options.uuid and self._may_let_go:
            self.ledger.save_facts(refused_events=[])
        return self.ledger.leaving_ids(self.now, done)

    def _withdraw(self, leaving: Sequence[str]) -> None:
        """Send withdrawals; those that had no answer are repeated, whatever else may be withdrawn."""
        again = [] if self.options.uuid or self._narrowed else self.ledger.unanswered_withdrawals(self.now)
        for some in self.ledger.load_in_batches(dict.fromkeys([*leaving, *again])):
            for each in some:
                self.report.withdrawing(each)
            self.submit(some)

    def _let_event_go(self, event: EventRecord, seen: ListedEvent | None, reason: str) -> None:
        timestamp = seen.timestamp if seen else event.timestamp
        left = replace(
            event,
            timestamp=timestamp,
            published=bool(seen and seen.published),
            listed=False,
            held_since=None,
            todo=False,
        )
        sources = self.ledger.sources_of_event(event.uuid)
        attributes = self.ledger.attributes(event.uuid)
        reasons = dict.fromkeys((source.attribute for source in sources), reason)
        self._planner.drop(event.uuid, sources, reasons, events=[left], no_attributes={event.uuid: list(attributes)})

    def _refuse(self, leaving: Sequence[str]) -> None:
        """Withdraw nothing; have what was to go looked at again, and not renewed meanwhile."""
        for some in self.ledger.load_in_batches(leaving):
            for each in some:
                self.report.say(f"refused: withdraw {each.id} {each.pattern} ({each.leaving})")
        for event, _, reason in self._to_go:
            self.report.say(f"refused: withdraw all of event {event.uuid} ({reason})")
        self.ledger.keep(events=[replace(event, listed=False) for event, _, _ in self._to_go])
        if not self.options.uuid:
            self.ledger.save_facts(refused_events=sorted(event.uuid for event, _, _ in self._to_go))

    def _may_withdraw(self, count: int) -> bool:
        if not self._may_let_go:
            return False
        live, percent = self._live, self.settings.max_withdraw_percent
        if self.options.force_withdraw or not plan_module.too_many(count, live, percent):
            return True
        self.report.refuse(
            f"{count} of {live} live objects would leave Sentinel, more than max_withdraw_percent ({percent}) "
            "allows: look at status and at MISP"
        )
        return False
