"""A run that reads MISP in another way than planned comes to the same result, and says so."""

import json
import logging
import threading

import pytest
from werkzeug.serving import make_server

from helpers.commands.run.summary import details
from helpers.misp.detours import FEW, Detours
from helpers.misp.paged_search import PagedSearch
from helpers.sync.report import Report, problems_of, shared_problems
from helpers.sync.run import Progress
from sandbox.faults import Fault
from sandbox.misp.app import create_app
from sandbox.serve import Sandbox
from tests.misp.test_reader import ATTRIBUTES, EVENTS, FILTERS, holds, listing, reader_for, searches
from tests.support import FakeTime, hosts, misp_event
from tests.support.processes import Host, load
from tests.sync.test_run import Site

LOGGED = "could not be read"


@pytest.fixture
def box():
    with Sandbox() as running:
        yield running


def read(reader):
    return [event for page in reader.pages(reader.listing(FILTERS), FILTERS) for event in page.slices]


def several(body):
    return not listing(body) and len(body["eventid"]) > 1


def test_a_page_that_has_to_be_halved_is_logged_once_and_counted(box, tmp_path, caplog):
    box.misp.load(misp_event(n, hosts(2)) for n in range(1, 9))
    box.misp.faults.add(Fault(EVENTS, "status", body={"message": "Internal."}, when=several, times=None))
    reader = reader_for(box, tmp_path)
    assert len(read(reader)) == 8
    # the page three times, then two halves and four quarters once each
    assert (reader.detours.failed, reader.detours.singly) == (3 + 2 + 4, 8)
    messages = [record.getMessage() for record in caplog.records if LOGGED in record.getMessage()]
    assert len(messages) == 1
    assert "8 events" in messages[0] and "in halves" in messages[0] and "Internal." in messages[0]
    assert "eventid" in messages[0] and "noShadowAttributes" in messages[0]


def test_an_event_that_cannot_be_read_whole_is_counted_and_logged_once(box, tmp_path, caplog):
    box.misp.load(misp_event(n, hosts(2)) for n in range(1, 9))
    box.misp.faults.add(Fault(EVENTS, "status", when=lambda body: not listing(body), times=None))
    reader = reader_for(box, tmp_path)
    assert sum(len(event["Attribute"]) for event in read(reader)) == 16
    assert reader.detours.singly == 8
    assert caplog.text.count("by pages of its attributes") == 1


def test_smaller_pages_are_logged_once(box, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("helpers.misp.paged_search.ATTRIBUTES_PER_PAGE", 128)
    box.misp.load([misp_event(1, hosts(300)), misp_event(2, hosts(300, "other"))])
    box.misp.faults.add(Fault(ATTRIBUTES, "status", when=lambda body: body["limit"] > 32, times=None))
    reader = reader_for(box, tmp_path)
    assert sum(len(event["Attribute"]) for event in read(reader)) == 600
    assert caplog.text.count("in smaller pages") == 1
    assert reader.detours.singly == 0
    assert reader.detours.failed >= 2


def test_what_passes_is_counted_and_no_more(box, tmp_path, caplog):
    box.misp.load(misp_event(n, hosts(2)) for n in range(1, 9))
    box.misp.faults.add(Fault(EVENTS, "status", when=several, times=2))
    reader = reader_for(box, tmp_path)
    assert len(read(reader)) == 8
    assert (reader.detours.failed, reader.detours.singly, reader.detours.warning) == (2, 0, "")
    assert "in halves" not in caplog.text


def test_a_run_as_planned_has_no_detours(box, tmp_path):
    box.misp.load([*(misp_event(n, hosts(2)) for n in range(1, 9)), misp_event(9, hosts(5000))])
    reader = reader_for(box, tmp_path)
    read(reader)
    assert reader.detours == Detours()


@pytest.mark.parametrize("count", [0, 1, FEW])
@pytest.mark.parametrize("what", ["failed", "singly"])
def test_few_are_no_warning_and_more_are(what, count):
    assert Detours(**{what: count}).warning == ""
    detours = Detours(**{what: FEW + 1}, reason="MISP answered 500: Internal.")
    assert str(FEW + 1) in detours.warning and "Internal." in detours.warning
    report = Report(detours=detours)
    assert report.exit_code == 0
    assert report.as_json()["warnings"] == [detours.warning]
    assert [problem.words for problem in problems_of(report)] == [detours.warning]


def test_detours_are_reported_once_for_several_destinations():
    detours = Detours(failed=9, singly=50, reason="no")
    total = Report.of([Report("one", detours=detours), Report("two", detours=detours)], 3)
    assert [problem.words for problem in shared_problems(total)] == [detours.warning]
    assert total.as_json()["misp_failed_requests"] == 9
    assert total.as_json()["events_read_singly"] == 50


def test_a_run_in_cron_writes_on_stderr_that_it_was_slow(box, tmp_path):
    load(box, 8, 3)
    box.misp.faults.add(Fault(EVENTS, "status", when=several, times=None))
    ended = Host(box, tmp_path / "state").run("--json")
    summary = json.loads(ended.stdout)
    assert (ended.returncode, summary["accepted"]) == (0, 24)
    assert summary["events_read_singly"] == 8
    assert summary["misp_failed_requests"] == 9
    assert summary["warnings"][0] in ended.stderr
    assert "read one by one" in ended.stderr


def test_the_summary_counts_them_where_they_are_few_and_no_warning_does():
    few, many = Detours(failed=2, singly=1, waited=900, reason="no answer"), Detours(failed=9, reason="no answer")
    (shown,) = [line.text() for line in details(Report(detours=few), verbose=False) if "MISP" in line.mark]
    assert shown.split("  ")[-1] == (
        "2 requests without an answer (no answer), 1 event read one by one, 900 s waited for its rate limit"
    )
    assert not [line for line in details(Report(detours=many), verbose=False) if "MISP" in line.mark]


def limited(seconds, **more):
    headers = {"X-Rate-Limit-Reset": str(seconds)}
    return Fault(EVENTS, "status", status=429, body={"name": "Rate limit exceeded."}, headers=headers, **more)


def test_waiting_for_the_rate_limit_is_logged_shown_and_counted(tmp_path, box, caplog):
    caplog.set_level(logging.WARNING)
    load(box, 2, 2)
    box.misp.faults.add(limited(77, after=1))
    shown = []
    site = Site(box, tmp_path)
    site.time = FakeTime()
    report = site.run(progress=Progress(waiting=lambda *wait: shown.append(wait)))
    assert report.exit_code == 0
    assert 77 in site.time.slept
    assert shown == [("MISP's rate limit asks to wait", 77)]
    assert "rate limit for this key is reached" in caplog.text and "waiting 77 s" in caplog.text
    summary = report.as_json()
    assert (summary["misp_waited_seconds"], summary["misp_failed_requests"], summary["warnings"]) == (77, 0, [])


def test_a_limit_that_ends_after_the_run_s_time_is_not_waited_for(tmp_path, box):
    load(box, 2, 2)
    box.misp.faults.add(limited(900, times=None))
    site = Site(box, tmp_path)
    shown = []
    report = site.run(progress=Progress(waiting=lambda *wait: shown.append(wait)), MISP2SENTINEL_MAX_RUN_MINUTES="10")
    assert report.stopped
    assert report.detours.waited == 0
    assert shown == []
    assert len(searches(box)) == 1


def test_an_event_that_fails_for_good_is_not_called_read(box, tmp_path):
    box.misp.load(misp_event(n, hosts(2)) for n in range(1, 9))
    box.misp.faults.add(Fault(EVENTS, "status", when=lambda body: not listing(body) and holds(3)(body), times=None))
    box.misp.faults.add(Fault(ATTRIBUTES, "status", times=None))
    reader = reader_for(box, tmp_path)
    read(reader)
    assert [event.uuid for event in reader.unread] == [misp_event(3)["uuid"]]
    # 3 and 4 are left of the halves
    assert reader.detours.singly == 1


def test_commands_say_what_they_wait_for(tmp_path, box, capsys):
    load(box, 2, 2)
    box.misp.faults.add(limited(77))
    reader = reader_for(box, tmp_path)
    assert len(reader.listing(FILTERS)) == 2
    assert capsys.readouterr().err == "MISP's rate limit asks to wait, 77 s\n"


@pytest.fixture
def plain_url(box):
    """The address of the same MISP without TLS."""
    server = make_server("127.0.0.1", 0, create_app(box.misp), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_rate_limit_of_a_misp_without_tls_is_heard_too(tmp_path, box, plain_url):
    """PyMISP mounts our adapter, which keeps the headers of answers, for https alone."""
    load(box, 2, 2)
    reader = reader_for(box, tmp_path, MISP2SENTINEL_MISP_DOMAIN=plain_url)
    reader.client.connect()
    box.misp.faults.add(limited(77))
    assert len(reader.listing(FILTERS)) == 2
    assert reader.detours.waited == 77


def test_a_misp_that_was_given_up_is_not_called_slow():
    report = Report(misp_error="no answer", detours=Detours(failed=9, reason="no answer"))
    assert [problem.text for problem in problems_of(report)] == ["MISP failed: no answer"]
    assert report.as_json()["warnings"] == []


def test_events_that_their_page_lacks_are_counted_when_they_are_read_singly(box, tmp_path, monkeypatch, caplog):
    box.misp.load(misp_event(n, hosts(2)) for n in range(1, 5))
    reader = reader_for(box, tmp_path)
    search = PagedSearch.search

    def without_the_last(self, controller, arguments, *tries):
        answer = search(self, controller, arguments, *tries)
        return answer[:-1] if len(arguments.get("eventid", ())) > 1 else answer

    monkeypatch.setattr(PagedSearch, "search", without_the_last)
    assert len(read(reader)) == 4
    assert reader.detours.singly == 1
    assert "the page lacked 1 of 4 events" in caplog.text
