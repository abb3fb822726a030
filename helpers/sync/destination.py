"""Keep one destination in step with MISP: what changed is read and sent, what MISP withdraws leaves.

``event_selection.py`` decides which events are read, ``plan.py`` what becomes of objects; this carries the decisions
out for one destination. What MISP shows is asked once for all destinations, by ``shared_reading.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from constants import LOG_EVENT_ERROR, Skip, WithdrawalReason
from helpers.context import ContextLevel
from helpers.errors import SettingsError
from helpers.indicators import DAY, ConversionRules, stix_time_of
from helpers.ledger import (
    ContextLedger,
    DestinationFacts,
    EventRecord,
    FullRun,
    Ledger,
    RetryPolicy,
    Source,
    Stage,
)
from helpers.microsoft import api_for
from helpers.misp import ListedEvent
from helpers.process import WHOLE, DestinationLogger, Part
from helpers.settings import Settings
from helpers.sync.context.clusters import KnownClusters
from helpers.sync.context.context_sync import ContextSync
from helpers.sync.context.event_relations import ContextWishes
from helpers.sync.context.unasked import Unasked
from helpers.sync.context.weaving import Scope
from helpers.sync.event_selection import (
    RunConditions,
    decide_not_listed,
    needs_published,
    number_of_full_run,
    what_stays,
)
from helpers.sync.events.event_sync import EventSync, Leaving, Pointed, Wishes
from helpers.sync.object_planner import ObjectPlanner, ObjectWishes
from helpers.sync.plan import Plan, renewal
from helpers.sync.report import Report, Told
from helpers.sync.sending.delivery import Delivery
from helpers.sync.sending.send_queue import SendQueue
from helpers.sync.survey import Departure, Survey, Surveyor, Surveys
from helpers.sync.withdrawals import (
    ASKED_FOR,
    MOST_FORCED,
    WithdrawalLimits,
    accepting,
    changes_since,
    count_a_day_ago,
    difference,
    named,
    refusal,
    view_of,
    with_count,
    without_days,
)
from helpers.text import counted

logger = logging.getLogger(__name__)

# Runs that are further apart may be so since the clock of the one before was behind.
_GAP = 2 * DAY
_IDENTITY = ("url", "uuid", "user", "organisation")
_DEDUPLICATE = (
    "deduplicate was {!r} and is {!r} now: every indicator would leave Sentinel and come back under another id. "
    "Set it back, or accept it: {}"
)
_CLOCK = (
    "A clock was wrong: an earlier run was at {}, and this one is at {}. Everything is read again, and what ends too "
    "late or too early is sent again. Look at the clock of each machine that runs this."
)
_DIFFERS = (
    "The workspace and the ledger differ: {}. Was it emptied, or an older ledger restored? What to do: "
    "docs/ledger.md#when-the-ledger-and-sentinel-differ."
)
_NO_EVENT = "MISP shows no event at all, and {} came from events of it"


@dataclass(frozen=True)
class RunOptions:
    """What a run was asked for: one event only, everything, what was rejected as well, withdrawals unguarded.

    ``part`` is the share of the destinations that it takes.
    """

    uuid: str = ""
    full: bool = False
    retry_rejected: bool = False
    force_withdraw: bool = False
    part: Part = WHOLE


@dataclass(frozen=True)
class DestinationRun:
    """One destination in a run. ``first`` says that its ledger was empty before."""

    settings: Settings
    ledger: Ledger
    report: Report
    delivery: Delivery
    first: bool

    @property
    def narrowed(self) -> bool:
        """Whether the site's filters have MISP list some events only, so that what is not listed means nothing."""
        return bool(self.settings.misp_event_filters.get("limit"))

    def refuse(self, reason: str, options: RunOptions, view: Mapping[str, str], *cause: str) -> None:
        """Keep why nothing was withdrawn, with what may have led to it, and the command that accepts it.

        ``cause`` is that, where it is known; else it is told where to look.
        """
        facts, words = self.ledger.facts(), ["--uuid", options.uuid] if options.uuid else []
        changed = changes_since(facts.view or {}, facts.view_at, view)
        command = accepting(self.settings, *named(self.settings), *words)
        self.report.refuse(refusal(reason, changed, command, *cause))


@dataclass(frozen=True)
class SyncContext:
    """What all events of one destination share in a run.

    ``full_run`` is the number of the latest full run; ``unheard`` has the events that the next run is to read again.
    """

    ledger: Ledger
    planner: ObjectPlanner
    queue: SendQueue
    report: Report
    full_run: int = 0
    unheard: set[str] = field(default_factory=set)

    def hear_again(self, sources: Sequence[Source]) -> None:
        """Have the events of sources read again by the next run, since it is not known what they ask for."""
        if sources:
            self.ledger.hear_again(sources)
            self.unheard.update(source.event for source in sources)

    def take_back(self, event: str, sources: Sequence[Source], reasons: Mapping[str, str], **kept: Any) -> bool:
        """Let an event take sources back, and write that down with what else is kept of it; enqueue what changes.

        Return whether attributes of other events are to be converted again because of it.
        """
        plan, unheard = self.planner.plan_without(event, sources, reasons)
        self.hear_again(unheard)
        forget = [record.id for record in plan.forget]
        self.ledger.keep(objects=plan.kept, no_objects=forget, no_sources=sources, **kept)
        self.queue.send_at_the_end(plan)
        return bool(unheard)


def begin_sync(
    destination: DestinationRun,
    options: RunOptions,
    fingerprint: str,
    identity: Mapping[str, Any],
    known: Mapping[str, EventRecord],
    now: int,
    clusters: KnownClusters,
) -> DestinationSync:
    """Take up what an earlier run left at a destination, and return what keeps it in step in this one.

    ``fingerprint`` is that of the settings by which the run reads, ``identity`` who reads which MISP, ``known`` the
    events of the ledger by UUID, ``now`` the run's time in seconds since 1970, ``clusters`` what tags name. Raises
    SettingsError when the ledger has its objects by other keys.
    """
    ledger, settings = destination.ledger, destination.settings
    ledger.recover()
    unsent = set(ledger.to_send_again(now))
    view = view_of(settings, identity)
    trusted = _knows_this_misp(destination, options, identity, view)
    other_keys = _has_other_keys(destination, options)
    _begin_full_run(destination, options, fingerprint, now)
    facts, shared = ledger.facts(), settings.deduplicate == "value"
    policy = RetryPolicy(now, options.retry_rejected, api_for(settings).program)
    level = ContextLevel(settings.context_level)
    scope = Scope(level, settings.context_private, clusters.clusters, clusters.fingerprint)
    wishes = Wishes(
        settings.every_filter,
        ObjectWishes(ConversionRules.of(settings), policy, shared),
        WithdrawalReason.DEDUPLICATE_CHANGED if other_keys else WithdrawalReason.CHANGED,
        afresh=bool(facts.full_begun and facts.full_begun.afresh),
        context=ContextWishes(scope, settings.ignore_localtags, clusters),
    )
    context = SyncContext(
        ledger=ledger,
        planner=ObjectPlanner(wishes.objects, ledger),
        queue=SendQueue(ledger, destination.report, destination.delivery, shared, unsent),
        report=destination.report,
        full_run=facts.full_run,
    )
    conditions = RunConditions(
        now=now,
        full_run=facts.full_run if facts.full_begun else 0,
        needs_published=needs_published(settings.misp_event_filters),
        grace=settings.unpublished_grace_days * DAY,
        own_organisation=identity["organisation"],
        site_admin=identity["site_admin"],
        force=options.force_withdraw,
    )
    if destination.first:
        destination.report.there = destination.delivery.count_there()
    elif facts.full_begun and not options.uuid:
        _compare_with_workspace(destination, now)
    limits = _withdrawal_limits(destination, options, now)
    survey = Surveyor(ledger, known, conditions, policy, facts.refused_events, destination.narrowed)
    beside = ContextSync(ledger, context.queue, policy, scope, facts, settings.dry_run)
    return DestinationSync(destination, options, fingerprint, wishes, context, survey, limits, view, trusted, beside)


def _withdrawal_limits(destination: DestinationRun, options: RunOptions, now: int) -> WithdrawalLimits:
    """Return what may leave in this run; how many were live a day ago is taken from what is live where nothing tells.

    A run that is told to withdraw whatever it is is noted before it does.
    """
    ledger, facts = destination.ledger, destination.ledger.facts()
    if options.force_withdraw:
        facts = replace(facts, forced_at=(*facts.forced_at, now)[-MOST_FORCED:])
        ledger.save_facts(facts)
    ledger.redate_withdrawals(now, not_at=facts.forced_at)
    live = ledger.live(now)
    left = ledger.withdrawn_since(now - DAY, but=ASKED_FOR, not_at=facts.forced_at)
    counted = count_a_day_ago(facts.live_counts, now)
    before = counted.live - ledger.expiring(counted.at, now - DAY) if counted else live + left
    percent = destination.settings.max_withdraw_percent
    return WithdrawalLimits(live, percent, options.force_withdraw, left, before)


def _knows_this_misp(
    destination: DestinationRun, options: RunOptions, identity: Mapping[str, Any], view: Mapping[str, str]
) -> bool:
    """Whether this MISP, read by this user, is the one that the ledger knows; a first one is noted."""
    facts = destination.ledger.facts()
    seen = {name: str(identity[name]) for name in _IDENTITY}
    known = facts.misp or seen
    changed = [f"{name} {known.get(name)} is now {seen[name]}" for name in seen if known.get(name) != seen[name]]
    if changed and not options.force_withdraw:
        destination.refuse(
            f"another MISP, or another user's view of it, is read than before ({', '.join(changed)})", options, view
        )
        return False
    destination.ledger.save_facts(replace(facts, misp=seen))
    return True


def _has_other_keys(destination: DestinationRun, options: RunOptions) -> bool:
    """Whether ``deduplicate`` has changed; refuse that where nobody asked for it.

    Each event lets go of its old keys when it is read; a full run is due, since the settings have another fingerprint.
    """
    facts, wanted = destination.ledger.facts(), destination.settings.deduplicate
    before = facts.deduplicate or wanted
    whole = not (options.uuid or destination.narrowed)
    if before != wanted and not (options.force_withdraw and whole):
        raise SettingsError(
            [_DEDUPLICATE.format(before, wanted, accepting(destination.settings, *named(destination.settings)))]
        )
    destination.ledger.save_facts(replace(facts, deduplicate=wanted))
    return before != wanted


def _begin_full_run(destination: DestinationRun, options: RunOptions, fingerprint: str, now: int) -> None:
    """Number a full run that is due; one that was cut off is the same one still, as long as it is young."""
    if options.uuid:
        return
    afresh = _clock_was_wrong(destination, now)
    facts, span = destination.ledger.facts(), destination.settings.full_sync_days * DAY
    number = number_of_full_run(facts, fingerprint, now, span, anew=options.full or afresh)
    if number > facts.full_run:
        begun = FullRun(now, fingerprint, afresh or bool(facts.full_begun and facts.full_begun.afresh))
        destination.ledger.save_facts(replace(facts, full_run=number, full_begun=begun))


def _clock_was_wrong(destination: DestinationRun, now: int) -> bool:
    """Whether an earlier run's clock was ahead of this one's, or that of the run which found so was behind itself.

    Then everything is read again, and what the ledger has of the future is forgotten.
    """
    facts = destination.ledger.facts()
    ahead = facts.latest() if facts.latest() > now else 0
    behind = facts.doubted if facts.ran_at + _GAP < facts.doubted <= now else 0
    if ahead or behind:
        words = _CLOCK.format(*map(stix_time_of, (ahead or facts.ran_at, now)))
        DestinationLogger(logger, destination.report.name).warning(words)
        destination.report.warnings.append(words)
    doubted = ahead or (facts.doubted if facts.doubted > now else 0)
    destination.ledger.save_facts(replace(facts.known_at(now), doubted=doubted))
    return bool(ahead or behind)


def _compare_with_workspace(destination: DestinationRun, now: int) -> None:
    """Warn where the workspace has far fewer indicators of ours than the ledger takes to be live, or far more.

    That what was never answered for did not arrive is no difference: this run sends it.
    """
    there = destination.delivery.count_there()
    counted = destination.ledger.count(now)
    live = counted.pop("live") - destination.ledger.perhaps_live(now)
    words = difference(there, live, sum(counted.values())) if there is not None else ""
    if words:
        warning = _DIFFERS.format(words)
        DestinationLogger(logger, destination.report.name).warning(warning)
        destination.report.warnings.append(warning)


@dataclass(eq=False)
class DestinationSync:
    """One destination being brought in step: it surveys events, opens those that are read, and concludes.

    ``to_read`` has the events that are to be read for this destination, by UUID, with their row where the site's
    filters find them, time windows included. ``view`` is who reads MISP by which filters, ``trusted`` says that MISP
    is the one that the ledger knows. ``beside`` keeps what stands beside the indicators in step with them.
    """

    destination: DestinationRun
    options: RunOptions
    fingerprint: str
    wishes: Wishes
    context: SyncContext
    surveyor: Surveyor
    limits: WithdrawalLimits
    view: Mapping[str, str]
    trusted: bool
    beside: ContextSync
    to_read: dict[str, ListedEvent | None] = field(default_factory=dict)
    _rows: Mapping[str, ListedEvent] = field(default_factory=dict)
    _asked: Sequence[str] = ()
    _departures: list[Departure] = field(default_factory=list)
    _surveyed: bool = False
    _blind: bool = False
    _out_of_sight: bool = False
    _decided: set[str] = field(default_factory=set)
    _failed: set[str] = field(default_factory=set)
    _concluded: bool = False
    _nothing_to_weave: bool = False

    @property
    def report(self) -> Report:
        """What becomes of it."""
        return self.destination.report

    @property
    def name(self) -> str:
        """The destination's name, empty where there is one only."""
        return self.destination.settings.name

    @property
    def is_concluded(self) -> bool:
        """Whether all was decided that depends on what was read."""
        return self._concluded

    # -- which events to read -------------------------------------------------------------------------

    def survey_one(self, listed: ListedEvent) -> None:
        """Have the one event read that was asked for."""
        known = self.surveyor.known.get(listed.uuid)
        self.to_read = {listed.uuid: listed if known is None or known.listed else None}

    def stays(self, uuid: str, row: ListedEvent | None) -> str:
        """Say what is live of the one event that was asked for and not found, and what a whole run does about it."""
        known = self.surveyor.known.get(uuid)
        if known is None:
            return ""
        conditions = replace(self.surveyor.conditions, force=False)
        decision = decide_not_listed(known, row, conditions, lambda: True)
        live = self.destination.ledger.live_of([uuid], self._now)
        counts = self.absence_counts and not self.destination.narrowed
        return what_stays(live, decision, conditions.grace, absence_counts=counts)

    def survey_listing(self, surveys: Surveys) -> Sequence[str]:
        """Decide on every event known or listed; return the known ones that MISP is to be asked for by UUID."""
        self._rows = surveys.rows
        if self.destination.ledger.facts().blind:
            self._lengthen_grace()
        survey = surveys.by_listing(self.surveyor)
        self._carry_out(survey)
        self._asked = survey.ask
        return self._asked

    def survey_answers(self, found: Mapping[str, ListedEvent], existing: Mapping[str, ListedEvent]) -> None:
        """Decide by MISP's answer: the events that its filters find, time windows set aside, and those that exist."""
        self._rows = {**self._rows, **found} if found else self._rows
        if not (self._rows or existing):
            self._shown_no_event()
        self._note_sight(blind=self._blind or not self.trusted)
        if self._blind:
            return
        survey = self.surveyor.by_answers(self._asked, found, existing)
        self._out_of_sight = any(event.uuid not in existing for event in survey.held)
        self._carry_out(survey)
        self._surveyed = True

    def _shown_no_event(self) -> None:
        """Refuse to take it that every event is gone, from the first day, where anything is live: at any number.

        A MISP without events looks the same as one of which this key sees nothing any more.
        """
        live = self.destination.ledger.live_of(self.surveyor.known, self._now)
        if live and self.absence_counts and not self.options.force_withdraw:
            self._blind = True
            objects = counted(live, "live object", "live objects")
            self.destination.refuse(_NO_EVENT.format(objects), self.options, self.view)

    def _note_sight(self, *, blind: bool) -> None:
        """Note whether MISP shows anything of ours; the days on which it does not count towards no grace."""
        if blind:
            self._lengthen_grace()
        ledger = self.destination.ledger
        ledger.save_facts(replace(ledger.facts(), blind=blind, surveyed_at=self._now))

    def _lengthen_grace(self) -> None:
        """Have held events wait as if no time had passed since MISP was last asked which events there are."""
        ledger, now = self.destination.ledger, self._now
        facts, known = ledger.facts(), self.surveyor.known
        held = without_days(known.values(), now - facts.surveyed_at if facts.surveyed_at else 0, now)
        ledger.keep(events=held)
        ledger.save_facts(replace(facts, surveyed_at=now))
        self.surveyor = replace(self.surveyor, known={**known, **{event.uuid: event for event in held}})

    def _carry_out(self, survey: Survey) -> None:
        self.report.held += len(survey.held)
        self.destination.ledger.keep(events=survey.held + survey.unlisted)
        self.to_read |= survey.read
        self._departures += survey.departures

    def failed_before(self, uuid: str) -> bool:
        """Whether not all of an event could be settled the last time."""
        event = self.surveyor.known.get(uuid)
        return event is not None and event.todo

    def read_for_names(self, events: Collection[str]) -> None:
        """Have events read again whose actors have another name now."""
        known = self.surveyor.known
        named = (known[uuid] for uuid in events if uuid in known)
        again = {event.uuid: replace(event, todo=True) for event in named if event.held_since is None}
        if again:
            self.surveyor = replace(self.surveyor, known={**known, **again})

    # -- events as they are read ----------------------------------------------------------------------

    def open(self, uuid: str) -> EventRecord | None:
        """Begin with an event that is read for this destination; return how it is recorded if it is new.

        What is sent of it must be found again, also when this run is cut off. It is heard with what the ledger knows
        of it now: what is to be heard again of it from here on, the next run reads.
        """
        self.report.events += 1
        self.beside.touch()
        self.context.unheard.discard(uuid)
        listed = self.to_read[uuid]
        if not listed or uuid in self.surveyor.known:
            return None
        return EventRecord(uuid, listed.timestamp, listed.published, listed.organisation, listed.listing, todo=True)

    def take(self, told: Told, plan: Plan) -> None:
        """Take what was decided on some of an event, which is in the ledger, and what is to be sent in its queue."""
        self.report.tell(told)
        self.context.queue.send(plan, in_line=True)

    def end(self, uuid: str, pointed: Pointed) -> None:
        """Take note that all of an event is decided; whether it is settled is known when Microsoft has answered."""
        self._decided.add(uuid)
        if pointed.techniques_left_out:
            self.report.context.left_out.append(uuid)
        if pointed.cut:
            self.report.context.cut.append(uuid)

    def close(self, event: EventSync, leaving: Leaving) -> bool:
        """Let go of what an event no longer wants, that was read to its end, if that may leave, and remember it.

        What may not leave is looked at again by the next run. Return whether attributes of other events are to be
        converted again.
        """
        context, others_change, pointed = self.context, False, event.pointed()
        context.ledger.keep_relations(pointed.new, pointed.gone if self.absence_counts else ())
        if self.absence_counts:
            kept: dict[str, Any] = {"attributes": leaving.rows, "no_attributes": {event.uuid: leaving.absent}}
            others_change = context.take_back(event.uuid, leaving.sources, leaving.reasons, **kept)
        context.ledger.keep(events=[event.record(context.full_run)])
        if self.absence_counts:
            self.end(event.uuid, pointed)
        return others_change

    def stumble(self, uuid: str, error: Exception) -> None:
        """Leave an event where it is: a fault of ours costs the event that it stumbles over, not the run."""
        logger.error(LOG_EVENT_ERROR.format(uuid, type(error).__name__), exc_info=error)
        self.report.faults.append(f"{uuid}: {type(error).__name__}: {error}")
        self.read_again(uuid)

    def not_read(self, uuid: str, words: str) -> None:
        """Name an event that could not be read; the next run reads it, whatever its row says."""
        if uuid in self.to_read:
            self.report.unread.append(f"{uuid}: {words}")
            self.read_again(uuid)

    def read_again(self, uuid: str) -> None:
        """Have the next run read an event again; how it was seen in this one is recorded all the same."""
        if uuid in self.to_read:
            self._failed.add(uuid)
            ledger = self.destination.ledger
            known = ledger.event(uuid) or EventRecord(uuid, 0, published=False)
            if row := self._rows.get(uuid):
                known = replace(known, timestamp=row.timestamp, published=row.published)
            ledger.keep(events=[replace(known, todo=True)])

    # -- when everything was read that could be -------------------------------------------------------

    def conclude(self) -> None:
        """Send and withdraw what is due.

        When MISP was given up before, what was decided by then is still carried out: nothing of an event leaves
        that was not read to its end. What leaves is decided first, so that nothing of it is sent any more.
        """
        leaving = self._decide_withdrawals()
        if not (self.options.uuid or self._narrowed):
            self._send_unsent()
            self._hand_over_what_expired()
        if self._surveyed and self.trusted and not self._narrowed:
            self._renew()
        self.context.queue.send_shared()
        self._withdraw(leaving)
        self._send_ends(leaving)
        self._concluded = True

    def _send_ends(self, going: Sequence[str]) -> None:
        """Send what indicators point to, and withdraw relationships that are wanted no more.

        ``going`` are the ids of the indicators that leave in this run.
        """
        sent = self.report.events + self.report.plans.total() + self.report.withdrawals.total()
        possible = self.destination.settings.may_have_context
        self._nothing_to_weave = not possible or (not sent and self.beside.in_step)
        if self._nothing_to_weave:
            return
        self.beside.send_ends()
        if self._beside_counts:
            unasked = self.beside.find_leaving(going)
            self.beside.withdraw_relationships(by_themselves=self._context_may_leave(unasked))

    def _context_may_leave(self, unasked: Unasked) -> bool:
        """Whether so much of what is no indicator may leave by itself; by the same numbers as for those."""
        count = unasked.kinds.total()
        reason = self.beside.limits(self.limits).refusal(count) if count else ""
        if reason:
            self.destination.refuse(reason, self.options, self.view, unasked.why)
            self.beside.refuse()
        return not reason

    def weave(self) -> None:
        """Send the relationships whose ends are at Microsoft, when all that was sent before has its answer."""
        if self._concluded and not self._nothing_to_weave:
            self.beside.weave(whole=self._beside_counts)

    @property
    def _beside_counts(self) -> bool:
        """Whether what stands beside indicators may leave: by what the ledger has, whatever a ``limit`` leaves out."""
        return self.trusted and not (self._blind or self.options.uuid)

    def finish(self, live: int, *, complete: bool) -> None:
        """Save what the next run goes by, once Microsoft has answered: how many objects are ``live`` then, too.

        ``complete``: nothing stopped the run.
        """
        ledger = self.destination.ledger
        ledger.settle_events(self._decided - self.context.unheard)
        missed = self._failed or self.report.misp_error or self._narrowed or self._blind
        whole = complete and not (missed or self.options.uuid)
        facts = self._facts_for_the_guards(live, all_seen=complete and not (missed or self._out_of_sight))
        if self._concluded and complete and self._beside_counts:
            facts = self.beside.noted(facts)
        ledger.save_facts(facts)
        self.beside.tell(self.wishes.context)
        if whole and self.surveyor.conditions.full_run and facts.full_begun:
            ledger.save_facts(
                replace(facts, full_at=facts.full_begun.at, full_begun=None, settings_fingerprint=self.fingerprint)
            )

    def _facts_for_the_guards(self, live: int, *, all_seen: bool) -> DestinationFacts:
        """Return what is known of the destination with what the guards of later runs go by.

        Who read by which filters is noted where nothing is open: what only a later run refuses may have come of it.
        """
        facts, now = self.destination.ledger.facts(), self._now
        facts = replace(facts, live_counts=with_count(facts.live_counts, now, live))
        if self.options.uuid or self.report.refusals or (facts.view and not all_seen):
            return facts
        return replace(facts, view=self.view, view_at=now)

    @property
    def _narrowed(self) -> bool:
        return self.destination.narrowed and not self.options.uuid

    @property
    def absence_counts(self) -> bool:
        """Whether what MISP does not show may leave: this MISP is the right one, and it showed all that it has."""
        return self.trusted and not (self._narrowed or self._blind)

    @property
    def _now(self) -> int:
        return self.surveyor.conditions.now

    def _send_unsent(self) -> None:
        """Send what an earlier run could not, of events that there was no reason to read."""
        ledger, queue = self.destination.ledger, self.context.queue
        for records in ledger.load_in_batches(queue.unsent):
            waiting = [record for record in records if record.stage == Stage.PENDING and not record.leaving]
            plan = Plan(again=[renewal(record, self._now, moves=False) for record in waiting])
            ledger.keep(objects=plan.kept)
            queue.send(plan)

    def _renew(self) -> None:
        """Send what is due again: expiries that move on, and what is to stay visible to rules that look back.

        Which events match the filters must be known of this run: what MISP did not show moves nothing on.
        """
        ledger, refresh_days = self.destination.ledger, self.destination.settings.refresh_days
        self._send_again(ledger.to_renew(self._now), moves=True)
        if refresh_days:
            self._send_again(ledger.to_refresh(self._now, self._now - refresh_days * DAY), moves=False)

    def _send_again(self, ids: Sequence[str], *, moves: bool) -> None:
        for records in self.destination.ledger.load_in_batches(ids):
            plan = Plan(renewed=[renewal(record, self._now, moves=moves) for record in records])
            self.destination.ledger.keep(objects=plan.kept)
            self.context.queue.send(plan)

    def _hand_over_what_expired(self) -> None:
        """Let the events that own what has expired go, where another event asks for the same, and not in the past."""
        for event, sources in self.context.planner.outlived().items():
            self.context.hear_again(sources)
            reasons = {source.attribute: Skip.EXPIRED.value for source in sources}
            self.context.take_back(event, sources, reasons)

    # -- withdrawals ----------------------------------------------------------------------------------

    def _decide_withdrawals(self) -> list[str]:
        """Let go of whole events, and return the ids to withdraw; none when it looks like a mistake.

        What was refused is decided again by each run, whether or not rows move, until somebody accepts it.
        """
        ledger, departing = self.destination.ledger, {departure.event.uuid for departure in self._departures}
        self._miss_what_is_ownerless()
        decided = self._decided | departing
        leaving = ledger.leaving_ids(self._now, decided)
        count = len(leaving) + ledger.live_of(departing, self._now)
        if (departing or count) and not self._may_withdraw(count):
            self._refuse(leaving)
            return []
        if departing or leaving:
            self.beside.touch()
        for departure in self._departures:
            self._let_event_go(departure)
        if not self.options.uuid and self.absence_counts:
            ledger.save_facts(replace(ledger.facts(), refused_events=()))
        return ledger.leaving_ids(self._now, decided)

    def _miss_what_is_ownerless(self) -> None:
        """Have leave what was let go of without a word to Microsoft, since by a clock that was ahead it had expired."""
        whole = not (self.options.uuid or self._failed or self.report.misp_error)
        if self.wishes.afresh and whole and self.absence_counts:
            ledger, reason = self.destination.ledger, WithdrawalReason.NOT_SHOWN
            ledger.keep(objects=[replace(record, leaving=reason) for record in ledger.ownerless(self._now)])

    def _may_withdraw(self, count: int) -> bool:
        if not self.absence_counts:  # MISP is not the one that the ledger knows, or did not list everything
            return False
        reason = self.limits.refusal(count)
        if reason:
            self.destination.refuse(reason, self.options, self.view)
        return not reason

    def _let_event_go(self, departure: Departure) -> None:
        """Write down that nothing of an event is wanted any more, and enqueue what changes by that."""
        context, event, row = self.context, departure.event, departure.row
        sources = context.ledger.sources_of_event(event.uuid)
        reasons = dict.fromkeys((source.attribute for source in sources), departure.reason)
        timestamp, published = (row.timestamp, row.published) if row else (event.timestamp, False)
        gone = replace(event, listed=False, held_since=None, todo=False, timestamp=timestamp, published=published)
        attributes = {event.uuid: list(context.ledger.attributes(event.uuid))}
        context.take_back(event.uuid, sources, reasons, events=[gone], no_attributes=attributes)
        context.ledger.keep_relations((), ContextLedger(context.ledger).relations_of_event(event.uuid))

    def _refuse(self, leaving: Sequence[str]) -> None:
        """Withdraw nothing; have what was to go looked at again, and not renewed meanwhile."""
        ledger = self.destination.ledger
        for records in ledger.load_in_batches(leaving):
            for record in records:
                self.report.say(f"refused: withdraw {record.id} {record.pattern} ({record.leaving})")
        for departure in self._departures:
            self.report.say(f"refused: withdraw all of event {departure.event.uuid} ({departure.reason})")
        ledger.keep(events=[replace(departure.event, listed=False) for departure in self._departures])
        if not self.options.uuid:
            refused = tuple(sorted(departure.event.uuid for departure in self._departures))
            ledger.save_facts(replace(ledger.facts(), refused_events=refused))

    def _withdraw(self, leaving: Sequence[str]) -> None:
        """Send withdrawals; those that had no answer are repeated, whatever else may be withdrawn."""
        ledger, whole = self.destination.ledger, not (self.options.uuid or self._narrowed)
        unanswered = ledger.unanswered_withdrawals(self._now) if whole else []
        for records in ledger.load_in_batches(dict.fromkeys([*leaving, *unanswered])):
            self.context.queue.withdraw(records)
