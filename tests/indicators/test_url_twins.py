"""URLs with capital letters, sent in small letters as well where the settings want that, and nothing else ever."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from datetime import UTC, datetime
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.indicators import ConversionResult, ConversionRules, convert_event, in_small_letters
from helpers.indicators.patterns import Observable
from helpers.settings import MsAuth, Settings
from tests.support import misp_event

NOW = datetime(2026, 11, 29, tzinfo=UTC)
GRAPH = MsAuth(graph_api=True)
URL = "https://Example.org/A?b=C"
SMALL = "https://example.org/a?b=c"
OF_OWN = ("id", "pattern", "graph")


def converted(event, **settings):
    """One event in indicators; in a run, chunk by chunk, and here together."""
    result = ConversionResult()
    for part in convert_event(event, ConversionRules.of(Settings(**settings)), NOW):
        result.indicators += part.indicators
        result.skipped += part.skipped
        result.twins |= part.twins
    return result


def with_twins(event, **settings):
    return converted(event, lowercase_url_twins=True, **settings)


def patterns(result):
    return [indicator["pattern"] for indicator in result.indicators]


def object_with(*members):
    uuid = "bbbbbbbb-0000-4000-8000-000000000001"
    fields = ({"object_relation": kind, **row} for kind, row in members)
    return {"uuid": uuid, "name": "url", "meta-category": "network", "Attribute": list(fields)}


# --- in small letters ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "small"),
    [
        ("[url:value = 'http://A.example.org/B']", "[url:value = 'http://a.example.org/b']"),
        (r"[url:value = 'http://a.example.org/\'B\\C']", r"[url:value = 'http://a.example.org/\'b\\c']"),
        ("[url:value = 'http://a.example.org/Ä']", "[url:value = 'http://a.example.org/ä']"),
        ("[url = 'HTTP://A' AND threatType = 'WatchList']", "[url = 'http://a' AND threatType = 'WatchList']"),
        ("[url:value = 'http://a.example.org/b']", ""),
        ("[url = 'http://a' AND threatType = 'WatchList']", ""),
        ("[domain-name:value = 'A.example.org']", ""),
        ("[file:name = 'url:value = \\'A\\'']", ""),
        ("[mutex:name = 'A']", ""),
    ],
)
def test_what_a_url_is_in_small_letters(pattern, small):
    assert in_small_letters(pattern) == small


@given(st.text())
def test_small_letters_are_the_value_in_small_letters_and_have_none_of_their_own(value):
    small = in_small_letters(Observable("url:value", value).pattern)
    assert small == (Observable("url:value", value.lower()).pattern if value != value.lower() else "")
    assert in_small_letters(small) == ""


# --- with the setting ---------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", [MsAuth(), GRAPH])
def test_a_url_with_capitals_is_a_second_indicator_that_says_the_same(auth):
    event = misp_event(1, [("url", URL), ("url", SMALL), ("domain", "A.example.org")])
    result = with_twins(event, ms_auth=auth)
    (first, twin, *others), uuid = result.indicators, event["Attribute"][0]["uuid"]
    assert (first["id"], twin["pattern"]) == (f"indicator--{uuid}", in_small_letters(first["pattern"]))
    assert twin["id"] == f"indicator--{uuid5(UUID(uuid), twin['pattern'])}"
    assert result.twins == {twin["id"]}
    assert {**first, **dict.fromkeys(OF_OWN)} == {**twin, **dict.fromkeys(OF_OWN)}
    assert (first.get("graph", {}).get("url"), twin.get("graph", {}).get("url")) in ((None, None), (URL, SMALL))
    assert [first, *others] == converted(event, ms_auth=auth).indicators


def test_an_attribute_that_is_not_sent_has_no_twin():
    event = misp_event(1, [("url", URL)])
    event["Attribute"][0]["to_ids"] = False
    assert with_twins(event).indicators == []


@pytest.mark.parametrize("flatten", [True, False])
def test_a_url_in_an_object_has_its_twin(flatten):
    event = misp_event(1, [("url", URL), ("domain", "example.org")])
    event["Object"] = [object_with(*zip(("url", "domain"), event.pop("Attribute"), strict=True))]
    result = with_twins(event, misp_flatten_attributes=flatten)
    assert f"[url:value = '{URL}']" in patterns(result)
    assert patterns(result).count(f"[url:value = '{SMALL}']") == len(result.twins) == 1


def test_the_twins_of_two_attributes_are_two_and_keep_to_theirs():
    event = misp_event(1, [("url", URL), ("url", URL.upper())])
    result, uuids = with_twins(event), [attribute["uuid"] for attribute in event["Attribute"]]
    assert patterns(result).count(f"[url:value = '{SMALL}']") == len(result.twins) == 2
    for uuid in uuids:
        part = result.for_attributes({uuid})
        assert len(part.indicators) == 2
        assert part.twins == {part.indicators[1]["id"]}


# --- with it, and without -----------------------------------------------------------------------------

URLS = st.text("abAB./?%Äß'\\", max_size=12).map("https://host.example.org/{}".format)
ATTRIBUTES = st.lists(st.one_of(st.tuples(st.just("url"), URLS), st.just(("domain", "Other.example.org"))), max_size=6)


@given(ATTRIBUTES, st.sampled_from([MsAuth(), GRAPH]))
def test_twins_come_on_top_of_what_there_is_without_the_setting(attributes, auth):
    event = misp_event(1, attributes)
    off, on = converted(event, ms_auth=auth), with_twins(event, ms_auth=auth)
    assert off.twins == set()
    assert [indicator for indicator in on.indicators if indicator["id"] not in on.twins] == off.indicators
    assert list(map(str, on.skipped)) == list(map(str, off.skipped))
    ids = [indicator["id"] for indicator in on.indicators]
    assert len(set(ids)) == len(ids) == len(off.indicators) + len(on.twins)
    small = [in_small_letters(pattern) for pattern in patterns(off)]
    twins = [indicator["pattern"] for indicator in on.indicators if indicator["id"] in on.twins]
    assert twins == list(filter(None, small))


def test_off_it_leaves_the_fingerprint_that_ledgers_have():
    """As if the rule was not there: else each ledger in use would have everything read and converted anew."""
    rules = ConversionRules.of(Settings())
    new = ("lowercase_url_twins", "activity_group_labels")
    known = {field.name: getattr(rules, field.name) for field in fields(rules) if field.name not in new}
    text = json.dumps(known, sort_keys=True, default=vars)
    assert rules.fingerprint() == hashlib.sha256(text.encode()).hexdigest()
    assert ConversionRules.of(Settings(lowercase_url_twins=True)).fingerprint() != rules.fingerprint()
