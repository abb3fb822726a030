"""Actors and techniques of MISP's galaxies in, what stands beside indicators in STIX out. Pure."""

from helpers.context.cluster import GALAXY_TAXONOMY, SIMILAR, USES, Cluster, read_cluster
from helpers.context.kinds import (
    NAMED_KINDS,
    ContextLevel,
    Kind,
    KindFacts,
    Verb,
    in_order_of_leaving,
    kind_of_galaxy,
    kinds_in_words,
)
from helpers.context.named import Named, kind_named_by, named_by
from helpers.context.objects import Stix, attack_pattern, identity, of_cluster, relationship, threat_actor

__all__ = [
    "GALAXY_TAXONOMY",
    "NAMED_KINDS",
    "SIMILAR",
    "USES",
    "Cluster",
    "ContextLevel",
    "Kind",
    "KindFacts",
    "Named",
    "Stix",
    "Verb",
    "attack_pattern",
    "identity",
    "in_order_of_leaving",
    "kind_named_by",
    "kind_of_galaxy",
    "kinds_in_words",
    "named_by",
    "of_cluster",
    "read_cluster",
    "relationship",
    "threat_actor",
]
