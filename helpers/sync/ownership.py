"""Whose attributes an object is made of: one event's, or, where attributes share a value, everybody's. Pure.

MISP has each attribute's UUID once, but what comes from a feed or by a synchronisation can say otherwise. Of several
events with the same attribute and value, the one with the lowest UUID owns the object, whichever is read first; what
the others ask for is kept, and is what the object becomes when the owner no longer wants it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import NamedTuple
from uuid import UUID, uuid5

from constants import TLP_BY_STRICTNESS, TLP_MARKINGS
from helpers.indicators import Indicator, joined_labels, seconds
from helpers.ledger import Source, as_json, packed, packed_to_send, unpacked

# The namespace of the ids of values that several events share.
VALUE_NAMESPACE = UUID("7f6c1b0e-5d0a-5f5e-9c55-6f1f0a8d2b11")
_VALUE = "value/"
# What is another with each sending.
_OF_A_SENDING = ("modified", "id", "valid_until")
_LITERAL = re.compile(r" = '((?:[^'\\]|\\.)*)'", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_TLP_ORDER = [TLP_MARKINGS[level] for level in TLP_BY_STRICTNESS]


class Life(NamedTuple):
    """One of the lives of what an object stands for: which one, from 1, and its STIX id."""

    number: int
    id: str


@dataclass(frozen=True)
class DesiredObject:
    """One object that MISP wants at Microsoft.

    ``namespace`` and ``first_id`` give its ids; ``lifetime`` is how many seconds its expiry is ahead of the
    run's time, 0 where it is fixed; ``fixed_until`` the latest fixed expiry, 0 where there is none. ``promised`` is
    the end of a moving expiry that is not counted from this run: that of an event that takes the object over.
    Where it is not ``owned``, another event says what it is, as long as it is there.
    """

    key: str
    indicator: Indicator
    namespace: UUID
    first_id: str
    lifetime: int
    fixed_until: int = 0
    promised: int = 0
    owned: bool = True

    @property
    def pattern(self) -> str:
        """The STIX pattern."""
        return str(self.indicator["pattern"])

    @property
    def value(self) -> str:
        """The value that it compares first, in lower case, to find it by."""
        return value_in(self.pattern)

    def lives_after(self, number: int) -> Iterator[Life]:
        """Yield its lives after this one, without end; 0 stands before the first."""
        return (Life(life, self._id_of(life)) for life in count(number + 1))

    def _id_of(self, life: int) -> str:
        return self.first_id if life == 1 else f"indicator--{uuid5(self.namespace, f'{self.pattern}#{life}')}"

    @cached_property
    def _lasting(self) -> bytes:
        """What is the same each time that it is sent: nearly all of it, so it is made JSON once."""
        return lasting(self.indicator)

    @cached_property
    def fingerprint(self) -> str:
        """Changes when Microsoft should be told; a moving expiry and the time of sending do not count."""
        return hashlib.sha256(self._lasting + b"%d,%d" % (self.lifetime, self.fixed_until)).hexdigest()

    def is_of(self, fingerprint: str) -> bool:
        """Whether a fingerprint in the ledger says that nothing changed, in its form of today or of before 2.1.0."""
        return fingerprint == self.fingerprint or fingerprint == self._former_fingerprint()

    def _former_fingerprint(self) -> str:
        kept = {**_lasting_fields(self.indicator), "ends": [self.lifetime, self.fixed_until]}
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()

    def body(self, id_: str, modified: str, valid_until: str) -> bytes:
        """Return it packed, as it is sent under an id; both times are as STIX writes them."""
        return packed_to_send(self._lasting, id_, modified, valid_until)


@dataclass(frozen=True)
class Claim:
    """What an event asks for of objects that others may ask for as well.

    ``sources`` are its parts in them, ``theirs`` the keys of those that another event owns. ``unheard`` are the parts
    of events that owned one until now: what they ask for is not in the ledger, so they are to be read again.
    """

    sources: Sequence[Source]
    theirs: Collection[str] = ()
    unheard: Sequence[Source] = ()


@dataclass
class Succession:
    """What becomes of objects of which an event takes its parts back, by key.

    ``desired`` is what they are from now on, ``unwanted`` the keys that nobody asks for any more, and ``unheard`` the
    parts of those who own one now, and of whom it is not known what they ask for.
    """

    desired: dict[str, DesiredObject] = field(default_factory=dict)
    unwanted: set[str] = field(default_factory=set)
    unheard: list[Source] = field(default_factory=list)


def lasting(indicator: Indicator) -> bytes:
    """Return as JSON what of an indicator is the same each time that it is sent."""
    return as_json(_lasting_fields(indicator))


def _lasting_fields(indicator: Indicator) -> Indicator:
    return {name: said for name, said in indicator.items() if name not in _OF_A_SENDING}


def attribute_key(indicator: Indicator, attribute: str) -> str:
    """Return the key of an attribute's observable."""
    return f"{attribute}/{hashlib.sha256(indicator['pattern'].encode()).hexdigest()[:32]}"


def value_key(indicator: Indicator) -> str:
    """Return the key of a value that several attributes share."""
    return f"{_VALUE}{hashlib.sha256(indicator['pattern'].encode()).hexdigest()}"


def shared_id(pattern: str) -> str:
    """Return the STIX id of the first life of a value that several attributes share."""
    return f"indicator--{uuid5(VALUE_NAMESPACE, pattern)}"


def is_shared(key: str) -> bool:
    """Whether a key is of a value that several attributes share."""
    return key.startswith(_VALUE)


def contribution(source: Source, indicator: Indicator, lifetime: int) -> Source:
    """Return an attribute's part with all that it asks for; the time of the conversion does not count."""
    kept = {name: value for name, value in indicator.items() if name != "modified"}
    return replace(source, contribution=packed({"indicator": kept, "lifetime": lifetime}))


def desired_by_one(source: Source, indicator: Indicator, lifetime: int, promised: int = 0) -> DesiredObject:
    """Return the object that an attribute asks for by itself."""
    fixed_until = 0 if lifetime else seconds(indicator["valid_until"])
    namespace = UUID(source.attribute)
    return DesiredObject(source.key, indicator, namespace, indicator["id"], lifetime, fixed_until, promised)


def desired_by_all(key: str, sources: Iterable[Source]) -> DesiredObject:
    """Return the object that several attributes of the same value ask for together.

    The same attribute in several events is one, as the event with the lowest UUID has it.
    """
    owned: dict[str, Source] = {}
    for source in sorted(sources, key=_rank):
        owned.setdefault(source.attribute, source)
    parts = [unpacked(source.contribution) for source in owned.values()]
    indicator = merged(part["indicator"] for part in parts)
    first_id = shared_id(indicator["pattern"])
    lifetime = max(part["lifetime"] for part in parts)
    ends = [seconds(part["indicator"]["valid_until"]) for part in parts if not part["lifetime"]]
    return DesiredObject(key, {**indicator, "id": first_id}, VALUE_NAMESPACE, first_id, lifetime, max(ends, default=0))


def merged(indicators: Iterable[Indicator]) -> Indicator:
    """Join indicators of one pattern: the oldest names it, labels and references add up.

    The strictest TLP, the highest confidence and the latest expiry hold.
    """
    by_age = sorted(indicators, key=lambda indicator: (indicator["created"], indicator["id"]))
    strictest = max((indicator["object_marking_refs"][0] for indicator in by_age), key=_TLP_ORDER.index)
    references = [reference for indicator in by_age for reference in indicator["external_references"]]
    labels = joined_labels(label for indicator in by_age for label in indicator.get("labels", ()))
    return {
        **by_age[0],
        **({"labels": labels} if labels else {}),
        "indicator_types": list(dict.fromkeys(kind for indicator in by_age for kind in indicator["indicator_types"])),
        "external_references": list({json.dumps(entry, sort_keys=True): entry for entry in references}.values()),
        "object_marking_refs": [strictest],
        "confidence": max(indicator["confidence"] for indicator in by_age),
        "valid_until": max(indicator["valid_until"] for indicator in by_age),
    }


def by_key(sources: Iterable[Source]) -> dict[str, list[Source]]:
    """Return the sources of each object, the owner's first."""
    of_keys: dict[str, list[Source]] = {}
    for source in sorted(sources, key=_rank):
        of_keys.setdefault(source.key, []).append(source)
    return of_keys


def claim(parts: Sequence[Source], others: Iterable[Source]) -> Claim:
    """Return what an event claims of objects by its ``parts`` in them; ``others`` are those of other events."""
    mine, of_others = {part.key: part for part in parts}, by_key(others)
    theirs = {key for key, of_key in of_others.items() if _rank(of_key[0]) < _rank(mine[key])}
    after = (other for key, of_key in of_others.items() for other in of_key if _rank(mine[key]) < _rank(other))
    return Claim(parts, theirs, [other for other in after if not other.contribution])


def succession(
    sources: Iterable[Source], gone: Collection[Source], end_of: Callable[[Source], int], now: int
) -> Succession:
    """Decide who owns objects when parts in them are ``gone``; ``sources`` are all of their parts, those included.

    ``end_of`` says until when, in seconds since 1970, what a part asks for would be valid: nobody takes over with what
    has expired.
    """
    decided = Succession()
    for key, of_key in by_key(sources).items():
        staying = [source for source in of_key if without_contribution(source) not in gone]
        if staying and staying[0] is of_key[0]:
            continue
        heir = next((source for source in staying if not source.contribution or end_of(source) > now), None)
        if heir is None:
            decided.unwanted.add(key)
        elif heir.contribution:
            part = unpacked(heir.contribution)
            decided.desired[key] = desired_by_one(heir, part["indicator"], part["lifetime"], end_of(heir))
        else:
            decided.unheard.append(heir)
    return decided


def outlived(sources: Iterable[Source], end_of: Callable[[Source], int], now: int) -> list[Source]:
    """Return the parts of those who own objects that have expired, where somebody else's would be valid still."""
    before: list[Source] = []
    for of_key in by_key(sources).values():
        valid = [bool(source.contribution) and end_of(source) > now for source in of_key]
        before += of_key[: valid.index(True)] if any(valid) else []
    return before


def without_contribution(source: Source) -> Source:
    """Return whose part in which object a source is, whatever it asks for."""
    return replace(source, contribution=b"")


def _rank(source: Source) -> tuple[str, str]:
    """What decides who owns an object: the lowest UUID of an event, whichever was read first."""
    return source.event, source.attribute


def value_in(pattern: str) -> str:
    """Return the value in a pattern's first comparison, in lower case, to find it by."""
    found = _LITERAL.search(pattern)
    literal = found[1] if found else ""
    return (_ESCAPED.sub(r"\1", literal) if "\\" in literal else literal).lower()
