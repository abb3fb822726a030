"""Keep what stands beside the indicators of one destination in step with them, by what the ledger has.

First, with the indicators, the ends go out: organisations, actors and techniques; and relationships that are wanted no
more are withdrawn. When all of that is answered, relationships whose ends are both at Microsoft go out, and ends leave
that none names any more. Nothing of it depends on which events a run read, so one that is cut off anywhere is made good
by the next.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from constants import VERSION, WithdrawalReason
from helpers.context import Cluster, Kind, Verb
from helpers.indicators import DAY
from helpers.ledger import (
    NEVER,
    ContextLedger,
    DestinationFacts,
    Ledger,
    ObjectRecord,
    Pointer,
    RetryPolicy,
    Stage,
    kind_of_id,
)
from helpers.sync.context.desired import (
    DesiredContext,
    Ends,
    desired_cluster,
    desired_identity,
    with_life,
)
from helpers.sync.context.event_relations import ContextWishes
from helpers.sync.context.unasked import Unasked
from helpers.sync.context.weaving import (
    BY_ITSELF,
    EndsView,
    RelationshipsView,
    Scope,
    between,
    indicating,
    pointed_to,
    sorted_out,
)
from helpers.sync.plan import Plan, decide_objects
from helpers.sync.sending.send_queue import SendQueue
from helpers.sync.withdrawals import WithdrawalLimits

# So much leaves in a run at most; the rest does in the next ones.
MOST_LEAVING = 5000
_NAMES = ("live actor, technique or relationship", "live actors, techniques and relationships")


@dataclass
class Leaving:
    """The relationships that are wanted no more: what follows an indicator, and what leaves by itself (``BY_ITSELF``).

    ``chosen`` leave in this run, ``waiting`` counts what has to wait for the next one. ``named`` are the ids of the
    ends of those that stay until then, or longer. ``unasked`` is what leaves by itself and nobody has accepted.
    """

    chosen: list[ObjectRecord] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    waiting: int = 0
    named: set[str] = field(default_factory=set)
    unasked: Unasked = field(default_factory=Unasked)
    _found: dict[bool, list[ObjectRecord]] = field(default_factory=lambda: {False: [], True: []})
    _beyond: Counter[bool] = field(default_factory=Counter)

    def add(self, record: ObjectRecord, reason: WithdrawalReason) -> None:
        """Take a relationship that is wanted no more; what Microsoft never had is forgotten."""
        found, leaving = self._found[reason in BY_ITSELF], replace(record, leaving=record.leaving or reason)
        if reason in BY_ITSELF and record.live and not record.leaving:
            self.unasked.add(leaving)
        if not record.live:
            self.forgotten.append(record.id)
        elif len(found) < MOST_LEAVING:
            found.append(leaving)
        else:
            self._beyond[reason in BY_ITSELF] += 1
            self.stay(record)

    def stay(self, record: ObjectRecord) -> None:
        """Take a relationship that stays, so that its ends do."""
        self.named |= set(Ends.of_key(record.key)[1:])

    def choose(self, *, by_themselves: bool) -> None:
        """Choose what leaves in this run: what follows indicators first, and the other only where it may."""
        following, of_themselves = self._found[False], self._found[True]
        room = MOST_LEAVING - len(following) if by_themselves else 0
        for record in of_themselves[room:]:
            self.stay(record)
        self.chosen = following + of_themselves[:room]
        self.waiting = self._beyond[False]
        if by_themselves:
            self.waiting += self._beyond[True] + len(of_themselves[room:])


@dataclass
class ContextSync:
    """One destination's actors, techniques, organisations and relationships in a run. ``dry``: nothing is sent.

    ``facts`` are those of the destination when the run began.
    """

    ledger: Ledger
    queue: SendQueue
    policy: RetryPolicy
    scope: Scope
    facts: DestinationFacts
    dry: bool
    _pointed: dict[str, Cluster] = field(default_factory=dict)
    _leaving: Leaving = field(default_factory=Leaving)
    _settled: bool = False

    def __post_init__(self) -> None:
        """Prepare the questions; nothing is asked yet."""
        self._context = ContextLedger(self.ledger)
        self._touched = False

    def touch(self) -> None:
        """Note that something is to be brought in step, before it changes: a run may be cut off at any moment."""
        if not self._touched:
            self._touched = True
            self.ledger.save_facts(replace(self.ledger.facts(), woven=""))

    @property
    def in_step(self) -> bool:
        """Whether nothing can have changed since everything was in step: no event, setting, cluster or expiry."""
        same = self.facts.woven == self._fingerprint and self.policy.now < self.facts.woven_until
        return same and not (self._touched or self.policy.retry_rejected)

    # -- with the indicators ----------------------------------------------------------------------

    def send_ends(self) -> None:
        """Plan and enqueue organisations, actors and techniques that indicators of here point to."""
        self.touch()
        self._pointed = self._find_pointed()
        known = self._context.ends()
        desired = [*map(desired_cluster, self._pointed.values()), *self._identities(known)]
        plan = self._plan({wanted.key: wanted for wanted in desired}, known)
        self.ledger.keep(objects=changed(plan.kept, known))
        self.queue.report.context.name_ends([*known, *plan.send])
        self.queue.send_context(plan)

    def _find_pointed(self) -> dict[str, Cluster]:
        """Return the clusters that indicators point to which are at Microsoft or on their way there, by UUID."""
        return {uuid: cluster for pairs in self._pairs() for uuid, cluster in self._carried(pairs).items()}

    def _carried(self, pairs: Iterable[tuple[Pointer, Cluster]]) -> dict[str, Cluster]:
        """Return the clusters, by UUID, of what is at Microsoft or on its way there, and not only refused."""
        return {cluster.uuid: cluster for pointer, cluster in pairs if pointer.carries(self.policy.now)}

    def _pairs(self) -> Iterator[list[tuple[Pointer, Cluster]]]:
        """Yield which indicators, that are or should be at Microsoft, point to which clusters, some at once."""
        for pointings in self._context.pointings():
            pointers = self._context.pointers(pointing.indicator for pointing in pointings)
            yield [*pointed_to(pointings, pointers, self.scope, self.policy.now)]

    def _identities(self, known: Iterable[ObjectRecord]) -> list[DesiredContext]:
        """Return the organisations that made events with indicators; those that were sent before stay as they are."""
        if not self.scope.sends(Kind.IDENTITY):
            return []
        named = (desired_identity(uuid, name) for uuid, name in self._context.organisations().items())
        wanted = list(filter(None, named))
        there = {(record.key, record.value) for record in known if not record.revoked}
        new = {one.key.rpartition("/")[2] for one in wanted if (one.key, one.value) not in there}
        carried = self._context.carried_organisations(new, self.policy.now)
        return [one for one in wanted if (one.key, one.value) in there or one.key.rpartition("/")[2] in carried]

    # -- what leaves ------------------------------------------------------------------------------

    def find_leaving(self, going: Collection[str]) -> Unasked:
        """Find the relationships that are wanted no more; return what leaves by itself, with ends that go along.

        ``going`` are the ids of the indicators that leave in this run. What a run accepted before does not count.
        """
        ends, between_ends = EndsView.of(self._context.ends()), list[ObjectRecord]()
        for relationships, view in self._views(ends, set(going)):
            verbs = [(record, Ends.of_key(record.key).verb) for record in relationships]
            between_ends += [record for record, verb in verbs if verb != Verb.INDICATES]
            self._sort_out([record for record, verb in verbs if verb == Verb.INDICATES], view)
        self._sort_out(between_ends, self._view_between(ends))
        self._leaving.unasked.take_ends_along(ends, self.scope)
        return self._leaving.unasked

    def _views(self, ends: EndsView, going: AbstractSet[str]) -> Iterator[tuple[list[ObjectRecord], RelationshipsView]]:
        """Yield the relationships whose withdrawal is not under way, some at once, and what says if they are wanted."""
        for records in self._context.relationships():
            here = [record for record in records if record.stage != Stage.WITHDRAWING]
            sources = {Ends.of_key(record.key).source for record in here}
            pointers = self._context.pointers(ids=(id_ for id_ in sources if kind_of_id(id_) is Kind.INDICATOR))
            by_id = {pointer.id: pointer for pointer in pointers.values()}
            targets = self._context.targets_of(pointers)
            yield here, RelationshipsView(self.scope, ends, by_id, targets, self._pointed, going, self.policy.now)

    def _view_between(self, ends: EndsView) -> RelationshipsView:
        """Return what says whether relationships between ends are wanted, by what indicators' relationships name."""
        named = (self.scope.cluster(ends.uuids.get(id_, "")) for id_ in self._leaving.named)
        pointed = {**self._pointed, **{cluster.uuid: cluster for cluster in named if cluster}}
        return RelationshipsView(self.scope, ends, {}, {}, pointed, set(), self.policy.now)

    def _sort_out(self, records: Iterable[ObjectRecord], view: RelationshipsView) -> None:
        """Sort out which relationships leave, and which stay."""
        for record in records:
            if reason := view.why_it_leaves(record):
                self._leaving.add(record, reason)
            else:
                self._leaving.stay(record)

    def refuse(self) -> None:
        """Tell the report of what leaves by itself that it may not."""
        unasked = self._leaving.unasked
        self.queue.report.context.refuse_withdrawals(unasked.kinds, [*unasked.relationships, *unasked.ends])

    def withdraw_relationships(self, *, by_themselves: bool) -> None:
        """Enqueue what leaves of the relationships; what leaves by itself only where that was allowed."""
        self._leaving.choose(by_themselves=by_themselves)
        if by_themselves and self._leaving.waiting:
            self._accept_the_rest()
        unanswered = self._context.unanswered_withdrawals()
        self.ledger.keep(objects=self._leaving.chosen, no_objects=self._leaving.forgotten)
        self._leaving.chosen = [*unanswered, *self._leaving.chosen]
        self.queue.withdraw(self._leaving.chosen)

    def _accept_the_rest(self) -> None:
        """Write down of all that leaves by itself that it was allowed to, although most of it waits."""
        for records, view in self._views(EndsView.of(self._context.ends()), set()):
            reasons = [(record, view.why_it_leaves(record)) for record in records if record.live and not record.leaving]
            allowed = [replace(record, leaving=reason) for record, reason in reasons if reason in BY_ITSELF]
            self.ledger.keep(objects=allowed)

    # -- when all of that is answered -------------------------------------------------------------

    def weave(self, *, whole: bool) -> None:
        """Have ends leave that nothing names, and send the relationships whose ends are both at Microsoft.

        ``whole``: what is named by none was looked for.
        """
        records = self._context.ends()
        ends, pointed = EndsView.of(records), dict[str, Cluster]()
        for pairs in self._pairs():
            pointed |= self._carried(pairs)
            self._send_relationships(indicating(pairs, ends), ends)
        # What an indicator that was refused points to is looked at again by the next run, where anything names it.
        self._settled, self._pointed = pointed.keys() == self._pointed.keys(), pointed
        self._send_relationships(dict.fromkeys(between(pointed, ends)), ends)
        if whole:
            self._withdraw_ends(records)

    def _withdraw_ends(self, records: Iterable[ObjectRecord]) -> None:
        """Have actors and techniques leave that no indicator points to, where no relationship names them any more."""
        named, leaving, forgotten = self._named_still(), list[ObjectRecord](), list[str]()
        room = MOST_LEAVING - len(self._leaving.chosen)
        for uuid, record in EndsView.of(records).current.items():
            if uuid in self._pointed or record.id in named:
                continue
            reason = self.scope.why_not(record.kind, uuid) or WithdrawalReason.POINTED_BY_NONE
            if not record.live:
                forgotten.append(record.id)
            elif len(leaving) < room:
                leaving.append(replace(record, leaving=record.leaving or reason))
            else:
                self._leaving.waiting += 1
        self.ledger.keep(objects=leaving, no_objects=forgotten)
        self.queue.withdraw(leaving)
        self.queue.report.context.waiting_to_leave = self._leaving.waiting

    def _named_still(self) -> set[str]:
        """Return the ids of ends that relationships name which are, or may be, at Microsoft still."""
        sent = {} if self.dry else self._context.by_id(record.id for record in self._leaving.chosen)
        unanswered = (record for record in sent.values() if record.stage != Stage.WITHDRAWN)
        return self._leaving.named | {id_ for record in unanswered for id_ in Ends.of_key(record.key)[1:]}

    def _send_relationships(self, relationships: Mapping[Ends, object], ends: EndsView) -> None:
        found = sorted_out(relationships, ends, dry=self.dry)  # type: ignore[arg-type]
        known = self._context.objects([*found.ready, *found.kept_back, *found.waiting])
        plan, waiting = self._plan(found.ready, known), self._plan(found.waiting, known)
        refused = self._plan({key: wanted for key, (wanted, _) in found.kept_back.items()}, known)
        kept_back = _kept_back(refused, found.kept_back)
        self.ledger.keep(objects=changed([*plan.kept, *waiting.kept, *kept_back], known))
        self.queue.report.context.waiting += len(waiting.send)
        self.queue.report.context.kept_back += len(kept_back)
        self.queue.send_context(plan)

    def _plan(self, desired: Mapping[str, DesiredContext], known: Sequence[ObjectRecord]) -> Plan:
        """Decide on objects, whose ids nobody else can have: they are made of their own keys."""
        lives: dict[str, list[ObjectRecord]] = {}
        for record in sorted(known, key=lambda record: record.life):
            lives.setdefault(record.key, []).append(record)
        dated = {key: with_life(wanted, lives.get(key, [])) for key, wanted in desired.items()}
        of_these = [record for record in known if record.key in desired]
        taken = {record.id for record in of_these}
        return decide_objects(dated, {}, of_these, taken, self.policy, in_window=True)

    def tell(self, wishes: ContextWishes | None) -> None:
        """Tell the report what is there now, and what MISP did not say of tags."""
        report = self.queue.report.context
        if self._touched:
            report.live = Counter({kind: counted["live"] for kind, counted in self._context.counts().items()})
        else:
            report.live = live_before(self.facts)
        if wishes:
            clusters = wishes.clusters
            report.without_cluster, report.not_asked = clusters.without_cluster, clusters.not_asked
            report.none_shown = clusters.none_shown

    # -- at the end -------------------------------------------------------------------------------

    def limits(self, of_indicators: WithdrawalLimits) -> WithdrawalLimits:
        """Return what may leave by itself: of what is live beside indicators and may leave, by the same numbers."""
        live = sum(counted["live"] for kind, counted in self._context.counts().items() if kind.facts.leaves)
        forced_at = self.ledger.facts().forced_at
        left = self._context.withdrawn_since(self.policy.now - DAY, BY_ITSELF, not_at=forced_at)
        return replace(of_indicators, live=live, left=left, live_before=live + left, names=_NAMES)

    def noted(self, facts: DestinationFacts) -> DestinationFacts:
        """Return facts that say that everything is in step, where nothing waits or was refused to leave."""
        report = self.queue.report.context
        over = not (report.waiting or report.waiting_to_leave or report.unsettled or self.queue.report.refusals)
        if not (self._touched and self._settled and over):
            return facts
        until = self.ledger.first_expiry(self.policy.now) or NEVER
        return replace(facts, woven=self._fingerprint, woven_until=until)

    @property
    def _fingerprint(self) -> str:
        """What changes with the settings, and with what is sent of any cluster."""
        scope = self.scope
        said = repr((VERSION, scope.level, scope.private, scope.clusters_fingerprint(), self.policy.program))
        return hashlib.sha256(said.encode()).hexdigest()


def live_before(facts: DestinationFacts) -> Counter[Kind]:
    """Return what was live beside indicators after the last whole run, as its report has it."""
    context = (facts.last_run or {}).get("context")
    live = context.get("live") if isinstance(context, dict) else None
    known = live if isinstance(live, dict) else {}
    return Counter({kind: known[kind] for kind in Kind if isinstance(known.get(kind), int)})


def changed(records: Iterable[ObjectRecord], known: Iterable[ObjectRecord]) -> list[ObjectRecord]:
    """Return the records that are not in the ledger as they are."""
    there = {record.id: record for record in known}
    return [record for record in records if record != there.get(record.id)]


def _kept_back(plan: Plan, refused: Mapping[str, tuple[DesiredContext, str]]) -> list[ObjectRecord]:
    """Return relationships that are not sent since an end was refused, with its reason; what is there stays."""
    return [
        replace(record, stage=Stage.KEPT_BACK, words=refused[record.key][1]) for record in plan.send if not record.live
    ]
