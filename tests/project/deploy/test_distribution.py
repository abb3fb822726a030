"""What is handed on of a version: the same bytes each time, and a wheel that runs without a clone around it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import constants
from deploy.release import __main__ as command
from deploy.release import made
from helpers.process import installation
from tests.project.test_docs import column, section
from tests.support.processes import ROOT, Host, in_terminal, load
from tests.support.tls_site import sandbox

AS_ROOT = [""] if os.geteuid() == 0 else []  # the user that runs it: root
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """The files of this version, by the end of their names."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone, and a release is made of what git has")
    return {path.name: path for path in made.release(tmp_path_factory.mktemp("dist"))}


@pytest.fixture(scope="module")
def wheel(release):
    return release[f"{made.NAME}-py3-none-any.whl"]


def in_git():
    """The files that git has, and whether they may be executed."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-tree", "-r", "HEAD"], capture_output=True, text=True, check=True)
    entries = (line.partition("\t") for line in listed.stdout.splitlines())
    return {name: how.startswith("100755") for how, _, name in entries}


# --- the files ---------------------------------------------------------------------------------------


def test_the_same_files_give_the_same_bytes_elsewhere_and_later(release, tmp_path, monkeypatch):
    """The tree alone, without its commit, has no moment: git takes that of the call."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    for name, value in {"COUNT": "1", "KEY_0": "core.autocrlf", "VALUE_0": "true"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o077)
    try:
        again = made.release(Path("elsewhere"), "HEAD^{tree}")
    finally:
        os.umask(before)
    assert {path.name: path.read_bytes() for path in again} == {
        name: path.read_bytes() for name, path in release.items()
    }


def test_where_none_can_be_made_it_says_what_is_needed(monkeypatch, capfd, tmp_path):
    monkeypatch.setattr(made, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(sys, "argv", ["deploy.release", str(tmp_path / "dist")])
    assert command.main() == 1
    assert capfd.readouterr().err.endswith("A version is made in a clone, after make .venv/ready.\n")
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", ["deploy.release", str(tmp_path / "file")])
    assert command.main() == 1 and "File exists" in capfd.readouterr().err


def test_the_docs_name_each_of_them(release):
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    assert set(column(section(text, "## What make dist makes"))) - {"dist/"} == {*release}
    assert set(re.findall(r"misp2sentinel-\d[\w.-]*(?:whl|gz)", text)) <= {*release}


def test_the_sums_are_those_of_the_files(release):
    lines = release[made.SUMS].read_text().splitlines()
    sums = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in release.items() if name != made.SUMS}
    assert lines == [f"{digest}  {name}" for name, digest in sums.items()]
    assert {*made.REQUIREMENTS} < sums.keys()


def test_the_source_archive_has_what_git_has_and_nobody_in_particular(release):
    with tarfile.open(release[f"{made.NAME}.tar.gz"]) as archive:
        files = [entry for entry in archive if entry.isfile()]
    assert {entry.name.removeprefix(f"{made.NAME}/"): bool(entry.mode & 0o100) for entry in files} == in_git()
    assert {(entry.uid, entry.gid, entry.mtime) for entry in files} == {(0, 0, files[0].mtime)}


def test_the_wheel_has_the_program_and_no_settings_that_would_be_run(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    modules = {name for name in names if not name.startswith(f"{made.NAME}.")}
    assert modules == {name for name in in_git() if name.startswith("helpers/")} | {"script.py", "constants.py"}
    share = f"{made.NAME}.data/data/share"
    assert {f"{share}/doc/misp2sentinel/config.py", f"{share}/man/man1/misp2sentinel.1"} < {*names}
    documented = {name for name in in_git() if name.startswith("docs/")}
    assert {f"{share}/doc/misp2sentinel/{name}" for name in documented} < {*names}


def test_the_builder_is_the_one_that_is_checked_with_the_tests():
    (builder,) = PROJECT["build-system"]["requires"]
    assert builder in PROJECT["project"]["optional-dependencies"]["dev"]


# --- the wheel, installed ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prefix(wheel, tmp_path_factory):
    """Where the wheel is installed, alone; what it needs is beside the Python that runs the tests."""
    place = tmp_path_factory.mktemp("prefix")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--root-user-action=ignore"]
    subprocess.run([*pip, "--no-warn-script-location", f"--prefix={place}", str(wheel)], check=True)
    return place


class Installed(Host):
    """A host on which the program is an installed package."""

    def __init__(self, prefix, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.program = prefix / "bin" / "misp2sentinel"
        self.environ |= environ_of(prefix)

    def command(self, *arguments):
        return [str(self.program), "--config", str(self.config), *arguments]


def environ_of(prefix):
    (script,) = prefix.rglob("script.py")
    return {"PYTHONPATH": str(script.parent), "PATH": f"{prefix / 'bin'}:{os.environ['PATH']}"}


def installed(prefix, home, *words, **environ):
    """Run the installed command somewhere else, by its name; how it ended."""
    return subprocess.run(
        ["env", "misp2sentinel", *words],
        env={"HOME": str(home), **environ_of(prefix), **environ},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_says_its_version_and_its_name(prefix, tmp_path):
    said = installed(prefix, tmp_path, "--version")
    assert (said.returncode, said.stdout) == (0, f"MISP2Sentinel {constants.VERSION}\n")
    assert "usage: misp2sentinel " in installed(prefix, tmp_path, "--help").stdout.lower()


def test_without_settings_it_says_what_makes_them(prefix, tmp_path):
    (stray,) = prefix.rglob("script.py")
    (stray.parent / "config.py").write_text("raise SystemExit('the settings of somebody else')")
    said = installed(prefix, tmp_path)
    assert said.returncode == 2
    first, *others = said.stderr.splitlines()
    assert first.startswith("There are no settings yet: misp2sentinel init asks for them")
    assert len(others) == 6 and "MISP2SENTINEL_MISP_DOMAIN" in others[0]


def test_settings_at_the_place_that_init_suggests_are_found(prefix, tmp_path):
    (tmp_path / "misp2sentinel.py").write_text("misp_timeout = 'long'")
    said = installed(prefix, tmp_path, "check")
    assert said.returncode == 2 and f"misp_timeout ({tmp_path / 'misp2sentinel.py'})" in said.stderr


def test_init_writes_the_file_and_checks_it(prefix, tmp_path):
    guids = [f"{digit * 8}-2222-4333-8444-555555555555" for digit in "123"]
    answers = ["https://127.0.0.1:9", "K3y" + "a" * 37, guids[0], guids[1], "s3cret", guids[2]]
    path = tmp_path / "misp2sentinel.py"
    shown = in_terminal(
        [str(prefix / "bin" / "misp2sentinel"), "init"],
        typed="".join(f"{answer}\n" for answer in [str(path), *answers, *AS_ROOT]),
        env=environ_of(prefix) | {"HOME": str(tmp_path), "MISP2SENTINEL_STATE_DIR": str(tmp_path / "state")},
        columns=300,
    )
    assert path.is_file() and f"{path} is written" in shown.text
    assert shown.exit_code == 3, "nobody answers there"
    assert shown.text.endswith(": misp2sentinel check"), "it is found there without being named"


def test_it_runs_checks_and_draws_as_a_clone_does(prefix, tmp_path):
    page = tmp_path / "page.html"
    with sandbox()[0] as box:
        load(box, 2, 3)
        host = Installed(prefix, box, tmp_path / "state", REPORT_FILE=str(page))
        assert host.run("check").returncode == 0
        dry = host.run("--dry-run", "--json")
        assert (dry.returncode, json.loads(dry.stdout)["dry_run"]) == (0, True), dry.stderr
        ran = host.run()
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "<svg" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code"), [(["--nonsense"], 2), (["check", "--nonsense"], 2), (["--json"], 3)], ids=str
)
def test_its_exit_code_is_the_programs(prefix, tmp_path, words, code):
    with sandbox()[0] as box:
        host = Installed(prefix, box, tmp_path / "state", MISP_DOMAIN="https://127.0.0.1:9")
        assert host.run(*words).returncode == code


# --- what it says of itself --------------------------------------------------------------------------


@pytest.mark.parametrize("extra", ["keyvault", "notify"])
def test_advice_for_a_package_names_an_extra_that_it_has(extra):
    assert extra in PROJECT["project"]["optional-dependencies"]
    assert f"its extra {extra} " in installation.how_to_add(extra, Path("/venv/lib/python3.13/site-packages"))
    (named,) = (name for name in made.REQUIREMENTS if name in installation.how_to_add(extra, ROOT))
    assert (ROOT / named).is_file()


def test_a_missing_module_has_other_advice_for_a_package_than_for_a_clone():
    words = {installation.missing("socks", home) for home in (ROOT, Path("/usr/lib/python3/dist-packages"))}
    assert len(words) == 2 and all(text.startswith("The Python module socks is missing: run ") for text in words)
