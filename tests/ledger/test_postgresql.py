"""A PostgreSQL that goes away, falls silent or has another encoding: one run writes, and no wait is for ever."""

from __future__ import annotations

import os
import random
import signal
import socket
from contextlib import closing, contextmanager
from dataclasses import replace

import psycopg
import pytest
import sqlalchemy as sql

from helpers.errors import LedgerError, LedgerRefusal
from helpers.ledger import AttributeRecord, EventRecord
from helpers.ledger.databases import postgresql
from helpers.ledger.store import Ledger
from sandbox.faults import Fault
from sandbox.serve import Sandbox
from tests.support.postgres import PASSWORD, postgres_server, postgres_url
from tests.support.processes import Host, load

__all__ = ["postgres_server", "postgres_url"]
EVENT = EventRecord("10000000-0000-4000-8000-000000000001", 1_790_000_000, True)


def attributes_of_event(count):
    return [AttributeRecord(EVENT.uuid, f"uuid-{n}", "f" * 64, "domain", f"host{n}.example.org") for n in range(count)]


def opened(url):
    return closing(Ledger(url, "workspace", "MISP"))


def pid_of(ledger):
    """Which of the server's processes serves a ledger."""
    return ledger.database.connection.connection.dbapi_connection.info.backend_pid


@contextmanager
def asking(url):
    with psycopg.connect(url, autocommit=True) as connection:
        yield lambda question, *values: connection.execute(question, values).fetchone()[0]


def end_others(url):
    """End every connection to a database but our own; how many."""
    with asking(url) as ask:
        return ask(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


# -- the lock -----------------------------------------------------------------------------------------


def test_who_loses_the_lock_never_writes_again(postgres_url):
    with opened(postgres_url) as first, opened(postgres_url) as second, first.hold_lock():
        first.keep(events=[EVENT])
        with asking(postgres_url) as ask:
            assert ask("SELECT pg_terminate_backend(%s, 5000)", pid_of(first))
        with second.hold_lock():
            with pytest.raises(LedgerError, match=r"was lost \(state_url\): .*the lock against other runs with it"):
                first.events()
            for write in (lambda: first.keep(events=[EVENT]), first.recover, first.facts, first.events):
                with pytest.raises(LedgerError, match="another run may be active"):
                    write()
            assert second.events() == {EVENT.uuid: EVENT}
            second.recover()


def test_the_connection_that_holds_the_lock_is_the_only_one(postgres_url):
    with opened(postgres_url) as ledger, ledger.hold_lock(), asking(postgres_url) as ask:
        holder = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s"
        assert ask(holder, ledger.destination) == pid_of(ledger)
        assert ask("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()") == 2


def test_a_loss_in_the_middle_of_a_transaction_keeps_nothing_of_it(postgres_url):
    with opened(postgres_url) as ledger, ledger.hold_lock():
        with pytest.raises(LedgerError, match="was lost"), ledger.single_transaction():
            ledger.keep(events=[EVENT])
            end_others(postgres_url)
            ledger.recover()
        with pytest.raises(LedgerError, match="another run may be active"):
            ledger.keep(events=[EVENT])
    with opened(postgres_url) as again:
        assert again.events() == {}


@pytest.mark.parametrize("count", [1, 2])
def test_rows_that_it_does_not_take_are_refused_and_the_ledger_can_be_used_on(postgres_url, count):
    attributes = attributes_of_event(count)
    with opened(postgres_url) as ledger:
        with pytest.raises(LedgerRefusal, match="does not take a row like this"):
            ledger.keep(attributes=[replace(attribute, words=None) for attribute in attributes])
        ledger.keep(attributes=attributes)
        assert len(ledger.attributes(EVENT.uuid)) == count


def test_a_loss_among_the_rows_of_an_insert_is_one_of_the_connection(postgres_url):
    with opened(postgres_url) as ledger:
        end = sql.event.listens_for(ledger.database.engine, "before_cursor_execute")
        end(
            lambda _connection, _cursor, statement, *_: (
                statement.startswith("COPY findings") and end_others(postgres_url)
            )
        )
        with pytest.raises(LedgerError, match="was lost"):
            ledger.keep(attributes=attributes_of_event(2))
        with pytest.raises(LedgerError, match="another run may be active"):
            ledger.keep(events=[EVENT])


def test_a_run_whose_lock_another_one_took_ends_with_2_and_sends_nothing_more(postgres_url, tmp_path):
    """The first is held in MISP's answer; its connection ends, and a second process takes the lock and writes."""
    with Sandbox() as box:
        hosts = [Host(box, tmp_path / name, postgres_url) for name in "ab"]
        load(box, 2, 10)
        ended = []

        def meanwhile(_body):
            if not ended:
                ended.append(end_others(postgres_url))
                ended.append(hosts[1].run("withdraw", "--workspace", box.azure.workspace_id, "--json"))
            return False

        box.misp.faults.add(Fault("/events/restSearch", "status", when=meanwhile))
        first = hosts[0].run()
        assert (first.returncode, ended[1].returncode) == (2, 0), (first, ended)
        assert "was lost (state_url)" in first.stderr and "another run may be active" in first.stderr
        assert not [word for word in ("Traceback", "None", "sqlalche", PASSWORD) if word in first.stderr]
        assert not box.azure.uploads
        assert hosts[0].run().returncode == 0
        assert len(box.azure.live()) == sum(upload["kinds"]["indicator"] for upload in box.azure.uploads) == 20


@pytest.mark.parametrize("seed", range(4))
def test_a_connection_that_ends_at_any_moment_costs_nothing_but_the_run(postgres_url, tmp_path, seed):
    chance = random.Random(seed)
    with Sandbox() as box:
        load(box, 6, 10)
        host = Host(box, tmp_path, postgres_url, MS_MAX_INDICATORS_REQUEST="10", MISP_EVENT_LIMIT_PER_PAGE="1")
        at, asked = chance.randrange(12), []

        def when(_body):
            asked.append(None)
            return len(asked) == at + 1 and end_others(postgres_url) and False

        box.misp.faults.add(Fault("/", "status", when=when))
        box.azure.faults.add(Fault("/", "status", when=when))
        broken = host.run()
        assert broken.returncode == 2, broken
        assert "state_url" in broken.stderr and "Microsoft" not in broken.stderr
        assert host.run().returncode == 0
        assert len(box.azure.live()) == 60


# -- waiting ------------------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch):
    """A program that waits for a moment where it waits for minutes."""
    monkeypatch.setattr(postgresql, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(postgresql, "SILENCE_SECONDS", 0.3)


def test_a_server_that_falls_silent_is_not_waited_for_for_ever(postgres_url, impatient):
    with opened(postgres_url) as ledger, ledger.hold_lock():
        frozen = pid_of(ledger)
        os.kill(frozen, signal.SIGSTOP)
        try:
            with pytest.raises(LedgerError, match=r"was lost .*it said nothing for 0\.6 seconds"):
                ledger.events()
            with pytest.raises(LedgerError, match="another run may be active"):
                ledger.events()
        finally:
            os.kill(frozen, signal.SIGCONT)


def test_a_statement_that_takes_too_long_ends_and_the_connection_lives_on(postgres_url, impatient):
    with opened(postgres_url) as ledger:
        with psycopg.connect(postgres_url) as other:
            other.execute("LOCK TABLE events")
            with pytest.raises(LedgerError, match="did not come to an end in five minutes"):
                ledger.events()
        assert ledger.events() == {}


def test_a_server_that_takes_connections_and_never_answers_is_given_up(monkeypatch):
    monkeypatch.setitem(postgresql._PARAMETERS, "connect_timeout", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://ledger:{PASSWORD}@127.0.0.1:{silent.getsockname()[1]}/ledger?connect_timeout=86400"
        with pytest.raises(LedgerError, match=r"no connection .*timeout.*Is the server up"):
            Ledger(url, "workspace", "MISP")


def test_every_wait_has_an_end_on_the_server_and_in_the_network(postgres_url):
    with opened(postgres_url) as ledger, ledger.database.transaction() as connection:
        assert connection.scalar(sql.text("SHOW statement_timeout")) == "5min"
        assert connection.scalar(sql.text("SHOW idle_in_transaction_session_timeout")) == "0"
        assert connection.scalar(sql.text("SHOW client_encoding")) == "UTF8"
        of_hosts = ("keepalives_idle", "keepalives_interval", "keepalives_count", "user_timeout")
        assert [connection.scalar(sql.text(f"SHOW tcp_{name}")) for name in of_hosts] == ["60", "15", "4", "120000"]
        with socket.socket(fileno=os.dup(connection.connection.dbapi_connection.fileno())) as line:
            options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
            assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert [line.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [60, 15, 4, 300_000]


# -- encodings ----------------------------------------------------------------------------------------


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def encoded_url(request, postgres_server):
    """The address of a database in another encoding, and that."""
    name = f"in_{request.param.lower()}"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(
            f"CREATE DATABASE {name} ENCODING '{request.param}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )
    return postgres_server.url(name), request.param


@pytest.mark.parametrize("command", [["--dry-run"], ["check"], ["status"]])
def test_a_database_that_is_not_in_utf_8_is_refused(encoded_url, tmp_path, command):
    url, encoding = encoded_url
    with Sandbox() as box:
        ended = Host(box, tmp_path, url).run(*command)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 2, said
    assert f"the database's encoding is {encoding}: make it UTF8" in said
    assert "Traceback" not in said and PASSWORD not in said


def test_a_host_whose_encoding_is_another_one_makes_no_difference(postgres_url, monkeypatch):
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    event = EventRecord(EVENT.uuid, 1, True, organisation="Ελλάδα 日本 😀")
    with opened(postgres_url) as ledger:
        ledger.keep(events=[event])
        assert ledger.events() == {event.uuid: event}
