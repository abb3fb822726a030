"""What somebody was told is kept for all destinations together, and by one of two processes that would tell it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

import pytest
import sqlalchemy as sql

from helpers.errors import LedgerError
from helpers.ledger import Database, Ledger, Told
from helpers.ledger.database import engine_of
from tests.support.postgres import ledger_url, postgres_server, postgres_url

__all__ = ["ledger_url", "postgres_server", "postgres_url"]


@pytest.fixture
def told(ledger_url):
    Database(ledger_url).close()
    return Told(ledger_url)


def test_what_was_told_is_known_to_the_next_process(told):
    assert told.told("verdict") == ""
    assert told.keep_told("verdict", "it failed", instead_of="")
    assert (Told(told.url).told("verdict"), told.told("other")) == ("it failed", "")
    assert told.keep_told("verdict", "it is well", instead_of="it failed")
    assert told.told("verdict") == "it is well"


def test_the_second_of_two_that_have_read_the_same_keeps_nothing(told):
    told.keep_told("verdict", "first", instead_of="")
    assert not told.keep_told("verdict", "second", instead_of="")
    assert told.told("verdict") == "first"


def test_of_several_processes_at_once_one_keeps_it(told):
    program = (
        "import sys; from helpers.ledger import Told; input(); "
        "print(Told(sys.argv[1]).keep_told('verdict', sys.argv[2], instead_of=''))"
    )
    start = [sys.executable, "-c", program, told.url]
    running = [
        subprocess.Popen([*start, f"{n}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for n in range(3)
    ]
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].strip() for process in running]
    assert sorted(said) == ["False", "False", "True"]
    assert told.told("verdict") == str(said.index("True"))


def test_a_run_goes_on_while_it_is_kept(told):
    with closing(Ledger(told.url, "workspace", "MISP")) as ledger, ledger.hold_lock():
        assert told.keep_told("verdict", "it failed", instead_of="")
        assert ledger.empty


def test_an_older_ledger_takes_it_and_stays_as_old(told):
    schema = sql.text("SELECT value FROM about WHERE name = 'schema'")
    engine = engine_of(told.url, dry=False)
    with engine.begin() as connection:
        connection.execute(sql.text("UPDATE about SET value = '3' WHERE name = 'schema'"))
    told.keep_told("schema", "it failed", instead_of="")
    assert told.told("schema") == "it failed"
    with engine.connect() as connection:
        assert connection.scalar(schema) == "3"
    engine.dispose()


def test_where_there_is_no_ledger_nothing_is_kept_and_none_is_made(tmp_path):
    told = Told(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    assert not told.keep_told("verdict", "it failed", instead_of="")
    assert told.told("verdict") == ""
    assert list(tmp_path.iterdir()) == []


def test_what_is_wrong_with_the_ledger_is_said(tmp_path):
    (tmp_path / "ledger.sqlite").write_text("no database, and long enough to be looked at" * 100)
    with pytest.raises(LedgerError, match="not a database"):
        Told(f"sqlite:///{tmp_path / 'ledger.sqlite'}").told("verdict")
