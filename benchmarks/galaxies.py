"""Events that name actors and techniques, and clusters for what events name, of the sizes that MISP's have."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from benchmarks.sandboxed import events
from helpers.context import GALAXY_TAXONOMY, Kind, kind_named_by
from helpers.indicators import Tag
from sandbox.misp.app import MispState

Json = dict[str, Any]

ACTORS, SETS, TECHNIQUES = 20, 10, 60
TECHNIQUES_OF_AN_EVENT, TECHNIQUES_OF_A_SET = 10, 30
# One tag in so many names no cluster.
ONE_IN_NAMES_NONE = 10
_SETS = "intrusion-set"
_SENTENCE = "Somebody made this up for a measurement, as long as what MISP's galaxies say of actors and techniques is. "
_DESCRIPTION = (_SENTENCE * 16)[:1500]


def tagged_events(count: int, attributes: int) -> Iterator[Json]:
    """Make events of which a third name an actor, or an intrusion set, and a tenth ten techniques."""
    for number, event in enumerate(events(count, attributes)):
        yield {**event, "Tag": [{"name": tag} for tag in _tags_of(number)]}


def _tags_of(number: int) -> Iterator[str]:
    if number % 3 == 0:
        turn = number // 3
        yield _set_tag(turn // 2 % SETS) if turn % 2 else _tag("threat-actor", f"Actor {turn // 2 % ACTORS}")
    if number % 10 == 0:
        first = number // 10 * 7
        yield from (_technique_tag((first + n) % TECHNIQUES) for n in range(TECHNIQUES_OF_AN_EVENT))


def _tag(galaxy: str, value: str) -> str:
    return f'{GALAXY_TAXONOMY}:{galaxy}="{value}"'


def _set_tag(number: int) -> str:
    return _tag(f"mitre-{_SETS}", f"Group {number} - G{9000 + number}")


def _technique_tag(number: int) -> str:
    return _tag("mitre-attack-pattern", f"Technique {number} - T{9000 + number}")


def add_clusters(misp: MispState, named_by: Iterable[Json]) -> None:
    """Give a MISP a cluster for each tag of these events that names an actor or a technique, but for a tenth of them.

    Intrusion sets use thirty techniques, or as many as there are.
    """
    tags = sorted({tag for event in named_by for tag in _names(event)})
    there = [Tag(tag) for tag in tags if _digest(tag)[0] % ONE_IN_NAMES_NONE]
    techniques = [uuid_of(tag.name) for tag in there if kind_named_by(tag) is Kind.ATTACK_PATTERN]
    for number, tag in enumerate(there):
        _, galaxy, value = tag.words
        used = [techniques[(number + n) % len(techniques)] for n in range(min(len(techniques), TECHNIQUES_OF_A_SET))]
        relations = [("uses", technique) for technique in used] if galaxy.endswith(_SETS) else []
        more = {"uuid": uuid_of(tag.name), "description": _DESCRIPTION, "tag_name": tag.name}
        misp.add_cluster(galaxy, value, _elements(number), relations, **more)


def _names(carrier: Json) -> Iterator[str]:
    """Yield the tags of an event and of what is in it that name actors and techniques."""
    yield from (tag["name"] for tag in carrier.get("Tag") or () if kind_named_by(Tag(tag["name"])))
    for member in (*carrier.get("Attribute", ()), *carrier.get("Object", ())):
        yield from _names(member)


def uuid_of(tag: str) -> str:
    """Return the UUID of the cluster that is made for a tag."""
    return str(uuid5(NAMESPACE_URL, tag))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _elements(number: int) -> dict[str, list[str]]:
    return {
        "synonyms": [f"Alias {number} {letter}" for letter in "ABCDE"],
        "refs": [f"https://www.example.org/reports/{number}/{n}" for n in range(6)],
        "kill_chain": ["mitre-attack:initial-access", "mitre-attack:execution"],
    }


def update_galaxies(misp: MispState) -> None:
    """Give every cluster a newer version, as an update of a galaxy does, and nothing else."""
    for cluster in list(misp.clusters):
        misp.edit_cluster(cluster["uuid"])
