"""What the ledger knows of actors, techniques and organisations at one destination, by name or for an indicator."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from constants import WithdrawalReason
from helpers.commands.explain import advice
from helpers.commands.explain.advice import NotSent
from helpers.commands.explain.state import State, state_of
from helpers.context import Cluster, ContextLevel, Kind, Verb, kind_named_by
from helpers.indicators import Tag
from helpers.ledger import (
    ClusterLookup,
    ContextLedger,
    ContextLookup,
    Ledger,
    ObjectRecord,
    Pointing,
    Question,
    Stage,
)
from helpers.settings import Settings
from helpers.sync import LEFT_OUT, Ends, Scope, pointed_to

Json = dict[str, Any]

_EXAMPLES = 3
_STANDING = {
    State.LIVE: "live",
    State.LEAVING: "live until it is withdrawn",
    State.PERHAPS_LEAVING: "perhaps live, and to be withdrawn",
    State.WITHDRAWING: "perhaps live, as its withdrawal has no answer",
    State.UNKNOWN: "perhaps live, as Microsoft did not say whether it took it",
    State.WAITING: "waiting to be sent",
    State.REJECTED: "rejected by Microsoft",
    State.NOT_WANTED: "not wanted any more, and never taken",
    State.REVOKED: "revoked at Microsoft, by another hand than this program's",
    State.WITHDRAWN: "withdrawn",
}
_KEPT_BACK, _WAITING, _NOT_SENT = "kept back", "waiting to be sent", "not sent"


@dataclass(frozen=True)
class ContextView:
    """Answers for one destination; ``now`` is in seconds since 1970.

    ``settings`` are the destination's, None where the settings do not name it; ``clusters`` are MISP's.
    """

    ledger: Ledger
    asked: Question
    now: int
    settings: Settings | None = None
    clusters: ClusterLookup | None = None

    @cached_property
    def named(self) -> list[ObjectRecord]:
        """What has the name, number, tag, UUID or STIX id that was asked for."""
        found = self._lookup.named(self._text, self.asked.uuid or self.cluster)
        return sorted(found, key=lambda record: (record.kind, record.key))

    @cached_property
    def not_sent(self) -> list[Cluster]:
        """The clusters of MISP of that name of which nothing was ever sent here."""
        if not (self.settings and self.clusters):
            return []
        known = {_uuid(record) for record in self.named}
        found = [*self.clusters.named(self._text), self.clusters.by_uuid.get(self.cluster) if self.cluster else None]
        return list({one.uuid: one for one in found if one and one.uuid not in known}.values())

    @cached_property
    def tag_names_nothing(self) -> bool:
        """Whether what was asked for is a tag which names no cluster in MISP, as far as runs have asked."""
        if self.cluster and self.clusters:
            gone = self.clusters.by_uuid.get(self.cluster) is None
            return gone and self.cluster in self.clusters.by_uuid and not self.named
        return self._is_tag and self._lookup.cluster_of(self._text) == ""

    @cached_property
    def cluster(self) -> str:
        """The UUID of the cluster that was asked for by its tag."""
        return (self._lookup.cluster_of(self._text) or "") if self._is_tag else ""

    @property
    def _is_tag(self) -> bool:
        return kind_named_by(Tag(self._text)) is not None

    @property
    def _text(self) -> str:
        return self.asked.text.strip()

    @property
    def _lookup(self) -> ContextLookup:
        return ContextLookup(self.ledger)

    # -- what was asked for by name -------------------------------------------------------------------

    def answer(self) -> list[Json]:
        """Return what was asked for by name, each with the indicators that point to it."""
        return [*map(self._described, self.named), *map(self._described_in_misp, self.not_sent)]

    def _described(self, record: ObjectRecord) -> Json:
        record, said = self._leaving(record, self._why_it_leaves(record)), record.indicator
        indicators = [] if record.kind is Kind.RELATIONSHIP else self._lookup.indicating(record, self.now)
        return {
            **self._stands(record),
            "name": _name(said),
            "aliases": list(said.get("aliases", ())),
            "numbers": [one["external_id"] for one in said.get("external_references", ()) if "external_id" in one],
            "tags": list(said.get("labels", ())),
            "indicators": len(indicators),
            "examples": [one._asdict() for one in indicators[:_EXAMPLES]],
            "object": said,
        }

    def _described_in_misp(self, cluster: Cluster) -> Json:
        why = self._why_not_sent(cluster)
        return {
            **{"id": cluster.end, "kind": str(cluster.kind), "standing": _NOT_SENT, "state": str(State.NOT_SENT)},
            **{"stage": "", "life": 0, "why": str(why), "microsoft": "", "advice": advice.FOR_NOT_SENT[why]},
            "name": cluster.name,
            "aliases": list(cluster.aliases),
            "numbers": [cluster.number] if cluster.number else [],
            "tags": [cluster.tag],
            **{"indicators": 0, "examples": [], "object": None},
        }

    def _why_not_sent(self, cluster: Cluster) -> NotSent:
        scope = self._scope
        if scope is None or not scope.sends(cluster.kind):
            return NotSent.LESS
        if scope.cluster(cluster.uuid) is None:
            return NotSent.FEW
        left_out = self._lookup.is_left_out(cluster.uuid, LEFT_OUT)
        return NotSent.TOO_MANY if left_out else NotSent.POINTED_BY_NONE

    def _stands(self, record: ObjectRecord) -> Json:
        microsofts = record.stage in (Stage.REJECTED, Stage.PENDING, Stage.SENDING, Stage.REVOKED)
        why = record.leaving or ("" if microsofts else record.words)
        return {
            "id": record.id,
            "kind": str(record.kind),
            "standing": standing(record, self.now),
            "state": _state(record, self.now),
            "stage": str(record.stage),
            "life": record.life,
            "why": why,
            "microsoft": record.words if microsofts else "",
            "advice": advice.RETRY if record.stage == Stage.REJECTED else advice.for_withdrawal(why),
        }

    # -- what the next run withdraws ------------------------------------------------------------------

    @cached_property
    def _scope(self) -> Scope | None:
        """What is sent here; None where no run sends, or withdraws, anything beside indicators."""
        if self.settings is None or not self.settings.may_have_context:
            return None
        known = self.clusters.by_uuid if self.clusters else {}
        return Scope(ContextLevel(self.settings.context_level), self.settings.context_private, known, lambda: "")

    def _leaving(self, record: ObjectRecord, reason: str | None) -> ObjectRecord:
        """Return an object as the next run sees it: a guard that holds it back has written nothing of it down."""
        leaves = reason and record.live and not (record.revoked or record.leaving)
        return replace(record, leaving=str(reason)) if leaves else record

    def _why_it_leaves(self, record: ObjectRecord) -> WithdrawalReason | None:
        """Say why the next run withdraws what Microsoft has; None where it does not."""
        scope = self._scope
        if scope is None or not record.kind.facts.leaves:
            return None
        if record.kind is Kind.RELATIONSHIP:
            return self._why_relationship(Ends.of_key(record.key), scope)
        uuid = _uuid(record)
        keys = self._lookup.naming(uuid)
        pointings = (Pointing(key, uuid) for key in keys)
        pointed = any(True for _ in pointed_to(pointings, self._context.pointers(keys), scope, self.now))
        return scope.why_not(record.kind, uuid) or (None if pointed else WithdrawalReason.POINTED_BY_NONE)

    def _why_relationship(self, ends: Ends, scope: Scope) -> WithdrawalReason | None:
        found = [record for record in self._context.by_id(ends[1:]).values() if record.kind.facts.end]
        reasons = [scope.why_not(end.kind, _uuid(end)) for end in found]
        if ends.verb == Verb.INDICATES:
            keys = list(self._context.pointers(ids=[ends.source]))
            named = self._context.targets_of(keys)
            reasons += [_why_unnamed(_uuid(end), named.get(key, ())) for end in found for key in keys]
        return next(filter(None, reasons), None)

    # -- what an indicator points to ------------------------------------------------------------------

    def left_out(self, records: Sequence[ObjectRecord]) -> set[str]:
        """Return the keys of the indicators of which something is left out, since their events have too many."""
        targets = self._context.targets_of({record.key for record in records})
        return {key for key, of_one in targets.items() if LEFT_OUT in of_one}

    def of_indicators(self, records: Sequence[ObjectRecord]) -> dict[str, list[Json]]:
        """Return by their ids the actors and techniques that indicators point to, and whether Microsoft knows it.

        What Microsoft has counts too where MISP does not name it any more: it is to leave.
        """
        targets = self._context.targets_of({record.key for record in records})
        found: dict[str, list[Json]] = {}
        for record in records:
            named = targets.get(record.key, set())
            woven = {one.key: one for one in self._lookup.relationships_of(record.id)}
            for end in self._ends_of(named, woven.values()):
                relationship = woven.get(f"{Verb.INDICATES} {record.id} {end.id}")
                found.setdefault(record.id, []).append(self._pointed(end, relationship, named))
        return found

    def _ends_of(self, named: Collection[str], woven: Collection[ObjectRecord]) -> list[ObjectRecord]:
        """Return the latest life of what is named, and what Microsoft has a relationship to."""
        keys = (f"{kind}/{uuid}" for uuid in named for kind in Kind if kind.facts.end)
        latest = {_uuid(end): end for end in sorted(self._context.objects(keys), key=lambda end: end.life)}
        there = self._context.by_id(Ends.of_key(one.key).target for one in woven if one.live)
        ends = {end.id: end for end in (*latest.values(), *there.values())}
        return sorted(ends.values(), key=_uuid)

    def _pointed(self, end: ObjectRecord, relationship: ObjectRecord | None, named: Collection[str]) -> Json:
        if relationship and self._scope:
            reason = self._scope.why_not(end.kind, _uuid(end)) or _why_unnamed(_uuid(end), named)
            relationship = self._leaving(relationship, reason)
        why = (relationship.leaving or relationship.words) if relationship else ""
        end = self._leaving(end, self._why_it_leaves(end))
        return {
            "id": end.id,
            "kind": str(end.kind),
            "name": _name(end.indicator),
            "galaxy": _galaxy(end.indicator),
            "standing": standing(end, self.now),
            "relationship": {
                "id": relationship.id if relationship else "",
                "standing": standing(relationship, self.now) if relationship else _WAITING,
                "state": _state(relationship, self.now) if relationship else str(State.WAITING),
                "why": why,
            },
        }

    @property
    def _context(self) -> ContextLedger:
        return ContextLedger(self.ledger)


def standing(record: ObjectRecord, now: int) -> str:
    """Say in few words where an object stands that is no indicator."""
    return _KEPT_BACK if record.stage == Stage.KEPT_BACK else _STANDING[state_of(record, now)]


def _state(record: ObjectRecord, now: int) -> str:
    return _KEPT_BACK if record.stage == Stage.KEPT_BACK else str(state_of(record, now))


def _why_unnamed(uuid: str, named: Collection[str]) -> WithdrawalReason | None:
    """Say why an indicator that points to some clusters, by UUID, does not point to this one; None where it does."""
    if uuid in named:
        return None
    return WithdrawalReason.TOO_MANY if LEFT_OUT in named else WithdrawalReason.NOT_NAMED


def _name(said: Mapping[str, Any]) -> str:
    if said.get("type") == Kind.RELATIONSHIP:
        return f"{said['source_ref']} {said['relationship_type']} {said['target_ref']}"
    return str(said.get("name", ""))


def _galaxy(said: Mapping[str, Any]) -> str:
    """Return the galaxy whose tag names it: mitre-intrusion-set."""
    return next((Tag(str(label)).words[1] for label in said.get("labels", ())), "")


def _uuid(record: ObjectRecord) -> str:
    return record.key.rpartition("/")[2]
