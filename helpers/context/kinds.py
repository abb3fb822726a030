"""The kinds of STIX objects that are sent, in one table, and how far a destination goes. Pure.

The upload API takes these five and refuses others: learn.microsoft.com/azure/sentinel/stix-objects-api.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from helpers.text import counted


class ContextLevel(StrEnum):
    """How far a destination's context goes, each with what the ones before it send."""

    NOTHING = "nothing"
    IDENTITIES = "identities"
    ACTORS = "actors"
    TECHNIQUES = "techniques"

    def sends(self, kind: Kind) -> bool:
        """Say whether objects of a kind are sent at this level; indicators always are."""
        return _ORDER[self] >= _ORDER[kind.facts.level]


_ORDER = {level: number for number, level in enumerate(ContextLevel)}


class Kind(StrEnum):
    """What an object is; the values are STIX's types."""

    INDICATOR = "indicator"
    IDENTITY = "identity"
    THREAT_ACTOR = "threat-actor"
    ATTACK_PATTERN = "attack-pattern"
    RELATIONSHIP = "relationship"

    @property
    def facts(self) -> KindFacts:
        """What differs by kind."""
        return _FACTS[self]


class Verb(StrEnum):
    """The relationships that are sent, in STIX's words (STIX 2.1, appendix B)."""

    INDICATES = "indicates"
    USES = "uses"
    RELATED_TO = "related-to"


@dataclass(frozen=True)
class KindFacts:
    """What differs by kind.

    ``one``, with its ``article``, and ``several`` are its words for people, ``level`` is the first one that sends it.
    What stands ``beside`` indicators is counted apart from them; what is ``named`` is found by its name. A kind is an
    ``end`` if it is a cluster in MISP: relationships point to it, and it leaves with the last of them.
    A run withdraws only kinds that ``leave``: identities stay, since others name them. ``turn`` says in which order
    kinds leave: what names others before these.
    """

    article: str
    one: str
    several: str
    level: ContextLevel
    beside: bool = True
    named: bool = False
    end: bool = False
    leaves: bool = True
    turn: int = 1


_FACTS = {
    Kind.INDICATOR: KindFacts("an", "indicator", "indicators", ContextLevel.NOTHING, beside=False),
    Kind.IDENTITY: KindFacts(
        "an", "organisation", "organisations", ContextLevel.IDENTITIES, named=True, leaves=False, turn=2
    ),
    Kind.THREAT_ACTOR: KindFacts("an", "actor", "actors", ContextLevel.ACTORS, named=True, end=True),
    Kind.ATTACK_PATTERN: KindFacts("a", "technique", "techniques", ContextLevel.TECHNIQUES, named=True, end=True),
    Kind.RELATIONSHIP: KindFacts("a", "relationship", "relationships", ContextLevel.ACTORS, turn=0),
}
# In the order in which people name them.
NAMED_KINDS = tuple(kind for kind in Kind if kind.facts.named)


class _OfKind(Protocol):
    @property
    def kind(self) -> Kind: ...


_Object = TypeVar("_Object", bound=_OfKind)
# As misp-stix has it, and the intrusion sets, for which Microsoft has no type.
_GALAXIES = {
    Kind.ATTACK_PATTERN: (
        "cmtmf-attack-pattern",
        "mitre-attack-pattern",
        "mitre-enterprise-attack-attack-pattern",
        "mitre-ics-techniques",
        "mitre-mobile-attack-attack-pattern",
        "mitre-pre-attack-attack-pattern",
    ),
    Kind.THREAT_ACTOR: (
        "microsoft-activity-group",
        "mitre-enterprise-attack-intrusion-set",
        "mitre-ics-groups",
        "mitre-intrusion-set",
        "mitre-mobile-attack-intrusion-set",
        "mitre-pre-attack-intrusion-set",
        "threat-actor",
    ),
}
_KINDS = {galaxy: kind for kind, galaxies in _GALAXIES.items() for galaxy in galaxies}
_ACTORS_OF_OTHERS = "-threat-actor"  # 360net-threat-actor, eset-threat-actor, ...


def kinds_in_words(counts: Mapping[Kind, int]) -> str:
    """Return how many there are of each kind, as one reads it: ``1 organisation, 12 actors``; "" where none are."""
    facts = [(count, kind.facts) for kind in Kind if (count := counts.get(kind))]
    return ", ".join(counted(count, of.one, of.several) for count, of in facts)


def in_order_of_leaving(objects: Iterable[_Object]) -> list[_Object]:
    """Return objects in the order in which they leave, those of one turn as they came."""
    return sorted(objects, key=lambda object_: object_.kind.facts.turn)


def kind_of_galaxy(galaxy: str) -> Kind | None:
    """Return what the clusters of a galaxy are sent as, by its type in any letter case; None where they are not."""
    name = galaxy.lower()
    return Kind.THREAT_ACTOR if name.endswith(_ACTORS_OF_OTHERS) else _KINDS.get(name)
