"""``collect``: the stories found in MISP, as JSON lines in the form that ``share`` reads.

What was written before is recorded in a small file, each event with its timestamp, and not by a time:
an event that reaches this MISP late has an old timestamp and is new all the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

from helpers.commands.screen import Line, Screen
from helpers.commands.share import FAILURES_IN_A_ROW, key_owner
from helpers.errors import ExitCode, MispDeclined, MispError, SettingsError
from helpers.files import make_private_directory, open_file, open_private
from helpers.indicators import event_url, is_true
from helpers.misp import Event, dictionary_in, whole_number
from helpers.process import interrupts, streams
from helpers.settings import Settings, cross_checks
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
from helpers.text import counted

STATE = "stories.json"
_FORM = 2
_DAY = 86_400


def main(settings: Settings, arguments: Namespace, _say: Callable[[str], None]) -> int:
    """Write the stories to stdout and what people should know to stderr; return the exit code."""

    screen = Screen(sys.stderr)
    return collect(settings, sys.stdout, lambda words: screen.show(Line(words)), full=arguments.full)


def collect(
    settings: Settings,
    out: TextIO,
    note: Callable[[str], None],
    *,
    full: bool = False,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = interrupts.sleep,
) -> int:
    """Write each story that is new or changed since the last good collection, with ``full`` every story.

    ``note`` takes what people should know, ``now`` gives seconds since 1970. Return 0, or 3 when some events could
    not be read. Raises SettingsError when the key is another organisation's or others may change state_dir,
    MispError when MISP cannot be asked.
    """
    cross_checks.refuse_foreign_state(settings)
    memory = Memory(settings)
    known = memory.read()
    moment = int(now())
    minutes = settings.misp_stories.refresh_interval
    if not full and 0 <= moment - known.good_at < minutes * 60:
        age = counted(minutes, "minute", "minutes")
        note(f"nothing to do: the last good collection is less than {age} old (refresh_interval)")
        return ExitCode.DONE
    writer = MispWriter(settings, sleep)
    collection = Collection(settings, writer, key_owner(writer, settings), Known() if full else known, full, moment)
    for line in collection.lines():
        out.write(line + "\n")
        streams.end_if_lost()
    for uuid, words in collection.unread.items():
        note(f"event {uuid} could not be read: {words}")
    good_at = known.good_at if collection.unread else moment
    memory.write(Known(good_at, collection.seen))
    stories = counted(collection.written, "story", "stories")
    note(f"{stories}, {collection.unchanged} unchanged since the last collection")
    return ExitCode.MISP if collection.unread else ExitCode.DONE


@dataclass
class Known:
    """When the last good collection was, and of each story that was read how its event and its extensions stood.

    ``older`` says that a version wrote it which listed every event: then extensions that hold nothing count as well.
    """

    good_at: int = 0
    events: dict[str, str] = field(default_factory=dict)
    older: bool = False

    def has(self, root: str, stamps: str) -> bool:
        """Say whether a story stood like this."""
        return self.events.get(root) == stamps or (self.older and self._all_stamps >= set(stamps.split()))

    @cached_property
    def _all_stamps(self) -> set[str]:
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
            with os.fdopen(open_file(self.path, os.O_RDONLY), encoding="utf-8") as file:
                content = json.load(file)
            if content["of"] == self._source():
                events = {str(uuid): str(stamps) for uuid, stamps in content["events"].items()}
                return Known(int(content["good_at"]), events, older=content.get("form") != _FORM)
        return Known()

    def write(self, known: Known) -> None:
        """Replace the file at once, so that it is never half written. Raises SettingsError."""
        content = {"of": self._source(), "form": _FORM, "good_at": known.good_at, "events": known.events}
        temporary = self.path.with_name(f"{STATE}.{os.getpid()}")
        try:
            make_private_directory(self.path.parent, hide_from_git=self.settings.state_is_beside_config)
            with os.fdopen(open_private(temporary, os.O_WRONLY | os.O_TRUNC), "w", encoding="utf-8") as file:
                file.write(json.dumps(content))
            temporary.replace(self.path)
        except OSError as error:
            raise SettingsError(
                [f"state_dir cannot be used ({error}): what was collected is not remembered; name one that can be."]
            ) from error

    def _source(self) -> str:
        """Return what stands for the MISP, the organisation and the sharing group that stories are read from."""
        stories = self.settings.misp_stories
        address = stories.url or self.settings.misp_domain
        text = json.dumps([address, stories.organisation_id, stories.sharing_group_id])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Collection:
    """Reads the events that changed and joins extensions to what they extend."""

    settings: Settings
    writer: MispWriter
    owner: KeyOwner
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
        listed = {str(row["uuid"]).lower(): row for row in self.writer.story_events()}

        def by_id(uuid: str) -> int:
            return whole_number(listed[uuid].get("id"))

        members: dict[str, list[str]] = {}
        for uuid in sorted((uuid for uuid, row in listed.items() if row[HOLDS]), key=by_id):
            members.setdefault(_root(uuid, listed), []).append(uuid)
        for root in sorted(members.keys() - {""}, key=by_id):
            if self._in_group(listed[root]):
                extensions = [uuid for uuid in members[root] if uuid != root and self._is_joined(listed[uuid])]
                yield from self._story(
                    root, {uuid: whole_number(listed[uuid].get("timestamp")) for uuid in (root, *extensions)}
                )

    def _in_group(self, event: Mapping[str, Any]) -> bool:
        group = self.settings.misp_stories.sharing_group_id
        return group is None or str(event.get("sharing_group_id")) == str(group)

    def _is_joined(self, extension: Mapping[str, Any]) -> bool:
        """Say whether an extension is of the group, or ours, from which a share removes what the story lacks."""
        return self._in_group(extension) or self._is_ours(extension)

    def _story(self, root: str, timestamps: Mapping[str, int]) -> Iterable[str]:
        """Yield the story of an event and its extensions, if one of them came, changed or left."""
        stamps = " ".join(f"{uuid}@{timestamp}" for uuid, timestamp in sorted(timestamps.items()))
        if self.known.has(root, stamps):
            self.seen[root] = stamps
            self.unchanged += 1
            return
        if self._is_old(timestamps.values()):
            return
        try:
            events = [event for event in map(self.writer.event, timestamps) if event is not None]
        except MispError as error:
            self._failed(root, error)
            return
        self._failures = 0
        if len(events) == len(timestamps):  # what left in between may come back as it was
            self.seen[root] = stamps
        if events and str(events[0]["uuid"]).lower() == root and is_story(events[0]):
            self.written += 1
            yield json.dumps(as_json(self._joined(events[0], events[1:])))

    def _failed(self, root: str, error: MispError) -> None:
        """Note that an event could not be read. Raises the error when several in a row say that MISP is gone."""
        self.unread[root] = str(error)
        self._failures += not isinstance(error, MispDeclined)
        if self._failures >= FAILURES_IN_A_ROW:
            raise error

    def _is_old(self, timestamps: Iterable[int]) -> bool:
        days = self.settings.misp_stories.days_without_change
        return bool(days) and not self.full and max(timestamps) < self.now - days * _DAY

    def _joined(self, parent: Event, extensions: list[Event]) -> Story:
        """Return the story of an event with the items of its extensions, and what MISP knows beside it."""
        items: list[NewsItem] = []
        ids: set[str] = set()
        notes = []
        for event in (parent, *extensions):
            new = _new_items(read_event(event), ids)
            items += new
            notes.append({**self._organisation(event), "uuid": event["uuid"], "items": [item.id for item in new]})
        misp = self.settings.misp_stories.url or self.settings.misp_domain
        note = {
            **self._organisation(parent),
            "url": event_url(misp, parent["id"]),
            "published": is_true(parent.get("published")),
            "proposals": sum(len(proposals_in(event)) for event in (parent, *extensions)),
            "extensions": notes[1:],
        }
        return read_event(parent).story.model_copy(update={"news_items": items, "misp": note})

    def _organisation(self, event: Event) -> dict[str, Any]:
        organisation = dictionary_in(event, "Orgc")
        return {
            "organisation": organisation.get("uuid"),
            "organisation_name": organisation.get("name"),
            "ours": self._is_ours(event),
        }

    def _is_ours(self, event: Mapping[str, Any]) -> bool:
        return str(event.get("orgc_id")) == self.owner.organisation_id


def _root(uuid: str, listed: Mapping[str, Mapping[str, Any]]) -> str:
    """Follow an extension to the last story above it, where stories extend one another to the first; "" for none."""
    seen = {uuid: 0}
    above = extends(listed[uuid])
    while above in listed and above not in seen:
        seen[above] = len(seen)
        above = extends(listed[above])
    path = list(seen)
    circle = path[seen[above] :] if above in seen else []
    stories = [step for step in path if STORY in listed[step][HOLDS]]
    return min(set(circle) & set(stories), default=stories[-1] if stories else "")


def _new_items(event: StoryInMisp, known: set[str]) -> list[NewsItem]:
    """Return the items of an event that are not known yet, and note them; one id, or one hash, counts once."""
    new = []
    for item in (in_misp.item for in_misp in event.items):
        names = {f"id {item.id}", f"hash {item.hash}"} - {"hash "}
        if not names & known:
            new.append(item)
            known |= names
    return new
