"""Steps of a state machine about actors and techniques, and what of them should be live: without the program's code.

Which indicators are live is another model's (``what_misp_wants.py``); this says what these are to point to.
"""

from __future__ import annotations

from functools import partial

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from sandbox.faults import Fault
from tests.support.in_process import UPLOAD_PATH
from tests.support.what_misp_wants import members, names

LEVELS = ["nothing", "identities", "actors", "techniques"]
ENDS = ("threat-actor", "attack-pattern")
FOX, OWL, SET, FISHING, POST = (f"50000000-0000-4000-8000-00000000000{number}" for number in range(1, 6))
CLUSTERS = {
    FOX: ("threat-actor", "Fox", []),
    OWL: ("threat-actor", "Owl", []),
    SET: ("mitre-intrusion-set", "Foxes - G0001", [("uses", FISHING), ("similar", FOX)]),
    FISHING: ("mitre-attack-pattern", "Fishing - T0001", []),
    POST: ("mitre-attack-pattern", "Post - T0002", []),
}
TAG_OF = {uuid: f'misp-galaxy:{galaxy}="{name}"' for uuid, (galaxy, name, _) in CLUSTERS.items()}
ACTORS = {FOX, OWL, SET}
WHICH = st.integers(0, 11)
CLUSTER = st.sampled_from(sorted(CLUSTERS))
FLAG = st.booleans()
CHANGES = ["rename", "delete", "bring back", "private", "public"]


class ContextSteps:
    """Rules for a machine whose process is a site with these clusters. ``level`` is the setting context."""

    def begin_context(self):
        self.level = "techniques"
        self.identities = set()
        for uuid, (galaxy, name, relations) in CLUSTERS.items():
            if uuid is not POST:
                self._add_cluster(uuid, galaxy, name, relations)

    def _add_cluster(self, uuid, galaxy, name, relations):
        self.misp.add_cluster(galaxy, name, relations=relations, uuid=uuid)

    # -- people edit MISP -----------------------------------------------------------------------------

    @precondition(lambda self: self.members)
    @rule(which=WHICH, clusters=st.lists(CLUSTER, min_size=1, max_size=2, unique=True), whole=FLAG, publish=FLAG)
    def name_or_not(self, which, clusters, whole, publish):
        event, attribute = self._member(which)
        uuids = (event["uuid"],) if whole else (event["uuid"], attribute["uuid"])
        of, kind = (event, "event") if whole else (attribute, "attribute")
        for tag in (TAG_OF[uuid] for uuid in clusters):
            change = f"untag_{kind}" if tag in names(of) else f"tag_{kind}"
            getattr(self.misp, change)(*uuids, tag)
        self._edited(event, publish)

    @rule(uuid=CLUSTER, how=st.sampled_from(CHANGES))
    def cluster_changes(self, uuid, how):
        if uuid not in {cluster["uuid"] for cluster in self.misp.clusters}:
            self._add_cluster(uuid, *CLUSTERS[uuid])
            return
        cluster = self.misp.cluster(uuid)
        self.process.seconds += 2
        change = partial(self.misp.edit_cluster, uuid)
        if how == "rename" and not cluster["deleted"]:
            change(value=f"{CLUSTERS[uuid][1]} once" if cluster["value"] == CLUSTERS[uuid][1] else CLUSTERS[uuid][1])
        elif how == "delete":
            change(deleted=True)
        elif how == "bring back":
            change(deleted=False)
        elif how in ("private", "public"):
            change(distribution="0" if how == "private" else "3")

    # -- the program runs -----------------------------------------------------------------------------

    @rule(level=st.sampled_from(LEVELS), full=FLAG)
    def context_is_set(self, level, full):
        self.level = level
        self.process.configure(CONTEXT=level)
        self._clean_run(full=full)

    @rule(full=FLAG, after=st.integers(0, 2))
    def misp_does_not_say_what_tags_name(self, full, after):
        self.misp.faults.add(Fault("galaxy_clusters", "status", times=None, status=403, after=after))
        self._run_with_faults(full)

    @rule(after=st.integers(1, 6), full=FLAG, processed=FLAG)
    def microsoft_fails_later(self, after, full, processed):
        """Between ends and relationships, or between those that leave and their ends."""
        self.azure.faults.add(Fault(UPLOAD_PATH, "reset-after" if processed else "status", times=None, after=after))
        self._run_with_faults(full)

    @rule(uuid=CLUSTER, full=FLAG)
    def an_end_is_refused(self, uuid, full):
        self.azure.refused = {f"{kind}--{uuid}" for kind in ENDS}
        self._run_with_faults(full)
        self.azure.refused = set()

    @rule(step=st.integers(30, 160), full=FLAG)
    def killed_late(self, step, full):
        self._run_with_faults(full, last_step=step)

    @rule()
    def at_rest(self):
        """When every event is read, and all has its answer, what should be there is, and it stays as it is."""
        for event in self.events:
            self.misp.publish(event["uuid"])
        self.process.seconds += 2
        for _ in range(3):
            self._clean_run(full=True, retry_rejected=True)
        self._compare_context()
        uploads = len(self.azure.uploads)
        self._clean_run(full=False)
        assert not [upload for upload in self.azure.uploads[uploads:] if {*upload["kinds"]} - {"indicator"}]

    # -- what is compared -----------------------------------------------------------------------------

    @invariant()
    def organisations_stay(self):
        if hasattr(self, "identities"):
            live = set(self.azure.live(kind="identity"))
            assert self.identities <= live
            self.identities = live

    def compare_ends(self):
        """After a run to whose every object Microsoft said something, what is related is there."""
        live = {*self.azure.live(kind=None)}
        for relationship in self.azure.live(kind="relationship").values():
            assert {relationship["source_ref"], relationship["target_ref"]} <= live, relationship

    def _compare_context(self):
        self.compare_ends()
        assert not self.azure.wrong
        pointed = {id_: self._pointed_by(indicator) for id_, indicator in self.process.live().items()}
        named = set().union(*pointed.values())
        ends = {id_: end for kind in ENDS for id_, end in self.azure.live(kind=kind).items()}
        uuids = {id_: self._cluster_of(end) for id_, end in ends.items()}
        assert sorted(uuids.values()) == sorted(named)
        assert {end["name"] for end in ends.values()} == {self._name(uuid) for uuid in named}
        wanted = {("indicates", id_, uuid) for id_, of_indicator in pointed.items() for uuid in of_indicator}
        wanted |= {("uses", SET, FISHING)} if {SET, FISHING} <= named else set()
        wanted |= {("related-to", FOX, SET)} if {SET, FOX} <= named else set()
        assert self._related(uuids) == sorted(wanted)
        if LEVELS.index(self.level) > 0:
            named = {indicator["created_by_ref"] for indicator in self.process.live().values()}
            assert named <= {*self.azure.live(kind="identity"), ""}

    def _related(self, uuids):
        found = (self.azure.live(kind="relationship")).values()
        return sorted(
            (one["relationship_type"], uuids.get(one["source_ref"], one["source_ref"]), uuids[one["target_ref"]])
            for one in found
        )

    def _cluster_of(self, end):
        return next(uuid for uuid, tag in TAG_OF.items() if end["labels"] == [tag])

    def _name(self, uuid):
        return self.misp.cluster(uuid)["value"].split(" - ")[0]

    def _pointed_by(self, indicator):
        """The clusters, by UUID, that an indicator is to point to: what all of its attributes name."""
        attributes = {reference["external_id"] for reference in indicator["external_references"]}
        of_these = ((event, one) for event in self.misp.events() for one in members(event) if one["uuid"] in attributes)
        return set().union(*(self._named_by(attribute, event) for event, attribute in of_these))

    def _named_by(self, attribute, event):
        named = {uuid for kind in (ACTORS, CLUSTERS.keys() - ACTORS) for uuid in self._of_kind(kind, attribute, event)}
        return {uuid for uuid in named if self._is_sent(uuid)}

    def _of_kind(self, kind, attribute, event):
        own, inherited = ({uuid for uuid in kind if TAG_OF[uuid] in names(record)} for record in (attribute, event))
        return own or inherited

    def _is_sent(self, uuid):
        there = next((cluster for cluster in self.misp.clusters if cluster["uuid"] == uuid), None)
        shown = there is not None and not there["deleted"] and there["distribution"] != "0"
        return shown and LEVELS.index(self.level) >= (2 if uuid in ACTORS else 3)
