"""Where something stands at one destination, and what the next run does about its event, in a word. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from helpers.ledger import ObjectRecord, Stage


class State(StrEnum):
    """Where something stands; what matters most comes first."""

    LIVE = "live"
    LEAVING = "leaving"  # to be withdrawn, and live until then
    PERHAPS_LEAVING = "perhaps leaving"  # to be withdrawn, and whether Microsoft took it is not known
    WITHDRAWING = "withdrawing"  # its withdrawal has no answer
    UNKNOWN = "unknown"  # whether Microsoft took it
    WAITING = "waiting"  # to be sent, and Microsoft has not taken it
    REJECTED = "rejected"
    TO_COME = "to come"  # never sent, and nothing stands in its way
    NOT_SENT = "not sent"  # for a reason
    NOT_WANTED = "not wanted"  # any more; Microsoft never took it
    REVOKED = "revoked"  # by another hand than this program's
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    NOWHERE = "nowhere"


class NewerForm(StrEnum):
    """What became of a form of an object that is newer than what stands at Microsoft."""

    NONE = ""
    UNKNOWN = "unknown"
    WAITING = "waiting"
    REJECTED = "rejected"


class NextRun(StrEnum):
    """What the next run does about an event."""

    READS = "reads"
    HOLDS = "holds"
    LETS_GO = "lets go"
    PASSES_OVER = "passes over"  # nothing shows that it changed: only a full run reads it


MAY_BE_LIVE = (State.LIVE, State.LEAVING, State.PERHAPS_LEAVING, State.WITHDRAWING, State.UNKNOWN)
LEAVING = (State.LEAVING, State.PERHAPS_LEAVING, State.NOT_WANTED)
_UNSENT = (Stage.PENDING, Stage.SENDING)


def state_of(record: ObjectRecord, now: int) -> State:
    """Return where an object stands at ``now``, in seconds since 1970."""
    if record.stage in (Stage.WITHDRAWN, Stage.REVOKED):
        return State(str(record.stage))
    if record.live and not record.is_live(now):
        return State.EXPIRED
    if record.stage == Stage.WITHDRAWING and record.perhaps_taken:
        return State.WITHDRAWING
    accepted = record.stage == Stage.ACCEPTED or record.accepted_until > now
    if record.leaving and not accepted:
        return State.PERHAPS_LEAVING if record.perhaps_taken else State.NOT_WANTED
    if accepted:
        return State.LEAVING if record.leaving else State.LIVE
    if record.live and record.perhaps_taken:
        return State.UNKNOWN
    return State.REJECTED if record.stage == Stage.REJECTED else State.WAITING


def newer_form_of(record: ObjectRecord, now: int) -> NewerForm:
    """Return what became of a newer form of an object of which an older one is there, or may be."""
    state = state_of(record, now)
    if record.stage == Stage.REJECTED and state in (State.LIVE, State.UNKNOWN):
        return NewerForm.REJECTED
    if state is not State.LIVE or record.stage not in _UNSENT:
        return NewerForm.NONE
    return NewerForm.UNKNOWN if record.perhaps_taken else NewerForm.WAITING


def foremost(states: Iterable[State]) -> State:
    """Return the state that matters most; nowhere where there is none."""
    return min(states, key=list(State).index, default=State.NOWHERE)
