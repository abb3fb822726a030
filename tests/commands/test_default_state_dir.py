"""Every command in a set-up as misp2sentinel's: a config.py that names no state_dir, and cron's user without a home."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sandbox.serve import Sandbox
from tests.settings.test_trust import owned
from tests.sync.test_run import ROOT, Site
from tests.sync.test_run import load as load_events

NOBODY = 65534
# Root's python, modules and certificates may lie where only root can read; writing is what this user may not do.
AS_NOBODY = (
    *("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"),
    *("--inh-caps", "-all,+dac_read_search", "--ambient-caps", "+dac_read_search", "--"),
)
# script.py on a host of its own, with another directory in the place of /var/lib/misp2sentinel.
PROGRAM = (
    "import sys; from pathlib import Path; from helpers.settings.config import places; "
    "places.OF_PROGRAM = Path(sys.argv[1]); places.CONTAINER_FILES = (); import script; "
    "sys.exit(script.main(sys.argv[2:]))"
)
COMMANDS = ([], ["--dry-run"], ["check"], ["status"], ["explain", "x.example.org"], ["adopt"], ["collect"])


def can_be_nobody():
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        return False
    return subprocess.run([*AS_NOBODY, sys.executable, "-c", ""], capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(
    not can_be_nobody(), reason="only root, with setpriv, can run script.py as another user"
)


class OldSite:
    """misp2sentinel as it was set up: a clone with its config.py, and a home that is root's."""

    def __init__(self, box, place):
        self.box, self.clone, self.home, self.lib = box, place / "clone", place / "home", place / "lib"
        for directory in (self.clone, self.home):
            directory.mkdir()
            directory.chmod(0o755)
        self.config = self.clone / "config.py"
        self.state = self.clone / "state"
        site = Site(box, place)
        self.config.write_text(site.config.read_text() + "misp_stories = {'api_key': 'k' * 40, 'organisation_id': 1}\n")
        self.config.chmod(0o644)
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(self.home), **site.environ}
        del self.environ["MISP2SENTINEL_STATE_DIR"]
        bundle = place / "ca.pem"
        shutil.copyfile(box.ca_file, bundle)
        self.environ |= {f"MISP2SENTINEL_{side}_VERIFYCERT": str(bundle) for side in ("MISP", "MS")}

    def run(self, *arguments, prefix=AS_NOBODY, **environ):
        python = [sys.executable, "-W", "error", "-W", "ignore::ImportWarning", "-c", PROGRAM]
        return subprocess.run(
            [*prefix, *python, str(self.lib), "--config", str(self.config), *arguments],
            env={**self.environ, **environ},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )

    def made(self):
        """What there is beside what was there before."""
        known = {self.clone, self.home, self.config, self.clone / ".git"}
        return {path for place in (self.clone, self.home, self.lib) for path in place.glob("*")} - known


@pytest.fixture
def site():
    with Sandbox() as box, tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        site = OldSite(box, Path(place))
        load_events(site)
        yield site


def silent(done):
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_home_that_is_root_s_leaves_the_ledger_beside_config_py(site):
    owned(site.clone, NOBODY, NOBODY)
    subprocess.run(["git", "init", "-q", str(site.clone)], check=True)
    silent(site.run())
    sent = len(site.box.azure.objects())
    assert sent == 150
    assert {path.name for path in site.state.iterdir()} >= {
        "ledger.sqlite",
        "misp2sentinel.log",
        "ledger.sqlite.1.lock",
    }
    assert (site.state.stat().st_mode & 0o7777, site.state.stat().st_uid) == (0o700, NOBODY)
    assert site.made() == {site.state}
    seen = subprocess.run(
        [*("git", "-c", "safe.directory=*", "-C", str(site.clone), "status", "--porcelain", "--untracked-files=all")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert seen.stdout.splitlines() == ["?? config.py"]
    silent(site.run())
    summary = (site.state / "misp2sentinel.log").read_text().rpartition("Summary: ")[2].splitlines()[0]
    assert json.loads(summary)["accepted"] == 0


def test_check_and_status_show_the_place(site):
    owned(site.clone, NOBODY, NOBODY)
    silent(site.run())
    done = site.run("check")
    assert f"ok   state: log, lock and ledger in {site.state}" in done.stdout.splitlines()
    assert site.run("status").stdout.splitlines()[-1].endswith(f"state directory {site.state}")
    assert json.loads(site.run("status", "--json").stdout)["state_dir"] == str(site.state)
    assert site.run("explain", "e1h1.example.org", "--offline").returncode == 0


def test_what_only_looks_makes_no_ledger(site):
    owned(site.clone, NOBODY, NOBODY)
    assert site.run("status").returncode == 0
    assert site.made() == set()
    assert "\nok   state: " in site.run("check").stdout
    assert site.run("--dry-run").returncode == 0
    assert {path.name for path in site.state.iterdir()} >= {"misp2sentinel.log"}
    assert not (site.state / "ledger.sqlite").exists()


@pytest.mark.parametrize("home", ["root's", "unset", "read-only"])
def test_the_directory_of_the_program_comes_before_the_one_beside_config_py(site, home):
    owned(site.clone, NOBODY, NOBODY)
    site.lib.mkdir()
    owned(site.lib, NOBODY, NOBODY, 0o700)
    if home == "unset":
        del site.environ["HOME"]
    if home == "read-only":
        owned(site.home, NOBODY, NOBODY, 0o500)
    silent(site.run())
    assert (site.lib / "ledger.sqlite").exists()
    assert site.made() == {*site.lib.iterdir()}


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_place_every_command_says_the_line_and_nothing_is_made(site, command):
    done = site.run(*command)
    assert done.returncode == 2
    said = done.stdout if command == ["check"] else done.stderr
    assert f"{site.home}/.local/state/misp2sentinel cannot be made by nobody, /nonexistent/.local" in said
    assert f'state_dir = "{site.lib}" in {site.config} (or MISP2SENTINEL_STATE_DIR={site.lib})' in said
    assert said.count("state_dir is not set") == 1
    assert site.made() == set() and not site.box.azure.objects()


def test_what_the_message_says_helps(site):
    said = site.run().stderr
    subprocess.run(["sh", "-euc", re.search(r"install -d .* -m 700 [^;]+", said)[0]], check=True)
    with site.config.open("a") as file:
        file.write(re.search(r'state_dir = "[^"]+"', said)[0])
    silent(site.run())
    assert (site.lib / "ledger.sqlite").exists()


def test_status_of_a_ledger_elsewhere_needs_no_place(site):
    disk = site.lib.with_name("disk")
    for place in (site.lib, disk):
        place.mkdir()
        owned(place, NOBODY, NOBODY)
    elsewhere = {"MISP2SENTINEL_STATE_URL": f"sqlite:///{disk}/other.sqlite"}
    silent(site.run(**elsewhere))
    owned(site.lib, mode=0o755)
    assert site.run(**elsewhere).returncode == 2
    answer = json.loads(site.run("status", "--json", **elsewhere).stdout)
    assert (answer["state_dir"], answer["destinations"][0]["live"]) == (None, 150)


def test_what_needs_no_place_works_without_one(site):
    event = site.clone / "event.json"
    event.write_text(json.dumps({"Event": {"uuid": "4d45f0a2-7d5c-4b8c-9b3a-0d3d2f1f9e11", "info": "x", "id": "1"}}))
    assert site.run("convert", str(event)).returncode == 0


def test_a_ledger_in_a_home_that_can_no_longer_be_written_is_named(site):
    owned(site.home, NOBODY, NOBODY)
    owned(site.clone, NOBODY, NOBODY)
    silent(site.run())
    place = site.home / ".local" / "state" / "misp2sentinel"
    place.chmod(0o500)
    done = site.run()
    assert done.returncode == 2
    assert f"there is a ledger in {place}, which nobody may not write" in done.stderr
    assert site.made() == {site.home / ".local"}


@pytest.mark.parametrize("command", [*COMMANDS, ["withdraw", "--workspace", "x"]])
def test_two_ledgers_are_named_and_neither_is_used(site, command):
    site.lib.mkdir()
    site.state.mkdir()
    for place in (site.lib, site.state):
        (place / "ledger.sqlite").touch()
        owned(place / "ledger.sqlite", NOBODY, NOBODY, 0o600)
        owned(place, NOBODY, NOBODY, 0o700)
    done = site.run(*command)
    assert done.returncode == 2
    assert f"there is a ledger in {site.lib} and one in {site.state}" in done.stdout + done.stderr
    assert [*site.lib.iterdir(), *site.state.iterdir()] == [place / "ledger.sqlite" for place in (site.lib, site.state)]


def test_a_run_without_a_ledger_keeps_lock_and_log_there(site):
    owned(site.clone, NOBODY, NOBODY)
    done = site.run(MISP2SENTINEL_STATE_URL="none")
    assert done.returncode == 0
    names = {re.sub(r"\.\w+\.", ".N.", path.name) for path in site.state.iterdir()}
    assert names == {".gitignore", "misp2sentinel.log", "run.N.lock"}


def test_a_link_beside_config_py_is_refused(site):
    (site.clone / "elsewhere").mkdir()
    site.state.symlink_to("elsewhere")
    for path in (site.clone, site.clone / "elsewhere"):
        owned(path, NOBODY, NOBODY)
    done = site.run()
    assert done.returncode == 2
    assert f"{site.state} is a symbolic link to {site.clone}/elsewhere, which is refused" in done.stderr
    assert list((site.clone / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("place", ["lib", "state"])
def test_root_does_not_use_what_another_user_keeps(site, place):
    place = getattr(site, place)
    place.mkdir()
    (place / "ledger.sqlite").touch()
    owned(place / "ledger.sqlite", NOBODY, NOBODY, 0o600)
    owned(place, NOBODY, NOBODY, 0o700)
    done = site.run(prefix=())
    assert done.returncode == 2
    assert f"state_dir (default) is not used by root: {place}" in done.stderr
    assert "run this as nobody (the installed command misp2sentinel changes to its user)" in done.stderr
    assert list(site.home.iterdir()) == []
