"""Clusters: the actors, techniques and the like that tags of galaxies name, and the route that resolves such tags.

Measured on MISP 2.5.1: of one tag, and of one UUID, there may be several clusters; a deleted one is found, and says so;
a custom one has its UUID in its tag; tags are compared without letter case, accents and spaces at the end, UUIDs as
they are; what is no parameter of this route is ignored, and everything is found.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from flask import Response, g

from sandbox.misp.accounts import Account, whole_organisation
from sandbox.misp.answers import search_answer
from sandbox.misp.queries import query_of, unreadable
from sandbox.misp.records import ORGANISATION, Record
from sandbox.misp.search import Page

if TYPE_CHECKING:
    from sandbox.misp.app import MispState

Meta = Mapping[str, Iterable[str]]
# Parameters that compare a field for equality.
FIELDS = ("id", "uuid", "galaxy_id", "version", "distribution", "org_id", "orgc_id", "tag_name")
# Distributions that show a cluster to other organisations than its own.
SHARED = ("1", "2", "3")
MISP: Record = {
    "id": "0",
    "name": "MISP",
    "date_created": "",
    "date_modified": "",
    "description": "Automatically generated MISP organisation",
    "type": "",
    "nationality": "Not specified",
    "sector": "",
    "created_by": "0",
    "uuid": "0",
    "contacts": "",
    "local": True,
    "restricted_to_domain": [],
    "landingpage": None,
}
CLUSTER: Record = {
    "id": "",
    "uuid": "",
    "collection_uuid": "",
    "type": "",
    "value": "",
    "tag_name": "",
    "description": "",
    "galaxy_id": "",
    "source": "example.com",
    "authors": ["Sandbox"],
    "version": "1",
    "distribution": "3",
    "sharing_group_id": None,
    "org_id": "0",
    "orgc_id": "0",
    "default": True,
    "locked": False,
    "extends_uuid": "",
    "extends_version": "0",
    "published": False,
    "deleted": False,
}
GALAXY: Record = {
    "id": "",
    "uuid": "",
    "name": "",
    "type": "",
    "description": "",
    "version": "1",
    "icon": "user-secret",
    "namespace": "misp",
    "enabled": True,
    "local_only": False,
}
RELATION: Record = {
    "id": "",
    "galaxy_cluster_id": "",
    "referenced_galaxy_cluster_id": "0",
    "referenced_galaxy_cluster_uuid": "",
    "referenced_galaxy_cluster_type": "",
    "galaxy_cluster_uuid": "",
    "distribution": "3",
    "sharing_group_id": None,
    "default": True,
}
FIRST_NUMBER = 100_000  # so that what is made here takes no number from what was recorded


class ClusterEdits:
    """The clusters of a MISP, and what galaxies' updates and people do to them."""

    clock: Callable[[], float]

    def __init__(self) -> None:
        """Start without any."""
        self.clusters: list[Record] = []
        self._galaxies: dict[str, Record] = {}
        self._cluster_numbers = count(FIRST_NUMBER)

    def add_cluster(
        self, kind: str, value: str, meta: Meta | None = None, relations: Iterable[tuple[str, str]] = (), **fields: Any
    ) -> str:
        """Add a cluster to a galaxy of this kind ("threat-actor"); give its UUID.

        ``meta`` are its elements by key, ``relations`` each a verb and the UUID of another cluster, which need not be
        there; ``fields`` are MISP's own. With ``default`` False it is a custom one, of the sandbox's organisation and
        with its UUID in its tag.
        """
        cluster = {**CLUSTER, "uuid": str(uuid4()), "type": kind, "value": value}
        if fields.get("default") is False:
            cluster |= _custom(str(int(self.clock())))
        cluster |= {name: str(field) if type(field) is int else field for name, field in fields.items()}
        cluster["id"] = str(next(self._cluster_numbers))
        named = value if cluster["default"] else cluster["uuid"]
        cluster["tag_name"] = fields.get("tag_name", f'misp-galaxy:{kind}="{named}"')
        cluster["Galaxy"] = self._galaxy(kind)
        cluster["galaxy_id"] = cluster["Galaxy"]["id"]
        cluster |= {"GalaxyElement": [], "GalaxyClusterRelation": [], "TargetingClusterRelation": []}
        self.clusters.append(cluster)
        self._describe(cluster, meta or {})
        for verb, target in relations:
            self.relate(cluster["uuid"], verb, target)
        self._find_sources(cluster)
        return str(cluster["uuid"])

    def cluster(self, uuid: str) -> Record:
        """Give the first cluster with a UUID. Raises KeyError."""
        match = next((cluster for cluster in self.clusters if cluster["uuid"] == uuid), None)
        if match is None:
            raise KeyError(uuid)
        return match

    def relate(self, uuid: str, verb: str, target: str, **fields: Any) -> None:
        """Let a cluster have a relation to another one, which need not be there, with MISP's ``fields``."""
        cluster = self.cluster(uuid)
        relation = {
            **RELATION,
            "id": str(next(self._cluster_numbers)),
            "galaxy_cluster_id": cluster["id"],
            "galaxy_cluster_uuid": uuid,
            "referenced_galaxy_cluster_uuid": target,
            "referenced_galaxy_cluster_type": verb,
            "default": cluster["default"],
            **fields,
        }
        cluster["GalaxyClusterRelation"].append(relation)
        for other in self.clusters:
            if other["uuid"] == target:
                self._find_sources(other)

    def edit_cluster(self, uuid: str, meta: Meta | None = None, **changes: Any) -> None:
        """Change a cluster, which gives it a newer version.

        The version of a custom one is the time, and it has to be published again; the galaxies' updates count theirs.
        """
        cluster = self.cluster(uuid)
        before = int(cluster["version"])
        if cluster["default"]:
            cluster["version"] = str(before + 1)
        else:
            cluster |= {"version": str(max(before + 1, int(self.clock()))), "published": False}
        cluster |= changes
        if meta is not None:
            self._describe(cluster, meta)

    def delete_cluster(self, uuid: str, hard: bool = False) -> None:
        """Delete a cluster: it stays and says so, unless it is deleted hard."""
        cluster = self.cluster(uuid)
        if not hard:
            cluster |= {"deleted": True, "published": False, "version": str(int(self.clock()))}
            return
        self.clusters.remove(cluster)
        for other in self.clusters:
            targeting = other.get("TargetingClusterRelation", [])
            targeting[:] = [relation for relation in targeting if relation["galaxy_cluster_uuid"] != uuid]
            for relation in other["GalaxyClusterRelation"]:
                if relation["referenced_galaxy_cluster_uuid"] == uuid:
                    relation["referenced_galaxy_cluster_id"] = "0"

    def _galaxy(self, kind: str) -> Record:
        number = str(FIRST_NUMBER + len(self._galaxies))
        name = kind.replace("-", " ").title()
        made = {**GALAXY, "id": number, "uuid": str(uuid5(NAMESPACE_URL, kind)), "name": name, "type": kind}
        return self._galaxies.setdefault(kind, made)

    def _describe(self, cluster: Record, meta: Meta) -> None:
        pairs = [(key, value) for key, values in meta.items() for value in values]
        cluster["GalaxyElement"] = [
            {"id": str(next(self._cluster_numbers)), "galaxy_cluster_id": cluster["id"], "key": key, "value": value}
            for key, value in pairs
        ]

    def _find_sources(self, cluster: Record) -> None:
        """Let a cluster know of the relations that lead to it, and these of its number."""
        relations = (relation for other in self.clusters for relation in other["GalaxyClusterRelation"])
        sources = [one for one in relations if one["referenced_galaxy_cluster_uuid"] == cluster["uuid"]]
        for relation in sources:
            relation["referenced_galaxy_cluster_id"] = cluster["id"]
        cluster["TargetingClusterRelation"] = sources


class Clusters:
    """The route, as one user sees it."""

    def __init__(self, state: MispState) -> None:
        self.state = state

    def routes(self) -> dict[str, Callable[..., Response]]:
        """Give each path with what answers it."""
        path = "/galaxy_clusters/restSearch"
        return {path: self.search, f"{path}.json": self.search, f"{path}/<path:_named>": self.search}

    def search(self, _named: str = "") -> Response:
        """galaxy_clusters/restSearch: what is not known, or not to be seen, is left out without a word."""
        refusal = unreadable(query := query_of())
        if refusal:
            return refusal
        seen = [cluster for cluster in self.state.clusters if self._shows(cluster, cluster)]
        matches = [cluster for cluster in seen if _matches(cluster, query)]
        page = Page.of(query).cut(sorted(matches, key=_order(query)))
        return search_answer([{"GalaxyCluster": self._view(cluster, query)} for cluster in page], len(page))

    def _view(self, cluster: Record, query: Record) -> Record:
        if query.get("minimal"):
            return {name: cluster[name] for name in ("uuid", "version")}
        relations = {
            "GalaxyClusterRelation": [one for one in cluster["GalaxyClusterRelation"] if self._shows_relation(one)],
            "TargetingClusterRelation": [
                one for one in cluster.get("TargetingClusterRelation", ()) if self._shows_relation(one, of_others=True)
            ],
        }
        owners = {name: self._owner(cluster[f"{name.lower()}_id"]) for name in ("Org", "Orgc")}
        shown = {**owners, **cluster, **relations, **self._sharing_group(cluster)}
        return shown if relations["TargetingClusterRelation"] else _without(shown, "TargetingClusterRelation")

    def _owner(self, number: str) -> Record:
        return MISP if number == "0" else whole_organisation(self.state.organisation_of(number))

    def _sharing_group(self, cluster: Record) -> Record:
        group = self.state.sharing_groups.get(str(cluster["sharing_group_id"]))
        if cluster["distribution"] != "4" or not group or "SharingGroup" in cluster:
            return {}
        return {"SharingGroup": {name: group[name] for name in ("id", "name")}}

    def _shows_relation(self, relation: Record, of_others: bool = False) -> bool:
        """A relation is as visible as it says; one that leads here comes with a cluster that has to be visible too."""
        number = relation["galaxy_cluster_id"]
        source = next((cluster for cluster in self.state.clusters if cluster["id"] == number), None)
        if source is None:
            return True
        return self._shows(relation, source) and not (of_others and not self._shows(source, source))

    def _shows(self, record: Record, owned: Record) -> bool:
        user: Account = g.user
        if user.admin or record["distribution"] in SHARED or owned["org_id"] == user.organisation["id"]:
            return True
        group = self.state.sharing_groups.get(str(record["sharing_group_id"]), {})
        return record["distribution"] == "4" and user.organisation["uuid"] in group.get("organisations", ())


def _custom(version: str) -> Record:
    owned = {"org_id": ORGANISATION["id"], "orgc_id": ORGANISATION["id"]}
    return {**owned, "version": version, "extends_uuid": None, "extends_version": None}


def _without(record: Record, name: str) -> Record:
    return {key: value for key, value in record.items() if key != name}


def _matches(cluster: Record, query: Record) -> bool:
    if "galaxy_uuid" in query and cluster["Galaxy"]["uuid"] not in set(_wanted("galaxy_uuid", query)):
        return False
    if "custom" in query and cluster["default"] is bool(query["custom"]):
        return False
    asked = (name for name in FIELDS if query.get(name) is not None)
    return all(_compared(name, cluster[name]) in set(_wanted(name, query)) for name in asked)


def _wanted(name: str, query: Record) -> Iterator[str]:
    value = query[name]
    yield from (_compared(name, item) for item in (value if isinstance(value, list) else [value]))


def _compared(name: str, value: object) -> str:
    """Write a value as it is compared: MISP's column of tags has a collation that sees no such differences."""
    if name != "tag_name":
        return str(value)
    letters = unicodedata.normalize("NFD", str(value).casefold().rstrip(" "))
    return "".join(letter for letter in letters if unicodedata.category(letter) not in ("Mn", "Cc"))


def _order(query: Record) -> Callable[[Record], tuple[str, int]]:
    """MISP asks for no order and its database reads along the index of what was asked for."""
    name = next((name for name in ("tag_name", "uuid") if name in query), "")
    return lambda cluster: (_compared(name, cluster[name]) if name else "", int(cluster["id"]))
