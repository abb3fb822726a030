"""stdout and the others closed, full, or a pipe that nobody reads: the work is done, and the exit code says so."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from contextlib import contextmanager

import pytest

from helpers.process import streams
from helpers.sync.sending.debug_files import IndicatorDump
from sandbox.azure.app import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE_NAME
from sandbox.serve import Sandbox
from tests.support import hosts, misp_event
from tests.support.processes import ROOT, Host, load
from tests.support.story_site import US, story

OBJECTS = 6
LOST = "could not be written to stdout"
# How a shell makes them, and what is said of it on stderr.
STDOUTS = {">&-": "Bad file descriptor", ">/dev/full": "No space left on device", ">&$unread": ""}


@pytest.fixture
def box():
    with Sandbox() as box:
        load(box, 2, OBJECTS // 2)
        box.misp.tags |= {"loader", "tlp:amber"}
        yield box


@pytest.fixture
def host(box, tmp_path):
    key = box.misp.add_user("Publisher", US)
    of_stories = {"API_KEY": key, "ORGANISATION_ID": US["id"], "DISTRIBUTION": "1", "SSL_CHECK": box.ca_file}
    names = {"SUBSCRIPTION_ID": SUBSCRIPTION, "RESOURCEGROUPNAME": RESOURCE_GROUP, "WORKSPACENAME": WORKSPACE_NAME}
    settings = {f"MISP_STORIES__{name}": value for name, value in of_stories.items()}
    settings |= {f"MS_AUTH__{name}": value for name, value in names.items()}
    (tmp_path / "story.json").write_text(json.dumps(story()))
    return Host(box, tmp_path / "state", MS_ENDPOINTS__MANAGEMENT=box.azure_url, **settings)


def shell(host, arguments, redirections):
    """Run script.py with these redirections, where ``$unread`` is a pipe that nobody reads; code and stderr."""
    script = [sys.executable, str(ROOT / "script.py"), "--config", str(host.config), *arguments]
    reader, unread = os.pipe()
    os.close(reader)
    done = subprocess.run(
        ["bash", "-c", f'unread={unread}; "$0" "$@" {redirections}', *script],
        env=host.environ,
        pass_fds=[unread],
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(unread)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done.returncode, done.stderr


def with_little_room(host, most):
    """Run where no file may become longer than so many bytes; code and stderr."""
    with host.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))) as process:
        _, said = process.communicate(timeout=120)
    return process.returncode, said


COMMANDS = {
    "run": ["--json", "--full"],
    "dry run": ["--dry-run", "--full", "--list"],
    "check": ["check"],
    "status": ["status"],
    "explain": ["explain", "--offline", "e1h0.example.org"],
    "convert": ["convert", "EVENT"],
    "share": ["share", "--json", "STORY"],
    "collect": ["collect", "--full"],
    "withdraw": ["withdraw", "--json", "--force-withdraw", "--workspace", "WORKSPACE"],
    "adopt": ["adopt", "--json"],
    "help": ["--help"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_lost_stdout_is_told_and_costs_nothing_else(box, host, tmp_path, name):
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"Event": misp_event(7, hosts(1))}))
    named = {"EVENT": str(event), "STORY": str(tmp_path / "story.json"), "WORKSPACE": box.azure.workspace_id}
    if name in ("status", "explain", "withdraw"):
        assert host.run().returncode == 0
    if name == "collect":
        assert host.run("share", named["STORY"]).returncode == 0
    for stdout, cause in STDOUTS.items():
        code, said = shell(host, [named.get(word, word) for word in COMMANDS[name]], stdout)
        assert code == (2 if "fills an empty one only" in said else 1), said
        assert (said.count(LOST), cause in said) == (bool(cause), True), said


def test_a_run_that_could_not_print_its_summary_has_done_its_work(box, host):
    assert shell(host, ["--json"], ">/dev/full")[0] == 1
    assert len(box.azure.live()) == OBJECTS
    (destination,) = json.loads(host.run("status", "--json").stdout)["destinations"]
    assert (destination["last_run"]["exit_code"], destination["last_good_run"] is None) == (0, False)
    log = (host.config.parent / "misp2sentinel.log").read_text()
    assert LOST in log
    assert "Summary: " in log


def test_a_worse_exit_code_stays(host):
    assert shell(host, ["--json", "--uuid", "10000000-0000-4000-8000-000000000099"], ">/dev/full")[0] == 2


def test_what_could_not_be_printed_is_not_collected(host, tmp_path):
    assert host.run("share", str(tmp_path / "story.json")).returncode == 0
    for stdout in STDOUTS:
        assert shell(host, ["collect"], stdout)[0] == 1
    again = host.run("collect")
    assert (again.returncode, len(again.stdout.splitlines())) == (0, 1)


@pytest.mark.parametrize("redirections", ["2>&- <&-", "2>/dev/full"])
@pytest.mark.parametrize(
    ("arguments", "expected"), [(["--verbose"], 0), (["status"], 0), (["check"], 0), (["share", "-"], 1)]
)
def test_a_lost_stderr_changes_nothing(host, redirections, arguments, expected):
    if "status" in arguments:
        assert host.run().returncode == 0
    assert shell(host, arguments, f"{redirections} {'<&-' if 'share' in arguments else ''}")[0] == expected


def test_no_file_of_ours_takes_the_number_of_a_closed_stream(host):
    """Else what is printed goes into the ledger, or into the log."""
    assert shell(host, ["--json"], ">&- 2>&- <&-")[0] == 1
    files = [file for file in host.config.parent.iterdir() if file.is_file()]
    assert len(files) > 2
    assert not any(line.startswith(b'{"dry_run"') for file in files for line in file.read_bytes().splitlines())
    assert host.run().returncode == 0


def test_a_log_without_room_is_told_once_and_the_run_goes_on(box, host):
    most, log = 1_000_000, host.config.parent / "misp2sentinel.log"
    log.write_bytes(b"." * most)
    code, said = with_little_room(host, most)
    assert (code, said.count("cannot be written")) == (0, 1), said
    assert log.stat().st_size == most
    assert len(box.azure.live()) == OBJECTS


@contextmanager
def no_file_longer_than(most):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_dump_without_room_is_one_warning(tmp_path, caplog):
    dump = IndicatorDump(tmp_path / "parsed_indicators.txt")
    with no_file_longer_than(100):
        for _ in range(3):
            dump.add([b'"%s"' % (b"x" * 80)])
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "parsed_indicators.txt cannot be written" in caplog.text


def test_streams_of_others_are_left_alone(capsys):
    streams.guard()
    print("as ever")
    streams.end_if_lost()
    assert capsys.readouterr().out == "as ever\n"
