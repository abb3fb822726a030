"""A signal ends a run wherever it comes, and never keeps a lock that others wait for."""

import signal
import sys
import threading

import pytest

from helpers import interrupts
from helpers.ledger.database import Database


@pytest.fixture(autouse=True)
def signals():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    interrupts.end_on_signals()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def with_a_signal_at(number, use):
    """Call with SIGTERM before the bytecode instruction with this number; whether there were so many."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        if count == number:
            sys.settrace(None)
            count += 1
            signal.raise_signal(signal.SIGTERM)
        return trace

    sys.settrace(trace)
    try:
        use()
    finally:
        sys.settrace(None)
    return count > number


def is_free(lock):
    """Whether another thread gets a lock."""
    got = []

    def take():
        if lock.acquire(timeout=5):
            got.append(True)
            lock.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return bool(got)


def carried_out(use, number, lock):
    """Whether a use has so many instructions; a signal at any of them leaves the lock free."""
    try:
        came = with_a_signal_at(number, use)
    except KeyboardInterrupt as error:  # with all its frames, as a run has it while it ends
        came = True
        assert is_free(lock), f"the signal came at instruction {number}: {error!r}"
    assert is_free(lock)
    return came


@pytest.mark.parametrize("kind", ["transaction", "single_transaction"])
def test_a_signal_at_any_instruction_of_a_transaction_leaves_the_lock_free(tmp_path, kind):
    database = Database(f"sqlite:///{tmp_path / 'ledger.sqlite'}")

    def use():
        with getattr(database, kind)():
            len("the transaction's work")

    database.connection.commit = database.connection.rollback = lambda: None  # what it does is not ours
    number = 1
    while carried_out(use, number, database.lock):
        number += 1
    assert number > 50
    database.close()


def test_what_is_put_off_comes_to_its_end_first():
    done = []
    with pytest.raises(KeyboardInterrupt):
        with interrupts.put_off(), interrupts.put_off():
            signal.raise_signal(signal.SIGTERM)
            done.append("after the signal")
        done.append("never")
    assert done == ["after the signal"]
    with interrupts.put_off():
        done.append("it counts once")
    assert len(done) == 2


def test_what_another_thread_puts_off_does_not_hold_the_main_thread_up():
    inside, over = threading.Event(), threading.Event()

    def work():
        with interrupts.put_off():
            inside.set()
            over.wait(5)

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(5)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    over.set()
    thread.join()
