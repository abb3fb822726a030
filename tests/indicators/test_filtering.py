"""Filters on attributes: what each leaves out, why, and that nothing is lost or added by them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constants import TLP_2_LEVELS, Skip
from helpers.indicators.convert import convert_event
from helpers.indicators.filtering import apply_filters
from helpers.indicators.request_event import RequestObjectEvent
from helpers.indicators.rules import ConversionRules
from helpers.settings.attribute_filters import AttributeFilters, FilterProblems
from helpers.settings.model import Settings
from helpers.sync import settings_fingerprint
from tests.support import misp_attribute, misp_event

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CONFIDENT = 'misp:confidence-level="usually-confident"'
DOUBTFUL = 'misp:confidence-level="rarely-confident"'


def tag(*names, local=False):
    return [{"name": name, "local": local} for name in names]


def decay(score, decayed, model="NIDS Simple Decaying Model", number=1):
    return {"score": score, "base_score": 80, "decayed": decayed, "DecayingModel": {"id": number, "name": model}}


def event(*attributes, tags=(), **changes):
    return misp_event(1, attributes, Tag=tag(*tags), **changes)


def domain(*tags, **changes):
    return {"type": "domain", "value": "bad.example.org", "Tag": tag(*tags), **changes}


def converted(of, filters, **settings):
    """Convert an event: (patterns, skips, halves)."""
    parts = list(convert_event(of, ConversionRules.of(Settings(filters=filters, **settings)), NOW))
    patterns = [indicator["pattern"] for part in parts for indicator in part.indicators]
    assert sum(part.attributes for part in parts) == len(of["Attribute"]) + sum(
        len(object_["Attribute"]) for object_ in of.get("Object", [])
    )
    return patterns, [skip for part in parts for skip in part.skipped], [h for part in parts for h in part.left_out]


MODEL, OTHER = "NIDS Simple Decaying Model", "Phishing model"
# filters, the event, and the reason with its words; or nothing where it passes
CASES = [
    ({}, event(domain()), None, ""),
    ({"types": ["domain", "ip-*"]}, event(domain()), None, ""),
    ({"types": ["DOMAIN"]}, event(domain()), None, ""),
    ({"types": ["ip-*"]}, event(domain()), Skip.FILTERED_TYPE, ""),
    ({"types": ["domain"]}, event(domain(type="domain|ip", value="a.example.org|8.8.8.8")), Skip.FILTERED_TYPE, ""),
    ({"exclude_types": ["dom*"]}, event(domain()), Skip.FILTERED_TYPE, ""),
    ({"exclude_types": ["filename|*"]}, event(domain()), None, ""),
    ({"include_tags": ["to:siem"]}, event(domain("to:siem")), None, ""),
    ({"include_tags": ["to:siem"]}, event(domain(), tags=["To:SIEM"]), None, ""),
    ({"include_tags": ["to:siem"]}, event(domain(Tag=tag("to:siem", local=True))), None, ""),
    ({"include_tags": ["a", "to:*"]}, event(domain("to:siem")), None, ""),
    ({"include_tags": ["to:siem"]}, event(domain("to:siem-too")), Skip.MISSING_TAG, ""),
    ({"include_tags": ["to:[abc]"]}, event(domain("to:a")), Skip.MISSING_TAG, ""),
    ({"exclude_tags": ["not:*"]}, event(domain("not:SIEM")), Skip.FILTERED_TAG, "not:SIEM"),
    ({"exclude_tags": ["not:*"]}, event(domain("x"), tags=["not:a"]), Skip.FILTERED_TAG, "not:a"),
    ({"exclude_tags": ["not:a"]}, event(domain(Tag=tag("not:a", local=True))), Skip.FILTERED_TAG, "not:a"),
    ({"exclude_tags": ["not:*"]}, event(domain("so not:x")), None, ""),
    ({"exclude_tags": ["not:*"]}, event(domain("not:a\nb")), Skip.FILTERED_TAG, r"not:a\nb"),
    ({"organisations": ["example"]}, event(domain()), None, ""),
    ({"organisations": ["90000000-0000-4000-8000-00000000000*"]}, event(domain()), None, ""),
    ({"organisations": ["CIRCL"]}, event(domain()), Skip.FILTERED_ORGANISATION, "EXAMPLE"),
    ({"organisations": ["CIRCL"]}, event(domain(), Orgc=None), Skip.FILTERED_ORGANISATION, "the event names none"),
    ({"exclude_organisations": ["EX*"]}, event(domain()), Skip.FILTERED_ORGANISATION, "EXAMPLE"),
    ({"exclude_organisations": ["EX*"]}, event(domain(), Orgc=None), None, ""),
    ({"min_confidence": 50}, event(domain()), None, ""),
    ({"min_confidence": 51}, event(domain()), Skip.LOW_CONFIDENCE, "50"),
    ({"min_confidence": 51}, event(domain(), tags=[CONFIDENT]), None, ""),
    ({"min_confidence": 51}, event(domain(DOUBTFUL), tags=[CONFIDENT]), Skip.LOW_CONFIDENCE, "25"),
    ({"max_tlp": "white"}, event(domain()), None, ""),
    ({"max_tlp": "tlp:GREEN"}, event(domain("tlp:green"), tags=["tlp:red"]), None, ""),
    ({"max_tlp": "green"}, event(domain(), tags=["TLP:Red"]), Skip.TLP_TOO_STRICT, "tlp:red"),
    ({"max_tlp": "green"}, event(domain("tlp:white", "tlp:amber")), Skip.TLP_TOO_STRICT, "tlp:amber"),
    ({"max_tlp": "amber"}, event(domain("tlp:amber+strict")), Skip.TLP_TOO_STRICT, "tlp:amber+strict"),
    ({"max_tlp": "amber+strict"}, event(domain("tlp:amber+strict")), None, ""),
    ({"exclude_decayed": True}, event(domain()), None, ""),
    ({"exclude_decayed": True}, event(domain(decay_score=[decay(20, True)])), Skip.DECAYED, MODEL),
    ({"exclude_decayed": True}, event(domain(decay_score=[decay(20, False)])), None, ""),
    ({"exclude_decayed": False}, event(domain(decay_score=[decay(20, True)])), None, ""),
    ({"exclude_decayed": True}, event(domain(decay_score=[decay(2, True), decay(60, False, OTHER, 2)])), None, ""),
    ({"min_decay_score": 30}, event(domain(decay_score=[decay(29.9, False)])), Skip.DECAYED, MODEL),
    ({"min_decay_score": 30}, event(domain(decay_score=[decay(30, True)])), None, ""),
    (
        {"exclude_decayed": True, "decaying_models": ["nids*"]},
        event(domain(decay_score=[decay(2, True), decay(60, False, OTHER, 2)])),
        Skip.DECAYED,
        MODEL,
    ),
    (
        {"exclude_decayed": True, "decaying_models": [2]},
        event(domain(decay_score=[decay(2, True), decay(60, False, OTHER, "2")])),
        None,
        "",
    ),
    ({"exclude_decayed": True, "decaying_models": [7]}, event(domain(decay_score=[decay(2, True)])), None, ""),
    ({"exclude_decayed": True}, event(domain(decay_score=[{"score": "?"}, 5, None])), None, ""),
    ({"exclude_decayed": True}, event(domain(decay_score={"0": decay(2, True)})), None, ""),
]


@pytest.mark.parametrize(("filters", "of", "reason", "words"), CASES)
def test_each_filter(filters, of, reason, words):
    patterns, skipped, halves = converted(of, filters)
    assert bool(patterns) is (reason is None)
    assert [(skip.reason, skip.words) for skip in skipped] == ([(reason, words)] if reason else [])
    assert halves == []


def test_what_is_no_attribute_to_send_keeps_its_own_reason():
    _, skipped, _ = converted(event({**domain(), "to_ids": False}), {"types": ["ip-dst"]})
    assert [skip.reason for skip in skipped] == [Skip.NO_TO_IDS]


def test_a_half_of_what_is_left_out_is_not_reported_as_well():
    of = event(domain(type="domain|ip", value="bad.example.org|10.0.0.1"))
    assert len(converted(of, {})[2]) == 1
    assert converted(of, {"exclude_types": ["domain|ip"]})[2] == []


@pytest.mark.parametrize("flatten", [True, False])
def test_members_of_objects_are_left_out_one_by_one(flatten):
    members = [
        misp_attribute(1, {"type": "ip-dst", "value": "8.8.8.8", "object_relation": "ip", "Tag": tag("not")}),
        misp_attribute(2, {"type": "domain", "value": "bad.example.org", "object_relation": "domain"}),
    ]
    uuid = "30000000-0000-4000-8000-000000000001"
    object_ = {"uuid": uuid, "name": "domain-ip", "meta-category": "network", "Attribute": members}
    of = misp_event(1, Object=[object_])
    assert len(converted(of, {}, misp_flatten_attributes=flatten)[0]) == 2
    patterns, skipped, _ = converted(of, {"exclude_tags": ["not"]}, misp_flatten_attributes=flatten)
    assert patterns == ["[domain-name:value = 'bad.example.org']"]
    assert [skip.reason for skip in skipped] == [Skip.FILTERED_TAG]
    patterns, skipped, _ = converted(of, {"types": ["url"]}, misp_flatten_attributes=flatten)
    assert (patterns, len(skipped)) == ([], 2)


def test_an_event_is_prepared_once_for_all_who_get_it():
    prepared = RequestObjectEvent(
        event(domain("one"), domain("two"), domain("three")), ConversionRules.of(Settings()), NOW
    )
    ours, theirs = (AttributeFilters.parse({"exclude_tags": [name]}) for name in ("one", "two"))
    passing = {
        name: len(apply_filters(prepared, *filters).items) for name, filters in [("ours", [ours]), ("theirs", [theirs])]
    }
    assert passing == {"ours": 2, "theirs": 2}
    assert len(apply_filters(prepared, ours, theirs).items) == 1
    assert len(prepared.items) == 3 and prepared.skipped == []


def test_without_filters_an_event_is_left_as_it_is():
    prepared = RequestObjectEvent(event(domain()), ConversionRules.of(Settings()), NOW)
    assert apply_filters(prepared, AttributeFilters()).items == prepared.items


def test_a_change_of_filters_is_noticed():
    assert settings_fingerprint(Settings()) != settings_fingerprint(Settings(filters={"min_confidence": 1}))


# --- what they may say -------------------------------------------------------------------------------


def test_every_problem_is_named():
    filters = {
        "typs": ["domain"],
        "colour": "red",
        "types": ["domain", "ip-dts", 5],
        "exclude_types": [],
        "include_tags": ["!not", "tlp:%", " "],
        "organisations": "CIRCL",
        "min_confidence": True,
        "max_tlp": "blue",
        "decaying_models": [1],
    }
    with pytest.raises(FilterProblems) as caught:
        AttributeFilters.parse(filters)
    problems = dict(caught.value.problems)
    assert list(problems) == [
        "['typs']",
        "['colour']",
        "['types'][1]",
        "['types'][2]",
        "['exclude_types']",
        "['include_tags'][0]",
        "['include_tags'][1]",
        "['include_tags'][2]",
        "['organisations']",
        "['min_confidence']",
        "['max_tlp']",
        "['decaying_models']",
    ]
    assert "'types'" in problems["['typs']"]
    assert "min_decay_score" in problems["['colour']"]
    assert "'ip-dst'" in problems["['types'][1]"]
    assert "exclude_tags" in problems["['include_tags'][0]"]
    assert str(caught.value).count(";") == len(problems) - 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("min_confidence", 101),
        ("min_confidence", -1),
        ("min_confidence", "50"),
        ("min_decay_score", float("nan")),
        ("min_decay_score", 100.5),
        ("min_decay_score", False),
        ("exclude_decayed", 1),
        ("max_tlp", None),
        ("decaying_models", [True]),
    ],
)
def test_a_value_that_cannot_be(key, value):
    with pytest.raises(FilterProblems) as caught:
        AttributeFilters.parse({"exclude_decayed": True, key: value})
    assert [where.partition("]")[0] for where, _ in caught.value.problems] == [f"[{key!r}"]


def test_what_asks_for_scores():
    assert not AttributeFilters.parse({"min_decay_score": 0, "max_tlp": "red"}).need_scores
    assert AttributeFilters.parse({"min_decay_score": 0.5}).need_scores
    assert AttributeFilters.parse({"exclude_decayed": True}).need_scores


# --- any filters, any event --------------------------------------------------------------------------

TAGS = ["tlp:white", "tlp:green", "tlp:amber", "tlp:amber+strict", "tlp:red", CONFIDENT, DOUBTFUL, "one", "two"]
TYPES = ["domain", "ip-dst", "domain|ip", "comment"]
VALUES = {"domain": "bad.example.org", "ip-dst": "8.8.8.8", "domain|ip": "a.example.org|10.0.0.1", "comment": "x"}
TAGGED = st.lists(st.sampled_from(TAGS), max_size=3).map(lambda names: tag(*names))
SCORES = st.lists(st.builds(decay, st.integers(0, 100), st.booleans(), st.sampled_from([MODEL, OTHER])), max_size=2)
ATTRIBUTES = st.builds(
    lambda kind, tags, scores, to_ids: {
        "type": kind,
        "value": VALUES[kind],
        "Tag": tags,
        "decay_score": scores,
        "to_ids": to_ids,
    },
    st.sampled_from(TYPES),
    TAGGED,
    SCORES,
    st.booleans(),
)
EVENTS = st.builds(
    lambda attributes, tags: misp_event(1, attributes, Tag=tags), st.lists(ATTRIBUTES, min_size=1, max_size=4), TAGGED
)
LISTS = st.lists(st.sampled_from(["one", "two", "tlp:*"]), min_size=1, max_size=3)
KINDS = st.lists(st.sampled_from(["domain", "ip-*", "domain|ip"]), min_size=1, max_size=3)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "types": KINDS,
        "exclude_types": KINDS,
        "include_tags": LISTS,
        "exclude_tags": LISTS,
        "min_confidence": st.integers(0, 100),
        "max_tlp": st.sampled_from(list(TLP_2_LEVELS)),
        "exclude_decayed": st.booleans(),
        "min_decay_score": st.integers(0, 100),
    },
)


def outcome(of, filters):
    """Sort the attributes of an event: (sent, {skipped: reason})."""
    prepared = RequestObjectEvent(of, ConversionRules.of(Settings()), NOW)
    passing = apply_filters(prepared, AttributeFilters.parse(filters))
    reasons = [(skip.attribute_uuid, skip.reason) for skip in passing.skipped]
    assert len(dict(reasons)) == len(reasons), "one reason each"
    assert not {half.attribute_uuid for half in passing.left_out} & dict(reasons).keys()
    return {item.uuid for item in passing.items}, dict(reasons)


@given(of=EVENTS, filters=FILTERS)
def test_an_attribute_is_sent_or_has_one_reason(of, filters):
    sent, skipped = outcome(of, filters)
    assert sent | skipped.keys() == {raw["uuid"] for raw in of["Attribute"]}
    assert not sent & skipped.keys()


def tighter(first, second):
    """Join two sets of filters, so that each of them holds."""
    joined = {**first, **second}
    for key in first.keys() & second.keys():
        ours, theirs = first[key], second[key]
        if key in ("types", "include_tags"):
            joined[key] = [name for name in ours if name in theirs] or ours
        elif key == "max_tlp":
            joined[key] = min(ours, theirs, key=TLP_2_LEVELS.__getitem__)
        else:
            joined[key] = ours + theirs if isinstance(ours, list) else max(ours, theirs)
    return joined


@given(of=EVENTS, first=FILTERS, second=FILTERS)
def test_tightening_never_adds(of, first, second):
    before, reasons = outcome(of, first)
    after, _ = outcome(of, tighter(first, second))
    assert after <= before
    everything, of_event = outcome(of, {})
    assert before <= everything
    assert all(reasons[uuid] is reason for uuid, reason in of_event.items())


@given(given_=st.dictionaries(st.sampled_from([*vars(AttributeFilters())]), st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)
)))  # fmt: skip
def test_anything_gives_filters_or_problems(given_):
    try:
        AttributeFilters.parse(given_)
    except FilterProblems as error:
        assert error.problems
        assert all(what.endswith(".") and ":" in what for _, what in error.problems)
    else:
        json.dumps(given_, allow_nan=False)


def test_a_file_whose_hashes_are_filtered_gives_its_name():
    members = [
        misp_attribute(number, value) for number, value in enumerate([("filename", "a.exe"), ("md5", "a1" * 16)])
    ]
    of = event(Object=[{"uuid": "cccccccc-0000-4000-8000-000000000009", "name": "file", "Attribute": members}])
    prepared = RequestObjectEvent(of, ConversionRules.of(Settings()), NOW)
    passing = {
        kind: [
            item.value.type for item in apply_filters(prepared, AttributeFilters.parse({"exclude_types": [kind]})).items
        ]
        for kind in ("url", "md5", "filename")
    }
    assert passing == {"url": ["md5"], "md5": ["filename"], "filename": ["md5"]}
