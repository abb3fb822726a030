"""Descriptions as plain text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.context.texts import LONGEST_DESCRIPTION, cut_at_a_word, description_of


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("It spies. (Citation: Some Report 2020)(Citation: Another (May 2021)) It steals.", "It spies. It steals."),
        ("[Some Group](https://attack.mitre.org/groups/G0032) uses it", "Some Group uses it"),
        ("see [Process](/techniques/T1055)", "see Process"),
        ("a [page](https://example.com/a_(b)).", "a page."),
        ("run <code>cmd.exe</code> <br>\n\n then", "run cmd.exe then"),
        ("a<br/>b", "a b"),
        ("where &lt;file&gt; &amp; <path> are", "where <file> & <path> are"),
        ("array[0](x) is code, [1] a note", "array[0](x) is code, [1] a note"),
        ("\x00\tone\u2028two\x07 ", "? one two"),
        ("(Citation: never closed", "(Citation: never closed"),
    ],
)
def test_a_description_is_plain_words(written, read):
    assert description_of(written.replace("\0", "?")) == read


def test_it_is_cut_at_a_word_where_there_is_one():
    assert cut_at_a_word("one two three", 13) == "one two three"
    assert cut_at_a_word("one two three", 12) == "one two…"
    assert cut_at_a_word("one two three", 8) == "one two…"
    assert cut_at_a_word("x" * 300, 100) == "x" * 99 + "…"
    assert cut_at_a_word("one " + "x" * 300, 100) == "one " + "x" * 95 + "…"


@given(st.text(alphabet="ab ([])<code>/:Citation\n", max_size=4_000))
def test_it_has_a_bound_and_no_white_space_around_it(text):
    read = description_of(text)
    assert len(read) <= LONGEST_DESCRIPTION and read == " ".join(read.split())
