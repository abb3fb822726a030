"""``collect``: the stories found in MISP, as JSON lines in the shape that ``share`` reads.

What was written before is remembered in a small file, each event with its timestamp, and not by a time:
an event that reaches this MISP late has an old timestamp and is new all the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

from helpers.commands.share import FAILURES_IN_A_ROW, who
from helpers.errors import ExitCode, MispDeclined, MispError, SettingsError
from helpers.files import open_private
from helpers.misp import Event, dictionary_in, whole_number
from helpers.settings import Settings
from helpers.stories import (
    HOLDS,
    STORY,
    KeyOwner,
    MispWriter,
    NewsItem,
    Story,
    StoryInMisp,
    as_json,
    extends,
    is_story,
    proposals_in,
    read_event,
)

STATE = "stories.json"
_FORM = 2
_DAY = 86_400


def collect(
    settings: Settings,
    out: TextIO,
    say: Callable[[str], None],
    *,
    full: bool = False,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Write each story that is new or changed since the last good collection, with ``full`` every story.

    ``say`` is told what goes to people. Return 0, or 3 when some events could not be read. Raises
    SettingsError when the key is another organisation's, MispError when MISP cannot be asked at all.
    """
    memory = Memory(settings)
    known = memory.read()
    moment = int(now())
    minutes = settings.misp_stories.refresh_interval
    if not full and 0 <= moment - known.good_at < minutes * 60:
        say(f"nothing to do: the last good collection is less than {minutes} minutes old (refresh_interval)")
        return ExitCode.DONE
    writer = MispWriter(settings, sleep)
    collection = Collection(settings, writer, who(writer, settings), Known() if full else known, full, moment)
    for line in collection.lines():
        out.write(line + "\n")
    out.flush()
    for uuid, words in collection.unread.items():
        say(f"event {uuid} could not be read: {words}")
    good_at = known.good_at if collection.unread else moment
    memory.write(Known(good_at, collection.seen))
    say(f"{collection.written} stories, {collection.unchanged} unchanged since the last collection")
    return ExitCode.MISP if collection.unread else ExitCode.DONE


@dataclass
class Known:
    """When the last good collection was, and of each story that was read how its event and its extensions stood.

    ``older`` says that a version wrote it which listed every event: then extensions that hold nothing count as well.
    """

    good_at: int = 0
    events: dict[str, str] = field(default_factory=dict)
    older: bool = False

    def has(self, root: str, shown: str) -> bool:
        """Say whether a story stood like this."""
        return self.events.get(root) == shown or (self.older and self._each >= set(shown.split()))

    @cached_property
    def _each(self) -> set[str]:
        return {stamp for stamps in self.events.values() for stamp in stamps.split()}


@dataclass
class Memory:
    """The file in the state directory; without it, or for another MISP, everything is new."""

    settings: Settings

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.settings.state_path / STATE

    def read(self) -> Known:
        """Return what was written for this MISP, organisation and sharing group; nothing if that cannot be read."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            if kept["of"] == self._of():
                events = {str(uuid): str(stamp) for uuid, stamp in kept["events"].items()}
                return Known(int(kept["good_at"]), events, older=kept.get("form") != _FORM)
        return Known()

    def write(self, known: Known) -> None:
        """Replace the file at once, so that it is never half written. Raises SettingsError."""
        text = json.dumps({"of": self._of(), "form": _FORM, "good_at": known.good_at, "events": known.events})
        anew = self.path.with_name(f"{STATE}.{os.getpid()}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(open_private(anew, os.O_WRONLY | os.O_TRUNC), "w", encoding="utf-8") as file:
                file.write(text)
            anew.replace(self.path)
        except OSError as error:
            raise SettingsError(
                [f"state_dir cannot be used ({error}): what was collected is not remembered; name one that can be."]
            ) from error

    def _of(self) -> str:
        stories = self.settings.misp_stories
        address = stories.url or self.settings.misp_domain
        text = json.dumps([address, stories.organisation_id, stories.sharing_group_id])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Collection:
    """Reads the events that changed and joins extensions to what they extend."""

    settings: Settings
    writer: MispWriter
    me: KeyOwner
    known: Known
    full: bool
    now: int
    seen: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    written: int = 0
    unchanged: int = 0
    _failures: int = 0

    def lines(self) -> Iterable[str]:
        """Yield a line for each story."""
        listed = {str(each["uuid"]).lower(): each for each in self.writer.story_events()}
        holders = [uuid for uuid in listed if listed[uuid][HOLDS]]
        members: dict[str, list[str]] = {}
        for uuid in sorted(holders, key=lambda each: whole_number(listed[each].get("id"))):
            members.setdefault(_root(uuid, listed), []).append(uuid)
        for root in sorted(members.keys() - {""}, key=lambda each: whole_number(listed[each].get("id"))):
            if self._in_group(listed[root]):
                others = [each for each in members[root] if each != root and self._is_joined(listed[each])]
                yield from self._of(
                    root, {each: whole_number(listed[each].get("timestamp")) for each in (root, *others)}
                )

    def _in_group(self, event: Mapping[str, Any]) -> bool:
        group = self.settings.misp_stories.sharing_group_id
        return group is None or str(event.get("sharing_group_id")) == str(group)

    def _is_joined(self, extension: Mapping[str, Any]) -> bool:
        """Say whether an extension is of the group, or ours, from which a share removes what the story lacks."""
        return self._in_group(extension) or self._is_ours(extension)

    def _of(self, root: str, stamps: Mapping[str, int]) -> Iterable[str]:
        """Yield the story of an event and its extensions, if one of them came, changed or left."""
        shown = " ".join(f"{uuid}@{stamp}" for uuid, stamp in sorted(stamps.items()))
        if self.known.has(root, shown):
            self.seen[root] = shown
            self.unchanged += 1
            return
        if self._is_old(stamps.values()):
            return
        try:
            found = [event for event in map(self.writer.event, stamps) if event is not None]
        except MispError as error:
            self.unread[root] = str(error)
            self._failures += not isinstance(error, MispDeclined)
            if self._failures >= FAILURES_IN_A_ROW:
                raise
            return
        self._failures = 0
        if len(found) == len(stamps):  # what left in between may come back as it was
            self.seen[root] = shown
        if found and str(found[0]["uuid"]).lower() == root and is_story(found[0]):
            self.written += 1
            yield json.dumps(as_json(self._joined(found[0], found[1:])))

    def _is_old(self, stamps: Iterable[int]) -> bool:
        days = self.settings.misp_stories.days_without_change
        return bool(days) and not self.full and max(stamps) < self.now - days * _DAY

    def _joined(self, parent: Event, extensions: list[Event]) -> Story:
        items: list[NewsItem] = []
        noted = []
        for event in (parent, *extensions):
            more = _new(read_event(event), items)
            items += more
            noted.append({**self._owner(event), "uuid": event["uuid"], "items": [each.id for each in more]})
        note = {**self._owner(parent), "url": self._url(parent), "published": parent.get("published") in (True, 1, "1")}
        pending = sum(len(proposals_in(event)) for event in (parent, *extensions))
        note |= {"proposals": pending, "extensions": noted[1:]}
        return read_event(parent).story.model_copy(update={"news_items": items, "misp": note})

    def _owner(self, event: Event) -> dict[str, Any]:
        owner = dictionary_in(event, "Orgc")
        return {
            "organisation": owner.get("uuid"),
            "organisation_name": owner.get("name"),
            "ours": self._is_ours(event),
        }

    def _is_ours(self, event: Mapping[str, Any]) -> bool:
        return str(event.get("orgc_id")) == self.me.organisation_id

    def _url(self, event: Event) -> str:
        return f"{self.settings.misp_stories.url or self.settings.misp_domain}/events/view/{event['id']}"


def _root(uuid: str, listed: Mapping[str, Mapping[str, Any]]) -> str:
    """Follow an extension to the last story above it, where stories extend one another to the first; "" for none."""
    path = [uuid]
    while (above := extends(listed[path[-1]])) in listed and above not in path:
        path.append(above)
    around = path[path.index(above) :] if above in path else []
    stories = [each for each in path if STORY in listed[each][HOLDS]]
    return min(set(around) & set(stories), default=stories[-1] if stories else "")


def _new(held: StoryInMisp, items: Iterable[NewsItem]) -> list[NewsItem]:
    """Return the items of an event that are not there yet; one id, or one hash, counts once."""
    ids, hashes = {each.id for each in items}, {each.hash for each in items if each.hash}
    more = []
    for item in (each.item for each in held.items):
        if item.id not in ids and item.hash not in hashes:
            more.append(item)
            ids.add(item.id)
            hashes |= {item.hash} - {""}
    return more
