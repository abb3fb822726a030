"""A story as it is to be × what MISP has of it → what to change. Pure.

Only what a story makes is changed: tags, attributes and reports that others put into the event stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from helpers.indicators import is_true
from helpers.misp import Event
from helpers.stories.indicators import CATEGORIES, StoryIndicator
from helpers.stories.misp_event import (
    ITEM,
    ITEM_TEXTS,
    STORY,
    STORY_TEXTS,
    ItemInMisp,
    Member,
    StoryInMisp,
    event_report,
    is_deleted,
    item_object,
    meaning,
    member_attribute,
    members_of,
    not_deleted,
    publication_time,
    report_name,
    report_uuid,
    story_object,
    tag_names,
)
from helpers.stories.story import NewsItem, Story

COMMENT = "Named in the story"
# Tells what the story took back from what somebody deleted in MISP, which is not added again.
TAKEN_BACK = "No longer named in the story"
# Relations that an object may have several members of, each with a value of its own.
_REPEATED = frozenset({"content", "links", "tags", "attributes"})
# The relations that are ours to change; members of any other are somebody else's.
_RELATIONS = {
    STORY: ("id", *STORY_TEXTS, "links", "tags", "attributes"),
    ITEM: ("id", *ITEM_TEXTS, "content"),
}


class ChangeKind(Enum):
    """Which request to MISP a change is."""

    EDIT_EVENT = auto()
    ADD_OBJECT = auto()
    EDIT_OBJECT = auto()
    DELETE_OBJECT = auto()
    ADD_REPORT = auto()
    EDIT_REPORT = auto()
    ATTACH_TAG = auto()
    DETACH_TAG = auto()
    ADD_ATTRIBUTES = auto()
    EDIT_ATTRIBUTE = auto()
    DELETE_ATTRIBUTE = auto()
    PROPOSE_EDIT = auto()
    PROPOSE_DELETE = auto()


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

    kind: ChangeKind
    what: str
    target: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)


def new_event(desired: DesiredEvent, distribution: int, sharing_group: int | None) -> Event:
    """Return the event to add where MISP has none."""
    objects = [story_object(desired.story)] if desired.story else []
    event = {
        "uuid": desired.uuid,
        "info": desired.info,
        "distribution": str(distribution),
        "sharing_group_id": str(sharing_group or 0),
        "threat_level_id": "4",
        "analysis": "0",
        "published": False,
        "Attribute": [_new_attribute(indicator, desired.to_ids) for indicator in desired.indicators],
        "Object": [*objects, *map(item_object, desired.items)],
        "Tag": [{"name": name} for name in desired.tags],
    }
    if desired.story:
        event["EventReport"] = [{"uuid": report_uuid(desired.uuid), **event_report(desired.story)}]
    if desired.extends:
        event["extends_uuid"] = desired.extends
    return event


def needed_changes(desired: DesiredEvent, current: StoryInMisp) -> list[Change]:
    """Return what makes an event of ours as it is desired; nothing where it is.

    The report comes first and the title last: by the title the report is found again when MISP fails in between.
    """
    return [
        *_report_changes(desired, current),
        *_story_changes(desired, current),
        *_item_changes(desired, current.items),
        *_tag_changes(desired, current),
        *_indicator_changes(desired, current),
        *_title_changes(desired, current),
    ]


def deleted_by_others(desired: DesiredEvent, current: StoryInMisp) -> list[str]:
    """Return the indicators that somebody deleted in MISP, which are not added again."""
    attributes = (attribute for attribute in current.event.get("Attribute") or () if is_deleted(attribute))
    deleted = {_as_indicator(attribute) for attribute in attributes if attribute.get("comment") != TAKEN_BACK}
    gone = deleted - {_as_indicator(attribute) for attribute in not_deleted(current.event, "Attribute")}
    return [indicator.value for indicator in desired.indicators if indicator in gone]


def _title_changes(desired: DesiredEvent, current: StoryInMisp) -> Iterator[Change]:
    if current.story.title != desired.info:
        yield Change(ChangeKind.EDIT_EVENT, "title", desired.uuid, {"info": desired.info})


# -- the story and its items -------------------------------------------------------------------------


def _story_changes(desired: DesiredEvent, current: StoryInMisp) -> Iterator[Change]:
    if desired.story is None:
        return
    object_ = story_object(desired.story)
    if current.story_object is None:
        yield Change(ChangeKind.ADD_OBJECT, "the story", desired.uuid, object_)
    elif _story_fields(desired.story) != _story_fields(current.story):
        yield from _object_changes("the story", object_, current.story_object)


def _story_fields(story: Story) -> dict[str, Any]:
    fields = story.model_dump(exclude={"news_items", "misp"})
    return fields | {"links": sorted(fields["links"], key=str)}


def _item_changes(desired: DesiredEvent, current: Iterable[ItemInMisp]) -> Iterator[Change]:
    by_id: dict[str, ItemInMisp] = {}
    repeated = []
    for known in current:
        if by_id.setdefault(known.item.id, known) is not known:
            repeated.append(known)
    desired_ids = {item.id for item in desired.items}
    by_hash = {known.item.hash: known for known in reversed(by_id.values()) if known.item.id not in desired_ids}
    for item in desired.items:
        counterpart = by_id.pop(item.id, None) or _pop_same_hash(item, by_id, by_hash)
        object_ = item_object(item)
        if counterpart is None:
            yield Change(ChangeKind.ADD_OBJECT, f"news item {item.id}", desired.uuid, object_)
        elif not is_same_item(item, counterpart.item):
            yield from _object_changes(f"news item {item.id}", object_, counterpart.misp_object)
    hashes = {item.hash for item in desired.items if item.hash}
    surplus = [known for known in by_id.values() if known.item.hash not in hashes]
    for known in (*surplus, *repeated):
        yield Change(ChangeKind.DELETE_OBJECT, f"news item {known.item.id}", str(known.misp_object["uuid"]))


def _pop_same_hash(
    item: NewsItem, by_id: dict[str, ItemInMisp], by_hash: Mapping[str, ItemInMisp]
) -> ItemInMisp | None:
    """Take the object of an item that is the same by its hash: items with one hash count once (Taranis AI)."""
    counterpart = by_hash.get(item.hash) if item.hash else None
    return by_id.pop(counterpart.item.id, None) if counterpart else None


def is_same_item(desired: NewsItem, current: NewsItem) -> bool:
    """Compare items; an item that does not say when it was published takes nothing away."""
    ignored = {"published"} if not desired.published else set()
    return desired.model_dump(exclude=ignored) == current.model_dump(exclude=ignored)


def _object_changes(what: str, desired: Event, current: Event) -> Iterator[Change]:
    """Change an object whole: members that stay keep their UUID, and what others added to it stays."""
    members = members_of(current)
    attributes = list(_kept_attributes([_as_member(attribute) for attribute in desired["Attribute"]], members))
    relations = {attribute["object_relation"] for attribute in desired["Attribute"]} | set(_RELATIONS[desired["name"]])
    of_others = [attribute for member, attribute in members if member.relation not in relations]
    before = [(attribute.get("uuid"), member.value) for member, attribute in members if member.relation in relations]
    after = [(attribute.get("uuid"), attribute["value"]) for attribute in attributes]
    if _has_first_seen_of(desired, current) and sorted(before, key=str) == sorted(after, key=str):
        return
    body = desired | {"Attribute": [*attributes, *of_others]}
    yield Change(ChangeKind.EDIT_OBJECT, what, str(current["uuid"]), body)


def _has_first_seen_of(desired: Event, current: Event) -> bool:
    if "first_seen" not in desired:
        return True
    published = publication_time(current.get("first_seen"))
    return bool(desired["first_seen"] == (f"{published}+00:00" if published else ""))


def _kept_attributes(desired: Sequence[Member], current: list[tuple[Member, Event]]) -> Iterator[Event]:
    """Yield an attribute for each member, under the UUID and in the spelling of the one that MISP has for it."""
    unused: dict[tuple[str, str, str], list[tuple[Member, Event]]] = {}
    for pair in reversed(current):
        unused.setdefault(_place(pair[0]), []).append(pair)
    # The parts of a text have an order, which MISP takes from their ids: all of them are new when one is.
    parts = [member.value for member, _ in current if member.relation == "content"]
    new_content = parts != [member.value for member in desired if member.relation == "content"]
    for member in desired:
        attribute = member_attribute(member)
        counterparts = unused.get(_place(member))
        if not counterparts or (new_content and member.relation == "content"):
            yield attribute
        else:
            known, known_attribute = counterparts.pop()
            value = known.value if meaning(member) == meaning(known) else member.value
            yield attribute | {"uuid": known_attribute["uuid"], "value": value}


def _place(member: Member) -> tuple[str, str, str]:
    """Return what two members have in common of which one stands for the other."""
    return member.relation, member.type, meaning(member) if member.relation in _REPEATED else ""


def _as_member(attribute: Event) -> Member:
    return Member(attribute["object_relation"], attribute["type"], attribute["value"])


# -- the report --------------------------------------------------------------------------------------


def _report_changes(desired: DesiredEvent, current: StoryInMisp) -> Iterator[Change]:
    if desired.story is None:
        return
    report = event_report(desired.story)
    ours = _our_report(desired.uuid, report["name"], current)
    if ours is None:
        yield Change(ChangeKind.ADD_REPORT, "the report", str(current.event["id"]), report)
    elif any(str(ours.get(name) or "").strip() != report[name].strip() for name in ("name", "content")):
        yield Change(ChangeKind.EDIT_REPORT, "the report", str(ours["id"]), report | {"uuid": ours["uuid"]})


def _our_report(story_id: str, name: str, current: StoryInMisp) -> Event | None:
    """Find the report that is ours by its UUID, or, of another tool's making, by a title of the story.

    The story has three: the desired one, the event's, and the object's, which who edits the event leaves.
    """
    reports = not_deleted(current.event, "EventReport")
    by_uuid = [report for report in reports if report.get("uuid") == report_uuid(story_id)]
    of_object = [member.value for member, _ in members_of(current.story_object or {}) if member.relation == "title"]
    titles = {report_name(title).strip() for title in (name, current.story.title, *of_object)}
    by_title = [report for report in reports if str(report.get("name")).strip() in titles]
    return next(iter([*by_uuid, *by_title]), None)


# -- tags and indicators -----------------------------------------------------------------------------


def _tag_changes(desired: DesiredEvent, current: StoryInMisp) -> Iterator[Change]:
    present = {str(tag.get("name")).casefold() for tag in current.event.get("Tag") or ()}
    surplus = present - {name.casefold() for name in desired.tags}
    for name in desired.tags:
        if name.casefold() not in present:
            yield Change(ChangeKind.ATTACH_TAG, f"tag {name}", desired.uuid, {"name": name})
    for name in tag_names(current.story):
        if name.casefold() in surplus:
            yield Change(ChangeKind.DETACH_TAG, f"tag {name}", desired.uuid, {"name": name})


def _indicator_changes(desired: DesiredEvent, current: StoryInMisp) -> Iterator[Change]:
    present = {_as_indicator(attribute): attribute for attribute in not_deleted(current.event, "Attribute")}
    deleted, named = set(deleted_by_others(desired, current)), set(desired.indicators)
    new = [indicator for indicator in desired.indicators if indicator not in present and indicator.value not in deleted]
    if new:
        what = ", ".join(f"{indicator.type} {indicator.value}" for indicator in new)
        attributes = [_new_attribute(indicator, desired.to_ids) for indicator in new]
        yield Change(ChangeKind.ADD_ATTRIBUTES, what, desired.uuid, {"attributes": attributes})
    for indicator, attribute in present.items():
        what = f"{indicator.type} {indicator.value}"
        if indicator not in named:
            yield from _take_back(what, attribute)
        elif desired.to_ids and not is_true(attribute.get("to_ids")):
            body = {**attribute_body(attribute), "to_ids": True}
            yield Change(ChangeKind.EDIT_ATTRIBUTE, f"to_ids of {what}", str(attribute["uuid"]), body)


def _take_back(what: str, attribute: Event) -> Iterator[Change]:
    """Delete an indicator that is of our making, and note in it before that it was not somebody in MISP."""
    uuid, comment = str(attribute["uuid"]), attribute.get("comment")
    if comment == COMMENT:
        body = {**attribute_body(attribute), "comment": TAKEN_BACK}
        yield Change(ChangeKind.EDIT_ATTRIBUTE, what, uuid, body)
    if comment in (COMMENT, TAKEN_BACK):
        yield Change(ChangeKind.DELETE_ATTRIBUTE, what, uuid)


def _as_indicator(attribute: Mapping[str, Any]) -> StoryIndicator:
    return StoryIndicator(str(attribute.get("type")), str(attribute.get("value")))


def attribute_body(attribute: Mapping[str, Any]) -> Event:
    """Return what of an attribute is sent to change it."""
    return {name: attribute.get(name) for name in ("type", "category", "value", "comment")}


def _new_attribute(indicator: StoryIndicator, to_ids: bool) -> Event:
    return {
        "type": indicator.type,
        "category": CATEGORIES[indicator.type],
        "value": indicator.value,
        "to_ids": to_ids,
        "distribution": "5",
        "comment": COMMENT,
    }
