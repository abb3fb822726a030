"""Which attributes were seen on which days: each once, and whatever is not sighted has a reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constants import NotSighted
from helpers.indicators import DAY
from helpers.ledger import Occasion, Origin, SightingStage
from helpers.microsoft import FalsePositive
from helpers.sync.sightings.deciding import (
    MOST_ATTRIBUTES,
    Match,
    Rules,
    day_of,
    decide,
    false_positives,
    incident_name,
    matches_of,
    occasions_of,
    shares,
)
from helpers.sync.sightings.naming import Named

NOW = 1_790_000_000
ALL = Rules("red")


def uuid(number):
    return f"00000000-0000-4000-8000-{number:012d}"


def origin(number=1, *, value="198.51.100.7", tlp="white", pattern=None, newness=0, attribute=None):
    of = uuid(attribute or number)
    id_ = f"indicator--{uuid(number)}"
    return Origin(id_, pattern or f"[ipv4-addr:value = '{value}']", value, tlp, uuid(900), of, newness)


def by_id(number=1, at=NOW, alert="alert 1"):
    return Named(alert, "a rule", at, "id", f"indicator--{uuid(number)}")


def by_value(value="198.51.100.7", kind="ip", at=NOW, alert="alert 1"):
    return Named(alert, "TI map", at, kind, value)


def decided(matches, rules=ALL, known=(), again=(), now=NOW):
    return decide(matches, rules, {record.name: record for record in known}, again, now)


# -- which attributes it was ----------------------------------------------------------------------------


def test_an_id_and_a_value_lead_to_the_attributes_that_they_came_from():
    found = matches_of([by_id(1), by_value(), by_id(7), by_value("192.0.2.9")], [origin(1), origin(2)])
    assert [(match.named.kind, match.origin.attribute) for match in found.matches] == [
        ("id", uuid(1)),
        ("ip", uuid(1)),
        ("ip", uuid(2)),
    ]
    assert found.unknown == 2


@pytest.mark.parametrize(
    ("kind", "pattern", "matches"),
    [
        ("ip", "[ipv4-addr:value = 'x']", True),
        ("ip", "[network-traffic:dst_ref.value = 'x']", True),
        ("ip", "[domain-name:value = 'x']", False),
        ("dns", "[domain-name:value = 'x']", True),
        ("url", "[url:value = 'x']", True),
        ("url", "[domain-name:value = 'x']", False),
        ("filehash", "[file:hashes.'SHA-256' = 'x']", True),
        ("filehash", "[file:name = 'x']", False),
        ("mailbox", "[email-addr:value = 'x']", True),
        ("mailbox", "[email-message:subject = 'x']", False),
        ("ip", "[domainName = 'y' AND networkIPv4 = 'x']", True),
        ("filehash", "[fileHashValue = 'X' AND fileHashType = 'md5']", True),
        ("dns", "[emailSenderAddress = 'a@x' AND emailSourceDomain = 'x']", False),
        ("dns", "[networkIPv4 = '192.0.2.1' AND threatType = 'x']", False),
    ],
)
def test_a_value_is_that_of_an_indicator_of_its_kind_alone(kind, pattern, matches):
    first = pattern.split("'")[-2 if "AND" in pattern and "networkIPv4" in pattern else 1].lower()
    found = matches_of(
        [by_value("x", kind)], [origin(value=first if "domainName" not in pattern else "y", pattern=pattern)]
    )
    assert bool(found.matches) is matches


def test_of_many_attributes_the_newest_are_sighted():
    origins = [origin(number, newness=number) for number in range(1, MOST_ATTRIBUTES + 6)]
    found = matches_of([by_value()], origins)
    assert [match.origin.newness for match in found.matches] == list(range(25, 5, -1))
    assert found.too_many == {("alert 1", uuid(number)) for number in range(1, 6)}


def test_what_is_too_many_by_one_name_and_taken_by_another_is_not_too_many():
    origins = [origin(number, newness=number) for number in range(1, MOST_ATTRIBUTES + 2)]
    assert matches_of([by_value(), by_id(1)], origins).too_many == frozenset()


def test_an_attribute_with_several_indicators_counts_once_by_the_strictest():
    found = matches_of([by_value()], [origin(1, attribute=9), origin(2, attribute=9, tlp="amber")])
    (match,) = found.matches
    assert match.origin.tlp == "amber"


# -- what becomes of it ---------------------------------------------------------------------------------


def test_of_a_day_there_is_one_sighting_at_the_first_alert():
    matches = [Match(by_id(at=NOW + n, alert=f"alert {n}"), origin()) for n in (5, 0, 3)]
    made = decided(matches, now=NOW + 10)
    (record,) = made.sightings.values()
    assert (record.at, record.stage, record.type) == (NOW, SightingStage.WAITING, 0)
    assert len(made.matches) == 3
    assert made.there == {SightingStage.WAITING: 2}


def test_an_alert_that_names_an_attribute_by_its_id_and_by_its_value_is_one_match():
    matches = [Match(by_value(), origin()), Match(by_id(), origin())]
    made = decided(matches)
    (record,) = made.matches
    assert (record.kind, len(made.sightings), made.there) == ("id", 1, {})


def test_of_the_indicators_of_an_attribute_that_an_alert_names_the_strictest_decides():
    matches = [Match(by_value(), origin(1, attribute=9, tlp="amber")), Match(by_id(2), origin(2, attribute=9))]
    assert decided(matches, Rules("green")).left_out == {NotSighted.TLP: 1}


def test_days_are_utc_and_what_is_later_than_now_is_now():
    midnight = NOW // DAY * DAY
    at = [midnight - 1, midnight, midnight + 99 * DAY]
    made = decided([Match(by_id(at=each, alert=str(each)), origin()) for each in at])
    assert [(name.occasion, record.at) for name, record in made.sightings.items()] == [
        (day_of(midnight - 1), midnight - 1),
        (day_of(midnight), midnight),
    ]


@pytest.mark.parametrize("stage", [stage for stage in SightingStage if stage is not SightingStage.LEFT_OUT])
def test_a_sighting_that_is_known_stays_as_it_is(stage):
    first = decided([Match(by_id(), origin())])
    (record,) = first.sightings.values()
    later = decided([Match(by_id(alert="alert 2"), origin())], known=[replace(record, stage=stage)])
    assert not later.sightings
    assert later.there == {stage: 1}


@pytest.mark.parametrize(
    ("match", "rules", "why"),
    [
        (Match(by_id(), origin(tlp="red")), Rules("amber"), NotSighted.TLP),
        (Match(by_id(), origin(tlp="")), Rules("amber"), NotSighted.TLP),
        (Match(by_value(), origin()), Rules("red", {"198.51.100.7"}), NotSighted.WARNINGLIST),
    ],
)
def test_what_is_left_out_says_why_and_is_decided_anew_when_that_is_over(match, rules, why):
    made = decided([match], rules)
    (record,) = made.sightings.values()
    assert (record.stage, record.words, made.left_out) == (SightingStage.LEFT_OUT, why.value, Counter([why]))
    again = {("alert 1", record.attribute)}
    same = decided([match], rules, known=[record], again=again)
    assert (same.matches, same.sightings, same.left_out) == ([], {}, Counter())
    other = decided([match], ALL, known=[record], again=again)
    assert [sighting.stage for sighting in other.sightings.values()] == [SightingStage.WAITING]


def test_an_indicator_that_an_alert_names_by_its_id_counts_also_where_its_value_is_listed():
    made = decided([Match(by_id(), origin())], Rules("red", {"198.51.100.7"}))
    assert [record.stage for record in made.sightings.values()] == [SightingStage.WAITING]


def test_what_was_left_out_of_a_day_does_not_keep_another_alert_of_it_out():
    matches = [Match(by_value(), origin()), Match(by_id(alert="alert 2"), origin())]
    made = decided(matches, Rules("red", {"198.51.100.7"}))
    assert [record.stage for record in made.sightings.values()] == [SightingStage.WAITING]
    assert made.left_out == {NotSighted.WARNINGLIST: 1}


ALERTS = st.lists(
    st.tuples(
        st.integers(1, 4), st.integers(0, 5), st.integers(NOW - 3 * DAY, NOW + DAY), st.sampled_from(["white", "red"])
    ),
    max_size=30,
)


@given(st.lists(ALERTS, max_size=4), st.sampled_from(["amber", "red"]))
def test_whatever_order_alerts_come_in_each_match_has_one_sighting_or_a_reason(readings, max_tlp):
    known, seen = {}, set()
    for alerts in readings:
        matches = [
            Match(by_id(number, at, f"alert {alert}"), origin(number, tlp=tlp)) for number, alert, at, tlp in alerts
        ]
        assert {match.origin.attribute for match in matches} == {name.attribute for name in occasions_of(matches, NOW)}
        made = decide(matches, Rules(max_tlp), known, seen, NOW)
        for name, record in made.sightings.items():
            assert name not in known or known[name].stage is SightingStage.LEFT_OUT
            assert record.name == name == Occasion(record.attribute, day_of(record.at))
            assert record.at <= NOW
        known |= made.sightings
        seen |= {(match.alert, match.attribute) for match in made.matches}
        assert {(match.attribute, match.occasion) for match in made.matches} <= known.keys()
        assert {(match.named.alert, match.origin.attribute) for match in matches} <= seen


# -- what turned out to be nothing ----------------------------------------------------------------------


def test_an_incident_that_is_closed_as_false_positive_counts_once_for_each_attribute():
    (seen,) = decided([Match(by_id(), origin())]).sightings.values()
    verdicts = [
        FalsePositive("17", "alert 1", NOW),
        FalsePositive("17", "alert 2", NOW),
        FalsePositive("18", "alert 1", NOW),
    ]
    of_alerts = {"alert 1": [seen], "alert 2": [seen]}
    made = list(false_positives(verdicts, of_alerts, set(), NOW))
    assert [(record.occasion, record.type) for record in made] == [("incident 17", 1), ("incident 18", 1)]
    assert not list(false_positives(verdicts, of_alerts, {record.name for record in made}, NOW))


def test_what_was_never_to_be_sighted_is_no_false_positive_either():
    (seen,) = decided([Match(by_id(), origin(tlp="red"))], Rules("green")).sightings.values()
    assert not list(false_positives([FalsePositive("17", "alert 1", NOW)], {"alert 1": [seen]}, set(), NOW))
    assert incident_name("17") == "incident 17"


# -- how much of it ---------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 3_000), max_size=60), st.integers(0, 1_000))
def test_what_may_be_written_is_shared_so_that_nobody_waits_for_who_wants_less(wanted, most):
    given_ = shares(wanted, most)
    assert all(0 <= part <= want for part, want in zip(given_, wanted, strict=True))
    assert sum(given_) <= most
    left = most - sum(given_)
    short = [part for part, want in zip(given_, wanted, strict=True) if part < want]
    assert left < len(short) or not short, "nothing is left over while somebody waits"
    assert all(part <= min(short) + 1 for part in given_) if short else sum(given_) == sum(wanted)
