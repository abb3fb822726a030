"""Recorded: the records in the answers of another MISP, for a sandbox that holds the same."""

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


class RecordedMisp:
    """Records out of answers; of one that was answered more than once, all that any answer says of it."""

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

    def add_answer(self, path: str, body: Any) -> None:
        """Take in what MISP answered at a path."""
        controller = path.split("/")[1]
        content = body.get("response", body) if isinstance(body, dict) else body
        takes = {
            "events": self._events,
            "attributes": lambda content: self._attributes(_part(content, "Attribute")),
            "objects": lambda content: [self._object(record) for record in _records_of(content, "Object")],
            "galaxy_clusters": lambda content: self.clusters.update(_by("id", _records_of(content, "GalaxyCluster"))),
            "sightings": lambda content: [self._sighting(record) for record in _records_of(content, "Sighting")],
            "decayingModel": lambda content: self.models.update(_by("name", _records_of(content, "DecayingModel"))),
            "warninglists": self._warninglists,
            "servers": self._server,
            "sharingGroups": self._listed_groups,
            "shadowAttributes": lambda content: [
                self._proposal(record) for record in _records_of(content, "ShadowAttribute")
            ],
            "eventReports": lambda content: [self._report(record) for record in content if "EventReport" in record],
            "tags": lambda content: self.tags.update(_by("name", _records_of(content, "Tag"))),
        }
        takes["shadow_attributes"] = takes["shadowAttributes"]
        takes.get(controller, lambda _: None)(content)

    def add_events(self, events: Iterable[Record]) -> None:
        """Take in events from elsewhere."""
        for event in events:
            self._event(event)

    def merge(self, other: RecordedMisp) -> None:
        """Take in what another one holds; of events those only that were read whole."""
        self.add_events(event for event in other.events.values() if {"Attribute", "RelatedEvent"} <= event.keys())
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

    def _listed_groups(self, content: Any) -> None:
        for listed in content:
            if isinstance(listed, dict) and "SharingGroup" in listed:
                self._sharing_group({**listed["SharingGroup"], "SharingGroupOrg": listed["SharingGroupOrg"]})
                self.sharing_groups[listed["SharingGroup"]["id"]]["shown"] = listed

    def _warninglists(self, content: Any) -> None:
        """Take in lists, or values that are on one."""
        if isinstance(content, dict) and "Warninglists" in content:
            self.warninglists |= _by("id", _records_of(content["Warninglists"], "Warninglist"))
        elif isinstance(content, dict):
            self.warninglist |= content.keys()

    def _server(self, content: Any) -> None:
        self.uuid = content.get("uuid", self.uuid)

    def _events(self, content: Any) -> None:
        for record in content if isinstance(content, list) else [content]:
            if isinstance(record, dict) and "orgc_uuid" in record:
                row = {
                    name: value for name, value in record.items() if name in ("id", "uuid", "timestamp", "published")
                }
                self._event({**row, "Orgc": {"uuid": record["orgc_uuid"]}})
            elif isinstance(record, dict) and "Event" in record:
                self._event(record["Event"])

    def _event(self, fields: Record) -> Record:
        event = self.events.setdefault(str(fields["id"]), {})
        bare = {name: value for name, value in fields.items() if name not in ("Attribute", "Object")}
        _merge(event, bare)
        for name in ("Org", "Orgc"):
            self._organisation(fields.get(name))
        self.tags |= _by("name", fields.get("Tag", ()))
        if "SharingGroup" in fields:
            self._sharing_group(fields["SharingGroup"])
        if "Attribute" in fields:
            event.setdefault("Attribute", [])
        self._attributes(fields.get("Attribute", ()), event)
        for object_ in fields.get("Object", ()):
            self._object(object_, event)
        return event

    def _attributes(self, attributes: Iterable[Record], event: Record | None = None) -> None:
        for attribute in attributes:
            self._attribute(attribute, event if event is not None else self._event_of(attribute))

    def _event_of(self, attribute: Record) -> Record:
        event = self._event({"id": attribute["event_id"], **attribute.get("Event", {})})
        inherited = [{"local": False, **tag} for tag in attribute.get("Tag", ()) if tag.get("inherited")]
        _merge(event, {"Tag": [{name: tag[name] for name in tag if name != "inherited"} for tag in inherited]})
        return event

    def _attribute(self, fields: Record, event: Record) -> None:
        for hit in fields.get("warnings", ()):
            self.warninglist.add(hit["value"])
        if "decay_score" in fields:
            scores = {score["DecayingModel"]["name"]: score for score in fields["decay_score"]}
            self.scores[fields["uuid"]] = scores
        for sighting in fields.get("Sighting", ()):
            self._sighting(sighting)
        holder = event
        if fields.get("object_id", "0") != "0":
            holder = _find_or_add(event, "Object", {"id": fields["object_id"]})
        bare = {name: value for name, value in fields.items() if name not in ADDED}
        self.tags |= _by("name", fields.get("Tag", ()))
        own = [tag for tag in bare.pop("Tag", ()) if not tag.get("inherited")]
        _find_or_add(holder, "Attribute", bare | ({"Tag": own} if own else {}))

    def _object(self, fields: Record, event: Record | None = None) -> None:
        if event is None:
            event = self._event(fields["Event"])
        _find_or_add(
            event, "Object", {name: value for name, value in fields.items() if name not in ("Event", "Attribute")}
        )
        self._attributes(fields.get("Attribute", ()), event)

    def _proposal(self, proposal: Record) -> None:
        event = self._event({"id": proposal["event_id"], "uuid": proposal["event_uuid"]})
        holder = event
        if proposal["old_id"] != "0":
            holder = _find_or_add(event, "Attribute", {"id": proposal["old_id"], "uuid": proposal["old_uuid"]})
        _find_or_add(holder, "ShadowAttribute", proposal)

    def _report(self, record: Record) -> None:
        owners = {name: {"uuid": "", **record["Event"][name]} for name in ("Org", "Orgc")}
        event = self._event({**record["Event"], **owners})
        _find_or_add(event, "EventReport", record["EventReport"])

    def _sharing_group(self, record: Record) -> None:
        members = [member["Organisation"]["uuid"] for member in record.get("SharingGroupOrg", ())]
        group = self.sharing_groups.setdefault(record["id"], {"id": record["id"], "name": record["name"]})
        group["organisations"] = members

    def _sighting(self, sighting: Record) -> None:
        self.sightings[sighting["uuid"]] = {name: sighting[name] for name in BRIEF_SIGHTING}
        attribute = {"id": sighting["attribute_id"], "event_id": sighting["event_id"]}
        more = {"uuid": "attribute_uuid", "value": "value"}
        attribute |= {name: sighting[called] for name, called in more.items() if called in sighting}
        self._attribute(attribute, self._event({"id": sighting["event_id"]}))
        self._organisation({**sighting.get("Organisation", {}), "id": sighting["org_id"]})

    def _whole(self, event: Record) -> Record:
        """Give an event as it is loaded: whoever read it sees it, and one that the index lists has attributes."""
        numbers = {"Org": event.get("org_id"), "Orgc": event.get("orgc_id")}
        known = {name: self.organisations[number] for name, number in numbers.items() if number in self.organisations}
        unnamed = {name: {"name": "", **event[name]} for name in numbers if name in event}
        usual = {"distribution": "1"} | ({} if event.get("Attribute") else {"attribute_count": "1"})
        return usual | known | event | unnamed

    def _organisation(self, organisation: Mapping[str, Any] | None) -> None:
        if organisation and organisation.get("uuid") and {"id", "name"} <= organisation.keys():
            self.organisations[str(organisation["id"])] = {"local": True, **organisation}


def account_of(me: Mapping[str, Any]) -> Account:
    """Give the account that users/view/me shows, with the role here that is nearest to its role there."""
    organisation = {name: me["Organisation"][name] for name in ("id", "name", "uuid", "local")}
    return Account(str(me["User"]["id"]), me["User"]["email"], nearest_role(me["Role"]), organisation)


def _find_or_add(holder: Record, name: str, fields: Record) -> Record:
    """Find in a holder's list the record with the same number, or put it there, and merge what is given."""
    records = holder.setdefault(name, [])
    record = next((other for other in records if str(other.get("id")) == str(fields["id"])), None)
    if record is None:
        record = {}
        records.append(record)
    _merge(record, fields)
    return record


def _merge(record: Record, fields: Record) -> None:
    """Add to a record what it lacks."""
    for name, value in fields.items():
        if name in HELD and isinstance(value, list) and value:
            for item in value:
                _find_or_add(record, name, item)
        else:
            record.setdefault(name, value)


def _part(content: Any, name: str) -> Any:
    return content.get(name, []) if isinstance(content, dict) else content


def _records_of(content: Any, kind: str) -> list[Record]:
    """Give the records of a kind in an answer, without what is wrapped around them."""
    listed = content if isinstance(content, list) else [content]
    return [item[kind] for item in listed if isinstance(item, dict) and kind in item]


def _by(name: str, records: Iterable[Record]) -> dict[str, Record]:
    return {str(record[name]): record for record in records if name in record}
