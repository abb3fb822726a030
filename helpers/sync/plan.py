"""What MISP wants × what is remembered → send, withdraw, leave alone. Pure.

An object stands for a key: an attribute's pattern, or with ``deduplicate = "value"`` a pattern. Its
id may be revoked, which is for ever; then what it stands for comes back with another id, its next life.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from dateutil import parser as date_parser

from constants import TLP_BY_STRICTNESS, TLP_MARKINGS, WithdrawalReason
from helpers.indicators import Indicator, stix_time
from helpers.ledger import ObjectRecord, RetryPolicy, Source, Stage, packed, unpacked

Reason = tuple[str, str]

# The namespace of the ids of values that several events share.
VALUE_NAMESPACE = UUID("7f6c1b0e-5d0a-5f5e-9c55-6f1f0a8d2b11")
_LITERAL = re.compile(r" = '((?:[^'\\]|\\.)*)'", re.DOTALL)
_TLP_ORDER = [TLP_MARKINGS[level] for level in TLP_BY_STRICTNESS]


@dataclass(frozen=True)
class DesiredObject:
    """One object that MISP wants at Microsoft.

    ``namespace`` and ``first_id`` give its ids; ``lifetime`` is how many seconds its expiry is ahead of the
    run's time, 0 where it is fixed; ``fixed_until`` the latest fixed expiry, 0 where there is none.
    """

    key: str
    indicator: Indicator
    namespace: UUID
    first_id: str
    lifetime: int
    fixed_until: int = 0

    @property
    def pattern(self) -> str:
        """The STIX pattern."""
        return str(self.indicator["pattern"])

    @property
    def fingerprint(self) -> str:
        """Changes when Microsoft should be told; a moving expiry and the time of sending do not count."""
        kept = {name: value for name, value in self.indicator.items() if name not in ("modified", "id", "valid_until")}
        kept["ends"] = [self.lifetime, self.fixed_until]
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


@dataclass
class Plan:
    """What is to be done about some objects; each object as it is to be remembered."""

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


@dataclass(frozen=True)
class _Read:
    """The event by which objects are decided on."""

    event: str
    in_window: bool


def attribute_key(indicator: Indicator, attribute: str) -> str:
    """Return the key of an attribute's observable."""
    return f"{attribute}/{hashlib.sha256(indicator['pattern'].encode()).hexdigest()[:32]}"


def value_key(indicator: Indicator) -> str:
    """Return the key of a value that several attributes share."""
    return f"value/{hashlib.sha256(indicator['pattern'].encode()).hexdigest()}"


def wanted_alone(source: Source, indicator: Indicator, lifetime: int) -> DesiredObject:
    """Return the object that an attribute asks for by itself."""
    fixed_until = 0 if lifetime else seconds(indicator["valid_until"])
    return DesiredObject(source.key, indicator, UUID(source.attribute), indicator["id"], lifetime, fixed_until)


def wanted_by_all(key: str, sources: Sequence[Source]) -> DesiredObject:
    """Return the object that several attributes of the same value ask for together."""
    parts = [unpacked(source.contribution) for source in sources]
    indicator = merged(part["indicator"] for part in parts)
    first_id = f"indicator--{uuid5(VALUE_NAMESPACE, indicator['pattern'])}"
    lifetime = max(part["lifetime"] for part in parts)
    ends = [seconds(part["indicator"]["valid_until"]) for part in parts if not part["lifetime"]]
    return DesiredObject(key, {**indicator, "id": first_id}, VALUE_NAMESPACE, first_id, lifetime, max(ends, default=0))


def contribution(key: str, event: str, attribute: str, indicator: Indicator, lifetime: int) -> Source:
    """Return an attribute's part in a shared object; the time at which it was made does not count."""
    kept = {name: value for name, value in indicator.items() if name != "modified"}
    return Source(key, event, attribute, packed({"indicator": kept, "lifetime": lifetime}))


def merged(indicators: Iterable[Indicator]) -> Indicator:
    """Join indicators of one pattern: the oldest names it, labels and references add up.

    The strictest TLP, the highest confidence and the latest expiry hold.
    """
    every = sorted(indicators, key=lambda each: (each["created"], each["id"]))
    strictest = max((each["object_marking_refs"][0] for each in every), key=_TLP_ORDER.index)
    return {
        **every[0],
        "labels": list(dict.fromkeys(label for each in every for label in each["labels"])),
        "indicator_types": list(dict.fromkeys(kind for each in every for kind in each["indicator_types"])),
        "external_references": _unique(reference for each in every for reference in each["external_references"]),
        "object_marking_refs": [strictest],
        "confidence": max(each["confidence"] for each in every),
        "valid_until": max(each["valid_until"] for each in every),
    }


def decide(
    wanted: Mapping[str, DesiredObject],
    unwanted: Mapping[str, Reason],
    remembered: Iterable[ObjectRecord],
    taken: Mapping[str, ObjectRecord],
    terms: RetryPolicy,
    *,
    in_window: bool,
    event: str = "",
) -> Plan:
    """Decide on the objects of some keys.

    ``unwanted`` has, for each key that no attribute asks for any more, the reason and the event that let it go;
    ``remembered`` every life of all these keys; ``taken`` what the ledger has under the first ids of the wanted ones;
    ``in_window`` whether their event, which is ``event``, matches the site's filters, time windows included.
    """
    lives: dict[str, list[ObjectRecord]] = {}
    for each in sorted(remembered, key=lambda each: each.life):
        lives.setdefault(each.key, []).append(each)
    plan = Plan()
    for key, reason in unwanted.items():
        _let_go(lives.get(key, []), reason, terms.now, plan)
    for key, want in wanted.items():
        read = _Read(event, in_window)
        _want(want, lives.get(key, []), taken.get(want.first_id), terms, read, plan)
    return plan


def renewal(each: ObjectRecord, now: int, *, moves: bool) -> ObjectRecord:
    """Return an accepted object to be sent again: with its expiry moved on by its whole life, or as it is."""
    if not moves or each.renew_at is None:
        return replace(each, stage=Stage.PENDING, body=_stamped(each, now, each.valid_until))
    lifetime = _lifetime(each)
    until = max(each.valid_until, now + lifetime)
    body = _stamped(each, now, until)
    return replace(each, stage=Stage.PENDING, valid_until=until, renew_at=until - lifetime // 2, body=body)


def too_many(withdrawals: int, live: int, percent: int) -> bool:
    """Whether so many withdrawals at once look like a mistake: over 100 and over a share of what is live."""
    return withdrawals > 100 and withdrawals * 100 > live * percent


def seconds(text: str) -> int:
    """Return a STIX time as seconds since 1970."""
    return int(date_parser.isoparse(text).timestamp())


def _want(
    want: DesiredObject,
    lives: list[ObjectRecord],
    first: ObjectRecord | None,
    terms: RetryPolicy,
    read: _Read,
    plan: Plan,
) -> None:
    current = lives[-1] if lives and not lives[-1].revoked else None
    if current is None:
        made = _next_life(want, lives, first, terms.now)
        plan.new += [made] if made.valid_until > terms.now else []
        return
    staying = replace(current, leaving="", left_event="")
    same = current.fingerprint == want.fingerprint
    if terms.is_settled(current) and same:
        plan.stay.append(staying)
    else:
        _send_or_let_expire(staying, _sent(staying, want, terms.now, read.in_window), read.event, terms.now, plan)


def _send_or_let_expire(staying: ObjectRecord, sent: ObjectRecord, event: str, now: int, plan: Plan) -> None:
    """Send an object, unless it would be over: then it leaves, where its end has been moved up, or is over already.

    What is over is remembered as it would be sent, since a renewal sends what is remembered.
    """
    if sent.valid_until > now:
        (plan.changed if staying.stage == Stage.ACCEPTED else plan.again).append(sent)
    elif staying.is_live(now):
        _let_go([staying], (WithdrawalReason.EXPIRED, event), now, plan)
    else:
        plan.stay.append(replace(sent, stage=staying.stage, words=staying.words))


def _let_go(lives: list[ObjectRecord], reason: Reason, now: int, plan: Plan) -> None:
    """Withdraw what is possibly live; what has expired is over by itself, and may come back under its id."""
    if not lives or lives[-1].revoked:
        return
    current, (words, event) = lives[-1], reason
    if current.is_live(now):
        plan.withdraw.append(replace(current, leaving=current.leaving or words, left_event=event))
    elif current.live:
        plan.stay.append(replace(current, leaving="", left_event=""))
    else:
        plan.forget.append(current)


def _next_life(want: DesiredObject, lives: list[ObjectRecord], first: ObjectRecord | None, now: int) -> ObjectRecord:
    """Return an object under the lowest life whose id was never revoked nor used for another pattern."""
    used = lives[-1].life if lives else int(first is not None)
    life = used + 1
    new_id = want.first_id if life == 1 else f"indicator--{uuid5(want.namespace, f'{want.pattern}#{life}')}"
    until = max(want.fixed_until, now + want.lifetime if want.lifetime else 0)
    indicator = {**want.indicator, "id": new_id, "modified": _time(now), "valid_until": _time(until)}
    return ObjectRecord(
        id=new_id,
        key=want.key,
        pattern=want.pattern,
        value=value_in(want.pattern),
        life=life,
        fingerprint=want.fingerprint,
        valid_until=until,
        renew_at=until - want.lifetime // 2 if want.lifetime else None,
        body=packed(indicator),
    )


def _sent(current: ObjectRecord, want: DesiredObject, now: int, in_window: bool) -> ObjectRecord:
    """Return the object with what is wanted now, under the id that it has.

    A moving expiry moves only inside the window, and only when less than half of its days remain, or when the
    settings give it other days.
    """
    moving = now + want.lifetime if want.lifetime else 0
    due = current.accepted_at is None or (in_window and (current.renew_at or 0) <= now)
    if not due and not (in_window and _lifetime(current) != want.lifetime):
        moving = min(moving, current.valid_until)
    until = max(want.fixed_until, moving)
    renew_at = until - want.lifetime // 2 if want.lifetime else None
    indicator = {**want.indicator, "id": current.id, "modified": _time(now), "valid_until": _time(until)}
    return replace(
        current,
        stage=Stage.PENDING,
        fingerprint=want.fingerprint,
        valid_until=until,
        renew_at=renew_at,
        body=packed(indicator),
        words="",
    )


def _lifetime(each: ObjectRecord) -> int:
    """The length of a moving expiry, in seconds; 0 where it is fixed."""
    return 2 * (each.valid_until - each.renew_at) if each.renew_at is not None else 0


def _stamped(each: ObjectRecord, now: int, until: int) -> bytes:
    return packed({**each.indicator, "modified": _time(now), "valid_until": _time(until)})


def value_in(pattern: str) -> str:
    """Return the value in a pattern's first comparison, in lower case, to find it by."""
    found = _LITERAL.search(pattern)
    return re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL).lower() if found else ""


def _unique(references: Iterable[Any]) -> list[Any]:
    return list({json.dumps(each, sort_keys=True): each for each in references}.values())


def _time(moment: int) -> str:
    return stix_time(datetime.fromtimestamp(moment, UTC))
