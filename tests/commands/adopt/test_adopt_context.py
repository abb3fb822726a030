"""Adopt: actors, techniques, organisations and relationships come back into an empty ledger, and nothing is resent."""

from contextlib import contextmanager
from unittest import mock
from uuid import UUID, uuid5

import pytest

from helpers.commands.adopt import adopt
from helpers.commands.withdraw import withdraw_all
from helpers.errors import MicrosoftError, MispError
from helpers.ledger import ContextLedger, Stage
from helpers.microsoft import ManagementApi
from helpers.sync.run import opened
from sandbox.azure.app import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE_NAME
from sandbox.faults import Fault
from tests.support import AUTHORITY, hosts, misp_event
from tests.support.in_process import OneProcess
from tests.support.postgres import postgres_server

__all__ = ["postgres_server"]

START = 1_790_000_100
DAY = 86_400
ACTOR = "68391641-859f-4a9a-9a1e-3e5cf71ec376"
SET = "c93fccb1-e8e8-42cf-ae33-2ad1d183913a"
TECHNIQUE = "bbe5b322-e2af-4a5e-9625-a4e62bf84ed3"
TAGS = (
    'misp-galaxy:threat-actor="Moon Fox"',
    'misp-galaxy:mitre-intrusion-set="Moon Fox - G9999"',
    'misp-galaxy:mitre-attack-pattern="Social Media - T1593.001"',
)
QUERY = "threatIntelligence/main/query"
KINDS = ("identity", "threat-actor", "attack-pattern", "relationship")
ALL = {"identity": 1, "threat-actor": 2, "attack-pattern": 1, "relationship": 8}
NAMES = {"SUBSCRIPTION_ID": SUBSCRIPTION, "RESOURCEGROUPNAME": RESOURCE_GROUP, "WORKSPACENAME": WORKSPACE_NAME}


class Site(OneProcess):
    """A site whose ledger can be lost, and filled again."""

    def __init__(self, folder, **settings):
        names = {f"MS_AUTH__{name}": value for name, value in NAMES.items()}
        super().__init__(
            folder,
            START,
            MISP_EVENT_FILTERS='{"published": 1}',
            CONTEXT="techniques",
            MS_ENDPOINTS__MANAGEMENT=AUTHORITY,
            **names,
            **settings,
        )

    def lose_ledger(self):
        place = self.settings.state_path / "again"
        place.mkdir()
        self.settings = self.settings.model_copy(update={"state_dir": place})

    def adopt(self, *, dry_run=False, line=None, **more):
        self.seconds += 60
        settings = self.settings.model_copy(update={"dry_run": dry_run})
        with self.patched(), mock.patch("helpers.microsoft.reading.management_api.MicrosoftClient", self.client):
            return adopt(
                [settings],
                **{"withdraw_unmatched": False, "force_withdraw": False, **more},
                line=line,
                clock=self.waiting.clock,
                now=lambda: self.seconds,
            )

    def keep(self, *objects):
        for object_ in objects:
            assert self.azure.store(self.azure.workspace_id, "MISP", object_) is None

    def there(self):
        counted = {kind: len(self.azure.live(kind=kind)) for kind in KINDS}
        return {kind: count for kind, count in counted.items() if count}

    def later(self, **options):
        self.seconds += DAY
        return self.run(**options)

    @contextmanager
    def beside(self):
        with opened(self.settings) as ledger:
            yield ContextLedger(ledger)


def event(number, *tags, count=2):
    return misp_event(number, hosts(count, f"e{number}h"), Tag=[{"name": tag} for tag in tags])


def uuid(number):
    return misp_event(number)["uuid"]


def stix(kind, number=1, **changes):
    times = dict.fromkeys(("created", "modified"), "2026-09-01T00:00:00.000Z")
    said = {"type": kind, "spec_version": "2.1", "id": f"{kind}--30000000-0000-4000-8000-{number:012d}", **times}
    return {**said, "name": f"theirs {number}", **changes}


@pytest.fixture
def make_site(tmp_path):
    def make(**settings):
        site = Site(tmp_path, **settings)
        relations = [("uses", TECHNIQUE), ("similar", ACTOR)]
        site.misp.add_cluster("threat-actor", "Moon Fox", {"synonyms": ["Fox"]}, uuid=ACTOR)
        site.misp.add_cluster("mitre-intrusion-set", "Moon Fox - G9999", relations=relations, uuid=SET)
        site.misp.add_cluster("mitre-attack-pattern", "Social Media - T1593.001", uuid=TECHNIQUE)
        site.misp.load([event(1, *TAGS), event(2)])
        assert site.run().exit_code == 0
        assert site.there() == ALL
        return site

    return make


@pytest.fixture
def site(make_site):
    """An event named two actors and a technique, and the ledger is lost."""
    site = make_site()
    site.lose_ledger()
    return site


def adopted(report):
    return report.as_json()["context"]["adopted"]


# -- what is the same is not sent ------------------------------------------------------------------------


@pytest.mark.parametrize("deduplicate", ["attribute", "value"])
def test_a_run_after_adopting_sends_nothing(make_site, deduplicate):
    site = make_site(DEDUPLICATE=deduplicate)
    before = dict(site.azure.objects(kind=None))
    site.lose_ledger()
    report = site.adopt()
    assert (report.exit_code, report.warnings) == (0, [])
    assert adopted(report) == {"matched": ALL}
    for _ in range(2):
        report = site.later()
        assert (report.exit_code, report.requests, report.context.kept_back) == (0, 0, 0)
    assert site.azure.objects(kind=None) == before


def test_empty_fields_and_times_in_another_form_make_no_difference(site):
    for object_ in [one for kind in KINDS for one in site.azure.objects(kind=kind).values()]:
        site.keep({**object_, "created": object_["created"].replace(".000Z", "Z"), "lang": "", "revoked": False})
    assert adopted(site.adopt()) == {"matched": ALL}
    assert site.later().requests == 0


def test_the_creation_stays_what_it_was(site):
    created = site.azure.objects(kind="threat-actor")[f"threat-actor--{ACTOR}"]["created"]
    site.adopt()
    site.misp.edit_cluster(ACTOR, value="Sun Fox")
    site.later()
    actor = site.azure.objects(kind="threat-actor")[f"threat-actor--{ACTOR}"]
    assert (actor["name"], actor["created"]) == ("Sun Fox", created)


def test_a_field_of_another_form_costs_nothing_but_being_sent_again(site):
    actor = site.azure.objects(kind="threat-actor")[f"threat-actor--{ACTOR}"]
    site.keep({**actor, "aliases": 5, "labels": [None], "external_references": "x", "name": "\ud83d"})
    assert adopted(site.adopt()) == {"matched": ALL}
    assert site.later().exit_code == 0
    (again,) = [one for one in site.azure.objects(kind="threat-actor").values() if one["id"].endswith(ACTOR)]
    assert (again["name"], again["aliases"]) == ("Moon Fox", ["Fox"])


# -- what leaves, and what stays ---------------------------------------------------------------------------


def test_what_misp_names_no_more_leaves_with_the_next_runs(site):
    site.misp.delete(uuid(1))
    site.misp.load([event(3, TAGS[0])])
    report = site.adopt()
    assert report.adopted == {"matched": 2, "unmatched": 2}
    assert adopted(report) == {"matched": ALL}, "their indicators are not MISP's any more, and they are ours"
    for _ in range(3):
        assert site.later().exit_code == 0
    assert site.there() == {"identity": 1, "threat-actor": 1, "relationship": 2}
    assert len(site.azure.live()) == 2 + 2 + 2


def test_an_event_that_is_held_keeps_what_it_names(site):
    site.misp.edit_attribute(uuid(1), site.misp.event(uuid(1))["Attribute"][0]["uuid"], comment="edited")
    before = dict(site.azure.objects(kind=None))
    site.adopt()
    report = site.later()
    assert (report.held, report.requests) == (1, 0)
    assert site.azure.objects(kind=None) == before
    site.misp.publish(uuid(1))
    site.later()
    assert site.there() == ALL


def test_what_is_not_made_here_is_not_known_and_stays(site):
    theirs = [
        stix("threat-actor"),
        stix("identity"),
        stix(
            "relationship",
            relationship_type="indicates",
            source_ref=min(site.azure.live()),
            target_ref=f"threat-actor--{ACTOR}",
        ),
        stix(
            "relationship",
            2,
            relationship_type="targets",
            source_ref=f"threat-actor--{ACTOR}",
            target_ref="identity--x",
        ),
    ]
    site.keep(*theirs)
    lines = []
    report = site.adopt(line=lines.append, withdraw_unmatched=True)
    assert adopted(report) == {
        "matched": ALL,
        "unmatched": {"identity": 1, "threat-actor": 1, "relationship": 2},
    }
    assert "adopt unmatched threat-actor--30000000-0000-4000-8000-000000000001 theirs 1" in lines
    assert f"adopt matched threat-actor--{ACTOR} Moon Fox" in lines
    site.misp.delete(uuid(1))
    for _ in range(3):
        site.later()
    there = site.azure.objects(kind=None)
    assert [there[one["id"]] for one in theirs] == theirs


def test_an_actor_without_a_cluster_is_ours_where_a_relationship_of_ours_names_it(site):
    site.misp.delete_cluster(ACTOR)
    assert adopted(site.adopt()) == {"matched": ALL}
    for _ in range(3):
        site.later()
    assert f"threat-actor--{ACTOR}" not in site.azure.live(kind="threat-actor")


# -- ids ----------------------------------------------------------------------------------------------------


def test_a_later_life_goes_on_and_a_revoked_id_is_never_used_again(make_site):
    site = make_site()
    for gone, new in ((1, 3), (3, 4)):
        site.misp.delete(uuid(gone))
        for _ in range(3):
            site.later()
        site.misp.load([event(new, *TAGS)])
        site.later()
    before = dict(site.azure.objects(kind=None))
    assert site.there() == ALL
    assert f"threat-actor--{uuid5(UUID(ACTOR), 'context#2')}" in before
    site.lose_ledger()
    report = site.adopt()
    assert adopted(report)["matched"] == ALL and "unmatched" not in adopted(report)
    assert adopted(report)["revoked"]["threat-actor"] > 0
    with site.beside() as beside:
        lives = {one.life: one.stage for one in beside.objects([f"threat-actor/{ACTOR}"])}
    assert (lives[1], lives[max(lives)]) == (Stage.WITHDRAWN, Stage.ACCEPTED)
    assert site.later().requests == 0
    assert site.azure.objects(kind=None) == before
    assert not site.azure.wrong


def test_all_that_is_revoked_is_noted_and_what_is_wanted_begins_its_next_life(site):
    for object_ in list(site.azure.objects(kind=None).values()):
        if object_["type"] != "indicator":
            site.keep({**object_, "revoked": True})
    assert adopted(site.adopt()) == {"revoked": ALL}
    before = set(site.azure.objects(kind=None))
    assert site.later().exit_code == 0
    assert site.there() == ALL
    assert not site.azure.wrong
    assert not before & {key for kind in KINDS for key in site.azure.live(kind=kind)}


def test_of_two_lives_of_one_actor_one_leaves(site):
    actor = site.azure.objects(kind="threat-actor")[f"threat-actor--{ACTOR}"]
    site.keep({**actor, "id": f"threat-actor--{uuid5(UUID(ACTOR), 'context#2')}"})
    site.adopt()
    for _ in range(2):
        assert site.later().exit_code == 0
    assert site.there() == ALL


# -- where not all is listed ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 403, 404])
def test_indicators_are_taken_over_alone_where_the_workspace_lists_no_others(site, status):
    site.azure.faults.add(Fault(QUERY, "status", status=status, after=1, times=None))
    report = site.adopt()
    assert (report.exit_code, report.adopted, adopted(report)) == (0, {"matched": 4}, {})
    (warning,) = report.warnings
    assert warning.startswith("Indicators alone were taken over: the workspace does not list organisations")
    site.azure.faults.clear()
    assert site.later().exit_code == 0
    assert site.there() == ALL


def test_relationships_that_are_not_listed_leave_the_others_unknown_too(site):
    site.azure.faults.add(Fault(QUERY, "status", status=403, after=4, times=None))
    report = site.adopt()
    assert adopted(report) == {}
    assert "does not list relationships" in report.warnings[0]


def test_a_fault_that_may_pass_ends_it_and_nothing_was_written(site):
    site.azure.faults.add(Fault(QUERY, "status", after=2, times=None))
    with pytest.raises(MicrosoftError):
        site.adopt()
    site.azure.faults.clear()
    assert site.adopt().adopted == {"matched": 4}


def test_where_misp_does_not_say_what_clusters_it_has_nothing_is_taken_over(site):
    """The next run would know no more, and take the relationships out."""
    site.misp.faults.add(Fault("galaxy_clusters", "status", times=None, status=404))
    with pytest.raises(MispError, match="nothing was taken over"):
        site.adopt()
    site.misp.faults.clear()
    assert adopted(site.adopt()) == {"matched": ALL}
    assert site.later().requests == 0


def test_where_clusters_are_not_sent_anyway_misp_need_not_know_any(site):
    site.misp.faults.add(Fault("galaxy_clusters", "status", times=None, status=404))
    site.settings = site.settings.model_copy(update={"context": "nothing"})
    report = site.adopt()
    assert (adopted(report), len(report.warnings)) == ({"matched": ALL}, 1)


def test_where_the_workspace_has_no_actors_misp_is_not_asked_for_any(site):
    site.azure.remove(key for kind in KINDS for key in site.azure.objects(kind=kind))
    site.misp.faults.add(Fault("galaxy_clusters", "status", times=None, status=404))
    report = site.adopt()
    assert (report.adopted, adopted(report), report.warnings) == ({"matched": 4}, {}, [])


def test_a_dry_run_writes_nothing(site):
    assert adopted(site.adopt(dry_run=True)) == {"matched": ALL}
    assert adopted(site.adopt()) == {"matched": ALL}


# -- how far -----------------------------------------------------------------------------------------------


def test_where_nothing_is_to_stand_beside_indicators_it_is_taken_over_and_leaves(make_site):
    site = make_site()
    site.lose_ledger()
    site.settings = site.settings.model_copy(update={"context": "nothing"})
    assert adopted(site.adopt()) == {"matched": ALL}
    for _ in range(2):
        assert site.later().exit_code == 0
    assert site.there() == {"identity": 1}, "organisations stay"
    assert len(site.azure.live()) == 4


def test_an_api_that_takes_indicators_alone_is_not_asked_for_others(site):
    auth = site.settings.ms_auth.model_copy(update={"new_upload_api": False})
    site.settings = site.settings.model_copy(update={"ms_auth": auth})
    report = site.adopt()
    assert (report.adopted, adopted(report), report.warnings) == ({"matched": 4}, {}, [])


def test_with_postgresql_all_is_taken_over_and_can_be_withdrawn(make_site, postgres_server):
    site = make_site(STATE_URL=postgres_server.new())
    site.settings = site.settings.model_copy(update={"state_url": postgres_server.new()})
    assert adopted(site.adopt()) == {"matched": ALL}
    assert site.later().requests == 0
    with site.patched():
        clock, workspace = site.waiting.clock, site.azure.workspace_id
        report = withdraw_all(
            site.settings, workspace, force_withdraw=True, line=None, clock=clock, now=lambda: site.seconds
        )
    assert (report.exit_code, site.there(), site.azure.live()) == (0, {}, {})


# -- the comparison with the workspace ----------------------------------------------------------------------


def test_what_is_counted_in_the_workspace_are_indicators_alone(site):
    with site.patched():
        api = ManagementApi(site.settings, site.waiting.clock, site.client(site.settings, site.waiting.clock))
        assert api.count() == 4 == len(site.azure.objects())
        assert len(list(api.indicators())) == 4
    assert site.adopt().exit_code == 0
    for number in range(60):
        site.keep(stix("threat-actor", number))
    assert site.later(full=True).warnings == []
