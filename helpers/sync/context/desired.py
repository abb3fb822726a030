"""Actors, techniques, organisations and relationships as the plan takes them, like indicators. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from helpers.context import Cluster, Kind, Verb, objects
from helpers.ledger import NEVER, ObjectRecord, as_json, packed_context
from helpers.sync.ownership import Life

# The namespace of the ids of relationships.
CONTEXT_NAMESPACE = UUID("a0c0c9a5-2d0c-5b6e-8a55-3e4f6a1d7c19")

# What a relation has for a cluster where more of its indicator is left out, since its event has too many.
LEFT_OUT = ""


@dataclass(frozen=True)
class DesiredContext:
    """One object of another kind than indicators that is wanted at Microsoft.

    ``says`` is all of it that lasts, ``namespace``, ``seed`` and ``first_id`` give its ids. It was first sent when
    ``created`` says, as STIX writes it, or else ``sent``, which is its life that is at Microsoft. It has no expiry.
    """

    key: str
    says: Mapping[str, Any]
    namespace: UUID
    seed: str
    first_id: str
    created: str = ""
    sent: ObjectRecord | None = None
    pattern: str = ""
    lifetime: int = 0
    fixed_until: int = NEVER
    promised: int = 0
    owned: bool = True

    @property
    def value(self) -> str:
        """Its name in lower case; empty of relationships."""
        return str(self.says.get("name", "")).lower()

    def lives_after(self, number: int) -> Iterator[Life]:
        """Yield its lives after this one, without end; 0 stands before the first."""
        return (Life(life, self._id_of(life)) for life in count(number + 1))

    def _id_of(self, life: int) -> str:
        return self.first_id if life == 1 else f"{self.says['type']}--{uuid5(self.namespace, f'{self.seed}#{life}')}"

    @cached_property
    def _lasting(self) -> bytes:
        return as_json(dict(self.says))

    @cached_property
    def fingerprint(self) -> str:
        """Changes when Microsoft should be told."""
        return hashlib.sha256(self._lasting).hexdigest()

    def is_of(self, fingerprint: str) -> bool:
        """Whether a fingerprint in the ledger says that nothing changed."""
        return fingerprint == self.fingerprint

    def body(self, id_: str, modified: str, valid_until: str) -> bytes:  # noqa: ARG002  it has no expiry
        """Return it packed, as it is sent under an id."""
        return packed_context(self._lasting, id_, self._first_sent or modified, modified)

    @property
    def _first_sent(self) -> str:
        """The time of that; what was sent before is unpacked for it, which mostly nobody needs."""
        return self.created or (str(self.sent.indicator.get("created", "")) if self.sent else "")


def cluster_key(cluster: Cluster) -> str:
    """Return the key of an actor or a technique."""
    return end_key(cluster.kind, cluster.uuid)


def end_key(kind: Kind, uuid: str) -> str:
    """Return the key of what relationships, or indicators, name: by its kind and the UUID that MISP has of it."""
    return f"{kind}/{uuid}"


def desired_cluster(cluster: Cluster) -> DesiredContext:
    """Return an actor or a technique."""
    return end_of(cluster.kind, cluster.uuid, objects.of_cluster(cluster))


def desired_identity(uuid: str, name: str) -> DesiredContext | None:
    """Return an organisation; None where its name is none."""
    says = objects.identity(name)
    return end_of(Kind.IDENTITY, uuid, says) if says else None


def end_of(kind: Kind, uuid: str, says: Mapping[str, Any]) -> DesiredContext:
    """Return an actor, a technique or an organisation that ``says`` this."""
    return DesiredContext(end_key(kind, uuid), says, UUID(uuid), "context", f"{kind}--{uuid}")


class Ends(NamedTuple):
    """What a relationship is between: its verb and the STIX ids that both ends have now. Its key is made of these."""

    verb: str
    source: str
    target: str

    @property
    def key(self) -> str:
        """The relationship's key: an end that comes back under another id has another relationship."""
        return " ".join(self)

    @classmethod
    def of_key(cls, key: str) -> Ends:
        """Return the ends of a relationship; what is no such key has none."""
        verb, source, target = (*key.split(" "), "", "")[:3]
        return cls(verb, source, target)


def desired_relationship(ends: Ends, markings: Sequence[str] = ()) -> DesiredContext:
    """Return a relationship; ``markings`` are the ids of its indicator's."""
    return relationship_of(ends, objects.relationship(Verb(ends.verb), ends.source, ends.target, markings))


def relationship_of(ends: Ends, says: Mapping[str, Any]) -> DesiredContext:
    """Return a relationship that ``says`` this."""
    first_id = f"{Kind.RELATIONSHIP}--{uuid5(CONTEXT_NAMESPACE, ends.key)}"
    return DesiredContext(ends.key, says, CONTEXT_NAMESPACE, ends.key, first_id)


def with_life(wanted: DesiredContext, lives: Sequence[ObjectRecord]) -> DesiredContext:
    """Return an object with the life that it has now, so that it keeps the time at which that was first sent."""
    return replace(wanted, sent=lives[-1]) if lives and not lives[-1].revoked else wanted
