"""The settings, and the constants that a site may change, that decide what becomes of an event. Pure.

Whatever converts is given these and no other settings, so that what shapes a result is in their fingerprint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any, Self

import constants
from helpers.indicators.dates import last_seen_of
from helpers.indicators.formats import IndicatorFormat, format_of
from helpers.indicators.request_event import MALWARE, THREAT_ACTOR
from helpers.settings import AttributeFilters, Settings, default_threat_type, default_tlp

# Rules that ledgers in use do not know. Off, they change nothing, so what was read without them counts as it is.
_UNKNOWN_TO_LEDGERS = ("lowercase_url_twins",)


@dataclass(frozen=True)
class ConversionRules:
    """What decides which indicators an event gives, and what is in them.

    The names are those of the settings, where there is a setting of the same meaning. ``filters`` count for
    all destinations, ``own_filters`` for one of several.
    """

    format: IndicatorFormat
    filters: AttributeFilters
    own_filters: AttributeFilters
    misp_domain: str
    misp_flatten_attributes: bool
    misp_remove_eventreports: bool
    default_confidence: int
    days_to_expire: int
    days_to_expire_start: str
    days_to_expire_mapping: Mapping[str, int]
    days_to_expire_ignore_misp_last_seen: bool
    ignore_localtags: bool
    activity_group_labels: bool
    send_private_and_cidr: bool
    lowercase_url_twins: bool
    network_ignore_direction: bool
    ms_target_product: str
    ms_action: str
    ms_passiveonly: bool
    accepted_stix_types: Sequence[str]
    accepted_types: Sequence[str]
    hash_types: Sequence[str]
    ignored_tags: Sequence[str]
    allowed_taxonomies: Sequence[str]
    confidence_levels: Mapping[str, int]
    default_tlp: str
    default_threat_type: str
    graph_properties: Mapping[str, str]
    version: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Take the rules out of the settings of one destination, or of all, and out of ``constants.py``."""
        filters, own_filters = settings.every_filter
        return cls(
            format=format_of(settings),
            filters=filters,
            own_filters=own_filters,
            misp_domain=settings.misp_domain,
            misp_flatten_attributes=settings.misp_flatten_attributes,
            misp_remove_eventreports=settings.misp_remove_eventreports,
            default_confidence=settings.default_confidence,
            days_to_expire=settings.days_to_expire,
            days_to_expire_start=settings.days_to_expire_start,
            days_to_expire_mapping=settings.days_to_expire_mapping,
            days_to_expire_ignore_misp_last_seen=settings.days_to_expire_ignore_misp_last_seen,
            ignore_localtags=settings.ignore_localtags,
            activity_group_labels=settings.activity_group_labels,
            send_private_and_cidr=settings.send_private_and_cidr,
            lowercase_url_twins=settings.lowercase_url_twins,
            network_ignore_direction=settings.network_ignore_direction,
            ms_target_product=settings.ms_target_product,
            ms_action=settings.ms_action,
            ms_passiveonly=settings.ms_passiveonly,
            accepted_stix_types=constants.UPLOAD_INDICATOR_API_ACCEPTED_TYPES,
            accepted_types=constants.UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES,
            hash_types=constants.HASH_TYPES,
            ignored_tags=constants.MISP_TAGS_IGNORE,
            allowed_taxonomies=constants.MISP_ALLOWED_TAXONOMIES,
            confidence_levels=constants.MISP_CONFIDENCE,
            default_tlp=default_tlp(),
            default_threat_type=default_threat_type(),
            graph_properties=constants.ATTR_MAPPING,
            version=constants.VERSION,
        )

    @cached_property
    def event_names(self) -> Sequence[str]:
        """The types of attributes that say something of their whole event, so that it is in each indicator."""
        if self.format.needs_event_names:
            return (THREAT_ACTOR, MALWARE)
        return (THREAT_ACTOR,) if self.activity_group_labels else ()

    @cached_property
    def ignored_prefixes(self) -> tuple[str, ...]:
        """How a tag in lower case begins that never becomes a label."""
        return tuple(prefix.lower() for prefix in self.ignored_tags)

    @cached_property
    def taxonomies(self) -> frozenset[str]:
        """The taxonomies whose tags alone become labels, in lower case; empty where all do."""
        return frozenset(name.lower() for name in self.allowed_taxonomies)

    def fingerprint(self) -> str:
        """Return a text that changes with any of the rules, and is the same in every process.

        Whether labels name actors is not in it: that changes no attribute but those whose own fingerprint has names.
        """
        rules = _by_name(self)
        del rules["activity_group_labels"]
        for name in _UNKNOWN_TO_LEDGERS:
            if rules[name] is False:
                del rules[name]
        return hashlib.sha256(json.dumps(rules, sort_keys=True, default=_by_name).encode()).hexdigest()

    def expiry_moves(self, raw: Mapping[str, Any]) -> bool:
        """Say whether the indicators of an attribute, as MISP has it, expire some days after the run that makes them.

        All others have an expiry of their own, whenever they are made: ``last_seen``, or days after their beginning.
        """
        if self.format.expiry_always_moves:
            return True
        if last_seen_of(raw) and not self.days_to_expire_ignore_misp_last_seen:
            return False
        return self.days_to_expire_start == "current_date"


def _by_name(value: object) -> dict[str, Any]:
    """Return the fields of a dataclass; anything else has no text that stays the same. Raises TypeError."""
    if not is_dataclass(value):
        raise TypeError(f"{value!r} cannot be part of a fingerprint")
    return {field.name: getattr(value, field.name) for field in fields(value)}
