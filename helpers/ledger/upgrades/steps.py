"""How older ledgers are brought up to date, in place and in one transaction."""

from __future__ import annotations

import sqlalchemy as sql

from helpers.indicators import LONGEST_PATH
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
        "DROP INDEX objects_live",
        "CREATE INDEX objects_live ON objects (destination, live, live_until, observable)",
        "ALTER TABLE objects ADD COLUMN perhaps_taken BOOLEAN NOT NULL DEFAULT FALSE",
        "UPDATE objects SET perhaps_taken = TRUE WHERE stage IN ('sending', 'withdrawing') OR doubt",
        "DROP INDEX objects_by_stage",
        "CREATE INDEX objects_by_stage ON objects (destination, stage, leaving, perhaps_taken)",
        "ALTER TABLE objects ADD COLUMN accepted_until BIGINT NOT NULL DEFAULT 0",
        "UPDATE objects SET accepted_until = live_until WHERE accepted_at IS NOT NULL",
    ),
}


def upgrade(connection: sql.Connection, version: int) -> None:
    """Bring a ledger of an older schema up to date."""
    for step in range(version + 1, SCHEMA + 1):
        for statement in _STEPS[step]:
            connection.execute(sql.text(statement))
    if version < 3:
        join_spellings(connection)
        _hear_of_contested_objects(connection)
    if version < 4:
        _name_observables(connection)
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
