"""The page about actors and techniques says what is sent, and how much of it."""

from __future__ import annotations

import ast
import json
import re
import runpy

import pytest

from deploy.sentinel.made import queries
from helpers.context import Cluster, ContextLevel, Kind, Stix, of_cluster
from helpers.settings.model import Settings
from helpers.sync.context.context_sync import MOST_LEAVING
from helpers.sync.context.desired import DesiredContext, Ends, desired_identity, desired_relationship
from helpers.sync.context.event_relations import MOST_RELATIONS
from helpers.sync.report.context import MOST_TAGS
from tests.project.test_docs import ROOT, codes, page, rows, section
from tests.support.stix_rules import broken_rules

PAGE = page("docs/actors-and-techniques.md")
OF_A_SENDING = ("id", "created", "modified")


def fenced(language: str) -> str:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0]


EXAMPLES = json.loads(fenced("json"))


def made_again(example: Stix) -> tuple[str, Stix]:
    """Return the id of the first life and all else that is sent of what an example is about."""
    uuid = example["id"].partition("--")[2]
    if example["type"] == Kind.IDENTITY:
        return of(desired_identity(uuid, example["name"]))
    if example["type"] == Kind.RELATIONSHIP:
        ends = Ends(example["relationship_type"], example["source_ref"], example["target_ref"])
        return of(desired_relationship(ends, example.get("object_marking_refs", ())))
    cluster = cluster_of(example, uuid)
    return cluster.end, of_cluster(cluster)


def of(wanted: DesiredContext | None) -> tuple[str, Stix]:
    assert wanted
    return wanted.first_id, dict(wanted.says)


def cluster_of(example: Stix, uuid: str) -> Cluster:
    (tag,) = example["labels"]
    references = example["external_references"]
    return Cluster(
        uuid,
        tag,
        galaxy=tag.partition(":")[2].partition("=")[0],
        name=example["name"],
        version="1",
        distribution="3",
        aliases=tuple(example.get("aliases", ())),
        description=example["description"],
        references=tuple(one["url"] for one in references if one["source_name"] == "misp-galaxy"),
        number=next((one["external_id"] for one in references if "external_id" in one), ""),
        kill_chain=tuple((one["kill_chain_name"], one["phase_name"]) for one in example.get("kill_chain_phases", ())),
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.get("relationship_type", example["type"]))
def test_an_example_is_what_is_sent_and_what_the_sandboxs_azure_takes(example):
    said = {name: value for name, value in example.items() if name not in OF_A_SENDING}
    assert (example["id"], said) == made_again(example)
    assert not broken_rules(example)


def test_there_is_an_example_of_each_kind_and_of_each_verb():
    kinds = [row[1].strip("`") for row in rows(section(PAGE, "## What arrives"))]
    assert kinds == list(dict.fromkeys(example["type"] for example in EXAMPLES))
    assert {*kinds} == set(Kind) - {Kind.INDICATOR}
    verbs = {example["relationship_type"] for example in EXAMPLES if "relationship_type" in example}
    assert all(f"*{verb}*" in PAGE for verb in verbs)


def test_the_query_is_the_file():
    assert fenced("kusto") == queries()["actors-behind"].partition("\n")[2].strip() + "\n"


def test_each_value_of_the_setting_has_its_row_and_what_is_shipped_is_that():
    levels, settings = re.split(r"(?=^\| setting )", section(PAGE, "## How far"), flags=re.MULTILINE)
    assert [codes(row[0])[0].strip('"') for row in rows(levels)] == list(ContextLevel)
    assert [codes(row[0])[0].strip('"') for row in rows(levels) if "the default" in row[1]] == [Settings().context]
    shipped = runpy.run_path(str(ROOT / "config.py"))
    for row in rows(settings):
        assert ast.literal_eval(codes(row[1])[0]) == shipped[codes(row[0])[0]]


@pytest.mark.parametrize(
    ("values", "level"),
    [({}, "actors"), ({"state_url": "none"}, "nothing"), ({"ms_auth": {"graph_api": True}}, "nothing")],
    ids=["STIX objects API", "no ledger", "Graph"],
)
def test_without_a_value_it_is_what_can_be(values, level):
    assert Settings(**values).context_level == level


def test_its_numbers_are_those_of_the_program():
    how_far, leaving = section(PAGE, "## How far"), section(PAGE, "## What leaves, and when")
    assert f"at most {MOST_RELATIONS:,} relationships" in how_far
    assert f"At most {MOST_LEAVING:,} of these" in leaving
    assert MOST_TAGS == 10 and "names the ten that most events have" in PAGE
