"""What is remembered of each destination, and where: SQLite or PostgreSQL."""

from helpers.ledger.database import Database, DatabaseTrouble, known_destinations, lost
from helpers.ledger.lookup import Found, Place, Question, places
from helpers.ledger.records import (
    Indicator,
    RememberedAttribute,
    RememberedEvent,
    RememberedObject,
    Source,
    Stage,
    Terms,
    packed,
    unpacked,
)
from helpers.ledger.spellings import holds
from helpers.ledger.store import Ledger

__all__ = [
    "Database",
    "DatabaseTrouble",
    "Found",
    "Indicator",
    "Ledger",
    "Place",
    "Question",
    "RememberedAttribute",
    "RememberedEvent",
    "RememberedObject",
    "Source",
    "Stage",
    "Terms",
    "holds",
    "known_destinations",
    "lost",
    "packed",
    "places",
    "unpacked",
]
