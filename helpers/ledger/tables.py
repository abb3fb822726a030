"""The ledger's tables, and how older ledgers are brought up to date."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

SCHEMA = 2
METADATA = MetaData()


def _of_destination() -> Column[int]:
    return Column("destination", Integer, ForeignKey("destinations.id"), primary_key=True)


ABOUT = Table("about", METADATA, Column("name", String, primary_key=True), Column("value", Text, nullable=False))

DESTINATIONS = Table(
    "destinations",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("workspace", String, nullable=False),
    Column("sourcesystem", String, nullable=False),
    Column("facts", Text, nullable=False),
    UniqueConstraint("workspace", "sourcesystem"),
)

EVENTS = Table(
    "events",
    METADATA,
    _of_destination(),
    Column("uuid", String, primary_key=True),
    Column("timestamp", BigInteger, nullable=False),
    Column("published", Boolean, nullable=False),
    Column("organisation", String, nullable=False),
    Column("listing", String, nullable=False),
    Column("listed", Boolean, nullable=False),
    Column("held_since", BigInteger),
    Column("todo", Boolean, nullable=False),
    Column("full_run", BigInteger, nullable=False, server_default="0"),
)

ATTRIBUTES = Table(
    "attributes",
    METADATA,
    _of_destination(),
    Column("event", String, primary_key=True),
    Column("uuid", String, primary_key=True),
    Column("fingerprint", String, nullable=False),
    Column("type", String, nullable=False),
    Column("value", Text, nullable=False),
    Column("skip", String, nullable=False),
    Column("words", Text, nullable=False),
)

SOURCES = Table(
    "sources",
    METADATA,
    _of_destination(),
    Column("key", String, primary_key=True),
    Column("event", String, primary_key=True),
    Column("attribute", String, primary_key=True),
    Column("contribution", LargeBinary, nullable=False),
    Index("sources_by_event", "destination", "event"),
)

OBJECTS = Table(
    "objects",
    METADATA,
    _of_destination(),
    Column("id", String, primary_key=True),
    Column("key", String, nullable=False),
    Column("pattern", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("life", Integer, nullable=False),
    Column("stage", String, nullable=False),
    Column("words", Text, nullable=False),
    Column("leaving", String, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("doubt", Boolean, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("valid_until", BigInteger, nullable=False),
    Column("renew_at", BigInteger),
    Column("sent_at", BigInteger),
    Column("accepted_at", BigInteger),
    Column("body", LargeBinary, nullable=False),
    Column("remote_id", String, nullable=False, server_default=""),
    Column("live_until", BigInteger, nullable=False, server_default="0"),
    Column("left_event", String, nullable=False, server_default=""),
    Column("program", String, nullable=False, server_default=""),
    # Where the object stands in the queue of what is to go out in this run; empty for all others.
    Column("due", BigInteger),
    Index("objects_by_key", "destination", "key"),
    Index("objects_by_stage", "destination", "stage"),
    Index("objects_to_renew", "destination", "renew_at"),
    Index("objects_leaving", "destination", "leaving"),
    Index("objects_live", "destination", "live", "live_until"),
    Index("objects_due", "destination", "due"),
)


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
    )
}


def upgrade(connection: Connection, version: int) -> None:
    """Bring a ledger of an older schema up to date, in place."""
    for step in range(version + 1, SCHEMA + 1):
        for statement in _STEPS[step]:
            connection.execute(text(statement))
    if version < SCHEMA:
        connection.execute(ABOUT.update().where(ABOUT.c.name == "schema").values(value=str(SCHEMA)))
