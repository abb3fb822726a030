"""What MISP's workflow module runs, and what lets it run that as another user."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.misp import event_published
from helpers.commands.command_line import parse
from helpers.process import turns
from tests.project.deploy.test_deploy import COMMAND, DEPLOY, needed, text

PAGE = (DEPLOY.parent / "docs/misp-workflow.md").read_text(encoding="utf-8")
EVENT = "10000000-0000-4000-8000-000000000001"
SUDOERS = "misp/misp2sentinel.sudoers"


@pytest.mark.parametrize(
    ("other_user", "before"), [(False, []), (True, ["sudo", "--non-interactive", "--user=www-data"])]
)
def test_the_program_is_asked_for_one_event(other_user, before):
    words = event_published.words(EVENT, other_user=other_user)
    assert words == [*before, COMMAND, "--uuid", EVENT]
    assert parse(words[len(before) + 1 :]).uuid == EVENT


def called(*arguments, command):
    """Call the script as the module does, with another command in place of the installed one."""
    code = f"from deploy.misp import event_published as it; it.COMMAND = {str(command)!r}; it.os.geteuid = lambda: 0"
    words = [sys.executable, "-c", f"{code}; it.main()", *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_output_and_exit_code_are_those_of_the_program(tmp_path):
    command = tmp_path / "misp2sentinel"
    command.write_text('#!/bin/sh\necho "$@"; echo trouble >&2; exit 5\n')
    command.chmod(0o755)
    done = called(EVENT, command=command)
    assert (done.returncode, done.stdout, done.stderr) == (5, f"--uuid {EVENT}\n", "trouble\n")


def test_without_an_event_it_says_who_calls_it():
    done = called(command="/bin/false")
    assert done.returncode == 1
    assert "as MISP's module export_sentinel calls it" in done.stderr


def test_sudo_takes_its_file(tmp_path):
    file = tmp_path / "misp2sentinel"
    file.write_text(text(SUDOERS))
    file.chmod(0o440)
    words = [needed("visudo"), "-c", "-f", file]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_another_user_may_send_an_event_and_do_nothing_else():
    """What stands between ^ and $ is matched with all arguments, with blanks between them (sudoers(5))."""
    _, line = text(SUDOERS).splitlines()
    command, _, arguments = line.partition("NOPASSWD: ")[2].partition(" ")
    words = event_published.words(EVENT, other_user=True)
    assert line.startswith("misp ALL=(www-data) ") and command == COMMAND == words[3]
    assert re.search(arguments, shlex.join(words[4:]))
    for others in (f"--uuid {EVENT} --force-withdraw", "withdraw", f"--config /tmp/x --uuid {EVENT}", "", EVENT):
        assert not re.search(arguments, others)


def test_the_page_has_the_file_and_the_paths():
    assert f"```\n{text(SUDOERS)}```" in PAGE
    script = Path(event_published.__file__).relative_to(DEPLOY.parent)
    for named in (script, Path("deploy") / SUDOERS):
        assert f"/opt/misp2sentinel/{named}" in PAGE


def test_the_page_says_how_long_is_waited():
    for seconds in (turns.EVENT_SECONDS, turns.RUN_SECONDS):
        assert f"{seconds:.0f} seconds at most" in " ".join(PAGE.split())
