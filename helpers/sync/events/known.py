"""What ledgers know of an event, read for all destinations at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property

from helpers.ledger import AttributeRecord, Ledger, Relation, RetryPolicy, Source, Together


@dataclass(frozen=True)
class Known:
    """What a ledger knows of an event: its attributes by UUID, their parts in objects, and what is unsettled of these.

    ``relations`` are what its indicators point to. ``unsettled`` has the attributes of whose objects no answer of
    Microsoft's stands, or which may end too late.
    """

    attributes: Mapping[str, AttributeRecord] = field(default_factory=dict)
    sources: Sequence[Source] = ()
    unsettled: AbstractSet[str] = frozenset()
    relations: Sequence[Relation] = ()

    def sources_of(self, attribute: str) -> Sequence[Source]:
        """Return the parts of an attribute."""
        return self._by_attribute.get(attribute, [])

    @cached_property
    def _by_attribute(self) -> dict[str, list[Source]]:
        sources: dict[str, list[Source]] = {}
        for source in self.sources:
            sources.setdefault(source.attribute, []).append(source)
        return sources


NOTHING_KNOWN = Known()
_NO_ATTRIBUTES: Mapping[str, AttributeRecord] = {}


class KnownEvents:
    """Reads what the ledgers of some destinations know of the events of a page, before the first of them is opened.

    Destinations that know the same of an event are given the same object.
    """

    def __init__(self, together: Together, policies: Mapping[Ledger, RetryPolicy]) -> None:
        self._policies = policies
        self._together = together
        self._events: dict[str, dict[Ledger, Known]] = {}

    def read(self, events: Iterable[str]) -> None:
        """Read what is known of events, in place of those that were read before."""
        uuids = list(dict.fromkeys(events))
        attributes = self._together.attributes(uuids)
        sources = self._together.sources_of_events(uuids)
        relations = self._together.relations(uuids)
        keys = {source.key for of_event in sources.values() for parts in of_event.values() for source in parts}
        unsettled = self._unsettled(keys)
        same: dict[tuple[int, int, int, AbstractSet[str]], Known] = {}
        self._events = {uuid: {} for uuid in uuids}
        for ledger in self._policies:
            for uuid in attributes[ledger].keys() | sources[ledger].keys() | relations[ledger].keys():
                of_event, parts = attributes[ledger].get(uuid, _NO_ATTRIBUTES), sources[ledger].get(uuid, ())
                waiting, points = _attributes_of(parts, unsettled[ledger]), relations[ledger].get(uuid, ())
                state = (id(of_event), id(parts), id(points), waiting)
                self._events[uuid][ledger] = same.setdefault(state, Known(of_event, parts, waiting, points))

    def has(self, event: str) -> bool:
        """Whether what is known of an event was read, and has not changed since."""
        return event in self._events

    def of(self, ledger: Ledger, event: str) -> Known:
        """Return what a ledger knows of an event that was read."""
        return self._events[event].get(ledger, NOTHING_KNOWN)

    def forget(self, event: str = "") -> None:
        """Have an event read again, or all: what was decided on one may have changed another one's attributes."""
        if event:
            self._events.pop(event, None)
        else:
            self._events = {}

    def _unsettled(self, keys: set[str]) -> dict[Ledger, frozenset[str]]:
        """Return the keys whose objects are unsettled, by the policy of each destination."""
        if not keys:
            return dict.fromkeys(self._policies, frozenset())
        answers = {policy: self._together.unsettled_keys(keys, policy) for policy in set(self._policies.values())}
        return {ledger: answers[policy][ledger] for ledger, policy in self._policies.items()}


def _attributes_of(sources: Sequence[Source], keys: frozenset[str]) -> frozenset[str]:
    """Return the attributes that have a part in the objects with these keys."""
    return frozenset(source.attribute for source in sources if source.key in keys) if keys else frozenset()
