"""What the ledger knows of actors, techniques and organisations at one destination, by name or for an indicator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from helpers.commands.explain import advice
from helpers.commands.explain.state import State, state_of
from helpers.context import Kind, Verb, kind_named_by
from helpers.indicators import Tag
from helpers.ledger import ContextLedger, ContextLookup, Ledger, ObjectRecord, Question, Stage

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
_KEPT_BACK, _NOT_SENT = "kept back", "waiting to be sent"


@dataclass(frozen=True)
class ContextView:
    """Answers for one destination; ``now`` is in seconds since 1970."""

    ledger: Ledger
    asked: Question
    now: int

    @cached_property
    def named(self) -> list[ObjectRecord]:
        """What has the name, number, tag, UUID or STIX id that was asked for."""
        found = self._lookup.named(self.asked.text.strip(), self.asked.uuid or self.cluster)
        return sorted(found, key=lambda record: (record.kind, record.key))

    @cached_property
    def tag_names_nothing(self) -> bool:
        """Whether what was asked for is a tag which names no cluster in MISP, as far as runs have asked."""
        return self._is_tag and self._lookup.cluster_of(self.asked.text.strip()) == ""

    @property
    def cluster(self) -> str:
        """The UUID of the cluster that was asked for by its tag."""
        return (self._lookup.cluster_of(self.asked.text.strip()) or "") if self._is_tag else ""

    @property
    def _is_tag(self) -> bool:
        return kind_named_by(Tag(self.asked.text.strip())) is not None

    @property
    def _lookup(self) -> ContextLookup:
        return ContextLookup(self.ledger)

    # -- what was asked for by name -------------------------------------------------------------------

    def answer(self) -> list[Json]:
        """Return what was asked for by name, each with the indicators that point to it."""
        return [self._described(record) for record in self.named]

    def _described(self, record: ObjectRecord) -> Json:
        said = record.indicator
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

    def _stands(self, record: ObjectRecord) -> Json:
        microsofts = record.stage in (Stage.REJECTED, Stage.PENDING, Stage.SENDING, Stage.REVOKED)
        why = record.leaving or ("" if microsofts else record.words)
        return {
            "id": record.id,
            "kind": str(record.kind),
            "standing": standing(record, self.now),
            "state": _KEPT_BACK if record.stage == Stage.KEPT_BACK else str(state_of(record, self.now)),
            "stage": str(record.stage),
            "life": record.life,
            "why": why,
            "microsoft": record.words if microsofts else "",
            "advice": advice.RETRY if record.stage == Stage.REJECTED else advice.for_withdrawal(why),
        }

    # -- what an indicator points to ------------------------------------------------------------------

    def of_indicators(self, records: Sequence[ObjectRecord]) -> dict[str, list[Json]]:
        """Return by their ids the actors and techniques that indicators point to, and whether Microsoft knows it."""
        targets = self._context.targets_of({record.key for record in records})
        uuids = {uuid for of_one in targets.values() for uuid in of_one}
        ends = self._context.objects(f"{kind}/{uuid}" for uuid in uuids for kind in Kind if kind.facts.end)
        latest = {_uuid(end): end for end in sorted(ends, key=lambda end: end.life)}
        pairs = [
            (record, latest[uuid])
            for record in records
            for uuid in sorted(targets.get(record.key, ()))
            if uuid in latest
        ]
        woven = {one.key: one for one in self._context.objects(_between(*pair) for pair in pairs)}
        found: dict[str, list[Json]] = {}
        for record, end in pairs:
            found.setdefault(record.id, []).append(self._pointed(end, woven.get(_between(record, end))))
        return found

    def _pointed(self, end: ObjectRecord, relationship: ObjectRecord | None) -> Json:
        why = (relationship.leaving or relationship.words) if relationship else ""
        return {
            "id": end.id,
            "kind": str(end.kind),
            "name": _name(end.indicator),
            "standing": standing(end, self.now),
            "relationship": {
                "id": relationship.id if relationship else "",
                "standing": standing(relationship, self.now) if relationship else _NOT_SENT,
                "why": why,
            },
        }

    @property
    def _context(self) -> ContextLedger:
        return ContextLedger(self.ledger)


def standing(record: ObjectRecord, now: int) -> str:
    """Say in few words where an object stands that is no indicator."""
    return _KEPT_BACK if record.stage == Stage.KEPT_BACK else _STANDING[state_of(record, now)]


def _name(said: Mapping[str, Any]) -> str:
    if said.get("type") == Kind.RELATIONSHIP:
        return f"{said['source_ref']} {said['relationship_type']} {said['target_ref']}"
    return str(said.get("name", ""))


def _between(indicator: ObjectRecord, end: ObjectRecord) -> str:
    """Return the key of the relationship of an indicator to what it points to."""
    return f"{Verb.INDICATES} {indicator.id} {end.id}"


def _uuid(record: ObjectRecord) -> str:
    return record.key.rpartition("/")[2]
