"""How MISP's galaxies are asked for clusters, and what the answers mean. Pure.

Measured on MISP 2.5.1: what names no cluster is left out without a word. One UUID may stand for a cluster in each of
several galaxies (MITRE's current one and its older ones), with a version of its own in each, and one tag for several
clusters. Tags are found in any letter case, UUIDs in small letters only. Without a limit there are no pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from helpers.context import GALAXY_TAXONOMY, Cluster, Kind, kind_named_by, read_cluster
from helpers.errors import MispDeclined
from helpers.indicators import Tag, is_true, stix_uuid, text_of
from helpers.misp.pymisp_errors import declined
from helpers.misp.responses import records_in

Row = dict[str, Any]

ROUTE = "galaxy_clusters/restSearch"
FULL_PER_REQUEST = 50  # of about 20 KB each
VERSIONS_PER_REQUEST = 5_000  # of 82 bytes each
# Rows in a page for each tag or UUID that is asked for: no page is full where there are no more than these.
ROWS_FOR_EACH = 4
_UNANSWERED = "MISP does not answer galaxy_clusters/restSearch"
_NO_ROUTE = (403, 404, 405)
_TECHNIQUES, _GROUPS = "mitre-attack-pattern", "mitre-intrusion-set"
# MITRE's older galaxies have the UUIDs of these too, with what was known then.
_CURRENT = (_TECHNIQUES, _GROUPS, "threat-actor")
_OF_MITRE = "mitre-"


def by_tag(tags: Sequence[str]) -> dict[str, Any]:
    """Return the question for the clusters of some tags."""
    return _question("tag_name", tags)


def by_uuid(uuids: Sequence[str], *, minimal: bool = False) -> dict[str, Any]:
    """Return the question for the clusters of some UUIDs; ``minimal`` for their UUIDs and versions alone."""
    return _question("uuid", uuids) | ({"minimal": True} if minimal else {})


def _question(name: str, wanted: Sequence[str]) -> dict[str, Any]:
    return {name: list(wanted), "limit": ROWS_FOR_EACH * len(wanted)}


def checked(answer: Any) -> Any:
    """Return an answer of PyMISP's. Raises MispDeclined where this MISP does not have the route, for this key."""
    refusal = declined(answer)
    if refusal and refusal.status in _NO_ROUTE:
        words = f"{_UNANSWERED}: it is too old for that, or the key's role may not ask it ({refusal})"
        raise MispDeclined(refusal.status, words)
    return answer


def rows_in(answer: Any) -> list[Row]:
    """Return the clusters of an answer. Raises MispBusy when it is something else."""
    return records_in(answer, "GalaxyCluster")


def row_key(row: Row) -> str:
    """Return what tells rows of one answer apart."""
    return " ".join(text_of(row.get(name)) for name in ("id", "uuid", "version"))


# -- what is found -------------------------------------------------------------------------------------


def clusters_by_uuid(rows: Iterable[Row]) -> dict[str, Cluster]:
    """Return the clusters by UUID: of several, MITRE's current one, else the one of MISP's own galaxies."""
    return {cluster.uuid: cluster for cluster in _worst_first(rows)}


def clusters_by_tag(asked: Iterable[str], rows: Iterable[Row]) -> dict[str, Cluster]:
    """Return the clusters by the tag that was asked for, which is theirs, or theirs in other letter case."""
    clusters = _worst_first(rows)
    exactly = {cluster.tag: cluster for cluster in clusters}
    in_any_case = {cluster.tag.casefold(): cluster for cluster in clusters}
    found = {tag: exactly.get(tag) or in_any_case.get(tag.casefold()) for tag in asked}
    return {tag: cluster for tag, cluster in found.items() if cluster}


def versions(rows: Iterable[Row]) -> dict[str, frozenset[str]]:
    """Return the versions by UUID, one for each galaxy that has it."""
    found: dict[str, set[str]] = {}
    for row in rows:
        if uuid := stix_uuid(row.get("uuid")):
            found.setdefault(uuid, set()).add(text_of(row.get("version")))
    return {uuid: frozenset(of_one) for uuid, of_one in found.items()}


def current_tags(tags: Iterable[str]) -> dict[str, str]:
    """Return, for tags of techniques in older galaxies, the tag of the same value in MITRE's current one."""
    named = {tag: Tag(tag) for tag in tags}
    current = {
        tag: f'{GALAXY_TAXONOMY}:{_TECHNIQUES}="{words.words[2]}"'
        for tag, words in named.items()
        if kind_named_by(words) is Kind.ATTACK_PATTERN
    }
    return {tag: other for tag, other in current.items() if tag.casefold() != other.casefold()}


def of_older_galaxies(clusters: Iterable[Cluster]) -> set[str]:
    """Return the UUIDs of clusters that a current galaxy of MITRE's may have as well."""
    return {found.uuid for found in clusters if found.galaxy.startswith(_OF_MITRE) and found.galaxy not in _CURRENT}


def _worst_first(rows: Iterable[Row]) -> list[Cluster]:
    """Return the clusters that are sent, the ones to prefer last, in an order that does not change."""
    read = [(cluster, is_true(row.get("default"))) for row in rows if (cluster := read_cluster(row))]
    ordered = sorted(read, key=lambda one: (one[0].galaxy not in _CURRENT, not one[1], one[0].uuid, one[0].galaxy))
    return [cluster for cluster, _ in reversed(ordered)]
