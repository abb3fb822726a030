"""Values that strangers write into MISP: each costs itself alone, and what is sent of it is one plain comparison."""

from __future__ import annotations

from sandbox.azure.rules import observable
from tests.attack.outcome import STALE
from tests.attack.site import HostileSite, flagged, pair
from tests.attack.texts import KINDS, hostile
from tests.support import misp_event

PER_EVENT, PER_ROUND = 50, 1000
GOOD = 3
# What an observable of each type may be called; of any other type, what its name says.
KEYS = {
    "AS": ("autonomous-system:number",),
    "url": ("url:",),
    "port": ("network-traffic:",),
    "size-in-bytes": ("file:size",),
    "mutex": ("mutex:",),
    "regkey": ("windows-registry-key:key",),
    "user-agent": ("network-traffic:",),
    "domain|ip": ("domain-name:value", "ipv4-addr:value", "ipv6-addr:value"),
    "x509": ("x509-certificate:hashes",),
    "email": ("email-addr:", "email-message:"),
    "ip": ("ipv4-addr:value", "ipv6-addr:value"),
    "malware-type": ("malware:",),
    "filename|": ("file:hashes", "file:name"),
    "filename": ("file:name",),
    "domain": ("domain-name:value",),
    "hostname": ("domain-name:value",),
}


def attack(outcome, chance, size, place):
    """Send hostile values, take them back, and send them once more."""
    site = HostileSite(place)
    kinds = {}
    for first in range(0, size, PER_ROUND):
        numbers = range(first, min(first + PER_ROUND, size))
        events = [_event(chance, numbers[at : at + PER_EVENT], kinds) for at in range(0, len(numbers), PER_EVENT)]
        site.misp.load(events)
        outcome.begin(f"values {numbers}", len(numbers) - 1)
        site.attempt(outcome, f"values {numbers}")
        _compare(site, outcome, f"values {numbers}", kinds)
    for step, to_ids in enumerate((False, True, False)):
        _flag(site, kinds, to_ids)
        site.attempt(outcome, f"flagged {to_ids} ({step})", full=step == 2)
        _compare(site, outcome, f"flagged {to_ids} ({step})", kinds if to_ids else {})


def _event(chance, numbers, kinds):
    """An event of hostile values, with some good ones among them."""
    number = numbers[0] // PER_EVENT + 1
    good = [("domain", f"good{number}-{n}.example.org") for n in range(GOOD)]
    bad = [(chance.choice(KINDS), n) for n in numbers]
    event = misp_event(number, good + [(kind, hostile(chance, kind, n)) for kind, n in bad])
    kinds |= {attribute["uuid"]: attribute["type"] for attribute in event["Attribute"][GOOD:]}
    return event


def _flag(site, kinds, to_ids):
    """Flag all hostile values, or none; the good ones stay as they are."""
    for event in list(site.misp.events()):
        for attribute in event["Attribute"]:
            if attribute["uuid"] in kinds:
                attribute |= {"to_ids": to_ids, "timestamp": str(site.seconds)}
        event["timestamp"] = str(site.seconds)
        site.misp.publish(event["uuid"])


def _compare(site, outcome, what, kinds):
    """Good values are live; of a hostile one only what its type is compared as, in a single comparison."""
    good = [event | {"Attribute": event["Attribute"][:GOOD]} for event in site.misp.events()]
    live = site.live()
    allowed = {pair(object_) for object_ in live.values() if pair(object_)[0] in kinds}
    site.compare(outcome, what, flagged(good), allowed)
    for object_ in live.values():
        kind = kinds.get(pair(object_)[0], "domain")
        key, _ = observable(object_) or ("", "")
        if not key.startswith(_keys(kind)):
            outcome.note(STALE, f"{what}: {kind} is live as {object_['pattern'][:200]!r}")


def _keys(kind):
    """What the observables of a type may begin with."""
    named = next((name for name in KEYS if kind.startswith(name)), "")
    return KEYS.get(named, ("file:hashes",))
