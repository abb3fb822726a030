"""What the next run does about events, at one destination of the settings: decided as the run itself decides it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from helpers.commands.explain.state import NextRun
from helpers.indicators import DAY
from helpers.ledger import EventRecord, Ledger, LedgerDestination, RetryPolicy
from helpers.microsoft import api_for
from helpers.misp import ListedEvent
from helpers.settings import Settings
from helpers.sync import RunConditions, Surveyor, needs_published, number_of_full_run, settings_fingerprint


@dataclass(frozen=True)
class ShownEvents:
    """Events as MISP shows them now, by UUID.

    ``existing`` are those that it shows at all, ``found`` those that the filters find with their time windows set
    aside, ``listed`` those that they find.
    """

    existing: Mapping[str, ListedEvent] = field(default_factory=dict)
    found: Mapping[str, ListedEvent] = field(default_factory=dict)
    listed: Mapping[str, ListedEvent] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """One destination of the settings; ``ledger`` is None where no run has been there. ``now``: seconds since 1970."""

    settings: Settings
    ledger: Ledger | None
    now: int

    @property
    def name(self) -> dict[str, str]:
        """What it is called in an answer."""
        settings = self.settings
        return {"workspace": settings.workspace_key, "sourcesystem": settings.sourcesystem, "name": settings.name}

    def known(self, events: Iterable[str]) -> dict[str, EventRecord]:
        """Return those of some events that a run has read for this destination."""
        if self.ledger is None:
            return {}
        rows = map(self.ledger.event, events)
        return {event.uuid: event for event in rows if event}

    def next_run(self, shown: ShownEvents) -> dict[str, NextRun]:
        """Return what the next run does about events that MISP shows."""
        if self.ledger is None:
            return {uuid: NextRun.READS if uuid in shown.listed else NextRun.PASSES_OVER for uuid in shown.existing}
        surveyor = self._surveyor(self.ledger, shown)
        survey = surveyor.by_listing(shown.existing, shown.listed)
        answers = surveyor.by_answers(survey.ask, shown.found, shown.existing)
        done = dict.fromkeys(shown.existing, NextRun.PASSES_OVER)
        done |= {uuid: NextRun.READS for uuid in (*survey.read, *answers.read) if uuid in done}
        done |= {event.uuid: NextRun.HOLDS for event in survey.held + answers.held}
        departures = survey.departures + answers.departures
        return done | {departure.event.uuid: NextRun.LETS_GO for departure in departures}

    def _surveyor(self, ledger: Ledger, shown: ShownEvents) -> Surveyor:
        settings, facts = self.settings, ledger.facts()
        conditions = RunConditions(
            now=self.now,
            full_run=self._full_run,
            needs_published=needs_published(settings.misp_event_filters),
            grace=settings.unpublished_grace_days * DAY,
        )
        policy = RetryPolicy(self.now, program=api_for(settings).program)
        return Surveyor(ledger, self.known(shown.existing), conditions, policy, facts.refused_events, narrowed=False)

    @cached_property
    def _full_run(self) -> int:
        """The number of the full run that the next run is; 0 where it is none."""
        facts = self.ledger.facts() if self.ledger else None
        if facts is None:
            return 0
        span = self.settings.full_sync_days * DAY
        due = number_of_full_run(facts, settings_fingerprint(self.settings), self.now, span)
        return due or (facts.full_run if facts.full_begun else 0)


def places_of(settings: Settings, in_ledger: Iterable[LedgerDestination], now: int) -> list[Place]:
    """Return every destination of the settings, with its part of the ledger; ``now`` in seconds since 1970."""
    ledgers = {(known.workspace, known.sourcesystem): known.ledger for known in in_ledger}
    return [
        Place(destination, ledgers.get((destination.workspace_key, destination.sourcesystem)), now)
        for destination in settings.destinations()
    ]
