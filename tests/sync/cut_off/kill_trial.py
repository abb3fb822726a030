"""A run that ``kill -9`` ends when its n-th request has arrived, against the sandbox, and what came of it."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass

import sqlalchemy as sql

from helpers.ledger import Ledger, ObjectRecord
from helpers.ledger.tables import OBJECTS
from sandbox.azure.app import AzureState
from sandbox.faults import Fault
from sandbox.misp.app import MispState
from sandbox.serve import Sandbox
from tests.support import hosts, misp_event
from tests.support.processes import Host

EVENTS = 20


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
    """One sandbox, one host and its runs, with so many indicators, sent so many at once."""

    def __init__(self, box, place, state_url="", *, indicators, batch):
        self.box = box
        self.ledger_url = state_url or f"sqlite:///{place / 'ledger.sqlite'}"
        self.host = Host(box, place, state_url, MS_MAX_INDICATORS_REQUEST=str(batch), MISP_EVENT_LIMIT_PER_PAGE="2")
        per_event = indicators // EVENTS
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

        def kill():
            self.host.kill()
            return not when.processed

        self.at(when, expected, kill)

    def at(self, when, expected, act):
        """Do something at the request that the moment names; what it gives says whether that one is broken off."""
        self._counted.clear()
        service = "misp" if when.of_misp else "azure"
        last = 1 + int(when.share * (expected[service] - 1))
        self._order(lambda name: name == service and self._counted[name] == last and act())

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

    def said_wrongly(self):
        """What Azure took and the ledger calls not taken, and what is live there and the ledger denies."""
        with closing(Ledger(self.ledger_url, self.box.azure.workspace_id, "MISP", dry=True)) as ledger:
            known = {record.id: record for record in ledger.search(OBJECTS, ObjectRecord, sql.true())}
        now = int(time.time())
        there = {id_: record for id_, record in known.items() if id_ in self.box.azure.objects()}
        taken = [id_ for id_ in there if known[id_].not_taken and self._has(known[id_])]
        return taken + [id_ for id_ in self.box.azure.live() if not known[id_].is_in_sentinel(now)]

    def _has(self, record):
        there = self.box.azure.objects()[record.id]
        return bool(there.get("revoked")) if record.leaving else there["modified"] == record.indicator["modified"]

    def verdict(self):
        """Lost, stale and sent twice."""
        live = sorted(indicator["pattern"] for indicator in self.box.azure.live().values())
        killed, clean = self.box.azure.ids("killed"), self.box.azure.ids("clean")
        twice = sum((killed & clean).values()) + sum(n - 1 for n in (*killed.values(), *clean.values()))
        lost, stale = Counter(self.wanted()) - Counter(live), Counter(live) - Counter(self.wanted())
        return sum(lost.values()), sum(stale.values()), twice


def sandbox():
    return Sandbox(Recorder(), MispState())
