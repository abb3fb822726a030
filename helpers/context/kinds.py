"""The kinds of STIX objects that are sent, in one table, and how far a destination goes. Pure.

The upload API takes these five and refuses others: learn.microsoft.com/azure/sentinel/stix-objects-api.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

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

    ``one`` and ``several`` are its words for people, ``level`` is the first one that sends it. A kind ``expires`` if
    its objects have an end of validity, and a pattern; it is an ``end`` if relationships point to it and it leaves with
    the last of them. A run withdraws only kinds that ``leave``: identities stay, since others name them. Where
    everything leaves, ``turn`` says in which order: what names others before these.
    """

    one: str
    several: str
    level: ContextLevel
    expires: bool = False
    end: bool = False
    leaves: bool = True
    turn: int = 1


_FACTS = {
    Kind.INDICATOR: KindFacts("indicator", "indicators", ContextLevel.NOTHING, expires=True),
    Kind.IDENTITY: KindFacts("organisation", "organisations", ContextLevel.IDENTITIES, leaves=False, turn=2),
    Kind.THREAT_ACTOR: KindFacts("actor", "actors", ContextLevel.ACTORS, end=True),
    Kind.ATTACK_PATTERN: KindFacts("technique", "techniques", ContextLevel.TECHNIQUES, end=True),
    Kind.RELATIONSHIP: KindFacts("relationship", "relationships", ContextLevel.ACTORS, turn=0),
}
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


def kind_of_galaxy(galaxy: str) -> Kind | None:
    """Return what the clusters of a galaxy are sent as, by its type in any letter case; None where they are not."""
    name = galaxy.lower()
    return Kind.THREAT_ACTOR if name.endswith(_ACTORS_OF_OTHERS) else _KINDS.get(name)
