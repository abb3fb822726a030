"""Parts of the destinations, each in a process of its own, with one PostgreSQL: each destination is done once."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from helpers.microsoft.request_manager import WORKERS
from helpers.process import Part
from sandbox.azure.app import AzureState
from sandbox.faults import Fault
from sandbox.serve import Sandbox
from tests.support.postgres import postgres_server, postgres_url
from tests.support.processes import Host, load

__all__ = ["postgres_server", "postgres_url"]
DESTINATIONS = 7
EVENTS, PER_EVENT, BATCH = 4, 10, 5
OBJECTS = EVENTS * PER_EVENT
PAGES = 2


def workspace(number):
    return f"33333333-3333-4333-8333-{number:012d}"


class Recorder(AzureState):
    """Counts how often each object came to each workspace."""

    def __init__(self):
        super().__init__()
        self.requests_per_minute = 1_000_000
        self.came = Counter()
        for number in range(DESTINATIONS):
            self.add_workspace(workspace(number))

    def store(self, workspace_id, sourcesystem, object_):
        self.came[workspace_id, object_["id"]] += 1
        return super().store(workspace_id, sourcesystem, object_)


class Site:
    """Destinations under one app, and a host for each part of them."""

    def __init__(self, box, folder, url):
        self.box, self.folder, self.url = box, folder, url
        load(box, EVENTS, PER_EVENT)

    def worker(self, number, of):
        """Start a run of a part on a host of its own."""
        tenants = [
            {"name": f"site{n}", "workspaceId": workspace(n), "tenantId": self.box.azure.tenant}
            | {"id": self.box.azure.client_id, "secret": self.box.azure.client_secret}
            for n in range(DESTINATIONS)
        ]
        few = {"MS_MAX_INDICATORS_REQUEST": str(BATCH), "MISP_EVENT_LIMIT_PER_PAGE": str(EVENTS // PAGES)}
        host = Host(self.box, self.folder / str(number), self.url, MS_TENANTS=json.dumps(tenants), **few)
        return host.start("--part", f"{number}/{of}", "--json")

    def readings(self):
        """How often each page was read from MISP."""
        read = (body for _, path, body in self.box.misp.requests if "restSearch" in path and not body.get("metadata"))
        return Counter(json.dumps(body["eventid"]) for body in read)

    def came(self, numbers):
        """How often objects came to these workspaces, beyond once each."""
        here = ((key, times) for key, times in self.box.azure.came.items() if key[0] in map(workspace, numbers))
        every = {key: times for key, times in here if key[1].startswith("indicator--")}
        assert len(every) == len(numbers) * OBJECTS
        return sum(times - 1 for times in every.values())


@pytest.fixture
def site(postgres_url, tmp_path):
    with Sandbox(Recorder()) as box:
        yield Site(box, tmp_path, postgres_url)


def in_part(number, of):
    """Which of the destinations are in a part."""
    return [n for n in range(DESTINATIONS) if Part(number, of).has(workspace(n), "MISP")]


def ended(workers):
    """What each of some workers says when it has ended."""
    said = []
    for worker in workers:
        with worker:
            out, err = worker.communicate(timeout=600)
        assert (worker.returncode, err) == (0, ""), err
        said.append(json.loads(out))
    return said


def test_side_by_side_they_do_each_destination_once_and_each_reads_misp_once(site):
    reports = ended([site.worker(number, 3) for number in (1, 2, 3)])
    assert [[each["name"] for each in report["destinations"]] for report in reports] == [
        [f"site{n}" for n in in_part(number, 3)] for number in (1, 2, 3)
    ]
    assert site.came(range(DESTINATIONS)) == 0
    assert [len(site.box.azure.live(workspace(n))) for n in range(DESTINATIONS)] == [OBJECTS] * DESTINATIONS
    assert sorted(site.readings().values()) == [3] * PAGES


def test_kill_9_of_one_costs_one_more_run_of_its_destinations(site):
    """It dies when one of its destinations has three batches, while another worker does the others."""
    killed, ours, others = [], in_part(1, 2), in_part(2, 2)

    def kill(_body):
        uploads = Counter(upload["workspace"] for upload in site.box.azure.uploads)
        if not killed and max((uploads[workspace(n)] for n in ours), default=0) >= 3:
            killed.append(first.kill())
        return False

    site.box.azure.faults.add(Fault("", "status", times=None, when=kill))
    first, second = site.worker(1, 2), site.worker(2, 2)
    ended([second])
    with first:
        first.communicate(timeout=600)
    assert first.returncode == -9
    assert site.came(others) == 0
    ended([site.worker(1, 2)])
    assert [len(site.box.azure.live(workspace(n))) for n in range(DESTINATIONS)] == [OBJECTS] * DESTINATIONS
    assert site.came(others) == 0
    assert site.came(ours) <= len(ours) * WORKERS * BATCH
    assert max(site.readings().values()) <= 3


def test_a_part_without_destinations_is_done_at_once(tmp_path):
    (empty,) = (number for number in (1, 2) if not Part(number, 2).has(AzureState().workspace_id, "MISP"))
    with Sandbox() as box:
        host = Host(box, tmp_path)
        done = host.run("--part", f"{empty}/2", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        report = json.loads(done.stdout)
        assert (report["exit_code"], report["advice"]) == (0, f"no destination falls into part {empty}/2.")
        assert report["destinations"] == []
        shown = host.show("--part", f"{empty}/2")
        assert (shown.exit_code, shown.lines) == (0, [f"! Nothing to send: no destination falls into part {empty}/2."])
        assert box.misp.requests == []
        assert not (tmp_path / "ledger.sqlite").exists()
        assert host.run("--part", f"{3 - empty}/2").returncode == 0
        assert box.misp.requests
