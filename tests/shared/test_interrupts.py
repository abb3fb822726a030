"""A signal ends a run wherever it comes, and never keeps a lock that others wait for."""

import contextlib
import signal
import sys
import threading
from types import SimpleNamespace

import pytest

from helpers.ledger.database import Database
from helpers.process import interrupts

LEAVE_LATE = interrupts._leave_late


@pytest.fixture(autouse=True)
def left(monkeypatch):
    """How often the process would have ended on the spot."""
    left = []
    monkeypatch.setattr(interrupts, "_leave", lambda: left.append(True))
    monkeypatch.setattr(interrupts, "_leave_late", lambda *_: None)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    interrupts.end_on_signals()
    yield left
    interrupts.end_on_signals()
    for number, handler in before.items():
        signal.signal(number, handler)


def with_a_signal_at(number, use):
    """Call with SIGTERM before the bytecode instruction with this number; whether there were so many."""
    interrupts.end_on_signals()
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


def raise_signal():
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


def test_every_wait_ends_with_the_first_signal():
    ended = threading.Barrier(4)

    def wait():
        with pytest.raises(interrupts.Stopped):
            interrupts.sleep(600)
        ended.wait(30)

    for _ in range(3):
        threading.Thread(target=wait, daemon=True).start()
    raise_signal()
    ended.wait(30)


def test_a_wait_ends_where_the_signal_itself_is_put_off():
    with pytest.raises(KeyboardInterrupt), interrupts.put_off():
        signal.raise_signal(signal.SIGINT)
        for end in (lambda: interrupts.sleep(600), interrupts.end_if_stopped):
            with pytest.raises(interrupts.Stopped):
                end()


@pytest.mark.parametrize("seconds", [0, -1.5])
def test_a_wait_of_no_time_ends_by_itself(seconds):
    interrupts.sleep(seconds)
    interrupts.end_if_stopped()
    assert not interrupts.stopped()


def test_a_second_signal_ends_the_process_on_the_spot(left):
    raise_signal()
    assert (interrupts.stopped(), left) == (True, [])
    with interrupts.put_off():
        with contextlib.suppress(RuntimeError):  # here it goes on; the lock is free already
            signal.raise_signal(signal.SIGINT)
        assert left == [True]


def test_a_process_that_does_not_come_to_its_end_is_ended(left):
    pauses = []
    raise_signal()
    LEAVE_LATE(interrupts._process, 0.0, pauses.append)
    assert (pauses, left) == ([0.0, interrupts.LONGEST_END], [True])


@pytest.mark.parametrize("longest", [interrupts.LONGEST_PUT_OFF, 3.0])
def test_what_puts_a_signal_off_has_its_time(left, monkeypatch, longest):
    started, pauses = [], []
    monkeypatch.setattr(interrupts, "_leave_late", lambda *about: started.append(about[:2]))
    monkeypatch.setattr(interrupts, "_thread", SimpleNamespace(start_new_thread=lambda call, given: call(*given)))
    with pytest.raises(KeyboardInterrupt), interrupts.put_off(longest), interrupts.put_off(600):
        signal.raise_signal(signal.SIGTERM)
        LEAVE_LATE(*started[0], pauses.append)
        assert (pauses, left) == ([longest], [True])
    LEAVE_LATE(*started[0], pauses.append)
    assert pauses[1:] == [longest, interrupts.LONGEST_END], "it came to its end, and now the process has its time"


def test_what_began_anew_is_not_ended_for_an_old_signal(left):
    raise_signal()
    before = interrupts._process
    interrupts.end_on_signals()
    LEAVE_LATE(before, 0.0, lambda _seconds: None)
    assert not left
