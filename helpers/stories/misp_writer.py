"""The only module that writes to MISP: stories, with the key and the address of ``misp_stories``.

A read is asked again while MISP is busy. A write is not: after a timeout nobody knows whether it was carried
out, so whoever called looks at what is there and works out again what is left to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.errors import MispBusy, MispDeclined
from helpers.indicators import is_true
from helpers.misp import (
    LISTED_PER_PAGE,
    Event,
    MispClient,
    MispConnection,
    SettingNames,
    dictionaries_in,
    dictionary_in,
    events_in,
    limits_of,
    organisation_id_in,
    warninglists_in,
    whole_event,
    whole_number,
)
from helpers.process import interrupts
from helpers.settings import Settings
from helpers.stories.changes import Change, ChangeKind
from helpers.stories.misp_event import ITEM, STORY, extends, is_deleted
from helpers.text import batched, excerpt

_SETTING_NAMES = SettingNames(
    url='misp_stories["url"]',
    key='misp_stories["api_key"]',
    verify='misp_stories["ssl_check"]',
    proxies='misp_stories["proxy_server"]',
)
_NOT_FOUND = 404
_MOST_PAGES = 1000
# MISP shows an object in some 500 bytes.
OBJECTS_PER_PAGE = 8192
# Where a row of ``story_events`` says which of a story's objects the event has.
HOLDS = "holds"
_WITHOUT_CONTENT = {"metadata": True, "excludeGalaxy": True}


def stories_connection(settings: Settings) -> MispConnection:
    """Return the connection that stories go through."""
    stories = settings.misp_stories
    proxy = stories.proxy_server
    return MispConnection(
        url=stories.url or settings.misp_domain,
        key=stories.api_key,
        verify=stories.ssl_check,
        proxies={"http": proxy, "https": proxy} if proxy else {},
        headers=stories.additional_headers,
        limits=limits_of(settings, stories.request_timeout),
        user_agent=stories.user_agent,
        setting_names=_SETTING_NAMES if stories.url else _SETTING_NAMES._replace(url="misp_domain"),
    )


@dataclass(frozen=True)
class KeyOwner:
    """Whose key it is: the user's organisation by id and UUID, and what the role may."""

    organisation_id: str
    organisation_uuid: str
    organisation: str
    role: Mapping[str, Any]

    def may(self, permission: str) -> bool:
        """Say whether the role has a permission, by MISP's name."""
        return is_true(self.role.get(permission))


class MispWriter:
    """Reads and writes the events of stories. Methods raise MispError; what MISP declines is MispDeclined."""

    def __init__(
        self,
        settings: Settings,
        sleep: Callable[[float], None] = interrupts.sleep,
        *,
        client: MispClient | None = None,
    ) -> None:
        """Prepare a client of the stories' MISP, unless one is given."""
        self._client = client or MispClient(stories_connection(settings), sleep, declines=True)

    # -- reading -----------------------------------------------------------------------------------

    def key_owner(self) -> KeyOwner:
        """Return whose key it is. Raises MispError when MISP does not say it."""
        answer = self._client.ask(lambda pymisp: pymisp.get_user(expanded=False))
        organisation_id = organisation_id_in(answer, _SETTING_NAMES.key)
        organisation = dictionary_in(answer, "Organisation")
        uuid, name = (str(organisation.get(field) or "") for field in ("uuid", "name"))
        return KeyOwner(organisation_id, uuid, name, dictionary_in(answer, "Role"))

    def sharing_groups(self) -> dict[str, str]:
        """Return the sharing groups that the key sees: id → name."""
        rows = self._client.ask(lambda pymisp: pymisp.sharing_groups(), read=dictionaries_in)
        groups = (dictionary_in(row, "SharingGroup") for row in rows)
        return {str(group.get("id")): str(group.get("name")) for group in groups}

    def event(self, uuid: str) -> Event | None:
        """Return an event whole, deleted attributes too; None where the key sees none."""
        try:
            event: Event = self._client.ask(lambda pymisp: pymisp.get_event(uuid, deleted=[0, 1]), read=whole_event)
        except MispDeclined as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        return event

    def proposals(self, uuid: str) -> list[Event]:
        """Return the proposals that are pending on an event."""
        rows = self._client.ask(lambda pymisp: pymisp.attribute_proposals(uuid), read=dictionaries_in)
        proposals = (dictionary_in(row, "ShadowAttribute") for row in rows)
        return [proposal for proposal in proposals if not is_deleted(proposal)]

    def on_warninglists(self, values: Iterable[str]) -> dict[str, str]:
        """Return which of these values are on an enabled warninglist, each with the list's name."""
        wanted = list(values)
        return dict(self._client.ask(lambda pymisp: pymisp.values_in_warninglist(wanted), read=warninglists_in))

    def story_events(self) -> list[Event]:
        """List the events that hold a story or news items, without their content, and the events that they extend.

        MISP finds an event by its objects' names in the search for objects only. ``HOLDS`` in each row has the names;
        it is empty for what is listed only because something extends it.
        """
        holds = self._holders()
        listed = self._rows(sorted(holds, key=whole_number))
        extended = _extended_by(listed) - listed.keys()
        while extended:
            rows = self._rows(sorted(extended))
            listed |= rows
            extended = _extended_by(rows) - listed.keys()
        return [row | {HOLDS: holds.get(str(row.get("id")), frozenset())} for row in listed.values()]

    def extensions(self, parent: Event, organisation: str) -> list[Event]:
        """List the events by which an organisation extends another, without their content.

        Of several UUIDs, MISP 2.5.1 would take the last one, and with ``limit`` it would apply this filter to a page
        that is already cut.
        """
        wanted = {"eventsExtendingUuid": parent["uuid"], "org": organisation}
        rows = self._search("events", wanted | _WITHOUT_CONTENT, _event_rows)
        ours = (row for row in rows if str(row.get("orgc_id")) == organisation)
        return [row for row in ours if extends(row) == parent["uuid"]]

    def _holders(self) -> dict[str, set[str]]:
        """Return the numbers of the events that hold a story or news items, each with the names of these objects.

        MISP lists deleted objects too, and answers 500 to ``deleted`` here; letter case does not count in the names.
        """
        holds: dict[str, set[str]] = {}
        for page in range(1, _MOST_PAGES):
            wanted = {"object_name": [STORY, ITEM], "metadata": True, "limit": OBJECTS_PER_PAGE, "page": page}
            objects = self._search("objects", wanted, _objects_in)
            for object_ in objects:
                if object_.get("name") in (STORY, ITEM) and not is_deleted(object_):
                    holds.setdefault(str(object_["event_id"]), set()).add(object_["name"])
            if len(objects) < OBJECTS_PER_PAGE:
                break
        return holds

    def _rows(self, names: Sequence[str]) -> dict[str, Event]:
        """Return those of these events, named by number or UUID, that the key sees: UUID → row."""
        by_uuid: dict[str, Event] = {}
        for batch in batched(names, LISTED_PER_PAGE):
            rows = self._search("events", {"eventid": batch, **_WITHOUT_CONTENT}, _event_rows)
            by_uuid |= {str(row["uuid"]).lower(): row for row in rows}
        return by_uuid

    def _search(self, controller: str, arguments: Mapping[str, Any], read: Callable[[Any], list[Event]]) -> list[Event]:
        rows: list[Event] = self._client.ask(
            lambda pymisp: pymisp.search(controller=controller, **arguments), read=read
        )
        return rows

    # -- writing -----------------------------------------------------------------------------------

    def add_event(self, event: Event) -> Event:
        """Add an event and return it as MISP keeps it, which may be less than what was sent."""
        return whole_event(self._client.write(lambda pymisp: pymisp.add_event({"Event": event})))

    def publish(self, uuid: str) -> None:
        """Publish an event, without e-mail."""
        self._client.ask(lambda pymisp: pymisp.publish(uuid), read=_check_success)

    def carry_out(self, change: Change) -> None:
        """Make one change."""
        self._client.write(lambda pymisp: _REQUESTS[change.kind](pymisp, change.target, dict(change.body)))


# What asks for a change: the PyMISP client, what the change is made to, what is sent.
_REQUESTS: dict[ChangeKind, Callable[[Any, str, dict[str, Any]], Any]] = {
    ChangeKind.EDIT_EVENT: lambda pymisp, uuid, body: pymisp.update_event({"Event": body}, event_id=uuid),
    ChangeKind.ADD_OBJECT: lambda pymisp, uuid, body: pymisp.add_object(uuid, {"Object": body}),
    ChangeKind.EDIT_OBJECT: lambda pymisp, uuid, body: pymisp.update_object({"Object": body}, object_id=uuid),
    ChangeKind.DELETE_OBJECT: lambda pymisp, uuid, _: pymisp.delete_object(uuid),
    # MISP 2.5.1 takes the number of an event for this, and not its UUID.
    ChangeKind.ADD_REPORT: lambda pymisp, id_, body: pymisp.add_event_report(int(id_), {"EventReport": body}),
    ChangeKind.EDIT_REPORT: lambda pymisp, id_, body: pymisp.update_event_report(
        {"EventReport": body}, event_report_id=id_
    ),
    ChangeKind.ATTACH_TAG: lambda pymisp, uuid, body: pymisp.tag(uuid, body["name"]),
    ChangeKind.DETACH_TAG: lambda pymisp, uuid, body: pymisp.untag(uuid, body["name"]),
    ChangeKind.ADD_ATTRIBUTES: lambda pymisp, uuid, body: pymisp.add_attribute(uuid, body["attributes"]),
    ChangeKind.EDIT_ATTRIBUTE: lambda pymisp, uuid, body: pymisp.update_attribute(body, attribute_id=uuid),
    ChangeKind.DELETE_ATTRIBUTE: lambda pymisp, uuid, _: pymisp.delete_attribute(uuid),
    ChangeKind.PROPOSE_EDIT: lambda pymisp, uuid, body: pymisp.update_attribute_proposal(uuid, body),
    ChangeKind.PROPOSE_DELETE: lambda pymisp, uuid, _: pymisp.delete_attribute_proposal(uuid),
}


def _extended_by(rows: Mapping[str, Event]) -> set[str]:
    """Return the UUIDs of the events that these extend."""
    return {parent for row in rows.values() if (parent := extends(row))}


def _check_success(answer: Any) -> None:
    if not isinstance(answer, dict) or not answer.get("success"):
        raise MispBusy(f"MISP does not say that it published the event: {excerpt(answer, 100)}")


def _event_rows(answer: Any) -> list[Event]:
    """Return the events of a listing. Raises MispBusy when one of them has no UUID."""
    rows = events_in(answer)
    if not all(isinstance(row.get("uuid"), str) for row in rows):
        raise MispBusy(f"MISP answered with a list of something else than events: {excerpt(answer, 100)}")
    return rows


def _objects_in(answer: Any) -> list[Event]:
    """Return the objects of a listing. Raises MispBusy when one of them is in no event."""
    objects = [dictionary_in(row, "Object") for row in dictionaries_in(answer)]
    if not all(object_.get("event_id") for object_ in objects):
        raise MispBusy(f"MISP answered with a list of something else than objects: {excerpt(answer, 100)}")
    return objects
