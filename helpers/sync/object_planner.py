"""Plans objects for one destination, by what is wanted and what its ledger has of them. Reads the ledger only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from constants import WithdrawalReason
from helpers.indicators import ConversionRules, Indicator, PreparedAttribute, seconds
from helpers.ledger import Ledger, ObjectRecord, RetryPolicy, Source
from helpers.sync.plan import (
    Cause,
    DesiredObject,
    Life,
    Plan,
    attribute_key,
    contribution,
    decide_objects,
    desired_by_all,
    desired_by_one,
    lives_to_begin,
    value_key,
)


@dataclass(frozen=True)
class ObjectPlanner:
    """Says which object an attribute has a part in, and what becomes of objects.

    ``shared`` says that attributes of the same value have one object together (``deduplicate = "value"``).
    """

    rules: ConversionRules
    ledger: Ledger
    policy: RetryPolicy
    shared: bool

    def source(self, event: str, attribute: PreparedAttribute, indicator: Indicator) -> Source:
        """Return an attribute's part in the object that one of its indicators stands for."""
        if not self.shared:
            return Source(attribute_key(indicator, attribute.uuid), event, attribute.uuid)
        lifetime = self.lifetime(attribute, indicator)
        return contribution(value_key(indicator), event, attribute.uuid, indicator, lifetime)

    def lifetime(self, attribute: PreparedAttribute, indicator: Indicator) -> int:
        """Return for how many seconds from the run's time an indicator is valid; 0 where its end is fixed."""
        if not self.rules.expiry_moves(attribute.raw):
            return 0
        return seconds(indicator["valid_until"]) - seconds(indicator["modified"])

    def desired(self, wanted: Mapping[Source, tuple[PreparedAttribute, Indicator]]) -> dict[str, DesiredObject]:
        """Return the objects that sources ask for, by key; the ledger has the sources already.

        Where attributes share objects, it is what all of their sources ask for together, those of other events too.
        """
        if self.shared:
            return desired_by_sources(self.ledger.sources({source.key for source in wanted}))
        return {
            source.key: desired_by_one(source, indicator, self.lifetime(attribute, indicator))
            for source, (attribute, indicator) in wanted.items()
        }

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

    def plan_without(self, event: str, sources: Sequence[Source], reasons: Mapping[str, str]) -> Plan:
        """Decide on the objects of sources that an event takes back: one without any other source leaves.

        ``reasons`` says why, by attribute; an attribute without one is not shown by MISP any more.
        """
        taken_back = {replace(source, contribution=b"") for source in sources}
        all_sources = self.ledger.sources({source.key for source in sources})
        staying = [source for source in all_sources if replace(source, contribution=b"") not in taken_back]
        still_wanted = {source.key for source in staying}
        unwanted = {
            source.key: Cause(reasons.get(source.attribute, WithdrawalReason.NOT_SHOWN), event)
            for source in sources
            if source.key not in still_wanted
        }
        desired = desired_by_sources(staying) if self.shared else {}
        return self.plan(desired, unwanted, event=event, in_window=False)


def _in_a_row(wanted: DesiredObject, first: Life, number: int) -> Iterable[Life]:
    """Return so many lives of an object, from one on."""
    return islice(wanted.lives_after(first.number - 1), number)


def desired_by_sources(sources: Iterable[Source]) -> dict[str, DesiredObject]:
    """Return what all the sources of objects ask for together, by key."""
    by_key: dict[str, list[Source]] = {}
    for source in sources:
        by_key.setdefault(source.key, []).append(source)
    return {key: desired_by_all(key, of_key) for key, of_key in by_key.items()}
