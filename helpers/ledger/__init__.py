"""What is remembered of each destination, and where: SQLite or PostgreSQL."""

from helpers.ledger.database import Database, DatabaseTrouble, known_destinations, lost
from helpers.ledger.lookup import Found, LedgerDestination, Question, places
from helpers.ledger.records import (
    AttributeRecord,
    EventRecord,
    ObjectRecord,
    RetryPolicy,
    Source,
    Stage,
    packed,
    unpacked,
)
from helpers.ledger.spellings import holds
from helpers.ledger.store import Ledger

__all__ = [
    "AttributeRecord",
    "Database",
    "DatabaseTrouble",
    "EventRecord",
    "Found",
    "Ledger",
    "LedgerDestination",
    "ObjectRecord",
    "Question",
    "RetryPolicy",
    "Source",
    "Stage",
    "holds",
    "known_destinations",
    "lost",
    "packed",
    "places",
    "unpacked",
]
