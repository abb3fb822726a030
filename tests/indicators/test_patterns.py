"""Patterns taken apart, and built so that they can be read again."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from stix2patterns.validator import run_validator

from helpers.indicators.patterns import Observable, address_path, observables
from tests.support.examples import examples

IP = "network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '203.0.113.7'"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[domain-name:value = 'a.example']", ["[domain-name:value = 'a.example']"]),
        ("[file:hashes.MD5 = 'aa']", ["[file:hashes.MD5 = 'aa']"]),
        ("[file:hashes.'SHA-256' = 'aa']", ["[file:hashes.'SHA-256' = 'aa']"]),
        (f"[{IP}]", ["[ipv4-addr:value = '203.0.113.7']"]),
        (f"[{IP} AND network-traffic:dst_port = '443']", ["[ipv4-addr:value = '203.0.113.7']"]),
        (
            "[network-traffic:src_ref.type = 'ipv6-addr' AND network-traffic:src_ref.value = '2001:db8::1']",
            ["[ipv6-addr:value = '2001:db8::1']"],
        ),
        (
            "[domain-name:value = 'a.example' AND domain-name:resolves_to_refs[*].value = '203.0.113.7']",
            ["[domain-name:value = 'a.example']", "[ipv4-addr:value = '203.0.113.7']"],
        ),
        (
            "[domain-name:value = 'a.example' AND network-traffic:dst_port = '8080']",
            ["[domain-name:value = 'a.example']"],
        ),
        (
            f"[({IP}) AND (network-traffic:dst_ref.type = 'domain-name'"
            " AND network-traffic:dst_ref.value = 'a.example') AND network-traffic:protocols[0] = 'tcp']",
            ["[ipv4-addr:value = '203.0.113.7']", "[domain-name:value = 'a.example']"],
        ),
        ("[network-traffic:dst_port = '443']", ["[network-traffic:dst_port = '443']"]),
        (
            "[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = 'UA']",
            ["[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = 'UA']"],
        ),
        ("[email-message:from_ref.value = 'a@b.example']", ["[email-addr:value = 'a@b.example']"]),
        ("[email-message:to_refs[*].value = 'a@b.example']", ["[email-addr:value = 'a@b.example']"]),
        ("[email-message:to_refs[0].value = 'a@b.example']", ["[email-addr:value = 'a@b.example']"]),
        ("[email-message:subject = 'hi']", ["[email-message:subject = 'hi']"]),
        (
            "[file:name = 'a.exe' AND file:hashes.MD5 = 'aa' AND file:hashes.'SHA-1' = 'bb']",
            ["[file:hashes.MD5 = 'aa']", "[file:hashes.'SHA-1' = 'bb']"],
        ),
        ("[file:name = 'a.exe' AND file:name = 'b.exe']", ["[file:name = 'a.exe']", "[file:name = 'b.exe']"]),
        (
            "[windows-registry-key:key = 'HKLM\\\\a' AND windows-registry-key:values.data = 'b']",
            ["[windows-registry-key:key = 'HKLM\\\\a']"],
        ),
        (
            "[url:value = 'http://a.example/' AND url:x_misp_domain = 'a.example']",
            ["[url:value = 'http://a.example/']"],
        ),
        (
            "[url:value = 'http://a' OR url:value = 'http://b']",
            ["[url:value = 'http://a']", "[url:value = 'http://b']"],
        ),
        ("[url:value = 'http://a'] AND [url:value = 'http://a']", ["[url:value = 'http://a']"]),
        ("[url:value IN ('http://a', 'http://b')]", []),
        ("[url:value != 'http://a']", []),
        ("[url:value LIKE 'http://%']", []),
        ("[file:size = 5]", []),
        (
            "[x509-certificate:hashes.'SHA-1' = 'aa']",
            ["[x509-certificate:hashes.'SHA-1' = 'aa']"],
        ),
        (
            "[file:extensions.'windows-pebinary-ext'.sections[0].name = 'x']",
            ["[file:extensions.'windows-pebinary-ext'.sections[0].name = 'x']"],
        ),
    ],
)
def test_each_pattern_gives_single_observables(pattern, expected):
    assert [observable.pattern for observable in observables(pattern)] == expected


@pytest.mark.parametrize("pattern", ["", "[", "rule x { condition: true }", "[a = 'b']", "domain-name:value = 'x'"])
def test_what_is_no_pattern_raises(pattern):
    with pytest.raises(ValueError, match="not a STIX pattern"):
        observables(pattern)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("192.0.2.1", "ipv4-addr:value"),
        ("192.0.2.0/24", "ipv4-addr:value"),
        ("2001:db8::1", "ipv6-addr:value"),
        ("::ffff:192.0.2.1", "ipv6-addr:value"),
    ],
)
def test_path_of_an_address(value, path):
    assert address_path(value) == path
    with pytest.raises(ValueError, match="does not appear"):
        address_path("a.example")


PATHS = st.sampled_from(
    [
        "domain-name:value",
        "url:value",
        "mutex:name",
        "file:name",
        "file:hashes.'SHA-512/224'",
        "windows-registry-key:key",
        "email-message:subject",
        "email-message:additional_header_fields.x_mailer",
        "network-traffic:extensions.'http-request-ext'.request_header.'User-Agent'",
    ]
)
TEXTS = st.one_of(st.text(max_size=40), st.text(alphabet="\\'\"\n\r\t[]()= AND\x00\u2028\U0001f600", max_size=20))


@hypothesis_settings(max_examples=examples(300))
@given(path=PATHS, value=TEXTS)
@example(path="mutex:name", value="\\")
@example(path="mutex:name", value="' OR mutex:name = 'x")
@example(path="mutex:name", value="\\' AND \\\\'")
@example(path="mutex:name", value="a\r\nb\x00\x1a")
def test_a_pattern_of_any_text_is_valid_and_reads_back_as_the_same_text(path, value):
    observable = Observable(path, value)
    if all(not "\ud800" <= character <= "\udfff" for character in value):
        assert run_validator(observable.pattern, stix_version="2.1") == []
    assert observables(observable.pattern) == [observable]
