"""The attack itself: what it counts, and a few things of each part, so that the command goes on working."""

from __future__ import annotations

import pytest

from helpers.errors import SettingsError
from tests.attack.outcome import FAULT, LATE, LOST, NEVER, STALE, TAKEN, TWICE, Outcome
from tests.attack.parts import PARTS, Part, is_clean, run
from tests.attack.site import Watch
from tests.support import indicator, postgres


def hang(outcome, chance, size, place):
    """What a part of the attack may do, though it should not."""
    outcome.begin("something")
    for _ in iter(int, 1):
        pass


def break_off(outcome, chance, size, place):
    """The same."""
    outcome.begin("something")
    raise KeyError("x")


def own(number, attribute, **changes):
    return indicator(number, external_references=[{"external_id": attribute}], **changes)


@pytest.fixture
def outcome(tmp_path):
    return Outcome(tmp_path / "figures.json")


@pytest.mark.parametrize("name", PARTS)
def test_a_part_tries_something_and_finds_nothing(name, tmp_path):
    if name == "postgresql" and postgres.programs() is None:
        pytest.skip(postgres.MISSING)
    figures = run(name, tmp_path / name, seed=12, quick=True)
    assert is_clean(figures), figures


def test_lost_stale_live_twice_and_taken_over_are_counted(outcome):
    watch, first, second = Watch(), own(1, "a"), own(2, "b")
    wanted = {("a", first["pattern"]), ("c", "[x:y = 'z']")}
    live = {"1": first, "2": first, "3": second}
    watch.compare(outcome, "once", live, {"1": first}, wanted, frozenset())
    watch.compare(outcome, "again", {}, {"1": second}, set(), frozenset())
    assert outcome.counts == {LOST: 1, STALE: 1, TWICE: 1, TAKEN: 1}


def test_what_need_not_be_live_is_neither_lost_nor_stale(outcome):
    object_ = own(1, "a")
    for live in ({}, {"1": object_}):
        Watch().compare(outcome, "any", live, {}, set(), {("a", object_["pattern"])})
    assert outcome.counts == {}


def test_a_fault_of_the_programs_own_is_counted_and_an_error_for_people_is_not(outcome):
    def fails(error):
        raise error

    assert outcome.attempt("told", lambda: fails(SettingsError(["x"])), 5) == 2
    assert outcome.attempt("fault", lambda: fails(KeyError("x")), 5) == 70
    assert outcome.counts == {FAULT: 1}


def test_a_run_above_its_time_is_ended_and_counted(outcome):
    assert outcome.attempt("hangs", lambda: [None for _ in iter(int, 1)], 0.1) is None
    assert outcome.counts == {LATE: 1}


def test_a_part_that_hangs_is_ended_with_its_figures(tmp_path, monkeypatch):
    monkeypatch.setitem(PARTS, "hangs", Part("project.test_attack.hang", 1, 1, 5, 5))
    figures = run("hangs", tmp_path / "hangs", seed=1, quick=True)
    assert figures["counts"] == dict.fromkeys(NEVER, 0) | {LATE: 1}
    assert not is_clean(figures)


def test_a_part_that_breaks_is_not_clean(tmp_path, monkeypatch):
    monkeypatch.setitem(PARTS, "breaks", Part("project.test_attack.break_off", 1, 1, 60, 60))
    assert not is_clean(run("breaks", tmp_path / "breaks", seed=1, quick=True))
