"""A run that stops in good order before its time is up, and the runs that go on from there."""

import pytest

from helpers.indicators import CHUNK
from helpers.microsoft.batch import OutcomeState
from helpers.sync.events.event_sync import EventSync
from helpers.sync.report import problems_of
from sandbox.faults import Fault
from tests.support import hosts, misp_event
from tests.support.in_process import UPLOAD_PATH, OneProcess

START = 1_790_000_100
DAY = 86_400
EVENTS, ATTRIBUTES = 20, 3
SECONDS_FOR_A_PAGE = 100
MOST_RUNS = 10


@pytest.fixture
def site(tmp_path):
    """A site with nine minutes for a run, whose MISP needs its time for each page of two events."""
    site = OneProcess(
        tmp_path,
        START,
        MISP_EVENT_FILTERS='{"published": 1}',
        MISP_EVENT_LIMIT_PER_PAGE="2",
        MAX_RUN_MINUTES="9",
    )
    site.misp.load(misp_event(n, hosts(ATTRIBUTES, f"e{n}h")) for n in range(1, EVENTS + 1))
    site.misp.faults.add(Fault("/events/restSearch", "status", when=lambda _: slow(site)))
    return site


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
    return sum(upload["kinds"]["indicator"] for upload in site.azure.uploads)


def test_a_first_run_that_stops_and_those_that_go_on_send_each_object_once(site):
    reports = runs(site)
    assert len(reports) > 2, "or nothing was stopped"
    assert [report.exit_code for report in reports] == [1] * (len(reports) - 1) + [0]
    assert sum(report.events for report in reports) == EVENTS, "none was read twice"
    assert uploaded(site) == len(site.live()) == EVENTS * ATTRIBUTES
    assert site.run().indicators == 0


def test_what_was_decided_in_time_has_arrived_and_the_rest_was_not_begun(site):
    first = site.run()
    assert 0 < first.events < EVENTS
    assert uploaded(site) == len(site.live()) > 0
    assert site.waiting.seconds - 1_000_000 < 9 * 60 + 2 * SECONDS_FOR_A_PAGE
    assert "the next run goes on" in problems_of(first)[0].words


@pytest.mark.parametrize("why", ["asked for", "due"])
def test_a_full_run_goes_on_at_the_event_where_it_stopped(site, why):
    runs(site)
    before = uploaded(site)
    site.seconds += 8 * DAY if why == "due" else 600
    again = runs(site, full=why == "asked for")
    assert len(again) > 2, "or nothing was stopped"
    assert [report.exit_code for report in again] == [1] * (len(again) - 1) + [0]
    assert sum(report.events for report in again) == EVENTS, "each was read once over all of them"
    assert uploaded(site) == before, "nothing of it had changed"
    assert site.run().events == 0


@pytest.fixture
def slow_chunks(site, monkeypatch):
    """Let each chunk of an event take its time, and MISP none."""
    take = EventSync.take

    def slowly(self, converted, part):
        site.waiting.seconds += 160
        take(self, converted, part)

    monkeypatch.setattr(EventSync, "take", slowly)
    site.misp.faults.clear()


def test_an_event_that_takes_longer_than_a_run_is_gone_on_with(site, slow_chunks):
    for event in list(site.misp.events()):
        site.misp.delete(event["uuid"])
    count = 5 * CHUNK
    site.misp.load([misp_event(50, hosts(count))])
    reports = runs(site)
    assert [report.exit_code for report in reports] == [1, 0]
    assert uploaded(site) == len(site.live()) == count, "each object was sent once"
    assert reports[0].states[OutcomeState.ACCEPTED] == 3 * CHUNK, "it stopped within the event"
    assert site.run().indicators == 0


def test_what_was_read_when_the_time_was_up_is_taken_all_the_same(site):
    """Else a MISP that needs all of the time for a page would never be read."""
    site.settings = site.settings.model_copy(update={"max_run_minutes": 4, "misp_event_limit_per_page": 10})
    reports = [site.run() for _ in range(EVENTS)]
    assert reports[0].stopped
    assert not any(report.all_warnings for report in reports)
    assert uploaded(site) == len(site.live()) == EVENTS * ATTRIBUTES


def test_a_run_in_which_nothing_was_done_says_so(site):
    site.settings = site.settings.model_copy(update={"max_run_minutes": 1})
    report = site.run()
    assert (report.exit_code, report.events, report.stopped) == (1, 0, True)
    assert "raise max_run_minutes" in " ".join(problem.words for problem in problems_of(report))


def test_without_a_ledger_it_says_that_the_next_run_begins_from_scratch(site):
    site.settings = site.settings.model_copy(update={"state_url": "none"})
    first, second = site.run(), site.run()
    assert (first.exit_code, second.exit_code) == (1, 1)
    assert uploaded(site) == (first.events + second.events) * ATTRIBUTES
    assert len(site.live()) == max(first.events, second.events) * ATTRIBUTES, "the second sent the same ones again"
    assert "the next run begins from scratch" in problems_of(first)[0].words


@pytest.mark.parametrize("path", ["/users/view", "/events/index", "/events/restSearch", "/attributes/restSearch"])
def test_a_misp_that_is_silent_does_not_hold_a_run_beyond_its_time(site, path):
    """Every question is bounded by what is left of the time, tries and waits between them too."""
    filters = {"min_decay_score": 50} if "attributes" in path else {}
    site.settings = site.settings.model_copy(update={"misp_timeout": 300, "filters": filters})
    site.misp.faults.clear()
    site.misp.faults.add(Fault(path, "hang", times=None, when=lambda _: silent(site)))
    begun = site.waiting.seconds
    report = site.run()
    assert (report.exit_code, report.stopped, report.misp_error, report.unread) == (1, True, "", [])
    assert site.waiting.seconds - begun <= 9 * 60
    site.misp.faults.clear()
    site.seconds += 600
    assert site.run().exit_code == 0


def silent(site):
    limits = site._misp_line.limits
    site.waiting.seconds += min(limits.silence_seconds, limits.request_seconds)
    return True


def test_a_misp_that_asks_for_patience_is_not_waited_for_beyond_a_runs_time(site):
    site.misp.faults.clear()
    limited = {"status": 429, "body": {"name": "Rate limit exceeded."}, "headers": {"X-Rate-Limit-Reset": "800"}}
    site.misp.faults.add(Fault("/events/restSearch", "status", **limited))
    begun = site.waiting.seconds
    assert (site.run().stopped, site.waiting.seconds) == (True, begun)


def test_a_slow_microsoft_does_not_hold_a_run_beyond_its_time(site):
    """What was in the queue is pending, and nothing of it is lost or sent twice."""
    site.settings = site.settings.model_copy(update={"ms_max_indicators_request": 2})
    site.misp.faults.clear()
    count = 60
    site.misp.load([misp_event(EVENTS + 1, hosts(count))])
    for number in range(1, EVENTS + 1):
        site.misp.delete(misp_event(number)["uuid"])
    site.azure.faults.add(Fault(UPLOAD_PATH, "status", times=None, when=lambda _: slow_to_take(site)))
    begun = site.waiting.seconds
    first = site.run()
    assert site.waiting.seconds - begun <= 9 * 60 + SECONDS_FOR_A_PAGE
    assert (first.exit_code, first.given_up) == (1, "")
    assert 0 < first.states[OutcomeState.ACCEPTED] == len(site.live()) < count
    assert first.states[OutcomeState.PENDING] == count - len(site.live())
    runs(site)
    site.azure.faults.clear()
    site.seconds += 600
    assert site.run().exit_code == 0
    assert uploaded(site) == len(site.live()) == count


def slow_to_take(site):
    site.waiting.seconds += SECONDS_FOR_A_PAGE
    return False
