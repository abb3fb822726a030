"""Requests of one principal are let through in the order in which they came."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.microsoft.rate_limit import ON_THE_WAY, Clock, RateLimiter, RateLimiters
from tests.support import FakeTime


def test_who_shares_a_rate_limiter_takes_turns():
    """While one waits for its slot the others queue; each is served in its turn, whoever is quicker."""
    time, may_go, served = FakeTime(), threading.Event(), []

    def sleep(seconds):
        assert may_go.wait(60)
        time.sleep(seconds)

    rate_limiter = RateLimiter(1, Clock(time.now, sleep), lambda _words, _seconds: None)
    assert rate_limiter.take()

    def come(name):
        assert rate_limiter.take()
        served.append(name)

    threads = []
    for number, name in enumerate("badc", 1):
        threads.append(threading.Thread(target=come, args=[name]))
        threads[-1].start()
        with rate_limiter._changed:
            assert rate_limiter._changed.wait_for(lambda number=number: len(rate_limiter._queue) == number, 60)
    may_go.set()
    for thread in threads:
        thread.join(60)
    assert served == list("badc")
    assert sum(time.slept) == 4 * (60 + ON_THE_WAY)


def test_no_slot_before_the_end_is_none():
    time = FakeTime()
    rate_limiter = RateLimiter(1, time.clock, lambda _words, _seconds: None)
    assert rate_limiter.take(until=time.now() + 1)
    assert not rate_limiter.take(until=time.now() + 61)
    assert rate_limiter.take(until=time.now() + 62)


@pytest.mark.parametrize(("took", "waited"), [(0, 60), (0.5, 60), (1.5, 60), (30, 32)])
def test_a_slot_is_free_a_minute_after_its_request_was_counted_at_the_latest(took, waited):
    """Microsoft counted it before it answered; what is answered late is not waited for."""
    time = FakeTime()
    rate_limiter = RateLimiter(1, time.clock, lambda _words, _seconds: None)
    slot = rate_limiter.take()
    time.sleep(took)
    rate_limiter.answered(slot)
    assert rate_limiter.take()
    assert time.slept == [took, waited]


QUARTERS = st.integers(0, 20).map(lambda number: number / 4)


@given(st.lists(st.tuples(QUARTERS, st.sampled_from([0, 0.25, 0.5, 1])), min_size=8, max_size=30))
def test_no_minute_at_microsoft_holds_more_than_the_limit(requests):
    """Each request takes its time, and is counted anywhere in it, two seconds after it left at the latest."""
    time, limit, counted = FakeTime(0.0), 3, []
    rate_limiter = RateLimiter(limit, time.clock, lambda _words, _seconds: None)
    for took, share in requests:
        slot = rate_limiter.take()
        counted.append(time.now() + min(took * share, ON_THE_WAY))
        time.sleep(took)
        rate_limiter.answered(slot)
    counted.sort()
    assert all(later - earlier >= 60 for earlier, later in zip(counted, counted[limit:], strict=False))


def test_principals_have_rate_limiters_of_their_own():
    rate_limiters = RateLimiters(FakeTime().clock)
    for name in ("one", "one", "two"):
        rate_limiters.announce((name,))
    first, second, other = (
        rate_limiters.limiter_for((name,), 1, lambda _words, _seconds: None) for name in ("one", "one", "two")
    )
    assert first is second is not other
    assert [rate_limiters.sharing((name,)) for name in ("one", "two", "three")] == [2, 1, 1]
