"""What should be live at Microsoft, said a second time and without a line of the program.

The program's memory is not looked at. What it may remember of an event is followed here, run by run; after
a run that was cut off there are several possibilities, and the next whole run leaves one of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain

DAY = 86_400
TLP = {"white": "613f2e26", "green": "34098fce", "amber": "f88d31f6", "red": "5e57c739"}
CONFIDENCE = {"usually-confident": 75, "rarely-confident": 25}
PATTERNS = {
    "domain": ["domain-name"],
    "ip-dst": ["ipv4-addr"],
    "domain|ip": ["domain-name", "ipv4-addr"],
}


@dataclass(frozen=True)
class Site:
    """The settings that decide what is wanted; ``window`` is a filter's name and its days."""

    published: bool = True
    warninglists: bool = True
    window: tuple[str, int] | None = None
    moving: bool = False
    days: int = 12
    grace: int = 7
    private: bool = False
    deduplicate: str = "attribute"

    @property
    def filters(self):
        filters = {"tags": {"NOT": ["not-for-us"]}}
        filters |= {"published": 1} if self.published else {}
        filters |= {"enforceWarninglist": 1} if self.warninglists else {}
        return filters | ({self.window[0]: f"{self.window[1]}d"} if self.window else {})


@dataclass(frozen=True)
class Facts:
    """What one attribute asks for with one pattern; ``until`` is where a moving expiry stands."""

    tlp: str
    confidence: int
    labels: frozenset[str]
    comment: str
    until: int
    moving: bool


@dataclass(frozen=True)
class Mark:
    """What is remembered of an event that is known."""

    timestamp: int
    published: bool
    held_since: int | None = None


@dataclass
class Memory:
    """The possibilities of an event: marks (None: not known), and for each key the facts (None: not there)."""

    marks: set[Mark | None] = field(default_factory=lambda: {None})
    holds: dict[tuple[str, str], set[Facts | None]] = field(default_factory=dict)
    unseen: bool = False

    def joined(self, other):
        """Either of two memories."""
        keys = self.holds.keys() | other.holds.keys()
        holds = {key: self.holds.get(key, {None}) | other.holds.get(key, {None}) for key in keys}
        return Memory(self.marks | other.marks, holds, self.unseen or other.unseen)


@dataclass(frozen=True)
class Moment:
    """MISP as a run finds it: whether a key that is no administrator's reads, and what hides from it."""

    site: Site
    now: int
    warninglist: frozenset[str]
    own_organisation: str

    def visible(self, event):
        if event is None:
            return False
        return not self.site.private or event["published"] or event["Orgc"]["uuid"] == self.own_organisation

    def matches(self, event, *, windows):
        """Whether the site's filters find an event that is visible."""
        if self.site.published and not event["published"]:
            return False
        if "not-for-us" in names(event):
            return False
        if not windows or self.site.window is None:
            return True
        name, days = self.site.window
        return int(event[name]) >= self.now - days * DAY

    def after(self, memory, event, organisation):
        """The memory after a run without faults that looked at the event."""
        results = [self._after_mark(memory, mark, event, organisation) for mark in memory.marks]
        joined = results[0]
        for other in results[1:]:
            joined = joined.joined(other)
        return replace(joined, unseen=False)

    def unread(self, memory, event):
        """The memory after a run that saw no reason to read the event: only what moves on has moved."""
        held = {mark is not None and mark.held_since is not None for mark in memory.marks}
        if held == {True} or not self.visible(event) or not self.matches(event, windows=True):
            return memory
        holds = {key: set(map(self._moved_on, facts)) for key, facts in memory.holds.items()}
        moved = replace(memory, holds=holds)
        return moved.joined(memory) if True in held else moved

    def _moved_on(self, facts):
        due = facts is not None and facts.moving and facts.until - self.site.days * DAY // 2 <= self.now
        return replace(facts, until=self.now + self.site.days * DAY) if due else facts

    def _after_mark(self, memory, mark, event, organisation):
        verdict, mark = self._verdict(mark, event, organisation)
        if verdict == "keep":  # of an event that is not known nothing is there
            return Memory({mark}, memory.holds if mark else {})
        if verdict == "leave":
            return Memory({mark}, {})
        return Memory({mark}, self._read(memory.holds, event))

    def _verdict(self, mark, event, organisation):
        """Read, keep or leave; and the mark that comes of it."""
        visible = self.visible(event)
        if mark is None:
            comes = visible and self.matches(event, windows=True)
            return ("read", _mark(event)) if comes else ("keep", None)
        if not visible:
            certain = not self.site.private or organisation == self.own_organisation or not mark.published
            return ("leave", replace(mark, published=False, held_since=None)) if certain else self._held(mark, None)
        if self.site.published and not event["published"]:
            if mark.held_since is None and mark.timestamp == int(event["timestamp"]):
                return ("leave" if mark.published else "keep"), _mark(event)
            return self._held(mark, event)
        return ("read" if self.matches(event, windows=False) else "leave"), _mark(event)

    def _held(self, mark, event):
        since = self.now if mark.held_since is None else mark.held_since
        if self.now - since < self.site.grace * DAY:
            return "keep", replace(mark, held_since=since)
        return "leave", _mark(event) if event else replace(mark, published=False, held_since=None)

    def _read(self, holds, event):
        holds_now = {}
        inside = self.matches(event, windows=True)
        for attribute in members(event):
            if self._wanted(attribute):
                for pattern in patterns(attribute):
                    key = (attribute["uuid"], pattern)
                    before = holds.get(key, {None})
                    holds_now[key] = {self._facts(attribute, event, earlier, inside) for earlier in before}
        return {key: facts - {None} for key, facts in holds_now.items() if facts - {None}}

    def _wanted(self, attribute):
        if attribute["deleted"] or not attribute["to_ids"]:
            return False
        parts = {attribute["value"], *attribute["value"].split("|")}
        return not (self.site.warninglists and parts & self.warninglist)

    def _facts(self, attribute, event, before, inside):
        """What an attribute asks for now; nothing when it never came and would have expired already."""
        moving = self.site.moving and not attribute["last_seen"]
        until = self._until(attribute, before, moving, inside)
        if not moving and until <= self.now and before is None:
            return None
        own, inherited = names(attribute), names(event)
        return Facts(
            tlp=_tlp(own) or _tlp(inherited) or "white",
            confidence=_confidence(own, _confidence(inherited, 50)),
            labels=frozenset(tag for tag in own | inherited if tag.startswith("label:")),
            comment=attribute["comment"],
            until=until,
            moving=moving,
        )

    def _until(self, attribute, before, moving, inside):
        if attribute["last_seen"]:
            return int(datetime.fromisoformat(attribute["last_seen"]).timestamp())
        days = self.site.days * DAY
        if not moving:
            return int(attribute["timestamp"]) + days
        if before is not None and not (inside and (not before.moving or before.until - days // 2 <= self.now)):
            return before.until
        return self.now + days


def members(event):
    """The attributes of an event, those in its objects too unless the whole object is deleted."""
    return chain(event["Attribute"], *(object_["Attribute"] for object_ in event["Object"] if not object_["deleted"]))


def patterns(attribute):
    """The STIX patterns that an attribute stands for."""
    values = attribute["value"].split("|")
    return [f"[{kind}:value = '{value}']" for kind, value in zip(PATTERNS[attribute["type"]], values, strict=True)]


def names(record):
    """The names of the tags on a record, local ones too."""
    return {tag["name"] for tag in record.get("Tag", ())}


def _mark(event):
    return Mark(int(event["timestamp"]), event["published"])


def _confidence(tags, default):
    words = [tag.split('"')[1] for tag in tags if tag.startswith("misp:confidence-level")]
    return min((CONFIDENCE[word] for word in words), default=default)


def _tlp(tags):
    return strictest(tag.removeprefix("tlp:") for tag in tags if tag.startswith("tlp:"))


def strictest(levels: Iterable[str]):
    """The strictest TLP of several."""
    return max(levels, key=list(TLP).index, default="")
