"""What is wanted of a story × what MISP has of it → what to change, or to propose. Pure.

Only what a story makes is changed: tags, attributes and reports that others put into the event stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from helpers.stories import misp_event as story_event
from helpers.stories.indicators import CATEGORIES, StoryIndicator
from helpers.stories.misp_event import (
    PLACEHOLDER,
    STORY_TEXTS,
    Event,
    HeldItem,
    Member,
    StoryInMisp,
    live,
    members_of,
    same,
)
from helpers.stories.story import NewsItem, Story

COMMENT = "StoryIndicator in the story"
# Tells what the story took back from what somebody deleted in MISP, which is not added again.
TAKEN_BACK = "No longer named in the story"
PLEASE_REMOVE = "Please remove this news item: the story no longer has it"
_SEVERAL = frozenset({"content", "links", "tags", "attributes"})


@dataclass(frozen=True)
class DesiredEvent:
    """An event as it is to be: a story's own, or (``extends``) our extension of another's."""

    uuid: str
    info: str
    items: tuple[NewsItem, ...]
    tags: tuple[str, ...]
    indicators: tuple[StoryIndicator, ...]
    to_ids: bool
    story: Story | None = None
    extends: str = ""


@dataclass(frozen=True)
class Change:
    """One request to MISP: what kind, what of the story it is about, what it is done to, and what is sent."""

    kind: str
    what: str
    target: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)


def new_event(wanted: DesiredEvent, distribution: int, sharing_group: int | None) -> Event:
    """Return the event to add where MISP has none."""
    objects = [story_event.story_object(wanted.story)] if wanted.story else []
    made = {
        "uuid": wanted.uuid,
        "info": wanted.info,
        "distribution": str(distribution),
        "sharing_group_id": str(sharing_group or 0),
        "threat_level_id": "4",
        "analysis": "0",
        "published": False,
        "Attribute": [_indicator(each, wanted.to_ids) for each in wanted.indicators],
        "Object": [*objects, *map(story_event.item_object, wanted.items)],
        "Tag": [{"name": name} for name in wanted.tags],
    }
    if wanted.story:
        uuid = story_event.report_uuid(wanted.uuid)
        made["EventReport"] = [{"uuid": uuid, **story_event.report(wanted.story)}]
    return made | ({"extends_uuid": wanted.extends} if wanted.extends else {})


def changes(wanted: DesiredEvent, held: StoryInMisp) -> list[Change]:
    """Return what makes an event of ours as it is wanted; nothing where it is.

    The report comes first and the title last: by the title the report is found again when MISP fails in between.
    """
    return [
        *_report(wanted, held),
        *_story(wanted, held),
        *_items(wanted, held.items),
        *_tags(wanted, held),
        *_indicators(wanted, held),
        *_title(wanted, held),
    ]


def left_deleted(wanted: DesiredEvent, held: StoryInMisp) -> list[str]:
    """Return the indicators that somebody deleted in MISP, which are not added again."""
    deleted = (each for each in held.event.get("Attribute") or () if story_event.is_deleted(each))
    gone = {_named(each) for each in deleted if each.get("comment") != TAKEN_BACK}
    there = {_named(each) for each in live(held.event, "Attribute")}
    return [each.value for each in wanted.indicators if each in gone - there]


def _title(wanted: DesiredEvent, held: StoryInMisp) -> Iterator[Change]:
    if held.story.title != wanted.info:
        yield Change("edit_event", "title", wanted.uuid, {"info": wanted.info})


def _story(wanted: DesiredEvent, held: StoryInMisp) -> Iterator[Change]:
    if wanted.story is None:
        return
    made = story_event.story_object(wanted.story)
    if held.held is None:
        yield Change("add_object", "the story", wanted.uuid, made)
    elif _fields(wanted.story) != _fields(held.story):
        yield from _edited("the story", made, held.held)


def _fields(story: Story) -> dict[str, Any]:
    fields = story.model_dump(exclude={"news_items", "misp"})
    return fields | {"links": sorted(fields["links"], key=str)}


def _items(wanted: DesiredEvent, held: Iterable[HeldItem]) -> Iterator[Change]:
    by_id: dict[str, HeldItem] = {}
    spare = []
    for each in held:
        if by_id.setdefault(each.item.id, each) is not each:
            spare.append(each)
    for item in wanted.items:
        there = by_id.pop(item.id, None) or _by_hash(item, by_id, wanted)
        made = story_event.item_object(item)
        if there is None:
            yield Change("add_object", f"news item {item.id}", wanted.uuid, made)
        elif not _equal(item, there.item):
            yield from _edited(f"news item {item.id}", made, there.held)
    once = {item.hash for item in wanted.items if item.hash}
    for each in (*(each for each in by_id.values() if each.item.hash not in once), *spare):
        yield Change("delete_object", f"news item {each.item.id}", str(each.held["uuid"]))


def _by_hash(item: NewsItem, by_id: dict[str, HeldItem], wanted: DesiredEvent) -> HeldItem | None:
    """Take the object of an item that is the same by its hash: items with one hash count once (Taranis AI)."""
    wanted_too = {each.id for each in wanted.items}
    found = (each for each in by_id.values() if item.hash and each.item.hash == item.hash)
    there = next((each for each in found if each.item.id not in wanted_too), None)
    return by_id.pop(there.item.id) if there else None


def _equal(wanted: NewsItem, held: NewsItem) -> bool:
    """Compare items; an item that does not say when it was published takes nothing away."""
    known = {"published"} if not wanted.published else set()
    return wanted.model_dump(exclude=known) == held.model_dump(exclude=known)


def _edited(what: str, made: Event, held: Event) -> Iterator[Change]:
    """Change an object whole: members that stay keep their UUID, and what others added to it stays."""
    given = members_of(held)
    attributes = list(_kept([_member(each) for each in made["Attribute"]], given))
    known = {each["object_relation"] for each in made["Attribute"]} | set(_RELATIONS[made["name"]])
    others = [each for one, each in given if one.relation not in known]
    moment = {"first_seen"} & made.keys()
    stays = all(made[name] == _moment(held.get(name)) for name in moment)
    before = [(each.get("uuid"), one.value) for one, each in given if one.relation in known]
    if stays and sorted(before, key=str) == sorted(((each.get("uuid"), each["value"]) for each in attributes), key=str):
        return
    yield Change("edit_object", what, str(held["uuid"]), made | {"Attribute": [*attributes, *others]})


_RELATIONS = {
    story_event.STORY: ("id", *STORY_TEXTS, "links", "tags", "attributes"),
    story_event.ITEM: ("id", *story_event.ITEM_TEXTS, "content"),
}


def _moment(value: object) -> str:
    published = story_event.published(value)
    return f"{published}+00:00" if published else ""


def _kept(wanted: Sequence[Member], given: list[tuple[Member, Event]]) -> Iterator[Event]:
    free = list(given)
    ordered = [one.value for one, _ in given if one.relation == "content"]
    anew = ordered != [one.value for one in wanted if one.relation == "content"]
    for one in wanted:
        made = story_event.member(one)
        there = next((pair for pair in free if _stands_for(one, pair[0])), None)
        if there is None or (anew and one.relation == "content"):
            yield made
        else:
            free.remove(there)
            value = there[0].value if same(one, there[0]) else one.value
            yield made | {"uuid": there[1]["uuid"], "value": value}


def _stands_for(one: Member, there: Member) -> bool:
    if one.relation != there.relation or one.type != there.type:
        return False
    return one.relation not in _SEVERAL or same(one, there)


def _member(made: Event) -> Member:
    return Member(made["object_relation"], made["type"], made["value"])


def _report(wanted: DesiredEvent, held: StoryInMisp) -> Iterator[Change]:
    if wanted.story is None:
        return
    made = story_event.report(wanted.story)
    there = _our_report(wanted.uuid, made["name"], held)
    if there is None:
        yield Change("add_report", "the report", str(held.event["id"]), made)
    elif any(str(there.get(name) or "").strip() != made[name].strip() for name in ("name", "content")):
        yield Change("edit_report", "the report", str(there["id"]), made | {"uuid": there["uuid"]})


def _our_report(story_id: str, name: str, held: StoryInMisp) -> Event | None:
    """Find the report that is ours by its UUID, or, of another tool's making, by a title of the story.

    The story has three: the one that is wanted, the event's, and the object's, which who edits the event leaves.
    """
    reports = live(held.event, "EventReport")
    own = [each for each in reports if each.get("uuid") == story_event.report_uuid(story_id)]
    of_object = [one.value for one, _ in members_of(held.held or {}) if one.relation == "title"]
    titles = {story_event.report_name(title).strip() for title in (name, held.story.title, *of_object)}
    named_so = [each for each in reports if str(each.get("name")).strip() in titles]
    return next(iter([*own, *named_so]), None)


def _tags(wanted: DesiredEvent, held: StoryInMisp) -> Iterator[Change]:
    there = {str(tag.get("name")).casefold() for tag in held.event.get("Tag") or ()}
    keep = {name.casefold() for name in wanted.tags}
    for name in wanted.tags:
        if name.casefold() not in there:
            yield Change("attach_tag", f"tag {name}", wanted.uuid, {"name": name})
    for name in story_event.tag_names(held.story):
        if name.casefold() in there - keep:
            yield Change("detach_tag", f"tag {name}", wanted.uuid, {"name": name})


def _indicators(wanted: DesiredEvent, held: StoryInMisp) -> Iterator[Change]:
    there = {_named(each): each for each in live(held.event, "Attribute")}
    gone = left_deleted(wanted, held)
    new = [each for each in wanted.indicators if each not in there and each.value not in gone]
    if new:
        what = ", ".join(f"{each.type} {each.value}" for each in new)
        bodies = [_indicator(each, wanted.to_ids) for each in new]
        yield Change("add_attributes", what, wanted.uuid, {"attributes": bodies})
    for one, each in there.items():
        what = f"{one.type} {one.value}"
        if one not in wanted.indicators:
            yield from _taken_back(what, each)
        elif wanted.to_ids and each.get("to_ids") not in (True, 1, "1"):
            yield Change("edit_attribute", f"to_ids of {what}", str(each["uuid"]), {**_body(each), "to_ids": True})


def _taken_back(what: str, attribute: Event) -> Iterator[Change]:
    comment = attribute.get("comment")
    if comment == COMMENT:
        yield Change("edit_attribute", what, str(attribute["uuid"]), {**_body(attribute), "comment": TAKEN_BACK})
    if comment in (COMMENT, TAKEN_BACK):
        yield Change("delete_attribute", what, str(attribute["uuid"]))


def _named(attribute: Mapping[str, Any]) -> StoryIndicator:
    return StoryIndicator(str(attribute.get("type")), str(attribute.get("value")))


def _body(attribute: Mapping[str, Any]) -> Event:
    return {name: attribute.get(name) for name in ("type", "category", "value", "comment")}


def _indicator(each: StoryIndicator, to_ids: bool) -> Event:
    return {
        "type": each.type,
        "category": CATEGORIES[each.type],
        "value": each.value,
        "to_ids": to_ids,
        "distribution": "5",
        "comment": COMMENT,
    }


# -- of another organisation's event ----------------------------------------------------------------


@dataclass
class Proposals:
    """What to propose about another's event, what cannot be proposed, and the items that it lacks.

    ``pending`` are the proposals that are ours already: what they say is not said again.
    """

    pending: Sequence[Mapping[str, Any]]
    changes: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[NewsItem] = field(default_factory=list)
    waiting: int = 0

    def of(self, wanted: DesiredEvent, held: StoryInMisp) -> Proposals:
        """Compare a story with the event."""
        if wanted.story and held.held:
            self._story(wanted.story, held.story, held.held)
        else:
            self.notes.append("another organisation's event without a story in it: its texts cannot be proposed")
        found, left = _paired(wanted.items, held.items)
        for item in wanted.items:
            if there := found.get(item.id):
                self._item(item, there)
            else:
                self.missing.append(item)
        for each in left:
            if not any(_one(item, each.item) for item in wanted.items):  # what counts once may be there twice
                self._removal(each)
        return self

    def _story(self, wanted: Story, held: Story, thing: Event) -> None:
        values = {one.relation: (one, each) for one, each in members_of(thing) if one.relation in STORY_TEXTS}
        for name in STORY_TEXTS:
            value = getattr(wanted, name)
            if value == getattr(held, name):  # of the title, what the event is called counts too
                continue
            self._change(f"the story's {name}", values.get(name), value or PLACEHOLDER)
        if any(getattr(wanted, name) != getattr(held, name) for name in ("links", "tags", "attributes")):
            self.notes.append("links, tags and attributes of another organisation's story are not proposed")

    def _item(self, wanted: NewsItem, there: HeldItem) -> None:
        if _equal(wanted, there.item):
            return
        values = {one.relation: (one, each) for one, each in members_of(there.held)}
        for name in (*story_event.ITEM_TEXTS, "content"):
            value, before = getattr(wanted, name), getattr(there.item, name)
            if value == before or name in ("hash", "story_id"):
                continue
            what = f"{name} of news item {there.item.id}"
            if name == "content" and max(len(story_event.parts_of(text)) for text in (value, before)) > 1:
                self.notes.append(f"{what}: too long to be proposed")
            else:
                self._change(what, values.get(name), value)

    def _change(self, what: str, there: tuple[Member, Event] | None, value: str) -> None:
        if there is None:
            self.notes.append(f"{what}: the event has no such attribute, so nothing can be proposed")
            return
        one, attribute = there
        if one.value.strip() == value:
            return
        if value and one.type == "link" and story_event.type_of(one.relation, value) != "link":
            self.notes.append(f"{what}: MISP keeps it as a link, and takes no proposal that is none")
            return
        kind = "propose_edit" if value else "propose_delete"
        self._propose(kind, what, attribute, {**_body(attribute), "value": value, "to_ids": False})

    def _removal(self, there: HeldItem) -> None:
        """Ask to remove a news item, as Taranis AI does, with a comment on its hash."""
        values = {one.relation: each for one, each in members_of(there.held)}
        attribute = values.get("hash") or values.get("id")
        if attribute is not None:
            body = {**_body(attribute), "to_ids": False, "comment": PLEASE_REMOVE}
            self._propose("propose_edit", f"removal of news item {there.item.id}", attribute, body)

    def _propose(self, kind: str, what: str, attribute: Event, body: Event) -> None:
        change = Change(kind, what, str(attribute["uuid"]), body if kind == "propose_edit" else {})
        if any(_says(each, attribute, change) for each in self.pending):
            self.waiting += 1
        else:
            self.changes.append(change)


def _says(pending: Mapping[str, Any], attribute: Event, change: Change) -> bool:
    if str(pending.get("old_id")) != str(attribute["id"]):
        return False
    to_delete = pending.get("proposal_to_delete") in (True, 1, "1")
    if to_delete or change.kind == "propose_delete":
        return to_delete and change.kind == "propose_delete"
    return all(str(pending.get(name) or "") == str(change.body[name] or "") for name in ("value", "comment"))


def _paired(items: Sequence[NewsItem], held: Iterable[HeldItem]) -> tuple[dict[str, HeldItem], list[HeldItem]]:
    """Find the object of each item by its id, and by its hash where none has the id; return what is left too."""
    left = list(held)
    found: dict[str, HeldItem] = {}
    for same_one in (_one_id, _one):
        for item in items:
            there = next((each for each in left if item.id not in found and same_one(item, each.item)), None)
            if there is not None:
                found[item.id] = there
                left.remove(there)
    return found, left


def _one_id(item: NewsItem, other: NewsItem) -> bool:
    return item.id == other.id


def _one(item: NewsItem, other: NewsItem) -> bool:
    return item.id == other.id or bool(item.hash and item.hash == other.hash)
