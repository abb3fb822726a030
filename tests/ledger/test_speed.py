"""What is asked for each event finds its rows by an index, however many there are: in both databases."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from helpers.ledger import Ledger
from helpers.sync.events.draft import MOST_OBJECTS
from tests.support import hosts, misp_event
from tests.support.in_process import OneProcess
from tests.support.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

START, DAY = 1_790_000_100, 86_400
EVENTS, RUNS = 12, 3
# A destination is one of few: what is found by it alone is found by looking through all of its rows.
_WHOLE = re.compile(r"SCAN|\(destination=\?\)")


@pytest.fixture
def whole_tables():
    """How often each statement was carried out that looks through a whole table."""
    plans, counted = {}, Counter()

    def count_whole_table(_connection, cursor, statement, parameters, _context, many):
        if many or not statement.startswith(("SELECT", "UPDATE", "DELETE")):
            return
        if statement not in plans:
            asked = cursor.connection.cursor()
            asked.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans[statement] = any(_WHOLE.search(row[3]) for row in asked.fetchall())
        if plans[statement]:
            counted[statement] += 1

    event.listen(Engine, "before_cursor_execute", count_whole_table)
    yield counted
    event.remove(Engine, "before_cursor_execute", count_whole_table)


def test_whole_tables_are_scanned_a_few_times_a_run_and_never_for_each_event(tmp_path, whole_tables):
    site = OneProcess(tmp_path, START, MISP_EVENT_FILTERS='{"published": 1}')
    site.misp.load(misp_event(n, hosts(3, f"e{n}h")) for n in range(1, EVENTS + 1))
    for run in range(RUNS):
        for edited in list(site.misp.events()):
            site.misp.edit_attribute(edited["uuid"], edited["Attribute"][0]["uuid"], comment=f"seen {run}")
            site.misp.edit_attribute(edited["uuid"], edited["Attribute"][1]["uuid"], to_ids=not run)
            site.misp.publish(edited["uuid"])
        assert site.run(full=run == RUNS - 1).exit_code == 0
        site.seconds += DAY
    assert whole_tables, "or nothing was counted"
    assert not {statement: count for statement, count in whole_tables.items() if count > RUNS}


def test_what_is_due_is_looked_for_by_its_moment_and_not_among_all_that_are_accepted(tmp_path):
    plans = []

    def explain(_connection, cursor, statement, parameters, _context, _many):
        if "renew_at <=" in statement:
            asked = cursor.connection.cursor()
            plans.extend(row[3] for row in asked.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        with closing(Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", "workspace", "MISP")) as ledger:
            ledger.to_renew(START)
    finally:
        event.remove(Engine, "before_cursor_execute", explain)
    assert "INDEX standings_to_renew" in plans[0]


def rows_read(url):
    """How many rows were read for each that was written, by table, when everybody else has left the database."""
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    read = (
        "SELECT relname, (seq_tup_read + idx_tup_fetch) / n_tup_ins, n_tup_ins FROM pg_stat_user_tables"
        " WHERE relname IN ('contents', 'parts', 'standings')"
    )
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(10_000):
            if connection.execute(others).fetchone() == (0,):
                break
        return connection.execute(read).fetchall()


@pytest.mark.parametrize(("at_once", "of_standings"), [(500, 20), (MOST_OBJECTS, 40)])
def test_a_first_run_reads_each_object_a_few_times_in_a_postgresql_that_knew_of_none(
    tmp_path, postgres_url, monkeypatch, at_once, of_standings
):
    """Of half as many, looking through all of them is as good; of these it would read up to 35 for each.

    Standings are looked through while they are few, a hundred at a time: all the more often, the more come at once.
    """
    monkeypatch.setattr("helpers.sync.events.draft.MOST_OBJECTS", at_once)
    site = OneProcess(tmp_path, START, STATE_URL=postgres_url, MISP_EVENT_FILTERS='{"published": 1}')
    site.misp.load(misp_event(n, hosts(75, f"e{n}h")) for n in range(1, 81))
    assert site.run().exit_code == 0
    tables = rows_read(postgres_url)
    # Contents and standings have who made the events as well.
    assert sorted(written for _, _, written in tables) == [6000, 6001, 6001]
    read = {table: read for table, read, _ in tables}
    assert read.pop("standings") < of_standings, tables
    assert max(read.values()) < 20, tables
