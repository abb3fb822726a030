"""What people ask the ledger of actors, techniques, organisations and relationships. Read-only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import sqlalchemy as sql

from helpers.context import NAMED_KINDS, Kind
from helpers.ledger.context.clusters import NOT_ASKED
from helpers.ledger.context.standings import ContextLedger
from helpers.ledger.records import KINDS, ObjectRecord, Stage
from helpers.ledger.rows import PARAMETERS
from helpers.ledger.store import Ledger, taken
from helpers.ledger.tables import CLUSTER_TAGS, CONTEXT_OBJECTS, EVENTS, OBJECTS, RELATION_LINKS, RELATIONS, SOURCES
from helpers.text import batched

_FIELDS = [CONTEXT_OBJECTS.c[field.name] for field in fields(ObjectRecord)]


class Indicating(NamedTuple):
    """An indicator that points to something: its STIX id, and its pattern."""

    id: str
    pattern: str


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
        """Return the indicators that Sentinel has, or may have, of which this is the actor, technique or maker."""
        uuid = record.key.rpartition("/")[2]
        if record.kind is Kind.IDENTITY:
            return self._made_by(uuid, now)
        linked = (RELATION_LINKS.c.relation == RELATIONS.c.number, RELATIONS.c.target == uuid)
        ours = RELATION_LINKS.c.destination == self.ledger.destination
        keys = [
            row[0] for row in self.ledger.answers(sql.select(RELATIONS.c.indicator).distinct().where(ours, *linked))
        ]
        return self._live(keys, now)

    def _made_by(self, organisation: str, now: int) -> list[Indicating]:
        of_ours = (SOURCES.c.destination == self.ledger.destination, EVENTS.c.destination == self.ledger.destination)
        made = (EVENTS.c.organisation == organisation, SOURCES.c.event == EVENTS.c.uuid)
        question = sql.select(SOURCES.c.key).distinct().where(*of_ours, *made)
        return self._live([row[0] for row in self.ledger.answers(question)], now)

    def _live(self, keys: Iterable[str], now: int) -> list[Indicating]:
        # Said so that no index of all that are live is found for it.
        live = (OBJECTS.c.live.is_not(sql.false()), OBJECTS.c.live_until > now, taken(now))
        ours = sql.select(OBJECTS.c.id, OBJECTS.c.pattern).where(
            OBJECTS.c.destination == self.ledger.destination, *live
        )
        batches: Iterator[Sequence[str]] = batched(sorted(keys), PARAMETERS)
        rows = (self.ledger.answers(ours.where(OBJECTS.c.key.in_(batch))) for batch in batches)
        return sorted(Indicating(*row) for of_batch in rows for row in of_batch)
