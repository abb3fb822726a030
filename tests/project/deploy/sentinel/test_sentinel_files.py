"""What ``deploy/sentinel`` holds: made of its queries and rules, within Sentinel's limits, for what is really sent."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from datetime import timedelta
from uuid import UUID

import pytest

from deploy.sentinel.made import files, queries
from deploy.sentinel.templates import iso
from deploy.sentinel.workbook import TILES
from tests.project.deploy.sentinel.workspace import (
    ASKED,
    KQL,
    RULES,
    SENTINEL,
    TABLES,
    context_of,
    of_attributes,
    of_sandbox,
)

# Microsoft: "entity types and identifiers" of the entities reference; those that the rules here map.
IDENTIFIERS = {
    "Account": {"FullName", "Name", "UPNSuffix"},
    "CloudApplication": {"AppId", "Name", "InstanceName"},
    "File": {"Directory", "Name"},
    "FileHash": {"Algorithm", "Value"},
    "Host": {"FullName", "HostName", "DnsDomain"},
    "IP": {"Address"},
    "RegistryKey": {"Hive", "Key"},
    "URL": {"Url"},
}
TACTICS = {"InitialAccess", "Execution", "Persistence", "DefenseEvasion", "CommandAndControl", "ResourceDevelopment"}


def made(name):
    return json.loads(files()[name])


# --- made of the queries and rules -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["workbook.json", "workbook.template.json", "rules.template.json"])
def test_a_file_is_what_its_command_makes(name):
    assert (SENTINEL / name).read_text(encoding="utf-8") == files()[name], "run .venv/bin/python -m deploy.sentinel"


def test_the_workbook_shows_each_query_once_with_its_parameters():
    items = {item["name"]: item["content"] for item in made("workbook.json")["items"] if item["type"] == 3}
    assert list(items) == [tile.query for tile in TILES] and items.keys() == queries().keys()
    for name, content in items.items():
        asked = re.sub(r'^let (\w+) = (@?)"\{\1\}";$', r'let \1 = \2"";', content["query"], flags=re.MULTILINE)
        assert asked == re.sub(r'^let (\w+) = (@?)".*";$', r'let \1 = \2"";', queries()[name], flags=re.MULTILINE)


def test_each_parameter_of_the_workbook_is_used_and_each_that_is_used_is_there():
    workbook = made("workbook.json")
    (parameters,) = (item["content"]["parameters"] for item in workbook["items"] if item["type"] == 9)
    contents = [item["content"] for item in workbook["items"] if item["type"] == 3]
    used = {name for content in contents for name in re.findall(r"\{(\w+)\}", content["query"]) if not name.isdigit()}
    used |= {content["timeContextFromParameter"] for content in contents if "timeContextFromParameter" in content}
    assert {parameter["name"] for parameter in parameters} == used
    assert {parameter["name"]: parameter["value"] for parameter in parameters if parameter["type"] == 1} == {
        "source": "MISP",
        "value": "",
        "price": "0",
    }


@pytest.mark.parametrize("tile", TILES, ids=lambda tile: tile.query)
def test_a_tile_looks_back_as_far_as_its_query(tile):
    """A workbook cuts a query off at the tile's time."""
    own = re.findall(r"TimeGenerated >= ago\(([0-9]+)d\)", queries()[tile.query])
    assert not own or {str(tile.days)} == {*own}


@pytest.mark.parametrize("name", ["workbook.template.json", "rules.template.json"])
def test_a_template_takes_no_query_for_an_expression_of_its_own(name):
    template = made(name)
    texts = [*strings(template["variables"])]
    assert texts and not any(text.startswith("[") for text in texts)
    expressions = [text for text in strings(template["resources"]) if text.startswith("[")]
    named = {name for text in expressions for name in re.findall(r"parameters\('(\w+)'\)", text)}
    assert named == template["parameters"].keys()
    assert all(text.endswith("]") and text.count("(") == text.count(")") for text in expressions)


def strings(tree):
    if isinstance(tree, str):
        yield tree
    else:
        for branch in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
            yield from strings(branch)


def test_the_rules_template_has_each_rule_and_its_query():
    template = made("rules.template.json")
    assert template["variables"]["queries"] == {name: rule["query"] for name, rule in RULES.items()}
    assert [resource["name"] for resource in template["resources"]] == [rule["id"] for rule in RULES.values()]
    for (name, rule), resource in zip(RULES.items(), template["resources"], strict=True):
        properties = resource["properties"]
        assert (properties["displayName"], properties["severity"]) == (rule["name"], rule["severity"])
        assert f"['{name}']" in properties["query"] and 'let source = "MISP";' in rule["query"]
        assert (properties["triggerOperator"], properties["triggerThreshold"]) == ("GreaterThan", 0)
        assert properties["tactics"] == rule["tactics"] and properties["techniques"] == rule["relevantTechniques"]


def test_alerts_for_one_indicator_are_one_incident_a_day():
    """Sentinel opens an incident for each alert where nothing is said, so one for each match in each hour."""
    rules = {resource["name"]: resource["properties"] for resource in made("rules.template.json")["resources"]}
    assert RULES.keys() - {"sync-is-silent"} == {
        name for name, rule in RULES.items() if "incidentConfiguration" in rule
    }
    for rule in RULES.values():
        if "incidentConfiguration" in rule:
            properties = rules[rule["id"]]
            grouping = properties["incidentConfiguration"]["groupingConfiguration"]
            assert properties["eventGroupingSettings"] == {"aggregationKind": "AlertPerResult"}
            assert grouping["enabled"] and (grouping["matchingMethod"], grouping["lookbackDuration"]) == (
                "Selected",
                "P1D",
            )
            assert {*grouping["groupByCustomDetails"]} == {"IndicatorId"} <= rule["customDetails"].keys()


# --- Sentinel's limits -----------------------------------------------------------------------------


def test_no_two_rules_have_one_id_or_one_name():
    assert len({rule["id"] for rule in RULES.values()}) == len({rule["name"] for rule in RULES.values()}) == len(RULES)
    assert all(str(UUID(rule["id"])) == rule["id"] for rule in RULES.values())


def time_of(duration):
    return timedelta(**{{"d": "days", "h": "hours", "m": "minutes"}[duration[-1]]: int(duration[:-1])})


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_is_within_sentinels_limits(rule):
    frequency, period = time_of(rule["queryFrequency"]), time_of(rule["queryPeriod"])
    assert timedelta(minutes=5) <= frequency <= period <= timedelta(days=14)
    assert frequency >= timedelta(hours=1) or period < timedelta(days=2)
    assert time_of(rule.get("suppressionDuration", "5h")) <= timedelta(hours=24)
    assert len(rule["query"]) <= 10_000 and len(rule["name"]) <= 256 and len(rule["description"]) <= 5_000
    assert {*rule["tactics"]} <= TACTICS and all(re.fullmatch("T[0-9]{4}", code) for code in rule["relevantTechniques"])
    assert len(rule["customDetails"]) <= 20 and all(
        re.fullmatch("[A-Za-z0-9]{1,20}", key) for key in rule["customDetails"]
    )
    assert (rule["kind"], rule["severity"]) == ("Scheduled", "Medium")


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_maps_entities_that_sentinel_knows(rule):
    entities = rule.get("entityMappings", [])
    assert len(entities) <= 10
    for entity in entities:
        fields = [field["identifier"] for field in entity["fieldMappings"]]
        assert {*fields} <= IDENTIFIERS[entity["entityType"]] and 1 <= len(fields) <= 3


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_connectors_of_a_rule_fill_the_tables_that_it_reads(rule):
    filled = {table for connector in rule["requiredDataConnectors"] for table in connector["dataTypes"]}
    assert filled == {table for table in TABLES if re.search(rf"\b{table}\b(?!\")", rule["query"])}


@pytest.mark.parametrize(("short", "long"), [("14d", "P14D"), ("1h", "PT1H"), ("5m", "PT5M")])
def test_durations_are_iso_8601_in_a_template(short, long):
    assert iso(short) == long
    with pytest.raises(ValueError, match="not a duration"):
        iso(long)


# --- documented columns, and what is really sent ---------------------------------------------------


def test_each_table_has_its_page_and_each_of_its_columns_is_used():
    everything = "\n".join([*KQL.values(), *ASKED.values()])
    for name, table in TABLES.items():
        page = f"https://learn.microsoft.com/azure/azure-monitor/reference/tables/{name.lower()}"
        assert table["url"] == page
        assert [column for column in table["columns"] if not re.search(rf"\b{column}\b", everything)] == []


def diagnostics(texts):
    """Return what Microsoft's parser says of KQL, by name; the test is skipped where it is not installed."""
    place = SENTINEL / "kusto"
    node = shutil.which("node")
    if not (node and (place / "node_modules").is_dir()):
        missing = (
            "Microsoft's parser of KQL is not here: with Node.js, npm ci --prefix deploy/sentinel/kusto installs it"
        )
        (pytest.fail if os.environ.get("CI", "").lower() == "true" else pytest.skip)(missing)
    asked = {"tables": {name: table["columns"] for name, table in TABLES.items()}, "queries": texts}
    done = subprocess.run(
        [node, place / "diagnostics.js"], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_microsofts_parser_takes_each_query_with_the_documented_columns_alone():
    said = diagnostics({**KQL, **ASKED, "wrong": "ThreatIntelIndicators\n| where NetworkIP == 'a'"})
    assert said.pop("wrong") == [
        "line 2: Error: The name 'NetworkIP' does not refer to any known column, table, variable or function."
    ]
    assert {name: messages for name, messages in said.items() if messages} == {}


def everything_sent():
    """Indicators of every kind that a rule looks for."""
    hashes = {"md5": "0" * 32, "sha1": "0" * 40, "sha256": "0" * 64}
    prints = [(f"x509-fingerprint-{kind}", value) for kind, value in hashes.items()]
    named = [(f"filename|{kind}", f"a.exe|{value}") for kind, value in hashes.items()]
    return [*of_sandbox(), *of_attributes(*prints, *named, ("regkey", r"HKLM\Bad"), ("ip-src", "2001:db8::1"))]


def test_each_pattern_that_a_rule_looks_for_is_one_that_is_sent():
    patterns = [indicator["pattern"] for indicator in everything_sent()]
    wanted = {
        prefix for rule in RULES.values() for prefix in re.findall(r'Pattern startswith "([^"]+)"', rule["query"])
    }
    assert len(wanted) == 6
    assert [prefix for prefix in wanted if not any(pattern.startswith(prefix) for pattern in patterns)] == []
    assert all(re.fullmatch(r"\[[^ ]+ = '.*'\]", pattern, re.DOTALL) for pattern in patterns), "one comparison each"


def test_each_property_that_is_read_of_an_indicator_is_one_that_is_sent():
    read = {name for text in KQL.values() for name in properties_in(text) if "ThreatIntelObjects" not in text}
    assert read == {"name", "description", "labels", "created_by_ref"}
    assert read <= {name for indicator in of_sandbox() for name in indicator}


def properties_in(query):
    return re.findall(r"\bData\.(\w+)", query)


def test_each_property_type_and_verb_that_is_read_beside_indicators_is_one_that_is_sent():
    query = queries()["actors-behind"]
    sent = context_of(of_sandbox()[0])
    read = {*properties_in(query)}
    assert read == {"name", "relationship_type", "revoked", "source_ref", "target_ref"}
    assert read - {"revoked"} <= {name for said in sent for name in said}, "what leaves is sent as revoked"
    kinds = {said["type"] for said in sent} | {said.get("relationship_type") for said in sent}
    assert {*re.findall(r'"([a-z][a-z-]+)"', query)} == {"threat-actor", "attack-pattern", "relationship", "indicates"}
    assert {"threat-actor", "attack-pattern", "relationship", "indicates"} <= kinds
