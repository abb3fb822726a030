"""What an upgrade in place leaves behind of a flat ``helpers`` is not picked up."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Modules that lay in helpers/ once: those that are packages now, and some that are elsewhere.
OLD = ("settings", "misp", "ledger", "sync", "stories", "misp_filters", "command_line", "reconcile", "sync_")


@pytest.fixture
def upgraded(tmp_path):
    """An installation over which the program was copied, with old modules that fail when they are imported."""
    shutil.copytree(ROOT / "helpers", tmp_path / "helpers", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("script.py", "config.py", "constants.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in OLD:
        (tmp_path / "helpers" / f"{name}.py").write_text(f"raise RuntimeError('the old {name} was picked up')\n")
    return tmp_path


@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["explain", "--offline", "192.0.2.1"], ["check"]])
def test_old_modules_are_not_picked_up(upgraded, arguments):
    environ = {
        "PATH": os.environ["PATH"],
        "MISP2SENTINEL_MISP_DOMAIN": "https://misp.invalid",
        "MISP2SENTINEL_MISP_KEY": "k" * 40,
        "MISP2SENTINEL_MS_AUTH__TENANT": "11111111-1111-4111-8111-111111111110",
        "MISP2SENTINEL_MS_AUTH__CLIENT_ID": "11111111-1111-4111-8111-111111111111",
        "MISP2SENTINEL_MS_AUTH__CLIENT_SECRET": "secret",
        "MISP2SENTINEL_MS_AUTH__WORKSPACE_ID": "11111111-1111-4111-8111-111111111112",
        "MISP2SENTINEL_STATE_DIR": str(upgraded / "state"),
        "HTTPS_PROXY": "http://127.0.0.1:9",  # nothing leaves this machine
    }
    done = subprocess.run(
        [sys.executable, str(upgraded / "script.py"), *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "picked up" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1, 3)
