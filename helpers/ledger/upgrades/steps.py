"""How older ledgers are brought up to date, in place: first their tables, in one transaction, then row after row.

What an older schema lacks is added to its tables, which then make room for those of this one; ``moving.py`` moves
their rows.
"""

from __future__ import annotations

import sqlalchemy as sql

from helpers.ledger.tables import ABOUT, EVENTS, SCHEMA, STANDINGS, create, drop_views
from helpers.ledger.upgrades.joining import join_spellings
from helpers.ledger.upgrades.tables_5 import ATTRIBUTES_5, OLD_TABLES, SOURCES_5

_STEPS = {
    2: (
        "ALTER TABLE events ADD COLUMN full_run BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE objects_5 ADD COLUMN remote_id VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE objects_5 ADD COLUMN live_until BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE objects_5 ADD COLUMN left_event VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE objects_5 ADD COLUMN program VARCHAR NOT NULL DEFAULT ''",
        "UPDATE objects_5 SET live_until = valid_until WHERE live",
    ),
    4: (
        "CREATE TABLE runs (destination INTEGER NOT NULL REFERENCES destinations (id), number INTEGER NOT NULL, "
        "at BIGINT NOT NULL, kind VARCHAR NOT NULL, report TEXT NOT NULL, PRIMARY KEY (destination, number))",
        "ALTER TABLE objects_5 ADD COLUMN perhaps_taken BOOLEAN NOT NULL DEFAULT FALSE",
        "UPDATE objects_5 SET perhaps_taken = TRUE WHERE stage IN ('sending', 'withdrawing') OR doubt",
        "ALTER TABLE objects_5 ADD COLUMN accepted_until BIGINT NOT NULL DEFAULT 0",
        "UPDATE objects_5 SET accepted_until = live_until WHERE accepted_at IS NOT NULL",
    ),
    5: ("ALTER TABLE events ADD COLUMN organisation_name VARCHAR NOT NULL DEFAULT ''",),
}
# The last schema of which each row has to be moved.
_LAST_MOVED = 5
_TO_7 = (
    "ALTER TABLE contents ADD COLUMN names TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE standings ADD COLUMN kind INTEGER NOT NULL DEFAULT 0",
)


def make_tables(connection: sql.Connection, version: int) -> None:
    """Make the tables of this schema, beside those of one whose rows are to be moved.

    In the caller's transaction, which also has the schema's new number.
    """
    if version > _LAST_MOVED:
        if version < 7:
            _add_to_6(connection)
        create(connection)
    else:
        _make_beside(connection, version)
    connection.execute(ABOUT.update().where(ABOUT.c.name == "schema").values(value=str(SCHEMA)))


def _add_to_6(connection: sql.Connection) -> None:
    """Add the columns that schema 7 has more; indexes that begin otherwise now are made anew."""
    drop_views(connection)
    for statement in _TO_7:
        connection.execute(sql.text(statement))
    for index in STANDINGS.indexes:
        if STANDINGS.c.kind in index.columns.values():
            connection.execute(sql.text(f"DROP INDEX {index.name}"))
            index.create(connection)


def _make_beside(connection: sql.Connection, version: int) -> None:
    for name, table in OLD_TABLES.items():
        connection.execute(sql.text(f"ALTER TABLE {name} RENAME TO {table.name}"))
    for step in range(version + 1, _LAST_MOVED + 1):
        for statement in _STEPS.get(step, ()):
            connection.execute(sql.text(statement))
    if version < 3:
        join_spellings(connection)
        _hear_of_contested_objects(connection)
    _drop_indexes(connection)
    create(connection)


def _drop_indexes(connection: sql.Connection) -> None:
    """Rows are moved by their primary key; any other index of theirs would cost time, and has a name that is needed."""
    known = sql.inspect(connection)
    for table in OLD_TABLES.values():
        for index in known.get_indexes(table.name):
            connection.execute(sql.text(f'DROP INDEX "{index["name"]}"'))


def _hear_of_contested_objects(connection: sql.Connection) -> None:
    """Have events read again that want the same object: the one that was read last has it, and may not own it."""
    events = sql.func.count(SOURCES_5.c.event.distinct())
    several = sql.select(SOURCES_5.c.destination, SOURCES_5.c.key).group_by(SOURCES_5.c.destination, SOURCES_5.c.key)
    for destination, key in connection.execute(several.having(events > 1)).all():
        of_object = sql.and_(SOURCES_5.c.destination == destination, SOURCES_5.c.key == key)
        parts = connection.execute(sql.select(SOURCES_5.c.event, SOURCES_5.c.attribute).where(of_object)).all()
        for event, attribute in parts:
            of_ours = ATTRIBUTES_5.c.destination == destination
            row = (of_ours, ATTRIBUTES_5.c.event == event, ATTRIBUTES_5.c.uuid == attribute)
            connection.execute(sql.update(ATTRIBUTES_5).where(*row).values(fingerprint=""))
            of_event = (EVENTS.c.destination == destination, EVENTS.c.uuid == event)
            connection.execute(sql.update(EVENTS).where(*of_event).values(todo=True))
