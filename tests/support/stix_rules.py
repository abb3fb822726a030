"""The rules that what stands beside indicators has to keep, as Microsoft and STIX 2.1 document them.

Types, ids, times and required properties: learn.microsoft.com/azure/sentinel/stix-objects-api. Of what is empty, too
long or of nobody's making, the store keeps nothing; so it is not sent.
"""

from __future__ import annotations

import re

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[1-9a-f][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
TYPES = ("identity", "threat-actor", "attack-pattern", "relationship", "indicator")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
COMMON = {
    *("type", "id", "created", "modified", "spec_version", "created_by_ref", "revoked", "labels", "confidence", "lang"),
    *("object_marking_refs", "external_references", "granular_markings", "extensions", "name", "description"),
}
OWN = {
    "identity": {"identity_class", "roles", "sectors", "contact_information"},
    "threat-actor": {
        *("threat_actor_types", "aliases", "first_seen", "last_seen", "roles", "goals", "sophistication"),
        *("resource_level", "primary_motivation", "secondary_motivations", "personal_motivations"),
    },
    "attack-pattern": {"aliases", "kill_chain_phases"},
    "relationship": {"relationship_type", "source_ref", "target_ref", "start_time", "stop_time"},
    "indicator": {
        *("pattern", "pattern_type", "pattern_version", "valid_from", "valid_until", "indicator_types"),
        "kill_chain_phases",
    },
}
NAMED = ("identity", "threat-actor", "attack-pattern")
LONGEST_DESCRIPTION = 1_000
PHASE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def broken_rules(sent, *, whole=True):
    """Return the rules that an object breaks, in words; without ``whole``, it needs no id and no times yet."""
    problems = [*_of_form(sent), *_of_parts(sent), *_of_emptiness(sent, "object")]
    return problems + (_of_identity(sent) if whole else [])


def _of_form(sent):
    kind = sent.get("type")
    if kind not in TYPES:
        return [f"type {kind!r} is none of the five"]
    unknown = sorted(set(sent) - COMMON - OWN[kind])
    problems = [f"{name} is no property of {kind}" for name in unknown]
    problems += ["it has no name"] if kind in NAMED and not str(sent.get("name", "")).strip() else []
    problems += ["it is not of STIX 2.1"] if sent.get("spec_version") != "2.1" else []
    if len(sent.get("description", "")) > LONGEST_DESCRIPTION:
        problems.append("the description is longer than the table keeps")
    return problems + (_of_relationship(sent) if kind == "relationship" else [])


def _of_relationship(sent):
    problems = [] if isinstance(sent.get("relationship_type"), str) else ["it has no relationship_type"]
    wanted = re.compile(rf"({'|'.join(TYPES)})--{UUID}")
    ends = ("source_ref", "target_ref")
    return problems + [f"{end} names no object" for end in ends if not wanted.fullmatch(str(sent.get(end)))]


def _of_identity(sent):
    problems = [] if re.fullmatch(rf"{re.escape(str(sent.get('type')))}--{UUID}", str(sent.get("id"))) else ["bad id"]
    times = [str(sent.get(name)) for name in ("created", "modified")]
    if not all(map(TIME.fullmatch, times)):
        return [*problems, "created and modified are no times in UTC"]
    return problems + ([] if times[0] <= times[1] else ["it was modified before it was created"])


def _of_parts(sent):
    confidence = sent.get("confidence", 0)
    problems = [] if type(confidence) is int and 0 <= confidence <= 100 else ["confidence is not 0 to 100"]
    for name in ("labels", "aliases"):
        if not all(isinstance(text, str) and text.strip() for text in sent.get(name, ())):
            problems.append(f"{name} are not all texts")
        if len(set(sent.get(name, ()))) < len(sent.get(name, ())):
            problems.append(f"{name} repeat themselves")
    problems += ["its name is among its aliases"] if sent.get("name") in sent.get("aliases", ()) else []
    for phase in sent.get("kill_chain_phases", ()):
        if set(phase) != {"kill_chain_name", "phase_name"} or not all(map(PHASE.fullmatch, phase.values())):
            problems.append(f"{phase} is no phase in small letters and hyphens")
    for reference in sent.get("external_references", ()):
        if not reference.get("source_name") or not set(reference) & {"external_id", "url", "description"}:
            problems.append(f"{reference} is no reference")
    return problems


def _of_emptiness(value, where):
    if value is None or (isinstance(value, str | list | dict) and not value):
        return [f"{where} is empty"]
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [problem for name, member in members for problem in _of_emptiness(member, f"{where}.{name}")]
