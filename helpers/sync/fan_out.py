"""One reading of MISP for all destinations: what each of them needs is asked, read and converted once.

A destination that goes wrong drops out, and costs the others nothing; a fault of ours in an event costs that event.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from constants import LOG_EVENT_ERROR, LOG_MISP_PAGE, LOG_PROCESSED
from helpers.errors import MispError, SyncError, TimeUp
from helpers.indicators import Item
from helpers.ledger import DatabaseTrouble
from helpers.log import DestinationLogger
from helpers.misp import ListedEvent, MispReader, Page, ReadAhead, decaying_models
from helpers.misp import search_filters as misp_filters
from helpers.settings import Settings
from helpers.sync.destination import DestinationSync, Options
from helpers.sync.event_sync import PreparedSlice

logger = logging.getLogger(__name__)

Event = Mapping[str, Any]
Step = Callable[[DestinationSync], None]


@dataclass
class SharedReading:
    """Leads every destination through one reading of MISP.

    ``advance`` is told the events done and to be read, ``shape`` prints the settings that shape the result, ``now``
    is in seconds since 1970.
    """

    settings: Settings
    options: Options
    reader: MispReader
    parts: list[DestinationSync]
    advance: Callable[[int, int], None]
    shape: str
    now: int
    alone: bool = field(init=False)
    _open: list[DestinationSync] = field(default_factory=list)
    _uuid: str = ""
    _done: int = 0

    def __post_init__(self) -> None:
        """Note whether there is one destination; then what goes wrong with it is the run's."""
        self.alone = len(self.parts) == 1

    def run(self) -> None:
        """Read, plan, send and withdraw for each destination. Raises MispError when MISP says nothing at all.

        When MISP is given up later, that is in the reports, and what was decided by then is carried out.
        """
        try:
            self._read()
        except TimeUp:
            for part in self.parts:
                part.report.stopped = True
            return
        self._each(lambda part: part.conclude())

    def _read(self) -> None:
        """Read what any destination wants to see. Raises MispError when MISP says nothing at all, and TimeUp."""
        identity = self.reader.identity()
        self._each(lambda part: part.begin(identity))
        self._look_at_models()
        try:
            self._one_event() if self.options.uuid else self._every_event()
        except MispError as error:
            for part in self.parts:
                part.report.misp_error = str(error)

    def _look_at_models(self) -> None:
        """Warn of decaying models that filters name and that score nothing; what they were to leave out is sent."""
        if not decaying_models.any_in_filters(self.settings):
            return
        try:
            models = self.reader.models()
        except MispError as error:
            logger.warning("MISP does not say which decaying models it has: %s", error)
            return
        for part in self.parts:
            for warning in decaying_models.absent(part.settings, models):
                DestinationLogger(logger, part.report.name).warning(warning)
                part.report.warnings.append(warning)

    def _each(self, step: Step, among: Iterable[DestinationSync] | None = None) -> None:
        """Take destinations through a step; of several, those that fail drop out."""
        for part in list(self.parts if among is None else among):
            try:
                step(part)
            except DatabaseTrouble:  # the ledger is everybody's
                raise
            except Exception as error:
                if self.alone:
                    raise
                self._drop(part, error)

    def _drop(self, part: DestinationSync, error: Exception) -> None:
        unexpected = None if isinstance(error, SyncError) else error
        logger.error("%s drops out: %s", part.report.name, error, exc_info=unexpected)
        part.report.fail(error)
        self.parts = [each for each in self.parts if each is not part]
        self._open = [each for each in self._open if each is not part]

    # -- which events ---------------------------------------------------------------------------------

    def _one_event(self) -> None:
        filters = misp_filters.for_one_event(self.settings.misp_event_filters, self.options.uuid)
        listed = [each for each in self.reader.listing(filters) if each.uuid == self.options.uuid]
        if not listed:
            raise MispError(f"no event {self.options.uuid} under misp_event_filters (time windows set aside)")
        self._each(lambda part: part.look_at_one(listed[0]))
        self._read_all(listed, filters)

    def _every_event(self) -> None:
        """Ask what moved, once for all, and read what any destination wants to see."""
        filters = self.settings.misp_event_filters
        index = {} if filters.get("limit") or not self.settings.remembers else self.reader.index()
        listed = {each.uuid: each for each in self.reader.listing(filters)}
        if not listed:
            logger.warning("MISP: %s", misp_filters.NOTHING_FOUND)
            for part in self.parts:
                part.report.advice = misp_filters.NOTHING_FOUND
        asked: dict[str, None] = {}
        self._each(lambda part: asked.update(dict.fromkeys(part.look_around(index, listed))))
        found = self.reader.find_events(filters, list(asked))
        exist = self.reader.find_events({}, [uuid for uuid in asked if uuid not in found])
        self._each(lambda part: part.answered(found, exist))
        every = listed | found
        wanted = dict.fromkeys(uuid for part in self.parts for uuid in part.to_read)
        # What failed before comes last: three failures in a row end the reading, and are not to be the first three.
        order = sorted(wanted, key=lambda uuid: (any(part.failed_before(uuid) for part in self.parts), uuid))
        self._read_all([every[uuid] for uuid in order], filters)

    # -- reading --------------------------------------------------------------------------------------

    def _read_all(self, events: list[ListedEvent], filters: Mapping[str, Any]) -> None:
        try:
            with closing(ReadAhead(self.reader.pages(events, filters))) as ahead:
                for page in ahead:
                    self._page(page)
        finally:
            for unread in self.reader.unread:
                uuid, words = unread.uuid.lower(), unread.words
                logger.error(LOG_EVENT_ERROR.format(uuid, words))
                self._each(partial(DestinationSync.not_read, uuid=uuid, words=words))
            for uuid in sorted(self.reader.changed):
                self._each(partial(DestinationSync.take_up_again, uuid=uuid))

    def _planned(self) -> int:
        return sum(part.report.indicators for part in self.parts)

    def _page(self, page: Page) -> None:
        before = self._planned()
        if page.slices:
            logger.info(LOG_MISP_PAGE.format(page.number, page.count))
        for event in page.slices:
            uuid = str(event.get("uuid")).lower()
            if uuid != self._uuid:
                self._close()
            if self.reader.seconds_left() <= 0:
                raise TimeUp("there was no time left to take in what MISP said")
            if uuid != self._uuid:
                self._begin(event, uuid)
            self._take(event)
        if page.ends:
            self._close()
        if page.slices:
            logger.info(LOG_PROCESSED.format(self._planned() - before))

    def _begin(self, event: Event, uuid: str) -> None:
        self._uuid = uuid
        self._done += 1
        self.advance(self._done, self.reader.listed)
        if self.settings.write_parsed_eventid:
            logger.info("Processing event %s %s", event.get("id"), uuid)
        self._open = [part for part in self.parts if uuid in part.to_read]
        self._each_open(lambda part: part.open(uuid))

    def _take(self, event: Event) -> None:
        """Convert, once, what of a slice changed for any destination, and hand it to those that have it open.

        A fault of ours costs the event that it stumbles over, not the run.
        """
        try:
            now = datetime.fromtimestamp(self.now, UTC)
            part = PreparedSlice.of(event, self.settings, self.shape, now)
            changed: list[Item] = []
            self._each_open(lambda each: changed.extend(each.look(part)))
            for converted in part.converted(changed, now):
                self._each_open(partial(DestinationSync.take, converted=converted, part=part))
        except DatabaseTrouble:
            raise
        except Exception as error:
            for each in self._open:
                each.stumble(self._uuid, error)
            self._open = []

    def _each_open(self, step: Step) -> None:
        """Take the destinations that have the event open through a step; one that stumbles closes it."""
        for each in list(self._open):
            try:
                step(each)
            except DatabaseTrouble:
                raise
            except Exception as error:
                self._open.remove(each)
                each.stumble(self._uuid, error)

    def _close(self) -> None:
        """End the event that is open; one that was not read to its end is not remembered as read."""
        unfinished = frozenset({each.uuid.lower() for each in self.reader.unread} | self.reader.changed)
        self._each_open(lambda part: part.close(unfinished))
        self._open, self._uuid = [], ""
