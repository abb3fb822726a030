"""The tables of schema 5 that later ones do not have, under the names that they bear while their rows are moved.

Of a ledger of an earlier schema, they have these columns once ``steps.py`` has added what was missing.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, MetaData, String, Table, Text

_METADATA = MetaData()

ATTRIBUTES_5 = Table(
    "attributes_5",
    _METADATA,
    Column("destination", Integer, primary_key=True),
    Column("event", String, primary_key=True),
    Column("uuid", String, primary_key=True),
    Column("fingerprint", String),
    Column("type", String),
    Column("value", Text),
    Column("skip", String),
    Column("words", Text),
)

SOURCES_5 = Table(
    "sources_5",
    _METADATA,
    Column("destination", Integer, primary_key=True),
    Column("key", String, primary_key=True),
    Column("event", String, primary_key=True),
    Column("attribute", String, primary_key=True),
    Column("contribution", LargeBinary),
)

OBJECTS_5 = Table(
    "objects_5",
    _METADATA,
    Column("destination", Integer, primary_key=True),
    Column("id", String, primary_key=True),
    Column("key", String),
    Column("pattern", Text),
    Column("value", Text),
    Column("life", Integer),
    Column("stage", String),
    Column("words", Text),
    Column("leaving", String),
    Column("live", Boolean),
    Column("doubt", Boolean),
    Column("fingerprint", String),
    Column("valid_until", BigInteger),
    Column("renew_at", BigInteger),
    Column("sent_at", BigInteger),
    Column("accepted_at", BigInteger),
    Column("body", LargeBinary),
    Column("remote_id", String),
    Column("live_until", BigInteger),
    Column("left_event", String),
    Column("program", String),
    Column("perhaps_taken", Boolean),
    Column("accepted_until", BigInteger),
)

# By the names that they had.
OLD_TABLES = {"attributes": ATTRIBUTES_5, "sources": SOURCES_5, "objects": OBJECTS_5}
