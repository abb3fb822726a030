"""Which alerts are read: all, once or twice, whatever the clock does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from helpers.commands.command_line import builder
from helpers.indicators import DAY
from helpers.sync.sightings.window import MOST_DAYS, OVERLAP, moved, window_of

NOW = 1_790_000_000


def test_a_first_reading_looks_a_day_back():
    assert window_of(NOW, 0) == (NOW - DAY, NOW, 0)


def test_the_next_one_goes_on_an_hour_before_the_last_one_ended():
    assert window_of(NOW, NOW - 600) == (NOW - 600 - OVERLAP, NOW, 0)


def test_none_looks_further_back_than_fourteen_days_and_says_what_is_lost():
    read_until = NOW - 30 * DAY
    assert window_of(NOW, read_until) == (NOW - MOST_DAYS * DAY, NOW, read_until)
    assert window_of(NOW, read_until, asked=99 * DAY).since == NOW - MOST_DAYS * DAY


def test_the_command_line_allows_as_many_days():
    assert builder.MOST_DAYS == MOST_DAYS


def test_looking_back_by_hand_leaves_no_gap_behind_it():
    read_until = NOW - 3 * DAY
    short = window_of(NOW, read_until, asked=3600)
    assert moved(read_until, short) == read_until, "two days before it were not read"
    assert moved(read_until, window_of(NOW, read_until, asked=4 * DAY)) == NOW


def test_a_short_first_look_by_hand_leaves_the_rest_of_a_day_to_the_next_one():
    short = moved(0, window_of(NOW, 0, asked=3600))
    assert window_of(NOW + 600, short).since == NOW - DAY
    assert moved(0, window_of(NOW, 0, asked=2 * DAY)) == NOW


def test_a_clock_that_was_ahead_leaves_no_gap():
    window = window_of(NOW, NOW + 5 * DAY)
    assert window == (NOW - OVERLAP, NOW, 0)
    assert moved(NOW + 5 * DAY, window) == NOW


MOMENTS = st.integers(NOW, NOW + 40 * DAY)


@given(st.lists(st.tuples(MOMENTS, st.sampled_from([0, 0, 3600, 5 * DAY])), min_size=1, max_size=12))
def test_every_moment_is_read_or_said_to_be_lost(readings):
    read_until, first, read = 0, 0, []
    for now, asked in sorted(readings):
        window = window_of(now, read_until, asked)
        first = first or window.since
        read.append(window)
        read_until = moved(read_until, window)
    for moment in range(first, read_until, 3600):
        in_window = any(window.since <= moment < window.until for window in read)
        assert in_window or any(window.unread <= moment < window.since for window in read if window.unread)
