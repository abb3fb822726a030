"""Answers of MISP that are damaged: a row costs itself, nothing leaves for it, and pages come to an end."""

import pytest

from helpers.errors import MispError
from helpers.misp.event_slices import as_event
from helpers.misp.page_bounds import MOST, MOST_HIDDEN, PageBounds
from helpers.misp.responses import damage_of
from sandbox.faults import Fault
from tests.support import hosts, misp_event
from tests.support.in_process import OneProcess

START = 1_790_000_100
DAMAGED = [7, "text", None, [], ["x"], {"uuid": ["x"]}, {"uuid": 5, "type": ["a"], "value": {"b": 1}}]


@pytest.fixture
def site(tmp_path):
    """A site whose MISP has an event of three attributes and one of two, which a first run has sent."""
    site = OneProcess(tmp_path, START, MISP_EVENT_FILTERS='{"published": 1}')
    site.misp.load([misp_event(1, hosts(3)), misp_event(2, hosts(2, "other"))])
    assert site.run().exit_code == 0
    for event in site.misp.events():
        site.misp.edit_attribute(event["uuid"], event["Attribute"][0]["uuid"], comment="again")
        site.misp.publish(event["uuid"])
    site.seconds += 60
    return site


def answer(site, **changes):
    """Let MISP answer with the first event changed like this, and the second as it is."""
    first, second = site.misp.events()
    body = {"response": [{"Event": {**first, **changes}}, {"Event": dict(second)}]}
    for name in [name for name, value in changes.items() if value is ...]:
        del body["response"][0]["Event"][name]
    path = "/events/restSearch"
    site.misp.faults.add(Fault(path, "body", body=body, times=None, when=lambda asked: not asked.get("metadata")))


def is_told_and_costs_nothing(site):
    """Nothing of what was there leaves; the next run, whose answer is whole, finishes it."""
    report = site.run()
    (unread,) = report.unread
    assert unread.startswith(misp_event(1)["uuid"])
    assert (report.exit_code, report.events, report.faults) == (3, 2, [])
    assert not report.withdrawals
    assert len(site.live()) == 5
    site.misp.faults.clear()
    assert site.run().exit_code == 0
    return report


@pytest.mark.parametrize("row", DAMAGED)
@pytest.mark.parametrize("place", ["Attribute", "Object", "member"])
def test_a_damaged_row_costs_itself_and_nothing_leaves_for_it(site, row, place):
    first = next(iter(site.misp.events()))
    if place == "member":
        damaged = {"Object": [{"uuid": "30000000-0000-4000-8000-000000000001", "name": "file", "Attribute": [row]}]}
    else:
        damaged = {place: [row, *(first["Attribute"][:2] if place == "Attribute" else [])]}
    answer(site, **damaged)
    report = is_told_and_costs_nothing(site)
    assert "rows that are no attributes or objects (1)" in report.unread[0]


@pytest.mark.parametrize("attributes", [..., 5, "text", True])
def test_an_event_without_a_list_of_attributes_is_not_one_that_has_none(site, attributes):
    answer(site, Attribute=attributes)
    is_told_and_costs_nothing(site)


@pytest.mark.parametrize("nothing", [[], {}, None])
def test_an_empty_list_says_that_there_are_none(site, nothing):
    answer(site, Attribute=nothing)
    report = site.run(force_withdraw=True)
    assert (report.exit_code, report.withdrawals.total(), len(site.live())) == (0, 3, 2)


@pytest.mark.parametrize("uuid", [5, None, ["x"], misp_event(9)["uuid"]])
def test_an_event_that_is_not_the_one_that_was_asked_for_is_not_taken_for_it(site, uuid):
    answer(site, uuid=uuid)
    report = site.run()
    assert (report.exit_code, len(site.live())) == (0, 5)
    site.misp.faults.clear()
    assert site.run().events == 1, "it is read again"


@pytest.mark.parametrize("tags", [5, "text", None, {"a": 5}, [5, None, {"name": 3}, {"name": "tlp:red", "local": []}]])
def test_damaged_tags_cost_themselves(site, tags):
    answer(site, Tag=tags)
    report = site.run()
    assert (report.exit_code, report.events, len(site.live())) == (0, 2, 5)


@pytest.mark.parametrize("number", ["9" * 5000, ["1"], None, "x", -1, 1.5])
def test_an_odd_id_of_an_object_is_none(number):
    attribute = {"uuid": "20000000-0000-4000-8000-000000000001", "object_id": number, "id": number}
    assert as_event([attribute]) == {"Attribute": [attribute], "Object": []}


def test_rows_of_a_large_event_are_told_too(site, monkeypatch):
    monkeypatch.setattr("helpers.misp.paged_search.ATTRIBUTES_PER_PAGE", 2)
    rows = [row for row in DAMAGED if row != []]
    first = next(iter(site.misp.events()))
    pages = [rows[:2], [*first["Attribute"][:1], rows[2]], rows[3:4], []]
    path = "/attributes/restSearch"
    for page in pages:
        body = {"response": {"Attribute": page}}
        site.misp.faults.add(Fault(path, "body", body=body, when=lambda asked: asked.get("to_ids") == 1))
    report = is_told_and_costs_nothing(site)
    assert "(4)" in report.unread[0]


def test_what_is_whole_has_no_damage():
    assert damage_of(misp_event(1, hosts(2))) == ""


# -- pages ------------------------------------------------------------------------------------------


def test_a_page_that_comes_again_is_no_next_page():
    bounds = PageBounds()
    for end, ids in enumerate((["1", "2"], ["3", "4"], []), 1):
        bounds.check(ids, end)
    with pytest.raises(MispError, match="same one"):
        bounds.check(["2", "1"], 4)


def test_odd_ids_are_ids_too():
    bounds = PageBounds()
    bounds.check([["x"], {}, None], 1)
    with pytest.raises(MispError, match="same one"):
        bounds.check([["x"], {}, None], 2)


def test_pages_that_are_empty_for_ever_end():
    bounds = PageBounds()
    bounds.check([1], 10)
    bounds.check([], 10 + MOST_HIDDEN)
    with pytest.raises(MispError, match="empty places"):
        bounds.check([], 11 + MOST_HIDDEN)


def test_new_pages_for_ever_end():
    bounds = PageBounds()
    bounds.check([1], MOST)
    with pytest.raises(MispError, match="without an end"):
        bounds.check([2], MOST + 1)


def test_a_count_that_is_no_count_ends_an_event_and_not_the_run(site, monkeypatch):
    """The index says that an event has a thousand million attributes, and its pages are empty."""
    monkeypatch.setattr("helpers.misp.page_bounds.MOST_HIDDEN", 50_000)
    first, second = site.misp.events()
    counts = [(first, 10**9), (second, 2)]
    rows = [{"Event": {**event, "Attribute": [], "attribute_count": count}} for event, count in counts]
    listed, empty = {"response": rows}, {"response": {"Attribute": []}}
    is_listing = lambda asked: bool(asked.get("metadata")) and "uuid" not in asked  # noqa: E731
    site.misp.faults.add(Fault("/events/restSearch", "body", body=listed, times=None, when=is_listing))
    site.misp.faults.add(Fault("/attributes/restSearch", "body", body=empty, times=None))
    report = site.run()
    assert report.exit_code == 3
    assert "empty places" in report.unread[0]
    assert report.events == 2
    assert len(site.live()) == 5
