"""A signal ends a process at once wherever it waits, in order, and the next run finishes what is left."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from contextlib import contextmanager, suppress

import psycopg
import pytest

from constants import VERSION
from sandbox import faults
from sandbox.azure.app import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE_NAME
from sandbox.faults import Fault
from sandbox.serve import Sandbox
from tests.support.postgres import postgres_server, postgres_url
from tests.support.processes import Host, load
from tests.support.story_site import US, story

__all__ = ["postgres_server", "postgres_url"]
UPLOAD_PATH = "threat-intelligence-stix-objects:upload"
# Longer than a process may take to end, and than a test waits for it.
PATIENCE = 600
TIMEOUT = 60
IN_ORDER = "Stopped from outside; what was not finished is taken up by the next run."
AT_ONCE = "Stopped from outside, at once;"
OBJECTS = 60


@pytest.fixture
def box(monkeypatch):
    monkeypatch.setattr(faults, "HANG_SECONDS", PATIENCE)
    with Sandbox() as box:
        load(box, 3, OBJECTS // 3)
        yield box


@pytest.fixture
def host(box, tmp_path):
    return Host(box, tmp_path, MS_MAX_INDICATORS_REQUEST="10")


@contextmanager
def started(host, *arguments):
    """Start script.py; it does not outlive the test."""
    with host.start(*arguments) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process, *words):
    """Read what a process says on stderr until it has said all of this; one that does not in its time is killed."""
    text, too_late = "", threading.Timer(TIMEOUT, process.kill)
    too_late.start()
    try:
        for line in process.stderr:
            text += line
            if all(word in text for word in words):
                return
    finally:
        too_late.cancel()
    raise AssertionError(text)


def end(process, number=signal.SIGTERM, *, again=None):
    """Send a signal, and another one until it has come as a second one; what the process said before its end."""
    process.send_signal(number)
    for _ in range(10 * TIMEOUT if again else 0):
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
        process.send_signal(again)
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    return out, err


def last_run(host, name=""):
    """Whether the last run was stopped, and when the last good one was."""
    destinations = json.loads(host.run("status", "--json").stdout)["destinations"]
    destination = next(destination for destination in destinations if name in (destination["name"], ""))
    assert destination["last_run"]["exit_code"] in (0, 130)
    return destination["last_run"]["stopped"], destination["last_good_run"]


def finish(box, host):
    """Run again, when nothing goes wrong any more: nothing is lost."""
    for state in (box.azure, box.misp):
        state.faults.clear()
    box.misp.rate_limit = None
    assert host.run().returncode == 0
    assert len(box.azure.live()) == OBJECTS


def busy(state, path, headers, **more):
    state.faults.add(Fault(path, "status", status=429, body={"name": "later"}, headers=headers, **more))


def throttle(box, **more):
    """Let Microsoft ask for patience."""
    busy(box.azure, UPLOAD_PATH, {"Retry-After": str(PATIENCE)}, **more)


def limit(box, path):
    """Let MISP ask for patience."""
    busy(box.misp, path, {"X-Rate-Limit-Reset": str(PATIENCE)}, times=None)


def hang(state, path, after=0):
    """Let a neighbour be silent; set when it is asked."""
    asked = threading.Event()
    state.faults.add(Fault(path, "hang", after=after, when=lambda _: asked.set() or True))
    return asked


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_microsofts_patience_is_not_waited_for(box, host, number):
    throttle(box)
    with started(host, "--verbose", "--json") as process:
        wait_for(process, "Pausing upload")
        out, err = end(process, number)
    assert IN_ORDER in err
    assert json.loads(out) == {"version": VERSION, "error": IN_ORDER, "exit_code": 130}
    finish(box, host)


def test_a_run_that_was_stopped_is_no_good_run(box, host):
    asked = hang(box.misp, "/events/restSearch", after=1)
    with started(host) as process:
        assert asked.wait(TIMEOUT)
        assert IN_ORDER in end(process)[1]
    assert last_run(host) == (True, None)
    finish(box, host)


@pytest.mark.parametrize("path", ["/events/index", "/events/restSearch"])
def test_misps_patience_is_not_waited_for(box, host, path):
    limit(box, path)
    with started(host, "--verbose") as process:
        wait_for(process, "as MISP asks")
        assert IN_ORDER in end(process)[1]
    finish(box, host)


@pytest.mark.parametrize("after", [0, 1], ids=["listing", "reading"])
def test_a_silent_misp_is_not_waited_for(box, host, after):
    asked = hang(box.misp, "/events/restSearch", after)
    with started(host) as process:
        assert asked.wait(TIMEOUT)
        assert IN_ORDER in end(process)[1]
    finish(box, host)


def test_an_upload_that_is_under_way_gets_its_answer(box, host):
    asked, answer = threading.Event(), threading.Event()
    slow = Fault(UPLOAD_PATH, "status", when=lambda _: asked.set() or not answer.wait(TIMEOUT))
    box.azure.faults.add(slow)
    with started(host) as process:
        assert asked.wait(TIMEOUT)
        process.send_signal(signal.SIGTERM)
        answer.set()
        err = process.communicate(timeout=TIMEOUT)[1]
    assert process.returncode == 130
    assert IN_ORDER in err
    finish(box, host)
    assert sum(upload["kinds"]["indicator"] for upload in box.azure.uploads) == OBJECTS, "none is sent twice"


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_does_not_even_wait_for_that(box, host, second):
    asked = hang(box.azure, UPLOAD_PATH)
    with started(host) as process:
        assert asked.wait(TIMEOUT)
        assert AT_ONCE in end(process, again=second)[1]
    finish(box, host)


def test_a_silent_postgresql_is_left_at_a_second_signal(box, tmp_path, postgres_url):
    host = Host(box, tmp_path, postgres_url)
    assert host.run().returncode == 0
    with psycopg.connect(postgres_url) as other, psycopg.connect(postgres_url, autocommit=True) as watching:
        other.execute("LOCK TABLE objects IN ACCESS EXCLUSIVE MODE")
        with started(host) as process:
            waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while not watching.execute(waits).fetchone()[0]:
                assert process.poll() is None
            assert AT_ONCE in end(process, again=signal.SIGTERM)[1]
    finish(box, host)


def test_a_destination_that_waits_does_not_cost_another_one_its_record(box, tmp_path):
    other, app = "33333333-0000-4000-8000-000000000002", "22222222-0000-4000-8000-000000000002"
    box.azure.add_workspace(other)
    box.azure.other_clients.add(app)  # destinations of one app wait together
    login = {"tenantId": box.azure.tenant, "secret": box.azure.client_secret}
    tenants = [
        {"name": "quick", "workspaceId": box.azure.workspace_id, "id": box.azure.client_id, **login},
        {"name": "slow", "workspaceId": other, "id": app, **login},
    ]
    host = Host(box, tmp_path, MS_TENANTS=json.dumps(tenants))
    busy(box.azure, f"{other}/{UPLOAD_PATH}", {"Retry-After": str(PATIENCE)})
    with started(host, "--verbose") as process:
        wait_for(process, "quick: Finished uploading", "Pausing upload")
        assert IN_ORDER in end(process)[1]
    assert last_run(host, "quick")[1] is not None
    assert last_run(host, "slow")[1] is None
    finish(box, host)
    assert len(box.azure.live(other)) == OBJECTS


# -- commands ---------------------------------------------------------------------------------------


def stories(box):
    box.misp.tags |= {"loader", "tlp:amber"}
    values = {"API_KEY": box.misp.add_user("Publisher", US), "ORGANISATION_ID": US["id"], "DISTRIBUTION": "1"}
    return {f"MISP_STORIES__{name}": value for name, value in {**values, "SSL_CHECK": box.ca_file}.items()}


def to_adopt(box):
    names = {"SUBSCRIPTION_ID": SUBSCRIPTION, "RESOURCEGROUPNAME": RESOURCE_GROUP, "WORKSPACENAME": WORKSPACE_NAME}
    return {f"MS_AUTH__{name}": value for name, value in names.items()} | {"MS_ENDPOINTS__MANAGEMENT": box.azure_url}


def test_a_withdrawal_ends_its_wait(box, host):
    assert host.run().returncode == 0
    throttle(box)
    command = ["withdraw", "--verbose", "--json", "--force-withdraw", "--workspace", box.azure.workspace_id]
    with started(host, *command) as process:
        wait_for(process, "Pausing upload")
        out, err = end(process)
    assert (json.loads(out)["exit_code"], IN_ORDER in err) == (130, True)
    box.azure.faults.clear()
    assert host.run().returncode == 0
    assert len(box.azure.live()) == OBJECTS, "the run after it wants them all, under new ids"


def test_a_take_over_ends_its_wait_and_has_taken_nothing(box, tmp_path):
    assert Host(box, tmp_path / "before").run().returncode == 0
    host = Host(box, tmp_path / "after", **to_adopt(box))
    limit(box, "/attributes/restSearch")
    with started(host, "adopt", "--json") as process:
        wait_for(process, "to wait, 600 s")
        out, err = end(process)
    assert (json.loads(out)["exit_code"], IN_ORDER in err) == (130, True)
    asked = hang(box.azure, "/query")
    with started(host, "adopt") as process:
        assert asked.wait(TIMEOUT)
        assert AT_ONCE in end(process, again=signal.SIGTERM)[1]
    for state in (box.azure, box.misp):
        state.faults.clear()
    adopted = host.run("adopt", "--json")
    assert (adopted.returncode, json.loads(adopted.stdout)["adopted"]) == (0, {"matched": OBJECTS})


@pytest.mark.parametrize(("command", "path"), [("share", "/events/"), ("collect", "/restSearch")])
def test_stories_end_their_wait(box, tmp_path, command, path):
    host = Host(box, tmp_path / "state", **stories(box))
    file = tmp_path / "story.json"
    file.write_text(json.dumps(story()))
    limit(box, path)
    with started(host, *([command, "--json", str(file)] if command == "share" else [command])) as process:
        wait_for(process, "to wait, 600 s")
        out, err = end(process)
    assert IN_ORDER in err
    told = json.dumps({"version": VERSION, "error": IN_ORDER, "exit_code": 130})
    assert out == ("" if command == "collect" else f"{told}\n")
