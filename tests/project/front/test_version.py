"""One version, in all that is shipped and in all that the program says."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from azure_function.build import contents
from constants import VERSION
from sandbox.azure.app import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE_NAME
from sandbox.serve import Sandbox
from tests.project.test_docs import PAGES, ROOT, page, parsers
from tests.support.processes import Host, load
from tests.support.story_site import US, story

NAMES = {"SUBSCRIPTION_ID": SUBSCRIPTION, "RESOURCEGROUPNAME": RESOURCE_GROUP, "WORKSPACENAME": WORKSPACE_NAME}
# What older settings have as their user agent.
OLD_AGENT = "1.0"


def shipped():
    """Yield each text that goes out with the program and may name it with a version."""
    yield from PAGES
    for folder in ("deploy", ".github", "azure_function"):
        files = (path for path in (ROOT / folder).rglob("*") if path.is_file() and "node_modules" not in path.parts)
        yield from (path for path in files if path.suffix not in {".pyc", ".png", ".svg"})


def test_the_project_and_the_newest_entry_of_the_changelog_have_it():
    headings = re.findall(r"^## (\d\S*?),?(?: .*)?$", page("CHANGELOG.md"), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {headings[0], project["version"]} == {VERSION}


def versions_in(path):
    """Return the versions with which a file names the program."""
    text = path.read_text(encoding="utf-8", errors="replace")
    found = re.findall(r"\bmisp2sentinel[/ :-]v?(\d+\.\d[\d.]*)\b", text, re.IGNORECASE)
    return {version.rstrip(".") for version in found}


def test_where_the_program_is_named_with_a_version_it_is_this_one():
    odd = {path: versions_in(path) - {VERSION, OLD_AGENT} for path in shipped()}
    assert {path: versions for path, versions in odd.items() if versions} == {}


def test_those_that_must_name_it_do():
    for name in (
        "deploy/kubernetes/cronjob.yaml",
        "deploy/kubernetes/destinations.yaml",
        "deploy/shell/misp2sentinel.1",
        ".github/ISSUE_TEMPLATE/1-fault.yml",
    ):
        assert re.search(rf"\bmisp2sentinel[: ]{re.escape(VERSION)}\b", page(name), re.IGNORECASE)
    assert f'VERSION: Final = "{VERSION}"'.encode() in contents()["constants.py"]


# --- what it says ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def box():
    with Sandbox() as opened:
        load(opened, 1, 2)
        opened.misp.tags |= {"loader", "tlp:amber"}
        yield opened


@pytest.fixture(scope="module")
def host(box, tmp_path_factory):
    folder = tmp_path_factory.mktemp("version")
    (folder / "story.json").write_text(json.dumps(story()))
    of_stories = {"API_KEY": box.misp.add_user("Publisher", US), "ORGANISATION_ID": US["id"], "SSL_CHECK": box.ca_file}
    of_stories |= {"DISTRIBUTION": "1"}
    settings = {f"MISP_STORIES__{name}": value for name, value in of_stories.items()}
    settings |= {f"MS_AUTH__{name}": value for name, value in NAMES.items()}
    settings |= {"MISP_SIGHTINGS__API_KEY": of_stories["API_KEY"]}
    return Host(box, folder / "state", MS_ENDPOINTS__MANAGEMENT=box.azure_url, **settings)


# A command that takes --json, and what it is called with; each goes on from the ones before it.
TYPED = {
    "adopt": ["adopt", "--json"],
    "script.py": ["--json"],
    "run": ["run", "--json"],
    "status": ["status", "--json"],
    "explain": ["explain", "--json", "e1h0.example.org", "e1h1.example.org"],
    "report": ["report", "--json", "PAGE"],
    "share": ["share", "--json", "STORY"],
    "sightings": ["sightings", "--json"],
    "withdraw": ["withdraw", "--json", "--dry-run", "--workspace", "WORKSPACE"],
}


def test_every_object_of_json_has_it(box, host):
    takers = {parser.prog.split()[-1] for parser in parsers() if "--json" in parser._option_string_actions}
    assert takers == TYPED.keys()
    folder = host.config.parent.parent
    files = {"PAGE": str(folder / "report.html"), "STORY": str(folder / "story.json")}
    files["WORKSPACE"] = box.azure.workspace_id
    for typed in TYPED.values():
        done = host.run(*(files.get(word, word) for word in typed))
        assert done.returncode == 0, done.stderr
        objects = [json.loads(line) for line in done.stdout.splitlines()]
        assert objects and all(one["version"] == VERSION for one in objects), typed
    assert f"MISP2Sentinel {VERSION}" in (folder / "report.html").read_text()


def test_so_have_the_answer_to_who_asks_the_log_and_what_a_monitor_reads(host):
    assert host.run("--version").stdout == f"MISP2Sentinel {VERSION}\n"
    host.run("--dry-run")
    assert f"MISP2Sentinel {VERSION} begins: " in (host.config.parent / "misp2sentinel.log").read_text()
    numbers = host.config.parent / "numbers.prom"
    host.run("metrics", str(numbers))
    assert f'build_info{{version="{VERSION}"}}' in numbers.read_text()
    failed = host.run("--json", "--workspace", "nowhere")
    assert (failed.returncode, json.loads(failed.stdout)["version"]) == (2, VERSION)
