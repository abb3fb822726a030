"""Part writes: attributes, objects and reports, as requests to the sandbox's MISP add, edit and delete them.

Editing an object compares it with what is there, member by member, by UUID; what it no longer has is deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Response, g, request

from sandbox.misp import rules as misp_rules
from sandbox.misp.answers import answer, error, in_parts
from sandbox.misp.records import Record
from sandbox.misp.writes import declined, done, fields_of, needing, refuse_wide_report, sent, visible

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
        given = sent("Attribute")
        several = given if isinstance(given, list) else [given]
        misp_rules.refuse_wide(*(one.get("comment") for one in several))
        added, wrong = [], {}
        for number, one in enumerate(several):
            made, why = self.state.attach(event, one)
            if why:
                wrong[f"attribute_{number}"] = {"value": [why]}
            else:
                added.append(in_parts(made))
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
        kept, why = misp_rules.attribute({**one, **fields_of(given)})
        if why:
            return declined("Attribute", {"value": [why]}, request.path, "edit")
        one.update(fields_of(kept))
        self.state.touch(event, one)
        return answer({"Attribute": in_parts(one)})

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
        event = visible(self.state, identifier)
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
            kept, why = misp_rules.attribute({**there, **fields_of(one)})
            if not why and any(there[name] != kept[name] for name in ("value", "comment", "to_ids")):
                there.update(fields_of(kept))
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
        event = visible(self.state, identifier)
        if event is None:
            return error(404, "Invalid event")
        if not g.user.owns(event):
            return error(403, NOT_OWNER)
        given = sent("EventReport")
        if not given.get("name"):
            return declined("EventReport", "This field cannot be left blank", "/event_reports/add")
        refuse_wide_report(self.state, given)
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
        refuse_wide_report(self.state, given)
        report.update({name: str(given[name]) for name in ("name", "content", "distribution") if name in given})
        self.state.touch(event, report)
        return answer(_report(event, report))

    def reports(self, identifier: str) -> Response:
        """eventReports/index of an event, by its number: a UUID finds nothing."""
        event = visible(self.state, identifier) if identifier.isdecimal() else None
        found = event["EventReport"] if event else []
        return answer([{**_report(event, one), "RelationshipInbound": []} for one in found if event])


def _object(thing: Record) -> Record:
    shown = {name: value for name, value in thing.items() if name != "ObjectReference"}
    return shown | {"Attribute": [in_parts(one) for one in thing["Attribute"] if not one["deleted"]]}


def _report(event: Record, report: Record) -> Record:
    brief = {name: event[name] for name in ("id", "orgc_id", "org_id", "info", "date")}
    owners = {name: {key: event[name][key] for key in ("id", "name")} for name in ("Org", "Orgc")}
    group = dict.fromkeys(("id", "name", "uuid"))
    return {"EventReport": report, "Event": {**brief, "user_id": "1", **owners}, "SharingGroup": group}
