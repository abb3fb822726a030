"""Sightings as a part of the run: at its end, where there is time, and told of with it."""

from __future__ import annotations

import json
import re
import time
from contextlib import closing

import pytest

from helpers.commands.sightings import run_beside
from helpers.errors import LedgerError
from helpers.ledger import Ledger
from sandbox.serve import Sandbox
from tests.support import hosts, misp_event
from tests.support.processes import Host
from tests.support.wire_server import WireServer, answer
from tests.sync.sightings.site import HOUR, NAMES, Site
from tests.sync.sightings.test_several import OSLO, Several, workspace

IN_RUN = {"MISP_SIGHTINGS__IN_RUN": "true"}


# -- a run, as a process --------------------------------------------------------------------------------


class Watched(Host):
    """A host that pings how its runs end; the ones before the first alert had no sightings to write."""

    def __init__(self, box, place, receiver):
        self.box, self.receiver = box, receiver
        self.event = misp_event(1, hosts(4), distribution="3")
        box.misp.load([self.event])
        pings = {"ON_SUCCESS": f"{receiver.url}/well", "ON_FAILURE": f"{receiver.url}/ill/{{exit_code}}"}
        endpoint = {"MS_ENDPOINTS__MANAGEMENT": box.azure_url}
        names = {f"MS_AUTH__{name}": text for name, text in NAMES.items()}
        key = {"MISP_SIGHTINGS__API_KEY": box.misp.add_user("User")}
        super().__init__(box, place, **pings, **endpoint, **names, **key, **IN_RUN)
        assert self.ended() == (0, "", "", [("/well", "OK")])

    def ended(self, *arguments):
        """How a run ended, what it said, and what it pinged: where to, and the first word of it."""
        self.receiver.asked.clear()
        process = self.run(*arguments)
        pings = [(ping.path, ping.body.decode()) for ping in self.receiver.asked]
        self.told = "\n".join(text for _, text in pings)
        heard = [(path, re.match(r"MISP2Sentinel: (.*)", text)[1]) for path, text in pings]
        return process.returncode, process.stdout, process.stderr, heard

    def see(self):
        """An alert for an indicator that none named before."""
        number = len(self.box.azure.alerts)
        ids = sorted(self.box.azure.objects())
        self.box.azure.add_alert(indicators=[ids[number]], generated=time.time() - 60)


@pytest.fixture
def host(tmp_path):
    with Sandbox() as box, WireServer(lambda _: answer(body=b"OK")) as receiver:
        yield Watched(box, tmp_path, receiver)


def test_a_whole_run_writes_them_at_its_end_and_no_other_one_does(host):
    host.see()
    code, out, err, heard = host.ended("--dry-run", "--list")
    assert (code, err, heard) == (0, "", [])
    assert "\nsighting 20" in f"\n{out}" and "1 alert, 1 match, 1 would be written" in out
    assert host.ended("--uuid", host.event["uuid"])[0] == 0
    assert not host.box.misp.sightings
    code, out, err, heard = host.ended("--json")
    told = json.loads(out)
    assert (code, told["sightings"]["written"], err) == (0, 1, "")
    assert heard == [("/well", "OK")]
    assert len(host.box.misp.sightings) == 1
    assert host.ended() == (0, "", "", [("/well", "OK")])
    assert len(host.box.misp.sightings) == 1


def test_what_fails_there_is_how_the_run_ends_and_what_it_tells(host):
    host.see()
    host.box.azure.readable.clear()
    host.box.misp.load([misp_event(2, hosts(2, "more"), distribution="3")])
    code, out, err, heard = host.ended()
    assert (code, out, heard) == (4, "", [("/ill/4", "FAILED")])
    assert err.startswith("FAILED: sightings: the app may not read the workspace's alerts.")
    assert "sightings" in host.told
    assert len(host.box.azure.live()) == 6, "what the run itself does is done"
    code, out, _, _ = host.ended("--json")
    assert (code, json.loads(out)["sightings"]["exit_code"]) == (4, 4)
    host.box.azure.readable.add(host.box.azure.workspace_id)
    code, _, err, heard = host.ended()
    assert (code, err, heard) == (0, "", [("/well", "OK")])
    assert len(host.box.misp.sightings) == 1


# -- in this process ------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    site.configure(**IN_RUN)
    assert site.run().exit_code == 0
    site.seconds += HOUR
    return site


def beside(site, seconds=0):
    """What becomes of sightings at the end of a run that took so many seconds."""
    with site.patched():
        return run_beside(site.settings, seconds)


def seen(site):
    """The processes' clock counts there, and not the site's."""
    site.azure.add_alert(indicators=[site.indicator()], generated=time.time() - 60)


def test_a_run_whose_time_is_nearly_up_leaves_them_to_the_next_one(site):
    seen(site)
    site.configure(MAX_RUN_MINUTES="10")
    asked = len(site.misp.requests)
    report = beside(site, 10 * 60 - 59)
    assert (report.exit_code, report.written) == (0, 0)
    assert report.warnings == ["The run's time was up (max_run_minutes) before its sightings: the next one goes on."]
    assert (len(site.misp.requests), site.azure.log_queries) == (asked, [])
    assert beside(site, 10 * 60 - 90).written == 1


def test_where_the_settings_do_not_say_so_there_are_none(site):
    seen(site)
    site.configure(MISP_SIGHTINGS__IN_RUN="false")
    assert beside(site) is None
    assert site.azure.log_queries == []


def test_whoever_writes_them_just_now_writes_these_too(site):
    seen(site)
    with site.ledger() as known, known.ledger.database.hold_sightings(known.ledger.destination):
        report = beside(site)
    assert (report.exit_code, report.written) == (0, 0)
    assert ["are being written already" in words for words in report.warnings] == [True]


def test_of_several_one_whose_sightings_are_written_just_now_is_no_failure(tmp_path):
    site = Several(tmp_path)
    site.configure(**IN_RUN)
    for name in (OSLO, "paris"):
        indicators = [site.indicator()]
        site.azure.add_alert(indicators=indicators, generated=time.time() - 60, workspace=workspace(name))
    ledger = Ledger(site.settings.ledger_url, workspace(OSLO), site.settings.sourcesystem)
    with closing(ledger), ledger.database.hold_sightings(ledger.destination):
        report = beside(site)
    assert (report.exit_code, [part.written for part in report.parts]) == (0, [0, 1, 0])
    assert ["are being written already" in words for words in report.parts[0].warnings] == [True]


def test_a_ledger_that_fails_ends_no_run(site, monkeypatch):
    def failing(*_):
        raise LedgerError("The ledger is full.")

    monkeypatch.setattr("helpers.sync.sightings.run._hold", failing)
    report = beside(site)
    assert (report.exit_code, report.failure) == (2, "The ledger is full.")
