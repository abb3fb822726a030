"""What the ledger knows of events, attributes and objects, as plain values. Pure."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from enum import StrEnum

from helpers.indicators import Indicator


class Stage(StrEnum):
    """Where an object stands. What is in flight counts as both until Microsoft has answered."""

    PENDING = "pending"  # to be sent, as it is written here
    SENDING = "sending"  # in flight
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    WITHDRAWING = "withdrawing"  # in flight, revoked
    WITHDRAWN = "withdrawn"


UNSETTLED = (Stage.PENDING, Stage.SENDING)


@dataclass(frozen=True)
class EventRecord:
    """An event as it was last read whole.

    Times are seconds since 1970. ``listing`` prints what the listing showed of it (publishing, tags),
    ``listed`` says whether the site's filters found it then, time windows included. ``held_since`` is when
    it was first seen unpublished after an edit, or gone; ``todo`` that not all of it is settled; ``full_run``
    is the number of the latest full run when it was last read to its end.
    """

    uuid: str
    timestamp: int
    published: bool
    organisation: str = ""
    listing: str = ""
    listed: bool = True
    held_since: int | None = None
    todo: bool = False
    full_run: int = 0


@dataclass(frozen=True, slots=True)
class AttributeRecord:
    """An attribute as it was last decided on; ``skip`` is the name of a reason, empty where it was sent."""

    event: str
    uuid: str
    fingerprint: str
    type: str
    value: str
    skip: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One attribute's part in an object: which object (``key``), and the indicator that it asks for."""

    key: str
    event: str
    attribute: str
    contribution: bytes = b""


@dataclass(frozen=True)
class ObjectRecord:
    """An object at Microsoft, or on its way there.

    ``key`` is what it stands for; one key has one object for each of its lives. ``live`` means possibly
    live at Microsoft, until ``live_until`` at the latest; ``valid_until`` is when it is to end. ``doubt`` means
    that an upload of it had no answer. ``leaving`` is why it is to be withdrawn, ``left_event`` the event that
    said so. Times are seconds since 1970; ``renew_at`` is when half of a moving expiry has passed.
    ``remote_id`` is the id that Microsoft gave it, where its API gives one; ``program`` is which API and version
    Microsoft's rejection was an answer to.
    """

    id: str
    key: str
    pattern: str
    value: str
    life: int
    fingerprint: str
    valid_until: int
    body: bytes
    stage: Stage = Stage.PENDING
    words: str = ""
    leaving: str = ""
    live: bool = False
    doubt: bool = False
    renew_at: int | None = None
    sent_at: int | None = None
    accepted_at: int | None = None
    remote_id: str = ""
    live_until: int = 0
    left_event: str = ""
    program: str = ""

    @property
    def indicator(self) -> Indicator:
        """The whole object as it was, or is to be, sent."""
        return unpacked(self.body)

    @property
    def json_text(self) -> bytes:
        """The whole object as JSON, with its keys sorted."""
        return zlib.decompress(self.body)

    def is_live(self, now: int) -> bool:
        """Whether Microsoft may match it at ``now``, in seconds since 1970."""
        return self.live and self.live_until > now

    @property
    def revoked(self) -> bool:
        """Whether its id may be revoked, which is for ever."""
        return self.stage in (Stage.WITHDRAWING, Stage.WITHDRAWN)


def packed(indicator: Indicator) -> bytes:
    """Compress an indicator; the same indicator always gives the same bytes."""
    return zlib.compress(json.dumps(indicator, sort_keys=True, separators=(",", ":")).encode())


def unpacked(body: bytes) -> Indicator:
    """Undo ``packed``."""
    indicator: Indicator = json.loads(zlib.decompress(body))
    return indicator


@dataclass(frozen=True)
class RetryPolicy:
    """What deciding on objects goes by: the run's time in seconds, and which rejections are tried again.

    Those of another ``program`` are, which is an API and a version of ours, and all where that is asked for.
    """

    now: int
    retry_rejected: bool = False
    program: str = ""

    def is_settled(self, each: ObjectRecord) -> bool:
        """Whether Microsoft's answer to an object stands."""
        stands = not self.retry_rejected and each.program == self.program
        return each.stage == Stage.ACCEPTED or (each.stage == Stage.REJECTED and stands)
