"""The only room that talks to MISP: pages of events as plain dicts.

What to read is decided first, by listing the events that the filters find without their attributes;
the pages are then fixed lists of event ids. So an event that is edited, published or deleted meanwhile
moves no other one out of sight, the size of each answer is known before it is asked for, and what MISP
cannot deliver is asked for in halves until one event stands alone.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import requests
import tenacity

from helpers.errors import MispBusy, MispError, MispRefused, TimeUp
from helpers.http import CONNECT_SECONDS, PinnedHttpAdapter
from helpers.indicators import EVENT_NAMES, NAMED, format_of
from helpers.misp import decaying_models
from helpers.misp import large_events as slices
from helpers.misp import responses as misp_answers
from helpers.misp import search_filters as misp_filters
from helpers.misp.detours import FEW, Detours
from helpers.misp.responses import ListedEvent
from helpers.settings import Settings

Event = dict[str, Any]
Search = Callable[..., Any]

logger = logging.getLogger(__name__)

ATTRIBUTES_PER_PAGE = 4096
LISTED_PER_PAGE = 2048
SMALLEST_PAGE = 32
LISTING_PASSES = 5
TRIES = 3
LAST_WAIT = 30
FAILURES_IN_A_ROW = 3
# What of an event changes with its attributes.
_MOVES = ("timestamp", "published", "attribute_count")
_SAME_PAGE = "MISP, or a cache in front of it, answers every page with the same one"


@dataclass(frozen=True)
class Page:
    """Events read together, or, with its header, a slice of a large one; the last of its slices ``ends`` it."""

    number: int
    count: int
    slices: Sequence[Event]
    ends: bool = True


@dataclass(frozen=True)
class Unread:
    """An event that could not be read, or not to its end, and MISP's words about it."""

    uuid: str
    words: str


@dataclass
class MispReader:
    """Reads the events that the site's filters find, through PyMISP.

    ``unread`` names the events that could not be read; the rest are not affected by them. ``listed`` is
    how many events the filters found, ``changed`` are events that changed, or left, while they were read.
    ``left`` says how many seconds there are for reading: no question takes longer, and none is asked when there are
    none; then TimeUp is raised. ``waiting`` is told what is waited for at length, and with "" that it is over;
    ``detours`` counts what could not be read as planned.
    """

    settings: Settings
    sleep: Callable[[float], None] = time.sleep
    left: Callable[[], float] = lambda: float("inf")
    waiting: Callable[[str], None] = field(default_factory=lambda: _to_who_watches)
    detours: Detours = field(default_factory=Detours)
    unread: list[Unread] = field(default_factory=list)
    listed: int = 0
    changed: set[str] = field(default_factory=set)
    _client: Any = None
    _failures: int = 0
    _hidden: int = 0
    _told: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Prepare the transport; nothing is asked yet."""
        settings = self.settings
        self._adapter = PinnedHttpAdapter(
            settings.misp_verifycert, settings.misp_proxies or None, settings.misp_timeout
        )

    # -- what others ask ---------------------------------------------------------------------------

    def connect(self) -> Any:
        """Return the PyMISP client, logged in. Raises MispRefused or MispError."""
        if self._client is None:
            try:
                self._client = self._asked(self._login, TRIES)
            except MispBusy as error:
                if self.settings.misp_domain.lower().startswith("http://"):
                    raise MispBusy(f"misp_domain is http: does MISP want https? {error}") from error
                raise
        return self._client

    def listing(self, filters: Mapping[str, Any]) -> list[ListedEvent]:
        """Return the events that the filters find now. Raises MispError."""
        return self._listing(filters)

    def index(self) -> dict[str, ListedEvent]:
        """Return MISP's minimal index of all events by UUID: one small answer."""
        answer = self._asked(partial(self.connect().search_index, minimal=True), TRIES)
        return {row.uuid: row for row in map(misp_answers.seen, misp_answers.records(answer))}

    def seen(self, filters: Mapping[str, Any], uuids: Sequence[str]) -> dict[str, ListedEvent]:
        """Return which of these events the filters find, whenever they changed, with few words about each."""
        found: dict[str, ListedEvent] = {}
        for start in range(0, len(uuids), LISTED_PER_PAGE):
            some = list(uuids[start : start + LISTED_PER_PAGE])
            named = misp_filters.by_uuid(filters, some)
            answer = self._search("events", {**misp_filters.without_time_windows(filters), **named}, TRIES)
            found |= {each.uuid: each for each in _listed(answer) if named or each.uuid in some}
        return found

    def attributes(self, uuids: Iterable[str]) -> dict[str, Event]:
        """Return those of these attributes that MISP shows, soft-deleted ones too, with their ``event_uuid``."""
        every = sorted(uuids)
        found: dict[str, Event] = {}
        for start in range(0, len(every), LISTED_PER_PAGE):
            named = {"uuid": every[start : start + LISTED_PER_PAGE], "deleted": [0, 1]}
            answer = self._search("attributes", named, TRIES)
            found |= {str(each["uuid"]).lower(): each for each in misp_answers.attributes_of_events(answer)}
        return found

    def pages(self, listing: Sequence[ListedEvent], filters: Mapping[str, Any]) -> Iterator[Page]:
        """Read these events whole, page by page. Raises MispError when MISP is given up."""
        self.listed = len(listing)
        per_page = self.settings.misp_event_limit_per_page
        for number, group in enumerate(grouped(listing, per_page, ATTRIBUTES_PER_PAGE), 1):
            if group[0].attributes > ATTRIBUTES_PER_PAGE:
                yield from (Page(number, 1, [piece], ends=False) for piece in self._large(group[0], filters))
                yield Page(number, 1, [])
            else:
                events = self._read(group, filters, TRIES)
                yield Page(number, len(events), events)

    def identity(self) -> dict[str, Any]:
        """Return who reads which MISP: its address and UUID, the user, the organisation, site admin or not.

        Raises MispError when MISP does not say who it is that reads.
        """
        me = self._asked(partial(self.connect().get_user, expanded=False), TRIES)
        server = self._asked(lambda: self.connect().misp_instance_version, TRIES)
        user = misp_answers.part(me, "User")
        if not user.get("id"):
            raise MispError("MISP does not say whose key (misp_key) it is: its answer about the user is of no use")
        return {
            "url": self.settings.misp_domain,
            "uuid": str(server.get("uuid", "")) if isinstance(server, dict) else "",
            "user": str(user["id"]),
            "organisation": str(misp_answers.part(me, "Organisation").get("uuid", "")),
            "site_admin": bool(misp_answers.part(me, "Role").get("perm_site_admin")),
        }

    def find_attributes(self, **wanted: Any) -> list[Event]:
        """Return attributes by ``value``, ``uuid`` or place, each with its ``Event``, whatever the site's filters.

        Deleted ones are among them; ``warnings`` names the warninglists that hold one.
        """
        shown = {"deleted": [0, 1], "includeContext": True, "includeWarninglistHits": 1, **self._scores_too}
        answer = self._search("attributes", {**shown, "limit": ATTRIBUTES_PER_PAGE, "page": 1, **wanted}, TRIES)
        return misp_answers.records(answer.get("Attribute", []) if isinstance(answer, dict) else answer)

    def first_listed(self, filters: Mapping[str, Any]) -> ListedEvent | None:
        """Return one event that the filters find, if there is any."""
        found = self._search("events", {**misp_filters.for_listing(filters), "limit": 1, "page": 1}, TRIES)
        return next(iter(_listed(found)), None)

    def version(self) -> str:
        """Return MISP's version."""
        answer = self._asked(lambda: self.connect().misp_instance_version, TRIES)
        return str(answer.get("version", "unknown")) if isinstance(answer, dict) else "unknown"

    def role(self) -> dict[str, Any]:
        """Return what the key's role may do, by MISP's names (``perm_auth``, ``perm_add``, ...)."""
        return misp_answers.part(self._asked(partial(self.connect().get_user, expanded=False), TRIES), "Role")

    def tags(self, names: Sequence[str]) -> list[str]:
        """Return the tags of these names that MISP has, whether or not anything carries them, in any letter case."""
        wanted = {"tag": list(names)}  # PyMISP's own search takes one name, and MISP ignores how it is called
        answer = self._asked(partial(self.connect().direct_call, "tags/search", wanted), TRIES)
        return [str(misp_answers.part(each, "Tag").get("name")) for each in misp_answers.records(answer)]

    def models(self) -> list[decaying_models.Model]:
        """Return the decaying models that the key's user sees."""
        return decaying_models.read(self._asked(self.connect().decaying_models, TRIES))

    # -- listing -----------------------------------------------------------------------------------

    def _listing(self, filters: Mapping[str, Any]) -> list[ListedEvent]:
        """List until two passes agree: a set that changes while it is paged hides events (in id order)."""
        arguments = misp_filters.for_listing(filters)
        if filters.get("limit"):
            found = {**arguments, "limit": filters["limit"], "page": filters.get("page", 1)}
            return _listed(self._search("events", found, TRIES))
        seen: dict[str, ListedEvent] = {}
        for _ in range(LISTING_PASSES):
            listed, pages = self._listing_pass(arguments)
            agreed = pages == 1 or seen.keys() == {each.uuid for each in listed}
            seen |= {each.uuid: each for each in listed}
            if agreed:
                break
        return list(seen.values())

    def _listing_pass(self, arguments: Mapping[str, Any]) -> tuple[list[ListedEvent], int]:
        found: list[ListedEvent] = []
        offset, size, pages, tries = 0, LISTED_PER_PAGE, 0, TRIES
        while True:
            try:
                page = {**arguments, "limit": size, "page": offset // size + 1}
                listed = _listed(self._search("events", page, tries))
            except MispBusy as error:
                self._tell_once("in smaller pages", f"{size} events could not be listed at once", error)
                size, tries = _smaller(size, error), 1
                continue
            if listed and not {each.id for each in listed} - {each.id for each in found}:
                raise MispError(_SAME_PAGE)
            found += listed
            offset, pages = offset + size, pages + 1
            if len(listed) < size and offset >= misp_answers.total(self._adapter.last_headers):
                return found, pages

    # -- reading -----------------------------------------------------------------------------------

    def _read(
        self, group: list[ListedEvent], filters: Mapping[str, Any], tries: int, *, planned: bool = True
    ) -> list[Event]:
        """Read listed events; in halves when MISP does not manage, down to the one that it cannot deliver.

        What is asked for in halves was ``planned`` otherwise.
        """
        reports = not self.settings.misp_remove_eventreports
        wanted = misp_filters.for_reading(filters, reports=reports)
        arguments = {**wanted, "eventid": [each.id for each in group]}
        try:
            events = misp_answers.events(self._search("events", arguments, tries))
            self._attach_scores(events, group)
        except MispRefused:
            raise
        except MispError as error:
            if len(group) == 1 and isinstance(error, MispBusy):  # counters drift: it may be larger than it says
                return self._read_in_pages(group[0], filters, error)
            if len(group) == 1:
                return self._not_read(group[0], error)
            asked = f"{len(group)} events could not be read at once ({', '.join(sorted(arguments))})"
            self._tell_once("in halves", asked, error)
            return self._read_halves(group, filters)
        self._failures = 0
        self.detours.singly += len(events) if len(group) == 1 and not planned else 0
        return events + self._missing(group, events, filters)

    def _read_halves(self, group: list[ListedEvent], filters: Mapping[str, Any]) -> list[Event]:
        middle = len(group) // 2
        halves = (group[:middle], group[middle:])
        tries = {1: 2}  # of one event alone the answer counts, so it is asked for twice
        return [event for half in halves for event in self._read(half, filters, tries.get(len(half), 1), planned=False)]

    def _read_in_pages(self, listed: ListedEvent, filters: Mapping[str, Any], error: MispBusy) -> list[Event]:
        """Read an event by pages of its attributes, though it did not look too large."""
        self._tell_once("by pages of its attributes", f"event {listed.uuid} could not be read whole", error)
        slices_of_event = list(self._large(listed, filters))
        if not self._failures:  # else it was not read to its end
            self.detours.singly += 1
        return slices_of_event

    def _missing(self, group: list[ListedEvent], events: list[Event], filters: Mapping[str, Any]) -> list[Event]:
        """Ask once more for what was listed and not delivered; what is still missing left the filters."""
        delivered = {str(event.get("id")) for event in events}
        missing = [each for each in group if each.id not in delivered]
        if len(group) == 1:
            for each in missing:
                logger.warning("Event %s left the filters while they were read", each.uuid)
                self.changed.add(each.uuid)
            return []
        if missing:
            words = f"{len(missing)} of {len(group)} events were not in their page"
            self._tell_once("one by one", words, MispError("MISP listed them, and did not deliver them"))
        return [event for each in missing for event in self._read([each], filters, 2, planned=False)]

    def _not_read(self, listed: ListedEvent, error: MispError) -> list[Event]:
        self.unread.append(Unread(listed.uuid, str(error)))
        self._failures += 1
        if self._failures >= FAILURES_IN_A_ROW:
            raise MispError(f"MISP failed for {FAILURES_IN_A_ROW} events in a row; the rest was not read: {error}")
        return []

    def _large(self, listed: ListedEvent, filters: Mapping[str, Any]) -> Iterator[Event]:
        """Read what is flagged in an event in pages of attributes; objects come without their names, members together.

        Of the rest, the names of files that have flagged members are read; the last slice counts all others.
        """
        try:
            header = {**self._header(listed, filters), **self._names_too(listed)}
            names = slices.UnflaggedFileNames(self._file_names(listed, filters))
            arguments = {**misp_filters.for_attributes(filters), **self._scores_too, "eventid": listed.id}
            unasked = misp_answers.number(header.get("attribute_count")) if _flagged_alone(arguments) else 0
            held: list[Event] = []
            for attributes in self._attribute_pages(arguments, listed.attributes):
                complete, held = slices.split_open_object(held + attributes)
                named = names.take(complete)
                unasked -= sum(not each.get("deleted") for each in attributes) + self._hidden + len(named)
                yield {**header, **slices.as_event(named + complete)}
            named = names.take(held)
            yield {**header, **slices.as_event(named + held), slices.UNASKED: max(0, unasked - len(named))}
            after = self._header(listed, filters)
            if any(after.get(each) != header.get(each) for each in _MOVES):
                logger.warning("Event %s changed while it was read", listed.uuid)
                self.changed.add(listed.uuid)
            self._failures = 0
        except MispRefused:
            raise
        except MispError as error:
            self._not_read(listed, error)

    def _header(self, listed: ListedEvent, filters: Mapping[str, Any]) -> Event:
        arguments = {**misp_filters.without_time_windows(filters), **misp_filters.by_uuid(filters, listed.uuid)}
        answer = misp_answers.events(self._search("events", arguments, TRIES))
        found = [each for each in answer if str(each.get("uuid")).lower() == listed.uuid]
        if not found:
            raise MispError("the event left the filters while it was read")
        return found[0]

    def _names_too(self, listed: ListedEvent) -> dict[str, list[Event]]:
        """Return, where each slice of an event has to say them, the attributes that speak for the whole of it."""
        if not format_of(self.settings).needs_event_names:
            return {}
        wanted = {"eventid": listed.id, "type_attribute": list(EVENT_NAMES), "limit": ATTRIBUTES_PER_PAGE, "page": 1}
        return {NAMED: misp_answers.attributes(self._search("attributes", wanted, TRIES))}

    def _file_names(self, listed: ListedEvent, filters: Mapping[str, Any]) -> Iterator[Event]:
        """Yield an event's file names that are not flagged: hashes in their objects are described with them."""
        arguments = misp_filters.for_attributes(filters)
        if not _flagged_alone(arguments):  # what the site wants to read is its own affair
            return
        of_names = {"to_ids": 0, "type_attribute": slices.FILE_NAME, "deleted": 0, "eventid": listed.id}
        for page in self._attribute_pages({**arguments, **of_names}, 0):
            yield from page

    def _attribute_pages(self, arguments: Mapping[str, Any], counted: int) -> Iterator[list[Event]]:
        """Page through attributes; warninglists shorten a page after it is cut, so short is not the end.

        ``counted`` is how many there are by MISP's own counters, for when it does not say how many it left out.
        """
        offset, size, tries = 0, ATTRIBUTES_PER_PAGE, TRIES
        before: set[Any] = set()
        while True:
            try:
                page = {**arguments, "limit": size, "page": offset // size + 1}
                attributes = misp_answers.attributes(self._search("attributes", page, tries))
            except MispBusy as error:
                self._tell_once("in smaller pages", f"{size} attributes could not be read at once", error)
                size, tries = _smaller(size, error), 1
                continue
            ids = {each.get("id") for each in attributes}
            if attributes and ids == before:
                raise MispError(_SAME_PAGE)
            before = ids
            skipped = misp_answers.skipped(self._adapter.last_headers)
            self._hidden = skipped or 0
            yield attributes
            offset += size
            if skipped is None and offset < counted:
                continue
            if len(attributes) + (skipped or 0) < size:
                return

    @property
    def _scores_too(self) -> dict[str, Any]:
        """What asks for scores; ``excludeDecayed`` does not: MISP drops attributes from pages already cut."""
        return {"includeDecayScore": True} if self.settings.needs_decay_scores else {}

    def _attach_scores(self, events: list[Event], group: Sequence[ListedEvent]) -> None:
        """Give attributes of whole events their ``decay_score``: MISP documents it for the attributes' search only."""
        if not self.settings.needs_decay_scores:
            return
        arguments = {**self._scores_too, "eventid": [each.id for each in group], "to_ids": 1}
        counted = sum(each.attributes for each in group)
        scored = [each for page in self._attribute_pages(arguments, counted) for each in page if "decay_score" in each]
        scores = {each.get("uuid"): each["decay_score"] for each in scored}
        for attribute in misp_answers.attributes_in(events):
            if attribute.get("uuid") in scores:
                attribute["decay_score"] = scores[attribute["uuid"]]

    # -- asking ------------------------------------------------------------------------------------

    def _search(self, controller: str, arguments: Mapping[str, Any], tries: int) -> Any:
        client = self.connect()
        return self._asked(partial(client.search, controller=controller, **arguments), tries, "misp_event_filters")

    def _asked(self, question: Callable[[], Any], tries: int, given: str = "") -> Any:
        """Ask until there is an answer that can be used; only what may pass is asked again.

        ``given`` is the setting that is part of the question, if one is.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(MispBusy),
            stop=tenacity.stop_after_attempt(tries),
            wait=_wait,
            before_sleep=self._announce,
            sleep=self._pause,
            reraise=True,
        )
        try:
            return retrying(self._ask_once, question, given)
        except MispError as error:
            if error.__cause__:  # the error itself has the innermost words only
                level = logging.WARNING if self.detours.failed <= FEW else logging.DEBUG  # the first ones say it
                logger.log(level, "No usable answer from MISP: %.2000s", error.__cause__)
            if isinstance(error, MispBusy) and error.wait:  # asking for less does not help against a limit on asking
                raise MispRefused(str(error)) from error
            raise

    def _ask_once(self, question: Callable[[], Any], given: str) -> Any:
        """Ask; count what failed, but not what MISP's rate limit held up."""
        try:
            return misp_answers.usable(partial(self._in_time, question), lambda: self._adapter.last_headers, given)
        except MispError as error:
            if not (isinstance(error, MispBusy) and error.wait):
                self.detours.fail(str(error))
            raise

    def _in_time(self, question: Callable[[], Any]) -> Any:
        """Ask, if there is time; what is not answered before it is over is not waited for."""
        left = self.left()
        if left <= 0:
            raise TimeUp("there was no time left to ask MISP")
        self._adapter.read_seconds = min(self.settings.misp_timeout, left)
        return question()

    def _announce(self, state: tenacity.RetryCallState) -> None:
        """Say what is waited for when MISP asked for it, which may be minutes; not when the time is over by then."""
        seconds = state.next_action.sleep if state.next_action else 0
        if seconds >= self.left():
            raise TimeUp("there was no time left to ask MISP again")
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, MispBusy) and error.wait:
            self.detours.waited += seconds
            logger.warning("%s: waiting %.0f s, as MISP asks", error, seconds)
            self.waiting(f"waiting {seconds:.0f} s for MISP's rate limit")

    def _pause(self, seconds: float) -> None:
        self.sleep(seconds)
        self.waiting("")

    def _tell_once(self, how: str, what: str, error: MispError) -> None:
        """Log that something is read in another way than planned, and why, once for each way."""
        if how not in self._told:
            self._told.add(how)
            logger.warning("MISP: %s. What is like it is read %s in this run. Why: %s", what, how, error)

    def _login(self) -> Any:
        from pymisp import PyMISP  # noqa: PLC0415  takes 0.2 s to import

        settings = self.settings
        client = PyMISP(
            settings.misp_domain,
            settings.misp_key.get_secret_value(),
            ssl=settings.misp_verifycert,
            proxies=settings.misp_proxies or None,
            timeout=(CONNECT_SECONDS, settings.misp_timeout),
            http_headers=dict(settings.misp_headers) or None,
            https_adapter=self._adapter,
            auth=_KeepKey(),
            tool=settings.ms_useragent,
        )
        # PyMISP mounts an adapter for https alone; without ours, nobody hears how long a rate limit lasts.
        vars(client)["_PyMISP__session"].mount("http://", self._adapter)
        return client


def _to_who_watches(words: str) -> None:
    """Say what a command waits for, which may be minutes; a run has its log and its progress bar for it."""
    if words:
        print(words, file=sys.stderr)


class _KeepKey(requests.auth.AuthBase):
    """Any authentication at all keeps requests from putting ~/.netrc's in the place of MISP's key."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def grouped(listing: Iterable[ListedEvent], events: int, attributes: int) -> Iterator[list[ListedEvent]]:
    """Group listed events so that no group holds more than so many events or attributes, unless alone."""
    group: list[ListedEvent] = []
    weight = 0
    for listed in listing:
        if group and (len(group) >= events or weight + listed.attributes > attributes):
            yield group
            group, weight = [], 0
        group.append(listed)
        weight += listed.attributes
    if group:
        yield group


def _flagged_alone(arguments: Mapping[str, Any]) -> bool:
    """Whether attributes are asked for that are flagged, and no others."""
    return str(arguments["to_ids"]) == "1"


def _listed(answer: Any) -> list[ListedEvent]:
    return [misp_answers.seen(event) for event in misp_answers.events(answer)]


def _smaller(size: int, error: MispBusy) -> int:
    """Return the size to try next, a divisor, so that the same place begins a page; else raise the error."""
    if size <= SMALLEST_PAGE:
        raise error
    return size // 4


def _wait(state: tenacity.RetryCallState) -> float:
    """Wait as long as MISP asked for, else longer each time, with jitter."""
    error = state.outcome.exception() if state.outcome else None
    told = error.wait if isinstance(error, MispBusy) else 0
    return told or tenacity.wait_random_exponential(multiplier=1, max=LAST_WAIT)(state)
