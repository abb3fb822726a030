"""When an indicator begins and ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from dateutil.parser import isoparse
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from helpers.indicators.dates import expires_at, from_text, from_timestamp, seconds, stix_time, stix_time_of

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ZONES = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMESPECS = ["minutes", "seconds", "milliseconds", "microseconds"]
MAPPING = {"ipv4-addr": 150, "domain-name": 300, "url": 400}


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 678_999, tzinfo=UTC), "2026-01-02T03:04:05.678Z"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000Z"),
        (datetime(2026, 1, 2, 0, 30, tzinfo=timezone(timedelta(hours=2))), "2026-01-01T22:30:00.000Z"),
        (datetime(33, 1, 2, tzinfo=UTC), "0033-01-02T00:00:00.000Z"),
    ],
)
def test_stix_time(moment, text):
    assert stix_time(moment) == text


@pytest.mark.parametrize("value", ["1700000000", 1700000000, " 1700000000 "])
def test_a_timestamp_is_seconds(value):
    assert from_timestamp(value) == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


GARBAGE = ["", None, "soon", [], {}, True, "1e9", "9" * 30, "9" * 5000, 10**15, "2026-13-45", "0000-00-00", "\ud800"]


@pytest.mark.parametrize("value", GARBAGE)
def test_what_is_no_date_is_none(value):
    assert from_timestamp(value) is None
    assert from_text(value) is None


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-12-01T10:00:00.000000+00:00", datetime(2026, 12, 1, 10, tzinfo=UTC)),
        ("2026-12-01T10:00:00+02:00", datetime(2026, 12, 1, 8, tzinfo=UTC)),
        ("2026-12-01T10:00:00Z", datetime(2026, 12, 1, 10, tzinfo=UTC)),
        ("2026-12-01 10:00:00", datetime(2026, 12, 1, 10, tzinfo=UTC)),
        ("2026-12-01", datetime(2026, 12, 1, tzinfo=UTC)),
        ("1700000000", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
    ],
)
def test_last_seen_in_its_forms(value, moment):
    assert from_text(value) == moment


def test_a_date_whose_zone_leads_beyond_the_calendar_is_none():
    assert from_text("9999-12-31T23:59:59-05:00") is None
    assert from_text("0001-01-01T00:00:00+05:00") is None


@hypothesis_settings(max_examples=300)
@given(
    st.one_of(
        st.text(max_size=30), st.integers(), st.floats(), st.text(alphabet="0123456789-:TZ+.W ", max_size=30), st.none()
    )
)
def test_no_date_of_any_kind_raises(value):
    for moment in (from_timestamp(value), from_text(value)):
        assert moment is None or moment.tzinfo is UTC
        if moment:
            assert len(stix_time(moment)) == len("2026-01-02T03:04:05.678Z")


@pytest.mark.parametrize(
    ("path", "days"),
    [
        ("ipv4-addr:value", 150),
        ("domain-name:value", 300),
        ("url:value", 400),
        ("ipv6-addr:value", 50),
        ("file:hashes.MD5", 50),
    ],
)
def test_days_by_the_kind_of_observable(path, days):
    assert expires_at(None, path, START, 50, MAPPING) == START + timedelta(days=days)


def test_the_longest_key_that_begins_the_path_counts():
    mapping = {"file": 1, "file:hashes.'SHA-256'": 3, "file:hashes": 2, "hashes": 9, "name": 9, "": 8}
    for path, days in {
        "file:hashes.'SHA-256'": 3,
        "file:hashes.MD5": 2,
        "file:name": 1,
        "mutex:name": 8,
    }.items():
        assert expires_at("", path, START, 50, mapping) == START + timedelta(days=days)


def test_last_seen_wins_and_a_bad_one_is_none():
    assert expires_at("2026-12-01T00:00:00Z", "url:value", START, 50, MAPPING) == datetime(2026, 12, 1, tzinfo=UTC)
    assert expires_at("soon", "url:value", START, 50, MAPPING) is None
    assert expires_at({"a": 1}, "url:value", START, 50, MAPPING) is None


def test_days_beyond_the_calendar_are_none():
    assert expires_at(None, "url:value", START, 10**9, {}) is None
    assert expires_at(None, "url:value", datetime(9999, 12, 1, tzinfo=UTC), 50, {}) is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1970-01-01T00:00:00.000Z", 0),
        ("2023-11-14T22:13:20.999Z", 1_700_000_000),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000),
    ],
)
def test_stix_times_as_seconds(text, moment):
    assert seconds(text) == moment
    assert seconds(stix_time_of(moment)) == moment


@hypothesis_settings(max_examples=100)
@given(st.datetimes(timezones=ZONES), st.sampled_from(["T", " "]), st.sampled_from(TIMESPECS))
def test_seconds_of_what_others_write(moment, separator, timespec):
    text = moment.isoformat(separator, timespec)
    assert seconds(text) == int(isoparse(text).timestamp())


def test_seconds_as_stix_writes_them():
    assert stix_time_of(1_700_000_000) == "2023-11-14T22:13:20.000Z"
    with pytest.raises(ValueError, match="digits"):
        seconds("soon")
