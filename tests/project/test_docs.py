"""What the documents say is what is there."""

from __future__ import annotations

import argparse
import ast
import os
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

import constants
from constants import Skip
from deploy.site.contents import PAGES as ON_THE_SITE
from deploy.supply.pins import asked_for
from helpers.commands.command_line import EXIT_CODES, make_parser
from helpers.errors import MicrosoftError, MispError, RunActive, SettingsError
from helpers.indicators.convert import convert_event
from helpers.indicators.rules import ConversionRules
from helpers.ledger.records import Stage
from helpers.microsoft.batch import OutcomeState
from helpers.microsoft.tokens import _HINTS
from helpers.misp import SettingNames
from helpers.settings import clouds, credentials, environment, load
from helpers.settings.config.old_names import FLAT
from helpers.settings.model import Settings
from helpers.settings.sections import MispStories
from helpers.stories.misp_event import TEMPLATES
from helpers.sync.report import Report
from helpers.sync.sightings.report import SightingsReport
from helpers.sync.withdrawals import WithdrawalLimits

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")])
NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVENT = "aaaaaaaa-0000-4000-8000-000000000001"
ATTRIBUTE = "aaaaaaaa-0000-4000-8000-000000000002"
KNOWN_HOSTS = ("example.org", "azure.com", "azure.us", "azure-api.net", "microsoft.com", "microsoftonline.com")
KNOWN_HOSTS += (
    "attack.mitre.org",
    "github.com",
    "healthchecks.io",
    "microsoftonline.us",
    "microsoft.us",
    "usgovcloudapi.net",
    "vault.azure.net",
)
LOG_MESSAGES = [value for name, value in vars(constants).items() if name.startswith("LOG_")]
DIGITS = "0123456789abcdef" * 8
LENGTHS = {"sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128, "sha512/224": 56, "sha512/256": 64, "tlsh": 70}
LENGTHS |= {"imphash": 32, "authentihash": 64, "pehash": 40}
LENGTHS |= {"x509-fingerprint-sha1": 40, "x509-fingerprint-sha256": 64}
FUZZY = {
    "ssdeep": "96:s4Ud1Lj96tHHlZDrwciQmA+4uy1I0G4HYuL8N3TzS8QsO/wqWXLcMSx:sF1LjEtHHlZDrJzrhuyZvHYm8tKp/RWO",
    "impfuzzy": "48:8CpLQ5y1gNAVWB:8CpLQ5y1",
}


@cache
def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """Return what stands under a heading, until the next of its level or above."""
    level = heading.partition(" ")[0]
    rest = text.partition(f"\n{heading}\n")[2]
    assert rest, f"no heading {heading!r}"
    return re.split(rf"\n#{{1,{len(level)}}} ", rest)[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of every table row below the tables' headings."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    heads = [index for index, row in enumerate(cells) if set("".join(row)) <= {"-", " "}]
    return [row for index, row in enumerate(cells) if index not in heads and index + 1 not in heads]


def codes(cell: str) -> list[str]:
    return [code.replace("\\|", "|") for code in re.findall(r"`([^`]+)`", cell)]


def column(text: str, number: int = 0) -> list[str]:
    return [code for row in rows(text) for code in codes(row[number])]


# --- how it decides --------------------------------------------------------------------------------


def test_every_skip_reason_has_its_row():
    table = rows(section(page("docs/how-it-decides.md"), "## Why an attribute is skipped"))
    assert {codes(row[0])[0]: row[1] for row in table} == {reason.name.lower(): reason.value for reason in Skip}
    assert all(row[2] for row in table), "what can be done about it"


def becomes(kind: str, value: str) -> tuple[list[str], list[str]]:
    """Return the patterns, and the names of the reasons, of one attribute."""
    attribute = {"uuid": ATTRIBUTE, "type": kind, "value": value, "to_ids": True, "timestamp": "1700000000"}
    event = {"uuid": EVENT, "info": "documentation", "Attribute": [attribute]}
    parts = list(convert_event(event, ConversionRules.of(Settings()), NOW))
    patterns = [indicator["pattern"] for part in parts for indicator in part.indicators]
    return patterns, [skip.reason.name.lower() for part in parts for skip in (*part.skipped, *part.left_out)]


def value_rows() -> list[list[str]]:
    return rows(section(page("docs/how-it-decides.md"), "## What becomes of a value"))


@pytest.mark.parametrize("row", [row for row in value_rows() if len(row) == 3], ids=lambda row: row[0])
def test_an_example_becomes_what_the_table_says(row):
    patterns, reasons = becomes(*codes(row[0]), *codes(row[1]))
    assert (reasons if row[2].startswith("nothing") else patterns) == codes(row[2])
    assert bool(patterns) != bool(reasons)


@pytest.mark.parametrize("row", [row for row in value_rows() if len(row) == 2], ids=lambda row: row[0])
def test_a_hash_has_the_path_that_the_table_says(row):
    (kind,), (path,) = map(codes, row)
    value = FUZZY.get(kind) or DIGITS[: LENGTHS[kind]]
    assert becomes(kind, value) == ([f"[{path} = '{value}']"], [])


def test_every_accepted_type_has_its_row():
    named = {kind for row in value_rows() for kind in codes(row[0])}
    with_name = {f"filename|{kind}" for kind in constants.HASH_TYPES}
    assert named == set(constants.UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES) - with_name | {"filename|md5"}


def test_every_outcome_is_explained():
    names = [row[0] for row in rows(section(page("docs/how-it-decides.md"), "## What Microsoft says"))]
    assert {state.value for state in OutcomeState} <= set(names)


@pytest.mark.parametrize("name", ["MISP_CONFIDENCE", "SENTINEL_DEFAULT_TLP", "MISP_TAGS_IGNORE", "THREAT_TYPES"])
def test_tags_are_explained(name):
    text = page("docs/how-it-decides.md") + page("docs/install.md")
    words = getattr(constants, name) if name == "THREAT_TYPES" else [name]
    assert all(word in text for word in words)


# --- operate ---------------------------------------------------------------------------------------


def parsers() -> list[argparse.ArgumentParser]:
    parser = make_parser()
    commands = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [parser, *(command for action in commands for command in action.choices.values())]


def test_every_command_and_option_is_explained():
    known = codes(section(page("docs/operate.md"), "## Commands and options"))
    options = {option for parser in parsers() for action in parser._actions for option in action.option_strings}
    words = " ".join(known).split()
    assert options - {"-h", "--help"} == {word for word in words if word.startswith("-") and word != "-"}
    for parser in parsers()[1:]:
        assert parser.prog.split()[-1] in words


def test_every_exit_code_has_its_row():
    listed = {str(code): words for code, words in EXIT_CODES.items()}
    table = rows(section(page("docs/operate.md"), "## Exit codes"))
    assert {row[0]: row[1] for row in table} == listed
    assert {str(error.exit_code) for error in (SettingsError, MispError, MicrosoftError, RunActive)} <= listed.keys()


@pytest.mark.parametrize("message", LOG_MESSAGES)
def test_a_message_that_operators_search_for_has_its_row(message):
    assert message in column(section(page("docs/operate.md"), "## Logs"))


def test_every_json_field_has_its_row():
    told, context, sightings = section(page("docs/operate.md"), "## --json").split("\n### ")
    assert column(told) == list(Report(sightings=SightingsReport()).as_json())
    assert column(context) == list(Report().context.as_json())
    assert column(sightings) == list(SightingsReport().as_json())


@pytest.mark.parametrize(("number", "name"), list(enumerate(clouds.CLOUDS)))
def test_every_host_stands_in_the_firewall_table(number, name):
    hosts = clouds.CLOUDS[name]
    graph = hosts.graph.removesuffix("/beta") if hosts.indicators_in_graph else ""
    needed = [hosts.authority, hosts.upload, hosts.upload_legacy, graph, hosts.management, hosts.log_analytics]
    needed.append(f"https://NAME.{hosts.vault}")
    named = column(section(page("docs/operate.md"), "## Firewall"), number)
    assert [f"https://{host}" for host in named if "." in host and "169" not in host] == [
        host for host in needed if host
    ]


@pytest.mark.parametrize(("number", "name"), list(enumerate(clouds.CLOUDS, start=1)))
def test_every_cloud_has_its_column(number, name):
    table = {
        codes(row[0])[0]: codes(row[number])
        for row in rows(section(page("docs/configure.md"), "### Clouds"))
        if codes(row[0])
    }
    cloud = clouds.CLOUDS[name]
    wanted = {f'ms_endpoints["{key}"]': [host] if host else [] for key, host in cloud.endpoints.items()}
    assert table == wanted | {'ms_auth["scope"]': [cloud.scope]}
    assert f"`{cloud.vault}`" in section(page("docs/configure.md"), "### Clouds")


# --- identities ------------------------------------------------------------------------------------


def test_every_credential_and_each_of_its_keys_is_explained():
    text = page("docs/identities.md")
    assert all(f"`{name}`" in text for name in credentials.CREDENTIALS)
    assert all(f'"{key}"' in text for key in credentials.KEYS)
    assert "requirements-keyvault.txt" in text


def test_the_functions_page_names_the_variables_that_misp2sentinels_function_had():
    text = section(page("docs/azure-function.md"), "### Application settings")
    assert [name for name in (*environment.ALIASES, *FLAT) if f"`{name}`" not in text] == []


# --- install, stories ------------------------------------------------------------------------------


def test_every_taxonomy_that_says_something_is_among_those_to_enable():
    table = {codes(row[0])[0]: row[1] for row in rows(section(page("docs/install.md"), "## 3. Taxonomies in MISP"))}
    tags = (
        'misp:confidence-level="unconfident"',
        "sentinel-threattype:Botnet",
        "kill-chain:Delivery",
        "diamond-model:Victim",
    )
    assert list(table) == [tag.partition(":")[0] for tag in tags]
    assert [tag for tag in tags if tag in labels_with(tag)] == ["diamond-model:Victim"]
    assert all(word.capitalize() in table["diamond-model"] for word in constants.GRAPH_DIAMOND_MODEL)
    assert all(word in table["sentinel-threattype"] for word in constants.THREAT_TYPES)


def labels_with(tag: str) -> list[str]:
    attribute = {"uuid": ATTRIBUTE, "type": "domain", "value": "bad.example.org", "to_ids": True, "timestamp": "1"}
    event = {"uuid": EVENT, "info": "x", "timestamp": "1", "Tag": [{"name": tag}], "Attribute": [attribute]}
    parts = convert_event(event, ConversionRules.of(Settings()), NOW)
    (indicator,) = (indicator for part in parts for indicator in part.indicators)
    return list(indicator.get("labels", ()))


def test_the_object_templates_are_those_that_share_writes():
    table = rows(section(page("docs/stories.md"), "### MISP's object templates"))
    assert {codes(row[0])[0]: (*codes(row[1]), row[2]) for row in table} == {
        name: (template["template_uuid"], template["template_version"]) for name, template in TEMPLATES.items()
    }


def test_each_parameter_of_taranis_ai_has_its_row_and_its_key(tmp_path):
    table = rows(section(page("docs/stories.md"), "## Coming from Taranis AI"))
    assert {codes(row[0])[0]: codes(row[1])[0] for row in table} == {
        key.upper(): key for key in MispStories.model_fields
    }
    values = {"API_KEY": "k" * 40, "URL": "https://misp.example.org", "ORGANISATION_ID": 5}
    (tmp_path / "config.py").write_text(f"misp_stories = {values}")
    stories = load(tmp_path / "config.py", {}, stories=True).settings.misp_stories
    assert (stories.url, stories.organisation_id) == ("https://misp.example.org", 5), "in capitals too"
    words = {codes(row[1])[0]: row[2] for row in table}
    for key in ("request_timeout", "user_agent", "refresh_interval", "days_without_change"):
        assert str(MispStories.model_fields[key].default) in words[key]


# --- the ledger ------------------------------------------------------------------------------------


def test_every_stage_of_an_object_is_explained():
    stages = column(section(page("docs/ledger.md"), "## What does it remember?"))
    assert stages == [stage.value for stage in Stage]


def test_the_ledgers_settings_and_guards_are_explained():
    names = [
        "deduplicate",
        "state_url",
        "full_sync_days",
        "unpublished_grace_days",
        "max_withdraw_percent",
        "refresh_days",
    ]
    assert all(f"`{name}" in page("docs/ledger.md") for name in names)
    for name in ("full_sync_days", "unpublished_grace_days", "max_withdraw_percent"):
        assert f"`{name}` ({getattr(Settings(), name)})" in page("docs/ledger.md"), "its default"


def test_the_numbers_of_the_guard_are_those_of_the_docs():
    percent, guards = Settings().max_withdraw_percent, section(page("docs/ledger.md"), "### Guards")
    assert WithdrawalLimits(100, percent, live_before=500).allows_at_once(100)
    assert WithdrawalLimits(505, percent).allows_at_once(101)
    assert not WithdrawalLimits(504, percent).allows_at_once(101)
    assert WithdrawalLimits(504, percent, force=True).allows_at_once(101)
    assert "more than 100 objects" in guards
    assert WithdrawalLimits(0, percent, live_before=20).allows_in_a_day(20)
    assert WithdrawalLimits(0, percent, live_before=105).allows_in_a_day(21)
    assert not WithdrawalLimits(0, percent, live_before=104).allows_in_a_day(21)
    assert "more than 20 objects" in guards


# --- troubleshoot ----------------------------------------------------------------------------------


@cache
def words_of_the_program() -> str:
    files = [ROOT / "script.py", *(ROOT / "helpers").rglob("*.py")]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    constants_ = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return "\n".join(constants_ + [with_setting_names(node) for node in nodes if isinstance(node, ast.JoinedStr)])


def with_setting_names(text):
    """A formatted text of the program with the names of settings in it, which are others where stories are shared."""
    names = SettingNames()._asdict()
    values = (getattr(part, "value", None) for part in text.values)
    return "".join(value if isinstance(value, str) else names.get(getattr(value, "attr", ""), "…") for value in values)


HEADINGS = re.findall(r"^#+ `(.+)`$", page("docs/troubleshoot.md"), re.MULTILINE)


@pytest.mark.parametrize("words", HEADINGS)
def test_a_symptom_is_quoted_as_the_program_says_it(words):
    assert words in words_of_the_program()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_name_the_python_that_has_the_packages(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(?<!\.venv/bin/)python (script\.py|-m )", text)


def test_symptoms_are_quoted():
    assert len(HEADINGS) > 10


@pytest.mark.parametrize("code", _HINTS)
def test_each_login_error_that_has_a_hint_is_explained(code):
    assert code in page("docs/troubleshoot.md")


# --- dependencies ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "heading"),
    [
        ("", "## What a run needs"),
        ("keyvault", "## What Azure Key Vault needs"),
        ("notify", "## What messages need"),
        ("function", "## What the Azure Function needs"),
        ("site", "## What the docs as a site need"),
        ("sandbox", "## What the sandbox needs"),
        ("dev", "## What the tests and the checks need"),
    ],
)
def test_every_dependency_is_pinned_and_has_its_reason(extra, heading):
    lines = asked_for([extra])
    marker = r'(; python_version (<|>=) "3\.\d+")?'
    assert all(re.fullmatch(rf"[a-z0-9-]+(\[[a-z]+\])?==[0-9.]+{marker}", line) for line in lines)
    table = rows(section(page("docs/dependencies.md"), heading))
    assert [codes(row[0])[0] for row in table] == list(dict.fromkeys(line.partition("==")[0] for line in lines))
    assert all(all(row) for row in table)


# --- architecture ----------------------------------------------------------------------------------


PACKAGES = [path.parent for path in sorted(ROOT.glob("helpers/*/__init__.py"))]


def test_every_package_is_in_the_table_in_its_own_words():
    table = {codes(row[0])[0]: row[1] for row in rows(section(page("docs/architecture.md"), "## The packages"))}
    assert sorted(table) == [path.relative_to(ROOT).as_posix() for path in PACKAGES]
    for path, words in table.items():
        docstring = ast.get_docstring(ast.parse(page(f"{path}/__init__.py"))) or ""
        assert words == docstring.replace("``", "`")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_module_that_a_page_names_is_there(path):
    named = set(re.findall(r"`(\w[\w/]*\.py)`", path.read_text(encoding="utf-8")))
    assert [name for name in named if not (ROOT / name).exists() and not [*ROOT.glob(f"[a-z]*/**/{name}")]] == []


# --- README and Makefile ---------------------------------------------------------------------------


def test_the_readme_is_short_and_begins_with_the_two_commands():
    lines = page("README.md").splitlines()
    assert len(lines) < 100
    demo, test = (next(i for i, line in enumerate(lines) if command in line) for command in ("make demo", "make test"))
    assert demo < test < 20


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", page("Makefile"), re.MULTILINE))


def test_what_the_readme_tells_to_make_can_be_made():
    assert {"demo", "test", "test-quick", "test-all", "clean"} <= targets()
    for path in PAGES:
        assert set(re.findall(r"`make ([a-z-]+)", path.read_text(encoding="utf-8"))) <= targets()


def test_make_help_names_every_target():
    named = set(re.findall(r'@echo "make ([a-z-]+) ', page("Makefile")))
    assert named == targets() - {"help", "check"}


def test_every_page_is_reached_from_the_readme_or_the_front_page():
    linked = {
        (ROOT / name).parent.joinpath(target).resolve()
        for name in ("README.md", "docs/index.md")
        for target in re.findall(r"\]\(([^)#]+)", page(name))
    }
    assert set(PAGES) - {ROOT / "README.md"} <= linked


def test_ci_runs_make_test_and_then_the_rest_of_the_examples():
    run = ROOT / ".ci" / "run"
    assert os.access(run, os.X_OK)
    assert "\nmake test\n" in page(".ci/run") and "timeout --signal=INT" in page(".ci/run")
    assert page(".ci/run").index("\nmake test\n") < page(".ci/run").index(" make test-rest ")
    assert " tests/project/deploy/bare_debian.sh bookworm " in page(".ci/run")
    for tool in ("ruff check", "ruff format --check", "mypy", "pytest"):
        assert f"$(BIN)/{tool}" in page("Makefile")


def files(variable: str) -> set[str]:
    """Return the files and directories that a variable of the Makefile lists."""
    value = re.search(rf"^{variable} := ((?:.*\\\n)*.*)$", page("Makefile"), re.MULTILINE)
    assert value
    return set(value[1].replace("\\", " ").split())


def test_make_test_rest_runs_what_tries_few_examples_otherwise():
    paths = (path for path in (ROOT / "tests").rglob("test_*.py") if path.parent.name != "project")
    few = re.compile(r"examples\(|EXAMPLES == ")
    slow = {path.relative_to(ROOT).as_posix() for path in paths if few.search(path.read_text(encoding="utf-8"))}
    assert files("SLOW") == slow


def test_make_test_quick_runs_the_tests_of_the_pure_packages_and_the_settings():
    assert {"tests/indicators", "tests/settings", "tests/shared"} <= files("QUICK")
    assert all((ROOT / name).exists() for name in files("QUICK"))


# --- all pages -------------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, in GitHub's form."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_begins_with_its_answer(path):
    """A title, then a paragraph: what the page is about, or what to do, before any list, table or heading."""
    if path.name == "CHANGELOG.md":
        return
    title, blank, first = path.read_text(encoding="utf-8").splitlines()[:3]
    assert re.match("# [A-Z]", title) and not blank
    assert re.match(r"[A-Z`*\[]", first) and not first.startswith("!["), first


def test_every_page_is_on_the_site():
    named = {*ON_THE_SITE, "README.md"}
    assert {*(path.relative_to(ROOT).as_posix() for path in PAGES), "LICENSE"} == named, (
        "deploy/site/contents.py says where it is listed"
    )


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_nothing_is_left_to_do_or_to_fill_in(path):
    assert not re.search(r"\b(TODO|FIXME|TBD|XXX)\b", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_lines_outside_of_tables_have_120_characters_at_most(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_addresses_are_microsofts_or_documentation(path):
    hosts = re.findall(r"https?://([^/:\s\"'`)]+)", path.read_text(encoding="utf-8"))
    assert [host for host in hosts if not host.lower().endswith(KNOWN_HOSTS)] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_tables_have_as_many_cells_as_their_headings(path):
    width = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = len(re.split(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not cells or not width or cells == width, line
        width = cells
