"""Destinations that know the same of an event and want the same of it: what one decides is decided for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from helpers.misp import ListedEvent
from helpers.sync.destination import DestinationSync
from helpers.sync.events.event_sync import EventSync
from helpers.sync.events.known import Known, KnownEvents


@dataclass
class Group:
    """One event at some destinations; ``members`` are those that have not stumbled over it."""

    members: list[DestinationSync]
    event: EventSync

    @property
    def uuid(self) -> str:
        """The event's UUID."""
        return self.event.uuid

    def without(self, member: DestinationSync) -> None:
        """Take a destination out: it stumbled, or dropped out of the run."""
        self.members = [other for other in self.members if other is not member]


def groups_of(uuid: str, destinations: Iterable[DestinationSync], known: KnownEvents) -> list[Group]:
    """Return the groups in which destinations decide on an event."""
    groups: list[tuple[ListedEvent | None, Known, Group]] = []
    for sync in destinations:
        listed, of_ledger, wishes = sync.to_read[uuid], known.of(sync.destination.ledger, uuid), sync.wishes
        for row, knowledge, group in groups:
            if knowledge is of_ledger and row == listed and group.event.wishes == wishes:
                group.members.append(sync)
                break
        else:
            groups.append((listed, of_ledger, Group([sync], EventSync(uuid, listed, wishes, of_ledger))))
    return [group for *_, group in groups]
