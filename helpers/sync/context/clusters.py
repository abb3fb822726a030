"""The clusters that tags name, in a run: what the ledger knows of them, and what MISP says of those that it does not.

They are asked for by the thread that reads pages ahead, so that nobody waits for it, and written down by the one that
takes the pages.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from helpers.context import Cluster, ContextLevel, Kind, kind_named_by, named_by
from helpers.errors import MispError
from helpers.indicators import Tag, read_tags
from helpers.ledger import NOT_ASKED, ClusterLedger
from helpers.misp import Event, MispReader, Page
from helpers.settings import Settings
from helpers.sync.context.weaving import Scope

logger = logging.getLogger(__name__)

# So few may well have been deleted all at once.
_FEW = 5
_NONE_SHOWN = (
    "MISP shows none of the {:,} actors and techniques that it showed before; --force-withdraw takes it at its word"
)


@dataclass(frozen=True)
class Answer:
    """What MISP said of the tags of a page: which clusters they name; ``failed`` has those that it could not answer."""

    asked: Sequence[str]
    clusters: Mapping[str, Cluster]
    failed: str = ""


class KnownClusters:
    """What tags name, and what clusters are; ``clusters`` has None for one that MISP has no more.

    ``private`` is the setting context_private.
    ``actor_names`` are the names of actors by the tags that name them; empty of one that is not known, or not to be
    told.
    """

    def __init__(self, ledger: ClusterLedger, kinds: frozenset[Kind], *, private: bool) -> None:
        """Read what the ledger knows; tags of these ``kinds`` are of interest. Raises LedgerError."""
        stored = ledger.read()
        self._ledger, self._kinds, self._private = ledger, kinds, private
        self.clusters: dict[str, Cluster | None] = dict(stored.clusters)
        self._tags: dict[str, str] = dict(stored.tags)
        self._asked: set[str] = set()
        self._fingerprint = ""
        self.actor_names: dict[str, str] = {}
        self.without_cluster: Counter[str] = Counter()
        self.not_asked = ""
        self.none_shown = ""
        for tag in self._tags:
            self._note_name(tag)

    def fingerprint(self) -> str:
        """Return what changes with what is sent of any cluster, and not with its version; made once for all."""
        if not self._fingerprint:
            said = sorted((uuid, str(one and replace(one, version=""))) for uuid, one in self.clusters.items())
            self._fingerprint = hashlib.sha256(repr(said).encode()).hexdigest()
        return self._fingerprint

    # -- what tags name -----------------------------------------------------------------------------

    def named_by(
        self, own: Sequence[Tag], inherited: Sequence[Tag], scope: Scope, *, ignore_local: bool
    ) -> Iterator[Cluster]:
        """Yield what an attribute's tags name of each kind that is sent, or else those of its event, each once."""
        named = named_by(own, inherited, ignore_localtags=ignore_local)
        found = (scope.cluster(self._tags.get(name, "")) for names in named.values() for name in names)
        yield from {cluster.uuid: cluster for cluster in found if cluster}.values()

    # -- what MISP says -----------------------------------------------------------------------------

    def refresh(self, reader: MispReader, *, believe: bool = False) -> set[str]:
        """Ask MISP which clusters are other ones than they were; return the UUIDs of events to be read again for it.

        Where MISP does not answer, what was known stays; also where it shows no cluster of many, unless somebody says
        to ``believe`` that. Raises TimeUp.
        """
        if not self._kinds:
            return set()
        try:
            return self._take_clusters(*self._ask_what_moved(reader, believe)) | self._ask_what_waits(reader)
        except MispError as error:
            self._note_failure(error)
            return set()

    def _ask_what_moved(self, reader: MispReader, believe: bool) -> tuple[list[Cluster], list[str]]:
        """Return clusters that moved as they are now, and the UUIDs of those that are gone."""
        known = {uuid: cluster for uuid, cluster in self.clusters.items() if cluster and cluster.kind in self._kinds}
        versions = reader.cluster_versions(list(known)) if known else {}
        if not versions and len(known) > _FEW and not believe:
            self.none_shown = _NONE_SHOWN.format(len(known))
            logger.warning("%s", self.none_shown)
            return [], []
        moved = [uuid for uuid, version in versions.items() if uuid in known and known[uuid].version not in version]
        found = reader.clusters_by_uuid(moved) if moved else {}
        gone = [uuid for uuid in known if uuid not in versions] + [uuid for uuid in moved if uuid not in found]
        return list(found.values()), gone

    def _ask_what_waits(self, reader: MispReader) -> set[str]:
        """Ask what tags name of which an earlier run could not ask it; return the UUIDs of events that have them."""
        waiting = [tag for tag, uuid in self._tags.items() if uuid == NOT_ASKED]
        answered = reader.clusters_by_tag(waiting) if waiting else {}
        self._take_tags({tag: "" for tag in waiting if tag not in answered})
        return self._take_clusters(answered.values(), (), answered)

    def asked_ahead(self, pages: Iterable[Page], reader: MispReader) -> Iterator[tuple[Page, Answer]]:
        """Yield pages, each with what MISP says of those of their tags that named nothing before, each asked once.

        Where it does not answer it is not asked again in this run, which would wait for each page; the next run does.
        """
        failed = ""
        for page in pages:
            tags = dict.fromkeys(tag for event in page.slices for tag in self.tags_in(event))
            new = [tag for tag in tags if tag not in self._asked and self._names_nothing(tag)]
            self._asked |= set(new)
            answer = _ask(new, reader, failed)
            failed = failed or answer.failed
            yield page, answer

    def _names_nothing(self, tag: str) -> bool:
        return self.clusters.get(self._tags.get(tag, "")) is None

    def tags_in(self, event: Event) -> set[str]:
        """Return the tags of an event, and of its attributes, that name clusters of interest."""
        objects = (member for of in _list(event.get("Object")) for member in _list(of.get("Attribute")))
        carriers = (event, *_list(event.get("Attribute")), *objects)
        tags = {tag.name: tag for carrier in carriers if carrier.get("Tag") for tag in read_tags(carrier["Tag"])}
        return {name for name, tag in tags.items() if kind_named_by(tag) in self._kinds}

    def take(self, page: Page, answer: Answer) -> None:
        """Take what MISP said of a page's tags, and write it down with which events have them."""
        if answer.failed:
            self._note_failure(MispError(answer.failed))
            self._take_tags(dict.fromkeys(answer.asked, NOT_ASKED))
        else:
            self._take_clusters(answer.clusters.values(), (), answer.clusters)
            self._take_tags({tag: "" for tag in answer.asked if tag not in answer.clusters})
        for event in page.slices:
            self.without_cluster.update(tag for tag in self.tags_in(event) if self._tags.get(tag) == "")

    def keep_events(self, page: Page) -> None:
        """Write down which of a page's events have which tags; they have their numbers in the ledger by then."""
        self._ledger.keep_events({str(event.get("uuid")).lower(): self.tags_in(event) for event in page.slices})

    def _take_clusters(
        self, clusters: Iterable[Cluster], gone: Sequence[str], named: Mapping[str, Cluster] | None = None
    ) -> set[str]:
        """Take clusters as they are now and what tags name, and write it down; return the events to be read again."""
        new = {one.uuid: one for one in clusters if self.clusters.get(one.uuid) != one}
        tags = {tag: one.uuid for tag, one in (named or {}).items() if self._tags.get(tag) != one.uuid}
        if not (new or gone or tags):
            return set()
        affected = {tag for tag, uuid in self._tags.items() if uuid in new or uuid in gone} | tags.keys()
        before = {tag: self._shown(tag) for tag in affected}
        self.clusters |= {**new, **dict.fromkeys(gone)}
        self._fingerprint = ""
        self._tags |= tags
        for tag in affected:
            self._note_name(tag)
        again = [tag for tag, shown in before.items() if _is_seen_in_events(shown, self._shown(tag))]
        return self._ledger.keep(new.values(), gone, tags, again)

    def _shown(self, tag: str) -> str | None:
        """Return what events show of what a tag names: an actor's name; nothing of a technique, or of none (None)."""
        cluster = self.clusters.get(self._tags.get(tag, ""))
        if not cluster or (cluster.is_private and not self._private):
            return None
        return cluster.name if cluster.kind is Kind.THREAT_ACTOR else ""

    def _take_tags(self, tags: Mapping[str, str]) -> None:
        changed = {tag: uuid for tag, uuid in tags.items() if self._tags.get(tag) != uuid}
        self._tags |= changed
        for tag in changed:
            self._note_name(tag)
        if changed:
            self._ledger.keep(tags=changed)

    def _note_name(self, tag: str) -> None:
        if kind_named_by(Tag(tag)) is Kind.THREAT_ACTOR:
            self.actor_names[tag] = self._shown(tag) or ""

    def _note_failure(self, error: MispError) -> None:
        if not self.not_asked:
            logger.warning("MISP does not say what tags of actors and techniques name: %s", error)
        self.not_asked = self.not_asked or str(error)


def known_clusters(ledger: ClusterLedger, destinations: Sequence[Settings]) -> KnownClusters:
    """Return what the ledger knows of the clusters that matter to some destinations of one database."""
    levels = [ContextLevel(settings.context_level) for settings in destinations]
    kinds = {kind for kind in Kind if kind.facts.end and any(level.sends(kind) for level in levels)}
    if any(settings.activity_group_labels for settings in destinations):
        kinds.add(Kind.THREAT_ACTOR)
    return KnownClusters(ledger, frozenset(kinds), private=destinations[0].context_private)


def _ask(tags: Sequence[str], reader: MispReader, failed: str) -> Answer:
    if not tags or failed:
        return Answer(tags, {}, failed if tags else "")
    try:
        return Answer(tags, reader.clusters_by_tag(tags))
    except MispError as error:
        return Answer(tags, {}, str(error))


def _is_seen_in_events(before: str | None, now: str | None) -> bool:
    """Whether events are to be read again since what their tags name shows otherwise: a name, or that it is there."""
    return before != now and (now is not None or bool(before))


def _list(raw: Any) -> list[dict[str, Any]]:
    return [one for one in raw if isinstance(one, dict)] if isinstance(raw, list) else []
