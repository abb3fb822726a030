"""A dry run of one destination beside a run of another one: it keeps nothing, and nobody waits for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import sqlalchemy as sql

from helpers.ledger import AttributeRecord, Ledger, Source, forget_former_sources
from helpers.ledger.tables import EVENT_NAMES, FORMER_SOURCES
from tests.support.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]
EVENTS = [f"10000000-0000-4000-8000-{number:012d}" for number in range(3)]


def _decided(*events):
    return [
        AttributeRecord(event, "20000000-0000-4000-8000-000000000001", "f", "domain", "a.example") for event in events
    ]


@pytest.mark.parametrize("event", EVENTS[:2], ids=["the same event", "another event"])
def test_a_dry_run_keeps_no_run_of_other_destinations_waiting(postgres_url, event):
    with closing(Ledger(postgres_url, "rome", "misp")) as rome:
        with closing(Ledger(postgres_url, "oslo", "misp")):
            pass
        with closing(Ledger(postgres_url, "oslo", "misp", dry=True)) as oslo:
            oslo.keep(attributes=_decided(EVENTS[0]))
            with rome.database.transaction() as connection:
                connection.exec_driver_sql("SET statement_timeout = 3000")
            rome.keep(attributes=_decided(event))
            assert list(oslo.attributes(EVENTS[0])) == list(rome.attributes(event))
        assert rome.destinations()


def test_runs_of_several_destinations_give_an_event_one_number(postgres_url):
    """No unique index sees to that: whoever numbers events waits for others that do."""
    with closing(Ledger(postgres_url, "rome", "misp")) as rome, closing(Ledger(postgres_url, "oslo", "misp")) as oslo:
        with ThreadPoolExecutor(2) as pool:
            for event in (f"10000000-0000-4000-8000-{number:012d}" for number in range(50)):
                list(pool.map(lambda ledger, event=event: ledger.keep(attributes=_decided(event)), (rome, oslo)))
        with rome.database.transaction() as connection:
            assert connection.scalar(sql.select(sql.func.count()).select_from(EVENT_NAMES)) == 50


def test_what_leaves_in_a_dry_run_keeps_nobody_waiting(postgres_url):
    """Which attributes left is noted, and forgotten, for all destinations at once."""
    left = Source("key", EVENTS[0], "20000000-0000-4000-8000-000000000001", b"")
    with closing(Ledger(postgres_url, "rome", "misp")) as rome, closing(Ledger(postgres_url, "oslo", "misp")) as oslo:
        for ledger in (rome, oslo):
            ledger.keep(sources=[left])
        with closing(Ledger(postgres_url, "oslo", "misp", dry=True)) as dry:
            dry.keep(no_sources=[left])
            dry.forget_all()
            forget_former_sources(dry, 1)
            with rome.database.transaction() as connection:
                connection.exec_driver_sql("SET statement_timeout = 3000")
            rome.keep(no_sources=[left])
            forget_former_sources(rome, 2)
        with rome.database.transaction() as connection:
            names = ("destination", "key", "left_at")
            (row,) = connection.execute(sql.select(*(FORMER_SOURCES.c[name] for name in names)))
            assert row == (rome.destination, left.key, 2)


def test_what_leaves_several_destinations_at_once_holds_up_none_of_them(postgres_url):
    """Who notes since when for all of them would wait for those who write, and they for it."""
    left = [Source(f"key-{number}", EVENTS[0], f"{number}") for number in range(300)]
    with closing(Ledger(postgres_url, "rome", "misp")) as rome, closing(Ledger(postgres_url, "oslo", "misp")) as oslo:
        orders = {rome: left, oslo: left[::-1]}

        def leave(ledger, sources):
            ledger.keep(no_sources=sources)
            forget_former_sources(ledger, 1)

        for _ in range(8):
            for ledger in orders:
                ledger.keep(sources=left)
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda ledger: leave(ledger, orders[ledger]), orders))
        with rome.database.transaction() as connection:
            assert connection.scalar(sql.select(sql.func.count()).select_from(FORMER_SOURCES)) == 2 * len(left)
