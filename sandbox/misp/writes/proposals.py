"""Proposals: what users propose about events, in the forms that were recorded of MISP 2.5.1."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING
from uuid import uuid4

from flask import Response, g, request

from sandbox.misp import rules
from sandbox.misp.answers import answer, error
from sandbox.misp.records import Record, attributes
from sandbox.misp.writes.events import needing, sent

if TYPE_CHECKING:
    from sandbox.misp.app import MispState

SEEN = ("first_seen", "last_seen")
DELETE_PROPOSED = (
    "The proposal to delete the attribute has been saved but sending out the alert e-mails has failed for at least"
    " one recipient."
)


class Proposals:
    """The routes about proposals, under both names that MISP takes."""

    def __init__(self, state: MispState) -> None:
        self.state = state
        self._numbers = count(1)

    def routes(self) -> dict[str, Callable[..., Response]]:
        """Give each path with what answers it."""
        paths = {
            "add/<identifier>": self.add,
            "edit/<identifier>": self.edit,
            "delete/<identifier>": self.delete,
            "accept/<identifier>": self.accept,
            "index": self.index,
            "index/<identifier>": self.index,
        }
        return {
            f"/{name}/{path}": view
            for name in ("shadowAttributes", "shadow_attributes")
            for path, view in paths.items()
        }

    @needing("perm_add")
    def add(self, identifier: str) -> Response:
        """Propose a new attribute; the same one twice is kept twice."""
        event = self._visible(identifier)
        if event is None:
            return error(404, "Invalid Event")
        kept, why = rules.attribute(sent("ShadowAttribute"))
        rules.refuse_wide(kept.get("comment"))
        if why:
            return error(404, f"Could not save the proposal. Errors: [value]: {why}\n")
        proposal = self._new(event, kept, str(uuid4()), "0")
        event["ShadowAttribute"] = [*event["ShadowAttribute"], proposal]
        return answer({"ShadowAttribute": _sent_back(event, proposal)})

    @needing("perm_add")
    def edit(self, identifier: str) -> Response:
        """Propose a change to an attribute."""
        match = self._attribute(identifier)
        if isinstance(match, Response):
            return match
        event, attribute = match
        changes = {name: value for name, value in sent("ShadowAttribute").items() if value is not None}
        rules.refuse_wide(changes.get("comment"))
        kept, why = rules.attribute({**{name: attribute[name] for name in ("type", "category", "value")}, **changes})
        if why:
            return error(404, f"Could not save the proposal. Errors: [value]: {why}\n")
        proposal = self._new(event, kept, attribute["uuid"], attribute["id"])
        attribute["ShadowAttribute"] = [*attribute["ShadowAttribute"], proposal]
        return answer({"ShadowAttribute": _sent_back(event, proposal)})

    @needing("perm_add")
    def delete(self, identifier: str) -> Response:
        """Propose to delete an attribute."""
        match = self._attribute(identifier)
        if isinstance(match, Response):
            return match
        event, attribute = match
        kept = {name: attribute[name] for name in ("type", "category", "value", "to_ids")}
        proposal = self._new(event, kept, attribute["uuid"], attribute["id"]) | {"proposal_to_delete": True}
        attribute["ShadowAttribute"] = [*attribute["ShadowAttribute"], proposal]
        return answer({"saved": True, "success": DELETE_PROPOSED})

    @needing("perm_modify")
    def accept(self, identifier: str) -> Response:
        """Take a proposal over into the event, which unpublishes it."""
        for event in self.state.events():
            for holder in (event, *attributes(event)):
                for proposal in holder["ShadowAttribute"]:
                    if proposal["id"] == identifier and g.user.owns(event):
                        self._take(event, holder, proposal)
                        return answer(_message("Proposal accepted.", f"{request.host_url}{request.path[1:]}"))
        return error(404, "Invalid proposal.")

    def index(self, identifier: str = "") -> Response:
        """List the proposals of an event, or of all."""
        event = self._visible(identifier) if identifier else None
        if identifier and event is None:
            return error(404, "Invalid event.")
        visible = (other for other in self.state.events() if self.state.shows(other, g.user))
        pairs = [(owner, proposal) for owner in ([event] if event else visible) for proposal in self._pending(owner)]
        return answer([{"ShadowAttribute": _listed(owner, proposal)} for owner, proposal in pairs])

    def _take(self, event: Record, holder: Record, proposal: Record) -> None:
        holder["ShadowAttribute"] = [other for other in holder["ShadowAttribute"] if other is not proposal]
        if proposal["proposal_to_delete"]:
            self.state.soft_delete(event["uuid"], holder["uuid"])
        elif holder is event:
            self.state.attach(event, {name: proposal[name] for name in ("type", "category", "value", "to_ids")})
            self.state.touch(event)
        else:
            changed = {name: proposal[name] for name in ("category", "value", "to_ids", "comment")}
            self.state.edit_attribute(event["uuid"], holder["uuid"], **changed)

    def _pending(self, event: Record) -> list[Record]:
        return [
            *event["ShadowAttribute"],
            *(proposal for attribute in attributes(event) for proposal in attribute["ShadowAttribute"]),
        ]

    def _new(self, event: Record, kept: Record, uuid: str, old_id: str) -> Record:
        """Make a proposal as events show it."""
        return {
            "id": str(next(self._numbers)),
            "type": kept["type"],
            "category": kept["category"],
            "to_ids": kept.get("to_ids") in (True, 1, "1"),
            "uuid": uuid,
            "event_uuid": event["uuid"],
            "event_id": event["id"],
            "old_id": old_id,
            "comment": str(kept.get("comment") or ""),
            "org_id": g.user.organisation["id"],
            "proposal_to_delete": False,
            "timestamp": str(int(self.state.clock())),
            **dict.fromkeys(SEEN),
            "value": kept["value"],
            "Org": g.user.organisation,
        }

    def _visible(self, identifier: str) -> Record | None:
        event = self.state.event(identifier)
        return event if event is not None and self.state.shows(event, g.user) else None

    def _attribute(self, identifier: str) -> tuple[Record, Record] | Response:
        match = self.state.find_attribute(identifier)
        if match is None or match[1]["deleted"] or not self.state.shows(match[0], g.user):
            return error(404, "Invalid Attribute.")
        return match


def _message(words: str, url: str) -> Record:
    return {"name": words, "message": words, "url": url}


def _sent_back(event: Record, proposal: Record) -> Record:
    """Show a proposal as the answer to making it does."""
    hidden = ("event_uuid", "org_id", "proposal_to_delete", "Org")
    shown = {name: value for name, value in proposal.items() if name not in hidden}
    return shown | {"event_org_id": event["org_id"], "email": g.user.email, "deleted": False}


def _listed(event: Record, proposal: Record) -> Record:
    """Show a proposal as the index does."""
    owner = {name: proposal["Org"][name] for name in ("name", "uuid", "id")}
    more = {"deleted": False, "disable_correlation": False, "org_uuid": owner["uuid"], "Org": owner}
    old = {"old_uuid": proposal["uuid"]} if proposal["old_id"] != "0" else {}
    return {**proposal, **more, "event_uuid": event["uuid"], **old}
