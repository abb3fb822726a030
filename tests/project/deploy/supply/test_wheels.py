"""Which packages have no wheel: what is written down is of the pinned versions, and pip's words are read right."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess

import pytest

from deploy.supply import SHIPPED, wheels
from deploy.supply import __main__ as command
from deploy.supply.pins import PYTHONS, locked


def pip_that_has_no_wheel_of(*names, words="ERROR: No matching distribution found for {}==1"):
    """A pip that looks at the file it is given, as pip does: it names the first one and ends."""

    def run(asked, **_):
        lines = Path(asked[-1]).read_text(encoding="utf-8").splitlines()
        name = next((line.partition("==")[0] for line in lines if line.partition("==")[0] in names), None)
        return CompletedProcess(asked, int(name is not None), "", words.format(name) if name else "")

    return run


@pytest.fixture
def looked(monkeypatch, capsys):
    def look(pip):
        monkeypatch.setattr(wheels.subprocess, "run", pip)
        monkeypatch.setattr("sys.argv", ["deploy.supply", "wheels"])
        return command.main(), capsys.readouterr()

    return look


def test_those_without_a_wheel_are_pinned_in_the_version_that_was_looked_at():
    pins = {pin.name: pin for pin in locked("requirements-dev.txt")}
    for name, said in wheels.known().items():
        assert pins[name].version == said["version"] and said["reason"]
        assert len(pins[name].hashes) == 1, "one archive, of sources: look again with the command"


def test_each_python_is_asked_about_and_what_is_known_is_said(looked):
    code, said = looked(pip_that_has_no_wheel_of(*wheels.known()))
    lines = said.out.splitlines()
    assert code == 0
    assert [line.partition(":")[0] for line in lines[: len(PYTHONS)]] == [f"Python {python}" for python in PYTHONS]
    assert [line.split(":")[0].strip() for line in lines[len(PYTHONS) :]] == [
        name for name in wheels.known() if name in {pin.name for pin in locked(SHIPPED)}
    ]


def test_a_new_one_without_a_wheel_is_named_and_fails(looked):
    code, said = looked(pip_that_has_no_wheel_of(*wheels.known(), "requests", "zipp"))
    assert code == 1
    assert "requests: none for 3.11, 3.12, 3.13, 3.14. No reason is known." in said.out and "zipp: none" in said.out
    assert said.out.splitlines()[-1].startswith("deploy/supply/sources.toml names others.")


def test_one_that_has_wheels_by_now_fails_too(looked):
    code, said = looked(pip_that_has_no_wheel_of())
    assert code == 1 and said.out.splitlines()[-1].startswith("deploy/supply/sources.toml names others.")


def test_another_failure_of_pip_is_nobodys_knowledge(looked):
    code, said = looked(pip_that_has_no_wheel_of("requests", words="ERROR: no network {}"))
    assert code == 2 and said.err == "pip could not look: ERROR: no network requests\n"
