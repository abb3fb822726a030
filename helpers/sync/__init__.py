"""A run: MISP is read once, each destination is planned, written down, sent to and reported."""

from helpers.sync.context.desired import LEFT_OUT, Ends
from helpers.sync.context.recognised import Lives, Ours, Recognised, recognised, record_of, uuid_in
from helpers.sync.context.weaving import Scope, pointed_to
from helpers.sync.destination import RunOptions
from helpers.sync.event_selection import RunConditions, needs_published, number_of_full_run, settings_fingerprint
from helpers.sync.object_planner import ObjectPlanner, ObjectWishes
from helpers.sync.ownership import VALUE_NAMESPACE, DesiredObject, attribute_key, value_in, value_key
from helpers.sync.plan import decide_objects
from helpers.sync.report import (
    Problem,
    Report,
    Sort,
    not_matched,
    not_to_be_matched,
    problems_of,
    shared_problems,
    sort_of,
    sorted_by,
)
from helpers.sync.run import Progress, make_state_dir, opened
from helpers.sync.sending.delivery import Delivery
from helpers.sync.sending.send_queue import SendQueue
from helpers.sync.sightings import SightingOptions, SightingProgress, SightingsReport, run_sightings, why_no_sightings
from helpers.sync.survey import Surveyor
from helpers.sync.withdrawals import WithdrawalLimits, accepting, named, to_type

__all__ = [
    "LEFT_OUT",
    "VALUE_NAMESPACE",
    "Delivery",
    "DesiredObject",
    "Ends",
    "Lives",
    "ObjectPlanner",
    "ObjectWishes",
    "Ours",
    "Problem",
    "Progress",
    "Recognised",
    "Report",
    "RunConditions",
    "RunOptions",
    "Scope",
    "SendQueue",
    "SightingOptions",
    "SightingProgress",
    "SightingsReport",
    "Sort",
    "Surveyor",
    "WithdrawalLimits",
    "accepting",
    "attribute_key",
    "decide_objects",
    "make_state_dir",
    "named",
    "needs_published",
    "not_matched",
    "not_to_be_matched",
    "number_of_full_run",
    "opened",
    "pointed_to",
    "problems_of",
    "recognised",
    "record_of",
    "run_sightings",
    "settings_fingerprint",
    "shared_problems",
    "sort_of",
    "sorted_by",
    "to_type",
    "uuid_in",
    "value_in",
    "value_key",
    "why_no_sightings",
]
