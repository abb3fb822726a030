"""Attributes as tiIndicators of the Graph API: what is recorded of it, and what is sent. Pure.

Rules: Microsoft, the tiIndicator resource (beta). What is recorded has the names of a STIX indicator
where it means the same, so that the plan treats both alike; ``graph`` holds the rest as Microsoft names it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import constants
from constants import GRAPH_NUMBERS, MOST_LABELS, THREAT_TYPES, TLP_MARKINGS, Skip
from helpers.indicators import misp_stix, tags
from helpers.indicators.dates import stix_time
from helpers.indicators.misp_fields import text_of
from helpers.indicators.request_event import PreparedAttribute
from helpers.indicators.request_indicator import Indicator, RequestObject
from helpers.indicators.tags import Tag, found_in
from helpers.indicators.values import Unsendable, Value, port_of

if TYPE_CHECKING:  # the rules know the formats, which know this module: what is here is given its rules
    from helpers.indicators.rules import ConversionRules

# Properties of a tiIndicator, by Microsoft's names.
Fields = dict[str, Any]

# An address under a host's type has none.
_DIRECTIONS = {"ip-src": "Source", "ip-dst": "Destination"}
_TLP = {marking: level for level, marking in TLP_MARKINGS.items()}
_MALWARE = "malwareFamilyNames"  # no observable: it may be changed later, and is not enough by itself


@dataclass(frozen=True)
class RequestObjectGraph(RequestObject):
    """The attributes of one event as tiIndicators."""

    def as_json(self, attribute: PreparedAttribute) -> tuple[Indicator, list[Unsendable]]:
        """Return an attribute's indicator as it is recorded, and the parts of the attribute that are not sent.

        Raises Unsendable when it must not be sent.
        """
        fields, left_out = observables_of(attribute, self.rules)
        observables = {name: value for name, value in fields.items() if name != _MALWARE}
        if not observables:
            raise Unsendable(Skip.NO_OBSERVABLE)
        for kind, part in attribute.value.typed_parts:
            if words := misp_stix.refusal(kind, part):
                raise Unsendable(Skip.BAD_VALUE, words)
        own, inherited = attribute.tags, self.event.tags
        threat = self._threat_type(own)
        tlp = tags.tlp_level(own, inherited, self.rules.default_tlp)
        indicator = {
            "type": "tiIndicator",
            "id": f"indicator--{attribute.uuid}",
            "created": stix_time(self.created(attribute)),
            "modified": stix_time(self.now),
            "name": self.event.info,
            "description": self.description(attribute),
            "indicator_types": [threat],
            "pattern": pattern_of({**observables, "threatType": threat}),
            "valid_until": stix_time(self.now + timedelta(days=self.rules.days_to_expire)),
            "confidence": tags.confidence(own, inherited, self.rules),
            "labels": _labels(own, inherited, self.rules),
            "external_references": [self.reference(attribute)],
            "object_marking_refs": [TLP_MARKINGS[tlp]],
            "graph": {**observables, **self._statements(attribute)},
        }
        return indicator, left_out

    def _threat_type(self, own: Sequence[Tag]) -> str:
        """The first that Microsoft knows: it takes one, and no other words."""
        default = self.rules.default_threat_type
        types = tags.threat_types(own, self.event.tags, default)
        return next((type_ for type_ in types if type_ in THREAT_TYPES), default)

    def _statements(self, attribute: PreparedAttribute) -> Fields:
        """What is said of the observable, and may be changed later; what is empty takes back what was said before."""
        own, inherited = attribute.tags, self.event.tags
        phases = [phase["phase_name"] for phase in tags.kill_chain_phases(own, inherited)]
        kill_chain = [constants.GRAPH_KILL_CHAIN[phase] for phase in phases if phase in constants.GRAPH_KILL_CHAIN]
        return {
            "action": self.rules.ms_action,
            "activityGroupNames": list(self.actors.behind(own)),
            "description": shortened(text_of(attribute.raw.get("comment")) or self.event.info),
            "diamondModel": own.once(_diamonds, None) or inherited.once(_diamonds, None) or "unknown",
            "isActive": self.event.published,
            "killChain": list(dict.fromkeys(kill_chain)),
            "malwareFamilyNames": list(self.event.malware),
            "passiveOnly": self.rules.ms_passiveonly,
            "targetProduct": self.rules.ms_target_product,
        }


def observables_of(attribute: PreparedAttribute, rules: ConversionRules) -> tuple[Fields, list[Unsendable]]:
    """Return what of a tiIndicator an attribute is, and the parts of it that are not sent.

    With ``network_ignore_direction`` the properties without a direction are filled beside those with one.
    Raises Unsendable when the Graph API has no property for it.
    """
    kind, value = text_of(attribute.raw.get("type")), attribute.value
    if value.type in rules.hash_types:
        hash_type = constants.GRAPH_HASH_TYPES.get(value.type, "unknown")
        return {"fileHashValue": value.text, "fileHashType": hash_type}, []
    if kind == "domain|ip":
        return _domain_and_address(value), []
    if value.type in ("ip-src", "ip-dst"):
        direction = _DIRECTIONS.get(kind.removesuffix("|port"), "")
        ports, left_out = _ports(attribute, direction, rules.network_ignore_direction)
        return {**_addresses(value.text, direction, rules.network_ignore_direction), **ports}, left_out
    if kind == "email-src":
        return {"emailSenderAddress": value.text, "emailSourceDomain": value.text.rpartition("@")[2]}, []
    if kind not in rules.graph_properties:
        raise Unsendable(Skip.NO_GRAPH_PROPERTY)
    name = rules.graph_properties[kind]
    return {name: _as_property(name, value.text)}, []


def pattern_of(fields: Mapping[str, Any]) -> str:
    """Write what makes an indicator this one and no other, as a STIX pattern would."""
    compared = (f"{name} = '{_escaped(str(value))}'" for name, value in fields.items())
    return f"[{' AND '.join(compared)}]"


def ti_indicator(indicator: Indicator) -> Fields:
    """Return a recorded indicator as the Graph API names its properties."""
    # The first reference is to the attribute, and its page is in the description; the others are other attributes.
    others = indicator["external_references"][1:]
    also = [f"{reference['description']} {reference.get('url', '')}".strip() for reference in others]
    return {
        **indicator["graph"],
        "additionalInformation": "\n".join([indicator["description"], *also]),
        "confidence": indicator["confidence"],
        "expirationDateTime": indicator["valid_until"],
        "externalId": external_id(indicator["id"]),
        "tags": indicator["labels"],
        "threatType": indicator["indicator_types"][0],
        "tlpLevel": _TLP[indicator["object_marking_refs"][0]],
    }


def external_id(indicator_id: str) -> str:
    """Return the UUID in an indicator's id, which is what Graph knows as its externalId."""
    return indicator_id.partition("--")[2]


def shortened(text: str) -> str:
    """Return as much of a text as a description may have; Microsoft counts in UTF-16."""
    longest = constants.GRAPH_DESCRIPTION
    units = text.encode("utf-16-le")
    return text if len(units) <= 2 * longest else units[: 2 * (longest - 3)].decode("utf-16-le", "ignore") + "..."


def _domain_and_address(value: Value) -> Fields:
    fields: Fields = {}
    for kind, part in value.typed_parts if len(value.parts) > 1 else [(value.type, value.text)]:
        fields |= {"domainName": part} if kind == "domain" else _address(part, "")
    return fields


def _addresses(text: str, direction: str, ignore_direction: bool) -> Fields:
    return {**_address(text, direction), **(_address(text, "") if ignore_direction else {})}


def _address(text: str, direction: str) -> Fields:
    network = ipaddress.ip_network(text)
    kind = "CidrBlock" if network.num_addresses > 1 else f"IPv{network.version}"
    return {f"network{direction}{kind}": text}


def _ports(attribute: PreparedAttribute, direction: str, ignore_direction: bool) -> tuple[Fields, list[Unsendable]]:
    """Return the port of an address; one that is none is left out, and the address is sent."""
    if not text_of(attribute.raw.get("type")).endswith("|port"):
        return {}, []
    try:
        port = _number("networkPort", port_of(attribute.raw.get("value")))
    except Unsendable as reason:
        return {}, [reason]
    return {f"network{direction}Port": port, **({"networkPort": port} if ignore_direction else {})}, []


def _as_property(name: str, text: str) -> Any:
    if name in GRAPH_NUMBERS:
        return _number(name, text)
    return [text] if name == _MALWARE else text


def _number(name: str, text: str) -> int:
    largest = GRAPH_NUMBERS[name]
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(largest)) else -1
    if not 0 <= number <= largest:
        raise Unsendable(Skip.BAD_VALUE, f"{name} is a number from 0 to {largest}")
    return number


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _labels(own: Sequence[Tag], inherited: Sequence[Tag], rules: ConversionRules) -> list[str]:
    """Return the tags that no property says, those among them whose words Microsoft does not know."""
    said = [name for all_tags in (own, inherited) for name in found_in(all_tags, _said_otherwise, rules)]
    unknown = [name for all_tags in (own, inherited) for name in found_in(all_tags, _with_unknown_words, rules)]
    return list(dict.fromkeys([*said, *unknown]))[:MOST_LABELS]


def _said_otherwise(all_tags: Sequence[Tag], rules: ConversionRules) -> list[str]:
    return tags.labels([tag for tag in all_tags if not _diamond(tag)], rules)


def _with_unknown_words(all_tags: Sequence[Tag], rules: ConversionRules) -> list[str]:
    wanted = (tag for tag in all_tags if tags.may_be_label(tag, rules))
    names = (tag.name for tag in wanted if not _diamond(tag) and _has_unknown_words(tag))
    return list(islice(names, MOST_LABELS))


def _has_unknown_words(tag: Tag) -> bool:
    phases = {phase["phase_name"] for phase in tags.kill_chain_phases([tag])}
    threats = set(tags.threat_types([tag], (), THREAT_TYPES[0]))
    return bool(phases - set(constants.GRAPH_KILL_CHAIN) or threats - set(THREAT_TYPES))


def _diamonds(all_tags: Sequence[Tag], _rules: None) -> str:
    return next(filter(None, map(_diamond, all_tags)), "")


def _diamond(tag: Tag) -> str:
    taxonomy, predicate, value = tag.words
    word = (value or predicate).lower()
    return word if taxonomy == "diamond-model" and word in constants.GRAPH_DIAMOND_MODEL else ""
