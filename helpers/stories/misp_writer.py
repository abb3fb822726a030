"""The only room that writes to MISP: stories, through PyMISP, with the key and the address of ``misp_stories``.

A read is asked again while MISP is busy. A write is not: after a timeout nobody knows whether it was carried
out, so whoever called looks at what is there and works out anew what is left to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import tenacity

from helpers.errors import MispBusy, MispDeclined, MispError, MispRefused
from helpers.misp import LISTED_PER_PAGE, TRIES, Event, MispReader
from helpers.misp import responses as misp_answers
from helpers.settings import Settings
from helpers.stories.changes import Change
from helpers.stories.misp_event import ITEM, STORY, extends, is_deleted

# What MispReader's words name, and what it is called for stories.
_NAMES = {
    "misp_domain": 'misp_stories["url"]',
    "misp_key": 'misp_stories["api_key"]',
    "misp_verifycert": 'misp_stories["ssl_check"]',
    "misp_proxies": 'misp_stories["proxy_server"]',
    "misp_timeout": 'misp_stories["request_timeout"]',
}
_NOT_FOUND = 404
_MOST_PAGES = 1000
# MISP shows an object in some 500 bytes.
OBJECTS_PER_PAGE = 8192
# Where a row of ``story_events`` says which of a story's objects the event has.
HOLDS = "holds"
_ROWS = {"metadata": True, "excludeGalaxy": True}


@dataclass(frozen=True)
class KeyOwner:
    """Whose key it is: the user's organisation by id and UUID, and what the role may."""

    organisation_id: str
    organisation_uuid: str
    organisation: str
    role: Mapping[str, Any]

    def may(self, permission: str) -> bool:
        """Say whether the role has a permission, by MISP's name."""
        return self.role.get(permission) in (True, 1, "1")


class MispWriter(MispReader):
    """Reads and writes the events of stories. Methods raise MispError; what MISP declines is MispDeclined."""

    def __init__(self, settings: Settings, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(for_stories(settings), sleep)

    # -- reading -----------------------------------------------------------------------------------

    def me(self) -> KeyOwner:
        """Return whose key it is. Raises MispError when MISP does not say it."""
        answer = self._ask(lambda client: partial(client.get_user, expanded=False))
        organisation, user = (misp_answers.part(answer, name) for name in ("Organisation", "User"))
        number = organisation.get("id") or user.get("org_id")
        if not number:
            words = "MISP does not say whose key (misp_key) it is: its answer about the user is of no use"
            raise _renamed(MispError(words))
        uuid, name = (str(organisation.get(each) or "") for each in ("uuid", "name"))
        return KeyOwner(str(number), uuid, name, misp_answers.part(answer, "Role"))

    def sharing_groups(self) -> dict[str, str]:
        """Return the sharing groups that the key sees: id → name."""
        answer = self._ask(lambda client: client.sharing_groups, misp_answers.records)
        groups = (misp_answers.part(each, "SharingGroup") for each in answer)
        return {str(each.get("id")): str(each.get("name")) for each in groups}

    def event(self, uuid: str) -> Event | None:
        """Return an event whole, deleted attributes too; None where the key sees none."""
        try:
            found: Event = self._ask(
                lambda client: partial(client.get_event, uuid, deleted=[0, 1]), misp_answers.whole_event
            )
        except MispDeclined as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        return found

    def proposals(self, uuid: str) -> list[Event]:
        """Return the proposals that are pending on an event."""
        answer = self._ask(lambda client: partial(client.attribute_proposals, uuid), misp_answers.records)
        found = (misp_answers.part(each, "ShadowAttribute") for each in answer)
        return [each for each in found if each.get("deleted") not in (True, 1, "1")]

    def on_warninglists(self, values: Iterable[str]) -> dict[str, str]:
        """Return which of these values are on an enabled warninglist, each with the list's name."""
        return dict(self._ask(lambda client: partial(client.values_in_warninglist, list(values)), _lists_of))

    def story_events(self) -> list[Event]:
        """List the events that hold a story or news items, without their content, and the events that they extend.

        MISP finds an event by its objects' names in the search for objects only. ``HOLDS`` in each row has the names;
        it is empty for what is listed only because something extends it.
        """
        holds = self._holders()
        listed = self._rows(sorted(holds, key=misp_answers.number))
        above = _extended(listed) - listed.keys()
        while above:
            more = self._rows(sorted(above))
            listed |= more
            above = _extended(more) - listed.keys()
        return [row | {HOLDS: holds.get(str(row.get("id")), frozenset())} for row in listed.values()]

    def extensions(self, parent: Event, organisation: str) -> list[Event]:
        """List the events by which an organisation extends another, without their content.

        Of several UUIDs, MISP 2.5.1 would take the last one, and with ``limit`` it would apply this filter to a page
        that is already cut.
        """
        wanted = {"eventsExtendingUuid": parent["uuid"], "org": organisation}
        listed = self._ask(_searching("events", wanted | _ROWS), _listed)
        ours = (each for each in listed if str(each.get("orgc_id")) == organisation)
        return [each for each in ours if extends(each) == parent["uuid"]]

    def _holders(self) -> dict[str, set[str]]:
        """Return the numbers of the events that hold a story or news items, each with the names of these objects.

        MISP lists deleted objects too, and answers 500 to ``deleted`` here; letter case does not count in the names.
        """
        holds: dict[str, set[str]] = {}
        for page in range(1, _MOST_PAGES):
            wanted = {"object_name": [STORY, ITEM], "metadata": True, "limit": OBJECTS_PER_PAGE, "page": page}
            listed = self._ask(_searching("objects", wanted), _objects)
            for each in listed:
                if each.get("name") in (STORY, ITEM) and not is_deleted(each):
                    holds.setdefault(str(each["event_id"]), set()).add(each["name"])
            if len(listed) < OBJECTS_PER_PAGE:
                break
        return holds

    def _rows(self, names: Sequence[str]) -> dict[str, Event]:
        """Return those of these events, named by number or UUID, that the key sees: UUID → row."""
        found: dict[str, Event] = {}
        for start in range(0, len(names), LISTED_PER_PAGE):
            wanted = {"eventid": list(names[start : start + LISTED_PER_PAGE]), **_ROWS}
            listed = self._ask(_searching("events", wanted), _listed)
            found |= {str(each["uuid"]).lower(): each for each in listed}
        return found

    # -- writing -----------------------------------------------------------------------------------

    def add_event(self, event: Event) -> Event:
        """Add an event and return it as MISP keeps it, which may be less than what was sent."""
        return misp_answers.whole_event(self._write(lambda client: partial(client.add_event, {"Event": event})))

    def publish(self, uuid: str) -> None:
        """Publish an event, without e-mail."""
        self._ask(lambda client: partial(client.publish, uuid), _success)

    def carry_out(self, change: Change) -> None:
        """Make one change."""
        self._write(lambda client: _REQUESTS[change.kind](client, change))

    # -- asking ------------------------------------------------------------------------------------

    def _ask(self, question: Callable[[Any], Callable[[], Any]], read: Callable[[Any], Any] = lambda any_: any_) -> Any:
        """Ask what may be asked again, also because ``read`` can make nothing of the answer."""
        try:
            asked = question(self.connect())
            answer = self._asked(lambda: _readable(misp_answers.declined(asked()), read), TRIES)
        except MispError as error:
            raise _renamed(error) from error
        if isinstance(answer, MispDeclined):
            raise answer
        return answer

    def _write(self, question: Callable[[Any], Callable[[], Any]]) -> Any:
        """Ask once; again only when MISP said that it did not even begin: its rate limit."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_not_begun),
            stop=tenacity.stop_after_attempt(TRIES),
            wait=_told,
            before_sleep=self._announce,
            sleep=self._pause,
            reraise=True,
        )
        try:
            asked = question(self.connect())
            answer = retrying(
                misp_answers.usable, lambda: misp_answers.declined(asked()), lambda: self._adapter.last_headers
            )
        except MispError as error:
            raise _renamed(error) from error
        if isinstance(answer, MispDeclined):
            raise answer
        return answer


def for_stories(settings: Settings) -> Settings:
    """Return the settings of a reader that goes where stories go."""
    stories = settings.misp_stories
    proxy = stories.proxy_server
    own = {
        "misp_domain": stories.url or settings.misp_domain,
        "misp_key": stories.api_key,
        "misp_verifycert": stories.ssl_check,
        "misp_proxies": {"http": proxy, "https": proxy} if proxy else {},
        "misp_headers": stories.additional_headers,
        "misp_timeout": stories.request_timeout,
        "ms_useragent": stories.user_agent,
    }
    return settings.model_copy(update=own)


_REQUESTS: dict[str, Callable[[Any, Change], Callable[[], Any]]] = {
    "edit_event": lambda client, one: partial(client.update_event, {"Event": dict(one.body)}, event_id=one.target),
    "add_object": lambda client, one: partial(client.add_object, one.target, {"Object": dict(one.body)}),
    "edit_object": lambda client, one: partial(client.update_object, {"Object": dict(one.body)}, object_id=one.target),
    "delete_object": lambda client, one: partial(client.delete_object, one.target),
    # MISP 2.5.1 takes the number of an event for this, and not its UUID.
    "add_report": lambda client, one: partial(
        client.add_event_report, int(one.target), {"EventReport": dict(one.body)}
    ),
    "edit_report": lambda client, one: partial(
        client.update_event_report, {"EventReport": dict(one.body)}, event_report_id=one.target
    ),
    "attach_tag": lambda client, one: partial(client.tag, one.target, one.body["name"]),
    "detach_tag": lambda client, one: partial(client.untag, one.target, one.body["name"]),
    "add_attributes": lambda client, one: partial(client.add_attribute, one.target, one.body["attributes"]),
    "edit_attribute": lambda client, one: partial(client.update_attribute, dict(one.body), attribute_id=one.target),
    "delete_attribute": lambda client, one: partial(client.delete_attribute, one.target),
    "propose_edit": lambda client, one: partial(client.update_attribute_proposal, one.target, dict(one.body)),
    "propose_delete": lambda client, one: partial(client.delete_attribute_proposal, one.target),
}


def _searching(controller: str, arguments: Mapping[str, Any]) -> Callable[[Any], Callable[[], Any]]:
    return lambda client: partial(client.search, controller=controller, **arguments)


def _extended(listed: Mapping[str, Event]) -> set[str]:
    """Return the UUIDs of the events that these extend."""
    return {above for each in listed.values() if (above := extends(each))}


def _readable(answer: Any, read: Callable[[Any], Any]) -> Any:
    """Leave what says that something went wrong to whoever asked."""
    wrong = isinstance(answer, MispDeclined) or (isinstance(answer, dict) and "errors" in answer)
    return answer if wrong else read(answer)


def _lists_of(answer: Any) -> dict[str, str]:
    """Return value → name of the first list that it is on; MISP answers [] where none is on any."""
    if answer == []:
        return {}
    if not isinstance(answer, dict) or not all(isinstance(lists, list) for lists in answer.values()):
        raise MispBusy(f"MISP does not say what is on its warninglists: {str(answer)[:100]}")
    return {value: str(lists[0].get("name")) for value, lists in answer.items() if lists}


def _success(answer: Any) -> None:
    if not misp_answers.part({"": answer}, "").get("success"):
        raise MispBusy(f"MISP does not say that it published the event: {str(answer)[:100]}")


def _listed(answer: Any) -> list[Event]:
    """Return the events of a listing. Raises MispBusy when one of them has no UUID."""
    found = misp_answers.events(answer)
    if not all(isinstance(each.get("uuid"), str) for each in found):
        raise MispBusy(f"MISP answered with a list of something else than events: {str(answer)[:100]}")
    return found


def _objects(answer: Any) -> list[Event]:
    """Return the objects of a listing. Raises MispBusy when one of them is in no event."""
    found = [misp_answers.part(each, "Object") for each in misp_answers.records(answer)]
    if not all(each.get("event_id") for each in found):
        raise MispBusy(f"MISP answered with a list of something else than objects: {str(answer)[:100]}")
    return found


def _not_begun(error: BaseException) -> bool:
    return isinstance(error, MispBusy) and error.wait > 0


def _told(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return error.wait if isinstance(error, MispBusy) else 0


def _renamed(error: MispError) -> MispError:
    """Say the same with the names of the stories' settings."""
    words = str(error)
    for old, new in _NAMES.items():
        words = words.replace(old, new)
    if isinstance(error, MispBusy):
        return MispBusy(words, error.wait)
    return MispRefused(words) if isinstance(error, MispRefused) else MispError(words)
