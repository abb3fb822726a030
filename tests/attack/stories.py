"""Stories: strangers' stories are collected beside ours, and ours are shared to a MISP that answers oddly."""

from __future__ import annotations

from copy import deepcopy
from uuid import UUID, uuid5

from sandbox.faults import Fault
from tests.attack.answers import COMMON
from tests.attack.outcome import LATE, LOST, TAKEN, TWICE
from tests.attack.site import twisted_app
from tests.attack.texts import KINDS, hostile
from tests.attack.tricks import ODD
from tests.support.story_site import ITEM, STORY, THEM, StorySite, Wire, item, story

PER_ROUND, SECONDS, LONGEST_WAIT = 15, 60, 3600
RELATIONS = ["id", "title", "description", "summary", "comments", "links", "tags", "attributes", "hash", "content"]
ROUTES = [
    "/events/add",
    "/events/view",
    "/objects/add",
    "/tags/",
    "/event_reports",
    "/attributes/add",
    "/users/view",
    "/",
]
STATES = {"created", "updated", "unchanged", "proposed", "blocked", "failed"}


# -- collect -------------------------------------------------------------------------------------------------


def collected(outcome, chance, size, place):
    """Collect ours among hostile ones, in rounds."""
    site, twists = StorySite(place), {}
    site.wire = Wire(twisted_app(site.misp, twists))
    ours = story()
    outcome.attempt("our story", lambda: _share_code(site, ours), SECONDS)
    for first in range(0, size, PER_ROUND):
        numbers = range(first, min(first + PER_ROUND, size))
        outcome.begin(f"stories {numbers}", len(numbers))
        for number in numbers:
            event = _stranger(chance, number)
            site.misp.load([event])
            if chance.randrange(2):
                twists[event["uuid"]] = _twist(chance)
        for full in (True, False):
            _collect(outcome, site, ours, f"stories {numbers}, full: {full}", full=full)
        twists.clear()
        _collect(outcome, site, ours, f"stories {numbers}, then well", full=True)


def _collect(outcome, site, ours, what, *, full):
    """Collect; our story comes as it was shared unless MISP fails, and nobody else's comes in its place."""
    found = []

    def call():
        code, stories, _ = site.collect(full=full)
        found.extend(stories)
        return code

    code = outcome.attempt(what, call, SECONDS)
    mine = [each for each in found if each["id"] == STORY and each["misp"]["ours"]]
    if what.endswith("then well") and code != 0:
        outcome.note(LOST, f"{what}: the stories cannot be collected (exit {code})")
    if full and code == 0 and len(mine) != 1:
        outcome.note(TWICE if mine else LOST, f"{what}: our story came {len(mine)} times (exit {code})")
    if any(each["id"] == STORY and not each["misp"]["ours"] for each in found):
        outcome.note(TAKEN, f"{what}: a stranger's story came under the id of ours")
    for each in mine:
        kept = [news for news in each["news_items"] if news["id"] == ITEM]
        if kept != ours["news_items"] or any(each[name] != ours[name] for name in ("title", "description", "summary")):
            outcome.note(TAKEN, f"{what}: our story came as {str(each)[:200]}")


def _stranger(chance, number):
    """An event of somebody else's with objects of stories that say anything, of its own or of ours."""
    uuid = f"0b5fd7a2-7c55-4a5e-8000-{number:012d}"
    objects = [_object(chance, number, f"{uuid}/{n}") for n in range(chance.randint(1, 4))]
    above = chance.choice(["", "", STORY, uuid, f"0b5fd7a2-7c55-4a5e-8000-{max(0, number - 1):012d}", "x"])
    return {
        "uuid": uuid,
        "info": hostile(chance, "domain", number)[:60_000],
        "published": True,
        "timestamp": str(1_795_290_500 + number),
        "Orgc": THEM,
        "orgc_id": THEM["id"],
        "distribution": "1",
        "extends_uuid": above,
        "Object": objects,
    }


def _object(chance, number, name):
    kind = chance.choice(["taranis-story", "taranis-news-item"])
    members = [
        {
            "object_relation": chance.choice(RELATIONS),
            "type": chance.choice(["text", "link", "sha256"]),
            "value": chance.choice(
                [hostile(chance, chance.choice(KINDS), number)[:60_000], STORY, ITEM, "{'a': " * 99]
            ),
        }
        for _ in range(chance.randint(0, 8))
    ]
    return {"uuid": str(uuid5(UUID(STORY), name)), "name": kind, "Attribute": members}


def _twist(chance):
    """What a MISP that answers oddly makes of such an event."""
    name = chance.choice(["Object", "Orgc", "orgc_id", "id", "published", "EventReport", "Tag", "extends_uuid", "info"])
    value, deep = chance.choice(ODD), chance.randrange(2)

    def twist(event):
        if deep and isinstance(event.get("Object"), list) and event["Object"]:
            first = {**event["Object"][0], chance.choice(["Attribute", "name", "uuid", "deleted"]): deepcopy(value)}
            return {**event, "Object": [first, deepcopy(value), *event["Object"][1:]]}
        return {**event, name: deepcopy(value)}

    return twist


# -- share ---------------------------------------------------------------------------------------------------


def shared(outcome, chance, size, place):
    """Share stories against odd answers, then against good ones: each is there once, and rests."""
    for number in range(size):
        folder = place / str(number)
        folder.mkdir()
        _shared(outcome, chance, StorySite(folder), number)


def _shared(outcome, chance, site, number):
    ours, told = _ours(chance, number), []
    if chance.randrange(2):
        outcome.attempt(f"share {number}, before", lambda: _share_code(site, ours, told), SECONDS)
        ours = ours | {"summary": f"Another summary {number}."}
    odd, route = (
        chance.choice([each for each in COMMON if not each.raw and isinstance(each.body, bytes)]),
        chance.choice(ROUTES),
    )
    what = f"share {number}: {odd.name} for {route}"
    _order(site, odd, route, chance)
    outcome.attempt(what, lambda: _share_code(site, ours, told), SECONDS)
    site.misp.faults.clear()
    if max(site.time.slept, default=0) > LONGEST_WAIT:
        outcome.note(LATE, f"{what}: a wait of {max(site.time.slept):.0f} s")
    for again in ("then well", "and again"):
        outcome.attempt(f"{what}, {again}", lambda: _share_code(site, ours, told), SECONDS)
    _rests(outcome, site, ours, told, what)


def _order(site, odd, route, chance):
    """Answer so to one or to all such requests."""
    body = odd.body.decode("latin-1")
    # What says that all is well comes after the deed, as a broken connection; a lie about it nobody can see through.
    kind = "truncate" if odd.succeeds else "status"
    status = int(odd.status.split()[0])
    headers = {name: value for name, value in odd.headers.items() if name not in ("Content-Length", "Content-Type")}
    times, after = chance.choice([1, 2, None]), chance.choice([0, 0, 1, 3])
    site.misp.faults.add(Fault(route, kind, status=status, body=body, headers=headers, times=times, after=after))


def _rests(outcome, site, ours, told, what):
    """The story is in MISP once, whole, and the last time there was nothing to do."""
    last = told[-1]["stories"][0] if told else {}
    if last.get("outcome") not in ("unchanged", "blocked"):
        outcome.note(LOST, f"{what}: in the end it is {last.get('outcome')}: {last.get('reason')}")
        return
    if last["outcome"] == "blocked":
        return
    if len(site.objects("taranis-story")) != 1 or len(site.objects("taranis-news-item")) != len(ours["news_items"]):
        outcome.note(TWICE, f"{what}: {[each['name'] for each in site.event()['Object'] if not each['deleted']]}")


def _share_code(site, ours, told=None):
    answer = site.share(deepcopy(ours))
    if told is not None:
        told.append(answer)
    assert {each["outcome"] for each in answer["stories"]} <= STATES
    return answer["exit_code"]


def _ours(chance, number):
    """A story with hostile texts in it."""
    texts = [hostile(chance, chance.choice(KINDS), number)[:60_000] for _ in range(3)]
    text = f"Seen at hxxp://evil{number}[.]example[.]org/a. {texts[0]}".replace("\0", "")
    return story(description=text, comments=texts[1], news_items=[item(content=texts[2], title=f"Title {number}")])
