"""Which actors and techniques indicators point to, and which relationships are to leave and why. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property

from constants import TLP_MARKINGS, WithdrawalReason
from helpers.context import SIMILAR, USES, Cluster, ContextLevel, Kind, Verb
from helpers.ledger import ObjectRecord, Pointer, Pointing, Stage, kind_of_id
from helpers.sync.context.desired import LEFT_OUT, DesiredContext, Ends, desired_relationship

# What leaves since somebody wants less, or MISP has less, and not since an indicator left.
BY_ITSELF = (WithdrawalReason.CONTEXT_SENDS_LESS, WithdrawalReason.CLUSTER_GONE)
_SETS = "intrusion-set"


@dataclass(frozen=True)
class Scope:
    """What of MISP's clusters a destination is sent: by ``level``, and those for few only where ``private`` says so.

    ``clusters`` are those that are known, by UUID; None for one that MISP does not have any more.
    ``clusters_fingerprint`` changes with what is sent of any.
    """

    level: ContextLevel
    private: bool
    clusters: Mapping[str, Cluster | None] = field(compare=False)
    clusters_fingerprint: Callable[[], str] = field(compare=False)

    def sends(self, kind: Kind) -> bool:
        """Whether objects of this kind are sent."""
        return self.level.sends(kind)

    def cluster(self, uuid: str) -> Cluster | None:
        """Return a cluster that is sent here, if there is such a one."""
        cluster = self.clusters.get(uuid)
        sent = cluster and self.sends(cluster.kind) and (self.private or not cluster.is_private)
        return cluster if sent else None

    def why_not(self, kind: Kind, uuid: str) -> WithdrawalReason | None:
        """Say why an actor or a technique that was sent is sent no more; None where it is, or where nobody knows."""
        if not self.sends(kind):
            return WithdrawalReason.CONTEXT_SENDS_LESS
        cluster = self.clusters.get(uuid)
        if uuid in self.clusters and (cluster is None or (cluster.is_private and not self.private)):
            return WithdrawalReason.CLUSTER_GONE
        return None


def pointed_to(
    pointings: Iterable[Pointing], pointers: Mapping[str, Pointer], scope: Scope, now: int
) -> Iterator[tuple[Pointer, Cluster]]:
    """Yield which indicators, that are at Microsoft or should be there, point to which clusters that are sent."""
    for indicator, target in pointings:
        pointer, cluster = pointers.get(indicator), scope.cluster(target)
        if pointer and cluster and (pointer.carries(now) or pointer.was_refused(now)):
            yield pointer, cluster


@dataclass(frozen=True)
class EndsView:
    """The ends of relationships as a ledger has them now.

    ``current`` has the object that an actor or a technique is at Microsoft now, or is to be, by the cluster's UUID;
    ``uuids`` the cluster that any of their ids, of whatever life, is of.
    """

    current: Mapping[str, ObjectRecord]
    uuids: Mapping[str, str]

    @classmethod
    def of(cls, records: Iterable[ObjectRecord]) -> EndsView:
        """Take the actors and techniques among the objects of a ledger."""
        ends = sorted((record for record in records if record.kind.facts.end), key=lambda record: record.life)
        latest = {_uuid(record): record for record in ends}
        current = {uuid: record for uuid, record in latest.items() if not record.revoked}
        return cls(current, {record.id: _uuid(record) for record in ends})

    def id_of(self, uuid: str) -> str:
        """Return the id that a cluster has now; empty where it has none."""
        return self.current[uuid].id if uuid in self.current else ""


def _uuid(record: ObjectRecord) -> str:
    return record.key.rpartition("/")[2]


@dataclass(frozen=True)
class RelationshipsView:
    """What says whether relationships are wanted still.

    ``pointers`` are their indicators by id, ``targets`` the clusters that these point to, by key; ``pointed`` the
    clusters that any indicator points to. ``going`` are the ids of the indicators that leave in this run: one that is
    to leave and is not among them may not, and keeps its relationships.
    """

    scope: Scope
    ends: EndsView
    pointers: Mapping[str, Pointer]
    targets: Mapping[str, AbstractSet[str]]
    pointed: Mapping[str, Cluster]
    going: AbstractSet[str]
    now: int

    def why_it_leaves(self, record: ObjectRecord) -> WithdrawalReason | None:
        """Say why a relationship is wanted no more; None where it is."""
        ends = Ends.of_key(record.key)
        if ends.verb == Verb.INDICATES:
            return self._why_target(ends.target) or self._why_pointer(ends, record.stage)
        return (
            self._why_target(ends.source)
            or self._why_target(ends.target)
            or (None if ends in self._between else self._why_between(ends))
        )

    def _why_between(self, ends: Ends) -> WithdrawalReason:
        pointed = {self.ends.uuids.get(id_) for id_ in (ends.source, ends.target)} <= self.pointed.keys()
        return WithdrawalReason.NOT_NAMED if pointed else WithdrawalReason.POINTED_BY_NONE

    @cached_property
    def _between(self) -> set[Ends]:
        return set(between(self.pointed, self.ends))

    def _why_target(self, id_: str) -> WithdrawalReason | None:
        uuid = self.ends.uuids.get(id_, "")
        if reason := self.scope.why_not(kind_of_id(id_), uuid):
            return reason
        return None if self.ends.id_of(uuid) == id_ else WithdrawalReason.POINTED_BY_NONE

    def _why_pointer(self, ends: Ends, stage: Stage) -> WithdrawalReason | None:
        pointer = self.pointers.get(ends.source)
        if pointer is None or pointer.id in self.going:
            return WithdrawalReason.INDICATOR_LEFT
        if not (pointer.is_here(self.now) or (stage == Stage.KEPT_BACK and pointer.was_refused(self.now))):
            return WithdrawalReason.INDICATOR_LEFT
        if pointer.leaving:
            return None
        named = self.targets.get(pointer.key, ())
        if self.ends.uuids.get(ends.target) in named:
            return None
        return WithdrawalReason.TOO_MANY if LEFT_OUT in named else WithdrawalReason.NOT_NAMED


def between(pointed: Mapping[str, Cluster], ends: EndsView) -> Iterator[Ends]:
    """Yield the relationships between clusters that indicators point to: who uses what, and who is who."""
    for cluster in pointed.values():
        for verb, other in cluster.relations:
            target = pointed.get(other)
            if not (target and ends.id_of(cluster.uuid) and ends.id_of(other)):
                continue
            if verb == USES and (cluster.kind, target.kind) == (Kind.THREAT_ACTOR, Kind.ATTACK_PATTERN):
                yield Ends(Verb.USES, ends.id_of(cluster.uuid), ends.id_of(other))
            elif verb == SIMILAR and (pair := _actor_and_set(cluster, target)):
                yield Ends(Verb.RELATED_TO, *(ends.id_of(one.uuid) for one in pair))


def _actor_and_set(one: Cluster, other: Cluster) -> tuple[Cluster, Cluster] | None:
    """Return an actor and an intrusion set in this order, whichever names the other; None for any other two."""
    if {one.kind, other.kind} != {Kind.THREAT_ACTOR} or _is_set(one) == _is_set(other):
        return None
    return (other, one) if _is_set(one) else (one, other)


def _is_set(cluster: Cluster) -> bool:
    return cluster.galaxy.lower().endswith(_SETS)


def indicating(pairs: Iterable[tuple[Pointer, Cluster]], ends: EndsView) -> dict[Ends, Pointer]:
    """Return the relationships of indicators, each with its indicator, between what has ids now."""
    return {
        Ends(Verb.INDICATES, pointer.id, ends.id_of(cluster.uuid)): pointer
        for pointer, cluster in pairs
        if ends.id_of(cluster.uuid)
    }


@dataclass(frozen=True)
class Sorted:
    """Relationships by what can be done about them: both ends are at Microsoft, one was refused, or one has no answer.

    ``kept_back`` has, with each, why an end was refused.
    """

    ready: dict[str, DesiredContext] = field(default_factory=dict)
    kept_back: dict[str, tuple[DesiredContext, str]] = field(default_factory=dict)
    waiting: dict[str, DesiredContext] = field(default_factory=dict)


def sorted_out(relationships: Mapping[Ends, Pointer | None], ends: EndsView, *, dry: bool) -> Sorted:
    """Sort relationships by how their ends stand; in a ``dry`` run, what waits is taken to be accepted."""
    stands = {record.id: record for record in ends.current.values()}
    found = Sorted()
    for of, pointer in relationships.items():
        of_ends = [stands[id_] for id_ in (of.source, of.target) if id_ in stands]
        refused = _why_refused(of_ends, pointer)
        stages = {record.stage for record in of_ends} | ({pointer.stage} if pointer else set())
        wanted = desired_relationship(of, _markings(pointer))
        if refused:
            found.kept_back[of.key] = (wanted, refused)
        elif stages == {Stage.ACCEPTED} or (dry and stages <= {Stage.ACCEPTED, Stage.PENDING}):
            found.ready[of.key] = wanted
        else:
            found.waiting[of.key] = wanted
    return found


def _why_refused(ends: Iterable[ObjectRecord], pointer: Pointer | None) -> str:
    """Say which end was refused, and why; "" where none was."""
    either: list[ObjectRecord | Pointer] = [*ends, *([pointer] if pointer else [])]
    return next((f"{end.id} was refused: {end.words}" for end in either if end.stage == Stage.REJECTED), "")


def _markings(pointer: Pointer | None) -> list[str]:
    return [TLP_MARKINGS[pointer.tlp]] if pointer and pointer.tlp in TLP_MARKINGS else []
