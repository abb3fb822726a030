"""No secret in anything that a process prints or keeps, wherever in an address it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.azure.app import AzureState
from tests.support import environ_for

ROOT = Path(__file__).resolve().parents[2]
HIDDEN = "Zq7hidden"
NOBODY_THERE = "127.0.0.1:1"


@pytest.mark.parametrize("command", [["--json"], ["check"], ["explain", "x", "--offline"]])
@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ledger:{HIDDEN}@{NOBODY_THERE}/ledger",
        f"postgresql://ledger@{NOBODY_THERE}/ledger?password={HIDDEN}",
        f"postgresql://ledger@{NOBODY_THERE}/ledger?sslpassword={HIDDEN}&sslmode=nonsense",
        f"postgresql://ledger@{NOBODY_THERE}/ledger#password={HIDDEN}",
        f"postgresql://ledger@{NOBODY_THERE}/ledger?token={HIDDEN}",
        f"postgresql://ledger:{HIDDEN}@127.0.0.1:abc/ledger",
        f"postgresql://ledger:{HIDDEN}@[::1/ledger",
        f"postgresql://ledger:{HIDDEN}@db .example.org/ledger",
        f"mysql://ledger:{HIDDEN}@{NOBODY_THERE}/ledger",
    ],
)
def test_a_password_in_state_url_is_shown_nowhere(tmp_path, url, command):
    shown = run(tmp_path, *command, STATE_URL=url)
    assert shown.returncode == 2, shown
    assert "state_url" in shown.stdout + shown.stderr
    assert HIDDEN not in everything(shown, tmp_path)


@pytest.mark.parametrize(
    "settings",
    [
        {"MISP_DOMAIN": f"https://user:{HIDDEN}@misp.example.org"},
        {"MISP_DOMAIN": f"https://misp.example.org/?sig={HIDDEN}"},
        {"MISP_PROXIES": f'{{"https": "http://user:{HIDDEN}@{NOBODY_THERE}"}}'},
        {"MISP_PROXIES": f'{{"https": "http://{HIDDEN}@{NOBODY_THERE}"}}'},
        {"MISP_PROXIES": f'{{"https": "http://{NOBODY_THERE}/?token={HIDDEN}"}}'},
        {"MISP_PROXIES": f'{{"https://user:{HIDDEN}@misp.example.org": "http://{NOBODY_THERE}"}}'},
        {"MISP_PROXIES": f'{{"https": "nonsense://user:{HIDDEN}@{NOBODY_THERE}"}}'},
        {"MS_PROXIES": f'{{"https": "http://{HIDDEN}:@{NOBODY_THERE}"}}'},
        {"MS_ENDPOINTS__UPLOAD": f"https://{HIDDEN}@upload.example.org"},
    ],
)
@pytest.mark.parametrize("command", [[], ["check"]])
def test_a_secret_in_another_address_is_shown_nowhere(tmp_path, settings, command):
    shown = run(tmp_path, *command, "--verbose", **settings)
    assert shown.returncode, shown
    assert HIDDEN not in everything(shown, tmp_path)


def run(place, *arguments, **settings):
    """script.py with these settings, where MISP and Microsoft are out of reach."""
    (place / "config.py").write_text("")
    named = {"MISP_DOMAIN": f"https://{NOBODY_THERE}", "MISP_KEY": "k" * 40, "STATE_DIR": str(place), **settings}
    environ = {
        **environ_for(AzureState()),
        **{f"MISP2SENTINEL_{name}": value for name, value in named.items()},
        "PATH": os.environ["PATH"],
        "HOME": str(place),
    }
    command = [sys.executable, str(ROOT / "script.py"), "--config", str(place / "config.py"), *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)


def everything(shown, place):
    """What the process printed, and the log and whatever else it left."""
    left = [path.read_bytes().decode(errors="replace") for path in place.rglob("*") if path.is_file()]
    return "\n".join([shown.stdout, shown.stderr, *left])
