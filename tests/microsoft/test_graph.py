"""The Graph API: what an attribute becomes, and runs into the sandbox's Graph."""

from __future__ import annotations

import json
import logging
import re
import stat
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import constants
from constants import Skip
from helpers.commands import adopt, check, withdraw
from helpers.commands.convert import convert_files
from helpers.commands.explain.command import Options, explain
from helpers.commands.monitoring import status
from helpers.errors import SettingsError
from helpers.indicators.convert import convert_event
from helpers.indicators.request_event import RequestObjectEvent
from helpers.indicators.request_graph import shortened, ti_indicator
from helpers.indicators.rules import ConversionRules
from helpers.ledger.records import Stage
from helpers.microsoft.batch import Batch, OutgoingObject
from helpers.microsoft.graph_api import GraphApi
from helpers.microsoft.graph_responses import Operation, interpret_items
from helpers.microsoft.responses import Answer, NextStep
from helpers.settings import loading
from helpers.settings.model import MsAuth, Settings
from helpers.sync.run import opened
from helpers.sync.sending.debug_files import AnswerFiles
from sandbox.azure.graph_rules import EDITABLE, indicator_error
from sandbox.faults import Fault
from tests.project.test_docs import codes, page, rows, section
from tests.support import Said, environ_for, hosts, misp_attribute, misp_event
from tests.support.examples import examples
from tests.support.in_process import OneProcess
from tests.support.tls_site import TlsSite
from tests.support.tls_site import sandbox as tls_sandbox

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
START = 1_790_000_100
DAY = 86_400
GRAPH = "https://graph.example.org/beta"
PATH = "/security/tiIndicators/"
SUBMIT, UPDATE, DELETE, BY_EXTERNAL_ID = Operation
MD5, SHA1, SHA256 = "0123456789abcdef" * 2, "0123456789" * 4, "0123456789abcdef" * 4
LONG = "0123456789abcdef" * 8
SSDEEP = "96:s4Ud1Lj96tHHlZDrwciQmA+4uy1I0G4HYuL8N3TzS8QsO/wqWXLcMSx:sF1LjEtHHlZDrJzrhuyZvHYm8tKp/RWO"
TLSH = LONG[:70]
IMPFUZZY = "48:8CpLQ5y1gNAVWB:8CpLQ5y1"


def graph_settings(**changes):
    return Settings(ms_auth=MsAuth(graph_api=True, scope="https://graph.microsoft.com/.default"), **changes)


def converted(*attributes, settings=None, **changes):
    """What an event with these attributes becomes: tiIndicators, and what is skipped or left out."""
    event = misp_event(1, attributes, **changes)
    parts = list(convert_event(event, ConversionRules.of(settings or graph_settings()), NOW))
    indicators = [ti_indicator(indicator) for part in parts for indicator in part.indicators]
    for indicator in indicators:
        assert indicator_error(indicator, NOW.timestamp()) == ""
    return indicators, [skip for part in parts for skip in (*part.skipped, *part.left_out)]


def becomes(kind, value, settings=None, **changes):
    (indicator,), skipped = converted({"type": kind, "value": value}, settings=settings, **changes)
    assert skipped == []
    return indicator


OBSERVABLES = {
    "AS": ("AS64496", {"networkSourceAsn": 64496}),
    "email-dst": ("Bob@example.org", {"emailRecipient": "bob@example.org"}),
    "email-src-display-name": ("Bob", {"emailSenderName": "Bob"}),
    "email-subject": ("Invoice", {"emailSubject": "Invoice"}),
    "email-x-mailer": ("Mailer 1", {"emailXMailer": "Mailer 1"}),
    "filename": ("a.exe", {"fileName": "a.exe"}),
    "mutex": ("Global\\x", {"fileMutexName": "Global\\x"}),
    "port": ("4444", {"networkPort": 4444}),
    "size-in-bytes": ("1024", {"fileSize": 1024}),
    "url": ("https://example.org/a", {"url": "https://example.org/a"}),
    "user-agent": ("agent/1", {"userAgent": "agent/1"}),
    "domain": ("Example.org", {"domainName": "example.org"}),
    "hostname": ("www.example.org", {"domainName": "www.example.org"}),
    "email-src": ("eve@example.org", {"emailSenderAddress": "eve@example.org", "emailSourceDomain": "example.org"}),
    "ip-dst": ("192.0.2.1", {"networkDestinationIPv4": "192.0.2.1", "networkIPv4": "192.0.2.1"}),
    "ip-src": ("192.0.2.1", {"networkSourceIPv4": "192.0.2.1", "networkIPv4": "192.0.2.1"}),
    "ip-dst|port": (
        "192.0.2.1|443",
        {
            **{"networkDestinationIPv4": "192.0.2.1", "networkIPv4": "192.0.2.1"},
            **{"networkDestinationPort": 443, "networkPort": 443},
        },
    ),
    "ip-src|port": (
        "192.0.2.1|443",
        {
            **{"networkSourceIPv4": "192.0.2.1", "networkIPv4": "192.0.2.1"},
            **{"networkSourcePort": 443, "networkPort": 443},
        },
    ),
    "domain|ip": ("example.org|192.0.2.1", {"domainName": "example.org", "networkIPv4": "192.0.2.1"}),
    "md5": (MD5, {"fileHashType": "md5", "fileHashValue": MD5}),
    "sha1": (SHA1, {"fileHashType": "sha1", "fileHashValue": SHA1}),
    "sha256": (SHA256, {"fileHashType": "sha256", "fileHashValue": SHA256}),
    "authentihash": (SHA256, {"fileHashType": "authenticodeHash256", "fileHashValue": SHA256}),
    "ssdeep": (SSDEEP, {"fileHashType": "ctph", "fileHashValue": SSDEEP}),
    "tlsh": (TLSH, {"fileHashType": "lsHash", "fileHashValue": TLSH}),
    "imphash": (MD5, {"fileHashType": "unknown", "fileHashValue": MD5}),
    "impfuzzy": (IMPFUZZY, {"fileHashType": "unknown", "fileHashValue": IMPFUZZY}),
    "pehash": (SHA1, {"fileHashType": "unknown", "fileHashValue": SHA1}),
    **{
        kind: (LONG[:length], {"fileHashType": "unknown", "fileHashValue": LONG[:length]})
        for kind, length in (
            *(("sha224", 56), ("sha384", 96), ("sha512", 128)),
            *(("sha512/224", 56), ("sha512/256", 64)),
        )
    },
}
OTHER_FORMS = [
    ("AS", "64496", {"networkSourceAsn": 64496}),
    ("url", "example.org/a", {"url": "http://example.org/a"}),
    ("url", "HTTPS://example.org", {"url": "HTTPS://example.org"}),
    ("ip-dst", "2001:db8::1", {"networkDestinationIPv6": "2001:db8::1", "networkIPv6": "2001:db8::1"}),
    ("ip-src", "2001:db8::1", {"networkSourceIPv6": "2001:db8::1", "networkIPv6": "2001:db8::1"}),
    ("domain|ip", "192.0.2.1|example.org", {"domainName": "example.org", "networkIPv4": "192.0.2.1"}),
    ("ip-dst", "::ffff:192.0.2.1", {"networkDestinationIPv4": "192.0.2.1", "networkIPv4": "192.0.2.1"}),
    (
        "email-src",
        "Eve <eve@example.org>",
        {"emailSenderAddress": "eve@example.org", "emailSourceDomain": "example.org"},
    ),
    (
        "ip-dst",
        "198.51.100.0/24",
        {"networkDestinationCidrBlock": "198.51.100.0/24", "networkCidrBlock": "198.51.100.0/24"},
    ),
    ("ip-src", "2001:db8::/32", {"networkSourceCidrBlock": "2001:db8::/32", "networkCidrBlock": "2001:db8::/32"}),
    ("domain|ip", "example.org|2001:db8::1", {"domainName": "example.org", "networkIPv6": "2001:db8::1"}),
    (
        "ip-src|port",
        "2001:db8::1|443",
        {
            **{"networkSourceIPv6": "2001:db8::1", "networkIPv6": "2001:db8::1"},
            **{"networkSourcePort": 443, "networkPort": 443},
        },
    ),
    (
        "ip-dst|port",
        "[2001:db8::1]:443",
        {
            **{"networkDestinationIPv6": "2001:db8::1", "networkIPv6": "2001:db8::1"},
            **{"networkDestinationPort": 443, "networkPort": 443},
        },
    ),
]
PROPERTIES = {
    *("domainName", "url", "userAgent"),
    *(name for _, fields in OBSERVABLES.values() for name in fields),
    *(name for *_, fields in OTHER_FORMS for name in fields),
}


def observables(indicator):
    return {name: value for name, value in indicator.items() if name in PROPERTIES}


@pytest.mark.parametrize(
    ("kind", "value", "expected"), [*((kind, *row) for kind, row in OBSERVABLES.items()), *OTHER_FORMS]
)
def test_an_attribute_is_its_observables(kind, value, expected):
    assert observables(becomes(kind, value)) == expected


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("domain", "203.0.113.9", {"networkIPv4": "203.0.113.9"}),
        ("hostname", "[2001:db8::1]", {"networkIPv6": "2001:db8::1"}),
        ("domain", "198.51.100.0/24", {"networkCidrBlock": "198.51.100.0/24"}),
        ("hostname|port", "203.0.113.9|443", {"networkIPv4": "203.0.113.9", "networkPort": 443}),
    ],
)
@pytest.mark.parametrize("ignore_direction", [False, True])
def test_an_address_under_a_host_s_type_has_no_direction(kind, value, expected, ignore_direction):
    assert observables(becomes(kind, value, graph_settings(network_ignore_direction=ignore_direction))) == expected


@pytest.mark.parametrize("kind", constants.HASH_TYPES)
def test_a_hash_with_a_file_name_is_the_hash(kind):
    value, expected = OBSERVABLES[kind]
    indicator = becomes(f"filename|{kind}", f"a.exe|{value}")
    assert observables(indicator) == expected
    assert "File name: a.exe" in indicator["additionalInformation"]


def test_every_type_of_the_mapping_has_its_row():
    assert constants.ATTR_MAPPING.keys() - OBSERVABLES == {"malware-type"}
    assert all(constants.ATTR_MAPPING[kind] in OBSERVABLES[kind][1] for kind in OBSERVABLES.keys() & ATTRIBUTES)


ATTRIBUTES = constants.ATTR_MAPPING.keys()


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("ip-dst", "192.0.2.1", {"networkDestinationIPv4": "192.0.2.1"}),
        ("ip-src", "198.51.100.0/24", {"networkSourceCidrBlock": "198.51.100.0/24"}),
        ("ip-src|port", "192.0.2.1|443", {"networkSourceIPv4": "192.0.2.1", "networkSourcePort": 443}),
        ("domain|ip", "example.org|192.0.2.1", {"domainName": "example.org", "networkIPv4": "192.0.2.1"}),
    ],
)
def test_with_only_directions(kind, value, expected):
    indicator = becomes(kind, value, graph_settings(network_ignore_direction=False))
    assert observables(indicator) == expected


SAID = [
    ("diamond-model:Infrastructure", {"diamondModel": "infrastructure", "tags": []}),
    ("diamond-model:Other", {"diamondModel": "unknown", "tags": ["diamond-model:Other"]}),
    ("kill-chain:Command and Control", {"killChain": ["C2"], "tags": []}),
    ("kill-chain:Actions on Objectives", {"killChain": ["Actions"], "tags": []}),
    ("kill-chain:Delivery", {"killChain": ["Delivery"], "tags": []}),
    ("kill-chain:Party", {"killChain": [], "tags": ["kill-chain:Party"]}),
    ("sentinel-threattype:Botnet", {"threatType": "Botnet", "tags": []}),
    ("sentinel-threattype:phishing", {"threatType": "Phishing", "tags": []}),
    ("sentinel-threattype:Odd", {"threatType": "WatchList", "tags": ["sentinel-threattype:Odd"]}),
    ("tlp:clear", {"tlpLevel": "white"}),
    ("tlp:green", {"tlpLevel": "green", "tags": []}),
    ("tlp:amber", {"tlpLevel": "amber", "tags": []}),
    ("tlp:red", {"tlpLevel": "red", "tags": []}),
    ('misp:confidence-level="usually-confident"', {"confidence": 75, "tags": []}),
    ("botnet:example", {"tags": ["botnet:example"], "threatType": "WatchList", "tlpLevel": "white", "confidence": 50}),
]


@pytest.mark.parametrize(("tag", "expected"), SAID)
@pytest.mark.parametrize("of_event", [False, True])
def test_a_tag_says(tag, expected, of_event):
    tags = {"Tag": [{"name": tag}]}
    attribute = {"type": "domain", "value": "example.org", **({} if of_event else tags)}
    (indicator,), _ = converted(attribute, **(tags if of_event else {}))
    assert {name: indicator[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("ignored", "allowed", "shown"),
    [
        ([], [], ["osint:a", "kill-chain:Party", "sentinel-threattype:Odd"]),
        (["kill-chain:", "SENTINEL-threattype"], [], ["osint:a"]),
        ([], ["osint", "kill-chain"], ["osint:a", "kill-chain:Party"]),
        (["osint:"], ["osint"], []),
    ],
)
def test_the_lists_count_for_words_that_microsoft_does_not_know_too(monkeypatch, ignored, allowed, shown):
    monkeypatch.setattr(constants, "MISP_TAGS_IGNORE", ignored)
    monkeypatch.setattr(constants, "MISP_ALLOWED_TAXONOMIES", allowed)
    names = ("osint:a", "kill-chain:Party", "sentinel-threattype:Odd")
    indicator = becomes("domain", "example.org", Tag=[{"name": name} for name in names])
    assert indicator["tags"] == shown


def test_what_the_settings_say():
    settings = graph_settings(
        ms_action="block", ms_passiveonly=True, ms_target_product="Microsoft Defender ATP", days_to_expire=3
    )
    indicator = becomes("domain", "example.org", settings)
    assert (indicator["action"], indicator["passiveOnly"], indicator["targetProduct"]) == (
        "block",
        True,
        "Microsoft Defender ATP",
    )
    assert datetime.fromisoformat(indicator["expirationDateTime"]) == NOW + timedelta(days=3)
    indicator = becomes("domain", "example.org")
    assert (indicator["action"], indicator["passiveOnly"], indicator["targetProduct"]) == (
        "alert",
        False,
        "Azure Sentinel",
    )
    assert datetime.fromisoformat(indicator["expirationDateTime"]) == NOW + timedelta(days=50)


def test_what_the_event_says():
    indicator = becomes("domain", "example.org")
    assert indicator["isActive"] is True
    assert indicator["externalId"] == misp_attribute(1_000_000, ("domain", ""))["uuid"]
    assert misp_event(1)["uuid"] in indicator["additionalInformation"]
    assert becomes("domain", "example.org", published=False)["isActive"] is False


def test_each_attribute_of_an_event_with_names_is_counted_once():
    named = [{"type": "threat-actor", "value": f"APT {n}"} for n in range(502)]
    named += [{"type": "comment", "value": "seen by night"}, {"type": "malware-type", "value": "loader"}]
    parts = list(convert_event(misp_event(1, [*named, *hosts(2)]), ConversionRules.of(graph_settings()), NOW))
    skipped = Counter(skip.reason for part in parts for skip in part.skipped)
    assert skipped == {Skip.EVENT_NAME: 501, Skip.TYPE_NOT_ACCEPTED: 3}  # 500 names of a kind go out, as tags do
    assert sum(part.attributes for part in parts) == 506 == skipped.total() + 2


def test_threat_actors_and_names_of_malware_go_to_every_indicator_of_the_event():
    named = [
        {"type": "threat-actor", "value": "APT 0", "to_ids": False},
        {"type": "threat-actor", "value": "gone", "to_ids": False, "deleted": True},
        {"type": "malware-type", "value": "loader"},
    ]
    indicators, skipped = converted(*named, *hosts(2))
    assert [(indicator["activityGroupNames"], indicator["malwareFamilyNames"]) for indicator in indicators] == [
        (["APT 0"], ["loader"])
    ] * 2
    assert [skip.reason for skip in skipped] == [Skip.EVENT_NAME, Skip.DELETED, Skip.EVENT_NAME]


@pytest.mark.parametrize(("labels", "names"), [(True, ["Sofacy", "APT 0"]), (False, ["APT 0"])])
def test_actors_that_tags_name_go_to_their_indicators(labels, names):
    tagged = {"type": "domain", "value": "example.org", "Tag": [{"name": 'misp-galaxy:threat-actor="Sofacy"'}]}
    actor = {"type": "threat-actor", "value": "APT 0", "to_ids": False}
    event = misp_event(1, [tagged, ("domain", "example.com"), actor])
    rules = ConversionRules.of(graph_settings(activity_group_labels=labels))
    parts = convert_event(event, rules, NOW, {tagged["Tag"][0]["name"]: "Sofacy"})
    indicators = [ti_indicator(indicator) for part in parts for indicator in part.indicators]
    assert [indicator["activityGroupNames"] for indicator in indicators] == [names, ["APT 0"]]
    assert [indicator["tags"] for indicator in indicators] == [['misp-galaxy:threat-actor="Sofacy"'], []]


@pytest.mark.parametrize(
    ("comment", "description"),
    [("seen at night", "seen at night"), ("", "Event 1"), ("x" * 101, "x" * 97 + "..."), ("x" * 100, "x" * 100)],
)
def test_the_description_is_the_comment_or_the_info_and_the_whole_is_kept(comment, description):
    (indicator,), _ = converted({"type": "domain", "value": "example.org", "comment": comment})
    assert indicator["description"] == description
    assert comment in indicator["additionalInformation"]


def test_a_description_is_counted_as_microsoft_counts():
    assert len(shortened("\U0001f600" * 60).encode("utf-16-le")) <= 200
    assert shortened("\U0001f600" * 50) == "\U0001f600" * 50


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("email", "a@example.org", Skip.NO_GRAPH_PROPERTY),
        ("regkey", "HKLM\\x", Skip.NO_GRAPH_PROPERTY),
        ("hostname|port", "example.org|80", Skip.NO_GRAPH_PROPERTY),
        ("malware-type", "loader", Skip.EVENT_NAME),
        ("threat-actor", "APT 0", Skip.EVENT_NAME),
        ("email-src", "eve", Skip.BAD_VALUE),
        ("sha256", "not-a-hash", Skip.BAD_VALUE),
        ("ssdeep", "not-a-hash", Skip.BAD_VALUE),
        ("filename|md5", "a.exe|0", Skip.BAD_VALUE),
        ("domain", "exa mple.org", Skip.BAD_VALUE),
        ("port", "80-90", Skip.BAD_VALUE),
        ("port", "65536", Skip.BAD_VALUE),
        ("AS", "4294967295", Skip.BAD_VALUE),
        ("size-in-bytes", "1 MB", Skip.BAD_VALUE),
        ("ip-dst", "10.0.0.0/8", Skip.PRIVATE_ADDRESS),
    ],
)
def test_what_graph_does_not_take_is_skipped(kind, value, reason):
    indicators, skipped = converted({"type": kind, "value": value})
    assert (indicators, [skip.reason for skip in skipped]) == ([], [reason])


def test_a_port_that_is_none_costs_the_address_nothing():
    (indicator,), skipped = converted({"type": "ip-dst|port", "value": "192.0.2.1|http"})
    assert observables(indicator) == OBSERVABLES["ip-dst"][1]
    assert [skip.reason for skip in skipped] == [Skip.BAD_VALUE]


def test_objects_are_taken_apart():
    event = misp_event(1, Object=[{"uuid": misp_event(9)["uuid"], "Attribute": [misp_attribute(1, ("md5", MD5))]}])
    prepared = RequestObjectEvent(event, ConversionRules.of(graph_settings(misp_flatten_attributes=False)), NOW)
    assert (len(prepared.prepared), prepared.objects) == (1, [])


def test_the_documented_mapping_is_this_one():
    table = {
        kind: set(codes(row[1]))
        for row in rows(section(page("docs/graph.md"), "## What becomes of an attribute"))
        for kind in codes(row[0])
    }
    fields_by_type = {kind: set(fields) for kind, (_, fields) in OBSERVABLES.items()}
    for kind, _, fields in OTHER_FORMS:
        fields_by_type[kind] |= set(fields)
    assert table == {**fields_by_type, "malware-type": {"malwareFamilyNames"}, "threat-actor": {"activityGroupNames"}}


def test_what_may_be_updated_is_what_the_sandbox_lets():
    assert set(constants.GRAPH_EDITABLE) <= EDITABLE
    assert Counter(constants.GRAPH_EDITABLE).most_common(1)[0][1] == 1


# --- answers, item by item -----------------------------------------------------------------------------


def batch_of(count, operation=SUBMIT):
    ids = [f"indicator--00000000-0000-4000-8000-{number:012d}" for number in range(count)]
    objects = [OutgoingObject(id_, "[]", b"{}", remote_id=f"g{id_[-2:]}", operation=operation) for id_ in ids]
    return Batch(objects, operation)


def judged(status, value, operation=SUBMIT, count=2):
    text = value if isinstance(value, str) else json.dumps({"value": value})
    return GraphApi(graph_settings()).interpret(Answer(status, text), batch_of(count, operation), NOW)


FIRST, SECOND = (f"00000000-0000-4000-8000-{number:012d}" for number in range(2))
FAILED = {"error": {"code": "400", "message": "bad"}}


@pytest.mark.parametrize(
    ("status", "value", "ids", "rejected"),
    [
        (200, [{"id": "a"}, {"id": "b"}], {0: "a", 1: "b"}, {}),
        (200, [{"id": "b", "externalId": SECOND}, {"id": "a", "externalId": FIRST}], {0: "a", 1: "b"}, {}),
        (200, "", {}, {}),
        (200, [], {}, {}),
        (206, [{"id": "a"}, FAILED], {0: "a"}, {1: "400: bad"}),
        (206, [{"externalId": SECOND, **FAILED}, {"id": "a", "externalId": FIRST}], {0: "a"}, {1: "400: bad"}),
        (206, [{"code": "BadInput", "message": "bad"}, {"id": "b"}], {1: "b"}, {0: "BadInput: bad"}),
        (206, [{"message": "bad"}, {"id": "b"}], {1: "b"}, {0: "bad"}),
        (206, [{"error": "bad"}, {"id": "b"}], {1: "b"}, {0: "bad"}),
        (200, [{"error": {"code": "x"}}, {"id": "b"}], {1: "b"}, {0: "x"}),
    ],
)
def test_each_item_is_read(status, value, ids, rejected):
    verdict = judged(status, value)
    assert verdict.next_step is NextStep.SETTLED
    assert (verdict.remote_ids, verdict.rejected, verdict.failed, verdict.lost) == (ids, rejected, {}, frozenset())


@pytest.mark.parametrize("value", [[{"id": "a"}], [{"id": "a"}, "odd"], [{"externalId": "other"}, {"id": "b"}], []])
def test_a_206_that_does_not_speak_of_each_is_sent_in_halves(value):
    assert judged(206, value).next_step is NextStep.SPLIT


@pytest.mark.parametrize("text", ["<html>", "{}", '{"value": 5}'])
@pytest.mark.parametrize("status", [200, 206])
def test_an_answer_without_items_is_none(status, text):
    assert judged(status, text).next_step is NextStep.RETRY


def test_what_may_pass_is_tried_another_time():
    verdict = judged(206, [{"error": {"code": "503", "message": "busy"}}, {"id": "b"}])
    assert (verdict.failed, verdict.rejected) == ({0: "503: busy"}, {})


@pytest.mark.parametrize(("operation", "lost"), [(DELETE, {0}), (BY_EXTERNAL_ID, set())])
@pytest.mark.parametrize("gone", [{"code": 404, "message": "x"}, {"code": "Odd", "message": "It was not found"}])
def test_what_is_gone_by_our_id_is_deleted(operation, lost, gone):
    verdict = judged(206, [gone, {"code": 0, "message": None, "subCode": 0}], operation)
    assert (verdict.rejected, verdict.failed, verdict.lost) == ({}, {}, lost)
    assert judged(206, [{"code": 403, "message": "no", "subCode": 7}, {}], operation).rejected == {0: "403: no: 7"}


def test_what_is_gone_cannot_be_updated():
    gone = {"error": {"code": "ResourceNotFound", "message": "not found"}}
    assert judged(206, [gone, {"id": "b"}], UPDATE).lost == {0}
    assert judged(206, [gone, {"id": "b"}], SUBMIT).rejected.keys() == {0}


# --- runs -----------------------------------------------------------------------------------------------


class GraphSite(OneProcess):
    """A site that sends to the Graph API."""

    def __init__(self, state, **settings):
        super().__init__(
            state,
            START,
            MISP_EVENT_FILTERS='{"published": 1}',
            **{"MS_AUTH__GRAPH_API": "true", "MS_ENDPOINTS__GRAPH": GRAPH, **settings},
        )
        self.asked = 0

    def run(self, **options):
        self.asked = len(self.azure.graph_requests)
        report = super().run(**options)
        if report:  # nothing is unaccounted for, and what is called accepted is there
            assert report.indicators == report.states.total()
            assert self.accepted <= self.azure.ti_indicators.keys()
        return report

    @property
    def accepted(self):
        """The ids that Graph gave to what the ledger calls accepted and live."""
        with opened(self.settings) as ledger:
            live = [record for record in ledger.every_live_object(0) if record.stage == Stage.ACCEPTED]
        assert all(record.remote_id for record in live)
        return {record.remote_id for record in live}

    def later(self, days=0.1, **options):
        self.seconds += int(days * DAY)
        return self.run(**options)

    @property
    def actions(self):
        """What was asked of Graph in the last run: action, items, status."""
        return [tuple(request.values()) for request in self.azure.graph_requests[self.asked :]]

    @property
    def in_graph(self):
        """What Graph has: domain → indicator; none is there twice."""
        indicators = list(self.azure.ti_indicators.values())
        names = {indicator["domainName"]: indicator for indicator in indicators}
        assert len(names) == len(indicators)
        return names

    def fault(self, action, kind, **more):
        self.azure.faults.add(Fault(f"{PATH}{action}", kind, **more))


@pytest.fixture
def make_site(tmp_path):
    return lambda **settings: GraphSite(tmp_path, **settings)


def load(site, events=2, attributes=3):
    site.misp.load(misp_event(n, hosts(attributes, f"e{n}h")) for n in range(1, events + 1))


def uuid(number):
    return misp_event(number)["uuid"]


def attribute(number, position):
    return misp_event(number, hosts(position + 1))["Attribute"][position]["uuid"]


def edit(site, number, position, **changes):
    site.misp.edit_attribute(uuid(number), attribute(number, position), **changes)
    site.misp.publish(uuid(number))


def test_a_run_submits_in_batches_and_keeps_the_ids(make_site):
    site = make_site()
    load(site, events=5, attributes=50)
    report = site.run()
    assert (report.exit_code, report.indicators) == (0, 250)
    assert site.actions == [(SUBMIT, 100, 200), (SUBMIT, 100, 200), (SUBMIT, 50, 200)]
    with opened(site.settings) as ledger:
        known = {record.remote_id: record.id for record in ledger.every_live_object(0)}
    assert known == {
        key: f"indicator--{indicator['externalId']}" for key, indicator in site.azure.ti_indicators.items()
    }
    assert site.later().indicators == 0


def test_206_costs_only_the_bad_indicators(make_site):
    site = make_site()
    bad = ("url", "example.org/with a space")
    site.misp.load([misp_event(1, [*hosts(2), bad, ("ip-dst", "192.0.2.1"), ("filename|md5", f"a|{MD5}")])])
    report = site.run()
    assert report.attributes == report.skipped.total() + report.indicators == 5
    assert site.actions == [(SUBMIT, 5, 206)]
    assert (report.exit_code, {state.value: count for state, count in report.states.items()}) == (
        1,
        {"accepted": 4, "rejected": 1},
    )
    assert "url is not valid" in report.rejections[0].words
    assert site.later().indicators == 0  # it is not sent again as it is
    again = site.run(retry_rejected=True)
    assert (again.indicators, site.actions) == (1, [(SUBMIT, 1, 206)])


def test_a_206_that_says_nothing_of_each_ends_with_each_once(make_site):
    site = make_site()
    load(site, events=1, attributes=5)
    site.fault(SUBMIT, "truncate", times=1)
    body = {"value": [{"id": "x"}]}
    site.fault(SUBMIT, "status", status=206, body=body, times=1)
    report = site.run()
    assert report.exit_code == 0 and report.states.total() == 5
    assert len(site.in_graph) == 5
    assert {action for action, *_ in site.actions} == {SUBMIT, BY_EXTERNAL_ID}


def test_an_editable_change_is_an_update(make_site):
    site = make_site()
    load(site)
    site.run()
    before = site.in_graph["e1h0.example.org"]["id"]
    edit(site, 1, 0, comment="seen again")
    report = site.later()
    assert (report.exit_code, site.actions) == (0, [(UPDATE, 1, 200)])
    after = site.in_graph["e1h0.example.org"]
    assert (after["id"], after["description"]) == (before, "seen again")


def test_tags_and_threat_actors_are_updated_and_taken_back(make_site):
    site = make_site()
    load(site, events=1, attributes=2)
    site.misp.tag_attribute(uuid(1), attribute(1, 0), "diamond-model:Victim")
    site.misp.publish(uuid(1))
    site.run()
    assert site.in_graph["e1h0.example.org"]["diamondModel"] == "victim"
    site.misp.untag_attribute(uuid(1), attribute(1, 0), "diamond-model:Victim")
    site.misp.add_attribute(uuid(1), {"type": "threat-actor", "value": "APT 0", "category": "Attribution"})
    site.misp.publish(uuid(1))
    site.later()
    assert site.actions == [(UPDATE, 2, 200)]
    fields = {(indicator["diamondModel"], *indicator["activityGroupNames"]) for indicator in site.in_graph.values()}
    assert fields == {("unknown", "APT 0")}


def test_a_change_of_what_may_not_be_updated_is_a_delete_and_a_submit(make_site):
    site = make_site()
    load(site)
    site.run()
    edit(site, 1, 0, value="new.example.org")
    site.misp.tag_attribute(uuid(1), attribute(1, 1), "sentinel-threattype:C2")
    site.misp.publish(uuid(1))
    report = site.later()
    assert report.exit_code == 0
    assert sorted(site.actions) == sorted([(SUBMIT, 2, 200), (DELETE, 2, 200)])
    assert "e1h0.example.org" not in site.in_graph
    assert site.in_graph["e1h1.example.org"]["threatType"] == "C2"
    assert len(site.in_graph) == 6


def test_what_leaves_misp_is_deleted(make_site):
    site = make_site()
    load(site)
    site.run()
    site.misp.soft_delete(uuid(1), attribute(1, 0))
    site.misp.publish(uuid(1))
    report = site.later()
    assert (report.withdrawals.total(), site.actions) == (1, [(DELETE, 1, 200)])
    site.misp.delete(uuid(2))
    assert site.later().withdrawals.total() == 3
    assert sorted(site.in_graph) == ["e1h1.example.org", "e1h2.example.org"]
    site.misp.restore(uuid(1), attribute(1, 0))
    site.misp.publish(uuid(1))
    site.later()
    assert site.actions == [(SUBMIT, 1, 200)] and len(site.in_graph) == 3


def test_a_renewal_is_an_update(make_site):
    site = make_site()
    load(site)
    site.run()
    report = site.later(26)
    assert (report.plans["renewed"], site.actions) == (6, [(UPDATE, 6, 200)])
    wanted = datetime.fromtimestamp(site.seconds, UTC) + timedelta(days=50)
    assert {datetime.fromisoformat(indicator["expirationDateTime"]) for indicator in site.in_graph.values()} == {wanted}


def test_what_graph_has_lost_is_submitted_instead_of_updated(make_site):
    site = make_site()
    load(site)
    site.run()
    del site.azure.ti_indicators[site.in_graph["e1h0.example.org"]["id"]]
    for position in (0, 1):
        edit(site, 1, position, comment="again")
    report = site.later()
    assert report.exit_code == 0
    assert site.actions == [(UPDATE, 2, 206), (BY_EXTERNAL_ID, 1, 206), (SUBMIT, 1, 200)]
    assert len(site.in_graph) == 6
    edit(site, 1, 0, comment="and again")
    site.later()
    assert site.actions == [(UPDATE, 1, 200)]


@pytest.mark.parametrize("kind", ["reset-after", "truncate", "hang"])
def test_a_submit_without_an_answer_is_deleted_before_it_is_sent_again(make_site, kind, caplog):
    caplog.set_level(logging.INFO)
    site = make_site()
    load(site)
    site.fault(SUBMIT, kind)
    report = site.run()
    assert report.exit_code == 0
    assert [action for action, *_ in site.actions] == [SUBMIT, BY_EXTERNAL_ID, SUBMIT]
    assert len(site.in_graph) == 6
    assert re.findall(r"Indicators (.*)", caplog.text) == [
        "not accepted - request number: 1 / indicators: 6 / remaining: 6",
        "sent - request number: 3 / indicators: 6 / remaining: 0",
    ]


def test_a_submit_without_an_answer_is_deleted_first_by_the_next_run_too(make_site):
    site = make_site()
    load(site)
    site.fault(SUBMIT, "reset-after", times=None)
    report = site.run()
    assert (report.exit_code, report.states.total()) == (4, 6)
    site.azure.faults.clear()
    report = site.later()
    assert report.exit_code == 0
    assert [(action, count) for action, count, _ in site.actions] == [(BY_EXTERNAL_ID, 6), (SUBMIT, 6)]
    assert len(site.in_graph) == 6


def test_what_left_without_an_answer_is_deleted_by_our_id(make_site):
    site = make_site()
    load(site)
    site.fault(SUBMIT, "reset-after", times=None)
    site.run()
    site.azure.faults.clear()
    site.misp.delete(uuid(1))
    report = site.later()
    assert report.exit_code == 0
    assert (BY_EXTERNAL_ID, 3, 206) in site.actions or (BY_EXTERNAL_ID, 3, 200) in site.actions
    assert sorted(site.in_graph) == [f"e2h{n}.example.org" for n in range(3)]


def test_what_graph_may_have_under_a_newer_id_is_deleted_by_ours(make_site):
    """Graph lost it; the submit in its place arrived and had no answer; then it left MISP."""
    site = make_site()
    load(site, 1, 1)
    site.run()
    site.azure.ti_indicators.clear()
    edit(site, 1, 0, comment="again")
    site.fault(SUBMIT, "reset-after", times=None)
    assert site.later().exit_code == 4
    assert site.in_graph.keys() == {"e1h0.example.org"}
    site.azure.faults.clear()
    edit(site, 1, 0, to_ids=False)
    report = site.later()
    assert report.exit_code == 0
    assert [action for action, *_ in site.actions] == [DELETE, BY_EXTERNAL_ID]
    assert site.in_graph == {}


def test_without_a_ledger_each_run_replaces_what_it_sent_before(tmp_path):
    site = GraphSite(tmp_path, STATE_URL="none")
    load(site)
    for _ in range(2):
        assert OneProcess.run(site).exit_code == 0
        site.seconds += DAY
        assert len(site.in_graph) == 6
    site.fault(SUBMIT, "status", after=1)
    assert OneProcess.run(site).exit_code == 0
    assert len(site.in_graph) == 6


@pytest.mark.parametrize("status", [429, 503])
def test_throttling_costs_only_time(make_site, status):
    site = make_site()
    load(site)
    site.fault(SUBMIT, "status", status=status, headers={"Retry-After": "7"})
    report = site.run()
    assert report.exit_code == 0 and len(site.in_graph) == 6
    assert sum(site.waiting.slept) >= 7


@pytest.mark.parametrize("last", range(1, 60, 3))
def test_a_run_that_dies_anywhere_leaves_nothing_twice(make_site, last):
    site = make_site()
    load(site, events=1)
    site.run(last_step=last)
    report = site.later()
    assert report.exit_code == 0
    assert len(site.in_graph) == 3
    edit(site, 1, 0, value="new.example.org")
    site.seconds += DAY
    site.run(last_step=last)
    assert site.later().exit_code == 0
    assert sorted(site.in_graph) == ["e1h1.example.org", "e1h2.example.org", "new.example.org"]


WHICH = st.integers(0, 3)
EDITS = st.one_of(
    st.tuples(st.just("value"), WHICH, WHICH),
    st.tuples(st.just("comment"), WHICH, WHICH),
    st.tuples(st.just("threat"), WHICH, st.sampled_from(["C2", "Botnet"])),
    st.tuples(st.just("delete or restore"), WHICH, st.none()),
)
FAULTS = st.sampled_from(
    [
        *({"kind": "status", "status": status} for status in (400, 429, 503)),
        {"kind": "status", "status": 206, "body": {"value": [{"error": {"code": "503", "message": "busy"}}]}},
        *(
            {"kind": kind, "times": times}
            for kind in ("reset-before", "reset-after", "truncate")
            for times in (1, None)
        ),
    ]
)
PATHS = st.sampled_from([PATH, *(f"{PATH}{operation}" for operation in Operation)])
ROUNDS = st.tuples(st.lists(EDITS, max_size=3), st.none() | st.tuples(PATHS, FAULTS), st.none() | st.integers(1, 80))


@hypothesis_settings(max_examples=examples(60))
@given(rounds=st.lists(ROUNDS, min_size=1, max_size=5))
def test_whatever_happens_graph_has_in_the_end_what_misp_wants_and_each_once(rounds):
    with tempfile.TemporaryDirectory() as place:
        site = GraphSite(Path(place))
        wanted = {n: f"e1h{n}.example.org" for n in range(4)}
        deleted = set()
        load(site, events=1, attributes=4)
        for edits, fault, last in rounds:
            for edit_ in edits:
                apply(site, edit_, wanted, deleted)
            if fault:
                site.azure.faults.add(Fault(fault[0], **fault[1]))
            site.misp.publish(uuid(1))
            site.seconds += DAY // 4
            site.run(last_step=last)
            site.azure.faults.clear()
        # What was refused with 400 on its own counts as rejected, and is not sent again unasked.
        report = site.later(full=True, retry_rejected=True)
        assert (report.exit_code, report.rejections) == (0, [])
        domains = Counter(indicator["domainName"] for indicator in site.azure.ti_indicators.values())
        assert domains == Counter(value for number, value in wanted.items() if number not in deleted)
        assert site.accepted == site.azure.ti_indicators.keys()
        assert site.later().indicators == 0


def apply(site, edit_, wanted, deleted):
    """Let somebody edit MISP; ``wanted`` and ``deleted`` follow."""
    what, number, how = edit_
    uuids = (uuid(1), attribute(1, number))
    if what == "delete or restore":
        (site.misp.restore if number in deleted else site.misp.soft_delete)(*uuids)
        deleted ^= {number}
    elif what == "threat":
        site.misp.tag_attribute(*uuids, f"sentinel-threattype:{how}")
    elif number not in deleted:
        if what == "value":
            wanted[number] = f"new{how}.example.org"
        site.misp.edit_attribute(*uuids, **{what: wanted[number] if what == "value" else f"seen {how}"})


def test_shared_values_are_sent_once(make_site):
    site = make_site(DEDUPLICATE="value")
    site.misp.load(misp_event(n, hosts(2)) for n in (1, 2))
    site.run()
    assert len(site.in_graph) == 2
    (information,) = {indicator["additionalInformation"].count(uuid(1)) for indicator in site.in_graph.values()}
    assert information and all(uuid(2) in indicator["additionalInformation"] for indicator in site.in_graph.values())
    site.misp.delete(uuid(1))
    site.later()
    assert site.actions == [(UPDATE, 2, 200)] and len(site.in_graph) == 2


def test_a_large_event_says_its_threat_actors_in_every_slice(make_site, monkeypatch):
    monkeypatch.setattr("helpers.misp.paged_search.ATTRIBUTES_PER_PAGE", 32)
    site = make_site()
    actor = {"type": "threat-actor", "value": "APT 0", "to_ids": False}
    site.misp.load([misp_event(1, [*hosts(70), actor])])
    report = site.run()
    assert report.exit_code == 0
    assert {tuple(indicator["activityGroupNames"]) for indicator in site.in_graph.values()} == {("APT 0",)}


def test_without_the_permission_the_hint_names_it(make_site):
    site = make_site()
    load(site)
    site.azure.graph_permission = False
    report = site.run()
    assert report.exit_code == 4
    assert "ThreatIndicators.ReadWrite.OwnedBy" in report.given_up and "admin consent" in report.given_up


def test_only_its_owner_may_read_an_answer(make_site, tmp_path):
    site = make_site(WRITE_POST_JSON="true")
    load(site, events=3, attributes=50)
    site.run()
    files = sorted((tmp_path / "logs").iterdir())
    assert [json.loads(path.read_text())["status"] for path in files] == [200, 200]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700


def test_a_directory_that_cannot_be_made_is_a_warning(tmp_path, caplog):
    (tmp_path / "logs").write_text("")
    AnswerFiles(tmp_path / "logs", "").add(Answer(200))
    assert "logs is a file, which is refused: take it away" in caplog.text


# --- settings and commands ---------------------------------------------------------------------------------


def loaded(site, **changes):
    environ = environ_for(site.azure, MISP2SENTINEL_MS_AUTH__GRAPH_API="true")
    environ |= {f"MISP2SENTINEL_{name}": value for name, value in changes.items()}
    config = site.settings.state_path / "config.py"
    return loading.load(config, {name: value for name, value in environ.items() if value is not None})


def test_a_workspace_is_not_needed_and_the_state_of_the_api_is_one_warning(make_site):
    loading = loaded(make_site(), MS_AUTH__WORKSPACE_ID=None)
    assert loading.settings.ms_auth.scope == "https://graph.microsoft.com/.default"
    assert loading.settings.workspace_key == f"graph:{loading.settings.ms_auth.tenant}:Azure Sentinel"
    (warning,) = loading.warnings
    assert "deprecated" in warning and "April 2026" in warning


def test_several_tenants_need_no_workspace_each(make_site):
    first = {"tenantId": "one.example.org", "id": "22222222-2222-4222-8222-222222222222", "secret": "s"}
    second = {**first, "tenantId": "two.example.org"}
    several = loaded(make_site(), MS_TENANTS=json.dumps([first, second])).settings
    assert [destination.workspace_key.split(":")[1] for destination in several.destinations()] == [
        "one.example.org",
        "two.example.org",
    ]
    with pytest.raises(SettingsError) as caught:
        loaded(make_site(), MS_TENANTS=json.dumps([first]), MS_AUTH__GRAPH_API="false")
    assert any("workspaceId" in problem for problem in caught.value.problems)
    with pytest.raises(SettingsError) as caught:
        loaded(make_site(), MS_TENANTS=json.dumps([{**first, "workspaceId": first["id"]}, {**first, "name": "again"}]))
    assert "same tenantId" in str(caught.value)
    with pytest.raises(SettingsError) as caught:
        loaded(make_site(), MS_TENANTS=json.dumps([{**first, "cloud": "usgov"}]))
    assert "Azure US Government" in str(caught.value)


@pytest.mark.parametrize("version", ["2022-07-01", "2024-02-01-preview"])
def test_a_version_of_the_upload_api_is_no_warning_to_who_uses_graph(make_site, version):
    (warning,) = loaded(make_site(), MS_API_VERSION=version).warnings
    assert "deprecated" in warning
    assert len(loaded(make_site(), MS_API_VERSION="2022-07-01", MS_AUTH__GRAPH_API="false").warnings) == 1


BEFORE = (
    "ms_auth = {'graph_api': True, 'scope': 'https://graph.microsoft.com/.default'}\nms_api_version = '2022-07-01'\n"
)
AFTER = "ms_auth = {'graph_api': False, 'scope': ''}\n"


def test_the_way_to_the_upload_api_that_the_page_describes(tmp_path):
    """The same app, the same ledger: nothing is missing meanwhile, and nothing is left in Graph."""
    moving = section(page("docs/graph.md"), "## How do I move to the upload API?")
    box, time = tls_sandbox()
    with box:
        site = TlsSite(box, time, tmp_path)
        site.misp.load(misp_event(n, hosts(60, f"e{n}h")) for n in range(1, 4))
        site.azure.allowed.clear()  # who uses Graph has no role on the workspace
        graph = {"MS_ENDPOINTS__GRAPH": f"{box.azure_url}/beta"}
        site.config.write_text(BEFORE)
        assert (site.run(**graph).exit_code, len(site.azure.ti_indicators)) == (0, 180)

        site.config.write_text(AFTER)
        lines = Said()
        assert check.Preflight(site.settings(**graph), lines.say).run() == 4
        assert any("Contributor" in line for line in lines), "without step 1, check says so"
        site.azure.allowed.add(site.azure.workspace_id)
        assert check.Preflight(site.settings(**graph), lines.say).run() == 0
        assert site.run(**graph).exit_code == 0
        assert (len(site.azure.live()), len(site.azure.ti_indicators)) == (180, 180)

        name = f"graph:{site.azure.tenant}:Azure Sentinel"
        shown = []
        status.status(site.settings(**graph), shown.append, max_age_hours=None, as_json=False, now=time.now)
        assert any(name in line.words for line in shown)
        assert f'withdraw --workspace "{name.replace(site.azure.tenant, "TENANT")}" --force-withdraw' in moving
        options = {"line": None, "clock": time.clock, "now": time.now}
        refused = withdraw.withdraw_all(site.settings(**graph), name, force_withdraw=False, **options)
        assert (refused.exit_code, len(site.azure.ti_indicators)) == (1, 180)
        done = withdraw.withdraw_all(site.settings(**graph), name, force_withdraw=True, **options)
        assert (done.exit_code, site.azure.ti_indicators) == (0, {})
        site.azure.graph_permission = False
        report = site.run(**graph)
        assert (report.exit_code, report.states.total(), len(site.azure.live())) == (0, 0, 180)


def test_adopt_says_that_it_is_not_possible(make_site):
    with pytest.raises(SettingsError) as caught:
        adopt.adopt([make_site().settings], withdraw_unmatched=False, force_withdraw=False, line=None)
    assert "adopt is not possible" in str(caught.value)


def test_a_destination_in_graph_is_emptied_also_when_the_settings_have_moved_on(make_site):
    site = make_site()
    load(site)
    site.run()
    moved = loaded(site, MS_AUTH__GRAPH_API="false", STATE_DIR=str(site.settings.state_path)).settings
    in_graph = moved.for_destination(site.settings.workspace_key, "MISP")
    assert (in_graph.upload_api, in_graph.ms_auth.scope) == ("graph", "https://graph.microsoft.com/.default")
    assert in_graph.workspace_key == site.settings.workspace_key
    back = site.settings.for_destination(site.azure.workspace_id, "MISP")
    assert (back.upload_api, back.ms_auth.scope) == ("stix", "https://management.azure.com/.default")
    assert back.workspace_key == site.azure.workspace_id
    site.asked = len(site.azure.graph_requests)
    with site.patched():
        report = withdraw.withdraw_all(
            site.settings,
            site.settings.workspace_key,
            force_withdraw=True,
            line=None,
            clock=site.waiting.clock,
            now=lambda: site.seconds + DAY,
        )
    assert (report.withdrawals.total(), site.in_graph) == (6, {})


def test_check_tries_an_empty_submit(make_site, monkeypatch):
    site, lines = make_site(), Said()
    with site.patched():
        monkeypatch.setattr(check.command, "MicrosoftClient", site.client)
        check.Preflight(site.settings, lines.say)._destination(site.settings)
    assert [line[:4] for line in lines] == ["ok  ", "ok  "]
    assert "graph.microsoft.com/.default" in lines[0] and "may write tiIndicators" in lines[1]
    site.azure.graph_permission = False
    with site.patched():
        check.Preflight(site.settings, lines.say)._destination(site.settings)
    assert any(line.startswith("FAIL") and re.search("admin consent", line) for line in lines[2:]), lines


def test_convert_shows_what_would_be_sent(tmp_path, capsys):
    path = tmp_path / "event.json"
    path.write_text(json.dumps({"Event": misp_event(1, [("domain", "example.org")])}))
    assert convert_files([path], graph_settings(), sys.stdout, sys.stderr) == 0
    (indicator,) = json.loads(capsys.readouterr().out)
    assert indicator["domainName"] == "example.org" and "graph" not in indicator


@pytest.mark.parametrize("asked", ["e1h0.example.org", attribute(1, 0), f"indicator--{attribute(1, 0)}"])
def test_explain_finds_it(make_site, asked):
    site, lines = make_site(), []
    load(site)
    site.run()
    moment = site.seconds + 60
    options = Options(offline=True, as_json=True)
    assert explain(site.settings, [asked], lines.append, options, now=lambda: moment) == 0
    (object_,) = json.loads(lines[0])["ledger"][0]["objects"]
    assert (object_["standing"], object_["tlp"]) == ("live", "white")
    assert object_["pattern"] == "[domainName = 'e1h0.example.org' AND threatType = 'WatchList']"


def test_a_dry_run_lists_patterns_and_dumps_what_would_be_sent(make_site, tmp_path):
    site = make_site(DRY_RUN="true", WRITE_PARSED_INDICATORS="true")
    load(site)
    report = site.run()
    assert (report.exit_code, site.actions) == (0, [])
    dumped = json.loads((tmp_path / "parsed_indicators.txt").read_text())
    assert {object_["operation"] for object_ in dumped} == {SUBMIT}
    assert dumped[0]["tiIndicator"]["domainName"] == "e1h0.example.org"


@pytest.mark.parametrize("text", ["[" * 100_000, '{"value": ' * 100_000, "no JSON"])
def test_an_answer_that_is_nested_too_deeply_is_asked_for_again_and_gives_nothing_up(text):
    verdict = interpret_items(Answer(200, text, {}), Batch([OutgoingObject("indicator--1", "[]", b"{}")]))
    assert verdict.next_step is NextStep.RETRY
