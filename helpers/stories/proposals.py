"""A story as it is to be × another organisation's event → what to propose about the event. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from helpers.indicators import is_true
from helpers.misp import Event
from helpers.stories.changes import Change, ChangeKind, DesiredEvent, attribute_body, is_same_item
from helpers.stories.misp_event import (
    ITEM_TEXTS,
    PLACEHOLDER,
    STORY_TEXTS,
    ItemInMisp,
    Member,
    StoryInMisp,
    item_value_type,
    members_of,
    split_long_text,
)
from helpers.stories.story import NewsItem, Story

PLEASE_REMOVE = "Please remove this news item: the story no longer has it"


@dataclass
class Proposals:
    """What to propose about another's event, what cannot be proposed, and the items that it lacks.

    ``pending`` are the proposals that are ours already: what they say is not said again, and counted in ``waiting``.
    """

    pending: Sequence[Mapping[str, Any]]
    changes: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[NewsItem] = field(default_factory=list)
    waiting: int = 0

    @cached_property
    def _pending_on(self) -> dict[str, list[Mapping[str, Any]]]:
        by_attribute: dict[str, list[Mapping[str, Any]]] = {}
        for proposal in self.pending:
            by_attribute.setdefault(str(proposal.get("old_id")), []).append(proposal)
        return by_attribute

    def compare(self, desired: DesiredEvent, current: StoryInMisp) -> Proposals:
        """Compare a story with the event."""
        if desired.story and current.story_object:
            self._compare_story(desired.story, current.story, current.story_object)
        else:
            self.notes.append("another organisation's event without a story in it: its texts cannot be proposed")
        counterparts, unpaired = _paired(desired.items, current.items)
        for item in desired.items:
            if counterpart := counterparts.get(item.id):
                self._compare_item(item, counterpart)
            else:
                self.missing.append(item)
        ids, hashes = {item.id for item in desired.items}, {item.hash for item in desired.items} - {""}
        for known in unpaired:
            if known.item.id not in ids and known.item.hash not in hashes:  # it may be in the event twice
                self._ask_to_remove(known)
        return self

    def _compare_story(self, desired: Story, current: Story, object_: Event) -> None:
        members = {pair[0].relation: pair for pair in members_of(object_) if pair[0].relation in STORY_TEXTS}
        for name in STORY_TEXTS:
            value = getattr(desired, name)
            if value == getattr(current, name):  # of the title, what the event is called counts too
                continue
            self._propose_value(f"the story's {name}", members.get(name), value or PLACEHOLDER)
        if any(getattr(desired, name) != getattr(current, name) for name in ("links", "tags", "attributes")):
            self.notes.append("links, tags and attributes of another organisation's story are not proposed")

    def _compare_item(self, desired: NewsItem, counterpart: ItemInMisp) -> None:
        current = counterpart.item
        if is_same_item(desired, current):
            return
        members = {pair[0].relation: pair for pair in members_of(counterpart.misp_object)}
        for name in (*ITEM_TEXTS, "content"):
            value, value_before = getattr(desired, name), getattr(current, name)
            if value == value_before or name in ("hash", "story_id"):
                continue
            what = f"{name} of news item {current.id}"
            if name == "content" and max(len(split_long_text(text)) for text in (value, value_before)) > 1:
                self.notes.append(f"{what}: too long to be proposed")
            else:
                self._propose_value(what, members.get(name), value)

    def _propose_value(self, what: str, pair: tuple[Member, Event] | None, value: str) -> None:
        """Propose a value for a member, or, without one, to delete it."""
        if pair is None:
            self.notes.append(f"{what}: the event has no such attribute, so nothing can be proposed")
            return
        member, attribute = pair
        if member.value.strip() == value:
            return
        if value and member.type == "link" and item_value_type(member.relation, value) != "link":
            self.notes.append(f"{what}: MISP keeps it as a link, and takes no proposal that is none")
            return
        kind = ChangeKind.PROPOSE_EDIT if value else ChangeKind.PROPOSE_DELETE
        self._propose(kind, what, attribute, {**attribute_body(attribute), "value": value, "to_ids": False})

    def _ask_to_remove(self, known: ItemInMisp) -> None:
        """Ask to remove a news item, as Taranis AI does, with a comment on its hash."""
        attributes = {member.relation: attribute for member, attribute in members_of(known.misp_object)}
        attribute = attributes.get("hash") or attributes.get("id")
        if attribute is not None:
            body = {**attribute_body(attribute), "to_ids": False, "comment": PLEASE_REMOVE}
            self._propose(ChangeKind.PROPOSE_EDIT, f"removal of news item {known.item.id}", attribute, body)

    def _propose(self, kind: ChangeKind, what: str, attribute: Event, body: Event) -> None:
        change = Change(kind, what, str(attribute["uuid"]), body if kind is ChangeKind.PROPOSE_EDIT else {})
        if any(_is_proposed_by(proposal, change) for proposal in self._pending_on.get(str(attribute["id"]), ())):
            self.waiting += 1
        else:
            self.changes.append(change)


def _is_proposed_by(proposal: Mapping[str, Any], change: Change) -> bool:
    to_delete = is_true(proposal.get("proposal_to_delete"))
    if to_delete or change.kind is ChangeKind.PROPOSE_DELETE:
        return to_delete and change.kind is ChangeKind.PROPOSE_DELETE
    return all(str(proposal.get(name) or "") == str(change.body[name] or "") for name in ("value", "comment"))


def _paired(items: Sequence[NewsItem], current: Iterable[ItemInMisp]) -> tuple[dict[str, ItemInMisp], list[ItemInMisp]]:
    """Find the object of each item by its id, and by its hash where none has the id; return what is not paired too.

    Items with one hash count once (Taranis AI).
    """
    unpaired = dict(enumerate(current))
    counterparts: dict[str, ItemInMisp] = {}
    for name in ("id", "hash"):
        places: dict[str, list[int]] = {}
        for place, known in reversed(unpaired.items()):
            places.setdefault(getattr(known.item, name), []).append(place)
        for item in items:
            value = getattr(item, name)
            if item.id not in counterparts and value and places.get(value):
                counterparts[item.id] = unpaired.pop(places[value].pop())
    return counterparts, list(unpaired.values())
