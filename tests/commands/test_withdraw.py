"""Withdraw: a destination that is to be left is emptied, under the guards, and goes on where it was cut off."""

import json
import os
import signal
import subprocess
import sys

import pytest

from constants import WithdrawalReason
from helpers.commands.withdraw import withdraw_all
from helpers.errors import LedgerError, RunActive
from helpers.ledger.records import Stage
from helpers.sync.destination import RunOptions
from sandbox.azure.app import WORKSPACE
from sandbox.faults import Fault
from tests.support import hosts, misp_event
from tests.support.tls_site import TlsSite, attribute_uuid, event_uuid, sandbox
from tests.sync.test_run import ROOT, Site

OTHER = "44444444-4444-4444-8444-444444444444"
UPLOAD = "threat-intelligence-stix-objects:upload"


@pytest.fixture
def site(tmp_path):
    """Two events in two workspaces, and in the first one under two source systems."""
    box, time = sandbox()
    with box:
        site = TlsSite(box, time, tmp_path)
        site.azure.add_workspace(OTHER)
        site.misp.load(misp_event(n, hosts(3, f"e{n}h")) for n in (1, 2))
        site.run()
        site.run(SOURCESYSTEM="second")
        site.run(MS_AUTH__WORKSPACE_ID=OTHER)
        yield site


def withdraw(site, workspace=WORKSPACE, *, force_withdraw=True, line=None, dry_run=False, **more):
    site.time.seconds += 60
    return withdraw_all(
        site.settings(**more).model_copy(update={"dry_run": dry_run}),
        workspace,
        force_withdraw=force_withdraw,
        line=line,
        clock=site.time.clock,
        now=site.time.now,
    )


def test_a_destination_is_left_by_its_name_alone(site):
    credentials = {"tenantId": site.azure.tenant, "id": site.azure.client_id, "secret": site.azure.client_secret}
    places = {"one": (WORKSPACE, "MISP"), "two": (WORKSPACE, "second"), "three": (OTHER, "MISP")}
    tenants = [
        {**credentials, "name": name, "workspaceId": workspace, "sourcesystem": source}
        for name, (workspace, source) in places.items()
    ]
    report = withdraw(site, "TWO", MS_TENANTS=json.dumps(tenants))
    assert (report.exit_code, report.withdrawals) == (0, {WithdrawalReason.WORKSPACE_LEFT: 6})
    assert live(site) == [6, 0, 6]
    assert withdraw(site, WORKSPACE, MS_TENANTS=json.dumps(tenants)).exit_code == 0
    assert live(site) == [0, 0, 6]


def live(site):
    places = ((WORKSPACE, "MISP"), (WORKSPACE, "second"), (OTHER, "MISP"))
    return [len(site.azure.live(*place)) for place in places]


def stages(site, **more):
    ledger = site.ledger(**more)
    try:
        counted = ledger.count(int(site.time.now()))
    finally:
        ledger.close()
    return counted


@pytest.mark.parametrize("workspace", [WORKSPACE, WORKSPACE.upper()])
def test_every_source_system_of_the_workspace_is_emptied(site, workspace):
    report = withdraw(site, workspace)
    assert (report.exit_code, report.requests) == (0, 2)
    assert report.withdrawals == {WithdrawalReason.WORKSPACE_LEFT: 12}
    assert live(site) == [0, 0, 6]
    for source in ("MISP", "second"):
        assert all(object_["revoked"] for object_ in site.azure.objects(WORKSPACE, source).values())
        assert stages(site, SOURCESYSTEM=source) == {Stage.WITHDRAWN: 6, "live": 0}
    assert withdraw(site, workspace).indicators == 0


def test_a_workspace_that_the_settings_do_not_name(site):
    assert withdraw(site, OTHER).withdrawals.total() == 6
    assert live(site) == [6, 6, 0]


def test_a_destination_s_name_means_that_one_alone(site):
    azure = site.azure
    common = {"tenantId": azure.tenant, "id": azure.client_id, "secret": azure.client_secret, "workspaceId": WORKSPACE}
    tenants = json.dumps([common | {"name": "paris"}, common | {"name": "lyon", "sourcesystem": "second"}])
    assert withdraw(site, "Lyon", MS_TENANTS=tenants).withdrawals.total() == 6
    assert live(site) == [6, 0, 6]
    assert withdraw(site, WORKSPACE, MS_TENANTS=tenants).withdrawals.total() == 6
    assert live(site) == [0, 0, 6]


def test_a_workspace_that_is_taken_up_again_gets_new_lives(site):
    withdraw(site)
    before = set(site.azure.objects())
    report = site.run()
    assert (report.exit_code, report.plans["new"]) == (0, 6)
    assert not before & site.azure.live().keys()
    assert site.run().indicators == 0


def test_the_guard_asks_before_it_lets_a_large_destination_go(site):
    site.misp.load([misp_event(3, hosts(200, "e3h"))])
    site.run()
    report = withdraw(site, force_withdraw=False)
    assert report.exit_code == 1
    (refusal,) = report.refusals
    assert f"206 objects would leave MISP in workspace {WORKSPACE}, where 206 are live" in refusal
    assert live(site) == [206, 0, 6], "the small one is below the guard"
    assert site.run(RunOptions(full=True)).indicators == 0
    assert withdraw(site).exit_code == 0
    assert live(site) == [0, 0, 6]


def test_a_dry_run_writes_nothing(site):
    sent, lines = len(site.azure.uploads), []
    report = withdraw(site, dry_run=True, line=lines.append)
    assert (report.exit_code, report.withdrawals.total(), len(lines)) == (0, 12, 12)
    assert len(site.azure.uploads) == sent
    assert stages(site) == {Stage.ACCEPTED: 6, "live": 6}
    assert site.run().indicators == 0


def test_an_unknown_workspace_is_refused_with_the_known_ones(site):
    with pytest.raises(LedgerError) as caught:
        withdraw(site, "sandbox-sentinel")
    assert caught.value.exit_code == 2
    assert WORKSPACE in str(caught.value) and OTHER in str(caught.value)
    site.lose_ledger()
    with pytest.raises(LedgerError, match="knows none"):
        withdraw(site, dry_run=True)


DIE = """
import os, signal, sys
import script
from helpers.ledger import Ledger
setattr(Ledger, sys.argv.pop(1), lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
sys.exit(script.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(("place", "arrived"), [("dequeue", 0), ("withdrawn", 6)])
def test_a_kill_loses_nothing(site, place, arrived):
    """Before the batch goes out, and when Microsoft has it and its answer is not written down yet."""
    command = [sys.executable, "-c", DIE, place, "--config", str(site.config)]
    command += ["withdraw", "--force-withdraw", "--workspace", WORKSPACE]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **site.environ()}
    assert subprocess.run(command, env=environ, check=False, timeout=60).returncode == -signal.SIGKILL
    assert sum(live(site)) == 18 - arrived
    assert stages(site)["live"] == 6
    before = site.azure.objects().keys()
    report = withdraw(site)
    assert (report.exit_code, report.withdrawals.total()) == (0, 12)
    assert live(site) == [0, 0, 6]
    assert stages(site) == {Stage.WITHDRAWN: 6, "live": 0}
    assert site.azure.objects().keys() == before


def test_what_microsoft_refuses_stays_to_be_withdrawn(site):
    site.azure.faults.add(Fault(UPLOAD, "status", status=403, times=None))
    report = withdraw(site)
    assert report.exit_code == 4
    assert "Microsoft Sentinel Contributor" in report.given_up
    assert live(site) == [6, 6, 6]
    site.azure.faults.clear()
    assert withdraw(site).withdrawals.total() == 12
    assert live(site) == [0, 0, 6]


def test_a_run_after_half_a_withdrawal_puts_things_right(site):
    """The workspace stays after all: what is wanted stays, what was withdrawn comes back with a new id."""
    site.azure.faults.add(Fault(UPLOAD, "status", status=403, times=None))
    withdraw(site)
    site.azure.faults.clear()
    site.misp.edit_attribute(event_uuid(1), attribute_uuid(1, 0), to_ids=False)
    site.misp.publish(event_uuid(1))
    assert site.run().exit_code == 0
    assert live(site)[0] == 5
    assert site.run().indicators == 0


def test_a_run_and_withdrawing_exclude_each_other(site):
    ledger = site.ledger()
    with ledger.hold_lock(), pytest.raises(RunActive):
        withdraw(site)
    ledger.close()


def test_the_command(site):
    commands = Site(site.box, site.folder)
    commands.environ = site.environ()
    done = commands.script("withdraw", "--workspace", OTHER, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["withdrawals"] == {WithdrawalReason.WORKSPACE_LEFT: 6}
    unknown = commands.script("withdraw", "--workspace", "nowhere")
    assert unknown.returncode == 2
    assert "knows no workspace nowhere" in unknown.stderr
