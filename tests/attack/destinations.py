"""Two destinations, one of them behind a service that answers oddly: the other has everything, in each run."""

from __future__ import annotations

import json

from helpers.sync.destination import RunOptions
from sandbox.azure.app import AzureState
from sandbox.misp.app import MispState
from tests.attack.answers import COMMON, OddSandbox
from tests.attack.outcome import FAULT, LOST
from tests.attack.site import FILTERS, START, Watch, flagged, hurried
from tests.support import FakeTime, hosts, misp_event
from tests.support.tls_site import TlsSite

EVENTS, ATTRIBUTES, SECONDS = 4, 5, 60
GOOD, BAD = (f"33333333-3333-4333-8333-{number:012d}" for number in range(2))
CLIENT = "22222222-2222-4222-8222-000000000009"
LIMITS = {"MAX_WITHDRAW_PERCENT": "100"}


def attack(outcome, chance, size, place):
    """Edit, run against an odd answer for one of the two, run well, as often as is asked for."""
    time = FakeTime(START)
    with hurried(), OddSandbox(AzureState(clock=time.now), MispState(clock=time.now)) as box:
        box.azure.other_clients = {CLIENT}
        for workspace in (GOOD, BAD):
            box.azure.add_workspace(workspace)
        box.misp.load(misp_event(n, hosts(ATTRIBUTES, f"e{n}h")) for n in range(1, EVENTS + 1))
        both = Both(outcome, box, TlsSite(box, time, place))
        both.run("before")
        for number, odd in enumerate(chance.choices(COMMON, k=size)):
            both.one_answers_oddly(odd, chance, number)


class Both:
    """A site with two workspaces under two app registrations."""

    def __init__(self, outcome, box, site):
        self.outcome, self.box, self.site = outcome, box, site
        tenants = [self._tenant("good", GOOD, box.azure.client_id), self._tenant("bad", BAD, CLIENT)]
        self.settings = {"MS_TENANTS": json.dumps(tenants), **FILTERS, **LIMITS}
        self.watches = {GOOD: Watch(), BAD: Watch()}

    def _tenant(self, name, workspace, client):
        secret, tenant = self.box.azure.client_secret, self.box.azure.tenant
        return {"name": name, "tenantId": tenant, "id": client, "secret": secret, "workspaceId": workspace}

    def one_answers_oddly(self, odd, chance, number):
        """The good one is complete at once, the other one with the next run."""
        what = f"{number}: {odd.name}"
        event = self.box.misp.event(misp_event(chance.randint(1, EVENTS))["uuid"])
        attribute = chance.choice(event["Attribute"])
        self.box.misp.edit_attribute(event["uuid"], attribute["uuid"], value=f"edit{number}.example.org")
        self.box.misp.publish(event["uuid"])
        self.box.azure_server.odd = lambda path: odd if BAD in path else None
        codes = self.run(what)
        if codes.get("good") != 0:
            self.outcome.note(LOST, f"{what}: the good destination ended with {codes}")
        self._compare(GOOD, what)
        self.box.azure_server.odd = None
        self.run(f"{what}, then well", retry_rejected=True)
        for workspace in (GOOD, BAD):
            self._compare(workspace, f"{what}, then well")

    def run(self, what, **options):
        """Run both; the exit code of each."""
        reports = []

        def call():
            reports.append(self.site.run(RunOptions(**options), **self.settings))
            return reports[0].exit_code

        code = self.outcome.attempt(what, call, SECONDS)
        parts = {part.name: part.exit_code for report in reports for part in report.parts}
        if 70 in parts.values() and code != 70:
            self.outcome.note(FAULT, f"{what}: {parts}")
        return parts

    def _compare(self, workspace, what):
        live, objects = self.box.azure.live(workspace), self.box.azure.objects(workspace)
        self.watches[workspace].compare(self.outcome, what, live, objects, flagged(self.box.misp.events()), frozenset())
