"""What differs by the kind of indicator: STIX for the upload APIs, tiIndicators for the Graph API. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from constants import LONGEST_ACTOR, LONGEST_NAME
from helpers.indicators.convert import ChunkConverter, ConversionResult
from helpers.indicators.filtering import Item
from helpers.indicators.misp_fields import Json
from helpers.indicators.request_event import EventHeader, PreparedObject, RequestObjectEvent
from helpers.indicators.request_graph import RequestObjectGraph, ti_indicator
from helpers.indicators.request_indicator import Indicator
from helpers.indicators.values import Unsendable
from helpers.settings import Settings


class IndicatorFormat(Protocol):
    """What a destination takes for an indicator, and what has to be known of an event to make it."""

    @property
    def name(self) -> str:
        """What the format is called."""

    @property
    def takes_objects(self) -> bool:
        """Whether an indicator can be made of a MISP object as a whole; if not, each member is converted by itself."""

    @property
    def takes_networks(self) -> bool:
        """Whether there is a property for blocks of addresses (CIDR), so that they match something."""

    @property
    def needs_event_names(self) -> bool:
        """Whether properties name the actors and the malware of a whole event, whatever labels do."""

    @property
    def longest_actor(self) -> int:
        """How many characters the name of an actor may have."""

    @property
    def expiry_always_moves(self) -> bool:
        """Whether every expiry counts from the run's time, whatever MISP and the settings say of it."""

    def inherited(self, event: EventHeader) -> str:
        """Return what an event says of its attributes in this format alone, as a text that changes with it."""

    def convert(self, prepared: RequestObjectEvent, items: Sequence[Item], reports: Json) -> ConversionResult:
        """Convert some of the prepared attributes and objects of an event, together with its reports."""

    def shown(self, indicator: Indicator) -> Mapping[str, Any]:
        """Return an indicator as Microsoft gets it."""


@dataclass(frozen=True)
class StixIndicators:
    """Indicators of STIX 2.1, which misp-stix makes."""

    name: str = "stix"
    takes_objects: bool = True
    takes_networks: bool = False
    needs_event_names: bool = False
    longest_actor: ClassVar[int] = LONGEST_ACTOR
    expiry_always_moves: bool = False

    def inherited(self, event: EventHeader) -> str:  # noqa: ARG002  the header that all formats share says it all
        """Return nothing."""
        return ""

    def convert(self, prepared: RequestObjectEvent, items: Sequence[Item], reports: Json) -> ConversionResult:
        """Make an indicator of each observable that misp-stix finds."""
        return ChunkConverter(prepared, items).convert(reports)

    def shown(self, indicator: Indicator) -> Mapping[str, Any]:
        """Return the indicator as it is."""
        return indicator


@dataclass(frozen=True)
class TiIndicators:
    """The tiIndicators of the Graph API; misp-stix has no part in them."""

    name: str = "graph"
    takes_objects: bool = False
    takes_networks: bool = True
    needs_event_names: bool = True
    longest_actor: ClassVar[int] = LONGEST_NAME
    expiry_always_moves: bool = True

    def inherited(self, event: EventHeader) -> str:
        """Return whether the event is published, and what it names."""
        return repr((event.published, event.threat_actors, event.malware))

    def convert(
        self,
        prepared: RequestObjectEvent,
        items: Sequence[Item],
        reports: Json,  # noqa: ARG002  misp-stix alone reads them
    ) -> ConversionResult:
        """Make a tiIndicator of each attribute."""
        header = prepared.header
        request = RequestObjectGraph(header, prepared.rules, prepared.now, prepared.actors)
        result = ConversionResult(len(items))
        for attribute in items:
            if isinstance(attribute, PreparedObject):
                raise TypeError("an object was not taken apart")
            try:
                indicator, left_out = request.as_json(attribute)
            except Unsendable as reason:
                result.skipped.append(attribute.skipped(header, reason.reason, reason.words))
            else:
                result.indicators.append(indicator)
                result.left_out += [attribute.skipped(header, half.reason, half.words) for half in left_out]
        return result

    def shown(self, indicator: Indicator) -> Mapping[str, Any]:
        """Return the indicator under Microsoft's names of its properties."""
        return ti_indicator(indicator)


_STIX = StixIndicators()
# By what the settings call the API (Settings.upload_api).
FORMATS: Mapping[str, IndicatorFormat] = {
    "stix": _STIX,
    "legacy": _STIX,
    "legacy-value": _STIX,
    "graph": TiIndicators(),
}


def format_of(settings: Settings) -> IndicatorFormat:
    """Return the format of the indicators that the API of these settings takes."""
    return FORMATS[settings.upload_api]
