"""One reading of MISP for all destinations: what each of them needs is asked, read and converted once.

A destination that goes wrong drops out, and costs the others nothing; a fault of ours in an event costs that event.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn

from constants import LOG_EVENT_ERROR, LOG_MISP_PAGE, LOG_PROCESSED
from helpers.errors import EventNotFound, LedgerError, MispError, SyncError, TimeUp
from helpers.indicators import ConversionResult, ConversionRules, Item
from helpers.ledger import ClusterLedger, Together
from helpers.misp import Event, ListedEvent, MispReader, Page, ReadAhead, decaying_models, search_filters
from helpers.process import DestinationLogger
from helpers.settings import Settings
from helpers.sync.context.clusters import known_clusters
from helpers.sync.destination import DestinationRun, DestinationSync, RunOptions, begin_sync
from helpers.sync.event_selection import MissingEvent, conversion_fingerprint, needs_published, settings_fingerprint
from helpers.sync.events.draft import Draft
from helpers.sync.events.group import Group, groups_of
from helpers.sync.events.known import KnownEvents
from helpers.sync.events.prepared_slice import PreparedSlice
from helpers.sync.events.step import Step
from helpers.sync.survey import Surveys

logger = logging.getLogger(__name__)

_NOTHING_DONE = (
    "The time was up before anything was done, and the next run may fare no better: raise max_run_minutes, or lower "
    "misp_event_limit_per_page (docs/troubleshoot.md#the-time-was-up-before-anything-was-done)."
)


@dataclass
class SharedReading:
    """Leads destinations through one reading of MISP.

    ``advance`` is told the events read and to be read, ``now`` is in seconds since 1970. ``begun`` has every
    destination that took part, ``events_done`` counts events.
    """

    settings: Settings
    options: RunOptions
    reader: MispReader
    destinations: Sequence[DestinationRun]
    advance: Callable[[int, int], None]
    now: int
    begun: list[DestinationSync] = field(default_factory=list)
    events_done: int = 0
    _active: list[DestinationSync] = field(default_factory=list)
    _open: list[Group] = field(default_factory=list)
    _open_uuid: str = ""
    _got_on: bool = False

    def __post_init__(self) -> None:
        """Note by which settings events are prepared."""
        self._rules = ConversionRules.of(self.settings)
        self._fingerprint = conversion_fingerprint(self.settings)
        self._time = datetime.fromtimestamp(self.now, UTC)

    def run(self) -> None:
        """Read, plan, send and withdraw for each destination. Raises MispError when MISP says nothing at all.

        When MISP is given up later, that is in the reports, and what was decided by then is carried out.
        """
        try:
            self._begin(self.reader.identity())
            if not self._active:  # each of them has its reason in its report
                return
            self._warn_of_absent_models()
            self._read()
        except TimeUp:
            for destination in self.destinations:
                destination.report.stopped = not destination.report.failure
                if not self._got_on:
                    destination.report.warnings.append(_NOTHING_DONE)
            return
        for sync in list(self._active):
            with self._or_drop_out(sync):
                sync.conclude()

    def concluded(self, destination: DestinationRun) -> DestinationSync | None:
        """Return what has come to its conclusion at a destination; None where the run did not get so far."""
        found = (sync for sync in self._active if sync.destination is destination and sync.is_concluded)
        return next(found, None)

    def _begin(self, identity: Mapping[str, Any]) -> None:
        known = Together([destination.ledger for destination in self.destinations]).events()
        ledger = ClusterLedger(self.destinations[0].ledger.database)
        self._clusters = known_clusters(ledger, [run.settings for run in self.destinations])
        for destination in self.destinations:
            with self._or_fail(destination):
                fingerprint, of_ledger = settings_fingerprint(destination.settings), known[destination.ledger]
                sync = begin_sync(destination, self.options, fingerprint, identity, of_ledger, self.now, self._clusters)
                # Who wishes the same is given the same object: so it is seen at once for each event.
                sync.wishes = next((other.wishes for other in self.begun if other.wishes == sync.wishes), sync.wishes)
                self.begun.append(sync)
                self._active.append(sync)
        if not self._active:
            return
        ledgers = {sync.destination.ledger: sync.wishes.objects.policy for sync in self._active}
        together = Together(list(ledgers))
        self._known = KnownEvents(together, ledgers)
        self._draft = Draft(together, self._known, self._or_stumble)
        self._refresh_clusters()

    def _refresh_clusters(self) -> None:
        """Ask MISP which clusters have changed, and have events read again that show a name which has."""
        if self.options.uuid or not all(sync.trusted for sync in self._active):
            return
        events = self._clusters.refresh(self.reader, believe=self.options.force_withdraw)
        for sync in self._active:
            sync.read_for_names(events)

    def _warn_of_absent_models(self) -> None:
        """Warn of decaying models that filters name and that score nothing; what they were to leave out is sent."""
        if not decaying_models.any_in_filters(self.settings):
            return
        try:
            models = self.reader.models()
        except MispError as error:
            logger.warning("MISP does not say which decaying models it has: %s", error)
            return
        for sync in self._active:
            for warning in decaying_models.absent(sync.destination.settings, models):
                DestinationLogger(logger, sync.report.name).warning(warning)
                sync.report.warnings.append(warning)

    # -- what goes wrong ------------------------------------------------------------------------------

    @contextmanager
    def _or_fail(self, destination: DestinationRun) -> Iterator[None]:
        """Of several destinations, let one that fails cost the others nothing; what fails alone is the run's."""
        try:
            yield
        except LedgerError:  # the ledger is everybody's
            raise
        except Exception as error:
            destination.report.fail(error)  # what the run records of itself says so, whoever raises it
            if len(self.destinations) == 1:
                raise
            unexpected = None if isinstance(error, SyncError) else error
            logger.error("%s drops out: %s", destination.report.name, error, exc_info=unexpected)

    @contextmanager
    def _or_drop_out(self, sync: DestinationSync) -> Iterator[None]:
        """Take a destination that fails out of the run."""
        with self._or_fail(sync.destination):
            try:
                yield
            except BaseException:
                self._active.remove(sync)
                for group in self._open:
                    group.without(sync)
                raise

    @contextmanager
    def _or_stumble(self, group: Group, members: Sequence[DestinationSync]) -> Iterator[None]:
        """Let a fault of ours in an event cost that event, at these destinations."""
        try:
            yield
        except (LedgerError, TimeUp):
            raise
        except Exception as error:
            self._stumble(group, members, error)

    def _stumble(self, group: Group, members: Sequence[DestinationSync], error: Exception) -> None:
        for sync in members:
            group.without(sync)
            sync.stumble(group.uuid, error)

    # -- which events ---------------------------------------------------------------------------------

    def _read(self) -> None:
        """Read what any destination wants to see; that MISP is given up is in the reports. Raises TimeUp."""
        try:
            if self.options.uuid:
                self._read_one()
            else:
                self._read_all()
        except MispError as error:
            for sync in self._active:
                sync.report.fail_at_misp(error)

    def _read_one(self) -> None:
        filters = search_filters.for_one_event(self.settings.misp_event_filters, self.options.uuid)
        listed = [event for event in self.reader.listing(filters) if event.uuid == self.options.uuid]
        if not listed:
            self._end_without_event(self.options.uuid)
        for sync in self._active:
            sync.survey_one(listed[0])
        self._read_pages(listed, filters)

    def _end_without_event(self, uuid: str) -> NoReturn:
        """Say why the filters do not find an event, and what of it is live where. Raises EventNotFound."""
        row = self.reader.find_events({}, [uuid]).get(uuid)
        left_out_by = list(self._to_blame(uuid)) if row else []
        origin = self.settings.source_of("misp_event_filters")
        sees_all = any(sync.surveyor.conditions.site_admin for sync in self._active)
        missing = MissingEvent(uuid, row, left_out_by, origin, self._published_only, sees_all)
        remarks = [
            f"{sync.name}: {words}".removeprefix(": ") for sync in self._active if (words := sync.stays(uuid, row))
        ]
        error = EventNotFound(" ".join([str(missing), *remarks]))
        logger.error("%s", error)
        for sync in self._active:
            sync.report.fail(error)
        raise error

    def _to_blame(self, uuid: str) -> Iterator[str]:
        """Yield the names in misp_event_filters, but for that an event is to be published, that leave one out alone."""
        apart = search_filters.TIME_WINDOWS | {"limit", "page"} | ({"published"} if self._published_only else set())
        for name, value in self.settings.misp_event_filters.items():
            if name not in apart and uuid not in self.reader.find_events({name: value}, [uuid]):
                yield name

    @property
    def _published_only(self) -> bool:
        return needs_published(self.settings.misp_event_filters)

    def _read_all(self) -> None:
        """Ask what changed, once for all, and read what any destination wants to see."""
        filters = self.settings.misp_event_filters
        index = {} if filters.get("limit") or not self.settings.keeps_ledger else self.reader.index()
        listed = {event.uuid: event for event in self.reader.listing(filters)}
        if not listed:
            logger.warning("MISP: %s", search_filters.NOTHING_FOUND)
            for sync in self._active:
                sync.report.nothing_found = search_filters.NOTHING_FOUND
        found = self._survey(index, listed, filters)
        to_read = dict.fromkeys(uuid for sync in self._active for uuid in sync.to_read)
        # What failed before comes last: three failures in a row end the reading, and are not to be the first three.
        order = sorted(to_read, key=lambda uuid: (any(sync.failed_before(uuid) for sync in self._active), uuid))
        self._read_pages([(listed | found)[uuid] for uuid in order], filters)

    def _survey(
        self, index: Mapping[str, ListedEvent], listed: Mapping[str, ListedEvent], filters: Mapping[str, Any]
    ) -> dict[str, ListedEvent]:
        """Let each destination decide about events; return those that MISP was asked for and that its filters find."""
        to_ask: dict[str, None] = {}
        surveys = Surveys(index, listed)
        for sync in list(self._active):
            with self._or_drop_out(sync):
                to_ask |= dict.fromkeys(sync.survey_listing(surveys))
        found = self.reader.find_events(filters, list(to_ask))
        existing = self.reader.find_events({}, [uuid for uuid in to_ask if uuid not in found])
        for sync in list(self._active):
            with self._or_drop_out(sync):
                sync.survey_answers(found, existing)
        return found

    # -- reading --------------------------------------------------------------------------------------

    def _read_pages(self, events: Sequence[ListedEvent], filters: Mapping[str, Any]) -> None:
        self.advance(0, len(events))
        try:
            pages = self._clusters.asked_ahead(self.reader.pages(events, filters), self.reader)
            with closing(ReadAhead(pages)) as read:
                for page, answer in read:
                    self._clusters.take(page, answer)
                    self._take_tagged(page)
        finally:
            self._note_what_was_not_read()

    def _take_tagged(self, page: Page) -> None:
        """Take a page and note its tags, though its time is up: what was decided of it by then is settled."""
        try:
            self._take_page(page)
        finally:
            self._clusters.keep_events(page)

    def _note_what_was_not_read(self) -> None:
        for unread in self.reader.unread:
            uuid = unread.uuid.lower()
            logger.error(LOG_EVENT_ERROR.format(uuid, unread.words))
            for sync in list(self._active):
                with self._or_drop_out(sync):
                    sync.not_read(uuid, unread.words)
        for uuid in sorted(self.reader.changed):
            for sync in list(self._active):
                with self._or_drop_out(sync):
                    sync.read_again(uuid)

    def _take_page(self, page: Page) -> None:
        """Take events of a page, or slices of a large event, which may go on over several pages."""
        planned_before = self._planned()
        if page.slices:
            logger.info(LOG_MISP_PAGE.format(page.number, page.count))
        self._known.forget()
        uuids = [str(event.get("uuid")).lower() for event in page.slices]
        for event, uuid in zip(page.slices, uuids, strict=True):
            if uuid != self._open_uuid:
                self._close_event()
            self._check_time()
            if uuid != self._open_uuid:
                self._open_event(event, uuid, uuids)
            self._take_slice(event)
        if page.ends:
            self._close_event()
        self._draft.write()
        if page.slices:
            logger.info(LOG_PROCESSED.format(self._planned() - planned_before))

    def _check_time(self) -> None:
        """Raise TimeUp when there is no time left, unless nothing was done yet: each run is to get on by a little."""
        if self._got_on and self.reader.seconds_left() <= 0:
            self._draft.write()
            raise TimeUp("there was no time left to take in what MISP said")

    def _open_event(self, event: Event, uuid: str, page: Sequence[str]) -> None:
        """Begin with an event; what the ledgers know is read for all events of its page at once."""
        self._open_uuid = uuid
        self.events_done += 1
        if self.settings.write_parsed_eventid:
            logger.info("Processing event %s %s", event.get("id"), uuid)
        syncs = [sync for sync in self._active if uuid in sync.to_read]
        if syncs and not self._known.has(uuid):
            self._draft.write()
            # What nobody asked for may have a UUID that no database takes.
            self._known.read(of for of in page if any(of in sync.to_read for sync in self._active))
        self._open = groups_of(uuid, syncs, self._known)
        for group in self._open:
            records = {}
            for sync in group.members:
                with self._or_stumble(group, [sync]):
                    if record := sync.open(uuid):
                        records[sync.destination.ledger] = record
            self._draft.add(Step(group, records=records))

    def _take_slice(self, event: Event) -> None:
        """Prepare a slice, compare it with each ledger, convert what changed, let each destination plan and send that.

        Prepared and converted once for all, it is a fault of all that have the event open where that stumbles.
        """
        try:
            names = self._clusters.actor_names
            part = PreparedSlice.of(event, self._rules, self._fingerprint, self._time, names)
            for number, converted in enumerate(part.convert(self._changed(part))):
                if number:  # the next run goes on within the event: what was taken is the same then
                    self._check_time()
                self._take(converted, part)
        except (LedgerError, TimeUp):
            raise
        except Exception as error:
            for group in self._open:
                self._stumble(group, group.members, error)

    def _changed(self, part: PreparedSlice) -> list[Item]:
        """Return what of a slice changed for any destination."""
        changed: list[Item] = []
        for group in self._open:
            with self._or_stumble(group, group.members):
                changed += group.event.compare(part)
                self._draft.add(Step(group, group.event.decided()))
        return changed

    def _take(self, converted: ConversionResult, part: PreparedSlice) -> None:
        """Let each destination decide on what became of changed attributes."""
        for group in self._open:
            with self._or_stumble(group, group.members):
                group.event.take(converted, part)
                self._draft.add(Step(group, group.event.decided()))
        self._got_on = True

    def _close_event(self) -> None:
        """End the event that is open; one that was not read to its end is not recorded as read."""
        unfinished = {unread.uuid.lower() for unread in self.reader.unread} | self.reader.changed
        for group in self._open if self._open_uuid not in unfinished else ():
            with self._or_stumble(group, group.members):
                self._close(group)
            self._got_on = True
        self._known.forget(self._open_uuid)
        self._open, self._open_uuid = [], ""
        self.advance(self.events_done, self.reader.listed)

    def _close(self, group: Group) -> None:
        """Let go of what destinations want no more of an event; where there is no such thing, just remember it."""
        leaving = group.event.leaving()
        if not leaving:
            records = {sync.destination.ledger: group.event.record(sync.context.full_run) for sync in group.members}
            self._draft.add(Step(group, records=records, ends=True, pointed=group.event.pointed()))
            return
        self._draft.write()
        for sync in group.members:
            others_change = True
            with self._or_stumble(group, [sync]):
                others_change = sync.close(group.event, leaving)
            if others_change:
                self._known.forget()

    def _planned(self) -> int:
        return sum(sync.report.indicators for sync in self._active)
