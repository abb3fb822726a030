"""A site whose Azure has alerts and whose MISP takes sightings, all in this process."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from unittest import mock

from helpers.ledger import Ledger, SightingLedger
from helpers.microsoft.reading import logs_api
from helpers.sync import SightingOptions, run_sightings
from sandbox.azure.app import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE_NAME
from tests.support import hosts, misp_event
from tests.support.in_process import Killed, MortalLedger, OneProcess

START = 1_790_000_100
HOUR, DAY = 3600, 86_400
NAMES = {"SUBSCRIPTION_ID": SUBSCRIPTION, "RESOURCEGROUPNAME": RESOURCE_GROUP, "WORKSPACENAME": WORKSPACE_NAME}
SOURCE = f"Microsoft Sentinel {WORKSPACE_NAME}"
TI_MAP = "TI map Domain entity to DnsEvents"
MANAGEMENT = "https://management.example.org"


class Site(OneProcess):
    """One event with some domains is loaded; ``sightings`` is the command."""

    def __init__(self, place, count=4, **settings):
        names = {f"MS_AUTH__{name}": value for name, value in NAMES.items()}
        super().__init__(
            place,
            START,
            **{"MISP_EVENT_FILTERS": '{"published": 1}', "MS_ENDPOINTS__MANAGEMENT": MANAGEMENT, **names, **settings},
        )
        if "MISP_SIGHTINGS__API_KEY" not in settings:
            self.configure(MISP_SIGHTINGS__API_KEY=self.misp.add_user("User"))
        self.misp.load([misp_event(1, hosts(count), distribution="3")])

    def sightings(self, since=0, *, workspace="", dry_run=False, line=None, last_step=None):
        """Read alerts and write sightings; the report, or None where the process died at its last step."""
        self.life.begin(last_step)
        settings = self.settings.model_copy(update={"dry_run": dry_run})
        with self.patched():
            try:
                return run_sightings(
                    settings,
                    SightingOptions(since, workspace),
                    line=line,
                    clock=self.waiting.clock,
                    now=lambda: self.seconds,
                )
            except Killed:
                return None

    @contextmanager
    def patched(self):
        with super().patched(), ExitStack() as stack:
            stack.enter_context(mock.patch("helpers.sync.sightings.run.Ledger", MortalLedger))
            stack.enter_context(mock.patch.object(logs_api, "MicrosoftClient", self.client))
            yield

    def alert(self, *rule, **named):
        """An alert of now, or as it is said; a minute later it may be read. Its id."""
        alert = self.azure.add_alert(*rule, **named)
        self.seconds += 60
        return alert

    # -- what there is ----------------------------------------------------------------------------

    def attribute(self, number=0):
        """The UUID of an attribute of the event."""
        return next(iter(self.misp.events()))["Attribute"][number]["uuid"]

    def indicator(self, number=0):
        """The id of the indicator of a domain, of whatever life."""
        wanted = f"[domain-name:value = 'host{number}.example.org']"
        return next(id_ for id_, one in self.azure.objects().items() if one["pattern"] == wanted)

    def written(self):
        """What MISP has of us: source, attribute, type and UTC day, each as often as it is there."""
        known = {attribute["id"]: attribute["uuid"] for event in self.misp.events() for attribute in event["Attribute"]}
        return Counter(
            (one["source"], known.get(one["attribute_id"]), one["type"], day_of(int(one["date_sighting"])))
            for one in self.misp.sightings
        )

    def seen(self, *numbers, at=None, kind="0"):
        """What is expected of ``written`` where these attributes were seen once, today or at a moment."""
        day = day_of(self.seconds if at is None else at)
        return Counter((SOURCE, self.attribute(number), kind, day) for number in numbers)

    @contextmanager
    def ledger(self):
        """What the ledger knows of sightings."""
        ledger = Ledger(self.settings.ledger_url, self.settings.workspace_key, self.settings.sourcesystem)
        try:
            yield SightingLedger(ledger)
        finally:
            ledger.close()


def day_of(seconds):
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
