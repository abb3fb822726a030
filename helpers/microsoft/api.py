"""Some objects on their way in one request, and what differs between Microsoft's APIs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from helpers.indicators import Indicator
from helpers.microsoft.responses import Answer, Verdict
from helpers.settings import Settings


@dataclass
class Batch:
    """Objects that travel together; ``operation`` says what is done with them, where an API knows several.

    ``in_doubt``: they may have arrived already, since an earlier try had no answer.
    """

    objects: list[Indicator]
    operation: str = ""
    in_doubt: bool = False

    def of(self, objects: Iterable[Indicator]) -> Batch:
        """Return the same for other objects."""
        return replace(self, objects=list(objects))

    @property
    def halves(self) -> list[Batch]:
        """The two halves, the first one last."""
        middle = len(self.objects) // 2
        return [self.of(self.objects[middle:]), self.of(self.objects[:middle])]

    def note_answer(self, answer: Answer) -> None:
        """Take in that an answer came: one that does not refuse the request leaves in doubt what arrived."""
        self.in_doubt = self.in_doubt or not 400 <= answer.status < 500


class Api(Protocol):
    """One of Microsoft's APIs: where a request goes, what is in it, what its answer means."""

    @property
    def principal(self) -> tuple[str, ...]:
        """Who calls, and where: what Microsoft counts requests by."""

    @property
    def program(self) -> str:
        """What may take an object that was rejected before: another API, another version of this program."""

    def split(self, batch: Sequence[Indicator]) -> list[Batch]:
        """Sort objects into those that may travel together."""

    def precondition(self, part: Batch) -> Batch | None:
        """Return what has to be done before a part is sent, if anything has."""

    def follow_up(self, part: Batch, verdict: Verdict) -> list[Batch]:
        """Return what of a part is to be sent another way, after its answer."""

    def url(self, part: Batch) -> str:
        """Return the address that takes a part."""

    def body(self, part: Batch) -> bytes:
        """Return a part as it is sent."""

    def interpret(self, answer: Answer, part: Batch, now: datetime) -> Verdict:
        """Say what an answer means for a part."""

    def hint(self, status: int) -> str:
        """Say what to do about a status that stops the upload."""


def principal_of(settings: Settings, url: str) -> tuple[str, ...]:
    """Return who calls, and at which host."""
    auth, host = settings.ms_auth, url.split("/")[2].lower()
    if auth.credential == "managed_identity":
        return (auth.credential, auth.managed_identity_client_id.lower(), host)
    return (auth.tenant.lower(), auth.client_id.lower(), host)
