"""What people ask the ledger of actors, techniques, organisations and relationships. Read-only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import NamedTuple

import sqlalchemy as sql

from helpers.context import NAMED_KINDS, Cluster, Kind, Verb
from helpers.ledger.context.clusters import NOT_ASKED, ClusterLedger
from helpers.ledger.context.standings import ContextLedger
from helpers.ledger.database import Database
from helpers.ledger.records import KINDS, ObjectRecord, Stage
from helpers.ledger.rows import PARAMETERS
from helpers.ledger.store import Ledger, taken
from helpers.ledger.tables import (
    CLUSTER_TAGS,
    CONTEXT_OBJECTS,
    EVENTS,
    OBJECTS,
    RELATION_LINKS,
    RELATIONS,
    SOURCES,
    TAGGED_EVENTS,
)
from helpers.text import batched

_FIELDS = [CONTEXT_OBJECTS.c[field.name] for field in fields(ObjectRecord)]


class Indicating(NamedTuple):
    """An indicator that points to something: its STIX id, and its pattern."""

    id: str
    pattern: str


@dataclass(frozen=True)
class ClusterLookup:
    """Finds MISP's clusters, whatever of them is sent where; they are read once, at the first question."""

    database: Database

    @cached_property
    def by_uuid(self) -> Mapping[str, Cluster | None]:
        """All that are known; None for one that MISP does not have any more. Raises LedgerError."""
        return ClusterLedger(self.database).read().clusters

    def named(self, text: str) -> list[Cluster]:
        """Return those with a name, an alias, MITRE's number, a tag, a UUID or a STIX id, in any letter case."""
        return self._by_name.get(text.lower(), [])

    @cached_property
    def _by_name(self) -> dict[str, list[Cluster]]:
        found: dict[str, list[Cluster]] = {}
        for cluster in filter(None, self.by_uuid.values()):
            for name in {name.lower() for name in (*cluster.names, cluster.uuid, cluster.end)}:
                found.setdefault(name, []).append(cluster)
        return found


@dataclass(frozen=True)
class ContextLookup:
    """Finds what stands beside the indicators of one destination. Raises LedgerError."""

    ledger: Ledger

    def named(self, text: str, uuid: str = "") -> list[ObjectRecord]:
        """Return actors, techniques and organisations by a name, an alias, MITRE's number or a tag, in any letter case.

        Also by a STIX id, relationships too, and by the UUID that MISP has of them. Of each, its latest life.
        """
        known = ContextLedger(self.ledger)
        found = [*known.by_id([text.lower()]).values(), *self._with_name(text.lower())]
        if uuid:
            found += known.objects(f"{kind}/{uuid}" for kind in NAMED_KINDS)
        latest = {record.key: record for record in sorted(found, key=lambda record: record.life)}
        return list(latest.values())

    def _with_name(self, text: str) -> Iterator[ObjectRecord]:
        lines = sql.literal("\n").concat(CONTEXT_OBJECTS.c.names).concat("\n")
        # With stages, which the index has before kinds: without, it would look at every indicator.
        of_kinds = CONTEXT_OBJECTS.c.kind.in_([KINDS.index(kind) for kind in NAMED_KINDS])
        kinds = sql.and_(CONTEXT_OBJECTS.c.stage.in_(list(Stage)), of_kinds)
        ours = CONTEXT_OBJECTS.c.destination == self.ledger.destination
        named = lines.contains(f"\n{text}\n", autoescape=True)
        question = sql.select(*_FIELDS).where(ours, kinds, named).order_by(CONTEXT_OBJECTS.c.key)
        return map(ObjectRecord.of_row, self.ledger.answers(question))

    def cluster_of(self, tag: str) -> str | None:
        """Return the UUID of the cluster that a tag names, "" where it names none; None where nobody has asked."""
        same = sql.or_(CLUSTER_TAGS.c.tag == tag, sql.func.lower(CLUSTER_TAGS.c.tag) == tag.lower())
        uuids = [str(uuid) for (uuid,) in self.ledger.answers(sql.select(CLUSTER_TAGS.c.uuid).where(same))]
        asked = [uuid for uuid in uuids if uuid != NOT_ASKED]
        return max(asked, default=None)

    def indicating(self, record: ObjectRecord, now: int) -> list[Indicating]:
        """Return the indicators that Sentinel has, or may have, of which this is the actor, technique or maker.

        By the relationships that are, or may be, at Microsoft, and by what is still to be sent.
        """
        uuid = record.key.rpartition("/")[2]
        if record.kind is Kind.IDENTITY:
            return self._made_by(uuid, now)
        named = self._live(OBJECTS.c.key, self.naming(uuid), now)
        return sorted({*named, *self._live(OBJECTS.c.id, self._related(record.id), now)})

    def naming(self, cluster: str) -> list[str]:
        """Return the indicators, by their keys, that point to a cluster, by what was last read of their events."""
        linked = (RELATION_LINKS.c.relation == RELATIONS.c.number, RELATIONS.c.target == cluster)
        ours = RELATION_LINKS.c.destination == self.ledger.destination
        question = sql.select(RELATIONS.c.indicator).distinct().where(ours, *linked)
        return [row[0] for row in self.ledger.answers(question)]

    def _related(self, end: str) -> list[str]:
        """Return the indicators, by their STIX ids, of which a relationship to this id is, or may be, at Microsoft."""
        # With stages, as above.
        kind = sql.and_(
            CONTEXT_OBJECTS.c.stage.in_(list(Stage)), CONTEXT_OBJECTS.c.kind == KINDS.index(Kind.RELATIONSHIP)
        )
        ours = (CONTEXT_OBJECTS.c.destination == self.ledger.destination, CONTEXT_OBJECTS.c.live.is_not(sql.false()))
        to_it = CONTEXT_OBJECTS.c.key.like(f"{Verb.INDICATES} % {end}")
        keys = self.ledger.answers(sql.select(CONTEXT_OBJECTS.c.key).where(*ours, kind, to_it))
        return [key.split(" ")[1] for (key,) in keys]

    def relationships_of(self, indicator: str) -> list[ObjectRecord]:
        """Return the relationships to actors and techniques, of an indicator by its STIX id; every life of each."""
        # Whatever a database thinks of blanks and hyphens, the types of STIX lie between these two.
        start = f"{Verb.INDICATES} {indicator} "
        within = (CONTEXT_OBJECTS.c.key > f"{start}a", CONTEXT_OBJECTS.c.key < f"{start}zz")
        ours = CONTEXT_OBJECTS.c.destination == self.ledger.destination
        rows = self.ledger.answers(sql.select(*_FIELDS).where(ours, *within))
        return [record for record in map(ObjectRecord.of_row, rows) if record.key.startswith(start)]

    def is_left_out(self, cluster: str, mark: str) -> bool:
        """Whether an event with a tag of this cluster has relations with ``mark`` for a target."""
        tagged = (CLUSTER_TAGS.c.uuid == cluster, TAGGED_EVENTS.c.tag == CLUSTER_TAGS.c.tag)
        of_event = (RELATIONS.c.event == TAGGED_EVENTS.c.event, RELATIONS.c.target == mark)
        linked = (
            RELATION_LINKS.c.relation == RELATIONS.c.number,
            RELATION_LINKS.c.destination == self.ledger.destination,
        )
        return bool(self.ledger.answers(sql.select(RELATIONS.c.number).where(*tagged, *of_event, *linked).limit(1)))

    def _made_by(self, organisation: str, now: int) -> list[Indicating]:
        of_ours = (SOURCES.c.destination == self.ledger.destination, EVENTS.c.destination == self.ledger.destination)
        made = (EVENTS.c.organisation == organisation, SOURCES.c.event == EVENTS.c.uuid)
        question = sql.select(SOURCES.c.key).distinct().where(*of_ours, *made)
        return sorted(self._live(OBJECTS.c.key, [row[0] for row in self.ledger.answers(question)], now))

    def _live(self, column: sql.Column[str], values: Iterable[str], now: int) -> Iterator[Indicating]:
        # Said so that no index of all that are live is found for it.
        live = (OBJECTS.c.live.is_not(sql.false()), OBJECTS.c.live_until > now, taken(now))
        ours = sql.select(OBJECTS.c.id, OBJECTS.c.pattern).where(
            OBJECTS.c.destination == self.ledger.destination, *live
        )
        for batch in batched(sorted(values), PARAMETERS):
            yield from (Indicating(*row) for row in self.ledger.answers(ours.where(column.in_(batch))))
