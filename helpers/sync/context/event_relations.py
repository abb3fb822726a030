"""Which actors and techniques the indicators of an event point to, by its tags. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from helpers.context import Cluster, Kind
from helpers.indicators import Tag
from helpers.ledger import Relation, Source
from helpers.sync.context.clusters import KnownClusters
from helpers.sync.context.weaving import Scope

# Microsoft allows 10,000 objects a minute; one event of a large campaign names 56 techniques for 200 indicators.
MOST_RELATIONS = 2000


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

    ``techniques_left_out`` says that they were too many.
    """

    event: str
    wishes: ContextWishes
    techniques_left_out: bool = False
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
        """Return the relations, of an event that was read to its end; ``known`` gives the sources of unchanged ones."""
        relations = set(self._all(known))
        if len(relations) > MOST_RELATIONS:
            self.techniques_left_out = True
            relations = {one for one in relations if self._kind_of(one) is not Kind.ATTACK_PATTERN}
        if len(relations) > MOST_RELATIONS:
            in_order = sorted(relations, key=lambda one: (one.attribute, one.indicator, one.target))
            relations = set(in_order[:MOST_RELATIONS])
        return relations

    def _all(self, known: Callable[[str], Sequence[Source]]) -> Iterable[Relation]:
        for attribute, targets in self._targets.items():
            keys = self._keys.get(attribute)
            if keys is None:
                keys = [source.key for source in known(attribute)]
            for key in keys:
                yield from (Relation(self.event, attribute, key, target.uuid) for target in targets)

    def _kind_of(self, relation: Relation) -> Kind | None:
        cluster = self.wishes.clusters.clusters.get(relation.target)
        return cluster.kind if cluster else None
