"""The files of requirements hold what ``pyproject.toml`` asks for, and nothing that cannot be checked."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from itertools import product

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.supply import locks
from deploy.supply.locks import EVERYTHING, LOCKS
from deploy.supply.pins import PYTHONS, ROOT, asked_for, environment, locked

by_file = pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.file)


def installed(file, python):
    """The versions that a Python on Linux takes from a file, by name."""
    on_linux = {**environment(python), "sys_platform": "linux"}
    wanted = [(pin.name, pin.version) for pin in locked(file) if pin.wanted_in(on_linux)]
    assert len(wanted) == len(dict(wanted)), "one version each"
    return dict(wanted)


@pytest.mark.parametrize(
    ("lock", "python"), [*product(LOCKS, PYTHONS)], ids=lambda value: getattr(value, "file", value)
)
def test_what_is_asked_for_is_held_in_that_version(lock, python):
    held = installed(lock.file, python)
    for requirement in map(Requirement, asked_for(lock.extras)):
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python}):
            assert requirement.specifier.contains(held[canonicalize_name(requirement.name)]), requirement


@by_file
def test_each_file_has_the_versions_and_hashes_of_the_one_with_everything(lock):
    """Not the markers: what is for Windows alone in one file may be wanted everywhere in another."""
    held, everything = ({(pin.name, pin.version, pin.hashes) for pin in locked(one.file)} for one in (lock, EVERYTHING))
    assert held <= everything


@by_file
def test_everything_is_checked_by_its_hash_and_comes_from_no_place_that_is_named(lock):
    pins = locked(lock.file)
    assert pins and all(pin.hashes for pin in pins)
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", one) for pin in pins for one in pin.hashes)
    text = (ROOT / lock.file).read_text(encoding="utf-8")
    assert "://" not in text and not re.search(r"^-", text, re.MULTILINE)
    assert lock.purpose in text.splitlines()[0]


def test_the_files_are_written_with_what_is_asked_for_and_keep_their_versions(tmp_path, monkeypatch):
    """Another run of uv would ask PyPI, so it is only looked at what it is told."""
    calls = []
    (tmp_path / "azure_function").mkdir()
    monkeypatch.setattr(locks, "ROOT", tmp_path)
    for lock in LOCKS:
        (tmp_path / lock.file).write_text(lock.file)
    monkeypatch.setattr(locks.subprocess, "run", lambda command, **more: calls.append((command, more["input"])))
    locks.write(["--upgrade"])
    asked = ["\n".join(asked_for(lock.extras)) for lock in LOCKS]
    assert [words for _, words in calls] == asked
    assert ["--upgrade" in command for command, _ in calls] == [True] + [False] * (len(LOCKS) - 1)
    for lock in LOCKS:
        text = (tmp_path / lock.file).read_text()
        assert text.startswith(f"# {lock.purpose}\n") and text.endswith(EVERYTHING.file)


def imported(path):
    """The packages that a module imports, at its top or later."""
    nodes = [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.partition(".")[0] for name in names}


def test_the_sandbox_needs_only_what_make_demo_installs():
    ours = {"sandbox", "helpers", "constants", "script", "config"}
    others = set().union(*map(imported, (ROOT / "sandbox").rglob("*.py"))) - set(sys.stdlib_module_names) - ours
    distributions = {canonicalize_name(name) for top in others for name in packages_distributions()[top]}
    assert {"flask", "pyte", "trustme"} <= distributions <= {pin.name for pin in locked("requirements-sandbox.txt")}
