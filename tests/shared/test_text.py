"""Text cut short, on one line and free of control characters; lists in pieces."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

from helpers.text import batched, counted, did_you_mean, listed, one_line, shorten


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


# -- one story, two stories -------------------------------------------------------------------------------

ROOT = Path(__file__).parents[2]
SEVERAL = (
    "events|stories|indicators|attributes|objects|destinations|hours|days|minutes|warnings|requests|withdrawals|files|"
    "pages|tries|items|proposals|ids|values|batches|runs|characters|bytes"
)
OF_SEVERAL = re.compile(rf" (?:(?!with)[a-z-]+ )?(?:{SEVERAL})\b")
# What is certainly more than one, and what is counted where a word is no count: as they stand before the word.
NEVER_ONE = {
    "24 * together",
    "len(days)",
    "len(destinations)",
    "len(group)",
    "len(names)",
    "len(ours)",
    "len(report.parts)",
    "len(runs)",
    "len(text)",
    "length",
    "of",
    "some",
    "size",
    "seconds // _DAY",
    "their",
    "LONGEST / 60",
}
# The log's messages stay as they are, so that they can be searched for.
STABLE = {"LOG_MISP_PAGE", "LOG_PROCESSED", "LOG_RECEIVED", "LOG_SENT", "LOG_NOT_ACCEPTED"}


def test_every_count_in_words_knows_one():
    sources = [*(ROOT / "helpers").rglob("*.py"), ROOT / "script.py", ROOT / "constants.py"]
    found = [f"{path.name}: {words}" for path in sources for words in uncounted(ast.parse(path.read_text("utf-8")))]
    assert found == []


def uncounted(tree):
    """What stands in a text before a word for several, and is not told from one."""
    stable = [
        node.value for node in ast.walk(tree) if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) in STABLE
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            for value, after in pairwise(node.values):
                is_count = isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant)
                if is_count and OF_SEVERAL.match(after.value) and not knows_one(value.value):
                    yield f"{ast.unparse(value.value)}{after.value}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in stable:
            yield from (found[0] for found in re.finditer(rf"\{{[^{{}}]*\}}{OF_SEVERAL.pattern}", node.value))


def knows_one(value):
    """Whether a number is a constant of ours, which has its own test of reading well, or is never one."""
    return ast.unparse(value) in NEVER_ONE or (isinstance(value, ast.Name) and value.id.isupper())


def test_a_count_without_its_word_is_found():
    assert list(uncounted(ast.parse('f"{count(x):,} live objects came"'))) == ["count(x) live objects came"]
    assert list(uncounted(ast.parse('"{} hours".format(1)'))) == ["{} hours"]
    assert list(uncounted(ast.parse('f"{counted(2, one, several)} came in {LONGEST} minutes"'))) == []


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0 stories"), (1, "1 story"), (1.0, "1 story"), (0.5, "0.5 stories"), (12_000, "12,000 stories")],
)
def test_a_number_comes_with_the_right_word(number, words):
    assert counted(number, "story", "stories") == words


@pytest.mark.parametrize(("words", "said"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")])
def test_words_as_one_reads_them_out(words, said):
    assert listed(words) == said
