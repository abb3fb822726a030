"""Writes: what the sandbox's MISP makes of requests to add, edit, delete, publish and tag.

Answers and effects are those that were recorded of MISP 2.5.1. Editing objects, attributes and reports, and
deleting objects, were not recorded: they follow MISP's documented API (an edited object is compared with what
is there, member by member, by UUID; what it no longer has is deleted).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Response, g, request

from sandbox import misp_rules
from sandbox.misp_answers import View, answer, error
from sandbox.misp_records import Record, texts

if TYPE_CHECKING:
    from sandbox.misp import MispState

Route = TypeVar("Route", bound=Callable[..., Response])

NO_ROLE = "You do not have permission to use this functionality."
NOT_OWNER = "You do not have permission to do that."
TAG_NOT_OWNER = (
    "Cannot alter the tags of this data, only the organisation that has created the data (orgc) can modify global tags."
)
EXISTS = "Event already exists, if you would like to edit it, use the url in the location header."
NO_TEMPLATE = (
    "Object could not be saved.\ntemplate: No valid template found and object lacking template information. "
    "(meta-category)"
)
HEADER = ("info", "distribution", "sharing_group_id", "threat_level_id", "analysis", "date", "extends_uuid")
OF_ATTRIBUTE = ("category", "value", "to_ids", "comment", "distribution", "sharing_group_id", "disable_correlation")
OF_ATTRIBUTE += ("first_seen", "last_seen")


def declined(kind: str, why: Any, path: str, verb: str = "add", **more: Any) -> Response:
    """Give the answer to a record that MISP does not save."""
    said = f"Could not {verb} {kind}"
    return answer({"saved": False, "name": said, "message": said, "url": path, "errors": why, **more}, status=403)


def done(words: str, **more: Any) -> Response:
    """Give the answer to an action that was carried out."""
    return answer({"saved": True, "success": True, "name": words, "message": words, "url": request.path, **more})


def needing(permission: str) -> Callable[[Route], Route]:
    """Refuse users whose role lacks a permission; answer 500 to what the database does not take."""

    def of(route: Route) -> Route:
        @wraps(route)
        def guarded(*given: Any, **named: Any) -> Response:
            if not g.user.may(permission):
                return error(403, NO_ROLE)
            try:
                return route(*given, **named)
            except misp_rules.InternalError:
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
            "/attributes/add/<identifier>": self.add_attributes,
            "/attributes/edit/<identifier>": self.edit_attribute,
            "/attributes/delete/<identifier>": self.delete_attribute,
            "/objects/add/<identifier>": self.add_object,
            "/objects/edit/<identifier>": self.edit_object,
            "/objects/delete/<identifier>": self.delete_object,
            "/eventReports/add/<identifier>": self.add_report,
            "/eventReports/edit/<identifier>": self.edit_report,
            "/eventReports/index/event_id:<identifier>": self.reports,
            "/tags/attachTagToObject": self.attach_tag,
            "/tags/removeTagFromObject": self.remove_tag,
            "/sharingGroups/index": self.sharing_groups,
            "/warninglists/checkValue": self.check_values,
        }

    # -- events ------------------------------------------------------------------------------------

    @needing("perm_add")
    def add_event(self) -> Response:
        """events/add: what is invalid in it is dropped without a word."""
        given = sent("Event")
        if not given:
            return error(405, "No valid event data received.")
        if not given.get("info"):
            return declined("Event", {"Event": {"info": ["valueNotEmpty"]}}, request.path)
        there = self.state.event(str(given.get("uuid", "")))
        if there is not None:
            location = {"Location": f"{request.host_url}events/{there['id']}"}
            body = {"name": EXISTS, "message": EXISTS, "url": request.path}
            return answer(body, location, status=404)
        if str(given.get("uuid", "")).lower() in self.state.blocklist:
            return error(403, "Event blocked by event blocklist.")
        misp_rules.refuse_wide(given["info"])
        return self._event(self._added(given))

    def _added(self, given: Record) -> Record:
        published = bool(given.get("published")) and g.user.may("perm_publish")
        content = ("Attribute", "Object", "EventReport", "Tag", "id", "Org", "Orgc")
        header = {name: value for name, value in given.items() if name not in content}
        own = {"Org": g.user.organisation, "Orgc": g.user.organisation, "event_creator_email": g.user.email}
        own |= {f"{name}_id": g.user.organisation["id"] for name in ("org", "orgc")}
        day = misp_rules.day(self.state.clock())
        uuid = self.state.add_event({"date": day, **header, **own, "published": published})
        event = self.state.known(uuid)
        # A 500 from here on leaves the event there, without what was to follow.
        misp_rules.refuse_wide(*(one.get("comment") for one in given.get("Attribute", ())))
        for one in given.get("Attribute", ()):
            self.state.attach(event, one)
        for thing in given.get("Object", ()):
            if misp_rules.has_template(thing):
                misp_rules.refuse_wide(thing.get("comment"))
                self.state.attach_object(event, thing)
        for report in given.get("EventReport", ()):
            self._refuse_wide_report(report)
            self.state.attach_report(event, report)
        for tag in given.get("Tag", ()):
            misp_rules.refuse_wide(tag["name"])
            if self._may_tag(tag["name"]):
                self.state.attach_tag(event, tag["name"])
        return event

    @needing("perm_modify")
    def edit_event(self, identifier: str) -> Response:
        """events/edit: what it does not name stays; attributes that it names are added or edited."""
        event = self._visible(identifier)
        if event is None:
            return error(404, "Invalid event")
        if not g.user.owns(event):
            return error(403, "You are not authorised to do that.")
        given = sent("Event")
        if "timestamp" in given and int(given["timestamp"]) <= int(event["timestamp"]):
            why = "Event could not be saved: Event in the request not newer than the local copy."
            return declined("Event", why, f"/events/edit/{event['id']}", "edit", id=event["id"])
        misp_rules.refuse_wide(given.get("info"), *(one.get("comment") for one in given.get("Attribute", ())))
        event.update(texts({name: given[name] for name in HEADER if name in given}))
        for one in given.get("Attribute", ()):
            there = self.state.attribute_of(event, str(one.get("uuid")))
            if there is None:
                self.state.attach(event, one)
            else:
                there.update(_fields(one))
        self.state.touch(event)
        event["published"] = bool(given.get("published")) and g.user.may("perm_publish")
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
        event = self._visible(identifier)
        if event is None or not g.user.owns(event):
            return declined("Event", "Event was not deleted.", "/events/delete", "delete")
        self.state.blocklist.add(event["uuid"])
        self.state.delete(event["uuid"])
        return done("Event deleted.", id=identifier)

    # -- attributes --------------------------------------------------------------------------------

    @needing("perm_add")
    def add_attributes(self, identifier: str) -> Response:
        """attributes/add, of one or of several."""
        event = self._visible(identifier)
        if event is None:
            return error(404, "Invalid event")
        if not g.user.owns(event):
            return error(403, NOT_OWNER)
        given = sent("Attribute")
        several = given if isinstance(given, list) else [given]
        misp_rules.refuse_wide(*(one.get("comment") for one in several))
        added, wrong = [], {}
        for number, one in enumerate(several):
            made, why = self.state.attach(event, one)
            if why:
                wrong[f"attribute_{number}"] = {"value": [why]}
            else:
                added.append(_bare(made))
        if not added:
            why_one = wrong["attribute_0"] if not isinstance(given, list) else wrong
            return declined("Attribute", why_one, "/attributes/add")
        self.state.touch(event)
        body = {"Attribute": added if len(added) > 1 else added[0], "AttributeTag": []}
        return answer(body | ({"errors": wrong} if wrong else {}))

    @needing("perm_modify")
    def edit_attribute(self, identifier: str) -> Response:
        """attributes/edit."""
        found = self.state.find_attribute(identifier)
        if found is None or not self.state.shows(found[0], g.user):
            return error(404, "Invalid attribute.")
        event, one = found
        if not g.user.owns(event):
            return error(403, NOT_OWNER)
        given = sent("Attribute")
        misp_rules.refuse_wide(given.get("comment"))
        kept, why = misp_rules.attribute({**one, **_fields(given)})
        if why:
            return declined("Attribute", {"value": [why]}, request.path, "edit")
        one.update(_fields(kept))
        self.state.touch(event, one)
        return answer({"Attribute": _bare(one)})

    @needing("perm_modify")
    def delete_attribute(self, identifier: str) -> Response:
        """attributes/delete, soft unless it is to be hard."""
        found = self.state.find_attribute(identifier)
        if found is None or found[1]["deleted"] or not self.state.shows(found[0], g.user):
            return error(404, "Invalid attribute")
        event, one = found
        if not g.user.owns(event):
            return error(403, NOT_OWNER)
        hard = sent("").get("hard")
        (self.state.hard_delete if hard else self.state.soft_delete)(event["uuid"], one["uuid"])
        return answer({"message": "Attribute deleted."})

    # -- objects -----------------------------------------------------------------------------------

    @needing("perm_add")
    def add_object(self, identifier: str) -> Response:
        """objects/add."""
        event = self._visible(identifier)
        if event is None:
            return error(404, "Invalid event.")
        if not g.user.owns(event):
            return error(403, NOT_OWNER)
        given = sent("Object")
        if not misp_rules.has_template(given):
            return declined("Object", NO_TEMPLATE, "/objects/add")
        misp_rules.refuse_wide(given.get("comment"))
        made = self.state.attach_object(event, given)
        self.state.touch(event)
        return answer({"Object": _object(made)})

    @needing("perm_modify")
    def edit_object(self, identifier: str) -> Response:
        """objects/edit: members it names by UUID are edited, others added, and what it lacks is deleted."""
        found = self._own_object(identifier)
        if isinstance(found, Response):
            return found
        event, thing = found
        given = sent("Object")
        misp_rules.refuse_wide(given.get("comment"))
        before = {one["uuid"]: one for one in thing["Attribute"] if not one["deleted"]}
        for one in given.get("Attribute", ()):
            there = before.pop(str(one.get("uuid")).lower(), None)
            if there is None:
                self.state.attach(event, {name: one[name] for name in one if name != "uuid"}, thing)
                continue
            kept, why = misp_rules.attribute({**there, **_fields(one)})
            if not why and any(there[name] != kept[name] for name in ("value", "comment", "to_ids")):
                there.update(_fields(kept))
                self.state.touch(event, there)
        for gone in before.values():
            self.state.soft_delete(event["uuid"], gone["uuid"])
        for name in ("comment", "distribution"):
            thing[name] = str(given.get(name, thing[name]))
        for name in ("first_seen", "last_seen"):
            thing[name] = misp_rules.moment(given[name]) if given.get(name) else thing[name]
        self.state.touch(event, thing)
        return answer({"Object": _object(thing)})

    @needing("perm_modify")
    def delete_object(self, identifier: str) -> Response:
        """objects/delete, soft."""
        found = self._own_object(identifier)
        if isinstance(found, Response):
            return found
        event, thing = found
        self.state.delete_object(event["uuid"], thing["uuid"])
        return done("Object deleted")

    def _own_object(self, identifier: str) -> tuple[Record, Record] | Response:
        found = self.state.find("Object", identifier)
        if found is None or found[1]["deleted"] or not self.state.shows(found[0], g.user):
            return error(404, "Invalid object.")
        return found if g.user.owns(found[0]) else error(403, NOT_OWNER)

    # -- reports -----------------------------------------------------------------------------------

    @needing("perm_add")
    def add_report(self, identifier: str) -> Response:
        """eventReports/add, which takes the number of an event and not its UUID."""
        if not identifier.isdecimal():
            return declined("EventReport", "numeric", "/event_reports/add")
        event = self._visible(identifier)
        if event is None:
            return error(404, "Invalid event")
        if not g.user.owns(event):
            return error(403, NOT_OWNER)
        given = sent("EventReport")
        if not given.get("name"):
            return declined("EventReport", "This field cannot be left blank", "/event_reports/add")
        self._refuse_wide_report(given)
        made = self.state.attach_report(event, given)
        self.state.touch(event)
        return answer(_report(event, made))

    @needing("perm_modify")
    def edit_report(self, identifier: str) -> Response:
        """eventReports/edit."""
        found = self.state.find("EventReport", identifier)
        if found is None or not self.state.shows(found[0], g.user):
            return error(404, "Invalid Event Report")
        event, report = found
        if not g.user.owns(event):
            return error(403, NOT_OWNER)
        given = sent("EventReport")
        self._refuse_wide_report(given)
        report.update({name: str(given[name]) for name in ("name", "content", "distribution") if name in given})
        self.state.touch(event, report)
        return answer(_report(event, report))

    def reports(self, identifier: str) -> Response:
        """eventReports/index of an event, by its number: a UUID finds nothing."""
        event = self._visible(identifier) if identifier.isdecimal() else None
        found = event["EventReport"] if event else []
        return answer([{**_report(event, one), "RelationshipInbound": []} for one in found if event])

    def _refuse_wide_report(self, report: Record) -> None:
        misp_rules.refuse_wide(report.get("name"))
        if not self.state.utf8mb4:
            misp_rules.refuse_wide(report.get("content"))

    # -- tags, sharing groups, warninglists --------------------------------------------------------

    @needing("perm_tagger")
    def attach_tag(self) -> Response:
        """tags/attachTagToObject, of an event."""
        given = sent("")
        event = self._tagged(given)
        if isinstance(event, Response):
            return event
        name, local = str(given["tag"]), given.get("local") in (1, "1", True)
        misp_rules.refuse_wide(name)
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
        given = sent("")
        event = self._tagged(given)
        if isinstance(event, Response):
            return event
        name = str(given["tag"])
        if all(tag["name"] != name for tag in event.get("Tag", ())):
            return error(404, "Invalid Tag.")
        number = self.state.number_of_tag(name)
        self.state.untag_event(event["uuid"], name)
        return done(f"Global tag {name} ({number}) successfully removed from Event({event['id']}).")

    def _tagged(self, given: Record) -> Record | Response:
        uuid = str(given.get("uuid"))
        if uuid.count("-") != 4:
            raise misp_rules.InternalError
        event = self._visible(uuid)
        if event is None:
            return error(404, "Invalid Target.")
        local = given.get("local") in (1, "1", True)
        return event if local or g.user.owns(event) else error(403, TAG_NOT_OWNER)

    def _may_tag(self, name: str) -> bool:
        known = {tag["name"] for event in self.state.events() for tag in event.get("Tag", ())} | self.state.tags
        return name in known or bool(g.user.may("perm_tag_editor"))

    def sharing_groups(self) -> Response:
        """sharingGroups/index: those that the user's organisation is in."""
        uuid = g.user.organisation["uuid"]
        seen = [each for each in self.state.sharing_groups.values() if g.admin or uuid in each["organisations"]]
        shown = [{"SharingGroup": {"id": each["id"], "name": each["name"]}} for each in seen]
        return answer({"response": shown})

    def check_values(self) -> Response:
        """warninglists/checkValue: the values that are listed; a PHP list when there is none."""
        body = request.get_json(force=True, silent=True)
        values = body.get("[]", ()) if isinstance(body, dict) else body or ()
        hit = {"id": "1", "name": "List of the sandbox"}
        return answer({each: [{**hit, "matched": each}] for each in values if each in self.state.warninglist} or [])

    # -- common ------------------------------------------------------------------------------------

    def _visible(self, identifier: str) -> Record | None:
        event = self.state.event(identifier)
        return event if event is not None and self.state.shows(event, g.user) else None

    def _event(self, event: Record) -> Response:
        return answer({"Event": View({}, self.state.warninglist, True).event(event)})


def _fields(given: Record) -> Record:
    return texts({name: given[name] for name in OF_ATTRIBUTE if name in given})


def _bare(one: Record) -> Record:
    """Show an attribute as attributes/add does."""
    first, _, second = str(one["value"]).partition("|")
    shown = {name: value for name, value in one.items() if name not in ("Galaxy", "ShadowAttribute", "Tag")}
    return shown | {"value1": first, "value2": second}


def _object(thing: Record) -> Record:
    shown = {name: value for name, value in thing.items() if name != "ObjectReference"}
    return shown | {"Attribute": [_bare(one) for one in thing["Attribute"] if not one["deleted"]]}


def _report(event: Record, report: Record) -> Record:
    brief = {name: event[name] for name in ("id", "orgc_id", "org_id", "info", "date")}
    owners = {name: {key: event[name][key] for key in ("id", "name")} for name in ("Org", "Orgc")}
    group = dict.fromkeys(("id", "name", "uuid"))
    return {"EventReport": report, "Event": {**brief, "user_id": "1", **owners}, "SharingGroup": group}
