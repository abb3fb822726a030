"""Values as analysts type them and as other tools export them: what each destination gets, or why it gets nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from constants import Skip
from helpers.indicators import stix_uuid
from helpers.indicators.convert import convert_event
from helpers.indicators.rules import ConversionRules
from helpers.settings.model import Settings
from helpers.settings.sections import MsAuth

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
GRAPH = Settings(ms_auth=MsAuth(graph_api=True, scope="https://graph.microsoft.com/.default"))
MD5 = "0123456789abcdef0123456789abcdef"
SHA256 = MD5 + MD5
UNSEEN, BOM, SOFT_HYPHEN, NO_BREAK = "\u200b", "\ufeff", "\u00ad", "\u00a0"

# What is sent, in the words of the upload API and of Graph.
KINDS = {
    "ipv4": ("ipv4-addr:value", "networkIPv4"),
    "ipv6": ("ipv6-addr:value", "networkIPv6"),
    "domain": ("domain-name:value", "domainName"),
    "url": ("url:value", "url"),
    "md5": ("file:hashes.MD5", "fileHashValue"),
    "sha256": ("file:hashes.'SHA-256'", "fileHashValue"),
    "sender": ("email-addr:value", "emailSenderAddress"),
    "AS": ("autonomous-system:number", "networkSourceAsn"),
}
# MISP type, value, what both destinations get.
SENT = [
    ("ip-dst", f"{NO_BREAK}192.0.2.1 ", {"ipv4": "192.0.2.1"}),
    ("ip-dst", f"192.0.2.1{UNSEEN}", {"ipv4": "192.0.2.1"}),
    ("ip-dst", f"{BOM}192.0.2.1", {"ipv4": "192.0.2.1"}),
    ("ip-dst", '"192.0.2.1"', {"ipv4": "192.0.2.1"}),
    ("ip-dst", "<192.0.2.1>", {"ipv4": "192.0.2.1"}),
    ("ip-dst", "::ffff:c000:0201", {"ipv4": "192.0.2.1"}),
    ("ip-dst", "192.0.2.1/32", {"ipv4": "192.0.2.1"}),
    ("ip-dst", "[2001:db8::1]", {"ipv6": "2001:db8::1"}),
    ("ip-dst", "2001:db8::1%eth0", {"ipv6": "2001:db8::1"}),
    ("ip-dst|port", "192.0.2.1:443", {"ipv4": "192.0.2.1"}),
    ("domain", "203.0.113.9", {"ipv4": "203.0.113.9"}),
    ("hostname", "203[.]0[.]113[.]9", {"ipv4": "203.0.113.9"}),
    ("hostname", "2001:db8::9", {"ipv6": "2001:db8::9"}),
    ("hostname|port", "203.0.113.9|80", {"ipv4": "203.0.113.9"}),
    ("domain|ip", "203.0.113.9|bad.example.org", {"domain": "bad.example.org", "ipv4": "203.0.113.9"}),
    ("domain|ip", "bad.example.org|", {"domain": "bad.example.org"}),
    ("domain|ip", "bad.example.org|10.0.0.1", {"domain": "bad.example.org"}),
    ("domain", f"b{SOFT_HYPHEN}ad.example.org", {"domain": "bad.example.org"}),
    ("domain", "“bad.example.org”", {"domain": "bad.example.org"}),
    ("domain", "<bad.example.org>", {"domain": "bad.example.org"}),
    ("domain", "bad.example.org.", {"domain": "bad.example.org"}),
    ("url", "hxxps[:]//bad[.]example[.]org/[.]", {"url": "https://bad.example.org/[.]"}),
    ("url", '"http://bad.example.org/q"', {"url": "http://bad.example.org/q"}),
    ("url", f"<http://bad.example.org/q>{UNSEEN}", {"url": "http://bad.example.org/q"}),
    ("url", "//bad.example.org/q", {"url": "http://bad.example.org/q"}),
    ("md5", f'"{MD5.upper()}"', {"md5": MD5}),
    ("sha256", f"{SHA256}{UNSEEN}", {"sha256": SHA256}),
    ("filename|md5", f"a|b.exe|{MD5}", {"md5": MD5}),
    ("email-src", "mailto:Bad@example.org", {"sender": "bad@example.org"}),
    ("email-src", "bad@example.org.", {"sender": "bad@example.org"}),
    ("email-src", "The Bank <bad@example.org>", {"sender": "bad@example.org"}),
    ("email-src", f"{UNSEEN}bad@example.org", {"sender": "bad@example.org"}),
    ("AS", "AS 64496", {"AS": "64496"}),
    ("AS", "AS1.10", {"AS": "65546"}),
]

# MISP type, value, why neither destination gets it. misp-stix refuses with words of its own what Graph calls bad.
NOT_SENT = [
    ("ip-dst", "0.0.0.0", Skip.PRIVATE_ADDRESS),
    ("ip-dst", "255.255.255.255", Skip.PRIVATE_ADDRESS),
    ("ip-dst", "224.0.0.251", Skip.PRIVATE_ADDRESS),
    ("ip-dst", "ff02::fb", Skip.PRIVATE_ADDRESS),
    ("ip-dst", "::", Skip.PRIVATE_ADDRESS),
    ("ip-dst", "::ffff:10.0.0.1", Skip.PRIVATE_ADDRESS),
    ("hostname", "10.0.0.1", Skip.PRIVATE_ADDRESS),
    ("ip-dst", "192.0.2.010", Skip.BAD_VALUE),  # octal or decimal: nobody knows
    ("ip-dst", "192.0.2.1:443", Skip.BAD_VALUE),
    ("ip-dst", "198.51.100.1-198.51.100.9", Skip.BAD_VALUE),
    ("ip-dst", "198.51.100.1, 198.51.100.2", Skip.BAD_VALUE),
    ("ip-dst", "N/A", Skip.BAD_VALUE),
    ("url", "mailto:bad@example.org", Skip.BAD_VALUE),
    ("url", "http://", Skip.BAD_VALUE),
    ("email-src", "bad@example.org, worse@example.org", Skip.BAD_VALUE),
    ("sha256", " ".join(SHA256), Skip.TOO_LONG),
    ("md5", f"MD5:{MD5}", Skip.TOO_LONG),
    ("domain", "bad.example.org/path", Skip.REFUSED),
    ("domain", "bad example.org", Skip.REFUSED),
    ("domain", "user@example.org", Skip.REFUSED),
    ("sha256", MD5, Skip.REFUSED),
    ("AS", "64496 (EXAMPLE-NET)", Skip.REFUSED),
    ("port", "8080-8090", Skip.REFUSED),
]


def converted(misp_type, value, settings):
    attribute = {"uuid": "aaaaaaaa-0000-4000-8000-000000000001", "type": misp_type, "value": value, "to_ids": True}
    event = {"uuid": "cccccccc-0000-4000-8000-000000000001", "id": "7", "info": "odd", "timestamp": "1790000000"}
    rules = ConversionRules.of(settings)
    results = list(convert_event(event | {"Attribute": [attribute]}, rules, NOW))
    sent = [rules.format.shown(one) for result in results for one in result.indicators]
    return sent, [one for result in results for one in result.skipped]


@pytest.mark.parametrize(("misp_type", "value", "sent"), SENT)
def test_what_is_sent_of_a_value_that_is_written_oddly(misp_type, value, sent):
    uploaded, _ = converted(misp_type, value, Settings())
    assert {one["pattern"] for one in uploaded} == {f"[{KINDS[kind][0]} = '{text}']" for kind, text in sent.items()}
    of_graph, _ = converted(misp_type, value, GRAPH)
    properties = {KINDS[kind][1]: text for kind, text in sent.items()}
    assert {name: str(one[name]) for one in of_graph for name in one.keys() & properties} == properties


@pytest.mark.parametrize(("misp_type", "value", "reason"), NOT_SENT)
def test_why_a_value_is_not_sent(misp_type, value, reason):
    uploaded, skipped = converted(misp_type, value, Settings())
    assert (uploaded, [one.reason for one in skipped]) == ([], [reason])
    of_graph, skipped = converted(misp_type, value, GRAPH)
    assert (of_graph, [one.reason for one in skipped]) == ([], [Skip.BAD_VALUE if reason is Skip.REFUSED else reason])


@hypothesis_settings(max_examples=50)
@given(st.one_of(st.uuids(allow_nil=True), st.uuids().map(lambda own: UUID(int=own.int & ~(0xF << 76)))))
def test_a_uuid_is_one_that_has_a_version(own):
    assert stix_uuid(f" {own} ".upper()) == (str(own) if own.version else "")
    assert not any(map(stix_uuid, (f"{{{own}}}", f"urn:uuid:{own}", own.hex, f"{own}0")))
