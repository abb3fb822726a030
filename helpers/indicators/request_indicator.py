"""One observable of an attribute as it is uploaded: a STIX indicator with what MISP says of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from constants import MISP_TEXT, TLP_MARKINGS
from helpers.indicators import tags
from helpers.indicators.dates import begin_of, end_of, stix_time
from helpers.indicators.misp_fields import Json, event_url, text_of
from helpers.indicators.patterns import Observable
from helpers.indicators.request_event import EventHeader, PreparedAttribute
from helpers.indicators.tags import Tag, Tags
from helpers.text import shorten

if TYPE_CHECKING:  # the rules know the formats, which know this module: what is here is given its rules
    from helpers.indicators.rules import ConversionRules

# An indicator as it is recorded and, of STIX, as it is sent.
Indicator = dict[str, Any]


@dataclass(frozen=True)
class RequestObject:
    """What an attribute becomes at Microsoft; ``now`` is the run's time."""

    id: str
    attribute: PreparedAttribute
    event: EventHeader
    rules: ConversionRules
    now: datetime

    @property
    def created(self) -> datetime:
        """The attribute's timestamp, else the event's; never after the run's time."""
        return begin_of(self.attribute.raw, self.event.created, self.now)

    @property
    def description(self) -> str:
        """The comment, then what leads back to MISP; Log Analytics shows the first 1,000 characters."""
        attribute = self.attribute
        lines = [
            shorten(text_of(attribute.raw.get("comment")), MISP_TEXT),
            f"File name: {attribute.file_name}" if attribute.file_name else "",
            f"Part of a MISP object: {attribute.object_name}" if attribute.object_name else "",
            self._origin,
        ]
        return "\n".join(filter(None, lines))

    @property
    def _origin(self) -> str:
        """The event by name and number, and who made it when."""
        event = self.event
        number = " ".join(filter(None, ["MISP event", event.id, f"({event.uuid})" if event.uuid else ""]))
        author = " ".join(filter(None, [f"by {event.organisation}" if event.organisation else "", event.date]))
        return f"{event.info} - {number} {author}".strip()

    @property
    def reference(self) -> dict[str, str]:
        """The way back to MISP."""
        reference = {
            "source_name": "MISP",
            "description": f"Attribute {self.attribute.uuid} of {self.event.info}",
            "external_id": self.attribute.uuid,
        }
        page = self.event.uuid or (self.event.id if self.event.id.isdecimal() else "")
        if self.rules.misp_domain and page:
            reference["url"] = event_url(self.rules.misp_domain, page)
        return reference


@dataclass(frozen=True)
class RequestObjectIndicator(RequestObject):
    """One observable of one attribute, enriched for the upload APIs; ``stix`` is what misp-stix made of it."""

    stix: Json
    observable: Observable

    @property
    def valid_until(self) -> datetime:
        """When the indicator expires. Raises Unsendable when no date can be given or it has passed."""
        return end_of(self.attribute.raw, self.observable.path, self.created, self.rules, self.now)

    def as_json(self) -> Indicator:
        """Return the indicator as it is uploaded. Raises Unsendable when it must not be."""
        own, inherited = self.attribute.tags, self.event.tags
        tlp = tags.tlp_level(own, inherited, self.rules.default_tlp)
        indicator: Indicator = {
            "type": "indicator",
            "spec_version": "2.1",
            "id": self.id,
            "created": stix_time(self.created),
            "modified": stix_time(self.now),
            "name": self.event.info,
            "description": self.description,
            "indicator_types": tags.threat_types(own, inherited, self.rules.default_threat_type),
            "pattern": self.observable.pattern,
            "pattern_type": "stix",
            "pattern_version": "2.1",
            "valid_from": stix_time(self.created),
            "valid_until": stix_time(self.valid_until),
            "confidence": tags.confidence(own, inherited, self.rules),
            "external_references": [self.reference],
            "object_marking_refs": [TLP_MARKINGS[tlp]],
        }
        if labels := self._labels(own, inherited):  # STIX 2.1, section 2.9: no list is empty
            indicator["labels"] = labels
        if phases := self._category_phases() + tags.kill_chain_phases(own, inherited):
            indicator["kill_chain_phases"] = phases
        if self.event.organisation_uuid:
            indicator["created_by_ref"] = f"identity--{self.event.organisation_uuid}"
        return indicator

    def _labels(self, attribute_tags: list[Tag], event_tags: Tags) -> list[str]:
        """What misp-stix says of type and category, as the attribute has them, then the tags: the lists are for all."""
        raw = self.attribute.raw
        said = [Tag(f'misp:{key}="{text}"') for key in ("type", "category") if (text := text_of(raw.get(key)))]
        return tags.labels([*said, *attribute_tags], self.rules, event_tags)

    def _category_phases(self) -> list[dict[str, str]]:
        """misp-stix's phases, with the attribute's own category for the one that its type would have."""
        category = text_of(self.attribute.raw.get("category"))
        phases = [dict(phase) for phase in self.stix.get("kill_chain_phases", [])]
        return [
            {**phase, "phase_name": category} if category and phase["kill_chain_name"] == "misp-category" else phase
            for phase in phases
        ]


def indicator_id(uuid: str, observable: Observable, position: int) -> str:
    """Return the STIX id of an observable: the first has its attribute's UUID, others one derived from it."""
    return f"indicator--{uuid if position == 0 else uuid5(UUID(uuid), observable.pattern)}"
