"""What a ledger says that cannot be used: what is wrong in our words, what to do, and the exit code for it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import zlib
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
import sqlalchemy as sql

from helpers.errors import LedgerError
from helpers.ledger import AttributeRecord, EventRecord, ObjectRecord, Together, known_destinations, packed
from helpers.ledger.databases import sqlite
from helpers.ledger.databases.trouble import explained
from helpers.ledger.store import Ledger
from helpers.microsoft.request_manager import RequestManager
from helpers.sync.sending import delivery
from sandbox.azure.app import AzureState
from tests.support import environ_for, hosts, misp_event
from tests.support.in_process import OneProcess

ROOT = Path(__file__).resolve().parents[2]
NOW = 1_790_000_000
EVENT = "10000000-0000-4000-8000-000000000001"
RESTORE = "Restore the backup"
LIBRARIES = (
    "sqlalche",
    "sqlite3",
    "psycopg",
    "Background on this error",
    "Traceback",
    "a fault of MISP2Sentinel's own",
)


def filled(path, count=300):
    """A ledger with so many objects; it is closed."""
    with closing(Ledger(f"sqlite:///{path}", "workspace", "MISP")) as ledger:
        ledger.keep(
            events=[EventRecord(EVENT, NOW, True)],
            attributes=[
                AttributeRecord(EVENT, f"{n:08}", "print", "domain", f"host{n}.example.org") for n in range(count)
            ],
            objects=[object_record(n) for n in range(count)],
        )
    return path


def object_record(number):
    words = {"id": f"indicator--{number}", "name": os.urandom(200).hex()}
    pattern = f"[domain-name:value = 'host{number}.example.org']"
    return ObjectRecord(f"indicator--{number}", f"key-{number}", pattern, "x", 1, "print", NOW, packed(words))


def read_all(path):
    with closing(Ledger(f"sqlite:///{path}", "workspace", "MISP")) as ledger:
        ledger.events()
        ledger.attributes(EVENT)
        ledger.by_id(f"indicator--{n}" for n in range(300))
        ledger.count(NOW)


def changed(*statements):
    """What spoils a ledger by such statements."""

    def spoil(path):
        with closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return spoil


def overwritten(first, last):
    """What spoils the pages of a file from one part of it to another, which are between 0 and 1."""

    def spoil(path):
        content = bytearray(path.read_bytes())
        begin, end = (4096 * int(len(content) * part / 4096) for part in (first, last))
        content[begin:end] = b"\xa5" * (end - begin)
        path.write_bytes(content)

    return spoil


DAMAGES = {
    "no database": (lambda path: path.write_text("notes, no database\n" * 99), "not a database", RESTORE),
    "header": (overwritten(0, 0.02), "not a database", RESTORE),
    "middle": (overwritten(0.3, 0.9), "the file is damaged", RESTORE),
    "cut short": (lambda path: os.truncate(path, 40_960), "the file is damaged", RESTORE),
    "no table": (changed("DROP VIEW objects"), "does not have the tables as this program makes them", "no such table"),
    "no column": (
        changed("DROP VIEW objects", "DROP VIEW context_objects", "ALTER TABLE standings DROP COLUMN words"),
        "does not have the tables",
        "no such column",
    ),
    "of another program": (
        changed("DROP TABLE about", "DROP TABLE events", "CREATE TABLE events (when_ TEXT)"),
        "does not have the tables",
        RESTORE,
    ),
    "no schema": (changed("DELETE FROM about"), "its schema is 'None', which no version", RESTORE),
    "schema of words": (changed("UPDATE about SET value = 'two'"), "its schema is 'two', which no version", RESTORE),
    "schema 0": (changed("UPDATE about SET value = '0'"), "its schema is '0', which no version", RESTORE),
    "schema -1": (changed("UPDATE about SET value = '-1'"), "its schema is '-1', which no version", RESTORE),
    "schema without end": (changed(f"UPDATE about SET value = '{'9' * 5000}'"), "its schema is '9999", RESTORE),
    "a later schema": (
        changed("UPDATE about SET value = '99'"),
        "written by a newer MISP2Sentinel",
        "run that version",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_a_sentence_with_what_to_do(tmp_path, damage):
    spoil, cause, advice = DAMAGES[damage]
    path = filled(tmp_path / "ledger.sqlite")
    spoil(path)
    with pytest.raises(LedgerError) as caught:
        read_all(path)
    words = str(caught.value)
    assert cause in words and advice in words
    assert not [name for name in LIBRARIES if name in words]


@pytest.mark.parametrize("command", [["--dry-run"], ["status", "--json"], ["explain", "x", "--offline"], ["check"]])
@pytest.mark.parametrize("damage", ["no database", "no column", "schema of words"])
def test_every_command_ends_with_2_for_it(tmp_path, damage, command):
    spoil, cause, _ = DAMAGES[damage]
    spoil(filled(tmp_path / "ledger.sqlite", 3))
    ended = process(tmp_path, *command)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 2, said
    assert cause in said
    assert not [name for name in LIBRARIES if name in said]


@pytest.mark.parametrize("command", [["status"], ["explain", "host7.example.org", "--offline"]])
def test_a_file_of_which_a_part_is_damaged_ends_what_reads_that_part_with_2(tmp_path, command):
    path = filled(tmp_path / "ledger.sqlite")
    overwritten(0.1, 1)(path)
    ended = process(tmp_path, *command)
    assert (ended.returncode, "the file is damaged" in ended.stderr) == (2, True), ended


def process(place, *arguments):
    (place / "config.py").write_text("")
    named = {"MISP_DOMAIN": "https://127.0.0.1:1", "MISP_KEY": "k" * 40, "STATE_DIR": str(place)}
    environ = {
        **environ_for(AzureState()),
        **{f"MISP2SENTINEL_{name}": value for name, value in named.items()},
        "PATH": os.environ["PATH"],
        "HOME": str(place),
    }
    command = [sys.executable, str(ROOT / "script.py"), "--config", str(place / "config.py"), *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)


# -- while it is used ---------------------------------------------------------------------------------


def with_pragma(monkeypatch, pragma):
    """Have every connection begin with a pragma more."""
    tune = sqlite._tune

    def tuned(connection, record):
        tune(connection, record)
        connection.execute(f"PRAGMA {pragma}")

    monkeypatch.setattr(sqlite, "_tune", tuned)


def test_a_full_disk_is_named_and_what_was_recorded_stays(tmp_path, monkeypatch):
    path = filled(tmp_path / "ledger.sqlite", 3)
    pages = path.stat().st_size // 4096
    with monkeypatch.context() as patched:
        with_pragma(patched, f"max_page_count = {pages + 2}")
        with closing(Ledger(f"sqlite:///{path}", "workspace", "MISP")) as ledger:
            with pytest.raises(LedgerError, match=rf"the disk is full.*Make room on the disk of {tmp_path}\."):
                ledger.keep(objects=[object_record(n) for n in range(3, 300)])
            assert ledger.by_id(["indicator--2"]) and not ledger.by_id(["indicator--3"])
    read_all(path)


def test_what_follows_on_a_commit_that_failed_says_the_same(tmp_path, monkeypatch):
    """SQLite often finds only then that the disk is full; other threads, and the end of a run, ask once more."""

    def full(_connection):
        said = sqlite3.OperationalError("database or disk is full")
        said.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise said

    path = filled(tmp_path / "ledger.sqlite", 3)
    with closing(Ledger(f"sqlite:///{path}", "workspace", "MISP")) as ledger:
        with monkeypatch.context() as patched:
            patched.setattr(ledger.database.engine.dialect, "do_commit", full)
            for ask in (lambda: ledger.keep(objects=[object_record(3)]), ledger.events, ledger.facts):
                with pytest.raises(LedgerError, match="the disk is full"):
                    ask()
        ledger.keep(objects=[object_record(4)])
        assert ledger.known_ids(f"indicator--{n}" for n in (3, 4)) == {"indicator--4"}


def test_a_file_that_may_not_be_written_is_named(tmp_path, monkeypatch):
    path = filled(tmp_path / "ledger.sqlite", 3)
    with_pragma(monkeypatch, "query_only = 1")
    with (
        closing(Ledger(f"sqlite:///{path}", "workspace", "MISP")) as ledger,
        pytest.raises(LedgerError, match=rf"may not write it .*Let .* write {path} and the directory {tmp_path}\."),
    ):
        ledger.forget_all()


def test_a_file_that_another_program_keeps_to_itself_is_named(tmp_path, monkeypatch):
    path = filled(tmp_path / "ledger.sqlite", 3)
    with_pragma(monkeypatch, "busy_timeout = 0")
    with closing(sqlite3.connect(path)) as other, closing(Ledger(f"sqlite:///{path}", "workspace", "MISP")) as ledger:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="another program keeps it to itself"):
            ledger.forget_all()


@pytest.mark.parametrize(
    ("code", "free", "cause"),
    [
        (sqlite3.SQLITE_IOERR_WRITE, 10**9, "the disk, or its file system, failed"),
        (sqlite3.SQLITE_IOERR_SHMSIZE, 4096, "the disk is full"),
        (sqlite3.SQLITE_CANTOPEN, 10**9, "may not open or make its files.* and /tmp, where SQLite"),
        (sqlite3.SQLITE_CORRUPT_INDEX, 10**9, "the file is damaged"),
        (sqlite3.SQLITE_NOMEM, 10**9, "the system has no memory left"),
    ],
)
def test_each_cause_has_its_words(tmp_path, monkeypatch, code, free, cause):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": free}))
    said = sqlite3.OperationalError("disk I/O error")
    said.sqlite_errorcode = code
    with pytest.raises(LedgerError, match=cause), explained(f"sqlite:///{tmp_path / 'ledger.sqlite'}"):
        raise sql.exc.OperationalError("UPDATE x", {}, said)


@pytest.mark.parametrize("body", [b"", b"x", zlib.compress(b"{cut"), zlib.compress(b"\xff")])
def test_an_object_that_is_damaged_ends_a_run_with_what_to_do(tmp_path, body):
    site = Site(tmp_path, NOW, MISP_EVENT_FILTERS='{"published": 1}')
    site.misp.load([misp_event(1, hosts(10))])
    assert site.run().exit_code == 0
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        connection.execute("UPDATE contents SET body = ?", [body])
        connection.commit()
    site.misp.unpublish(misp_event(1)["uuid"])
    with pytest.raises(LedgerError, match=r"an object in it is damaged.*Restore the backup"):
        site.run(force_withdraw=True)


# -- paths --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a b", "50%", "a%20b", "what?", "a?b=c", "x#y", "ä;@:[", "sqlite:"])
def test_a_path_names_the_file_that_is_written(tmp_path, make_settings, name):
    place = tmp_path / name
    place.mkdir()
    url = make_settings(state_dir=place).ledger_url
    with closing(Ledger(url, "workspace", "MISP")) as ledger, ledger.hold_lock():
        ledger.keep(events=[EventRecord(EVENT, NOW, True)])
    assert {path.name for path in place.iterdir()} <= {"ledger.sqlite", "ledger.sqlite.1.lock"}
    assert (place / "ledger.sqlite").stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert known_destinations(url) == [("workspace", "MISP")]


@pytest.mark.parametrize(("written", "there"), [("a%20b.sqlite", "a b.sqlite"), ("x.sqlite?timeout=5", "x.sqlite")])
def test_a_ledger_at_the_path_of_earlier_versions_is_not_left_behind(tmp_path, written, there):
    filled(tmp_path / there, 3)
    with pytest.raises(LedgerError, match=rf"write sqlite:///{tmp_path / there}"):
        Ledger(f"sqlite:///{tmp_path / written}", "workspace", "MISP")
    assert not (tmp_path / written).exists()


# -- in a run -----------------------------------------------------------------------------------------


class Site(OneProcess):
    """A site whose uploads have threads of their own, as in reality."""

    def _patches(self):
        yield from super()._patches()
        yield mock.patch.object(delivery, "RequestManager", partial(RequestManager, workers=2))


@pytest.mark.parametrize("method", ["accepted", "dequeue", "keep", "save_facts", "recover", "events"])
def test_a_disk_that_is_full_at_any_moment_of_a_run_is_not_microsoft_s_failure(tmp_path, monkeypatch, method):
    site = Site(tmp_path, NOW, MISP_EVENT_FILTERS='{"published": 1}')
    site.misp.load([misp_event(1, hosts(10))])

    def full(ledger, *_, **__):
        with ledger._transaction():
            said = sqlite3.OperationalError("database or disk is full")
            said.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise sql.exc.OperationalError("UPDATE x", {}, said)

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, method, full)
        with pytest.raises(LedgerError, match="the disk is full") as caught:
            site.run()
    assert caught.value.exit_code == 2
    assert site.run().exit_code == 0
    assert len(site.live()) == 10
    assert not site.azure.wrong


def test_nothing_more_is_sent_once_the_ledger_cannot_be_used(tmp_path, monkeypatch):
    site = Site(tmp_path, NOW, MISP_EVENT_FILTERS='{"published": 1}')
    site.misp.load([misp_event(n, hosts(10, f"e{n}h")) for n in (1, 2)])
    keep = Together.keep

    def until_the_second_event(together, writings):
        if any("e2h" in record.value for writing in writings for record in writing.objects):
            raise LedgerError("the disk is full")
        keep(together, writings)

    with monkeypatch.context() as patched:
        patched.setattr(Together, "keep", until_the_second_event)
        with pytest.raises(LedgerError, match="the disk is full"):
            site.run()
    assert not site.azure.uploads
    assert site.run().exit_code == 0
    assert len(site.live()) == 20


def test_a_row_that_the_ledger_does_not_take_costs_only_its_event(tmp_path, monkeypatch):
    site = Site(tmp_path, NOW, MISP_EVENT_FILTERS='{"published": 1}')
    site.misp.load([misp_event(n, hosts(10, f"e{n}h")) for n in (1, 2)])
    keep = Together.keep

    def picky(together, writings):
        for writing in writings:
            if any("e2h" in record.value for record in writing.objects):
                writing.attributes = [replace(record, words=None) for record in writing.attributes]
        keep(together, writings)

    monkeypatch.setattr(Together, "keep", picky)
    report = site.run()
    assert report.exit_code == 1
    assert len(report.faults) == 1 and "does not take a row like this" in report.faults[0]
    assert len(site.live()) == 10
