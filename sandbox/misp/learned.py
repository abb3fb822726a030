"""Learned: what another MISP was heard to answer, for a sandbox that holds the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.misp.accounts import Account, nearest_role
from sandbox.misp.app import MispState
from sandbox.misp.records import Record

# What an answer adds to an attribute, or to a sighting, that is not kept with it.
ADDED = frozenset({"Event", "Sighting", "RelatedAttribute", "decay_score", "warnings"})
ADDED |= {"value1", "value2", "AttributeTag"}
BRIEF_SIGHTING = ("id", "attribute_id", "event_id", "org_id", "date_sighting", "uuid", "source", "type")
HELD = frozenset({"Attribute", "Object", "EventReport", "Tag"})


class Learned:
    """Records out of answers; of one that was heard more than once, all that was heard of it."""

    def __init__(self) -> None:
        self.uuid = ""
        self.events: dict[str, Record] = {}
        self.organisations: dict[str, Record] = {}
        self.sharing_groups: dict[str, Record] = {}
        self.clusters: dict[str, Record] = {}
        self.sightings: dict[str, Record] = {}
        self.models: dict[str, Record] = {}
        self.warninglists: dict[str, Record] = {}
        self.tags: dict[str, Record] = {}
        self.warninglist: set[str] = set()
        self.scores: dict[str, dict[str, Record]] = {}

    def hear(self, path: str, body: Any) -> None:
        """Take in what MISP answered at a path."""
        controller = path.split("/")[1]
        found = body.get("response", body) if isinstance(body, dict) else body
        takes = {
            "events": self._events,
            "attributes": lambda found: self._attributes(_part(found, "Attribute")),
            "objects": lambda found: [self._object(each) for each in _each(found, "Object")],
            "galaxy_clusters": lambda found: self.clusters.update(_by("id", _each(found, "GalaxyCluster"))),
            "sightings": lambda found: [self._sighting(each) for each in _each(found, "Sighting")],
            "decayingModel": lambda found: self.models.update(_by("name", _each(found, "DecayingModel"))),
            "warninglists": self._warninglists,
            "servers": self._server,
            "sharingGroups": self._listed_groups,
            "shadowAttributes": lambda found: [self._proposal(each) for each in _each(found, "ShadowAttribute")],
            "eventReports": lambda found: [self._report(each) for each in found if "EventReport" in each],
            "tags": lambda found: self.tags.update(_by("name", _each(found, "Tag"))),
        }
        takes["shadow_attributes"] = takes["shadowAttributes"]
        takes.get(controller, lambda _: None)(found)

    def know(self, events: Iterable[Record]) -> None:
        """Take in events from elsewhere."""
        for event in events:
            self._event(event)

    def add(self, other: Learned) -> None:
        """Take in what another one has heard; of events those only that were read whole."""
        self.know(event for event in other.events.values() if {"Attribute", "RelatedEvent"} <= event.keys())
        for name in ("organisations", "sharing_groups", "clusters", "sightings", "models", "warninglists", "scores"):
            setattr(self, name, {**getattr(other, name), **getattr(self, name)})
        self.tags = {**other.tags, **self.tags}
        self.warninglist |= other.warninglist
        self.uuid = self.uuid or other.uuid

    def fill(self, state: MispState) -> None:
        """Put it into a MISP."""
        state.load(self._whole(self.events[number]) for number in sorted(self.events, key=int))
        state.organisations |= self.organisations
        state.sharing_groups |= self.sharing_groups
        state.uuid = self.uuid or state.uuid
        state.clusters += self.clusters.values()
        state.sightings += self.sightings.values()
        state.model_details |= self.models
        state.decaying_models |= {name: model["enabled"] for name, model in self.models.items()}
        state.warninglists += self.warninglists.values()
        state.warninglist |= self.warninglist
        state.scores |= self.scores
        for tag in self.tags.values():
            state.add_tag(tag)

    # -- records -----------------------------------------------------------------------------------

    def _listed_groups(self, found: Any) -> None:
        for each in found:
            if isinstance(each, dict) and "SharingGroup" in each:
                self._sharing_group({**each["SharingGroup"], "SharingGroupOrg": each["SharingGroupOrg"]})
                self.sharing_groups[each["SharingGroup"]["id"]]["shown"] = each

    def _warninglists(self, found: Any) -> None:
        """Take in lists, or values that are on one."""
        if isinstance(found, dict) and "Warninglists" in found:
            self.warninglists |= _by("id", _each(found["Warninglists"], "Warninglist"))
        elif isinstance(found, dict):
            self.warninglist |= found.keys()

    def _server(self, found: Any) -> None:
        self.uuid = found.get("uuid", self.uuid)

    def _events(self, found: Any) -> None:
        for each in found if isinstance(found, list) else [found]:
            if isinstance(each, dict) and "orgc_uuid" in each:
                row = {name: value for name, value in each.items() if name in ("id", "uuid", "timestamp", "published")}
                self._event({**row, "Orgc": {"uuid": each["orgc_uuid"]}})
            elif isinstance(each, dict) and "Event" in each:
                self._event(each["Event"])

    def _event(self, given: Record) -> Record:
        event = self.events.setdefault(str(given["id"]), {})
        bare = {name: value for name, value in given.items() if name not in ("Attribute", "Object")}
        _merge(event, bare)
        for name in ("Org", "Orgc"):
            self._organisation(given.get(name))
        self.tags |= _by("name", given.get("Tag", ()))
        if "SharingGroup" in given:
            self._sharing_group(given["SharingGroup"])
        if "Attribute" in given:
            event.setdefault("Attribute", [])
        self._attributes(given.get("Attribute", ()), event)
        for thing in given.get("Object", ()):
            self._object(thing, event)
        return event

    def _attributes(self, found: Iterable[Record], event: Record | None = None) -> None:
        for one in found:
            self._attribute(one, event if event is not None else self._event_of(one))

    def _event_of(self, one: Record) -> Record:
        event = self._event({"id": one["event_id"], **one.get("Event", {})})
        inherited = [{"local": False, **tag} for tag in one.get("Tag", ()) if tag.get("inherited")]
        _merge(event, {"Tag": [{name: tag[name] for name in tag if name != "inherited"} for tag in inherited]})
        return event

    def _attribute(self, given: Record, event: Record) -> None:
        for hit in given.get("warnings", ()):
            self.warninglist.add(hit["value"])
        if "decay_score" in given:
            scores = {each["DecayingModel"]["name"]: each for each in given["decay_score"]}
            self.scores[given["uuid"]] = scores
        for each in given.get("Sighting", ()):
            self._sighting(each)
        holder = event
        if given.get("object_id", "0") != "0":
            holder = _held(event, "Object", {"id": given["object_id"]})
        bare = {name: value for name, value in given.items() if name not in ADDED}
        self.tags |= _by("name", given.get("Tag", ()))
        own = [tag for tag in bare.pop("Tag", ()) if not tag.get("inherited")]
        _held(holder, "Attribute", bare | ({"Tag": own} if own else {}))

    def _object(self, given: Record, event: Record | None = None) -> None:
        if event is None:
            event = self._event(given["Event"])
        _held(event, "Object", {name: value for name, value in given.items() if name not in ("Event", "Attribute")})
        self._attributes(given.get("Attribute", ()), event)

    def _proposal(self, given: Record) -> None:
        event = self._event({"id": given["event_id"], "uuid": given["event_uuid"]})
        holder = event
        if given["old_id"] != "0":
            holder = _held(event, "Attribute", {"id": given["old_id"], "uuid": given["old_uuid"]})
        _held(holder, "ShadowAttribute", given)

    def _report(self, given: Record) -> None:
        owners = {name: {"uuid": "", **given["Event"][name]} for name in ("Org", "Orgc")}
        event = self._event({**given["Event"], **owners})
        _held(event, "EventReport", given["EventReport"])

    def _sharing_group(self, given: Record) -> None:
        members = [each["Organisation"]["uuid"] for each in given.get("SharingGroupOrg", ())]
        group = self.sharing_groups.setdefault(given["id"], {"id": given["id"], "name": given["name"]})
        group["organisations"] = members

    def _sighting(self, given: Record) -> None:
        self.sightings[given["uuid"]] = {name: given[name] for name in BRIEF_SIGHTING}
        one = {"id": given["attribute_id"], "event_id": given["event_id"]}
        more = {"uuid": "attribute_uuid", "value": "value"}
        one |= {name: given[called] for name, called in more.items() if called in given}
        self._attribute(one, self._event({"id": given["event_id"]}))
        self._organisation({**given.get("Organisation", {}), "id": given["org_id"]})

    def _whole(self, event: Record) -> Record:
        """Give an event as it is loaded: whoever heard of it sees it, and one that the index lists has attributes."""
        numbers = {"Org": event.get("org_id"), "Orgc": event.get("orgc_id")}
        known = {name: self.organisations[each] for name, each in numbers.items() if each in self.organisations}
        unnamed = {name: {"name": "", **event[name]} for name in numbers if name in event}
        usual = {"distribution": "1"} | ({} if event.get("Attribute") else {"attribute_count": "1"})
        return usual | known | event | unnamed

    def _organisation(self, given: Mapping[str, Any] | None) -> None:
        if given and given.get("uuid") and {"id", "name"} <= given.keys():
            self.organisations[str(given["id"])] = {"local": True, **given}


def account_of(me: Mapping[str, Any]) -> Account:
    """Give the account that users/view/me shows, with the role here that is nearest to its role there."""
    organisation = {name: me["Organisation"][name] for name in ("id", "name", "uuid", "local")}
    return Account(str(me["User"]["id"]), me["User"]["email"], nearest_role(me["Role"]), organisation)


def _held(holder: Record, name: str, given: Record) -> Record:
    """Find in a holder's list the record with the same number, or put it there, and merge what is given."""
    held = holder.setdefault(name, [])
    record = next((each for each in held if str(each.get("id")) == str(given["id"])), None)
    if record is None:
        record = {}
        held.append(record)
    _merge(record, given)
    return record


def _merge(record: Record, given: Record) -> None:
    """Add to a record what it lacks."""
    for name, value in given.items():
        if name in HELD and isinstance(value, list) and value:
            for each in value:
                _held(record, name, each)
        else:
            record.setdefault(name, value)


def _part(found: Any, name: str) -> Any:
    return found.get(name, []) if isinstance(found, dict) else found


def _each(found: Any, kind: str) -> list[Record]:
    """Give the records of a kind in an answer, without what is wrapped around them."""
    listed = found if isinstance(found, list) else [found]
    return [each[kind] for each in listed if isinstance(each, dict) and kind in each]


def _by(name: str, records: Iterable[Record]) -> dict[str, Record]:
    return {str(each[name]): each for each in records if name in each}
