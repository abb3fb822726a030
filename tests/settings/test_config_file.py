"""config.py as a file: what it is written in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.errors import SettingsError
from helpers.settings import load
from helpers.settings.config import source_text
from tests.settings.test_settings import ENVIRON, KEY

TEXT = "misp_timeout = 10  # Sekunden, höchstens\ndays_to_expire = 7\n"
WIDE = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]


@pytest.fixture
def settings_in(tmp_path):
    """A function that writes a config.py as bytes and loads it."""

    def write_and_load(source):
        path = tmp_path / "config.py"
        path.write_bytes(source)
        return load(path, ENVIRON)

    return write_and_load


def problem_with(settings_in, source):
    with pytest.raises(SettingsError) as caught:
        settings_in(source)
    (problem,) = caught.value.problems
    assert KEY not in problem
    return problem.partition("config.py ")[2]


# --- the encoding ------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", WIDE)
def test_other_encodings_are_named(settings_in, encoding):
    problem = problem_with(settings_in, TEXT.encode(encoding))
    assert problem.startswith(f"is {encoding[:6].upper()}: save it as UTF-8")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_utf8_is_read_as_it_is_saved(settings_in, encoding, newline):
    settings = settings_in(TEXT.replace("\n", newline).encode(encoding)).settings
    assert (settings.misp_timeout, settings.days_to_expire) == (10, 7)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_no_text_in_utf8_is_taken_for_another_encoding(text):
    problem = source_text.problem_of(text.encode())
    assert problem is None or "UTF-" not in problem


def test_another_encoding_is_named_where_python_does_not_take_it(settings_in):
    problem = problem_with(settings_in, 'x = 1\nsourcesystem = "Größe"'.encode("latin-1"))
    assert problem.startswith("is not UTF-8 (line 2): save it as UTF-8")


def test_an_encoding_that_the_file_names_is_read(settings_in):
    source = '# -*- coding: latin-1 -*-\nsourcesystem = "Größe"'.encode("latin-1")
    assert settings_in(source).settings.sourcesystem == "Größe"


def test_a_null_byte_is_named_with_its_line(settings_in):
    assert problem_with(settings_in, b"x = 1\ny = '\0'").startswith("has a null byte in line 2")


# --- other languages ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<!DOCTYPE html>\n<html><body>Sign in</body></html>", "is HTML or XML"),
        ('\n{"misp_domain": "https://misp.example.org", "misp_timeout": 10}', "is JSON: write Python"),
        ('{"dry_run": true}', "is JSON: write Python"),
        (f"misp_domain: https://misp.example.org\nmisp_key: {KEY}", "this looks like YAML"),
        (f"---\nms_auth:\n  client_secret: {KEY}", "this looks like YAML"),
        (f"MISP2SENTINEL_MISP_KEY={KEY}\n# comment\nMISP2SENTINEL_DRY_RUN=true", "file of environment variables"),
        (f"export mispkey={KEY}\nexport mispurl=https://misp.example.org", "file of environment variables"),
        (f"misp_key = “{KEY}”", "line 1: invalid character '“' (U+201C); write straight quotes"),
        ("misp_domain = ‘https://misp.example.org’", "write straight quotes"),
        ("x = 1\nmisp_timeout\u00a0= 10", "line 2: invalid non-printable character U+00A0; fix that line"),
        ("if True:\n\tx = 1\n        y = 2", "line 3: inconsistent use of tabs and spaces in indentation"),
        ("try:\n    x = 1\n", "line 2: expected 'except' or 'finally' block; fix that line"),
        ("filters = {\n  'max_tlp': 'green'\n", "fix that line"),
    ],
)
def test_what_is_no_python_is_named(settings_in, text, words):
    assert words in problem_with(settings_in, text.encode())


def test_a_setting_with_a_type_alone_has_no_value(settings_in):
    with pytest.raises(SettingsError) as caught:
        settings_in(b"x: int\nmisp_timeout: 10\ndays_to_expire: int = 7")
    (problem,) = caught.value.problems
    assert problem.startswith("misp_timeout (") and "has no value in line 2: write misp_timeout = " in problem
