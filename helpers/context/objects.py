"""What stands beside indicators, in STIX 2.1 as the upload API takes it, without id and times. Pure.

Nothing is empty, and no property is of our own making. The rules:
learn.microsoft.com/azure/sentinel/stix-objects-api, and STIX 2.1, sections 4.6, 4.3, 4.17 and 5.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from constants import LONGEST_NAME
from helpers.context.cluster import Cluster, name_of
from helpers.context.kinds import Kind, Verb

Stix = dict[str, Any]

_SPEC_VERSION = "2.1"
_MITRE, _GALAXY = "mitre-attack", "misp-galaxy"
_MITRE_PAGES = "https://attack.mitre.org"
_SECTIONS = {"T": "techniques", "TA": "tactics", "G": "groups"}
# STIX 2.1, section 10.2: attack-motivation-ov.
_MOTIVES = {
    *("accidental", "coercion", "dominance", "ideology", "notoriety"),
    *("organizational-gain", "personal-gain", "personal-satisfaction", "revenge", "unpredictable"),
}


def identity(name: str) -> Stix | None:
    """Return the organisation that made an event; None for one without a name, which cannot be sent."""
    words = name_of(name)
    return _object(Kind.IDENTITY, name=words, identity_class="organization") if words else None


def of_cluster(cluster: Cluster) -> Stix:
    """Return what a cluster is sent as."""
    return attack_pattern(cluster) if cluster.kind is Kind.ATTACK_PATTERN else threat_actor(cluster)


def threat_actor(cluster: Cluster) -> Stix:
    """Return an actor, with its motive if it is one that STIX knows."""
    motive = "-".join(cluster.motive.lower().split())
    return _object(Kind.THREAT_ACTOR, **_known(cluster), primary_motivation=motive if motive in _MOTIVES else "")


def attack_pattern(cluster: Cluster) -> Stix:
    """Return a technique, with the phases that it is used in."""
    phases = [{"kill_chain_name": chain, "phase_name": phase} for chain, phase in cluster.kill_chain]
    return _object(Kind.ATTACK_PATTERN, **_known(cluster), kill_chain_phases=phases)


def relationship(verb: Verb, source_ref: str, target_ref: str, markings: Sequence[str] = ()) -> Stix:
    """Return what relates one object to another, by their ids, with the markings of the indicator if one is among them.

    ``markings`` are the ids of marking definitions.
    """
    return _object(
        Kind.RELATIONSHIP,
        relationship_type=str(verb),
        source_ref=source_ref,
        target_ref=target_ref,
        object_marking_refs=list(markings),
    )


def _object(kind: Kind, **properties: Any) -> Stix:
    given = {name: value for name, value in properties.items() if value}
    return {"type": str(kind), "spec_version": _SPEC_VERSION, **given}


def _known(cluster: Cluster) -> Stix:
    """Return what actors and techniques have in common."""
    return {
        "name": cluster.name,
        "description": cluster.description,
        "aliases": list(cluster.aliases),
        "labels": [cluster.tag] if 0 < len(cluster.tag) <= LONGEST_NAME else [],
        "external_references": _references(cluster),
    }


def _references(cluster: Cluster) -> list[dict[str, str]]:
    page = _mitre_page(cluster.number)
    urls = [url for url in cluster.references if not page or url.rstrip("/") != page]
    numbered = {"source_name": _MITRE, "external_id": cluster.number, **({"url": page} if page else {})}
    return ([numbered] if cluster.number else []) + [{"source_name": _GALAXY, "url": url} for url in urls]


def _mitre_page(number: str) -> str:
    """Return where MITRE describes a technique, tactic or group; nothing for the numbers of its older collections."""
    section = _SECTIONS.get(number.rstrip("0123456789."))
    return f"{_MITRE_PAGES}/{section}/{number.replace('.', '/')}" if section else ""
