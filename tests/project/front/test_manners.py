"""What somebody finds who looks at the project for the first time: its licence, and how to talk to it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from helpers.commands import COMMANDS
from tests.project.test_docs import ROOT, codes, page, parsers

FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[0-9]*.yml"))
# What GitHub documents of a form: its top keys, the kinds of its fields, and what each kind may not lack.
TOP = {"name", "description", "title", "labels", "assignees", "projects", "type", "body"}
NEEDED = {
    "markdown": {"value"},
    "input": {"label"},
    "textarea": {"label"},
    "dropdown": {"label", "options"},
    "checkboxes": {"label", "options"},
}


def form(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_the_licence_is_mit_and_says_whose_it_is():
    text = page("LICENSE")
    assert text.startswith(
        "MIT License\n\nCopyright (c) 2026 the MISP2Sentinel authors\n\nPermission is hereby granted"
    )
    assert all(f"]({name})" in page("CONTRIBUTING.md") for name in ("LICENSE", "SECURITY.md", "CODE_OF_CONDUCT.md"))


def test_there_is_a_form_for_a_fault_a_missing_indicator_and_a_question():
    assert [path.stem[2:] for path in FORMS] == ["fault", "missing-indicator", "question"]
    assert yaml.safe_load(page(".github/ISSUE_TEMPLATE/config.yml")) == {"blank_issues_enabled": True}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_is_one_that_github_takes(path):
    shown = form(path)
    assert {"name", "description", "body"} <= shown.keys() <= TOP
    fields = [field for field in shown["body"] if field["type"] != "markdown"]
    assert fields, "a form of words alone is refused"
    for field in shown["body"]:
        assert field.keys() <= {"type", "id", "attributes", "validations"}
        assert NEEDED[field["type"]] <= field["attributes"].keys()
    names = [field["id"] for field in fields]
    assert len(set(names)) == len(names) and all(re.fullmatch(r"[a-z-]+", name) for name in names)
    assert all(isinstance(field["attributes"][key], str) for field in fields for key in ("label",))


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_asks_for_the_version_and_for_no_secret(path):
    text = path.read_text(encoding="utf-8")
    assert "misp2sentinel --version" in text
    assert path.stem == "3-question" or "tlp:red or tlp:amber" in " ".join(text.split())


@pytest.mark.parametrize("path", [*FORMS, ROOT / "SECURITY.md"], ids=lambda path: path.stem)
def test_each_command_that_is_asked_for_is_there(path):
    known = {option for parser in parsers() for action in parser._actions for option in action.option_strings}
    typed = [code.split()[1:] for code in codes(path.read_text(encoding="utf-8")) if code.startswith("misp2sentinel ")]
    words = [word for command in typed for word in command if word != "VALUE"]
    assert words and all(word in known or word in COMMANDS for word in words)


def test_contributing_names_every_target_of_the_tests():
    targets = re.findall(r"^(test[a-z-]*):", page("Makefile"), re.MULTILINE)
    assert [name for name in targets if name != "test-rest" and f"`make {name}`" not in page("CONTRIBUTING.md")] == []
    assert "`make shell-files`" in page("CONTRIBUTING.md")
