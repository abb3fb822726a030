"""The sample events are harmless and recent, and the sandbox starts by hand."""

import ipaddress
import json
import re
import runpy
import shlex
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import pymisp
import pytest
import requests

from sandbox import place
from sandbox.__main__ import ADVICE, DIRECTORY, _advice, main
from sandbox.azure.app import AzureState
from sandbox.misp.records import attributes
from sandbox.samples import CLUSTERS, demo_misp, recent, sample_events
from sandbox.serve import Sandbox

ROOT = Path(__file__).parents[2]
NOW = 1_900_000_000
NETWORKS = [
    ipaddress.ip_network(text)
    for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "10.0.0.0/8", "127.0.0.0/8")
]
NAME = re.compile(r"(?:[\w*-]+\.)+(?:example\.org|example|test)\.?", re.IGNORECASE)
EVENTS = sample_events()


def values(*types):
    every_attribute = (attribute for event in EVENTS for attribute in attributes(event))
    return [
        part for attribute in every_attribute if attribute["type"] in types for part in attribute["value"].split("|")
    ]


def is_documentation(value):
    network = ipaddress.ip_network(value)
    return any(network.version == known.version and network.subnet_of(known) for known in NETWORKS)


def test_uuids_are_random_and_unique():
    records = [*EVENTS, *(record for event in EVENTS for record in (*event["Object"], *attributes(event)))]
    uuids = [UUID(record["uuid"]) for record in records]
    assert {uuid.version for uuid in uuids} == {4}
    assert len(set(uuids)) == len(uuids)


def test_types_and_categories_are_those_of_misp():
    known = pymisp.MISPAttribute().describe_types["category_type_mappings"]
    for event in EVENTS:
        pymisp.MISPEvent().load(event)
        assert all(attribute["type"] in known[attribute["category"]] for attribute in attributes(event))


def test_addresses_and_names_are_for_documentation():
    assert all(map(is_documentation, values("ip-src", "ip-dst")))
    assert all(NAME.fullmatch(value) for value in values("domain", "hostname"))


def test_times_move_together_until_the_newest_is_an_hour_old():
    moved = recent(EVENTS, NOW)
    shifts = {int(new["timestamp"]) - int(old["timestamp"]) for new, old in zip(moved, EVENTS, strict=True)}
    assert len(shifts) == 1
    assert max(int(event["timestamp"]) for event in moved) == NOW - 3600
    assert min(event["date"] for event in moved) == "2030-03-09"
    assert {event["publish_timestamp"] for event in moved if not event["published"]} == {"0"}
    seen = [attribute["last_seen"] for event in moved for attribute in attributes(event) if attribute.get("last_seen")]
    assert sum(time > "2030-03-17" for time in seen) == 1


def test_demo_has_something_to_skip():
    state = demo_misp(lambda: NOW)
    events = list(state.events())
    assert [event["published"] for event in events].count(False) == 1
    assert any(attribute["value"] in state.warninglist for event in events for attribute in attributes(event))


def tags(*records):
    return {tag["name"] for record in records for tag in record.get("Tag", ()) if "misp-galaxy:" in tag["name"]}


def test_the_demo_names_an_actor_a_technique_and_an_organisation():
    state = demo_misp(lambda: NOW)
    known = {cluster["tag_name"]: cluster for cluster in state.clusters}
    named = {event["info"]: tags(event, *attributes(event)) & known.keys() for event in state.events()}
    kinds = {known[tag]["type"] for found in named.values() for tag in found}
    assert kinds == {"threat-actor", "mitre-intrusion-set", "mitre-attack-pattern"}
    assert all(event["Orgc"]["name"] and event["Orgc"]["uuid"] for event in state.events())
    all_tags = [tag for event in state.events() for one in attributes(event) for tag in one.get("Tag", ())]
    local = [tag for tag in all_tags if tag["local"] and tag["is_galaxy"]]
    assert [tag["name"] in known for tag in local] == [True]


def test_the_demos_intrusion_set_is_its_actor_and_uses_a_technique_that_an_event_names():
    state = demo_misp(lambda: NOW)
    (actor,) = (one for one in state.clusters if one["type"] == "threat-actor")
    (group,) = (one for one in state.clusters if one["type"] == "mitre-intrusion-set")
    relations = {
        (one["referenced_galaxy_cluster_type"], state.cluster(one["referenced_galaxy_cluster_uuid"])["tag_name"])
        for one in group["GalaxyClusterRelation"]
    }
    named = tags(*EVENTS, *(attribute for event in EVENTS for attribute in attributes(event)))
    assert {("similar", actor["tag_name"])} < relations and {tag for _, tag in relations} < named
    assert {verb for verb, _ in relations} == {"similar", "uses"}


def test_one_of_the_demos_tags_is_of_a_galaxy_that_is_no_more_and_one_names_nothing():
    known = {cluster["tag_name"] for cluster in demo_misp(lambda: NOW).clusters}
    unknown = tags(*EVENTS) - known
    renamed = {tag.replace("mitre-enterprise-attack-attack-pattern", "mitre-attack-pattern") for tag in unknown}
    assert len(renamed & known) == 1
    assert 'misp-galaxy:threat-actor="Invoice Mantis"' in renamed - known


def test_clusters_are_the_projects_own_and_lead_to_no_real_site():
    text = CLUSTERS.read_text(encoding="utf-8")
    assert set(re.findall(r"https?://([^/\"]+)", text)) == {"blog.example.org", "catalogue.example.org"}
    uuids = [UUID(cluster["uuid"]) for cluster in json.loads(text)]
    assert {uuid.version for uuid in uuids} == {4} and len(set(uuids)) == len(uuids)


def test_command_runs_with_the_config(tmp_path, capfd):
    code = "import os, runpy; print(runpy.run_path(os.environ['MISP2SENTINEL_CONFIG'])['misp_domain']); exit(3)"
    assert main(["--dir", str(tmp_path), "--run", "--", sys.executable, "-c", code]) == 3
    config = runpy.run_path(str(tmp_path / "config.py"))
    out = capfd.readouterr().out
    assert out.count(config["misp_domain"]) == 2
    assert "In the workspace: 0 live objects after 0 uploads" in out
    assert config["misp_verifycert"] == str(tmp_path / "ca.pem")


def test_the_ledger_of_an_earlier_sandbox_is_forgotten_and_nothing_else(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite.1.lock", "misp2sentinel.log"):
        (state / name).write_text("of another MISP")
    main(["--dir", str(tmp_path), "--run", "--", sys.executable, "-c", ""])
    assert [path.name for path in state.iterdir()] == ["misp2sentinel.log"]


def test_the_demo_and_the_sandbox_by_hand_have_a_place_each():
    demo = re.search(r"^BOX := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert Path(demo) != DIRECTORY
    assert {DIRECTORY.parts[0], Path(demo).parts[0]} == {".sandbox"}


def test_the_demo_can_be_run_again_and_adopt_be_tried(tmp_path, capfd):
    script = [sys.executable, str(ROOT / "script.py")]
    run = ["--dir", str(tmp_path), "--run", "--"]
    assert main([*run, *script]) == 0
    assert "threat-actor" in capfd.readouterr().out
    assert main([*run, *script]) == 0
    assert "after 2 uploads\n" in capfd.readouterr().out
    assert main([*run, *script, "adopt", "--dry-run"]) == 0


def test_a_real_sites_settings_lead_no_run_elsewhere(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("misp2sentinel_misp_domain", "https://misp.example.org")
    monkeypatch.setenv("MISP2SENTINEL_MISP_KEY", "real")
    code = "import os; print(sorted(name for name in os.environ if name.upper().startswith('MISP2SENTINEL_')))"
    assert main(["--dir", str(tmp_path), "--run", "--", sys.executable, "-c", code]) == 0
    assert "['MISP2SENTINEL_CONFIG']\n" in capfd.readouterr().out


def test_the_advice_is_short_and_has_one_export():
    commands = [line.partition("#")[0].strip() for line in ADVICE.splitlines() if line.startswith("  ")]
    ours = [line for line in commands if line.startswith("misp2sentinel")]
    assert len(ours) > 5 and all(len(line) < 60 for line in ours)
    assert sum(line.startswith("export ") for line in commands) == 1


def test_the_advice_has_an_alert_of_what_is_live_and_tells_misp(tmp_path):
    with Sandbox(AzureState(), demo_misp(time.time), directory=tmp_path) as box:
        place.furnish(box, tmp_path)
        command = str(tmp_path / "bin" / place.COMMAND)
        assert subprocess.run([command], check=False).returncode == 0
        (alert,) = (line for line in _advice(box, tmp_path).splitlines() if "/alerts" in line)
        *_, url, _, body = shlex.split(alert)
        shown = requests.post(url, data=body, verify=box.ca_file, timeout=10)
        assert shown.status_code == 201 and json.loads(body)["value"] in shown.json()["Entities"]
        assert subprocess.run([command, "sightings"], check=False).returncode == 0
        seen = {box.misp.find_attribute(one["attribute_id"])[1]["value"] for one in box.misp.sightings}
    assert seen == {"c2.loader.example", "c2.loader.example|198.51.100.77"}


@pytest.mark.parametrize("arguments", [["--run"], ["stray"]])
def test_run_and_command_go_together(arguments, capfd):
    with pytest.raises(SystemExit):
        main(arguments)
    assert "--run and a command go together" in capfd.readouterr().err
