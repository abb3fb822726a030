"""How far a run is: what it tells, what is made of that, and what a terminal shows of it."""

from __future__ import annotations

import io
import json
import re
from argparse import Namespace

import pytest
from rich.console import Console

from helpers.commands.run.how_far import HowFar, left_in_words, rate_in_words
from helpers.commands.run.progress_bar import _Bar, progress_bar
from helpers.microsoft.rate_limit import RateLimiters
from helpers.sync.run import Progress
from sandbox.faults import Fault
from sandbox.serve import Sandbox
from tests.support import FakeTime, hosts, misp_event
from tests.support.processes import Host, in_terminal, load
from tests.sync.test_run import Site

UPLOAD_PATH = "threat-intelligence-stix-objects:upload"


@pytest.fixture
def box():
    with Sandbox() as box:
        yield box


# -- what a run tells ---------------------------------------------------------------------------------


class Told:
    """Collects what a run tells of its progress."""

    def __init__(self):
        self.events, self.planned, self.answered, self.waits = [], 0, 0, []

    def count(self, planned, answered):
        self.planned += planned
        self.answered += answered

    @property
    def progress(self):
        return Progress(lambda *events: self.events.append(events), self.count, lambda *wait: self.waits.append(wait))


def told_by(box, tmp_path, **environ):
    told = Told()
    site = Site(box, tmp_path)
    site.run(progress=told.progress, **environ)
    return told


def test_both_halves_are_told_and_end_full(box, tmp_path):
    load(box, 3, 50)
    told = told_by(box, tmp_path)
    assert told.events[0] == (0, 3)
    assert told.events[-1] == (3, 3)
    assert (told.planned, told.answered) == (150, 150)


def test_an_event_counts_when_it_was_read_to_its_end(box, tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.misp.paged_search.ATTRIBUTES_PER_PAGE", 10)
    box.misp.load([misp_event(1, hosts(50))])
    told, seen = Told(), []
    uploads = Progress(told.progress.events, lambda *_: seen.append(told.events[-1]), told.progress.waiting)
    Site(box, tmp_path).run(progress=uploads)
    assert seen[0] == (0, 1), "its indicators are under way, and it is not done"
    assert told.events[-1] == (1, 1)


def test_what_was_not_answered_leaves_the_bar_short(box, tmp_path):
    load(box, 2, 100)
    box.azure.faults.add(Fault(UPLOAD_PATH, "status", status=403, after=1, times=None))
    told = told_by(box, tmp_path)
    assert (told.planned, told.answered) == (200, 100)


def test_several_destinations_are_added_up(box, tmp_path):
    load(box, 1, 20)
    place = {"tenantId": box.azure.tenant, "id": box.azure.client_id, "secret": box.azure.client_secret}
    place |= {"workspaceId": box.azure.workspace_id}
    both = [{**place, "name": name, "sourcesystem": f"MISP {name}"} for name in ("one", "two")]
    told = told_by(box, tmp_path, tenants=json.dumps(both))
    assert (told.planned, told.answered) == (40, 40)


def test_a_dry_run_plans_nothing_that_is_to_be_sent(box, tmp_path):
    load(box, 1, 20)
    told = told_by(box, tmp_path, MISP2SENTINEL_DRY_RUN="true")
    assert told.events[-1] == (1, 1)
    assert (told.planned, told.answered) == (0, 0)


def test_microsoft_s_wish_to_wait_is_told(box, tmp_path):
    load(box, 1, 20)
    box.azure.faults.add(Fault(UPLOAD_PATH, "status", status=429, headers={"Retry-After": "12"}))
    assert ("Microsoft asks to wait", 12) in told_by(box, tmp_path).waits


def test_a_wait_before_another_try_is_told(box, tmp_path):
    load(box, 1, 20)
    box.azure.faults.add(Fault(UPLOAD_PATH, "status", status=500))
    ((words, seconds),) = told_by(box, tmp_path).waits
    assert words == "Waiting before Microsoft is asked again"
    assert seconds > 0


def test_a_wait_for_a_token_is_told(box, tmp_path):
    load(box, 1, 20)
    box.azure.faults.add(Fault("oauth2/v2.0/token", "status", status=503, headers={"Retry-After": "9"}))
    assert told_by(box, tmp_path).waits == [("Waiting before a token is asked for again", 9)]


def test_the_limit_of_a_minute_is_told():
    time, waits = FakeTime(), []
    rate_limiters = RateLimiters(time.clock, waiting=lambda *wait: waits.append(wait))
    limiter = rate_limiters.limiter_for(("app",), 2, rate_limiters.waiting)
    assert limiter.take() and limiter.take() and limiter.take()
    assert waits == [("The limit of 2 requests a minute is used up", 62)]


# -- what is made of it -------------------------------------------------------------------------------


def test_nothing_is_known_before_misp_has_listed_its_events():
    (row,) = HowFar().rows(now=5)
    assert (row.label, row.total, row.count, row.rate, row.left, row.full) == ("MISP events", None, "", "", "", False)


def test_an_older_ledger_is_brought_up_to_date_before_anything_else_is_shown():
    run = HowFar()
    run.count_upgraded(1000, 5000, now=0)
    run.count_upgraded(2000, 5000, now=10)
    (row,) = run.rows(now=10)
    assert (row.label, row.count, row.rate, row.left) == ("ledger upgrade", "2,000/5,000", "100/s", "30 s left")
    run.count_upgraded(5000, 5000, now=40)
    assert [row.label for row in run.rows(now=40)] == ["MISP events"]


def test_rates_and_what_is_left():
    run = HowFar()
    run.count_events(0, 100, now=0)
    run.count_events(20, 100, now=10)
    run.count_indicators(1_000, 0, now=10)
    run.count_indicators(0, 500, now=20)
    events, indicators = run.rows(now=20)
    assert (events.count, events.rate, events.left) == ("20/100", "1.0/s", "80 s left")
    # 1,000 indicators of 20 events will be 5,000 of 100
    assert (indicators.count, indicators.rate, indicators.left) == ("500/1,000", "50/s", "90 s left")


def test_when_misp_is_read_what_is_planned_is_all_that_is_left():
    run = HowFar()
    run.count_events(4, 4, now=0)
    run.count_indicators(1_000, 0, now=0)
    run.count_indicators(0, 500, now=10)
    events, indicators = run.rows(now=10)
    assert events.full and not indicators.full
    assert (events.rate, events.left, indicators.left) == ("", "", "10 s left")


def test_a_full_bar_says_no_rate():
    run = HowFar()
    run.count_events(4, 4, now=0)
    run.count_indicators(10, 0, now=0)
    run.count_indicators(0, 10, now=10)
    assert [(row.full, row.rate, row.left) for row in run.rows(now=10)] == [(True, "", "")] * 2


def test_a_rate_is_of_the_last_minute_and_remembers_no_more():
    run = HowFar()
    run.count_events(0, 100_000, now=0)
    for second in range(1, 1_001):
        run.count_events(second if second <= 900 else 900 + 10 * (second - 900), 100_000, now=second)
    assert run.rows(now=1_000)[0].rate == "10/s"
    assert len(run.events._samples) <= 63


def test_too_little_says_no_rate():
    run = HowFar()
    run.count_events(0, 100, now=0)
    run.count_events(5, 100, now=1)
    assert run.rows(now=1)[0].rate == ""


def test_seconds_count_down_and_end():
    run = HowFar()
    run.wait("Microsoft asks to wait", 12.2, now=100)
    run.wait("MISP's rate limit asks to wait", 900, now=100)
    assert run.waits(now=100) == ["Microsoft asks to wait, 13 s", "MISP's rate limit asks to wait, 900 s"]
    run.wait("Microsoft asks to wait", 1, now=101)  # another worker, which waits for less
    assert run.waits(now=109.5) == ["Microsoft asks to wait, 3 s", "MISP's rate limit asks to wait, 891 s"]
    assert run.waits(now=1_001) == []


def test_what_is_waited_for_may_be_over_early():
    run = HowFar()
    run.wait("another run is active", 300, now=100)
    run.wait("another run is active", 0, now=103)
    assert run.waits(now=103) == []


@pytest.mark.parametrize(
    ("rate", "words"), [(0.05, "3/min"), (1, "1.0/s"), (9.94, "9.9/s"), (166.6, "167/s"), (1_666, "1,666/s")]
)
def test_a_rate_in_words(rate, words):
    assert rate_in_words(rate) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s left"),
        (89.1, "90 s left"),
        (91, "2 min left"),
        (5_400, "90 min left"),
        (5_401, "2 h left"),
        (9_999, "3 h left"),
    ],
)
def test_time_left_in_words(seconds, words):
    assert left_in_words(seconds) == words


# -- what is drawn ------------------------------------------------------------------------------------


def drawn(columns, **environ):
    """A run in its middle, at its busiest, as a terminal of so many columns gets it."""
    time = FakeTime()
    bar = _Bar(time.now)
    bar.count_events(0, 123_456)
    bar.count_indicators(2_345_678, 0)
    time.seconds += 30
    bar.count_events(12_345, 123_456)
    bar.count_indicators(0, 1_234)
    bar.wait("The limit of 100 requests a minute is used up", 12)
    bar.wait("Waiting before Microsoft is asked again", 7)
    file = io.StringIO()
    console = Console(file=file, width=columns, force_terminal=True, _environ={"TERM": "xterm-256color", **environ})
    console.print(bar.drawn(columns))
    return file.getvalue()


@pytest.mark.parametrize("columns", [60, 80, 100, 160])
def test_the_bars_fit_into_the_terminal(columns):
    lines = re.sub(r"\x1b\[[0-9;]*m", "", drawn(columns)).splitlines()
    assert len(lines) == 4
    assert max(map(len, lines)) <= columns
    assert re.search(r"MISP events +[━╸╺]+ +12,345/123,456 +412/s +5 min left", lines[0])
    assert re.search(r"indicators +[━╸╺ ]+ 1,234/2,345,678 +41/s +158 h left", lines[1])
    assert lines[2:] == [
        "The limit of 100 requests a minute is used up, 12 s",
        "Waiting before Microsoft is asked again, 7 s",
    ]


def test_without_colours_there_are_none():
    assert "\x1b[" not in re.sub(r"\x1b\[0?m", "", drawn(80, NO_COLOR="1"))


# -- in a terminal ------------------------------------------------------------------------------------


def test_the_bars_are_full_and_green_at_the_end_and_then_gone(box, tmp_path):
    load(box, 3, 50)
    shown = Host(box, tmp_path).show()
    assert shown.exit_code == 0
    *_, frame = re.split(rb"(?=MISP events)", shown.raw.partition(b"\x1b[?25h")[0])
    for count in (b"3/3", b"150/150"):
        assert re.search(rb"\x1b\[32m(\xe2\x94\x81)+\x1b\[0m +" + count, frame), frame
    assert "MISP events" not in shown.text


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [(["--verbose"], {}), (["--quiet"], {}), (["--dry-run", "--list"], {}), ([], {"TERM": "dumb"})],
)
def test_no_bar_where_other_lines_come_or_nothing_can_be_redrawn(box, tmp_path, arguments, environ):
    load(box, 1, 2)
    shown = Host(box, tmp_path).show(*arguments, env=environ)
    assert shown.exit_code == 0
    assert b"MISP events \x1b" not in shown.raw and b"\x1b[?25l" not in shown.raw


def test_no_bar_for_who_wants_quiet_and_none_in_a_pipe(box, tmp_path, monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr("sys.stderr", terminal)
    arguments = Namespace(list=False, verbose=False, quiet=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bar(arguments):
        pass
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    with progress_bar(Namespace(**{**vars(arguments), "quiet": True})):
        pass
    assert terminal.getvalue() == ""
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar(arguments):
        pass
    assert "MISP events" in terminal.getvalue()


def test_the_plan_goes_to_its_file_although_a_bar_is_drawn(box, tmp_path):
    load(box, 1, 2)
    host = Host(box, tmp_path)
    to_a_file = 'plan=$1; shift; exec "$@" > "$plan"'
    command = ["sh", "-c", to_a_file, "sh", str(tmp_path / "plan"), *host.command("--dry-run", "--list")]
    shown = in_terminal(command, env=host.environ)
    assert "send new indicator" in (tmp_path / "plan").read_text()
    assert b"MISP events" in shown.raw
