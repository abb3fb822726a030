"""What is known of each destination, and where: SQLite or PostgreSQL."""

from helpers.ledger.bodies.packing import as_json, packed, packed_context, packed_to_send, unpacked
from helpers.ledger.context.clusters import NOT_ASKED, ClusterLedger, StoredClusters
from helpers.ledger.context.standings import ContextLedger
from helpers.ledger.database import Database, known_destinations
from helpers.ledger.history.runs import MOST_OF_EVENTS, RunKind, RunRecord
from helpers.ledger.history.sighting_records import (
    UNWRITTEN,
    MatchRecord,
    Occasion,
    Seen,
    SightingRecord,
    SightingStage,
    SightingWindow,
)
from helpers.ledger.history.sightings import REMEMBERED_DAYS, SightingLedger, forget_former_sources
from helpers.ledger.history.told import Told
from helpers.ledger.questions.context import ClusterLookup, ContextLookup
from helpers.ledger.questions.counts import LedgerCounts
from helpers.ledger.questions.lookup import Found, LedgerDestination, Question, ledger_destinations
from helpers.ledger.questions.origins import Origin, OriginLookup
from helpers.ledger.records import (
    NEVER,
    WITHOUT_OUTCOME,
    AttributeRecord,
    Blocked,
    DestinationFacts,
    DueObject,
    EventRecord,
    FullRun,
    LiveCount,
    ObjectRecord,
    Pointer,
    Pointing,
    Relation,
    RetryPolicy,
    Source,
    Stage,
    kind_of_id,
)
from helpers.ledger.store import Ledger
from helpers.ledger.together import Together
from helpers.ledger.upgrades.joining import one_live_object
from helpers.ledger.writing import Writing

__all__ = [
    "MOST_OF_EVENTS",
    "NEVER",
    "NOT_ASKED",
    "REMEMBERED_DAYS",
    "UNWRITTEN",
    "WITHOUT_OUTCOME",
    "AttributeRecord",
    "Blocked",
    "ClusterLedger",
    "ClusterLookup",
    "ContextLedger",
    "ContextLookup",
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
    "MatchRecord",
    "ObjectRecord",
    "Occasion",
    "Origin",
    "OriginLookup",
    "Pointer",
    "Pointing",
    "Question",
    "Relation",
    "RetryPolicy",
    "RunKind",
    "RunRecord",
    "Seen",
    "SightingLedger",
    "SightingRecord",
    "SightingStage",
    "SightingWindow",
    "Source",
    "Stage",
    "StoredClusters",
    "Together",
    "Told",
    "Writing",
    "as_json",
    "forget_former_sources",
    "kind_of_id",
    "known_destinations",
    "ledger_destinations",
    "one_live_object",
    "packed",
    "packed_context",
    "packed_to_send",
    "unpacked",
]
