"""What the pinned misp-stix makes of prepared attributes and objects, and how its refusals come back."""

from __future__ import annotations

import gc
from importlib.metadata import version
from pathlib import Path

import pytest

from constants import UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES
from helpers.indicators.misp_stix import as_rewritten, convert
from helpers.indicators.values import normalise

UUID = "aaaaaaaa-0000-4000-8000-{:012d}"
PINNED = next(
    line.partition("==")[2].strip(" \\")
    for line in (Path(__file__).parents[2] / "requirements.txt").read_text(encoding="utf-8").splitlines()
    if line.startswith("misp-stix==")
)
NEWS = f"misp-stix (pinned: {PINNED}, here: {version('misp-stix')}) writes another pattern than before"

HEX = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128, "sha512/224": 56,
       "sha512/256": 64, "imphash": 32, "authentihash": 64, "pehash": 40, "tlsh": 70}  # fmt: skip
VALUES = {
    "AS": "AS64496",
    "email": "Bob@example.org",
    "email-dst": "bob@example.org",
    "email-src": "bob@example.org",
    "email-src-display-name": "Bob",
    "email-subject": "You have won",
    "email-x-mailer": "Mailer 6",
    "filename": "evil.exe",
    "malware-type": "Trojan",
    "mutex": "Global\\My'Mutex",
    "port": "8443",
    "size-in-bytes": "12345",
    "url": "Evil.example/a?b=c",
    "user-agent": "Mozilla/5.0 (evil)",
    "domain": "Evil.example.com.",
    "hostname": "C2.bücher.example.",
    "domain|ip": "evil.example.com|203.0.113.7",
    "hostname|port": "c2.example.com|8080",
    "ip-src": "2001:DB8::1",
    "ip-dst": "203.0.113.7",
    "ip-src|port": "203.0.113.7|1234",
    "ip-dst|port": "2001:db8::1|443",
    **{kind: "a" * length for kind, length in HEX.items()},
    "ssdeep": "96:s4Ud1:Lj1",
    "impfuzzy": "48:8CpLQ5:8CpL",
    "regkey": "HKLM\\Software\\Evil",
    "regkey|value": "HKLM\\Software\\Evil|C:\\evil.exe",
    "x509-fingerprint-md5": ":".join(["ab"] * 16),
    "x509-fingerprint-sha1": "ab" * 20,
    "x509-fingerprint-sha256": "ab" * 32,
}
VALUES |= {f"filename|{kind}": f"evil.exe|{VALUES[kind]}" for kind in [*HEX, "ssdeep", "impfuzzy"]}

HASH_PATTERNS = {
    "md5": "[file:hashes.MD5 = '{}']",
    "sha1": "[file:hashes.'SHA-1' = '{}']",
    "sha224": "[file:hashes.'SHA-224' = '{}']",
    "sha256": "[file:hashes.'SHA-256' = '{}']",
    "sha384": "[file:hashes.'SHA-384' = '{}']",
    "sha512": "[file:hashes.'SHA-512' = '{}']",
    "sha512/224": "[file:hashes.'SHA-224' = '{}']",  # conversion.corrected puts the name right
    "sha512/256": "[file:hashes.'SHA-256' = '{}']",
    "ssdeep": "[file:hashes.SSDEEP = '{}']",
    "tlsh": "[file:hashes.TLSH = '{}']",
    "imphash": "[file:hashes.IMPHASH = '{}']",
    "impfuzzy": "[file:hashes.IMPFUZZY = '{}']",
    "authentihash": "[file:hashes.AUTHENTIHASH = '{}']",
    "pehash": "[file:hashes.PEHASH = '{}']",
}
IP = "network-traffic:{0}.type = '{1}' AND network-traffic:{0}.value = '{2}'"
PATTERNS = {
    "AS": "[autonomous-system:number = '64496']",
    "email": "[email-addr:value = 'bob@example.org']",
    "email-dst": "[email-message:to_refs[*].value = 'bob@example.org']",
    "email-src": "[email-message:from_ref.value = 'bob@example.org']",
    "email-src-display-name": None,
    "email-subject": "[email-message:subject = 'You have won']",
    "email-x-mailer": "[email-message:additional_header_fields.x_mailer = 'Mailer 6']",
    "filename": "[file:name = 'evil.exe']",
    "malware-type": None,
    "mutex": "[mutex:name = 'Global\\\\My\\'Mutex']",
    "port": "[network-traffic:dst_port = '8443']",
    "size-in-bytes": "[file:size = '12345']",
    "url": "[url:value = 'http://Evil.example/a?b=c']",
    "user-agent": "[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = 'Mozilla/5.0 (evil)']",
    "domain": "[domain-name:value = 'evil.example.com']",
    "hostname": "[domain-name:value = 'c2.xn--bcher-kva.example']",
    "domain|ip": ("[domain-name:value = 'evil.example.com' AND domain-name:resolves_to_refs[*].value = '203.0.113.7']"),
    "hostname|port": "[domain-name:value = 'c2.example.com']",
    "ip-src": f"[{IP.format('src_ref', 'ipv6-addr', '2001:db8::1')}]",
    "ip-dst": f"[{IP.format('dst_ref', 'ipv4-addr', '203.0.113.7')}]",
    "ip-src|port": f"[{IP.format('src_ref', 'ipv4-addr', '203.0.113.7')}]",
    "ip-dst|port": f"[{IP.format('dst_ref', 'ipv6-addr', '2001:db8::1')}]",
    "regkey": "[windows-registry-key:key = 'HKLM\\\\Software\\\\Evil']",
    "regkey|value": "[windows-registry-key:key = 'HKLM\\\\Software\\\\Evil']",
    "x509-fingerprint-md5": f"[x509-certificate:hashes.MD5 = '{'ab' * 16}']",
    "x509-fingerprint-sha1": f"[x509-certificate:hashes.'SHA-1' = '{'ab' * 20}']",
    "x509-fingerprint-sha256": f"[x509-certificate:hashes.'SHA-256' = '{'ab' * 32}']",
    **{kind: pattern.format(VALUES[kind]) for kind, pattern in HASH_PATTERNS.items()},
    **{f"filename|{kind}": pattern.format(VALUES[kind]) for kind, pattern in HASH_PATTERNS.items()},
}


def attribute(number, misp_type, value, **over):
    """An attribute as helpers.indicators.request_event prepares it."""
    prepared = normalise(misp_type, value, send_private_and_cidr=False)
    uuid = UUID.format(number)
    return {"uuid": uuid, "type": prepared.type, "value": prepared.text, "to_ids": True, "timestamp": "1"} | over


def misp_object(number, name, *members, **over):
    """An object with members of (type, value, relation)."""
    raw_members = [
        attribute(number * 100 + position, misp_type, value, object_relation=relation)
        for position, (misp_type, value, relation) in enumerate(members)
    ]
    uuid = UUID.format(number)
    return {"uuid": uuid, "name": name, "meta-category": "network", "timestamp": "1", "Attribute": raw_members} | over


def test_the_pinned_version_is_installed():
    assert version("misp-stix") == PINNED


def test_every_accepted_type_is_in_the_snapshot():
    assert set(VALUES) == set(PATTERNS) == set(UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES)


def test_pattern_of_every_accepted_type():
    items = {kind: attribute(number, kind, value) for number, (kind, value) in enumerate(VALUES.items(), 1)}
    indicators = convert(list(items.values())).indicators
    patterns = {
        kind: indicators[item["uuid"]]["pattern"] if item["uuid"] in indicators else None
        for kind, item in items.items()
    }
    changed = {kind: (PATTERNS[kind], now) for kind, now in patterns.items() if now != PATTERNS[kind]}
    assert not changed, f"{NEWS} (before, now): {changed}"
    assert {indicator["pattern_type"] for indicator in indicators.values()} == {"stix"}


OBJECTS = {
    "file": (
        [("md5", "a" * 32, "md5"), ("sha256", "b" * 64, "sha256"), ("filename", "evil.exe", "filename")],
        f"[file:hashes.MD5 = '{'a' * 32}' AND file:hashes.'SHA-256' = '{'b' * 64}' AND file:name = 'evil.exe']",
    ),
    "domain-ip": (
        [("domain", "evil.example.com", "domain"), ("ip-dst", "203.0.113.7", "ip")],
        "[domain-name:value = 'evil.example.com' AND domain-name:resolves_to_refs[*].value = '203.0.113.7']",
    ),
    "ip-port": (
        [("ip-dst", "203.0.113.7", "ip"), ("domain", "evil.example.com", "domain"), ("port", "443", "dst-port")],
        f"[({IP.format('dst_ref', 'ipv4-addr', '203.0.113.7')}) AND"
        f" ({IP.format('dst_ref', 'domain-name', 'evil.example.com')}) AND network-traffic:dst_port = '443']",
    ),
    "url": (
        [("url", "http://evil.example.com/a", "url"), ("domain", "evil.example.com", "domain")],
        "[url:value = 'http://evil.example.com/a' AND url:x_misp_domain = 'evil.example.com']",
    ),
    "email": (
        [("email-src", "bob@example.org", "from"), ("email-subject", "You have won", "subject")],
        "[email-message:from_ref.value = 'bob@example.org' AND email-message:subject = 'You have won']",
    ),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_pattern_of_objects(name):
    members, pattern = OBJECTS[name]
    indicators = convert([misp_object(1, name, *members)]).indicators
    assert {uuid: indicator["pattern"] for uuid, indicator in indicators.items()} == {UUID.format(1): pattern}, NEWS


def test_what_an_indicator_brings_besides_its_pattern():
    indicator = convert([attribute(1, "md5", "a" * 32)]).indicators[UUID.format(1)]
    assert indicator["kill_chain_phases"] == [{"kill_chain_name": "misp-category", "phase_name": "Payload delivery"}], (
        NEWS
    )


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        ("url", "http://a.example/?q=(dot)", "http://a.example/?q=."),
        ("url", "http://a.example/\U0001f600", "http://a.example/?"),
        ("mutex", "same", "same"),
        ("domain", "ü" * 100, "ü" * 100),
    ],
)
def test_what_misp_stix_writes_for_a_value_is_known(kind, value, written):
    assert as_rewritten(kind, value) == written
    indicators = convert([attribute(1, kind, value)] if kind != "domain" else []).indicators
    assert all(as_rewritten(kind, value) in indicator["pattern"] for indicator in indicators.values())


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (attribute(2, "sha1", "zz"), "expected: 40 hexadecimal characters"),
        (attribute(2, "domain", "no dots"), "invalid format"),
        (attribute(2, "tlsh", "a" * 36) | {"value": "t1" + "a" * 70}, "not a valid tlsh hash"),
        (attribute(2, "mutex", "x") | {"type": "nonsense"}, "nonsense is invalid"),
        (attribute(2, "mutex", "x") | {"timestamp": ""}, "ValueError"),
        (misp_object(2, "phishing", ("url", "http://a.example/", "url")), "MISP Object name phishing not mapped."),
        (misp_object(2, "two words", ("url", "http://a.example/", "url")), "template name 'two words'"),
        (misp_object(2, "file", ("md5", "a" * 32, "md5"), template_version="q"), "invalid literal for int()"),
        (misp_object(2, "pe", ("imphash", "a" * 32, "imphash")), "No values for required properties"),
    ],
)
def test_words_of_a_refusal_come_back_and_its_neighbours_are_converted(item, expected):
    result = convert([attribute(1, "md5", "a" * 32), item, attribute(3, "md5", "b" * 32)])
    assert set(result.indicators) == {UUID.format(1), UUID.format(3)}
    words = result.words[UUID.format(2)]
    assert expected in words
    assert len(words) <= 303
    assert "\n" not in words
    assert 'File "' not in words


def test_words_about_the_member_of_an_object():
    result = convert([misp_object(1, "file", ("md5", "a" * 32, "md5"), ("sha1", "zz", "sha1"))])
    assert set(result.indicators) == {UUID.format(1)}
    assert "expected: 40 hexadecimal" in result.words[UUID.format(101)]


BROKEN_REPORTS = [{"EventReport": [{}]}, {"EventReport": [{"uuid": "x", "name": 1}]}, {"EventReport": [{"uuid": None}]}]


@pytest.mark.parametrize("extra", BROKEN_REPORTS)
def test_a_broken_report_costs_no_item(extra):
    result = convert([attribute(1, "md5", "a" * 32), attribute(2, "md5", "zz")], extra)
    assert set(result.indicators) == {UUID.format(1)}
    assert "32 hexadecimal" in result.words[UUID.format(2)]


def test_an_exception_costs_its_own_item_only(monkeypatch):
    from misp_stix_converter import MISPtoSTIX21Parser

    real = MISPtoSTIX21Parser.parse_misp_event

    def fails_on_the_second(parser, event):
        if any(item["uuid"] == UUID.format(2) for item in event["Attribute"]):
            raise KeyError("inside misp-stix")
        return real(parser, event)

    monkeypatch.setattr(MISPtoSTIX21Parser, "parse_misp_event", fails_on_the_second)
    result = convert([attribute(number, "md5", "a" * 32) for number in (1, 2, 3)])
    assert set(result.indicators) == {UUID.format(1), UUID.format(3)}
    assert result.words == {UUID.format(2): "KeyError: 'inside misp-stix'"}


def test_same_input_gives_the_same_output():
    items = [attribute(number, kind, value) for number, (kind, value) in enumerate(VALUES.items(), 1)]
    first, second = convert(items), convert(items)
    assert first.words == second.words
    assert {uuid: indicator["pattern"] for uuid, indicator in first.indicators.items()} == {
        uuid: indicator["pattern"] for uuid, indicator in second.indicators.items()
    }


def test_what_parsed_patterns_leave_is_collected_as_often_as_ever(monkeypatch):
    """A run looks for cycles seldom, and hundreds of long values would wait for it."""
    thresholds = []

    def fails(*_):
        thresholds.append(gc.get_threshold())
        raise ValueError("inside misp-stix")

    monkeypatch.setattr("helpers.indicators.misp_stix._converted", fails)
    before = gc.get_threshold()
    gc.set_threshold(100_000, *before[1:])
    try:
        convert([attribute(1, "domain", "bad.example.org")])
        assert gc.get_threshold()[0] == 100_000
    finally:
        gc.set_threshold(*before)
    assert thresholds == [(700, *before[1:])]
