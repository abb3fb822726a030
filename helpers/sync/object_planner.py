"""Which objects sources ask for, and what becomes of objects at one destination. Reads the ledger only."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from constants import WithdrawalReason
from helpers.indicators import ConversionRules, Indicator, PreparedAttribute, seconds
from helpers.ledger import Ledger, ObjectRecord, RetryPolicy, Source, unpacked
from helpers.sync.ownership import (
    Claim,
    DesiredObject,
    Life,
    Succession,
    attribute_key,
    by_key,
    claim,
    contribution,
    desired_by_all,
    desired_by_one,
    is_shared,
    outlived,
    shared_id,
    succession,
    value_key,
    without_contribution,
)
from helpers.sync.plan import Cause, Plan, decide_objects, lives_to_begin

Wanted = Mapping[Source, tuple[PreparedAttribute, Indicator]]
DesiredObjects = Mapping[str, DesiredObject]


@dataclass(frozen=True)
class ObjectWishes:
    """Says which object an attribute has a part in, and what sources ask for of objects. Pure.

    ``shared`` says that attributes of the same value have one object together (``deduplicate = "value"``). By
    ``policy`` it is decided which of Microsoft's answers stand.
    """

    rules: ConversionRules
    policy: RetryPolicy
    shared: bool

    def key(self, attribute: str, indicator: Indicator) -> str:
        """Return what the object stands for that an indicator of an attribute, by its UUID, has a part in."""
        return value_key(indicator) if self.shared else attribute_key(indicator, attribute)

    def source(self, event: str, attribute: PreparedAttribute, indicator: Indicator) -> Source:
        """Return an attribute's part in the object that one of its indicators stands for."""
        source = Source(self.key(attribute.uuid, indicator), event, attribute.uuid)
        return contribution(source, indicator, self.lifetime(attribute, indicator)) if self.shared else source

    def first_id(self, indicator: Indicator) -> str:
        """Return the STIX id of the first life of what an indicator stands for."""
        return shared_id(indicator["pattern"]) if self.shared else str(indicator["id"])

    def lifetime(self, attribute: PreparedAttribute, indicator: Indicator) -> int:
        """Return for how many seconds from the run's time an indicator is valid; 0 where its end is fixed."""
        if not self.rules.expiry_moves(attribute.raw):
            return 0
        return seconds(indicator["valid_until"]) - seconds(indicator["modified"])

    def claim(self, event: str, wanted: Wanted, sources: Iterable[Source]) -> Claim:
        """Return what an event may claim of the objects that it wants a part in; ``sources`` are all that they have.

        What it asks for is kept only where somebody else has a part too: else the object itself says it.
        """
        if self.shared:
            return Claim(list(wanted))
        others = [source for source in sources if source.event != event]
        contested = {other.key for other in others}
        parts = [
            contribution(source, indicator, self.lifetime(attribute, indicator)) if source.key in contested else source
            for source, (attribute, indicator) in wanted.items()
        ]
        return claim(parts, others)

    def desired(self, wanted: Wanted, sources: Iterable[Source], theirs: Container[str] = ()) -> DesiredObjects:
        """Return the objects that an event asks for, by key; ``theirs`` are the keys of those that another one owns.

        Where attributes share objects, it is what all of their ``sources`` ask for together, those of other events too.
        """
        if self.shared:
            parts = {without_contribution(source): source for source in (*sources, *wanted)}
            return desired_by_sources(parts.values())
        alone = [
            desired_by_one(source, indicator, self.lifetime(attribute, indicator))
            for source, (attribute, indicator) in wanted.items()
        ]
        return {one.key: replace(one, owned=False) if one.key in theirs else one for one in alone}


@dataclass(frozen=True)
class ObjectPlanner:
    """Plans what becomes of objects at one destination, by what is wished there and what its ledger has."""

    wishes: ObjectWishes
    ledger: Ledger

    @property
    def policy(self) -> RetryPolicy:
        """By which it is decided which of Microsoft's answers stand."""
        return self.wishes.policy

    def plan(
        self,
        desired: Mapping[str, DesiredObject],
        unwanted: Mapping[str, Cause],
        *,
        event: str,
        in_window: bool,
    ) -> Plan:
        """Decide on objects by an event; ``in_window``: the site's filters find it, time windows included."""
        known = self.ledger.objects([*desired, *unwanted])
        taken = self._taken(desired, known)
        return decide_objects(desired, unwanted, known, taken, self.policy, in_window=in_window, event=event)

    def _taken(self, desired: Mapping[str, DesiredObject], known: Sequence[ObjectRecord]) -> set[str]:
        """Return those ids of lives to begin that the ledger has, until each object has one that it does not have.

        Twice as many are looked up each time, so that it ends soon for somebody who has taken many on purpose.
        """
        asked, taken, ahead = set[str](), set[str](), 1
        while True:
            begun = lives_to_begin(desired, known, taken)
            candidates = [(desired[key], life) for key, life in begun.items() if life.id not in asked]
            if not candidates:
                return taken
            ids = {life.id for wanted, first in candidates for life in _in_a_row(wanted, first, ahead)} - asked
            taken |= self.ledger.known_ids(ids)
            asked |= ids
            ahead *= 2

    def plan_without(
        self, event: str, sources: Sequence[Source], reasons: Mapping[str, str]
    ) -> tuple[Plan, Sequence[Source]]:
        """Decide on the objects of sources that an event takes back: one without any other source leaves.

        ``reasons`` says why, by attribute; an attribute without one is not shown by MISP any more. Return also the
        sources that own objects now, and of which it is not known what they ask for.
        """
        left = self._without(sources)
        unwanted = {
            source.key: Cause(reasons.get(source.attribute, WithdrawalReason.NOT_SHOWN), event)
            for source in sources
            if source.key in left.unwanted
        }
        return self.plan(left.desired, unwanted, event=event, in_window=False), left.unheard

    def outlived(self) -> dict[str, list[Source]]:
        """Return the sources that own what has expired, where another event's would be valid still, by event."""
        of_events: dict[str, list[Source]] = {}
        expired = self.ledger.contested_and_expired(self.policy.now)
        for source in outlived(self.ledger.sources(expired), self._end_of, self.policy.now):
            of_events.setdefault(source.event, []).append(source)
        return of_events

    def _without(self, sources: Sequence[Source]) -> Succession:
        """Decide what the objects of sources are without these."""
        gone = {without_contribution(source) for source in sources}
        all_sources = self.ledger.sources({source.key for source in sources})
        if not self.wishes.shared:
            return succession(all_sources, gone, self._end_of, self.policy.now)
        staying = [source for source in all_sources if without_contribution(source) not in gone]
        unwanted = {source.key for source in sources} - {source.key for source in staying}
        return Succession(desired_by_sources(source for source in staying if is_shared(source.key)), unwanted)

    def _end_of(self, source: Source) -> int:
        """Return until when, in seconds since 1970, what a source asks for is valid, or would be renewed to be."""
        part, event = unpacked(source.contribution), self.ledger.event(source.event)
        if part["lifetime"] and event and event.listed and event.held_since is None:
            return self.policy.now + int(part["lifetime"])
        return seconds(part["indicator"]["valid_until"])


def _in_a_row(wanted: DesiredObject, first: Life, number: int) -> Iterable[Life]:
    """Return so many lives of an object, from one on."""
    return islice(wanted.lives_after(first.number - 1), number)


def desired_by_sources(sources: Iterable[Source]) -> dict[str, DesiredObject]:
    """Return what all the sources of objects ask for together, by key."""
    return {key: desired_by_all(key, of_key) for key, of_key in by_key(sources).items()}
