"""What the ledger knows of events, attributes and objects, as plain values. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, NamedTuple

from helpers.context import Kind
from helpers.indicators import Indicator
from helpers.ledger.bodies.packing import decompressed, unpacked


class Stage(StrEnum):
    """Where an object stands. What is in flight counts as both until Microsoft has answered."""

    PENDING = "pending"  # to be sent, as it is written here
    SENDING = "sending"  # in flight
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    WITHDRAWING = "withdrawing"  # in flight, revoked
    WITHDRAWN = "withdrawn"
    REVOKED = "revoked"  # at Microsoft, which the ledger did not know; what is wanted of it comes under its next life
    KEPT_BACK = "kept back"  # never sent, since Microsoft refused what it points from or to


# What a ledger keeps of a kind: its place here.
KINDS = (Kind.INDICATOR, Kind.IDENTITY, Kind.THREAT_ACTOR, Kind.ATTACK_PATTERN, Kind.RELATIONSHIP)
# When what has no expiry ends, in seconds since 1970: the last moment of the year 9999.
NEVER = 253_402_300_799

UNSETTLED = (Stage.PENDING, Stage.SENDING, Stage.REVOKED)
REVOKED = (Stage.WITHDRAWING, Stage.WITHDRAWN, Stage.REVOKED)
WITHOUT_OUTCOME = (Stage.PENDING, Stage.SENDING, Stage.WITHDRAWING)


class Blocked(StrEnum):
    """What has to be mended before Microsoft takes anything at a destination, as a ledger keeps it."""

    SIGN_IN = "sign-in"
    ROLE = "role"
    ADDRESS = "address"
    CONNECTION = "connection"

    @property
    def once(self) -> str:
        """When what waits goes out, as the end of a sentence."""
        return f"once {_MENDED[self]}"


_MENDED: Mapping[Blocked, str] = {
    Blocked.SIGN_IN: "there is a token",
    Blocked.ROLE: "the role is given",
    Blocked.ADDRESS: "the address is right",
    Blocked.CONNECTION: "the connection to Microsoft is mended",
}


@dataclass(frozen=True)
class EventRecord:
    """An event as it was last read to its end, held or let go of.

    Times are seconds since 1970. ``listing`` prints what the listing showed of it (publishing, tags),
    ``listed`` says whether the site's filters found it then, time windows included. ``held_since`` is when
    it was first seen unpublished after an edit, or gone; ``todo`` that not all of it is settled; ``full_run``
    is the number of the latest full run when it was last read to its end. ``organisation`` is the UUID of who made it,
    ``organisation_name`` their name when the event was last read to its end, for people alone.
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
    organisation_name: str = ""


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


@dataclass(frozen=True, slots=True)
class Relation:
    """What an attribute's indicator points to: by the key of its object, to the cluster of this UUID (``target``)."""

    event: str
    attribute: str
    indicator: str
    target: str


# Stages in which an indicator carries what it points to: it is at Microsoft, or on its way there.
CARRYING = (Stage.PENDING, Stage.SENDING, Stage.ACCEPTED)


class Pointer(NamedTuple):
    """An indicator that points to something, as it stands now, under the latest of its lives.

    ``valid_until`` and ``live_until`` are in seconds since 1970, ``tlp`` is a level, "" where it is unknown. ``words``
    say why it was refused.
    """

    key: str
    id: str
    life: int
    stage: Stage
    leaving: str
    valid_until: int
    live: bool
    live_until: int
    words: str
    tlp: str

    def is_here(self, now: int) -> bool:
        """Whether it is at Microsoft or on its way there; where a change of it was refused, it is there as it was."""
        as_it_was = self.stage == Stage.REJECTED and self.live and self.live_until > now
        return as_it_was or (self.stage in CARRYING and self.valid_until > now)

    def was_refused(self, now: int) -> bool:
        """Whether it would be here had Microsoft not refused it."""
        return self.stage == Stage.REJECTED and not self.leaving and self.valid_until > now and not self.is_here(now)

    def carries(self, now: int) -> bool:
        """Whether it is here to stay: what it points to is wanted."""
        return self.is_here(now) and not self.leaving


class Pointing(NamedTuple):
    """A row that says that an indicator, by its key, points to a cluster, by its UUID."""

    indicator: str
    target: str


class DueObject(NamedTuple):
    """What goes out of an object that is due; all of it is as in its ``ObjectRecord``."""

    id: str
    pattern: str
    body: bytes
    leaving: str
    remote_id: str
    live: bool
    perhaps_taken: bool

    @property
    def indicator(self) -> Indicator:
        """The whole object. Raises LedgerError where the row is damaged."""
        return unpacked(self.body)

    @property
    def json_text(self) -> bytes:
        """The whole object as JSON. Raises LedgerError where the row is damaged."""
        return decompressed(self.body)


@dataclass(frozen=True)
class ObjectRecord:
    """An object at Microsoft, or on its way there.

    ``key`` is what it stands for; one key has one object for each of its lives. ``live`` means possibly
    live at Microsoft, until ``live_until`` at the latest; ``valid_until`` is when it is to end. ``doubt`` means
    that an upload of it had no answer. ``leaving`` is why it is to be withdrawn, ``left_event`` the event that
    said so. Times are seconds since 1970; ``renew_at`` is when half of a moving expiry has passed.
    What stands beside indicators ends at NEVER, and has no pattern.
    ``remote_id`` is the id that Microsoft gave it, where its API gives one; ``program`` is which API and version
    Microsoft's rejection was an answer to.

    Two more are for what people are told, and decide nothing. ``perhaps_taken``: a request for it went out, and no
    answer says that it was not taken; an acceptance ends that, a rejection does not, since what was sent before may be
    there. ``accepted_until`` is the end of what Microsoft accepted of it last, 0 where that is nothing.
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
    perhaps_taken: bool = False
    accepted_until: int = 0

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> ObjectRecord:
        """Return what a row with a value for each field says; ``__init__`` takes four times as long for it."""
        record = object.__new__(cls)
        vars(record).update(zip(_OBJECT_FIELDS, row, strict=True))
        return record

    @property
    def indicator(self) -> Indicator:
        """The whole object as it was, or is to be, sent. Raises LedgerError where the row is damaged."""
        return unpacked(self.body)

    @property
    def due(self) -> DueObject:
        """What of it goes out."""
        return DueObject(self.id, self.pattern, self.body, self.leaving, self.remote_id, self.live, self.perhaps_taken)

    def is_live(self, now: int) -> bool:
        """Whether Microsoft may match it at ``now``, in seconds since 1970."""
        return self.live and self.live_until > now

    @property
    def not_taken(self) -> bool:
        """Whether it waits: each request for it since it was last settled was refused, or never sent."""
        return self.stage in WITHOUT_OUTCOME and not self.perhaps_taken

    def is_in_sentinel(self, now: int) -> bool:
        """Whether Sentinel has it, or may have it, at ``now``: what was refused is live for the plan, and not there."""
        taken = self.stage == Stage.ACCEPTED or self.perhaps_taken or self.accepted_until > now
        return self.is_live(now) and taken

    @property
    def kind(self) -> Kind:
        """What it is, as its id says."""
        return kind_of_id(self.id)

    @property
    def revoked(self) -> bool:
        """Whether its id may be revoked, which is for ever."""
        return self.stage in REVOKED


def kind_of_id(id_: str) -> Kind:
    """Return what an object is, by its STIX id; whatever is nothing else counts as an indicator."""
    return _KINDS_BY_TYPE.get(id_.partition("--")[0], Kind.INDICATOR)


_KINDS_BY_TYPE = {kind.value: kind for kind in KINDS}
_OBJECT_FIELDS = [field.name for field in fields(ObjectRecord)]


@dataclass(frozen=True)
class RetryPolicy:
    """Whose answers of Microsoft's stand, at a run's time (``now``, in seconds since 1970).

    A rejection is tried again where it came from another ``program``, which is an API and a version of ours, and
    always with ``retry_rejected``.
    """

    now: int
    retry_rejected: bool = False
    program: str = ""

    def is_settled(self, record: ObjectRecord) -> bool:
        """Whether Microsoft's answer to an object stands."""
        stands = not self.retry_rejected and record.program == self.program
        return record.stage == Stage.ACCEPTED or (record.stage == Stage.REJECTED and stands)


@dataclass(frozen=True)
class FullRun:
    """A full run that has begun: when, in seconds since 1970, and by which settings.

    ``afresh``: it converts every attribute again, since a clock was wrong when they were decided on.
    """

    at: int
    settings_fingerprint: str
    afresh: bool = False


class LiveCount(NamedTuple):
    """How many objects were live when a run had ended; ``at`` is that run's time, in seconds since 1970."""

    at: int
    live: int


@dataclass(frozen=True)
class DestinationFacts:
    """What is known of a destination as a whole. Times are seconds since 1970, None or 0 for what never was.

    ``misp`` is who read which MISP, ``deduplicate`` the setting by which objects have their keys. ``full_run`` numbers
    the full runs, ``full_begun`` is the one that is not at its end yet, ``full_at`` when the last whole one began, and
    ``settings_fingerprint`` that of the settings that it read by. ``refused_events`` are those of which nothing was
    withdrawn since it looked like a mistake; ``last_run`` is the report of the last whole run, which one of a single
    event leaves as it is, ``last_good`` when one last ended well, and ``adopted_at`` when the ledger was filled from
    Sentinel. ``begun_at`` is when a whole run last began, ``ended_at`` when a run of any kind last came to its end.

    What the guards go by: ``live_counts``, the oldest first; ``forced_at``, when runs were told to withdraw whatever
    it was; ``view``, who read MISP by which filters in the last run that left nothing open, which was at ``view_at``;
    ``surveyed_at``, when MISP was last asked which events there are, and ``blind``, that it showed none of ours then.

    ``doubted`` is a moment that lay in the future when a run found one: an earlier run's clock was ahead, or that one's
    behind. ``blocked`` is what kept Microsoft from taking anything the last time that it said so.
    ``woven`` says by what relationships were last brought in step with everything, "" where something was left over;
    ``woven_until`` is when the first indicator expires after that.
    ``credential_ends`` is when the certificate or secret that signs in at Microsoft expires, ``misp_key_ends`` when
    MISP's key does.
    """

    misp: Mapping[str, str] | None = None
    deduplicate: str = ""
    settings_fingerprint: str = ""
    full_run: int = 0
    full_begun: FullRun | None = None
    full_at: int = 0
    refused_events: tuple[str, ...] = ()
    last_run: Mapping[str, Any] | None = None
    last_good: int | None = None
    begun_at: int = 0
    ended_at: int = 0
    adopted_at: int | None = None
    live_counts: tuple[LiveCount, ...] = ()
    forced_at: tuple[int, ...] = ()
    view: Mapping[str, str] | None = None
    view_at: int = 0
    surveyed_at: int = 0
    blind: bool = False
    doubted: int = 0
    blocked: Blocked | None = None
    credential_ends: int = 0
    misp_key_ends: int = 0
    woven: str = ""
    woven_until: int = 0

    def latest(self) -> int:
        """Return the last moment at which anything is said to have happened; 0 where nothing has."""
        begun_at = self.full_begun.at if self.full_begun else 0
        ran_at = max(self.whole_run_at, self.ended_at)
        return max(self.full_at, begun_at, self.last_good or 0, self.surveyed_at, ran_at)

    @property
    def whole_run_at(self) -> int:
        """When the last whole run was; 0 where there was none."""
        return _moment(self.last_run.get("at")) if self.last_run else 0

    @property
    def ran_at(self) -> int:
        """When the last run was, of whatever kind; 0 where there was none. Older ledgers know one kind only."""
        return self.ended_at or self.whole_run_at

    def known_at(self, now: int) -> DestinationFacts:
        """Return the facts as they can be believed at ``now``: a moment after it, of a wrong clock, is unknown."""
        begun = self.full_begun if self.full_begun and self.full_begun.at <= now else None
        return replace(
            self,
            full_begun=begun,
            full_at=self.full_at if self.full_at <= now else 0,
            last_good=self.last_good if (self.last_good or 0) <= now else None,
            surveyed_at=self.surveyed_at if self.surveyed_at <= now else 0,
        )

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> DestinationFacts:
        """Read facts as a ledger holds them."""
        known = {_FACTS_READ.get(key, key): value for key, value in stored.items()}
        return cls(**{name: read(known.get(name)) for name, read in _READERS.items()})

    @classmethod
    def stored_names(cls) -> set[str]:
        """Return what a ledger calls the facts."""
        return {_FACTS_STORED.get(field.name, field.name) for field in fields(cls)}

    def stored(self) -> dict[str, Any]:
        """Return the facts as a ledger holds them; what is not known is not there."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.full_begun:
            afresh = {"afresh": True} if self.full_begun.afresh else {}
            known["full_begun"] = {"at": self.full_begun.at, "shape": self.full_begun.settings_fingerprint, **afresh}
        return {_FACTS_STORED.get(name, name): value for name, value in known.items() if value not in (None, "", 0, ())}


_END_OF_TIME = 253_402_300_800  # the year 10000
# Ledgers that are in use call the settings' fingerprint so.
_FACTS_STORED = {"settings_fingerprint": "shape"}
_FACTS_READ = {key: name for name, key in _FACTS_STORED.items()}


def _full_run(stored: Any) -> FullRun | None:
    if not isinstance(stored, dict):
        return None
    return FullRun(_moment(stored.get("at")), _text(stored.get("shape")), bool(stored.get("afresh")))


def _report(stored: Any) -> Mapping[str, Any] | None:
    """What others go by in a report is of the form that they expect; the rest is shown as it is."""
    if not isinstance(stored, dict):
        return None
    return stored | {name: read(stored[name]) for name, read in _READERS_OF_REPORT.items() if name in stored}


def _context(stored: Any) -> Mapping[str, Any]:
    known = stored if isinstance(stored, dict) else {}
    read = {name: _READERS_OF_CONTEXT[name](value) for name, value in known.items() if name in _READERS_OF_CONTEXT}
    return {**known, "waiting_to_leave": 0, **read}


def _counts_by_kind(stored: Any) -> Mapping[str, int]:
    known = stored if isinstance(stored, dict) else {}
    return {kind: count for kind, count in known.items() if _is_number(count)}


def _counts(stored: Any) -> tuple[LiveCount, ...]:
    rows = stored if isinstance(stored, list) else []
    pairs = (row for row in rows if isinstance(row, list) and len(row) == 2 and all(map(_is_number, row)))
    return tuple(LiveCount(*pair) for pair in pairs)


def _moments(stored: Any) -> tuple[int, ...]:
    return tuple(filter(_is_number, stored)) if isinstance(stored, list) else ()


def _moment(stored: Any) -> int:
    return stored if _is_number(stored) else 0


def _moment_or_none(stored: Any) -> int | None:
    return _moment(stored) or None


def _text(stored: Any) -> str:
    return stored if isinstance(stored, str) else ""


def _blocked(stored: Any) -> Blocked | None:
    return Blocked(stored) if isinstance(stored, str) and stored in list(Blocked) else None


def _deduplicate(stored: Any) -> str:
    return stored if stored in ("attribute", "value") else ""


def _text_or_none(stored: Any) -> str | None:
    return None if stored is None else _text(stored)


def _list_of_texts(stored: Any) -> list[str]:
    return [text for text in stored if isinstance(text, str)] if isinstance(stored, list) else []


def _tuple_of_texts(stored: Any) -> tuple[str, ...]:
    return tuple(_list_of_texts(stored))


def _texts(stored: Any) -> Mapping[str, str] | None:
    known = isinstance(stored, dict) and all(isinstance(value, str) for value in stored.values())
    return stored if known else None


def _is_number(stored: Any) -> bool:
    return isinstance(stored, int) and not isinstance(stored, bool) and 0 <= stored < _END_OF_TIME


# What is of another form in a ledger counts as never noted.
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "misp": _texts,
    "deduplicate": _deduplicate,
    "settings_fingerprint": _text,
    "full_run": _moment,
    "full_begun": _full_run,
    "full_at": _moment,
    "refused_events": _tuple_of_texts,
    "last_run": _report,
    "last_good": _moment_or_none,
    "begun_at": _moment,
    "ended_at": _moment,
    "adopted_at": _moment_or_none,
    "live_counts": _counts,
    "forced_at": _moments,
    "view": _texts,
    "view_at": _moment,
    "surveyed_at": _moment,
    "blind": bool,
    "doubted": _moment,
    "blocked": _blocked,
    "credential_ends": _moment,
    "misp_key_ends": _moment,
    "woven": _text,
    "woven_until": _moment,
}
_READERS_OF_CONTEXT: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("waiting_to_leave", "rejected", "pending"), _moment),
    **dict.fromkeys(("accepted", "withdrawn", "refused"), _counts_by_kind),
}
_READERS_OF_REPORT: Mapping[str, Callable[[Any], Any]] = {
    "at": _moment,
    "exit_code": _moment,
    "misp_error": _text_or_none,
    "given_up": _text_or_none,
    "failure": _text_or_none,
    "cause": _text_or_none,
    "refused_withdrawals": _list_of_texts,
    "unread_events": _list_of_texts,
    "warnings": _list_of_texts,
    "context": _context,
}
