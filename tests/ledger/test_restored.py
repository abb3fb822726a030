"""A ledger that is older than what Sentinel has, and a workspace that somebody emptied or revoked in by hand."""

import shutil
from unittest import mock

import pytest

from helpers.ledger import Stage
from helpers.microsoft import Outcome, OutcomeState, OutgoingObject
from helpers.sync.report import problems_of
from helpers.sync.run import opened
from helpers.sync.withdrawals import difference
from sandbox.azure.app import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE_NAME
from sandbox.faults import Fault
from tests.sync.test_destination import edited, later, load, make_site, patterns, uuid

__all__ = ["make_site"]
MOVING = {"DAYS_TO_EXPIRE": "12", "DAYS_TO_EXPIRE_MAPPING": "{}"}
NAMES = {
    "MS_AUTH__SUBSCRIPTION_ID": SUBSCRIPTION,
    "MS_AUTH__RESOURCEGROUPNAME": RESOURCE_GROUP,
    "MS_AUTH__WORKSPACENAME": WORKSPACE_NAME,
}
COUNT = "threatIntelligence/main/count"
UPLOAD = "threat-intelligence-stix-objects:upload"
DIFFER = "The workspace and the ledger differ: it has "


def ledger_file(site):
    return site.settings.state_path / "ledger.sqlite"


def backup(site):
    shutil.copy(ledger_file(site), ledger_file(site).with_name("backup"))


def restore(site):
    shutil.copy(ledger_file(site).with_name("backup"), ledger_file(site))


def revoke(site, which):
    """Somebody revokes so many indicators by hand."""
    for id_ in sorted(site.azure.live())[:which]:
        workspace, objects = site.azure.workspace_id, site.azure.objects()
        site.azure.store(workspace, "MISP", {**objects[id_], "revoked": True})


def stages(site):
    with opened(site.settings) as ledger:
        counted = ledger.count(site.seconds)
    return {stage: count for stage, count in counted.items() if count}


@pytest.mark.parametrize("deduplicate", ["attribute", "value"])
def test_what_was_withdrawn_after_the_backup_comes_back_under_its_next_life(make_site, deduplicate):
    site = make_site(DEDUPLICATE=deduplicate)
    load(site)
    site.run()
    backup(site)
    edited(site, 1, 0, to_ids=False)
    assert later(site).withdrawals.total() == 1
    restore(site)
    edited(site, 1, 0, to_ids=True, comment="flagged again")
    report = later(site)
    assert (report.exit_code, report.revoked_ids, report.as_json()["revoked_ids"]) == (1, 1, 1)
    assert any("keeps 1 id as revoked" in problem.words for problem in problems_of(report))
    assert stages(site) == {Stage.ACCEPTED: 8, Stage.REVOKED: 1, "live": 8}
    assert len(site.live()) == 8
    report = later(site)
    assert (report.exit_code, report.plans["new"], report.revoked_ids) == (0, 1, 0)
    assert len(site.live()) == 9
    assert stages(site) == {Stage.ACCEPTED: 9, Stage.WITHDRAWN: 1, "live": 9}
    report = later(site)
    assert (report.exit_code, report.events, report.indicators) == (0, 0, 0)
    with opened(site.settings) as ledger:
        assert ledger.withdrawn_since(0) == 0, "nothing of this is a withdrawal of ours"


def test_of_an_event_that_is_not_read_too_what_is_renewed_in_vain_comes_back(make_site):
    site = make_site(**MOVING, FULL_SYNC_DAYS="30")
    load(site)
    site.run()
    revoke(site, 4)
    assert later(site).exit_code == 0, "nobody has asked yet"
    report = later(site, days=7)
    assert (report.events, report.plans["renewed"], report.revoked_ids) == (0, 9, 4)
    assert later(site).exit_code == 0
    assert len(site.live()) == 9
    assert later(site).indicators == 0


def test_what_nobody_wants_any_more_stays_revoked(make_site):
    site = make_site(**MOVING)
    load(site, events=2)
    site.run()
    revoke(site, 6)
    assert later(site, days=7).revoked_ids == 6
    for position in range(3):
        edited(site, 1, position, to_ids=False)
    site.misp.unpublish(uuid(2))
    for _ in range(2):
        report = later(site)
        assert (report.exit_code, report.indicators, site.live()) == (0, 0, {})


def test_lives_are_gone_through_one_in_a_run(make_site):
    site = make_site()
    load(site, events=1, attributes=1)
    site.run()
    backup(site)
    for flag in (False, True, False):
        edited(site, 1, 0, to_ids=flag)
        later(site)
    restore(site)
    edited(site, 1, 0, to_ids=True, comment="flagged again")
    assert [later(site).exit_code for _ in range(3)] == [1, 1, 0]
    assert patterns(site) == ["e1h0.example.org"]


def test_a_workspace_that_was_emptied_is_filled_again_without_the_old_ledger(make_site):
    site = make_site()
    load(site)
    site.run()
    revoke(site, 2)
    site.azure.remove(site.azure.live())
    assert later(site, full=True).indicators == 0
    for path in site.settings.state_path.glob("ledger.sqlite*"):
        path.unlink()
    report = later(site)
    assert (report.exit_code, report.revoked_ids) == (1, 2)
    assert later(site).exit_code == 0
    assert len(site.live()) == 9


@pytest.mark.parametrize(
    ("words", "state", "withdrawn", "expected"),
    [
        ("Error for Property=revoked: A revoked object cannot be restored.", OutcomeState.REJECTED, False, True),
        ("error for property = Revoked: no", OutcomeState.REJECTED, False, True),
        ("Error for Property=revoked: x", OutcomeState.PENDING, False, False),
        ("Error for Property=revoked: Value must be a boolean.", OutcomeState.REJECTED, True, False),
        ("Error for Property=id: revoked.example.org", OutcomeState.REJECTED, False, False),
        ("Error for Property=revoked_by: x", OutcomeState.REJECTED, False, False),
    ],
)
def test_a_refusal_for_revocation_is_told_from_others(words, state, withdrawn, expected):
    object_ = OutgoingObject("indicator--1", "p", b"{}", revoked=withdrawn)
    assert Outcome(object_, state, words).refused_as_revoked is expected


# --- the workspace's own count -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "live", "known", "words"),
    [
        (1000, 1000, 1000, ""),
        (900, 1000, 1500, ""),  # it lags
        (899, 1000, 1500, "it has 899 indicators of this sourcesystem, and by the ledger 1,000 are live there"),
        (0, 20, 20, ""),
        (0, 21, 21, "it has 0 indicators of this sourcesystem, and by the ledger 21 are live there"),
        (1650, 1000, 1500, ""),  # what is revoked or has expired counts there too
        (1651, 1000, 1500, "it has 1,651 indicators of this sourcesystem, and the ledger knows of 1,500"),
        (21, 0, 0, "it has 21 indicators of this sourcesystem, and the ledger knows of 0"),
    ],
)
def test_how_far_the_counts_may_be_apart(there, live, known, words):
    assert difference(there, live, known) == words


def test_a_full_run_notices_a_workspace_that_was_emptied(make_site):
    site = make_site(**NAMES)
    load(site, events=1, attributes=30)
    assert site.run().warnings == []
    site.azure.remove(site.azure.live())
    assert later(site).warnings == [], "it is asked in full runs only"
    report = later(site, full=True)
    (warning,) = report.warnings
    assert warning.startswith(f"{DIFFER}0 indicators of this sourcesystem, and by the ledger 30 are live there.")
    assert report.exit_code == 0


def test_what_nobody_answered_for_is_no_difference(make_site):
    site = make_site(**NAMES)
    load(site, events=1, attributes=30)
    site.azure.faults.add(Fault(UPLOAD, "reset-before", times=None))
    assert site.run().exit_code
    site.azure.faults.clear()
    report = later(site, full=True)
    assert (report.warnings, len(site.live())) == ([], 30)


def test_a_full_run_notices_an_older_ledger(make_site):
    site = make_site(**NAMES)
    load(site, events=1, attributes=3)
    site.run()
    backup(site)
    load(site, events=9)
    later(site)
    assert later(site, full=True).warnings == []
    restore(site)
    (warning,) = later(site, full=True).warnings
    assert warning.startswith(f"{DIFFER}27 indicators of this sourcesystem, and the ledger knows of 3.")


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 403},
        {"kind": "status", "status": 500},
        {"kind": "reset-before"},
        {"kind": "body", "body": {"count": "many"}},
        {"kind": "body", "body": {"count": -1}},
        {"kind": "body", "body": [7]},
    ],
)
def test_a_workspace_that_does_not_say_what_it_has_costs_nothing(make_site, fault, caplog):
    site = make_site(**NAMES)
    load(site)
    site.run()
    site.azure.faults.add(Fault(COUNT, times=None, **fault))
    report = later(site, full=True)
    assert (report.exit_code, report.warnings) == (0, [])
    assert "The workspace does not say what it has" in caplog.text


@pytest.mark.parametrize(("names", "changes"), [({}, {}), (NAMES, {"dry_run": True})])
def test_without_the_names_and_in_a_dry_run_nobody_asks(make_site, names, changes):
    site = make_site(**names)
    load(site)
    site.run()
    site.settings = site.settings.model_copy(update=changes)
    with mock.patch("helpers.sync.sending.delivery.ManagementApi", side_effect=AssertionError):
        assert later(site, full=True).exit_code == 0
        assert later(site).exit_code == 0
