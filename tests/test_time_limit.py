"""A run that stops in good order before its time is up, and the runs that go on from there."""

import pytest

from sandbox.faults import Fault
from tests.in_process import OneProcess
from tests.support import hosts, misp_event

START = 1_790_000_100
DAY = 86_400
EVENTS, ATTRIBUTES = 20, 3
SECONDS_FOR_A_PAGE = 100
MOST_RUNS = 10


@pytest.fixture
def site(tmp_path):
    """A site with nine minutes for a run, whose MISP needs its time for each page of two events."""
    here = OneProcess(
        tmp_path,
        START,
        MISP_EVENT_FILTERS='{"published": 1}',
        MISP_EVENT_LIMIT_PER_PAGE="2",
        MAX_RUN_MINUTES="9",
    )
    here.misp.load(misp_event(n, hosts(ATTRIBUTES, f"e{n}h")) for n in range(1, EVENTS + 1))
    here.misp.faults.add(Fault("/events/restSearch", "status", when=lambda _: slow(here)))
    return here


def slow(site):
    site.waiting.seconds += SECONDS_FOR_A_PAGE
    return False


def runs(site, **options):
    """Run until one comes to the end; the reports."""
    reports = [site.run(**options)]
    while reports[-1].stopped and len(reports) < MOST_RUNS:
        site.seconds += 600
        reports.append(site.run())
    return reports


def uploaded(site):
    return sum(each["count"] for each in site.azure.uploads)


def test_a_first_run_that_stops_and_those_that_go_on_send_each_object_once(site):
    reports = runs(site)
    assert len(reports) > 2, "or nothing was stopped"
    assert [each.exit_code for each in reports] == [1] * (len(reports) - 1) + [0]
    assert sum(each.events for each in reports) == EVENTS, "none was read twice"
    assert uploaded(site) == len(site.live()) == EVENTS * ATTRIBUTES
    assert site.run().indicators == 0


def test_what_was_decided_in_time_has_arrived_and_the_rest_was_not_begun(site):
    first = site.run()
    assert 0 < first.events < EVENTS
    assert uploaded(site) == len(site.live()) > 0
    assert site.waiting.seconds - 1_000_000 < 9 * 60 + 2 * SECONDS_FOR_A_PAGE
    assert "the next run goes on" in " ".join(first.troubles())


@pytest.mark.parametrize("why", ["asked for", "due"])
def test_a_full_run_goes_on_at_the_event_where_it_stopped(site, why):
    runs(site)
    before = uploaded(site)
    site.seconds += 8 * DAY if why == "due" else 600
    again = runs(site, full=why == "asked for")
    assert len(again) > 2, "or nothing was stopped"
    assert [each.exit_code for each in again] == [1] * (len(again) - 1) + [0]
    assert sum(each.events for each in again) == EVENTS, "each was read once over all of them"
    assert uploaded(site) == before, "nothing of it had changed"
    assert site.run().events == 0


def test_without_a_ledger_it_says_that_the_next_one_begins_anew(site):
    site.settings = site.settings.model_copy(update={"state_url": "none"})
    first, second = site.run(), site.run()
    assert (first.exit_code, second.exit_code) == (1, 1)
    assert first.events == second.events
    assert "the next run begins anew" in " ".join(first.troubles())
