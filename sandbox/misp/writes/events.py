"""Writes: what the sandbox's MISP makes of requests to add, edit, delete, publish and tag.

Answers and effects are those that were recorded of MISP 2.5.1. Editing objects, attributes and reports, and
deleting objects, were not recorded: they follow MISP's documented API.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from flask import Response, g, request

from sandbox.misp import rules
from sandbox.misp.answers import View, answer, error
from sandbox.misp.records import ORGANISATION, Record, texts

if TYPE_CHECKING:
    from sandbox.misp.app import MispState

Route = TypeVar("Route", bound=Callable[..., Response])

NO_ROLE = "You do not have permission to use this functionality."
TAG_NOT_OWNER = (
    "Cannot alter the tags of this data, only the organisation that has created the data (orgc) can modify global tags."
)
EXISTS = "Event already exists, if you would like to edit it, use the url in the location header."
HEADER = ("info", "distribution", "sharing_group_id", "threat_level_id", "analysis", "date", "extends_uuid")
OF_ATTRIBUTE = ("category", "value", "to_ids", "comment", "distribution", "sharing_group_id", "disable_correlation")
OF_ATTRIBUTE += ("first_seen", "last_seen")


def declined(kind: str, why: Any, path: str, verb: str = "add", **more: Any) -> Response:
    """Give the answer to a record that MISP does not save."""
    message = f"Could not {verb} {kind}"
    return answer({"saved": False, "name": message, "message": message, "url": path, "errors": why, **more}, status=403)


def done(words: str, **more: Any) -> Response:
    """Give the answer to an action that was carried out."""
    return answer({"saved": True, "success": True, "name": words, "message": words, "url": request.path, **more})


def needing(permission: str) -> Callable[[Route], Route]:
    """Refuse users whose role lacks a permission; answer 500 to what the database does not take."""

    def of(route: Route) -> Route:
        @wraps(route)
        def guarded(*arguments: Any, **keywords: Any) -> Response:
            if not g.user.may(permission):
                return error(403, NO_ROLE)
            try:
                return route(*arguments, **keywords)
            except rules.InternalError:
                return error(500, "An Internal Error Has Occurred.")

        return guarded  # type: ignore[return-value]

    return of


def sent(kind: str) -> Any:
    """Give the body, without the record's kind around it."""
    body = request.get_json(force=True, silent=True)
    return body.get(kind, body) if isinstance(body, dict) else body or {}


class Writes:
    """The routes that change events."""

    def __init__(self, state: MispState) -> None:
        self.state = state

    def routes(self) -> dict[str, Callable[..., Response]]:
        """Give each path with what answers it."""
        return {
            "/events/add": self.add_event,
            "/events/edit/<identifier>": self.edit_event,
            "/events/publish/<identifier>": self.publish,
            "/events/unpublish/<identifier>": self.unpublish,
            "/events/delete/<identifier>": self.delete_event,
            "/tags/attachTagToObject": self.attach_tag,
            "/tags/removeTagFromObject": self.remove_tag,
            "/sharingGroups/index": self.sharing_groups,
        }

    # -- events ------------------------------------------------------------------------------------

    @needing("perm_add")
    def add_event(self) -> Response:
        """events/add: what is invalid in it is dropped without a word."""
        content = sent("Event")
        if not content:
            return error(405, "No valid event data received.")
        if not content.get("info"):
            return declined("Event", {"Event": {"info": ["valueNotEmpty"]}}, request.path)
        existing = self.state.event(str(content.get("uuid", "")))
        if existing is not None:
            location = {"Location": f"{request.host_url}events/{existing['id']}"}
            body = {"name": EXISTS, "message": EXISTS, "url": request.path}
            return answer(body, location, status=404)
        if str(content.get("uuid", "")).lower() in self.state.blocklist:
            return error(403, "Event blocked by event blocklist.")
        rules.refuse_wide(content["info"])
        return self._event(self._add(content))

    def _add(self, fields: Record) -> Record:
        published = bool(fields.get("published")) and g.user.may("perm_publish")
        content = ("Attribute", "Object", "EventReport", "Tag", "id", "Org", "Orgc")
        header = {name: value for name, value in fields.items() if name not in content}
        own = {"Org": g.user.organisation, "Orgc": g.user.organisation, "event_creator_email": g.user.email}
        own |= {f"{name}_id": g.user.organisation["id"] for name in ("org", "orgc")}
        day = rules.day(self.state.clock())
        uuid = self.state.add_event({"date": day, **header, **own, "published": published})
        event = self.state.known(uuid)
        # A 500 from here on leaves the event there, without what was to follow.
        rules.refuse_wide(*(attribute.get("comment") for attribute in fields.get("Attribute", ())))
        for attribute in fields.get("Attribute", ()):
            self.state.attach(event, attribute)
        for object_ in fields.get("Object", ()):
            if rules.has_template(object_):
                rules.refuse_wide(object_.get("comment"))
                self.state.attach_object(event, object_)
        for report in fields.get("EventReport", ()):
            refuse_wide_report(self.state, report)
            self.state.attach_report(event, report)
        for tag in fields.get("Tag", ()):
            rules.refuse_wide(tag["name"])
            if self._may_tag(tag["name"]):
                self.state.attach_tag(event, tag["name"])
        return event

    @needing("perm_modify")
    def edit_event(self, identifier: str) -> Response:
        """events/edit: what it does not name stays; attributes that it names are added or edited."""
        event = visible(self.state, identifier)
        if event is None:
            return error(404, "Invalid event")
        if not g.user.owns(event):
            return error(403, "You are not authorised to do that.")
        changes = sent("Event")
        if "timestamp" in changes and int(changes["timestamp"]) <= int(event["timestamp"]):
            why = "Event could not be saved: Event in the request not newer than the local copy."
            return declined("Event", why, f"/events/edit/{event['id']}", "edit", id=event["id"])
        rules.refuse_wide(
            changes.get("info"), *(attribute.get("comment") for attribute in changes.get("Attribute", ()))
        )
        event.update(texts({name: changes[name] for name in HEADER if name in changes}))
        for attribute in changes.get("Attribute", ()):
            existing = self.state.attribute_of(event, str(attribute.get("uuid")))
            if existing is None:
                self.state.attach(event, attribute)
            else:
                existing.update(fields_of(attribute))
        self.state.touch(event)
        event["published"] = bool(changes.get("published")) and g.user.may("perm_publish")
        return self._event(event)

    @needing("perm_publish")
    def publish(self, identifier: str) -> Response:
        """events/publish."""
        return self._flagged(identifier, self.state.publish, "Event published without alerts")

    @needing("perm_publish")
    def unpublish(self, identifier: str) -> Response:
        """events/unpublish."""
        return self._flagged(identifier, self.state.unpublish, "Event unpublished.")

    def _flagged(self, identifier: str, act: Callable[[str], None], words: str) -> Response:
        event = self.state.event(identifier)
        if event is None:
            return error(404, "Invalid event")
        if not g.user.owns(event):
            return error(405, "You do not have the permission to do that.")
        act(event["uuid"])
        action = request.path.split("/")[2]
        body = {"saved": True, "success": True, "name": words, "message": words}
        return answer({**body, "url": f"/events/{action}/{event['id']}", "id": event["id"]})

    @needing("perm_modify")
    def delete_event(self, identifier: str) -> Response:
        """events/delete, which puts the UUID on the blocklist."""
        event = visible(self.state, identifier)
        if event is None or not g.user.owns(event):
            return declined("Event", "Event was not deleted.", "/events/delete", "delete")
        self.state.blocklist.add(event["uuid"])
        self.state.delete(event["uuid"])
        return done("Event deleted.", id=identifier)

    # -- tags, sharing groups --------------------------------------------------------

    @needing("perm_tagger")
    def attach_tag(self) -> Response:
        """tags/attachTagToObject, of an event."""
        content = sent("")
        event = self._tagged(content)
        if isinstance(event, Response):
            return event
        name, local = str(content["tag"]), content.get("local") in (1, "1", True)
        rules.refuse_wide(name)
        if not self._may_tag(name):
            return error(404, "Invalid Tag. This tag can only be set as a local tag.")
        number = self.state.number_of_tag(name)
        if any(tag["name"] == name for tag in event.get("Tag", ())):
            return done(f"Event already has the requested tag attached, no changes had to be made for tag {name}.")
        self.state.tag_event(event["uuid"], name, local)
        kind = "Local" if local else "Global"
        return done(f"{kind} tag {name}({number}) successfully attached to Event({event['id']}).")

    @needing("perm_tagger")
    def remove_tag(self) -> Response:
        """tags/removeTagFromObject, of an event."""
        content = sent("")
        event = self._tagged(content)
        if isinstance(event, Response):
            return event
        name = str(content["tag"])
        if all(tag["name"] != name for tag in event.get("Tag", ())):
            return error(404, "Invalid Tag.")
        number = self.state.number_of_tag(name)
        self.state.untag_event(event["uuid"], name)
        return done(f"Global tag {name} ({number}) successfully removed from Event({event['id']}).")

    def _tagged(self, content: Record) -> Record | Response:
        uuid = str(content.get("uuid"))
        if uuid.count("-") != 4:
            raise rules.InternalError
        event = visible(self.state, uuid)
        if event is None:
            return error(404, "Invalid Target.")
        local = content.get("local") in (1, "1", True)
        return event if local or g.user.owns(event) else error(403, TAG_NOT_OWNER)

    def _may_tag(self, name: str) -> bool:
        known = {tag["name"] for event in self.state.events() for tag in event.get("Tag", ())} | self.state.tags
        return name in known or bool(g.user.may("perm_tag_editor"))

    def sharing_groups(self) -> Response:
        """sharingGroups/index: those that the user's organisation is in."""
        uuid = g.user.organisation["uuid"]
        groups = self.state.sharing_groups.values()
        seen = [group for group in groups if g.admin or "shown" in group or uuid in group["organisations"]]
        return answer({"response": [group.get("shown") or _sharing_group(group, g.admin) for group in seen]})

    def _event(self, event: Record) -> Response:
        return answer({"Event": View({}, self.state.warninglist, g.user).event(event)})


def _sharing_group(group: Record, may_edit: bool) -> Record:
    """Show a sharing group as its index does."""
    words = {"uuid": str(UUID(int=int(group["id"]))), "description": "", "releasability": ""}
    flags = {"local": True, "active": True, "roaming": False}
    counted = {"org_count": str(len(group["organisations"]))}
    owner = {name: ORGANISATION[name] for name in ("id", "name", "uuid")}
    return {
        "SharingGroup": {"id": group["id"], "name": group["name"], **words, **flags, **counted},
        "Organisation": owner,
        "SharingGroupOrg": [],
        "SharingGroupServer": [],
        "editable": may_edit,
        "deletable": may_edit,
    }


def visible(state: MispState, identifier: str) -> Record | None:
    """Give an event that the user may see."""
    event = state.event(identifier)
    return event if event is not None and state.shows(event, g.user) else None


def refuse_wide_report(state: MispState, report: Record) -> None:
    """Raise InternalError for what the database does not take of a report."""
    rules.refuse_wide(report.get("name"))
    if not state.utf8mb4:
        rules.refuse_wide(report.get("content"))


def fields_of(attribute: Record) -> Record:
    """Give what can be changed of an attribute."""
    return texts({name: attribute[name] for name in OF_ATTRIBUTE if name in attribute})
