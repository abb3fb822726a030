"""The ledger's tables."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

SCHEMA = 5
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
    Column("organisation_name", String, nullable=False, server_default=""),
)

# Attributes that are not sent, which are counted by the reason. Written out, so that the index is found.
SKIPPED = text("skip <> ''")

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
    Index("attributes_skipped", "destination", "skip", sqlite_where=SKIPPED, postgresql_where=SKIPPED),
)

# Sources that say what they ask for; few, unless attributes share values. Written out, so that the index is found.
WITH_CONTRIBUTION = text("length(contribution) > 0")

SOURCES = Table(
    "sources",
    METADATA,
    _of_destination(),
    Column("key", String, primary_key=True),
    Column("event", String, primary_key=True),
    Column("attribute", String, primary_key=True),
    Column("contribution", LargeBinary, nullable=False),
    Index("sources_by_event", "destination", "event"),
    Index(
        "sources_with_contribution",
        "destination",
        "key",
        sqlite_where=WITH_CONTRIBUTION,
        postgresql_where=WITH_CONTRIBUTION,
    ),
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
    # What of the pattern says which kind of indicator it is, so that what is live is counted by it in an index.
    Column("observable", String, nullable=False, server_default=""),
    Column("perhaps_taken", Boolean, nullable=False, server_default=false()),
    Column("accepted_until", BigInteger, nullable=False, server_default="0"),
    # What of the body is counted, in the same index: a level of TLP, empty where unknown, and 0 to 100, or -1.
    Column("tlp", String, nullable=False, server_default=""),
    Column("confidence", Integer, nullable=False, server_default="-1"),
    # Where the object stands in the queue of what is to go out in this run; empty for all others.
    Column("due", BigInteger),
    Index("objects_by_key", "destination", "key"),
    Index("objects_by_stage", "destination", "stage", "leaving", "perhaps_taken"),
    Index("objects_to_renew", "destination", "renew_at"),
    Index("objects_leaving", "destination", "leaving"),
    Index("objects_live", "destination", "live", "live_until", "observable", "tlp", "confidence"),
    Index("objects_due", "destination", "due"),
)

RUNS = Table(
    "runs",
    METADATA,
    _of_destination(),
    Column("number", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("kind", String, nullable=False),
    Column("report", Text, nullable=False),
)
