"""A site against the sandbox over TLS, whose clock only tests move."""

from __future__ import annotations

from helpers.ledger.store import Ledger
from helpers.settings import load
from helpers.sync.destination import RunOptions
from helpers.sync.run import make_state_dir, run
from sandbox.azure.app import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE_NAME, AzureState
from sandbox.misp.app import MispState
from sandbox.serve import Sandbox
from tests.support import FakeTime, environ_for, misp_event

START = 1_790_100_000
NAMES = {"SUBSCRIPTION_ID": SUBSCRIPTION, "RESOURCEGROUPNAME": RESOURCE_GROUP, "WORKSPACENAME": WORKSPACE_NAME}


def sandbox():
    """A sandbox whose MISP and Azure share one clock; also the clock."""
    time = FakeTime(START)
    return Sandbox(AzureState(clock=time.now), MispState(clock=time.now)), time


class TlsSite:
    """Runs, with the settings that a test gives, and a state directory that it can lose."""

    def __init__(self, box, time, folder):
        self.box, self.time, self.folder = box, time, folder
        self.misp, self.azure = box.misp, box.azure
        self.state = folder / "state"
        self.config = folder / "config.py"
        self.config.write_text("misp_event_filters = {'published': 1, 'enforceWarninglist': True}\n")

    def environ(self, **more):
        endpoints = {f"MS_ENDPOINTS__{name}": self.box.azure_url for name in ("AUTHORITY", "UPLOAD", "MANAGEMENT")}
        own = {
            "MISP_DOMAIN": self.box.misp_url,
            "MISP_KEY": self.misp.key,
            "MISP_VERIFYCERT": self.box.ca_file,
            "MS_VERIFYCERT": self.box.ca_file,
            "STATE_DIR": str(self.state),
            **endpoints,
            **{f"MS_AUTH__{name}": value for name, value in NAMES.items()},
            **more,
        }
        return {**environ_for(self.azure), **{f"MISP2SENTINEL_{name}": value for name, value in own.items()}}

    def settings(self, **more):
        return load(self.config, self.environ(**more)).settings

    def run(self, options=None, **more):
        """Run an hour after whatever was before."""
        self.time.seconds += 3600
        settings = self.settings(**more)
        make_state_dir(settings)
        return run(settings, options or RunOptions(), clock=self.time.clock, now=self.time.now)

    def lose_ledger(self):
        """Go on with a state directory of its own."""
        self.state = self.folder / f"{self.state.name}-again"

    def ledger(self, **more):
        """The ledger, to look into; to be closed."""
        settings = self.settings(**more)
        return Ledger(settings.ledger_url, settings.ms_auth.workspace_id, settings.sourcesystem)

    def keep(self, *indicators, sourcesystem="MISP"):
        """Put objects into Sentinel as somebody else."""
        for indicator in indicators:
            assert self.azure.store(self.azure.workspace_id, sourcesystem, indicator) is None


def event_uuid(number):
    return misp_event(number)["uuid"]


def attribute_uuid(event, position):
    return f"20000000-0000-4000-8000-{event * 1_000_000 + position:012d}"
