"""Several destinations of one database, read and written at once.

What is equal is the same Python object: who decides on what several destinations know of something, decides once for
those that are given the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from helpers.ledger.records import AttributeRecord, EventRecord, ObjectRecord, RetryPolicy, Source
from helpers.ledger.store import Ledger

Known = TypeVar("Known")
Record = TypeVar("Record", Source, ObjectRecord)


@dataclass
class Writing:
    """What is written of one destination, as ``Ledger.keep`` takes it.

    ``due`` are the ids of the objects that are enqueued then, in the order in which they go out.
    """

    ledger: Ledger
    events: list[EventRecord] = field(default_factory=list)
    attributes: list[AttributeRecord] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    objects: list[ObjectRecord] = field(default_factory=list)
    no_attributes: dict[str, list[str]] = field(default_factory=dict)
    no_sources: list[Source] = field(default_factory=list)
    no_objects: list[str] = field(default_factory=list)
    due: list[str] = field(default_factory=list)

    @property
    def kept(self) -> dict[str, Any]:
        """What ``Ledger.keep`` takes by name."""
        return {name: value for name, value in vars(self).items() if name not in ("ledger", "due")}


class Together:
    """Several destinations of one database, read and written at once. What is not known has no key in an answer."""

    def __init__(self, ledgers: Sequence[Ledger]) -> None:
        self._ledgers = ledgers

    def attributes(self, events: Collection[str]) -> dict[Ledger, dict[str, Mapping[str, AttributeRecord]]]:
        """Return what was decided on the attributes of events, by event and by UUID."""
        same: dict[Hashable, Any] = {}

        def of(ledger: Ledger) -> dict[str, Mapping[str, AttributeRecord]]:
            known = {event: list(ledger.attributes(event).values()) for event in events}
            return {event: _one(same, records, _by_uuid) for event, records in known.items() if records}

        return {ledger: of(ledger) for ledger in self._ledgers}

    def sources_of_events(self, events: Collection[str]) -> dict[Ledger, dict[str, Sequence[Source]]]:
        """Return the parts that the attributes of events have in objects, by event."""
        return self._by(lambda ledger: [part for event in events for part in ledger.sources_of_event(event)], "event")

    def sources(self, keys: Collection[str]) -> dict[Ledger, dict[str, Sequence[Source]]]:
        """Return every source of the objects with these keys, by key."""
        return self._by(lambda ledger: ledger.sources(keys), "key")

    def objects(self, keys: Collection[str]) -> dict[Ledger, dict[str, Sequence[ObjectRecord]]]:
        """Return every life of the objects with these keys, by key."""
        return self._by(lambda ledger: ledger.objects(keys), "key")

    def known_ids(self, ids: Collection[str]) -> dict[Ledger, frozenset[str]]:
        """Return those of these STIX ids that an object has, or had."""
        return self._sets(lambda ledger: ledger.known_ids(ids))

    def unsettled_keys(self, keys: Collection[str], policy: RetryPolicy) -> dict[Ledger, frozenset[str]]:
        """Return those of these keys of whose objects no answer of Microsoft's stands, or which may end too late."""
        return self._sets(lambda ledger: ledger.unsettled_keys(keys, policy))

    def keep(self, writings: Sequence[Writing]) -> None:
        """Write what was decided and enqueue what is due, as one transaction for all; what is named ``no_`` goes."""
        if not writings:
            return
        with writings[0].ledger.single_transaction():
            for writing in writings:
                writing.ledger.keep(**writing.kept)
                writing.ledger.enqueue(writing.due)

    def _by(self, read: Callable[[Ledger], Iterable[Record]], name: str) -> dict[Ledger, dict[str, Sequence[Record]]]:
        same: dict[Hashable, Any] = {}
        answers: dict[Ledger, dict[str, Sequence[Record]]] = {}
        for ledger in self._ledgers:
            grouped: dict[str, list[Record]] = {}
            for record in read(ledger):
                grouped.setdefault(getattr(record, name), []).append(record)
            answers[ledger] = {key: _one(same, records, tuple) for key, records in grouped.items()}
        return answers

    def _sets(self, read: Callable[[Ledger], set[str]]) -> dict[Ledger, frozenset[str]]:
        same: dict[frozenset[str], frozenset[str]] = {}
        known = {ledger: frozenset(read(ledger)) for ledger in self._ledgers}
        return {ledger: same.setdefault(answer, answer) for ledger, answer in known.items()}


def _one(same: dict[Hashable, Any], records: Sequence[Any], put_together: Callable[[Iterable[Any]], Known]) -> Known:
    """Return records put together; the same object for those that are equal, in whatever order they were read."""
    ordered = sorted((same.setdefault(record, record) for record in records), key=_identity)
    answer: Known = same.setdefault(tuple(ordered), put_together(ordered))
    return answer


def _identity(record: AttributeRecord | Source | ObjectRecord) -> tuple[str, ...]:
    if isinstance(record, ObjectRecord):
        return (record.id,)
    if isinstance(record, Source):
        return record.key, record.event, record.attribute
    return record.event, record.uuid


def _by_uuid(records: Iterable[AttributeRecord]) -> dict[str, AttributeRecord]:
    return {record.uuid: record for record in records}
