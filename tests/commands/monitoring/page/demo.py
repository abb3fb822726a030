"""Two months of a made-up site, night by night: real runs against the sandbox in one process, the same each time."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from uuid import UUID

from sandbox.faults import Fault
from tests.support.in_process import UPLOAD_PATH, OneProcess

END = int(datetime(2026, 11, 29, 5, 10, tzinfo=UTC).timestamp())
DAY = 86_400
ORGANISATIONS = 6
KINDS = (("domain", 8), ("url", 5), ("ip-dst", 6), ("sha256", 9), ("email-src", 2), ("user-agent", 1), ("comment", 2))
LEVELS = ("tlp:white", "tlp:green", "tlp:green", "tlp:amber", "tlp:amber+strict", "tlp:red")
CONFIDENCES = ("completely-confident", "usually-confident", "fairly-confident", "rarely-confident")


class Demo:
    """The site. Each night brings events, edits and now and then something that goes wrong."""

    def __init__(self, state, nights=60, **settings):
        self.random = random.Random(7)
        self.site = OneProcess(state, END - nights * DAY, MISP_EVENT_FILTERS='{"published": 1}', **settings)
        self._numbers = 0
        self._events = []

    def play(self, nights=60):
        """Let the nights pass, each with its run."""
        for night in range(nights):
            for _ in range(self.random.choice((0, 1, 1, 2, 3)) + (4 if night == 0 else 0)):
                self._publish()
            if night % 5 == 3:
                self._retire()
            if night == nights - 9:
                self.site.azure.faults.add(Fault(UPLOAD_PATH, "status", status=503, times=None))
            if night == nights - 2:
                for event in self._events[-9:-6]:
                    self.site.misp.edit_info(event, "edited, to be published again")
            self.site.seconds += DAY
            self.site.run()
            self.site.azure.faults.clear()

    def _publish(self):
        uuid = self._uuid()
        organisation = min(self.random.randrange(ORGANISATIONS), self.random.randrange(ORGANISATIONS))
        number = self.random.randint(12, 70)
        tags = [self.random.choice(LEVELS), f'misp:confidence-level="{self.random.choice(CONFIDENCES)}"']
        event = {
            "uuid": uuid,
            "info": f"Campaign {self._numbers}",
            "published": True,
            "Orgc": {"name": f"ORG-{organisation}", "uuid": f"9000000{organisation}-0000-4000-8000-000000000001"},
            "Attribute": [self._attribute() for _ in range(number)],
            "Tag": [{"name": name} for name in tags[: self.random.choice((1, 2, 2))]],
            "timestamp": str(self.site.seconds),
            "publish_timestamp": str(self.site.seconds),
            "date": datetime.fromtimestamp(self.site.seconds, UTC).date().isoformat(),
        }
        self.site.misp.load([event])
        self._events.append(uuid)

    def _attribute(self):
        number = self._uuid()
        (kind,) = self.random.choices([name for name, _ in KINDS], [weight for _, weight in KINDS])
        host = f"h{self._numbers}.example.org"
        value = {
            "domain": host,
            "url": f"https://{host}/login",
            "ip-dst": f"{self.random.choice((8, 45, 91, 185))}.{self._numbers >> 8 & 255}.{self._numbers & 255}.9",
            "sha256": f"{self._numbers:064x}",
            "email-src": f"someone@{host}",
            "user-agent": f"Agent/{self._numbers}",
            "comment": f"Note {self._numbers}",
        }[kind]
        flagged = kind != "comment" and self.random.random() > 0.05
        fields = {"uuid": number, "type": kind, "value": value, "to_ids": flagged}
        return {**fields, "category": "Network activity", "timestamp": str(self.site.seconds)}

    def _retire(self):
        """An old event goes."""
        if len(self._events) > 12:
            self.site.misp.delete(self._events.pop(0))

    def _uuid(self):
        self._numbers += 1
        return str(UUID(int=(0x4000 << 64) | (0x8 << 60) | self._numbers | (0xA << 100)))
