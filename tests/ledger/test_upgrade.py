"""The rows of an older ledger are moved to where this program has them: all, once, whatever ends it in between."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sql

from benchmarks.older_ledgers import make_older
from helpers.errors import LedgerError
from helpers.ledger import Database, EventRecord, Ledger, OriginLookup, SightingLedger, Stage, packed, unpacked
from helpers.ledger.tables import ATTRIBUTES, METADATA, OBJECTS, SCHEMA, SOURCES
from helpers.ledger.upgrades import moving
from helpers.ledger.upgrades.tables_5 import OLD_TABLES
from tests.ledger.test_ledger import (
    EVENT,
    LATER,
    NOW,
    OTHER,
    attribute,
    connected,
    object_record,
    source,
    tables,
    version,
)
from tests.support.postgres import ledger_url, postgres_server, postgres_url

__all__ = ["ledger_url", "postgres_server", "postgres_url"]
ROOT = Path(__file__).parents[2]
SHARED, OWN = 20, 4
SENT = {"stage": Stage.ACCEPTED, "live": True, "accepted_at": NOW, "sent_at": NOW, "accepted_until": LATER}


@pytest.fixture
def older(ledger_url):
    """A ledger of schema 5 with three destinations that have most in common; its address, and what is in it."""
    for number, name in enumerate(("first", "second", "third")):
        own = range(100 * number + 100, 100 * number + 100 + OWN)
        with closing(Ledger(ledger_url, name, "MISP")) as ledger:
            ledger.keep(
                events=[EventRecord(EVENT, NOW, published=True)],
                attributes=[attribute(n, skip="NO_TO_IDS" if n % 7 == 0 else "") for n in (*range(SHARED), *own)],
                sources=[*map(source, range(SHARED)), *map(source, own), contribution(number)],
                objects=[sent(n, number) for n in (*range(SHARED), *own)],
            )
    before = contents(ledger_url)
    with connected(ledger_url) as connection:
        make_older(connection, 5)
    return ledger_url, before


def contribution(number):
    """What one event asks for of an object that another has; a destination's own."""
    return replace(source(1, OTHER), contribution=packed({"confidence": number}))


def sent(number, destination):
    """An object that is the same at each destination, and stands otherwise there."""
    if number % 5 == 0:
        return object_record(number, words="no", stage=Stage.REJECTED, sent_at=NOW, program=f"program {destination}")
    return object_record(number, **SENT, remote_id=f"remote {destination}", renew_at=NOW + number)


def contents(url):
    """Every row that a ledger has, by its table; bodies as what they say."""
    with connected(url) as connection:
        return {table.name: rows(connection, table) for table in (ATTRIBUTES, SOURCES, OBJECTS)}


def rows(connection, table):
    found = [dict(row._mapping) for row in connection.execute(sql.select(table))]
    for row in found:
        row.update({name: unpacked(row[name]) for name in ("body", "contribution") if row.get(name)})
    return sorted(found, key=repr)


def numbers(url):
    """How many rows there are in each table."""
    with connected(url) as connection:
        return {
            name: connection.scalar(sql.text(f"SELECT count(*) FROM {name}")) for name in (*OLD_TABLES, *tables(url))
        }


def test_every_row_is_there_as_it_was_and_what_is_shared_stands_once(older):
    url, before = older
    assert set(OLD_TABLES) <= set(tables(url))
    told = []
    Database(url, upgraded=lambda *progress: told.append(progress)).close()
    assert contents(url) == before
    assert version(url) == str(SCHEMA)
    assert set(tables(url)) == set(METADATA.tables)
    counted = numbers(url)
    assert counted["findings"] == counted["contents"] == counted["parts"] - 3 == SHARED + 3 * OWN
    assert counted["objects"] == counted["standings"] == 3 * (SHARED + OWN)
    assert told[-1] == (told[-1][1],) * 2 == (counted["objects"] + counted["attributes"] + counted["sources"],) * 2


def test_what_runs_write_afterwards_is_shared_with_what_was_moved(older):
    url, _ = older
    assert not set(bodies(url)) & {object_record(n).body for n in range(SHARED)}, "packed as it was then"
    Database(url).close()
    counted = numbers(url)
    with closing(Ledger(url, "fourth", "MISP")) as ledger:
        ledger.keep(
            attributes=[attribute(n, skip="NO_TO_IDS" if n % 7 == 0 else "") for n in range(SHARED)],
            sources=map(source, range(SHARED)),
            objects=map(object_record, range(SHARED)),
        )
        assert ledger.by_id(["indicator--1"]) == {"indicator--1": object_record(1)}
    links = dict.fromkeys(("attribute_links", "source_links", "standings", "attributes", "sources", "objects"), SHARED)
    expected = {name: number + links.get(name, 0) for name, number in counted.items()}
    assert numbers(url) == expected | {"destinations": 4}


def bodies(url):
    with connected(url) as connection:
        return connection.scalars(sql.text("SELECT body FROM objects")).all()


ENDED = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from helpers.ledger import Database
from helpers.ledger.upgrades import moving
moving._AT_ONCE = 9
begins, left, ends = sys.argv[2], int(sys.argv[3]), getattr(signal, sys.argv[4])
def count(_connection, _cursor, statement, *_):
    global left
    left -= statement.strip().replace("COPY ", "INSERT INTO ").startswith(begins)
    if not left:
        os.kill(os.getpid(), ends)
event.listen(Engine, "before_cursor_execute", count)
Database(sys.argv[1]).close()
"""


def opening(url, begins="no such statement", number=1, ends="SIGKILL"):
    """A process that opens a ledger, and that a signal ends at a statement that begins so, the n-th of them."""
    command = [sys.executable, "-c", ENDED, url, begins, str(number), ends]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)


def every_key(url):
    """What tells each row from the others, by its table, whether the row was moved yet or not."""
    with connected(url) as connection:
        left = {name: rows(connection, table) for name, table in OLD_TABLES.items()}
    return {name: keys([*found, *left[name]]) for name, found in contents(url).items()}


def keys(found):
    """What tells a row from others."""
    names = ("destination", "id", "key", "event", "uuid", "attribute")
    return sorted([str(row[name]) for name in names if name in row] for row in found)


# In the first transaction, between what is written and what goes, and among the last statements.
DEATHS = (
    ("CREATE VIEW", 2),
    ("INSERT INTO attribute_links", 1),
    ("DELETE FROM sources_5", 3),
    ("DELETE FROM objects_5", 2),
    ("DROP TABLE", 2),
)


def test_one_that_is_killed_anywhere_goes_on_where_it_was(older):
    url, before = older
    left = []
    for death in DEATHS:
        assert opening(url, *death).wait() == -signal.SIGKILL, death
        if version(url) == str(SCHEMA):
            assert every_key(url) == {name: keys(found) for name, found in before.items()}
            left.append(sum(count for name, count in numbers(url).items() if name.endswith("_5")))
    assert len(set(left)) == 4 and left == sorted(left, reverse=True)
    assert not opening(url).wait()
    assert contents(url) == before
    assert set(tables(url)) == set(METADATA.tables)


def test_one_that_is_interrupted_keeps_what_it_moved(older):
    url, before = older
    assert opening(url, "DELETE FROM sources_5", 2, "SIGINT").wait()
    assert 0 < numbers(url)["sources_5"] < len(before["sources"]) and not numbers(url)["attributes_5"]
    Database(url).close()
    assert contents(url) == before


def test_one_that_goes_on_tells_how_far_it_is_of_the_whole(half, caplog):
    url, before = half
    told = []
    caplog.clear()
    caplog.set_level("INFO")
    Database(url, upgraded=lambda *progress: told.append(progress)).close()
    everything = sum(map(len, before.values()))
    moved = [done for done, _ in told]
    assert 100 < moved[0] < moved[1] and moved == sorted(moved) and moved[-1] == everything
    assert {total for _, total in told} == {everything}
    assert [record.message for record in caplog.records] == ["The upgrade of the ledger goes on where it was"]


def test_several_at_once_move_each_row_once(older):
    url, before = older
    processes = [opening(url), opening(url)]
    assert [process.wait() for process in processes] == [0, 0]
    assert contents(url) == before
    assert numbers(url)["findings"] == SHARED + 3 * OWN


@pytest.fixture
def half(older, monkeypatch):
    """One of which some rows were moved."""
    monkeypatch.setattr(moving, "_AT_ONCE", 9)

    class Ended(Exception):
        pass

    def end(done, _rows):
        if done > 100:
            raise Ended

    with pytest.raises(Ended):
        Database(older[0], upgraded=end)
    return older


def test_who_only_looks_is_told_that_the_next_run_goes_on(half):
    url, before = half
    with pytest.raises(LedgerError, match="was not brought up to date to its end: the next run goes on with it"):
        Database(url, upgrades=False)
    left = numbers(url)
    with closing(Ledger(url, "second", "MISP", dry=True)) as dry:
        assert len(dry.by_id(record["id"] for record in before["objects"])) == SHARED + OWN
        assert dry.attributes(EVENT).keys() == {f"attribute-{n}" for n in (*range(SHARED), *range(200, 200 + OWN))}
        assert dry.sources(["key-1"]) == [source(1), contribution(1)]
    assert numbers(url) == left
    Database(url).close()
    assert contents(url) == before


def of_schema(schema, url):
    """A ledger of a schema whose rows stay where they are; its address, and what is in it."""
    with closing(Ledger(url, "first", "MISP")) as ledger:
        ledger.keep(sources=[*map(source, range(SHARED))], objects=[sent(n, 0) for n in range(SHARED)])
    before = contents(url)
    with connected(url) as connection:
        make_older(connection, schema)
    return url, before


@pytest.fixture
def sixth(ledger_url):
    return of_schema(6, ledger_url)


@pytest.fixture
def seventh(ledger_url):
    return of_schema(7, ledger_url)


def test_what_schema_7_has_more_is_added_and_every_row_stays(sixth):
    url, before = sixth
    assert version(url) == "6"
    Database(url).close()
    assert version(url) == str(SCHEMA) and contents(url) == before
    with closing(Ledger(url, "first", "MISP")) as ledger:
        assert ledger.live(NOW) == len([n for n in range(SHARED) if n % 5])


def test_one_of_schema_6_that_is_killed_anywhere_is_brought_up_to_date_by_the_next(sixth):
    url, before = sixth
    for begins in (
        "ALTER TABLE contents",
        "ALTER TABLE standings",
        "DROP INDEX",
        "CREATE INDEX",
        "CREATE VIEW objects",
    ):
        assert opening(url, begins).wait() == -signal.SIGKILL, begins
        assert version(url) == "6", begins
    Database(url).close()
    assert version(url) == str(SCHEMA) and contents(url) == before


NEW_IN_8 = {"former_sources", "matches", "sightings", "sighting_windows"}


def test_what_alerts_matched_finds_room_in_one_of_schema_7(seventh):
    url, before = seventh
    assert version(url) == "7" and not NEW_IN_8 & set(tables(url))
    with closing(Ledger(url, "first", "MISP", dry=True)) as dry:
        assert SightingLedger(dry).unwritten(1) == []
    assert version(url) == "7" and not NEW_IN_8 & set(tables(url))
    with closing(Ledger(url, "first", "MISP")) as ledger:
        ledger.keep(no_sources=[source(1)])
        assert [origin.attribute for origin in OriginLookup(ledger).of_ids(["indicator--1"])] == ["attribute-1"]
    after = contents(url)
    assert (version(url), after["objects"]) == (str(SCHEMA), before["objects"])
    assert [row["key"] for row in before["sources"] if row not in after["sources"]] == ["key-1"]


def test_one_of_schema_7_that_is_killed_anywhere_is_brought_up_to_date_by_the_next(seventh):
    url, before = seventh
    indexes = ("CREATE INDEX matches_of_attribute", "CREATE INDEX sightings_by_stage")
    for begins in (*(f"CREATE TABLE {name}" for name in sorted(NEW_IN_8)), *indexes, "UPDATE about"):
        assert opening(url, begins).wait() == -signal.SIGKILL, begins
        assert version(url) == "7" and not NEW_IN_8 & set(tables(url)), begins
    Database(url).close()
    assert version(url) == str(SCHEMA) and contents(url) == before
    assert set(tables(url)) == set(METADATA.tables)
