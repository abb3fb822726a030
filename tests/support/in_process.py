"""Whole runs of the real code against the sandbox, in one process, that can die at any step.

A thread of its own reads MISP one page ahead; the same run need not die at the same step twice.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from unittest import mock

import requests

from helpers.ledger.store import Ledger
from helpers.microsoft.client import MicrosoftClient
from helpers.microsoft.request_manager import RequestManager
from helpers.process.log import silence_libraries
from helpers.settings import load
from helpers.sync.destination import RunOptions
from helpers.sync.run import make_state_dir, run
from helpers.sync.sending import delivery
from sandbox.azure.app import AzureState
from sandbox.azure.app import create_app as azure_app
from sandbox.misp.app import MispState
from sandbox.misp.app import create_app as misp_app
from tests.support import FakeTime, WsgiAdapter, environ_for

UPLOAD_PATH = "threat-intelligence-stix-objects:upload"


class Killed(BaseException):
    """What a run dies of; nothing of the program's catches it."""


class Life:
    """Counts the steps of a run, and ends it at the one that is to be the last."""

    def __init__(self):
        self.steps = 0
        self.last = None

    def begin(self, last=None):
        self.steps, self.last = 0, last

    def step(self, *_):
        """Pass a point where the process may die; a dead one does nothing any more."""
        self.steps += 1
        if self.last is not None and self.steps >= self.last:
            raise Killed


class MortalLedger(Ledger):
    """A ledger in front of and after each transaction of which the process may die."""

    life = Life()

    @contextmanager
    def _transaction(self):
        self.life.step()
        with super()._transaction() as connection:
            yield connection
        self.life.step()


class Line(WsgiAdapter):
    """Carries requests to an app; the process may die before and after each."""

    def __init__(self, app, life):
        super().__init__(app, before=life.step)
        self._life = life
        self.last_headers = {}

    def send(self, request, **options):
        response = super().send(request, **options)
        self.last_headers = response.headers
        self._life.step()
        return response


class StrictAzure(AzureState):
    """An Azure that notes what must never happen: a revoked id that is sent again, an id with two patterns."""

    def __init__(self, clock):
        super().__init__(clock)
        self.requests_per_minute = 1_000_000
        self.patterns = {}
        self.wrong = []

    def store(self, workspace_id, sourcesystem, object_):
        refusal = super().store(workspace_id, sourcesystem, object_)
        key = (workspace_id, sourcesystem, object_["id"])
        if refusal:
            self.wrong.append(f"{object_['id']}: {refusal}")
        pattern = object_.get("pattern", "")
        if self.patterns.setdefault(key, pattern) != pattern:
            self.wrong.append(f"{object_['id']} was {self.patterns[key]} and is {pattern}")
        return refusal


class OneProcess:
    """A site with its MISP, its Azure and a clock, all in this process. ``seconds`` is what time it is."""

    def __init__(self, state, start, **settings):
        self.seconds = start
        self.life = Life()
        self.misp = MispState(clock=lambda: self.seconds)
        self.azure = StrictAzure(lambda: self.seconds)
        self.waiting = FakeTime()
        self._config = state / "config.py"
        self._config.write_text("")
        self._environ = environ_for(self.azure, MISP2SENTINEL_STATE_DIR=str(state))
        self._environ |= {"MISP2SENTINEL_MISP_KEY": self.misp.key}
        self.configure(**settings)
        make_state_dir(self.settings)
        silence_libraries()
        self._misp_line = Line(misp_app(self.misp), self.life)
        self._azure_line = Line(azure_app(self.azure), self.life)

    def configure(self, **settings):
        """Have these settings, and those that there are already."""
        self._environ |= {f"MISP2SENTINEL_{name}": value for name, value in settings.items()}
        self.settings = load(self._config, self._environ).settings

    def run(self, *, last_step=None, **options):
        """Run once; the report, or None where the run died at its last step."""
        self.life.begin(last_step)
        with self.patched():
            try:
                chosen = RunOptions(**options)
                return run(self.settings, chosen, clock=self.waiting.clock, now=lambda: self.seconds)
            except Killed:
                return None

    @contextmanager
    def patched(self):
        """Everything that reaches out, does so within this process."""
        with ExitStack() as stack:
            for patch in self._patches():
                stack.enter_context(patch)
            yield

    @property
    def client(self):
        """What makes a MicrosoftClient whose requests stay in this process."""
        http = requests.Session()
        http.trust_env = False
        http.mount("https://", self._azure_line)
        return partial(MicrosoftClient, http=http)

    def live(self):
        """What Sentinel matches now: neither revoked nor expired."""
        now = self.azure.now_text().replace(" ", "T")
        return {key: indicator for key, indicator in self.azure.live().items() if indicator["valid_until"] > now}

    def _patches(self):
        yield mock.patch.object(MortalLedger, "life", self.life)
        yield mock.patch("helpers.sync.run.Ledger", MortalLedger)
        # The reader does the uploading itself, so that every run goes the same way.
        yield mock.patch.object(delivery, "RequestManager", partial(RequestManager, workers=0))
        yield mock.patch.object(delivery, "MicrosoftClient", self.client)
        yield mock.patch("helpers.misp.client.PinnedHttpAdapter", lambda *_: self._misp_line)
