"""From an alert to a sighting: what is written, what is not, and what is said of it."""

from __future__ import annotations

import json

import pytest

from helpers.errors import RunActive, SettingsError
from helpers.ledger import SightingStage
from helpers.sync import run_sightings
from sandbox.faults import Fault
from sandbox.misp.app import READONLY_KEY
from tests.support import misp_event
from tests.sync.sightings.site import DAY, HOUR, SOURCE, START, TI_MAP, Site

ADD = "/sightings/add"


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    assert site.run().exit_code == 0
    site.seconds += HOUR
    return site


def counts(report):
    told = report.as_json()
    names = ("matches", "written", "there", "waiting", "unknown", "refused")
    return {name: told[name] for name in names if told[name]}


# -- what is written ------------------------------------------------------------------------------------


def test_an_alert_that_names_an_indicator_becomes_a_sighting_of_its_attribute(site):
    start = site.seconds - 900
    site.alert("our own rule", indicators=[site.indicator(0)], start=start)
    report = site.sightings()
    assert report.exit_code == 0
    assert counts(report) == {"matches": 1, "written": 1}
    (sighting,) = site.misp.sightings
    assert (sighting["source"], sighting["type"]) == (SOURCE, "0")
    assert int(sighting["date_sighting"]) == start
    assert site.written() == site.seen(0)


def test_a_value_counts_in_alerts_of_the_rules_that_look_for_indicators(site):
    for rule in (TI_MAP, "Impossible travel"):
        host = "1" if rule == TI_MAP else "2"
        site.alert(rule, entities=[("dns", f"HOST{host}.example.org"), ("host", "server"), ("account", "x")])
    report = site.sightings()
    assert counts(report) == {"matches": 1, "written": 1}
    assert report.other_rules == 1
    assert site.written() == site.seen(1)


def test_an_alert_that_names_an_id_and_its_value_is_one_match(site):
    site.alert(TI_MAP, indicators=[site.indicator(0)], entities=[("dns", "host0.example.org")])
    assert counts(site.sightings()) == {"matches": 1, "written": 1}


def test_what_is_of_too_many_attributes_is_counted_once_and_the_counts_add_up(tmp_path):
    site = Site(tmp_path, DEDUPLICATE="value")
    for number in range(25):
        site.misp.load([misp_event(100 + number, [("domain", "shared.example.org")], distribution="3")])
    site.run()
    site.alert(TI_MAP, entities=[("dns", "shared.example.org")])
    report = site.sightings()
    assert counts(report) == {"matches": 25, "written": 20}
    assert report.as_json()["left_out"] == {"too_many": 5}
    assert not (counts(site.sightings()) or site.sightings().left_out)


def test_of_one_day_there_is_one_however_many_alerts_and_of_two_days_two(site):
    for hours in (0, 1, 2, 30):
        site.alert(indicators=[site.indicator()], start=site.seconds - hours * HOUR)
    report = site.sightings()
    assert counts(report) == {"matches": 4, "written": 2, "there": 2}
    assert set(site.written().values()) == {1}
    assert len(site.written()) == 2


def test_the_overlap_writes_nothing_twice_and_counts_nothing_twice(site):
    site.alert(indicators=[site.indicator()])
    site.seconds += 60
    assert counts(site.sightings()) == {"matches": 1, "written": 1}
    site.seconds += 1800
    assert counts(site.sightings()) == {}
    assert sum(site.written().values()) == 1


def test_a_late_row_is_read_by_the_overlap(site):
    site.sightings()
    site.alert(indicators=[site.indicator()], generated=site.seconds - HOUR + 1)
    site.seconds += 600
    assert counts(site.sightings()) == {"matches": 1, "written": 1}


def test_an_alert_of_the_future_is_of_now(site):
    site.alert(indicators=[site.indicator()], start=site.seconds + 9 * DAY, generated=site.seconds - 60)
    site.sightings()
    assert site.written() == site.seen(0)
    assert int(site.misp.sightings[0]["date_sighting"]) == site.seconds


def test_an_indicator_that_left_is_sighted_at_the_attribute_that_is_remembered_for_90_days(site):
    left = site.indicator(0)
    event = next(iter(site.misp.events()))
    attribute = event["Attribute"][0]["uuid"]
    site.misp.edit_attribute(event["uuid"], attribute, to_ids=False)
    site.misp.publish(event["uuid"])
    site.run()
    assert site.azure.objects()[left]["revoked"]
    for days, expected in ((1, 1), (80, 2), (30, 2)):
        site.seconds += days * DAY
        site.alert(indicators=[left], generated=site.seconds - 60, start=site.seconds - 60)
        site.sightings(since=HOUR)
        site.run()
        assert len(site.misp.sightings) == expected, days


def test_nothing_of_the_alerts_hosts_and_users_reaches_misp_or_the_ledger(site):
    entities = [("dns", "host0.example.org"), ("host", "SECRET-HOST"), ("account", "SECRET-USER"), ("ip", "10.1.2.3")]
    site.alert(TI_MAP, entities=entities)
    report = site.sightings()
    assert report.written == 1
    everything = json.dumps(site.misp.sightings) + json.dumps(report.as_json())
    ledger = (site.settings.state_path / "ledger.sqlite").read_bytes()
    for secret in ("SECRET", "10.1.2.3"):
        assert secret not in everything
        assert secret.encode() not in ledger


# -- what is not ----------------------------------------------------------------------------------------


def test_an_id_that_nobody_knows_is_counted_as_unknown(site):
    site.alert(indicators=["indicator--99999999-9999-4999-8999-999999999999"])
    assert counts(site.sightings()) == {"unknown": 1}


def test_above_the_tlp_limit_nothing_is_written_until_the_limit_allows_it(tmp_path):
    site = Site(tmp_path, MISP_SIGHTINGS__MAX_TLP="green")
    event = next(iter(site.misp.events()))
    site.misp.tags.add("tlp:amber")
    site.misp.tag_event(event["uuid"], "tlp:amber")
    site.misp.publish(event["uuid"])
    site.run()
    site.seconds += HOUR
    site.alert(indicators=[site.indicator()])
    report = site.sightings()
    assert counts(report) == {"matches": 1}
    assert report.as_json()["left_out"] == {"tlp": 1}
    site.configure(MISP_SIGHTINGS__MAX_TLP="amber")
    assert counts(site.sightings()) == {"matches": 1, "written": 1}


def test_a_value_on_a_warninglist_is_never_sighted(tmp_path):
    site = Site(tmp_path, MISP_EVENT_FILTERS='{"published": 1, "enforceWarninglist": false}')
    site.run()
    site.misp.warninglist.add("host0.example.org")
    site.alert(TI_MAP, entities=[("dns", "host0.example.org"), ("dns", "host1.example.org")])
    site.seconds += 60
    report = site.sightings()
    assert counts(report) == {"matches": 2, "written": 1}
    assert report.as_json()["left_out"] == {"warninglist": 1}
    assert site.written() == site.seen(1)


def test_a_refusal_of_misp_is_kept_with_its_words_and_not_repeated(site):
    event = next(iter(site.misp.events()))
    site.alert(indicators=[site.indicator(0), site.indicator(1)])
    site.seconds += 60
    site.misp.hard_delete(event["uuid"], site.attribute(0))
    report = site.sightings()
    assert counts(report) == {"matches": 2, "written": 1, "refused": 1}
    assert "No valid attributes found" in report.refusals[0]
    assert report.exit_code == 0
    site.seconds += 600
    site.misp.requests.clear()
    assert counts(site.sightings()) == {}
    assert not [path for _, path, _ in site.misp.requests if ADD in path]


def test_more_than_fits_a_run_waits_in_the_ledger_and_the_cursor_moves_on(tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.sync.sightings.run.MOST_WRITTEN", 3)
    site = Site(tmp_path, count=8)
    site.run()
    site.alert(indicators=[site.indicator(number) for number in range(8)])
    site.seconds += 60
    assert counts(site.sightings()) == {"matches": 8, "written": 3, "waiting": 5}
    site.azure.alerts.clear()
    site.seconds += DAY
    assert counts(site.sightings()) == {"written": 3, "waiting": 2}
    assert counts(site.sightings()) == {"written": 2}
    assert sum(site.written().values()) == 8


def test_a_dry_run_lists_what_would_be_written_and_leaves_everything_as_it_is(site):
    site.alert(indicators=[site.indicator(0), site.indicator(1)])
    site.seconds += 60
    lines = []
    report = site.sightings(dry_run=True, line=lines.append)
    assert counts(report) == {"matches": 2, "waiting": 2}
    assert [line.split()[2:] for line in lines] == [
        [site.attribute(number), f"host{number}.example.org"] for number in (0, 1)
    ]
    assert not site.misp.sightings
    with site.ledger() as known:
        assert known.window().until == 0 and not known.stages()
    assert counts(site.sightings()) == {"matches": 2, "written": 2}


# -- keys, locks and settings ---------------------------------------------------------------------------


def test_a_key_that_may_not_write_ends_it_and_what_was_matched_waits(site):
    site.configure(MISP_SIGHTINGS__API_KEY=READONLY_KEY)
    site.alert(indicators=[site.indicator()])
    site.seconds += 60
    report = site.sightings()
    assert report.exit_code == 3
    assert "may not add sightings" in report.misp_error and READONLY_KEY not in report.misp_error
    assert counts(report) == {"matches": 1, "waiting": 1}
    site.configure(MISP_SIGHTINGS__API_KEY=site.misp.add_user("User"))
    assert counts(site.sightings()) == {"written": 1}


def test_without_a_key_or_a_ledger_it_says_what_to_do(site):
    site.configure(MISP_SIGHTINGS__API_KEY="")
    with pytest.raises(SettingsError, match="api_key"):
        site.sightings()
    site.configure(MISP_SIGHTINGS__API_KEY=site.misp.add_user("User"), STATE_URL="none")
    with pytest.raises(SettingsError, match="state_url"):
        site.sightings()


def test_one_at_a_time_writes_a_destinations_sightings_and_a_run_may_be_active(site):
    with site.ledger() as known:
        ledger = known.ledger
        with ledger.hold_lock(), ledger.database.hold_sightings(ledger.destination), pytest.raises(RunActive):
            site.sightings()
        with ledger.hold_lock():
            assert site.sightings().exit_code == 0


# -- what fails -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["reset-after", "truncate"])
def test_after_a_lost_answer_misp_is_asked_before_anything_is_written_again(site, kind):
    site.alert(indicators=[site.indicator()])
    site.seconds += 60
    site.misp.faults.add(Fault(ADD, kind))
    report = site.sightings()
    assert (report.exit_code, report.in_doubt, report.written) == (1, 1, 0)
    assert counts(site.sightings()) == {"there": 1}
    assert site.written() == site.seen(0)


def test_what_never_arrived_is_written_by_the_next_one(site):
    site.alert(indicators=[site.indicator()])
    site.seconds += 60
    site.misp.faults.add(Fault(ADD, "reset-before"))
    assert site.sightings().in_doubt == 1
    assert counts(site.sightings()) == {"written": 1}


def test_a_server_error_is_no_refusal_and_three_in_a_row_end_it(site):
    site.alert(indicators=[site.indicator(number) for number in range(4)])
    site.seconds += 60
    site.misp.faults.add(Fault(ADD, "status", times=3))
    report = site.sightings()
    assert (report.exit_code, report.in_doubt, report.waiting) == (3, 3, 4)
    assert counts(site.sightings()) == {"written": 4}


def test_what_misp_never_answers_holds_up_nothing_else(site):
    site.alert(indicators=[site.indicator(number) for number in range(4)])
    site.seconds += 60
    for number in range(3):
        site.misp.faults.add(Fault(f"{ADD}/{site.attribute(number)}", "status", times=None))
    assert counts(site.sightings()) == {"matches": 4, "waiting": 4}
    report = site.sightings()
    assert (report.exit_code, report.written, report.in_doubt) == (3, 1, 3)
    assert site.written() == site.seen(3)


@pytest.mark.parametrize("changed", [{"distribution": "0"}, {"deleted": True}])
def test_an_attribute_that_was_sighted_and_is_not_shown_any_more_holds_up_nothing_else(site, changed):
    site.alert(indicators=[site.indicator(0)])
    assert site.sightings().written == 1
    attribute = next(iter(site.misp.events()))["Attribute"][0]
    attribute.update(changed)
    site.alert(indicators=[site.indicator(0), site.indicator(1)])
    assert counts(site.sightings()) == {"matches": 2, "written": 1, "there": 1}
    assert site.written() == site.seen(0, 1)


def test_what_the_ledger_lost_misp_has_still(site):
    site.alert(indicators=[site.indicator()])
    site.seconds += 60
    backup = {path: path.read_bytes() for path in site.settings.state_path.glob("ledger.sqlite*")}
    site.sightings()
    for path in site.settings.state_path.glob("ledger.sqlite*"):
        path.unlink()
    for path, content in backup.items():
        path.write_bytes(content)
    assert counts(site.sightings()) == {"matches": 1, "there": 1}
    assert site.written() == site.seen(0)


def test_where_microsoft_fails_what_waits_is_written_all_the_same(site):
    site.alert(indicators=[site.indicator()])
    site.seconds += 60
    site.misp.faults.add(Fault(ADD, "reset-before"))
    site.sightings()
    site.azure.faults.add(Fault("/api/query", "status", status=403, times=None))
    report = site.sightings()
    assert (report.exit_code, report.written) == (4, 1)
    with site.ledger() as known:
        assert known.window().until == site.seconds
        assert known.stages() == {SightingStage.WRITTEN: 1}


# -- what turned out to be nothing ------------------------------------------------------------------------


def test_an_incident_closed_as_false_positive_becomes_one_sighting_of_that_type_where_it_is_wanted(tmp_path):
    site = Site(tmp_path)
    site.run()
    alert = site.alert(indicators=[site.indicator()])
    number = site.azure.add_incident([alert])
    site.seconds += 60
    assert site.sightings().written == 1
    site.configure(MISP_SIGHTINGS__FALSE_POSITIVES="true")
    report = site.sightings()
    assert (report.written, report.false_positives) == (1, 1)
    site.azure.add_incident([alert], IncidentNumber=number)
    site.azure.add_incident([alert], classification="BenignPositive")
    site.seconds += 60
    assert counts(site.sightings()) == {}
    assert sorted(one["type"] for one in site.misp.sightings) == ["0", "1"]


# -- the window -----------------------------------------------------------------------------------------


def test_the_first_reading_looks_a_day_back_and_by_hand_further(site):
    site.alert(indicators=[site.indicator()], generated=START - 3 * DAY, start=START - 3 * DAY)
    assert counts(site.sightings()) == {}
    assert counts(site.sightings(since=5 * DAY)) == {"matches": 1, "written": 1}


def test_a_gap_that_is_not_read_any_more_is_told(site):
    site.sightings()
    site.seconds += 20 * DAY
    (warning,) = site.sightings().warnings
    assert "those between are lost" in warning


def test_what_was_refused_is_tried_again_by_who_looks_back(site):
    event = next(iter(site.misp.events()))
    site.alert(indicators=[site.indicator(0)])
    distribution, event["distribution"] = event["distribution"], "0"
    report = site.sightings()
    assert counts(report) == {"matches": 1, "refused": 1}
    assert "does its key see the attributes" in report.warnings[0]
    event["distribution"] = distribution
    site.seconds += 600
    assert counts(site.sightings()) == {}
    assert counts(site.sightings(since=HOUR)) == {"matches": 1, "written": 1}


def test_before_the_first_run_no_alert_is_read_and_the_window_stays(tmp_path):
    site = Site(tmp_path)
    site.azure.add_alert(indicators=["indicator--20000000-0000-4000-8000-000001000000"])
    site.seconds += 60
    report = site.sightings()
    assert (report.exit_code, report.alerts) == (0, 0)
    assert "let a run go before" in report.warnings[0]
    site.run()
    site.seconds += 60
    assert site.sightings().alerts == 1


def test_what_became_stricter_while_it_waited_is_not_written(tmp_path):
    site = Site(tmp_path, MISP_SIGHTINGS__MAX_TLP="green")
    site.run()
    site.seconds += HOUR
    site.alert(indicators=[site.indicator(0)])
    site.misp.faults.add(Fault("/sightings/restSearch", "status", times=9))
    assert counts(site.sightings()) == {"matches": 1, "waiting": 1}
    site.misp.faults.clear()
    event = next(iter(site.misp.events()))
    site.misp.tags.add("tlp:amber")
    site.misp.tag_event(event["uuid"], "tlp:amber")
    site.misp.publish(event["uuid"])
    site.run()
    site.seconds += HOUR
    report = site.sightings()
    assert (counts(report), report.as_json()["left_out"]) == ({}, {"tlp": 1})
    assert not site.misp.sightings


def test_microsoft_is_not_waited_for_longer_than_there_is_time(site):
    site.alert(indicators=[site.indicator()])
    body = {"error": {"code": "TooManyRequests", "message": "later"}}
    site.azure.faults.add(
        Fault("/api/query", "status", status=429, body=body, headers={"Retry-After": "800"}, times=None)
    )
    with site.patched():
        report = run_sightings(
            site.settings, clock=site.waiting.clock, now=lambda: site.seconds, seconds_left=lambda: 60.0
        )
    assert report.exit_code == 0
    assert "max_run_minutes" in report.warnings[0]
