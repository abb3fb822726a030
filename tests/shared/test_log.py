"""What people and programs see: no secret in any form, and nothing that a terminal obeys."""

import io
import json
import logging
import os
import stat
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from helpers.errors import SettingsError
from helpers.process import log
from helpers.process.log import Redactor
from helpers.text import printable
from tests.support.files.odd_files import ODD_FILES

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


@pytest.mark.parametrize("encoded", [quote_plus, lambda text: quote(text, safe="")])
def test_a_secret_is_taken_out_of_a_form_or_an_address_that_is_quoted(encoded):
    redacted = Redactor([*SECRETS, "a b+c/secret", "half \ud800 secret"])(
        " ".join(encoded(secret) for secret in [*SECRETS, "a b+c/secret"])
    )
    assert "secret" not in redacted.replace("[secret]", "")


ODD = "a\x1b[2Jb\x1b]0;pwn\x07\r\nERROR forged\u202e\u2028\x9b31m"
SEEN = r"a\x1b[2Jb\x1b]0;pwn\x07\r\nERROR forged\u202e\u2028\x9b31m"


def test_what_commands_a_terminal_is_shown_and_not_obeyed():
    assert printable(ODD) == SEEN
    assert printable("plain, ünïcode, 数 and \\ stay") == "plain, ünïcode, 数 and \\ stay"
    assert printable("two\nlines\x07", keep="\n") == "two\nlines\\x07"
    assert printable("half \ud800") == "half \\ud800"


FORGED = "2026-11-01 02:17:00,000 INFO Finished uploading indicators"


@pytest.fixture
def records():
    """Clean records for one test, with what a handler of somebody else's writes."""
    factory, stream = logging.getLogRecordFactory(), io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    own = logging.getLogger("records")
    own.addHandler(handler)
    log._make_clean_records()
    yield own, stream
    own.removeHandler(handler)
    logging.setLogRecordFactory(factory)


def test_a_message_in_the_log_stays_on_its_line_and_a_traceback_has_its_own(records):
    own, stream = records
    try:
        int(f"{ODD}\x1b")
    except ValueError as error:
        error.add_note(FORGED)
        own.exception("Event %s\n%s", ODD, FORGED)
    first, second, *rest = stream.getvalue().splitlines()
    assert first == f"ERROR Event {SEEN}\\n{FORGED}"
    assert second == "  Traceback (most recent call last):"
    assert rest[-1].strip() == FORGED
    assert all(line.startswith("  ") for line in rest), "no line of a traceback looks like one of the log's"
    assert not set("\x1b\x07\r\u202e\u2028\x9b") & set(stream.getvalue())


def test_a_record_keeps_nothing_that_a_handler_could_show_as_it_was(records, monkeypatch):
    """Application Insights takes the exception from the record, and its arguments."""
    own, _ = records
    kept = []
    monkeypatch.setattr(own, "handle", kept.append)
    log.redact.add(["a-secret-of-the-records-test"])
    own.error("%s", "a-secret-of-the-records-test", exc_info=ValueError("with a-secret-of-the-records-test"))
    (record,) = kept
    assert record.exc_info is None and record.args is None
    assert "a-secret-of-the-records-test" not in str(vars(record))


def test_what_does_not_fit_its_arguments_is_logged_as_it_is(records):
    own, stream = records
    own.error("one %s and two %s", "argument")
    assert stream.getvalue() == "ERROR one %s and two %s\n"


def test_records_are_made_clean_once_and_by_whoever_made_them(records):
    first = logging.getLogRecordFactory()
    log._make_clean_records()
    assert logging.getLogRecordFactory() is first
    assert isinstance(first.make("x", logging.INFO, "", 0, "m", (), None), logging.LogRecord)


# --- the file --------------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", ODD_FILES)
def test_a_log_is_a_file_and_nothing_else(odd, tmp_path):
    path = tmp_path / "misp2sentinel.log"
    ODD_FILES[odd](path)
    with pytest.raises(SettingsError, match=f"log_file cannot be used: .*{odd}.*which is refused"):
        log.try_out(path)


def test_dev_null_is_no_log_and_stays_as_it_is(monkeypatch):
    before = Path(os.devnull).stat().st_mode
    monkeypatch.setattr(os, "fchmod", lambda *_: pytest.fail("it is the system's"))
    log.try_out(Path(os.devnull))
    handler = log._file_handler(Path(os.devnull))
    handler.emit(logging.makeLogRecord({"msg": "swallowed"}))
    handler.close()
    assert Path(os.devnull).stat().st_mode == before


def test_a_link_to_dev_null_is_a_link(tmp_path):
    (tmp_path / "log").symlink_to(os.devnull)
    with pytest.raises(SettingsError, match="symbolic link"):
        log.try_out(tmp_path / "log")


def test_a_log_that_becomes_a_link_later_is_not_followed(tmp_path):
    handler = log._file_handler(tmp_path / "misp2sentinel.log")
    handler.close()
    (tmp_path / "misp2sentinel.log").unlink()
    (tmp_path / "misp2sentinel.log").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic link"):
        handler._open()
    assert not (tmp_path / "precious").exists()


def test_a_log_may_lie_in_a_directory_that_others_use(tmp_path):
    """As /tmp does; it belongs to whoever made it."""
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    log.try_out(shared / "misp2sentinel.log")
    assert stat.S_IMODE((shared / "misp2sentinel.log").stat().st_mode) == 0o600
