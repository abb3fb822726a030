"""What MISP's tags become."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from constants import KILL_CHAIN_NAME, MOST_LABELS, THREAT_TYPES, TLP_MARKINGS
from helpers.indicators import tags
from helpers.indicators.rules import ConversionRules
from helpers.indicators.tags import Actors, Tag, Tags, name_of_actor, read_tags
from helpers.settings.model import Settings
from tests.support.examples import examples

RULES = ConversionRules.of(Settings(default_confidence=60))


def named(*names):
    return [Tag(name) for name in names]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ('misp:confidence-level="usually-confident"', ("misp", "confidence-level", "usually-confident")),
        ("misp:confidence-level = usually-confident ", ("misp", "confidence-level", "usually-confident")),
        ("TLP:RED", ("tlp", "red", "")),
        ("tlp:amber+strict", ("tlp", "amber+strict", "")),
        ('a:b="c=d:e"', ("a", "b", "c=d:e")),
        ('a:b="say "hi""', ("a", "b", 'say "hi"')),
        ("a:b='say'", ("a", "b", "say")),
        ("a:b=“say”", ("a", "b", "say")),
        ("a:b='tis", ("a", "b", "'tis")),
        ("a:b='", ("a", "b", "'")),
        ("a:b=", ("a", "b", "")),
        ("just words", ("", "just words", "")),
        (":b", ("", ":b", "")),
        ("a:", ("", "a:", "")),
        ('a="b:c"', ("", 'a="b:c"', "")),
    ],
)
def test_words_of_a_tag(name, words):
    assert Tag(name).words == words


def test_only_tags_are_read():
    raw = [
        {"name": " tlp:red ", "local": "1"},
        {"name": "plain", "local": False},
        {"name": "from the event", "inherited": 1},
        {"name": ""},
        {"name": None},
        {"name": ["a"]},
        {},
        None,
        "tlp:green",
        {"name": "half \ud800 character", "local": [1]},
    ]
    assert read_tags(raw) == [Tag("tlp:red", local=True), Tag("plain"), Tag("half ? character")]


@pytest.mark.parametrize("raw", [None, {}, "tlp:red", 7, True, [[]], {"name": "tlp:red"}])
def test_what_is_no_list_of_tags_is_none(raw):
    assert read_tags(raw) == []


@pytest.mark.parametrize(
    ("own", "of_event", "level"),
    [
        ([], [], "white"),
        ([], ["tlp:green"], "green"),
        (["tlp:green"], ["tlp:red"], "green"),
        (["TLP:RED"], [], "red"),
        (["Tlp:Amber"], [], "amber"),
        (["tlp:clear"], ["tlp:red"], "white"),
        (["TLP:AMBER+STRICT"], [], "amber"),
        (["tlp:amber + strict"], [], "amber"),
        (["tlp:green", "tlp:amber", "tlp:white"], [], "amber"),
        (["tlp:amber+strict", "tlp:red"], [], "red"),
        (["tlp:ex:chr"], ["tlp:green"], "green"),
        (["tlp"], ["tlp:"], "white"),
        (['tlp="red"'], [], "white"),
    ],
)
def test_tlp_is_the_strictest_of_the_attribute_else_of_the_event(own, of_event, level):
    assert tags.tlp_level(named(*own), named(*of_event), "tlp:white") == level


@pytest.mark.parametrize(("default", "level"), [("tlp:white", "white"), ("TLP:CLEAR", "white"), ("tlp:amber", "amber")])
def test_tlp_default(default, level):
    assert tags.tlp_level([], named("no tlp"), default) == level


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("completely-confident", 100),
        ("usually-confident", 75),
        ("fairly-confident", 50),
        ("rarely-confident", 25),
        ("unconfident", 0),
    ],
)
def test_confidence_of_the_attribute_then_of_the_event(word, number):
    tag = named(f'misp:confidence-level="{word}"')
    other = named('misp:confidence-level="fairly-confident"')
    assert tags.confidence(tag, other, RULES) == number
    assert tags.confidence([], tag, RULES) == number
    assert tags.confidence(named(f'MISP:Confidence-Level="{word.title()}"'), [], RULES) == number


def test_confidence_is_the_lowest_of_several_else_the_default():
    both = named('misp:confidence-level="usually-confident"', 'misp:confidence-level="rarely-confident"')
    assert tags.confidence(both, [], RULES) == 25
    assert tags.confidence(named('misp:confidence-level="very"', "misp:confidence-level"), [], RULES) == 60


@pytest.mark.parametrize(
    ("own", "of_event", "expected"),
    [
        ([], [], ["WatchList"]),
        (["sentinel-threattype:Botnet"], ["sentinel-threattype:C2"], ["Botnet"]),
        ([], ["sentinel-threattype:C2"], ["C2"]),
        (["sentinel-threattype:botnet", "Sentinel-ThreatType:BOTNET"], [], ["Botnet"]),
        (["sentinel-threattype:Malware", "sentinel-threattype:DDoS"], [], ["Malware", "DDoS"]),
        (['sentinel-threattype:type="phishing"'], [], ["Phishing"]),
        (["sentinel-threattype:Other"], [], ["Other"]),
        (["sentinel-threattype"], [], ["WatchList"]),
    ],
)
def test_threat_types_of_the_attribute_then_of_the_event(own, of_event, expected):
    assert tags.threat_types(named(*own), named(*of_event), "WatchList") == expected


@pytest.mark.parametrize("word", THREAT_TYPES)
def test_every_threat_type_is_known_in_any_letter_case(word):
    assert tags.threat_types(named(f"sentinel-threattype:{word.upper()}"), [], "WatchList") == [word]


def test_kill_chain_phases_in_the_form_of_stix_and_once():
    phases = tags.kill_chain_phases(
        named("kill-chain:Command and Control", "KILL-CHAIN:command and control", 'kill-chain:phase="Delivery"', "x:y")
    )
    assert phases == [
        {"kill_chain_name": KILL_CHAIN_NAME, "phase_name": "command-and-control"},
        {"kill_chain_name": KILL_CHAIN_NAME, "phase_name": "delivery"},
    ]


def test_labels_are_the_tags_that_mean_nothing_else():
    plain = ["osint:source-type", "just words", "tlp:clear", "tlp:ex:chr", 'misp:confidence-level="very"']
    meaning = [
        "TLP:RED",
        'misp:confidence-level="unconfident"',
        "sentinel-threattype:C2",
        "kill-chain:Delivery",
        "misp:tool=x",
        'WORKFLOW:state="draft"',
    ]
    assert tags.labels(named(*plain, *meaning, plain[0]), RULES) == plain


def test_local_tags_become_labels_only_where_they_are_not_ignored():
    given_tags = [Tag("here", local=True), Tag("everywhere"), Tag("both", local=True), Tag("both")]
    assert tags.labels(given_tags, RULES) == ["everywhere", "both"]
    assert tags.labels(given_tags, replace(RULES, ignore_localtags=False)) == ["here", "everywhere", "both"]


def test_a_site_changes_which_tags_become_labels():
    rules = replace(RULES, allowed_taxonomies=["OSINT", "misp"], ignored_tags=["misp:API"])
    given_tags = named("osint:lifetime", "Osint:certainty", "other:x", "words", "misp:api", "misp:other")
    assert tags.labels(given_tags, rules) == ["osint:lifetime", "Osint:certainty", "misp:other"]


NAMES = st.one_of(
    st.text(max_size=60),
    st.text(alphabet='tlp:red="\\ \n+-\U0001f600\ud800', max_size=30),
    st.sampled_from(["tlp", "misp:confidence-level", "sentinel-threattype", "kill-chain"]).flatmap(
        lambda start: st.text(alphabet=":=\"'\\ \nab", max_size=12).map(lambda rest: start + rest)
    ),
)
RAW_TAGS = st.lists(
    st.one_of(
        st.fixed_dictionaries({"name": NAMES}, optional={"local": st.sampled_from([True, False, 1, "1", None, []])}),
        st.dictionaries(st.sampled_from(["name", "local", "inherited"]), st.sampled_from([None, 1, [], {}, "x"])),
        st.none(),
        st.integers(),
        NAMES,
    ),
    max_size=6,
)


@hypothesis_settings(max_examples=examples(400))
@given(own=RAW_TAGS, of_event=RAW_TAGS)
def test_no_tag_of_any_text_raises(own, of_event):
    own, of_event = read_tags(own), read_tags(of_event)
    assert tags.tlp_level(own, of_event, "tlp:white") in TLP_MARKINGS
    assert 0 <= tags.confidence(own, of_event, RULES) <= 100
    assert all(tags.threat_types(own, of_event, "WatchList"))
    assert all(phase["phase_name"] for phase in tags.kill_chain_phases([*own, *of_event]))
    everywhere = {tag.name for tag in [*own, *of_event] if not tag.local}
    labels = tags.labels([*own, *of_event], RULES)
    assert set(labels) <= everywhere
    assert len(labels) == len(set(labels))
    json.dumps(labels, ensure_ascii=False).encode()


@pytest.mark.parametrize("form", ["a:{}x", 'a:b="{}x', ":{}:", "={}="])
def test_a_hundred_kilobytes_of_tag(form):
    name = form.format(" " * 100_000)
    read = read_tags([{"name": name}])
    assert tags.tlp_level(read, read, "tlp:white") == "white"
    assert tags.labels(read, RULES) == []


def test_a_tag_has_at_most_as_many_characters_as_misp_keeps():
    assert tags.labels(named("x" * 255, "y" * 256), RULES) == ["x" * 255]
    assert tags.threat_types(named(f"sentinel-threattype:{'x' * 256}"), [], "WatchList") == ["WatchList"]


def test_of_very_many_tags_the_first_become_labels_and_all_count_for_what_they_mean():
    many = named(*(f"a:{number}" for number in range(2_000)), "tlp:red", 'misp:confidence-level="unconfident"')
    assert tags.labels(named("own"), RULES, many) == ["own", *(f"a:{number}" for number in range(MOST_LABELS - 1))]
    assert tags.tlp_level([], many, "tlp:white") == "red"
    assert tags.confidence([], many, RULES) == 0
    assert len(tags.kill_chain_phases(named(*(f"kill-chain:{number}" for number in range(2_000))))) == MOST_LABELS


def test_what_an_event_s_tags_say_is_worked_out_once(monkeypatch):
    asked = []
    monkeypatch.setattr(tags, "_has_meaning", lambda tag, _rules: asked.append(tag))
    of_event = Tags(named("a", "b"))
    assert [tags.labels([], RULES, of_event) for _ in range(3)] == [["a", "b"]] * 3
    assert len(asked) == 2
    assert tags.labels([], replace(RULES, ignored_tags=["a"]), of_event) == ["b"]


# --- Actors ------------------------------------------------------------------------------------------

SOFACY, TURLA = ('misp-galaxy:threat-actor="Sofacy"', 'misp-galaxy:mitre-intrusion-set="Turla - G0010"')
NAMES = {SOFACY: "Sofacy", TURLA: "Turla"}


def actors(names=NAMES, of_event=(), of_all=(), ignore_localtags=True, longest=64):
    return Actors(names, Tags(named(*of_event)), of_all, ignore_localtags, longest)


@pytest.mark.parametrize(
    ("own", "of_event", "of_all", "behind"),
    [
        ((), (), (), ()),
        ((SOFACY,), (), (), ("Sofacy",)),
        ((), (SOFACY,), (), ("Sofacy",)),
        ((TURLA,), (SOFACY,), (), ("Turla",)),
        (("tlp:red",), (SOFACY, TURLA), (), ("Sofacy", "Turla")),
        ((TURLA, SOFACY), (), (), ("Sofacy", "Turla")),
        ((TURLA,), (SOFACY,), ("APT 0", "TURLA", "apt 0"), ("Turla", "APT 0")),
        ((), (), ("Turla", "turla"), ("Turla",)),
    ],
)
def test_who_is_behind_an_attribute(own, of_event, of_all, behind):
    assert actors(of_event=of_event, of_all=of_all).behind(Tags(named(*own))) == behind


def test_an_actor_who_is_not_to_be_told_is_no_other_one():
    """The attribute's own tag names somebody, and so the event's actor is not behind it."""
    untold = actors({**NAMES, TURLA: ""}, of_event=(SOFACY,), of_all=("APT 0",))
    assert untold.behind(Tags(named(TURLA))) == ("APT 0",)
    assert untold.behind(Tags()) == ("Sofacy", "APT 0")


def test_local_tags_name_actors_as_they_become_labels():
    local = Tags([Tag(TURLA, local=True)])
    assert actors(of_event=(SOFACY,)).behind(local) == ("Sofacy",)
    assert actors(of_event=(SOFACY,), ignore_localtags=False).behind(local) == ("Turla",)


def test_a_name_is_left_out_whole_where_it_is_too_long():
    of_all = ("x" * 64, "y" * 65, f"  {'z' * 64}\n")
    assert actors(of_all=of_all).behind(Tags()) == ("x" * 64, "z" * 64)
    assert [actors(of_all=of_all).told_of_all(name) for name in of_all] == [True, False, True]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (" Lazarus  Group\n", "Lazarus Group"),
        ("\x1b[31mAPT\x0728", "[31mAPT28"),
        ("Lazarus\u00a0Group\u200b", "Lazarus Group"),
        ("\u202eAPT28", "APT28"),
        ("a\ud800b", "a?b"),
        ("\u200b", ""),
        ("Прекрасная 熊", "Прекрасная 熊"),
    ],
)
def test_of_a_name_stands_what_can_be_seen(written, name):
    assert name_of_actor(written) == name
    assert actors(of_all=(written,)).behind(Tags()) == ((name,) if name else ())


@given(st.lists(st.text(max_size=80), max_size=5), st.lists(st.text(max_size=80), max_size=5))
def test_any_names_are_labels_that_can_be_stored_and_shown(by_tags, of_all):
    by_tag = {f"tag {number}": name for number, name in enumerate(by_tags)}
    behind = actors(by_tag, of_all=of_all).behind(Tags(named(*by_tag)))
    assert len({name.casefold() for name in behind}) == len(behind)
    for name in behind:
        assert name and len(name) <= 64 and name.isprintable() and name == name.strip()
        name.encode()
    assert tags.with_actors([], behind) == [f"ActivityGroup:{name}" for name in behind]


def test_labels_of_actors_come_last_and_stay_where_there_are_too_many():
    assert tags.with_actors(["a"], ["APT28"]) == ["a", "ActivityGroup:APT28"]
    assert tags.with_actors(["activitygroup:apt28", "a"], ["APT28"]) == ["activitygroup:apt28", "a"]
    many = [f"a:{number}" for number in range(MOST_LABELS)]
    assert tags.with_actors(many, ["APT28"]) == [*many[:-1], "ActivityGroup:APT28"]
    assert actors(of_all=many).behind(Tags()) == tuple(many)
    assert len(tags.with_actors(many, [*many])) == MOST_LABELS


@given(st.lists(st.lists(st.sampled_from(["a", "b", "ActivityGroup:APT28", "ActivityGroup:apt28"]))))
def test_labels_of_several_indicators_add_up_and_those_of_actors_stay_last(lists):
    joined = tags.joined_labels(label for labels in lists for label in labels)
    given_ = dict.fromkeys(label for labels in lists for label in labels)
    assert [label for label in joined if label in "ab"] == [label for label in given_ if label in "ab"]
    assert [label for label in joined if label not in "ab"] == [label for label in given_ if label not in "ab"][:1]
    assert not any(label not in "ab" for label in joined[:-1])
