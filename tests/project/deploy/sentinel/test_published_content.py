"""The page's tables of what Microsoft's published content reads have what is sent, and agree with each other."""

import re

import pytest

from helpers.settings import Settings
from helpers.settings.config.values.observable_kinds import _PATHS
from helpers.sync import Sort, not_matched
from tests.project.test_docs import codes, column, page, rows, section

TABLES = section(page("docs/sentinel.md"), "## What Microsoft's published content reads")
PATTERNS = [row for row in rows(TABLES) if len(row) == 4]
LOGS = {codes(row[0])[0]: row[1] for row in rows(TABLES) if len(row) == 2}
SENT = {
    pattern.strip("[]").partition(" = ")[0]
    for pattern in column(section(page("docs/how-it-decides.md"), "## What becomes of a value"), -1)
    if pattern.startswith("[") or ":" in pattern
}


def row_of(path):
    """Return the row of a pattern: the one that names most of its path."""
    named = [(len(code), row) for row in PATTERNS for code in codes(row[0]) if path.startswith(code)]
    assert named, f"{path} has no row"
    return max(named, key=lambda found: found[0])[1]


@pytest.mark.parametrize("path", sorted({*_PATHS, *SENT}))
def test_each_pattern_that_is_sent_has_its_row(path):
    assert all(row_of(path))


def test_each_row_is_of_patterns_that_are_sent():
    for row in PATTERNS:
        for code in codes(row[0]):
            assert any(path.startswith(code) for path in (*_PATHS, *SENT)), code


@pytest.mark.parametrize("pattern", LOGS)
def test_as_many_rules_are_named_as_are_counted(pattern):
    named = re.sub(r" \([^)]*\)", "", LOGS[pattern]).split(", ")
    assert len(set(named)) == len(named)
    counted = [int(re.match(r"\d+", row[1])[0]) for row in PATTERNS if pattern in row[0] and row[1][0].isdigit()]
    assert max(counted) == len(named)


def test_the_rules_of_every_pattern_that_is_counted_are_named():
    counted = {code for row in PATTERNS if row[1][0].isdigit() for code in codes(row[0])}
    assert all(any(code.startswith(pattern) for pattern in LOGS) for code in counted)


def test_what_a_run_and_check_say_of_the_rules_is_what_the_page_says():
    no_ipv6, urls, confidence = not_matched(Settings(), dict.fromkeys(Sort, 2))
    assert row_of("ipv6-addr:value")[1].startswith("none") and "no rule that Microsoft publishes" in no_ipv6
    rules, blind, alike = map(int, re.findall(r"(?<![\w`])\d+", row_of("url:value")[1]))
    assert f"{rules - blind - alike} of Microsoft's {rules} rules never match them" in urls
    (above,) = re.findall(r"AppServiceHTTPLogs \(only a confidence above (\d+)\)", LOGS["ipv4-addr:value"])
    assert confidence == f"default_confidence {above}: the rule for AppServiceHTTPLogs wants more"
    assert list(not_matched(Settings(default_confidence=int(above) + 1), {Sort.IPV4: 1})) == []
