"""Which parameters go together in a question to MISP: no combination that the program can send is one MISP fails at."""

import json
from itertools import product
from pathlib import Path

import pytest

from helpers.misp import paged_search, search_filters
from helpers.misp.search_filters import CLASHES
from sandbox.serve import Sandbox
from tests.misp.test_reader import FILTERS, reader_for, searches
from tests.support import hosts, misp_event

RECORDINGS = Path(__file__).parents[2].parent / "shared" / "misp-recordings"
recorded = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings of a real MISP are not here")

WARNINGLISTS = ["enforceWarninglist", "enforce_warninglist", "includeWarninglistHits"]
VALUES = [True, 1, "1", False, 0]
# What a site may write into its filters, of what has to do with warninglists and proposals.
SITES = [
    {},
    *({name: value} for name, value in product([*WARNINGLISTS, "noShadowAttributes"], VALUES)),
    *({name: 1, other: 1} for name, other in product(WARNINGLISTS, [*WARNINGLISTS, "noShadowAttributes", "metadata"])),
]


def recording(name):
    return json.loads((RECORDINGS / f"{name}.json").read_text())


def sent(name):
    exchange = recording(name)
    return exchange["request"]["body"], exchange["response"]["status"]


@recorded
@pytest.mark.parametrize("clash", CLASHES, ids=lambda clash: f"{clash.stays}-{clash.gives_way}")
def test_each_clash_is_recorded(clash):
    body, status = sent(clash.recording)
    assert status == 500
    assert body[clash.stays] and body[clash.gives_way]


@recorded
@pytest.mark.parametrize("name", ["metadata", "noShadowAttributes", "enforceWarninglist_on", "includeWarninglistHits"])
def test_each_of_two_that_clash_is_answered_alone(name):
    body, status = sent(f"events_restSearch_{name}")
    assert status == 200
    assert sum(bool(body.get(filter_)) for filter_ in {filter_ for clash in CLASHES for filter_ in clash[:2]}) == 1


def every_question(site):
    """Each kind of question about events, with a site's filters."""
    filters = {**FILTERS, "publish_timestamp": "14d", **site}
    yield search_filters.for_listing(filters)
    yield search_filters.without_time_windows(filters)
    yield {**search_filters.without_time_windows(filters), **search_filters.by_uuid(filters, ["uuid"])}
    yield search_filters.for_listing(search_filters.for_one_event(filters, "uuid"))
    for reports in (True, False):
        yield {**search_filters.for_reading(filters, reports=reports), "eventid": ["1"]}


@pytest.mark.parametrize("site", SITES, ids=str)
def test_no_question_has_two_that_clash(site):
    for arguments in every_question(site):
        names = {"enforceWarninglist" if name == "enforce_warninglist" else name for name in arguments}
        assert not [clash for clash in CLASHES if {clash.stays, clash.gives_way} <= names]


@pytest.fixture(scope="module")
def box():
    with Sandbox() as running:
        running.misp.warninglist = {"host0.example.org"}
        running.misp.load([misp_event(1, hosts(3)), misp_event(2, hosts(80, "other"))])
        yield running


@pytest.mark.parametrize("site", SITES, ids=str)
def test_every_question_of_a_site_is_answered_at_the_first_try(box, tmp_path, monkeypatch, site):
    """Over the wire, as PyMISP writes it, against a MISP that fails at what the real one was recorded to fail at."""
    monkeypatch.setattr(paged_search, "ATTRIBUTES_PER_PAGE", 64)
    filters = {**FILTERS, **{name: value for name, value in site.items() if name != "metadata"}}
    reader = reader_for(box, tmp_path)
    before = len(searches(box))
    listed = reader.listing(filters)
    reader.find_events(filters, [event.uuid for event in listed])
    events = [event for page in reader.pages(listed, filters) for event in page.slices]
    assert {event["uuid"] for event in events} == {event.uuid for event in listed}
    assert reader.unread == []
    # the list, which of them are found, a page, the large event's header before and after
    assert len(searches(box)) - before == 5
    enforced = any(site.get(name) not in (None, False, 0) for name in WARNINGLISTS[:2])
    values = [attribute["value"] for event in events for attribute in event["Attribute"]]
    assert ("host0.example.org" in values) is not enforced


def test_the_shipped_filters_leave_proposals_to_misp_where_misp_can(tmp_path):
    asked = search_filters.for_reading({"published": 1, "enforceWarninglist": True})
    assert "noShadowAttributes" not in asked
    assert search_filters.for_reading({"published": 1})["noShadowAttributes"] == 1


def test_words_between_tags_travel_in_capitals_since_misp_fails_at_others():
    tags = {"or": ["tlp:white"], "Not": ["tlp:red"], "AND": "tlp:green"}
    asked = search_filters.for_listing({"tags": tags, "org": {"OR": ["EXAMPLE"]}})
    assert asked["tags"] == {"OR": ["tlp:white"], "NOT": ["tlp:red"], "AND": ["tlp:green"]}
    assert asked["org"] == {"OR": ["EXAMPLE"]}


def test_a_site_s_words_between_tags_are_answered_though_misp_fails_at_them_as_they_are(box, tmp_path):
    reader = reader_for(box, tmp_path)
    assert len(reader.listing({**FILTERS, "tags": {"not": "tlp:red"}})) == 2
    assert reader.detours.failed == 0
