"""A story read and checked, the indicators that it names, and the settings for sharing it."""

import io
import json
import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote

import ioc_finder.ioc_finder
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pymisp.tools.attributevalidationtool import AttributeValidationTool

from constants import LONGEST_OTHER, LONGEST_VALUES
from helpers.commands.share import stories_in
from helpers.errors import SettingsError
from helpers.http import Limits
from helpers.settings import load
from helpers.stories.indicators import WINDOW, StoryIndicator, indicators_in, windows
from helpers.stories.misp_event import Member, item_object, meaning, read_event, split_long_text, tag_names
from helpers.stories.story import LONGEST, read_story
from tests.support.story_site import HASH, ITEM, OTHER_HASH, STORY, item, other_item, story

PROBLEMS = {
    "no id": ({"id": ...}, "id is missing"),
    "id": ({"id": "7"}, "id is not a UUID"),
    "no title": ({"title": ...}, "title is missing"),
    "empty title": ({"title": " \n"}, "title is empty"),
    "title of another kind": ({"title": 3}, "title must be text"),
    "tags as text": ({"tags": "a"}, "tags must be an object, or a list of objects"),
    "attributes as a number": ({"attributes": 0}, "attributes must be an object, or a list of objects"),
    "tags as a list of texts": ({"tags": [{"name": "a"}, "a"]}, "tags[1] must be an object"),
    "tag in a list": ({"tags": [{"name": "a"}, {"tag_type": "x"}]}, "tags[1].name is missing"),
    "no tag in a list": ({"tags": [None]}, "tags[0] must be an object"),
    "attribute in a list": (
        {"attributes": [{"key": "a", "value": ["b"]}]},
        "attributes[0].value must be text",
    ),
    "attribute in a list in a list": ({"attributes": [[{"key": "a"}]]}, "attributes[0] must be an object"),
    "long tag in a list": (
        {"tags": [{"name": "x" * 256}]},
        "tags[0].name is longer than the 255 characters that MISP keeps",
    ),
    "tag": ({"tags": {"a": "a"}}, "tags.a must be an object"),
    "tag's name": ({"tags": {"a": {"tag_type": "x"}}}, "tags.a.name is missing"),
    "attribute": ({"attributes": {"a": {"value": "x"}}}, "attributes.a.key is missing"),
    "link": ({"links": [{"news_item_id": "x"}]}, "links[0].link is missing"),
    "links as an object": ({"links": {"link": "x"}}, "links must be a list"),
    "links as text": ({"links": "https://a.example.org"}, "links must be a list"),
    "no link in a list": ({"links": ["https://a.example.org", None]}, "links[1] must be an object or text"),
    "empty link": ({"links": [" "]}, "links[0].link is empty"),
    "items": ({"news_items": {}}, "news_items must be a list"),
    "item": ({"news_items": ["x"]}, "news_items[0] must be an object"),
    "item's id": ({"news_items": [item(), item(id=None)]}, "news_items[1].id must be text"),
    "item's hash": ({"news_items": [item(hash="xyz")]}, "news_items[0].hash is not a SHA-256 in hexadecimal digits"),
    "item's time": (
        {"news_items": [item(published="yesterday")]},
        "news_items[0].published is not a time in ISO 8601, as in 2026-11-20T08:00:00",
    ),
    "item's early time": (
        {"news_items": [item(published="1969-12-31")]},
        "news_items[0].published is before 1970, which MISP cannot keep",
    ),
    "item twice": (
        {"news_items": [item(), item(title="x", hash=OTHER_HASH)]},
        "news_items[1].id is that of another item",
    ),
    "long attribute": (
        {"attributes": {"a": {"key": "k", "value": "é" * 30_000}}},
        "attributes.a is longer than the 65,535 bytes that MISP keeps",
    ),
    "long tag": (
        {"tags": {"a": {"name": "x" * 256}}},
        "tags.a.name is longer than the 255 characters that MISP keeps",
    ),
    "notes of collect": (
        {"misp": {"extensions": 5}},
        "misp is not what collect wrote: extensions must be a list",
    ),
    "items in a note of collect": (
        {"misp": {"extensions": [{"uuid": STORY, "items": 5}]}},
        "misp is not what collect wrote: extensions[0].items must be a list",
    ),
    "long": (
        {"description": "x" * (LONGEST + 1)},
        "description is longer than the 65,535 bytes that MISP keeps",
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_is_missing_or_malformed_is_named_by_path(name):
    changes, problem = PROBLEMS[name]
    fields = {key: value for key, value in story(**changes).items() if value is not ...}
    parsed = read_story(fields)
    assert (parsed.story, parsed.problems) == (None, (problem,))


def test_all_problems_of_a_story_are_named():
    assert read_story({"news_items": [{}], "links": 3}).problems == (
        "id is missing",
        "title is missing",
        "links must be a list",
        "news_items[0].id is missing",
    )


@pytest.mark.parametrize("name", ["id", "title", "tags", "misp", "news_items"])
def test_a_story_that_is_nested_too_deeply_costs_only_itself(name, tmp_path):
    nested: dict = {}
    for _ in range(3000):
        nested = {"a": nested}
    assert read_story({**story(), name: nested}).problems == ("the story is nested too deeply",)


def test_tags_of_which_the_same_key_is_left_stay_two():
    parsed = read_story(
        story(tags={"\U0001f525": {"name": "fire"}, "\U0001f4a5": {"name": "boom"}, "\ufffd": {"name": "x"}})
    )
    assert list(parsed.story.tags) == ["fire", "boom", "x"]


def test_what_may_be_missing_is_empty():
    story_ = read_story({"id": STORY, "title": "x", "news_items": [{"id": ITEM}], "likes": 3}).story
    assert story_.model_dump(exclude={"news_items", "id", "title"}) == {
        **dict.fromkeys(("description", "summary", "comments"), ""),
        **{"tags": {}, "attributes": {}, "links": [], "misp": {}},
    }
    assert story_.news_items[0].source == "manual" and story_.news_items[0].story_id == STORY


OLD_LISTS = {
    "attributes": ([{"key": "severity", "value": "high"}], {"severity": {"key": "severity", "value": "high"}}),
    "attribute without a value": ([{"key": "TLP", "value": None}], {"TLP": {"key": "TLP", "value": ""}}),
    "tags": ([{"name": "apt", "tag_type": "misc"}], {"apt": {"name": "apt", "tag_type": "misc"}}),
    "tag of no type": ([{"name": "apt", "size": 3}], {"apt": {"name": "apt", "tag_type": "misc"}}),
    "links": (
        ["https://a.example.org", {"link": "https://b.example.org", "news_item_id": ITEM}],
        [
            {"link": "https://a.example.org", "news_item_id": ""},
            {"link": "https://b.example.org", "news_item_id": ITEM},
        ],
    ),
}


@pytest.mark.parametrize("name", OLD_LISTS)
def test_lists_of_older_stories_count_as_what_they_are_today(name):
    value, meant = OLD_LISTS[name]
    field = next(field for field in ("attributes", "tags", "links") if name.startswith(field[:-1]))
    parsed = read_story(story(**{field: value}))
    assert (parsed.problems, parsed.notes) == ((), ())
    assert parsed.story.model_dump()[field] == meant
    assert read_story(story(**{field: meant})) == parsed


@pytest.mark.parametrize("nothing", [[], None])
def test_an_empty_list_is_nothing(nothing):
    parsed = read_story(story(tags=nothing, attributes=nothing, links=nothing))
    assert parsed == read_story(story(tags={}, attributes={}, links=[]))


@pytest.mark.parametrize("as_listed", [list, lambda parts: dict(zip("abc", parts, strict=True))])
def test_of_a_key_that_is_there_more_than_once_the_last_counts_and_a_note_says_so(as_listed):
    values = [{"key": "TLP", "value": value} for value in ("red", "amber", "amber")]
    parsed = read_story(story(tags={}, attributes=as_listed(values)))
    assert tag_names(parsed.story) == ["tlp:amber"]
    assert parsed.notes == ("attributes has TLP more than once, and the last one counts",)
    same = read_story(story(tags=as_listed([{"name": "apt"}] * 3)))
    assert (list(same.story.tags), same.notes) == (["apt"], ())


def test_items_with_an_equal_hash_count_once():
    parsed = read_story(story(news_items=[item(), other_item(hash=HASH.upper())]))
    assert [news_item.id for news_item in parsed.story.news_items] == [ITEM]
    assert parsed.notes == (f"news_items[1] has the hash of {ITEM} and was left out",)


def test_times_are_in_utc():
    story_ = read_story(story(news_items=[item(published="2026-11-20T01:00:00+03:00")])).story
    assert story_.news_items[0].published == "2026-11-19T22:00:00"


def test_half_a_character_and_nul_are_replaced():
    parsed = read_story(story(description="a\ud83d b\x00 c"))
    assert parsed.story.description == "a\ufffd b\ufffd c"
    assert parsed.notes == ("characters that MISP cannot store were replaced by \ufffd in description",)


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        ("amber", ["tlp:amber"]),
        ("TLP:RED", ["tlp:red"]),
        ("amber+strict", ["tlp:amber+strict"]),
        ("secret", []),
        ("", []),
    ],
)
def test_the_tlp_is_a_tag(value, tags):
    assert tag_names(read_story(story(tags={}, attributes={"x": {"key": "tlp", "value": value}})).story) == tags


def test_a_link_that_misp_would_refuse_or_rewrite_is_kept_as_text():

    kinds = {}
    for link in (
        "https://a.example.org/x?y#z",
        "manual",
        "hxxp://a.example.org",
        "https://a[.]example.org/ä",
        "https://ä.org",
    ):
        members = item_object(read_story(story(news_items=[item(link=link)])).story.news_items[0])["Attribute"]
        kinds[link] = next(attribute["type"] for attribute in members if attribute["object_relation"] == "link")
    assert list(kinds.values()) == ["link", "text", "text", "text", "text"]


def test_parts_of_a_text_neither_begin_nor_end_with_white_space():
    text = ("ab  cdé\n\n" * 20_000).strip()
    parts = split_long_text(text)
    assert "".join(parts) == text and len(parts) > 2
    assert all(part == part.strip() and len(part.encode()) <= 60_000 for part in parts)
    assert split_long_text("") == [] and split_long_text("x") == ["x"]


def test_json_means_the_same_in_any_spelling():
    assert meaning(Member("tags", "text", '{"a": 1, "b": 2}')) == meaning(Member("tags", "text", "{'b': 2, 'a': 1}"))
    assert meaning(Member("tags", "text", '{"a": 1}')) != meaning(Member("tags", "text", '{"a": 2}'))
    assert meaning(Member("title", "text", " x ")) == meaning(Member("title", "text", "x"))


def test_an_event_without_anything_is_a_story_without_anything():
    story_in_misp = read_event({"uuid": STORY, "info": "x", "Object": [{"name": "taranis-news-item", "uuid": "u"}]})
    assert story_in_misp.story_object is None and story_in_misp.story.title == "x"
    assert [object_.item.id for object_ in story_in_misp.items] == ["u"]


# --- indicators ------------------------------------------------------------------------------------

TEXTS = {
    "defanged URL": (
        "hxxps[:]//cdn[.]bad[.]example[.]com/x.php?id=3",
        {("url", "https://cdn.bad.example.com/x.php?id=3")},
    ),
    "URL at the end of a sentence": ("See https://a.example.org/p.", {("url", "https://a.example.org/p")}),
    "address": ("192[.]0[.]2[.]7, 198.51.100.9:8080", {("ip-dst", "192.0.2.7"), ("ip-dst", "198.51.100.9")}),
    "IPv6": ("from 2001:db8:0:0::7", {("ip-dst", "2001:db8::7")}),
    "block of addresses": ("203.0.113.0/24", set()),
    "domain": ("C2.Loader[.]example[.]org", {("domain", "c2.loader.example.org")}),
    "e-mail": ("bad(at)mail[.]example[.]org", {("email-src", "bad@mail.example.org")}),
    "md5": ("D41D8CD98F00B204E9800998ECF8427E", {("md5", "d41d8cd98f00b204e9800998ecf8427e")}),
    "sha1": ("da39a3ee5e6b4b0d3255bfef95601890afd80709", {("sha1", "da39a3ee5e6b4b0d3255bfef95601890afd80709")}),
    "sha256": (HASH, {("sha256", HASH)}),
    "CVE": ("cve-2026-12345", {("vulnerability", "CVE-2026-12345")}),
    "file names": ("invoice.zip, readme.md, run.sh and x.exe", set()),
    "the news' own site": ("https://news.example.org/other and news.example.org", set()),
    "nothing": ("A sentence.", set()),
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("place", ["title", "description", "summary", "comments", "content", "review"])
def test_indicators_are_found_wherever_they_are_named(name, place):
    text, expected = TEXTS[name]
    empty = {"content": "", "title": "x"}
    fields = story(description="", summary="", news_items=[item(**empty)])
    if place in ("content", "review"):
        fields["news_items"] = [item(**{**empty, place: text})]
    else:
        fields[place] = text
    assert set(indicators_in(read_story(fields).story).indicators) == {
        StoryIndicator(*type_and_value) for type_and_value in expected
    }


def test_each_indicator_counts_once_and_in_a_fixed_order():
    text = "192.0.2.7 192[.]0[.]2[.]7 a.example.org 192.0.2.1"
    indicators = indicators_in(read_story(story(description=text, summary=text, news_items=[])).story).indicators
    assert [indicator.value for indicator in indicators] == ["a.example.org", "192.0.2.1", "192.0.2.7"]


def test_a_long_text_is_searched_in_windows_cut_between_words():
    text = "".join(f"host{number}.example.com,\n" for number in range(5000))
    parts = list(windows(text))
    assert "".join(parts) == text and len(parts) > 5
    assert all(len(part) <= WINDOW and part[-1] == "\n" for part in parts)
    parsed = read_story(story(description="", news_items=[item(content=text, link="", source="")]))
    assert len(indicators_in(parsed.story).indicators) == 5000


def test_a_word_that_is_longer_than_any_indicator_is_left_out():
    long = "a." * 20_000
    assert list(windows(f"x.example.com {long} y.example.com")) == ["x.example.com ", "y.example.com"]
    assert list(windows(long)) == [""]
    assert list(windows("")) == [""]


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("https://a.example.org/" + "x" * 3_900, "https://a.example.org/" + "x" * 3_900),
        ("evil [.] example [.] com", "evil.example.com"),
        ("someone (at) example [dot] com", "someone@example.com"),
        ("2001:db8::7", "2001:db8::7"),
        (HASH, HASH),
    ],
)
@pytest.mark.parametrize("before", range(4_040, 4_100, 3))
def test_what_is_named_where_windows_meet_is_not_cut(named, expected, before):
    text = f"{('word ' * 900)[:before].rstrip()} {named} {'word ' * 900}"
    news_item = item(title="", content=text, review="", link="", source="")
    fields = story(title="x", description="", summary="", comments="", news_items=[news_item], links=[])
    found = indicators_in(read_story(fields).story).indicators
    assert [indicator.value for indicator in found] == [expected]


HOSTILE = ("(", "[", "([)]", " ", "a@b ", "a@", ".", "a.", "[.]", "(dot)", "http://", "hxxp[:]//", "-", "é/",
           "\U0001f600", "^", "http://a.example.org/é", "a@example.com ", ",", "'", "x")  # fmt: skip


@pytest.fixture
def searched(monkeypatch):
    """The texts that reach ioc-fanger and ioc-finder, and the values that reach PyMISP."""
    texts, values = [], []
    prepare, find = ioc_finder.ioc_finder.prepare_text, ioc_finder.find_iocs
    validate = AttributeValidationTool.validate
    monkeypatch.setattr(ioc_finder.ioc_finder, "prepare_text", lambda text: texts.append(text) or prepare(text))
    monkeypatch.setattr(ioc_finder, "find_iocs", lambda text, **how: texts.append(text) or find(text, **how))
    monkeypatch.setattr(AttributeValidationTool, "validate", lambda *pair: values.append(pair) or validate(*pair))
    return texts, values


@pytest.mark.parametrize("piece", HOSTILE)
def test_nothing_longer_than_a_window_is_searched(piece, searched):
    text = (piece * 20_000)[:20_000] + " b.example.org https://b.example.org/" + "é" * 1_500
    parsed = read_story(story(description="", news_items=[item(content=text, link="", source="")], links=[]))
    assert "b.example.org" in {indicator.value for indicator in indicators_in(parsed.story).indicators}
    texts, values = searched
    assert len(texts) > 1 and max(map(len, texts)) <= WINDOW + WINDOW // 8  # what is defanged may grow by a colon
    assert [len(value) for kind, value in values if len(value) > LONGEST_VALUES.get(kind, LONGEST_OTHER)] == []


@pytest.mark.parametrize("word", ["a." * 300 + "org", "a" * 700 + "@example.org"])
def test_what_is_longer_than_its_type_does_not_reach_pymisp(word, searched):
    parsed = read_story(story(description=f"{word} b.example.org", summary="", news_items=[], links=[]))
    assert "b.example.org" in {indicator.value for indicator in indicators_in(parsed.story).indicators}
    assert searched[1] and max(len(value) for _, value in searched[1]) < 100


@pytest.mark.parametrize("piece", ["(", "[", "([)]", "[ [", "- - ("])
def test_brackets_that_hold_nothing_are_not_searched(piece, searched):
    """ioc-fanger takes time with the square of their number."""
    text = piece * 4_000 + "a[.]example[.]org" + piece * 4_000
    parsed = read_story(story(description="", news_items=[item(content=text, link="", source="")], links=[]))
    assert [indicator.value for indicator in indicators_in(parsed.story).indicators] == [
        "a.example.org"
    ] or " " in piece
    longest = max(len(run) for text in searched[0] for run in re.findall(r"[-\[\](){}]+", text))
    assert longest < 64


def test_a_word_that_is_too_long_is_counted():
    text = f"a.example.org {'x' * 5_000} {SITE}/{'y' * 4_096} b.example.org"
    parsed = read_story(story(description=text, summary="", news_items=[], links=[]))
    found = indicators_in(parsed.story)
    assert [indicator.value for indicator in found.indicators] == ["a.example.org", "b.example.org"]
    assert found.long_words == 2


def texts_of(length):
    return story(description="", summary="", comments="", news_items=[item(content="x " * (length // 2), link="")])


def test_a_story_has_at_most_two_million_characters():
    assert read_story(texts_of(1_990_000)).story
    parsed = read_story({**texts_of(2_000_000), "title": "long " * 100})
    assert parsed.story is None and len(parsed.title) == 255
    (problem,) = parsed.problems
    assert problem.startswith("the story has 2,00") and problem.endswith("more than the 2,000,000 that are shared")


@pytest.mark.parametrize("values", [[None] * 50_000, [5, [[["x"]]], None, "x"] * 12_000])
def test_many_odd_items_are_a_few_problems(values):
    problems = read_story(story(news_items=values)).problems
    assert len(problems) == 21 and problems[0] == "news_items[0] must be an object"
    assert problems[-1] == f"and {len(values) - 20:,} more"


def test_of_many_notes_a_few_are_named():
    items = [item(id=f"{number}", title="\U0001f600", hash="") for number in range(1_000)]
    parsed = read_story(story(news_items=items, description="", summary=""))
    (note,) = parsed.notes
    assert note.endswith("news_items[19].title, and 980 more")


def urls_in(text):
    """The URLs that a text names, and what is unclear in it."""
    result = indicators_in(read_story(story(description=text, news_items=[], links=[])).story)
    return [indicator.value for indicator in result.indicators if indicator.type == "url"], list(result.unclear)


SITE = "https://a.example.org"
WHOLE = {
    "emoji": (f"{SITE}/\U0001f600/path?x=1", f"{SITE}/%F0%9F%98%80/path?x=1"),
    "emoji, defanged": ("hxxps[:]//a[.]example[.]org/\U0001f600/x[.]php", f"{SITE}/%F0%9F%98%80/x.php"),
    "emoji without a scheme": ("a.example.org/\U0001f600/x", "a.example.org/%F0%9F%98%80/x"),
    "letters above U+FFFF": (f"{SITE}/\U0001d4b3/y", f"{SITE}/%F0%9D%92%B3/y"),
    "accents": (f"{SITE}/ä/b?x=é#ü", f"{SITE}/%C3%A4/b?x=%C3%A9#%C3%BC"),
    "accents at once behind the host": (f"{SITE}?x=é&y=1", f"{SITE}?x=%C3%A9&y=1"),
    "no port is lost": (f"{SITE}:8443/é/b", f"{SITE}:8443/%C3%A9/b"),
    "host in another script": ("https://exämple.org/a/é", "https://xn--exmple-cua.org/a/%C3%A9"),
    "what no one sees": (f"{SITE}/a\u200bb/c", f"{SITE}/a%E2%80%8Bb/c"),
    "at": (f"{SITE}/@user/x", f"{SITE}/@user/x"),
    "comma": (f"{SITE}/news,12.html", f"{SITE}/news,12.html"),
    "braces": (f"{SITE}/{{id}}/gate.php", f"{SITE}/%7Bid%7D/gate.php"),
    "brackets": (f"{SITE}/a_(b)/c[1]", f"{SITE}/a_(b)/c%5B1%5D"),
    "caret": (f"{SITE}/^/b", f"{SITE}/%5E/b"),
    "backslash": (f"{SITE}\\a\\b", f"{SITE}/a/b"),
    "apostrophe in a query": (f"{SITE}/?q='a'b", f"{SITE}/?q='a'b"),
    "question mark in a fragment": (f"{SITE}/#a?b", f"{SITE}/#a?b"),
    "encoded already": (f"{SITE}/%F0%9F%98%80/%zz", f"{SITE}/%F0%9F%98%80/%zz"),
    "capitals": ("HXXPS://A.EXAMPLE.ORG/A", f"{SITE}/A"),
    "punctuation": (f"({SITE}/a), “{SITE}/a”; {SITE}/a…", f"{SITE}/a"),
    "Markdown": (f"[x]({SITE}/a)and `{SITE}/a`|{SITE}/a|", f"{SITE}/a"),
    "a script without spaces": (f"请访问{SITE}/中。", f"{SITE}/%E4%B8%AD"),
    "a list without spaces": (f"'{SITE}/a','{SITE}/a',{SITE}/a", f"{SITE}/a"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_url_is_found_whole_as_clients_request_it(name):
    text, expected = WHOLE[name]
    assert urls_in(f"See {text} there.") == ([expected], [])


@pytest.mark.parametrize(
    "url",
    [
        f"{SITE}/\ufffd/b",
        f"{SITE}/\x01/b",
        f"{SITE}/\ud83d/b",
        "https://\U0001f600.example.org/b",
        "https://b\ufffd.example.org/b",
        "https://user:password@a.example.org/b",
    ],
)
def test_a_url_of_which_nobody_can_tell_what_is_requested_is_left_out_and_named(url):
    assert urls_in(f"See {url} there.") == ([], [storable(url)])


def storable(text):
    return "".join("\ufffd" if letter > "\uffff" or "\ud800" <= letter <= "\udfff" else letter for letter in text)


HOSTS = {
    "exämple.org": {"xn--exmple-cua.org"},
    "x.exämple.org": {"x.xn--exmple-cua.org"},
    "\U0001f6a8evil.example.org": {"evil.example.org"},
    "请访问example.org。": {"example.org"},
    "\U0001f600.example.org": set(),
    "evil\ufffd.example.org": set(),
    "übersicht_ä.example.org": set(),
}


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_is_found_whole_or_not_at_all(host):
    result = indicators_in(read_story(story(description=f"See {host} there", news_items=[])).story)
    assert {indicator.value for indicator in result.indicators} == HOSTS[host]


def test_news_from_a_host_in_another_script_is_no_indicator():
    fields = story(description="https://näws.example.org/a", news_items=[item(link="https://näws.example.org/b")])
    assert indicators_in(read_story(fields).story).indicators == (StoryIndicator("url", "http://evil.example.org/a"),)


ANY = st.characters(exclude_characters='<>"|`()[]{}', exclude_categories=["Cs"]).filter(
    lambda character: not character.isspace()
)


@given(st.text(ANY, max_size=12), st.sampled_from(["https://", "hxxp://", ""]), st.sampled_from(["/", "/a/", "?x="]))
@hypothesis_settings(max_examples=300)
def test_no_url_is_shorter_than_in_the_text_but_for_punctuation_at_its_end(rest, scheme, begin):
    url = f"{scheme}a.example.org{begin}{rest}"
    whole = unquote(f"{scheme.replace('xx', 'tt')}a.example.org{begin}{rest}".replace("\\", "/"))
    for value in urls_in(f"See {url} there")[0]:
        left = whole.removeprefix(unquote(value))
        assert left == whole or all(unicodedata.category(letter).startswith("P") for letter in left), (value, url)


# --- files -----------------------------------------------------------------------------------------


def test_stdin_and_files_that_cannot_be_read(tmp_path):
    binary, empty, lines = (tmp_path / name for name in ("binary", "empty", "lines"))
    binary.write_bytes(b"\xff\xfe")
    empty.write_text("")
    lines.write_text("\ufeff" + json.dumps(story()) + "\n\n[[[\n")
    files = [Path("-"), binary, empty, lines, tmp_path / "deep"]
    (tmp_path / "deep").write_text("[" * 100_000)
    results = list(stories_in(files, io.StringIO(json.dumps(story(title="from stdin")))))
    assert [parsed.title for parsed in results if parsed.story] == ["from stdin", story()["title"]]
    problems = [parsed.problems[0] for parsed in results if not parsed.story]
    assert problems[0].endswith("binary is not text in UTF-8")
    assert "lines, line 3: it is not JSON" in problems[1]
    assert "deep holds no story: it is not JSON" in problems[2]


def test_stdin_may_begin_with_a_byte_order_mark_and_holds_what_collect_wrote_be_it_nothing():
    assert [parsed.id for parsed in stories_in([Path("-")], io.StringIO("\ufeff" + json.dumps(story())))] == [STORY]
    assert list(stories_in([Path("-")], io.StringIO(""))) == []


def test_a_closed_stdin_is_named(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    assert [parsed.problems for parsed in stories_in([Path("-")])] == [("stdin cannot be read (it is closed)",)]


# --- settings --------------------------------------------------------------------------------------


def environ(**changes):
    values = {"API_KEY": "k" * 40, "ORGANISATION_ID": "1", **changes}
    named_so = {f"MISP2SENTINEL_MISP_STORIES__{name}": value for name, value in values.items() if value is not None}
    return named_so | {"MISP2SENTINEL_MISP_DOMAIN": "https://misp.example.org"}


@pytest.fixture
def stories_of(tmp_path):
    def loaded(variables, **named_so):
        config = tmp_path / "config.py"
        config.write_text("")
        return load(config, variables, stories=True, **named_so).settings.misp_stories

    return loaded


WRONG = {
    "no key": ({"API_KEY": None}, "misp_stories['api_key'] is missing"),
    "no organisation": ({"ORGANISATION_ID": None}, "misp_stories['organisation_id'] is missing"),
    "organisation": ({"ORGANISATION_ID": "ours"}, "misp_stories['organisation_id'] (environment"),
    "distribution": ({"DISTRIBUTION": "5"}, "misp_stories['distribution'] (environment"),
    "group without distribution 4": (
        {"SHARING_GROUP_ID": "3", "DISTRIBUTION": "1"},
        "misp_stories['distribution'] (environment",
    ),
    "distribution 4 without a group": ({"DISTRIBUTION": "4"}, "misp_stories['distribution'] (environment"),
    "url": ({"URL": "misp.example.org"}, "misp_stories['url'] (environment"),
    "timeout": ({"REQUEST_TIMEOUT": "0"}, "misp_stories['request_timeout'] (environment"),
    "a timeout that no socket takes": (
        {"REQUEST_TIMEOUT": "1e300"},
        "misp_stories['request_timeout'] (environment",
    ),
    "headers": ({"ADDITIONAL_HEADERS": "x"}, "misp_stories['additional_headers'] (environment"),
    "interval": ({"REFRESH_INTERVAL": "-1"}, "misp_stories['refresh_interval'] (environment"),
    "certificates": ({"SSL_CHECK": "/nowhere/ca.pem"}, "misp_stories['ssl_check'] (environment"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_setting_that_cannot_be_used_is_named(name, stories_of):
    changes, begin = WRONG[name]
    with pytest.raises(SettingsError) as error:
        stories_of(environ(**changes))
    assert [problem.startswith(begin) for problem in error.value.problems] == [True]


def test_stories_need_nothing_of_microsofts_and_the_default_distribution_follows_the_group(stories_of):
    assert stories_of(environ()).level == 0
    assert stories_of(environ(SHARING_GROUP_ID="3")).level == 4
    assert stories_of(environ(SHARING_GROUP_ID="3", DISTRIBUTION="4")).level == 4
    assert stories_of(environ(DISTRIBUTION="2")).level == 2


def test_an_address_of_its_own_needs_no_misp_domain(stories_of):
    variables = environ(URL="https://stories.example.org/")
    del variables["MISP2SENTINEL_MISP_DOMAIN"]
    assert stories_of(variables).url == "https://stories.example.org"
    del variables["MISP2SENTINEL_MISP_STORIES__URL"]
    with pytest.raises(SettingsError, match="misp_domain is missing"):
        stories_of(variables)


def test_a_run_asks_for_a_half_configuration_to_be_completed(tmp_path):
    config = tmp_path / "config.py"
    config.write_text("misp_stories = {'api_key': 'k'}")
    with pytest.raises(SettingsError) as error:
        load(config, {})
    assert any(problem.startswith("misp_stories['organisation_id'] is missing") for problem in error.value.problems)


def test_its_secrets_are_secret_and_its_transport_is_its_own(tmp_path):
    from helpers.stories.misp_writer import stories_connection

    config = tmp_path / "config.py"
    config.write_text("")
    proxy = "http://u:proxypass@proxy.example.org:3128"
    more = {"PROXY_SERVER": proxy, "ADDITIONAL_HEADERS": '{"X-A": "headervalue"}', "REQUEST_TIMEOUT": "90"}
    settings = load(config, environ(**more, USER_AGENT="Stories/1"), stories=True).settings
    assert {"k" * 40, "headervalue", "proxypass"} <= set(settings.secret_values())
    assert not [secret for secret in ("k" * 40, "headervalue", "proxypass") if secret in repr(settings)]
    connection = stories_connection(settings)
    assert connection.proxies == {"http": proxy, "https": proxy}
    assert (connection.headers, connection.user_agent) == ({"X-A": "headervalue"}, "Stories/1")
    assert connection.limits == Limits(90, 15 * 60, 512 * 2**20)
    assert connection.key.get_secret_value() == "k" * 40
    assert (connection.url, connection.setting_names.url) == ("https://misp.example.org", "misp_domain")
    assert not [secret for secret in ("k" * 40, "headervalue", "proxypass") if secret in repr(connection)]


def test_with_an_address_of_their_own_that_is_the_setting_to_change(tmp_path):
    from helpers.stories.misp_writer import stories_connection

    config = tmp_path / "config.py"
    config.write_text("")
    connection = stories_connection(load(config, environ(URL="https://other.example.org"), stories=True).settings)
    assert (connection.url, connection.setting_names.url) == ("https://other.example.org", 'misp_stories["url"]')


def test_an_open_certificate_check_is_a_warning(tmp_path):
    config = tmp_path / "config.py"
    config.write_text("")
    warnings = load(config, environ(SSL_CHECK="false", URL="http://misp.example.org"), stories=True).warnings
    assert [warning.split()[0] for warning in warnings] == ["misp_stories.ssl_check", "misp_stories.url"]
