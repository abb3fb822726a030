"""``share``: what becomes of a story at MISP, in each of its outcomes, and when something goes wrong."""

import json

import pytest

from helpers.errors import MispError, SettingsError
from helpers.stories.misp_event import TEMPLATES, extension_uuid
from sandbox.misp.records import ORGANISATION
from tests.support.story_site import (
    HASH,
    ITEM,
    OTHER_HASH,
    OTHER_ITEM,
    STORY,
    THEM,
    URL,
    US,
    StorySite,
    item,
    other_item,
    story,
)


@pytest.fixture
def site(tmp_path):
    return StorySite(tmp_path)


def test_a_story_becomes_an_event(site):
    outcome = site.share_one(story())
    assert outcome == {
        "id": STORY,
        "title": "New loader spreads by invoice mails",
        "outcome": "created",
        "reason": "",
        "url": "https://misp.example.org/events/view/1",
        "notes": [],
    }
    event = site.event()
    header = ("uuid", "info", "threat_level_id", "analysis", "distribution", "sharing_group_id", "published")
    assert [event[name] for name in header] == [STORY, story()["title"], "4", "0", "1", "0", False]
    assert event["Orgc"] == US
    assert site.tags() == {"loader", "tlp:amber"}
    (report,) = event["EventReport"]
    assert report["name"] == story()["title"]
    assert report["content"] == "# Description\n\nA loader.\n\n# Summary\n\nIt spreads."
    assert site.indicators() == {URL: False}


def test_its_objects_are_those_of_taranis_ai(site):
    site.share_one(story())
    (about,) = site.objects("taranis-story")
    members = [
        (attribute["object_relation"], attribute["type"], attribute["value"]) for attribute in about["Attribute"]
    ]
    assert members == [
        ("id", "text", STORY),
        ("title", "text", "New loader spreads by invoice mails"),
        ("description", "text", "A loader."),
        ("summary", "text", "It spreads."),
        ("comments", "text", "<no_data>"),
        ("links", "text", json.dumps(story()["links"][0], sort_keys=True)),
        ("tags", "text", '{"name": "loader", "tag_type": "misc"}'),
        ("attributes", "text", '{"key": "TLP", "value": "amber"}'),
    ]
    (news,) = site.objects("taranis-news-item")
    members = {
        attribute["object_relation"]: (attribute["type"], attribute["value"], attribute["to_ids"])
        for attribute in news["Attribute"]
    }
    assert members == {
        "id": ("text", ITEM, False),
        "title": ("text", "Loader seen", False),
        "link": ("link", "https://news.example.org/loader", False),
        "source": ("link", "https://news.example.org/feed", False),
        "language": ("text", "en", False),
        "hash": ("sha256", HASH, False),
        "story_id": ("text", STORY, False),
        "content": ("text", item()["content"], False),
    }


OLD = {
    "tags": [{"name": "loader", "tag_type": "misc"}],
    "attributes": [{"key": "TLP", "value": "amber"}],
    "links": ["https://news.example.org/loader"],
}
NEW = {
    "tags": {"loader": {"name": "loader", "tag_type": "misc"}},
    "attributes": {"TLP": {"key": "TLP", "value": "amber"}},
    "links": [{"link": "https://news.example.org/loader", "news_item_id": ""}],
}


def test_a_story_with_lists_is_shared_as_one_with_objects_and_collected_as_one(site):
    assert site.share_one(story(**OLD))["outcome"] == "created"
    assert site.tags() == {"loader", "tlp:amber"}
    assert [site.values(name) for name in ("tags", "attributes", "links")] == [
        ['{"name": "loader", "tag_type": "misc"}'],
        ['{"key": "TLP", "value": "amber"}'],
        ['{"link": "https://news.example.org/loader", "news_item_id": ""}'],
    ]
    _, (collected,), _ = site.collect()
    assert {name: collected[name] for name in NEW} == NEW
    for again in (story(**OLD), story(**NEW), collected):
        assert (site.share_one(again)["outcome"], site.wire.writes) == ("unchanged", [])


def test_a_list_of_another_shape_costs_only_its_own_story(site):
    other = "0b5fd7a2-7c55-4a5e-9f0e-5a2f6c9f2d12"
    empty = story(id=other, tags=[], attributes=[], links=[], news_items=[])
    failed, created = site.share(story(tags=["apt", None]), empty)["stories"]
    assert (failed["outcome"], failed["reason"]) == ("failed", "tags[0] must be an object; tags[1] must be an object")
    assert (created["outcome"], site.tags(other), site.values("tags", other)) == ("created", set(), [])


def test_the_templates_are_those_that_pymisp_ships():
    from pymisp import MISPObject

    for name, known in TEMPLATES.items():
        shipped = MISPObject(name)
        names = ("description", "meta-category", "template_uuid", "template_version")
        assert known == {field: str(getattr(shipped, field)) for field in names}


def test_sharing_again_changes_nothing_and_writes_nothing(site):
    site.share_one(story(), publish=True, to_ids=True)
    before = json.dumps(site.event())
    outcome = site.share_one(story(), publish=True, to_ids=True)
    assert (outcome["outcome"], outcome["notes"], site.wire.writes) == ("unchanged", [], [])
    assert json.dumps(site.event()) == before


CHANGED = {
    "title": (story(title="Another title"), {"events/edit", "objects/edit", "eventReports/edit"}),
    "description": (story(description="Two loaders."), {"objects/edit", "eventReports/edit"}),
    "comments": (story(comments="Mind it."), {"objects/edit", "eventReports/edit"}),
    "summary gone": (story(summary=""), {"objects/edit", "eventReports/edit"}),
    "tag": (
        story(tags={"green": {"name": "tlp:green", "tag_type": "misc"}}),
        {"objects/edit", "tags/attachTagToObject", "tags/removeTagFromObject"},
    ),
    "link": (story(links=[]), {"objects/edit"}),
    "attribute": (story(attributes={}), {"objects/edit", "tags/removeTagFromObject"}),
    "item added": (story(news_items=[item(), other_item()]), {"objects/add"}),
    "item changed": (story(news_items=[item(title="Seen")]), {"objects/edit"}),
    "item's content": (story(news_items=[item(content=f"{URL} it is")]), {"objects/edit"}),
    "item's time": (story(news_items=[item(published="2026-11-21T08:00:00Z")]), {"objects/edit"}),
    "item removed": (
        story(news_items=[other_item()]),
        {"objects/add", "objects/delete", "attributes/edit", "attributes/delete"},
    ),
    "indicator": (story(description="From 192.0.2.7"), {"objects/edit", "eventReports/edit", "attributes/add"}),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_changed_is_updated_and_nothing_else(site, name):
    changed, writes = CHANGED[name]
    site.share_one(story())
    report = site.event()["EventReport"][0]["uuid"]
    outcome = site.share_one(changed)
    assert (outcome["outcome"], outcome["reason"], outcome["notes"]) == ("updated", "", [])
    assert {"/".join(path.split("/")[1:3]) for path in site.wire.writes} == writes
    assert [event_report["uuid"] for event_report in site.event()["EventReport"]] == [report]
    assert site.share_one(changed)["outcome"] == "unchanged"
    assert site.wire.writes == []


def test_members_that_stay_keep_their_uuids(site):
    site.share_one(story())
    before = {
        attribute["object_relation"]: attribute["uuid"] for attribute in site.objects("taranis-story")[0]["Attribute"]
    }
    site.share_one(story(summary="New."))
    after = {
        attribute["object_relation"]: attribute["uuid"] for attribute in site.objects("taranis-story")[0]["Attribute"]
    }
    assert after == before


def test_what_others_put_into_the_event_stays(site):
    site.share_one(story())
    site.misp.attach(site.event(), {"type": "domain", "value": "theirs.example.org", "comment": "by hand"})
    site.misp.attach_report(site.event(), {"name": "Analysis", "content": "By hand."})
    site.misp.tag_event(STORY, "workflow")
    old = {"object_relation": "likes", "type": "text", "value": "3"}
    site.misp.attach(site.event(), old, site.objects("taranis-story")[0])
    site.share_one(story(description="Nothing named any more.", news_items=[], tags={}))
    assert site.indicators() == {"theirs.example.org": True}
    assert {event_report["name"] for event_report in site.event()["EventReport"]} == {"Analysis", story()["title"]}
    assert site.tags() == {"tlp:amber", "workflow"}
    assert site.values("likes") == ["3"]


def test_an_item_that_is_there_twice_is_there_once_again(site):
    site.share_one(story())
    site.misp.attach_object(site.event(), site.objects("taranis-news-item")[0] | {"uuid": "", "id": ""})
    assert len(site.objects("taranis-news-item")) == 2
    assert site.share_one(story())["outcome"] == "updated"
    assert len(site.objects("taranis-news-item")) == 1


def test_an_item_that_has_another_id_is_known_by_its_hash(site):
    site.share_one(story(news_items=[item(), other_item()]))
    before = {object_["uuid"] for object_ in site.objects("taranis-news-item")}
    renamed = story(news_items=[item(id="another"), other_item()], links=[])
    assert site.share_one(renamed)["outcome"] == "updated"
    assert {object_["uuid"] for object_ in site.objects("taranis-news-item")} == before
    assert set(site.values("id")) == {STORY, "another", OTHER_ITEM}
    assert site.share_one(renamed)["outcome"] == "unchanged"


def test_a_report_of_a_long_title_has_a_name_that_misp_can_keep(site):
    long = "A long title, " * 40
    site.share_one(story(title=long))
    assert len(site.event()["EventReport"][0]["name"]) == 255
    assert site.share_one(story(title=long))["outcome"] == "unchanged"


def test_an_indicator_that_somebody_deleted_stays_deleted(site):
    site.share_one(story())
    (attribute,) = site.event()["Attribute"]
    site.misp.soft_delete(STORY, attribute["uuid"])
    outcome = site.share_one(story())
    assert (outcome["outcome"], outcome["notes"]) == ("unchanged", [f"deleted in MISP, and left so: {URL}"])


def test_an_indicator_that_the_story_names_again_is_added_again(site):
    site.share_one(story())
    site.share_one(story(news_items=[other_item()]))
    assert site.indicators() == {}
    outcome = site.share_one(story(news_items=[item(), other_item()]))
    assert (outcome["outcome"], outcome["notes"]) == ("updated", [])
    assert site.indicators() == {URL: False}
    site.misp.soft_delete(
        STORY, next(attribute["uuid"] for attribute in site.event()["Attribute"] if not attribute["deleted"])
    )
    assert site.share_one(story())["notes"] == [f"deleted in MISP, and left so: {URL}"]


@pytest.mark.parametrize("path", ["attributes/edit", "attributes/delete"])
def test_an_indicator_that_was_half_taken_back_leaves_with_the_next_share(site, path):
    site.share_one(story())
    fault = site.fault(path, "reset-before", times=None)
    assert site.share_one(story(news_items=[]))["outcome"] == "failed"
    fault.times = 0
    site.share_one(story(news_items=[]))
    assert site.indicators() == {}


def test_to_ids_raises_the_flag_and_nothing_lowers_it(site):
    site.share_one(story())
    assert site.share_one(story(), to_ids=True)["outcome"] == "updated"
    assert site.indicators() == {URL: True}
    assert site.share_one(story())["outcome"] == "unchanged"
    assert site.indicators() == {URL: True}


def test_what_is_on_a_warninglist_is_no_indicator(site):
    site.misp.warninglist.add(URL)
    outcome = site.share_one(story(description="192.0.2.7"))
    assert site.indicators() == {"192.0.2.7": False}
    assert outcome["notes"] == [f"{URL} is no indicator: it is on the warninglist List of the sandbox"]


# --- publishing ------------------------------------------------------------------------------------


def test_with_publish_it_is_published_and_again_after_each_update(site):
    assert site.share_one(story(), publish=True)["notes"] == ["published"]
    assert site.event()["published"]
    assert site.share_one(story(summary="New."), publish=True)["notes"] == ["published"]
    assert site.event()["published"]


def test_without_publish_what_was_published_is_published_again(site):
    site.share_one(story(), publish=True)
    assert site.share_one(story(summary="New."))["notes"] == ["published"]
    assert site.event()["published"]
    site.misp.unpublish(STORY)
    assert site.share_one(story(summary="Newer."))["notes"] == []
    assert not site.event()["published"]


def test_publish_publishes_what_is_shared_already(site):
    site.share_one(story())
    outcome = site.share_one(story(), publish=True)
    assert (outcome["outcome"], outcome["notes"]) == ("updated", ["published"])


@pytest.mark.parametrize("body", ["[]", "[1]", "{}", '{"saved": false}'])
def test_what_misp_does_not_say_that_it_published_was_not_published(site, body):
    site.fault("events/publish", "body", body=body, times=None)
    outcome = site.share_one(story(), publish=True)
    assert outcome["outcome"] == "failed"
    assert outcome["reason"].startswith("MISP does not say that it published the event")


def test_a_role_that_may_not_publish_is_reported(tmp_path):
    site = StorySite(tmp_path, role="User")
    outcome = site.share_one(story(), publish=True)
    assert outcome["outcome"] == "created"
    assert outcome["notes"] == ["not published: the role may not publish (perm_publish)"]
    site.misp.publish(STORY)
    outcome = site.share_one(story(summary="New."))
    assert outcome["outcome"] == "updated"
    (note,) = outcome["notes"]
    assert note.startswith("not published: the role may not publish") and "it was published until this update" in note


@pytest.mark.parametrize("path", ["events/publish", "eventReports/edit", "events/view"])
def test_a_failure_after_which_an_event_is_perhaps_no_longer_published_is_reported(site, path):
    site.share_one(story(), publish=True)
    site.fault(path, "status", status=500, after=int(path == "events/view"), times=None)
    outcome = site.share_one(story(summary="New."))
    assert outcome["outcome"] == "failed"
    assert outcome["notes"] == [
        "it was published until this update and is perhaps no longer: share it again with --publish"
    ]
    site.misp.faults.clear()
    assert site.share_one(story(summary="New."), publish=True)["outcome"] == "updated"
    assert site.event()["published"]


# --- what MISP cannot store, or drops --------------------------------------------------------------


def test_emoji_are_replaced_before_sending_with_a_note(site):
    with_emoji = json.loads(
        json.dumps(story(comments="x \U0001f4a5"), ensure_ascii=False).replace("Loader", "\U0001f4a5")
    )
    with_emoji["tags"]["fire"] = {"name": "\U0001f525", "tag_type": "misc"}
    site.misp.tags.add("\ufffd")
    outcome = site.share_one(with_emoji)
    assert outcome["outcome"] == "created"
    (note,) = outcome["notes"]
    assert note.startswith("characters that MISP cannot store were replaced")
    assert all(path in note for path in ("comments", "tags.fire.name", "news_items[0].title"))
    assert "x \ufffd" in site.values("comments") and "\ufffd seen" in site.values("title")
    again = site.share_one(with_emoji)
    assert (again["outcome"], again["notes"], site.wire.writes) == ("unchanged", [note], [])


def test_an_emoji_in_a_url_is_sent_as_clients_request_it_and_nothing_is_lost(site):
    news = "https://news.example.org/\U0001f4a5/a"
    text = "It calls hxxps://bad[.]example[.]org/\U0001f4a5/b?c=1."
    shared = story(description=text, links=[{"link": news, "news_item_id": ITEM}], news_items=[item(link=news)])
    outcome = site.share_one(shared)
    assert (outcome["outcome"], outcome["notes"]) == ("created", [])
    assert "https://bad.example.org/%F0%9F%92%A5/b?c=1" in site.indicators()
    assert not [
        value for value in site.indicators() if value in ("https://bad.example.org/", "https://bad.example.org")
    ]
    encoded = "https://news.example.org/%F0%9F%92%A5/a"
    assert json.loads(*site.values("links"))["link"] == encoded
    (link,) = [
        attribute
        for attribute in site.objects("taranis-news-item")[0]["Attribute"]
        if attribute["object_relation"] == "link"
    ]
    assert (link["type"], link["value"]) == ("link", encoded)
    assert (site.share_one(shared)["outcome"], site.wire.writes) == ("unchanged", [])
    (collected,) = site.collect()[1]
    assert (site.share_one(collected)["outcome"], site.wire.writes) == ("unchanged", [])


def test_a_url_that_was_lost_in_part_is_no_indicator_and_is_named(site):
    outcome = site.share_one(story(description="It calls https://bad.example.org/\ufffd/b"))
    (note,) = outcome["notes"]
    assert note == "https://bad.example.org/\ufffd/b is no indicator: it is not clear what is requested with it"
    assert set(site.indicators()) == {URL}


def test_indicators_carry_the_comment_by_which_they_are_known_to_be_ours(site):
    site.share_one(story())
    assert {attribute["comment"] for attribute in site.event()["Attribute"]} == {"Named in the story"}


def test_a_tag_that_the_role_may_not_make_is_noted(site):
    outcome = site.share_one(story(tags={"new": {"name": "new", "tag_type": "misc"}}))
    assert outcome["outcome"] == "created"
    (note,) = outcome["notes"]
    assert note.startswith("MISP did not keep tag new: MISP answered 404: Invalid Tag.")
    assert site.share_one(story(tags={"new": {"name": "new", "tag_type": "misc"}}))["outcome"] == "unchanged"


def test_attributes_that_misp_drops_from_an_answer_of_200_are_noticed(site, monkeypatch):
    monkeypatch.setattr("sandbox.misp.edits.rules.attribute", dropping(URL))
    outcome = site.share_one(story())
    assert outcome["outcome"] == "created"
    (note,) = outcome["notes"]
    assert note.startswith(f"MISP did not keep url {URL}: MISP answered 403:")
    assert "dropped for a test" in note


def test_of_indicators_that_misp_takes_in_part_the_others_are_noted(site, monkeypatch):
    site.share_one(story(description=""))
    other = "http://evil.example.org/b"
    monkeypatch.setattr("sandbox.misp.edits.rules.attribute", dropping(other))
    outcome = site.share_one(story(description=f"It calls {other} and http://evil.example.org/c"))
    assert outcome["outcome"] == "updated"
    (note,) = outcome["notes"]
    assert note.startswith(f"MISP did not keep url {other}: MISP answered 403:")
    assert set(site.indicators()) == {URL, "http://evil.example.org/c"}


def test_a_news_item_that_misp_drops_is_a_failure(site, monkeypatch):
    monkeypatch.setattr("sandbox.misp.rules.has_template", lambda object_: object_["name"] != "taranis-news-item")
    outcome = site.share_one(story())
    assert outcome["outcome"] == "failed"
    assert outcome["reason"].startswith(f"MISP did not keep news item {ITEM}: MISP answered 403: Object could not")


def test_a_member_that_misp_drops_without_a_word_is_a_failure(site, monkeypatch):
    monkeypatch.setattr("sandbox.misp.edits.rules.attribute", dropping("Loader seen"))
    outcome = site.share_one(story())
    assert (outcome["outcome"], outcome["reason"]) == ("failed", f"MISP did not keep news item {ITEM}")


def dropping(value):
    from sandbox.misp import rules

    rule = rules.attribute

    def attribute(fields):
        kept, why = rule(fields)
        return kept, "dropped for a test" if fields.get("value") == value else why

    return attribute


def test_an_event_that_a_failure_left_without_content_is_completed(site, monkeypatch):
    """As MISP does over an emoji in a comment: it answers 500, and the event is there without what was in it."""
    from sandbox.misp import rules

    refusals = iter([None, rules.InternalError()])

    def refuse_once(*_texts):
        if refusal := next(refusals, None):
            raise refusal

    monkeypatch.setattr("sandbox.misp.rules.refuse_wide", refuse_once)
    outcome = site.share_one(story())
    assert (outcome["outcome"], outcome["notes"]) == ("created", [])
    assert next(refusals, "used up") == "used up"
    assert len(site.objects("taranis-news-item")) == 1 and site.indicators() == {URL: False}
    assert site.share_one(story())["outcome"] == "unchanged"


def test_an_event_whose_answer_was_lost_is_not_added_again(site):
    site.fault("/events/add", "reset-after")
    assert site.share_one(story())["outcome"] == "created"
    assert site.wire.writes == ["/events/add"]


@pytest.mark.parametrize("path", ["eventReports/edit", "objects/edit", "events/edit"])
def test_another_tools_report_stays_the_one_when_a_failure_parts_it_from_the_title(site, path):
    site.share_one(story())
    site.event()["EventReport"][0]["uuid"] = "88888888-0000-4000-8000-000000000008"
    site.fault(path, "status", status=500, times=None)
    assert site.share_one(story(title="Another title"))["outcome"] == "failed"
    site.misp.faults.clear()
    assert site.share_one(story(title="Another title"))["outcome"] == "updated"
    assert [event_report["name"] for event_report in site.event()["EventReport"]] == ["Another title"]


def test_another_tools_report_is_found_although_somebody_renamed_the_event(site):
    site.share_one(story())
    site.event()["EventReport"][0]["uuid"] = "88888888-0000-4000-8000-000000000008"
    site.event()["info"] = "By hand"
    assert site.share_one(story())["outcome"] == "updated"
    assert len(site.event()["EventReport"]) == 1


# --- errors ----------------------------------------------------------------------------------------


def test_a_blocklisted_uuid(site):
    site.misp.blocklist.add(STORY)
    outcome = site.share_one(story())
    assert outcome["outcome"] == "failed"
    assert "blocklist" in outcome["reason"] and "it was deleted in MISP" in outcome["reason"]


def test_a_uuid_that_is_there_and_out_of_sight(tmp_path):
    site = StorySite(tmp_path)
    site.share_as_them(story())
    site.event()["distribution"] = "0"
    outcome = site.share_one(story())
    assert outcome["outcome"] == "failed"
    assert outcome["reason"].startswith("MISP has an event with this UUID that the key may not see")
    assert "404" in outcome["reason"]


def test_a_role_that_may_not_add(tmp_path):
    outcome = StorySite(tmp_path, role="Read Only").share_one(story())
    assert outcome["outcome"] == "failed"
    assert outcome["reason"].startswith("the role may not add events (perm_add)")


def test_the_report_is_added_by_the_number_of_the_event(site):
    site.share_one(story())
    site.event()["EventReport"].clear()
    assert site.share_one(story())["outcome"] == "updated"
    assert [path for path in site.wire.writes if "Report" in path] == ["/eventReports/add/1"]


@pytest.mark.parametrize("kind", ["reset-before", "reset-after", "truncate", "hang"])
@pytest.mark.parametrize("after", range(8))
def test_a_lost_answer_leaves_nothing_twice_and_nothing_undone(site, kind, after):
    if after % 2:
        site.share_one(story(news_items=[]))
    site.fault("/", kind, after=after + 4)
    site.share_one(story(news_items=[item(), other_item()]), to_ids=True)
    assert site.values("id")[0] == STORY
    assert sorted(site.values("hash")) == sorted([HASH, OTHER_HASH])
    assert len(site.event()["EventReport"]) == 1
    assert site.indicators() == {URL: True}
    assert site.share_one(story(news_items=[item(), other_item()]), to_ids=True)["outcome"] == "unchanged"


def test_a_rate_limit_is_waited_for(site):
    site.share_one(story())
    limit = {"X-Rate-Limit-Reset": "40"}
    site.fault("/objects/", "status", status=429, body={"name": "Rate limit exceeded."}, headers=limit)
    assert site.share_one(story(summary="New."))["outcome"] == "updated"
    assert 40 in site.time.slept


def test_misp_is_given_up_after_three_failures_in_a_row(site):
    site.fault("/events/view", "reset-before", times=None)
    stories = [story(id=f"0b5fd7a2-7c55-4a5e-9f0e-5a2f6c9f2d{number}") for number in range(20, 26)]
    answer = site.share(*stories)
    assert (answer["failed"], answer["exit_code"]) == (6, 1)
    assert ["not tried" in outcome["reason"] for outcome in answer["stories"]] == [False] * 3 + [True] * 3


def test_misp_that_cannot_be_asked_at_all_is_an_error_and_names_the_storys_settings(site):
    with pytest.raises(MispError, match=r'misp_stories\["api_key"\]'):
        site.share(story(), settings=site.settings("wrong" * 8))


def test_another_organisations_key_is_refused(site):
    with pytest.raises(SettingsError) as error:
        site.share(story(), settings=site.settings(site.their_key))
    (problem,) = error.value.problems
    assert "organisation_id" in problem and "organisation 6 (OTHERS)" in problem
    assert site.event() is None


def test_a_distribution_that_was_changed_in_misp_is_left_and_noted(site):
    site.share_one(story())
    site.event()["distribution"] = "0"
    outcome = site.share_one(story(summary="New."))
    assert outcome["notes"] == ["its distribution in MISP is 0, not 1, and was left so"]
    assert site.event()["distribution"] == "0"


def test_with_a_sharing_group_the_distribution_is_4(tmp_path):
    site = StorySite(tmp_path, DISTRIBUTION="", SHARING_GROUP_ID="1")
    site.misp.add_sharing_group("both", US, THEM)
    assert site.share_one(story())["notes"] == []
    assert (site.event()["distribution"], site.event()["sharing_group_id"]) == ("4", "1")


ODD = ["null", "[]", "[1]", "{}", '"x"', "", '{"Event": []}', '{"Event": {"id": "x"}}', '[{"Event": {"id": "x"}}]']


@pytest.mark.parametrize("body", ODD)
@pytest.mark.parametrize(
    "path", ["users/view/me", "events/view", "checkValue", "shadowAttributes/index", "events/add", "publish"]
)
def test_an_odd_answer_is_misps_failure_and_costs_no_other_story(site, path, body):
    theirs = story(id="0b5fd7a2-7c55-4a5e-9f0e-5a2f6c9f2d12")
    site.share_as_them(theirs)
    site.fault(path, "body", body=body, times=None)
    try:
        answer = site.share(story(), theirs | {"summary": "Ours."})
    except MispError:
        return
    assert len(answer["stories"]) == 2
    if path == "checkValue" and body not in ("[]", "{}", '{"Event": []}'):
        assert answer["stories"][0]["outcome"] == "failed" and site.event() is None


@pytest.mark.parametrize("body", ["[]", "[1]", "{}", '{"User": 1, "Organisation": []}'])
def test_misp_that_does_not_say_whose_key_it_is_cannot_be_asked(site, body):
    site.fault("users/view/me", "body", body=body, after=1, times=None)
    with pytest.raises(MispError, match=r'misp_stories\["api_key"\]'):
        site.share(story())


def test_an_event_whose_lists_are_written_as_objects_is_read(site):
    site.share_one(story())
    body = json.loads(json.dumps({"Event": site.event()}))
    body["Event"]["Object"] = {"0": body["Event"]["Object"][0], "2": body["Event"]["Object"][1]}
    site.fault("/events/view", "body", body=json.dumps(body))
    assert (site.share_one(story())["outcome"], site.wire.writes) == ("unchanged", [])


# --- proposals pending on our event ----------------------------------------------------------------


def summary_of(site):
    return next(
        attribute
        for attribute in site.objects("taranis-story")[0]["Attribute"]
        if attribute["object_relation"] == "summary"
    )


def test_others_proposals_stop_an_update(site):
    site.share_one(story())
    site.propose(summary_of(site), value="Theirs.")
    before = json.dumps(site.event())
    answer = site.share(story(summary="Ours."))
    (outcome,) = answer["stories"]
    assert (outcome["outcome"], answer["blocked"], answer["exit_code"]) == ("blocked", 1, 1)
    assert "1 proposal of others is pending" in outcome["reason"]
    assert "https://misp.example.org/events/view/1" in outcome["reason"] and "--force" in outcome["reason"]
    assert json.dumps(site.event()) == before
    assert site.share_one(story(summary="Ours."), force=True)["outcome"] == "updated"


def test_proposals_stop_no_share_that_changes_nothing_and_our_own_stop_none(site):
    site.share_one(story())
    site.propose(summary_of(site), value="Theirs.")
    assert site.share_one(story())["outcome"] == "unchanged"
    site.event()["Object"][0]["Attribute"][3]["ShadowAttribute"] = []
    site.propose(summary_of(site), key=site.key, value="Ours, too.")
    assert site.share_one(story(summary="Ours."))["outcome"] == "updated"


def test_proposals_that_only_the_event_shows_count_too(site):
    site.share_one(story())
    site.propose(summary_of(site), value="Theirs.")
    site.fault("/shadowAttributes/index", "body", body="[]", times=None)
    outcome = site.share_one(story(summary="Ours."))
    assert outcome["outcome"] == "blocked" and "1 proposal of others is pending" in outcome["reason"]


def test_a_question_about_proposals_without_an_answer_stops_the_update(site):
    site.share_one(story())
    site.fault("/shadowAttributes/index", "status", status=500, times=None)
    outcome = site.share_one(story(summary="Ours."))
    assert outcome["outcome"] == "blocked"
    assert outcome["reason"].startswith("MISP does not say whether proposals are pending on https://misp.example.org/")
    assert site.values("summary") == ["It spreads."]
    assert site.share_one(story(summary="Ours."), force=True)["outcome"] == "updated"


# --- another organisation's event ------------------------------------------------------------------


@pytest.fixture
def theirs(site):
    site.share_as_them(story(), publish=True)
    return site


def pending(site):
    event = site.event()
    members = [attribute for object_ in event["Object"] for attribute in object_["Attribute"]]
    proposals = [(attribute, proposal) for attribute in members for proposal in attribute["ShadowAttribute"]]
    return [
        (attribute["object_relation"], proposal["value"], proposal["comment"], proposal["proposal_to_delete"])
        for attribute, proposal in proposals
    ]


def content_of(event):
    bare = json.loads(json.dumps(event))
    for object_ in bare["Object"]:
        for attribute in object_["Attribute"]:
            attribute["ShadowAttribute"] = []
    return bare


def test_anothers_event_is_never_written_to_and_changes_become_proposals_once(theirs):
    before = content_of(theirs.event())
    changed = story(title="Ours", summary="", description="Ours, too.", links=[], news_items=[item(title="Seen")])
    outcome = theirs.share_one(changed, publish=True, to_ids=True)
    assert (outcome["outcome"], outcome["reason"]) == ("proposed", "")
    assert outcome["url"] == "https://misp.example.org/events/view/1"
    assert content_of(theirs.event()) == before
    assert sorted(pending(theirs)) == sorted(
        [
            ("title", "Ours", "", False),
            ("summary", "<no_data>", "", False),
            ("description", "Ours, too.", "", False),
            ("title", "Seen", "", False),
        ]
    )
    assert "links, tags and attributes of another organisation's story are not proposed" in outcome["notes"]
    again = theirs.share_one(changed, publish=True, to_ids=True)
    assert (again["outcome"], theirs.wire.writes) == ("unchanged", [])
    assert "proposals of ours that are pending since an earlier share: 4" in again["notes"]
    assert len(pending(theirs)) == 4


def test_a_removed_item_is_proposed_on_its_hash_and_a_removed_value_as_its_removal(theirs):
    outcome = theirs.share_one(story(news_items=[]))
    assert outcome["outcome"] == "proposed"
    assert pending(theirs) == [("hash", HASH, "Please remove this news item: the story no longer has it", False)]
    theirs.share_one(story(news_items=[item(language="")]))
    assert ("language", "en", "", True) in pending(theirs)
    assert theirs.share_one(story(news_items=[item(language="")]))["outcome"] == "unchanged"


def test_items_are_the_same_by_their_hash_too(theirs):
    assert theirs.share_one(story(news_items=[item(id="another")]))["outcome"] == "unchanged"
    assert pending(theirs) == []


def test_the_id_of_an_item_counts_before_its_hash(site):
    site.share_as_them(story(news_items=[item(), other_item()]))
    crossed = story(news_items=[other_item(hash=HASH), item(hash=OTHER_HASH)])
    assert site.share_one(crossed)["outcome"] == "unchanged"
    assert site.wire.writes == []


def test_what_is_no_link_is_not_proposed_for_one(theirs):
    outcome = theirs.share_one(story(news_items=[item(source="")]))
    note = f"source of news item {ITEM}: MISP keeps it as a link, and takes no proposal that is none"
    assert (outcome["outcome"], outcome["notes"], theirs.wire.writes) == ("unchanged", [note], [])


def extension(site):
    return extension_uuid(STORY, US["uuid"])


def test_new_items_go_into_an_extension_of_ours_that_is_found_again(theirs):
    before = content_of(theirs.event())
    more = story(news_items=[item(), other_item(content="Also 192.0.2.9")])
    outcome = theirs.share_one(more, publish=True, to_ids=True)
    assert outcome["outcome"] == "proposed"
    ours = theirs.event(extension(theirs))
    assert (ours["extends_uuid"], ours["Orgc"], ours["published"]) == (STORY, US, True)
    assert ours["info"] == more["title"]
    assert theirs.values("id", ours["uuid"]) == [OTHER_ITEM]
    assert theirs.indicators(ours["uuid"]) == {"192.0.2.9": True}
    assert theirs.tags(ours["uuid"]) == {"loader", "tlp:amber"}
    assert content_of(theirs.event()) == before
    assert theirs.share_one(more, publish=True, to_ids=True)["outcome"] == "unchanged"
    assert theirs.wire.writes == []
    changed = story(news_items=[item(), other_item(title="New")])
    assert theirs.share_one(changed)["outcome"] == "proposed"
    assert theirs.values("title", ours["uuid"]) == ["New"]
    assert theirs.share_one(story())["outcome"] == "proposed"
    assert theirs.objects("taranis-news-item", ours["uuid"]) == []
    assert sum(1 for _ in theirs.misp.events()) == 2


def test_an_extension_that_another_tool_made_is_found(theirs):
    uuid = "77777777-0000-4000-8000-000000000007"
    theirs.misp.load([{"uuid": uuid, "info": "x", "extends_uuid": STORY, "Orgc": US, "orgc_id": "5"}])
    theirs.event(uuid)["date"] = "2000-01-01"
    assert theirs.share_one(story(news_items=[item(), other_item()]))["outcome"] == "proposed"
    assert theirs.values("id", uuid) == [OTHER_ITEM]
    assert theirs.event(extension(theirs)) is None
    (asked,) = [
        json.loads(request.body) for request in theirs.wire.requests if request.path_url == "/events/restSearch"
    ]
    assert (asked["eventsExtendingUuid"], asked["org"]) == (STORY, US["id"])
    assert not asked.keys() & {"limit", "page"}  # MISP would search that page alone


def test_an_extension_of_ours_that_is_anothers_event_is_never_written_to(tmp_path):
    site = StorySite(tmp_path, role="admin")
    site.share_as_them(story(), publish=True)
    taken = extension_uuid(STORY, ORGANISATION["uuid"])
    site.share_as_them(story(id=taken, news_items=[]))
    before = json.dumps(site.event(taken))
    outcome = site.share_one(story(news_items=[item(), other_item()]))
    assert outcome["outcome"] == "failed" and "is another organisation's" in outcome["reason"]
    assert json.dumps(site.event(taken)) == before


def test_anothers_event_without_a_story_in_it_is_reported(theirs):
    theirs.event()["Object"].clear()
    outcome = theirs.share_one(story(summary="Ours.", news_items=[]))
    assert (outcome["outcome"], theirs.wire.writes) == ("unchanged", [])
    assert outcome["notes"] == ["another organisation's event without a story in it: its texts cannot be proposed"]


@pytest.mark.parametrize("after", range(4))
def test_a_lost_answer_makes_no_proposal_twice(theirs, after):
    theirs.fault("/shadowAttributes/edit", "reset-after", after=after)
    changed = story(title="Ours", summary="Ours.", description="Ours, too.", news_items=[item(title="Seen")])
    assert theirs.share_one(changed)["outcome"] == "proposed"
    assert len(pending(theirs)) == 4


def test_a_role_that_may_not_propose_is_reported(tmp_path):
    site = StorySite(tmp_path, role="Read Only")
    site.share_as_them(story())
    outcome = site.share_one(story(summary="Ours."))
    assert outcome["outcome"] == "failed"
    assert "the story's summary: MISP answered 403" in outcome["reason"]


# --- files and words -------------------------------------------------------------------------------


def test_one_bad_story_costs_only_itself(site):
    lines = [json.dumps(story()), "{", json.dumps(story(id="x", news_items=[{"hash": "zz"}])), '"text"']
    answer = site.share(text="\n".join(lines))
    assert [outcome["outcome"] for outcome in answer["stories"]] == ["created", "failed", "failed", "failed"]
    reasons = [outcome["reason"] for outcome in answer["stories"][1:]]
    assert "line 2: it is not JSON" in reasons[0]
    assert reasons[1] == (
        "id is not a UUID; news_items[0].id is missing; news_items[0].hash is not a SHA-256 in hexadecimal digits"
    )
    assert reasons[2] == "the story must be an object"
    assert answer["exit_code"] == 1


@pytest.mark.parametrize("form", ["one", "list", "lines"])
def test_stories_come_alone_in_a_list_or_on_lines(site, form):
    two = [story(), story(id="0b5fd7a2-7c55-4a5e-9f0e-5a2f6c9f2d12")]
    texts = {"one": json.dumps(two[0], indent=1), "list": json.dumps(two), "lines": "\n".join(map(json.dumps, two))}
    answer = site.share(text=texts[form])
    assert answer["created"] == (1 if form == "one" else 2)


def test_the_outcome_in_words(site, capsys):
    from helpers.commands.share import share
    from helpers.stories import ShareOptions

    file = site.folder / "s.json"
    file.write_text(json.dumps([story(), story(id="x")]))
    with site.wired():
        code = share(site.settings(), [file, site.folder / "none.json"], print, ShareOptions(publish=True))
    lines = capsys.readouterr().out.splitlines()
    assert code == 1
    assert lines == [
        "created   New loader spreads by invoice mails https://misp.example.org/events/view/1",
        "          published",
        "failed    New loader spreads by invoice mails",
        "          id is not a UUID",
        "failed    (no story)",
        f"          {site.folder / 'none.json'} cannot be read (No such file or directory)",
        "1 created, 2 failed",
    ]
