"""Descriptions as plain text."""

import re

import pytest
from hypothesis import example, given
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
        ("a [page](https://example.com 'of (ours)') or [two](/2  \"(2)\"), [three](/3 (3))", "a page or two, three"),
        ("[one [of two]](https://example.com) and [![a picture](/a.png)](</a page>)", "one [of two] and a picture"),
        ("![a picture](https://example.com/a.png)", "a picture"),
        ("by <https://example.com/a?b=1>", "by https://example.com/a?b=1"),
        ("[a](https://example.com/never closed", "[a] (https://example.com/never closed"),
        ("[not a page](of/ours), [1]: https://example.com", "[not a page](of/ours), [1]: https://example.com"),
        ('<a href="https://example.com">a page</a>, <A\nHREF=/b class=c>b</A >, <br />c', "a page, b, c"),
        ("<h2>one</h2><ul><li>two</li></ul><em>th</em>ree", "one two three"),
        ("I <3 it; a < b > c, <b and c>, a hidden <iframe>", "I <3 it; a < b > c, <b and c>, a hidden <iframe>"),
        ("&lt;code&gt; &#x26;&#38; AT&T?a=1&copy=2", "<code> && AT&T?a=1&copy=2"),
        (f"&#{'9' * 5_000};", f"&#{'9' * 997}…"),
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


WORDS = st.lists(st.sampled_from(["one", "a < b", "<3", "[1]", "f(x)", "two."]), min_size=1, max_size=3).map(" ".join)
TITLES = st.sampled_from(["", ' "a title"', " 'of (one)'", " (of one)"])
ADDRESSES = st.sampled_from(["https://example.com", "/a_(b)/c", "<http://example.com/a b>", "HTTPS://example.com/[1]"])


def formatted(words):
    """Words as they are written, and as they read: in a link, an element, before a citation."""
    links = st.builds(lambda pair, to, title: (f"[{pair[0]}]({to}{title})", pair[1]), words, ADDRESSES, TITLES)
    elements = st.builds(lambda pair, name: (f"<{name}>{pair[0]}</{name[:1]}>", pair[1]), words, NAMES)
    cited = words.map(lambda pair: (f"{pair[0]} (Citation: One (2026) two)", pair[1]))
    apart = st.builds(
        lambda *pairs: ("<br>".join(pair[0] for pair in pairs), f"{pairs[0][1]} {pairs[1][1]}"), words, words
    )
    return links | elements | cited | apart


NAMES = st.sampled_from(["b", 'a href="https://example.com"', "i class='c'"])


@given(st.recursive(WORDS.map(lambda words: (words, words)), formatted, max_leaves=8))
def test_whatever_is_formatted_is_left_as_its_words(pair):
    written, read = pair
    assert description_of(written) == cut_at_a_word(read, LONGEST_DESCRIPTION)


PIECES = ["[", "]", "(", ")", "](", "!", "<", ">", '"', "'", " ", "\n", "/", "a", "https://", "(Citation:", "<code>"]
LINK = re.compile(r"\]\(\s*<?(https?:/)?/")


@given(st.lists(st.sampled_from([*PIECES, "</a>", "<a href=", "&#93;", "&lt;", "](/b)"]), max_size=60).map("".join))
@example("[x]([](/b)https://c)")
@example("[a&#93;(https://example.com)")
@example("[a](https://example.com " + "b" * LONGEST_DESCRIPTION)
def test_nothing_is_left_that_looks_like_a_link(text):
    assert not LINK.search(description_of(text))


@given(st.text(alphabet="ab ([])<code>/:Citation&;#\n", max_size=4_000))
def test_it_has_a_bound_and_no_white_space_around_it(text):
    read = description_of(text)
    assert len(read) <= LONGEST_DESCRIPTION and read == " ".join(read.split())
