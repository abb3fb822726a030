"""Published MISP events, against patterns that an oracle of this file's own works out."""

from __future__ import annotations

import ipaddress
import json
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid5

import pytest

from constants import UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES, Skip
from helpers.commands.convert import events_in
from helpers.errors import InputError
from helpers.indicators.convert import convert_event
from helpers.indicators.rules import ConversionRules

FOLDER = Path(__file__).parents[2].parent / "shared" / "misp-events"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CUT_SHORT = "cut-short.json"
FILES = sorted(path for path in FOLDER.glob("*.json") if path.name != CUT_SHORT)

needs_events = pytest.mark.skipif(not FILES, reason=f"the published events are not beside this repository ({FOLDER})")

HASHES = {
    "md5": ("MD5", 32),
    "sha1": ("'SHA-1'", 40),
    "sha224": ("'SHA-224'", 56),
    "sha256": ("'SHA-256'", 64),
    "sha384": ("'SHA-384'", 96),
    "sha512": ("'SHA-512'", 128),
    "sha512/224": ("'SHA-512/224'", 56),
    "sha512/256": ("'SHA-512/256'", 64),
    "imphash": ("IMPHASH", 32),
    "authentihash": ("AUTHENTIHASH", 64),
    "pehash": ("PEHASH", 40),
}
AS_WRITTEN = {
    "filename": "file:name",
    "mutex": "mutex:name",
    "regkey": "windows-registry-key:key",
    "email-subject": "email-message:subject",
    "email-x-mailer": "email-message:additional_header_fields.x_mailer",
    "user-agent": "network-traffic:extensions.'http-request-ext'.request_header.'User-Agent'",
    "ssdeep": "file:hashes.SSDEEP",
    "impfuzzy": "file:hashes.IMPFUZZY",
    "port": "network-traffic:dst_port",
    "size-in-bytes": "file:size",
}


def oracle(misp_type, value):
    """The (path, value) pairs that an attribute should become; none where it must be skipped."""
    value = value.strip()
    if misp_type == "domain|ip":
        domain, address = value.split("|")
        return oracle("domain", domain) + oracle("ip-dst", address)
    if misp_type == "regkey|value":
        return oracle("regkey", value.split("|")[0])
    if misp_type.endswith("|port"):
        return oracle(misp_type[: -len("|port")], value.split("|")[0])
    if misp_type.startswith("filename|"):
        return oracle(misp_type[len("filename|") :], value[value.rindex("|") + 1 :])
    if misp_type in HASHES:
        name, length = HASHES[misp_type]
        fits = re.fullmatch(f"[0-9a-f]{{{length}}}", value.lower())
        return [(f"file:hashes.{name}", value.lower())] if fits else []
    if misp_type.startswith("x509-fingerprint-"):
        name, _ = HASHES[misp_type[len("x509-fingerprint-") :]]
        return [(f"x509-certificate:hashes.{name}", value.replace(":", "").lower())]
    return plain(misp_type, value)


def plain(misp_type, value):
    if misp_type in {"domain", "hostname"}:
        name = value.lower().rstrip(".")
        return [("domain-name:value", name.encode("idna").decode())] if "." in name else []
    if misp_type in {"ip-src", "ip-dst"}:
        network = ipaddress.ip_network(value)
        address = network.network_address
        if network.num_addresses > 1 or not address.is_global:
            return []
        return [(f"ipv{address.version}-addr:value", str(address))]
    if misp_type == "url":
        return [("url:value", value if "://" in value else f"http://{value}")]
    if misp_type in {"email", "email-src", "email-dst"}:
        return [("email-addr:value", value.lower())]
    if misp_type == "AS":
        return [("autonomous-system:number", value.upper().removeprefix("AS"))]
    return [(AS_WRITTEN[misp_type], value)] if misp_type in AS_WRITTEN else []


def pattern(path, value):
    return "[" + path + " = '" + re.sub(r"(['\\])", r"\\\1", value) + "']"


def attributes_of(event):
    """Every attribute with whether it is the name of a file whose hashes are sent."""
    for attribute in event.get("Attribute", []):
        yield attribute, False
    for misp_object in event.get("Object", []):
        hashed = any(
            member["to_ids"] and (member["type"] in HASHES or member["type"] in {"ssdeep", "impfuzzy", "tlsh"})
            for member in misp_object["Attribute"]
        )
        for member in misp_object["Attribute"]:
            yield member, hashed and member["type"] == "filename"


def expected(event):
    pairs = set()
    for attribute, name_of_hashes in attributes_of(event):
        if not attribute["to_ids"] or attribute.get("deleted") or name_of_hashes:
            continue
        if attribute["type"] not in UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES:
            continue
        uuid = attribute["uuid"].lower()
        for position, (path, value) in enumerate(oracle(attribute["type"], attribute["value"])):
            text = pattern(path, value)
            pairs.add((f"indicator--{uuid5(UUID(uuid), text) if position else uuid}", text))
    return pairs


def converted(path, settings):
    (event,) = events_in(path)
    parts = list(convert_event(event, ConversionRules.of(settings), NOW))
    return (
        event,
        [indicator for part in parts for indicator in part.indicators],
        [skip for part in parts for skip in part.skipped],
    )


@pytest.fixture(scope="module", params=FILES or [None], ids=lambda path: path.name if path else "none")
def real(request, make_settings):
    """One event, its indicators and its skips; last_seen of years ago is not to end them all."""
    return converted(request.param, make_settings(days_to_expire_ignore_misp_last_seen=True))


@needs_events
def test_there_are_29_of_them_with_much_to_send():
    assert len(FILES) == 29
    assert sum(len(expected(event)) for path in FILES for event in events_in(path)) > 900


@needs_events
def test_ids_and_patterns_are_the_expected_ones(real):
    event, indicators, _ = real
    pairs = [(indicator["id"], indicator["pattern"]) for indicator in indicators]
    assert len(set(pairs)) == len(pairs)
    assert set(pairs) == expected(event)


@needs_events
def test_every_other_attribute_has_its_reason(real):
    event, indicators, skipped = real
    all_attributes = Counter(attribute["uuid"].lower() for attribute, _ in attributes_of(event))
    sent = {indicator["external_references"][0]["external_id"] for indicator in indicators}
    assert Counter(skip.attribute_uuid.lower() for skip in skipped) == all_attributes - Counter(sent)
    quiet = Counter(attribute["to_ids"] for attribute, _ in attributes_of(event))[False]
    assert Counter(skip.reason for skip in skipped)[Skip.NO_TO_IDS] == quiet
    assert all(skip.words for skip in skipped if skip.reason is Skip.REFUSED)


@needs_events
def test_every_indicator_is_a_single_comparison_with_an_end(real):
    event, indicators, _ = real
    for indicator in indicators:
        assert re.fullmatch(r"\[[a-z0-9-]+:[^ ]+ = '(?:[^'\\]|\\.)*'\]", indicator["pattern"])
        assert indicator["valid_from"] < indicator["valid_until"]
        assert indicator["name"] == event["info"].strip()
    json.dumps(indicators, allow_nan=False)


@needs_events
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_objects_left_to_misp_stix_give_no_other_patterns(path, make_settings):
    settings = make_settings(days_to_expire_ignore_misp_last_seen=True, misp_flatten_attributes=False)
    event, indicators, skipped = converted(path, settings)
    assert {(indicator["id"], indicator["pattern"]) for indicator in indicators} <= expected(event)
    all_attributes = {attribute["uuid"].lower() for attribute, _ in attributes_of(event)}
    sent = {indicator["external_references"][0]["external_id"] for indicator in indicators}
    assert sent | {skip.attribute_uuid.lower() for skip in skipped} == all_attributes
    assert len(sent) + len(skipped) == len(all_attributes)


@needs_events
def test_the_file_cut_short_is_named():
    with pytest.raises(InputError, match=rf"{re.escape(CUT_SHORT)} is not whole JSON"):
        events_in(FOLDER / CUT_SHORT)
