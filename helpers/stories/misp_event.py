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

from helpers.indicators import is_true
from helpers.misp import Event, whole_number
from helpers.settings import tlp_word
from helpers.stories.story import (
    EARLIEST,
    LONGEST,
    MANUAL,
    NO_DATA,
    Link,
    NewsItem,
    Story,
    StoryAttribute,
    StoryTag,
    sha256,
)

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
    return _new_object(STORY, _story_members(story))


def item_object(item: NewsItem) -> Event:
    """Return the taranis-news-item object of an item; when it was published is its first_seen."""
    first_seen = {"first_seen": f"{item.published}+00:00"} if item.published else {}
    return _new_object(ITEM, _item_members(item)) | first_seen


def event_report(story: Story) -> Event:
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
    names = [tag.name for tag in story.tags.values()]
    for attribute in story.attributes.values():
        if attribute.key.casefold() == "tlp":
            try:
                names.append(f"tlp:{tlp_word(attribute.value)}")
            except ValueError:
                continue  # what is no TLP is no tag
    return list(dict.fromkeys(names))


def _new_object(name: str, members: Iterable[Member]) -> Event:
    attributes = [member_attribute(member) for member in members]
    return {"name": name, **TEMPLATES[name], "distribution": "5", "comment": "", "Attribute": attributes}


def member_attribute(member: Member) -> Event:
    """Return an attribute of an object; none of them is an indicator, and texts would correlate by chance."""
    return {
        "object_relation": member.relation,
        "type": member.type,
        "category": _CATEGORIES[member.type],
        "value": member.value,
        "to_ids": False,
        "distribution": "5",
        "disable_correlation": member.type == "text",
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
            yield Member(name, item_value_type(name, value), value)
    yield from (Member("content", "text", part) for part in split_long_text(item.content))


def item_value_type(name: str, value: str) -> str:
    """Return MISP's type for a value of a news item: what MISP does not take as a link is a text."""
    if name == "hash":
        return "sha256"
    is_link = name in ("link", "source") and _LINK.fullmatch(value) and not _REFANGED.search(value)
    return "link" if is_link else "text"


def split_long_text(text: str) -> list[str]:
    """Cut a long text into values that MISP can hold, inside words: it strips white space off both ends."""
    parts = []
    while len(text.encode()) > _PART_BYTES:
        cut = len(text.encode()[:_PART_BYTES].decode(errors="ignore"))
        cut = next((index for index in range(cut, 0, -1) if _inside_word(text, index)), cut)
        parts.append(text[:cut])
        text = text[cut:]
    return [*parts, text] if text else parts


def _inside_word(text: str, index: int) -> bool:
    return not text[index - 1].isspace() and not text[index].isspace()


# -- from MISP -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ItemInMisp:
    """A news item that MISP has, and its object."""

    item: NewsItem
    misp_object: Event


@dataclass(frozen=True)
class StoryInMisp:
    """What MISP has of a story; ``story_object`` is None where the event has none."""

    event: Event
    story: Story
    story_object: Event | None
    items: tuple[ItemInMisp, ...]


def is_story(event: Mapping[str, Any]) -> bool:
    """Say whether an event holds a story."""
    return any(_objects_named(STORY, event))


def extends(event: Mapping[str, Any]) -> str:
    """Return the UUID of the event that an event extends; empty where it extends none."""
    return str(event.get("extends_uuid") or "").lower()


def read_event(event: Event) -> StoryInMisp:
    """Read the story and the news items of an event; what nobody can read in it is left out."""
    object_ = next(_objects_named(STORY, event), None)
    story_id = extends(event) or str(event["uuid"]).lower()
    items = tuple(ItemInMisp(_read_item(item, story_id), item) for item in _objects_named(ITEM, event))
    return StoryInMisp(event, _read_story(event, object_, [known.item for known in items]), object_, items)


def not_deleted(holder: Mapping[str, Any], kind: str) -> list[Event]:
    """Return the attributes, objects or reports of an event that are not deleted, oldest first."""
    records = [record for record in holder.get(kind) or () if not is_deleted(record)]
    return sorted(records, key=lambda record: whole_number(record.get("id")))


def proposals_in(event: Mapping[str, Any]) -> list[Event]:
    """Return the proposals that an event shows: on itself, its attributes and the members of its objects."""
    holders = [event, *not_deleted(event, "Attribute")]
    holders += [member for object_ in not_deleted(event, "Object") for member in not_deleted(object_, "Attribute")]
    proposals = (proposal for holder in holders for proposal in holder.get("ShadowAttribute") or ())
    return [proposal for proposal in proposals if not is_deleted(proposal)]


def is_deleted(record: Mapping[str, Any]) -> bool:
    """Say whether MISP shows something as deleted."""
    return is_true(record.get("deleted"))


def members_of(object_: Mapping[str, Any]) -> list[tuple[Member, Event]]:
    """Return the members of an object, oldest first, each with its attribute."""
    return [(_as_member(attribute), attribute) for attribute in not_deleted(object_, "Attribute")]


def _as_member(attribute: Mapping[str, Any]) -> Member:
    relation = str(attribute.get("object_relation") or "")
    return Member(relation, str(attribute.get("type")), str(attribute.get("value")))


def meaning(member: Member) -> str:
    """Return what a member says, the same for every spelling of its JSON."""
    fields = _parsed_fields(member.value) if member.relation in _JSON else {}
    return json.dumps(fields, sort_keys=True, default=str) if fields else member.value.strip()


_JSON = frozenset({"links", "tags", "attributes"})


def _objects_named(name: str, event: Mapping[str, Any]) -> Iterator[Event]:
    return (object_ for object_ in not_deleted(event, "Object") if object_.get("name") == name)


def _read_story(event: Event, object_: Event | None, items: list[NewsItem]) -> Story:
    values = _values_by_relation(object_ or {})
    tags = _read_parts(StoryTag, values.get("tags", ()))
    attributes = _read_parts(StoryAttribute, values.get("attributes", ()))
    fields: dict[str, Any] = {name: _first_text(values, name) for name in STORY_TEXTS[1:]}
    fields |= {"id": str(event["uuid"]).lower(), "title": str(event.get("info") or "").strip()}
    fields["tags"] = {tag.name: tag for tag in tags}
    fields["attributes"] = {attribute.key: attribute for attribute in attributes}
    fields |= {"links": _read_parts(Link, values.get("links", ())), "news_items": items, "misp": {}}
    return Story.model_construct(**fields)


def _read_item(object_: Event, story_id: str) -> NewsItem:
    values = _values_by_relation(object_)
    fields: dict[str, Any] = {name: _first_text(values, name) for name in ITEM_TEXTS}
    fields["content"] = "".join(text for text in values.get("content", ()) if text.strip() not in NO_DATA)
    fields["published"] = publication_time(object_.get("first_seen"))
    fields["source"] = fields["source"] or MANUAL
    fields["hash"] = sha256(fields["hash"])
    fields["story_id"] = fields["story_id"] or story_id
    fields["id"] = _first_text(values, "id") or fields["hash"] or str(object_.get("uuid"))
    return NewsItem.model_construct(**fields)


def _values_by_relation(object_: Mapping[str, Any]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for member, _ in members_of(object_):
        values.setdefault(member.relation, []).append(member.value)
    return values


def _first_text(values: Mapping[str, list[str]], name: str) -> str:
    text = next(iter(values.get(name, ())), "").strip()
    return "" if text in NO_DATA else text


def _read_parts(model: type[Part], values: Iterable[str]) -> list[Part]:
    """Read JSON objects, of older events Python dictionaries; placeholders and what is neither are dropped."""
    parts: list[Part] = []
    for fields in map(_parsed_fields, values):
        if fields and not set(map(str, fields.values())) & NO_DATA:
            try:
                parts.append(model.model_validate(fields))
            except ValidationError:
                continue
    return parts


def _parsed_fields(text: str) -> dict[str, Any]:
    if len(text) > LONGEST:
        return {}
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, dict):
            return value
    return {}


def publication_time(first_seen: object) -> str:
    """Return when an item was published, of the first_seen that MISP shows; empty where that is none to ``share``."""
    try:
        moment = datetime.fromisoformat(str(first_seen))
        moment = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return ""
    return moment.isoformat() if moment.year >= EARLIEST else ""
