"""``kill -9`` in the middle of a run, then one clean run: nothing is lost, stale, or sent twice without need.

The process is killed when its n-th request has reached MISP or Microsoft, before or after that one is
processed. ``docs/performance.md`` has the command for more of both, which takes its time.
"""

from __future__ import annotations

import os

import pytest

from helpers.microsoft.request_manager import WORKERS
from tests.support.examples import examples
from tests.support.postgres import postgres_server, postgres_url
from tests.sync.cut_off.kill_trial import Trial, When, moments, sandbox

__all__ = ["postgres_server", "postgres_url"]
MOMENTS = int(os.environ.get("KILL_MOMENTS") or examples(16))
INDICATORS = int(os.environ.get("KILL_INDICATORS", "1000"))
BATCH = max(20, INDICATORS // 50)


def new_trial(box, place, state_url=""):
    return Trial(box, place, state_url, indicators=INDICATORS, batch=BATCH)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """How many requests a first and a later run make to either service."""
    with sandbox() as box:
        trial = new_trial(box, tmp_path_factory.mktemp("counted"))
        counts = {}
        for later in (False, True):
            trial.count()
            assert trial.phase("clean") == 0
            counts[later] = trial.requests
            trial.edit()
        return counts


def killed_and_run_again(when, expected, place, state_url=""):
    """Kill a run, run again to the end; what came of it."""
    with sandbox() as box:
        trial = new_trial(box, place, state_url)
        if when.later:
            assert trial.phase("before") == 0
            trial.edit()
        trial.order(when, expected[when.later])
        assert trial.phase("killed") == -9, f"not killed: {when}, {trial.requests}"
        assert trial.said_wrongly() == []
        trial.count()
        assert trial.phase("clean") == 0
        assert not box.azure.wrong
        return trial.verdict()


@pytest.mark.parametrize("when", moments(MOMENTS), ids=str)
def test_killed_at_any_moment(when, expected, tmp_path):
    lost, stale, twice = killed_and_run_again(when, expected, tmp_path)
    print(f"{when}: {lost} lost, {stale} stale, {twice} sent twice")
    assert (lost, stale) == (0, 0)
    assert twice <= WORKERS * BATCH


@pytest.mark.parametrize("when", [When(False, 0.6, False, True), When(True, 0.5, False, True)], ids=["first", "later"])
def test_killed_with_a_ledger_in_postgresql(when, expected, tmp_path, postgres_url):
    lost, stale, twice = killed_and_run_again(when, expected, tmp_path, postgres_url)
    assert (lost, stale) == (0, 0)
    assert twice <= WORKERS * BATCH


SMALL = {
    "/servers/getVersion",
    "/users/view/me",
    "/attributes/describeTypes.json",
    "/events/index",
}


def asked(box, since):
    """What MISP was asked beyond who asks and the minimal index."""
    return [body for _, path, body in box.misp.requests[since:] if path not in SMALL]


def test_a_second_run_asks_little_and_sends_nothing(tmp_path):
    with sandbox() as box:
        trial = new_trial(box, tmp_path)
        assert trial.phase("first") == 0
        uploads, before = len(box.azure.uploads), len(box.misp.requests)
        assert trial.phase("second") == 0
        assert len(box.azure.uploads) == uploads
        assert [(body["metadata"], body["excludeGalaxy"]) for body in asked(box, before)] == [(True, True)]


def test_one_changed_attribute_is_one_upload_of_one_object(tmp_path):
    with sandbox() as box:
        trial = new_trial(box, tmp_path)
        assert trial.phase("first") == 0
        uploads, before = len(box.azure.uploads), len(box.misp.requests)
        event = next(box.misp.events())
        box.misp.edit_attribute(event["uuid"], event["Attribute"][3]["uuid"], comment="seen again")
        box.misp.publish(event["uuid"])
        assert trial.phase("second") == 0
        assert [upload["kinds"]["indicator"] for upload in box.azure.uploads[uploads:]] == [1]
        read = [body["eventid"] for body in asked(box, before) if not body.get("metadata")]
        assert read == [[event["id"]]]
