"""What people ask the ledger: what stands where, and what belongs to a value, a UUID or a STIX id. Read-only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import sqlalchemy as sql

from helpers.ledger.database import Database, known_destinations
from helpers.ledger.questions.spellings import (
    Address,
    addresses,
    blocks_with,
    holds,
    is_block_with,
    mapped,
    shortest,
    spellings,
)
from helpers.ledger.records import AttributeRecord, EventRecord, ObjectRecord, Source, Stage
from helpers.ledger.store import Ledger, taken
from helpers.ledger.tables import ATTRIBUTES, EVENTS, OBJECTS, SOURCES
from helpers.settings import Settings, cross_checks

MOST = 1000
_STIX = "indicator--"


@dataclass(frozen=True)
class Question:
    """What somebody asks about: a UUID, or a value in every spelling; ``stix_id`` where an indicator was named."""

    text: str
    uuid: str = ""
    stix_id: str = ""
    values: frozenset[str] = frozenset()
    addresses: frozenset[Address] = frozenset()

    @classmethod
    def of(cls, text: str) -> Question:
        """Read what was asked."""
        plain = text.strip().lower()
        try:
            uuid = str(UUID(plain.removeprefix(_STIX))) if plain.count("-") > 3 else ""
        except ValueError:
            uuid = ""
        if not uuid:
            values = spellings(text)
            return cls(text, values=values, addresses=addresses(values))
        return cls(text, uuid, f"{_STIX}{uuid}" if plain.startswith(_STIX) else "")

    @property
    def exact(self) -> frozenset[str]:
        """The spellings, and each other text that holds an address that was asked for: its blocks, and it as IPv6."""
        texts = (text for address in self.addresses for text in (*blocks_with(address), *mapped(address)))
        return self.values.union(texts)

    def is_about(self, kind: str, value: str) -> bool:
        """Whether a value of a MISP type, as MISP has it, is what was asked for, or a block with it."""
        return holds(value, self.values, kind) or is_block_with(kind, value, self.addresses)


@dataclass
class Found:
    """What a destination knows of what was asked; ``events`` are those of its objects and attributes."""

    objects: list[ObjectRecord] = field(default_factory=list)
    attributes: list[AttributeRecord] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    events: dict[str, EventRecord] = field(default_factory=dict)
    event: EventRecord | None = None

    def __bool__(self) -> bool:
        """Whether anything is known."""
        return bool(self.objects or self.attributes or self.event)


@dataclass(frozen=True)
class LedgerDestination:
    """One destination in the ledger."""

    workspace: str
    sourcesystem: str
    ledger: Ledger

    def is_of(self, settings: Settings) -> bool:
        """Whether the settings name this destination."""
        return self.name_in(settings) is not None

    def name_in(self, settings: Settings) -> str | None:
        """Return what the settings call this destination; None when they do not name it."""
        named = self.settings_in(settings)
        return named.name if named else None

    def settings_in(self, settings: Settings) -> Settings | None:
        """Return the settings of this destination; None when they do not name it."""
        key = (self.workspace, self.sourcesystem)
        destinations = settings.destinations()
        return next((known for known in destinations if (known.workspace_key, known.sourcesystem) == key), None)

    # -- counts ---------------------------------------------------------------------------------------

    def held_events(self) -> int:
        """Count the events that wait for being published again."""
        return sum(self.ledger.tally(EVENTS.c.held_since, EVENTS.c.held_since.is_not(None)).values())

    def rejections(self) -> dict[str, int]:
        """Count the objects that Microsoft rejected and that are not to be withdrawn, by its words."""
        return self.ledger.tally(OBJECTS.c.words, sql.and_(OBJECTS.c.stage == Stage.REJECTED, OBJECTS.c.leaving == ""))

    def objects_of_event(self, event: str, now: int) -> dict[str, int]:
        """Count an event's objects: live, and by stage."""
        keys = sql.select(SOURCES.c.key).where(
            SOURCES.c.destination == self.ledger.destination, SOURCES.c.event == event
        )
        of_event = OBJECTS.c.key.in_(keys)
        live = sql.and_(of_event, OBJECTS.c.live, OBJECTS.c.live_until > now, taken(now))
        return {
            "live": sum(self.ledger.tally(OBJECTS.c.live, live).values()),
            **self.ledger.tally(OBJECTS.c.stage, of_event),
        }

    def skips_of_event(self, event: str) -> dict[str, int]:
        """Count an event's attributes that are not sent, by the name of the reason."""
        return self.ledger.tally(ATTRIBUTES.c.skip, sql.and_(ATTRIBUTES.c.event == event, ATTRIBUTES.c.skip != ""))

    # -- what was asked for ---------------------------------------------------------------------------

    def find(self, asked: Question) -> Found:
        """Return what the destination knows of what was asked."""
        found = self._by_uuid(asked) if asked.uuid else self._by_value(asked)
        uuids = {source.event for source in found.sources} | {attribute.event for attribute in found.attributes}
        rows = self.ledger.search(EVENTS, EventRecord, EVENTS.c.uuid.in_([*uuids][:MOST]))
        found.events = {event.uuid: event for event in rows}
        return found

    def _by_value(self, asked: Question) -> Found:
        near = self.ledger.attributes_like(shortest(asked.values), MOST)
        near += [attribute for address in asked.addresses for attribute in self.ledger.blocks_near(address)]
        of_question = (attribute for attribute in near if asked.is_about(attribute.type, attribute.value))
        attributes = list({(attribute.event, attribute.uuid): attribute for attribute in of_question}.values())
        objects = self.ledger.search(OBJECTS, ObjectRecord, OBJECTS.c.value.in_(asked.exact))
        return self._together(objects, attributes)

    def _by_uuid(self, asked: Question) -> Found:
        objects = list(self.ledger.by_id([f"{_STIX}{asked.uuid}"]).values())
        if asked.stix_id and objects:
            return self._together(objects, [])
        of_attribute = sql.and_(OBJECTS.c.key > f"{asked.uuid}/", OBJECTS.c.key < f"{asked.uuid}0")
        objects += self.ledger.search(OBJECTS, ObjectRecord, of_attribute)
        attributes = self.ledger.search(ATTRIBUTES, AttributeRecord, ATTRIBUTES.c.uuid == asked.uuid)
        found = self._together(objects, attributes)
        found.event = next(iter(self.ledger.search(EVENTS, EventRecord, EVENTS.c.uuid == asked.uuid)), None)
        return found

    def _together(self, objects: list[ObjectRecord], attributes: list[AttributeRecord]) -> Found:
        """Add every life of the objects, and the objects and attributes that belong to what was found."""
        uuids = {attribute.uuid for attribute in attributes}
        of_attributes = [
            source
            for event in {attribute.event for attribute in attributes}
            for source in self.ledger.sources_of_event(event)
            if source.attribute in uuids
        ]
        keys = {record.key for record in objects} | {source.key for source in of_attributes}
        sources = self.ledger.sources(keys)
        known = {(attribute.event, attribute.uuid) for attribute in attributes}
        others = {(source.event, source.attribute) for source in sources} - known
        return Found(
            objects=sorted(self.ledger.objects(keys), key=lambda record: (record.key, -record.life)),
            attributes=attributes + self._attributes(others),
            sources=sources,
        )

    def _attributes(self, wanted: set[tuple[str, str]]) -> list[AttributeRecord]:
        events = {event for event, _ in wanted}
        of_events = ATTRIBUTES.c.event.in_([*events][:MOST])
        named = ATTRIBUTES.c.uuid.in_([uuid for _, uuid in wanted][:MOST])
        return self.ledger.search(ATTRIBUTES, AttributeRecord, sql.and_(of_events, named))


@contextmanager
def ledger_destinations(settings: Settings) -> Iterator[list[LedgerDestination]]:
    """Open every destination that the ledger knows, to look and change nothing; none when there is no ledger.

    Raises LedgerError, also for a ledger of an earlier version, which the next run brings up to date, and
    SettingsError where root would use a ledger that others may change.
    """
    url = settings.ledger_url
    if not settings.state_url:
        cross_checks.refuse_foreign_state(settings)
    known = known_destinations(url) if settings.keeps_ledger else []
    if not known:
        yield []
        return
    with closing(Database(url, dry=True, upgrades=False)) as database:
        yield [LedgerDestination(workspace, source, Ledger(database, workspace, source)) for workspace, source in known]
