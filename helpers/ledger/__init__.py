"""What is known of each destination, and where: SQLite or PostgreSQL."""

from helpers.ledger.bodies.packing import as_json, packed, packed_to_send, unpacked
from helpers.ledger.database import Database, known_destinations
from helpers.ledger.questions.counts import LedgerCounts
from helpers.ledger.questions.lookup import Found, LedgerDestination, Question, ledger_destinations
from helpers.ledger.records import (
    WITHOUT_OUTCOME,
    AttributeRecord,
    Blocked,
    DestinationFacts,
    DueObject,
    EventRecord,
    FullRun,
    LiveCount,
    ObjectRecord,
    RetryPolicy,
    Source,
    Stage,
)
from helpers.ledger.runs import RunKind, RunRecord
from helpers.ledger.store import Ledger
from helpers.ledger.together import Together
from helpers.ledger.told import Told
from helpers.ledger.upgrades.joining import one_live_object
from helpers.ledger.writing import Writing

__all__ = [
    "WITHOUT_OUTCOME",
    "AttributeRecord",
    "Blocked",
    "Database",
    "DestinationFacts",
    "DueObject",
    "EventRecord",
    "Found",
    "FullRun",
    "Ledger",
    "LedgerCounts",
    "LedgerDestination",
    "LiveCount",
    "ObjectRecord",
    "Question",
    "RetryPolicy",
    "RunKind",
    "RunRecord",
    "Source",
    "Stage",
    "Together",
    "Told",
    "Writing",
    "as_json",
    "known_destinations",
    "ledger_destinations",
    "one_live_object",
    "packed",
    "packed_to_send",
    "unpacked",
]
