"""``collect``: the stories in MISP, in the form that ``share`` reads; and the round trip."""

import json
import stat
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from helpers.commands.collect import STATE
from helpers.errors import MispError, SettingsError
from helpers.stories.story import as_json, read_story
from sandbox.misp.accounts import organisation
from tests.support.files.odd_files import ODD_FILES
from tests.support.story_site import (
    HASH,
    ITEM,
    OTHER_HASH,
    OTHER_ITEM,
    STORY,
    THEM,
    US,
    StorySite,
    item,
    other_item,
    story,
)

SECOND = "0b5fd7a2-7c55-4a5e-9f0e-5a2f6c9f2d12"
OURS = {"organisation": US["uuid"], "organisation_name": "NEWSROOM", "ours": True}
THEIRS = {"organisation": THEM["uuid"], "organisation_name": "OTHERS", "ours": False}


@pytest.fixture
def site(tmp_path):
    return StorySite(tmp_path)


def without_note(collected):
    return {name: value for name, value in collected.items() if name != "misp"}


def test_a_story_is_collected_as_it_was_shared(site):
    site.share_one(story(), publish=True)
    code, collected, messages = site.collect()
    assert code == 0 and [without_note(story_) for story_ in collected] == [story()]
    assert collected[0]["misp"] == {
        **OURS,
        "url": "https://misp.example.org/events/view/1",
        "published": True,
        "proposals": 0,
        "extensions": [],
    }
    assert messages == ["1 story, 0 unchanged since the last collection"]


def test_sharing_what_was_collected_changes_nothing(site):
    site.share_one(story(), publish=True, to_ids=True)
    _, collected, _ = site.collect()
    outcome = site.share_one(collected[0])
    assert (outcome["outcome"], site.wire.writes) == ("unchanged", [])


def test_collecting_is_incremental_and_full_takes_all(site):
    site.share(story(), story(id=SECOND))
    assert len(site.collect()[1]) == 2
    assert site.collect()[1:] == ([], ["0 stories, 2 unchanged since the last collection"])
    site.share_one(story(id=SECOND, summary="New."))
    assert [story_["id"] for story_ in site.collect()[1]] == [SECOND]
    assert [story_["id"] for story_ in site.collect(full=True)[1]] == [STORY, SECOND]


@pytest.mark.parametrize("odd", [odd for odd in ODD_FILES if odd != "a directory"])
def test_what_stands_in_the_place_of_the_memory_is_neither_read_nor_written_through(site, odd):
    site.state.mkdir()
    ODD_FILES[odd](site.state / STATE)
    site.share(story())
    assert len(site.collect()[1]) == 1
    assert site.collect()[1] == []
    assert not (site.state / "precious").exists()
    assert stat.S_ISREG((site.state / STATE).lstat().st_mode)


def test_an_event_that_comes_late_with_an_old_timestamp_is_collected(site):
    site.share_one(story())
    site.collect()
    site.share_one(story(id=SECOND))
    site.event(SECOND)["timestamp"] = "1000000000"
    assert [story_["id"] for story_ in site.collect()[1]] == [SECOND]


def test_what_others_extend_is_joined_and_sharing_it_changes_nothing(site):
    site.share_as_them(story(), publish=True)
    more = story(news_items=[item(), other_item()])
    assert site.share_one(more, publish=True)["outcome"] == "proposed"
    _, (collected,), messages = site.collect()
    assert messages == ["1 story, 0 unchanged since the last collection"]
    assert site.collect()[2] == ["0 stories, 1 unchanged since the last collection"]
    assert [news_item["id"] for news_item in collected["news_items"]] == [ITEM, OTHER_ITEM]
    note = collected["misp"]
    assert {name: note[name] for name in THEIRS} == THEIRS
    assert [{**extension, "uuid": ""} for extension in note["extensions"]] == [
        {**OURS, "uuid": "", "items": [OTHER_ITEM]}
    ]
    outcome = site.share_one(collected)
    assert (outcome["outcome"], site.wire.writes) == ("unchanged", [])
    assert site.share_as_them(collected)["outcome"] == "unchanged"
    assert site.wire.writes == []


def test_a_story_that_was_collected_elsewhere_is_shared_with_the_items_of_its_extensions(site, tmp_path):
    site.share_as_them(story())
    site.share_one(story(news_items=[item(), other_item()]))
    (collected,) = site.collect()[1]
    (tmp_path / "another").mkdir()
    another = StorySite(tmp_path / "another")
    assert another.share_one(collected)["outcome"] == "created"
    assert sorted(another.values("hash")) == sorted([HASH, OTHER_HASH])
    assert another.share_one(collected)["outcome"] == "unchanged"


def test_what_was_collected_leaves_our_extension_its_title_and_tags(site):
    site.share_as_them(story())
    ours = story(title="Ours: 192.0.2.7", tags={}, attributes={}, news_items=[item(), other_item()])
    assert site.share_one(ours)["outcome"] == "proposed"
    (collected,) = site.collect()[1]
    assert (site.share_one(collected)["outcome"], site.wire.writes) == ("unchanged", [])
    extension = collected["misp"]["extensions"][0]["uuid"]
    assert (site.event(extension)["info"], site.tags(extension)) == ("Ours: 192.0.2.7", set())
    changed = ours | {"title": "Ours again", "tags": {"green": {"name": "tlp:green"}}}
    assert site.share_one(changed)["outcome"] == "proposed"
    assert (site.event(extension)["info"], site.tags(extension)) == ("Ours again", {"tlp:green"})


def test_a_change_to_an_extension_alone_brings_the_whole_story_again(site):
    site.share_as_them(story())
    site.share_one(story(news_items=[item(), other_item()]))
    site.collect()
    site.share_one(story(news_items=[item(), other_item(title="New")]))
    (collected,) = site.collect()[1]
    assert [news_item["title"] for news_item in collected["news_items"]] == ["Loader seen", "New"]


def news(number, **changes):
    """A news item object as MISP has it, with an id and a hash of its own."""
    values = {"id": f"item {number}", "title": f"News {number}", "hash": f"{number:064x}"} | changes
    members = [{"type": "text", "value": value, "object_relation": name} for name, value in values.items() if value]
    return {"name": "taranis-news-item", "Attribute": members}


def extending(uuid, above, number, **more):
    event = {"uuid": uuid, "info": "x", "extends_uuid": above, "Orgc": THEM, "orgc_id": "6", "distribution": "1"}
    return event | {"Object": [news(number)]} | more


THIRD = "0b5fd7a2-7c55-4a5e-9f0e-5a2f6c9f2d13"


@pytest.mark.parametrize("above", ["", THIRD, STORY])
def test_an_extension_of_an_extension_is_joined_also_where_events_extend_one_another(site, above):
    site.share_one(story())
    site.misp.load([extending(SECOND, STORY, 2), extending(THIRD, SECOND, 3)])
    site.event()["extends_uuid"] = above
    (collected,) = site.collect()[1]
    assert [news_item["id"] for news_item in collected["news_items"]] == [ITEM, "item 2", "item 3"]
    assert (site.share_one(collected)["outcome"], site.wire.writes) == ("unchanged", [])


def test_of_stories_that_extend_one_another_the_first_is_the_story(site):
    site.share(story(), story(id=SECOND, news_items=[other_item()]))
    site.event(STORY)["extends_uuid"], site.event(SECOND)["extends_uuid"] = SECOND, STORY
    (collected,) = site.collect()[1]
    assert (collected["id"], [news_item["id"] for news_item in collected["news_items"]]) == (STORY, [ITEM, OTHER_ITEM])


def test_a_story_that_extends_no_story_is_one_of_its_own(site):
    site.misp.load([{"uuid": SECOND, "info": "x", "distribution": "1", "Object": [news(2)]}])
    site.share_one(story())
    site.event()["extends_uuid"] = SECOND
    assert [story_["id"] for story_ in site.collect()[1]] == [STORY]


def test_an_extension_that_left_brings_the_story_again(site):
    site.share_one(story())
    site.misp.load([extending(SECOND, STORY, 2)])
    assert len(site.collect()[1][0]["news_items"]) == 2
    site.misp.delete(SECOND)
    assert len(site.collect()[1][0]["news_items"]) == 1


def test_an_event_that_is_out_of_sight_for_a_moment_is_collected_later(site):
    site.share_one(story())
    site.fault(f"/events/view/{STORY}", "status", status=404, body={"message": "Invalid event"})
    assert site.collect()[:2] == (0, [])
    assert len(site.collect()[1]) == 1


def test_what_is_in_our_extension_outside_the_sharing_group_is_collected_and_stays(tmp_path):
    site = StorySite(tmp_path)
    group = site.misp.add_sharing_group("both", US, THEM)
    site.share_as_them(story())
    site.event().update(distribution="4", sharing_group_id=group)
    site.share_one(story(news_items=[item(), other_item()]))
    site.misp.load([extending(THIRD, STORY, 3)])
    in_group = site.settings(DISTRIBUTION="4", SHARING_GROUP_ID=group)
    (collected,) = site.collect(in_group)[1]
    assert [news_item["id"] for news_item in collected["news_items"]] == [ITEM, OTHER_ITEM]
    assert site.share(collected, settings=in_group)["unchanged"] == 1
    assert site.wire.writes == []


ODD_ITEMS = {
    "no SHA-256": [news(1, hash="xyz")],
    "one hash twice": [news(1), news(2, hash=f"{1:064x}")],
    "no id": [news(1, id="")],
    "nothing": [news(1, id="", hash="", title="")],
    "before 1970": [news(1) | {"first_seen": "1969-12-31T00:00:00.000000+00:00"}],
    "no moment": [news(1) | {"first_seen": "0001-01-01T00:00:00.000000+02:00"}],
    "no story": [news(1, story_id="")],
}


@pytest.mark.parametrize("owner", [US, THEM])
@pytest.mark.parametrize("name", ODD_ITEMS)
def test_what_others_wrote_is_collected_so_that_sharing_it_changes_nothing(site, name, owner):
    (site.share_one if owner is US else site.share_as_them)(story(news_items=[]))
    for object_ in ODD_ITEMS[name]:
        kept = site.misp.attach_object(site.event(), object_ | {"first_seen": None})
        kept["first_seen"] = object_.get("first_seen")
    (collected,) = site.collect()[1]
    assert read_story(collected).problems == () and len(collected["news_items"]) == 1
    assert (site.share_one(collected)["outcome"], site.wire.writes) == ("unchanged", [])


@pytest.mark.parametrize("title", ["News 1", "Another"])
def test_an_item_of_anothers_that_is_there_twice_is_collected_once_and_stays(site, title):
    site.share_as_them(story(news_items=[]))
    for object_ in (news(1), news(1, title=title, hash="")):
        site.misp.attach_object(site.event(), object_)
    (collected,) = site.collect()[1]
    assert [news_item["title"] for news_item in collected["news_items"]] == ["News 1"]
    assert (site.share_one(collected)["outcome"], site.wire.writes) == ("unchanged", [])


def test_an_item_with_one_hash_counts_once(site):
    site.share_as_them(story())
    event = {"uuid": SECOND, "info": "x", "extends_uuid": STORY, "Orgc": US, "orgc_id": "5"}
    site.misp.load([event | {"Object": site.objects("taranis-news-item")}])
    for attribute in site.event(SECOND)["Object"][0]["Attribute"]:
        attribute["value"] = "another" if attribute["object_relation"] == "id" else attribute["value"]
    (collected,) = site.collect()[1]
    assert [news_item["hash"] for news_item in collected["news_items"]] == [HASH]


def test_pending_proposals_are_noted(site):
    site.share_one(story())
    members = site.objects("taranis-story")[0]["Attribute"]
    site.propose(members[2], value="Theirs.")
    site.propose(members[3], value="Theirs, too.")
    (collected,) = site.collect()[1]
    assert collected["misp"]["proposals"] == 2
    assert collected["description"] == "A loader."


def test_only_the_sharing_group_is_collected_when_one_is_set(tmp_path):
    site = StorySite(tmp_path)
    group = site.misp.add_sharing_group("both", US, THEM)
    site.share_one(story())
    in_group = {"DISTRIBUTION": "4", "SHARING_GROUP_ID": group}
    settings = site.settings(**in_group)
    site.share(story(id=SECOND), settings=settings)
    assert [story_["id"] for story_ in site.collect(settings)[1]] == [SECOND]
    assert [story_["id"] for story_ in site.collect()[1]] == [STORY, SECOND]


def test_refresh_interval_is_kept_and_full_goes_on(site):
    site.stories_settings["REFRESH_INTERVAL"] = "10"
    site.share_one(story())
    site.collect()
    site.share_one(story(summary="New."))
    code, collected, messages = site.collect()
    assert (code, collected, site.wire.requests) == (0, [], [])
    assert messages == ["nothing to do: the last good collection is less than 10 minutes old (refresh_interval)"]
    assert len(site.collect(full=True)[1]) == 1
    assert len(site.collect(later=700)[1]) == 0
    site.share_one(story(summary="Newer."))
    assert len(site.collect(later=700)[1]) == 1


def test_days_without_change_leaves_out_the_old_unless_full(site):
    site.stories_settings["DAYS_WITHOUT_CHANGE"] = "2"
    site.share_one(story())
    assert site.collect(later=3 * 86_400)[1] == []
    assert len(site.collect(full=True)[1]) == 1
    site.share_one(story(summary="New."))
    assert len(site.collect()[1]) == 1


def test_events_that_are_no_stories_are_left_out(site):
    site.misp.load([{"uuid": SECOND, "info": "x", "Attribute": [{"type": "domain", "value": "a.example.org"}]}])
    site.share_one(story())
    assert [story_["id"] for story_ in site.collect()[1]] == [STORY]


def numbered(number):
    return f"c0ffee00-0000-4000-8000-{number:012d}"


def no_stories(count):
    """Events of others with content that takes long to read, and no story."""
    hosts = [{"type": "domain", "category": "Network activity", "value": f"h{n}.example.org"} for n in range(3)]
    common = {"info": "x", "Orgc": THEM, "orgc_id": "6", "distribution": "1", "Attribute": hosts}
    return [{"uuid": numbered(number), **common} for number in range(count)]


def story_objects(number):
    members = [{"type": "text", "object_relation": "title", "value": "x"}]
    return [{"name": "taranis-story", "Attribute": members}, news(number)]


def test_a_hundred_stories_among_5000_events_cost_two_questions_beyond_their_own_reading(site):
    site.misp.load(no_stories(5000))
    common = {"info": "x", "Orgc": THEM, "orgc_id": "6", "distribution": "1"}
    site.misp.load([{"uuid": numbered(n), **common, "Object": story_objects(n)} for n in range(6000, 6100)])
    assert len(site.collect()[1]) == 100
    assert Counter(site.paths()) == {
        **{f"/events/view/{numbered(number)}": 1 for number in range(6000, 6100)},
        "/objects/restSearch": 1,
        "/events/restSearch": 1,
    }
    assert sum(map(len, site.wire.bodies)) < 1_000_000
    assert site.collect()[2] == ["0 stories, 100 unchanged since the last collection"]
    assert site.paths() == ["/objects/restSearch", "/events/restSearch"]


def test_pages_of_objects_and_events_are_read_to_their_end(site, monkeypatch):
    monkeypatch.setattr("helpers.stories.misp_writer.OBJECTS_PER_PAGE", 4)
    monkeypatch.setattr("helpers.stories.misp_writer.LISTED_PER_PAGE", 3)
    site.misp.load(
        [{"uuid": numbered(n), "info": "x", "distribution": "1", "Object": story_objects(n)} for n in range(8)]
    )
    assert [story_["id"] for story_ in site.collect()[1]] == [numbered(n) for n in range(8)]
    assert Counter(site.paths()) >= Counter({"/objects/restSearch": 5, "/events/restSearch": 3})


def test_the_search_for_objects_is_asked_without_deleted_to_which_misp_answers_500(site):
    site.share_one(story())
    site.collect()
    (asked,) = [json.loads(request.body) for request in site.wire.requests if request.path_url == "/objects/restSearch"]
    assert asked["object_name"] == ["taranis-story", "taranis-news-item"] and asked.get("deleted") is None


def test_a_story_that_was_deleted_is_none_though_misp_lists_its_object(site):
    site.share(story(), story(id=SECOND))
    site.objects("taranis-story")[0]["deleted"] = True
    assert [story_["id"] for story_ in site.collect()[1]] == [SECOND]
    assert f"/events/view/{STORY}" not in site.paths()


@pytest.mark.parametrize("name", ["Taranis-Story", "taranis-news-item", "news-media"])
def test_what_holds_no_story_is_not_read_so_it_cannot_fail(site, name):
    site.share_one(story())
    held = [{"name": name, "Attribute": story_objects(1)[0]["Attribute"]}]
    site.misp.load([{"uuid": SECOND, "info": "x", "distribution": "1", "Object": held}])
    site.misp.load([extending(THIRD, STORY, 3, Object=[] if name == "taranis-news-item" else held)])
    site.fault(f"/events/view/{SECOND}", "status", status=500, times=None)
    site.fault(f"/events/view/{THIRD}", "status", status=500, times=None)
    code, collected, _ = site.collect()
    assert (code, [story_["id"] for story_ in collected]) == (0, [STORY])


def test_an_extension_of_what_holds_nothing_itself_is_joined(site):
    site.share_one(story())
    site.misp.load([extending(SECOND, STORY, 2, Object=[]), extending(THIRD, SECOND, 3)])
    (collected,) = site.collect()[1]
    assert [news_item["id"] for news_item in collected["news_items"]] == [ITEM, "item 3"]
    assert f"/events/view/{SECOND}" not in site.paths()


def test_an_extension_of_an_event_that_the_key_cannot_see_is_passed_over(site):
    site.share_one(story())
    site.misp.load([extending(SECOND, THIRD, 2)])
    assert [story_["id"] for story_ in site.collect()[1]] == [STORY]


@pytest.fixture
def older_state(site):
    """What a version recorded that listed every event: two stories, an extension that holds nothing, no story."""
    site.share(story(), story(id=SECOND))
    site.misp.load([extending(THIRD, STORY, 3, Object=[])])
    site.misp.load(no_stories(1))
    site.collect()
    path = site.state / STATE
    known = json.loads(path.read_text())
    del known["form"]
    known["events"][STORY] += f" {THIRD}@{site.event(THIRD)['timestamp']}"
    known["events"][numbered(0)] = f"{numbered(0)}@{site.event(numbered(0))['timestamp']}"
    path.write_text(json.dumps(known))
    return path


def test_what_an_older_version_recorded_is_not_written_again(site, older_state):
    assert site.collect()[2] == ["0 stories, 2 unchanged since the last collection"]
    assert json.loads(older_state.read_text())["events"].keys() == {STORY, SECOND}


def test_what_changed_since_an_older_version_is_written(site, older_state):
    site.share_one(story(summary="New."))
    site.misp.load([extending(numbered(1), SECOND, 4)])
    assert [story_["id"] for story_ in site.collect()[1]] == [STORY, SECOND]


def test_an_event_that_cannot_be_read_costs_only_itself_and_comes_next_time(site):
    site.share(story(), story(id=SECOND))
    site.fault(f"/events/view/{STORY}", "status", status=500, times=3)
    code, collected, messages = site.collect()
    assert code == 3 and [story_["id"] for story_ in collected] == [SECOND]
    assert messages[0].startswith(f"event {STORY} could not be read: ")
    assert [story_["id"] for story_ in site.collect()[1]] == [STORY]


def test_the_state_is_private_and_kept_when_misp_fails(site):
    site.share_one(story())
    site.collect()
    path = site.state / STATE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_text()
    site.fault("/events/restSearch", "status", status=500, times=None)
    with pytest.raises(MispError):
        site.collect()
    assert path.read_text() == before
    assert [file.name for file in site.state.iterdir()] == [STATE]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"of": 1}', '{"of": null, "good_at": "x", "events": []}'])
def test_a_state_that_cannot_be_read_makes_everything_new(site, text):
    site.share_one(story())
    site.state.mkdir()
    (site.state / STATE).write_text(text)
    assert len(site.collect()[1]) == 1


def test_the_state_of_another_organisation_does_not_count(site):
    site.share_one(story())
    site.collect()
    assert len(site.collect(site.settings(site.their_key, THEM["id"]))[1]) == 1


def test_a_state_dir_that_cannot_be_used_is_reported(site):
    site.share_one(story())
    site.state.write_text("a file")
    with pytest.raises(SettingsError, match="state_dir cannot be used"):
        site.collect()


def test_another_organisations_key_is_refused(site):
    with pytest.raises(SettingsError, match="organisation_id"):
        site.collect(site.settings(site.their_key))


def older_event():
    """An event as older versions of Taranis AI wrote them."""
    members = {
        "id": [STORY],
        "title": ["Old"],
        "description": ["<no_data>"],
        "links": ["{'link': 'https://news.example.org/1', 'news_item_id': 'a'}", "nonsense", "{'link': 'no_data'}"],
        "tags": ['{"name": "x", "tag_type": "misc", "more": 1}', '{"name": "<no_data>", "tag_type": "no_data"}'],
        "attributes": ["{'key': 'TLP', 'value': 'red'}"],
        "likes": ["4"],
        "important": ["True"],
    }
    attributes = [
        {"type": "text", "value": value, "object_relation": relation}
        for relation in members
        for value in members[relation]
    ]
    news = [("id", "a"), ("title", "News"), ("hash", OTHER_HASH.upper()), ("content", "One"), ("content", " two")]
    objects = [
        {"name": "taranis-story", "Attribute": attributes},
        {
            "name": "taranis-news-item",
            "Attribute": [{"type": "text", "value": value, "object_relation": relation} for relation, value in news],
        },
    ]
    return {"uuid": STORY, "info": "Old", "Orgc": US, "orgc_id": "5", "distribution": "1", "Object": objects}


def test_an_older_event_is_read_leniently(site):
    site.misp.load([older_event()])
    (collected,) = site.collect()[1]
    assert without_note(collected) == {
        "id": STORY,
        "title": "Old",
        "description": "",
        "summary": "",
        "comments": "",
        "tags": {"x": {"name": "x", "tag_type": "misc"}},
        "attributes": {"TLP": {"key": "TLP", "value": "red"}},
        "links": [{"link": "https://news.example.org/1", "news_item_id": "a"}],
        "news_items": [
            {
                **dict.fromkeys(("author", "link", "language", "published", "review", "osint_source_id"), ""),
                "story_id": STORY,
                "id": "a",
                "title": "News",
                "content": "One two",
                "source": "manual",
                "hash": OTHER_HASH,
            }
        ],
    }


# --- the round trip --------------------------------------------------------------------------------

WORDS = st.text(st.characters(exclude_categories=()), max_size=40) | st.sampled_from(
    [
        "<no_data>",
        "hxxp://evil[.]example[.]org/a",
        "  \n",
        "a\x00b",
        "192.0.2.7 and CVE-2026-12345",
        '{"a": 1}',
        "x" * 300,
    ]
)
NAMES = WORDS.filter(lambda text: bool(text.strip()) and text.strip() not in ("<no_data>", "no_data"))
UUIDS = st.uuids(version=4).map(str)
LINKS = st.sampled_from(["", "https://news.example.org/1", "news.example.org/ä", "https://a.example.org/[.]x", "x y"])
HASHES = st.sampled_from(["", HASH, OTHER_HASH.upper()])
MOMENTS = st.sampled_from(["", "2026-11-20T08:00:00", "2026-11-20T08:00:00.123456+02:00", "1970-01-02"])
ITEMS = st.fixed_dictionaries(
    {"id": UUIDS},
    optional={
        **dict.fromkeys(("title", "content", "author", "language", "review", "osint_source_id"), WORDS | st.none()),
        **dict.fromkeys(("link", "source"), LINKS),
        "hash": HASHES,
        "published": MOMENTS,
    },
)
STORIES = st.fixed_dictionaries(
    {"id": UUIDS, "title": NAMES},
    optional={
        **dict.fromkeys(("description", "summary", "comments"), WORDS),
        "tags": st.lists(NAMES, max_size=2).map(lambda names: {name: {"name": name} for name in names}),
        "attributes": st.dictionaries(NAMES, WORDS, max_size=2).map(
            lambda pairs: {key: {"key": key, "value": value} for key, value in pairs.items()}
        ),
        "links": st.lists(st.builds(lambda link: {"link": link, "news_item_id": "x"}, NAMES), max_size=2),
        "news_items": st.lists(ITEMS, max_size=3, unique_by=lambda news_item: news_item["id"]),
    },
)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    return StorySite(tmp_path_factory.mktemp("round-trip"), role="admin")


@given(shared=STORIES)
@hypothesis_settings(max_examples=60)
def test_share_then_collect_then_share_changes_nothing(lasting, shared):
    for event in list(lasting.misp.events()):
        lasting.misp.delete(event["uuid"])
    checked = read_story(shared)
    outcome = lasting.share_one(shared)
    if checked.story is None:
        assert outcome["outcome"] == "failed"
        return
    assert (outcome["outcome"], outcome["reason"]) == ("created", "")
    collected = next(story_ for story_ in lasting.collect()[1] if story_["id"] == checked.story.id)
    expected = as_json(checked.story)
    expected["links"].sort(key=str)
    got = without_note(collected)
    got["links"].sort(key=str)
    assert got == json.loads(json.dumps(expected))
    again = lasting.share_one(collected)
    assert (again["outcome"], lasting.wire.writes) == ("unchanged", [])
    assert lasting.share_one(shared)["outcome"] == "unchanged"


RELATIONS = ("id", "title", "content", "hash", "source", "link", "links", "tags", "attributes", "summary", "likes")
HELD = st.text(
    st.characters(min_codepoint=1, max_codepoint=0xFFFF, exclude_categories=("Cs",)), min_size=1, max_size=8
) | st.sampled_from(
    ["<no_data>", HASH, OTHER_HASH.upper(), "{'link': 'x'}", '{"name": "a"}', '{"key": "b", "value": 3}', "[" * 200]
)
MEMBERS = st.lists(st.tuples(st.sampled_from(RELATIONS), HELD), max_size=6)
OBJECTS = st.lists(st.tuples(st.sampled_from(["taranis-story", "taranis-news-item"]), MEMBERS), max_size=4)


@given(held=OBJECTS)
@hypothesis_settings(max_examples=60)
def test_whatever_others_wrote_is_collected_as_share_takes_it_and_sharing_it_changes_nothing(lasting, held):
    for event in list(lasting.misp.events()):
        lasting.misp.delete(event["uuid"])
    fields = {"uuid": STORY, "info": "x", "Orgc": THEM, "orgc_id": "6", "distribution": "1"}
    objects = [
        {
            "name": name,
            "Attribute": [{"type": "text", "object_relation": relation, "value": text} for relation, text in members],
        }
        for name, members in [("taranis-story", []), *held]
    ]
    lasting.misp.load([fields | {"Object": objects}])
    (collected,) = lasting.collect(full=True)[1]
    assert read_story(collected).problems == ()
    assert (lasting.share_one(collected)["outcome"], lasting.wire.writes) == ("unchanged", [])


def test_a_long_text_comes_back_whole(site):
    content = ("lorem ipsum dolor \n\n" * 12_000).strip()
    site.share_one(story(news_items=[item(content=content)]))
    assert len(site.values("content")) > 3
    (collected,) = site.collect()[1]
    assert collected["news_items"][0]["content"] == content
    changed = "Now, " + content
    assert site.share_one(story(news_items=[item(content=changed)]))["outcome"] == "updated"
    (collected,) = site.collect()[1]
    assert collected["news_items"][0]["content"] == changed
    assert site.share_one(collected)["outcome"] == "unchanged"


def test_a_third_organisation_is_neither_ours_nor_theirs(site):
    third = organisation(7, "THIRD", "77777777-0000-4000-8000-000000000007")
    key = site.misp.add_user("Publisher", third)
    site.share_one(story())
    site.share_one(story(news_items=[item(), other_item()]), settings=site.settings(key, third["id"]))
    (collected,) = site.collect()[1]
    assert [extension["ours"] for extension in collected["misp"]["extensions"]] == [False]
    outcome = site.share_one(collected)
    assert (outcome["outcome"], site.wire.writes) == ("unchanged", [])
