"""One MISP event in, indicators and skipped attributes out. Pure: no network, clock or disk."""

from helpers.indicators.convert import (
    CHUNK,
    ConversionResult,
    attribute_of,
    convert_event,
    convert_prepared,
    through_misp_stix,
)
from helpers.indicators.dates import DAY, from_text, seconds, stix_time, stix_time_of
from helpers.indicators.filtering import Item, apply_filters
from helpers.indicators.formats import FORMATS, IndicatorFormat
from helpers.indicators.misp_fields import Json, dicts, event_url, is_true, stix_uuid, text_of
from helpers.indicators.patterns import LONGEST_PATH, compared_values, first_path, in_small_letters, kind_of
from helpers.indicators.request_event import (
    NAMED,
    EventHeader,
    PreparedAttribute,
    PreparedObject,
    RequestObjectEvent,
    Skipped,
)
from helpers.indicators.request_graph import external_id, ti_indicator
from helpers.indicators.request_indicator import Indicator
from helpers.indicators.rules import ConversionRules
from helpers.indicators.tags import Tag, Tags, joined_labels, read_tags, tlp_level
from helpers.indicators.values import IpNetwork, Unsendable, Value, network_in, normalise, plain, punycode

__all__ = [
    "CHUNK",
    "DAY",
    "FORMATS",
    "LONGEST_PATH",
    "NAMED",
    "ConversionResult",
    "ConversionRules",
    "EventHeader",
    "Indicator",
    "IndicatorFormat",
    "IpNetwork",
    "Item",
    "Json",
    "PreparedAttribute",
    "PreparedObject",
    "RequestObjectEvent",
    "Skipped",
    "Tag",
    "Tags",
    "Unsendable",
    "Value",
    "apply_filters",
    "attribute_of",
    "compared_values",
    "convert_event",
    "convert_prepared",
    "dicts",
    "event_url",
    "external_id",
    "first_path",
    "from_text",
    "in_small_letters",
    "is_true",
    "joined_labels",
    "kind_of",
    "network_in",
    "normalise",
    "plain",
    "punycode",
    "read_tags",
    "seconds",
    "stix_time",
    "stix_time_of",
    "stix_uuid",
    "text_of",
    "through_misp_stix",
    "ti_indicator",
    "tlp_level",
]
