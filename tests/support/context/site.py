"""A site whose MISP has an actor, an intrusion set and a technique, and what of such is live at its Azure."""

from __future__ import annotations

from tests.support import hosts, misp_event
from tests.support.in_process import OneProcess

START = 1_790_000_100
DAY = 86_400
ACTOR = "68391641-859f-4a9a-9a1e-3e5cf71ec376"
SET = "c93fccb1-e8e8-42cf-ae33-2ad1d183913a"
TECHNIQUE = "bbe5b322-e2af-4a5e-9625-a4e62bf84ed3"
ACTOR_TAG = 'misp-galaxy:threat-actor="Moon Fox"'
SET_TAG = 'misp-galaxy:mitre-intrusion-set="Moon Fox - G9999"'
TECHNIQUE_TAG = 'misp-galaxy:mitre-attack-pattern="Social Media - T1593.001"'
KINDS = ("identity", "threat-actor", "attack-pattern", "relationship")
NO_ACTOR = {"identity": 1}


def context_site(place, level="techniques", **settings):
    """A site with these clusters, and one event that names none of them."""
    site = OneProcess(place, START, MISP_EVENT_FILTERS='{"published": 1}', CONTEXT=level, **settings)
    site.misp.load([misp_event(99, hosts(1, "other"))])
    site.misp.add_cluster("threat-actor", "Moon Fox", {"synonyms": ["Fox"]}, uuid=ACTOR)
    relations = [("uses", TECHNIQUE), ("similar", ACTOR)]
    site.misp.add_cluster("mitre-intrusion-set", "Moon Fox - G9999", relations=relations, uuid=SET)
    site.misp.add_cluster("mitre-attack-pattern", "Social Media - T1593.001", uuid=TECHNIQUE)
    return site


def tagged(number, *tags, count=2, **event):
    """An event with these tags."""
    return misp_event(number, hosts(count, f"e{number}h"), Tag=[{"name": tag} for tag in tags], **event)


def uuid(number):
    return misp_event(number)["uuid"]


def live(site, workspace=None):
    """How many of each kind are live in the workspace, and not indicators."""
    counted = {kind: len(site.azure.live(workspace, kind=kind)) for kind in KINDS}
    return {kind: count for kind, count in counted.items() if count}


def verbs(site):
    return sorted(
        (one["relationship_type"], one["source_ref"].split("--")[0], one["target_ref"])
        for one in site.azure.live(kind="relationship").values()
    )


def later(site, days=1, **options):
    """Run so many days later."""
    site.seconds += int(days * DAY)
    return site.run(**options)


def sent_since(site, uploads):
    """How many objects were sent since there were so many uploads."""
    return sum(upload["count"] for upload in site.azure.uploads[uploads:])


def actor_labels(site):
    """The labels of live indicators that name an actor, sorted."""
    labels = (label for one in site.live().values() for label in one.get("labels", []))
    return sorted(label for label in labels if label.startswith("ActivityGroup:"))
