"""Which actors and techniques the indicators of an event point to, by its tags. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from helpers.context import Cluster, Kind
from helpers.indicators import Tag
from helpers.ledger import Relation, Source
from helpers.sync.context.clusters import KnownClusters
from helpers.sync.context.desired import LEFT_OUT
from helpers.sync.context.weaving import Scope

# Microsoft allows 10,000 objects a minute; one event of a large campaign names 56 techniques for 200 indicators.
MOST_RELATIONS = 2000

# Which indicator, by its key, points to which cluster, by its UUID: at Microsoft that is one relationship.
Pair = tuple[str, str]


@dataclass(frozen=True)
class ContextWishes:
    """What a destination wants beside indicators; ``clusters`` say what tags name."""

    scope: Scope
    ignore_local_tags: bool
    clusters: KnownClusters = field(compare=False)

    def targets(self, own: Sequence[Tag], inherited: Sequence[Tag]) -> tuple[Cluster, ...]:
        """Return the actors and techniques of an attribute: of each kind, its own, else those of its event."""
        return tuple(self.clusters.named_by(own, inherited, self.scope, ignore_local=self.ignore_local_tags))


@dataclass
class EventRelations:
    """The relations of one event, as they become known attribute by attribute, and at its end all at once.

    ``techniques_left_out`` says that there were too many with them, ``cut`` that there were too many without.
    """

    event: str
    wishes: ContextWishes
    techniques_left_out: bool = False
    cut: bool = False
    _targets: dict[str, tuple[Cluster, ...]] = field(default_factory=dict)
    _keys: dict[str, list[str]] = field(default_factory=dict)

    def see(self, attribute: str, own: Sequence[Tag], inherited: Sequence[Tag]) -> None:
        """Take note of what an attribute, by its UUID, points to by its tags."""
        if targets := self.wishes.targets(own, inherited):
            self._targets[attribute] = targets

    def convert(self, attributes: Iterable[str], sources: Iterable[Source]) -> None:
        """Take note of attributes that were converted, and of what has become of them."""
        self._keys |= {attribute: [] for attribute in attributes if attribute in self._targets}
        for source in sources:
            if source.attribute in self._keys and source.key not in self._keys[source.attribute]:
                self._keys[source.attribute].append(source.key)

    def wanted(self, known: Callable[[str], Sequence[Source]]) -> set[Relation]:
        """Return the relations, of an event that was read to its end; ``known`` gives the sources of unchanged ones.

        Instead of those that are too many, each indicator has one that says so (``LEFT_OUT``).
        """
        relations = set(self._all(known))
        sent = self._sent_of(relations)
        return {one if _pair(one) in sent else replace(one, target=LEFT_OUT) for one in relations}

    def _sent_of(self, relations: Iterable[Relation]) -> set[Pair]:
        """Return the pairs that are sent: without techniques where there are too many, and no more than that."""
        in_order = sorted(relations, key=lambda one: (one.attribute, one.indicator, one.target))
        pairs = dict.fromkeys(map(_pair, in_order))
        if len(pairs) <= MOST_RELATIONS:
            return set(pairs)
        others = [pair for pair in pairs if self._kind_of(pair) is not Kind.ATTACK_PATTERN]
        self.techniques_left_out, self.cut = len(others) < len(pairs), len(others) > MOST_RELATIONS
        return set(others[:MOST_RELATIONS])

    def _all(self, known: Callable[[str], Sequence[Source]]) -> Iterable[Relation]:
        for attribute, targets in self._targets.items():
            keys = self._keys.get(attribute)
            if keys is None:
                keys = [source.key for source in known(attribute)]
            for key in keys:
                yield from (Relation(self.event, attribute, key, target.uuid) for target in targets)

    def _kind_of(self, pair: Pair) -> Kind | None:
        cluster = self.wishes.clusters.clusters.get(pair[1])
        return cluster.kind if cluster else None


def _pair(relation: Relation) -> Pair:
    return relation.indicator, relation.target
