"""Events of MISP as plain dictionaries, page by page.

What to read is decided first, by listing the events that the filters find without their attributes;
the pages are then fixed lists of event ids. So an event that is edited, published or deleted meanwhile
moves no other one out of sight, the size of each answer is known before it is asked for, and what MISP
cannot deliver is asked for in halves until one event stands by itself.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.context import Cluster
from helpers.errors import MispBusy, MispError, MispRefused
from helpers.indicators import text_of
from helpers.misp import decaying_models, galaxy_clusters, paged_search, search_filters
from helpers.misp.client import TRIES, MispClient, MispConnection, print_waiting
from helpers.misp.detours import Detours
from helpers.misp.large_events import LargeEventReader
from helpers.misp.page_bounds import PageBounds
from helpers.misp.paged_search import PagedSearch
from helpers.misp.responses import (
    Attribute,
    Event,
    ListedEvent,
    attributes_of,
    attributes_of_events,
    attributes_with_context,
    damage_in_words,
    damage_of,
    dictionaries_in,
    dictionary_in,
    events_in,
    listed_event,
    listed_events,
)
from helpers.process import interrupts
from helpers.settings import Settings
from helpers.text import batched

logger = logging.getLogger(__name__)

FAILURES_IN_A_ROW = 3


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


class MispReader:
    """Reads the events that the site's filters find. Methods raise MispError, and TimeUp when no time is left.

    ``unread`` names the events that could not be read; the rest are not affected by them. ``listed`` is
    how many events the filters found, ``changed`` are events that changed, or left, while they were read.
    """

    def __init__(
        self,
        settings: Settings,
        sleep: Callable[[float], None] = interrupts.sleep,
        seconds_left: Callable[[], float] = lambda: math.inf,
        waiting: Callable[[str, float], None] = print_waiting,
        *,
        client: MispClient | None = None,
    ) -> None:
        """Prepare a client of the settings' MISP, unless one is given; ``MispClient`` has the other parameters."""
        self.settings = settings
        self.client = client or MispClient(MispConnection.of(settings), sleep, seconds_left, waiting)
        self.unread: list[Unread] = []
        self.listed = 0
        self.changed: set[str] = set()
        self._search = PagedSearch(self.client)
        self._large_events = LargeEventReader(settings, self._search)
        self._failures = 0

    @property
    def detours(self) -> Detours:
        """What could not be read as planned."""
        return self.client.detours

    def seconds_left(self) -> float:
        """Return how many seconds there are for reading."""
        return self.client.seconds_left()

    # -- events ------------------------------------------------------------------------------------

    def listing(self, filters: Mapping[str, Any]) -> list[ListedEvent]:
        """Return the events that the filters find now."""
        return self._search.list_events(filters)

    def index(self) -> dict[str, ListedEvent]:
        """Return MISP's minimal index of all events by UUID: one small answer."""
        answer = self.client.ask(lambda pymisp: pymisp.search_index(minimal=True))
        return {event.uuid: event for event in map(listed_event, dictionaries_in(answer))}

    def find_events(self, filters: Mapping[str, Any], uuids: Sequence[str]) -> dict[str, ListedEvent]:
        """Return which of these events the filters find, whenever they changed, with few words about each."""
        by_uuid: dict[str, ListedEvent] = {}
        for batch in batched(uuids, paged_search.LISTED_PER_PAGE):
            named = search_filters.by_uuid(filters, batch)
            answer = self._search.search("events", {**search_filters.without_time_windows(filters), **named})
            by_uuid |= {event.uuid: event for event in listed_events(answer) if named or event.uuid in batch}
        return by_uuid

    def first_listed(self, filters: Mapping[str, Any]) -> ListedEvent | None:
        """Return one event that the filters find, if there is any."""
        answer = self._search.search("events", {**search_filters.for_listing(filters), "limit": 1, "page": 1})
        return next(iter(listed_events(answer)), None)

    def pages(self, listing: Sequence[ListedEvent], filters: Mapping[str, Any]) -> Iterator[Page]:
        """Read these events whole, page by page. Raises MispError when MISP is given up."""
        self.listed = len(listing)
        most_events, most_attributes = self.settings.misp_event_limit_per_page, paged_search.ATTRIBUTES_PER_PAGE
        for number, group in enumerate(grouped(listing, most_events, most_attributes), 1):
            if group[0].attributes > most_attributes:
                yield from (Page(number, 1, [slice_], ends=False) for slice_ in self.slices(group[0], filters))
                yield Page(number, 1, [])
            else:
                events = self._read(group, filters, TRIES)
                yield Page(number, len(events), events)

    def slices(self, listed: ListedEvent, filters: Mapping[str, Any]) -> Iterator[Event]:
        """Read one event in slices, by pages of its attributes; if that fails, it is among ``unread``."""
        try:
            changed = yield from self._large_events.slices(listed, filters)
        except MispRefused:
            raise
        except MispError as error:
            self._note_unread(listed, error)
            return
        if changed:
            logger.warning("Event %s changed while it was read", listed.uuid)
            self.changed.add(listed.uuid)
        if self._large_events.damaged:
            self.unread.append(Unread(listed.uuid, damage_in_words(self._large_events.damaged)))
        self._failures = 0

    # -- attributes --------------------------------------------------------------------------------

    def attributes(self, uuids: Iterable[str]) -> dict[str, Attribute]:
        """Return those of these attributes that MISP shows, soft-deleted ones too, with their ``event_uuid``."""
        by_uuid: dict[str, Attribute] = {}
        for batch in batched(sorted(uuids), paged_search.LISTED_PER_PAGE):
            answer = self._search.search("attributes", {"uuid": batch, "deleted": [0, 1]})
            attributes = attributes_of_events(answer)
            by_uuid |= {uuid.lower(): found for found in attributes if (uuid := text_of(found.get("uuid")))}
        return by_uuid

    def find_attributes(self, **wanted: Any) -> list[Attribute]:
        """Return attributes by ``value``, ``uuid`` or place, each with its ``Event``, whatever the site's filters.

        Deleted ones are among them; ``warnings`` names the warninglists that hold one.
        """
        shown = {"deleted": [0, 1], "includeContext": True, "includeWarninglistHits": 1, **self._for_scores}
        page = {"limit": paged_search.ATTRIBUTES_PER_PAGE, "page": 1}
        return attributes_with_context(self._search.search("attributes", {**shown, **page, **wanted}))

    # -- galaxies ----------------------------------------------------------------------------------

    def clusters_by_tag(self, tags: Iterable[str]) -> dict[str, Cluster]:
        """Return the clusters that tags name, by the tag as it was asked; one that names none is not there.

        Raises MispDeclined where this MISP does not answer about clusters, for this key.
        """
        wanted = sorted({*tags})
        found = self._clusters_of_tags(wanted)
        current = galaxy_clusters.current_tags(tag for tag in wanted if tag not in found)
        in_current = self._clusters_of_tags(sorted({*current.values()}))
        found |= {tag: in_current[other] for tag, other in current.items() if other in in_current}
        newer = self.clusters_by_uuid(galaxy_clusters.of_older_galaxies(found.values()))
        return {tag: newer.get(cluster.uuid, cluster) for tag, cluster in found.items()}

    def clusters_by_uuid(self, uuids: Iterable[str]) -> dict[str, Cluster]:
        """Return the clusters by UUID; one that is deleted, or that MISP does not show, is not there.

        Raises MispDeclined as above.
        """
        by_uuid: dict[str, Cluster] = {}
        for batch in batched(sorted({*uuids}), galaxy_clusters.FULL_PER_REQUEST):
            by_uuid |= galaxy_clusters.clusters_by_uuid(self._clusters(galaxy_clusters.by_uuid(batch)))
        return by_uuid

    def cluster_versions(self, uuids: Iterable[str]) -> dict[str, frozenset[str]]:
        """Return the versions by UUID, one for each galaxy that has it; a deleted one has got a version of its own.

        Raises MispDeclined as above.
        """
        by_uuid: dict[str, frozenset[str]] = {}
        for batch in batched(sorted({*uuids}), galaxy_clusters.VERSIONS_PER_REQUEST):
            by_uuid |= galaxy_clusters.versions(self._clusters(galaxy_clusters.by_uuid(batch, minimal=True)))
        return by_uuid

    def _clusters_of_tags(self, tags: Sequence[str]) -> dict[str, Cluster]:
        by_tag: dict[str, Cluster] = {}
        for batch in batched(tags, galaxy_clusters.FULL_PER_REQUEST):
            by_tag |= galaxy_clusters.clusters_by_tag(batch, self._clusters(galaxy_clusters.by_tag(batch)))
        return by_tag

    def _clusters(self, question: Mapping[str, Any]) -> list[galaxy_clusters.Row]:
        """Return what a question finds, page by page to its end."""
        rows: list[galaxy_clusters.Row] = []
        bounds = PageBounds()
        for page in itertools.count(1):
            found = self._clusters_page({**question, "page": page})
            bounds.check(map(galaxy_clusters.row_key, found), page * question["limit"])
            rows += found
            if len(found) < question["limit"]:
                break
        return rows

    def _clusters_page(self, wanted: Mapping[str, Any]) -> list[galaxy_clusters.Row]:
        """PyMISP has no method for it."""
        found: list[galaxy_clusters.Row] = self.client.ask(
            lambda pymisp: galaxy_clusters.checked(pymisp.direct_call(galaxy_clusters.ROUTE, wanted)),
            read=galaxy_clusters.rows_in,
        )
        return found

    # -- MISP itself -------------------------------------------------------------------------------

    def identity(self) -> dict[str, Any]:
        """Return who reads which MISP: its address and UUID, the user, the role, the organisation, site admin or not.

        Raises MispError when MISP does not say who it is that reads.
        """
        owner = self.client.ask(_key_owner)
        server = self.client.ask(_server_version)
        user = dictionary_in(owner, "User")
        if not user.get("id"):
            raise MispError("MISP does not say whose key (misp_key) it is: its answer about the user is of no use")
        role = dictionary_in(owner, "Role")
        return {
            "url": self.settings.misp_domain,
            "uuid": str(server.get("uuid", "")) if isinstance(server, dict) else "",
            "user": str(user["id"]),
            "role": str(role.get("name", "")),
            "organisation": str(dictionary_in(owner, "Organisation").get("uuid", "")),
            "site_admin": bool(role.get("perm_site_admin")),
        }

    def role(self) -> dict[str, Any]:
        """Return what the key's role may do, by MISP's names (``perm_auth``, ``perm_add``, ...)."""
        return dictionary_in(self.client.ask(_key_owner), "Role")

    def version(self) -> str:
        """Return MISP's version."""
        server = self.client.ask(_server_version)
        return str(server.get("version", "unknown")) if isinstance(server, dict) else "unknown"

    def tags(self, names: Sequence[str]) -> list[str]:
        """Return the tags of these names that MISP has, whether or not anything carries them, in any letter case."""
        wanted = {"tag": list(names)}  # PyMISP's own search takes one name, and MISP ignores how it is called
        answer = self.client.ask(lambda pymisp: pymisp.direct_call("tags/search", wanted))
        return [str(dictionary_in(row, "Tag").get("name")) for row in dictionaries_in(answer)]

    def models(self) -> list[decaying_models.Model]:
        """Return the decaying models that the key's user sees."""
        return decaying_models.models_in(self.client.ask(lambda pymisp: pymisp.decaying_models()))

    # -- reading a page ----------------------------------------------------------------------------

    def _read(
        self, group: list[ListedEvent], filters: Mapping[str, Any], tries: int, *, planned: bool = True
    ) -> list[Event]:
        """Read listed events; in halves when MISP does not manage, down to the one that it cannot deliver.

        What is asked for in halves was ``planned`` otherwise.
        """
        reports = not self.settings.misp_remove_eventreports
        wanted = search_filters.for_reading(filters, reports=reports)
        arguments = {**wanted, "eventid": [event.id for event in group]}
        try:
            answered = {text_of(event.get("uuid")).lower(): event for event in self._search_events(arguments, tries)}
            events = [answered[listed.uuid] for listed in group if listed.uuid in answered]
            self._attach_scores(events, group)
        except MispRefused:
            raise
        except MispError as error:
            if len(group) == 1 and isinstance(error, MispBusy):  # counters drift: it may be larger than it says
                return self._read_in_slices(group[0], filters, error)
            if len(group) == 1:
                self._note_unread(group[0], error)
                return []
            asked = f"{len(group)} events could not be read at once ({', '.join(sorted(arguments))})"
            self._search.log_detour("in halves", asked, error)
            return self._read_halves(group, filters)
        self._failures = 0
        self.detours.singly += len(events) if len(group) == 1 and not planned else 0
        self._note_damage(events)
        return events + self._read_missing(group, events, filters)

    def _read_halves(self, group: list[ListedEvent], filters: Mapping[str, Any]) -> list[Event]:
        middle = len(group) // 2
        events = []
        for half in (group[:middle], group[middle:]):
            tries = 2 if len(half) == 1 else 1  # of an event by itself the answer counts, so it is asked for twice
            events += self._read(half, filters, tries, planned=False)
        return events

    def _read_in_slices(self, listed: ListedEvent, filters: Mapping[str, Any], error: MispBusy) -> list[Event]:
        """Read an event by pages of its attributes, though it did not look too large."""
        self._search.log_detour("by pages of its attributes", f"event {listed.uuid} could not be read whole", error)
        slices = list(self.slices(listed, filters))
        if not self._failures:  # else it was not read to its end
            self.detours.singly += 1
        return slices

    def _read_missing(self, group: list[ListedEvent], events: list[Event], filters: Mapping[str, Any]) -> list[Event]:
        """Ask once more for what was listed and not delivered; what is still missing left the filters."""
        delivered = {str(event["uuid"]).lower() for event in events}
        missing = [listed for listed in group if listed.uuid not in delivered]
        if len(group) == 1:
            for listed in missing:
                logger.warning("Event %s left the filters while they were read", listed.uuid)
                self.changed.add(listed.uuid)
            return []
        if missing:
            words = f"the page lacked {len(missing)} of {len(group)} events"
            self._search.log_detour("one by one", words, MispError("MISP listed them, and did not deliver them"))
        return [event for listed in missing for event in self._read([listed], filters, 2, planned=False)]

    def _search_events(self, arguments: Mapping[str, Any], tries: int) -> list[Event]:
        return events_in(self._search.search("events", arguments, tries))

    def _note_damage(self, events: Iterable[Event]) -> None:
        """Note the events of which something is damaged: what can be read is taken, and nothing of them leaves."""
        damage = {str(event["uuid"]).lower(): damage_of(event) for event in events}
        self.unread += [Unread(uuid, words) for uuid, words in damage.items() if words]

    def _note_unread(self, listed: ListedEvent, error: MispError) -> None:
        """Note an event that could not be read. Raises MispError when there are too many in a row."""
        self.unread.append(Unread(listed.uuid, str(error)))
        self._failures += 1
        if self._failures >= FAILURES_IN_A_ROW:
            raise MispError(f"MISP failed for {FAILURES_IN_A_ROW} events in a row; the rest was not read: {error}")

    @property
    def _for_scores(self) -> dict[str, Any]:
        return search_filters.for_scores(wanted=self.settings.needs_decay_scores)

    def _attach_scores(self, events: list[Event], group: Sequence[ListedEvent]) -> None:
        """Give attributes of whole events their ``decay_score``: MISP documents it for the attributes' search only."""
        if not self.settings.needs_decay_scores:
            return
        arguments = {**self._for_scores, "eventid": [listed.id for listed in group], "to_ids": 1}
        counted = sum(listed.attributes for listed in group)
        scores = {
            text_of(attribute.get("uuid")): attribute["decay_score"]
            for page in self._search.attribute_pages(arguments, counted)
            for attribute in page.attributes
            if "decay_score" in attribute
        }
        for attribute in attributes_of(events):
            if (uuid := text_of(attribute.get("uuid"))) in scores:
                attribute["decay_score"] = scores[uuid]


def _key_owner(pymisp: Any) -> Any:
    return pymisp.get_user(expanded=False)


def _server_version(pymisp: Any) -> Any:
    return pymisp.misp_instance_version


def grouped(listing: Iterable[ListedEvent], events: int, attributes: int) -> Iterator[list[ListedEvent]]:
    """Group listed events so that no group holds more than so many events or attributes, unless it is one event."""
    group: list[ListedEvent] = []
    attribute_count = 0
    for listed in listing:
        if group and (len(group) >= events or attribute_count + listed.attributes > attributes):
            yield group
            group, attribute_count = [], 0
        group.append(listed)
        attribute_count += listed.attributes
    if group:
        yield group
