"""Hostile events: what a stranger who writes into MISP, or a MISP that answers oddly, makes of one.

Each trick gives what MISP stores, with ``good`` attributes that must be live all the same, and what becomes of it on
its way out, if anything does.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from uuid import UUID, uuid5

from sandbox.misp.records import ATTRIBUTE, EVENT
from tests.attack.texts import KINDS, hostile
from tests.support import misp_event
from tests.support.what_misp_wants import patterns

GOOD = 2
TAGS = 10_000
DEPTH = 60
ODD = [
    *(None, 0, -1, 10**30, 1.5, float("inf"), True, [], {}, [[]], [None], {"a": {"b": []}}, [1, "a", {}]),
    *("", " ", "\0", "\ud800", "NaN", "-1", "x" * 10_000, "0000-00-00", "9999-99-99", "1e400", "\u202e", "null"),
]
TIMES = [
    *("0000-00-00", "9999-12-31T23:59:59Z", "10000-01-01", "-0001-01-01", "2026-02-30", "now", "99999999999999999999"),
    *("1969-12-31T23:59:59+99:99", "2026-11-29T25:61:61", "٢٠٢٦-١١-٢٩", -1, 2**63, 1e308, "2026-11-29T00:00:00-23:59"),
]
# Without these an event cannot be read, is not published, or has other attributes.
NEEDED = {"uuid", "id", "published", "Attribute", "Object", "attribute_count", "timestamp"}
FIELDS = sorted({*EVENT, "Tag", "Galaxy", "EventReport"})
ATTRIBUTE_FIELDS = sorted({*ATTRIBUTE, "Tag"} - {"uuid"})


@dataclass
class Hostile:
    """An event, how many of its first attributes are good, and its twist."""

    event: dict
    twist: object = None
    good: int = GOOD

    @property
    def wanted(self):
        """What must be live of it."""
        return {
            (attribute["uuid"], pattern)
            for attribute in self.event["Attribute"][: self.good]
            for pattern in patterns(attribute)
        }

    @property
    def attributes(self):
        """The UUIDs of which anything may be live."""
        members = [*self.event["Attribute"], *(m for o in self.event.get("Object", ()) for m in o["Attribute"])]
        return {str(attribute["uuid"]).lower() for attribute in members} | {
            object_["uuid"] for object_ in self.event.get("Object", ())
        }


def trick(chance, number, victims):
    """One hostile event, of a kind that chance chooses; ``victims`` are attributes of events that matter."""
    return chance.choice(TRICKS)(chance, number, victims)


def _event(chance, number, bad=(), **changes):
    good = [("domain", f"good{number}-{n}.example.org") for n in range(GOOD)]
    return misp_event(number, [*good, *bad], **changes)


def _odd_field(chance, number, victims):
    name, value = chance.choice(FIELDS), chance.choice(ODD)

    def twist(event):
        return {**event, name: deepcopy(value)}

    return Hostile(_event(chance, number), twist, 0 if name in NEEDED else GOOD)


def _endless_count(chance, number, victims):
    """A counter by which the pages of the event's attributes never come to their end."""
    count = chance.choice([2**62, "9" * 18, 10**30])

    def twist(event):
        return {**event, "attribute_count": count}

    return Hostile(_event(chance, number), twist, 0)


def _odd_attribute(chance, number, victims):
    changes = {chance.choice(ATTRIBUTE_FIELDS): deepcopy(chance.choice(ODD)) for _ in range(chance.randint(1, 4))}

    def twist(event):
        members = event.get("Attribute")
        return {**event, "Attribute": [*members[:-1], {**members[-1], **changes}]} if members else event

    return Hostile(_event(chance, number, [("domain", f"odd{number}.example.org")]), twist)


def _not_an_attribute(chance, number, victims):
    """Things that are no attributes among those that are."""
    odd = [deepcopy(chance.choice(ODD)) for _ in range(5)]

    def twist(event):
        return {**event, "Attribute": [*odd, *event.get("Attribute", ())]} if "Attribute" in event else event

    return Hostile(_event(chance, number), twist)


def _odd_times(chance, number, victims):
    names = ("timestamp", "first_seen", "last_seen", "date", "publish_timestamp")

    def twist(event):
        members = [dict(attribute) for attribute in event.get("Attribute", ())]
        for attribute in members[GOOD:]:
            attribute |= {name: chance.choice(TIMES) for name in names[:3]}
        shown = {name: value for name, value in (("date", chance.choice(TIMES)),) if chance.randrange(2)}
        return {**event, **shown, **({"Attribute": members} if "Attribute" in event else {})}

    return Hostile(_event(chance, number, [("domain", f"time{number}-{n}.example.org") for n in range(3)]), twist)


def _same_uuid_inside(chance, number, victims):
    event = _event(chance, number, [("domain", f"first{number}.example.org"), ("ip-dst", "203.0.113.9")])
    event["Attribute"][-1]["uuid"] = event["Attribute"][-2]["uuid"]
    return Hostile(event)


def _same_uuid_elsewhere(chance, number, victims):
    """The UUID of somebody else's attribute, with its value or with another one."""
    victim = chance.choice(victims)
    same = {"type": victim["type"], "value": victim["value"]}
    other = {"type": "domain", "value": f"stolen{number}.example.org"}
    last_seen = chance.choice([None, "2026-09-24T00:00:00Z"])
    stolen = {"uuid": victim["uuid"], "comment": "stolen", "last_seen": last_seen, **chance.choice([same, other])}
    event = _event(chance, number, [stolen])
    if chance.randrange(3) == 0:  # whose UUID is lower owns what several events want
        event["uuid"] = f"00000000-0000-4000-8000-{number:012d}"
    return Hostile(event)


def _next_life(chance, number, victims):
    """The id that an attribute of somebody else's would have next."""
    victim = chance.choice(victims)
    pattern = chance.choice(patterns(victim))
    life = chance.choice(["", "#2", "#2", "#2", "#3", "#4"])
    uuid = str(uuid5(UUID(victim["uuid"]), f"{pattern}{life}"))
    stranger = {"uuid": uuid, "type": "domain", "value": f"next{number}.example.org"}
    return Hostile(_event(chance, number, [stranger]))


def _many_tags(chance, number, victims):
    names = [f"t{n}:{chance.choice(['a', 'tlp:red', 'x' * 300])}" for n in range(TAGS // 10 if number % 3 else TAGS)]

    def twist(event):
        return {**event, "Tag": [{"name": name} for name in names]}

    return Hostile(_event(chance, number), twist)


def _odd_tags(chance, number, victims):
    tags = [*ODD, *({"name": odd} for odd in ODD), {"name": hostile(chance, "domain", number)}, {"local": "x"}]

    def twist(event):
        return {**event, "Tag": deepcopy(tags)}

    return Hostile(_event(chance, number), twist)


def _recursion(chance, number, victims):
    deep = []
    for _ in range(DEPTH):
        deep = chance.choice([[deep], {"Attribute": [deep]}, {"Object": deep}])
    name = chance.choice(["Galaxy", "RelatedEvent", "EventReport", "ShadowAttribute", "Tag", "Orgc"])

    def twist(event):
        return {**event, name: deep, "extends_uuid": event["uuid"]}

    return Hostile(_event(chance, number), twist)


def _objects(chance, number, victims):
    """Objects that share a UUID with an attribute, are empty, or hold the same member twice."""
    event = _event(chance, number)
    uuid = chance.choice([event["Attribute"][0]["uuid"], f"40000000-0000-4000-8000-{number:012d}"])
    member = {"type": "filename", "value": f"file{number}.exe", "to_ids": True, "object_relation": "filename"}
    members = [{**member, "uuid": f"40000000-0000-4000-9000-{number:012d}"}] * chance.randint(1, 3)
    event["Object"] = [{"uuid": uuid, "name": chance.choice(["file", "", "\0"]), "Attribute": members}]
    return Hostile(event)


def _words(chance, number, victims):
    kind = chance.choice(KINDS)
    words = [hostile(chance, kind, number)[:200_000] for _ in range(4)]
    event = _event(chance, number, info=words[0])
    for attribute in event["Attribute"]:
        attribute |= {"comment": words[1], "category": words[2]}
    event["Orgc"] = {**event["Orgc"], "name": words[3]}
    return Hostile(event)


TRICKS = [
    *(_odd_field, _odd_field, _odd_field, _odd_attribute, _odd_attribute, _not_an_attribute, _odd_times, _odd_times),
    *(_same_uuid_inside, _same_uuid_elsewhere, _same_uuid_elsewhere, _next_life, _next_life, _many_tags, _odd_tags),
    *(_recursion, _objects, _words, _endless_count),
]
