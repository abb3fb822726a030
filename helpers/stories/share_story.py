"""One story on its way to MISP: as an event of its own, or as proposals on another's.

Whatever is done to an event is worked out again from what MISP shows of it, so a share that was cut off, or
of which MISP's answer was lost, is taken up by the next pass or by the next share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from helpers.errors import MispBusy, MispDeclined, MispError, StoryStopped
from helpers.indicators import event_url, is_true
from helpers.misp import Event
from helpers.settings import Settings
from helpers.stories.changes import (
    Change,
    ChangeKind,
    DesiredEvent,
    deleted_by_others,
    needed_changes,
    new_event,
)
from helpers.stories.indicators import WINDOW, StoryIndicator, indicators_in
from helpers.stories.misp_event import (
    StoryInMisp,
    extension_uuid,
    not_deleted,
    proposals_in,
    read_event,
    tag_names,
)
from helpers.stories.misp_writer import KeyOwner, MispWriter
from helpers.stories.proposals import Proposals
from helpers.stories.share_outcome import ShareOptions, ShareOutcome
from helpers.stories.story import Story
from helpers.text import counted

PASSES = 3
# Changes without which a story is not what it should be; the others are noted.
_ESSENTIAL = frozenset(
    {
        ChangeKind.EDIT_EVENT,
        ChangeKind.ADD_OBJECT,
        ChangeKind.EDIT_OBJECT,
        ChangeKind.DELETE_OBJECT,
        ChangeKind.ADD_REPORT,
        ChangeKind.EDIT_REPORT,
    }
)
# MISP 2.5.1 answers so to an event that it will not add since it has it; with words that say it.
_EXISTS, _FORBIDDEN = 404, 403


@dataclass
class StoryShare:
    """A story that is shared; what becomes of it is in ``outcome``."""

    settings: Settings
    writer: MispWriter
    key_owner: KeyOwner
    options: ShareOptions
    story: Story
    outcome: ShareOutcome

    def share(self) -> None:
        """Look what MISP has and make it as it is to be. Raises StoryStopped or MispError."""
        event = self.writer.event(self.story.id)
        if event is None:
            desired = self._desired(self._without_extensions(ours=False))
            event, new = self._add(desired)
            self._settle(desired, event, new=new)
        elif self._is_ours(event):
            self._settle(self._desired(self._without_extensions(ours=False)), event)
        else:
            self.outcome.url = self._url(event)
            self._propose(self._without_extensions(ours=True), event)

    # -- what is to be -----------------------------------------------------------------------------

    def _without_extensions(self, *, ours: bool) -> Story:
        """Leave out the items that are in other events that extend this one, as ``collect`` found: they stay there."""
        elsewhere: set[str] = set()
        for extension in self.story.extensions:
            if ours and extension.organisation == self.key_owner.organisation_uuid:
                continue
            event = self.writer.event(extension.uuid)
            in_misp = read_event(event).items if event else ()
            elsewhere |= {known.item.id for known in in_misp} & set(extension.items)
        items = [item for item in self.story.news_items if item.id not in elsewhere]
        return self.story.model_copy(update={"news_items": items})

    def _desired(self, story: Story) -> DesiredEvent:
        return DesiredEvent(
            story.id,
            story.title,
            tuple(story.news_items),
            tuple(tag_names(story)),
            self._indicators(story),
            self.options.to_ids,
            story=story,
        )

    def _indicators(self, story: Story) -> tuple[StoryIndicator, ...]:
        indicators, unclear, long_words = indicators_in(story)
        notes = self.outcome.notes
        if long_words:
            be = "was" if long_words == 1 else "were"
            notes.append(f"words of more than {WINDOW:,} characters are no indicators: {long_words:,} {be} left out")
        notes += [f"{address} is no indicator: it is not clear what is requested with it" for address in unclear]
        values = [indicator.value for indicator in indicators]
        listed = self.writer.on_warninglists(values) if values else {}
        notes += [f"{value} is no indicator: it is on the warninglist {name}" for value, name in listed.items()]
        return tuple(indicator for indicator in indicators if indicator.value not in listed)

    # -- events of ours ----------------------------------------------------------------------------

    def _is_ours(self, event: Event) -> bool:
        return str(event.get("orgc_id")) == self.key_owner.organisation_id

    def _add(self, desired: DesiredEvent) -> tuple[Event, bool]:
        """Add an event; when the answer is lost, look whether it is there. Return it, and whether it is new."""
        stories = self.settings.misp_stories
        body = new_event(desired, stories.level, stories.sharing_group_id)
        for passes_left in reversed(range(PASSES)):
            try:
                return self.writer.add_event(body), True
            except MispBusy:
                event = self.writer.event(desired.uuid)
                if event is not None:
                    return self._if_ours(event), True
                if not passes_left:
                    raise
            except MispDeclined as error:
                return self._existing(desired, error), False
        raise MispError("the event could not be added")

    def _if_ours(self, event: Event) -> Event:
        if not self._is_ours(event):
            raise StoryStopped("failed", "another organisation added this event just now: share it once more")
        return event

    def _existing(self, desired: DesiredEvent, error: MispDeclined) -> Event:
        """Find out why MISP takes no event: it has it already, out of the key's sight, or on its blocklist."""
        words = str(error)
        if error.status == _EXISTS and "already exists" in words:
            event = self.writer.event(desired.uuid)
            if event is None:
                reason = "MISP has an event with this UUID that the key may not see: another organisation's"
                raise StoryStopped("failed", f"{reason} ({words})")
            return self._if_ours(event)
        if "blocklist" in words:
            advice = "it was deleted in MISP, and an administrator can take it off the event blocklist"
            raise StoryStopped("failed", f"MISP takes no event with this UUID: {advice} ({words})")
        if error.status == _FORBIDDEN and not self.key_owner.may("perm_add"):
            raise StoryStopped("failed", f"the role may not add events (perm_add) ({words})")
        raise error

    def _settle(self, desired: DesiredEvent, event: Event, *, new: bool = False) -> None:
        """Make an event as it is to be, publish it where that is due, and note what MISP did not keep."""
        self.outcome.url = self.outcome.url or self._url(event)
        self._note_distribution(event)
        before = read_event(event)
        changes_before = needed_changes(desired, before)
        if changes_before and not new:
            self._stop_for_proposals(event)
        after, refused = self._converge_or_note(desired, before)
        changes_after = needed_changes(desired, after)
        changed = new or changes_after != changes_before
        if changed:
            self.outcome.state = "created" if new else "updated"
        self._publish_if_due(desired, event, after.event, changed)
        deleted = deleted_by_others(desired, after)
        if deleted:
            self.outcome.notes.append(f"deleted in MISP, and left so: {', '.join(deleted)}")
        self._note_not_kept(changes_after, refused)

    def _note_distribution(self, event: Event) -> None:
        """Say that an event is shared otherwise than the settings say; who changed that in MISP meant it."""
        stories = self.settings.misp_stories
        level, group = str(event.get("distribution")), str(event.get("sharing_group_id") or 0)
        if (level, group) != (str(stories.level), str(stories.sharing_group_id or 0)):
            self.outcome.notes.append(f"its distribution in MISP is {level}, not {stories.level}, and was left so")

    def _stop_for_proposals(self, event: Event) -> None:
        """Stop where an update would overwrite what others propose, unless it is to go on all the same."""
        if self.options.force:
            return
        try:
            pending = self._pending(event)
        except MispError as error:
            reason = f"MISP does not say whether proposals are pending on {self._url(event)}: {error}"
            raise StoryStopped("blocked", reason) from error
        of_others = sum(str(proposal.get("org_id")) != self.key_owner.organisation_id for proposal in pending)
        if of_others:
            what = counted(of_others, "proposal of others is", "proposals of others are")
            reason = f"{what} pending and would be overwritten: decide on {self._url(event)}, or use --force"
            raise StoryStopped("blocked", reason)

    def _pending(self, event: Event) -> list[Event]:
        """Ask which proposals are pending; those that the event itself shows count whatever MISP lists."""
        listed = self.writer.proposals(str(event["uuid"]))
        return list({proposal.get("id"): proposal for proposal in (*proposals_in(event), *listed)}.values())

    def _converge_or_note(self, desired: DesiredEvent, current: StoryInMisp) -> tuple[StoryInMisp, dict[str, str]]:
        """Converge; when MISP fails meanwhile, say that what was published may no longer be so."""
        try:
            return self._converge(desired, current)
        except MispError:
            self._note_unpublished(current.event)
            raise

    def _note_unpublished(self, before: Event) -> None:
        """The next share cannot know: to it, the event is one that its owner has not published."""
        if is_true(before.get("published")):
            self.outcome.notes.append(
                "it was published until this update and is perhaps no longer: share it again with --publish"
            )

    def _converge(self, desired: DesiredEvent, current: StoryInMisp) -> tuple[StoryInMisp, dict[str, str]]:
        """Change, look, and change what is still to be changed; return what is in MISP then, and what it declined."""
        refused: dict[str, str] = {}
        tried: list[Change] = []
        for passes_left in reversed(range(PASSES)):
            changes = [change for change in needed_changes(desired, current) if change.what not in refused]
            if not changes or changes == tried:
                break
            busy = self._carry_out(changes, refused)
            tried = [] if busy else changes
            event = self.writer.event(desired.uuid)
            if event is None:
                raise MispError("the event left MISP while it was changed")
            current = read_event(event)
            if busy and not passes_left and needed_changes(desired, current):
                raise busy
        return current, refused

    def _carry_out(self, changes: Sequence[Change], refused: dict[str, str]) -> MispBusy | None:
        for change in changes:
            try:
                self.writer.carry_out(change)
            except MispDeclined as error:
                refused[change.what] = str(error)
            except MispBusy as error:
                return error
        return None

    def _publish_if_due(self, desired: DesiredEvent, before: Event, after: Event, changed: bool) -> None:
        """Publish what is to be, or what was until the update: each update unpublishes."""
        was, is_now = is_true(before.get("published")), is_true(after.get("published"))
        if is_now or not (self.options.publish or (was and changed)):
            return
        try:
            self.writer.publish(desired.uuid)
        except MispDeclined as error:
            since = "; it was published until this update, and somebody who may has to publish it again" if was else ""
            role = "" if self.key_owner.may("perm_publish") else "the role may not publish (perm_publish)"
            self.outcome.notes.append(f"not published: {role or error}{since}")
        except MispError:
            self._note_unpublished(before)
            raise
        else:
            self.outcome.notes.append("published")
            self.outcome.state = "updated" if self.outcome.state == "unchanged" else self.outcome.state

    def _note_not_kept(self, changes: Sequence[Change], refused: dict[str, str]) -> None:
        """Note what is still not as it is to be; the story failed when it is more than tags or indicators."""
        words = [f"{change.what}{': ' + refused[change.what] if change.what in refused else ''}" for change in changes]
        if any(change.kind in _ESSENTIAL for change in changes):
            raise StoryStopped("failed", f"MISP did not keep {'; '.join(words)}")
        self.outcome.notes += [f"MISP did not keep {what}" for what in words]

    # -- events of others --------------------------------------------------------------------------

    def _propose(self, story: Story, event: Event) -> None:
        current = read_event(event)
        desired = DesiredEvent(story.id, story.title, tuple(story.news_items), (), (), self.options.to_ids, story=story)
        proposals = self._proposals(desired, current)
        refused = self._send(proposals, lambda: self._proposals(desired, current))
        sent = [change.what for change in proposals.changes if change.what not in refused]
        notes = self.outcome.notes
        notes += [*proposals.notes, *(f"proposed: {what}" for what in sent)]
        if proposals.waiting:
            notes.append(f"proposals of ours that are pending since an earlier share: {proposals.waiting}")
        extended = self._extend(story, proposals, current)
        if extended or sent:
            self.outcome.state = "proposed"
        if refused:
            raise StoryStopped("failed", "; ".join(f"{what}: {words}" for what, words in refused.items()))

    def _send(self, proposals: Proposals, compare_again: Callable[[], Proposals]) -> dict[str, str]:
        """Propose; when an answer is lost, ask what is pending first, since MISP keeps a proposal twice."""
        refused: dict[str, str] = {}
        for _ in range(PASSES):
            changes = [change for change in proposals.changes if change.what not in refused]
            if self._carry_out(changes, refused) is None:
                return refused
            proposals = compare_again()
        raise MispError("MISP did not take the proposals")

    def _proposals(self, desired: DesiredEvent, current: StoryInMisp) -> Proposals:
        pending = self._pending(current.event)
        ours = [proposal for proposal in pending if str(proposal.get("org_id")) == self.key_owner.organisation_id]
        return Proposals(ours).compare(desired, current)

    def _extend(self, story: Story, proposals: Proposals, parent: StoryInMisp) -> bool:
        """Put the items that another's event lacks into an extension of ours; say whether that changed it."""
        uuid = extension_uuid(story.id, self.key_owner.organisation_uuid)
        extension = self._our_extension(uuid, parent.event)
        if extension is None and not proposals.missing:
            return False
        desired = self._desired_extension(story, proposals, parent, extension, uuid)
        url, self.outcome.url = self.outcome.url, ""
        event, new = (extension, False) if extension else self._add(desired)
        self._settle(desired, event, new=new)
        changed = self.outcome.state != "unchanged"
        if changed:
            self.outcome.notes.append(
                f"our extension with {counted(len(desired.items), 'news item', 'news items')}: {self.outcome.url}"
            )
        self.outcome.url = url
        return changed

    def _desired_extension(
        self, story: Story, proposals: Proposals, parent: StoryInMisp, extension: Event | None, uuid: str
    ) -> DesiredEvent:
        title, tags = self._extension_header(story, extension, parent)
        texts = {"title": title, "description": "", "summary": "", "comments": ""}
        items = story.model_copy(update={**texts, "news_items": proposals.missing})
        of_parent = {
            (attribute.get("type"), attribute.get("value")) for attribute in not_deleted(parent.event, "Attribute")
        }
        return DesiredEvent(
            str(extension["uuid"]) if extension else uuid,
            title,
            tuple(proposals.missing),
            tags,
            tuple(indicator for indicator in self._indicators(items) if tuple(indicator) not in of_parent),
            self.options.to_ids,
            extends=story.id,
        )

    def _extension_header(
        self, story: Story, extension: Event | None, parent: StoryInMisp
    ) -> tuple[str, tuple[str, ...]]:
        """Return the title and tags of our extension: what the story has of its parent leaves them as they are."""
        title, tags = story.title, tuple(tag_names(story))
        if extension is None:
            return title, tags
        if title == parent.story.title:
            title = str(extension.get("info") or "").strip()
        return title, () if set(tags) == set(tag_names(parent.story)) else tags

    def _our_extension(self, uuid: str, parent: Event) -> Event | None:
        """Find our extension, also one that another tool made, under a UUID of its own."""
        event = self.writer.event(uuid)
        if event is not None and not self._is_ours(event):
            words = "the event that would be our extension is another organisation's, so the new items go nowhere"
            raise StoryStopped("failed", f"{words}: {self._url(event)}")
        if event is not None:
            return event
        listed = self.writer.extensions(parent, self.key_owner.organisation_id)
        return self.writer.event(str(listed[0]["uuid"])) if listed else None

    def _url(self, event: Event) -> str:
        return event_url(self.settings.misp_stories.url or self.settings.misp_domain, str(event["id"]))
