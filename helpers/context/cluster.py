"""A cluster of one of MISP's galaxies that is sent: an actor or a technique, with what is known of it. Pure.

A cluster is made by MISP's members and by strangers: what is malformed in it costs only itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

from constants import LONGEST_NAME
from helpers.context.kinds import Kind, kind_of_galaxy
from helpers.context.texts import cut_at_a_word, description_of, on_one_line
from helpers.indicators import dicts, is_true, stix_uuid, text_of

Pair = tuple[str, str]

SIMILAR, USES = "similar", "uses"
GALAXY_TAXONOMY = "misp-galaxy"
MOST_ALIASES = 50  # MISP's largest has 41 of these
MOST_REFERENCES = 20
MOST_PHASES = 20
MOST_RELATIONS = 1_000  # MITRE's largest group uses 150 techniques
_LONGEST_REFERENCE = 500
_LONGEST_PHASE = 100
# All communities, connected ones and this community: MISP's distribution, of which 0 and 4 are for few.
_SHARED = ("1", "2", "3")
# MITRE's numbers of techniques, tactics and groups, those of its older collections included.
_NUMBER = re.compile(r"(?:[A-Z]{3}-)?(?:TA|[TG])\d{4}(?:\.\d{3})?", re.ASCII)
_NUMBERED = re.compile(rf"(?P<name>.*\S)\s+-\s+(?P<number>{_NUMBER.pattern})", re.ASCII)
_URL = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
# MISP names a chain for each platform, as in attack-Linux:initial-access; MITRE has these.
_CHAINS = {"attack": "mitre-attack", "mobile-attack": "mitre-mobile-attack", "pre-attack": "mitre-pre-attack"}
_CHAIN_OF_PLATFORM = re.compile(rf"({'|'.join(_CHAINS)})(?:-.*)?")


@dataclass(frozen=True, slots=True)
class Cluster:
    """An actor or a technique as MISP has it; all of it is text, in the bounds of this module.

    ``name`` is without MITRE's ``number``, which is empty where there is none. ``version`` is a counter in some
    galaxies and a time in others: it is only compared. ``kill_chain`` has the names of a chain and of a phase,
    ``relations`` a verb (``uses`` or ``similar``) and the UUID of another cluster, which need not be one of these.
    """

    uuid: str
    tag: str
    galaxy: str
    name: str
    version: str
    distribution: str
    aliases: tuple[str, ...] = ()
    description: str = ""
    references: tuple[str, ...] = ()
    motive: str = ""
    number: str = ""
    kill_chain: tuple[Pair, ...] = ()
    relations: tuple[Pair, ...] = ()

    @property
    def kind(self) -> Kind:
        """What it is sent as."""
        return kind_of_galaxy(self.galaxy) or Kind.THREAT_ACTOR  # clusters of other galaxies are not read

    @property
    def is_private(self) -> bool:
        """Whether it is for its organisation or a sharing group only; one that does not say is."""
        return self.distribution not in _SHARED

    @property
    def end(self) -> str:
        """The STIX id of its first life."""
        return f"{self.kind}--{self.uuid}"

    @property
    def names(self) -> tuple[str, ...]:
        """What it is found by, each once: its name, aliases, number and tag."""
        return tuple(dict.fromkeys(filter(None, (self.name, *self.aliases, self.number, self.tag))))

    def stored(self) -> dict[str, Any]:
        """Return it as JSON can hold it; what is empty is left out."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: _listed(value) for name, value in values.items() if value}

    @classmethod
    def of(cls, stored: object) -> Self | None:
        """Return the cluster that ``stored`` made this of; None where it is damaged."""
        if not isinstance(stored, Mapping) or not all(name in stored for name in ("uuid", "galaxy", "name")):
            return None
        values = {field.name: _VALUES.get(field.name, _text)(stored.get(field.name)) for field in fields(cls)}
        if any(value is None for value in values.values()) or not kind_of_galaxy(str(values["galaxy"])):
            return None
        named = values["uuid"] and values["name"]
        return cls(**values) if named and stix_uuid(values["uuid"]) == values["uuid"] else None


def read_cluster(raw: object) -> Cluster | None:
    """Return a cluster in MISP's form (``GalaxyCluster``, or what is in it).

    None for one that is deleted, has no UUID or name, or is of a galaxy that is not sent.
    """
    if not isinstance(raw, Mapping):
        return None
    inner = raw.get("GalaxyCluster", raw)
    if not isinstance(inner, Mapping) or is_true(inner.get("deleted")):
        return None
    reading = _Reading(inner)
    return reading.cluster() if reading.uuid and reading.galaxy and reading.name else None


class _Reading:
    """What one cluster in MISP's form says."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw = raw
        galaxy = raw.get("Galaxy")
        type_ = text_of(raw.get("type")) or text_of(galaxy.get("type") if isinstance(galaxy, Mapping) else None)
        self.galaxy = type_ if kind_of_galaxy(type_) else ""
        self.uuid = stix_uuid(raw.get("uuid"))
        self._value = name_of(raw.get("value"))

    @cached_property
    def _elements(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for element in dicts(self._raw.get("GalaxyElement")):
            found.setdefault(text_of(element.get("key")).lower(), []).append(text_of(element.get("value")))
        return found

    @property
    def name(self) -> str:
        """Its value without MITRE's number."""
        numbered = _NUMBERED.fullmatch(self._value)
        return numbered["name"] if numbered else self._value

    def cluster(self) -> Cluster:
        """Return all of it."""
        return Cluster(
            uuid=self.uuid,
            tag=text_of(self._raw.get("tag_name")) or f'{GALAXY_TAXONOMY}:{self.galaxy}="{self._value}"',
            galaxy=self.galaxy,
            name=self.name,
            version=text_of(self._raw.get("version")),
            distribution=text_of(self._raw.get("distribution")),
            aliases=self._aliases(),
            description=description_of(text_of(self._raw.get("description"))),
            references=_some(filter(_is_reference, self._all("refs")), MOST_REFERENCES),
            motive=name_of(next(iter(self._all("motive")), "")),
            number=self._number(),
            kill_chain=_some(filter(None, map(_phase, self._all("kill_chain"))), MOST_PHASES),
            relations=_some(self._relations(), MOST_RELATIONS),
        )

    def _all(self, key: str) -> list[str]:
        return self._elements.get(key, [])

    def _aliases(self) -> tuple[str, ...]:
        """Return its other names, each in the first of its letter cases."""
        first: dict[str, str] = {}
        for name in filter(None, map(name_of, self._all("synonyms"))):
            first.setdefault(name.casefold(), name)
        first.pop(self.name.casefold(), None)
        return _some(first.values(), MOST_ALIASES)

    def _number(self) -> str:
        given = next(filter(_NUMBER.fullmatch, self._all("external_id")), "")
        numbered = _NUMBERED.fullmatch(self._value)
        return given or (numbered["number"] if numbered else "")

    def _relations(self) -> list[Pair]:
        """Return what it says of others, in the verbs that are sent."""
        relations = map(_relation, dicts(self._raw.get("GalaxyClusterRelation")))
        return [relation for relation in relations if relation and relation[1] != self.uuid]


def _some(values: Iterable[Any], most: int) -> tuple[Any, ...]:
    """Return the first of some values, each once, without empty ones."""
    return tuple(dict.fromkeys(filter(None, values)))[:most]


def name_of(value: object) -> str:
    """Return one of MISP's names on one line, in the length that MISP has for them."""
    return cut_at_a_word(on_one_line(text_of(value)), LONGEST_NAME)


def _is_reference(text: str) -> bool:
    return len(text) <= _LONGEST_REFERENCE and bool(_URL.fullmatch(text))


def _phase(text: str) -> Pair | None:
    """Return chain and phase of what MISP writes as chain:phase, or as chain:platform:phase."""
    first, _, rest = text.partition(":")
    chain, phase = _with_hyphens(first), _with_hyphens(rest.rpartition(":")[2])
    of_platform = _CHAIN_OF_PLATFORM.fullmatch(chain)
    return (_CHAINS[of_platform[1]] if of_platform else chain, phase) if chain and phase else None


def _with_hyphens(text: str) -> str:
    """Return a name as STIX wants those of kill chains (STIX 2.1, section 2.11)."""
    return re.sub(r"[^a-z0-9]+", "-", text[:_LONGEST_PHASE].lower()).strip("-")


def _relation(raw: Mapping[str, Any]) -> Pair | None:
    verb = text_of(raw.get("referenced_galaxy_cluster_type")).lower()
    target = stix_uuid(raw.get("referenced_galaxy_cluster_uuid"))
    return (verb, target) if verb in (SIMILAR, USES) and target else None


# -- as it is stored -----------------------------------------------------------------------------------


def _listed(value: object) -> object:
    return [_listed(one) for one in value] if isinstance(value, tuple) else value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else "" if value is None else None


def _texts(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list | None) or not all(isinstance(text, str) and text for text in value or ()):
        return None
    return tuple(value or ())


def _pairs(value: object) -> tuple[Pair, ...] | None:
    if not isinstance(value, list | None) or not all(_is_pair(pair) for pair in value or ()):
        return None
    return tuple((first, second) for first, second in value or ())


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(text, str) and text for text in value)


_VALUES: dict[str, Callable[[object], Any]] = {
    "aliases": _texts,
    "references": _texts,
    "kill_chain": _pairs,
    "relations": _pairs,
}
