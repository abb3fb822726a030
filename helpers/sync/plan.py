"""What MISP wants × what the ledger knows → send, withdraw, leave alone. Pure.

An object stands for a key: an attribute's pattern, or with ``deduplicate = "value"`` a pattern. Its
id may be revoked, which is for ever; then what it stands for comes back with another id, its next life.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from constants import WithdrawalReason
from helpers.indicators import stix_time_of
from helpers.ledger import ObjectRecord, RetryPolicy, Stage, packed_to_send
from helpers.sync.ownership import Life, lasting


class Desired(Protocol):
    """An object of any kind that is wanted at Microsoft: what plans go by, whatever it is."""

    @property
    def key(self) -> str:
        """What it stands for."""

    @property
    def pattern(self) -> str:
        """Its STIX pattern; empty of what is no indicator."""

    @property
    def value(self) -> str:
        """What it is found by, in lower case."""

    @property
    def lifetime(self) -> int:
        """How many seconds its expiry is ahead of the run's time; 0 where it is fixed."""

    @property
    def fixed_until(self) -> int:
        """The latest fixed expiry, in seconds since 1970; 0 where there is none."""

    @property
    def promised(self) -> int:
        """The end of a moving expiry that is not counted from this run; 0 where there is none."""

    @property
    def owned(self) -> bool:
        """Whether what it is is decided by who wants it; else another event does."""

    @property
    def fingerprint(self) -> str:
        """Changes when Microsoft should be told."""

    def is_of(self, fingerprint: str) -> bool:
        """Whether a fingerprint in the ledger says that nothing changed."""

    def lives_after(self, number: int) -> Iterator[Life]:
        """Yield its lives after this one, without end; 0 stands before the first."""

    def body(self, id_: str, modified: str, valid_until: str) -> bytes:
        """Return it packed, as it is sent under an id; both times are as STIX writes them."""


class Cause(NamedTuple):
    """Why an object is to leave, and the event that let go of it."""

    reason: str
    event: str


@dataclass
class Plan:
    """What is to be done about some objects; each object as the ledger is to have it."""

    new: list[ObjectRecord] = field(default_factory=list)
    changed: list[ObjectRecord] = field(default_factory=list)
    renewed: list[ObjectRecord] = field(default_factory=list)
    again: list[ObjectRecord] = field(default_factory=list)
    withdraw: list[ObjectRecord] = field(default_factory=list)
    stay: list[ObjectRecord] = field(default_factory=list)
    forget: list[ObjectRecord] = field(default_factory=list)

    @property
    def send(self) -> list[ObjectRecord]:
        """Everything that goes out."""
        return self.new + self.changed + self.renewed + self.again

    @property
    def kept(self) -> list[ObjectRecord]:
        """Everything that is to be written down."""
        return self.send + self.withdraw + self.stay


def lives_to_begin(
    desired: Mapping[str, Desired], known: Iterable[ObjectRecord], taken: Container[str]
) -> dict[str, Life]:
    """Return the life of each desired object that has none now, by key: the lowest whose id nobody ever had.

    ``known`` has every life of these keys, ``taken`` the ids that the ledger has. Anybody can give an attribute the
    UUID of an id that comes later, so no id is free because of what it was made from.
    """
    lives, given = _by_key(known), set[str]()
    begun: dict[str, Life] = {}
    for key, wanted in desired.items():
        of_key = lives.get(key, [])
        if _current(of_key) is None:
            after = wanted.lives_after(of_key[-1].life if of_key else 0)
            begun[key] = next(life for life in after if life.id not in taken and life.id not in given)
            given.add(begun[key].id)
    return begun


def decide_objects(
    desired: Mapping[str, Desired],
    unwanted: Mapping[str, Cause],
    known: Sequence[ObjectRecord],
    taken: Container[str],
    policy: RetryPolicy,
    *,
    in_window: bool,
    event: str = "",
) -> Plan:
    """Decide on the objects of some keys.

    ``unwanted`` has, for each key that no attribute asks for any more, the reason and the event that let it go;
    ``known`` every life of all these keys; ``taken`` what of the ids of ``lives_to_begin`` the ledger has;
    ``in_window`` whether their event, which is ``event``, matches the site's filters, time windows included.
    """
    begun = lives_to_begin(desired, known, taken)
    plan = decide_wanted(desired, known, begun, policy, in_window=in_window, event=event)
    lives = _by_key(known)
    for key, cause in unwanted.items():
        _withdraw(lives.get(key, []), cause, policy.now, plan)
    return plan


def decide_wanted(
    desired: Mapping[str, Desired],
    known: Sequence[ObjectRecord],
    begun: Mapping[str, Life],
    policy: RetryPolicy,
    *,
    in_window: bool,
    event: str,
) -> Plan:
    """Decide on the objects that some attribute asks for; ``begun`` are the lives that ``lives_to_begin`` named."""
    lives, plan = _by_key(known), Plan()
    for key, wanted in desired.items():
        if key in begun:
            _begin_life(wanted, lives.get(key, []), begun[key], policy.now, plan)
        elif not wanted.owned:
            _leave_as_it_is(lives[key][-1], policy, plan)
        else:
            _bring_up_to_date(lives[key][-1], wanted, policy, plan, in_window=in_window, event=event)
    return plan


def _by_key(known: Iterable[ObjectRecord]) -> dict[str, list[ObjectRecord]]:
    """Return the lives of each key, the latest last."""
    lives: dict[str, list[ObjectRecord]] = {}
    for record in sorted(known, key=lambda record: record.life):
        lives.setdefault(record.key, []).append(record)
    return lives


def _current(lives: Sequence[ObjectRecord]) -> ObjectRecord | None:
    """Return the object under the latest life; none where its id may be revoked, which is for ever."""
    return lives[-1] if lives and not lives[-1].revoked else None


def renewal(record: ObjectRecord, now: int, *, moves: bool) -> ObjectRecord:
    """Return an accepted object to be sent again: with its expiry moved on by its whole life, or as it is."""
    if not moves or record.renew_at is None:
        return replace(record, stage=Stage.PENDING, body=_stamped(record, now, record.valid_until))
    lifetime = _lifetime(record)
    until = max(record.valid_until, now + lifetime)
    body = _stamped(record, now, until)
    return replace(record, stage=Stage.PENDING, valid_until=until, renew_at=until - lifetime // 2, body=body)


def _begin_life(wanted: Desired, lives: Sequence[ObjectRecord], life: Life, now: int, plan: Plan) -> None:
    """Send what has no object, or one that is revoked for ever; unless it has expired already."""
    plan.stay += [_replaced(dead) for dead in lives[-1:] if dead.stage == Stage.REVOKED]
    record = _first_sent(wanted, life, now)
    if record.valid_until > now:
        plan.new.append(record)


def _bring_up_to_date(
    current: ObjectRecord, wanted: Desired, policy: RetryPolicy, plan: Plan, *, in_window: bool, event: str
) -> None:
    was_to_leave = current.leaving or current.left_event
    staying = replace(current, leaving="", left_event="") if was_to_leave else current  # it is wanted again
    as_it_is = wanted.is_of(current.fingerprint) and not _ends_too_late(current, wanted, policy.now)
    if policy.is_settled(current) and as_it_is:
        plan.stay.append(staying)
        return
    sent, now = _sent(staying, wanted, policy.now, in_window), policy.now
    if sent.valid_until > now:
        (plan.changed if staying.stage == Stage.ACCEPTED else plan.again).append(sent)
    elif staying.is_live(now):  # its end was moved up to before now: it is not to match any more
        _withdraw([staying], Cause(WithdrawalReason.EXPIRED, event), now, plan)
    else:  # expired at both ends; recorded as it would be sent, since a renewal sends what is recorded
        plan.stay.append(replace(sent, stage=staying.stage, words=staying.words))


def _leave_as_it_is(current: ObjectRecord, policy: RetryPolicy, plan: Plan) -> None:
    """Send what another event owns only where Microsoft's answer is missing, and it was not planned in this run."""
    planned = current.indicator["modified"] == stix_time_of(policy.now)
    if not (policy.is_settled(current) or planned) and current.valid_until > policy.now:
        plan.again.append(renewal(current, policy.now, moves=False))


def _withdraw(lives: list[ObjectRecord], cause: Cause, now: int, plan: Plan) -> None:
    """Withdraw what is possibly live; what has expired leaves by itself, and may come back under its id."""
    if not lives or lives[-1].revoked:
        return
    current = lives[-1]
    if current.is_live(now):
        # The first reason stays: what else is true of it by now did not make it leave.
        plan.withdraw.append(replace(current, leaving=current.leaving or cause.reason, left_event=cause.event))
    elif current.live:  # expired: nothing has to be sent
        plan.stay.append(replace(current, leaving="", left_event=""))
    else:  # Microsoft never had it
        plan.forget.append(current)


def _replaced(dead: ObjectRecord) -> ObjectRecord:
    """Return an object whose id is revoked, by another hand than ours, when its next life begins."""
    return replace(dead, stage=Stage.WITHDRAWN, sent_at=None)


def _first_sent(wanted: Desired, life: Life, now: int) -> ObjectRecord:
    until = max(wanted.fixed_until, wanted.promised or (now + wanted.lifetime if wanted.lifetime else 0))
    return ObjectRecord(
        id=life.id,
        key=wanted.key,
        pattern=wanted.pattern,
        value=wanted.value,
        life=life.number,
        fingerprint=wanted.fingerprint,
        valid_until=until,
        renew_at=until - wanted.lifetime // 2 if wanted.lifetime else None,
        body=wanted.body(life.id, stix_time_of(now), stix_time_of(until)),
    )


def _sent(current: ObjectRecord, wanted: Desired, now: int, in_window: bool) -> ObjectRecord:
    """Return the object with what is wanted now, under the id that it has.

    A moving expiry moves only inside the window, and only when less than half of its days remain, or when the
    settings give it other days.
    """
    moving = now + wanted.lifetime if wanted.lifetime else 0
    due = current.accepted_at is None or (in_window and (current.renew_at or 0) <= now)
    if not due and not (in_window and _lifetime(current) != wanted.lifetime):
        moving = min(moving, current.valid_until)
    until = max(wanted.fixed_until, wanted.promised or moving)
    renew_at = until - wanted.lifetime // 2 if wanted.lifetime else None
    return replace(
        current,
        stage=Stage.PENDING,
        fingerprint=wanted.fingerprint,
        valid_until=until,
        renew_at=renew_at,
        body=wanted.body(current.id, stix_time_of(now), stix_time_of(until)),
        words="",
    )


def _ends_too_late(current: ObjectRecord, wanted: Desired, now: int) -> bool:
    """Whether an end that moves was set by a clock that was ahead."""
    return bool(wanted.lifetime) and current.valid_until > max(wanted.fixed_until, now + wanted.lifetime)


def _lifetime(record: ObjectRecord) -> int:
    """The length of a moving expiry, in seconds; 0 where it is fixed."""
    return 2 * (record.valid_until - record.renew_at) if record.renew_at is not None else 0


def _stamped(record: ObjectRecord, now: int, until: int) -> bytes:
    return packed_to_send(lasting(record.indicator), record.id, stix_time_of(now), stix_time_of(until))
