"""What one destination does about each event that MISP lists, or that its ledger knows: before any is read.

The rules are in ``event_selection.py``. A survey has two steps: by the listing and the index, and, for events that are
in neither, by what MISP answers about their UUIDs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from helpers.ledger import EventRecord, Ledger, RetryPolicy
from helpers.misp import ListedEvent
from helpers.sync.event_selection import (
    Action,
    Decision,
    RunConditions,
    decide_event,
    decide_not_listed,
    moved,
)

# Decides on an event, where it is told whether anything of it may be live.
Decide = Callable[[str, Callable[[], bool]], Decision]


@dataclass(frozen=True)
class Departure:
    """An event that is let go of as a whole: how it was last known, its row now where it has one, and why it goes."""

    event: EventRecord
    row: ListedEvent | None
    reason: str


@dataclass
class Survey:
    """What a destination does about events.

    ``read`` has those to be read, by UUID, with their row where the site's filters find them, time windows included;
    ``ask`` those that MISP is to be asked for; ``held`` and ``unlisted`` how those are recorded from now on;
    ``departures`` those that it lets go of.
    """

    read: dict[str, ListedEvent | None] = field(default_factory=dict)
    ask: list[str] = field(default_factory=list)
    held: list[EventRecord] = field(default_factory=list)
    unlisted: list[EventRecord] = field(default_factory=list)
    departures: list[Departure] = field(default_factory=list)


@dataclass
class Surveyor:
    """Surveys events for one destination.

    ``known`` are the events of the ledger by UUID, ``refused`` those of which withdrawals were refused before;
    ``narrowed``: the site reads some of its events only (a ``limit`` in misp_event_filters), so that what is not
    listed means nothing.
    """

    ledger: Ledger
    known: Mapping[str, EventRecord]
    conditions: RunConditions
    policy: RetryPolicy
    refused: Sequence[str]
    narrowed: bool
    # Of which events it mattered whether anything may be live, and whether it may.
    _doubts: dict[str, bool] = field(init=False, default_factory=dict)

    def by_listing(self, index: Mapping[str, ListedEvent], listed: Mapping[str, ListedEvent]) -> Survey:
        """Decide on every event known or listed, by MISP's index and by its listing under the site's filters."""
        # Where the site reads some of its events only, that one is not among them says nothing about it.
        surveyed = listed.keys() if self.narrowed else self.known.keys() | listed.keys()
        decisions = self._decisions(
            sorted(surveyed), lambda uuid, live: self._decide(uuid, index.get(uuid), listed.get(uuid), live)
        )
        survey = self._held_and_departing(decisions, index)
        to_read = [uuid for uuid, decision in decisions.items() if decision.action in (Action.READ, Action.ASK)]
        survey.read = {uuid: listed[uuid] for uuid in to_read if uuid in listed}
        survey.ask = [uuid for uuid in to_read if uuid not in listed]
        return survey

    def by_answers(
        self, asked: Sequence[str], found: Mapping[str, ListedEvent], existing: Mapping[str, ListedEvent]
    ) -> Survey:
        """Decide on events that were not listed: ``found`` without the time windows, or just ``existing``."""
        decisions = self._decisions(
            [uuid for uuid in asked if uuid not in found],
            lambda uuid, live: decide_not_listed(self.known[uuid], existing.get(uuid), self.conditions, live),
        )
        survey = self._held_and_departing(decisions, existing)
        events = [self.known[uuid] for uuid in asked if uuid in found]
        survey.unlisted = [replace(event, listed=False) for event in events if event.listed]
        survey.read = {event.uuid: None for event in events if self._is_to_be_read(event, found[event.uuid])}
        return survey

    def decides_like(self, other: Surveyor) -> bool:
        """Whether another surveyor decides the same about every event by a listing; it has done so before."""
        same = self.known is other.known and (self.conditions, self.narrowed) == (other.conditions, other.narrowed)
        if not (same and self._to_read_again == other._to_read_again):
            return False
        return self._with_objects(other._doubts) == other._doubts

    def _decisions(self, events: Sequence[str], decide: Decide) -> dict[str, Decision]:
        """Decide on events; the ledger is asked at once for all of which it matters whether anything is live."""
        in_doubt: list[str] = []

        def not_known_yet(uuid: str) -> bool:
            in_doubt.append(uuid)
            return False

        decisions = {uuid: decide(uuid, partial(not_known_yet, uuid)) for uuid in events}
        self._doubts |= self._with_objects(in_doubt)
        return decisions | {uuid: decide(uuid, partial(self._doubts.__getitem__, uuid)) for uuid in in_doubt}

    def _with_objects(self, events: Collection[str]) -> dict[str, bool]:
        """Say of each event whether anything of it may be live."""
        if not events:
            return {}
        live = self.ledger.events_with_live_objects(events, self.conditions.now) | self._let_go
        return {uuid: uuid in live for uuid in events}

    def _decide(
        self, uuid: str, indexed: ListedEvent | None, listed: ListedEvent | None, has_objects: Callable[[], bool]
    ) -> Decision:
        event = self.known.get(uuid)
        if event and uuid in self._to_read_again:
            event = replace(event, todo=True)
        return decide_event(event, indexed, listed, self.conditions, has_objects)

    def _is_to_be_read(self, event: EventRecord, row: ListedEvent) -> bool:
        """Whether something is to be read of an event that only left the time window, or the index."""
        unfinished = event.todo or event.held_since is not None or event.uuid in self._to_read_again
        return unfinished or self.conditions.not_read_in_full_run(event) or moved(event, row)

    def _held_and_departing(self, decisions: Mapping[str, Decision], rows: Mapping[str, ListedEvent]) -> Survey:
        """Return what is held and what is let go of."""
        survey = Survey()
        for uuid, decision in decisions.items():
            if decision.action is Action.HOLD:
                survey.held.append(replace(self.known[uuid], held_since=decision.held_since))
            elif decision.action is Action.LET_GO:
                survey.departures.append(Departure(self.known[uuid], rows.get(uuid), decision.reason))
        return survey

    @cached_property
    def _let_go(self) -> set[str]:
        """Events of which withdrawals wait."""
        return self.ledger.events_that_let_go(self.conditions.now)

    @cached_property
    def _to_read_again(self) -> set[str]:
        """Events to be read whatever their rows say: withdrawals wait, or rejections are tried again."""
        return {*self.refused} | self._let_go | self.ledger.events_with_rejected_objects(self.policy)


@dataclass
class Surveys:
    """The surveys of several destinations by one listing and one index, made once for those that decide the same."""

    index: Mapping[str, ListedEvent]
    listed: Mapping[str, ListedEvent]
    _made: list[tuple[Surveyor, Survey]] = field(default_factory=list)

    @cached_property
    def rows(self) -> Mapping[str, ListedEvent]:
        """How MISP shows events, as the index has them where it does."""
        return {**self.listed, **self.index}

    def by_listing(self, surveyor: Surveyor) -> Survey:
        """Return what a destination does about every event known or listed."""
        for other, survey in self._made:
            if surveyor.decides_like(other):
                return survey
        survey = surveyor.by_listing(self.index, self.listed)
        self._made.append((surveyor, survey))
        return survey
