"""Hostile events come, change and go beside events that matter, run after run, some of them cut off in the middle."""

from __future__ import annotations

from tests.attack.outcome import TAKEN
from tests.attack.site import HostileSite, Watch, flagged, pair
from tests.attack.tricks import trick
from tests.support import misp_event
from tests.support.what_misp_wants import PATTERNS

VICTIMS, ROUNDS, STAY = 6, 8, 25


def attack(outcome, chance, size, place):
    """Half of the events where each attribute has an object of its own, half where values share one."""
    for deduplicate in ("attribute", "value"):
        folder = place / deduplicate
        folder.mkdir()
        Rounds(outcome, chance, HostileSite(folder, DEDUPLICATE=deduplicate), deduplicate).play(size // 2)


class Rounds:
    """A site, its good events, and the hostile ones that are there now, by UUID."""

    def __init__(self, outcome, chance, site, name):
        self.outcome, self.chance, self.site, self.name = outcome, chance, site, name
        self.hostile, self.past = {}, {}
        if name == "value":
            site.watch = Watch(by_value=True)
        values = [
            ("domain", "owner{}.example.org"),
            ("ip-dst", "198.51.100.{}"),
            ("domain|ip", "both{0}.example.org|192.0.2.{0}"),
        ]
        site.misp.load(misp_event(n, [(kind, text.format(n)) for kind, text in values]) for n in range(1, VICTIMS + 1))
        self.good = [event["uuid"] for event in site.misp.events()]

    def play(self, size):
        """Let so many hostile events come, in rounds; then all is put right again, and must be as if alone."""
        self._run("before")
        for number in range(ROUNDS):
            self._come(range(size * number // ROUNDS, size * (number + 1) // ROUNDS))
            self._edit()
            if self.chance.randrange(3) == 0:
                self._cut_off(number)
            self._run(f"round {number}", full=self.chance.randrange(3) == 0)
            self._go(STAY)
        self._truth()
        self._run("truth", full=True)
        self._go(0)
        self._run("gone")
        self._run("gone, full", full=True)

    def _come(self, numbers):
        members = [attribute for uuid in self.good for attribute in self.site.misp.event(uuid)["Attribute"]]
        self.outcome.begin(f"{self.name}: events {numbers}", len(numbers))
        for number in numbers:
            self._put(trick(self.chance, 1000 + number, members))
        for uuid in self.chance.sample(sorted(self.hostile), len(self.hostile) // 4):
            self._put(trick(self.chance, int(uuid[-12:]), members))

    def _put(self, hostile):
        """Let MISP have an event, in the place of one that had its UUID."""
        uuid = hostile.event["uuid"]
        # Of an event that is damaged nothing leaves: what it had before may stay.
        before = self._strange(uuid) if uuid in self.hostile and hostile.twist else set()
        self.site.misp.load([hostile.event | {"timestamp": str(self.site.seconds)}])
        self.site.misp.publish(uuid)
        self.hostile[uuid], self.past[uuid] = hostile, before
        self.site.twists.pop(uuid, None)
        if hostile.twist:
            self.site.twists[uuid] = hostile.twist

    def _edit(self):
        """Take attributes of the good events back, or let them return."""
        for uuid in self.chance.sample(self.good, len(self.good) // 2):
            attribute = self.chance.choice(self.site.misp.event(uuid)["Attribute"])
            self.site.misp.edit_attribute(uuid, attribute["uuid"], to_ids=not attribute["to_ids"])
            self.site.misp.publish(uuid)

    def _go(self, stay):
        """Delete hostile events until so many are left."""
        for uuid in self.chance.sample(sorted(self.hostile), max(0, len(self.hostile) - stay)):
            self.site.misp.delete(uuid)
            self.hostile.pop(uuid)
            self.site.twists.pop(uuid, None)

    def _truth(self):
        """MISP shows all events as they are."""
        self.site.twists.clear()
        for uuid, hostile in self.hostile.items():
            self.site.misp.event(uuid)["timestamp"] = str(self.site.seconds)
            self.site.misp.publish(uuid)
            hostile.good, self.past[uuid] = max(hostile.good, 1), set()

    def _cut_off(self, number):
        step = self.chance.randint(1, 120)
        self.site.seconds += 60
        self.outcome.attempt(f"{self.name}: cut off {number}", lambda: _code(self.site.run(last_step=step)), 60)

    def _run(self, what, **options):
        what = f"{self.name}: {what}"
        self.site.attempt(self.outcome, what, **options)
        self.site.compare(self.outcome, what, self._wanted(), self._allowed())
        if self.name == "attribute":
            self._compare_texts(what)

    def _wanted(self):
        wanted = flagged(map(self.site.misp.event, self.good))
        return wanted.union(*(hostile.wanted for hostile in self.hostile.values()))

    def _allowed(self):
        strange = set().union(*map(self._strange, self.hostile))
        return {pair(object_) for object_ in self.site.live().values() if pair(object_)[0] in strange}

    def _strange(self, uuid):
        """The attributes of a hostile event of which anything may be live."""
        return self.hostile[uuid].attributes | self.past[uuid]

    def _compare_texts(self, what):
        """What several events want with one UUID says what the event with the lowest UUID says."""
        owners = {}
        for event in sorted(self.site.misp.events(), key=lambda event: event["uuid"], reverse=True):
            if event["uuid"] not in self.site.twists:
                owners |= dict.fromkeys(self._asked(event), event["info"])
        victims = {attribute["uuid"] for uuid in self.good for attribute in self.site.misp.event(uuid)["Attribute"]}
        for id_, object_ in self.site.live().items():
            expected = owners.get(pair(object_)) if pair(object_)[0] in victims else None
            if expected and object_["name"] != expected:
                self.outcome.note(TAKEN, f"{what}: {id_} of {expected!r} says {object_['name']!r}")

    def _asked(self, event):
        """What an event asks for of what the victims are."""
        known = [attribute for attribute in event["Attribute"] if attribute["type"] in PATTERNS]
        return flagged([event | {"Attribute": known}])


def _code(report):
    return report.exit_code if report else 0
