"""What a destination holds, counted for those who draw or measure it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from helpers.ledger import LedgerCounts, LedgerDestination

DAYS = 30
MOST_HELD = 100


@dataclass(frozen=True)
class HeldEvent:
    """An event that waits for being published again, ``since`` a moment in seconds since 1970."""

    uuid: str
    organisation: str
    since: int


@dataclass(frozen=True)
class Holdings:
    """What a destination holds, counted.

    ``expiring`` has for each of the next 30 days, of 24 hours each, how many live indicators end in it. ``tlp`` counts
    live indicators by level, ``""`` where it is unknown, ``confidence`` by 0 to 100, -1 where it is unknown.
    ``organisations`` counts the attributes that indicators are made of by their event's organisation, ``skips`` those
    that are not sent by the name of the reason; ``held`` are the events that are held, the longest first, 100 at most.
    """

    expiring: Sequence[int]
    tlp: Mapping[str, int]
    confidence: Mapping[int, int]
    organisations: Mapping[str, int]
    skips: Mapping[str, int]
    held: Sequence[HeldEvent]


def holdings_of(destination: LedgerDestination, now: int) -> Holdings:
    """Count what a destination holds at ``now``, in seconds since 1970. Raises LedgerError."""
    counts = LedgerCounts(destination.ledger, now)
    return Holdings(
        expiring=counts.expiring(DAYS),
        tlp=counts.tlp(),
        confidence=counts.confidence(),
        organisations=counts.organisations(),
        skips=counts.skips(),
        held=[
            HeldEvent(event.uuid, event.organisation_name or event.organisation, event.held_since or 0)
            for event in counts.held(MOST_HELD)
        ],
    )
