"""One step ahead: order, errors in their turn, never more than one item too many, and an end."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from helpers.misp.read_ahead import ReadAhead


def test_what_is_given_comes_in_its_order():
    with closing(ReadAhead(iter(range(5)))) as ahead:
        assert list(ahead) == [0, 1, 2, 3, 4]


def test_the_next_item_is_produced_while_the_current_one_is_worked_on_and_no_more():
    produced, second = [], threading.Event()

    def items():
        for number in range(5):
            produced.append(number)
            if number == 1:
                second.set()
            yield number

    with closing(ReadAhead(items())) as ahead:
        assert next(iter(ahead)) == 0
        assert second.wait(10)
        assert produced == [0, 1]


def test_an_error_comes_after_what_was_produced_before_it():
    def items():
        yield 1
        raise LookupError("gone")

    with closing(ReadAhead(items())) as ahead:
        taken = iter(ahead)
        assert next(taken) == 1
        with pytest.raises(LookupError, match="gone"):
            next(taken)


def test_stopping_early_leaves_no_thread_behind():
    before = threading.active_count()
    with closing(ReadAhead(iter(range(1000)))) as ahead:
        assert next(iter(ahead)) == 0
    assert threading.active_count() == before


def test_nothing_more_is_produced_after_an_interrupt():
    produced = []

    def items():
        for number in range(1000):
            produced.append(number)
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
    assert len(produced) <= 5


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_nothing_that_is_raised_is_kept_from_the_taker(error):
    def items():
        raise error
        yield

    with closing(ReadAhead(items())) as ahead, pytest.raises(error):
        list(ahead)
