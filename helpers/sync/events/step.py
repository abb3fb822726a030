"""A step of an event on its way into ledgers: what was decided on some of its attributes, and what that comes to. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property

from helpers.ledger import EventRecord, Ledger, ObjectRecord, Source
from helpers.sync.events.event_sync import Decided
from helpers.sync.events.group import Group
from helpers.sync.ownership import Claim
from helpers.sync.plan import Plan, decide_objects, lives_to_begin


@dataclass(frozen=True, eq=False)
class Step:
    """What the destinations of a group decided on some attributes of one event, or that it begins, or ``ends``.

    ``records`` is how the event is to be recorded, by ledger, where that is to be written.
    """

    group: Group
    decided: Decided = field(default_factory=Decided)
    records: Mapping[Ledger, EventRecord] = field(default_factory=dict)
    ends: bool = False

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

    sources: tuple[Source, ...] = ()
    objects: tuple[ObjectRecord, ...] = ()
    taken: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        step: Step,
        sources: Mapping[str, Sequence[Source]],
        objects: Mapping[str, Sequence[ObjectRecord]],
        taken: frozenset[str],
    ) -> Found:
        """Pick what a step is about."""
        if not (sources or objects or taken):
            return _NOTHING
        of_keys = tuple(source for key in step.keys for source in sources.get(key, ()))
        lives = tuple(record for key in step.keys for record in objects.get(key, ()))
        return cls(of_keys, lives, taken & step.first_ids)


_NOTHING = Found()


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
    plan = decide_objects(
        desired, {}, found.objects, found.taken, wishes.policy, in_window=in_window, event=event.uuid
    )
    return claim, plan
