"""What a run and ``check`` say of a config.py or a state_dir that others may change: each refusal once."""

import os
import subprocess
import sys

import pytest

from helpers.commands.check import Preflight
from helpers.settings import load
from sandbox.serve import Sandbox
from tests.support import Said
from tests.sync.test_run import ROOT, Site
from tests.sync.test_run import load as load_events

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of other users")
WWW = 33  # www-data, as Debian numbers it
# script.py as it is on a host, wherever the tests run.
ON_A_HOST = (
    "import sys; from helpers.settings.config import places; places.CONTAINER_FILES = (); import script; "
    "sys.exit(script.main(sys.argv[1:]))"
)


@pytest.fixture
def site(tmp_path):
    with Sandbox() as box:
        site = Site(box, tmp_path)
        load_events(site)
        yield site


def on_a_host(site, *arguments):
    """Run script.py as root on a host of its own; exit code, stdout, stderr."""
    done = subprocess.run(
        [sys.executable, "-c", ON_A_HOST, "--config", str(site.config), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(site.state.parent), **site.environ},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    return done.returncode, done.stdout, done.stderr


def test_what_is_root_s_alone_is_used(site):
    assert on_a_host(site) == (0, "", "")
    assert site.state.is_dir()


@pytest.mark.parametrize("command", [[], ["check"], ["status"], ["convert", "event.json"]])
def test_a_config_of_others_is_refused_once_and_nothing_is_done(site, command):
    os.chown(site.config, WWW, WWW)
    code, out, err = on_a_host(site, *command)
    assert (code, out) == (2, "")
    assert err.count("may be changed by www-data") == 1
    assert f"chown root {site.config}\n" in err
    assert not site.state.exists() and not site.box.misp.requests


@pytest.mark.parametrize("command", [[], ["check"], ["status"], ["withdraw", "--workspace", "x"], ["adopt"]])
def test_a_state_dir_of_others_is_refused_once(site, command):
    site.state.mkdir()
    os.chown(site.state, WWW, WWW)
    code, out, err = on_a_host(site, *command)
    assert code == 2
    assert (out + err).count("may be changed by www-data") == 1
    assert ("FAIL state: state_dir " in out) == (command == ["check"])
    assert list(site.state.iterdir()) == []


def test_check_warns_where_it_refuses_nothing(site, monkeypatch):
    site.state.mkdir()
    os.chown(site.config, WWW, WWW)
    site.state.chmod(0o777)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1")
    lines = Said()
    assert Preflight(load(site.config, {**site.environ, **os.environ}).settings, lines.say).run() == 0
    assert [line for line in lines if line.startswith("warn") and "Ready" not in line] == [
        f"warn config.py: {site.config} may be changed by www-data: run this as www-data, or, if root is to run it "
        f"from now on, chown root {site.config}",
        f"warn state_dir: {site.state} may be changed by everybody: chmod o-w {site.state}",
    ]
    assert site.run().exit_code == 0
