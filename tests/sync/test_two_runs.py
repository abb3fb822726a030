"""One run at a time for a destination, on one host and across hosts."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from helpers.errors import RunActive
from helpers.ledger.store import Ledger
from sandbox.faults import Fault
from sandbox.serve import Sandbox
from tests.support import misp_event
from tests.support.postgres import PASSWORD, postgres_server, postgres_url
from tests.support.processes import Host, load

__all__ = ["postgres_server", "postgres_url"]
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


@pytest.mark.parametrize("shared", ["state directory", "database"])
def test_two_runs_at_once(shared, request, tmp_path):
    """The first is held in MISP's answer until the second has ended."""
    url = request.getfixturevalue("postgres_url") if shared == "database" else ""
    with Sandbox() as box:
        hosts = [Host(box, tmp_path / "a", url), Host(box, tmp_path / ("b" if url else "a"), url)]
        load(box, 1, 10)
        ended = []

        def meanwhile(_body):
            if not ended:
                ended.append(None)
                ended[0] = hosts[1].run()
            return False

        box.misp.faults.add(Fault("/events/restSearch", "status", when=meanwhile))
        first = hosts[0].run()
    assert (first.returncode, ended[0].returncode) == (0, 5)
    assert "Another run is active" in ended[0].stderr
    assert len(box.azure.live()) == 10
    assert sum(upload["count"] for upload in box.azure.uploads) == 10


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
        assert len(box.azure.live()) == sum(upload["count"] for upload in box.azure.uploads) == 20


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
