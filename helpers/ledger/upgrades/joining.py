"""One destination under several spellings of its workspace is one: what older ledgers know of each is joined.

It may be live if either says so, and its id is revoked if either says so; of the rest, what is later counts. MISP is
read anew by the next run, which decides about everything again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields, replace

import sqlalchemy as sql

from constants import WithdrawalReason
from helpers.ledger.facts import read_facts
from helpers.ledger.records import REVOKED, DestinationFacts, ObjectRecord, Stage
from helpers.ledger.tables import DESTINATIONS, EVENTS
from helpers.ledger.upgrades.tables_5 import ATTRIBUTES_5, OBJECTS_5, SOURCES_5
from helpers.settings import canonical_address, canonical_workspace
from helpers.text import batched

_AT_ONCE = 500


def join_spellings(connection: sql.Connection) -> None:
    """Give each workspace one spelling, and join the destinations that are the same then; in the caller's transaction.

    The one that the ledger knew first keeps its number.
    """
    kept: dict[tuple[str, str], int] = {}
    for row in connection.execute(sql.select(DESTINATIONS).order_by(DESTINATIONS.c.id)).all():
        name = (canonical_workspace(row.workspace), row.sourcesystem)
        if name in kept:
            _join(connection, kept[name], row.id)
        else:
            kept[name] = row.id
    for (workspace, _), number in kept.items():
        _update(connection, number, workspace=workspace)
        facts = _facts_of(connection, number)
        if with_one_address(facts) != facts:
            _update(connection, number, facts=json.dumps(with_one_address(facts).stored()))


def joined_object(one: ObjectRecord, other: ObjectRecord) -> ObjectRecord:
    """Return one object of which two destinations know."""
    earlier, later = sorted((one, other), key=lambda record: max(record.accepted_at or 0, record.sent_at or 0))
    joined = replace(
        later,
        live=one.live or other.live,
        live_until=max(one.live_until * one.live, other.live_until * other.live),
        doubt=one.doubt or other.doubt,
        remote_id=later.remote_id or earlier.remote_id,
        perhaps_taken=one.perhaps_taken or other.perhaps_taken,
        accepted_until=max(one.accepted_until, other.accepted_until),
    )
    revoked = next((record for record in (later, earlier) if record.revoked), None)
    if revoked is None:
        return joined
    why = revoked.leaving or revoked.words or WithdrawalReason.SECOND
    if not joined.live:
        return replace(joined, stage=Stage.WITHDRAWN, words=why, leaving="", left_event="", renew_at=None)
    # Withdrawn once more: a withdrawal that had no answer is repeated, and does no harm where it had one.
    again = replace(joined, stage=Stage.WITHDRAWING, words="", leaving=why, left_event="", renew_at=None)
    return replace(again, perhaps_taken=True)


def one_live_object(lives: Iterable[ObjectRecord]) -> Iterator[ObjectRecord]:
    """Yield what changes where a key has several objects: the live one becomes its last life, others leave."""
    # What Microsoft keeps revoked comes first, so that the current one is live, if any of them is.
    *others, current = sorted(lives, key=lambda record: (not record.revoked, record.life, record.id))
    if current.revoked or not others:
        return
    last = max(record.life for record in others)
    if current.life <= last:
        yield replace(current, life=last + 1)
    for record in others:
        if not record.revoked and record.words != WithdrawalReason.NOT_IN_MISP:
            yield replace(record, leaving=WithdrawalReason.SECOND)


def joined_facts(one: DestinationFacts, other: DestinationFacts) -> DestinationFacts:
    """Return what is known of both destinations as a whole; a full run is due then."""
    earlier, later = sorted((one, other), key=lambda facts: facts.ran_at)
    return replace(
        DestinationFacts.of({**earlier.stored(), **later.stored()}),
        settings_fingerprint="",
        full_begun=None,
        full_run=max(one.full_run, other.full_run),
        refused_events=tuple(sorted({*one.refused_events, *other.refused_events})),
    )


def with_one_address(facts: DestinationFacts) -> DestinationFacts:
    """Return facts with MISP's address as the settings spell it now."""
    misp, view = (
        {**seen, "url": _canonical(seen["url"])} if seen and seen.get("url") else seen
        for seen in (facts.misp, facts.view)
    )
    return replace(facts, misp=misp, view=view)


def _join(connection: sql.Connection, kept: int, other: int) -> None:
    """Put all that one destination has where the other's is."""
    _join_objects(connection, kept, other)
    _join_rows(connection, EVENTS, kept, other, ["uuid"])
    _join_rows(connection, ATTRIBUTES_5, kept, other, ["event", "uuid"])
    _join_rows(connection, SOURCES_5, kept, other, ["key", "event", "attribute"])
    facts = joined_facts(_facts_of(connection, kept), _facts_of(connection, other))
    _update(connection, kept, facts=json.dumps(facts.stored()))
    connection.execute(sql.delete(DESTINATIONS).where(DESTINATIONS.c.id == other))
    connection.execute(sql.update(EVENTS).where(EVENTS.c.destination == kept).values(todo=True, full_run=0))
    connection.execute(sql.update(ATTRIBUTES_5).where(ATTRIBUTES_5.c.destination == kept).values(fingerprint=""))


def _join_objects(connection: sql.Connection, kept: int, other: int) -> None:
    both = sql.select(OBJECTS_5.c.id).where(OBJECTS_5.c.destination == kept)
    twice = sql.select(OBJECTS_5.c.id).where(OBJECTS_5.c.destination == other, OBJECTS_5.c.id.in_(both))
    for ids in batched(connection.scalars(twice).all(), _AT_ONCE):
        ours, theirs = (_objects(connection, number, OBJECTS_5.c.id.in_(ids)) for number in (kept, other))
        by_id = {record.id: record for record in theirs}
        connection.execute(sql.delete(OBJECTS_5).where(OBJECTS_5.c.destination == other, OBJECTS_5.c.id.in_(ids)))
        for record in ours:
            _put(connection, kept, joined_object(record, by_id[record.id]))
    connection.execute(sql.update(OBJECTS_5).where(OBJECTS_5.c.destination == other).values(destination=kept))
    _leave_one_live_object(connection, kept)


def _leave_one_live_object(connection: sql.Connection, number: int) -> None:
    """Have others than the current object of a key leave; what Microsoft never had is forgotten."""
    of_ours, open_ = OBJECTS_5.c.destination == number, OBJECTS_5.c.stage.not_in(REVOKED)
    several = sql.select(OBJECTS_5.c.key).where(of_ours, open_).group_by(OBJECTS_5.c.key).having(sql.func.count() > 1)
    for key in connection.scalars(several).all():
        for record in one_live_object(_objects(connection, number, OBJECTS_5.c.key == key)):
            if record.leaving and not record.live:
                connection.execute(sql.delete(OBJECTS_5).where(of_ours, OBJECTS_5.c.id == record.id))
            else:
                _put(connection, number, record)


def _join_rows(connection: sql.Connection, table: sql.Table, kept: int, other: int, names: Sequence[str]) -> None:
    """Move rows to a destination where it has none by these names; the others are decided on anew."""
    ours = table.alias()
    there = sql.exists().where(ours.c.destination == kept, *(ours.c[name] == table.c[name] for name in names))
    connection.execute(sql.update(table).where(table.c.destination == other, ~there).values(destination=kept))
    connection.execute(sql.delete(table).where(table.c.destination == other))


def _objects(connection: sql.Connection, number: int, where: sql.ColumnElement[bool]) -> list[ObjectRecord]:
    columns = [OBJECTS_5.c[field.name] for field in fields(ObjectRecord)]
    question = sql.select(*columns).where(OBJECTS_5.c.destination == number, where)
    return [ObjectRecord(**row._mapping) for row in connection.execute(question)]


def _put(connection: sql.Connection, number: int, record: ObjectRecord) -> None:
    this = (OBJECTS_5.c.destination == number, OBJECTS_5.c.id == record.id)
    connection.execute(sql.update(OBJECTS_5).where(*this).values(**asdict(record)))


def _facts_of(connection: sql.Connection, number: int) -> DestinationFacts:
    return read_facts(connection.scalar(sql.select(DESTINATIONS.c.facts).where(DESTINATIONS.c.id == number)))[0]


def _canonical(address: str) -> str:
    try:
        return canonical_address(address)
    except ValueError:  # what somebody wrote there by hand is no address: another MISP, then
        return address


def _update(connection: sql.Connection, number: int, **values: str) -> None:
    connection.execute(sql.update(DESTINATIONS).where(DESTINATIONS.c.id == number).values(**values))
