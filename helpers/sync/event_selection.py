"""Which events to look at, and which to hold or let go. Pure.

Measured on MISP 2.5.1: every edit unpublishes its event until somebody publishes it again, with a newer
timestamp; an explicit unpublish leaves the timestamp as it was. A row that is missing from the index
proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from constants import WithdrawalReason
from helpers.ledger import EventRecord
from helpers.misp import ListedEvent, is_on

DAY = 86_400


class Action(Enum):
    """What to do about an event."""

    NOTHING = auto()
    READ = auto()
    ASK = auto()
    HOLD = auto()
    LEAVE = auto()


@dataclass(frozen=True)
class Decision:
    """What to do about an event, and why; ``held_since`` in seconds where it is held."""

    action: Action
    reason: str = ""
    held_since: int | None = None


@dataclass(frozen=True)
class RunConditions:
    """What a run goes by: its time in seconds, the number of the full run that it is (0: none), and who reads."""

    now: int
    full_run: int = 0
    needs_published: bool = True
    grace: int = 7 * DAY
    own_organisation: str = ""
    site_admin: bool = False
    force: bool = False

    def wants_anew(self, event: EventRecord) -> bool:
        """Whether the full run has not read an event yet; one that was cut off goes on where it stopped."""
        return event.full_run < self.full_run


def decide_event(
    event: EventRecord | None,
    row: ListedEvent | None,
    listed: ListedEvent | None,
    run: RunConditions,
    *,
    has_objects: bool,
) -> Decision:
    """Decide on one event: as remembered, as in the index, as in the listing under the site's filters."""
    if event is None:
        return Decision(Action.READ if listed else Action.NOTHING)
    seen = row or listed
    if seen is None:
        return Decision(Action.ASK if has_objects or event.listed or event.todo else Action.NOTHING)
    if run.needs_published and not seen.published:
        return unpublished(event, seen, run, has_objects=has_objects)
    if event.todo or event.held_since is not None or moved(event, seen):
        return Decision(Action.READ)
    if run.wants_anew(event) and (listed or has_objects):
        return Decision(Action.READ)
    if listed:
        return Decision(Action.NOTHING if event.listed and listed.listing == event.listing else Action.READ)
    return Decision(Action.READ if event.listed else Action.NOTHING)


def unpublished(event: EventRecord, seen: ListedEvent, run: RunConditions, *, has_objects: bool) -> Decision:
    """Decide on an event that is not published, where the filters want it to be."""
    if not (event.published or has_objects):
        return Decision(Action.NOTHING)
    if event.held_since is None and seen.timestamp == event.timestamp:
        return Decision(Action.LEAVE, WithdrawalReason.UNPUBLISHED)
    return _held(event, run, WithdrawalReason.UNPUBLISHED_FOR_GOOD)


def gone(event: EventRecord, run: RunConditions) -> Decision:
    """Decide on an event that MISP no longer shows by its UUID.

    With MISP.unpublishedprivate an edit by its owner hides it until it is published, so it is held unless
    nobody could hide it from this key.
    """
    certain = run.site_admin or run.force or (event.organisation and event.organisation == run.own_organisation)
    if certain or not event.published:
        return Decision(Action.LEAVE, WithdrawalReason.GONE)
    return _held(event, run, WithdrawalReason.GONE)


def needs_published(filters: Mapping[str, Any]) -> bool:
    """Whether the site's filters take published events only."""
    wanted = filters.get("published")
    every = wanted if isinstance(wanted, list | tuple) else [wanted]
    return all(is_on(each) for each in every) and bool(every)


def _held(event: EventRecord, run: RunConditions, reason: str) -> Decision:
    since = run.now if event.held_since is None else event.held_since
    if run.now - since >= run.grace:
        return Decision(Action.LEAVE, reason)
    return Decision(Action.HOLD, reason, since)


def moved(event: EventRecord, seen: ListedEvent) -> bool:
    """Whether an event's row is another than when it was last read."""
    return (event.timestamp, event.published) != (seen.timestamp, seen.published)
