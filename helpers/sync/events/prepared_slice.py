"""A whole event, or a slice of a large one, prepared and converted once for every destination."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from helpers.indicators import (
    ConversionResult,
    ConversionRules,
    EventHeader,
    Item,
    Json,
    PreparedAttribute,
    PreparedObject,
    RequestObjectEvent,
    Tag,
    convert_prepared,
)

_MADE_OF = ("type", "category", "value", "comment", "timestamp", "last_seen")
_as_json = json.JSONEncoder(sort_keys=True, default=str).encode


@dataclass(frozen=True)
class PreparedSlice:
    """A whole event, or a slice of a large one, prepared once for every destination.

    ``fingerprints`` has, for each attribute by UUID, what tells whether its indicators may have changed.
    """

    prepared: RequestObjectEvent
    fingerprints: Mapping[str, str]

    @classmethod
    def of(
        cls,
        event: Json,
        rules: ConversionRules,
        conversion: str,
        now: datetime,
        actor_names: Mapping[str, str] = {},
    ) -> PreparedSlice:
        """Prepare a slice; ``conversion`` is the fingerprint of conversion by the settings by which the run reads.

        ``actor_names`` has the name of the actor for each tag that names one: see ``RequestObjectEvent``.
        """
        prepared = RequestObjectEvent(event, rules, now, actor_names)
        inherited = conversion + rules.format.inherited(prepared.header)
        return cls(
            prepared,
            {
                attribute.uuid: fingerprint(
                    prepared.header, attribute, inherited, prepared.actors.behind(attribute.tags)
                )
                for attribute in members(prepared.items)
            },
        )

    def convert(self, changed: Iterable[Item]) -> Iterator[ConversionResult]:
        """Convert, once, what changed for any destination."""
        items = list({id(item): item for item in changed}.values())
        while items:  # an object of which destinations want different members comes several times
            once = {item.uuid: item for item in reversed(items)}
            yield from convert_prepared(self.prepared, list(once.values())[::-1])
            items = [item for item in items if item is not once[item.uuid]]


def fingerprint(header: EventHeader, attribute: PreparedAttribute, settings: str, actors: Sequence[str]) -> str:
    """Return what changes with anything that an attribute's indicators are made of: it, its event, the settings.

    The actors behind it are named where there are any, so that to learn of actors changes no other attributes.
    """
    made_of = _as_json([attribute.raw.get(name) for name in _MADE_OF])
    names = _as_json([attribute.object_name, attribute.file_name])
    said = header.said_by(settings)
    behind = f", {_as_json(actors)}" if actors else ""
    said.update(f", {made_of}, {attribute.tags.once(_tags_as_json, None)}, {names}{behind}]".encode())
    return said.hexdigest()


def _tags_as_json(tags: Sequence[Tag], _rules: None) -> str:
    return _as_json(sorted([tag.name, tag.local] for tag in tags))


def members(items: Iterable[Item]) -> list[PreparedAttribute]:
    """Return attributes, those of objects among them."""
    attributes: list[PreparedAttribute] = []
    for item in items:
        attributes += item.members if isinstance(item, PreparedObject) else (item,)
    return attributes
