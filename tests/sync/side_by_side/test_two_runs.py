"""One run at a time for a destination, on one host and across hosts: the later one waits for its turn."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from unittest import mock

import psycopg
import pytest

from helpers.errors import RunActive
from helpers.ledger.store import Ledger
from helpers.microsoft import RateLimiters
from helpers.sync.destination import RunOptions
from sandbox.faults import Fault
from sandbox.serve import Sandbox
from tests.support import hosts, misp_event
from tests.support.postgres import PASSWORD, postgres_server, postgres_url
from tests.support.processes import Host, load
from tests.support.tls_site import TlsSite, sandbox

__all__ = ["postgres_server", "postgres_url"]
EVENT = misp_event(1)["uuid"]
HOLDER = """
import sys
from helpers.ledger import Ledger
with Ledger(sys.argv[1], "workspace", "MISP").hold_lock():
    print("alone", flush=True)
    sys.stdin.read()
"""


def opened(url, workspace="workspace"):
    return Ledger(url, workspace, "MISP")


def test_the_second_on_another_connection_is_refused(postgres_url):
    first, second, elsewhere = opened(postgres_url), opened(postgres_url), opened(postgres_url, "another")
    with first.hold_lock():
        with pytest.raises(RunActive, match="perhaps on another host"), second.hold_lock():
            pass
        with elsewhere.hold_lock():
            pass
    with second.hold_lock():
        pass
    for ledger in (first, second, elsewhere):
        ledger.close()


def test_a_process_that_is_killed_lets_go(postgres_url):
    second = opened(postgres_url)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, postgres_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "alone\n"
        with pytest.raises(RunActive), second.hold_lock():
            pass
        holder.kill()
    freed(postgres_url)
    with second.hold_lock():
        pass
    second.close()


def test_many_open_an_empty_database_at_once(postgres_url):
    with ThreadPoolExecutor(8) as pool:
        ledgers = list(pool.map(opened, [postgres_url] * 8))
    assert len({ledger.destination for ledger in ledgers}) == 1
    assert len(ledgers[0].destinations()) == 1
    for ledger in ledgers:
        ledger.close()


@pytest.mark.parametrize(
    ("shared", "first", "second"),
    [
        ("database", (), ()),
        ("state directory", (), ("--uuid", EVENT)),
        ("state directory", ("--uuid", EVENT), ()),
    ],
    ids=["two whole runs", "an event in the night", "a night after an event"],
)
def test_the_second_of_two_runs_waits_for_the_first(shared, first, second, request, tmp_path):
    """The first is held in MISP's answer until the second waits."""
    url = request.getfixturevalue("postgres_url") if shared == "database" else ""
    with Sandbox() as box:
        one, other = Host(box, tmp_path / "a", url), Host(box, tmp_path / ("b" if url else "a"), url)
        load(box, 1, 10)
        later = []

        def meanwhile(_body):
            if not later:
                later.append(other.start(*second, "--verbose"))
                assert waits(later[0])
            return False

        box.misp.faults.add(Fault("/events/restSearch", "status", when=meanwhile))
        ended = one.run(*first)
        with later[0]:
            out, err = later[0].communicate(timeout=600)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert (later[0].returncode, out) == (0, ""), err
    assert len(box.azure.live()) == 10
    assert sum(upload["kinds"]["indicator"] for upload in box.azure.uploads) == 10


def waits(process):
    """Whether a process, which says more, comes to say that it waits for its turn."""
    return any("this one waits for its end" in line for line in process.stderr)


def test_events_that_are_published_at_once_arrive_one_after_the_other(tmp_path):
    with Sandbox() as box:
        load(box, 3, 5)
        events = [misp_event(number)["uuid"] for number in (1, 2, 3)]
        with ThreadPoolExecutor(len(events)) as pool:
            ended = list(pool.map(lambda event: Host(box, tmp_path).run(event), events))
    assert [(run.returncode, run.stdout, run.stderr) for run in ended] == [(0, "", "")] * len(events)
    assert sum(upload["kinds"]["indicator"] for upload in box.azure.uploads) == len(box.azure.live()) == 15


def test_a_signal_ends_the_waiting(tmp_path):
    with Sandbox() as box, closing(opened(f"sqlite:///{tmp_path}/ledger.sqlite", box.azure.workspace_id)) as ledger:
        with ledger.hold_lock(), Host(box, tmp_path).start("--uuid", EVENT, "--verbose") as waiting:
            assert waits(waiting)
            waiting.terminate()
            said = waiting.stderr.read()
        assert box.misp.requests == []
    assert waiting.returncode == 130
    assert "Stopped from outside" in said


# -- how long, by a clock that only tests move ----------------------------------------------------------


@pytest.fixture
def site(tmp_path):
    box, time = sandbox()
    with box:
        load(box, 1, 10)
        yield TlsSite(box, time, tmp_path)


@contextmanager
def held(site, *, until=10**9, then=lambda: None):
    """Hold the site's destination until a run has waited so many times; ``then`` is what happens at once after it."""
    with closing(site.ledger()) as ledger, ExitStack() as lock:
        lock.enter_context(ledger.hold_lock())
        slept = []

        def sleep(seconds):
            site.time.seconds += seconds
            slept.append(seconds)
            if len(slept) == until:
                lock.close()
                then()

        with mock.patch.object(site.time, "sleep", sleep):
            yield slept


@pytest.mark.parametrize(("options", "seconds"), [(RunOptions(), 300), (RunOptions(EVENT), 120)])
def test_the_other_run_does_not_end(site, options, seconds):
    assert site.run().exit_code == 0
    with held(site) as slept, pytest.raises(RunActive, match=f"waited {seconds} seconds for its turn") as refused:
        site.run(options)
    assert "Another run is active" in str(refused.value) and "next run without --uuid" in str(refused.value)
    assert (refused.value.exit_code, sum(slept)) == (5, seconds)


def test_waiting_is_a_part_of_max_run_minutes_and_half_of_it_at_most(site):
    """A Function's host, or a pod's deadline, stops a run that takes longer, whatever it did meanwhile."""
    assert site.run().exit_code == 0
    with held(site) as slept, pytest.raises(RunActive, match="waited 120 seconds for its turn"):
        site.run(MAX_RUN_MINUTES="4")
    assert sum(slept) == 120
    with held(site, until=60), mock.patch("helpers.sync.run.RateLimiters", wraps=RateLimiters) as limiters:
        site.run(MAX_RUN_MINUTES="4")
    assert limiters.call_args.args[1] - site.time.now() == 240 - 60


def test_a_dry_run_does_not_wait(site):
    """All of it is one transaction: what the other run writes would not be seen in it."""
    assert site.run().exit_code == 0
    with held(site) as slept, pytest.raises(RunActive, match=r"this one does nothing\.$"):
        site.run(DRY_RUN="1")
    assert slept == []


def test_an_event_that_waited_in_vain_is_the_next_run_s(site):
    """Published while a run is past it, and given up by the one that was to send it: nothing of it is lost."""
    given_up = []

    def published(_body):
        if not given_up:
            given_up.append(None)
            site.misp.load([misp_event(2, hosts(1, "late"))])
            with pytest.raises(RunActive) as refused:
                site.run(RunOptions(misp_event(2)["uuid"]))
            given_up[0] = refused.value.exit_code
        return False

    site.azure.faults.add(Fault(":upload", "status", when=published))
    assert site.run().exit_code == 0
    assert (given_up, len(site.azure.live())) == ([5], 10)
    assert site.run().exit_code == 0
    assert len(site.azure.live()) == 11


def test_a_run_that_waited_is_as_old_as_what_it_waited_for_and_takes_no_clock_for_wrong(site):
    """Its time is when it begins to read, else all that the other one has written would be of the future."""
    assert site.run().exit_code == 0
    reports = []
    with held(site, until=3, then=lambda: reports.append(site.run())):
        site.misp.load([misp_event(2, hosts(1, "late"))])
        reports.append(site.run())
    first, second = reports
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert (first.events, second.events) == (1, 0)
    assert second.warnings == []
    assert len(site.azure.live()) == 11


def test_hosts_share_what_they_know(postgres_url, tmp_path):
    """What one host sent another one does not send again; it withdraws what MISP withdraws."""
    with Sandbox() as box:
        load(box, 1, 10)
        first, second = (Host(box, tmp_path / name, postgres_url) for name in "ab")
        assert first.run().returncode == 0
        assert second.run().returncode == 0
        assert len(box.azure.uploads) == 1
        box.misp.unpublish(misp_event(1)["uuid"])
        assert second.run().returncode == 0
        assert box.azure.live() == {}


def test_a_database_that_goes_away_in_the_middle_costs_nothing_but_the_run(postgres_url, tmp_path):
    with Sandbox() as box:
        load(box, 2, 10)
        host = Host(box, tmp_path, postgres_url)
        box.misp.faults.add(Fault("/events/restSearch", "status", when=lambda _: ended(postgres_url)))
        broken = host.run()
        assert broken.returncode == 2
        assert "was lost (state_url)" in broken.stderr
        assert "Traceback" not in broken.stderr
        assert PASSWORD not in broken.stderr
        box.misp.faults.clear()
        assert host.run().returncode == 0
        assert len(box.azure.live()) == sum(upload["kinds"]["indicator"] for upload in box.azure.uploads) == 20


def ended(url):
    """End every connection to a database but our own, as a server that is restarted does."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    return False


def freed(url):
    """Wait until the server has seen that the holder's connection is gone."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s, 1)", [0x4D325345])
        connection.execute("SELECT pg_advisory_unlock(%s, 1)", [0x4D325345])
