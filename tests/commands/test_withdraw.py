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
    assert (report.exit_code, report.requests) == (0, 4), "an organisation leaves after the indicators that name it"
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
    assert (report.exit_code, report.withdrawals.total()) == (0, 12)
    assert len([line for line in lines if line.startswith("withdraw indicator--")]) == 12
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


# -- what stands beside indicators ---------------------------------------------------------------------

ACTOR = "68391641-859f-4a9a-9a1e-3e5cf71ec376"
TECHNIQUE = "bbe5b322-e2af-4a5e-9625-a4e62bf84ed3"
TAGS = ('misp-galaxy:threat-actor="Moon Fox"', 'misp-galaxy:mitre-attack-pattern="Social Media - T1593.001"')
LEVEL = {"CONTEXT": "techniques"}
BESIDE = {"identity": 1, "threat-actor": 1, "attack-pattern": 1, "relationship": 6}


@pytest.fixture
def named(site):
    """Two events name an actor and a technique, whose relationships are at one of the destinations."""
    site.misp.add_cluster("threat-actor", "Moon Fox", uuid=ACTOR)
    site.misp.add_cluster("mitre-attack-pattern", "Social Media - T1593.001", uuid=TECHNIQUE)
    for tag in TAGS:
        site.misp.tag_event(event_uuid(1), tag)
    site.misp.publish(event_uuid(1))
    site.run(**LEVEL)
    assert beside(site) == BESIDE
    return site


def beside(site):
    kinds = [one["type"] for one in site.azure.live(kind=None).values()]
    return {kind: kinds.count(kind) for kind in BESIDE if kind in kinds}


def test_everything_leaves_relationships_first_and_organisations_last(named):
    before = len(named.azure.uploads)
    report = withdraw(named, **LEVEL)
    assert report.exit_code == 0
    assert beside(named) == {} and live(named) == [0, 0, 6]
    assert report.withdrawals == {WithdrawalReason.WORKSPACE_LEFT: 12}
    assert {kind.value: count for kind, count in report.context.withdrawn.items()} == {
        **BESIDE,
        "identity": 2,
    }, "the second source system has an organisation of its own"
    of_first = [upload["kinds"] for upload in named.azure.uploads[before:] if upload["sourcesystem"] == "MISP"]
    assert [set(kinds) for kinds in of_first] == [
        {"relationship"},
        {"indicator", "threat-actor", "attack-pattern"},
        {"identity"},
    ]
    assert withdraw(named, **LEVEL).requests == 0


def test_what_was_withdrawn_beside_indicators_comes_back_in_its_next_life(named):
    before = set(named.azure.objects(kind=None))
    withdraw(named, **LEVEL)
    ledger = named.ledger()
    assert ledger.facts().woven == ""
    ledger.close()
    assert named.run(**LEVEL).exit_code == 0
    assert beside(named) == BESIDE
    assert not before & named.azure.live(kind=None).keys()
    assert named.run(**LEVEL).requests == 0


def test_a_dry_run_counts_what_stands_beside_indicators_and_writes_nothing(named):
    sent, lines = len(named.azure.uploads), []
    report = withdraw(named, dry_run=True, line=lines.append, **LEVEL)
    assert report.as_json()["context"]["leaving"] == {**BESIDE, "identity": 2}
    assert sum(line.startswith("withdraw relationship--") for line in lines) == 6
    assert len(lines) == 12 + 10
    assert (len(named.azure.uploads), beside(named)) == (sent, BESIDE)
    assert named.run(**LEVEL).requests == 0


def test_the_guard_counts_indicators_alone(named):
    for event in (1, 2):
        named.misp.tag_event(event_uuid(event), TAGS[0])
    named.misp.load([misp_event(3, hosts(60, "e3h"), Tag=[{"name": tag} for tag in TAGS])])
    named.run(**LEVEL)
    report = withdraw(named, force_withdraw=False, **LEVEL)
    assert (report.exit_code, report.refusals) == (0, [])
    assert beside(named) == {}


def test_organisations_leave_where_nothing_else_is_left(named):
    named.misp.delete(event_uuid(1))
    named.misp.delete(event_uuid(2))
    options = RunOptions(force_withdraw=True)
    for _ in range(3):
        named.run(options, **LEVEL)
    assert beside(named) == {"identity": 1} and live(named)[0] == 0
    assert withdraw(named, force_withdraw=False, **LEVEL).exit_code == 0
    assert beside(named) == {}


def test_what_has_no_answer_leaves_when_it_is_called_again(named):
    named.azure.faults.add(Fault(UPLOAD, "status", status=403, times=None, after=1))
    report = withdraw(named, **LEVEL)
    assert report.exit_code == 4
    assert beside(named) == {kind: count for kind, count in BESIDE.items() if kind != "relationship"}
    named.azure.faults.clear()
    assert withdraw(named, **LEVEL).exit_code == 0
    assert beside(named) == {}


def test_a_kill_between_relationships_and_their_ends_loses_nothing(named):
    """Microsoft has the relationships' withdrawal, and its answer is not written down yet."""
    command = [sys.executable, "-c", DIE, "withdrawn", "--config", str(named.config)]
    command += ["withdraw", "--force-withdraw", "--workspace", WORKSPACE]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **named.environ(**LEVEL)}
    assert subprocess.run(command, env=environ, check=False, timeout=60).returncode == -signal.SIGKILL
    assert "relationship" not in beside(named) and live(named)[0] == 6
    before = named.azure.objects(kind=None).keys()
    assert withdraw(named, **LEVEL).exit_code == 0
    assert (beside(named), live(named)) == ({}, [0, 0, 6])
    assert named.azure.objects(kind=None).keys() == before


def test_a_run_after_half_of_it_puts_right_what_stands_beside_indicators(named):
    named.azure.faults.add(Fault(UPLOAD, "status", status=403, times=None, after=1))
    withdraw(named, **LEVEL)
    named.azure.faults.clear()
    assert "relationship" not in beside(named)
    assert named.run(**LEVEL).exit_code == 0
    assert beside(named) == BESIDE
    assert named.run(**LEVEL).requests == 0


def test_the_list_names_what_relationships_are_between(named):
    lines = []
    withdraw(named, dry_run=True, line=lines.append, **LEVEL)
    between = [line for line in lines if line.startswith("withdraw relationship--")]
    assert sum(f"threat-actor--{ACTOR} (Moon Fox)" in line for line in between) == 3


def test_where_the_api_takes_indicators_alone_the_others_stay_and_are_named(named):
    legacy = {"MS_AUTH__NEW_UPLOAD_API": "false", "MS_ENDPOINTS__UPLOAD_LEGACY": named.box.azure_url}
    report = withdraw(named, **legacy)
    assert (report.exit_code, live(named)) == (0, [0, 0, 6])
    assert beside(named) == BESIDE
    assert "1 organisation, 1 actor, 1 technique, 6 relationships stay in workspace" in report.warnings[0]
    assert withdraw(named, **LEVEL).exit_code == 0
    assert beside(named) == {}
