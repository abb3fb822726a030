"""The rows of runs: what is kept of each, for how long, in how many bytes, and an older ledger's upgrade."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from contextlib import closing
from dataclasses import replace
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constants import VERSION, Skip
from helpers.errors import SettingsError
from helpers.indicators import DAY, first_path, kind_of
from helpers.indicators.patterns import _KINDS, OTHER
from helpers.ledger.history.runs import (
    EVERY_RUN_DAYS,
    LONGEST_CAUSE,
    MOST_OF_EVENTS,
    MOST_RECENT,
    ONE_A_DAY_DAYS,
    STAY_ANYWAY,
    RunKey,
    RunKind,
    RunRecord,
    outlived,
)
from helpers.ledger.records import DestinationFacts, Stage
from helpers.ledger.store import Ledger
from helpers.ledger.tables import OBJECTS, SCHEMA
from helpers.process.log import redact
from sandbox.faults import Fault
from tests.ledger.test_ledger import make_it_older, object_record, version
from tests.support import hosts, misp_event
from tests.support.in_process import UPLOAD_PATH, OneProcess
from tests.support.postgres import ledger_url, postgres_server, postgres_url

__all__ = ["ledger_url", "postgres_server", "postgres_url"]
NOW = 1_790_000_000
HOUR = 3_600
WHOLE = RunRecord(
    at=NOW,
    kind=RunKind.FULL,
    exit_code=4,
    seconds=34.5,
    events=1,
    attributes=2,
    new=3,
    changed=4,
    renewed=5,
    again=6,
    accepted=7,
    withdrawn=8,
    rejected=9,
    pending=10,
    not_taken=15,
    withdrawals_rejected=17,
    withdrawals_pending=16,
    unchanged=11,
    skipped={"no_to_ids": 12},
    live={"domain": 13},
    requests=14,
    version="1.1.0",
    cause="Microsoft refused: ü",
)


# -- a row ------------------------------------------------------------------------------------------------


def test_what_a_run_did_is_kept_whole_the_last_one_first(ledger_url):
    ledger = Ledger(ledger_url, "workspace", "MISP")
    other = Ledger(ledger.database, "other", "MISP")
    for run in (RunRecord(NOW), WHOLE):
        ledger.keep_run(run)
    assert ledger.runs() == [WHOLE, RunRecord(NOW)]
    assert ledger.runs(1) == [WHOLE]
    assert other.runs() == []
    ledger.close()


@pytest.mark.parametrize("text", ["", "[]", '{"new": 1', "null", "9" * 5000, "{" * 100_000, None, b"\xff"])
def test_a_damaged_row_is_a_run_of_which_nothing_is_known(text):
    assert RunRecord.of_row(NOW, "plain", text) == RunRecord(NOW)


@given(
    st.dictionaries(
        st.sampled_from(sorted(json.loads(WHOLE.stored()))),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        ),
    ),
    st.text(),
)
def test_whatever_stands_in_a_row_it_can_be_shown(stored, kind):
    run = RunRecord.of_row(NOW, kind, json.dumps(stored))
    assert RunRecord.of_row(NOW, run.kind, run.stored()) == replace(run, cause=" ".join(run.cause.split()))
    assert run.new >= 0 and run.seconds >= 0 and sum(run.skipped.values()) >= 0


def test_a_row_is_small_whatever_happened():
    huge = dict.fromkeys(("exit_code", "events", "attributes", "new", "changed", "renewed", "again"), 10**9)
    huge |= dict.fromkeys(("accepted", "withdrawn", "rejected", "pending", "unchanged", "requests"), 10**9)
    huge |= dict.fromkeys(("not_taken", "withdrawals_rejected", "withdrawals_pending"), 10**9)
    huge |= dict.fromkeys(("beside_sent", "beside_withdrawn"), 10**9)
    skipped = {reason.name.lower(): 10**9 for reason in Skip}
    live = dict.fromkeys([*_KINDS, OTHER], 10**9)
    run = RunRecord(NOW, **huge, seconds=1e6, skipped=skipped, live=live, version="9" * 999, cause="\U0001f600" * 9999)
    assert len(run.stored().encode()) < 4096
    assert len(RunRecord.of_row(NOW, "plain", run.stored()).cause) == LONGEST_CAUSE


# -- how long they stay -----------------------------------------------------------------------------------


def rows(*ages, kind="plain"):
    """Rows of runs so many seconds ago, numbered as they were written, the oldest first."""
    return [RunKey(number, NOW - age, kind) for number, age in enumerate(sorted(ages, reverse=True), 1)]


def ages_that_stay(known):
    gone = outlived(known, NOW)
    return [NOW - row.at for row in known if row.number not in gone]


def test_every_run_of_the_last_days_stays_and_then_the_last_one_of_each_day_for_a_year():
    hourly = rows(*(n * HOUR for n in range(24 * 400)))
    stay = ages_that_stay(hourly)
    recent = [age for age in stay if age < EVERY_RUN_DAYS * DAY]
    older = [(NOW - age) // DAY for age in stay if age >= EVERY_RUN_DAYS * DAY]
    assert len(recent) == EVERY_RUN_DAYS * 24
    assert len(older) == len(set(older)) == ONE_A_DAY_DAYS - EVERY_RUN_DAYS + 1
    assert max(stay) < ONE_A_DAY_DAYS * DAY


def test_runs_of_one_event_take_no_place_of_others_and_only_the_last_of_them_stay():
    nightly = rows(*(n * DAY for n in range(20)))
    of_events = [RunKey(100 + n, NOW - 2000 + n, "uuid") for n in range(1000)]
    gone = outlived([*nightly, *of_events], NOW)
    assert not gone & {row.number for row in nightly}
    assert {row.number for row in of_events} - gone == {100 + n for n in range(1000 - MOST_OF_EVENTS, 1000)}
    assert outlived(rows(15 * DAY, kind="uuid"), NOW) == {1}


def test_a_clock_that_is_years_ahead_does_not_cost_the_last_rows():
    known = rows(*(5 * 366 * DAY + n * DAY for n in range(30)))
    assert len(ages_that_stay(known)) == STAY_ANYWAY


KEYS = st.lists(st.tuples(st.integers(-30 * DAY, 500 * DAY), st.sampled_from(list(RunKind))), max_size=60).map(
    lambda drawn: [RunKey(number, NOW - age, kind) for number, (age, kind) in enumerate(drawn, 1)]
)


@given(KEYS)
def test_what_stays_is_bounded_and_stays_when_it_is_looked_at_again(known):
    gone = outlived(known, NOW)
    stay = [row for row in known if row.number not in gone]
    assert outlived(stay, NOW) == set()
    assert outlived(reversed(known), NOW) == gone
    assert len(stay) <= MOST_RECENT + MOST_OF_EVENTS + ONE_A_DAY_DAYS + 1 + STAY_ANYWAY
    assert not known or known[-1] in stay or known[-1].kind == RunKind.UUID
    fresh = {row for row in known if row.kind != RunKind.UUID and row.at > NOW - EVERY_RUN_DAYS * DAY}
    assert fresh <= set(stay)


def test_no_more_stay_than_the_bound_however_often_it_runs():
    often = rows(*(n * 60 for n in range(2000)))
    assert len(ages_that_stay(often)) == MOST_RECENT + 2  # and the last of the others on each of two days
    ahead = [RunKey(n, NOW + n * DAY, "plain") for n in range(1, 2000)]
    assert len(ahead) - len(outlived(ahead, NOW)) == MOST_RECENT


def test_rows_that_are_outlived_are_dropped_in_both_databases(ledger_url):
    ledger, other = (Ledger(ledger_url, name, "MISP") for name in ("workspace", "other"))
    other.keep_run(RunRecord(NOW - 500 * DAY))
    other.close()
    for n in range(20):
        ledger.keep_run(RunRecord(NOW - 500 * DAY + n))
    ledger.keep_run(RunRecord(NOW))
    assert [run.at for run in ledger.runs()] == [
        NOW,
        *(NOW - 500 * DAY + n for n in range(19, 19 - STAY_ANYWAY + 1, -1)),
    ]
    assert len(Ledger(ledger.database, "other", "MISP").runs()) == 1
    ledger.close()


# -- kinds ------------------------------------------------------------------------------------------------

PATTERNS = {
    "[domain-name:value = 'a.example.org']": "domain",
    "[ipv4-addr:value = '192.0.2.1']": "address",
    "[ipv6-addr:value='2001:db8::1']": "address",
    "[url:value = 'https://example.org/']": "url",
    "[file:hashes.'SHA-256' = 'aa']": "hash",
    "[file:hashes.MD5 = 'aa' AND file:name = 'b']": "hash",
    "[file:name = 'b']": "file",
    "[email-addr:value = 'a@example.org']": "email",
    "[email-message:subject = 'hello']": "email",
    "[x509-certificate:hashes.'SHA-1' = 'aa']": "certificate",
    "[windows-registry-key:key = 'HKLM']": "registry_key",
    "[mutex:name = 'a']": "mutex",
    "[autonomous-system:number = '1']": "autonomous_system",
    "[network-traffic:dst_port = '80']": "network_traffic",
    "[mac-addr:value = '00:00:5e:00:53:01']": "mac_address",
    "[x-misp-thing:value = 'a']": "other",
    "[domainName = 'a.example.org' AND threatType = 'C2']": "domain",
    "[networkDestinationIPv4 = '192.0.2.1' AND networkIPv4 = '192.0.2.1']": "address",
    "[networkCidrBlock = '192.0.2.0/24']": "address",
    "[fileHashValue = 'aa' AND fileHashType = 'md5']": "hash",
    "[emailSenderAddress = 'a@example.org']": "email",
    "[userAgent = 'a']": "network_traffic",
    "[networkSourceAsn = '1']": "autonomous_system",
    "": "other",
    "[": "other",
    " ": "other",
    f"[{'x' * 99}:value = 'a']": "other",
    "no pattern": "other",
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_of_the_kind_that_people_call_it(pattern):
    assert kind_of(first_path(pattern)) == PATTERNS[pattern]


def test_what_is_live_is_counted_by_kind(ledger_url):
    ledger = Ledger(ledger_url, "workspace", "MISP")
    lives = {"stage": Stage.ACCEPTED, "live": True, "live_until": NOW + 9}
    ledger.keep(objects=[object_record(n, pattern=pattern, **lives) for n, pattern in enumerate(PATTERNS)])
    ledger.keep(objects=[object_record(98), object_record(99, live=True, live_until=NOW)])
    counted = ledger.live_by_kind(NOW)
    assert counted == {kind: list(PATTERNS.values()).count(kind) for kind in PATTERNS.values()}
    assert next(iter(counted)) == "other"
    ledger.close()


def test_what_is_live_is_counted_as_each_object_says_of_itself(ledger_url):
    stages = (Stage.PENDING, Stage.SENDING, Stage.ACCEPTED, Stage.REJECTED, Stage.WITHDRAWING)
    ends, patterns = (NOW, NOW + 3, NOW + 9), itertools.cycle(PATTERNS)
    objects = [
        replace(
            object_record(n, pattern=next(patterns), stage=stage, live=True, live_until=until, leaving=leaving),
            perhaps_taken=taken,
            accepted_until=accepted,
        )
        for n, (stage, until, leaving, taken, accepted) in enumerate(
            itertools.product(stages, ends, ("", "gone"), (False, True), (0, NOW + 3))
        )
    ]
    staying = [one for one in objects if one.is_live(NOW) and one.stage == Stage.ACCEPTED and not one.leaving]
    kinds = Counter(PATTERNS[one.pattern] for one in objects if one.is_in_sentinel(NOW))
    with closing(Ledger(ledger_url, "workspace", "MISP")) as ledger:
        ledger.keep(objects=objects)
        totals = ledger.live_totals(NOW)
        assert totals == (sum(one.is_live(NOW) for one in objects), kinds, len(staying))
        assert totals.live == ledger.live(NOW)
        assert totals.by_kind == ledger.live_by_kind(NOW)


# -- the upgrade ------------------------------------------------------------------------------------------


def test_an_upgrade_from_schema_3_loses_nothing_and_names_what_patterns_are_of(ledger_url):
    lives = {"stage": Stage.ACCEPTED, "live": True, "live_until": NOW + 9}
    objects = [object_record(n, pattern=pattern, **lives) for n, pattern in enumerate(PATTERNS)]
    facts = DestinationFacts(last_run={"at": NOW, "exit_code": 3}, last_good=NOW - DAY)
    old = Ledger(ledger_url, "workspace", "MISP")
    old.keep(objects=objects)
    old.save_facts(facts)
    before = old.live_by_kind(NOW)
    paths = old.tally(OBJECTS.c.observable, OBJECTS.c.observable != "")
    old.close()
    make_it_older(ledger_url, 3)
    upgraded = Ledger(ledger_url, "workspace", "MISP")
    assert version(ledger_url) == str(SCHEMA)
    assert upgraded.by_id(record.id for record in objects) == {record.id: record for record in objects}
    assert upgraded.facts() == facts
    assert (upgraded.live_by_kind(NOW), upgraded.runs()) == (before, [])
    assert upgraded.tally(OBJECTS.c.observable, OBJECTS.c.observable != "") == paths
    upgraded.keep_run(WHOLE)
    upgraded.close()


# -- what runs write --------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path):
    site = OneProcess(tmp_path, NOW, MISP_EVENT_FILTERS='{"published": 1}')
    site.misp.load([misp_event(1, hosts(5)), misp_event(2, hosts(3, "b"))])
    return site


def remembered(site):
    ledger = Ledger(site.settings.ledger_url, site.settings.workspace_key, "MISP")
    known = ledger.facts(), ledger.runs()
    ledger.close()
    return known


def test_each_run_leaves_a_row(site):
    assert site.run().exit_code == 0
    site.seconds += DAY
    site.run(full=True)
    second, first = remembered(site)[1]
    assert (first.at, first.kind, first.exit_code, first.new, first.accepted) == (NOW, RunKind.PLAIN, 0, 8, 8)
    assert (first.live, first.requests, first.version, first.cause) == ({"domain": 8}, 1, VERSION, "")
    assert (second.at, second.kind, second.new) == (NOW + DAY, RunKind.FULL, 0)


def test_a_row_tells_what_was_not_taken_from_what_may_have_been(site):
    site.azure.faults.add(Fault(UPLOAD_PATH, "status", times=None, status=403))
    assert site.run().exit_code == 4
    (row,) = remembered(site)[1]
    assert (row.new, row.accepted, row.pending, row.not_taken, row.live) == (8, 0, 8, 8, {})


def test_a_row_counts_the_withdrawals_that_were_taken(site):
    site.run()
    site.seconds += DAY
    site.misp.edit_attribute(event(site), attribute(site), to_ids=False)
    site.misp.publish(event(site))
    site.run()
    row, _ = remembered(site)[1]
    assert (row.withdrawn, row.withdrawals_pending, row.accepted) == (1, 0, 0)


@pytest.mark.parametrize(("status", "counts"), [(400, (0, 1, 0)), (403, (0, 0, 1))])
def test_a_row_counts_the_withdrawals_that_were_not_taken(site, status, counts):
    site.run()
    site.seconds += DAY
    site.misp.edit_attribute(event(site), attribute(site), to_ids=False)
    site.misp.publish(event(site))
    site.azure.faults.add(Fault(UPLOAD_PATH, "status", times=None, status=status))
    site.run()
    row, _ = remembered(site)[1]
    assert (row.withdrawn, row.withdrawals_rejected, row.withdrawals_pending) == counts


def test_a_run_of_one_event_leaves_what_is_known_of_the_last_whole_one(site):
    site.run()
    before = remembered(site)[0]
    site.seconds += HOUR
    site.misp.edit_attribute(event(site), attribute(site), comment="edited")
    site.misp.publish(event(site))
    assert site.run(uuid=event(site)).plans["changed"] == 1
    facts, (row, _) = remembered(site)
    assert (facts.last_run, facts.last_good, facts.begun_at) == (before.last_run, before.last_good, NOW)
    assert (facts.ended_at, facts.ran_at, facts.whole_run_at) == (NOW + HOUR, NOW + HOUR, NOW)
    assert (row.kind, row.changed) == (RunKind.UUID, 1)


def test_a_dry_run_leaves_nothing(site):
    site.run()
    before = remembered(site)
    site.settings = site.settings.model_copy(update={"dry_run": True})
    site.seconds += DAY
    site.run()
    assert remembered(site) == before


def event(site):
    return next(iter(site.misp.events()))["uuid"]


def attribute(site):
    return next(iter(site.misp.events()))["Attribute"][0]["uuid"]


# -- runs that end otherwise ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "cause"),
    [
        (KeyboardInterrupt(), 130, "Stopped from outside."),
        (SettingsError(["deduplicate was changed"]), 2, "deduplicate was changed"),
        (ValueError("odd\n\x1b[2J"), 70, r"A fault of this program's own: ValueError: odd\n\x1b[2J"),
    ],
)
def test_a_run_that_was_cut_off_is_no_good_run(site, error, code, cause):
    site.run()
    site.seconds += DAY
    with mock.patch("helpers.sync.run.SharedReading.run", side_effect=error), pytest.raises(type(error)):
        site.run()
    facts, (row, _) = remembered(site)
    assert (facts.last_run["exit_code"], facts.last_run["at"], facts.last_good) == (code, NOW + DAY, NOW)
    assert (row.exit_code, row.cause) == (code, cause)


def test_of_a_run_that_died_its_beginning_is_known(site):
    site.run()
    site.seconds += DAY
    steps = site.life.steps
    assert site.run(last_step=steps // 2) is None
    facts, runs = remembered(site)
    assert (facts.begun_at, facts.whole_run_at, len(runs)) == (NOW + DAY, NOW, 1)
    site.run()
    assert remembered(site)[0].whole_run_at == NOW + DAY


def test_the_first_cause_is_kept_without_secrets(site):
    redact.add(["a-word-that-is-secret"])
    site.misp.faults.add(Fault("/events/index", "status", status=403, body={"message": "a-word-that-is-secret"}))
    assert site.run().exit_code == 3
    (row,) = remembered(site)[1]
    assert row.exit_code == 3
    assert row.cause.startswith("MISP failed: ") and "a-word-that-is-secret" not in row.cause


@pytest.mark.parametrize("at", ["x", None, -1, 253_402_300_800, 2**62, 1.5])
def test_a_moment_that_is_none_counts_as_never_noted(at):
    assert RunRecord.of_row(at, "plain", "{}").at == 0
