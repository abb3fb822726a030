"""The ledger's tables, and the views by which questions are asked.

What several destinations may share stands once, in rows that never change and have a number: what was decided on an
attribute (``findings``), its part in an object (``parts``), what its indicator points to (``relations``), an object as
it is sent (``contents``). A destination has links to them, and where an object stands at it (``standings``). The views
put both together: ``attributes``, ``sources``, ``objects`` and ``context_objects`` have one row for each destination,
as if nothing were shared. What MISP says of clusters is the same for all destinations.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
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
    inspect,
    literal_column,
    text,
)

SCHEMA = 8
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
# Sources that say what they ask for; few, unless attributes share values. Written out, so that the index is found.
WITH_CONTRIBUTION = text("length(contribution) > 0")


# Numbers of PostgreSQL's are not used again, and one for each version of each object adds up over the years.
NUMBER = BigInteger().with_variant(Integer, "sqlite")


def _number() -> Column[int]:
    return Column("number", NUMBER, primary_key=True)


def _partial(name: str, *columns: str, where: str, on_sqlite: str = "") -> Index:
    return Index(name, *columns, sqlite_where=text(on_sqlite or where), postgresql_where=text(where))


def _linked(name: str, to: str, *columns: Column[Any], indexes: Iterable[Index] = ()) -> Table:
    """Return a table of what a destination has to do with shared rows.

    No foreign keys: PostgreSQL would look each of them up for each row.
    """
    destination = Column("destination", Integer, primary_key=True, autoincrement=False)
    shared = Column(to, NUMBER, primary_key=True, autoincrement=False)
    return Table(name, METADATA, destination, shared, *columns, *indexes, sqlite_with_rowid=False)


# Events by a number of three bytes, where their UUIDs would stand four times for each attribute. An event has one
# number, by Database.hold_names: on PostgreSQL, a unique index would have everybody wait for the end of a dry run.
EVENT_NAMES = Table("event_names", METADATA, _number(), Column("uuid", String, nullable=False, index=True))

FINDINGS = Table(
    "findings",
    METADATA,
    _number(),
    Column("event", NUMBER, nullable=False),
    Column("uuid", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("type", String, nullable=False),
    Column("value", Text, nullable=False),
    Column("skip", String, nullable=False),
    Column("words", Text, nullable=False),
    Index("findings_of_event", "event", "uuid"),
    _partial("findings_skipped", "skip", where="skip <> ''"),
)
ATTRIBUTE_LINKS = _linked("attribute_links", "finding")

PARTS = Table(
    "parts",
    METADATA,
    _number(),
    Column("key", String, nullable=False),
    Column("event", NUMBER, nullable=False),
    Column("attribute", String, nullable=False),
    Column("contribution", LargeBinary, nullable=False),
    Index("parts_of_key", "key"),
    Index("parts_of_event", "event"),
    _partial("parts_with_contribution", "key", where="length(contribution) > 0"),
)
SOURCE_LINKS = _linked("source_links", "part")

# Which actor or technique (``target``, a cluster's UUID) an attribute's indicator, by the key of its object, points to.
RELATIONS = Table(
    "relations",
    METADATA,
    _number(),
    Column("event", NUMBER, nullable=False),
    Column("attribute", String, nullable=False),
    Column("indicator", String, nullable=False),
    Column("target", String, nullable=False),
    Index("relations_of_event", "event"),
    Index("relations_of_indicator", "indicator"),
    Index("relations_of_target", "target"),
)
RELATION_LINKS = _linked("relation_links", "relation")

# What is counted of an object, few rows: which kind of indicator its pattern says that it is, and of its body a level
# of TLP, empty where unknown, and 0 to 100, or -1.
MARKS = Table(
    "marks",
    METADATA,
    _number(),
    Column("observable", String, nullable=False),
    Column("tlp", String, nullable=False),
    Column("confidence", Integer, nullable=False),
)

CONTENTS = Table(
    "contents",
    METADATA,
    _number(),
    Column("id", String, nullable=False, index=True),
    Column("key", String, nullable=False, index=True),
    Column("pattern", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("life", Integer, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    # What an actor, a technique or an organisation is found by, in lower case, a line each; empty for all others.
    Column("names", Text, nullable=False, server_default=""),
    Column("mark", NUMBER, nullable=False),
)

STANDINGS = _linked(
    "standings",
    "content",
    Column("mark", NUMBER, nullable=False),
    Column("stage", String, nullable=False),
    Column("words", Text, nullable=False),
    Column("leaving", String, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("doubt", Boolean, nullable=False),
    Column("valid_until", BigInteger, nullable=False),
    Column("renew_at", BigInteger),
    Column("sent_at", BigInteger),
    Column("accepted_at", BigInteger),
    Column("remote_id", String, nullable=False),
    Column("live_until", BigInteger, nullable=False),
    Column("left_event", String, nullable=False),
    Column("program", String, nullable=False),
    Column("perhaps_taken", Boolean, nullable=False),
    Column("accepted_until", BigInteger, nullable=False),
    # Where the object stands in the queue of what is to go out in this run; empty for all others.
    Column("due", BigInteger),
    # What it is, as a place in KINDS: 0 is an indicator.
    Column("kind", Integer, nullable=False, server_default="0"),
    indexes=(
        Index("standings_by_stage", "destination", "stage", "kind", "leaving", "perhaps_taken"),
        _partial("standings_to_renew", "destination", "renew_at", where="renew_at IS NOT NULL"),
        _partial("standings_leaving", "destination", "leaving", where="leaving > ''"),
        # With the flag, which is all the same in it: SQLite would look at the row for it.
        _partial(
            "standings_live", "destination", "kind", "live_until", "mark", "live", where="live", on_sqlite="live = 1"
        ),
        _partial("standings_due", "destination", "due", where="due IS NOT NULL"),
    ),
)

# What is counted of objects, without what stands in their contents.
MARKED = STANDINGS.join(MARKS, MARKS.c.number == STANDINGS.c.mark)
# Written out, so that the index of what is to leave is found.
NOTHING: ColumnElement[str] = literal_column("''")

# Shared rows that lost a link, to be dropped where that was the last one. Kinds are the names of the links' columns.
LOOSE = Table(
    "loose",
    METADATA,
    Column("kind", String, nullable=False),
    Column("number", NUMBER, nullable=False),
    Index("loose_by_kind", "kind", "number"),
)

# What MISP says of clusters that events name: ``body`` is packed, and empty where MISP has, or shows, none any more.
CLUSTERS = Table(
    "clusters",
    METADATA,
    Column("uuid", String, primary_key=True),
    Column("version", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
# Which cluster a tag names, by its UUID; empty where it named none when MISP was last asked.
CLUSTER_TAGS = Table(
    "cluster_tags",
    METADATA,
    Column("tag", Text, primary_key=True),
    Column("uuid", String, nullable=False, index=True),
)
# Which events have such a tag, on themselves or on an attribute: they are read again where its cluster is renamed.
TAGGED_EVENTS = Table(
    "tagged_events",
    METADATA,
    Column("tag", Text, primary_key=True),
    Column("event", NUMBER, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
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

# Which attributes had a part in which object, and have none any more: since ``left_at``, 0 until somebody with a clock
# comes by. An alert may name what left. Each destination has its own: what shares an object's key at one of them may be
# what the filters of another one keep out. No foreign key, as for links.
FORMER_SOURCES = Table(
    "former_sources",
    METADATA,
    Column("destination", Integer, primary_key=True, autoincrement=False),
    Column("key", String, primary_key=True),
    Column("event", String, primary_key=True),
    Column("attribute", String, primary_key=True),
    Column("left_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
# Which alert named which attribute's indicator, as ``kind`` of thing, and which sighting that is (``occasion``).
MATCHES = Table(
    "matches",
    METADATA,
    _of_destination(),
    Column("alert", String, primary_key=True),
    Column("attribute", String, primary_key=True),
    Column("occasion", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("matches_of_attribute", "destination", "attribute"),
    sqlite_with_rowid=False,
)
# What is to be, or was, written into MISP: one for each attribute and ``occasion``, a day or an incident.
SIGHTINGS = Table(
    "sightings",
    METADATA,
    _of_destination(),
    Column("attribute", String, primary_key=True),
    Column("occasion", String, primary_key=True),
    Column("event", String, nullable=False),
    Column("type", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("value", Text, nullable=False),
    Column("stage", String, nullable=False),
    Column("words", Text, nullable=False),
    Column("settled_at", BigInteger, nullable=False),
    Index("sightings_by_stage", "destination", "stage", "at"),
    sqlite_with_rowid=False,
)
# Until when alerts were read, by TimeGenerated in seconds since 1970, and how that last went.
SIGHTING_WINDOWS = Table(
    "sighting_windows",
    METADATA,
    _of_destination(),
    Column("until", BigInteger, nullable=False),
    Column("report", Text, nullable=False),
)

VIEWS = MetaData()


def _view(name: str, *columns: Column[Any]) -> Table:
    return Table(name, VIEWS, Column("destination", Integer), *(Column(of.name, of.type) for of in columns))


def _columns(table: Table, *names: str) -> list[Column[Any]]:
    return [table.c[name] for name in names]


ATTRIBUTES = _view(
    "attributes",
    Column("event", String),
    *_columns(FINDINGS, "uuid", "fingerprint", "type", "value", "skip", "words"),
)
SOURCES = _view("sources", PARTS.c.key, Column("event", String), *_columns(PARTS, "attribute", "contribution"))
_OF_OBJECTS = (
    *_columns(CONTENTS, "id", "key", "pattern", "value", "life"),
    *_columns(STANDINGS, "stage", "words", "leaving", "live", "doubt"),
    CONTENTS.c.fingerprint,
    *_columns(STANDINGS, "valid_until", "renew_at", "sent_at", "accepted_at"),
    CONTENTS.c.body,
    *_columns(STANDINGS, "remote_id", "live_until", "left_event", "program"),
    MARKS.c.observable,
    *_columns(STANDINGS, "perhaps_taken", "accepted_until"),
    *_columns(MARKS, "tlp", "confidence"),
    STANDINGS.c.due,
)
# Indicators alone: what asks for objects by their expiry, pattern or attribute means these.
OBJECTS = _view("objects", *_OF_OBJECTS)
# Whatever stands beside them.
CONTEXT_OBJECTS = _view("context_objects", *_OF_OBJECTS, CONTENTS.c.names, STANDINGS.c.kind)
_OBJECTS_SAY = (
    "SELECT s.destination, c.id, c.key, c.pattern, c.value, c.life, s.stage, s.words, s.leaving, s.live, s.doubt, "
    "c.fingerprint, s.valid_until, s.renew_at, s.sent_at, s.accepted_at, c.body, s.remote_id, s.live_until, "
    "s.left_event, s.program, m.observable, s.perhaps_taken, s.accepted_until, m.tlp, m.confidence, s.due{} "
    "FROM standings s JOIN contents c ON c.number = s.content JOIN marks m ON m.number = s.mark"
)
_VIEWS = {
    "attributes": "SELECT l.destination, e.uuid AS event, f.uuid, f.fingerprint, f.type, f.value, f.skip, "
    "f.words FROM attribute_links l JOIN findings f ON f.number = l.finding JOIN event_names e ON e.number = f.event",
    "sources": "SELECT l.destination, p.key, e.uuid AS event, p.attribute, p.contribution "
    "FROM source_links l JOIN parts p ON p.number = l.part JOIN event_names e ON e.number = p.event",
    "objects": _OBJECTS_SAY.format("") + " WHERE s.kind = 0",
    "context_objects": _OBJECTS_SAY.format(", c.names, s.kind") + " WHERE s.kind > 0",
}
# What SQLite is to take for granted of each index: its rows, and how many have the same first column, first two, and
# so on, as in a ledger of a million objects in ten destinations. Without, it takes a destination for one of ten rows
# and begins with that (its manual: "Manual Control Of Query Plans Using SQLITE_STAT Tables").
_STATISTICS = {
    ("destinations", None): "10",
    ("events", "events"): "20000 2000 1",
    ("event_names", "ix_event_names_uuid"): "2000 1",
    ("findings", "findings_of_event"): "120000 50 1",
    ("findings", "findings_skipped"): "12000 1000",
    ("attribute_links", "attribute_links"): "1200000 120000 1",
    ("parts", "parts_of_key"): "100000 1",
    ("parts", "parts_of_event"): "100000 50",
    ("parts", "parts_with_contribution"): "2000 2",
    ("source_links", "source_links"): "1000000 100000 1",
    ("relations", "relations_of_event"): "100000 50",
    ("relations", "relations_of_indicator"): "100000 2",
    ("relations", "relations_of_target"): "100000 500",
    ("relation_links", "relation_links"): "1000000 100000 1",
    ("clusters", "clusters"): "1000 1",
    ("cluster_tags", "cluster_tags"): "1000 1",
    ("cluster_tags", "ix_cluster_tags_uuid"): "1000 2",
    ("tagged_events", "tagged_events"): "10000 10 1",
    ("marks", None): "100",
    ("contents", "ix_contents_id"): "100000 1",
    ("contents", "ix_contents_key"): "100000 1",
    ("loose", "loose_by_kind"): "10000 3000 2",
    ("former_sources", "former_sources"): "10000 1000 1 1 1",
    ("matches", "matches"): "100000 10000 2 1",
    ("matches", "matches_of_attribute"): "100000 10000 10",
    ("sightings", "sightings"): "50000 5000 5 1",
    ("sightings", "sightings_by_stage"): "50000 5000 2000 1",
    ("sighting_windows", "sighting_windows"): "10 1",
    ("standings", "standings"): "1000000 100000 1",
    ("standings", "standings_by_stage"): "1000000 100000 20000 10000 10000 10000",
    ("standings", "standings_to_renew"): "900000 90000 10",
    ("standings", "standings_leaving"): "1000 100 50",
    ("standings", "standings_live"): "900000 90000 45000 10 1 1",
    ("standings", "standings_due"): "1000 100 1",
}


def create(connection: Connection) -> None:
    """Make the tables and views that are not there."""
    METADATA.create_all(connection)
    create_views(connection)
    if connection.dialect.name == "sqlite":
        _say_statistics(connection)


def drop_views(connection: Connection) -> None:
    """Drop the views that are there, of whatever schema."""
    for name in _VIEWS.keys() & set(inspect(connection).get_view_names()):
        connection.execute(text(f"DROP VIEW {name}"))


def create_views(connection: Connection) -> None:
    """Make the views that are not there."""
    there = inspect(connection).get_view_names()
    for name, statement in _VIEWS.items():
        if name not in there:
            connection.execute(text(f"CREATE VIEW {name} AS {statement}"))


def _say_statistics(connection: Connection) -> None:
    connection.execute(text("ANALYZE sqlite_master"))  # makes the table, and looks at none of ours
    connection.execute(text("DELETE FROM sqlite_stat1"))
    rows = [{"tbl": of[0], "idx": of[1], "stat": numbers} for of, numbers in _STATISTICS.items()]
    connection.execute(text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)"), rows)
    connection.execute(text("ANALYZE sqlite_master"))  # has this connection read it
