"""What leaves although no indicator does, and nobody has accepted: how much of what, why, and what goes along. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from constants import WithdrawalReason
from helpers.context import Kind, kinds_in_words
from helpers.ledger import ObjectRecord
from helpers.sync.context.desired import Ends
from helpers.sync.context.weaving import EndsView, Scope

# So many relationships are listed; all of them are counted.
MOST_LISTED = 5000
_LOOK = "look at MISP, and at context_private."


@dataclass
class Unasked:
    """Relationships that leave by themselves, and the actors and techniques that leave with them.

    ``reasons`` counts all of it by kind, for each reason; ``relationships`` are the first of them, ``ends`` the actors
    and techniques, each with its reason.
    """

    reasons: dict[str, Counter[Kind]] = field(default_factory=dict)
    relationships: list[ObjectRecord] = field(default_factory=list)
    ends: list[ObjectRecord] = field(default_factory=list)
    _named: set[str] = field(default_factory=set)

    def add(self, record: ObjectRecord) -> None:
        """Take a relationship, with the reason for which it leaves."""
        self._count(record)
        if len(self.relationships) < MOST_LISTED:
            self.relationships.append(record)
        self._named |= set(Ends.of_key(record.key)[1:])

    def take_ends_along(self, ends: EndsView, scope: Scope) -> None:
        """Take the ends of these relationships that leave for a reason of their own."""
        for uuid, record in ends.current.items():
            reason = scope.why_not(record.kind, uuid)
            if reason and record.id in self._named and record.live and not record.leaving:
                self.ends.append(replace(record, leaving=reason))
                self._count(self.ends[-1])

    def _count(self, record: ObjectRecord) -> None:
        self.reasons.setdefault(record.leaving, Counter())[record.kind] += 1

    @property
    def kinds(self) -> Counter[Kind]:
        """How many there are of each kind."""
        return sum(self.reasons.values(), Counter[Kind]())

    @property
    def why(self) -> str:
        """Say how many of each kind leave for which reason, and where to look."""
        told = "; ".join(f"{kinds_in_words(kinds)}, since {reason}" for reason, kinds in self.reasons.items())
        return f"{told}: {_LOOK}" if WithdrawalReason.CLUSTER_GONE in self.reasons else f"{told}."
