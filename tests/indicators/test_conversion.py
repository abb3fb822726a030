"""One event in; indicators and skips out."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from itertools import product
from types import MappingProxyType
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import constants
from constants import (
    HASH_TYPES,
    LONGEST_VALUES,
    RULE_LANGUAGES,
    SENTINEL_DEFAULT_THREATTYPE,
    TLP_MARKINGS,
    UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES,
    Skip,
)
from helpers.indicators import misp_stix
from helpers.indicators.convert import CHUNK, ConversionResult, convert_event
from helpers.indicators.patterns import observables
from helpers.indicators.request_event import RequestObjectEvent
from helpers.indicators.rules import ConversionRules
from helpers.indicators.values import is_digest, normalise
from tests.support.examples import examples

NOW = datetime(2026, 11, 21, 12, 0, 0, 345_678, tzinfo=UTC)
EVENT_UUID = "cccccccc-0000-4000-8000-000000000001"
ORG_UUID = "dddddddd-0000-4000-8000-000000000001"
CREATED = "1790000000"  # 2026-09-21
KILL_CHAIN = "lockheed-martin-cyber-kill-chain"
DIGESTS = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128, "sha512/224": 56,
           "sha512/256": 64, "imphash": 32, "authentihash": 64, "pehash": 40, "tlsh": 70}  # fmt: skip
DIGESTS = {kind: "a1" * (length // 2) for kind, length in DIGESTS.items()}
DIGESTS |= {"ssdeep": "96:s4Ud1:Lj1", "impfuzzy": "48:8CpLQ5:8CpL"}
HASH_PATHS = {
    "md5": "file:hashes.MD5",
    "sha1": "file:hashes.'SHA-1'",
    "sha224": "file:hashes.'SHA-224'",
    "sha256": "file:hashes.'SHA-256'",
    "sha384": "file:hashes.'SHA-384'",
    "sha512": "file:hashes.'SHA-512'",
    "sha512/224": "file:hashes.'SHA-512/224'",
    "sha512/256": "file:hashes.'SHA-512/256'",
    "ssdeep": "file:hashes.SSDEEP",
    "tlsh": "file:hashes.TLSH",
    "imphash": "file:hashes.IMPHASH",
    "impfuzzy": "file:hashes.IMPFUZZY",
    "authentihash": "file:hashes.AUTHENTIHASH",
    "pehash": "file:hashes.PEHASH",
}


def uuid_of(number):
    return f"aaaaaaaa-0000-4000-8000-{number:012d}"


def attribute(number=1, misp_type="mutex", value="a mutex", **over):
    fields = {"uuid": uuid_of(number), "type": misp_type, "value": value, "to_ids": True, "timestamp": CREATED}
    return fields | over


def tagged(*names, **over):
    return attribute(Tag=[{"name": name} for name in names], **over)


def misp_object(number, name, *members, **over):
    return {"uuid": f"bbbbbbbb-0000-4000-8000-{number:012d}", "name": name, "Attribute": list(members)} | over


def event(*attributes, **over):
    fields = {
        "uuid": EVENT_UUID,
        "id": "7",
        "info": "A campaign",
        "date": "2026-11-01",
        "timestamp": CREATED,
        "Orgc": {"name": "ACME", "uuid": ORG_UUID},
        "Attribute": list(attributes),
    }
    return fields | over


def assert_sentinel_takes(indicators, now=NOW):
    """Every indicator is one that the upload APIs and Sentinel's stock rules can use."""
    time = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
    uuid = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    assert len({indicator["id"] for indicator in indicators}) == len(indicators)
    for indicator in indicators:
        json.dumps(indicator, ensure_ascii=False, allow_nan=False).encode()
        assert indicator["type"] == "indicator"
        assert (indicator["spec_version"], indicator["pattern_type"]) == ("2.1", "stix")
        assert re.fullmatch(f"indicator--{uuid}", indicator["id"])
        assert all(time.fullmatch(indicator[name]) for name in ("created", "modified", "valid_from", "valid_until"))
        assert indicator["created"] <= indicator["modified"]
        assert indicator["valid_from"] < indicator["valid_until"]
        assert indicator["valid_until"] > now.strftime("%Y-%m-%dT%H:%M:%S")
        assert isinstance(indicator["confidence"], int)
        assert 0 <= indicator["confidence"] <= 100
        assert indicator["name"]
        assert indicator["description"]
        for name, value in indicator.items():
            assert value not in ([], {}, "", None), name
        assert all(
            isinstance(text, str) and text for text in [*indicator.get("labels", []), *indicator["indicator_types"]]
        )
        assert indicator["object_marking_refs"][0] in TLP_MARKINGS.values()
        assert len(indicator["object_marking_refs"]) == 1
        assert re.fullmatch(f"identity--{uuid}", indicator.get("created_by_ref", f"identity--{ORG_UUID}"))
        assert all(set(phase) == {"kill_chain_name", "phase_name"} for phase in indicator.get("kill_chain_phases", []))
        assert [observable.pattern for observable in observables(indicator["pattern"])] == [indicator["pattern"]]


@pytest.fixture
def convert(make_settings):
    """A function that converts one event, and holds what must be true of every conversion against it."""

    def convert_and_check(misp_event, now=NOW, actor_names=MappingProxyType({}), **settings):
        result = ConversionResult()
        for part in convert_event(misp_event, ConversionRules.of(make_settings(**settings)), now, actor_names):
            result.attributes += part.attributes
            result.indicators += part.indicators
            result.skipped += part.skipped
            result.left_out += part.left_out
        assert_sentinel_takes(result.indicators, now)
        sent = {indicator["external_references"][0]["external_id"] for indicator in result.indicators}
        skipped = [skip.attribute_uuid.lower() for skip in result.skipped]
        if settings.get("misp_flatten_attributes", True):
            assert len(sent) + len(skipped) == result.attributes
        assert all(isinstance(skip.reason, Skip) and str(skip) for skip in [*result.skipped, *result.left_out])
        return result

    return convert_and_check


@pytest.fixture
def only(convert):
    """A function that returns the one indicator of one attribute."""

    def convert_one(raw, now=NOW, in_event=None, **settings):
        result = convert(event(raw, **(in_event or {})), now, **settings)
        assert [str(skip) for skip in result.skipped] == []
        (indicator,) = result.indicators
        return indicator

    return convert_one


@pytest.fixture
def refused(convert):
    """A function that returns why one attribute is not sent."""

    def convert_none(raw, **settings):
        result = convert(event(raw, attribute(99)), **settings)
        (skip,) = result.skipped
        assert [indicator["id"] for indicator in result.indicators] == [f"indicator--{uuid_of(99)}"]
        return skip

    return convert_none


def patterns(result):
    return [indicator["pattern"] for indicator in result.indicators]


def reasons(result):
    return {skip.attribute_uuid: skip.reason for skip in result.skipped}


# --- Which attributes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (attribute(to_ids=False), Skip.NO_TO_IDS),
        (attribute(to_ids="0"), Skip.NO_TO_IDS),
        (attribute(to_ids=None), Skip.NO_TO_IDS),
        (attribute(deleted=True), Skip.DELETED),
        (attribute(deleted="1"), Skip.DELETED),
        (attribute(misp_type="text"), Skip.TYPE_NOT_ACCEPTED),
        (attribute(misp_type=None), Skip.TYPE_NOT_ACCEPTED),
        (attribute(misp_type=["md5"]), Skip.TYPE_NOT_ACCEPTED),
        (attribute(misp_type={}), Skip.TYPE_NOT_ACCEPTED),
        (attribute(uuid="garbage"), Skip.BAD_UUID),
        (attribute(uuid=""), Skip.BAD_UUID),
        (attribute(uuid=None), Skip.BAD_UUID),
        (attribute(uuid=["x"]), Skip.BAD_UUID),
        (attribute(uuid="00000000-0000-0000-0000-000000000000"), Skip.BAD_UUID),
        (attribute(uuid="{aaaaaaaa-0000-4000-8000-000000000001}"), Skip.BAD_UUID),
        (attribute(uuid="aaaaaaaa000040008000000000000001"), Skip.BAD_UUID),
        (attribute(value=""), Skip.BAD_VALUE),
        (attribute(value=None), Skip.BAD_VALUE),
        (attribute(value={"a": 1}), Skip.BAD_VALUE),
        (attribute(misp_type="domain", value="..."), Skip.BAD_VALUE),
        (attribute(misp_type="ip-dst", value="198.51.100.0/24"), Skip.CIDR),
        (attribute(misp_type="ip-src|port", value="10.0.0.1|80"), Skip.PRIVATE_ADDRESS),
        (attribute(misp_type="md5", value="zz"), Skip.REFUSED),
        (attribute(misp_type="malware-type", value="Trojan"), Skip.REFUSED),
        (attribute(last_seen="soon"), Skip.NO_VALID_UNTIL),
        (attribute(last_seen="2020-01-01T00:00:00Z"), Skip.EXPIRED),
    ],
)
def test_what_is_not_sent_has_its_reason_and_costs_nothing_else(refused, raw, reason):
    assert refused(raw).reason is reason


@pytest.mark.parametrize("language", sorted(RULE_LANGUAGES))
def test_rules_are_skipped(refused, language):
    assert refused(attribute(misp_type=language, value="rule x { condition: true }")).reason is Skip.RULE_LANGUAGE


@pytest.mark.parametrize("flag", [True, 1, "1"])
def test_to_ids_in_its_forms(only, flag):
    assert only(attribute(to_ids=flag))["pattern"] == "[mutex:name = 'a mutex']"


def test_misp_stix_has_its_words_in_a_skip(refused):
    assert "32 hexadecimal characters" in refused(attribute(misp_type="md5", value="zz")).words
    assert "malware-type" in refused(attribute(misp_type="malware-type", value="x")).words


def test_a_skip_is_one_short_line(refused):
    skip = refused(attribute(uuid="a\nb" * 100, misp_type="x\r\ny" * 100, value="line\n" * 100_000))
    assert len(str(skip)) < 1_000
    assert str(skip).isprintable()


def test_deleted_objects_and_members(convert):
    result = convert(
        event(
            Object=[
                misp_object(1, "file", attribute(1), deleted=True),
                misp_object(2, "file", attribute(2, deleted="1"), attribute(3)),
            ]
        )
    )
    assert reasons(result) == {uuid_of(1): Skip.DELETED, uuid_of(2): Skip.DELETED}
    assert len(result.indicators) == 1


def test_the_second_attribute_of_a_uuid_is_skipped(convert):
    result = convert(
        event(
            attribute(1, value=""),
            attribute(1, value="first"),
            attribute(1, value="second", uuid=uuid_of(1).upper()),
            Object=[misp_object(1, "file", attribute(1, value="third"))],
        )
    )
    assert patterns(result) == ["[mutex:name = 'first']"]
    assert [skip.reason for skip in result.skipped] == [Skip.BAD_VALUE, Skip.DUPLICATE_UUID, Skip.DUPLICATE_UUID]


def test_a_site_accepts_other_types(monkeypatch, convert):
    monkeypatch.setattr(constants, "UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES", ["uri", "malware-sample"])
    result = convert(
        event(attribute(1), attribute(2, "uri", "/a"), attribute(3, "malware-sample", "a.exe|" + DIGESTS["md5"]))
    )
    assert patterns(result) == ["[url:value = '/a']", f"[file:hashes.MD5 = '{DIGESTS['md5']}']"]
    assert reasons(result) == {uuid_of(1): Skip.TYPE_NOT_ACCEPTED}
    monkeypatch.setattr(constants, "UPLOAD_INDICATOR_API_ACCEPTED_TYPES", [])
    result = convert(event(attribute(2, "uri", "/a")))
    assert reasons(result) == {uuid_of(2): Skip.STIX_TYPE_NOT_ACCEPTED}


# --- Patterns --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("misp_type", "value", "expected"),
    [
        ("ip-src", "192.0.2.1", ["[ipv4-addr:value = '192.0.2.1']"]),
        ("ip-dst", "2001:DB8::1", ["[ipv6-addr:value = '2001:db8::1']"]),
        ("ip-dst", "::ffff:192.0.2.1", ["[ipv4-addr:value = '192.0.2.1']"]),
        ("ip-src|port", "192.0.2.1|443", ["[ipv4-addr:value = '192.0.2.1']"]),
        ("ip-dst|port", "2001:db8::1|443", ["[ipv6-addr:value = '2001:db8::1']"]),
        (
            "domain|ip",
            "Evil.Example.|192.0.2.1",
            ["[domain-name:value = 'evil.example']", "[ipv4-addr:value = '192.0.2.1']"],
        ),
        (
            "domain|ip",
            "bücher.example|2001:db8::1",
            ["[domain-name:value = 'xn--bcher-kva.example']", "[ipv6-addr:value = '2001:db8::1']"],
        ),
        ("hostname|port", "C2.Example|443", ["[domain-name:value = 'c2.example']"]),
        ("hostname", "bücher.example.", ["[domain-name:value = 'xn--bcher-kva.example']"]),
        ("email", "Bob@Example.org", ["[email-addr:value = 'bob@example.org']"]),
        ("email-src", "Bob@Example.org", ["[email-addr:value = 'bob@example.org']"]),
        ("email-dst", "Bob@Example.org", ["[email-addr:value = 'bob@example.org']"]),
        ("regkey", "HKLM\\A'B", ["[windows-registry-key:key = 'HKLM\\\\A\\'B']"]),
        ("regkey", "HKLM\\A%b%", ["[windows-registry-key:key = 'HKLM\\\\A%b%']"]),
        ("regkey|value", "HKLM\\A|x|y", ["[windows-registry-key:key = 'HKLM\\\\A']"]),
        ("url", "Evil.example/A", ["[url:value = 'http://Evil.example/A']"]),
        ("url", "http://evil.example/?q=(dot)", ["[url:value = 'http://evil.example/?q=(dot)']"]),
        ("url", "http://evil.example/\U0001f600", ["[url:value = 'http://evil.example/\U0001f600']"]),
        ("filename", "\U0001f600'\\\t|.exe", ["[file:name = '\U0001f600\\'\\\\\t|.exe']"]),
        ("email-subject", "\U0001f600", ["[email-message:subject = '\U0001f600']"]),
        ("AS", "AS1.10", ["[autonomous-system:number = '65546']"]),
        ("tlsh", "T1" + DIGESTS["tlsh"], [f"[file:hashes.TLSH = '{DIGESTS['tlsh']}']"]),
        ("x509-fingerprint-sha1", "A1:" * 19 + "A1", [f"[x509-certificate:hashes.'SHA-1' = '{'a1' * 20}']"]),
    ],
)
def test_patterns_and_ids_of_an_attribute(convert, misp_type, value, expected):
    result = convert(event(attribute(1, misp_type, value)))
    assert patterns(result) == expected
    first, *others = [indicator["id"] for indicator in result.indicators]
    assert first == f"indicator--{uuid_of(1)}"
    assert others == [f"indicator--{uuid5(UUID(uuid_of(1)), pattern)}" for pattern in expected[1:]]


@pytest.mark.parametrize("kind", HASH_TYPES)
def test_a_hash_without_and_with_a_file_name(convert, kind):
    digest = DIGESTS[kind]
    upper = digest if kind in {"ssdeep", "impfuzzy"} else digest.upper()
    result = convert(event(attribute(1, kind, upper), attribute(2, f"filename|{kind}", f"a|b's.exe|{upper}")))
    assert patterns(result) == [f"[{HASH_PATHS[kind]} = '{digest}']"] * 2
    assert [indicator["id"] for indicator in result.indicators] == [
        f"indicator--{uuid_of(1)}",
        f"indicator--{uuid_of(2)}",
    ]
    alone, named = (indicator["description"] for indicator in result.indicators)
    assert "a|b's.exe" in named
    assert "File name" not in alone


def test_a_file_object_becomes_one_indicator_per_hash(convert):
    kinds = list(DIGESTS)
    members = [attribute(number, kind, DIGESTS[kind]) for number, kind in enumerate(kinds, 1)]
    names = [
        attribute(98, "filename", "one.exe", to_ids=False),
        attribute(99, "filename", "two.exe"),
        attribute(97, "filename", "gone.exe", deleted=True),
    ]
    result = convert(event(Object=[misp_object(1, "file", *members, *names)]))
    assert patterns(result) == [f"[{HASH_PATHS[kind]} = '{DIGESTS[kind]}']" for kind in kinds]
    assert all("one.exe, two.exe" in indicator["description"] for indicator in result.indicators)
    assert all("gone.exe" not in indicator["description"] for indicator in result.indicators)
    assert all("file" in indicator["description"].splitlines()[-2] for indicator in result.indicators)
    assert reasons(result) == {uuid_of(98): Skip.NO_TO_IDS, uuid_of(99): Skip.FILE_NAME, uuid_of(97): Skip.DELETED}


BAD_HASHES = {
    "no hash": {"value": "zz"},
    "one of another type": {"value": "a1" * 16},
    "expired": {"last_seen": "2026-11-20T00:00:00Z"},
    "without an end": {"last_seen": "soon"},
    "deleted": {"deleted": True},
    "not flagged": {"to_ids": False},
}


@pytest.mark.parametrize("flatten", [True, False])
@pytest.mark.parametrize("why", BAD_HASHES)
def test_a_file_whose_hash_is_not_sent_gives_its_name(convert, make_settings, why, flatten):
    bad = attribute(1, "sha256", **{"value": DIGESTS["sha256"], "object_relation": "sha256", **BAD_HASHES[why]})
    name = attribute(9, "filename", "a.exe", object_relation="filename")
    of = event(Object=[misp_object(1, "file", bad, name)])
    result = convert(of, misp_flatten_attributes=flatten)
    assert patterns(result) == ["[file:name = 'a.exe']"]
    assert list(reasons(result)) == [uuid_of(1)]
    assert result.attributes == 2
    good = attribute(2, "md5", DIGESTS["md5"], object_relation="md5")
    result = convert(event(Object=[misp_object(1, "file", bad, good, name)]), misp_flatten_attributes=flatten)
    assert patterns(result) == [f"[file:hashes.MD5 = '{DIGESTS['md5']}']"]
    assert reasons(result)[uuid_of(9)] is Skip.FILE_NAME


@pytest.mark.parametrize("kind", HASH_TYPES)
def test_what_counts_as_a_hash_is_what_is_sent_as_one(convert, kind):
    """A name must not be left out for a hash that misp-stix refuses."""
    values = {*DIGESTS.values(), "zz", "a1", "1:2", "1:b:c", "", "é" * 32, *(text[:-1] for text in DIGESTS.values())}
    for value in values:
        sent = any("file:hashes" in pattern for pattern in patterns(convert(event(attribute(1, kind, value)))))
        assert sent == is_digest(kind, value), value


def test_a_file_object_without_a_hash_gives_its_name(convert):
    result = convert(event(Object=[misp_object(1, "file", attribute(1, "filename", "a.exe"))]))
    assert patterns(result) == ["[file:name = 'a.exe']"]


def test_half_of_a_domain_and_address_takes_the_first_id(convert):
    result = convert(event(attribute(1, "domain|ip", "a.example|10.0.0.1"), attribute(2, "domain|ip", "|192.0.2.1")))
    assert patterns(result) == ["[domain-name:value = 'a.example']", "[ipv4-addr:value = '192.0.2.1']"]
    assert [indicator["id"] for indicator in result.indicators] == [
        f"indicator--{uuid_of(1)}",
        f"indicator--{uuid_of(2)}",
    ]
    assert [(half.attribute_uuid, half.reason) for half in result.left_out] == [
        (uuid_of(1), Skip.PRIVATE_ADDRESS),
        (uuid_of(2), Skip.BAD_VALUE),
    ]


def test_one_observable_of_two_may_have_expired(convert):
    raw = attribute(1, "domain|ip", "a.example|192.0.2.1", timestamp=str(int(NOW.timestamp()) - 86_400 * 200))
    result = convert(event(raw), days_to_expire_start="valid_from")
    assert patterns(result) == ["[domain-name:value = 'a.example']"]
    assert [half.reason for half in result.left_out] == [Skip.EXPIRED]
    raw["timestamp"] = "1"
    assert reasons(convert(event(raw), days_to_expire_start="valid_from")) == {uuid_of(1): Skip.EXPIRED}


def test_private_and_cidr_where_the_settings_want_them(convert):
    values = ["10.0.0.1", "198.51.100.9/24", "fd00::1", "2001:db8::/32"]
    result = convert(
        event(*(attribute(number, "ip-dst", value) for number, value in enumerate(values))), send_private_and_cidr=True
    )
    assert patterns(result) == [
        "[ipv4-addr:value = '10.0.0.1']",
        "[ipv4-addr:value = '198.51.100.0/24']",
        "[ipv6-addr:value = 'fd00::1']",
        "[ipv6-addr:value = '2001:db8::/32']",
    ]


@pytest.mark.parametrize("kind", ["url", "filename", "mutex", "user-agent", "regkey"])
def test_the_longest_value_of_its_type(only, kind):
    begin, end = "http://a.example/" if kind == "url" else "", "é\U0001f600"
    value = begin + ("x'\\" * LONGEST_VALUES[kind])[: LONGEST_VALUES[kind] - len(begin + end)] + end
    (observable,) = observables(only(attribute(misp_type=kind, value=value))["pattern"])
    assert observable.value == value


def test_any_valid_version_of_uuid_in_lower_case(convert):
    uuids = [f"AAAAAAAA-0000-{version}000-8000-00000000000{version}" for version in "134578"]
    result = convert(event(*(attribute(uuid=uuid, value=uuid) for uuid in uuids)))
    assert [indicator["id"] for indicator in result.indicators] == [f"indicator--{uuid.lower()}" for uuid in uuids]


def test_the_same_value_in_two_events_is_sent_twice(only):
    first = only(attribute(1), in_event={"Tag": [{"name": "tlp:red"}]})
    second = only(attribute(2), in_event={"uuid": "cccccccc-0000-4000-8000-000000000002"})
    assert first["pattern"] == second["pattern"]
    assert first["id"] != second["id"]
    assert first["object_marking_refs"] != second["object_marking_refs"]


def test_two_runs_give_the_same(convert):
    misp_event = event(attribute(1, "domain|ip", "a.example|192.0.2.1"), attribute(2, "md5", "zz"))
    assert convert(misp_event) == convert(json.loads(json.dumps(misp_event)))


def test_a_large_event_comes_in_parts(make_settings):
    count = CHUNK + 3
    attributes = [attribute(number, "mutex", f"m{number}") for number in range(count)]
    attributes[5]["timestamp"] = ""
    parts = list(convert_event(event(*attributes), ConversionRules.of(make_settings()), NOW))
    assert [part.attributes for part in parts] == [0, CHUNK, 3]
    assert sum(len(part.indicators) for part in parts) == count


# --- Dates -----------------------------------------------------------------------------------------


def test_created_comes_from_the_attribute_and_modified_is_now(only):
    indicator = only(attribute())
    assert indicator["created"] == indicator["valid_from"] == "2026-09-21T14:13:20.000Z"
    assert indicator["modified"] == "2026-11-21T12:00:00.345Z"


@pytest.mark.parametrize("timestamp", ["", None, "soon", [], {}, True, "9" * 20, "9" * 5000])
def test_a_bad_timestamp_is_the_events(only, timestamp):
    assert only(attribute(timestamp=timestamp))["created"] == "2026-09-21T14:13:20.000Z"
    no_time = {"timestamp": "soon"}
    assert only(attribute(timestamp=timestamp), in_event=no_time)["created"] == "2026-11-21T12:00:00.345Z"


def test_a_timestamp_in_the_future_is_now(only):
    indicator = only(attribute(timestamp="4000000000"))
    assert indicator["created"] == indicator["modified"]


def test_a_timestamp_of_long_ago_is_still_a_date(only):
    assert only(attribute(timestamp="-62000000000"))["created"] == "0005-04-19T09:46:40.000Z"


@pytest.mark.parametrize(
    ("misp_type", "value", "days"),
    [
        ("ip-dst", "192.0.2.1", 150),
        ("ip-dst", "2001:db8::1", 150),
        ("domain", "a.example", 300),
        ("url", "http://a.example", 400),
        ("mutex", "m", 50),
    ],
)
def test_valid_until_by_kind_from_now_or_from_the_attribute(only, misp_type, value, days):
    raw = attribute(misp_type=misp_type, value=value, timestamp=str(int(NOW.timestamp()) - 86_400))
    assert only(raw)["valid_until"] == (NOW + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.345Z")
    later = NOW + timedelta(days=days - 1)
    indicator = only(raw, days_to_expire_start="valid_from")
    assert indicator["valid_until"] == later.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_the_longest_key_of_the_mapping_counts(only):
    mapping = {"file": 10, "file:hashes.'SHA-256'": 30, "file:hashes": 20}
    expected = {"sha256": 30, "md5": 20, "filename": 10}
    for kind, days in expected.items():
        indicator = only(attribute(misp_type=kind, value=DIGESTS.get(kind, "a.exe")), days_to_expire_mapping=mapping)
        assert indicator["valid_until"].startswith((NOW + timedelta(days=days)).strftime("%Y-%m-%d"))


def test_last_seen_ends_an_indicator_unless_it_is_ignored(only, refused):
    raw = attribute(last_seen="2026-12-01T10:00:00+02:00")
    assert only(raw)["valid_until"] == "2026-12-01T08:00:00.000Z"
    assert only(raw, days_to_expire_ignore_misp_last_seen=True)["valid_until"].startswith("2027-01-10")
    for past in ("2026-11-21T12:00:00Z", NOW.isoformat(), (NOW + timedelta(microseconds=100)).isoformat()):
        old = attribute(last_seen=past, timestamp="4000000000")
        assert refused(old).reason is Skip.EXPIRED
    assert only(old, days_to_expire_ignore_misp_last_seen=True)


@pytest.mark.parametrize(
    "empty",
    [
        *("", None, 0, False, [], "0", 0.0, "1970-01-01T00:00:00.000000+00:00", "1970-01-01T00:00:00"),
        *("1970-01-01T00:00:00+02:00", "1970-01-01T00:00:00-05:00", "1970-01-01", "0000-00-00 00:00:00"),
    ],
)
def test_no_last_seen_is_start_and_days(only, make_settings, empty):
    assert only(attribute(last_seen=empty))["valid_until"].startswith("2027-01-10")
    assert ConversionRules.of(make_settings()).expiry_moves({"last_seen": empty})


def test_days_beyond_the_calendar_are_skipped(convert):
    result = convert(event(attribute()), NOW.replace(year=9999))
    assert reasons(result) == {uuid_of(1): Skip.NO_VALID_UNTIL}


# --- What tags say ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "of_event", "level"),
    [
        ([], [], "white"),
        ([], ["tlp:amber"], "amber"),
        (["TLP:GREEN"], ["tlp:red"], "green"),
        (["tlp:green", "tlp:red", "tlp:amber"], [], "red"),
        (["tlp:clear"], ["tlp:red"], "white"),
        (["TLP:AMBER+STRICT"], [], "amber"),
        (["tlp:nonsense"], ["tlp:green"], "green"),
    ],
)
def test_tlp(only, own, of_event, level):
    indicator = only(tagged(*own), in_event={"Tag": [{"name": name} for name in of_event]})
    assert indicator["object_marking_refs"] == [TLP_MARKINGS[level]]


def test_defaults_are_the_sites(monkeypatch, only):
    assert only(attribute())["indicator_types"] == [SENTINEL_DEFAULT_THREATTYPE]
    monkeypatch.setattr(constants, "SENTINEL_DEFAULT_TLP", "TLP:AMBER")
    monkeypatch.setattr(constants, "SENTINEL_DEFAULT_THREATTYPE", "Malware")
    indicator = only(attribute(), default_confidence=33)
    assert indicator["object_marking_refs"] == [TLP_MARKINGS["amber"]]
    assert indicator["indicator_types"] == ["Malware"]
    assert indicator["confidence"] == 33


def test_a_local_tlp_counts_although_it_is_no_label(only):
    indicator = only(attribute(Tag=[{"name": "tlp:red", "local": 1}, {"name": "secret", "local": True}]))
    assert indicator["object_marking_refs"] == [TLP_MARKINGS["red"]]
    assert "secret" not in json.dumps(indicator)
    indicator = only(attribute(Tag=[{"name": "secret", "local": True}]), ignore_localtags=False)
    assert "secret" in indicator["labels"]


def test_confidence_and_threat_type_of_the_attribute_before_the_event(only):
    of_event = {"Tag": [{"name": 'misp:confidence-level="unconfident"'}, {"name": "sentinel-threattype:C2"}]}
    indicator = only(attribute(), in_event=of_event)
    assert (indicator["confidence"], indicator["indicator_types"]) == (0, ["C2"])
    indicator = only(
        tagged("sentinel-threattype:botnet", 'misp:confidence-level="usually-confident"'), in_event=of_event
    )
    assert (indicator["confidence"], indicator["indicator_types"]) == (75, ["Botnet"])


def test_kill_chain_phases_beside_those_of_misp_stix(only):
    raw = tagged("kill-chain:Command and Control", category="Network activity")
    indicator = only(raw, in_event={"Tag": [{"name": "kill-chain:Delivery"}]})
    assert indicator["kill_chain_phases"] == [
        {"kill_chain_name": "misp-category", "phase_name": "Network activity"},
        {"kill_chain_name": KILL_CHAIN, "phase_name": "command-and-control"},
        {"kill_chain_name": KILL_CHAIN, "phase_name": "delivery"},
    ]


def test_labels(monkeypatch, only):
    raw = tagged("osint:a", "plain", "tlp:red", "misp:tool=x", category="Payload delivery")
    of_event = {"Tag": [{"name": "osint:b"}, {"name": "plain"}, {"name": "here", "local": True}]}
    assert only(raw, in_event=of_event)["labels"] == ["osint:a", "plain", "osint:b"]
    monkeypatch.setattr(constants, "MISP_ALLOWED_TAXONOMIES", ["osint"])
    monkeypatch.setattr(constants, "MISP_TAGS_IGNORE", ["osint:B"])
    assert only(raw, in_event=of_event)["labels"] == ["osint:a"]


@pytest.mark.parametrize(
    ("ignored", "allowed", "labels"),
    [
        ([], [], ['misp:type="mutex"', 'misp:category="Payload delivery"', "plain"]),
        (["MISP:Type"], [], ['misp:category="Payload delivery"', "plain"]),
        (["misp:"], [], ["plain"]),
        (['misp:category="payload'], [], ['misp:type="mutex"', "plain"]),
        ([], ["misp"], ['misp:type="mutex"', 'misp:category="Payload delivery"']),
        ([], ["osint"], []),
        (["misp:category"], ["MISP"], ['misp:type="mutex"']),
    ],
)
def test_the_lists_count_for_the_labels_of_misp_stix_too(monkeypatch, only, ignored, allowed, labels):
    monkeypatch.setattr(constants, "MISP_TAGS_IGNORE", ignored)
    monkeypatch.setattr(constants, "MISP_ALLOWED_TAXONOMIES", allowed)
    indicator = only(tagged("plain", category="Payload delivery"))
    assert indicator.get("labels", []) == labels
    assert ("labels" in indicator) is bool(labels)


@pytest.mark.parametrize(
    "bad", [None, "tlp:red", {}, [None, 7, [], {}, {"name": None}, {"name": ["tlp:red"]}, {"x": 1}]]
)
def test_bad_tags_cost_nothing(only, bad):
    indicator = only(attribute(Tag=bad), in_event={"Tag": bad})
    assert indicator["object_marking_refs"] == [TLP_MARKINGS["white"]]
    assert "labels" not in indicator


# --- Actors ----------------------------------------------------------------------------------------

SOFACY = 'misp-galaxy:threat-actor="Sofacy"'


def labels_of(result):
    return [indicator.get("labels", []) for indicator in result.indicators]


def test_actors_of_tags_are_named_in_labels(convert):
    sent = event(tagged(SOFACY), attribute(2), Tag=[{"name": 'misp-galaxy:threat-actor="Turla"'}, {"name": "plain"}])
    names = {SOFACY: "Sofacy", sent["Tag"][0]["name"]: "Turla"}
    of_event = [sent["Tag"][0]["name"], "plain"]
    assert labels_of(convert(sent, actor_names=names)) == [
        [SOFACY, *of_event, "ActivityGroup:Sofacy"],
        [*of_event, "ActivityGroup:Turla"],
    ]
    without = [[SOFACY, *of_event], of_event]
    assert labels_of(convert(sent)) == labels_of(convert(sent, actor_names=names, activity_group_labels=False))
    assert labels_of(convert(sent)) == without


def test_actors_are_named_whose_tags_are_no_labels(monkeypatch, only):
    monkeypatch.setattr(constants, "MISP_TAGS_IGNORE", ["misp"])
    raw = tagged(SOFACY)
    names = {SOFACY: "Sofacy"}
    assert only(raw, actor_names=names)["labels"] == ["ActivityGroup:Sofacy"]


def test_each_observable_of_an_attribute_and_each_member_of_an_object_has_its_actors(convert):
    names = {SOFACY: "Sofacy"}
    both = attribute(1, "domain|ip", "example.com|192.0.2.1", Tag=[{"name": SOFACY}])
    members = [attribute(2, "md5", "a" * 32, Tag=[{"name": SOFACY}]), attribute(3, "sha1", "b" * 40)]
    sent = event(both, Object=[misp_object(1, "file", *members)])
    result = convert(sent, actor_names=names, misp_flatten_attributes=False)
    named = {
        indicator["pattern"]: "ActivityGroup:Sofacy" in indicator.get("labels", []) for indicator in result.indicators
    }
    assert named == {
        "[domain-name:value = 'example.com']": True,
        "[ipv4-addr:value = '192.0.2.1']": True,
        f"[file:hashes.MD5 = '{'a' * 32}']": True,
        f"[file:hashes.'SHA-1' = '{'b' * 40}']": False,
    }


def test_attributes_that_name_actors_are_behind_all_and_counted_once(convert):
    named = [
        attribute(11, "threat-actor", "APT 0", to_ids=False),
        attribute(12, "threat-actor", "apt 0"),
        attribute(13, "threat-actor", "gone", deleted=True),
        attribute(14, "threat-actor", "x" * 65, to_ids=False),
        attribute(15, "threat-actor", "x" * 65),
        attribute(16, "malware-type", "loader", to_ids=False),
    ]
    member = attribute(17, "threat-actor", "Turla", to_ids=False)
    sent = event(attribute(1), *named, Object=[misp_object(1, "actor", member)])
    result = convert(sent)
    assert labels_of(result) == [["ActivityGroup:APT 0", "ActivityGroup:Turla"]]
    skipped = {uuid_of(13): Skip.DELETED, uuid_of(15): Skip.TYPE_NOT_ACCEPTED}
    not_flagged = {uuid_of(number): Skip.NO_TO_IDS for number in (11, 14, 16, 17)}
    assert reasons(result) == {
        **skipped,
        **not_flagged,
        **{uuid_of(number): Skip.EVENT_NAME for number in (11, 12, 17)},
    }
    off = convert(sent, activity_group_labels=False)
    assert labels_of(off) == [[]]
    assert reasons(off) == {**skipped, **not_flagged, uuid_of(12): Skip.TYPE_NOT_ACCEPTED}


# --- What leads back to MISP -----------------------------------------------------------------------


def test_name_description_organisation_and_references(only):
    indicator = only(attribute(comment="Seen in a mail"))
    assert indicator["name"] == "A campaign"
    lines = indicator["description"].splitlines()
    assert lines[0] == "Seen in a mail"
    assert all(word in lines[-1] for word in ("A campaign", "7", EVENT_UUID, "ACME", "2026-11-01"))
    assert indicator["created_by_ref"] == f"identity--{ORG_UUID}"
    (reference,) = indicator["external_references"]
    assert reference["url"] == f"https://misp.example.org/events/view/{EVENT_UUID}"
    assert reference["external_id"] == uuid_of(1)
    assert reference["source_name"] == "MISP"


def test_without_misp_domain_there_is_no_page(only):
    assert "url" not in only(attribute(), misp_domain="")["external_references"][0]


def test_an_event_without_a_uuid_is_found_by_its_id(only):
    indicator = only(attribute(), in_event={"uuid": None})
    assert indicator["external_references"][0]["url"] == "https://misp.example.org/events/view/7"
    assert "MISP event 7 by ACME" in indicator["description"]
    assert "url" not in only(attribute(), in_event={"uuid": None, "id": "../7"})["external_references"][0]


@pytest.mark.parametrize(
    "over",
    [
        {"uuid": "garbage"},
        {"uuid": ["x"]},
        {"id": {}},
        {"info": None},
        {"info": ["x"]},
        {"info": ""},
        {"date": 7},
        {"timestamp": "soon"},
        {"Orgc": None},
        {"Orgc": "ACME"},
        {"Orgc": {"name": "ACME"}},
        {"Orgc": {"name": None, "uuid": "garbage"}},
        {"threat_level_id": "9"},
        {"analysis": []},
        {"Galaxy": [{"GalaxyCluster": [{"uuid": ""}]}]},
        {"Tag": "x"},
        {"Object": "x"},
        {"Object": [None, 7, "x", {}, {"Attribute": "x"}, {"Attribute": [None, 7]}]},
        {"EventReport": "x"},
        {"RelatedEvent": 7},
    ],
)
def test_garbage_in_the_event_costs_nothing(only, over):
    raw = attribute(
        Galaxy=[{"GalaxyCluster": [{"uuid": ""}]}], Sighting=[{}], ShadowAttribute=7, object_relation=[], category=[]
    )
    indicator = only(raw, in_event=over)
    assert indicator["name"] == ("(no info)" if "info" in over else "A campaign")
    assert ("created_by_ref" in indicator) == ("Orgc" not in over)


def test_text_that_utf_8_cannot_hold_is_replaced(only):
    indicator = only(tagged("half \ud800", comment="c\udfff", category="x\ud800"), in_event={"info": "i\ud800"})
    assert indicator["name"] == "i?"
    assert "half ?" in indicator["labels"]


def test_an_event_without_attributes(convert):
    assert convert({}) == convert({"Attribute": None, "Object": {}}) == ConversionResult()


# --- Objects left to misp-stix ---------------------------------------------------------------------


def whole(convert, *objects, **over):
    return convert(event(Object=list(objects), **over), misp_flatten_attributes=False)


def test_objects_are_traced_to_their_members(convert):
    result = whole(
        convert,
        misp_object(
            1,
            "ip-port",
            attribute(1, "ip-dst", "192.0.2.1", object_relation="ip", Tag=[{"name": "tlp:red"}]),
            attribute(2, "domain", "Evil.Example", object_relation="domain", comment="the name"),
            attribute(3, "port", "443", object_relation="dst-port"),
        ),
        misp_object(2, "url", attribute(4, "url", "http://a.example/\U0001f600?(dot)", object_relation="url")),
        misp_object(3, "ip-port", attribute(5, "ip-dst", "::ffff:192.0.2.9", object_relation="ip")),
        misp_object(4, "registry-key", attribute(6, "regkey", "HKLM\\A%b%", object_relation="key")),
    )
    assert {indicator["id"]: indicator["pattern"] for indicator in result.indicators} == {
        f"indicator--{uuid_of(1)}": "[ipv4-addr:value = '192.0.2.1']",
        f"indicator--{uuid_of(2)}": "[domain-name:value = 'evil.example']",
        f"indicator--{uuid_of(4)}": "[url:value = 'http://a.example/\U0001f600?(dot)']",
        f"indicator--{uuid_of(5)}": "[ipv4-addr:value = '192.0.2.9']",
        f"indicator--{uuid_of(6)}": "[windows-registry-key:key = 'HKLM\\\\A%b%']",
    }
    assert result.indicators[0]["object_marking_refs"] == [TLP_MARKINGS["red"]]
    assert result.indicators[1]["description"].startswith("the name\n")
    assert reasons(result) == {uuid_of(3): Skip.NOT_MATCHABLE}
    assert result.attributes == 6


def test_an_address_that_an_object_calls_a_domain_is_an_address(convert):
    member = attribute(1, "domain", "203.0.113.9", object_relation="domain")
    name = attribute(2, "domain", "evil.example", object_relation="domain")
    result = whole(convert, misp_object(1, "domain-ip", member, name))
    assert patterns(result) == ["[ipv4-addr:value = '203.0.113.9']", "[domain-name:value = 'evil.example']"]
    assert [indicator["id"] for indicator in result.indicators] == [f"indicator--{uuid_of(n)}" for n in (1, 2)]


def test_a_file_object_left_to_misp_stix(convert):
    kinds = ["md5", "sha512/256", "sha256", "sha512/224"]
    members = [attribute(n, kind, DIGESTS[kind].upper(), object_relation=kind) for n, kind in enumerate(kinds, 1)]
    members[2]["value"] = "b2" * 32
    members += [attribute(8, "sha1", "zz", object_relation="sha1"), attribute(9, "filename", "a.exe")]
    result = whole(convert, misp_object(1, "file", *members))
    by_attribute = {
        indicator["external_references"][0]["external_id"]: indicator["pattern"] for indicator in result.indicators
    }
    assert by_attribute == {
        uuid_of(1): f"[file:hashes.MD5 = '{DIGESTS['md5']}']",
        uuid_of(2): f"[file:hashes.'SHA-512/256' = '{DIGESTS['sha512/256']}']",
        uuid_of(3): f"[file:hashes.'SHA-256' = '{'b2' * 32}']",
        uuid_of(4): f"[file:hashes.'SHA-512/224' = '{DIGESTS['sha512/224']}']",
    }
    assert all("File name: a.exe" in indicator["description"] for indicator in result.indicators)
    bad = {skip.attribute_uuid: skip for skip in result.skipped}
    assert bad[uuid_of(9)].reason is Skip.FILE_NAME
    assert bad[uuid_of(8)].reason is Skip.REFUSED
    assert "40 hexadecimal" in bad[uuid_of(8)].words


def test_an_observable_of_no_member_has_an_id_of_its_object(monkeypatch, convert):
    monkeypatch.setattr(misp_stix, "as_rewritten", lambda kind, value: "something else")
    result = whole(convert, misp_object(1, "url", attribute(1, "url", "http://a.example/", object_relation="url")))
    pattern = "[url:value = 'http://a.example/']"
    assert patterns(result) == [pattern]
    object_uuid = UUID("bbbbbbbb-0000-4000-8000-000000000001")
    assert result.indicators[0]["id"] == f"indicator--{uuid5(object_uuid, pattern)}"


def test_what_misp_stix_changes_in_a_way_not_known_yet_is_put_right_in_attributes(monkeypatch, only):
    monkeypatch.setattr(misp_stix, "as_rewritten", lambda kind, value: "something else")
    indicator = only(attribute(misp_type="url", value="http://a.example/\U0001f600"))
    assert indicator["pattern"] == "[url:value = 'http://a.example/\U0001f600']"


@pytest.mark.parametrize("name", ["phishing", "not a template", "", None, 7, ["file"]])
def test_objects_that_misp_stix_does_not_know_are_refused_with_words(convert, name):
    members = [attribute(1, "url", "http://a.example/", object_relation="url"), attribute(2, "text", "x")]
    result = whole(
        convert, misp_object(1, name, *members), misp_object(2, "mutex", attribute(3, object_relation="name"))
    )
    assert reasons(result) == {uuid_of(1): Skip.REFUSED, uuid_of(2): Skip.TYPE_NOT_ACCEPTED}
    assert all(skip.words for skip in result.skipped if skip.reason is Skip.REFUSED)
    assert patterns(result) == ["[mutex:name = 'a mutex']"]


def test_a_rule_that_misp_stix_makes_of_an_object_is_refused(convert):
    result = whole(
        convert, misp_object(1, "suricata", attribute(1, "url", "http://a.example/", object_relation="suricata"))
    )
    assert reasons(result) == {uuid_of(1): Skip.REFUSED}
    assert "rule" in result.skipped[0].words


def test_objects_without_a_uuid_of_their_own_are_flattened(convert):
    members = [attribute(n, "md5", f"{n}" * 32, object_relation="md5") for n in range(1, 6)]
    clash = misp_object(2, "file", members[1])["uuid"]
    result = whole(
        convert,
        misp_object(1, "file", members[0], uuid="garbage"),
        misp_object(2, "file", members[1]),
        misp_object(3, "file", members[2], uuid=clash.upper()),
        misp_object(4, "file", members[3], uuid=uuid_of(9)),
        Attribute=[attribute(9, "mutex", "m")],
    )
    assert sorted(patterns(result)) == sorted(
        ["[mutex:name = 'm']", *(f"[file:hashes.MD5 = '{str(n) * 32}']" for n in range(1, 5))]
    )
    assert result.skipped == []


@pytest.mark.parametrize(
    "over",
    [{"template_version": "q"}, {"meta-category": []}, {"description": {}}, {"timestamp": ""}, {"distribution": 4}],
)
def test_garbage_in_an_object_costs_nothing(convert, over):
    member = attribute(1, "md5", DIGESTS["md5"], object_relation=None)
    assert patterns(whole(convert, misp_object(1, "file", member, **over))) == [
        f"[file:hashes.MD5 = '{DIGESTS['md5']}']"
    ]


@pytest.mark.parametrize("report", [{}, {"name": "no content"}, {"uuid": "garbage", "content": 7}, {"uuid": None}])
def test_a_broken_report_costs_nothing(convert, make_settings, report):
    misp_event = event(attribute(1), attribute(2, "md5", "zz"), EventReport=[report])
    result = convert(misp_event, misp_remove_eventreports=False)
    assert patterns(result) == ["[mutex:name = 'a mutex']"]
    assert reasons(result) == {uuid_of(2): Skip.REFUSED}
    with_reports = RequestObjectEvent(
        misp_event, ConversionRules.of(make_settings(misp_remove_eventreports=False)), NOW
    )
    assert with_reports.reports == {"EventReport": [report]}
    assert RequestObjectEvent(misp_event, ConversionRules.of(make_settings()), NOW).reports == {}


def test_reports_go_to_misp_stix_once(monkeypatch, make_settings):
    seen = []
    real = misp_stix.convert
    monkeypatch.setattr(misp_stix, "convert", lambda items, extra=None: seen.append(dict(extra or {})) or real(items))
    monkeypatch.setattr("helpers.indicators.convert.CHUNK", 1)
    odd = [attribute(number, value="it's one") for number in (1, 2)]
    misp_event = event(*odd, EventReport=[{"uuid": uuid_of(5), "name": "n", "content": "c"}])
    parts = list(convert_event(misp_event, ConversionRules.of(make_settings(misp_remove_eventreports=False)), NOW))
    assert sum(len(part.indicators) for part in parts) == 2
    assert [list(extra) for extra in seen] == [["EventReport"], []]


# --- Anything at all -------------------------------------------------------------------------------

JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just([]), st.just({}), st.just([{}])
)
PIECES = st.sampled_from(
    ["'", '"', "\\", "\n", "\r", "\t", "\x00", "|", ":", "/", "[.]", "(dot)", " ", "=", "]", "[", " AND ", "\U0001f600",
     "ü", "ß", "。", "\u200d", "\ud800", "a", "1", ".example", "hxxp://", "http://", "192.0.2.1", "10.0.0.0/8",
     "2001:db8::1", "::ffff:192.0.2.1", "@", "a1" * 16, "a1" * 20, "b" * 64, "T1" + "c" * 70, "3:a:b", "AS64496", "1.5",
     "*", "%", "?", "#"]
)  # fmt: skip
VALUES = st.one_of(st.lists(PIECES, max_size=6).map("".join), st.text(max_size=30), JUNK)
TAG_NAMES = st.one_of(
    st.sampled_from(
        ["tlp:red", "TLP:Clear", "kill-chain:Delivery", "sentinel-threattype:C2", "misp:confidence-level", "x="]
    ),
    st.lists(PIECES, max_size=4).map("".join),
)
TAGS = st.lists(
    st.one_of(JUNK, st.fixed_dictionaries({"name": st.one_of(TAG_NAMES, JUNK)}, optional={"local": JUNK})), max_size=3
)
KINDS = st.sampled_from([*UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES, "yara", "text"])
SEEN = st.one_of(
    JUNK, st.sampled_from(["2027-01-01", "2020-01-01T00:00:00Z", "1790000000", "9999-12-31T23:59:59-12:00"])
)
ATTRIBUTES = st.fixed_dictionaries(
    {
        "uuid": st.one_of(st.integers(1, 40).map(uuid_of), st.uuids().map(str), JUNK),
        "type": st.one_of(KINDS, KINDS, KINDS, JUNK),
        "value": st.one_of(VALUES),
        "to_ids": st.sampled_from([True, True, True, "1", False, [], None]),
    },
    optional={
        "timestamp": st.one_of(st.just(CREATED), JUNK),
        "last_seen": SEEN,
        "comment": VALUES,
        "category": VALUES,
        "object_relation": st.one_of(KINDS, JUNK),
        "deleted": JUNK,
        "Tag": st.one_of(TAGS, JUNK),
        "Galaxy": JUNK,
    },
)
OBJECTS = st.fixed_dictionaries(
    {
        "uuid": st.one_of(st.integers(1, 5).map(lambda n: misp_object(n, "x")["uuid"]), JUNK),
        "name": st.one_of(
            st.sampled_from(["file", "url", "domain-ip", "ip-port", "email", "phishing", "suricata"]), JUNK
        ),
        "Attribute": st.one_of(st.lists(st.one_of(ATTRIBUTES, ATTRIBUTES, JUNK), max_size=4), JUNK),
    },
    optional={"meta-category": JUNK, "deleted": JUNK, "template_version": JUNK, "ObjectReference": JUNK},
)
EVENTS = st.fixed_dictionaries(
    {
        "Attribute": st.lists(st.one_of(ATTRIBUTES, ATTRIBUTES, ATTRIBUTES, JUNK), max_size=5),
        "Object": st.one_of(st.lists(OBJECTS, max_size=2), JUNK),
    },
    optional=dict.fromkeys(("uuid", "id", "info", "date", "timestamp", "Orgc", "EventReport", "Galaxy"), JUNK)
    | {"Tag": st.one_of(TAGS, JUNK)},
)


def dicts(value):
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


@hypothesis_settings(max_examples=examples(250))
@given(misp_event=EVENTS, flatten=st.booleans(), private=st.booleans(), reports=st.booleans())
def test_every_attribute_is_sent_or_skipped_whatever_it_is(make_settings, misp_event, flatten, private, reports):
    settings = make_settings(
        misp_flatten_attributes=flatten, send_private_and_cidr=private, misp_remove_eventreports=reports
    )
    before = json.dumps(misp_event)
    parts = list(convert_event(misp_event, ConversionRules.of(settings), NOW))
    assert json.dumps(misp_event) == before
    indicators = [indicator for part in parts for indicator in part.indicators]
    skipped = [skip for part in parts for skip in part.skipped]
    assert_sentinel_takes(indicators)
    raw_attributes = dicts(misp_event["Attribute"])
    for object_ in dicts(misp_event["Object"]):
        raw_attributes += dicts(object_.get("Attribute"))
    assert sum(part.attributes for part in parts) == len(raw_attributes)
    of_single_attributes = [
        indicator
        for indicator in indicators
        if indicator["id"].endswith(indicator["external_references"][0]["external_id"])
    ]
    if flatten:
        assert len(of_single_attributes) + len(skipped) == len(raw_attributes)
    assert all(isinstance(skip.reason, Skip) and str(skip) for skip in skipped)


def test_what_an_attribute_becomes_does_not_depend_on_those_beside_it(monkeypatch, make_settings):
    """Much is made once for attributes that are alike; alone, each is made afresh."""
    monkeypatch.setattr(constants, "MISP_TAGS_IGNORE", [])  # so that labels say types and categories

    def indicators_of(misp_event):
        parts = convert_event(misp_event, ConversionRules.of(make_settings()), NOW)
        return [indicator for part in parts for indicator in part.indicators]

    said = product(
        ["domain", "url", "mutex"],
        ["Network activity", "Payload delivery", "", ["none"]],
        [[], ["tlp:red", "a"], ["a", "b"], ["misp:confidence-level=unconfident", "kill-chain:Delivery"]],
        [CREATED, "1790000001"],
    )
    alike = [
        tagged(*names, number=number, misp_type=kind, value=f"{number}.example.org", category=category, timestamp=time)
        for number, (kind, category, names, time) in enumerate(said)
    ]
    together, *alone = (indicators_of(event(*attributes)) for attributes in (alike, *([one] for one in alike)))
    assert len(together) == len(alike)
    assert together == [indicator for indicators in alone for indicator in indicators]
    assert len({json.dumps(indicator["labels"]) for indicator in together}) == 3 * 3 * 3


def test_labels_of_an_object_s_members_say_each_one_s_type(monkeypatch, convert):
    monkeypatch.setattr(constants, "MISP_TAGS_IGNORE", [])
    hashes = [attribute(number, kind, DIGESTS[kind]) for number, kind in enumerate(["md5", "sha1"])]
    sent = convert(event(Object=[misp_object(1, "file", *hashes)]), misp_flatten_attributes=False).indicators
    assert [indicator["labels"] for indicator in sent] == [['misp:type="md5"'], ['misp:type="sha1"']]


@hypothesis_settings(max_examples=examples(150))
@given(kind=st.sampled_from(["url", "filename", "mutex", "email-subject", "user-agent", "regkey"]), value=st.text())
def test_values_of_any_text_reach_sentinel_unchanged_or_have_a_reason(make_settings, kind, value):
    value = "http://a.example/" + value if kind == "url" else value
    (first, *rest) = convert_event(
        event(attribute(misp_type=kind, value=value)), ConversionRules.of(make_settings()), NOW
    )
    indicators = [indicator for part in rest for indicator in part.indicators]
    if indicators:
        read = normalise(kind, value, send_private_and_cidr=False)
        assert [observable.value for observable in observables(indicators[0]["pattern"])] == list(read.parts)
        assert value.strip().isprintable() is False or _wrapped(value.strip()) or read.text == value.strip()
    else:
        assert {skip.reason for part in (first, *rest) for skip in part.skipped} <= {Skip.BAD_VALUE, Skip.REFUSED}


def _wrapped(text):
    return text[0] in "\"“”„‟«»＂'‘’‚‛‹›`´<" and len(text) > 1


@hypothesis_settings(max_examples=examples(120))
@given(member=ATTRIBUTES, name=st.sampled_from(["file", "url", "ip-port", "domain-ip", "email"]))
def test_no_member_of_an_object_costs_another(make_settings, member, name):
    good = {
        "file": attribute(99, "md5", DIGESTS["md5"], object_relation="md5"),
        "url": attribute(99, "url", "http://good.example/", object_relation="url"),
        "ip-port": attribute(99, "ip-dst", "198.51.100.99", object_relation="ip"),
        "domain-ip": attribute(99, "domain", "good.example", object_relation="domain"),
        "email": attribute(99, "email-src", "good@good.example", object_relation="from"),
    }[name]
    misp_event = event(Object=[misp_object(1, name, good, member)])
    parts = list(convert_event(misp_event, ConversionRules.of(make_settings(misp_flatten_attributes=False)), NOW))
    assert f"indicator--{uuid_of(99)}" in {indicator["id"] for part in parts for indicator in part.indicators}
