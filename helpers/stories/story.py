"""A story, as analysts' tools write it: read, checked, and put into the form that MISP can keep. Pure.

The names and forms are those of Taranis AI's stories, so that both tools can work on the same events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails

from helpers.stories.urls import LOST, encoded
from helpers.text import shorten

# Measured on MISP 2.5.1: it answers 500 to characters above U+FFFF, or turns them into "?" unasked. PyMISP
# cannot send half a surrogate pair, and MariaDB's text ends at NUL.
_ABOVE = re.compile("[\U00010000-\U0010ffff]")
_UNSTORABLE = re.compile(f"{_ABOVE.pattern}|[\ud800-\udfff\x00]")
REPLACEMENT = LOST
NO_DATA = frozenset({"<no_data>", "no_data"})
MANUAL = "manual"
# MySQL's TEXT, in which MISP keeps an attribute's value, holds 65,535 bytes.
LONGEST = 65_535
# MISP's column for a tag's name is a VARCHAR(255).
LONGEST_TAG = 255
# What of all its texts together is searched for indicators, and written to MISP.
MOST_TEXT = 2_000_000
# Of problems and notes of one story, as many are named.
_MOST_NAMED = 20
# MISP keeps times as seconds since 1970.
EARLIEST = 1970
_SHA256 = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)
_MESSAGES = {
    "missing": "is missing",
    "string_type": "must be text",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "list_type": "must be a list",
}


def _uuid(value: str) -> str:
    try:
        return str(UUID(value))
    except ValueError:
        raise ValueError("is not a UUID") from None


def _hash(value: str) -> str:
    if value and not sha256(value):
        raise ValueError("is not a SHA-256 in hexadecimal digits")
    return value.lower()


def sha256(value: str) -> str:
    """Return a SHA-256 in small letters; empty where it is none."""
    return value.lower() if _SHA256.fullmatch(value) else ""


def _utc_time(value: str) -> str:
    """Accept a time in ISO 8601; return it in UTC and without an offset, as Taranis AI writes it."""
    if not value:
        return ""
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise ValueError("is not a time in ISO 8601, as in 2026-11-20T08:00:00") from None
    if moment.year < EARLIEST:
        raise ValueError(f"is before {EARLIEST}, which MISP cannot keep")
    return moment.replace(tzinfo=None).isoformat()


def _none_as_text(value: Any) -> Any:
    return "" if value is None else value


def _none_as_list(value: Any) -> Any:
    return [] if value is None else value


def _none_as_object(value: Any) -> Any:
    return {} if value is None else value


def _parts_as_object(value: Any) -> Any:
    """Take a list as the object with the same parts: so Taranis AI wrote tags and attributes before July 2025."""
    if value is None or isinstance(value, list):
        return dict(enumerate(value or ()))
    if isinstance(value, Mapping):
        return value
    raise ValueError("must be an object, or a list of objects")


def _text_as_link(value: Any) -> Any:
    if isinstance(value, str):
        return {"link": value}
    if isinstance(value, Mapping):
        return value
    raise ValueError("must be an object or text")


def _text(value: str) -> str:
    text = value.strip()
    return "" if text in NO_DATA else text


def _fits_a_value(value: str) -> str:
    if len(value.encode()) > LONGEST:
        raise ValueError(f"is longer than the {LONGEST:,} bytes that MISP keeps")
    return value


def _fits_a_tag(value: str) -> str:
    if len(value) > LONGEST_TAG:
        raise ValueError(f"is longer than the {LONGEST_TAG} characters that MISP keeps")
    return value


def _not_empty(value: str) -> str:
    if not value:
        raise ValueError("is empty")
    return value


LongText = Annotated[str, BeforeValidator(_none_as_text), AfterValidator(_text)]
Text = Annotated[LongText, AfterValidator(_fits_a_value)]
RequiredText = Annotated[str, AfterValidator(_text), AfterValidator(_fits_a_value), AfterValidator(_not_empty)]


class _StoryPart(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)


class _TextPart(_StoryPart):
    """A part of a story that MISP keeps as one text, in which many a character takes six."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _fits_a_value(self.text())
        return self

    def text(self) -> str:
        """Return it as MISP keeps it."""
        return json.dumps(self.model_dump(), sort_keys=True)


class StoryTag(_TextPart):
    """A tag of a story."""

    name: Annotated[RequiredText, AfterValidator(_fits_a_tag)]
    tag_type: Annotated[Text, AfterValidator(lambda value: value or "misc")] = "misc"


class StoryAttribute(_TextPart):
    """A key and a value that somebody gave a story, such as its TLP."""

    key: RequiredText
    value: Text = ""


class Link(_TextPart):
    """A link of a story, and the news item that it belongs to."""

    link: RequiredText
    news_item_id: Text = ""


class NewsItem(_StoryPart):
    """One piece of news."""

    id: RequiredText
    title: Text = ""
    content: LongText = ""
    author: Text = ""
    link: Text = ""
    source: Annotated[Text, AfterValidator(lambda value: value or MANUAL)] = MANUAL
    language: Text = ""
    hash: Annotated[Text, AfterValidator(_hash)] = ""
    published: Annotated[Text, AfterValidator(_utc_time)] = ""
    review: Text = ""
    osint_source_id: Text = ""
    story_id: Text = ""


class Extension(_StoryPart):
    """What ``collect`` noted about an event that extends the story's: whose it is, and which items are in it."""

    uuid: Annotated[str, AfterValidator(_uuid)]
    organisation: Text = ""
    items: list[str] = []


class _CollectNotes(_StoryPart):
    extensions: list[Extension] = []


def _as_collected(value: dict[str, Any]) -> dict[str, Any]:
    try:
        _CollectNotes.model_validate(value)
    except ValidationError as error:
        raise ValueError(f"is not what collect wrote: {_sentence(error.errors(include_url=False)[0])}") from None
    return value


class Story(_StoryPart):
    """A story with its news items; ``misp`` is what ``collect`` noted about its event."""

    id: Annotated[str, AfterValidator(_uuid)]
    title: RequiredText
    description: Text = ""
    summary: Text = ""
    comments: Text = ""
    tags: Annotated[dict[str | int, StoryTag], BeforeValidator(_parts_as_object)] = {}
    attributes: Annotated[dict[str | int, StoryAttribute], BeforeValidator(_parts_as_object)] = {}
    links: Annotated[list[Annotated[Link, BeforeValidator(_text_as_link)]], BeforeValidator(_none_as_list)] = []
    news_items: Annotated[list[NewsItem], BeforeValidator(_none_as_list)] = []
    misp: Annotated[dict[str, Any], BeforeValidator(_none_as_object), AfterValidator(_as_collected)] = {}

    @property
    def extensions(self) -> list[Extension]:
        """The events that were found to extend the story's."""
        return _CollectNotes.model_validate(self.misp).extensions


@dataclass(frozen=True)
class ParsedStory:
    """A story as MISP can keep it, with notes; or none, with what is wrong with it."""

    id: str
    title: str
    story: Story | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def read_story(value: Any) -> ParsedStory:
    """Check one story, as JSON gives it; what is wrong is named by its path (``news_items[2].hash``)."""
    try:
        return _read(value)
    except RecursionError:
        return ParsedStory("", "", problems=("the story is nested too deeply",))


def _read(value: Any) -> ParsedStory:
    if not isinstance(value, Mapping):
        return ParsedStory("", "", problems=("the story must be an object",))
    story_id, title = str(value.get("id") or ""), str(value.get("title") or "")
    replaced = _UnstorableCharacters()
    try:
        fields = {name: value[name] for name in Story.model_fields if name in value}
        if (length := _length(fields)) > MOST_TEXT:
            words = f"the story has {length:,} characters of text, more than the {MOST_TEXT:,} that are shared"
            return ParsedStory(shorten(story_id, LONGEST_TAG), shorten(title, LONGEST_TAG), problems=(words,))
        story = Story.model_validate(replaced.within(fields))
    except ValidationError as error:
        sentences = map(_sentence, error.errors(include_url=False))
        return ParsedStory(story_id, title, problems=_first(sentences, error.error_count()))
    problems = _repeated_ids(story)
    if problems:
        return ParsedStory(story.id, title, problems=_first(problems, len(problems)))
    unique, notes = _without_repetitions(story)
    return ParsedStory(story.id, unique.title, unique, (*replaced.notes(), *_first(notes, len(notes))))


def _length(value: Any) -> int:
    """Count the characters of all texts in a part of a story; whatever else is in it counts as one."""
    if isinstance(value, str):
        return len(value)
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return 1 + sum(map(_length, parts))


def _first(sentences: Iterable[str], count: int) -> tuple[str, ...]:
    """Return as many sentences as somebody reads, and how many more there are."""
    named = tuple(islice(sentences, _MOST_NAMED))
    return named if count == len(named) else (*named, f"and {count - len(named):,} more")


@dataclass
class _UnstorableCharacters:
    """Replaces what MISP cannot store, and remembers where; in URLs it is percent-encoded, and nothing is lost."""

    paths: dict[str, None] = field(default_factory=dict)

    def within(self, value: Any, path: str = "") -> Any:
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, Mapping):
            return self._object(value, path)
        if isinstance(value, list):
            return [self.within(item, f"{path}[{index}]") for index, item in enumerate(value)]
        return value

    def _object(self, value: Mapping[Any, Any], path: str) -> dict[str, Any]:
        """Replace keys as well; two that become the same stay two."""
        kept: dict[str, Any] = {}
        for key, item in value.items():
            name = self._text(str(key), path)
            while name in kept:
                name += REPLACEMENT
            kept[name] = self.within(item, _below(path, str(key)))
        return kept

    def _text(self, value: str, path: str) -> str:
        requested = encoded(value, _ABOVE)
        text = _UNSTORABLE.sub(REPLACEMENT, requested)
        if text != requested:
            self.paths[path] = None
        return text

    def notes(self) -> list[str]:
        shared = [path for path in self.paths if not path.startswith("misp")]
        if not shared:
            return []
        where = ", ".join(_first(shared, len(shared)))
        return [f"characters that MISP cannot store were replaced by {REPLACEMENT} in {where}"]


def _below(path: str, key: str) -> str:
    shown = _UNSTORABLE.sub(REPLACEMENT, key)
    return f"{path}.{shown}" if path else shown


def _repeated_ids(story: Story) -> tuple[str, ...]:
    seen: dict[str, NewsItem] = {}
    problems = []
    for index, item in enumerate(story.news_items):
        if seen.setdefault(item.id, item) != item:
            problems.append(f"news_items[{index}].id is that of another item")
    return tuple(problems)


def _without_repetitions(story: Story) -> tuple[Story, list[str]]:
    """Keep one of what is in it twice: items with one hash count once (Taranis AI), and so do equal links."""
    kept: dict[str, NewsItem] = {}
    notes = []
    for index, item in enumerate(story.news_items):
        first = kept.setdefault(item.hash or f"id {item.id}", item)
        if first.id != item.id:
            notes.append(f"news_items[{index}] has the hash of {first.id} and was left out")
    items = {item.id: item.model_copy(update={"story_id": item.story_id or story.id}) for item in kept.values()}
    links = list({(link.link, link.news_item_id): link for link in story.links}.values())
    tags, tag_notes = _last_of_each("tags", "name", story.tags.values())
    attributes, attribute_notes = _last_of_each("attributes", "key", story.attributes.values())
    changed = {"news_items": list(items.values()), "links": links, "tags": tags, "attributes": attributes}
    return story.model_copy(update=changed), [*notes, *tag_notes, *attribute_notes]


def _last_of_each(what: str, key: str, parts: Iterable[_TextPart]) -> tuple[dict[str, _TextPart], list[str]]:
    """Return the parts by their names: of those with one name the last counts, as of a key in JSON."""
    last: dict[str, _TextPart] = {}
    notes: dict[str, None] = {}
    for part in parts:
        name = getattr(part, key)
        if last.get(name, part) != part:
            notes[f"{what} has {shorten(name, LONGEST_TAG)} more than once, and the last one counts"] = None
        last[name] = part
    return last, list(notes)


def as_json(story: Story) -> dict[str, Any]:
    """Return a story in the form that ``read_story`` takes."""
    return story.model_dump(exclude=set() if story.misp else {"misp"})


def _sentence(details: ErrorDetails) -> str:
    path = ""
    for part in details["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    context = details.get("ctx", {})
    message = str(context["error"]) if "error" in context else _MESSAGES.get(details["type"], "cannot be used")
    return f"{path} {message}"
