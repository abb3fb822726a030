"""What an object beside indicators is that a workspace has: by its id, of what and in which life. Pure.

Ids of actors, techniques and organisations are made of MISP's UUIDs, those of relationships of what they are between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple, Self

from helpers.context import Kind, Verb
from helpers.indicators import from_text, seconds, stix_time, stix_uuid
from helpers.ledger import NEVER, ObjectRecord, Stage, kind_of_id
from helpers.sync.context.desired import DesiredContext, Ends, end_of, relationship_of

# So many lives of a cluster, an organisation or a relationship are looked for.
MOST_LIVES = 100
_NO_TIME = "1970-01-01T00:00:00.000Z"
_OF_A_SENDING = ("id", "created", "modified", "revoked")
_TEXTS = ("name", "description", "identity_class", "primary_motivation", "spec_version", "relationship_type")
_LISTS: Mapping[str, type] = {
    "aliases": str,
    "labels": str,
    "object_marking_refs": str,
    "external_references": dict,
    "kill_chain_phases": dict,
}


class Recognised(NamedTuple):
    """What an object is, as it would be wanted if it said what it says there, and in which life."""

    wanted: DesiredContext
    life: int


class Lives(NamedTuple):
    """Of which cluster or organisation ids are, and in which life, by the UUID in the id; first lives are not in it."""

    later: Mapping[str, tuple[str, int]]

    @classmethod
    def of(cls, uuids: Iterable[str]) -> Self:
        """Take the later lives of clusters and organisations, by their UUIDs; those of each kind have the same ones."""
        ends = ((uuid, end_of(Kind.IDENTITY, uuid, {"type": Kind.IDENTITY})) for uuid in set(uuids))
        return cls(
            {
                uuid_in(life.id): (uuid, life.number)
                for uuid, end in ends
                for life in islice(end.lives_after(1), MOST_LIVES - 1)
            }
        )

    def of_id(self, id_: str) -> tuple[str, int]:
        """Return the UUID of what an id is of, and the number of its life; "" for an id without a UUID."""
        uuid = uuid_in(id_)
        return self.later.get(uuid, (uuid, 1))


class Ours(NamedTuple):
    """What tells the ends of ours from those of others.

    ``clusters`` are the UUIDs of MISP's, ``named`` the ids that relationships of ours name, ``makers`` those of the
    organisations that indicators name as theirs.
    """

    lives: Lives
    clusters: AbstractSet[str]
    named: AbstractSet[str]
    makers: AbstractSet[str]

    def has(self, id_: str) -> bool:
        """Say whether an actor, a technique or an organisation is of ours, by its id."""
        uuid, _ = self.lives.of_id(id_)
        return uuid in self.clusters or id_ in self.named or f"{kind_of_id(id_)}--{uuid}" in self.makers


def uuid_in(id_: str) -> str:
    """Return the UUID in a STIX id, in lower case; "" where there is none."""
    return stix_uuid(id_.partition("--")[2])


def recognised(stored: Mapping[str, Any], lives: Lives) -> Recognised | None:
    """Return what an object is; None for one whose id is none that is made here."""
    kind, says = kind_of_id(stored["id"]), lasting(stored)
    if kind is Kind.RELATIONSHIP:
        return _relationship(stored["id"], says)
    uuid, life = lives.of_id(stored["id"])
    return Recognised(end_of(kind, uuid, says), life) if uuid else None


def _relationship(id_: str, says: Mapping[str, Any]) -> Recognised | None:
    ends = Ends(*(str(says.get(name, "")) for name in ("relationship_type", "source_ref", "target_ref")))
    if ends.verb not in list(Verb):
        return None
    wanted = relationship_of(ends, says)
    lives = islice(wanted.lives_after(0), MOST_LIVES)
    return next((Recognised(wanted, life.number) for life in lives if life.id == id_), None)


def lasting(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an object lasts, in the form in which it is made here: nothing empty, no field of another form.

    Microsoft, "ThreatIntelObjects": keys with empty values are dropped from what is stored.
    """
    said = {
        name: value for name, value in stored.items() if name not in _OF_A_SENDING and value not in (None, "", [], {})
    }
    return {
        **{name: value for name, value in said.items() if _fits(name, value)},
        "type": str(kind_of_id(stored["id"])),
    }


def _fits(name: str, value: Any) -> bool:
    if name in _TEXTS:
        return isinstance(value, str)
    of = _LISTS.get(name)
    return of is None or (isinstance(value, list) and all(isinstance(entry, of) for entry in value))


def record_of(stored: Mapping[str, Any], known: Recognised) -> ObjectRecord:
    """Return an object as a run would remember it: accepted, or withdrawn where it is revoked."""
    revoked = stored.get("revoked") is True
    created, modified = _time(stored.get("created")), _time(stored.get("modified"))
    wanted = replace(known.wanted, created=created)
    return ObjectRecord(
        id=stored["id"],
        key=wanted.key,
        pattern=wanted.pattern,
        value=wanted.value,
        life=known.life,
        fingerprint=wanted.fingerprint,
        valid_until=NEVER,
        body=wanted.body(stored["id"], modified, ""),
        stage=Stage.WITHDRAWN if revoked else Stage.ACCEPTED,
        live=not revoked,
        live_until=0 if revoked else NEVER,
        accepted_at=seconds(modified),
        accepted_until=0 if revoked else NEVER,
    )


def _time(value: object) -> str:
    moment = from_text(value)
    return stix_time(moment) if moment else _NO_TIME
