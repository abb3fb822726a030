"""What goes out to Microsoft, in batches, and what becomes of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple, Protocol

from helpers.context import Kind
from helpers.ledger import DueObject, kind_of_id
from helpers.microsoft.responses import Answer, Verdict, took_nothing

# Microsoft publishes no limit for the size of a request; larger ones are cut before they are refused.
BYTES_PER_REQUEST = 1_000_000
# About 10 MB, and two pages of MISP's: destinations that send the same are hardly further apart.
MOST_SHARED = 8192
_OF_REVOKED = re.compile(r"\bproperty\s*=\s*revoked\b", re.IGNORECASE)


class OutgoingObject(NamedTuple):
    """One object as it goes out.

    ``body`` is its JSON, empty where the operation needs none; ``revoked`` says that it is withdrawn. ``remote_id``
    is the id that Microsoft gave it, ``operation`` what is done with it, where an API knows several. ``in_doubt``: it
    may be at Microsoft already, since an earlier try had no answer. ``perhaps_taken`` says the same for people, who are
    not told so of what was refused.
    """

    id: str
    pattern: str
    body: bytes
    revoked: bool = False
    remote_id: str = ""
    operation: str = ""
    in_doubt: bool = False
    perhaps_taken: bool = False

    @property
    def kind(self) -> Kind:
        """What it is, as its id says."""
        return kind_of_id(self.id)


# What gives an object's JSON.
TextOf = Callable[[DueObject], bytes]


def text_of(due: DueObject) -> bytes:
    """Return an object's JSON. Raises LedgerError where the row is damaged."""
    return due.json_text


class SharedTexts:
    """The JSON of objects that several destinations send, unpacked once: that of the latest ones is kept.

    Threads may share it, and at worst unpack something twice.
    """

    def __init__(self) -> None:
        self._text_by_body: dict[bytes, bytes] = {}

    def __call__(self, due: DueObject) -> bytes:
        """Return an object's JSON. Raises LedgerError where the row is damaged."""
        text = self._text_by_body.get(due.body)
        if text is None:
            if len(self._text_by_body) >= MOST_SHARED:
                self._text_by_body.clear()
            text = self._text_by_body[due.body] = due.json_text
        return text


@dataclass
class Batch:
    """Objects that travel together; ``operation`` and ``in_doubt`` are as in each of them.

    ``perhaps_taken``: a request for them had an answer, or none, that leaves open whether it was taken.
    """

    objects: list[OutgoingObject]
    operation: str = ""
    in_doubt: bool = False
    perhaps_taken: bool = False

    def with_objects(self, objects: Iterable[OutgoingObject]) -> Batch:
        """Return the same for other objects."""
        return replace(self, objects=list(objects))

    @property
    def halves(self) -> list[Batch]:
        """The two halves, the first one last."""
        middle = len(self.objects) // 2
        return [self.with_objects(self.objects[middle:]), self.with_objects(self.objects[:middle])]

    def cut(self) -> list[Batch]:
        """Return batches of at most BYTES_PER_REQUEST, or of one object that is larger; the last one first."""
        if sum([len(object_.body) for object_ in self.objects]) <= BYTES_PER_REQUEST:
            return [self]
        batches = [self.with_objects([])]
        size = 0
        for object_ in self.objects:
            if batches[-1].objects and size + len(object_.body) > BYTES_PER_REQUEST:
                batches.append(self.with_objects([]))
                size = 0
            batches[-1].objects.append(object_)
            size += len(object_.body)
        return batches[::-1]

    def note_answer(self, answer: Answer) -> None:
        """Take in that an answer came: one that does not refuse the request leaves in doubt what arrived."""
        self.in_doubt = self.in_doubt or not 400 <= answer.status < 500
        self.perhaps_taken = self.perhaps_taken or not took_nothing(answer)


class OutcomeState(Enum):
    """What became of an object."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    PENDING = "pending"


class Outcome(NamedTuple):
    """One object, what became of it, Microsoft's words where it was not accepted, and its id where it gave one.

    ``unheard``, of one that is pending: each request for it in this run was refused as a whole, or none was sent.
    """

    object: OutgoingObject
    state: OutcomeState
    words: str = ""
    remote_id: str = ""
    unheard: bool = False

    @property
    def not_taken(self) -> bool:
        """Whether it is certain that Microsoft has nothing that was sent of it since it was last accepted."""
        return self.state is not OutcomeState.ACCEPTED and not self.perhaps_taken

    @property
    def perhaps_taken(self) -> bool:
        """Whether Microsoft may have taken it, or what was sent of it before, and has not said so."""
        if self.state is OutcomeState.PENDING:
            return self.object.perhaps_taken or not self.unheard
        return self.state is OutcomeState.REJECTED and (self.object.perhaps_taken or self.object.revoked)

    @property
    def refused_as_revoked(self) -> bool:
        """Whether Microsoft keeps the id as revoked: an object that is not revoked is at fault for that property.

        Microsoft, "Upload API": revoking is for ever, and an error names the property, ``Error for Property=id: ...``.
        """
        refused = self.state is OutcomeState.REJECTED and not self.object.revoked
        return refused and bool(_OF_REVOKED.search(self.words))


def settled(batch: Batch, verdict: Verdict) -> list[Outcome]:
    """Return the outcome of each object of a batch, but for those that are sent another way."""
    if not (verdict.rejected or verdict.failed or verdict.lost or verdict.remote_ids):
        return all_alike(batch.objects, OutcomeState.ACCEPTED)
    outcomes: list[Outcome] = []
    for position, object_ in enumerate(batch.objects):
        if position in verdict.rejected:
            outcomes.append(Outcome(object_, OutcomeState.REJECTED, verdict.rejected[position]))
        elif position in verdict.failed:
            outcomes.append(Outcome(object_, OutcomeState.PENDING, verdict.failed[position]))
        elif position not in verdict.lost:
            outcomes.append(Outcome(object_, OutcomeState.ACCEPTED, remote_id=verdict.remote_ids.get(position, "")))
    return outcomes


def all_alike(
    objects: Iterable[OutgoingObject], state: OutcomeState, words: str = "", *, unheard: bool = False
) -> list[Outcome]:
    """Return the same outcome for every object."""
    return [Outcome(object_, state, words, unheard=unheard) for object_ in objects]


class Outbox(Protocol):
    """Where objects wait that are to go out, and who keeps what becomes of them; what waits there is not in memory."""

    def dequeue(self, most: int, *, in_flight: bool) -> list[OutgoingObject]:
        """Take the next objects out, at most so many; ``in_flight`` notes that they are on their way."""

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Keep the outcomes of a batch; one thread at a time."""

    def note_answer(self, answer: Answer, *, success: bool) -> None:
        """Note an answer, and whether it is a plain success; several threads may at once."""
