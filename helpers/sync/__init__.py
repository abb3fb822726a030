"""A run: MISP is read once, each destination is planned, written down, sent to and reported."""

from helpers.sync.delivery import Delivery
from helpers.sync.event_selection import DAY
from helpers.sync.event_sync import Desk
from helpers.sync.plan import VALUE_NAMESPACE, Wanted
from helpers.sync.report import MATCHED, REVOKED, UNMATCHED, Report
from helpers.sync.run import Progress, make_state_dir, opened

__all__ = [
    "DAY",
    "MATCHED",
    "REVOKED",
    "UNMATCHED",
    "VALUE_NAMESPACE",
    "Delivery",
    "Desk",
    "Progress",
    "Report",
    "Wanted",
    "make_state_dir",
    "opened",
]
