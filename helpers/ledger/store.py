"""The ledger: what was sent where, what became of it, and why the rest was not sent.

Each method is one transaction; the database is ``helpers/ledger/database.py``'s.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sql

from constants import WithdrawalReason
from helpers.context import Kind
from helpers.indicators import kind_of
from helpers.ledger.database import Database
from helpers.ledger.facts import read_facts
from helpers.ledger.history.runs import RunKey, RunRecord, outlived
from helpers.ledger.questions.spellings import WITH_ADDRESSES, Address, block_texts
from helpers.ledger.records import (
    KINDS,
    REVOKED,
    UNSETTLED,
    WITHOUT_OUTCOME,
    AttributeRecord,
    DestinationFacts,
    DueObject,
    EventRecord,
    ObjectRecord,
    Relation,
    RetryPolicy,
    Source,
    Stage,
)
from helpers.ledger.rows import PARAMETERS, LedgerRows, Row
from helpers.ledger.tables import (
    ATTRIBUTE_LINKS,
    ATTRIBUTES,
    CONTENTS,
    DESTINATIONS,
    EVENT_NAMES,
    EVENTS,
    FINDINGS,
    FORMER_SOURCES,
    LOOSE,
    MARKED,
    MARKS,
    NOTHING,
    OBJECTS,
    RELATION_LINKS,
    RUNS,
    SOURCE_LINKS,
    SOURCES,
    STANDINGS,
    WITH_CONTRIBUTION,
)
from helpers.ledger.writing import Writing, sweep, write
from helpers.settings import canonical_workspace
from helpers.text import batched

logger = logging.getLogger(__name__)

_UNACCEPTED = (*WITHOUT_OUTCOME, Stage.REJECTED)
# What is counted and guarded are indicators; what stands beside them is ``context.py``'s.
INDICATORS = STANDINGS.c.kind == KINDS.index(Kind.INDICATOR)
_SLASH = FINDINGS.c.value.contains("/")
_SETTLED_AND_STAYING = sql.and_(OBJECTS.c.stage == Stage.ACCEPTED, OBJECTS.c.leaving == "")
# The same, said so that no index is found for it: it would take nearly all objects where few are asked for.
_SETTLED_WITHOUT_INDEX = sql.and_(OBJECTS.c.stage.concat("") == Stage.ACCEPTED, OBJECTS.c.leaving.concat("") == "")


def _columns_of(names: Iterable[str]) -> list[sql.Column[Any]]:
    return [(STANDINGS if name in STANDINGS.c else CONTENTS).c[name] for name in names]


FULL = _columns_of(field.name for field in fields(ObjectRecord))
_FACTS = sql.select(DESTINATIONS.c.facts).where(DESTINATIONS.c.id == sql.bindparam("of"))
_SAVE_FACTS = (
    sql.update(DESTINATIONS)
    .where(DESTINATIONS.c.id == sql.bindparam("of"), DESTINATIONS.c.facts != sql.bindparam("now_known"))
    .values(facts=sql.bindparam("now_known"))
)
_EVENTS = (
    sql.select(*(EVENTS.c[field.name] for field in fields(EventRecord)))
    .where(EVENTS.c.destination == sql.bindparam("of"))
    .order_by(EVENTS.c.uuid)
)
_NEXT = (
    sql.select(STANDINGS.c.content, STANDINGS.c.due, *_columns_of(DueObject._fields))
    .join_from(STANDINGS, CONTENTS, CONTENTS.c.number == STANDINGS.c.content)
    .where(STANDINGS.c.destination == sql.bindparam("of"), STANDINGS.c.due > 0)
    .order_by(STANDINGS.c.due, STANDINGS.c.content)
    .limit(sql.bindparam("most"))
)

_SENDING = STANDINGS.c.stage == Stage.SENDING
# How long what is pending again was valid is in its row no more, which has what is to be sent: the later end counts.
_LATER = sql.case(
    (sql.or_(_SENDING, STANDINGS.c.live_until <= STANDINGS.c.valid_until), STANDINGS.c.valid_until),
    else_=STANDINGS.c.live_until,
)


def _in_flight() -> dict[str, Any]:
    """What is written down of objects that are on their way; the later of two ends counts until there is an answer.

    A withdrawal that is repeated, since it had no answer, is of the run that sent it first.
    """
    stage = sql.case((STANDINGS.c.leaving == "", Stage.SENDING), else_=Stage.WITHDRAWING)
    before = sql.case((STANDINGS.c.live, STANDINGS.c.live_until), else_=0)
    later = sql.case((STANDINGS.c.valid_until > before, STANDINGS.c.valid_until), else_=before)
    repeated = sql.and_(STANDINGS.c.stage == Stage.WITHDRAWING, STANDINGS.c.sent_at.is_not(None))
    sent_at = sql.case((repeated, STANDINGS.c.sent_at), else_=sql.bindparam("at"))
    on_the_way = {"live": True, "sent_at": sent_at, "live_until": later, "perhaps_taken": True}
    return {"stage": stage, "due": None, **on_the_way}


# Made once, as what follows: to make a statement takes SQLAlchemy longer than SQLite to carry it out.
# The next ones in the queue, up to one of them.
_UP_TO = (
    STANDINGS.c.destination == sql.bindparam("of"),
    STANDINGS.c.due > 0,
    STANDINGS.c.due <= sql.bindparam("last_due"),
    sql.or_(STANDINGS.c.due < sql.bindparam("last_due"), STANDINGS.c.content <= sql.bindparam("last_content")),
)
_OFF_THE_QUEUE = sql.update(STANDINGS).where(*_UP_TO).values(due=None)
_ON_THE_WAY = sql.update(STANDINGS).where(*_UP_TO).values(**_in_flight())
_ACCEPT = (
    sql.update(STANDINGS)
    .where(
        STANDINGS.c.destination == sql.bindparam("of"),
        STANDINGS.c.content.in_(
            sql.select(CONTENTS.c.number).where(CONTENTS.c.id.in_(sql.bindparam("ids", expanding=True)))
        ),
        STANDINGS.c.stage.in_((Stage.SENDING, Stage.PENDING)),
    )
    .values(
        stage=sql.case((_SENDING, Stage.ACCEPTED), else_=STANDINGS.c.stage),
        doubt=sql.case((_SENDING, sql.false()), else_=STANDINGS.c.doubt),
        words=sql.case((_SENDING, ""), else_=STANDINGS.c.words),
        live_until=sql.case((_SENDING, STANDINGS.c.valid_until), else_=STANDINGS.c.live_until),
        accepted_until=_LATER,
        accepted_at=sql.bindparam("at"),
        live=True,
        perhaps_taken=False,
    )
)


_LIVE_BY_END = (
    sql.select(STANDINGS.c.live_until, STANDINGS.c.mark, sql.func.count().label("number"))
    .where(
        STANDINGS.c.destination == sql.bindparam("of"),
        INDICATORS,
        STANDINGS.c.live,
        STANDINGS.c.live_until > sql.bindparam("now"),
    )
    .group_by(STANDINGS.c.live_until, STANDINGS.c.mark)
    .subquery()
)
_LIVE_BY_MARK = sql.select(_LIVE_BY_END.c.mark, sql.func.sum(_LIVE_BY_END.c.number)).group_by(_LIVE_BY_END.c.mark)


class LiveTotals(NamedTuple):
    """How many objects count as live for the plan at a moment, and how many Sentinel has or may have, by kind.

    ``staying`` are those that it has as the ledger has them and that are not to leave. What has expired is in none.
    """

    live: int
    by_kind: dict[str, int]
    staying: int


class StandingCounts(NamedTuple):
    """How many objects are in which stage, and how many are ``leaving``, by the reason.

    ``unknown`` has those without an outcome that Microsoft may have taken; in ``stages`` are those that it has not.
    """

    stages: Counter[str]
    unknown: Counter[str]
    leaving: Counter[str]


class Ledger(LedgerRows):
    """What is known of one destination (workspace and source system). Threads may share it."""

    def __init__(self, database: Database | str, workspace: str, sourcesystem: str, *, dry: bool = False) -> None:
        """Open what is known of a destination in a database, or in the one at an address.

        Raises LedgerError with what to do. ``dry`` keeps nothing of what is written to that address.
        """
        super().__init__(Database(database, dry=dry) if isinstance(database, str) else database)
        self._line, self._told = 0, False
        self._known_facts: tuple[Any, DestinationFacts] = ("", DestinationFacts())  # the row's text, and what it says
        workspace = canonical_workspace(workspace)
        self._name = hashlib.sha256(f"{workspace} {sourcesystem}".encode()).hexdigest()[:16]
        try:
            self.destination = self._destination(workspace, sourcesystem)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the database; a dry run's writing goes with it."""
        self.database.close()

    def hold_lock(self, beside: Path | None = None) -> AbstractContextManager[None]:
        """Hold this destination against other runs, on other hosts too. Raises RunActive.

        ``beside`` is where the lock is when there is no file of a database.
        """
        return self.database.hold_lock(self.destination, beside and beside / f"run.{self._name}.lock")

    def is_locked(self) -> bool:
        """Say whether a run, ``adopt`` or ``withdraw`` holds this destination, on other hosts too."""
        return self.database.is_locked(self.destination)

    def single_transaction(self) -> AbstractContextManager[None]:
        """Keep all of what is written inside, or nothing of it."""
        return self.database.single_transaction()

    # -- facts about the destination ------------------------------------------------------------------

    def facts(self) -> DestinationFacts:
        """Return what is known of the destination as a whole: the MISP it read, its last runs."""
        with self._transaction() as connection:
            text = connection.scalar(_FACTS, {"of": self.destination})
        known = self._known_facts
        if text != known[0]:
            facts, unread = read_facts(text)
            self._known_facts = known = (text, facts)
            if unread and not self._told:
                self._told = True
                logger.warning(
                    "The ledger's row of a destination counts as unknown where it is damaged: %s", ", ".join(unread)
                )
        return known[1]

    def save_facts(self, facts: DestinationFacts) -> None:
        """Write what is known of the destination, where it is not there already."""
        with self._transaction() as connection:
            connection.execute(_SAVE_FACTS, {"of": self.destination, "now_known": json.dumps(facts.stored())})

    def keep_run(self, run: RunRecord) -> None:
        """Write down what a run did, as the last one, and drop the rows that stay no longer."""
        of_ours = RUNS.c.destination == self.destination
        with self._transaction() as connection:
            rows = connection.execute(sql.select(RUNS.c.number, RUNS.c.at, RUNS.c.kind).where(of_ours))
            known = [RunKey(*row) for row in rows]
            this = RunKey(1 + max((row.number for row in known), default=0), run.at, run.kind)
            values = {"destination": self.destination, **this._asdict(), "report": run.stored()}
            connection.execute(sql.insert(RUNS).values(**values))
            self._drop(connection, RUNS, RUNS.c.number, outlived([*known, this], run.at), sql.true())

    def runs(self, most: int | None = None) -> list[RunRecord]:
        """Return what earlier runs did, the last one first."""
        question = sql.select(RUNS.c.at, RUNS.c.kind, RUNS.c.report).where(RUNS.c.destination == self.destination)
        with self._transaction() as connection:
            rows = connection.execute(question.order_by(RUNS.c.number.desc()).limit(most)).all()
        return [RunRecord.of_row(*row) for row in rows]

    def destinations(self) -> list[tuple[int, str, str]]:
        """Return id, workspace and source system of every destination in the database."""
        with self._transaction() as connection:
            columns = (DESTINATIONS.c.id, DESTINATIONS.c.workspace, DESTINATIONS.c.sourcesystem)
            return [tuple(row) for row in connection.execute(sql.select(*columns))]

    @property
    def empty(self) -> bool:
        """Whether no object is known of the destination."""
        with self._transaction() as connection:
            question = sql.select(STANDINGS.c.content).where(STANDINGS.c.destination == self.destination).limit(1)
            return connection.scalar(question) is None

    # -- reading --------------------------------------------------------------------------------------

    def events(self, seen: dict[tuple[Any, ...], EventRecord] | None = None) -> dict[str, EventRecord]:
        """Return every event known, by UUID and in its order.

        A row that was ``seen`` at another destination is the same record; others become known there.
        """
        records = {} if seen is None else seen
        with self._transaction() as connection:
            rows = map(tuple, connection.execute(_EVENTS, {"of": self.destination}))
            known = [records.get(row) or records.setdefault(row, EventRecord(*row)) for row in rows]
        return {event.uuid: event for event in known}

    def attributes(self, event: str) -> dict[str, AttributeRecord]:
        """Return what was decided on an event's attributes, by UUID."""
        rows = self._rows(AttributeRecord, ATTRIBUTES, ATTRIBUTES.c.event == event)
        return {attribute.uuid: attribute for attribute in rows}

    def sources_of_event(self, event: str) -> list[Source]:
        """Return the part that an event's attributes have in objects."""
        return list(self._rows(Source, SOURCES, SOURCES.c.event == event))

    def sources(self, keys: Iterable[str]) -> list[Source]:
        """Return every source of the objects with these keys."""
        return list(self._in(Source, SOURCES, SOURCES.c.key, keys))

    def objects(self, keys: Iterable[str]) -> list[ObjectRecord]:
        """Return every life of the objects with these keys."""
        return list(self._in(ObjectRecord, OBJECTS, OBJECTS.c.key, keys))

    def by_id(self, ids: Iterable[str]) -> dict[str, ObjectRecord]:
        """Return objects by their STIX ids."""
        return {record.id: record for record in self._in(ObjectRecord, OBJECTS, OBJECTS.c.id, ids)}

    def known_ids(self, ids: Iterable[str]) -> set[str]:
        """Return those of these STIX ids that an object has, or had."""
        return self._values_where(OBJECTS.c.id, OBJECTS.c.id, ids)

    def contested_and_expired(self, now: int) -> set[str]:
        """Return the keys of which several events asked for an object, and that have none that is valid."""
        valid = sql.and_(OBJECTS.c.valid_until > now, OBJECTS.c.stage.not_in((Stage.WITHDRAWING, Stage.WITHDRAWN)))
        same = sql.and_(OBJECTS.c.destination == self.destination, OBJECTS.c.key == SOURCES.c.key)
        contested = sql.and_(SOURCES.c.destination == self.destination, WITH_CONTRIBUTION)
        question = sql.select(SOURCES.c.key).distinct().where(contested, ~sql.exists().where(same, valid))
        with self._transaction() as connection:
            return {str(key) for key in connection.scalars(question)}

    def leaving(self) -> list[ObjectRecord]:
        """Return the objects that are to be withdrawn."""
        return list(self._rows(ObjectRecord, OBJECTS, OBJECTS.c.leaving > NOTHING))

    def every_live_object(self, now: int) -> list[ObjectRecord]:
        """Return every object that is possibly live and not expired."""
        live = sql.and_(OBJECTS.c.live, OBJECTS.c.live_until > now)
        return list(self._rows(ObjectRecord, OBJECTS, live))

    def without_source(self, reason: str, now: int) -> list[ObjectRecord]:
        """Return the objects, possibly live and not expired, that have this reason to leave and no source."""
        same = sql.and_(SOURCES.c.destination == self.destination, SOURCES.c.key == OBJECTS.c.key)
        for_this = sql.or_(OBJECTS.c.words == reason, OBJECTS.c.leaving == reason)
        live = sql.and_(OBJECTS.c.live, OBJECTS.c.live_until > now, for_this, ~sql.exists().where(same))
        return list(self._rows(ObjectRecord, OBJECTS, live))

    def ownerless(self, now: int) -> list[ObjectRecord]:
        """Return the objects, possibly live and not expired, of which no attribute is known; adopt's are others'."""
        same = sql.and_(SOURCES.c.destination == self.destination, SOURCES.c.key == OBJECTS.c.key)
        live = sql.and_(OBJECTS.c.live, OBJECTS.c.live_until > now, ~sql.exists().where(same))
        staying = sql.and_(OBJECTS.c.leaving == "", OBJECTS.c.words != WithdrawalReason.NOT_IN_MISP)
        return list(self._rows(ObjectRecord, OBJECTS, sql.and_(live, staying)))

    def leaving_ids(self, now: int, done: Container[str]) -> list[str]:
        """Return the ids of the objects that may be withdrawn now: what has expired leaves by itself.

        The event that let go of one, else every event that has a part in it, must be among ``done``, so that
        nothing goes by an old decision.
        """
        columns = (OBJECTS.c.id, OBJECTS.c.key, OBJECTS.c.left_event)
        leaving = self.answers(sql.select(*columns).where(*self._leaving(now)))
        events = self.events_of(key for _, key, left_event in leaving if not left_event)
        wanted = ((id_, {left_event} if left_event else events.get(key, ())) for id_, key, left_event in leaving)
        return [id_ for id_, of_object in wanted if all(event in done for event in of_object)]

    def unanswered_withdrawals(self, now: int) -> list[str]:
        """Return the ids of the objects whose withdrawal had no answer: their ids may be revoked."""
        return self._ids(sql.and_(OBJECTS.c.stage == Stage.WITHDRAWING, *_live_without_index(now)))

    def events_that_let_go(self, now: int) -> set[str]:
        """Return the events of the objects that are to be withdrawn, and have not been."""
        question = sql.select(OBJECTS.c.left_event).distinct().where(*self._leaving(now), OBJECTS.c.left_event > "")
        with self._transaction() as connection:
            let_go = {str(uuid) for uuid in connection.scalars(question)}
        return let_go | self._events_where(sql.and_(OBJECTS.c.left_event == "", *self._leaving(now)))

    def _leaving(self, now: int) -> list[sql.ColumnElement[bool]]:
        of_ours = OBJECTS.c.destination == self.destination
        waiting = sql.and_(OBJECTS.c.leaving > NOTHING, OBJECTS.c.stage != Stage.WITHDRAWING)
        return [of_ours, waiting, *_live_without_index(now)]

    def to_renew(self, now: int) -> list[str]:
        """Return the ids of accepted objects whose expiry may move on: due, and of an event in the window."""
        of_event = self._of_event(EVENTS.c.listed, EVENTS.c.held_since.is_(None))
        return self._ids(sql.and_(_SETTLED_WITHOUT_INDEX, OBJECTS.c.renew_at <= now, of_event))

    def to_refresh(self, now: int, before: int) -> list[str]:
        """Return the ids of valid objects that were accepted before a time, or nobody knows when, and are not held."""
        old = sql.or_(OBJECTS.c.accepted_at <= before, OBJECTS.c.accepted_at > now)
        valid = sql.and_(old, OBJECTS.c.valid_until > now)
        return self._ids(sql.and_(_SETTLED_AND_STAYING, valid, self._of_event(EVENTS.c.held_since.is_(None))))

    def to_send_again(self, now: int) -> list[str]:
        """Return the ids of valid objects that are pending although no event asks to be read for them."""
        pending = sql.and_(OBJECTS.c.stage == Stage.PENDING, OBJECTS.c.leaving == "", OBJECTS.c.valid_until > now)
        quiet = self._of_event(~EVENTS.c.todo, EVENTS.c.held_since.is_(None))
        return self._ids(sql.and_(pending, quiet, ~self._of_event(EVENTS.c.todo)))

    def load_in_batches(self, ids: Iterable[str]) -> Iterator[list[ObjectRecord]]:
        """Yield objects by their ids, a batch at a time; the ids may change meanwhile."""
        for batch in batched(list(ids), PARAMETERS):
            yield list(self._rows(ObjectRecord, OBJECTS, OBJECTS.c.id.in_(batch)))

    def wanted(self, now: int, event: str = "") -> Iterator[list[ObjectRecord]]:
        """Yield every object that some attribute wants at Microsoft and that has not expired, a batch at a time.

        It may be there, on its way or rejected; where an ``event`` is named, only those that came from it.
        """
        same = sql.and_(SOURCES.c.destination == self.destination, SOURCES.c.key == OBJECTS.c.key)
        source = sql.and_(same, SOURCES.c.event == event) if event else same
        staying = sql.and_(OBJECTS.c.leaving == "", OBJECTS.c.stage.not_in(REVOKED), OBJECTS.c.valid_until > now)
        where = sql.and_(OBJECTS.c.destination == self.destination, staying, sql.exists().where(source))
        # All ids at once: PostgreSQL would go through all objects for each batch of them.
        for batch in batched(self._scalars(sql.select(OBJECTS.c.id).where(where).order_by(OBJECTS.c.id)), PARAMETERS):
            objects = self.by_id(batch)
            yield [objects[id_] for id_ in batch]

    def _scalars(self, question: sql.Select[Any]) -> list[str]:
        with self._transaction() as connection:
            return [str(value) for value in connection.scalars(question)]

    def events_of(self, keys: Iterable[str]) -> dict[str, set[str]]:
        """Return the events that the objects with these keys came from."""
        events: dict[str, set[str]] = {}
        for source in self.sources(keys):
            events.setdefault(source.key, set()).add(source.event)
        return events

    def event(self, uuid: str) -> EventRecord | None:
        """Return an event, if it is known."""
        return next(iter(self._rows(EventRecord, EVENTS, EVENTS.c.uuid == uuid)), None)

    def events_with_rejected_objects(self, policy: RetryPolicy) -> set[str]:
        """Return the events of objects that Microsoft rejected, and that are tried again, or that need another id."""
        return self._events_where(sql.or_(_rejected_before(policy), OBJECTS.c.stage == Stage.REVOKED))

    def live_of(self, events: Collection[str], now: int) -> int:
        """Count the objects, possibly live and not expired, that came from these events and no others."""
        keys, of_these = self._values_where(SOURCES.c.key, SOURCES.c.event, events), set(events)
        live = self._values_where(OBJECTS.c.key, OBJECTS.c.key, keys, *_live_without_index(now))
        return sum(of_key <= of_these for of_key in self.events_of(live).values())

    def events_with_live_objects(self, events: Iterable[str], now: int) -> set[str]:
        """Return those of these events of which an object is possibly live and not expired."""
        same = sql.and_(OBJECTS.c.destination == SOURCES.c.destination, OBJECTS.c.key == SOURCES.c.key)
        live = sql.exists().where(same, *_live_without_index(now))
        return self._values_where(SOURCES.c.event, SOURCES.c.event, events, live)

    def count(self, now: int) -> dict[str, int]:
        """Count objects: those that Sentinel has or may have, not expired, as ``live``, and each stage."""
        of_ours = sql.and_(STANDINGS.c.destination == self.destination, INDICATORS)
        stages = sql.select(STANDINGS.c.stage, sql.func.count()).where(of_ours).group_by(STANDINGS.c.stage)
        with self._transaction() as connection:
            counted = {str(stage): int(count) for stage, count in connection.execute(stages)}
        absent = sum(self.tally(STANDINGS.c.stage, _live_for_the_plan_alone(now)).values())
        return {**counted, "live": self.live(now) - absent}

    def perhaps_live(self, now: int) -> int:
        """Count the objects that may have arrived, were not accepted before, and count as live until it is known."""
        unknown = sql.and_(STANDINGS.c.perhaps_taken, ~(STANDINGS.c.accepted_until > now))
        these = sql.and_(STANDINGS.c.stage.in_(_UNACCEPTED), *_live_without_index(now, STANDINGS), unknown)
        return sum(self.tally(STANDINGS.c.stage, these).values())

    def live_totals(self, now: int) -> LiveTotals:
        """Count what is live, by an index that has it all; of that, what is not accepted or is to leave is looked at.

        Raises LedgerError.
        """
        by_mark = self._live_by_mark(now)
        live = sql.and_(*_live_without_index(now, STANDINGS))
        unaccepted = sql.and_(STANDINGS.c.stage.in_(_UNACCEPTED), live)
        leaving = sql.and_(STANDINGS.c.leaving > NOTHING, STANDINGS.c.stage == Stage.ACCEPTED, live)
        others = sum(sum(self.tally(STANDINGS.c.stage, these).values()) for these in (unaccepted, leaving))
        return LiveTotals(by_mark.total(), self._in_sentinel_by_kind(by_mark, now), by_mark.total() - others)

    def standings(self) -> StandingCounts:
        """Count each object once: by its stage, or by why it is to be withdrawn, until its withdrawal is on its way.

        What has changed and was let go of since is not to be sent any more, whatever its stage.
        """
        columns = (STANDINGS.c.stage, STANDINGS.c.leaving, STANDINGS.c.perhaps_taken)
        of_ours = sql.select(*columns, sql.func.count()).where(STANDINGS.c.destination == self.destination, INDICATORS)
        counts = StandingCounts(Counter(), Counter(), Counter())
        with self._transaction() as connection:
            for stage, reason, unknown, count in connection.execute(of_ours.group_by(*columns).order_by(*columns)):
                if reason and stage not in (Stage.WITHDRAWING, Stage.WITHDRAWN):
                    counts.leaving[str(reason)] += count
                else:
                    (counts.unknown if unknown and stage in WITHOUT_OUTCOME else counts.stages)[str(stage)] += count
        return counts

    def live_by_kind(self, now: int) -> dict[str, int]:
        """Count the objects that Sentinel has or may have, not expired, by kind, the most frequent first."""
        return self._in_sentinel_by_kind(self._live_by_mark(now), now)

    def _live_by_mark(self, now: int) -> Counter[int]:
        """Count what counts as live for the plan.

        In the order of the index, in which one end follows another: SQLite would sort all rows by their marks.
        """
        with self._transaction() as connection:
            rows = connection.execute(_LIVE_BY_MARK, {"of": self.destination, "now": now})
            return Counter({int(mark): int(number) for mark, number in rows})

    def _in_sentinel_by_kind(self, live: Counter[int], now: int) -> dict[str, int]:
        """Return by kind what counts as live, by mark, without what Sentinel does not have."""
        paths = dict(self.answers(sql.select(MARKS.c.number, MARKS.c.observable)))
        absent = Counter(self.tally(STANDINGS.c.mark, _live_for_the_plan_alone(now)))
        counted: Counter[str] = Counter()
        for mark, count in (live - absent).items():
            counted[paths[mark]] += count
        kinds: Counter[str] = Counter()
        for path, count in sorted(counted.items(), key=lambda row: (-row[1], row[0])):
            kinds[kind_of(path)] += count
        return dict(kinds.most_common())

    def in_sentinel_by(
        self, what: sql.ColumnElement[Any], now: int, where: sql.ColumnElement[bool] | None = None
    ) -> Counter[Any]:
        """Count the objects that Sentinel has or may have, not expired, by what an index says of them.

        That is what counts as live for the plan, all in one index, but for the few that Sentinel does not have.
        """
        also = sql.true() if where is None else where
        live = sql.and_(STANDINGS.c.live, STANDINGS.c.live_until > now, also)
        within = MARKED if getattr(what, "table", None) is MARKS else None  # a join looks up a mark for each object
        counted = Counter(self._tally(STANDINGS, what, live, within))
        counted.subtract(self._tally(STANDINGS, what, sql.and_(_live_for_the_plan_alone(now), also), within))
        return +counted

    def live(self, now: int) -> int:
        """Count the objects that count as live for the plan and are not expired; an index has them all.

        What Microsoft refused, and nobody accepted before, is among them: it is not in Sentinel.
        """
        of_ours = sql.and_(STANDINGS.c.destination == self.destination, INDICATORS)
        live = sql.select(sql.func.count()).where(of_ours, STANDINGS.c.live, STANDINGS.c.live_until > now)
        with self._transaction() as connection:
            return int(connection.scalar(live) or 0)

    def first_expiry(self, now: int) -> int:
        """Return when the first of the objects expires that count as live; 0 where there are none."""
        of_ours = sql.and_(STANDINGS.c.destination == self.destination, INDICATORS)
        first = sql.select(sql.func.min(STANDINGS.c.live_until))
        with self._transaction() as connection:
            found = connection.scalar(first.where(of_ours, STANDINGS.c.live, STANDINGS.c.live_until > now))
        return int(found or 0)

    def expiring(self, since: int, until: int) -> int:
        """Count the objects that expire in a span of time, of those that count as live for the plan."""
        span = sql.and_(STANDINGS.c.live, STANDINGS.c.live_until > since, STANDINGS.c.live_until <= until)
        return sum(self.tally(STANDINGS.c.live, span).values())

    def expiring_in_sentinel(self, now: int, until: int) -> int:
        """Count the objects that expire by then, of those that Sentinel has or may have."""
        absent = sql.and_(_live_for_the_plan_alone(now), STANDINGS.c.live_until <= until)
        return self.expiring(now, until) - sum(self.tally(STANDINGS.c.stage, absent).values())

    def withdrawn_since(self, moment: int, *, but: Collection[str] = (), not_at: Collection[int] = ()) -> int:
        """Count the objects that were withdrawn after a moment, or whose withdrawal is in flight since then.

        Those with a reason of ``but``, and those of the runs of ``not_at``, do not count.
        """
        reason = sql.case((STANDINGS.c.stage == Stage.WITHDRAWN, STANDINGS.c.words), else_=STANDINGS.c.leaving)
        left = STANDINGS.c.stage.in_((Stage.WITHDRAWING, Stage.WITHDRAWN))
        counted = sql.and_(STANDINGS.c.sent_at > moment, reason.not_in(but), STANDINGS.c.sent_at.not_in(not_at))
        return sum(self.tally(STANDINGS.c.stage, sql.and_(left, counted)).values())

    def duplicate_keys(self) -> list[str]:
        """Return the keys that have more than one object."""
        where = OBJECTS.c.destination == self.destination
        question = sql.select(OBJECTS.c.key).where(where).group_by(OBJECTS.c.key).having(sql.func.count() > 1)
        with self._transaction() as connection:
            return [str(key) for key in connection.scalars(question)]

    def search(self, table: sql.Table, kind: Callable[..., Row], where: sql.ColumnElement[bool]) -> list[Row]:
        """Return rows of a table, for reports."""
        return list(self._rows(kind, table, where))

    def answers(self, question: sql.Select[Any]) -> list[tuple[Any, ...]]:
        """Return the rows that a question finds, for reports."""
        with self._transaction() as connection:
            return [tuple(row) for row in connection.execute(question)]

    def attributes_like(self, texts: Iterable[str], limit: int) -> list[AttributeRecord]:
        """Return attributes whose value, in lower case, holds one of these texts; the shortest values first."""
        value = sql.func.replace(sql.func.lower(FINDINGS.c.value), "[.]", ".")
        like = sql.or_(*(value.contains(text, autoescape=True) for text in texts))
        return self._attributes(sql.func.length(FINDINGS.c.value), limit, like)

    def blocks_near(self, address: Address) -> list[AttributeRecord]:
        """Return attributes that may be blocks of addresses with this one in them, going by how they are written."""
        begins, larger = block_texts(address)
        value = sql.func.replace(sql.func.lower(FINDINGS.c.value), "[.]", ".")
        near = sql.or_(value.like(f"%{begins}%/%"), value.in_(larger))
        # What is quick to see comes first, and leaves few: no name and no address has a slash.
        return self._attributes(FINDINGS.c.number, None, _SLASH, FINDINGS.c.type.in_(WITH_ADDRESSES), near)

    def _attributes(
        self, order: sql.ColumnElement[Any], limit: int | None, *where: sql.ColumnElement[bool]
    ) -> list[AttributeRecord]:
        """Return attributes by what all are looked through for; which are ours is asked of those that are left."""
        link = (ATTRIBUTE_LINKS.c.destination == self.destination, ATTRIBUTE_LINKS.c.finding == FINDINGS.c.number)
        name = EVENT_NAMES.c.number == FINDINGS.c.event
        columns = [FINDINGS.c[field.name] for field in fields(AttributeRecord) if field.name != "event"]
        question = sql.select(EVENT_NAMES.c.uuid, *columns).where(name, sql.exists().where(*link), *where)
        return [AttributeRecord(*row) for row in self.answers(question.order_by(order).limit(limit))]

    def tally(self, column: sql.Column[Any], where: sql.ColumnElement[bool] | sql.TextClause) -> dict[Any, int]:
        """Count rows by what a column of theirs holds, the most frequent first, for reports."""
        return self._tally(column.table, column, where)

    def _tally(
        self,
        table: sql.FromClause,
        what: sql.ColumnElement[Any],
        where: sql.ColumnElement[bool] | sql.TextClause,
        within: sql.FromClause | None = None,
    ) -> dict[Any, int]:
        """Count the rows of a table, in a join ``within`` which it may stand."""
        count = sql.func.count()
        counted = sql.select(what.label("counted"), count).select_from(table if within is None else within)
        of_ours = counted.where(table.c.destination == self.destination, where)
        of_ours = of_ours.where(INDICATORS) if table is STANDINGS else of_ours
        with self._transaction() as connection:
            rows = connection.execute(of_ours.group_by("counted").order_by(count.desc(), "counted"))
            return {value: int(number) for value, number in rows}

    # -- writing --------------------------------------------------------------------------------------

    def keep(
        self,
        *,
        events: Iterable[EventRecord] = (),
        attributes: Iterable[AttributeRecord] = (),
        sources: Iterable[Source] = (),
        objects: Iterable[ObjectRecord] = (),
        no_attributes: Mapping[str, Iterable[str]] | None = None,
        no_sources: Iterable[Source] = (),
        no_objects: Iterable[str] = (),
    ) -> None:
        """Write what was decided, as one transaction; what is named ``no_`` goes."""
        kept = (list(events), list(attributes), list(sources), list(objects))
        gone = ({event: list(uuids) for event, uuids in (no_attributes or {}).items()}, list(no_sources))
        write(self.database, [Writing(self, *kept, *gone, list(no_objects))])

    def keep_relations(self, new: Iterable[Relation], gone: Iterable[Relation]) -> None:
        """Write what indicators point to, and what they point to no more, as one transaction."""
        write(self.database, [Writing(self, relations=list(new), no_relations=list(gone))])

    def hear_again(self, sources: Iterable[Source]) -> None:
        """Have the attributes of sources converted again, whatever they look like: their events are to be read."""
        of_sources = {(source.event, source.attribute) for source in sources}
        uuids = {event for event, _ in of_sources}
        attributes = (known for uuid in uuids for known in self.attributes(uuid).values())
        again = [replace(known, fingerprint="") for known in attributes if (known.event, known.uuid) in of_sources]
        events = [replace(event, todo=True) for event in self._in(EventRecord, EVENTS, EVENTS.c.uuid, uuids)]
        self.keep(events=events, attributes=again)

    def enqueue(self, ids: Sequence[str]) -> None:
        """Put objects at the end of the queue of what is to go out in this run."""
        self._change(ids, {"due": self.next_line()})

    def dequeue(self, most: int, now: int, *, in_flight: bool) -> list[DueObject]:
        """Take the next objects out of the queue; ``in_flight`` writes down that they are on their way."""
        with self._transaction() as connection:
            rows = connection.execute(_NEXT, {"of": self.destination, "most": most}).all()
            if rows:
                content, due = rows[-1][:2]
                this = {"of": self.destination, "last_due": due, "last_content": content}
                connection.execute(
                    _ON_THE_WAY if in_flight else _OFF_THE_QUEUE, {**this, "at": now} if in_flight else this
                )
        return [DueObject._make(row[2:]) for row in rows]

    def accepted(self, ids: Sequence[str], now: int) -> None:
        """Write down that Microsoft took objects; one that is to be sent again meanwhile is not settled by it."""
        with self._transaction() as connection:
            for batch in batched(ids, PARAMETERS):
                connection.execute(_ACCEPT, {"of": self.destination, "ids": batch, "at": now})

    def save_remote_ids(self, remote_ids: Mapping[str, str]) -> None:
        """Write down the ids that Microsoft gave objects, by ours."""
        contents = sql.select(CONTENTS.c.number).where(CONTENTS.c.id == sql.bindparam("object"))
        named = sql.and_(STANDINGS.c.destination == self.destination, STANDINGS.c.content.in_(contents))
        statement = sql.update(STANDINGS).where(named).values(remote_id=sql.bindparam("remote"))
        if remote_ids:
            with self._transaction() as connection:
                rows = [{"object": ours, "remote": theirs} for ours, theirs in remote_ids.items()]
                connection.execute(statement, rows)

    def withdrawn(self, ids: Sequence[str]) -> None:
        """Write down that Microsoft took the withdrawal of objects; why they left stays as their words."""
        settled = {"stage": Stage.WITHDRAWN, "live": False, "leaving": "", "left_event": "", "renew_at": None}
        settled |= {"perhaps_taken": False, "accepted_until": 0}
        self._change(ids, {**settled, "words": STANDINGS.c.leaving}, STANDINGS.c.stage == Stage.WITHDRAWING)

    def rejected(self, words: Mapping[str, str], program: str = "") -> None:
        """Write down that Microsoft refused objects; one that was accepted before lives on as it was."""
        lives = sql.or_(STANDINGS.c.accepted_at.is_not(None), STANDINGS.c.doubt)
        for text, ids in _by_words(words).items():
            self._change(ids, {"words": text}, STANDINGS.c.stage == Stage.WITHDRAWING)
            refused = {"stage": Stage.REJECTED, "live": lives, "words": text, "program": program}
            self._change(ids, refused, STANDINGS.c.stage == Stage.SENDING)

    def redate_withdrawals(self, now: int, *, not_at: Collection[int] = ()) -> None:
        """Date withdrawals of the future now, the latest that they can have been, but for those of some runs.

        A clock that was ahead dated them: they would count as withdrawn of late until it is as late as that.
        """
        left = STANDINGS.c.stage.in_((Stage.WITHDRAWING, Stage.WITHDRAWN))
        of_future = sql.and_(STANDINGS.c.destination == self.destination, left, STANDINGS.c.sent_at > now)
        these = sql.and_(of_future, STANDINGS.c.sent_at.not_in(not_at))
        self._write(sql.update(STANDINGS).where(these).values(sent_at=now))

    def revoked(self, words: Mapping[str, str]) -> None:
        """Write down that Microsoft keeps the ids of objects as revoked, of which the ledger did not know."""
        for text, ids in _by_words(words).items():
            dead = {"stage": Stage.REVOKED, "live": False, "doubt": False, "words": text, "renew_at": None}
            dead |= {"perhaps_taken": False, "accepted_until": 0}
            self._change(ids, dead, STANDINGS.c.stage == Stage.SENDING)

    def unanswered(self, words: Mapping[str, str]) -> None:
        """Write down that objects were sent, perhaps, and that Microsoft did not say what became of them.

        That counts also where it refused the request as a whole: an earlier try of the same batch may have arrived.
        """
        for text, ids in _by_words(words).items():
            self._change(ids, {"doubt": STANDINGS.c.live, "words": text})

    def not_taken(self, ids: Sequence[str]) -> None:
        """Write down that a request for objects was refused, and that none before is known to have been taken.

        For people alone: the plan counts them as possibly live still.
        """
        self._change(ids, {"perhaps_taken": False}, STANDINGS.c.stage.not_in((Stage.WITHDRAWN, Stage.REVOKED)))

    def recover(self) -> None:
        """Take up what a run that was cut off left in flight: it may have arrived, and is to be sent again."""
        of_ours = STANDINGS.c.destination == self.destination
        self._write(sql.update(STANDINGS).where(of_ours, STANDINGS.c.due > 0).values(due=None))
        sending = sql.and_(of_ours, STANDINGS.c.stage == Stage.SENDING)
        self._write(sql.update(STANDINGS).where(sending).values(stage=Stage.PENDING, doubt=True))

    def settle_events(self, uuids: Iterable[str]) -> None:
        """Note the events of which every object is settled: nothing is to be done about them any more."""
        decided = set(uuids)
        settled = sorted(decided - self._events_where(OBJECTS.c.stage.in_(UNSETTLED)))
        with self._transaction() as connection:
            for batch in batched(settled, PARAMETERS):
                these = sql.and_(EVENTS.c.destination == self.destination, EVENTS.c.uuid.in_(batch))
                connection.execute(sql.update(EVENTS).where(these).values(todo=False))

    def sweep(self) -> None:
        """Drop what no destination has any more of what several may share."""
        if not self.database.dry:
            sweep(self.database)

    def forget_all(self) -> None:
        """Drop every attribute and source of the destination, and have every event read again; objects stay."""
        self._remember_sources()
        for table in (ATTRIBUTE_LINKS, SOURCE_LINKS, RELATION_LINKS):
            of_ours, shared = table.c.destination == self.destination, table.columns[1]
            loose = sql.select(sql.literal(shared.name), shared).where(of_ours)
            with self.database.sharing() as connection:
                connection.execute(sql.insert(LOOSE).from_select(["kind", "number"], loose))
                connection.execute(sql.delete(table).where(of_ours))
        self._write(sql.update(EVENTS).where(EVENTS.c.destination == self.destination).values(todo=True))

    def _remember_sources(self) -> None:
        """Write down which attributes have a part in which objects, as of those that have none any more."""
        if self.database.dry:
            return
        names = [SOURCES.c.destination, SOURCES.c.key, SOURCES.c.event, SOURCES.c.attribute]
        ours = sql.select(*names, sql.literal(0)).where(SOURCES.c.destination == self.destination)
        statement = self.database.insert(FORMER_SOURCES).from_select([*FORMER_SOURCES.columns], ours)
        with self._transaction() as connection:
            self.database.hold_former_sources(connection)
            again = {"index_elements": [*FORMER_SOURCES.primary_key], "set_": {"left_at": 0}}
            connection.execute(statement.on_conflict_do_update(**again))


def taken(now: int, of: sql.Table = OBJECTS) -> sql.ColumnElement[bool]:
    """Objects that Sentinel has at ``now``, or may have, where they count as live (``ObjectRecord.is_in_sentinel``)."""
    return sql.or_(of.c.stage == Stage.ACCEPTED, of.c.perhaps_taken, of.c.accepted_until > now)


def _live_for_the_plan_alone(now: int) -> sql.ColumnElement[bool]:
    """Objects that count as live and that Sentinel does not have; the index is of those that are not accepted."""
    return sql.and_(STANDINGS.c.stage.in_(_UNACCEPTED), *_live_without_index(now, STANDINGS), ~taken(now, STANDINGS))


def _live_without_index(now: int, of: sql.Table = OBJECTS) -> list[sql.ColumnElement[bool]]:
    """Possibly live and not expired, said so that SQLite finds no index for it: it would take all that are.

    For questions in which something else says which few, such as the keys of sources one by one.
    """
    return [of.c.live.is_not(sql.false()), of.c.live_until > now]


def unsettled(policy: RetryPolicy, of: sql.Table) -> sql.ColumnElement[bool]:
    """Objects for which no answer of Microsoft's stands, or which may end too late."""
    return sql.or_(of.c.stage.in_(UNSETTLED), _rejected_before(policy, of), _ends_too_late(policy.now, of))


def _rejected_before(policy: RetryPolicy, of: sql.Table = OBJECTS) -> sql.ColumnElement[bool]:
    """Objects that Microsoft rejected, and whose rejection does not stand."""
    rejected = of.c.stage == Stage.REJECTED
    return rejected if policy.retry_rejected else sql.and_(rejected, of.c.program != policy.program)


def _ends_too_late(now: int, of: sql.Table) -> sql.ColumnElement[bool]:
    """Objects whose end moves and was set by a clock that was ahead; of a shared one a fixed end may be as late."""
    begin = 2 * of.c.renew_at - of.c.valid_until  # half of its days are between the two
    return sql.and_(of.c.stage.in_((Stage.ACCEPTED, Stage.REJECTED)), begin > now + 1)


def _by_words(words: Mapping[str, str]) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {}
    for id_, text in words.items():
        ids.setdefault(text, []).append(id_)
    return ids
