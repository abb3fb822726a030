"""Clusters: what the sandbox's MISP knows of galaxies, as recorded of MISP 2.5.1."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Response, g, request

from sandbox.misp.answers import found
from sandbox.misp.records import Record
from sandbox.misp.search import Page

if TYPE_CHECKING:
    from sandbox.misp.app import MispState

# Parameters that compare a field for equality (MISP's source); others are ignored.
FIELDS = (
    *("uuid", "galaxy_id", "version", "distribution", "type", "value", "default", "extends_uuid", "tag_name"),
    *("published", "id"),
)
# Distributions that show a cluster to other organisations than its own (MISP's source).
SHARED = ("1", "2", "3")


class Clusters:
    """The route that resolves tags of galaxies."""

    def __init__(self, state: MispState) -> None:
        self.state = state

    def routes(self) -> dict[str, Callable[..., Response]]:
        """Give each path with what answers it."""
        return {"/galaxy_clusters/restSearch": self.search}

    def search(self) -> Response:
        """galaxy_clusters/restSearch: what is not known, or not to be seen, is left out without a word."""
        query = request.get_json(force=True, silent=True) or {}
        matches = [each for each in self.state.clusters if self._shows(each) and _matches(each, query)]
        page = Page.of(query).cut(sorted(matches, key=lambda each: int(each["id"])))
        if query.get("minimal"):
            page = [{name: each[name] for name in ("uuid", "version")} for each in page]
        return found([{"GalaxyCluster": each} for each in page], len(page))

    def _shows(self, cluster: Record) -> bool:
        if g.admin or cluster["distribution"] in SHARED or cluster["org_id"] == g.user.organisation["id"]:
            return True
        group = self.state.sharing_groups.get(str(cluster["sharing_group_id"]), {})
        return cluster["distribution"] == "4" and g.user.organisation["uuid"] in group.get("organisations", ())


def _matches(cluster: Record, query: Record) -> bool:
    if "galaxy_uuid" in query and cluster["Galaxy"]["uuid"] not in _wanted(query["galaxy_uuid"]):
        return False
    return all(str(cluster[name]) in _wanted(query[name]) for name in FIELDS if name in query)


def _wanted(value: object) -> set[str]:
    return {str(one) for one in (value if isinstance(value, list) else [value])}
