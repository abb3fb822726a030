"""A pattern that is filled in is the one that misp-stix makes: ids, patterns, observables and refusals alike."""

from __future__ import annotations

import importlib.metadata
import json
import uuid
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from misp_stix_converter import MISPtoSTIX21Parser

from benchmarks.sandboxed import events
from helpers.commands.convert import events_in
from helpers.indicators import misp_stix, stix_uuid
from helpers.indicators.convert import convert_event, through_misp_stix
from helpers.indicators.patterns import observables
from helpers.indicators.request_event import RequestObjectEvent
from helpers.indicators.rules import ConversionRules
from helpers.indicators.templates import known, pattern_templates
from helpers.indicators.values import Unsendable, Value, normalise
from helpers.settings.model import Settings
from sandbox.samples import recent, sample_events
from tests.indicators.test_real_events import FILES, needs_events

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
UUID = "aaaaaaaa-0000-4000-8000-000000000001"
KINDS = [*pattern_templates.EXAMPLES, "ip-src", "ip-dst"]
HEX = "0123456789abcdef"
STARTS = st.sampled_from(["http://", "ftp://", "a@", "a.", ""])
PIECES = st.sampled_from(
    ["[.]", "[dot]", "(dot)", "[:]", "[at]", "[hxxp://]", "hxxp", "meow", ".", "A", "a", "b1", "-"]
)
ODD = st.builds("{}{}".format, STARTS, st.lists(PIECES, min_size=1, max_size=4).map("".join))
PLAIN = "".join(sorted(set(map(chr, range(0x21, 0x7F))) - set("'\\|")))
HOST = st.from_regex(r"[a-z0-9_-]{1,20}(\.[a-z0-9_-]{1,20}){0,3}", fullmatch=True)
ADDRESS = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
VALUES = {
    "domain": HOST,
    "hostname": HOST,
    "url": st.builds("{}://{}/{}".format, st.sampled_from(["http", "https", "ftp", "HTTP"]), HOST, st.text()),
    "email": st.builds("{}@{}".format, st.text(min_size=1), HOST),
    "ip-dst": st.one_of(ADDRESS, st.builds("{}/{}".format, ADDRESS, st.integers(0, 32))),
}
VALUES |= dict.fromkeys(("filename", "mutex", "regkey"), st.text('ab \\%:/."*$HKLM', min_size=1, max_size=30))
VALUES["email-src"] = VALUES["email-dst"] = VALUES["email"]
VALUES["ip-src"] = VALUES["ip-dst"]


def values_of(kind):
    """Values that mostly are of a kind, and some that are anything."""
    if kind in VALUES:
        return st.one_of(VALUES[kind], st.text(st.characters(max_codepoint=127), min_size=1))
    digits = len(pattern_templates.EXAMPLES[kind])
    digest = st.text(HEX, min_size=digits, max_size=digits)
    return st.one_of(digest, digest.map(str.upper), st.text(min_size=1, max_size=digits))


def by_misp_stix(value, own=UUID):
    attribute = {"uuid": own, "type": value.type, "value": value.text, "to_ids": True, "timestamp": "1790000000"}
    return misp_stix.convert([{**attribute, "object_relation": value.type}]).indicators.get(own)


def assert_same(value, own=UUID):
    """What comes out of a template is what comes out of misp-stix; it may decline."""
    filled = pattern_templates.from_template(own, value)
    if filled is None:
        return
    indicator = by_misp_stix(value, own)
    assert indicator is not None, value
    assert {name: indicator.get(name) for name in filled.stix} == dict(filled.stix)
    assert filled.observables == observables(indicator["pattern"])


@pytest.mark.parametrize("kind", KINDS)
@hypothesis_settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_the_value_a_template_gives_what_misp_stix_makes(kind, data):
    value = data.draw(values_of(kind))
    try:
        assert_same(normalise(kind, value, send_private_and_cidr=True))
    except Unsendable:
        return
    if not kind.startswith("ip-"):  # an address is always prepared before
        assert_same(Value(kind, (value,)))


@hypothesis_settings(max_examples=60, deadline=None)
@given(HOST, ADDRESS)
def test_both_halves_of_a_composite_are_filled_in(host, address):
    try:
        value = normalise("domain|ip", f"{host}|{address}", send_private_and_cidr=True)
    except Unsendable:
        return
    assert_same(value)


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_has_its_template(kind):
    for part in pattern_templates.ADDRESSES if kind.startswith("ip-") else [pattern_templates.EXAMPLES[kind]]:
        value = Value(kind, (part,))
        assert pattern_templates.from_template(UUID, value) is not None
        assert_same(value)


@pytest.mark.parametrize("kind", [kind for kind in pattern_templates.TAKEN if not kind.startswith("ip-")])
@hypothesis_settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_pymisp_takes_as_they_are_the_values_about_which_it_is_not_asked(kind, data):
    taken = pattern_templates.TAKEN[kind]
    value = data.draw(st.one_of(st.from_regex(taken, fullmatch=True, alphabet=PLAIN), ODD))
    if taken.fullmatch(value):
        assert misp_stix.as_rewritten(kind, value) == value
        assert misp_stix.refusal(kind, value) == ""


@pytest.mark.parametrize(
    "value", ["a'b.example.org", "a\\b.example.org", "exämple.org", "evil[.]example.org", "a|b", ""]
)
def test_what_is_written_in_another_way_is_left_to_misp_stix(value):
    assert pattern_templates.from_template(UUID, Value("url", (value,))) is None


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.uuids(allow_nil=True))
@example(uuid.UUID("10000000-0000-f000-8000-000000000001"))
def test_the_uuid_is_the_attributes_own(own):
    """Of the UUIDs that an attribute may have, that is."""
    if stix_uuid(str(own)):
        assert_same(Value("domain", ("example.org",)), str(own))


@pytest.fixture
def another_version(monkeypatch):
    """misp-stix as another version than the one whose templates are known."""

    def forget():
        pattern_templates.template_of.cache_clear()
        pattern_templates._known.cache_clear()

    forget()
    monkeypatch.setattr(misp_stix, "version", lambda: f"{known.VERSION}.1")
    yield
    forget()


@pytest.mark.usefixtures("another_version")
def test_a_type_of_which_there_is_no_template_is_none(monkeypatch):
    """An update of misp-stix that writes patterns in another way costs speed alone."""
    nothing = misp_stix.MispStixResult({}, {})
    monkeypatch.setattr(misp_stix, "convert", lambda items, extra=None: nothing)
    assert pattern_templates.from_template(UUID, Value("domain", ("example.org",))) is None


@pytest.mark.parametrize("question", pattern_templates.questions(), ids=str)
def test_what_is_known_is_what_misp_stix_answers(question):
    assert known.TEMPLATES.get(question) == pattern_templates.ask(question)


def test_what_is_known_is_of_the_version_that_is_pinned():
    assert misp_stix.version() == known.VERSION


def test_who_has_no_word_of_the_version_asks_misp_stix(monkeypatch):
    monkeypatch.setattr(importlib.metadata.Distribution, "from_name", mock.Mock(side_effect=PackageNotFoundError))
    assert misp_stix.version() == ""


@pytest.mark.usefixtures("another_version")
def test_another_version_is_asked_itself(monkeypatch):
    monkeypatch.setattr(known, "TEMPLATES", {})
    assert pattern_templates.from_template(UUID, Value("domain", ("example.org",)))


def plain_loop(prepared):
    """The (id, pattern) pairs that misp-stix itself makes of prepared events, each converted whole."""
    items = [item.for_misp_stix for item in prepared.items]
    parser = MISPtoSTIX21Parser()
    parser.parse_misp_event(
        {
            "uuid": "bbbbbbbb-0000-4000-8000-000000000001",
            "info": "prepared",
            "timestamp": "1",
            "Attribute": [item for item in items if "Attribute" not in item],
            "Object": [item for item in items if "Attribute" in item],
        }
    )
    indicators = (
        json.loads(indicator.serialize()) for indicator in parser.stix_objects if indicator.type == "indicator"
    )
    return {(indicator["id"], indicator["pattern"]) for indicator in indicators}


def stage(prepared):
    indicators = through_misp_stix(prepared.items, {}).indicators.values()
    return {(indicator["id"], indicator["pattern"]) for indicator in indicators}


@needs_events
@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_published_events_give_the_pairs_of_a_plain_loop(path, flat):
    settings = Settings(misp_flatten_attributes=flat)
    for event in events_in(path):
        prepared = RequestObjectEvent(event, ConversionRules.of(settings), NOW)
        assert stage(prepared) == plain_loop(prepared)


@st.composite
def made_up(draw):
    """An event of attributes that have templates and some that have none, alone and in an object, of any time."""
    kinds = st.sampled_from([*KINDS, "domain|ip", "filename|sha256", "ip-dst|port", "AS", "mutex", "regkey", "ssdeep"])
    numbers = st.integers(0, 2**31)
    attributes = []
    for kind in draw(st.lists(kinds, min_size=1, max_size=12)):
        value = "|".join(draw(values_of(part)) if part in KINDS else str(draw(numbers)) for part in kind.split("|"))
        category = draw(st.sampled_from(["Network activity", "Payload delivery", "", None]))
        own = {
            "uuid": str(draw(st.uuids(version=4))),
            "type": kind,
            "value": value,
            "category": category,
            "to_ids": True,
        }
        attributes.append({**own, "timestamp": str(draw(numbers)), "object_relation": draw(st.sampled_from(KINDS))})
    half = draw(st.integers(0, len(attributes)))
    whole = {
        "uuid": str(draw(st.uuids(version=4))),
        "name": "file",
        "meta-category": "file",
        "Attribute": attributes[half:],
    }
    return {
        "uuid": str(draw(st.uuids(version=4))),
        "info": "made up",
        "Attribute": attributes[:half],
        "Object": [whole],
    }


@hypothesis_settings(max_examples=40, deadline=None)
@given(made_up(), st.booleans())
def test_generated_events_give_the_pairs_of_a_plain_loop(event, flat):
    prepared = RequestObjectEvent(
        event, ConversionRules.of(Settings(misp_flatten_attributes=flat, send_private_and_cidr=True)), NOW
    )
    assert stage(prepared) == plain_loop(prepared)


def uploaded(event, settings):
    """Everything that becomes of an event; the words of a refusal aside."""
    parts = list(convert_event(event, ConversionRules.of(settings), NOW))
    indicators = [indicator for part in parts for indicator in part.indicators]
    refused = [(skip.attribute_uuid, skip.reason) for part in parts for skip in (*part.skipped, *part.left_out)]
    return indicators, refused


@hypothesis_settings(max_examples=40, deadline=None)
@given(made_up())
def test_what_is_uploaded_of_generated_events_is_the_same_without_templates(event):
    settings = Settings(send_private_and_cidr=True)
    with_templates = uploaded(event, settings)
    with mock.patch.object(pattern_templates, "from_template", return_value=None):
        assert uploaded(event, settings) == with_templates


@pytest.mark.parametrize("event", recent(sample_events(), NOW.timestamp()), ids=lambda event: event["info"])
def test_sample_events_give_the_pairs_of_a_plain_loop_and_the_same_uploads(event):
    assert stage(RequestObjectEvent(event, ConversionRules.of(Settings()), NOW)) == plain_loop(
        RequestObjectEvent(event, ConversionRules.of(Settings()), NOW)
    )
    with_templates = uploaded(event, Settings())
    with mock.patch.object(pattern_templates, "from_template", return_value=None):
        assert uploaded(event, Settings()) == with_templates


def test_made_up_events_give_the_pairs_of_a_plain_loop():
    for event in events(4, 50):
        prepared = RequestObjectEvent(event, ConversionRules.of(Settings()), NOW)
        assert len(stage(prepared)) == 50
        assert stage(prepared) == plain_loop(prepared)
        assert all(pattern_templates.from_template(raw.uuid, raw.value) for raw in prepared.prepared)
