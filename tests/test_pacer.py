"""Requests of one principal are let through in the order in which they came."""

import threading

from helpers.pacer import Clock, Pacer, Pacers
from tests.support import FakeTime


def test_who_shares_a_pacer_takes_turns():
    """While one waits for its place the others line up; each is served in its turn, whoever is quicker."""
    time, may_go, served = FakeTime(), threading.Event(), []

    def sleep(seconds):
        assert may_go.wait(60)
        time.sleep(seconds)

    pacer = Pacer(1, Clock(time.now, sleep), lambda _seconds: None)
    assert pacer.take()

    def come(name):
        assert pacer.take()
        served.append(name)

    threads = []
    for number, name in enumerate("badc", 1):
        threads.append(threading.Thread(target=come, args=[name]))
        threads[-1].start()
        with pacer._moved:
            assert pacer._moved.wait_for(lambda number=number: len(pacer._line) == number, 60)
    may_go.set()
    for thread in threads:
        thread.join(60)
    assert served == list("badc")
    assert sum(time.slept) == 4 * 60.5


def test_no_place_before_the_end_is_none():
    time = FakeTime()
    pacer = Pacer(1, time.clock, lambda _seconds: None)
    assert pacer.take(until=time.now() + 1)
    assert not pacer.take(until=time.now() + 59)
    assert pacer.take(until=time.now() + 61)


def test_principals_have_pacers_of_their_own():
    pacers = Pacers(FakeTime().clock)
    for name in ("one", "one", "two"):
        pacers.announce((name,))
    first, second, other = (pacers.of((name,), 1, lambda _seconds: None) for name in ("one", "one", "two"))
    assert first is second is not other
    assert (pacers.sharing(("one",)), pacers.sharing(("two",)), pacers.sharing(("three",))) == (2, 1, 1)
