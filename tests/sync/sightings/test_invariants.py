"""Whatever order alerts, late rows, runs, faults and deaths come in: no day of an attribute is sighted twice.

MACHINE_SEQUENCES=2000 pytest tests/sync/sightings/test_invariants.py tries so many random sequences.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from helpers.ledger import SightingStage
from sandbox.faults import Fault
from tests.support.examples import examples
from tests.support.postgres import postgres_server
from tests.sync.sightings.site import DAY, HOUR, TI_MAP, Site

__all__ = ["postgres_server"]
SEQUENCES = int(os.environ.get("MACHINE_SEQUENCES") or examples(100))
HOSTS = 3
ADD, SEARCH = "/sightings/add", "/sightings/restSearch"
SETTLED = {SightingStage.WRITTEN, SightingStage.THERE, SightingStage.REFUSED, SightingStage.LEFT_OUT}
WHICH = st.integers(0, HOSTS - 1)
AGES = st.sampled_from([0, 0, 60, 5 * HOUR, 20 * HOUR, 30 * HOUR])
FAULTS = st.sampled_from(
    [
        ("misp", {"path": ADD, "kind": "reset-after"}),
        ("misp", {"path": ADD, "kind": "reset-before"}),
        ("misp", {"path": ADD, "kind": "truncate", "times": 2}),
        ("misp", {"path": ADD, "kind": "status", "times": 3}),
        ("misp", {"path": SEARCH, "kind": "status", "times": 4}),
        ("azure", {"path": "/api/query", "kind": "status", "status": 403}),
        ("azure", {"path": "/api/query", "kind": "reset-after"}),
        ("azure", {"path": "/api/query", "kind": "truncate"}),
    ]
)


class Machine(RuleBasedStateMachine):
    """Alerts come, attributes leave and come back, readings go well, badly or not to their end."""

    deduplicate = "attribute"

    def __init__(self, state_url=""):
        super().__init__()
        self.state_url = state_url
        self.place = Path(tempfile.mkdtemp(prefix="sightings-"))
        self.named = set()
        self.backup = None

    def teardown(self):
        shutil.rmtree(self.place, ignore_errors=True)

    @initialize()
    def open(self):
        self.site = Site(self.place, count=HOSTS, STATE_URL=self.state_url, DEDUPLICATE=self.deduplicate)
        self.site.run()
        self.ids = [self.site.indicator(number) for number in range(HOSTS)]
        self.site.seconds += HOUR

    @rule(which=st.lists(WHICH, min_size=1, max_size=3), by_id=st.booleans(), age=AGES, late=AGES)
    def alert(self, which, by_id, age, late):
        """An alert whose event was so long ago; its row is late, and no later than the overlap allows for."""
        now = self.site.seconds
        values = [("dns", f"host{number}.example.org") for number in which]
        named = {"indicators": [self.ids[number] for number in which]} if by_id else {"entities": values}
        start, generated = now - age, now - min(late, HOUR - 60)
        alert = self.site.azure.add_alert(TI_MAP, **named, start=start, generated=generated)
        self.named |= {(alert, self.site.attribute(number)) for number in which}

    @rule(seconds=st.sampled_from([60, 1800, 12 * HOUR, 40 * HOUR]))
    def wait(self, seconds):
        self.site.seconds += seconds

    @rule(which=WHICH)
    def flag(self, which):
        """An attribute leaves Sentinel, or comes back."""
        event = next(iter(self.site.misp.events()))
        attribute = event["Attribute"][which]
        self.site.misp.edit_attribute(event["uuid"], attribute["uuid"], to_ids=not attribute["to_ids"])
        self.site.misp.publish(event["uuid"])

    @rule()
    def run(self):
        self.site.run()

    @rule(since=st.sampled_from([0, 0, HOUR, 3 * DAY]))
    def sightings(self, since):
        self.site.sightings(since)

    @rule(step=st.integers(1, 30))
    def dies(self, step):
        self.site.sightings(last_step=step)

    @rule(fault=FAULTS)
    def fails(self, fault):
        where, kind = fault
        faults = (self.site.misp if where == "misp" else self.site.azure).faults
        faults.add(Fault(**kind))
        self.site.sightings()
        faults.clear()

    @rule()
    def dry_run(self):
        before = self.site.written()
        self.site.sightings(dry_run=True)
        assert self.site.written() == before

    @rule()
    def save_or_restore(self):
        """The ledger's file goes back to how it was, as from a backup; what MISP has stays."""
        if self.state_url:
            return
        files = list(self.site.settings.state_path.glob("ledger.sqlite*"))
        if self.backup is None:
            self.backup = {path: path.read_bytes() for path in files}
            return
        for path in files:
            path.unlink()
        for path, content in self.backup.items():
            path.write_bytes(content)
        self.backup = None

    @rule()
    def clean_reading(self):
        """All that was named within the window is in one of the named states, and nothing is in between."""
        self.site.seconds += 1  # a window ends before what is written in this second
        self.site.sightings(since=14 * DAY)
        report = self.site.sightings()
        assert (report.exit_code, report.waiting, report.in_doubt) == (0, 0, 0)
        with self.site.ledger() as known:
            matched = known.known_matches({alert for alert, _ in self.named})
            led_to = known.of_alerts({alert for alert, _ in self.named})
        recent = {(alert, attribute) for alert, attribute in self.named if self._is_recent(alert) and alert in led_to}
        assert {(alert, attribute) for alert in matched for attribute in matched[alert]} >= recent
        assert {record.stage for records in led_to.values() for record in records} <= SETTLED
        expected = {alert for alert, _ in self.named if self._is_recent(alert)}
        assert led_to.keys() >= expected

    def _is_recent(self, alert):
        rows = [row for row in self.site.azure.alerts[self.site.azure.workspace_id] if row["SystemAlertId"] == alert]
        return all(self.site.seconds - row["TimeGenerated"].timestamp() < 13 * DAY for row in rows)

    @invariant()
    def nothing_is_there_twice(self):
        if hasattr(self, "site"):
            twice = {name: count for name, count in self.site.written().items() if count > 1 and name[2] == "0"}
            assert not twice


class ByValue(Machine):
    """The same where attributes share indicators."""

    deduplicate = "value"


SLOW = settings(
    max_examples=SEQUENCES,
    stateful_step_count=20,
    deadline=None,
    derandomize="MACHINE_SEQUENCES" not in os.environ,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("machine", [Machine, ByValue])
def test_no_day_of_an_attribute_is_sighted_twice(machine):
    run_state_machine_as_test(machine, settings=SLOW)


def test_nor_where_the_ledger_is_on_postgresql(postgres_server):
    few = settings(SLOW, max_examples=max(1, SEQUENCES // 10))
    run_state_machine_as_test(lambda: Machine(postgres_server.new()), settings=few)
