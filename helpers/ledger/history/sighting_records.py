"""What is remembered of alerts: a match, the sighting that it leads to, and how they were last read. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class SightingStage(StrEnum):
    """Where a sighting stands; ledgers and --json have the value."""

    WAITING = "waiting"  # to be written into MISP
    WRITING = "writing"  # on its way there, no answer yet
    WRITTEN = "written"
    THERE = "there"  # MISP had it already
    REFUSED = "refused"  # by MISP, with these words
    LEFT_OUT = "left out"  # for the reason that stands with it


UNWRITTEN = (SightingStage.WAITING, SightingStage.WRITING)


class Occasion(NamedTuple):
    """What a sighting is one of: of an attribute there is one for each day, or incident."""

    attribute: str
    occasion: str


@dataclass(frozen=True)
class SightingRecord:
    """A sighting that is to be, or was, written into MISP.

    ``occasion`` is the UTC day of the alert, or the incident that was closed; ``type`` is MISP's: 0 seen, 1 false
    positive. ``at`` is when it was seen, ``settled_at`` when it became what its stage says, both in seconds since 1970.
    ``value`` is what the indicator compares, for people.
    """

    attribute: str
    occasion: str
    event: str
    type: int
    at: int
    value: str
    stage: SightingStage = SightingStage.WAITING
    words: str = ""
    settled_at: int = 0

    @property
    def name(self) -> Occasion:
        """What tells it from every other one of its destination."""
        return Occasion(self.attribute, self.occasion)

    @property
    def is_false_positive(self) -> bool:
        """Whether it says that an alert was none, and not that something was seen."""
        return bool(self.type)


@dataclass(frozen=True)
class MatchRecord:
    """An alert named an attribute's indicator: by its id, or as a value of the ``kind`` of an entity."""

    alert: str
    attribute: str
    occasion: str
    kind: str
    at: int


@dataclass(frozen=True)
class SightingWindow:
    """Until when alerts were read, in seconds since 1970 (0: never), and how it last went."""

    until: int = 0
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """How often an attribute was seen, and what stands of that in MISP; times are seconds since 1970.

    ``last`` is 0 where nothing is remembered but that alerts were false positives.
    """

    alerts: int
    last: int
    sightings: tuple[SightingRecord, ...]
