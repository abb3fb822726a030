"""One MISP event in, indicators and skipped attributes out. Pure: no network, clock or disk."""

from helpers.indicators.convert import (
    CHUNK,
    ConversionResult,
    attribute_of,
    convert_event,
    convert_prepared,
    through_misp_stix,
)
from helpers.indicators.dates import from_text, stix_time
from helpers.indicators.filtering import Item, apply_filters
from helpers.indicators.formats import FORMATS, IndicatorFormat, format_of
from helpers.indicators.misp_fields import dicts, event_url, is_true, stix_uuid, text_of
from helpers.indicators.request_event import (
    EVENT_NAMES,
    NAMED,
    EventHeader,
    Json,
    PreparedAttribute,
    PreparedObject,
    RequestObjectEvent,
    Skipped,
)
from helpers.indicators.request_graph import external_id, ti_indicator
from helpers.indicators.rules import ConversionRules
from helpers.indicators.tags import read_tags
from helpers.indicators.values import Unsendable, Value, prepare, punycode

__all__ = [
    "CHUNK",
    "EVENT_NAMES",
    "FORMATS",
    "NAMED",
    "ConversionResult",
    "ConversionRules",
    "EventHeader",
    "IndicatorFormat",
    "Item",
    "Json",
    "PreparedAttribute",
    "PreparedObject",
    "RequestObjectEvent",
    "Skipped",
    "Unsendable",
    "Value",
    "apply_filters",
    "attribute_of",
    "convert_event",
    "convert_prepared",
    "dicts",
    "event_url",
    "external_id",
    "format_of",
    "from_text",
    "is_true",
    "prepare",
    "punycode",
    "read_tags",
    "stix_time",
    "stix_uuid",
    "text_of",
    "through_misp_stix",
    "ti_indicator",
]
