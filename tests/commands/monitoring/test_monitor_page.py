"""The page Monitor: each line that it has to be copied is one that works."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers.commands.command_line import make_parser
from helpers.commands.monitoring.told.pings import pings_of_start
from helpers.settings import load

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "monitor.md").read_text(encoding="utf-8")
CALLED = re.compile(r"(?:/usr/local/bin/)?misp2sentinel ((?:status|report|metrics)\b[^`\n>\"]*)")


def section(heading):
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def settings_from(text, tmp_path):
    (tmp_path / "config.py").write_text(text)
    return load(tmp_path / "config.py", {}, offline=True).settings


@pytest.mark.parametrize("heading", ["Pings", "Messages"])
def test_the_settings_to_copy_are_settings(heading, tmp_path):
    (block,) = re.findall(r"```python\n(.*?)```", section(heading), re.DOTALL)
    settings = settings_from(block, tmp_path)
    assert settings.on_success or settings.notify


def test_each_line_of_the_table_is_one_that_works(tmp_path):
    table = [line for line in PAGE.splitlines() if line.startswith("| ") and " = " in line]
    lines = [code for line in table for code in re.findall(r"`(\w+ = [^`]+)`", line)]
    assert [line.partition(" ")[0] for line in lines] == ["on_success", "notify", "metrics_file"]
    assert settings_from("\n".join(lines), tmp_path).notify


@pytest.mark.parametrize("words", sorted(set(CALLED.findall(PAGE))))
def test_each_command_is_one_that_the_program_takes(words):
    assert make_parser().parse_args(shlex.split(words)).command in ("status", "report", "metrics")


def test_the_address_with_a_destination_is_one_that_is_pinged():
    (address,) = re.findall(r"`(https://\S+\{destination\}\S+)`", section("Pings"))
    (ping,) = pings_of_start(address, ["Paris"])
    assert "/paris/0?create=1" in ping.address


def test_msmtp_takes_its_lines(tmp_path):
    program = shutil.which("msmtp")
    if program is None:
        pytest.skip("msmtp was not found: nothing else can say whether its lines are right")
    (line,) = re.findall(r"^(printf .*) > /etc/msmtprc$", PAGE, re.MULTILINE)
    config = tmp_path / "msmtprc"
    config.write_bytes(subprocess.run(["sh", "-c", line], capture_output=True, check=True).stdout)
    command = [program, "-C", config, "--pretend", "soc@example.org"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "host = mail.example.org" in " ".join(shown.stdout.split())
