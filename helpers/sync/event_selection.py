"""Which events to read, and which to hold or let go. Pure.

Measured on MISP 2.5.1: every edit unpublishes its event until somebody publishes it again, with a newer
timestamp; an explicit unpublish leaves the timestamp as it was. A row that is missing from the index
proves nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from constants import WithdrawalReason
from helpers.indicators import DAY, ConversionRules
from helpers.ledger import DestinationFacts, EventRecord
from helpers.misp import ListedEvent, is_on
from helpers.settings import Settings


class Action(Enum):
    """What to do about an event."""

    NOTHING = auto()
    READ = auto()
    ASK = auto()
    HOLD = auto()
    LET_GO = auto()


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

    def not_read_in_full_run(self, event: EventRecord) -> bool:
        """Whether the full run has not read an event yet; one that was cut off goes on where it stopped."""
        return event.full_run < self.full_run


def decide_event(
    event: EventRecord | None,
    indexed: ListedEvent | None,
    listed: ListedEvent | None,
    run: RunConditions,
    has_objects: Callable[[], bool],
) -> Decision:
    """Decide on one event: as the ledger knows it, as the index and the listing under the site's filters show it.

    ``has_objects`` says whether anything of it may be live at Microsoft; it is asked only where the answer matters.
    """
    if event is None:  # new to us: it is read as soon as the filters find it
        return Decision(Action.READ if listed else Action.NOTHING)
    row = indexed or listed
    if row is None:  # out of the index: MISP is asked by UUID, if anything depends on the answer
        return Decision(Action.ASK if event.listed or event.todo or has_objects() else Action.NOTHING)
    if run.needs_published and not row.published:
        return _decide_unpublished(event, row, run, has_objects)
    if event.todo or event.held_since is not None or moved(event, row):  # unfinished, back again, or edited
        return Decision(Action.READ)
    if run.not_read_in_full_run(event) and (listed or has_objects()):
        return Decision(Action.READ)
    if listed:  # its tags or its publishing may have changed, which the index does not show
        return Decision(Action.NOTHING if event.listed and listed.listing == event.listing else Action.READ)
    # It left the filters, or their time window; what it means is decided with MISP's answer to its UUID.
    return Decision(Action.READ if event.listed else Action.NOTHING)


def decide_not_listed(
    event: EventRecord, existing: ListedEvent | None, run: RunConditions, has_objects: Callable[[], bool]
) -> Decision:
    """Decide on an event that the filters do not find, also without their time windows; MISP was asked by its UUID."""
    if existing is None:
        return _decide_gone(event, run)
    if run.needs_published and not existing.published:
        return _decide_unpublished(event, existing, run, has_objects)
    return Decision(Action.LET_GO, WithdrawalReason.LEFT_FILTERS)  # it is there, published, and not wanted any more


def _decide_unpublished(
    event: EventRecord, row: ListedEvent, run: RunConditions, has_objects: Callable[[], bool]
) -> Decision:
    """Decide on an event that is not published, where the filters want it to be."""
    if not (event.published or has_objects()):  # it never was, and nothing of it was sent
        return Decision(Action.NOTHING)
    if event.held_since is None and row.timestamp == event.timestamp:  # unpublished by hand: meant
        return Decision(Action.LET_GO, WithdrawalReason.UNPUBLISHED)
    return _hold(event, run, WithdrawalReason.UNPUBLISHED_FOR_GOOD)  # by an edit: it comes back when published


def _decide_gone(event: EventRecord, run: RunConditions) -> Decision:
    """Decide on an event that MISP no longer shows by its UUID.

    With MISP.unpublishedprivate an edit by its owner hides it until it is published, so it is held unless nobody could
    hide it from this key, or somebody has looked and accepts it (``--force-withdraw``). One that was not published when
    it was last seen is shown to this key all the same, so no edit has hidden it.
    """
    own = bool(event.organisation) and event.organisation == run.own_organisation
    if run.site_admin or run.force or own or not event.published:
        return Decision(Action.LET_GO, WithdrawalReason.GONE)
    return _hold(event, run, WithdrawalReason.GONE)


# -- the one event that a run was asked for -----------------------------------------------------------


@dataclass(frozen=True)
class MissingEvent:
    """The one event that a run was asked for and that the filters do not find, their time windows set aside.

    ``row`` is what MISP shows of it without any filter, ``left_out_by`` the names in misp_event_filters that leave it
    out by themselves, ``origin`` where misp_event_filters come from, ``published_only`` that they take published events
    only, and ``sees_all`` that MISP hides nothing from the key.
    """

    uuid: str
    row: ListedEvent | None
    left_out_by: Sequence[str]
    origin: str
    published_only: bool
    sees_all: bool

    def __str__(self) -> str:
        """Say which of these it is, and what to do."""
        if self.row is None:
            return self._not_shown()
        unpublished = self.published_only and not self.row.published
        if unpublished and not self.left_out_by:
            return (
                f"Event {self.uuid} is not published, and misp_event_filters ({self.origin}) want published events: "
                "publish it in MISP and run this again. Nothing was sent."
            )
        publish = "not published (publish it in MISP), and " if unpublished else ""
        names = f" by {', '.join(map(repr, self.left_out_by))}" if self.left_out_by else ""
        return (
            f"Event {self.uuid} is {publish}outside of the filters: misp_event_filters ({self.origin}) leave it "
            f"out{names}. Change the event in MISP, or that filter. Nothing was sent."
        )

    def _not_shown(self) -> str:
        if self.sees_all:
            return f"MISP has no event {self.uuid}: is it the UUID of an event, or was that deleted? Nothing was sent."
        return (
            f"MISP shows this key no event {self.uuid}: there is none (is it the UUID of an event, or was that "
            "deleted?), or it is not shared with the organisation of the key, which MISP answers in the same way. "
            "Nothing was sent."
        )


def what_stays(live: int, decision: Decision, grace: int, *, absence_counts: bool) -> str:
    """Say what is live of such an event, and what the next run without --uuid does about it, ``grace`` in seconds."""
    if not live:
        return ""
    count = f"{live} indicator{'s' if live > 1 else ''} of it {'are' if live > 1 else 'is'} live in Sentinel"
    if not absence_counts or decision.action is Action.NOTHING:
        return f"{count} and will stay there."
    if decision.action is Action.HOLD:
        return (
            f"{count} and will be held until MISP shows the event published again, for unpublished_grace_days "
            f"({grace // DAY}) at most."
        )
    return f"{count}: a run without --uuid withdraws what is of this event alone, if no guard holds that back."


def needs_published(filters: Mapping[str, Any]) -> bool:
    """Whether the site's filters take published events only."""
    wanted = filters.get("published")
    values = wanted if isinstance(wanted, list | tuple) else [wanted]
    return all(map(is_on, values)) and bool(values)


def moved(event: EventRecord, row: ListedEvent) -> bool:
    """Whether an event's row is another than when it was last read."""
    return (event.timestamp, event.published) != (row.timestamp, row.published)


def _hold(event: EventRecord, run: RunConditions, reason: str) -> Decision:
    known = event.held_since is not None and event.held_since <= run.now  # a later one is of a clock that was ahead
    since = event.held_since if known and event.held_since is not None else run.now
    if run.now - since >= run.grace:  # unpublished_grace_days have passed
        return Decision(Action.LET_GO, reason)
    return Decision(Action.HOLD, reason, since)


def number_of_full_run(facts: DestinationFacts, fingerprint: str, now: int, span: int, *, anew: bool = False) -> int:
    """Return the number of the full run that a run is; 0 where none is due.

    One that was cut off is the same one still, as long as it is younger than ``span``, in seconds, the settings have
    the same fingerprint and nobody wants it ``anew``.
    """
    due = anew or now - facts.full_at >= span or facts.settings_fingerprint != fingerprint
    if not due:
        return 0
    begun = facts.full_begun
    goes_on = begun is not None and begun.settings_fingerprint == fingerprint and now - begun.at < span
    return facts.full_run if goes_on and not anew else facts.full_run + 1


def settings_fingerprint(settings: Settings) -> str:
    """Return what changes with any setting that shapes what a destination is sent; then every event is read again."""
    beside = [settings.context_level, settings.context_private, settings.activity_group_labels]
    return _hashed([conversion_fingerprint(settings), *beside])


def conversion_fingerprint(settings: Settings) -> str:
    """Return what changes with any setting that shapes an indicator; then every attribute is converted again.

    A setting of conversion's cannot be missing, since conversion knows no others than those in its rules.
    """
    return _hashed(
        [
            ConversionRules.of(settings).fingerprint(),
            settings.misp_event_filters,
            settings.deduplicate,
            settings.upload_api,
            settings.api_version,
        ]
    )


def _hashed(shaping: list[Any]) -> str:
    return hashlib.sha256(json.dumps(shaping, sort_keys=True, default=str).encode()).hexdigest()
