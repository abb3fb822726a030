"""Pings: whom a run tells that it began and how it ended, what they read of it, and what a dead receiver costs."""

from __future__ import annotations

import re
import signal
import ssl
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from constants import Skip
from helpers.commands.azure_timer import RunFailed, run_on_timer
from helpers.commands.monitoring.told.causes import _BY_CODE, GUARD, cause_of
from helpers.commands.monitoring.told.ending import Ending, RunEnding, ending_of, ending_of_failure
from helpers.commands.monitoring.told.pings import pings_of_end, pings_of_start, slug_of
from helpers.commands.monitoring.told.telling import telling
from helpers.commands.monitoring.told.words import Sender, body_of, title_of
from helpers.errors import ExitCode, SettingsError
from helpers.microsoft.batch import OutcomeState
from helpers.process import Part
from helpers.settings.config.values.receivers import ping_address, token_parts
from helpers.settings.sections import Tenant
from helpers.sync.report import Report
from helpers.sync.report.report import Rejection
from sandbox.faults import Fault
from sandbox.serve import Sandbox
from tests.support import hosts, misp_event
from tests.support.processes import Host, HurriedHost, load
from tests.support.tls_site import TlsSite
from tests.support.wire_server import WireServer, answer

TOKEN = "5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278"
SENDER = Sender("1.1.0", "sync.example.org", "/var/lib/misp2sentinel/misp2sentinel.log")
OK = answer(body=b"OK")
ADDRESSES = ("ON_START", "ON_SUCCESS", "ON_FAILURE")
PATHS = {"ON_START": f"/{TOKEN}/start", "ON_SUCCESS": f"/{TOKEN}", "ON_FAILURE": f"/{TOKEN}/{{exit_code}}"}
TIMEOUT = 60
IDENTITY = {"tenantId": "example.org", "id": "22222222-2222-4222-8222-222222222222", "secret": SecretStr("s3cret")}
# A value of TLP:RED, as it is in MISP and in what Microsoft says of it.
RED = "very-secret-host.example.org"


@pytest.fixture
def box():
    with Sandbox() as box:
        load(box, 2, 5)
        yield box


@pytest.fixture
def receiver():
    with WireServer(lambda _: OK) as server:
        yield server


def pinged(server, **changes):
    """Settings that ping this server."""
    return {name: f"{server.url}{path}" for name, path in {**PATHS, **changes}.items()}


def paths(server):
    return [asked.path.replace(f"/{TOKEN}", "") for asked in server.asked]


# --- a run, as a process -----------------------------------------------------------------------------


def test_a_good_run_pings_its_start_and_its_success(box, receiver, tmp_path):
    ended = Host(box, tmp_path, **pinged(receiver)).run()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert paths(receiver) == ["/start", ""]
    body = receiver.asked[1].body.decode()
    assert body.startswith("MISP2Sentinel: OK\nSentinel: exit code 0. 10 sent, 0 withdrawn, 0 skipped; 10 indicators")
    assert str(tmp_path / "misp2sentinel.log") in body
    assert {asked.method for asked in receiver.asked} == {"POST"}


def test_a_run_that_fails_pings_its_failure_with_its_exit_code(box, receiver, tmp_path):
    box.misp.faults.add(Fault("/events/", "status", status=403, body={"message": f"no {RED} for you"}))
    ended = Host(box, tmp_path, **pinged(receiver)).run()
    assert ended.returncode == 3
    assert paths(receiver) == ["/start", "/3"]
    body = receiver.asked[1].body.decode()
    assert body.startswith("MISP2Sentinel: FAILED\nSentinel: MISP refuses the key (misp_key)")
    assert RED not in body


@pytest.mark.parametrize(
    ("more", "code", "cause"),
    [
        ({"STATE_URL": "postgresql://ledger:Zq7hidden@127.0.0.1:1/ledger"}, 2, "the ledger cannot be used"),
        ({"LOG_FILE": "/proc/nowhere/log"}, 2, "the settings, or what they name, cannot be used"),
        ({"STATE_DIR": "/proc/nowhere"}, 2, "the settings, or what they name, cannot be used"),
        (
            {"KEY_VAULT_NAME": "soc-vault", "MISP_KEY": "", "MS_PROXIES": '{"https": "http://127.0.0.1:1"}'},
            4,
            "the key vault gives no secret",
        ),
    ],
    ids=["ledger", "log", "state_dir", "key vault"],
)
def test_what_fails_before_the_run_begins_is_told_too(box, receiver, tmp_path, more, code, cause):
    ended = Host(box, tmp_path, **{**pinged(receiver), **more}).run()
    assert ended.returncode == code, ended
    assert paths(receiver) == [f"/{code}"]
    assert cause in receiver.asked[0].body.decode()
    assert "Zq7hidden" not in receiver.asked[0].body.decode()


def test_a_missing_package_for_messages_is_told_by_the_ping(make_settings, monkeypatch, receiver):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    settings = make_settings(on_failure=f"{receiver.url}/{TOKEN}", notify=["json://localhost:1/x"])
    with pytest.raises(SettingsError), telling(settings, warn=lambda words: None):
        pytest.fail("a run began")
    assert paths(receiver) == [""]


def test_a_part_that_fails_before_it_begins_is_told_of_its_own_destinations_alone(make_settings, receiver):
    tenants = [Tenant(name=f"site{n}", workspaceId=f"33333333-3333-4333-8333-{n:012d}", **IDENTITY) for n in range(10)]
    settings = make_settings(on_failure=f"{receiver.url}/{TOKEN}/{{destination}}", ms_tenants=tenants)
    with pytest.raises(SettingsError), telling(settings, part=Part(1, 3), warn=lambda words: None):
        raise SettingsError(["The log cannot be written."])
    assert sorted(paths(receiver)) == ["/site0", "/site1"]


@pytest.mark.parametrize(
    "arguments", [["--dry-run"], ["--uuid", misp_event(1)["uuid"]], ["check"], ["status"], ["explain", "x"]]
)
def test_what_is_no_whole_run_pings_nothing(box, receiver, tmp_path, arguments):
    host = Host(box, tmp_path, **pinged(receiver))
    host.run(*arguments)
    assert receiver.asked == []


def test_a_run_that_another_one_keeps_from_beginning_pings_nothing(box, receiver, tmp_path):
    site = TlsSite(box, None, tmp_path)
    host = HurriedHost(box, site.state, **pinged(receiver))
    ledger = site.ledger()
    with ledger.hold_lock(site.state):
        ended = host.run()
    ledger.close()
    assert ended.returncode == 5, ended
    assert receiver.asked == []


def test_settings_that_cannot_be_loaded_ping_nothing(box, receiver, tmp_path):
    host = Host(box, tmp_path, **pinged(receiver), MISP_TIMEOUT="soon")
    assert host.run().returncode == 2
    assert receiver.asked == []


def test_a_run_that_is_stopped_pings_its_failure(box, receiver, tmp_path):
    asked = threading.Event()
    box.misp.faults.add(Fault("/events/", "hang", when=lambda _: asked.set() or True))
    host = Host(box, tmp_path, **pinged(receiver))
    with host.start() as process:
        try:
            assert asked.wait(TIMEOUT)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()
    assert process.returncode == 130
    assert paths(receiver) == ["/start", "/130"]
    assert "stopped from outside" in receiver.asked[1].body.decode()


def test_a_guard_that_refuses_is_a_failure_though_the_exit_code_is_1(box, receiver, tmp_path):
    box.misp.load([misp_event(1, hosts(120))])
    host = Host(box, tmp_path, **pinged(receiver))
    assert host.run().returncode == 0
    box.misp.load([misp_event(1, hosts(1, "other"))])
    ended = host.run("--full")
    assert (ended.returncode, paths(receiver)[-1]) == (1, "/1"), ended.stderr
    assert GUARD in receiver.asked[-1].body.decode()


def test_rejected_indicators_are_no_failure_and_none_is_named(box, receiver, tmp_path):
    red = {"type": "domain", "value": RED, "Tag": [{"name": "tlp:red"}]}
    box.misp.load([misp_event(1, [red])])
    error = {"errors": [{"recordIndex": 0, "errorMessages": [f"{RED} is not welcome"]}]}
    box.azure.faults.add(Fault(":upload", "body", body=error, status=200))
    ended = Host(box, tmp_path, **pinged(receiver)).run()
    assert ended.returncode == 1, ended
    assert RED in ended.stderr, "who runs it is told"
    assert paths(receiver) == ["/start", ""]
    body = receiver.asked[1].body.decode()
    assert "1 rejected" in body and RED not in body


def test_the_azure_function_pings_too(box, receiver, tmp_path):
    host = Host(box, tmp_path, "none", **pinged(receiver))
    host.environ["MISP2SENTINEL_CONFIG"] = str(host.config)
    run_on_timer(host.environ)
    box.misp.faults.add(Fault("/events/", "status", status=500))
    box.misp.faults.add(Fault("/servers/", "status", status=403))
    with pytest.raises(RunFailed):
        run_on_timer(host.environ)
    assert paths(receiver) == ["/start", "", "/start", "/3"]


# --- receivers that are dead -------------------------------------------------------------------------


def drip():
    """An answer that never ends, a byte at a time."""
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    while True:
        threading.Event().wait(0.05)
        yield b"."


def strange_certificate():
    """The server's side of TLS, with a certificate that nobody trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    return context


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (lambda _: answer(500), "it answered 500"),
        (lambda _: answer(404, b"not found"), "it answered 404"),
        (lambda _: answer(200, b"OK (not found)"), r"OK \(not found\)"),
        (lambda _: answer(302, Location="https://example.org/elsewhere"), "a redirect to https://example.org"),
        (lambda _: iter(()), "Remote end closed"),
        (lambda _: drip(), "it did not answer in 10 seconds"),
    ],
    ids=["500", "404", "unknown", "redirect", "nothing", "drip"],
)
def test_a_receiver_that_does_not_take_it_costs_a_warning(box, tmp_path, answers, words):
    with WireServer(answers) as server:
        ended = Host(box, tmp_path, **pinged(server)).run()
    assert (ended.returncode, ended.stdout) == (0, "")
    told = [line for line in ended.stderr.splitlines() if line.startswith("warning: on_")]
    assert [line.split()[1] for line in told] == ["on_start", "on_success"]
    assert all(re.search(words, line) for line in told), told
    assert TOKEN not in ended.stderr + (tmp_path / "misp2sentinel.log").read_text()
    assert "on_success was not told" in (tmp_path / "misp2sentinel.log").read_text()


def test_an_odd_answer_brings_no_address_into_the_log(box, tmp_path):
    """urllib3 would warn of such headers, with the whole address."""
    with WireServer(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nno header\r\n : x\r\n\r\nOK") as server:
        more = {"ON_SUCCESS": f"http://127.0.0.1:{server.port}/Short1/{{exit_code}}?k=Sh2.3"}
        ended = Host(box, tmp_path, **more).run("--verbose")
        assert [asked.path for asked in server.asked] == ["/Short1/0?k=Sh2.3"]
    assert ended.returncode == 0
    assert not re.search("Short1|Sh2", ended.stdout + ended.stderr + (tmp_path / "misp2sentinel.log").read_text())


def test_a_receiver_that_is_not_there_or_that_nobody_trusts_costs_a_warning(box, tmp_path):
    with WireServer(lambda _: OK, strange_certificate()) as server:
        settings = {
            "ON_START": f"{server.url}/{TOKEN}/start",
            "ON_SUCCESS": f"http://127.0.0.1:1/{TOKEN}",
        }
        ended = Host(box, tmp_path, **settings).run()
    assert ended.returncode == 0
    certificate, refused = ended.stderr.splitlines()
    assert "on_start was not told" in certificate and "ms_verifycert" in certificate
    assert "on_success was not told" in refused and "[Errno 111] Connection refused." in refused
    assert TOKEN not in ended.stderr + (tmp_path / "misp2sentinel.log").read_text()


def test_receivers_that_are_silent_cost_ten_seconds_together_and_the_process_ends(box, tmp_path):
    """Of the time only the bound is looked at, with room for a busy machine."""
    silence = threading.Event()
    with WireServer(lambda _: silence.wait(TIMEOUT) or OK) as server:
        began = time.monotonic()
        ended = Host(box, tmp_path, **pinged(server)).run()
        took = time.monotonic() - began
        silence.set()
    assert ended.returncode == 0
    assert took < TIMEOUT / 2, "it has not waited for an answer"
    assert ended.stderr.count("was not told") == 2


def test_the_start_comes_before_the_end(box, tmp_path):
    """A check of Healthchecks goes by the last ping: a late start would leave it started."""
    order = []

    def answers(asked):
        if asked.path.endswith("/start"):
            threading.Event().wait(3)  # longer than the run takes
        order.append(asked.path)
        return OK

    with WireServer(answers) as server:
        ended = Host(box, tmp_path, **pinged(server)).run()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [path.removeprefix(f"/{TOKEN}") for path in order] == ["/start", ""]


# --- which addresses ---------------------------------------------------------------------------------


def part(name="paris", code=0, cause=""):
    return Ending(name, code, cause or ("" if code in (0, 1, 5) else "it failed"))


def shown(ended, success="https://p.example.org/s", failure="https://p.example.org/f"):
    pings = pings_of_end(success, failure, ended, SENDER)
    return [ping.address.removeprefix("https://p.example.org/") for ping in pings]


@pytest.mark.parametrize(
    ("codes", "whole", "pinged_then"),
    [
        ([0], 0, ["s"]),
        ([1], 1, ["s"]),
        ([3], 3, ["f"]),
        ([5], 5, []),
        ([0, 5], 1, ["s"]),
        ([0, 4], 1, ["f"]),
        ([5, 5], 5, []),
    ],
)
def test_one_address_is_for_the_whole_run(codes, whole, pinged_then):
    ended = RunEnding(whole, [part(f"d{number}", code) for number, code in enumerate(codes)])
    assert shown(ended) == pinged_then


def test_an_address_that_names_the_destination_is_pinged_for_each_with_its_own_code():
    ended = RunEnding(1, [part("Paris.HQ"), part("lyon", 4), part("tokyo", 5), part("oslo", 1)])
    template = "https://p.example.org/{destination}/{exit_code}"
    assert shown(ended, template, template) == ["paris-hq/0", "oslo/1", "lyon/4"]
    starts = pings_of_start("https://p.example.org/{destination}/start", ["Paris.HQ", "lyon"])
    assert [ping.address.rpartition("org/")[2] for ping in starts] == ["paris-hq/start", "lyon/start"]
    assert len(pings_of_start("https://p.example.org/start", ["a", "b"])) == 1
    assert pings_of_start("", ["a"]) == []


@given(name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}|", fullmatch=True))
def test_a_slug_is_what_healthchecks_takes(name):
    assert re.fullmatch("[a-z0-9_-]+", slug_of(name))


@pytest.mark.parametrize(
    ("address", "wrong"),
    [
        ("hc-ping.example.org/x", "is not a web address"),
        ("ftp://hc.example.org/x", "is not a web address"),
        ("https:///x", "is not a web address"),
        ("https://{destination}.example.org/x", "is not a web address"),
        ("http://hc.example.org/x", "must begin with https://"),
        ("https://u:p@hc.example.org/x", "has a user or password"),
        ("https://hc.example.org/{code}", "has a placeholder that there is not"),
        ("https://hc.example.org/a b", "has a space"),
        ("https://hc.example.org:abc/x", "is not an address"),
    ],
)
def test_an_address_that_cannot_be_pinged_is_refused_with_what_to_write(address, wrong):
    with pytest.raises(ValueError, match=wrong):
        ping_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        f"https://hc-ping.example.org/{TOKEN}/{{exit_code}}",
        "https://hc-ping.example.org/key/{destination}/{exit_code}?create=1",
        "http://localhost:8000/x",
        "http://192.168.1.2/x",
        "http://[::1]:8000/x",
    ],
)
def test_an_address_that_can_be_pinged_is_taken(address):
    assert ping_address(address) == address


def test_the_token_of_an_address_is_a_secret_wherever_it_stands():
    parts = list(token_parts(f"https://hc.example.org/ping/{TOKEN}/{{exit_code}}?key=a-key-of-22-characters"))
    assert TOKEN in parts and "a-key-of-22-characters" in parts
    assert not any(re.fullmatch(r"[\w.]*example.org", text) or text == "ping" for text in parts)


# --- what they read ----------------------------------------------------------------------------------


MARK = "Zq7hidden.example.org"
TEXTS = st.text(max_size=30).map(lambda text: f"{text}{MARK}{text}")
NAMES = ("misp_error", "given_up", "unsent", "failure", "advice", "nothing_found")
REPORTS = st.builds(
    Report,
    **dict.fromkeys(NAMES, st.just("") | TEXTS),
    **dict.fromkeys(("unread", "faults", "refusals", "warnings", "unmatched"), st.lists(TEXTS, max_size=2)),
    rejections=st.lists(st.builds(Rejection, TEXTS, TEXTS, TEXTS), max_size=2),
    examples=st.dictionaries(st.sampled_from(Skip), st.lists(TEXTS, max_size=2), max_size=2),
    states=st.dictionaries(st.sampled_from(OutcomeState), st.integers(0, 9)).map(Counter),
    failure_code=st.sampled_from([1, 2, 4]),
    misp_exit_code=st.sampled_from([2, 3]),
)


@given(reports=st.lists(REPORTS, min_size=1, max_size=3))
def test_nothing_that_others_say_is_in_what_those_outside_read(reports):
    """MISP's and Microsoft's words may repeat an indicator of any TLP, a warning the title of an event."""
    parts = [replace(report, name=f"d{number}") for number, report in enumerate(reports)]
    ended = ending_of(Report.of(parts, 0), "")
    for ping in pings_of_end("https://p.example.org/s", "https://p.example.org/f", ended, SENDER):
        assert MARK not in ping.body
        assert len(ping.body.encode()) < 100_000, "the most that Healthchecks keeps"


@given(code=st.sampled_from(ExitCode), text=TEXTS | st.sampled_from(["AADSTS7000222", "no answer from MISP"]))
def test_a_cause_is_one_of_the_sentences_that_are_written_down(code, text):
    known = {words for causes, otherwise in _BY_CODE.values() for words in (*(c.words for c in causes), otherwise)}
    assert cause_of(code, text) in {*known, "it failed"}


@pytest.mark.parametrize(
    ("code", "text", "words"),
    [
        (4, "Microsoft gives no token: x. Microsoft's words: AADSTS7000222: expired", "the client secret has expired"),
        (4, "Microsoft gives no token: x", "Microsoft gives no token"),
        (4, "403 Forbidden", "Microsoft Sentinel Contributor"),
        (3, "no answer from MISP: [Errno 111] Connection refused", "MISP did not answer"),
        (3, "the key (misp_key) is refused", "MISP refuses the key"),
        (2, "The ledger at /x cannot be used (state_url): the disk is full", "the ledger's disk is full"),
        (2, "misp_domain is redirected to https://m.example.org", "MISP answers at another address"),
        (70, "ValueError: x", "a fault of MISP2Sentinel's own"),
    ],
)
def test_what_a_failure_is_about_is_said_in_our_own_words(code, text, words):
    assert words in cause_of(code, text)
    assert words in body_of(ending_of_failure(["paris"], code, text).parts, SENDER)


def test_a_title_says_where_it_failed():
    good, bad = part("paris"), part("lyon", 4)
    assert title_of([good]) == "MISP2Sentinel: OK"
    assert title_of([replace(bad, name="")]) == "MISP2Sentinel: FAILED"
    assert title_of([bad]) == "MISP2Sentinel: FAILED at lyon"
    assert title_of([good, bad]) == "MISP2Sentinel: FAILED at lyon, 1 of 2 destinations"
    assert title_of([good, bad, bad]) == "MISP2Sentinel: FAILED at 2 of 3 destinations"
    assert title_of([bad, bad]) == "MISP2Sentinel: FAILED at all 2 destinations"


def test_of_very_many_destinations_the_failed_come_first_and_the_rest_is_counted():
    lines = body_of([part(f"d{n}") for n in range(30)] + [part("bad", 4)], SENDER).splitlines()
    assert lines[1].startswith("bad: ") and lines[-2] == "and 11 more destinations"
    assert len(lines) == 1 + 20 + 1 + 1


def test_pings_are_secrets_to_the_log_and_to_settings_that_are_shown(make_settings):
    settings = make_settings(on_success=f"https://hc.example.org/{TOKEN}")
    assert TOKEN in settings.secret_values()
    assert TOKEN not in repr(settings)
