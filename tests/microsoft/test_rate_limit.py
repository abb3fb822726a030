"""Requests of one principal are let through in the order in which they came."""

import threading
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.microsoft.rate_limit import LOOK_AGAIN, ON_THE_WAY, Clock, RateLimiter, RateLimiters, Share
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


class Looking(threading.Condition):
    """Moves a clock on instead of waiting, where somebody looks again after a while; ``then`` comes after that."""

    def __init__(self, time, then):
        super().__init__()
        self._time, self._then = time, then

    def wait(self, timeout=None):
        if timeout is None:
            return super().wait()
        self._time.sleep(timeout)
        self._then()
        return False


class Two:
    """Two destinations of one principal that may send so many requests a minute; ``told`` is what was said of waits."""

    def __init__(self, limit, then=lambda _two: None):
        self.time, self.told = FakeTime(), []
        limiter = RateLimiter(limit, self.time.clock, lambda words, seconds: self.told.append((words, seconds)))
        limiter._changed = Looking(self.time, lambda: then(self))
        self.one, self.other = Share(limiter), Share(limiter)
        for share in (self.one, self.other):
            share.wants(more=True)


@pytest.mark.parametrize(("limit", "share"), [(4, 2), (5, 3)])
def test_who_had_its_share_waits_although_slots_are_free(limit, share):
    two = Two(limit)
    assert all(two.one.take() for _ in range(share))
    assert not two.time.slept
    assert two.one.take()
    assert sum(two.time.slept) == pytest.approx(60 + ON_THE_WAY)
    assert two.told == [(f"The limit of {limit} requests a minute is used up", 60 + ON_THE_WAY)]


def test_the_other_finds_its_share_whenever_it_comes():
    two = Two(4)
    assert all(two.one.take() for _ in range(2))
    two.time.sleep(30)
    assert all(two.other.take() for _ in range(2))
    assert two.time.slept == [30]


def test_who_has_nothing_more_to_send_leaves_its_share_to_the_others():
    two = Two(4)
    two.other.wants(more=False, over=True)
    assert all(two.one.take() for _ in range(4))
    assert not two.time.slept


def test_who_has_nothing_now_keeps_its_share_for_a_minute():
    two = Two(4)
    two.other.wants(more=False)
    two.time.seconds += 30
    assert two.one.take()
    two.other.wants(more=False)
    assert all(two.one.take() for _ in range(3))
    assert sum(two.time.slept) == pytest.approx(30)


def test_who_never_had_anything_to_send_has_no_share():
    two = Two(4)
    two.other.wants(more=False, over=True)
    two.other.wants(more=False)
    assert all(two.one.take() for _ in range(4))
    assert not two.time.slept


def test_a_share_that_is_left_is_taken_up_at_once():
    two = Two(4, lambda two: two.other.wants(more=False, over=True))
    assert all(two.one.take() for _ in range(4))
    assert two.time.slept == [LOOK_AGAIN]


def test_nobody_waits_for_its_share_beyond_the_end():
    two = Two(2)
    assert two.one.take()
    assert two.one.take(two.time.now() + 10) is None
    assert 9 <= sum(two.time.slept) <= 12


@pytest.mark.parametrize("change", ["time passes", "Microsoft asks to wait", "an answer comes"])
def test_whose_turn_it_is_changes_while_both_wait(monkeypatch, change):
    """One that asked later may go sooner; when that is not so any more, the one that asked first has to notice."""
    monkeypatch.setattr("helpers.microsoft.rate_limit.LOOK_AGAIN", 0.01)
    time = FakeTime()
    limiter = RateLimiter(6, time.clock, lambda _words, _seconds: None)
    later, sooner, another = Share(limiter), Share(limiter), Share(limiter)
    for share in (later, sooner, another):
        share.wants(more=True)
    slots = [sooner.take(), sooner.take()]
    time.seconds += 0.3
    slots += [later.take(), later.take()]
    active, alone = deque(maxlen=5), threading.Event()

    def tell(ticket):
        active.append(ticket.share)
        if list(active) == [sooner] * 5:
            alone.set()

    monkeypatch.setattr(limiter, "_tell", tell)
    threads = []
    for number, share in enumerate((later, sooner), 1):
        threads.append(threading.Thread(target=share.take, daemon=True))
        threads[-1].start()
        with limiter._changed:
            assert limiter._changed.wait_for(lambda number=number: len(limiter._queue) == number, 60)
    assert alone.wait(60), "only who goes first looks at the clock"
    if change == "an answer comes":
        time.seconds += 1
        for slot in slots[2:]:
            slot.latest -= 1.5  # as if it had come sooner
        limiter.answered(slots[2])
    elif change == "Microsoft asks to wait":
        limiter.hold(100)
    time.seconds += 63
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


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
