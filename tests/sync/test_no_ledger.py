"""``state_url = "none"``: a run that remembers nothing, and commands that have nothing to look into."""

from __future__ import annotations

import json

import pytest

from helpers.commands import adopt, withdraw
from helpers.commands.check import Preflight
from helpers.commands.explain.command import Options, explain
from helpers.commands.monitoring import status
from helpers.errors import NoLedger, RunActive
from helpers.indicators import seconds
from helpers.ledger.store import Ledger
from helpers.settings import load
from helpers.sync.report import problems_of
from tests.support import Said, environ_for, hosts, misp_event
from tests.support.in_process import OneProcess
from tests.support.processes import Host
from tests.support.processes import load as load_events
from tests.support.tls_site import TlsSite, sandbox

START = 1_790_000_100
DAY = 86_400
SECOND = "44444444-4444-4444-8444-444444444444"
FORGETS = "a run remembers nothing"


@pytest.fixture
def site(tmp_path):
    site = OneProcess(tmp_path, START, MISP_EVENT_FILTERS='{"published": 1}', STATE_URL="none")
    site.misp.load(misp_event(n, hosts(5, f"e{n}h")) for n in range(1, 4))
    return site


@pytest.fixture
def over_tls(tmp_path):
    box, time = sandbox()
    with box:
        site = TlsSite(box, time, tmp_path)
        site.misp.load([misp_event(1, hosts(3))])
        yield site


def counts(site):
    return [upload["count"] for upload in site.azure.uploads]


@pytest.mark.parametrize("deduplicate", ["attribute", "value"])
def test_each_run_sends_everything_under_the_same_ids(site, deduplicate):
    site.settings = site.settings.model_copy(update={"deduplicate": deduplicate})
    first = site.run()
    sent = site.live()
    site.seconds += DAY
    second = site.run()
    assert [report.exit_code for report in (first, second)] == [0, 0]
    assert counts(site) == [15, 15]
    assert site.live().keys() == sent.keys()
    assert site.azure.wrong == []
    assert all(
        seconds(indicator["valid_until"]) > seconds(sent[key]["valid_until"]) for key, indicator in site.live().items()
    )


def test_it_withdraws_nothing_and_keeps_no_database(site):
    site.run()
    site.misp.unpublish(misp_event(1)["uuid"])
    site.misp.edit_attribute(misp_event(2)["uuid"], misp_event(2, hosts(1))["Attribute"][0]["uuid"], to_ids=False)
    site.misp.publish(misp_event(2)["uuid"])
    site.seconds += DAY
    second = site.run(force_withdraw=True)
    assert counts(site) == [15, 9]
    assert len(site.live()) == 15
    assert not second.withdrawals and not second.refusals
    assert not [path for path in site.settings.state_path.iterdir() if "sqlite" in path.name]


def test_it_does_not_ask_for_what_only_a_ledger_needs(site):
    site.run()
    assert not [request.url for request in site._misp_line.requests if "/events/index" in request.url]
    assert site.run().advice == ""


def test_a_dry_run_works_too(site):
    site.settings = site.settings.model_copy(update={"dry_run": True})
    assert site.run().plans["new"] == 15
    assert counts(site) == []


def test_one_warning_says_so(tmp_path):
    with sandbox()[0] as box:
        config = tmp_path / "config.py"
        config.write_text("state_url = 'none'\n")
        warnings = load(config, environ_for(box.azure)).warnings
        load_events(box, 1, 2)
        run = Host(box, tmp_path / "state", "none").run("--json")
        log = (tmp_path / "state" / "misp2sentinel.log").read_text()
    assert [warning for warning in warnings if FORGETS in warning] == list(warnings)
    assert (run.returncode, json.loads(run.stdout)["accepted"]) == (0, 2)
    assert log.count(FORGETS) == 1


def test_one_run_at_a_time_still(site):
    key = site.settings.workspace_key
    other = Ledger("sqlite://", key, "MISP")
    with other.hold_lock(site.settings.state_path), pytest.raises(RunActive):
        site.run()
    assert site.run().exit_code == 0
    other.close()


@pytest.mark.parametrize("settings", [{"state_url": "none"}, {"dry_run": True}], ids=["no ledger", "dry run"])
def test_several_destinations_do_not_lock_each_other_out(site, settings):
    """In memory they are numbered from scratch in each run, so their locks go by their names."""
    site.azure.workspaces.add(SECOND)
    site.azure.allowed.add(SECOND)
    credentials = {"tenantId": site.azure.tenant, "id": site.azure.client_id, "secret": site.azure.client_secret}
    tenants = [
        {**credentials, "name": "a", "workspaceId": site.azure.workspace_id},
        {**credentials, "name": "b", "workspaceId": SECOND},
    ]
    several = environ_for(site.azure, tenants=json.dumps(tenants))
    loaded = load(site.settings.state_path / "config.py", several).settings
    update = {"ms_tenants": loaded.ms_tenants, "state_url": "", **settings}
    site.settings = site.settings.model_copy(update=update)
    report = site.run()
    assert [problems_of(part) for part in report.parts] == [[], []]
    assert [part.indicators for part in report.parts] == [15, 15]
    with Ledger("sqlite://", SECOND, "MISP").hold_lock(site.settings.state_path):
        refused = site.run()
    assert [part.failure != "" for part in refused.parts] == [False, True]


def test_commands_that_live_on_the_ledger_say_that_there_is_none(over_tls):
    settings = over_tls.settings(STATE_URL="none")
    with pytest.raises(NoLedger, match="state_url") as caught:
        status.status(settings, print, max_age_hours=1, as_json=False)
    assert caught.value.exit_code == 2
    with pytest.raises(NoLedger):
        adopt.adopt([settings], withdraw_unmatched=False, force_withdraw=False, line=None)
    with pytest.raises(NoLedger):
        withdraw.withdraw_all(settings, settings.workspace_key, force_withdraw=True, line=None)
    assert over_tls.azure.uploads == []


def test_explain_says_so_and_asks_misp(over_tls):
    lines = []
    settings = over_tls.settings(STATE_URL="none")
    assert explain(settings, ["host1.example.org"], lines.append, Options()) == 0
    said = [line.text() for line in lines]
    assert said[0] == (
        "host1.example.org: what Sentinel holds is not known, as no ledger is kept (state_url); nothing stands in its "
        "way: the next run sends it."
    )
    assert str(NoLedger()) in said and any("host1.example.org" in line for line in said[1:])


def test_check_tries_what_is_left(over_tls):
    lines = Said()
    assert Preflight(over_tls.settings(STATE_URL="none"), lines.say).run() == 0
    assert any("log and lock in" in line for line in lines)


def test_its_address_ends_with_the_process(site):
    assert site.settings.ledger_url == "sqlite://"
