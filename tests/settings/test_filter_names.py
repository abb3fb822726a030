"""Names in misp_event_filters: those that MISP ignores are told, with what does what was meant."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.settings.filter_names import HARMLESS, KNOWN, MEANT, RECEIVED, absent_tag, odd_filters, received, tags_in
from sandbox.serve import Sandbox
from tests.misp.test_reader import reader_for, searches
from tests.support import hosts, misp_event

SHARED = Path(__file__).parents[2].parent / "shared"
RECORDINGS = SHARED / "misp-recordings"
recorded = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="what a real MISP answered is not here")

# In MISP's list, and told all the same: the one filters nothing or too much, the others MISP cannot read.
KNOWN_AND_TOLD = {"distribution", "galaxy.*"}
PROPOSED = {
    "threatlevel": "threat_level_id",
    "threat_level": "threat_level_id",
    "threatLevel": "threat_level_id",
    "info": "eventinfo",
    "orgc_id": "org",
    "object_name": "object_relation",
    "quickFilter": "searchall",
    "quick_filter": "searchall",
    "comment": "searchall",
    "attribute_timestamp": "timestamp",
    "Tags": "tags",
    "TAG": "tag",
    "eventId": "eventid",
    "EnforceWarninglist": "enforceWarninglist",
    "publish-timestamp": "publish_timestamp",
    "publish_timestmp": "publish_timestamp",
    "value1": "value",
}


def measured():
    """MISP's own list of names, and those of which the notes say that it ignores them."""
    notes = (SHARED / "reference" / "misp.md").read_text()
    (known,) = re.findall(r"Filters that events/restSearch knows: (.*)", notes)
    (ignored,) = re.findall(r"\*\*every event is found\*\*: measured for (.*)", notes)
    return set(known.replace(";", "").split()), set(re.findall(r"\w+", re.sub(r"\(.*?\)", "", ignored)))


def warnings_for(*names):
    return odd_filters(dict.fromkeys(names, 1), "config.py")


@recorded
def test_the_table_is_misp_s_own_list():
    known, _ = measured()
    assert known - KNOWN_AND_TOLD == KNOWN
    for name in KNOWN_AND_TOLD:
        assert warnings_for(name)


@recorded
def test_every_name_that_was_seen_to_be_ignored_is_reported_unless_nobody_misses_it():
    _, ignored = measured()
    assert len(ignored) > 10
    for name in ignored:
        assert bool(warnings_for(name)) is (name not in HARMLESS), name


@recorded
def test_every_name_that_a_recording_shows_to_be_ignored_is_reported():
    files = sorted(RECORDINGS.glob("events_restSearch_*_ignored.json"))
    assert len(files) >= 4
    for file in files:
        body = json.loads(file.read_text())["request"]["body"]
        names = body.keys() - {"returnFormat", "metadata", "limit", "page"}
        assert names and all(warnings_for(name) for name in names), file.name


def test_every_name_that_is_accepted_is_one_that_misp_knows_or_that_nobody_misses():
    for name in (*KNOWN, *HARMLESS, *RECEIVED):
        assert bool(warnings_for(name)) is (received(name) not in KNOWN | HARMLESS), name


@given(name=st.text(max_size=20) | st.from_regex(r"[a-zA-Z_.-]{1,20}", fullmatch=True))
def test_any_other_name_is_reported(name):
    assert bool(warnings_for(name)) is (received(name) not in KNOWN | HARMLESS)


def test_what_is_proposed_is_accepted():
    assert not any(warnings_for(name) for name in MEANT.values())
    for name in (*PROPOSED, *MEANT, *KNOWN, *RECEIVED):
        for proposed in re.findall(r"(?:write|do you mean) '(\w+)'", " ".join(warnings_for(name.upper()))):
            assert not warnings_for(proposed), name


@pytest.mark.parametrize("name", PROPOSED)
def test_what_was_meant_is_named(name):
    (words,) = warnings_for(name)
    assert words.startswith(
        f"misp_event_filters (config.py) has {name!r}, which MISP ignores and so finds every event: "
    )
    assert f"'{PROPOSED[name]}'" in words.rpartition(": ")[2]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("analysis", "no filter on events for this"),
        ("first_seen", "no filter on events for this"),
        ("last_seen", "no filter on events for this"),
        ("excludeDecayed", "the setting filters has 'exclude_decayed'"),
        ("exclude_decayed", "the setting filters has 'exclude_decayed'"),
        ("min_confidence", "the setting filters has 'min_confidence'"),
        ("galaxy.threat-actor", "into 'tags'"),
        ("not_tags", "write 'tags' with ! before the name"),
        ("not_org", "the setting filters has 'exclude_organisations'"),
        ("my_own", "take it out"),
    ],
)
def test_where_misp_has_no_such_filter_that_is_reported(name, words):
    assert words in warnings_for(name)[0]


def test_distribution_is_reported_with_what_it_does():
    (words,) = warnings_for("distribution")
    assert "finds every event (0)" in words and "'sharing_group_id'" in words


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("last", "publish_timestamp"), "'last' and 'publish_timestamp', which are the same filter"),
        (("sharinggroup", "sharing_group_id"), "the same filter"),
        (("tags", "tag"), "'tags', beside which MISP ignores tag"),
        (("searchall", "published", "last", "type_attribute"), "ignores last, type_attribute"),
        (("searchall", "value"), "'value', beside which MISP ignores searchall"),
    ],
)
def test_what_is_lost_beside_another_is_reported(names, words):
    assert words in " ".join(warnings_for(*names))


def test_what_goes_together_is_not_reported():
    names = ("tags", "org", "published", "publish_timestamp", "timestamp", "includeEventTags", "threat_level_id")
    assert warnings_for(*names) == []
    assert warnings_for("searchall", "published", "tags") == []


# -- what travels -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def box():
    with Sandbox() as running:
        running.misp.load([misp_event(1, hosts(1))])
        yield running


# What the program says itself.
OURS = {"returnFormat", "return_format", "metadata", "limit", "page", "excludeGalaxy", "enforceWarninglist"}


@pytest.mark.parametrize("name", sorted({*KNOWN, *RECEIVED} - OURS))
def test_misp_receives_each_name_that_is_accepted(box, tmp_path, name):
    not_listed = OURS | {"includeWarninglistHits"}  # these are asked for when events are read, not when they are listed
    if warnings_for(name) or received(name) in not_listed:
        return
    reader_for(box, tmp_path).listing({name: 1})
    assert searches(box)[-1].get(received(name)) not in (None, False)


def test_values_travel_as_they_are(box, tmp_path):
    filters = {"tag": ["!a", "b%"], "event_tags": {"NOT": ["c"]}, "sharing_group_id": [3], "org": "EXAMPLE"}
    reader_for(box, tmp_path).listing(filters)
    sent = searches(box)[-1]
    assert (sent["tag"], sent["event_tags"], sent["sharinggroup"]) == (["!a", "b%"], {"NOT": ["c"]}, [3])
    assert "sharing_group_id" not in sent


def test_the_events_of_a_sharing_group_come_with_their_attributes(box, tmp_path):
    group = {"distribution": "4", "sharing_group_id": "3"}
    with Sandbox() as own:
        own.misp.load([misp_event(1, hosts(2)), misp_event(2, hosts(2), **group)])
        reader = reader_for(own, tmp_path)
        filters = {"sharing_group_id": 3}
        events = [event for page in reader.pages(reader.listing(filters), filters) for event in page.slices]
        assert [(event["uuid"], len(event["Attribute"])) for event in events] == [(misp_event(2)["uuid"], 2)]


def test_a_page_of_the_list_that_misp_shortens_is_not_the_last(tmp_path, monkeypatch):
    """MISP applies some filters to a page already cut, and then X-Result-Count alone says that there is more."""
    monkeypatch.setattr("helpers.misp.paged_search.LISTED_PER_PAGE", 4)
    with Sandbox() as own:
        extended = misp_event(1)["uuid"]
        own.misp.load(
            misp_event(n, hosts(1), **({"extends_uuid": extended} if n in (6, 9) else {})) for n in range(1, 11)
        )
        listed = reader_for(own, tmp_path).listing({"eventsExtendingUuid": extended})
        assert [event.uuid for event in listed] == [misp_event(n)["uuid"] for n in (6, 9)]


def test_beside_searchall_an_event_is_read_only_by_its_number(box, tmp_path):
    reader = reader_for(box, tmp_path)
    filters = {"searchall": "host0%", "published": 1}
    list(reader.pages(reader.listing(filters), filters))
    assert searches(box)[-2]["searchall"] and "searchall" not in searches(box)[-1]
    assert reader.find_events(filters, ["another"]) == {}, "what searchall finds is looked through"
    assert searches(box)[-1].get("eventid") is None


# -- tags ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "tags"),
    [
        ({"tags": "tlp:white"}, ["tlp:white"]),
        ({"tags": ["!a", "b%", 73, "74"], "event_tags": ["a"]}, ["a", "b%"]),
        ({"tag": {"AND": ["a", "b"], "NOT": "c"}}, ["a", "b", "c"]),
        ({"tags": "a||!b"}, ["a", "b"]),
        ({"tags": "a&&b"}, ["a", "b"]),
        ({"tags": None, "published": 1}, []),
    ],
)
def test_tags_in_filters(filters, tags):
    assert tags_in(filters) == tags


@pytest.mark.parametrize(
    ("tag", "known", "words"),
    [
        ("tlp:white", ["tlp:white"], ""),
        ("tlp:whit_", ["tlp:white"], ""),
        ("a.c", ["abc"], "MISP does not have"),
        ("TLP:WHITE", ["tlp:white"], "write 'tlp:white'"),
        ("tlp:white", [], "MISP does not have"),
        ("tlp:%", ["tlp:%"], ""),
        ("TLP:%", [], "which no event has"),
    ],
)
def test_a_tag_that_misp_does_not_have(tag, known, words):
    warning = absent_tag(tag, known)
    assert words in warning and bool(warning) is bool(words)
