"""The same attribute UUID in several events: whose text and expiry an indicator has, whatever is read when."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from constants import Skip
from helpers.ledger import EventRecord, Source
from helpers.misp import paged_search
from helpers.misp.large_events import LargeEventReader
from helpers.sync.ownership import Claim, claim, contribution, outlived, succession, without_contribution
from helpers.sync.run import opened
from sandbox.misp.app import READONLY_KEY
from tests.support import hosts, indicator, misp_event
from tests.support.examples import examples
from tests.support.in_process import OneProcess
from tests.support.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]
START = 1_795_900_000
DAY = 86_400
HOST = "dup1.example.org"
LOW, MIDDLE, HIGH = (misp_event(number)["uuid"] for number in (1, 2, 3))
TWICE = "c3701bfe-8f24-4784-a017-9b0a279c30de"
# Every step of a run is tried, or one in a few.
STRIDE = 24 // examples(24)


@pytest.fixture
def make_site(tmp_path):
    def make(filters='{"published": 1}', **settings):
        return OneProcess(tmp_path, START, MISP_EVENT_FILTERS=filters, **settings)

    return make


def event_with(number, host=HOST, **attribute):
    """An event that has the attribute which others have too."""
    return misp_event(number, [{"type": "domain", "value": host, "uuid": TWICE, **attribute}])


def name(number):
    return f"Event {number}"


def next_day(site, **options):
    site.seconds += DAY
    report = site.run(**options)
    assert report.exit_code == 0, report.as_json()
    assert site.azure.wrong == []
    return report


def shown(site, host=HOST):
    """The names of the events that live indicators of a host have."""
    live = [found for found in site.live().values() if f"'{host}'" in found["pattern"]]
    return sorted(found["name"] for found in live)


def later(days, site):
    return str(site.seconds + int(days * DAY))


# -- who owns it -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))), ids=str)
def test_the_event_with_the_lowest_uuid_owns_it_whichever_is_read_first(make_site, order):
    site = make_site()
    for number in order:
        site.misp.load([event_with(number)])
        next_day(site)
        assert shown(site) == [name(min(order[: order.index(number) + 1]))]
    next_day(site)
    next_day(site, full=True)
    assert shown(site) == [name(1)]
    assert len(site.azure.live()) == 1


def test_an_unchanged_night_sends_nothing(make_site):
    site = make_site()
    site.misp.load([event_with(2)])
    next_day(site)
    site.misp.load([event_with(1), event_with(3)])
    for _ in range(2):  # the second one hears of the event that owned it what it asks for
        next_day(site)
    uploads = len(site.azure.uploads)
    quiet = next_day(site)
    assert (quiet.events, len(site.azure.uploads)) == (0, uploads)
    quiet = next_day(site, full=True)
    assert (quiet.events, len(site.azure.uploads)) == (3, uploads)


@pytest.mark.parametrize("first", [1, 2])
def test_one_event_by_itself_does_not_take_it_from_another(make_site, first):
    site = make_site()
    site.misp.load([event_with(number) for number in (1, 2)])
    next_day(site, uuid=misp_event(first)["uuid"])
    assert shown(site) == [name(first)]
    next_day(site, uuid=misp_event(3 - first)["uuid"])
    assert shown(site) == [name(1)]
    next_day(site, uuid=MIDDLE)
    assert shown(site) == [name(1)]
    site.misp.delete(LOW)
    next_day(site, force_withdraw=True)
    assert shown(site) == [name(2)]


def test_the_expiry_of_another_event_does_not_count(make_site):
    site = make_site()
    site.misp.load([event_with(1)])
    next_day(site)
    before = site.live()
    site.misp.load([event_with(2, last_seen=later(1.001, site))])
    next_day(site)
    next_day(site, full=True)
    assert {key: found["valid_until"] for key, found in site.live().items()} == {
        key: found["valid_until"] for key, found in before.items()
    }
    site.misp.delete(MIDDLE)
    next_day(site, force_withdraw=True)
    assert shown(site) == [name(1)]


def test_what_expires_in_the_owner_s_event_goes_to_the_other(make_site):
    """A stranger with a low UUID has it for a minute, and then the one that wants it still."""
    site = make_site()
    site.misp.load([event_with(2)])
    next_day(site)
    site.misp.load([event_with(1, last_seen=later(1.001, site))])
    next_day(site)
    assert shown(site) == [name(1)]
    next_day(site)
    assert shown(site) == [name(2)]
    for options in ({}, {"full": True}, {}):
        next_day(site, **options)
        assert shown(site) == [name(2)]
    site.misp.edit_attribute(LOW, TWICE, last_seen=later(30, site))
    site.misp.publish(LOW)
    next_day(site)
    assert shown(site) == [name(1)]


@pytest.mark.parametrize("other", [1, 3])
def test_another_value_under_the_same_uuid_is_another_indicator(make_site, other):
    site = make_site()
    site.misp.load([event_with(2), event_with(other, "dup2.example.org")])
    for _ in range(2):
        next_day(site)
        assert (shown(site), shown(site, "dup2.example.org")) == ([name(2)], [name(other)])
    site.misp.delete(misp_event(other)["uuid"])
    next_day(site, force_withdraw=True)
    assert (shown(site), shown(site, "dup2.example.org")) == ([name(2)], [])


def test_three_events_of_which_two_have_the_same_value(make_site):
    """The third one read has the lowest UUID, and another value."""
    site = make_site()
    uuids = {
        "one": "69fe1b93-0c84-48cc-bbcd-b97c0956f384",
        "two": "66730d5d-f048-4ea1-bcb0-6431fc372563",
        "three": "53e1f243-31fb-415b-9e0a-a222ebfda31c",
    }
    for number, (info, uuid) in enumerate(uuids.items(), 1):
        host = "dup2.example.org" if info == "three" else HOST
        site.misp.load([{**event_with(number, host), "uuid": uuid, "info": info}])
        next_day(site)
    assert (shown(site), shown(site, "dup2.example.org")) == (["two"], ["three"])
    site.misp.delete(uuids["two"])
    next_day(site, force_withdraw=True)
    assert (shown(site), shown(site, "dup2.example.org")) == (["one"], ["three"])


# -- how the owner leaves --------------------------------------------------------------------------------


def unflag(site):
    site.misp.edit_attribute(LOW, TWICE, to_ids=False)
    site.misp.publish(LOW)


def soft_delete(site):
    site.misp.soft_delete(LOW, TWICE)
    site.misp.publish(LOW)


def other_value(site):
    site.misp.edit_attribute(LOW, TWICE, value="other.example.org")
    site.misp.publish(LOW)


def unpublish(site):
    site.misp.unpublish(LOW)


def delete(site):
    site.misp.delete(LOW)


def leave_filters(site):
    event_filters = {"published": 1, "eventid": [MIDDLE, HIGH]}
    site.settings = site.settings.model_copy(update={"misp_event_filters": event_filters})


WAYS = [unflag, soft_delete, other_value, unpublish, delete, leave_filters]


@pytest.mark.parametrize("leave", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("settings", [{}, {"DEDUPLICATE": "value"}], ids=["attribute", "value"])
@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1)], ids=str)
def test_the_next_one_takes_over_in_the_run_that_sees_the_owner_leave(make_site, leave, settings, order):
    site = make_site(**settings)
    for number in order:
        site.misp.load([event_with(number)])
        next_day(site)
    next_day(site)
    first = set(site.live())
    leave(site)
    report = next_day(site)
    assert shown(site) == [name(2)]
    assert set(site.live()) >= first, "the indicator stays under its id"
    assert not report.withdrawals
    site.misp.unpublish(MIDDLE)
    next_day(site)
    assert shown(site) == [name(3)]
    site.misp.unpublish(HIGH)
    next_day(site)
    assert shown(site) == []


def test_a_deleted_event_is_held_and_then_left(make_site):
    site = make_site(MISP_KEY=READONLY_KEY)
    theirs = {"name": "SOMEBODY", "uuid": "99999999-9999-4999-8999-999999999999"}
    site.misp.load([{**event_with(1), "Orgc": theirs}, event_with(2)])
    next_day(site)
    site.misp.delete(LOW)
    next_day(site)
    assert shown(site) == [name(1)]
    site.seconds += 7 * DAY
    next_day(site)
    assert shown(site) == [name(2)]


def test_an_edited_event_that_is_not_published_again_is_held_and_then_left(make_site):
    site = make_site()
    site.misp.load([event_with(1), event_with(2)])
    next_day(site)
    site.misp.edit_attribute(LOW, TWICE, comment="edited")
    next_day(site)
    assert shown(site) == [name(1)]
    site.seconds += 7 * DAY
    next_day(site)
    assert shown(site) == [name(2)]
    site.misp.publish(LOW)
    next_day(site)
    assert shown(site) == [name(1)]


def test_what_changes_in_events_is_sent_of_the_owner_s_alone(make_site):
    site = make_site()
    site.misp.load([event_with(1), event_with(2)])
    next_day(site)
    site.misp.edit_info(MIDDLE, "another's words")
    site.misp.publish(MIDDLE)
    next_day(site)
    assert shown(site) == [name(1)]
    site.misp.edit_info(LOW, "the owner's words")
    site.misp.publish(LOW)
    next_day(site)
    assert shown(site) == ["the owner's words"]
    unflag(site)
    next_day(site)
    assert shown(site) == ["another's words"]


def test_all_of_them_leave_at_once(make_site):
    site = make_site()
    site.misp.load([event_with(number) for number in (1, 2, 3)])
    next_day(site)
    for uuid in (LOW, MIDDLE, HIGH):
        site.misp.unpublish(uuid)
    uploads = len(site.azure.uploads)
    report = next_day(site)
    assert shown(site) == [] and sum(report.withdrawals.values()) == 1
    assert len(site.azure.uploads) == uploads + 1
    for uuid in (LOW, MIDDLE):
        site.misp.publish(uuid)
    next_day(site)
    assert shown(site) == [name(1)]


def test_a_departure_that_a_guard_refuses_changes_no_owner(make_site):
    site = make_site()
    both = misp_event(1, hosts(150, "e1h"))
    both["Attribute"] += event_with(1)["Attribute"]
    site.misp.load([both, event_with(2), event_with(3)])
    next_day(site)
    assert shown(site) == [name(1)]
    site.misp.unpublish(LOW)
    site.seconds += DAY
    assert site.run().exit_code == 1
    assert shown(site) == [name(1)]
    next_day(site, force_withdraw=True)
    assert shown(site) == [name(2)]


# -- what is not known of the others ---------------------------------------------------------------------


def test_the_former_owner_is_read_again_when_it_cannot_be_asked_at_once(make_site):
    """It owned the object alone, so the ledger does not say what it asks for; then the new owner leaves at once."""
    site = make_site()
    site.misp.load([event_with(2)])
    next_day(site)
    site.misp.load([event_with(1)])
    next_day(site, uuid=LOW)
    assert shown(site) == [name(1)]
    site.misp.unpublish(LOW)
    next_day(site)
    assert shown(site) == [name(2)]


def test_the_former_owner_is_read_again_when_it_was_read_before_in_the_same_run(make_site):
    """What failed before is read last, so the event with the lower UUID comes second here."""
    site = make_site()
    site.misp.load([event_with(2)])
    next_day(site)
    site.misp.load([event_with(1)])
    with opened(site.settings) as ledger:
        ledger.keep(events=[EventRecord(LOW, 0, published=True, todo=True)])
    site.misp.edit_info(MIDDLE, "edited")
    site.misp.publish(MIDDLE)
    next_day(site)
    assert shown(site) == [name(1)]
    site.misp.unpublish(LOW)
    next_day(site)
    assert shown(site) == ["edited"]


def test_a_former_owner_that_is_read_on_the_same_page_is_heard_by_the_next_run(make_site):
    """It was taken for unchanged before the new owner's claim was written down: what it asks for is not known yet."""
    site = make_site()
    other = {"type": "domain", "value": "other.example.org"}
    site.misp.load([event_with(2)])
    next_day(site)
    site.misp.load([event_with(1)])
    edited = misp_event(2, [event_with(2)["Attribute"][0], other])
    site.misp.load([{**edited, "timestamp": later(0, site), "publish_timestamp": later(0, site)}])
    next_day(site)
    assert shown(site) == [name(1)]
    next_day(site)
    site.misp.load([misp_event(1, [other], timestamp=later(0, site), publish_timestamp=later(0, site))])
    next_day(site)
    assert shown(site) == [name(2)]


def test_what_expires_goes_to_a_former_owner_that_was_read_on_the_same_page(make_site):
    site = make_site()
    other = {"type": "domain", "value": "other.example.org"}
    site.misp.load([event_with(2)])
    next_day(site)
    now = {"timestamp": later(0, site), "publish_timestamp": later(0, site)}
    edited = misp_event(2, [event_with(2)["Attribute"][0], other])
    site.misp.load([{**event_with(1, last_seen=later(1.5, site)), **now}, {**edited, **now}])
    next_day(site)
    assert shown(site) == [name(1)]
    next_day(site)
    assert shown(site) == [name(2)]


def test_ledgers_of_earlier_versions_are_right_when_the_events_were_read(make_site):
    """They know only which events want an object, and have it as it was read last."""
    site = make_site()
    site.misp.load([event_with(1), event_with(2)])
    next_day(site)
    with opened(site.settings) as ledger:
        sources = [without_contribution(source) for source in ledger.sources_of_event(LOW)]
        sources += [without_contribution(source) for source in ledger.sources_of_event(MIDDLE)]
        ledger.keep(sources=sources)
        ledger.hear_again(sources)  # as the upgrade does
    site.misp.unpublish(LOW)
    next_day(site)
    assert shown(site) == [name(2)]


# -- twice in one event ----------------------------------------------------------------------------------


def twice_in_one_event(first, second):
    event = misp_event(1, hosts(12, "e1h"))
    event["Attribute"][0] |= {"uuid": TWICE, "value": "first.example.org", **first}
    event["Attribute"][11] |= {"uuid": TWICE, "value": "second.example.org", **second}
    return event


@pytest.fixture(params=["whole", "in slices"])
def loaded(request, make_site, monkeypatch):
    """A function that has a MISP with one event, which is read whole or in two slices."""

    def load(event):
        def slices(_self, _listed, _filters):
            yield {**event, "Attribute": event["Attribute"][:6]}
            yield {**event, "Attribute": event["Attribute"][6:]}
            return False

        if request.param == "in slices":
            monkeypatch.setattr(paged_search, "ATTRIBUTES_PER_PAGE", 4)
            monkeypatch.setattr(LargeEventReader, "slices", slices)
        site = make_site()
        site.misp.load([event])
        return site

    return load


def test_the_first_attribute_with_a_uuid_counts_in_slices_as_in_one_event(loaded):
    site = loaded(twice_in_one_event({}, {}))
    for options in ({}, {}, {"full": True}):
        report = next_day(site, **options)
        assert (shown(site, "first.example.org"), shown(site, "second.example.org")) == ([name(1)], [])
        if report.events:
            assert report.skipped[Skip.DUPLICATE_UUID] == 1
            assert report.attributes == 12
    assert len(site.live()) == 11


@pytest.mark.parametrize("skipped", [0, 1])
def test_a_skipped_attribute_takes_nothing_from_one_that_is_sent(loaded, skipped):
    pair = [{}, {}]
    pair[skipped] = {"value": "192.168.0.1", "type": "ip-dst"}
    site = loaded(twice_in_one_event(*pair))
    for options in ({}, {}, {"full": True}, {"full": True}):
        report = next_day(site, **options)
        assert shown(site, ["second.example.org", "first.example.org"][skipped]) == [name(1)]
        assert not report.withdrawals
    with opened(site.settings) as ledger:
        assert ledger.attributes(LOW)[TWICE].skip == ""


# -- deaths and any order ---------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["sqlite", "postgres"])
def test_a_death_at_any_step_leaves_the_right_owner(tmp_path, request, state):
    settings = {"STATE_URL": request.getfixturevalue("postgres_url")} if state == "postgres" else {}
    site = OneProcess(tmp_path, START, MISP_EVENT_FILTERS='{"published": 1}', **settings)
    site.misp.load([event_with(1), event_with(2), event_with(3)])
    next_day(site)
    present = {1, 2, 3}
    for number in itertools.count():
        step = 1 + number * STRIDE * (2 if state == "sqlite" else 4)
        changed = 1 if number % 3 else 2
        change = site.misp.unpublish if changed in present else site.misp.publish
        change(misp_event(changed)["uuid"])
        present ^= {changed}
        site.seconds += DAY
        died = site.run(last_step=step) is None
        next_day(site)
        next_day(site)
        assert shown(site) == [name(min(present))]
        if not died:
            break
    assert step > 20


NUMBERS = st.sampled_from((1, 2, 3))
STEPS = st.lists(
    st.tuples(st.sampled_from(("flag", "unflag", "publish", "unpublish", "words")), NUMBERS, st.booleans()), max_size=12
)


@given(STEPS, st.sampled_from(("attribute", "value")))
@example([("words", 1, True), ("flag", 1, True)], "value")
@hypothesis_settings(max_examples=examples(60))
def test_after_any_edits_the_lowest_event_that_wants_it_owns_it(tmp_path_factory, steps, deduplicate):
    place = tmp_path_factory.mktemp("site")
    site = OneProcess(place, START, MISP_EVENT_FILTERS='{"published": 1}', DEDUPLICATE=deduplicate)
    site.misp.load([event_with(number) for number in (1, 2, 3)])
    flagged, published, words = {1, 2, 3}, {1, 2, 3}, {number: name(number) for number in (1, 2, 3)}
    next_day(site)
    for what, number, run in steps:
        uuid = misp_event(number)["uuid"]
        if what == "unpublish":
            site.misp.unpublish(uuid)
            published.discard(number)
        elif what == "publish":
            site.misp.publish(uuid)
            published.add(number)
        elif number in published:
            if what == "words":
                words[number] = f"{words[number]}!"
                site.misp.edit_info(uuid, words[number])
            else:
                site.misp.edit_attribute(uuid, TWICE, to_ids=what == "flag")
                (flagged.add if what == "flag" else flagged.discard)(number)
            site.misp.publish(uuid)
        if run:
            next_day(site)
    next_day(site)
    next_day(site)
    wanting = sorted(flagged & published)
    assert shown(site) == [words[number] for number in wanting[:1]]


# -- decided -----------------------------------------------------------------------------------------------


def source(event, *, until="", lifetime=0):
    plain = Source("key", event, TWICE)
    return contribution(plain, indicator(1, valid_until=until), lifetime) if until else plain


def ends(source):
    return {"a": 10, "b": 20, "c": 30}[source.event]


def test_the_lowest_event_claims_an_object_and_those_of_whom_nothing_is_known_are_heard():
    mine, known = source("b"), source("d", until="2036-01-01T00:00:00.000Z")
    assert claim([mine], []) == Claim([mine], set(), [])
    assert claim([mine], [known, source("c")]) == Claim([mine], set(), [source("c")])
    assert claim([mine], [source("c"), source("a")]) == Claim([mine], {"key"}, [source("c")])


def test_what_an_event_asks_for_is_kept_only_where_others_have_a_part(make_site):
    site = make_site()
    site.misp.load([event_with(2)])
    next_day(site)
    with opened(site.settings) as ledger:
        assert [part.contribution for part in ledger.sources_of_event(MIDDLE)] == [b""]
    site.misp.load([event_with(3)])
    next_day(site)
    with opened(site.settings) as ledger:
        assert all(part.contribution for part in ledger.sources_of_event(HIGH))


def test_nobody_takes_over_with_what_has_expired():
    parts = [source(event, until="2036-01-01T00:00:00.000Z") for event in "cba"]
    left = succession(parts, [without_contribution(parts[2])], ends, now=25)
    assert left.desired["key"].promised == 30 and not left.unwanted
    assert succession(parts, [without_contribution(parts[2])], ends, now=35).unwanted == {"key"}
    assert [part.event for part in outlived(parts, ends, now=25)] == ["a", "b"]
    assert outlived(parts, ends, now=35) == []
