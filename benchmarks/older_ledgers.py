"""A ledger as an earlier version left it: made of one of this version, to measure and to try its upgrade."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import sqlalchemy as sql

from helpers.errors import LedgerError
from helpers.ledger.bodies.packing import decompressed
from helpers.ledger.tables import ABOUT, METADATA, drop_views
from helpers.text import batched

# What makes a ledger of schema 7 of one of this version's, and one of 6 of that.
_BACK_TO_7 = tuple(f"DROP TABLE {name}" for name in ("former_sources", "matches", "sightings", "sighting_windows"))
_BACK_TO_6 = (
    "DROP TABLE relation_links",
    "DROP TABLE relations",
    "DROP TABLE clusters",
    "DROP TABLE cluster_tags",
    "DROP TABLE tagged_events",
    "DROP INDEX standings_by_stage",
    "DROP INDEX standings_live",
    "ALTER TABLE standings DROP COLUMN kind",
    "ALTER TABLE contents DROP COLUMN names",
    "CREATE INDEX standings_by_stage ON standings (destination, stage, leaving, perhaps_taken)",
    "CREATE INDEX standings_live ON standings (destination, live_until, mark, live) WHERE live",
    "CREATE VIEW attributes AS SELECT f.uuid FROM attribute_links l JOIN findings f ON f.number = l.finding",
    "CREATE VIEW sources AS SELECT l.destination, p.key FROM source_links l JOIN parts p ON p.number = l.part",
    "CREATE VIEW objects AS SELECT c.id, s.stage FROM standings s JOIN contents c ON c.number = s.content",
)
# The tables of schema 5 that later ones do not have, as that program made them.
_FIFTH = {
    "attributes": """
        CREATE TABLE attributes (
            destination INTEGER NOT NULL REFERENCES destinations (id), event VARCHAR NOT NULL, uuid VARCHAR NOT NULL,
            fingerprint VARCHAR NOT NULL, type VARCHAR NOT NULL, value TEXT NOT NULL, skip VARCHAR NOT NULL,
            words TEXT NOT NULL, PRIMARY KEY (destination, event, uuid)
        );
        CREATE INDEX attributes_skipped ON attributes (destination, skip) WHERE skip <> ''
    """,
    "sources": """
        CREATE TABLE sources (
            destination INTEGER NOT NULL REFERENCES destinations (id), key VARCHAR NOT NULL, event VARCHAR NOT NULL,
            attribute VARCHAR NOT NULL, contribution BLOB NOT NULL, PRIMARY KEY (destination, key, event, attribute)
        );
        CREATE INDEX sources_by_event ON sources (destination, event);
        CREATE INDEX sources_with_contribution ON sources (destination, key) WHERE length(contribution) > 0
    """,
    "objects": """
        CREATE TABLE objects (
            destination INTEGER NOT NULL REFERENCES destinations (id), id VARCHAR NOT NULL, key VARCHAR NOT NULL,
            pattern TEXT NOT NULL, value TEXT NOT NULL, life INTEGER NOT NULL, stage VARCHAR NOT NULL,
            words TEXT NOT NULL, leaving VARCHAR NOT NULL, live BOOLEAN NOT NULL, doubt BOOLEAN NOT NULL,
            fingerprint VARCHAR NOT NULL, valid_until BIGINT NOT NULL, renew_at BIGINT, sent_at BIGINT,
            accepted_at BIGINT, body BLOB NOT NULL, remote_id VARCHAR DEFAULT '' NOT NULL,
            live_until BIGINT DEFAULT 0 NOT NULL, left_event VARCHAR DEFAULT '' NOT NULL,
            program VARCHAR DEFAULT '' NOT NULL, observable VARCHAR DEFAULT '' NOT NULL,
            perhaps_taken BOOLEAN DEFAULT FALSE NOT NULL, accepted_until BIGINT DEFAULT 0 NOT NULL,
            tlp VARCHAR DEFAULT '' NOT NULL, confidence INTEGER DEFAULT -1 NOT NULL, due BIGINT,
            PRIMARY KEY (destination, id)
        );
        CREATE INDEX objects_by_key ON objects (destination, key);
        CREATE INDEX objects_by_stage ON objects (destination, stage, leaving, perhaps_taken);
        CREATE INDEX objects_to_renew ON objects (destination, renew_at);
        CREATE INDEX objects_leaving ON objects (destination, leaving);
        CREATE INDEX objects_live ON objects (destination, live, live_until, observable, tlp, confidence);
        CREATE INDEX objects_due ON objects (destination, due)
    """,
}
# What makes a ledger of each schema of one of the next.
_STEPS_BACK = {
    4: (
        "DROP INDEX attributes_skipped",
        "DROP INDEX objects_live",
        "ALTER TABLE events DROP COLUMN organisation_name",
        "ALTER TABLE objects DROP COLUMN tlp",
        "ALTER TABLE objects DROP COLUMN confidence",
        "CREATE INDEX objects_live ON objects (destination, live, live_until, observable)",
    ),
    3: (
        "DROP TABLE runs",
        "DROP INDEX objects_live",
        "ALTER TABLE objects DROP COLUMN observable",
        "CREATE INDEX objects_live ON objects (destination, live, live_until)",
        "DROP INDEX objects_by_stage",
        "CREATE INDEX objects_by_stage ON objects (destination, stage)",
        "ALTER TABLE objects DROP COLUMN perhaps_taken",
        "ALTER TABLE objects DROP COLUMN accepted_until",
    ),
    2: ("DROP INDEX sources_with_contribution",),
    1: (
        "DROP INDEX objects_live",
        "ALTER TABLE objects DROP COLUMN live_until",
        "ALTER TABLE objects DROP COLUMN left_event",
        "ALTER TABLE objects DROP COLUMN program",
        "ALTER TABLE objects DROP COLUMN remote_id",
        "CREATE INDEX objects_live ON objects (destination, live, valid_until)",
        "ALTER TABLE events DROP COLUMN full_run",
        "DROP INDEX objects_due",
        "ALTER TABLE objects DROP COLUMN due",
    ),
}
_PACKED = {"objects": "body", "sources": "contribution"}
# So many bodies are written at once.
_AT_ONCE = 1000
_STAYED = ("about", "destinations", "events", "runs")


def make_older(connection: sql.Connection, schema: int) -> None:
    """Make a ledger of an older schema, 1 to 7, of one of this program's, in the caller's transaction.

    One of 6 has views of the same names, and with fewer columns.
    """
    if schema > 5:
        _execute(connection, _BACK_TO_7)
    if schema == 6:
        drop_views(connection)
        _execute(connection, _BACK_TO_6)
    elif schema < 6:
        _make_older_than_6(connection, schema)
    connection.execute(sql.update(ABOUT).where(ABOUT.c.name == "schema").values(value=str(schema)))


def _make_older_than_6(connection: sql.Connection, schema: int) -> None:
    for name in _FIFTH:
        connection.execute(sql.text(f"CREATE TABLE kept_{name} AS SELECT * FROM {name}"))  # noqa: S608
    drop_views(connection)
    METADATA.drop_all(connection, [table for name, table in METADATA.tables.items() if name not in _STAYED])
    for name, statements in _FIFTH.items():
        _fill(connection, name, statements)
    for step in range(4, schema - 1, -1):
        _execute(connection, _STEPS_BACK[step])


def _fill(connection: sql.Connection, name: str, statements: str) -> None:
    """Make a table, with the rows that were kept of it, and bodies as they were compressed then."""
    is_postgresql = connection.dialect.name == "postgresql"
    _execute(connection, (statements.replace("BLOB", "BYTEA") if is_postgresql else statements).split(";"))
    columns = ", ".join(column["name"] for column in sql.inspect(connection).get_columns(name))
    connection.execute(sql.text(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM kept_{name}"))  # noqa: S608
    connection.execute(sql.text(f"DROP TABLE kept_{name}"))
    if name in _PACKED:
        _compress(connection, sql.Table(name, sql.MetaData(), autoload_with=connection), _PACKED[name])


def _compress(connection: sql.Connection, table: sql.Table, name: str) -> None:
    """Compress a column as programs did that had no dictionary for it; what is damaged stays as it is."""
    keys = list(table.primary_key)
    this = sql.and_(*(key == sql.bindparam(f"of_{key.name}") for key in keys))
    statement = sql.update(table).where(this).values({name: sql.bindparam("new")})
    for rows in batched(connection.execute(sql.select(*keys, table.c[name])).all(), _AT_ONCE):
        named = [{f"of_{key.name}": value for key, value in zip(keys, row, strict=False)} for row in rows]
        connection.execute(statement, [one | {"new": _plain(row[-1])} for one, row in zip(named, rows, strict=True)])


def _plain(body: bytes) -> bytes:
    try:
        return zlib.compress(decompressed(body)) if body else body
    except LedgerError:
        return body


def _execute(connection: sql.Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.execute(sql.text(statement))
