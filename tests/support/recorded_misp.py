"""What a MISP held when an exchange with it was recorded, as far as recordings show it.

Two MISPs were recorded, each on a day. Of what is read, the answer itself says what there was, and everything else that
the same MISP was heard to answer must not be found besides. Of what is written, readings before or after show it.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from sandbox.comparison import Exchange, compare
from sandbox.misp.accounts import DISABLED, Account, organisation
from sandbox.misp.app import UNAUTHENTICATED, MispState
from sandbox.misp.recorded import RecordedMisp, account_of

RECORDINGS = Path(__file__).parents[2].parent / "shared" / "misp-recordings"
NAMES = sorted(path.stem for path in RECORDINGS.glob("*.json"))
IDENTIFIER = re.compile(r"[0-9a-f-]{36}")
US = {"id": "1", "name": "VERIFY-ORG", "uuid": "88938aad-c9d3-4073-b263-89976724c711", "local": True}
OTHERS = organisation(2, "OTHER-ORG", "06fe014e-e929-4a11-9c1e-aacbf56d0674")
HOME = organisation(2, "HomeOrg", "fe6d5313-c41c-43e4-9ae5-92e47207352f")
PARTNER = organisation(3, "PARTNER", "00000000-0000-4000-8000-000000000003")
STRANGERS = organisation(4, "STRANGERS", "00000000-0000-4000-8000-000000000004")
# Whose key it was, where users/view/me was not recorded.
USERS = {
    "other_publisher": ("Publisher", OTHERS),
    "other_readonly": ("Read Only", OTHERS),
    "third_publisher": ("Publisher", OTHERS),
    "verify_user": ("User", US),
    "verify_publisher": ("Publisher", US),
    "partner": ("User", PARTNER),
    "stranger_readonly": ("Read Only", STRANGERS),
    "ip_restricted": ("Read Only", HOME),
}
# Events that were written to and that no reading shows.
UNSEEN = {
    "257": "dddddddd-0000-4000-8000-000000000257",
    "273": "aba1a39a-7243-4efb-bb1c-3190a5c13bf4",
    "274": "dd89f669-d974-4eb1-a609-4d4f6a44929b",
    "276": "f84782d6-b0ea-4d23-9884-cc219951a91f",
}
INFO = {"273": "report by uuid", "274": "emoji tests", "276": "emoji tests"}
TAGGED, WORKFLOW = "b7e56146-886b-4bd1-a502-4ef9f4d33174", 'workflow:state="complete"'
SERIES, LISTED = "events_restSearch_limit0", "events_restSearch_enforceWarninglist_off"
# What an answer does not show: other recordings, of the same moment, that show more of what there was ...
BESIDE = {
    "attributes_restSearch_enforceWarninglist_*": LISTED,
    "events_restSearch_enforceWarninglist_on": LISTED,
    "attributes_restSearch_to_ids0_page*": SERIES,
    "events_restSearch_get_url_params": SERIES,
    "events_restSearch_limit2_page*": SERIES,
    "galaxy_clusters_restSearch_minimal": "galaxy_clusters_restSearch_tag_name",
    "paging_shift_after_unpublish_page2": "events_restSearch_page_text",
}


@functools.cache
def raw(name):
    return json.loads((RECORDINGS / f"{name}.json").read_text())


@functools.cache
def exchange(name):
    return Exchange.recorded(raw(name))


def events_of(name):
    return [record["Event"] for record in exchange(name).answer.body["response"]]


def day_of(asked):
    return asked.answer.headers["Date"][:16]


# -- ... and what else was so when it was asked ----------------------------------------------------


def restored(state):
    event, attribute = state.find_attribute("8278")
    state.restore(event["uuid"], attribute["uuid"])


def limited(calls):
    def prepare(state):
        state.rate_limit = 2
        for _ in range(calls):
            state.calls_left()

    return prepare


def refused(user, why):
    return lambda state: state.users.update({user: replace(state.users[user], refused=why)})


def edited(state):
    before, after = (exchange(name).answer.body["Event"] for name in ("events_view_uuid", "events_edit"))
    state.load([before | {"Tag": after["Tag"]}])


def unpublished(state):
    for event in events_of(SERIES):
        state.unpublish(event["uuid"])


def related(name):
    """Events of a series, which its members name as related ones."""
    shown = [other["Event"] for event in events_of(name) for other in event["RelatedEvent"]]
    return {event["id"]: {"published": True, **event} for event in shown}


def shifted(state, name):
    shown = {event["id"] for event in events_of(name)}
    of_series = related(name) if name == "paging_shift_after_delete_page2" else related("events_restSearch_page_text")
    state.load(event for number, event in of_series.items() if number not in shown)


def shifted_by_unpublishing(state):
    shifted(state, "paging_shift_after_unpublish_page2")
    state.unpublish("f33fc8cf-96ea-46be-a16e-770054480214")


def tagged(state):
    """The tag that was asked for was cut out of the answer."""
    attribute = {"type": "text", "value": "x", "Tag": [{"name": "tlp:green"}]}
    state.load([state.event("61") | {"Attribute": [attribute]}])


def in_small_letters(state):
    state.load([{"uuid": UNSEEN["257"], "distribution": "1", "Tag": [{"name": "tlp:white"}]}])


def stories(state):
    """What was asked for is a member of an object, which the answer does not show."""
    member = {"type": "text", "object_relation": "story_id"}
    numbers = [event["id"] for event in events_of("events_restSearch_object_relation")]
    object_ = {"name": "story", "Attribute": [member]}
    state.load([state.event(number) | {"Object": [object_]} for number in numbers])


def earlier_clusters(state):
    """The page before the one that was asked for."""
    first = state.clusters[0]
    state.clusters += [first | {"id": str(number), "uuid": str(number)} for number in (1, 2)]


def proposed(state):
    recorded = RecordedMisp()
    recorded.add_answer("/shadow_attributes/index", exchange("shadow_attributes_index_event").answer.body)
    recorded.fill(state)


PREPARED = {
    "*_dbencoding_utf8mb4": lambda state: setattr(state, "utf8mb4", True),
    "attributes_add_duplicate": lambda state: state.attach(state.event("247"), {"type": "domain", "value": ADDED}),
    "attributes_delete": restored,
    "attributes_restSearch_unpublished_event_published1": unpublished,
    "auth_disabled_user": refused("third_publisher", DISABLED),
    "auth_key_from_other_address": lambda state: state.for_elsewhere.add("ip_restricted"),
    "auth_role_without_perm_auth": refused("other_readonly", UNAUTHENTICATED),
    "events_add_blocklisted_uuid": lambda state: state.blocklist.add(DELETED),
    "events_delete": lambda state: state.load([{"uuid": DELETED, "Orgc": US}]),
    "events_edit": edited,
    "events_restSearch_object_relation": stories,
    "events_restSearch_tag": tagged,
    "events_restSearch_tags_other_letter_case": in_small_letters,
    "galaxy_clusters_restSearch_limit_page": earlier_clusters,
    "maintenance_mode_*": lambda state: setattr(state, "maintenance", True),
    "paging_shift_after_delete_page2": lambda state: shifted(state, "paging_shift_after_delete_page2"),
    "paging_shift_after_unpublish_page2": shifted_by_unpublishing,
    "rate_limit_call1": limited(0),
    "rate_limit_call2": limited(1),
    "rate_limit_call3": limited(2),
    "rate_limit_call4": limited(3),
    "shadow_attributes_accept": proposed,
    "shadow_attributes_add_duplicate": lambda state: compare(state, exchange("shadow_attributes_add")),
    "tags_attach_again": lambda state: state.tag_event(TAGGED, WORKFLOW),
    "tags_remove": lambda state: state.tag_event(TAGGED, WORKFLOW),
    "warninglists_checkValue*": lambda state: state.warninglist.add("8.8.8.8"),
}
ADDED, DELETED = "added.example.org", "16b376ed-5409-44b2-b1d0-c21a02b10e4f"


# -- the MISP --------------------------------------------------------------------------------------


def state_for(name):
    """A MISP as it was when a recording was made."""
    asked = exchange(name)
    state = MispState(clock=lambda: asked.moment)
    state.users |= users_of(day_of(asked))
    (written(asked) if asked.writes else read(asked)).fill(state)
    state.warninglist |= site(day_of(asked)).warninglist
    for pattern, prepare in PREPARED.items():
        if fnmatchcase(name, pattern):
            prepare(state)
    return state


@functools.cache
def site(day):
    """All that one of the two MISPs was heard to answer to who only read."""
    recorded = RecordedMisp()
    for asked in map(exchange, NAMES):
        if day_of(asked) == day and not asked.writes and asked.answer.status == 200:
            recorded.add_answer(asked.path, asked.answer.body)
    return recorded


@functools.cache
def users_of(day):
    shown = [exchange(name) for name in NAMES if name.startswith("users_view_me")]
    known = {asked.user: account_of(asked.answer.body) for asked in shown if day_of(asked) == day}
    numbered = enumerate(USERS.items(), 90)
    return {
        name: Account(str(number), f"{name}@example.org", *role_and_owner)
        for number, (name, role_and_owner) in numbered
    } | known


def read(asked):
    """What was answered; what else there was, where the answer shows all that was found; what the request names."""
    recorded = RecordedMisp()
    beside = [exchange(name) for pattern, name in BESIDE.items() if fnmatchcase(asked.name, pattern)]
    for heard in (asked, *beside):
        if heard.answer.status == 200:
            recorded.add_answer(heard.path, heard.answer.body)
    shown = {number for number, event in recorded.events.items() if "info" in event}
    known = site(day_of(asked))
    others = about(asked) if was_cut(asked) else known.events
    recorded.add_events(event for number, event in others.items() if number not in shown)
    if not was_cut(asked):
        recorded.clusters = known.clusters | recorded.clusters
    return recorded


def was_cut(asked):
    """Say whether the list of what was found was cut when it was recorded."""
    body = raw(asked.name)["response"].get("json")
    answer = body.get("response", body) if isinstance(body, dict) else body
    listed = answer.get("Attribute", []) if isinstance(answer, dict) else answer
    return isinstance(listed, list) and bool(listed) and isinstance(listed[-1], str)


def written(asked):
    """What the request names, without what it added or took away."""
    known = site(day_of(asked))
    recorded = RecordedMisp()
    recorded.organisations, recorded.tags, recorded.clusters = known.organisations, known.tags, known.clusters
    words = {*asked.path.split("/"), *IDENTIFIER.findall(json.dumps(asked.body)), *values_of(asked)}
    for event in about(asked).values():
        named = [
            attribute
            for attribute in event.get("Attribute", ())
            if words & {attribute["id"], attribute.get("uuid"), attribute.get("value")}
        ]
        recorded.add_events([event | {"Attribute": named, "Object": [], "Tag": [], "EventReport": []}])
    return recorded


def values_of(asked):
    return set(asked.body.get("values", ())) if isinstance(asked.body, dict) else set()


def about(asked):
    """The events, by number, that a request names, or of which it names a part."""
    if asked.path == "/events/add" and asked.answer.status == 200:
        return {}
    unseen = {
        number: {"id": number, "uuid": uuid, "info": INFO.get(number, ""), "Org": US, "Orgc": US}
        for number, uuid in UNSEEN.items()
    }
    known = site(day_of(asked)).events | unseen
    return {number: event for number, event in known.items() if is_named(number, event, asked)}


def is_named(number, event, asked):
    members = event.get("Attribute", ())
    uuids = {event.get("uuid"), *(attribute.get("uuid") for attribute in members)}
    if uuids.intersection(IDENTIFIER.findall(asked.path + json.dumps(asked.body))):
        return True
    if values_of(asked) & {attribute.get("value") for attribute in members}:
        return True
    controller, action, *names = asked.path.split("/")[1:]
    of_attribute = controller == "sightings" or (action in ("edit", "delete") and controller != "events")
    numbers = {attribute["id"] for attribute in members} if of_attribute else {number, f"event_id:{number}"}
    return bool(numbers & set(names))
