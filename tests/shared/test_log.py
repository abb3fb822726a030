"""What people and programs see: no secret in any form, and nothing that a terminal obeys."""

import json
import logging

import pytest

from helpers import log
from helpers.log import Redactor
from helpers.text import printable

SECRETS = [
    "a\\b-secret",
    "it's-secret",
    "both'and\"secret",
    "tab\tand\nline-secret",
    "geheim-ü-é-secret",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["", " '", ' "', "'\""])
@pytest.mark.parametrize("shown", [str, repr, json.dumps, lambda text: json.dumps(text, ensure_ascii=False)])
def test_a_secret_is_taken_out_in_every_form(secret, around, shown):
    redacted = Redactor([secret])(shown(around + secret + around))
    assert "[secret]" in redacted
    assert "secret" not in redacted.replace("[secret]", "")


ODD = "a\x1b[2Jb\x1b]0;pwn\x07\r\nERROR forged\u202e\u2028\x9b31m"
SEEN = r"a\x1b[2Jb\x1b]0;pwn\x07\r\nERROR forged\u202e\u2028\x9b31m"


def test_what_commands_a_terminal_is_shown_and_not_obeyed():
    assert printable(ODD) == SEEN
    assert printable("plain, ünïcode, 数 and \\ stay") == "plain, ünïcode, 数 and \\ stay"
    assert printable("two\nlines\x07", keep="\n") == "two\nlines\\x07"
    assert printable("half \ud800") == "half \\ud800"


def test_a_message_in_the_log_stays_on_its_line_and_a_traceback_has_its_own():
    try:
        int(ODD + "\x1b")
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, "", 0, "Event %s", (ODD,), (ValueError, error, error.__traceback__)
        )
    first, *rest = log._Formatter("%(levelname)s %(message)s").format(record).split("\n")
    assert first == f"ERROR Event {SEEN}"
    assert rest[0] == "Traceback (most recent call last):"
    assert not set("\x1b\x07\r\u202e\u2028\x9b") & set("".join(rest))
