"""Text cut short, on one line and free of control characters; lists in pieces."""

from __future__ import annotations

import pytest

from helpers.text import batched, did_you_mean, one_line, shorten


@pytest.mark.parametrize(
    ("text", "most", "mark", "cut"),
    [("four", 4, "…", "four"), ("fives", 4, "…", "fiv…"), ("a longer text", 7, "...", "a lo..."), ("", 4, "…", "")],
)
def test_a_cut_text_is_never_longer_than_was_asked_for(text, most, mark, cut):
    assert shorten(text, most, mark) == cut


def test_white_space_of_any_kind_becomes_one_space():
    assert one_line(" two\n lines\tand\u2003more ") == "two lines and more"


def test_a_typo_is_recognised_in_any_letter_case_and_another_name_is_not():
    known = ("misp_domain", "misp_key")
    assert did_you_mean("MISP_DOMIAN", known) == "misp_domain"
    assert did_you_mean("weather", known) is None


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (3, [3]), (4, [3, 1]), (6, [3, 3])])
def test_batches_hold_everything_in_its_order(count, sizes):
    batches = list(batched(iter(range(count)), 3))
    assert [len(batch) for batch in batches] == sizes
    assert [item for batch in batches for item in batch] == list(range(count))
