"""Part writes: attributes, objects and reports, as requests to the sandbox's MISP add, edit and delete them.

Editing an object compares it with what is there, member by member, by UUID; what it no longer has is deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Response, g, request

from sandbox.misp import rules
from sandbox.misp.answers import answer, error, in_parts
from sandbox.misp.records import Record
from sandbox.misp.writes.events import declined, done, fields_of, needing, refuse_wide_report, sent, visible

if TYPE_CHECKING:
    from sandbox.misp.app import MispState

NOT_OWNER = "You do not have permission to do that."
NO_TEMPLATE = (
    "Object could not be saved.\ntemplate: No valid template found and object lacking template information. "
    "(meta-category)"
)


class PartWrites:
    """The routes that change what is in events."""

    def __init__(self, state: MispState) -> None:
        self.state = state

    def routes(self) -> dict[str, Callable[..., Response]]:
        """Give each path with what answers it."""
        return {
            "/attributes/add/<identifier>": self.add_attributes,
            "/attributes/edit/<identifier>": self.edit_attribute,
            "/attributes/delete/<identifier>": self.delete_attribute,
            "/objects/add/<identifier>": self.add_object,
            "/objects/edit/<identifier>": self.edit_object,
            "/objects/delete/<identifier>": self.delete_object,
            "/eventReports/add/<identifier>": self.add_report,
            "/eventReports/edit/<identifier>": self.edit_report,
            "/eventReports/index/event_id:<identifier>": self.reports,
        }

    # -- attributes --------------------------------------------------------------------------------

    @needing("perm_add")
    def add_attributes(self, identifier: str) -> Response:
        """attributes/add, of one or of several."""
        event = visible(self.state, identifier)
        if event is None:
            return error(404, "Invalid event")
        if not g.user.owns(event):
            return error(403, NOT_OWNER)
        content = sent("Attribute")
        several = content if isinstance(content, list) else [content]
        rules.refuse_wide(*(attribute.get("comment") for attribute in several))
        added, wrong = [], {}
        for number, attribute in enumerate(several):
            kept, why = self.state.attach(event, attribute)
            if why:
                wrong[f"attribute_{number}"] = {"value": [why]}
            else:
                added.append(in_parts(kept))
        if not added:
            why_one = wrong["attribute_0"] if not isinstance(content, list) else wrong
            return declined("Attribute", why_one, "/attributes/add")
        self.state.touch(event)
        body = {"Attribute": added if len(added) > 1 else added[0], "AttributeTag": []}
        return answer(body | ({"errors": wrong} if wrong else {}))

    @needing("perm_modify")
    def edit_attribute(self, identifier: str) -> Response:
        """attributes/edit."""
        match = self.state.find_attribute(identifier)
        if match is None or not self.state.shows(match[0], g.user):
            return error(404, "Invalid attribute.")
        event, attribute = match
        if not g.user.owns(event):
            return error(403, NOT_OWNER)
        changes = sent("Attribute")
        rules.refuse_wide(changes.get("comment"))
        kept, why = rules.attribute({**attribute, **fields_of(changes)})
        if why:
            return declined("Attribute", {"value": [why]}, request.path, "edit")
        attribute.update(fields_of(kept))
        self.state.touch(event, attribute)
        return answer({"Attribute": in_parts(attribute)})

    @needing("perm_modify")
    def delete_attribute(self, identifier: str) -> Response:
        """attributes/delete, soft unless it is to be hard."""
        match = self.state.find_attribute(identifier)
        if match is None or match[1]["deleted"] or not self.state.shows(match[0], g.user):
            return error(404, "Invalid attribute")
        event, attribute = match
        if not g.user.owns(event):
            return error(403, NOT_OWNER)
        hard = sent("").get("hard")
        (self.state.hard_delete if hard else self.state.soft_delete)(event["uuid"], attribute["uuid"])
        return answer({"message": "Attribute deleted."})

    # -- objects -----------------------------------------------------------------------------------

    @needing("perm_add")
    def add_object(self, identifier: str) -> Response:
        """objects/add."""
        event = visible(self.state, identifier)
        if event is None:
            return error(404, "Invalid event.")
        if not g.user.owns(event):
            return error(403, NOT_OWNER)
        content = sent("Object")
        if not rules.has_template(content):
            return declined("Object", NO_TEMPLATE, "/objects/add")
        rules.refuse_wide(content.get("comment"))
        object_ = self.state.attach_object(event, content)
        self.state.touch(event)
        return answer({"Object": _object(object_)})

    @needing("perm_modify")
    def edit_object(self, identifier: str) -> Response:
        """objects/edit: members that it names by UUID are edited, others added, and what it lacks is deleted."""
        match = self._own_object(identifier)
        if isinstance(match, Response):
            return match
        event, object_ = match
        changes = sent("Object")
        rules.refuse_wide(changes.get("comment"))
        before = {member["uuid"]: member for member in object_["Attribute"] if not member["deleted"]}
        for member in changes.get("Attribute", ()):
            existing = before.pop(str(member.get("uuid")).lower(), None)
            if existing is None:
                self.state.attach(event, {name: member[name] for name in member if name != "uuid"}, object_)
                continue
            kept, why = rules.attribute({**existing, **fields_of(member)})
            if not why and any(existing[name] != kept[name] for name in ("value", "comment", "to_ids")):
                existing.update(fields_of(kept))
                self.state.touch(event, existing)
        for gone in before.values():
            self.state.soft_delete(event["uuid"], gone["uuid"])
        for name in ("comment", "distribution"):
            object_[name] = str(changes.get(name, object_[name]))
        for name in ("first_seen", "last_seen"):
            object_[name] = rules.moment(changes[name]) if changes.get(name) else object_[name]
        self.state.touch(event, object_)
        return answer({"Object": _object(object_)})

    @needing("perm_modify")
    def delete_object(self, identifier: str) -> Response:
        """objects/delete, soft."""
        match = self._own_object(identifier)
        if isinstance(match, Response):
            return match
        event, object_ = match
        self.state.delete_object(event["uuid"], object_["uuid"])
        return done("Object deleted")

    def _own_object(self, identifier: str) -> tuple[Record, Record] | Response:
        match = self.state.find("Object", identifier)
        if match is None or match[1]["deleted"] or not self.state.shows(match[0], g.user):
            return error(404, "Invalid object.")
        return match if g.user.owns(match[0]) else error(403, NOT_OWNER)

    # -- reports -----------------------------------------------------------------------------------

    @needing("perm_add")
    def add_report(self, identifier: str) -> Response:
        """eventReports/add, which takes the number of an event and not its UUID."""
        if not identifier.isdecimal():
            return declined("EventReport", "numeric", "/event_reports/add")
        event = visible(self.state, identifier)
        if event is None:
            return error(404, "Invalid event")
        if not g.user.owns(event):
            return error(403, NOT_OWNER)
        content = sent("EventReport")
        if not content.get("name"):
            return declined("EventReport", "This field cannot be left blank", "/event_reports/add")
        refuse_wide_report(self.state, content)
        report = self.state.attach_report(event, content)
        self.state.touch(event)
        return answer(_report(event, report))

    @needing("perm_modify")
    def edit_report(self, identifier: str) -> Response:
        """eventReports/edit."""
        match = self.state.find("EventReport", identifier)
        if match is None or not self.state.shows(match[0], g.user):
            return error(404, "Invalid Event Report")
        event, report = match
        if not g.user.owns(event):
            return error(403, NOT_OWNER)
        changes = sent("EventReport")
        refuse_wide_report(self.state, changes)
        report.update({name: str(changes[name]) for name in ("name", "content", "distribution") if name in changes})
        self.state.touch(event, report)
        return answer(_report(event, report))

    def reports(self, identifier: str) -> Response:
        """eventReports/index of an event, by its number: a UUID finds nothing."""
        event = visible(self.state, identifier) if identifier.isdecimal() else None
        reports = event["EventReport"] if event else []
        return answer([{**_report(event, report), "RelationshipInbound": []} for report in reports if event])


def _object(object_: Record) -> Record:
    shown = {name: value for name, value in object_.items() if name != "ObjectReference"}
    return shown | {
        "Attribute": [in_parts(attribute) for attribute in object_["Attribute"] if not attribute["deleted"]]
    }


def _report(event: Record, report: Record) -> Record:
    brief = {name: event[name] for name in ("id", "orgc_id", "org_id", "info", "date")}
    owners = {name: {key: event[name][key] for key in ("id", "name")} for name in ("Org", "Orgc")}
    group = dict.fromkeys(("id", "name", "uuid"))
    return {"EventReport": report, "Event": {**brief, "user_id": "1", **owners}, "SharingGroup": group}
