"""One step ahead: order, errors in their turn, never more than one item too many, and an end."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from helpers.misp.read_ahead import ReadAhead


def test_what_is_given_comes_in_its_order():
    with closing(ReadAhead(iter(range(5)))) as ahead:
        assert list(ahead) == [0, 1, 2, 3, 4]


def test_the_next_one_is_made_while_this_one_is_worked_on_and_no_more():
    made, second = [], threading.Event()

    def items():
        for number in range(5):
            made.append(number)
            if number == 1:
                second.set()
            yield number

    with closing(ReadAhead(items())) as ahead:
        assert next(iter(ahead)) == 0
        assert second.wait(10)
        assert made == [0, 1]


def test_an_error_comes_after_what_was_made_before_it():
    def items():
        yield 1
        raise LookupError("gone")

    with closing(ReadAhead(items())) as ahead:
        taken = iter(ahead)
        assert next(taken) == 1
        with pytest.raises(LookupError, match="gone"):
            next(taken)


def test_who_stops_early_leaves_no_thread_behind():
    before = threading.active_count()
    with closing(ReadAhead(iter(range(1000)))) as ahead:
        assert next(iter(ahead)) == 0
    assert threading.active_count() == before


def test_who_is_interrupted_makes_nothing_more():
    made = []

    def items():
        for number in range(1000):
            made.append(number)
            yield number

    def work():
        with closing(ReadAhead(items())) as ahead:
            for number in ahead:
                if number == 3:
                    raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        work()
    assert threading.active_count() == before
    assert len(made) <= 5


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_nothing_that_is_raised_is_kept_from_the_taker(error):
    def items():
        raise error
        yield

    with closing(ReadAhead(items())) as ahead, pytest.raises(error):
        list(ahead)
