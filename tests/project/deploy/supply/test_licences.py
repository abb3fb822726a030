"""What is shipped is under licences that are allowed, each read from what is installed here."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest

from deploy.supply import SHIPPED, licences
from deploy.supply import __main__ as command
from deploy.supply.licence_rules import FOR_ONE, READ, problem
from deploy.supply.pins import ROOT, asked_for, environment, locked


def run(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["deploy.supply", *words])
    return command.main()


def test_every_package_that_is_shipped_has_a_licence_that_is_allowed():
    assert licences.problems() == []
    assert {"requests", "apprise", "azure-identity", "azure-functions"} <= licences.shipped().keys()


def test_what_is_said_of_single_packages_is_of_some_that_are_shipped():
    assert {*READ, *FOR_ONE} <= {pin.name for pin in locked(SHIPPED)}


@pytest.mark.parametrize(
    ("name", "licence", "words"),
    [
        ("one", "MIT", ""),
        ("one", "GPL-3.0-only OR MIT", ""),
        ("one", "Apache-2.0 AND BSD-2-Clause", ""),
        ("one", "GPL-3.0-only", "is not allowed"),
        ("one", "MIT AND GPL-3.0-only", "is not allowed"),
        ("one", "LGPL-3.0-only", "is not allowed"),
        ("psycopg", "LGPL-3.0-only", ""),
        ("psycopg", "LGPL-2.1-only", "is not allowed"),
        ("one", "BSD", "is not allowed"),
        ("one", "", "no licence is not allowed"),
    ],
)
def test_what_is_left_to_choose_counts_and_what_asks_for_more_is_for_one_package(name, licence, words):
    said = problem(name, licence)
    assert words in said and bool(said) is bool(words)


def test_the_command_shows_all_and_fails_for_one_that_is_not_allowed(monkeypatch, capsys):
    assert run(monkeypatch, "licences") == 0
    shown = capsys.readouterr().out
    assert all(pin.name in shown for pin in locked(SHIPPED) if "win32" not in pin.marker)
    assert all(f"{name}, {licence}: {why}." in shown for name, (licence, why) in FOR_ONE.items())
    monkeypatch.delitem(FOR_ONE, "pygal")
    assert run(monkeypatch, "licences") == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("pygal: LGPL-3.0-or-later is not allowed.")


def test_a_package_that_is_not_installed_is_named(monkeypatch, capsys):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(licences, "metadata", missing)
    assert run(monkeypatch, "licences") == 2
    assert "annotated-types is not installed" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["licences", "sbom made.json", "wheels", "holes"])
def test_a_python_without_the_packages_is_told_which_one_has_them(words):
    bare = [sys.executable, "-S", "-m", "deploy.supply", *words.split()]
    done = subprocess.run(bare, capture_output=True, text=True, check=False, cwd=ROOT)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and line.endswith("Run make .venv/ready, then this with .venv/bin/python.")


@pytest.mark.parametrize("words", [("wheels", "nowhere/a.txt"), ("sbom", "nowhere/a.json")])
def test_a_file_that_is_not_there_is_named(monkeypatch, capsys, words):
    assert run(monkeypatch, *words) == 2
    assert capsys.readouterr().err.endswith(f"{words[1]}: No such file or directory. Name another file.\n")


def test_a_text_of_two_clauses_counts_whatever_its_package_states():
    assert licences.shipped()["misp-stix"] == "BSD-2-Clause"


def test_the_docs_name_those_that_ask_for_more_and_how_many_there_are():
    text = (ROOT / "docs/supply-chain.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| `(\S+)` \| (\S+) \|$", text, re.MULTILINE)) == {
        name: licence for name, (licence, _) in FOR_ONE.items()
    }
    on_linux = {**environment("3.12"), "sys_platform": "linux"}
    run, everything = (
        len([pin for pin in locked(file) if pin.wanted_in(on_linux)]) for file in ("requirements.txt", SHIPPED)
    )
    assert (
        f"{run} packages on Linux, {len(asked_for())} of which" in text and f"one file, {everything} packages" in text
    )
    assert len(FOR_ONE) == 6 and "All but six packages" in text
