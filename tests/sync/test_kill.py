"""``kill -9`` in the middle of a run, then one clean run: nothing is lost, stale, or sent twice without need.

The process is killed when its n-th request has reached MISP or Microsoft, before or after that one is
processed. ``docs/performance.md`` has the command for more of both, which takes its time.
"""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from dataclasses import dataclass

import pytest

from helpers.microsoft.request_manager import WORKERS
from sandbox.azure.app import AzureState
from sandbox.faults import Fault
from sandbox.misp.app import MispState
from sandbox.serve import Sandbox
from tests.support import hosts, misp_event
from tests.support.examples import examples
from tests.support.postgres import postgres_server, postgres_url
from tests.support.processes import Host

__all__ = ["postgres_server", "postgres_url"]
MOMENTS = int(os.environ.get("KILL_MOMENTS") or examples(16))
INDICATORS = int(os.environ.get("KILL_INDICATORS", "1000"))
BATCH = max(20, INDICATORS // 50)
EVENTS = 20
START = 1_790_100_000


@dataclass(frozen=True)
class When:
    """The moment of death: in a first or a later run, at which request to whom, processed or not."""

    later: bool
    share: float
    of_misp: bool
    processed: bool

    def __str__(self):
        """How the moment is named."""
        which = "later" if self.later else "first"
        return f"{which}-{self.share:.2f}-{'misp' if self.of_misp else 'azure'}{'-processed' * self.processed}"


def moments(count, seed=3):
    """So many moments, spread over the run."""
    chance = random.Random(seed)
    return [
        When(bool(number % 2), chance.random(), chance.random() < 0.3, chance.random() < 0.5) for number in range(count)
    ]


class Recorder(AzureState):
    """An Azure that remembers who was sent when: before, killed, clean."""

    def __init__(self):
        super().__init__()
        self.requests_per_minute = 1_000_000
        self.phase = ""
        self.sent = []
        self.wrong = []

    def store(self, workspace_id, sourcesystem, object_):
        refusal = super().store(workspace_id, sourcesystem, object_)
        self.sent.append((self.phase, object_["id"], bool(object_.get("revoked"))))
        self.wrong += [refusal] if refusal else []
        return refusal

    def ids(self, phase):
        return Counter((id_, revoked) for when, id_, revoked in self.sent if when == phase)


class Trial:
    """One sandbox, one host and its runs."""

    def __init__(self, box, place, state_url=""):
        self.box = box
        self.host = Host(box, place, state_url, MS_MAX_INDICATORS_REQUEST=str(BATCH), MISP_EVENT_LIMIT_PER_PAGE="2")
        per_event = INDICATORS // EVENTS
        box.misp.load(misp_event(number, hosts(per_event, f"e{number}h")) for number in range(1, EVENTS + 1))
        self._counted = Counter()
        self._lock = threading.Lock()

    def phase(self, name):
        """Run to the end, or to the death that was ordered; the exit code."""
        self.box.azure.phase = name
        return self.host.run().returncode

    def edit(self):
        """Take 8 of 100 attributes back, change 8 of 100, add some; publish again."""
        for event in list(self.box.misp.events()):
            members = list(event["Attribute"])
            few = max(1, len(members) * 8 // 100)
            for attribute in members[:few]:
                self.box.misp.edit_attribute(event["uuid"], attribute["uuid"], to_ids=False)
            for attribute in members[few : 2 * few]:
                self.box.misp.edit_attribute(event["uuid"], attribute["uuid"], value=f"new-{attribute['value']}")
            for attribute in members[2 * few : len(members) // 2]:
                self.box.misp.edit_attribute(event["uuid"], attribute["uuid"], comment="seen again")
            self.box.misp.publish(event["uuid"])

    def count(self):
        """Count the requests of a run from now on, by service."""
        self._counted.clear()
        self._order(lambda _: False)

    def order(self, when, expected):
        """Kill the process at the request that the moment names."""
        self._counted.clear()
        service = "misp" if when.of_misp else "azure"
        last = 1 + int(when.share * (expected[service] - 1))

        def reached(name):
            if name != service or self._counted[name] != last:
                return False
            self.host.kill()
            return not when.processed

        self._order(reached)

    def _order(self, reached):
        for name, state in (("misp", self.box.misp), ("azure", self.box.azure)):
            state.faults.clear()
            state.faults.add(Fault("", "reset-before", times=None, when=self._counting(name, reached)))

    def _counting(self, name, reached):
        def counted(_body):
            with self._lock:
                self._counted[name] += 1
                return reached(name)

        return counted

    @property
    def requests(self):
        return dict(self._counted)

    def wanted(self):
        """The values of all attributes that are flagged."""
        flagged = (
            attribute for event in self.box.misp.events() for attribute in event["Attribute"] if attribute["to_ids"]
        )
        return sorted(f"[domain-name:value = '{attribute['value']}']" for attribute in flagged)

    def verdict(self):
        """Lost, stale and sent twice."""
        live = sorted(indicator["pattern"] for indicator in self.box.azure.live().values())
        killed, clean = self.box.azure.ids("killed"), self.box.azure.ids("clean")
        twice = sum((killed & clean).values()) + sum(n - 1 for n in (*killed.values(), *clean.values()))
        lost, stale = Counter(self.wanted()) - Counter(live), Counter(live) - Counter(self.wanted())
        return sum(lost.values()), sum(stale.values()), twice


def sandbox():
    return Sandbox(Recorder(), MispState())


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """How many requests a first and a later run make to either service."""
    with sandbox() as box:
        trial = Trial(box, tmp_path_factory.mktemp("counted"))
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
        trial = Trial(box, place, state_url)
        if when.later:
            assert trial.phase("before") == 0
            trial.edit()
        trial.order(when, expected[when.later])
        assert trial.phase("killed") == -9, f"not killed: {when}, {trial.requests}"
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
        trial = Trial(box, tmp_path)
        assert trial.phase("first") == 0
        uploads, before = len(box.azure.uploads), len(box.misp.requests)
        assert trial.phase("second") == 0
        assert len(box.azure.uploads) == uploads
        assert [(body["metadata"], body["excludeGalaxy"]) for body in asked(box, before)] == [(True, True)]


def test_one_changed_attribute_is_one_upload_of_one_object(tmp_path):
    with sandbox() as box:
        trial = Trial(box, tmp_path)
        assert trial.phase("first") == 0
        uploads, before = len(box.azure.uploads), len(box.misp.requests)
        event = next(box.misp.events())
        box.misp.edit_attribute(event["uuid"], event["Attribute"][3]["uuid"], comment="seen again")
        box.misp.publish(event["uuid"])
        assert trial.phase("second") == 0
        assert [upload["count"] for upload in box.azure.uploads[uploads:]] == [1]
        read = [body["eventid"] for body in asked(box, before) if not body.get("metadata")]
        assert read == [[event["id"]]]
