"""``adopt`` over odd records in Sentinel: what is MISP's is live once, and what is somebody else's stays as it was."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from uuid import UUID, uuid5

from helpers.commands.adopt import adopt
from helpers.sync.destination import RunOptions
from sandbox.azure.app import AzureState
from sandbox.misp.app import MispState
from tests.attack.answers import COMMON, OddSandbox
from tests.attack.outcome import LOST, TAKEN
from tests.attack.site import FILTERS, START, Watch, flagged, hurried, pair
from tests.attack.texts import hostile
from tests.attack.tricks import ODD
from tests.support import FakeTime, hosts, indicator, misp_event
from tests.support.tls_site import TlsSite

EVENTS, ATTRIBUTES, PER_ROUND, SECONDS = 4, 4, 15, 60
LIMITS = {"MAX_WITHDRAW_PERCENT": "100"}
FIELDS = [
    *("created", "modified", "valid_from", "valid_until", "labels", "confidence", "external_references", "name"),
    *("object_marking_refs", "indicator_types", "kill_chain_phases", "description", "pattern_type"),
]


def attack(outcome, chance, size, place):
    """Lose the ledger, with odd records in Sentinel, take over what is there, and run, again and again."""
    for first in range(0, size, PER_ROUND):
        folder, time = place / str(first), FakeTime(START)
        folder.mkdir()
        with hurried(), OddSandbox(AzureState(clock=time.now), MispState(clock=time.now)) as box:
            _round(outcome, chance, TlsSite(box, time, folder), range(first, min(first + PER_ROUND, size)))


def _round(outcome, chance, site, numbers):
    what = f"records {numbers}"
    site.misp.load(misp_event(n, hosts(ATTRIBUTES, f"e{n}h")) for n in range(1, EVENTS + 1))
    outcome.attempt(f"{what}: before", lambda: site.run(**FILTERS).exit_code, SECONDS)
    site.lose_ledger()
    outcome.begin(what, len(numbers))
    ours = [dict(object_) for object_ in site.azure.objects().values()]
    records = [_record(chance, number, chance.choice(ours)) for number in numbers]
    for record in records:
        site.azure.store(site.azure.workspace_id, "MISP", record)
    before = deepcopy(site.azure.objects())
    _answered_oddly(outcome, chance, site, what)
    adopted = outcome.attempt(f"{what}: adopt", lambda: _adopt(site), SECONDS)
    if adopted != 0:
        outcome.note(LOST, f"{what}: nothing was taken over (exit {adopted})")
        return
    for full in (False, True):
        outcome.attempt(f"{what}: full {full}", partial(_run, site, full), SECONDS)
    _compare(outcome, site, what, before)


def _answered_oddly(outcome, chance, site, what):
    """Ask a management API that answers oddly; what it makes of that is lost, as all of it is."""
    odd, server = chance.choice(COMMON), site.box.azure_server
    server.odd = lambda path: odd if "/query" in path else None
    outcome.attempt(f"{what}: adopt from {odd.name}", lambda: _adopt(site), SECONDS)
    server.odd = None
    site.lose_ledger()


def _run(site, full):
    return site.run(RunOptions(full=full), **FILTERS, **LIMITS).exit_code


def _adopt(site):
    site.time.seconds += 60
    settings = site.settings(**FILTERS, **LIMITS)
    return adopt(
        [settings],
        withdraw_unmatched=False,
        force_withdraw=False,
        line=None,
        clock=site.time.clock,
        now=site.time.now,
    ).exit_code


def _record(chance, number, ours):
    """A record that is like one of ours, or like nobody's, with odd fields."""
    uuid = ours["external_references"][0]["external_id"]
    ids = [f"indicator--30000000-0000-4000-8000-{number:012d}"] * 3
    ids += [
        f"indicator--{uuid5(UUID(uuid), ours['pattern'] + '#' + str(chance.randint(2, 4)))}",
        f"indicator--{uuid.upper()}",
    ]
    base = chance.choice([indicator(number), dict(ours)])
    record = {**base, "id": chance.choice(ids)}
    for _ in range(chance.randint(0, 3)):
        record[chance.choice(FIELDS)] = deepcopy(chance.choice(ODD))
    if chance.randrange(4) == 0:
        record["revoked"] = True
    if chance.randrange(4) == 0:
        record["external_references"] = [{"source_name": "x", "external_id": chance.choice([uuid, *ODD])}]
    if chance.randrange(4) == 0:
        record["pattern"] = f"[domain-name:value = '{hostile(chance, 'domain', number)[:60_000]}']"
    return record


def _compare(outcome, site, what, before):
    """What MISP wants is live once; what nobody in MISP knows is as it was."""
    wanted = flagged(site.misp.events())
    ours = {attribute for attribute, _ in wanted}
    live = {id_: object_ for id_, object_ in site.azure.live().items() if _attribute(object_) in ours}
    odd_ends = {pair(object_) for object_ in live.values() if not str(object_.get("valid_until")).startswith("2036")}
    Watch().compare(outcome, what, live, {}, wanted, odd_ends)
    for id_, object_ in site.azure.objects().items():
        if id_ in before and _attribute(before[id_]) not in ours and _named(id_) not in ours and object_ != before[id_]:
            outcome.note(TAKEN, f"{what}: {id_} was {str(before[id_])[:150]}")


def _named(id_):
    return id_.partition("--")[2].lower()


def _attribute(object_):
    """The attribute that an object names, if it names one."""
    references = object_.get("external_references")
    first = references[0] if isinstance(references, list) and references else None
    return first.get("external_id") if isinstance(first, dict) and isinstance(first.get("external_id"), str) else ""
