"""What stands beside indicators at one destination: actors, techniques, organisations and relationships.

How they are written is the ledger's, as of indicators; these are the questions that nobody asks about those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

import sqlalchemy as sql

from helpers.context import Kind, in_order_of_leaving
from helpers.ledger.records import CARRYING, KINDS, REVOKED, ObjectRecord, Pointer, Pointing, Relation, Stage
from helpers.ledger.rows import PARAMETERS
from helpers.ledger.store import Ledger
from helpers.ledger.tables import (
    CONTENTS,
    CONTEXT_OBJECTS,
    EVENT_NAMES,
    EVENTS,
    MARKS,
    OBJECTS,
    RELATION_LINKS,
    RELATIONS,
    SOURCES,
    STANDINGS,
)
from helpers.text import batched

# So many relations are looked at, at once.
AT_ONCE = 2000
_FIELDS = [CONTEXT_OBJECTS.c[field.name] for field in fields(ObjectRecord)]
_RELATIONSHIP = KINDS.index(Kind.RELATIONSHIP)


@dataclass(frozen=True)
class ContextLedger:
    """Asks what stands beside the indicators of one destination. Each method is one transaction, or some."""

    ledger: Ledger

    # -- objects ----------------------------------------------------------------------------------

    def ends(self) -> list[ObjectRecord]:
        """Return every life of every actor, technique and organisation."""
        return self._objects(sql.and_(CONTEXT_OBJECTS.c.stage.in_(_ALL), CONTEXT_OBJECTS.c.kind != _RELATIONSHIP))

    def objects(self, keys: Iterable[str]) -> list[ObjectRecord]:
        """Return every life of the objects with these keys."""
        return [record for batch in batched(keys, PARAMETERS) for record in self._objects(_in_keys(batch))]

    def by_id(self, ids: Iterable[str]) -> dict[str, ObjectRecord]:
        """Return objects by their STIX ids."""
        found = (record for batch in batched(ids, PARAMETERS) for record in self._objects(_in_ids(batch)))
        return {record.id: record for record in found}

    def known_ids(self, ids: Iterable[str]) -> set[str]:
        """Return those of these STIX ids that an object has, or had."""
        return set(self.by_id(ids))

    def relationships(self) -> Iterator[list[ObjectRecord]]:
        """Yield the relationships that were not withdrawn, some at once; they may change meanwhile."""
        these = (STANDINGS.c.destination == self.ledger.destination, STANDINGS.c.kind == _RELATIONSHIP)
        staying = [stage for stage in _ALL if stage not in _GONE]
        numbers = sql.select(STANDINGS.c.content).where(*these, STANDINGS.c.stage.in_(staying))
        for batch in batched([row[0] for row in self.ledger.answers(numbers)], PARAMETERS):
            ids = sql.select(CONTENTS.c.id).where(CONTENTS.c.number.in_(batch))
            yield self._objects(CONTEXT_OBJECTS.c.id.in_(ids))

    def every_live_object(self) -> list[ObjectRecord]:
        """Return everything that is possibly at Microsoft."""
        return self._objects(CONTEXT_OBJECTS.c.live)

    def unanswered_withdrawals(self) -> list[ObjectRecord]:
        """Return the objects whose withdrawal had no answer, in the order in which they leave."""
        return in_order_of_leaving(self._objects(CONTEXT_OBJECTS.c.stage == Stage.WITHDRAWING))

    def _objects(self, where: sql.ColumnElement[bool]) -> list[ObjectRecord]:
        of_ours = CONTEXT_OBJECTS.c.destination == self.ledger.destination
        return [ObjectRecord.of_row(row) for row in self.ledger.answers(sql.select(*_FIELDS).where(of_ours, where))]

    # -- what points where ------------------------------------------------------------------------

    def pointings(self) -> Iterator[list[Pointing]]:
        """Yield which indicators point to which clusters, some at once, each once."""
        question = sql.select(RELATIONS.c.number, RELATIONS.c.indicator, RELATIONS.c.target)
        question = question.where(*self._linked, ~self._said_before())
        last = 0
        while True:
            behind = question.where(RELATION_LINKS.c.relation > last).order_by(RELATION_LINKS.c.relation)
            rows = self.ledger.answers(behind.limit(AT_ONCE))
            if not rows:
                return
            last = rows[-1][0]
            yield [Pointing(row[1], row[2]) for row in rows]

    @property
    def _linked(self) -> tuple[sql.ColumnElement[bool], ...]:
        """What says of a relation that this destination wants it."""
        return RELATION_LINKS.c.relation == RELATIONS.c.number, RELATION_LINKS.c.destination == self.ledger.destination

    def _said_before(self) -> sql.ColumnElement[bool]:
        """Whether a relation with a lower number says the same at this destination: several events may."""
        earlier, links = RELATIONS.alias("earlier"), RELATION_LINKS.alias("earlier_links")
        same = (earlier.c.indicator == RELATIONS.c.indicator, earlier.c.target == RELATIONS.c.target)
        linked = (links.c.relation == earlier.c.number, links.c.destination == self.ledger.destination)
        return sql.exists().where(*same, earlier.c.number < RELATIONS.c.number, *linked)

    def relations_of_event(self, event: str) -> list[Relation]:
        """Return what the indicators of an event point to."""
        columns = (RELATIONS.c.attribute, RELATIONS.c.indicator, RELATIONS.c.target)
        of_event = (RELATIONS.c.event == EVENT_NAMES.c.number, EVENT_NAMES.c.uuid == event)
        return [
            Relation(event, *row) for row in self.ledger.answers(sql.select(*columns).where(*self._linked, *of_event))
        ]

    def targets_of(self, indicators: Iterable[str]) -> dict[str, set[str]]:
        """Return the clusters that indicators, by their keys, point to."""
        targets: dict[str, set[str]] = {}
        for batch in batched(indicators, PARAMETERS):
            these = RELATIONS.c.indicator.in_(batch)
            for key, target in self.ledger.answers(
                sql.select(RELATIONS.c.indicator, RELATIONS.c.target).where(these, *self._linked)
            ):
                targets.setdefault(key, set()).add(target)
        return targets

    def pointers(self, keys: Iterable[str] = (), ids: Iterable[str] = ()) -> dict[str, Pointer]:
        """Return how indicators stand, by their keys: those of these keys, and those of which one life has this id."""
        found = self._pointers(CONTENTS.c.key, keys) + self._pointers(CONTENTS.c.id, ids)
        latest: dict[str, Pointer] = {}
        for pointer in sorted(found, key=lambda pointer: pointer.life):
            latest[pointer.key] = pointer
        return latest

    def _pointers(self, column: sql.Column[str], values: Iterable[str]) -> list[Pointer]:
        columns = [CONTENTS.c.key, CONTENTS.c.id, CONTENTS.c.life]
        columns += [STANDINGS.c.stage, STANDINGS.c.leaving, STANDINGS.c.valid_until, STANDINGS.c.live]
        columns += [STANDINGS.c.live_until, STANDINGS.c.words, MARKS.c.tlp]
        question = (
            sql.select(*columns)
            .join_from(CONTENTS, STANDINGS, STANDINGS.c.content == CONTENTS.c.number)
            .join(MARKS, MARKS.c.number == STANDINGS.c.mark)
            .where(STANDINGS.c.destination == self.ledger.destination)
        )
        return [
            Pointer(*row)
            for batch in batched(values, PARAMETERS)
            for row in self.ledger.answers(question.where(column.in_(batch)))
        ]

    # -- organisations ----------------------------------------------------------------------------

    def organisations(self) -> dict[str, str]:
        """Return the names of the organisations that made events, by UUID: as the latest of their events has it."""
        of_ours = (EVENTS.c.destination == self.ledger.destination, EVENTS.c.organisation != "")
        columns = (EVENTS.c.organisation, EVENTS.c.organisation_name, sql.func.max(EVENTS.c.timestamp))
        question = sql.select(*columns).where(*of_ours, EVENTS.c.organisation_name != "")
        rows = self.ledger.answers(question.group_by(EVENTS.c.organisation, EVENTS.c.organisation_name))
        return {uuid: name for uuid, name, _ in sorted(rows, key=lambda row: (row[2], row[1]))}

    def carried_organisations(self, uuids: Iterable[str], now: int) -> set[str]:
        """Return those of these organisations of which an indicator is at Microsoft or on its way there."""
        of_ours = (SOURCES.c.destination == self.ledger.destination, OBJECTS.c.destination == self.ledger.destination)
        coming = sql.and_(OBJECTS.c.stage.in_(CARRYING), OBJECTS.c.valid_until > now)
        as_it_was = sql.and_(OBJECTS.c.stage == Stage.REJECTED, OBJECTS.c.live, OBJECTS.c.live_until > now)
        carrying = (OBJECTS.c.leaving == "", sql.or_(coming, as_it_was))
        carried = sql.exists().where(
            *of_ours, SOURCES.c.event == EVENTS.c.uuid, OBJECTS.c.key == SOURCES.c.key, *carrying
        )
        question = sql.select(EVENTS.c.organisation).distinct().where(EVENTS.c.destination == self.ledger.destination)
        found: set[str] = set()
        for batch in batched(uuids, PARAMETERS):
            found |= {row[0] for row in self.ledger.answers(question.where(EVENTS.c.organisation.in_(batch), carried))}
        return found

    # -- counts -----------------------------------------------------------------------------------

    def counts(self) -> dict[Kind, Counter[str]]:
        """Count objects by kind, and by their stage; ``live`` counts those that Microsoft has or may have.

        What is to be withdrawn, and is not on its way, counts as ``leaving`` and in no stage.
        """
        of_ours, beside = STANDINGS.c.destination == self.ledger.destination, STANDINGS.c.kind > 0
        leaves = sql.and_(STANDINGS.c.leaving != "", STANDINGS.c.stage.not_in(REVOKED))
        columns = (STANDINGS.c.kind, STANDINGS.c.stage, leaves)
        stages = sql.select(*columns, sql.func.count()).where(of_ours, STANDINGS.c.stage.in_(_ALL), beside)
        live = sql.select(STANDINGS.c.kind, sql.func.count()).where(of_ours, STANDINGS.c.live, beside)
        counted = {kind: Counter[str]() for kind in KINDS[1:]}
        for kind, stage, leaving, count in self.ledger.answers(stages.group_by(*columns)):
            counted[KINDS[kind]]["leaving" if leaving else str(stage)] += count
        for kind, count in self.ledger.answers(live.group_by(STANDINGS.c.kind)):
            counted[KINDS[kind]]["live"] += count
        return counted

    def withdrawn_since(self, moment: int, reasons: Sequence[str], *, not_at: Collection[int] = ()) -> int:
        """Count what was withdrawn after a moment for one of these reasons, or whose withdrawal is in flight.

        What the runs of ``not_at`` withdrew does not count.
        """
        reason = sql.case(
            (CONTEXT_OBJECTS.c.stage == Stage.WITHDRAWN, CONTEXT_OBJECTS.c.words), else_=CONTEXT_OBJECTS.c.leaving
        )
        left = (CONTEXT_OBJECTS.c.stage.in_((Stage.WITHDRAWING, Stage.WITHDRAWN)), CONTEXT_OBJECTS.c.sent_at > moment)
        counted = sql.and_(CONTEXT_OBJECTS.c.sent_at.not_in(not_at), reason.in_(reasons))
        ours = CONTEXT_OBJECTS.c.destination == self.ledger.destination
        question = sql.select(sql.func.count()).where(ours, *left, counted)
        return int(self.ledger.answers(question)[0][0])


# Said in each question about a kind: the index has stages before kinds.
_ALL = list(Stage)
_GONE = (Stage.WITHDRAWN, Stage.REVOKED)


def _in_keys(keys: Iterable[str]) -> sql.ColumnElement[bool]:
    return CONTEXT_OBJECTS.c.key.in_(list(keys))


def _in_ids(ids: Iterable[str]) -> sql.ColumnElement[bool]:
    return CONTEXT_OBJECTS.c.id.in_(list(ids))
