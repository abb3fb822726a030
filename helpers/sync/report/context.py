"""What a run did about actors, techniques, organisations and relationships; they are counted apart from indicators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from constants import AdoptionKind
from helpers.context import NAMED_KINDS, Kind
from helpers.ledger import ObjectRecord
from helpers.microsoft import Outcome, OutcomeState
from helpers.sync.plan import Plan
from helpers.text import shorten

# So many tags without a cluster are named, and so many rejections.
MOST_TAGS, MOST_REJECTIONS = 10, 3
# So many of each kind that leave are kept to be shown.
MOST_EXAMPLES = 3


@dataclass
class ContextReport:
    """What became of what stands beside the indicators of one destination, or of several.

    ``planned``, ``accepted``, ``withdrawn`` count by kind; ``rejected`` and ``pending`` what was to be sent or
    withdrawn; ``kept_back`` relationships of which an end was refused, ``waiting`` those of which one has no answer,
    and ``waiting_to_leave`` what leaves in the next runs. ``to_leave`` counts what is to leave by the reason,
    ``leaving`` by kind; ``refused`` counts by kind what a guard holds back. ``left_out`` names the events whose
    techniques were too many, ``cut`` those that had too many without these.
    ``without_cluster`` counts the events that have a tag which names no cluster; ``not_asked`` is why MISP did not say,
    and ``none_shown`` that it shows none of those that it showed before.
    ``adopted`` counts by kind what ``adopt`` made of objects. ``line`` takes the lines of the plan, where it is listed.
    """

    planned: Counter[Kind] = field(default_factory=Counter)
    to_leave: Counter[str] = field(default_factory=Counter)
    leaving: Counter[Kind] = field(default_factory=Counter)
    refused: Counter[Kind] = field(default_factory=Counter)
    accepted: Counter[Kind] = field(default_factory=Counter)
    withdrawn: Counter[Kind] = field(default_factory=Counter)
    live: Counter[Kind] = field(default_factory=Counter)
    rejected: int = 0
    pending: int = 0
    kept_back: int = 0
    waiting: int = 0
    waiting_to_leave: int = 0
    rejections: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    without_cluster: Counter[str] = field(default_factory=Counter)
    adopted: dict[AdoptionKind, Counter[Kind]] = field(default_factory=dict)
    not_asked: str = ""
    none_shown: str = ""
    line: Callable[[str], None] | None = None
    _names: dict[str, str] = field(default_factory=dict)
    _leaving: dict[Kind, list[str]] = field(default_factory=dict)

    @property
    def unsettled(self) -> int:
        """How much was refused, or has no answer."""
        return self.rejected + self.pending

    def add_plan(self, plan: Plan) -> None:
        """Count what is to be sent."""
        for what, records in (("new", plan.new), ("changed", plan.changed), ("again", plan.again)):
            for record in records:
                self.planned[record.kind] += 1
                self._list(f"send {what}", record)

    def add_withdrawal(self, record: ObjectRecord) -> None:
        """Count an object that is to leave."""
        self.to_leave[record.leaving] += 1
        self.leaving[record.kind] += 1
        if len(examples := self._leaving.setdefault(record.kind, [])) < MOST_EXAMPLES:
            examples.append(f"{record.kind.facts.one} {self._told(record)}")
        self._list("withdraw", record, f"({record.leaving})")

    def refuse_withdrawals(self, kinds: Counter[Kind], records: Iterable[ObjectRecord]) -> None:
        """Count what may not leave, and list these of it."""
        self.refused.update(kinds)
        for record in records:
            self._list("refused: withdraw", record, f"({record.leaving})")

    def leaving_examples(self) -> Iterator[str]:
        """Yield some of what is to leave, of each kind that has names in turn; where nothing has one, relationships."""
        named = [kind for kind in NAMED_KINDS if self._leaving.get(kind)]
        for number in range(MOST_EXAMPLES):
            for kind in named or [Kind.RELATIONSHIP]:
                yield from self._leaving.get(kind, [])[number : number + 1]

    def name_ends(self, ends: Iterable[ObjectRecord]) -> None:
        """Note what people know actors and techniques by, for the relationships that a dry run lists."""
        if self.line:
            self._names |= {record.id: name_of(record) for record in ends}

    def _list(self, what: str, record: ObjectRecord, why: str = "") -> None:
        if self.line:
            self.line(" ".join(filter(None, [what, record.id, self._told(record), why])))

    def _told(self, record: ObjectRecord) -> str:
        """Return what an object is, as people know it: its name, or what a relationship is between."""
        if record.kind is not Kind.RELATIONSHIP:
            return name_of(record)
        said = record.indicator
        ends = (f"{id_} ({name})" if (name := self._names.get(id_)) else id_ for id_ in _ends(said))
        return f" {said['relationship_type']} ".join(ends)

    def adopt(self, what: AdoptionKind, kind: Kind, stored: Mapping[str, Any]) -> None:
        """Count an object that the workspace has."""
        self.adopted.setdefault(what, Counter())[kind] += 1
        if self.line:
            names = ("source_ref", "relationship_type", "target_ref") if kind is Kind.RELATIONSHIP else ("name",)
            self.line(" ".join(["adopt", what, stored["id"], *(str(stored.get(name, "")) for name in names)]).rstrip())

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Count what became of objects."""
        for outcome in outcomes:
            if outcome.state is OutcomeState.ACCEPTED:
                (self.withdrawn if outcome.object.revoked else self.accepted)[outcome.object.kind] += 1
            elif outcome.state is OutcomeState.PENDING:
                self.pending += 1
            else:
                self._reject(outcome)

    def _reject(self, outcome: Outcome) -> None:
        self.rejected += 1
        if len(self.rejections) < MOST_REJECTIONS:
            self.rejections.append(f"{outcome.object.id}: {shorten(outcome.words, 200)}")

    def add(self, other: ContextReport) -> None:
        """Add what was done at another destination."""
        for name in ("planned", "to_leave", "leaving", "refused", "accepted", "withdrawn", "live"):
            getattr(self, name).update(getattr(other, name))
        for name in ("rejected", "pending", "kept_back", "waiting", "waiting_to_leave"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.rejections = (self.rejections + other.rejections)[:MOST_REJECTIONS]
        self.left_out = list(dict.fromkeys([*self.left_out, *other.left_out]))
        self.cut = list(dict.fromkeys([*self.cut, *other.cut]))
        self.without_cluster = self.without_cluster or other.without_cluster
        self.not_asked = self.not_asked or other.not_asked
        self.none_shown = self.none_shown or other.none_shown

    @property
    def most_without_cluster(self) -> list[tuple[str, int]]:
        """The tags without a cluster that most events have."""
        return sorted(self.without_cluster.items(), key=lambda row: (-row[1], row[0]))[:MOST_TAGS]

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "planned": _by_kind(self.planned),
            "accepted": _by_kind(self.accepted),
            "withdrawals": dict(self.to_leave),
            "leaving": _by_kind(self.leaving),
            "refused": _by_kind(self.refused),
            "withdrawn": _by_kind(self.withdrawn),
            "live": _by_kind(self.live),
            "adopted": {what.value: _by_kind(counts) for what, counts in self.adopted.items()},
            "rejected": self.rejected,
            "pending": self.pending,
            "kept_back": self.kept_back,
            "waiting": self.waiting,
            "waiting_to_leave": self.waiting_to_leave,
            "rejections": self.rejections,
            "events_without_techniques": self.left_out,
            "events_cut": self.cut,
            "tags_without_cluster": len(self.without_cluster),
            "most_frequent_without_cluster": dict(self.most_without_cluster),
            "clusters_not_asked": self.not_asked or self.none_shown,
        }


def _by_kind(counts: Counter[Kind]) -> dict[str, int]:
    return {kind.value: count for kind, count in sorted(counts.items())}


def name_of(record: ObjectRecord) -> str:
    """Return the name of an actor, a technique or an organisation; "" of what has none."""
    return str(record.indicator.get("name", ""))


def _ends(relationship: Mapping[str, Any]) -> tuple[str, str]:
    return str(relationship["source_ref"]), str(relationship["target_ref"])
