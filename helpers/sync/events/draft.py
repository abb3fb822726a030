"""What was decided on events, until it is written down: planned for all destinations, and kept in one transaction.

Intent comes before action: nothing is handed to an upload before the transaction that has it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property

from helpers.errors import LedgerError, TimeUp
from helpers.ledger import EventRecord, Ledger, ObjectRecord, Together, Writing
from helpers.sync.destination import DestinationSync
from helpers.sync.events.group import Group
from helpers.sync.events.known import KnownEvents
from helpers.sync.events.step import Found, LedgerView, Step, decide
from helpers.sync.ownership import Claim
from helpers.sync.plan import Plan

# UUIDs and hashes go all over the ledger's indexes, and a page of one is written once for each transaction: in a first
# run over 60,000 indicators of published events, a third fewer writes than with transactions of 500.
MOST_OBJECTS = 2000
# So many events in which nothing is new are one transaction as well.
MOST_STEPS = 200

Guard = Callable[[Group, Sequence[DestinationSync]], AbstractContextManager[None]]


@dataclass(frozen=True)
class Planned:
    """What becomes of a step at destinations whose ledgers have the same of its objects."""

    step: Step
    members: Sequence[DestinationSync]
    claim: Claim
    plan: Plan

    @cached_property
    def kept(self) -> list[ObjectRecord]:
        """The objects that are to be written down."""
        return self.plan.kept

    @cached_property
    def forgotten(self) -> list[str]:
        """The ids of the objects that go."""
        return [record.id for record in self.plan.forget]

    @cached_property
    def due(self) -> list[str]:
        """The ids of the objects that go out now; what events share goes out at the end of the run."""
        return [] if self.step.group.event.wishes.objects.shared else [record.id for record in self.plan.send]

    @property
    def still_members(self) -> list[DestinationSync]:
        """Those that have not stumbled over the event since."""
        return [member for member in self.members if member in self.step.group.members]

    @property
    def begins_later_lives(self) -> bool:
        """Whether an object gets an id that nobody looked up for the steps that follow."""
        return any(record.id not in self.step.first_ids for record in self.plan.new)


@dataclass
class Draft:
    """Takes what was decided on events, in their order, and writes it down, some thousands of attributes at once.

    ``guard`` lets a fault of ours in an event cost that event alone, at the destinations that it is given.
    """

    together: Together
    known: KnownEvents
    guard: Guard
    _steps: list[Step] = field(default_factory=list)
    _keys: set[str] = field(default_factory=set)
    _ids: set[str] = field(default_factory=set)
    _ended: set[str] = field(default_factory=set)

    def add(self, step: Step) -> None:
        """Take a step; one that shares objects with an earlier one is planned when that one is written down."""
        if not step:
            return
        if step.group.uuid in self._ended or step.shares(self._keys, self._ids):
            self.write()
        self._steps.append(step)
        self._keys |= step.keys
        self._ids |= step.first_ids
        self._ended |= {step.group.uuid} if step.ends else set()
        if len(self._keys) >= MOST_OBJECTS or len(self._steps) >= MOST_STEPS:
            self.write()

    def write(self) -> None:
        """Plan and write down everything, then hand over what is to be sent."""
        steps: Sequence[Step] = self._steps
        self._steps, self._keys, self._ids, self._ended = [], set(), set(), set()
        while steps:
            planned, steps = self._plan_together(steps)
            try:
                self._keep(planned)
            except (LedgerError, TimeUp):
                raise
            except Exception as error:
                self._keep_singly(planned, error)

    # -- planning -------------------------------------------------------------------------------------

    def _plan_together(self, steps: Sequence[Step]) -> tuple[list[Planned], Sequence[Step]]:
        """Plan steps by one look into the ledgers; return also those that need another one, after these are kept."""
        planned: list[Planned] = []
        views = self._look_up(steps)
        for number, step in enumerate(steps):
            of_step = list(self._plan(step, views, first=not number))
            if None in of_step:
                return planned, steps[number:]
            planned += filter(None, of_step)
            if any(one.begins_later_lives for one in filter(None, of_step)):
                return planned, steps[number + 1 :]
        return planned, []

    def _look_up(self, steps: Iterable[Step]) -> Mapping[Ledger, LedgerView]:
        """Ask what the ledgers have of the objects that steps want."""
        keys = {key for step in steps for key in step.keys}
        if not keys:
            return {}
        sources, objects = self.together.sources(keys), self.together.objects(keys)
        taken = self.together.known_ids({id_ for step in steps for id_ in step.first_ids})
        return {ledger: LedgerView(sources[ledger], objects[ledger], taken[ledger]) for ledger in taken}

    def _plan(self, step: Step, views: Mapping[Ledger, LedgerView], *, first: bool) -> Iterator[Planned | None]:
        """Plan a step at each destination, once for those whose ledgers have the same of it.

        None: ids have to be looked up for it, which only the ``first`` step may do, since nothing waits before it.
        """
        for found, members in _alike(step, views):
            with self.guard(step.group, members):
                decided = decide(step, found)
                if decided:
                    yield Planned(step, members, *decided)
                elif first:
                    yield from _by_themselves(step, found, members)
                else:
                    yield None

    # -- writing --------------------------------------------------------------------------------------

    def _keep(self, planned: Sequence[Planned]) -> None:
        """Keep all of it in one transaction, then tell the reports, and the uploads what waits for them."""
        self._hear_again(planned)
        self.together.keep(_writings(planned))
        for one in planned:
            for member in one.still_members:
                with self.guard(one.step.group, [member]):
                    member.take(one.step.decided.told, one.plan)
                    if one.step.ends:
                        member.end(one.step.group.uuid, one.step.pointed)

    def _hear_again(self, planned: Sequence[Planned]) -> None:
        for one in planned:
            for member in one.still_members if one.claim.unheard else ():
                member.context.hear_again(one.claim.unheard)
                self.known.forget()

    def _keep_singly(self, planned: Sequence[Planned], error: Exception) -> None:
        """Let a row that is not taken, or a fault of ours in writing it, cost its event, and the others nothing."""
        for one in planned:
            with self.guard(one.step.group, one.still_members):
                if len(planned) == 1:
                    raise error
                self._keep([one])


def _alike(step: Step, views: Mapping[Ledger, LedgerView]) -> list[tuple[Found, list[DestinationSync]]]:
    """Return what ledgers have of a step, each with the destinations of which that holds."""
    if not step.keys:
        return [(Found(), step.group.members)]
    alike: dict[Hashable, list[DestinationSync]] = {}
    for member in step.group.members:
        alike.setdefault(views[member.destination.ledger].same_for(step), []).append(member)
    return [(views[members[0].destination.ledger].found(step), members) for members in alike.values()]


def _by_themselves(step: Step, found: Found, members: Iterable[DestinationSync]) -> Iterator[Planned]:
    """Plan a step in which an object gets an id that its ledger has to be asked for."""
    event = step.group.event
    claim = event.wishes.objects.claim(event.uuid, step.decided.wanted, found.sources)
    desired = event.wishes.objects.desired(step.decided.wanted, found.sources, claim.theirs)
    for member in members:
        plan = member.context.planner.plan(desired, {}, event=event.uuid, in_window=event.listed is not None)
        yield Planned(step, [member], claim, plan)


def _writings(planned: Iterable[Planned]) -> list[Writing]:
    """Return what is written of each destination."""
    writings: dict[Ledger, Writing] = {}
    events: dict[Ledger, dict[str, EventRecord]] = {}
    for one in planned:
        uuid, decided = one.step.group.uuid, one.step.decided
        for member in one.still_members:
            ledger = member.destination.ledger
            writing = writings.setdefault(ledger, Writing(ledger))
            writing.attributes += decided.rows.values()
            writing.sources += one.claim.sources
            writing.objects += one.kept
            writing.no_objects += one.forgotten
            writing.relations += one.step.pointed.new
            writing.no_relations += one.step.pointed.gone if member.absence_counts else ()
            writing.due += one.due
            if ledger in one.step.records:
                events.setdefault(ledger, {})[uuid] = one.step.records[ledger]
    for ledger, writing in writings.items():
        writing.events += events.get(ledger, {}).values()
    return list(writings.values())
