"""How it is installed on a host: when it runs, the command, and what puts them there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
HOST = ROOT / "deploy" / "host"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")


def test_cron_the_timers_and_kubernetes_run_at_the_same_time():
    cron = (HOST / "misp2sentinel.cron").read_text()
    minute, hour = re.findall(r"^(\d+) (\d+) \* \* \* ", cron, re.MULTILINE)[0]
    calendar = f"\nOnCalendar=*-*-* {int(hour):02}:{int(minute):02}:00\n"
    assert all(calendar in (HOST / name).read_text() for name in ("misp2sentinel.timer", "misp2sentinel@.timer"))
    manifests = [
        one for path in (ROOT / "deploy" / "kubernetes").glob("*.yaml") for one in yaml.safe_load_all(path.read_text())
    ]
    schedules = {one["spec"]["schedule"] for one in manifests if one["kind"] == "CronJob"}
    assert schedules == {f"{minute} {hour} * * *"}


@pytest.fixture
def place():
    """A directory that everybody may enter, as pytest's own are not."""
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture
def wrapper(place):
    """The command with its places in a directory, and a program that says how it was run."""
    says = 'id -un; printf "%s|" "$HOME" "$GREETING" "$MISP2SENTINEL_COMMAND" "$@"; echo; cat; '
    program = place / "program"
    (program / ".venv" / "bin").mkdir(parents=True)
    python = program / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\n{says}[ "$2" != wait ] || exec sleep 60\nexit 7\n')
    python.chmod(0o755)
    environment = place / "environment"
    environment.write_text("GREETING='good $day; to you'\n")
    shutil.chown(environment, group="www-data")
    environment.chmod(0o640)
    command = place / "misp2sentinel"
    text = (HOST / "misp2sentinel").read_text()
    for name, value in (("environment", environment), ("program", program)):
        text, count = re.subn(rf"^{name}=.*$", f"{name}={shlex.quote(str(value))}", text, flags=re.MULTILINE)
        assert count == 1
    command.write_text(text)
    command.chmod(0o755)
    return command


def lines_of(process):
    return process.stdout.splitlines()


@as_root
def test_root_becomes_the_user_and_nothing_is_lost_on_the_way(wrapper):
    words = [str(wrapper), "explain", "two words", "-"]
    done = subprocess.run(words, input="asked\n", capture_output=True, text=True, check=False, cwd="/root")
    user, told, asked = lines_of(done)
    script = str(wrapper.parent / "program" / "script.py")
    assert told.split("|")[:-1] == ["/var/www", "good $day; to you", "misp2sentinel", script, *words[1:]]
    assert (user, asked, done.returncode, done.stderr) == ("www-data", "asked", 7, "")


@as_root
def test_the_settings_are_written_by_root(wrapper):
    done = subprocess.run([str(wrapper), "init"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert lines_of(done)[0] == "root"


@as_root
def test_a_signal_reaches_the_program_itself(wrapper):
    process = subprocess.Popen([str(wrapper), "wait"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "www-data\n"
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == -signal.SIGTERM
    process.stdout.close()


@as_root
def test_another_user_is_told_who_may(wrapper):
    words = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", str(wrapper), "check"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("nobody may not read ") and "run this as root (sudo misp2sentinel)" in done.stderr
