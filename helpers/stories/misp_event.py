"""A story as a MISP event, and a MISP event as a story. Pure.

One taranis-story object, one taranis-news-item object for each item, a report, tags: as Taranis AI writes
them, so that both tools can work on one event. Templates: misp-objects, taranis-story 1, taranis-news-item 2.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID, uuid5

from pydantic import BaseModel, ValidationError

from helpers.misp import number
from helpers.stories.story import EARLIEST, MANUAL, NO_DATA, Link, NewsItem, Story, StoryAttribute, Tag, sha256

Event = dict[str, Any]
Part = TypeVar("Part", bound=BaseModel)

STORY = "taranis-story"
ITEM = "taranis-news-item"
TEMPLATES = {
    STORY: {
        "description": "An object describing a story item from Taranis or similar source",
        "meta-category": "misc",
        "template_uuid": "a2716df6-920b-4c4e-85f7-79a009476f3d",
        "template_version": "1",
    },
    ITEM: {
        "description": "An object describing a news item from Taranis AI",
        "meta-category": "misc",
        "template_uuid": "e4b7e5e3-2c4c-4edf-b9a3-2c2a32844e62",
        "template_version": "2",
    },
}
STORY_TEXTS = ("title", "description", "summary", "comments")
ITEM_TEXTS = ("title", "author", "link", "source", "language", "hash", "review", "osint_source_id", "story_id")
PLACEHOLDER = "<no_data>"
_PART_BYTES = 60_000
# MISP's column for a report's name is a VARCHAR(255).
_REPORT_NAME = 255
_TLP = re.compile(r"(?:tlp:)?(red|amber|amber\+strict|green|clear|white)", re.IGNORECASE)
# What MISP's "link" takes and keeps as it is; any other address is kept as text.
_LINK = re.compile(r"https?://[a-z0-9.-]+(?::\d{1,5})?(?:[/?#][!-Z^-~]*)?", re.IGNORECASE)
_REFANGED = re.compile(r"\(dot\)", re.IGNORECASE)
_CATEGORIES = {"text": "Other", "link": "External analysis", "sha256": "Payload delivery"}
_SECTIONS = (("description", "Description"), ("summary", "Summary"), ("comments", "Comments"))


class Member(NamedTuple):
    """One attribute of an object: its relation, MISP's type, its value."""

    relation: str
    type: str
    value: str


# -- to MISP ---------------------------------------------------------------------------------------


def story_object(story: Story) -> Event:
    """Return the taranis-story object of a story."""
    return _object(STORY, _story_members(story))


def item_object(item: NewsItem) -> Event:
    """Return the taranis-news-item object of an item; when it was published is its first_seen."""
    made = _object(ITEM, _item_members(item))
    return made | ({"first_seen": f"{item.published}+00:00"} if item.published else {})


def report(story: Story) -> Event:
    """Return the event report: description, summary and comments under Markdown headings."""
    texts = ((heading, getattr(story, name)) for name, heading in _SECTIONS)
    content = "\n\n".join(f"# {heading}\n\n{text}" for heading, text in texts if text)
    return {"name": report_name(story.title), "content": content or "(no text)", "distribution": "5"}


def report_name(title: str) -> str:
    """Return what the report of a story with this title is called."""
    return title[:_REPORT_NAME]


def report_uuid(story_id: str) -> str:
    """Return the UUID that the report of a story has where it is made here."""
    return str(uuid5(UUID(story_id), "report"))


def extension_uuid(story_id: str, organisation: str) -> str:
    """Return the UUID of an organisation's extension of another's event: one for each pair, always the same."""
    return str(uuid5(UUID(story_id), f"extension {organisation}"))


def tag_names(story: Story) -> list[str]:
    """Return the names of the event's tags: the story's, and its TLP."""
    named = [tag.name for tag in story.tags.values()]
    found = (_TLP.fullmatch(each.value) for each in story.attributes.values() if each.key.casefold() == "tlp")
    return list(dict.fromkeys([*named, *(f"tlp:{one[1].lower()}" for one in found if one)]))


def _object(name: str, members: Iterable[Member]) -> Event:
    attributes = [member(each) for each in members]
    return {"name": name, **TEMPLATES[name], "distribution": "5", "comment": "", "Attribute": attributes}


def member(each: Member) -> Event:
    """Return an attribute of an object; none of them is an indicator, and texts would correlate by chance."""
    return {
        "object_relation": each.relation,
        "type": each.type,
        "category": _CATEGORIES[each.type],
        "value": each.value,
        "to_ids": False,
        "distribution": "5",
        "disable_correlation": each.type == "text",
    }


def _story_members(story: Story) -> Iterator[Member]:
    yield Member("id", "text", story.id)
    for name in STORY_TEXTS:
        yield Member(name, "text", getattr(story, name) or PLACEHOLDER)
    for relation, parts in (("links", story.links), ("tags", story.tags), ("attributes", story.attributes)):
        for part in parts.values() if isinstance(parts, dict) else parts:
            yield Member(relation, "text", part.text())


def _item_members(item: NewsItem) -> Iterator[Member]:
    yield Member("id", "text", item.id)
    for name in ITEM_TEXTS:
        if value := getattr(item, name):
            yield Member(name, type_of(name, value), value)
    yield from (Member("content", "text", part) for part in parts_of(item.content))


def type_of(name: str, value: str) -> str:
    """Return MISP's type for a value of a news item: what MISP does not take as a link is a text."""
    if name == "hash":
        return "sha256"
    is_link = name in ("link", "source") and _LINK.fullmatch(value) and not _REFANGED.search(value)
    return "link" if is_link else "text"


def parts_of(text: str) -> list[str]:
    """Cut a long text into values that MISP can hold, inside words: it strips white space off both ends."""
    parts = []
    while len(text.encode()) > _PART_BYTES:
        cut = len(text.encode()[:_PART_BYTES].decode(errors="ignore"))
        cut = next((place for place in range(cut, 0, -1) if _inside_word(text, place)), cut)
        parts.append(text[:cut])
        text = text[cut:]
    return [*parts, text] if text else parts


def _inside_word(text: str, place: int) -> bool:
    return not text[place - 1].isspace() and not text[place].isspace()


# -- from MISP -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HeldItem:
    """A news item that MISP has, and its object."""

    item: NewsItem
    held: Event


@dataclass(frozen=True)
class StoryInMisp:
    """What MISP has of a story: ``held`` is the story object, None where there is none."""

    event: Event
    story: Story
    held: Event | None
    items: tuple[HeldItem, ...]


def is_story(event: Mapping[str, Any]) -> bool:
    """Say whether an event holds a story."""
    return any(_objects(event, STORY))


def extends(event: Mapping[str, Any]) -> str:
    """Return the UUID of the event that an event extends; empty where it extends none."""
    return str(event.get("extends_uuid") or "").lower()


def read_event(event: Event) -> StoryInMisp:
    """Read the story and the news items of an event; what nobody can read in it is left out."""
    held = next(_objects(event, STORY), None)
    of_story = extends(event) or str(event["uuid"]).lower()
    items = tuple(HeldItem(_item(each, of_story), each) for each in _objects(event, ITEM))
    return StoryInMisp(event, _story(event, held, [each.item for each in items]), held, items)


def live(event: Mapping[str, Any], kind: str) -> list[Event]:
    """Return the attributes, objects or reports of an event that are not deleted, oldest first."""
    found = [each for each in event.get(kind) or () if not is_deleted(each)]
    return sorted(found, key=lambda each: number(each.get("id")))


def proposals_in(event: Mapping[str, Any]) -> list[Event]:
    """Return the proposals that an event shows: on itself, its attributes and the members of its objects."""
    holders = [event, *live(event, "Attribute")]
    holders += [one for each in live(event, "Object") for one in live(each, "Attribute")]
    return [each for holder in holders for each in holder.get("ShadowAttribute") or () if not is_deleted(each)]


def is_deleted(each: Mapping[str, Any]) -> bool:
    """Say whether MISP shows something as deleted."""
    return each.get("deleted") in (True, 1, "1")


def members_of(held: Mapping[str, Any]) -> list[tuple[Member, Event]]:
    """Return the members of an object, oldest first, each with its attribute."""
    return [
        (Member(str(each.get("object_relation") or ""), str(each.get("type")), str(each.get("value"))), each)
        for each in live(held, "Attribute")
    ]


def same(one: Member, other: Member) -> bool:
    """Say whether two members mean the same, whatever the spelling of their JSON."""
    if one.relation != other.relation:
        return False
    if one.relation in _JSON:
        return one.value == other.value or _fields(one.value) == _fields(other.value)
    return one.value.strip() == other.value.strip()


_JSON = frozenset({"links", "tags", "attributes"})


def _objects(event: Mapping[str, Any], name: str) -> Iterator[Event]:
    return (each for each in live(event, "Object") if each.get("name") == name)


def _story(event: Event, held: Event | None, items: list[NewsItem]) -> Story:
    values = _values(held or {})
    tags = _read(Tag, values.get("tags", ()))
    attributes = _read(StoryAttribute, values.get("attributes", ()))
    fields: dict[str, Any] = {name: _first(values, name) for name in STORY_TEXTS[1:]}
    fields |= {"id": str(event["uuid"]).lower(), "title": str(event.get("info") or "").strip()}
    fields |= {"tags": {tag.name: tag for tag in tags}, "attributes": {each.key: each for each in attributes}}
    fields |= {"links": _read(Link, values.get("links", ())), "news_items": items, "misp": {}}
    return Story.model_construct(**fields)


def _item(held: Event, story_id: str) -> NewsItem:
    values = _values(held)
    fields: dict[str, Any] = {name: _first(values, name) for name in ITEM_TEXTS}
    fields["content"] = "".join(text for text in values.get("content", ()) if text.strip() not in NO_DATA)
    fields["published"] = published(held.get("first_seen"))
    fields["source"] = fields["source"] or MANUAL
    fields["hash"] = sha256(fields["hash"])
    fields["story_id"] = fields["story_id"] or story_id
    fields["id"] = _first(values, "id") or fields["hash"] or str(held.get("uuid"))
    return NewsItem.model_construct(**fields)


def _values(held: Mapping[str, Any]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for each, _ in members_of(held):
        values.setdefault(each.relation, []).append(each.value)
    return values


def _first(values: Mapping[str, list[str]], name: str) -> str:
    text = next(iter(values.get(name, ())), "").strip()
    return "" if text in NO_DATA else text


def _read(model: type[Part], values: Iterable[str]) -> list[Part]:
    """ParsedStory JSON objects, of older events Python dictionaries; placeholders and what is neither are dropped."""
    found: list[Part] = []
    for fields in map(_fields, values):
        if fields and not set(map(str, fields.values())) & NO_DATA:
            try:
                found.append(model.model_validate(fields))
            except ValidationError:
                continue
    return found


def _fields(text: str) -> dict[str, Any]:
    for reader in (json.loads, ast.literal_eval):
        try:
            value = reader(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, dict):
            return value
    return {}


def published(first_seen: object) -> str:
    """Return when an item was published, of the first_seen that MISP shows; empty where that is none to ``share``."""
    try:
        moment = datetime.fromisoformat(str(first_seen))
        moment = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return ""
    return moment.isoformat() if moment.year >= EARLIEST else ""
