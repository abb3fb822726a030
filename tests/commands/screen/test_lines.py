"""Lines: how they wrap, what is aligned, where colour and symbols are."""

import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.commands.screen import Line, LogLines, Screen, Tone, columns, verdict
from helpers.commands.screen.line import cells

WIDTHS = (60, 80, 100, 160)
URL = "https://misp.example.org/events/view/5c7e8f2a-9b1d-4c3e-8f6a-2d4b6c8e0f12"
WORDS = st.lists(st.text(st.sampled_from("abz:/-.äß漢字"), min_size=1, max_size=70), min_size=1, max_size=30)


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def shown(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")

    def show(line, stream=None, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        stream = stream or Terminal()
        Screen(stream).show(line)
        return stream.getvalue()

    return show


@given(WORDS, st.sampled_from(WIDTHS), st.integers(0, 12), st.integers(0, 30), st.sampled_from(["", "why", "FAIL"]))
def test_no_word_is_cut_and_no_line_is_wider_than_the_terminal_unless_a_word_is(words, width, indent, column, mark):
    pieces = Line(" ".join(words), mark=mark, indent=indent, column=column).wrapped(width)
    found = " ".join(pieces).split()
    assert found == [*([mark] if mark else []), *words]
    for piece in pieces:
        assert cells(piece) <= width or piece.strip() in words


@given(WORDS, st.sampled_from(WIDTHS), st.integers(0, 12), st.integers(0, 30))
def test_lines_go_on_where_the_words_begin(words, width, indent, column):
    _first, *more = Line(" ".join(words), mark="why", indent=indent, column=column).wrapped(width)
    start = max(column, 4) + indent
    for piece in more:
        assert piece.startswith(" " * start) or cells(piece.strip()) > width - start


def test_a_url_that_has_no_room_beside_the_indent_has_a_line_of_its_own():
    pieces = Line(f"see {URL} there", mark="what to do", indent=4, column=12).wrapped(80)
    assert URL in [piece.strip() for piece in pieces]


@pytest.mark.parametrize("width", range(20, 40))
def test_a_number_stays_with_what_it_counts_where_there_is_room(width):
    text = "\n".join(Line("read 1,200 events, 2 private_address, 34 ms, 3 type_not_accepted_by_us").wrapped(width))
    for together in ("1,200 events", "2 private_address", "34 ms"):
        assert together in text
    assert ("3 type_not_accepted_by_us" in text) == (width >= 25)
    assert "type_not_accepted_by_us" in text


def test_a_deep_indent_leaves_room_for_words():
    pieces = Line("some words " * 9, mark="m" * 50, indent=2).wrapped(60)
    assert all(piece.startswith("      some") or piece.startswith("      words") for piece in pieces[1:])


def test_columns_are_aligned_and_the_last_one_wraps_where_it_begins():
    lines = columns([("no_to_ids", "10", "not flagged"), ("漢字", "3", "a rule " * 12)], indent=2, right={1})
    assert lines[0].text() == "  no_to_ids  10  not flagged"
    assert lines[1].wrapped(60)[0].startswith("  漢字        3  a rule")
    assert lines[1].wrapped(60)[1].startswith(" " * 17 + "a rule") or lines[1].wrapped(60)[1].startswith(" " * 17)


def test_no_rows_are_no_lines():
    assert columns([]) == []


def test_a_verdict_is_coloured_as_a_whole_and_has_a_symbol(shown):
    text = shown(verdict(Tone.BAD, "FAILED: no role"))
    assert text.startswith("\x1b[1;31m✗ FAILED: no role\x1b[0m")


@pytest.mark.parametrize("columns", ["0", "", "abc", "-5"])
def test_a_width_that_is_none_is_as_if_it_was_not_set(shown, columns):
    assert max(map(len, shown(Line("word " * 40), COLUMNS=columns, NO_COLOR="1").splitlines())) == 79


def test_a_mark_alone_is_coloured(shown):
    assert shown(Line("words", Tone.GOOD, mark="live", indent=2)) == "  \x1b[32mlive\x1b[0m words\n"


def test_each_piece_of_a_verdict_is_coloured(shown):
    pieces = shown(verdict(Tone.ODD, "word " * 40), COLUMNS="60").splitlines()
    assert len(pieces) > 2 and all(piece.endswith("\x1b[0m") for piece in pieces)


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}])
def test_colours_that_are_not_wanted(shown, environment):
    assert "\x1b" not in shown(verdict(Tone.GOOD, "OK"), **environment)


def test_a_pipe_has_no_colour_no_symbol_and_whole_lines(shown):
    assert shown(verdict(Tone.GOOD, "word " * 50), io.StringIO()) == "word " * 49 + "word\n"


def test_colour_in_a_pipe_where_it_is_forced(shown):
    text = shown(verdict(Tone.GOOD, "word " * 50), io.StringIO(), FORCE_COLOR="1")
    assert text.startswith("\x1b[1;32mword") and text.count("\n") == 1


def test_a_symbol_takes_the_place_of_the_mark_in_a_terminal(shown):
    line = Line("words", mark="FAIL", symbol="✗")
    assert shown(line, io.StringIO()) == "FAIL words\n"
    assert shown(line) == "✗ words\n"


def test_letters_that_the_terminal_lacks_are_ascii(shown):
    class Ascii(Terminal):
        encoding = "ascii"

    assert shown(verdict(Tone.BAD, "a → b …"), Ascii(), NO_COLOR="1") == "x a -> b ...\n"


def test_secrets_and_what_commands_a_terminal_are_not_shown(shown, monkeypatch):
    monkeypatch.setattr("helpers.commands.screen.terminal.safe_to_show", redacting("hunter2-secret"))
    assert shown(Line("hunter2-secret \x1b[2J", mark="hunter2-secret")) == "[secret] [secret] \\x1b[2J\n"


def redacting(secret):
    from helpers.process.log import Redactor
    from helpers.text import printable

    hide = Redactor([secret])
    return lambda text: printable(hide(text))


def test_what_is_for_programs_is_not_wrapped(shown):
    text = '{"a": "' + "long " * 60 + '"}'
    assert shown(text) == text + "\n"


def test_a_line_as_text_is_what_a_pipe_gets():
    assert str(Line("words", mark="created", column=10)) == "created   words"


def logged(monkeypatch, stream, words, level=logging.INFO, **more):
    monkeypatch.setattr("sys.stderr", stream)
    handler = LogLines()
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    record = logging.LogRecord("helpers", level, __file__, 1, words, None, None)
    vars(record).update(more)
    handler.emit(record)
    return stream.getvalue()


def test_the_log_in_a_terminal_wraps_and_has_the_time_of_day(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    first, *more = logged(monkeypatch, Terminal(), "Skipped: " + "word " * 20, created=0).splitlines()
    assert first[2] == first[5] == ":" and first[8:].startswith(" INFO Skipped: word")
    assert more and all(line.startswith(" " * 14 + "word") for line in more)


def test_what_a_terminal_is_told_below_is_not_in_its_log(monkeypatch):
    assert logged(monkeypatch, Terminal(), 'Summary: {"events": 1}') == ""
    assert logged(monkeypatch, io.StringIO(), 'Summary: {"events": 1}') == 'INFO Summary: {"events": 1}\n'


def test_a_traceback_keeps_its_lines(monkeypatch):
    text = logged(monkeypatch, Terminal(), "stumbled", logging.CRITICAL, exc_text="  Traceback\n    line")
    assert text == "CRITICAL stumbled\n  Traceback\n    line\n"
