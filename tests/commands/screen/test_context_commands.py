"""What explain, status, metrics, the report page and check say of actors, techniques and organisations."""

import json
from unittest import mock

import pytest

from helpers.commands.check import Preflight
from helpers.commands.check.context import what_is_sent
from helpers.commands.explain.command import Options, explain
from helpers.commands.monitoring.answer import answer_of
from helpers.commands.monitoring.metrics.samples import samples_of
from helpers.commands.monitoring.moments import Watch
from helpers.commands.monitoring.report.command import write_report
from helpers.commands.monitoring.status import status
from helpers.settings import MsAuth
from sandbox.faults import Fault
from tests.commands.screen.test_run_context import ACTOR, NO_CLUSTER, SET, START, TAGS, TECHNIQUE
from tests.support import hosts, misp_event
from tests.support.context.site import SET_TAG, TECHNIQUE_TAG, context_site, later, tagged
from tests.support.in_process import OneProcess

ACTOR_TAG = 'misp-galaxy:threat-actor="Moon Fox"'
PRIVATE_TAG = 'misp-galaxy:threat-actor="Hidden Fox"'


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Two indicators with two actors, of which Microsoft refuses one, and a technique."""
    state = tmp_path_factory.mktemp("state")
    site = OneProcess(state, START, MISP_EVENT_FILTERS='{"published": 1}', CONTEXT="techniques")
    site.misp.add_cluster("threat-actor", "Moon Fox", {"synonyms": ["Fox"]}, uuid=ACTOR)
    site.misp.add_cluster("mitre-intrusion-set", "Moon Fox - G9999", uuid=SET)
    site.misp.add_cluster("mitre-attack-pattern", "Social Media - T1593.001", uuid=TECHNIQUE)
    site.misp.load([misp_event(1, hosts(2), Tag=[{"name": tag} for tag in (*TAGS, ACTOR_TAG)])])
    site.azure.refused.add(f"threat-actor--{SET}")
    assert site.run().exit_code == 1
    return site


def explained(site, asked):
    """The exit code, the answer as JSON, and what a pipe gets."""
    lines, answers = [], []
    with site.patched():
        explain(site.settings, [asked], answers.append, Options(offline=True, as_json=True), now=lambda: site.seconds)
        code = explain(site.settings, [asked], lines.append, Options(offline=True), now=lambda: site.seconds)
    (answer,) = map(json.loads, answers)
    assert lines[0].words == answer["sentence"] and answer["exit_code"] == code
    return code, answer, [line.text() for line in lines]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("FOX", "FOX is an actor (Moon Fox): live; 2 live indicators point to it."),
        ("fox", "fox is an actor (Moon Fox): live; 2 live indicators point to it."),
        (ACTOR_TAG, f"{ACTOR_TAG} is an actor (Moon Fox): live; 2 live indicators point to it."),
        (ACTOR, f"{ACTOR} is an actor (Moon Fox): live; 2 live indicators point to it."),
        (
            f"threat-actor--{ACTOR}",
            f"threat-actor--{ACTOR} is an actor (Moon Fox): live; 2 live indicators point to it.",
        ),
        ("T1593.001", "T1593.001 is a technique (Social Media): live; 2 live indicators point to it."),
        ("social media", "social media is a technique: live; 2 live indicators point to it."),
        ("EXAMPLE", "EXAMPLE is an organisation: live; it made 2 live indicators."),
        ("Moon Fox", "Moon Fox names 2 actors: live and rejected by Microsoft."),
    ],
)
def test_it_is_found_by_whatever_people_call_it(site, asked, sentence):
    code, answer, _ = explained(site, asked)
    assert (code, answer["sentence"]) == (0, sentence)


def test_it_shows_what_it_is_and_examples_of_what_points_to_it(site):
    _, answer, lines = explained(site, "G9999")
    (known,) = answer["ledger"][0]["context"]
    assert (known["kind"], known["stage"], known["numbers"], known["indicators"]) == (
        "threat-actor",
        "rejected",
        ["G9999"],
        2,
    )
    assert "Refused" in known["microsoft"] and [one["pattern"] for one in known["examples"]]
    assert answer["destinations"][0]["state"] == "rejected"
    assert '  also: G9999, misp-galaxy:mitre-intrusion-set="Moon Fox - G9999"' in lines
    assert "  e.g. [domain-name:value = 'host0.example.org']" in lines
    assert any("--retry-rejected" in line for line in lines)


def test_a_tag_that_names_no_cluster_is_said_to_name_none(site):
    code, answer, lines = explained(site, NO_CLUSTER)
    assert code == 0 and answer["tag_names_nothing"]
    assert lines[0].startswith(f"{NO_CLUSTER} names no cluster in MISP")
    code, answer, _ = explained(site, PRIVATE_TAG)
    assert code == 1 and not answer["tag_names_nothing"], "nobody has asked MISP"


def test_an_indicator_shows_its_actors_and_techniques_and_what_keeps_them_back(site):
    _, answer, lines = explained(site, "host0.example.org")
    (object_,) = answer["ledger"][0]["objects"]
    pointed = {each["id"]: each["relationship"]["standing"] for each in object_["context"]}
    assert pointed == {
        f"threat-actor--{ACTOR}": "live",
        f"threat-actor--{SET}": "kept back",
        f"attack-pattern--{TECHNIQUE}": "live",
    }
    assert "    actor: Moon Fox (threat-actor)" in lines and "    technique: Social Media" in lines
    kept_back = f"    actor: Moon Fox (mitre-intrusion-set): kept back (threat-actor--{SET} was refused: "
    assert any(line.startswith(kept_back) for line in lines)


def test_status_counts_it_by_kind(site):
    lines, answers = [], []
    for as_json, said in ((True, answers), (False, lines)):
        status(site.settings, said.append, max_age_hours=None, as_json=as_json, now=lambda: site.seconds)
    (known,) = json.loads(answers[0])["destinations"]
    counts = {kind: (each["live"], each["rejected"], each["kept_back"]) for kind, each in known["context"].items()}
    assert counts == {
        "identity": (1, 0, 0),
        "threat-actor": (1, 1, 0),
        "attack-pattern": (1, 0, 0),
        "relationship": (4, 0, 2),
    }
    text = "\n".join(line.text() for line in lines)
    assert "context        1 organisation, 1 actor, 1 technique, 4 relationships" in text
    assert "2 relationships kept back, since Microsoft rejected what is named" in text
    assert "1 actor rejected by Microsoft" in json.loads(answers[0])["verdict"]


def told(site):
    """What status says, as JSON for the one destination and as text."""
    lines, answers = [], []
    for as_json, said in ((True, answers), (False, lines)):
        status(site.settings, said.append, max_age_hours=None, as_json=as_json, now=lambda: site.seconds)
    return json.loads(answers[0])["destinations"][0], "\n".join(line.text() for line in lines)


def page_of(site, place):
    write_report(site.settings, place, site.seconds)
    return place.read_text(encoding="utf-8")


def test_status_and_the_page_say_what_a_run_did_beside_indicators(tmp_path):
    site = context_site(tmp_path, "techniques")
    site.misp.load([tagged(1, SET_TAG, TECHNIQUE_TAG, count=3)])
    site.run()
    assert "; sent 1 organisation, 1 actor, 1 technique, 7 relationships\n" in told(site)[1]
    site.configure(CONTEXT="actors")
    later(site)
    known, text = told(site)
    assert "            withdrawn 1 technique, 4 relationships\n" in text and "nothing was to be sent" not in text
    assert [(run["beside_sent"], run["beside_withdrawn"]) for run in known["runs"]] == [(0, 5), (10, 0)]
    assert [line.partition("  done")[2] for line in text.splitlines() if "  done" in line] == [
        ", beside indicators: 5",
        ", beside indicators: 10",
    ]
    assert 'data-head="beside" class="n">5</td>' in page_of(site, tmp_path / "report.html")


def test_status_and_metrics_have_what_a_guard_holds_back_and_why_it_does_so_once(tmp_path):
    site = context_site(tmp_path, "techniques", MAX_WITHDRAW_PERCENT="5")
    site.misp.load([tagged(1, SET_TAG, TECHNIQUE_TAG, count=30)])
    site.run()
    site.configure(CONTEXT="actors")
    assert later(site).refusals
    known, text = told(site)
    assert known["context"]["relationship"]["leaving"] == 31
    assert known["context"]["attack-pattern"]["leaving"] == 1
    assert "1 technique, 31 relationships to be withdrawn; what the guards hold back leaves with" in " ".join(
        text.split()
    )
    assert " ".join(text.split()).count("would leave Sentinel") == 1
    answer = answer_of(site.settings, Watch(site.seconds), runs=1, holdings=True)
    leaving = [sample for sample in samples_of(answer) if sample.labels.get("state") == "leaving"]
    assert sum(sample.value for sample in leaving) == 32
    later(site, force_withdraw=True)
    assert not any(counts["leaving"] for counts in told(site)[0]["context"].values())


def test_prometheus_and_the_report_page_have_the_same_counts(site, tmp_path):
    answer = answer_of(site.settings, Watch(site.seconds), runs=1, holdings=True)
    counts = answer["destinations"][0]["context"]
    found = [sample for sample in samples_of(answer) if sample.name == "context_objects"]
    assert {(one.labels["kind"], one.labels["state"]): one.value for one in found} == {
        (kind, state): count for kind, each in counts.items() for state, count in each.items()
    }
    page = tmp_path / "report.html"
    write_report(site.settings, page, site.seconds)
    assert "Actors, techniques, organisations and relationships" in page.read_text(encoding="utf-8")


# -- check --------------------------------------------------------------------------------------------


def checked(site):
    """What check says of everything up to MISP, by name."""
    preflight = Preflight(site.settings, lambda _line: None)
    with site.patched(), mock.patch.object(Preflight, "_destination"):
        assert preflight.run() == 0
    return {result.name: (result.state.word.strip(), result.words) for result in preflight.results}


def test_check_says_what_is_sent_and_that_misp_knows_its_galaxies(site):
    asked = len(site.misp.requests)
    said = checked(site)
    assert said["context"] == ("ok", "indicators with organisations, actors and techniques")
    assert said["MISP galaxies"] == ("ok", "say which actors and techniques tags name")
    assert sum("galaxy_clusters" in str(entry) for entry in list(site.misp.requests)[asked:]) == 1


@pytest.mark.parametrize("status_code", [403, 404])
def test_a_misp_without_the_route_is_a_warning_that_says_what_it_means(site, status_code):
    site.misp.faults.add(Fault("galaxy_clusters", "status", times=1, status=status_code))
    state, words = checked(site)["MISP galaxies"]
    assert state == "warn"
    assert "galaxy_clusters/restSearch" in words and "are not sent; nothing else fails" in words


@pytest.mark.parametrize(
    ("level", "api", "words"),
    [
        ("identities", True, "indicators with organisations"),
        ("actors", True, "indicators with organisations and actors"),
        ("nothing", True, "indicators alone"),
        ("nothing", False, "indicators alone; the rest needs the STIX API and a ledger"),
    ],
)
def test_what_is_sent_beside_indicators_is_told(make_settings, level, api, words):
    ms_auth = MsAuth(workspace_id="11111111-1111-4111-8111-111111111111", new_upload_api=api)
    assert what_is_sent([make_settings(context=level, ms_auth=ms_auth)]) == words
