"""One story on its way to MISP: as an event of its own, or as proposals on another's.

Whatever is done to an event is worked out anew from what MISP shows of it, so a share that was cut off, or
of which MISP's answer was lost, is taken up by the next pass or by the next share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from helpers.errors import MispBusy, MispDeclined, MispError, StoryStopped
from helpers.settings import Settings
from helpers.stories import changes as story_changes
from helpers.stories import misp_event as story_event
from helpers.stories.changes import Change, DesiredEvent, Proposals
from helpers.stories.indicators import StoryIndicator, named
from helpers.stories.misp_event import Event, StoryInMisp, read_event
from helpers.stories.misp_writer import KeyOwner, MispWriter
from helpers.stories.story import Story

PASSES = 3
# Changes without which a story is not what it should be; the others are noted.
_ESSENTIAL = frozenset({"edit_event", "add_object", "edit_object", "delete_object", "add_report", "edit_report"})
_EXISTS, _FORBIDDEN = 404, 403


@dataclass
class ShareOutcome:
    """What became of one story."""

    id: str
    title: str
    state: str = "unchanged"
    reason: str = ""
    url: str = ""
    notes: list[str] = field(default_factory=list)

    def lines(self) -> Iterable[str]:
        """Say it to people."""
        yield " ".join(filter(None, [f"{self.state:<9}", self.title or self.id or "(no story)", self.url]))
        yield from (f"          {words}" for words in (self.reason, *self.notes) if words)

    def as_json(self) -> dict[str, Any]:
        """Say it to programs."""
        return {
            "id": self.id,
            "title": self.title,
            "outcome": self.state,
            "reason": self.reason,
            "url": self.url,
            "notes": self.notes,
        }


@dataclass(frozen=True)
class ShareOptions:
    """What was asked for: publish, flag indicators for detection, go on despite proposals."""

    publish: bool = False
    to_ids: bool = False
    force: bool = False


@dataclass
class StoryShare:
    """A story that is shared; what becomes of it is in ``made``."""

    settings: Settings
    writer: MispWriter
    me: KeyOwner
    terms: ShareOptions
    story: Story
    made: ShareOutcome

    def share(self) -> None:
        """Look what is there and make it as it is wanted. Raises StoryStopped or MispError."""
        event = self.writer.event(self.story.id)
        if event is None:
            wanted = self._wanted(self._without_extensions(ours=False))
            event, new = self._added(wanted)
            self._settle(wanted, event, new=new)
        elif self._is_ours(event):
            self._settle(self._wanted(self._without_extensions(ours=False)), event)
        else:
            self.made.url = self._url(event)
            self._propose(self._without_extensions(ours=True), event)

    # -- what is wanted ----------------------------------------------------------------------------

    def _without_extensions(self, *, ours: bool) -> Story:
        """Leave out the items that are in other events that extend this one, as ``collect`` found: they stay there."""
        elsewhere: set[str] = set()
        for each in self.story.extensions:
            if ours and each.organisation == self.me.organisation_uuid:
                continue
            event = self.writer.event(each.uuid)
            there = read_event(event).items if event else ()
            elsewhere |= {one.item.id for one in there} & set(each.items)
        items = [item for item in self.story.news_items if item.id not in elsewhere]
        return self.story.model_copy(update={"news_items": items})

    def _wanted(self, story: Story) -> DesiredEvent:
        return DesiredEvent(
            story.id,
            story.title,
            tuple(story.news_items),
            tuple(story_event.tag_names(story)),
            self._indicators(story),
            self.terms.to_ids,
            story=story,
        )

    def _indicators(self, story: Story) -> tuple[StoryIndicator, ...]:
        found, unclear = named(story)
        self.made.notes += [f"{each} is no indicator: it is not clear what is requested with it" for each in unclear]
        listed = self.writer.on_warninglists(each.value for each in found) if found else {}
        for value, name in listed.items():
            self.made.notes.append(f"{value} is no indicator: it is on the warninglist {name}")
        return tuple(each for each in found if each.value not in listed)

    # -- events of ours ----------------------------------------------------------------------------

    def _is_ours(self, event: Event) -> bool:
        return str(event.get("orgc_id")) == self.me.organisation_id

    def _added(self, wanted: DesiredEvent) -> tuple[Event, bool]:
        """Add an event; when the answer is lost, look whether it is there. Return it, and whether it is new."""
        stories = self.settings.misp_stories
        body = story_changes.new_event(wanted, stories.level, stories.sharing_group_id)
        for left in reversed(range(PASSES)):
            try:
                return self.writer.add_event(body), True
            except MispBusy:
                there = self.writer.event(wanted.uuid)
                if there is not None:
                    return self._if_ours(there), True
                if not left:
                    raise
            except MispDeclined as error:
                return self._declined(wanted, error), False
        raise MispError("the event could not be added")

    def _if_ours(self, event: Event) -> Event:
        if not self._is_ours(event):
            raise StoryStopped("failed", "another organisation added this event just now: share it once more")
        return event

    def _declined(self, wanted: DesiredEvent, error: MispDeclined) -> Event:
        """Find out why MISP takes no event: it is there already, out of sight, or blocklisted."""
        words = str(error)
        if error.status == _EXISTS and "already exists" in words:
            there = self.writer.event(wanted.uuid)
            if there is None:
                reason = "MISP has an event with this UUID that the key may not see: another organisation's"
                raise StoryStopped("failed", f"{reason} ({words})")
            return self._if_ours(there)
        if "blocklist" in words:
            mend = "it was deleted in MISP, and an administrator can take it off the event blocklist"
            raise StoryStopped("failed", f"MISP takes no event with this UUID: {mend} ({words})")
        if error.status == _FORBIDDEN and not self.me.may("perm_add"):
            raise StoryStopped("failed", f"the role may not add events (perm_add) ({words})")
        raise error

    def _settle(self, wanted: DesiredEvent, event: Event, *, new: bool = False) -> None:
        """Make an event as it is wanted, publish it where that is due, and note what MISP did not keep."""
        self.made.url = self.made.url or self._url(event)
        self._note_distribution(event)
        before = read_event(event)
        todo = story_changes.changes(wanted, before)
        if todo and not new:
            self._ask_for_proposals(event)
        after, refused = self._converged(wanted, before)
        left = story_changes.changes(wanted, after)
        changed = new or left != todo
        if new or changed:
            self.made.state = "created" if new else "updated"
        self._published(wanted, event, after.event, changed)
        gone = story_changes.left_deleted(wanted, after)
        if gone:
            self.made.notes.append(f"deleted in MISP, and left so: {', '.join(gone)}")
        self._account(left, refused)

    def _note_distribution(self, event: Event) -> None:
        """Say that an event is shared otherwise than the settings say; who changed that in MISP meant it."""
        stories = self.settings.misp_stories
        there = (str(event.get("distribution")), str(event.get("sharing_group_id") or 0))
        if there != (str(stories.level), str(stories.sharing_group_id or 0)):
            self.made.notes.append(f"its distribution in MISP is {there[0]}, not {stories.level}, and was left so")

    def _ask_for_proposals(self, event: Event) -> None:
        if self.terms.force:
            return
        try:
            pending = self._pending(event)
        except MispError as error:
            reason = f"MISP does not say whether proposals are pending on {self._url(event)}: {error}"
            raise StoryStopped("blocked", reason) from error
        others = sum(str(each.get("org_id")) != self.me.organisation_id for each in pending)
        if others:
            some = f"{others} proposals of others are" if others > 1 else "1 proposal of others is"
            reason = f"{some} pending and would be overwritten: decide on {self._url(event)}, or use --force"
            raise StoryStopped("blocked", reason)

    def _pending(self, event: Event) -> list[Event]:
        """Ask which proposals are pending; those that the event itself shows count whatever MISP lists."""
        listed = self.writer.proposals(str(event["uuid"]))
        return list({each.get("id"): each for each in (*story_event.proposals_in(event), *listed)}.values())

    def _converged(self, wanted: DesiredEvent, held: StoryInMisp) -> tuple[StoryInMisp, dict[str, str]]:
        """Converge; when MISP fails meanwhile, say that what was published may no longer be so."""
        try:
            return self._converge(wanted, held)
        except MispError:
            self._note_unpublished(held.event)
            raise

    def _note_unpublished(self, before: Event) -> None:
        """The next share cannot know: to it, the event is one that its owner has not published."""
        if _flag(before.get("published")):
            self.made.notes.append(
                "it was published until this update and is perhaps no longer: share it again with --publish"
            )

    def _converge(self, wanted: DesiredEvent, held: StoryInMisp) -> tuple[StoryInMisp, dict[str, str]]:
        """Change, look, and change what is still left; return what is there and what MISP declined."""
        refused: dict[str, str] = {}
        tried: list[Change] = []
        for left in reversed(range(PASSES)):
            todo = [each for each in story_changes.changes(wanted, held) if each.what not in refused]
            if not todo or todo == tried:
                break
            busy = self._carry_out(todo, refused)
            tried = [] if busy else todo
            event = self.writer.event(wanted.uuid)
            if event is None:
                raise MispError("the event left MISP while it was changed")
            held = read_event(event)
            if busy and not left and story_changes.changes(wanted, held):
                raise busy
        return held, refused

    def _carry_out(self, todo: Sequence[Change], refused: dict[str, str]) -> MispBusy | None:
        for change in todo:
            try:
                self.writer.carry_out(change)
            except MispDeclined as error:
                refused[change.what] = str(error)
            except MispBusy as error:
                return error
        return None

    def _published(self, wanted: DesiredEvent, before: Event, after: Event, changed: bool) -> None:
        """Publish what is to be, or what was until the update: each update unpublishes."""
        was, is_now = _flag(before.get("published")), _flag(after.get("published"))
        if is_now or not (self.terms.publish or (was and changed)):
            return
        try:
            self.writer.publish(wanted.uuid)
        except MispDeclined as error:
            since = "; it was published until this update, and somebody who may has to publish it again" if was else ""
            role = "" if self.me.may("perm_publish") else "the role may not publish (perm_publish)"
            self.made.notes.append(f"not published: {role or error}{since}")
        except MispError:
            self._note_unpublished(before)
            raise
        else:
            self.made.notes.append("published")
            self.made.state = "updated" if self.made.state == "unchanged" else self.made.state

    def _account(self, left: Sequence[Change], refused: dict[str, str]) -> None:
        """Note what is still not as it is wanted; the story failed when it is more than tags or indicators."""
        words = [f"{each.what}{': ' + refused[each.what] if each.what in refused else ''}" for each in left]
        if any(each.kind in _ESSENTIAL for each in left):
            raise StoryStopped("failed", f"MISP did not keep {'; '.join(words)}")
        self.made.notes += [f"MISP did not keep {each}" for each in words]

    # -- events of others --------------------------------------------------------------------------

    def _propose(self, story: Story, event: Event) -> None:
        held = read_event(event)
        wanted = DesiredEvent(story.id, story.title, tuple(story.news_items), (), (), self.terms.to_ids, story=story)
        first = self._proposals(wanted, held)
        refused = self._send(first, lambda: self._proposals(wanted, held))
        sent = [each.what for each in first.changes if each.what not in refused]
        self.made.notes += [*first.notes, *(f"proposed: {what}" for what in sent)]
        if first.waiting:
            self.made.notes.append(f"proposals of ours that are pending since an earlier share: {first.waiting}")
        extended = self._extend(story, first, held)
        if extended or sent:
            self.made.state = "proposed"
        if refused:
            raise StoryStopped("failed", "; ".join(f"{what}: {words}" for what, words in refused.items()))

    def _send(self, proposals: Proposals, again: Callable[[], Proposals]) -> dict[str, str]:
        """Propose; when an answer is lost, ask what is pending first, since MISP keeps a proposal twice."""
        refused: dict[str, str] = {}
        for _ in range(PASSES):
            busy = self._carry_out([each for each in proposals.changes if each.what not in refused], refused)
            if busy is None:
                return refused
            proposals = again()
        raise MispError("MISP did not take the proposals")

    def _proposals(self, wanted: DesiredEvent, held: StoryInMisp) -> Proposals:
        pending = self._pending(held.event)
        ours = [each for each in pending if str(each.get("org_id")) == self.me.organisation_id]
        return Proposals(ours).of(wanted, held)

    def _extend(self, story: Story, proposals: Proposals, parent: StoryInMisp) -> bool:
        """Put the items that another's event lacks into an extension of ours; say whether that changed it."""
        uuid = story_event.extension_uuid(story.id, self.me.organisation_uuid)
        there = self._our_extension(uuid, parent.event)
        if there is None and not proposals.missing:
            return False
        title, tags = self._header(story, there, parent)
        texts = {"title": title, "description": "", "summary": "", "comments": ""}
        items = story.model_copy(update={**texts, "news_items": proposals.missing})
        known = {(each.get("type"), each.get("value")) for each in story_event.live(parent.event, "Attribute")}
        wanted = DesiredEvent(
            str(there["uuid"]) if there else uuid,
            title,
            tuple(proposals.missing),
            tags,
            tuple(each for each in self._indicators(items) if tuple(each) not in known),
            self.terms.to_ids,
            extends=story.id,
        )
        url, self.made.url = self.made.url, ""
        event, new = (there, False) if there else self._added(wanted)
        self._settle(wanted, event, new=new)
        if self.made.state != "unchanged":
            self.made.notes.append(f"our extension with {len(wanted.items)} news items: {self.made.url}")
        self.made.url = url
        return self.made.state != "unchanged"

    def _header(self, story: Story, there: Event | None, parent: StoryInMisp) -> tuple[str, tuple[str, ...]]:
        """Return the title and tags of our extension: what the story has of its parent leaves them as they are."""
        title, tags = story.title, tuple(story_event.tag_names(story))
        if there is None:
            return title, tags
        title = str(there.get("info") or "").strip() if title == parent.story.title else title
        return title, () if set(tags) == set(story_event.tag_names(parent.story)) else tags

    def _our_extension(self, uuid: str, parent: Event) -> Event | None:
        """Find our extension, also one that another tool made, under a UUID of its own."""
        there = self.writer.event(uuid)
        if there is not None and not self._is_ours(there):
            words = "the event that would be our extension is another organisation's, so the new items go nowhere"
            raise StoryStopped("failed", f"{words}: {self._url(there)}")
        if there is not None:
            return there
        listed = self.writer.extensions(parent, self.me.organisation_id)
        return self.writer.event(str(listed[0]["uuid"])) if listed else None

    def _url(self, event: Event) -> str:
        return f"{self.settings.misp_stories.url or self.settings.misp_domain}/events/view/{event['id']}"


def _flag(value: object) -> bool:
    return value in (True, 1, "1")
