"""How older ledgers are brought up to date, in place and in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sql

from helpers.indicators import LONGEST_PATH
from helpers.ledger.marks import marks_of
from helpers.ledger.tables import ABOUT, ATTRIBUTES, EVENTS, OBJECTS, SCHEMA, SOURCES
from helpers.ledger.upgrades.joining import join_spellings

_STEPS = {
    2: (
        "ALTER TABLE events ADD COLUMN full_run BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE objects ADD COLUMN remote_id VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE objects ADD COLUMN live_until BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE objects ADD COLUMN left_event VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE objects ADD COLUMN program VARCHAR NOT NULL DEFAULT ''",
        "UPDATE objects SET live_until = valid_until WHERE live",
        "ALTER TABLE objects ADD COLUMN due BIGINT",
        "CREATE INDEX objects_due ON objects (destination, due)",
        "DROP INDEX objects_live",
        "CREATE INDEX objects_live ON objects (destination, live, live_until)",
    ),
    3: ("CREATE INDEX sources_with_contribution ON sources (destination, key) WHERE length(contribution) > 0",),
    4: (
        "CREATE TABLE runs (destination INTEGER NOT NULL REFERENCES destinations (id), number INTEGER NOT NULL, "
        "at BIGINT NOT NULL, kind VARCHAR NOT NULL, report TEXT NOT NULL, PRIMARY KEY (destination, number))",
        "ALTER TABLE objects ADD COLUMN observable VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE objects ADD COLUMN perhaps_taken BOOLEAN NOT NULL DEFAULT FALSE",
        "UPDATE objects SET perhaps_taken = TRUE WHERE stage IN ('sending', 'withdrawing') OR doubt",
        "DROP INDEX objects_by_stage",
        "CREATE INDEX objects_by_stage ON objects (destination, stage, leaving, perhaps_taken)",
        "ALTER TABLE objects ADD COLUMN accepted_until BIGINT NOT NULL DEFAULT 0",
        "UPDATE objects SET accepted_until = live_until WHERE accepted_at IS NOT NULL",
    ),
    5: (
        "ALTER TABLE events ADD COLUMN organisation_name VARCHAR NOT NULL DEFAULT ''",
        "CREATE INDEX attributes_skipped ON attributes (destination, skip) WHERE skip <> ''",
        "ALTER TABLE objects ADD COLUMN tlp VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE objects ADD COLUMN confidence INTEGER NOT NULL DEFAULT -1",
        "DROP INDEX objects_live",
    ),
}
_LIVE = "CREATE INDEX objects_live ON objects (destination, live, live_until, observable, tlp, confidence)"
# So many bodies are in memory at once; each has about 1 kB.
_AT_ONCE = 1000

Upgraded = Callable[[int, int], None]


def upgrade(connection: sql.Connection, version: int, upgraded: Upgraded) -> None:
    """Bring a ledger of an older schema up to date, in the caller's transaction.

    ``upgraded`` is told how many objects are done, of how many.
    """
    for step in range(version + 1, SCHEMA + 1):
        for statement in _STEPS[step]:
            connection.execute(sql.text(statement))
    if version < 3:
        join_spellings(connection)
        _hear_of_contested_objects(connection)
    if version < 4:
        _name_observables(connection)
    if version < 5:
        _read_bodies(connection, upgraded)
        connection.execute(sql.text(_LIVE))  # at the end, since each object that is changed would cost it
    if version < SCHEMA:
        connection.execute(ABOUT.update().where(ABOUT.c.name == "schema").values(value=str(SCHEMA)))


def _hear_of_contested_objects(connection: sql.Connection) -> None:
    """Have events read again that want the same object: the one that was read last has it, and may not own it."""
    events = sql.func.count(SOURCES.c.event.distinct())
    several = sql.select(SOURCES.c.destination, SOURCES.c.key).group_by(SOURCES.c.destination, SOURCES.c.key)
    for destination, key in connection.execute(several.having(events > 1)).all():
        of_object = sql.and_(SOURCES.c.destination == destination, SOURCES.c.key == key)
        parts = connection.execute(sql.select(SOURCES.c.event, SOURCES.c.attribute).where(of_object)).all()
        for event, attribute in parts:
            row = (ATTRIBUTES.c.destination == destination, ATTRIBUTES.c.event == event, ATTRIBUTES.c.uuid == attribute)
            connection.execute(sql.update(ATTRIBUTES).where(*row).values(fingerprint=""))
            of_event = (EVENTS.c.destination == destination, EVENTS.c.uuid == event)
            connection.execute(sql.update(EVENTS).where(*of_event).values(todo=True))


def _name_observables(connection: sql.Connection) -> None:
    """Note what each pattern compares first, as ``first_path`` has it."""
    find = sql.func.strpos if connection.dialect.name == "postgresql" else sql.func.instr
    rest = sql.func.substr(OBJECTS.c.pattern.concat(" "), 2).concat(" ")
    path = sql.func.substr(sql.func.substr(rest, 1, find(rest, " ") - 1), 1, LONGEST_PATH)
    connection.execute(sql.update(OBJECTS).values(observable=path))


def _read_bodies(connection: sql.Connection, upgraded: Upgraded) -> None:
    """Note what of each body stands in columns of its own: read once, as the table lies, and a part at a time."""
    total, done = connection.scalar(sql.select(sql.func.count()).select_from(OBJECTS)) or 0, 0
    this = sql.and_(OBJECTS.c.destination == sql.bindparam("of"), OBJECTS.c.id == sql.bindparam("object"))
    new: dict[str, Any] = {"tlp": sql.bindparam("new_tlp"), "confidence": sql.bindparam("new_confidence")}
    statement = sql.update(OBJECTS).where(this).values(**new)
    question = sql.select(OBJECTS.c.destination, OBJECTS.c.id, OBJECTS.c.body).execution_options(yield_per=_AT_ONCE)
    with connection.execute(question) as objects:
        for rows in objects.partitions():
            connection.execute(statement, [_marked(*row) for row in rows])
            done += len(rows)
            upgraded(done, total)


def _marked(destination: int, id_: str, body: Any) -> dict[str, Any]:
    marks = marks_of(body)
    return {"of": destination, "object": id_, "new_tlp": marks.tlp, "new_confidence": marks.confidence}
