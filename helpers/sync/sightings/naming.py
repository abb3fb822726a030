"""What alerts name that may be an indicator of ours: ids, and values in the form that indicators have. Pure.

A rule of Sentinel's tells an alert's custom details from its entities. What is called an indicator there, or is
written as the id of one, is no accident. An address among the entities is one only where the rule looks for indicators.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from constants import Skip
from helpers.indicators import Unsendable, first_path, normalise

if TYPE_CHECKING:
    from helpers.ledger import Origin
    from helpers.microsoft import AlertHit

ID = "id"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STIX = "indicator--"
# What stands between ids in a list.
_BETWEEN = re.compile(r'[\s,;"\[\]]+')
# What MISP calls a value of each kind of entity; hashes go by their length.
_TYPES = {"ip": "ip-dst", "dns": "domain", "url": "url", "mailbox": "email"}
_HASHES = {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}
# What a pattern compares, as far as values without quotes go: the kinds of value that alerts name have none.
_COMPARED = re.compile(r"[\[ ]([^ \[]+) = '([^'\\]*)'")
# What an indicator compares that an entity of a kind is one: by STIX, and by Graph's properties.
_PATHS: dict[str, tuple[str, ...]] = {
    "ip": ("ipv4-addr:", "ipv6-addr:", "network"),
    "dns": ("domain-name:", "domainName"),
    "url": ("url",),
    "filehash": ("file:hashes.", "fileHash"),
    "mailbox": ("email-addr:", "emailSenderAddress", "emailRecipient"),
}


class Named(NamedTuple):
    """One thing that an alert names: ``value`` is a STIX id, or a value in lower case; ``at`` is the alert's start."""

    alert: str
    rule: str
    at: int
    kind: str
    value: str

    def is_it(self, origin: Origin) -> bool:
        """Say whether an indicator is what was named."""
        if self.kind == ID:
            return origin.id == self.value
        first = first_path(origin.pattern), origin.value
        return any(
            value == self.value and path.startswith(_PATHS[self.kind])
            for path, value in (first, *compared(origin.pattern))
        )


@dataclass(frozen=True)
class Naming:
    """What a number of alerts name, each once.

    ``private`` is how many values are private addresses, ``odd`` how many are no value of their kind, and ``others``
    how many alerts name values and are of rules that do not count.
    """

    named: tuple[Named, ...] = ()
    private: int = 0
    odd: int = 0
    others: int = 0

    @property
    def ids(self) -> set[str]:
        """The STIX ids that were named."""
        return {each.value for each in self.named if each.kind == ID}

    @property
    def values(self) -> set[str]:
        """The values that were named, in lower case."""
        return {each.value for each in self.named if each.kind != ID}


@dataclass
class _Found:
    named: dict[Named, None] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    odd: set[tuple[str, str]] = field(default_factory=set)
    others: set[str] = field(default_factory=set)


def naming_of(hits: Iterable[AlertHit], rules: Sequence[str]) -> Naming:
    """Return what alerts name; values count where the rule's name fits one of ``rules``, in any letter case."""
    found = _Found()
    for hit in hits:
        if hit.kind == ID:
            found.named.update(dict.fromkeys(_ids(hit)))
        elif fits(hit.rule, rules):
            _take_value(found, hit)
        else:
            found.others.add(hit.alert)
    others = found.others - {each.alert for each in found.named}
    return Naming(tuple(found.named), len(found.private), len(found.odd), len(others))


def fits(rule: str, patterns: Collection[str]) -> bool:
    """Say whether a rule's name fits a pattern, in which * is any text and ? one character, in any letter case."""
    name = rule.strip().lower()
    return any(fnmatchcase(name, pattern.strip().lower().replace("[", "[[]")) for pattern in patterns)


def _ids(hit: AlertHit) -> Iterator[Named]:
    """Yield the ids in a custom detail: bare, as STIX has them, or behind their source as Sentinel's tables have them.

    A rule that gathers several (``make_set``) writes them as a list in one text. What is something else than ids (a
    detail IndicatorType, say) is nothing.
    """
    uuids = [word.rpartition(_STIX)[2] for word in _BETWEEN.split(hit.value.lower()) if word]
    if all(map(_UUID.fullmatch, uuids)):
        yield from (Named(hit.alert, hit.rule, hit.at, ID, f"{_STIX}{uuid}") for uuid in uuids)


def _take_value(found: _Found, hit: AlertHit) -> None:
    try:
        value = normal_value(hit.kind, hit.value)
    except Unsendable as reason:
        if reason.reason in (Skip.PRIVATE_ADDRESS, Skip.CIDR):
            found.private.add(hit.value)
        else:
            found.odd.add((hit.kind, hit.value))
    else:
        found.named[Named(hit.alert, hit.rule, hit.at, hit.kind, value)] = None


def normal_value(kind: str, text: str) -> str:
    """Return an entity's value as an indicator has it, in lower case. Raises Unsendable for what is none."""
    type_ = _HASHES.get(len(text.strip()), "") if kind == "filehash" else _TYPES.get(kind, "")
    if not type_:
        raise Unsendable(Skip.BAD_VALUE)
    return normalise(type_, text, send_private_and_cidr=False).text.lower()


def compared(pattern: str) -> Iterator[tuple[str, str]]:
    """Yield each path in a pattern, and what it is compared with, in lower case: values without quotes alone."""
    return ((path, value.lower()) for path, value in _COMPARED.findall(pattern))
