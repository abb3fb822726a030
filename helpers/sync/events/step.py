"""A step of an event on its way into ledgers: some of its attributes, and what becomes of their objects. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property

from helpers.ledger import EventRecord, Ledger, ObjectRecord, Source
from helpers.sync.events.event_sync import Decided, Pointed
from helpers.sync.events.group import Group
from helpers.sync.ownership import Claim
from helpers.sync.plan import Plan, decide_wanted, lives_to_begin


@dataclass(frozen=True, eq=False)
class Step:
    """What the destinations of a group decided on some attributes of one event, or that it begins, or ``ends``.

    ``records`` is how the event is to be recorded, by ledger, where that is to be written, ``pointed`` what its
    indicators point to from now on.
    """

    group: Group
    decided: Decided = field(default_factory=Decided)
    records: Mapping[Ledger, EventRecord] = field(default_factory=dict)
    ends: bool = False
    pointed: Pointed = field(default_factory=Pointed)

    def __bool__(self) -> bool:
        """Whether anything comes of it."""
        return bool(self.decided or self.records or self.ends or self.pointed)

    @cached_property
    def keys(self) -> frozenset[str]:
        """What the objects stand for that it wants."""
        return frozenset(source.key for source in self.decided.wanted)

    @cached_property
    def first_ids(self) -> frozenset[str]:
        """The ids that these objects have in their first life."""
        first_id = self.group.event.wishes.objects.first_id
        return frozenset(first_id(indicator) for _, indicator in self.decided.wanted.values())

    def shares(self, keys: AbstractSet[str], ids: AbstractSet[str]) -> bool:
        """Whether some of its objects, or of their ids, are among these."""
        return not (self.keys.isdisjoint(keys) and self.first_ids.isdisjoint(ids))


@dataclass(frozen=True)
class Found:
    """What a ledger has of the objects that a step wants: their sources, every life, and which first ids it knows."""

    sources: Sequence[Source] = ()
    objects: Sequence[ObjectRecord] = ()
    taken: AbstractSet[str] = frozenset()


@dataclass(frozen=True)
class LedgerView:
    """What one ledger has of the objects of several steps: their sources and lives by key, and which ids it knows.

    Ledgers that have the same are given the same objects, so that they are compared by these.
    """

    sources: Mapping[str, Sequence[Source]]
    objects: Mapping[str, Sequence[ObjectRecord]]
    taken: AbstractSet[str]

    def same_for(self, step: Step) -> Hashable:
        """Return what is the same for ledgers that have the same of a step."""
        if not (self.sources or self.objects or self.taken):
            return None
        of_keys = [id(of_key) for key in step.keys for of_key in (self.sources.get(key), self.objects.get(key))]
        return tuple(of_keys), frozenset(self.taken & step.first_ids)

    def found(self, step: Step) -> Found:
        """Return what the ledger has of a step."""
        return Found(
            [source for key in step.keys for source in self.sources.get(key, ())],
            [record for key in step.keys for record in self.objects.get(key, ())],
            self.taken & step.first_ids,
        )


def decide(step: Step, found: Found) -> tuple[Claim, Plan] | None:
    """Return what a step claims of objects, and what becomes of them; None where more ids have to be looked up."""
    event, wanted = step.group.event, step.decided.wanted
    wishes = event.wishes.objects
    claim = wishes.claim(event.uuid, wanted, found.sources)
    desired = wishes.desired(wanted, found.sources, claim.theirs)
    begun = lives_to_begin(desired, found.objects, found.taken)
    if any(life.id not in step.first_ids for life in begun.values()):
        return None
    in_window = event.listed is not None
    return claim, decide_wanted(desired, found.objects, begun, wishes.policy, in_window=in_window, event=event.uuid)
