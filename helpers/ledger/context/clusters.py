"""MISP's clusters as the ledger knows them, once for all destinations: what tags name, and which events have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sql

from helpers.context import Cluster
from helpers.errors import LedgerError
from helpers.ledger.bodies.packing import packed, unpacked
from helpers.ledger.database import Database
from helpers.ledger.rows import PARAMETERS
from helpers.ledger.tables import CLUSTER_TAGS, CLUSTERS, EVENT_NAMES, EVENTS, TAGGED_EVENTS
from helpers.text import batched

# What a tag names of which MISP could not be asked: it is asked again by the next run.
NOT_ASKED = "?"


@dataclass(frozen=True)
class StoredClusters:
    """What a ledger has of clusters: None where MISP has, or shows, one no more. A tag names a UUID, or none: ""."""

    clusters: Mapping[str, Cluster | None]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class ClusterLedger:
    """Reads and writes clusters; each method is one transaction. Raises LedgerError."""

    database: Database

    def read(self) -> StoredClusters:
        """Return all that is known. A cluster whose row is damaged counts as one that was never asked for."""
        with self.database.transaction() as connection:
            rows = connection.execute(sql.select(CLUSTERS.c.uuid, CLUSTERS.c.body)).all()
            tags = {str(tag): str(uuid) for tag, uuid in connection.execute(sql.select(CLUSTER_TAGS))}
        clusters = {str(uuid): _cluster(body) if body else None for uuid, body in rows}
        damaged = {str(uuid) for uuid, body in rows if body and clusters[uuid] is None}
        return StoredClusters(
            {uuid: cluster for uuid, cluster in clusters.items() if uuid not in damaged},
            {tag: uuid for tag, uuid in tags.items() if uuid not in damaged},
        )

    def keep(
        self,
        clusters: Iterable[Cluster] = (),
        gone: Iterable[str] = (),
        tags: Mapping[str, str] | None = None,
        again: Iterable[str] = (),
    ) -> set[str]:
        """Write what MISP said: clusters as they are, the UUIDs of those that are gone, and what tags name.

        Events that have a tag of ``again`` are to be read again by each destination; return their UUIDs.
        """
        rows = [{"uuid": one.uuid, "version": one.version, "body": packed(one.stored())} for one in clusters]
        rows += [{"uuid": uuid, "version": "", "body": b""} for uuid in gone]
        named = [{"tag": tag, "uuid": uuid} for tag, uuid in (tags or {}).items()]
        with self.database.transaction() as connection:
            for table, values in ((CLUSTERS, rows), (CLUSTER_TAGS, named)):
                if values:
                    connection.execute(self.database.upsert(table), values)
            return _read_again(connection, again)

    def keep_events(self, tags_of_events: Mapping[str, Iterable[str]]) -> None:
        """Write which events, by UUID, have which tags; of one without a number in the ledger nothing is sent."""
        wanted = {event: set(tags) for event, tags in tags_of_events.items() if tags}
        with self.database.transaction() as connection:
            for batch in batched(wanted, PARAMETERS):
                question = sql.select(EVENT_NAMES.c.uuid, EVENT_NAMES.c.number).where(EVENT_NAMES.c.uuid.in_(batch))
                rows = [
                    {"tag": tag, "event": number}
                    for uuid, number in connection.execute(question)
                    for tag in wanted[uuid]
                ]
                if rows:
                    connection.execute(self.database.insert(TAGGED_EVENTS).on_conflict_do_nothing(), rows)


def _read_again(connection: sql.Connection, tags: Iterable[str]) -> set[str]:
    """Have the events that have one of these tags read again, but for those that are held, which are read anyway."""
    named = sql.select(EVENT_NAMES.c.uuid).join_from(
        TAGGED_EVENTS, EVENT_NAMES, EVENT_NAMES.c.number == TAGGED_EVENTS.c.event
    )
    tagged: set[str] = set()
    for batch in batched(tags, PARAMETERS):
        tagged |= set(connection.scalars(named.where(TAGGED_EVENTS.c.tag.in_(batch))))
    for batch in batched(tagged, PARAMETERS):
        these = (EVENTS.c.uuid.in_(batch), EVENTS.c.held_since.is_(None))
        connection.execute(sql.update(EVENTS).where(*these).values(todo=True))
    return tagged


def _cluster(body: bytes) -> Cluster | None:
    try:
        return Cluster.of(unpacked(body))
    except LedgerError:
        return None
