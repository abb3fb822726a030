"""The observables of attributes as they are uploaded: STIX indicators with what MISP says of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, uuid5

from constants import MISP_TEXT, TLP_MARKINGS
from helpers.indicators import tags
from helpers.indicators.dates import begin_of, end_of, stix_time
from helpers.indicators.misp_fields import Json, event_url, text_of
from helpers.indicators.patterns import Observable
from helpers.indicators.request_event import EventHeader, PreparedAttribute
from helpers.indicators.tags import Actors, Tag, Tags
from helpers.text import shorten

if TYPE_CHECKING:  # the rules know the formats, which know this module: what is here is given its rules
    from helpers.indicators.rules import ConversionRules

# An indicator as it is recorded and, of STIX, as it is sent.
Indicator = dict[str, Any]


@dataclass(frozen=True)
class RequestObject:
    """What the attributes of one event become at Microsoft; ``now`` is the run's time.

    What is the same for all of them is made once.
    """

    event: EventHeader
    rules: ConversionRules
    now: datetime
    actors: Actors

    def created(self, attribute: PreparedAttribute) -> datetime:
        """The attribute's timestamp, else the event's; never after the run's time."""
        return begin_of(attribute.raw, self.event.created, self.now)

    def description(self, attribute: PreparedAttribute) -> str:
        """The comment, then what leads back to MISP; Log Analytics shows the first 1,000 characters."""
        lines = [
            shorten(text_of(attribute.raw.get("comment")), MISP_TEXT),
            attribute.file_name and f"File name: {attribute.file_name}",
            attribute.object_name and f"Part of a MISP object: {attribute.object_name}",
            self._origin,
        ]
        return "\n".join(filter(None, lines))

    def reference(self, attribute: PreparedAttribute) -> dict[str, str]:
        """The way back to MISP."""
        return {
            "source_name": "MISP",
            "description": f"Attribute {attribute.uuid} of {self.event.info}",
            "external_id": attribute.uuid,
            **self._page,
        }

    @cached_property
    def _origin(self) -> str:
        """The event by name and number, and who made it when."""
        event = self.event
        number = " ".join(filter(None, ["MISP event", event.id, f"({event.uuid})" if event.uuid else ""]))
        author = " ".join(filter(None, [f"by {event.organisation}" if event.organisation else "", event.date]))
        return f"{event.info} - {number} {author}".strip()

    @cached_property
    def _page(self) -> dict[str, str]:
        """Where people see the event, if that is known."""
        page = self.event.uuid or (self.event.id if self.event.id.isdecimal() else "")
        return {"url": event_url(self.rules.misp_domain, page)} if self.rules.misp_domain and page else {}


class Said(NamedTuple):
    """What tags and the category say of an attribute; ``more`` are the properties that not every indicator has."""

    threat_types: list[str]
    confidence: int
    markings: list[str]
    more: Json


@dataclass(frozen=True)
class RequestObjectIndicator(RequestObject):
    """The observables of one event's attributes, enriched for the upload APIs."""

    _said: dict[tuple[int, int, str, str], tuple[Tags, object, Said]] = field(default_factory=dict)

    def as_json(self, new_id: str, attribute: PreparedAttribute, stix: Json, observable: Observable) -> Indicator:
        """Return the indicator of an observable as it is uploaded; ``stix`` is what misp-stix made of its attribute.

        Raises Unsendable when it must not be sent.
        """
        begin = self.created(attribute)
        created = stix_time(begin)
        said = self._said_of(attribute, stix)
        return {
            "type": "indicator",
            "spec_version": "2.1",
            "id": new_id,
            "created": created,
            "modified": stix_time(self.now),
            "name": self.event.info,
            "description": self.description(attribute),
            "indicator_types": said.threat_types,
            "pattern": observable.pattern,
            "pattern_type": "stix",
            "pattern_version": "2.1",
            "valid_from": created,
            "valid_until": stix_time(end_of(attribute.raw, observable.path, begin, self.rules, self.now)),
            "confidence": said.confidence,
            "external_references": [self.reference(attribute)],
            "object_marking_refs": said.markings,
            **said.more,
        }

    def _said_of(self, attribute: PreparedAttribute, stix: Json) -> Said:
        """Return what is said of an attribute; that is worked out once for all that have the same said of them."""
        phases = stix.get("kill_chain_phases", ())
        kind, category = text_of(attribute.raw.get("type")), text_of(attribute.raw.get("category"))
        key = (id(attribute.tags), id(phases), kind, category)
        if key not in self._said:
            said = self._say(attribute.tags, phases, kind, category)
            self._said[key] = (attribute.tags, phases, said)  # which keeps the two, and so their ids
        return self._said[key][2]

    def _say(self, own: Tags, phases: Sequence[Mapping[str, str]], kind: str, category: str) -> Said:
        inherited, rules = self.event.tags, self.rules
        # What misp-stix says of type and category, as the attribute has them, then the tags: the lists are for all.
        shown = [Tag(f'misp:{name}="{text}"') for name, text in (("type", kind), ("category", category)) if text]
        more = {
            "labels": tags.with_actors(tags.labels([*shown, *own], rules, inherited), self.actors.behind(own)),
            "kill_chain_phases": _of_category(phases, category) + tags.kill_chain_phases(own, inherited),
            "created_by_ref": f"identity--{self.event.organisation_uuid}" if self.event.organisation_uuid else "",
        }
        return Said(
            threat_types=tags.threat_types(own, inherited, rules.default_threat_type),
            confidence=tags.confidence(own, inherited, rules),
            markings=[TLP_MARKINGS[tags.tlp_level(own, inherited, rules.default_tlp)]],
            more={name: value for name, value in more.items() if value},  # STIX 2.1, section 2.9: no list is empty
        )


def _of_category(phases: Sequence[Mapping[str, str]], category: str) -> list[dict[str, str]]:
    """Return misp-stix's phases, with the attribute's own category for the one that its type would have."""
    return [
        {**phase, "phase_name": category} if category and phase["kill_chain_name"] == "misp-category" else {**phase}
        for phase in phases
    ]


def indicator_id(uuid: str, observable: Observable, position: int) -> str:
    """Return the STIX id of an observable: the first has its attribute's UUID, others one derived from it."""
    return f"indicator--{uuid if position == 0 else uuid5(UUID(uuid), observable.pattern)}"
