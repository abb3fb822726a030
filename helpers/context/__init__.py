"""Actors and techniques of MISP's galaxies in, what stands beside indicators in STIX out. Pure."""

from helpers.context.cluster import SIMILAR, USES, Cluster, read_cluster
from helpers.context.kinds import ContextLevel, Kind, KindFacts, Verb, kind_of_galaxy

__all__ = [
    "SIMILAR",
    "USES",
    "Cluster",
    "ContextLevel",
    "Kind",
    "KindFacts",
    "Verb",
    "kind_of_galaxy",
    "read_cluster",
]
