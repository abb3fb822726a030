"""What ``deploy/`` has for Prometheus and Grafana: they take it, and it asks for nothing but what metrics writes."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from helpers.commands.monitoring.metrics.measures import MEASURES, PREFIX
from tests.project.test_docs import anchors, codes, rows, section
from tests.support.processes import Host, load
from tests.support.tls_site import sandbox

ROOT = Path(__file__).resolve().parents[3]
PLACE = ROOT / "deploy" / "prometheus"
RULES, UNIT_TESTS = PLACE / "misp2sentinel.rules.yml", PLACE / "misp2sentinel.rules.test.yml"
MONITOR = (ROOT / "docs" / "monitor.md").read_text(encoding="utf-8")
MISSING = "promtool was not found: install Debian's package prometheus"


def promtool(*arguments, stdin=""):
    """What promtool says; without it tests are skipped, and fail where CI runs."""
    program = shutil.which("promtool")
    if program is None:
        (pytest.fail if os.environ.get("CI", "").lower() == "true" else pytest.skip)(MISSING)
    done = subprocess.run([program, *map(str, arguments)], input=stdin, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def alerts():
    (group,) = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def asked_for(text):
    """The names, without the prefix, of our metrics that an expression asks for."""
    return {name.removeprefix(PREFIX) for name in re.findall(rf"\b{PREFIX}\w+", text)}


# -- the file -----------------------------------------------------------------------------------------


def test_what_a_run_leaves_is_as_prometheus_wants_it(tmp_path):
    path = tmp_path / "misp2sentinel.prom"
    with sandbox()[0] as box:
        load(box, 2, 3)
        ran = Host(box, tmp_path / "state", METRICS_FILE=str(path)).run()
    assert (ran.returncode, ran.stderr) == (0, "")
    families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    assert {family.name.removeprefix(PREFIX) for family in families} <= MEASURES.keys()
    assert promtool("check", "metrics", stdin=path.read_text(encoding="utf-8")) == (0, "")


def test_every_metric_is_explained():
    table = rows(section(MONITOR, "## Prometheus and Grafana").partition("### Alerts")[0])
    named = {codes(name)[0].removeprefix(PREFIX): (labels, meaning) for name, labels, meaning in table}
    assert named.keys() == MEASURES.keys()
    for name, measure in MEASURES.items():
        labels, meaning = named[name]
        assert codes(labels.partition(", without")[0]) == list(measure.labels) and meaning
        assert ("without `destination`" in labels) is not measure.of_destination


# -- alerts -------------------------------------------------------------------------------------------


def test_prometheus_takes_the_rules():
    code, said = promtool("check", "rules", "--lint-fatal", RULES)
    assert (code, f"SUCCESS: {len(alerts())} rules found" in said) == (0, True), said


def test_each_rule_does_what_its_tests_say():
    code, said = promtool("test", "rules", UNIT_TESTS)
    assert code == 0, said


def test_each_rule_is_tested_firing_and_not():
    cases = [case for test in yaml.safe_load(UNIT_TESTS.read_text())["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == alerts().keys()
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == alerts().keys()


def test_each_alert_is_explained_and_says_where_to_read_on():
    table = {codes(row[0])[0]: row[1] for row in rows(section(MONITOR, "### Alerts"))}
    assert table == {name: rule["labels"]["severity"] for name, rule in alerts().items()}
    for rule in alerts().values():
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert anchor in anchors(ROOT / page)


def test_the_rules_ask_for_nothing_that_is_not_written():
    for rule in alerts().values():
        assert asked_for(rule["expr"]) <= MEASURES.keys()
        assert asked_for(rule["expr"]) or "node_textfile_mtime_seconds" in rule["expr"]


# -- the dashboard ------------------------------------------------------------------------------------

DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "misp2sentinel.json").read_text(encoding="utf-8"))
PANELS = DASHBOARD["panels"]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24
COLOUR = re.compile(r"(super-light-|light-|semi-dark-|dark-)?(red|orange|yellow|green|blue|purple)")


def within(value, name):
    """Every value that some dictionary in a dashboard has under this name."""
    if isinstance(value, dict):
        yield from [value[name]] if name in value else []
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from within(one, name)


def test_prometheus_takes_each_of_its_questions(tmp_path):
    asked = [expr.replace("$destination", ".*") for expr in within(PANELS, "expr")]
    assert len(asked) >= len(PANELS) and not any("$" in expr for expr in asked)
    rules = tmp_path / "questions.yml"
    records = [{"record": f"asked:{number}", "expr": expr} for number, expr in enumerate(asked)]
    rules.write_text(yaml.safe_dump({"groups": [{"name": "questions", "rules": records}]}))
    code, said = promtool("check", "rules", rules)
    assert (code, f"SUCCESS: {len(asked)} rules found" in said) == (0, True), said


def test_it_asks_for_nothing_that_is_not_written():
    questions = [*within(PANELS, "expr"), *within(DASHBOARD["templating"], "definition")]
    for expr in questions:
        assert asked_for(expr) and asked_for(expr) <= MEASURES.keys()
        known = {label for name in asked_for(expr) for label in MEASURES[name].all_labels}
        assert {label for by in re.findall(r"\bby \(([^)]*)\)", expr) for label in by.split(", ")} <= known
        assert set(re.findall(r"(\w+)(?:=~|!=|=)\"", expr)) <= known


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_and_where_it_is_from(panel):
    assert panel["title"] and panel["description"].endswith(".") and panel["fieldConfig"]["defaults"]["unit"]
    assert all(source == SOURCE for source in within(panel, "datasource"))
    legends = {label for target in panel["targets"] for label in re.findall(r"{{(\w+)}}", target["legendFormat"])}
    grouped = {by for expr in within(panel, "expr") for by in re.findall(r"\bby \((\w+)\)", expr)}
    assert legends == grouped, "what tells its series apart is in their names"


def test_panels_fill_the_grid_and_none_lies_on_another():
    cells = [
        (column, row)
        for place in (panel["gridPos"] for panel in PANELS)
        for column in range(place["x"], place["x"] + place["w"])
        for row in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len({*cells})
    assert len(cells) == COLUMNS * (1 + max(row for _, row in cells)), "and there is no gap"


def test_it_can_be_imported_anywhere():
    assert DASHBOARD["uid"] == "misp2sentinel" and "id" not in DASHBOARD
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "destination"]
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_its_colours_are_the_themes_own():
    """By name, each is another one on dark and on light."""
    named = [colour for name in ("color", "fixedColor") for colour in within(DASHBOARD, name)]
    assert all(COLOUR.fullmatch(colour) for colour in named if isinstance(colour, str))
    assert "#" not in json.dumps(within(DASHBOARD, "fieldConfig"), default=list)
