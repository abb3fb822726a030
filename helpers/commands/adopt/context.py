"""Take over what stands beside the indicators: organisations, actors, techniques, and what relates them.

A relationship is ours where its id can be made anew of what it is between; an actor or a technique where MISP has its
cluster, or a relationship of ours names it; an organisation where an indicator says that it made it, or by the same.
Whatever else there is stays where it is, and is not known to the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any

from constants import AdoptionKind, WithdrawalReason
from helpers.context import NAMED_KINDS, Cluster, ContextLevel, Kind, Stix, Verb, kind_named_by
from helpers.errors import KindNotListed, MispError
from helpers.indicators import Tag
from helpers.ledger import (
    ClusterLedger,
    ContextLedger,
    Ledger,
    ObjectRecord,
    Relation,
    Stage,
    kind_of_id,
    one_live_object,
    packed,
    unpacked,
)
from helpers.microsoft import ManagementApi
from helpers.misp import MispReader
from helpers.process import interrupts
from helpers.sync import Ends, Lives, Ours, Recognised, Report, recognised, record_of, uuid_in
from helpers.text import batched

BATCH = 500

_NOT_LISTED = (
    "Indicators alone were taken over: {}. What stands beside them is sent again by the next run, under the same ids; "
    "what of it is not wanted any more stays in the workspace."
)
_NO_CLUSTERS = "MISP did not say which actors and techniques it has ({}): those count that relationships name."
_UNSAFE = (
    "{}. The workspace has actors or techniques, and the next run would take out what MISP does not name: nothing was "
    "taken over. Try again when MISP answers; with context = 'nothing' this does not matter."
)


@dataclass(frozen=True)
class Listed:
    """What a workspace has beside indicators, packed, since it may be a lot."""

    ends: Sequence[bytes]
    relationships: Sequence[bytes]

    @classmethod
    def by(cls, api: ManagementApi) -> Listed:
        """List all of it, or nothing. Raises KindNotListed, MicrosoftError."""
        ends = [packed(whole(object_)) for kind in NAMED_KINDS for object_ in _objects(api, kind)]
        return cls(ends, [packed(whole(object_)) for object_ in _objects(api, Kind.RELATIONSHIP)])


def _objects(api: ManagementApi, kind: Kind) -> Iterable[Stix]:
    for object_ in api.objects(kind):
        interrupts.end_if_stopped()
        yield object_


def whole(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object without half characters (lone surrogates), which can neither be kept nor be part of an id."""
    read: dict[str, Any] = json.loads(json.dumps(stored, ensure_ascii=False).encode(errors="replace"))
    return read


@dataclass
class ContextAdoption:
    """Writes what stands beside indicators into the ledger, in the caller's transaction, when those are in it.

    ``level`` is what runs send, ``makers`` are the ids of the organisations that indicators name as theirs.
    """

    ledger: Ledger
    reader: MispReader
    report: Report
    level: ContextLevel
    makers: AbstractSet[str]
    _lives: Lives = field(default_factory=lambda: Lives({}))
    _named: set[str] = field(default_factory=set)
    _later: set[str] = field(default_factory=set)

    def take(self, api: ManagementApi) -> None:
        """Take over all of it; where the workspace does not list it, nothing, and say so.

        Raises MicrosoftError, and MispError where what is taken over would leave again.
        """
        try:
            listed = Listed.by(api)
        except KindNotListed as error:
            self.report.warnings.append(_NOT_LISTED.format(error))
            return
        ends = [unpacked(body) for body in listed.ends]
        clusters = self._clusters_of(ends)
        in_ids = map(uuid_in, [*self.makers, *(end["id"] for end in ends)])
        self._lives = Lives.of(filter(None, [*clusters, *in_ids]))
        for batch in batched(listed.relationships, BATCH):
            interrupts.end_if_stopped()  # a transaction puts a signal off
            self._take_relationships([unpacked(body) for body in batch])
        self._take_ends(ends, clusters)
        self._one_for_each_key()

    # -- what MISP has --------------------------------------------------------------------------------

    def _clusters_of(self, ends: Iterable[Mapping[str, Any]]) -> dict[str, Cluster]:
        """Return MISP's clusters of actors and techniques, by UUID: those of their ids, else those of their tags."""
        of_clusters = [end for end in ends if kind_of_id(end["id"]).facts.end]
        try:
            clusters = self.reader.clusters_by_uuid(filter(None, (uuid_in(end["id"]) for end in of_clusters)))
            others = [end for end in of_clusters if uuid_in(end["id"]) not in clusters]
            by_tag = self.reader.clusters_by_tag(tag for end in others for tag in _tags_of(end))
        except MispError as error:
            if self.level.sends(Kind.THREAT_ACTOR):
                raise MispError(_UNSAFE.format(error)) from error
            self.report.warnings.append(_NO_CLUSTERS.format(error))
            return {}
        clusters |= {cluster.uuid: cluster for cluster in by_tag.values()}
        self._keep_clusters(clusters)
        return clusters

    def _keep_clusters(self, clusters: Mapping[str, Cluster]) -> None:
        """Note clusters that the ledger does not know: of the others, runs find out how they change."""
        known = ClusterLedger(self.ledger.database)
        stored = known.read()
        new = [cluster for uuid, cluster in clusters.items() if uuid not in stored.clusters]
        known.keep(new, tags={cluster.tag: cluster.uuid for cluster in new if cluster.tag not in stored.tags})

    # -- relationships --------------------------------------------------------------------------------

    def _take_relationships(self, stored: Sequence[Mapping[str, Any]]) -> None:
        records = [record for one in stored if (record := self._relationship(one))]
        self._named |= {id_ for record in records for id_ in Ends.of_key(record.key)[1:]}
        self.ledger.keep(objects=records)
        self.ledger.keep_relations(self._relations_of(records), ())

    def _relationship(self, stored: Mapping[str, Any]) -> ObjectRecord | None:
        known = recognised(stored, self._lives)
        return self._record(stored, known, ours=known is not None)

    def _relations_of(self, records: Iterable[ObjectRecord]) -> list[Relation]:
        """Return what the attributes of indicators point to, by what is there: MISP is asked by the runs."""
        ends = [Ends.of_key(record.key) for record in records if record.live]
        ends = [one for one in ends if one.verb == Verb.INDICATES]
        pointers = ContextLedger(self.ledger).pointers(ids=(one.source for one in ends))
        keys = {pointer.id: pointer.key for pointer in pointers.values() if pointer.stage == Stage.ACCEPTED}
        sources: dict[str, list[tuple[str, str]]] = {}
        for source in self.ledger.sources(keys.values()):
            sources.setdefault(source.key, []).append((source.event, source.attribute))
        return [
            Relation(*source, keys[one.source], self._lives.of_id(one.target)[0])
            for one in ends
            if one.source in keys
            for source in sources.get(keys[one.source], ())
        ]

    # -- organisations, actors and techniques -----------------------------------------------------------

    def _take_ends(self, stored: Iterable[Mapping[str, Any]], clusters: Mapping[str, Cluster]) -> None:
        ours = Ours(self._lives, clusters.keys(), self._named, self.makers)
        records = [self._record(one, recognised(one, self._lives), ours=ours.has(one["id"])) for one in stored]
        self.ledger.keep(objects=[record for record in records if record])

    # -- all ----------------------------------------------------------------------------------------

    def _record(self, stored: Mapping[str, Any], known: Recognised | None, *, ours: bool) -> ObjectRecord | None:
        """Return what is remembered of an object, and count it; None for what stays where it is.

        What is revoked is remembered, whosever it is: its id is not used again.
        """
        revoked, kind = stored.get("revoked") is True, kind_of_id(stored["id"])
        if known is None or not (ours or revoked):
            self.report.context.adopt(AdoptionKind.UNMATCHED, kind, stored)
            return None
        self.report.context.adopt(AdoptionKind.REVOKED if revoked else AdoptionKind.MATCHED, kind, stored)
        if known.life > 1:
            self._later.add(known.wanted.key)
        return record_of(stored, known)

    def _one_for_each_key(self) -> None:
        """Leave one live object to each key; the next run withdraws the others, as it does what had no answer."""
        lives: dict[str, list[ObjectRecord]] = {}
        for record in ContextLedger(self.ledger).objects(sorted(self._later)):
            lives.setdefault(record.key, []).append(record)
        changed = [record for of_key in lives.values() for record in one_live_object(of_key)]
        second = WithdrawalReason.SECOND
        self.ledger.keep(
            objects=[replace(one, stage=Stage.WITHDRAWING) if one.leaving == second else one for one in changed]
        )


def _tags_of(end: Mapping[str, Any]) -> list[str]:
    labels = end.get("labels")
    texts = [label for label in labels if isinstance(label, str)] if isinstance(labels, list) else []
    return [text for text in texts if kind_named_by(Tag(text))]
