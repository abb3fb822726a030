"""A run waits for its turn: for how long, what it says meanwhile, and what ends it."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from helpers.errors import RunActive
from helpers.process.interrupts import Stopped
from helpers.process.turns import BETWEEN, WAITING, Turn
from tests.support import FakeTime


class Lock:
    """Is free after it was asked for so many times."""

    def __init__(self, refusals):
        self.refusals, self.held = refusals, False

    @contextmanager
    def __call__(self):
        if self.refusals:
            self.refusals -= 1
            raise RunActive("Another run is active.")
        self.held = True
        try:
            yield
        finally:
            self.held = False


def turn_of(seconds, time, told=lambda *_: None):
    return Turn(seconds, time.now, time.sleep, told)


def test_what_is_free_is_held_at_once_and_nothing_is_said():
    time, told, lock = FakeTime(), [], Lock(0)
    with turn_of(120, time, lambda *wait: told.append(wait)).hold(lock):
        assert lock.held
    assert (lock.held, time.slept, told) == (False, [], [])


def test_it_waits_says_so_and_says_when_that_is_over():
    time, told, lock = FakeTime(), [], Lock(2)
    with turn_of(120, time, lambda *wait: told.append(wait)).hold(lock):
        assert lock.held
    assert time.slept == [BETWEEN, BETWEEN]
    assert told == [(WAITING, 120), (WAITING, 119), (WAITING, 0)]


def test_it_does_not_wait_for_ever():
    time, told = FakeTime(), []
    with (
        pytest.raises(RunActive, match=r"^Another run is active\. It waited 5 seconds for its turn\. The next run"),
        turn_of(5, time, lambda *wait: told.append(wait)).hold(Lock(1_000)),
    ):
        pass
    assert sum(time.slept) == 5
    assert told[-1] == (WAITING, 0)


def test_all_that_it_waits_for_takes_no_longer_together():
    time, turn, longest = FakeTime(), None, 5
    turn = turn_of(longest, time)
    with turn.hold(Lock(3)), pytest.raises(RunActive), turn.hold(Lock(1_000)):
        pass
    assert sum(time.slept) == longest


def test_who_does_not_wait_is_told_at_once_in_the_lock_s_own_words():
    time = FakeTime()
    with pytest.raises(RunActive, match=r"^Another run is active\.$"), turn_of(0, time).hold(Lock(1)):
        pass
    assert time.slept == []


def test_a_signal_ends_the_waiting():
    def stopped(_seconds):
        raise Stopped

    told = []
    turn = Turn(120, FakeTime().now, stopped, lambda *wait: told.append(wait))
    with pytest.raises(Stopped), turn.hold(Lock(1)):
        pass
    assert told == [(WAITING, 120)]


def test_what_goes_wrong_inside_is_not_taken_for_a_lock_that_is_held():
    lock = Lock(0)
    with pytest.raises(RunActive, match="of another kind"), turn_of(120, FakeTime()).hold(lock):
        raise RunActive("of another kind")
    assert not lock.held
