"""A run in which nothing changed: what a further destination has in common with the first is not done again for it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from helpers.ledger import EventRecord, RetryPolicy
from helpers.misp import ListedEvent
from helpers.sync import RunConditions, Surveyor
from helpers.sync.survey import Surveys
from tests.support import FakeTime, hosts, misp_event
from tests.sync.test_destinations import NAMES, START, Site

UUIDS = [f"10000000-0000-4000-8000-{number:012d}" for number in range(4)]
# Each is a row of the destination's own, or a question about all of its objects.
MOST_STATEMENTS = 48


@pytest.fixture
def site(tmp_path):
    """Ten destinations that have everything of six events."""
    site = Site(tmp_path, FakeTime(START))
    site.misp.load(misp_event(number, hosts(2, f"e{number}h")) for number in range(2, 7))
    assert site.run().exit_code == 0
    return site


@contextmanager
def statements():
    """What databases are asked meanwhile."""
    asked = []

    def note(_connection, _cursor, statement, *_):
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield asked
    event.remove(Engine, "before_cursor_execute", note)


def test_events_are_surveyed_once_for_all_destinations_that_know_the_same(site, monkeypatch):
    surveyed = []
    monkeypatch.setattr(Surveyor, "by_listing", lambda *of, make=Surveyor.by_listing: surveyed.append(of) or make(*of))
    report = site.run()
    assert (report.exit_code, report.indicators, len(surveyed)) == (0, 0, 1)


def test_a_further_destination_asks_its_ledger_a_bounded_number_of_things(site):
    with statements() as of_one:
        assert site.run(NAMES[0]).exit_code == 0
    with statements() as of_all:
        assert site.run().exit_code == 0
    assert (len(of_all) - len(of_one)) / (len(NAMES) - 1) <= MOST_STATEMENTS
    counted = [statement for statement in of_one if "count(*)" in statement and "standings.live_until > " in statement]
    by_the_index = [statement for statement in counted if "stage" not in statement]
    assert len(by_the_index) == 2, "all that is live is counted when a run begins, and when it ends"


class KnowsObjects:
    """A ledger, of which is asked what is live, what let go and what was rejected."""

    def __init__(self, live=(), let_go=(), rejected=()):
        self.live, self.let_go, self.rejected = live, let_go, rejected
        self.asked = []

    def events_with_live_objects(self, events, _now):
        self.asked += events
        return set(self.live) & set(events)

    def events_that_let_go(self, _now):
        return set(self.let_go)

    def events_with_rejected_objects(self, _policy):
        return set(self.rejected)


KNOWN = {uuid: EventRecord(uuid, START, published=True) for uuid in UUIDS}
# The last one was let go of before, and MISP does not show it any more.
KNOWN[UUIDS[-1]] = replace(KNOWN[UUIDS[-1]], listed=False)
LISTED = {uuid: ListedEvent(uuid, "1", START, published=True) for uuid in UUIDS[:-1]}


def surveyor(ledger=None, *, known=KNOWN, refused=(), narrowed=False, **conditions):
    policy = RetryPolicy(START)
    return Surveyor(ledger or KnowsObjects(), known, RunConditions(START, **conditions), policy, refused, narrowed)


OTHERS = {
    "it knows other events": (surveyor(known=dict(KNOWN)), {}),
    "it reads everything": (surveyor(full_run=1), {uuid: LISTED[uuid] for uuid in UUIDS[:-1]}),
    "it is narrowed": (surveyor(narrowed=True), {}),
    "a withdrawal was refused": (surveyor(refused=UUIDS[:1]), {UUIDS[0]: LISTED[UUIDS[0]]}),
    "a withdrawal waits": (surveyor(KnowsObjects(let_go=UUIDS[:1])), {UUIDS[0]: LISTED[UUIDS[0]]}),
    "a rejection is tried again": (surveyor(KnowsObjects(rejected=UUIDS[:1])), {UUIDS[0]: LISTED[UUIDS[0]]}),
}


@pytest.mark.parametrize("other", OTHERS)
def test_who_decides_otherwise_has_a_survey_of_its_own(other):
    surveys = Surveys(LISTED, LISTED)
    first, (different, read) = surveys.by_listing(surveyor()), OTHERS[other]
    assert surveys.by_listing(surveyor()) is first
    assert surveys.by_listing(different) is not first
    assert surveys.by_listing(different).read == read
    assert first.read == {}


def test_where_it_matters_what_is_live_that_is_compared_too():
    surveys = Surveys(LISTED, LISTED)
    nothing_live, live = surveyor(), surveyor(KnowsObjects(live=UUIDS))
    assert surveys.by_listing(nothing_live).ask == []
    assert surveys.by_listing(live).ask == UUIDS[-1:]
    assert surveys.by_listing(surveyor(KnowsObjects(live=UUIDS))) is surveys.by_listing(live)


def test_what_is_live_is_asked_of_those_events_alone_of_which_it_matters():
    knows = KnowsObjects()
    surveyor(knows).by_listing(LISTED, LISTED)
    assert knows.asked == UUIDS[-1:]
    nothing_gone = KnowsObjects()
    surveyor(nothing_gone, known={uuid: KNOWN[uuid] for uuid in LISTED}).by_listing(LISTED, LISTED)
    assert nothing_gone.asked == []
