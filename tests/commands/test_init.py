"""``script.py init``: six questions in a terminal, a file of settings, and a check of it."""

from __future__ import annotations

import os
import runpy
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.commands.init.command import MOST_TRIES
from helpers.commands.init.settings_text import QUESTIONS, settings_text
from helpers.files import write_new
from helpers.settings import load, problems_with
from helpers.settings.loading import NEEDED
from sandbox.serve import Sandbox
from sandbox.terminal import in_terminal
from tests.support import environ_for

ROOT = Path(__file__).resolve().parents[2]
GUID, OTHER, WORKSPACE = (f"{digit * 8}-2222-4333-8444-555555555555" for digit in "123")
VALUES = {
    "misp_domain": "https://misp.example.org",
    "misp_key": "K3y" + "a" * 37,
    "ms_auth.tenant": GUID,
    "ms_auth.client_id": OTHER,
    "ms_auth.client_secret": "it's~a.'secret'\\n\"",
    "ms_auth.workspace_id": WORKSPACE,
}
AS_ROOT = [""] if os.geteuid() == 0 else []  # the user that runs it: root


def init(tmp_path, *answers, options=(), environ=None, columns=80):
    """Run init in a terminal, with these answers; what it showed."""
    return in_terminal(
        [sys.executable, str(ROOT / "script.py"), "init", *options],
        typed="".join(f"{answer}\n" for answer in answers),
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **(environ or {})},
        columns=columns,
        timeout=60,
    )


def words_of(shown):
    return " ".join(shown.text.split())


def test_the_questions_are_what_a_run_needs():
    assert tuple(question.name for question in QUESTIONS) == NEEDED
    assert {question.name for question in QUESTIONS if question.secret} == {"misp_key", "ms_auth.client_secret"}


def test_the_file_has_every_value_as_it_was_typed(tmp_path):
    path = tmp_path / "config.py"
    path.write_text(settings_text(VALUES), encoding="utf-8")
    loaded = load(path, {})
    assert loaded.warnings == ()
    assert set(loaded.settings.secret_values()) >= {VALUES["misp_key"], VALUES["ms_auth.client_secret"]}
    assert runpy.run_path(str(path))["ms_auth"] == {
        name.partition(".")[2]: value for name, value in VALUES.items() if "." in name
    }


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("misp_domain", "misp.example.org", "https://"),
        ("misp_domain", "", "is empty"),
        ("misp_key", "two words", "space"),
        ("ms_auth.tenant", "<tenant>", "placeholder"),
        ("ms_auth.tenant", "common", "one tenant"),
        ("ms_auth.client_id", "my app", "GUID"),
        ("ms_auth.workspace_id", OTHER, "ms_auth"),
    ],
)
def test_an_answer_is_judged_as_the_setting_is(name, value, words):
    before = {known: VALUES[known] for known in NEEDED[: NEEDED.index(name)]}
    assert problems_with({**before, name: VALUES[name]}, name) == []
    (problem,) = problems_with({**before, name: value}, name)
    assert words in problem


@pytest.fixture
def site(tmp_path):
    """What is typed to reach the sandbox, and what only the sandbox needs beside it."""
    with Sandbox() as box:
        known = environ_for(box.azure)
        answers = [box.misp_url, box.misp.readonly_key]
        answers += [
            known[f"MISP2SENTINEL_MS_AUTH__{key}"] for key in ("TENANT", "CLIENT_ID", "CLIENT_SECRET", "WORKSPACE_ID")
        ]
        endpoints = {f"MISP2SENTINEL_MS_ENDPOINTS__{key}": box.azure_url for key in ("AUTHORITY", "UPLOAD")}
        environ = {
            **endpoints,
            "MISP2SENTINEL_MISP_VERIFYCERT": box.ca_file,
            "MISP2SENTINEL_MS_VERIFYCERT": box.ca_file,
            "MISP2SENTINEL_STATE_DIR": str(tmp_path / "state"),
            "MISP2SENTINEL_MISP_EVENT_FILTERS": '{"published": 1}',
        }
        box.misp.load([])
        yield answers, environ


def test_six_answers_make_a_file_for_its_user_alone_and_it_is_checked(tmp_path, site):
    answers, environ = site
    path = tmp_path / "settings.py"
    shown = init(tmp_path, path, *answers, *AS_ROOT, environ=environ, columns=300)  # the path has room
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {entry.name for entry in tmp_path.iterdir()} == {"settings.py", "state"}
    settings = load(path, environ).settings
    assert [settings.misp_domain, settings.ms_auth.workspace_id] == [answers[0].rstrip("/"), answers[5]]
    assert "MISP login" in words_of(shown).partition(f"{path} is written")[2], "check has been run"
    for secret in (answers[1], answers[4]):
        assert secret not in shown.text


def test_a_wrong_answer_is_said_at_once_and_asked_for_again(tmp_path, site):
    answers, environ = site
    path = tmp_path / "settings.py"
    first, *others = answers
    shown = init(tmp_path, "nonsense", first, *others, *AS_ROOT, options=["--config", str(path)], environ=environ)
    assert shown.text.index("as typed") < shown.text.index("misp_key:")
    assert load(path, environ).settings.misp_domain == first.rstrip("/")


def test_each_thing_that_is_wrong_with_an_answer_is_a_sentence_on_its_own_line(tmp_path):
    answers = [*[*VALUES.values()][:3], "soc.example.org", "\x04"]
    shown = init(tmp_path, *answers, options=["--config", str(tmp_path / "settings.py")])
    assert "is not a GUID" in words_of(shown) and "are exchanged" in words_of(shown)
    assert "\\n" not in shown.text


def test_questions_have_an_end_and_nothing_is_written_then(tmp_path):
    path = tmp_path / "settings.py"
    shown = init(tmp_path, *["no address"] * MOST_TRIES, "more", options=["--config", str(path)])
    assert shown.exit_code == 2
    assert "Nothing was written." in shown.text
    assert list(tmp_path.iterdir()) == []


def test_the_end_of_the_input_ends_the_questions(tmp_path):
    shown = init(tmp_path, "\x04", options=["--config", str(tmp_path / "settings.py")])
    assert shown.exit_code == 2
    assert "were not answered. Nothing was written." in words_of(shown)


@pytest.mark.parametrize("by", ["option", "environment"])
def test_what_is_there_is_not_overwritten(tmp_path, by):
    path = tmp_path / "settings.py"
    path.write_text("# mine\n")
    environ = {"MISP2SENTINEL_CONFIG": str(path)} if by == "environment" else {}
    shown = init(tmp_path, options=["--config", str(path)] if by == "option" else [], environ=environ)
    assert shown.exit_code == 2 and "is there already" in words_of(shown)
    assert path.read_text() == "# mine\n"


def test_a_place_that_cannot_be_is_asked_for_again(tmp_path):
    (tmp_path / "there.py").symlink_to(tmp_path / "nowhere")
    shown = init(
        tmp_path, tmp_path / "there.py", tmp_path / "absent" / "config.py", tmp_path / "new.py", "\x04", columns=160
    )
    assert "is there already" in shown.text and "make it first" in shown.text
    assert "misp_domain" in shown.text


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new"
    write_new(path, "whole")
    with pytest.raises(FileExistsError):
        write_new(path, "other")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("no room")))
    with pytest.raises(OSError, match="no room"):
        write_new(tmp_path / "second", "half")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("new", "whole")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is asked who else runs it")
def test_root_is_told_how_another_user_comes_to_read_it(tmp_path):
    path = tmp_path / "settings.py"
    shown = init(
        tmp_path, *VALUES.values(), "nobody-of-that-name", "daemon", options=["--config", str(path)], columns=160
    )
    assert shown.exit_code == 0
    assert "There is no user nobody-of-that-name" in shown.text
    words = words_of(shown)
    assert f" chown root:daemon {path} chmod 640 {path} runuser -u daemon -- " in words
    assert words.endswith(f" --config {path} check")
    assert [entry.name for entry in tmp_path.iterdir()] == ["settings.py"], "root's check would leave root's files"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_in_a_directory_of_roots_for_a_group_the_file_is_for_that_group_and_nobody_asks(tmp_path):
    directory = tmp_path / "etc"
    directory.mkdir(mode=0o750)
    os.chown(directory, 0, 1)
    path = directory / "config.py"
    environ = {"MISP2SENTINEL_COMMAND": "misp2sentinel", "MISP2SENTINEL_CONFIG": str(path)}
    shown = init(tmp_path, *VALUES.values(), environ=environ, columns=160)
    assert shown.exit_code == 0 and "cron will run" not in shown.text
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (0, 1, 0o640)
    assert words_of(shown).endswith("Then: misp2sentinel check")


def test_without_a_terminal_it_says_what_to_do(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "script.py"), "init"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr and "docs/install.md" in done.stderr
