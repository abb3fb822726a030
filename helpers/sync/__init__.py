"""A run: MISP is read once, each destination is planned, written down, sent to and reported."""

from helpers.sync.delivery import Delivery
from helpers.sync.destination import Options
from helpers.sync.event_selection import DAY
from helpers.sync.event_sync import ObjectPlanner
from helpers.sync.plan import VALUE_NAMESPACE, DesiredObject
from helpers.sync.report import Report
from helpers.sync.run import Progress, make_state_dir, opened

__all__ = [
    "DAY",
    "VALUE_NAMESPACE",
    "Delivery",
    "DesiredObject",
    "ObjectPlanner",
    "Options",
    "Progress",
    "Report",
    "make_state_dir",
    "opened",
]
