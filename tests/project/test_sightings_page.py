"""The page about sightings says what is asked, what counts, and what becomes of it."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime

import pytest

from constants import NotSighted
from deploy.sentinel.made import rules
from helpers.commands.explain.sightings import _how_often, _in_misp, seen_as_json
from helpers.commands.sightings.summary import lines_of
from helpers.ledger import REMEMBERED_DAYS, Seen, SightingRecord, SightingStage
from helpers.microsoft.reading.queries import PERMISSION, alerts_query, verdicts_query
from helpers.settings.model import Settings
from helpers.sync import SightingsReport
from helpers.sync.sightings import MOST_DAYS
from helpers.sync.sightings.deciding import MOST_ATTRIBUTES
from helpers.sync.sightings.naming import fits, normal_value
from helpers.sync.sightings.run import MOST_WRITTEN
from helpers.sync.sightings.window import FIRST, OVERLAP
from helpers.sync.sightings.writing import FAILURES_IN_A_ROW, _described
from tests.project.site.commands import blocks
from tests.project.test_docs import ROOT, codes, column, page, rows, section

PAGE = page("docs/sightings.md")


def fenced(language: str) -> list[str]:
    return [block.text for block in blocks(ROOT / "docs/sightings.md") if block.language == language]


def test_the_queries_are_those_that_are_asked():
    alerts, verdicts = fenced("kusto")
    since, until = (int(datetime(2026, 11, 30, hour, tzinfo=UTC).timestamp()) for hour in (0, 1))
    assert alerts == f"{alerts_query(since, until)}\n"
    assert verdicts == f"{verdicts_query(since, until)}\n"
    assert f"`{' '.join(PERMISSION.split())}`" in PAGE


def test_what_a_dry_run_shows_is_as_the_program_says_it():
    (shown,) = [block.splitlines() for block in fenced("none") if block.startswith("sighting ")]
    seen = [line for line in shown if line.startswith("sighting ")]
    counts = Counter({NotSighted.PRIVATE: 1})
    report = SightingsReport(dry_run=True, alerts=6, matches=3, waiting=3, other_rules=1, unknown=2, left_out=counts)
    assert shown[len(seen) :] == [line.text() for line in lines_of(report, "")]
    for line in seen:
        _, at, attribute, value = line.split()
        record = SightingRecord(attribute, "", "", 0, int(datetime.fromisoformat(at).timestamp()), value)
        assert line == f"sighting {_described(record)}"


def test_what_explain_says_is_as_the_program_says_it():
    (shown,) = [block.strip() for block in fenced("none") if block.startswith("  seen: ")]
    source = re.findall(r'"source": "([^"]+)"', PAGE)[0]
    at = int(datetime(2026, 11, 30, 13, 45, tzinfo=UTC).timestamp())
    days = (f"2026-11-{day}" for day in (28, 29, 30))
    written = tuple(SightingRecord("", day, "", 0, at, "", SightingStage.WRITTEN) for day in days)
    known = seen_as_json(Seen(14, at, written), source)
    assert shown == f"seen: {_how_often(known)}; {_in_misp(known)}"


@pytest.mark.parametrize("row", rows(section(PAGE, "### Which values")), ids=lambda row: row[1])
def test_an_entity_is_looked_up_as_the_table_says(row):
    (kind,), (text,), (value,) = map(codes, row)
    assert normal_value(kind, text) == value


def test_every_kind_of_entity_that_is_asked_for_has_its_example():
    asked = re.findall(r'Kind == "(\w+)"', alerts_query(0, 1))
    assert set(column(section(PAGE, "### Which values"))) == set(asked)


def test_every_state_of_a_match_and_every_reason_has_its_row():
    table = section(PAGE, "## What becomes of a match")
    names = [stage.value for stage in SightingStage] + [reason.name.lower() for reason in NotSighted]
    assert sorted(column(table)) == sorted(names)


def test_the_numbers_are_the_programs():
    for words in (
        f"looks\n   back {FIRST // 3600} hours",
        f"{MOST_DAYS} days at most",
        f"never further back than {MOST_DAYS} days",
        f"[{MOST_ATTRIBUTES} at most]",
        f"more than {MOST_ATTRIBUTES} attributes",
        f"count for {REMEMBERED_DAYS} days",
        f"a run writes {MOST_WRITTEN:,} at most",
    ):
        assert words in PAGE
    assert (OVERLAP, "of the hour before" in PAGE) == (3600, True)
    assert (FAILURES_IN_A_ROW, "after three\n  answers in a row" in PAGE.lower()) == (3, True)


def test_the_rules_setting_that_is_shown_takes_the_names_that_it_is_for():
    shown = next(block for block in fenced("python") if "misp_sightings" in block)
    patterns = re.findall(r'"([^"]+)"', shown.partition("[")[2])
    assert patterns[0] in Settings().misp_sightings.rules
    for name in (
        "TI Map IP Entity to DuoSecurity",
        "The IP 198.51.100.7 of the web request matches an IP IoC",
        "The response 198.51.100.7 to DNS query matched an IoC ",
    ):
        assert fits(name, patterns), name
    assert not fits("A network session Source address 198.51.100.7 matched an IoC. ", patterns)


def test_our_own_rules_that_match_indicators_name_their_ids():
    named = {name for name, rule in rules().items() if "IndicatorId" in rule.get("customDetails", {})}
    text = PAGE.partition("Our own rules, ")[2].partition("]")[0]
    assert set(codes(text)) == named


PUBLISHED = {
    codes(row[0])[0]: set(re.sub(r" \([^)]*\)", "", row[1]).split(", "))
    for row in rows(section(page("docs/sentinel.md"), "## What Microsoft's published content reads"))
    if len(row) == 2
}
OF_INDICATORS = {"addresses": "ipv4-addr:value", "domains": "domain-name:value", "URLs": "url:value"}
OF_INDICATORS |= {"email addresses": "email-addr:value", "hashes": "file:hashes"}
OF_RULES = [row for row in rows(section(PAGE, "## Which rules lead to a sighting")) if len(row) == 4]


@pytest.mark.parametrize("row", OF_RULES, ids=lambda row: row[0])
def test_each_published_rule_that_the_page_about_them_names_stands_in_one_column(row):
    published = PUBLISHED[OF_INDICATORS[row[0]]]
    if row[3].startswith("all eight"):
        assert (row[1:3], len(published)) == (["none", "none"], 8)
        return
    cells = [re.sub(r" \((?:[^()]|\([^()]*\))*\)", "", cell.partition(": their alerts")[0]) for cell in row[1:]]
    named = [name for cell in cells if cell != "none" for name in re.split(", | and ", cell)]
    assert (set(named), len(named)) == (published, len(published))
