"""Edits: what people do to the events of a MISP, with the effects measured on MISP 2.5.1.

An edit gives the event a newer timestamp, the edited attribute too, and unpublishes the event
until somebody publishes it again. Local tags change no timestamp and no flag; publishing and
unpublishing leave the timestamp as it is. What MISP refuses (an unknown event, attribute or
tag) is a KeyError here.
"""

from __future__ import annotations

from typing import Any

from sandbox.misp import rules
from sandbox.misp.records import ATTRIBUTE, Record, attributes, texts
from sandbox.misp.store import Store


class Edits(Store):
    """A store whose events can be edited, named by their uuids."""

    def add_event(self, event: Record) -> str:
        """Add an event as of now, published when it says so; give its uuid.

        As in events/add with an administrator's key: a uuid that is there is refused. The
        blocklist, which keeps MISP from taking back a deleted event, is not kept.
        """
        bare = event.get("Event", event)
        if self.event(str(bare.get("uuid", ""))):
            raise ValueError("Event already exists, if you would like to edit it, use the url in the location header.")
        now = str(int(self.clock()))
        stored = self._keep({"timestamp": now, "publish_timestamp": now if bare.get("published") else "0"} | bare)
        for record in [*attributes(stored), *stored["Object"]]:
            record["timestamp"] = now if record["timestamp"] == "0" else record["timestamp"]
        return str(stored["uuid"])

    def edit_info(self, uuid: str, info: str) -> None:
        """Give an event another title."""
        event = self._known(uuid)
        event["info"] = info
        self._touch(event)

    def publish(self, uuid: str) -> None:
        """Publish an event; its publish_timestamp moves, its timestamp does not."""
        self._known(uuid).update(published=True, publish_timestamp=str(int(self.clock())))

    def unpublish(self, uuid: str) -> None:
        """Unpublish an event; as in events/unpublish its timestamps stay."""
        self._known(uuid)["published"] = False

    def delete(self, uuid: str) -> None:
        """Delete an event."""
        self._drop(uuid)

    def protect(self, uuid: str) -> None:
        """Make an event a protected one, which events/index in its minimal form leaves out."""
        self._known(uuid)["protected"] = True

    def tag_event(self, uuid: str, name: str, local: bool = False) -> None:
        """Attach a tag to an event; one that is attached already changes nothing."""
        event = self._known(uuid)
        if self._attach(event, name, local) and not local:
            self._touch(event)

    def untag_event(self, uuid: str, name: str) -> None:
        """Remove a tag from an event."""
        event = self._known(uuid)
        if not _detach(event, name)["local"]:
            self._touch(event)

    def tag_attribute(self, event_uuid: str, attribute_uuid: str, name: str, local: bool = False) -> None:
        """Attach a tag to an attribute; one that is attached already changes nothing."""
        event, attribute = self._pair(event_uuid, attribute_uuid)
        if self._attach(attribute, name, local) and not local:
            self._touch(event, attribute)

    def untag_attribute(self, event_uuid: str, attribute_uuid: str, name: str) -> None:
        """Remove a tag from an attribute."""
        event, attribute = self._pair(event_uuid, attribute_uuid)
        if not _detach(attribute, name)["local"]:
            self._touch(event, attribute)

    def add_attribute(self, event_uuid: str, fields: Record) -> str:
        """Add an attribute to an event; give its uuid."""
        event = self._known(event_uuid)
        attribute = self._filler.attribute(fields, event)
        event["Attribute"].append(attribute)
        _count(event, 0 if attribute["deleted"] else 1)
        self._touch(event, attribute)
        return str(attribute["uuid"])

    def edit_attribute(self, event_uuid: str, attribute_uuid: str, **changes: Any) -> None:
        """Change fields of an attribute, one in an object too: value, comment, type, to_ids and so on."""
        event, attribute = self._pair(event_uuid, attribute_uuid)
        if changes.keys() - ATTRIBUTE.keys():
            raise KeyError(*changes.keys() - ATTRIBUTE.keys())
        attribute.update(texts(changes))
        self._touch(event, attribute)

    def soft_delete(self, event_uuid: str, attribute_uuid: str) -> None:
        """Mark an attribute as deleted, so that a search shows it on request only."""
        event, attribute = self._pair(event_uuid, attribute_uuid)
        self._mark(event, attribute, deleted=True)

    def restore(self, event_uuid: str, attribute_uuid: str) -> None:
        """Take back a soft deletion."""
        event, attribute = self._pair(event_uuid, attribute_uuid)
        self._mark(event, attribute, deleted=False)

    def hard_delete(self, event_uuid: str, attribute_uuid: str) -> None:
        """Remove an attribute, so that no search shows it any more."""
        event, attribute = self._pair(event_uuid, attribute_uuid)
        for holder in (event, *event["Object"]):
            holder["Attribute"] = [other for other in holder["Attribute"] if other is not attribute]
        _count(event, 0 if attribute["deleted"] else -1)
        self._touch(event)

    def delete_object(self, event_uuid: str, object_uuid: str) -> None:
        """Mark an object and its attributes as deleted; the counter drops by two for each of them.

        So the counter can reach 0 and the event leave the minimal index while attributes of it live.
        """
        event = self._known(event_uuid)
        object_ = next((record for record in event["Object"] if record["uuid"] == object_uuid.lower()), None)
        if object_ is None or object_["deleted"]:
            raise KeyError(object_uuid)
        members = [record for record in object_["Attribute"] if not record["deleted"]]
        for record in (object_, *members):
            record["deleted"] = True
        _count(event, -2 * len(members))
        self._touch(event, object_, *members)

    def score(
        self, event_uuid: str, attribute_uuid: str, score: float, model: str = "NIDS", threshold: float = 30
    ) -> None:
        """Say what an enabled decaying model makes of an attribute now, 0 to 100; nothing else moves."""
        _, attribute = self._pair(event_uuid, attribute_uuid)
        known = dict.fromkeys(name for scores in self.scores.values() for name in scores) | {model: None}
        self.scores.setdefault(attribute["uuid"], {})[model] = {
            "score": score,
            "base_score": 80,
            "decayed": score < threshold,
            "DecayingModel": {"id": str(list(known).index(model) + 1), "name": model},
        }

    def known(self, uuid: str) -> Record:
        """Give an event that is there."""
        return self._known(uuid)

    def touch(self, event: Record, *edited: Record) -> None:
        """Date an edit and unpublish the event."""
        self._touch(event, *edited)

    def attach(self, event: Record, fields: Record, object_: Record | None = None) -> tuple[Record, str]:
        """Put an attribute that was sent into an event or an object of it, or say why not; nothing is dated."""
        kept, why = rules.attribute(fields)
        kept_already = [other for other in event["Attribute"] if not other["deleted"]]
        if not why and object_ is None and any(rules.same(kept, other) for other in kept_already):
            why = rules.DUPLICATE
        if why:
            return kept, why
        attribute = self._filler.attribute(
            {**kept, "timestamp": str(int(self.clock()))}, event, (object_ or {}).get("id", "0")
        )
        (object_ or event)["Attribute"].append(attribute)
        _count(event, 1)
        return attribute, ""

    def attach_object(self, event: Record, fields: Record) -> Record:
        """Put an object that was sent into an event; members that are not valid are dropped."""
        bare = {name: value for name, value in fields.items() if name != "Attribute"}
        seen = {name: rules.moment(fields.get(name)) for name in ("first_seen", "last_seen")}
        dated = {"distribution": "0", **bare, **seen, "timestamp": str(int(self.clock()))}
        object_ = self._filler.object(dated, event)
        event["Object"].append(object_)
        for attribute in fields.get("Attribute", ()):
            self.attach(event, attribute, object_)
        return object_

    def attach_report(self, event: Record, fields: Record) -> Record:
        """Put a report that was sent into an event."""
        report = self._filler.report({**fields, "timestamp": str(int(self.clock()))}, event)
        event["EventReport"].append(report)
        return report

    def attach_tag(self, event: Record, name: str) -> None:
        """Put a tag on an event that is being added; nothing is dated."""
        self._attach(event, name, local=False)

    def number_of_tag(self, name: str) -> str:
        """Give the number of a tag."""
        return str(self._filler.tag({"name": name})["id"])

    def _pair(self, event_uuid: str, attribute_uuid: str) -> tuple[Record, Record]:
        event = self._known(event_uuid)
        return event, self._member(event, attribute_uuid)

    def _mark(self, event: Record, attribute: Record, deleted: bool) -> None:
        if attribute["deleted"] is deleted:
            raise KeyError(attribute["uuid"])
        attribute["deleted"] = deleted
        _count(event, -1 if deleted else 1)
        self._touch(event, attribute)

    def _attach(self, record: Record, name: str, local: bool) -> bool:
        """Say whether the tag was new to the record."""
        if any(tag["name"] == name for tag in record.get("Tag", ())):
            return False
        record["Tag"] = [*record.get("Tag", ()), self._filler.tag({"name": name, "local": local})]
        return True

    def _touch(self, event: Record, *edited: Record) -> None:
        """Date an edit and unpublish the event; two edits within a second still differ."""
        moment = str(max(int(self.clock()), int(event["timestamp"]) + 1))
        for record in (event, *edited):
            record["timestamp"] = moment
        event["published"] = False


def _detach(record: Record, name: str) -> Record:
    """Take a tag off and give it; a record without tags has no ``Tag`` at all."""
    tags: list[Record] = record.get("Tag", [])
    detached = next((tag for tag in tags if tag["name"] == name), None)
    if detached is None:
        raise KeyError(name)
    record["Tag"] = [tag for tag in tags if tag is not detached]
    if not record["Tag"]:
        del record["Tag"]
    return detached


def _count(event: Record, change: int) -> None:
    event["attribute_count"] = str(int(event["attribute_count"]) + change)
