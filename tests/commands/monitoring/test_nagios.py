"""``status --nagios``: the line and the exit code that monitors read, whatever happens, in our own words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.commands.monitoring.moments import Watch
from helpers.commands.monitoring.status.nagios import service_of
from helpers.commands.screen import Service, service_line
from helpers.errors import ExitCode
from sandbox.faults import Fault
from sandbox.serve import Sandbox
from tests.support.processes import Host, load

# Monitoring Plugins, development guidelines: 'label'=value[UOM];[warn];[crit];[min];[max]
MEASURED = re.compile(r"'(\w+)'=(U|[0-9.]+)(s?);([0-9.]*);([0-9.]*);0")
NOW = 1_790_000_000
MARK = "Zq7hidden.example.org"


def read(line):
    """The state, the text and what is measured, as a monitor takes a line apart."""
    assert line.count("\n") == 1 and line.endswith("\n")
    text, bar, measured = line.rstrip("\n").partition("|")
    state, words = re.fullmatch("MISP2SENTINEL (OK|WARNING|CRITICAL|UNKNOWN) - (.+)", text).groups()
    parts = [MEASURED.fullmatch(part) for part in measured.split(" ")] if bar else []
    assert all(parts), measured
    return state, words, {part[1]: (f"{part[2]}{part[3]}", part[4], part[5]) for part in parts}


@pytest.fixture(scope="module")
def box():
    with Sandbox() as box:
        load(box, 1, 3)
        yield box


@pytest.fixture
def host(box, tmp_path):
    yield Host(box, tmp_path)
    box.misp.faults.clear()
    box.azure.faults.clear()


def nagios(host, *arguments):
    ended = host.run("status", "--nagios", *arguments)
    assert "Traceback" not in ended.stdout + ended.stderr
    return ended.returncode, *read(ended.stdout)


def test_all_is_well(host):
    host.run()
    code, state, words, measured = nagios(host, "--max-age", "26")
    assert (code, state) == (0, "OK")
    assert words.startswith("The last run was just now. 3 indicators live in Sentinel.")
    assert {label: value[0] for label, value in measured.items() if label != "age"} == {
        "live": "3",
        "pending": "0",
        "rejected": "0",
        "held": "0",
    }
    assert measured["age"][2] == "93600" and measured["age"][0].endswith("s")


def test_what_is_to_be_looked_at_is_a_warning(box, host):
    error = {"errors": [{"recordIndex": 0, "errorMessages": [f"{MARK}: no"]}]}
    box.azure.faults.add(Fault(":upload", "body", body=error, status=200))
    assert host.run().returncode == 1
    code, state, words, measured = nagios(host)
    assert (code, state) == (1, "WARNING")
    assert words.startswith("1 rejected by Microsoft. ")
    assert measured["rejected"][0] == "1" and measured["age"] == ("U", "", "")
    assert MARK not in words


def test_a_failed_run_is_critical_in_our_own_words(box, host):
    box.misp.faults.add(Fault("/events/", "status", status=403, body={"message": MARK}))
    assert host.run().returncode == 3
    code, state, words, _ = nagios(host)
    assert (code, state) == (2, "CRITICAL")
    assert "FAILED, just now: MISP refuses the key (misp_key)" in words
    assert MARK not in words
    assert MARK in host.run("status").stdout, "who sits at the host sees it"


def test_without_a_ledger_nothing_is_known_whatever_the_age(host):
    assert nagios(host, "--max-age", "26")[:2] == (3, "UNKNOWN")
    assert "There is no ledger yet" in nagios(host)[2]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"MISP_TIMEOUT": "soon"}, "misp_timeout"),
        ({"STATE_URL": "none"}, 'state_url is "none"'),
        ({"STATE_URL": f"postgresql://u:{MARK}@127.0.0.1:1/x"}, "The ledger at postgresql://u:***@127.0.0.1:1/x"),
    ],
)
def test_what_cannot_be_asked_is_unknown_and_on_stdout(box, tmp_path, more, words):
    code, state, said, measured = nagios(Host(box, tmp_path, **more))
    assert (code, state, measured) == (3, "UNKNOWN", {})
    assert words in said and MARK not in said


def test_a_damaged_ledger_is_unknown(host, tmp_path):
    (tmp_path / "ledger.sqlite").write_text("no database at all, " * 100)
    code, state, words, _ = nagios(host)
    assert (code, state) == (3, "UNKNOWN")
    assert "The ledger at" in words


@pytest.mark.parametrize("arguments", [["--max-age", "soon"], ["--nonsense"], ["--json"]])
def test_a_wrong_command_line_is_unknown_too(host, arguments):
    assert nagios(host, *arguments)[:2] == (3, "UNKNOWN")


def test_a_config_that_stumbles_is_unknown(host):
    host.config.write_text("raise ValueError('a | b\\nc')\n")
    assert nagios(host)[:2] == (3, "UNKNOWN")


def test_a_monitor_that_waits_no_longer_is_told_so(host):
    host.config.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nimport time\ntime.sleep(60)\n")
    code, state, words, _ = nagios(host)
    assert (code, state) == (3, "UNKNOWN")
    assert "stopped from outside" in words


def test_of_a_fault_of_our_own_the_line_has_the_kind_alone(host, tmp_path):
    """The text of an exception may have a value in it, and a monitor mails what it reads."""
    faulty = f"def fault(*_):\n    raise ValueError('{MARK}')\nimport helpers.ledger\n"
    host.config.write_text(f"{host.config.read_text()}{faulty}helpers.ledger.ledger_destinations = fault\n")
    code, state, words, _ = nagios(host)
    assert (code, state) == (3, "UNKNOWN")
    assert "report it: ValueError (the same command without --nagios says more)" in words
    assert MARK in host.run("status").stderr


# --- the line ----------------------------------------------------------------------------------------


@given(words=st.text(min_size=1), state=st.sampled_from(Service))
def test_a_line_is_one_line_with_one_bar_whatever_is_in_it(words, state):
    line = service_line(state, f"x{words}", ["'live'=3;;;0"])
    assert line.splitlines() == [line]
    assert line.count("|") == 1


def known(**changes):
    counts = dict.fromkeys(("refused_events", "in_flight", "leaving", "waiting_withdrawals"), 0)
    counts |= {"live": 2, "pending": 0, "rejected": 0, "held_events": 1}
    times = {"last_good_run": "2026-09-21T13:00:00Z", "unfinished_since": None, "in_the_future": None}
    run = {"at": "2026-09-21T13:00:00Z", "exit_code": 0}
    state = {
        "name": "paris",
        "in_settings": True,
        "cut_off": False,
        "seconds_ago": 60,
        "last_run": run,
        "rejections": {},
        "context": {},
        "sightings": None,
    }
    return {**counts, **times, **state, **changes}


def answer(*destinations, **changes):
    return {"destinations": destinations, "not_in_ledger": [], "max_age_hours": None, "late": False, **changes}


def test_late_is_critical():
    state, line = service_of(answer(known(), max_age_hours=26, late=True), Watch(NOW))
    assert state is Service.CRITICAL
    assert line.startswith("MISP2SENTINEL CRITICAL - LATE: no good run in the last 26 hours (--max-age).|")


def test_of_several_destinations_the_sums_and_the_oldest_good_run_are_measured():
    old = "2026-09-20T13:00:00Z"
    line = service_of(answer(known(), known(live=5, last_good_run=old), max_age_hours=1.5), Watch(NOW))[1]
    _, _, measured = read(f"{line}\n")
    assert (measured["live"][0], measured["held"][0]) == ("7", "2")
    assert measured["age"] == (f"{NOW - 1_789_909_200}s", "", "5400")


def test_a_destination_that_the_settings_do_not_name_counts_for_nothing():
    line = service_of(answer(known(), known(in_settings=False, live=5)), Watch(NOW))[1]
    assert read(f"{line}\n")[2]["live"][0] == "2"


SAID = st.text(max_size=20).map(lambda text: f"{text}{MARK}{text}")
RUNS = st.fixed_dictionaries(
    {"at": st.just("2026-09-21T13:00:00Z"), "exit_code": st.sampled_from(ExitCode)},
    optional={
        **dict.fromkeys(("misp_error", "failure", "given_up", "cause"), SAID | st.just("")),
        **dict.fromkeys(("unread_events", "warnings", "refused_withdrawals"), st.lists(SAID, max_size=2)),
    },
)


@given(runs=st.lists(RUNS | st.none(), min_size=1, max_size=3))
def test_nothing_that_others_said_is_in_the_line(runs):
    destinations = [known(last_run=run, name=f"d{number}", rejections={MARK: 1}) for number, run in enumerate(runs)]
    state, line = service_of(answer(*destinations), Watch(NOW))
    assert MARK not in line
    failed = any(run and run["exit_code"] not in (0, 1) for run in runs)
    assert (state is Service.CRITICAL) is failed
