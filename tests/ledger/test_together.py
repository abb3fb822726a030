"""Several destinations of one database, read and written at once: on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest
import sqlalchemy as sql

from helpers.errors import LedgerRefusal
from helpers.ledger import Database, EventRecord, RetryPolicy, Stage
from helpers.ledger.store import Ledger
from helpers.ledger.tables import CONTENTS, FINDINGS, LOOSE, PARTS
from helpers.ledger.together import Together
from helpers.ledger.writing import Writing
from tests.ledger.test_ledger import EVENT, NOW, OTHER, attribute, object_record, source
from tests.support import hosts, misp_event
from tests.support.in_process import OneProcess
from tests.support.postgres import ledger_url, postgres_server, postgres_url

__all__ = ["ledger_url", "postgres_server", "postgres_url"]
POLICY = RetryPolicy(NOW)


@pytest.fixture
def ledgers(ledger_url):
    """Three destinations; the first two are handed the same, the third something of its own."""
    with closing(Database(ledger_url)) as database:
        yield [Ledger(database, f"workspace-{number}", "MISP") for number in range(3)]


@pytest.fixture
def together(ledgers):
    """What all three know, after one writing."""
    *_, third = ledgers
    written = Together(ledgers)
    common = {"attributes": [attribute(2), attribute(1)], "sources": [source(1), source(2)]}
    objects = [object_record(1), object_record(2)]
    both = [Writing(ledger, **common, objects=objects, due=["indicator--2", "indicator--1"]) for ledger in ledgers[:2]]
    other = replace(object_record(1), value="of its own", stage=Stage.REJECTED)
    written.keep([*both, Writing(third, attributes=[attribute(1)], sources=[source(1)], objects=[other])])
    return written


def test_what_several_know_of_events_and_keys_is_told_for_each_and_equal_answers_are_one_object(ledgers, together):
    first, second, third = ledgers
    for answers, key in (
        (together.attributes([EVENT, OTHER]), EVENT),
        (together.sources_of_events([EVENT, OTHER]), EVENT),
        (together.sources(["key-1", "key-9"]), "key-1"),
        (together.objects(["key-1", "key-9"]), "key-1"),
    ):
        assert {ledger: set(known) for ledger, known in answers.items()} == {ledger: {key} for ledger in ledgers}
        assert answers[first][key] is answers[second][key]
    for ledger in ledgers:
        assert together.attributes([EVENT])[ledger][EVENT] == ledger.attributes(EVENT)
        assert set(together.sources_of_events([EVENT])[ledger][EVENT]) == set(ledger.sources_of_event(EVENT))
        assert list(together.objects(["key-1"])[ledger]["key-1"]) == ledger.objects(["key-1"])
    one = together.attributes([EVENT])
    assert one[first][EVENT]["attribute-1"] is one[third][EVENT]["attribute-1"]
    assert together.objects(["key-1"])[third]["key-1"][0].value == "of its own"


def test_destinations_that_know_the_same_events_are_given_the_same(ledgers):
    first, second, third = ledgers
    same, other = EventRecord(EVENT, NOW, published=True), EventRecord(OTHER, NOW, published=True)
    for ledger in ledgers:
        ledger.keep(events=[other, same])
    third.keep(events=[replace(same, held_since=NOW)])
    known = Together(ledgers).events()
    assert known[first] == {EVENT: same, OTHER: other}
    assert known[second] is known[first]
    assert known[third] == {EVENT: replace(same, held_since=NOW), OTHER: other} == third.events()
    assert known[third][OTHER] is known[first][OTHER]


def test_ids_and_keys_without_an_answer_are_told_for_each(ledgers, together):
    first, second, third = ledgers
    known = together.known_ids(["indicator--1", "indicator--2", "indicator--9"])
    assert known[first] == {"indicator--1", "indicator--2"}
    assert known[first] is known[second]
    assert known[third] == {"indicator--1"}
    unsettled = together.unsettled_keys(["key-1", "key-2"], POLICY)
    assert unsettled == {first: {"key-1", "key-2"}, second: {"key-1", "key-2"}, third: frozenset()}


def test_what_is_due_goes_out_where_it_was_enqueued(ledgers, together):
    for ledger, ids in zip(
        ledgers, (["indicator--1", "indicator--2"], ["indicator--1", "indicator--2"], []), strict=True
    ):
        assert sorted(record.id for record in ledger.dequeue(9, NOW, in_flight=True)) == ids


def test_a_writing_that_fails_is_kept_for_none(ledgers, together):
    first, second, _ = ledgers
    broken = replace(object_record(4), life=2**70)
    with pytest.raises((LedgerRefusal, OverflowError)):
        together.keep([Writing(first, objects=[object_record(3)]), Writing(second, objects=[broken])])
    assert not first.by_id(["indicator--3"])


def test_what_one_takes_back_stays_with_the_others(ledgers, together):
    first, second, _ = ledgers
    gone = Writing(first, no_attributes={EVENT: ["attribute-1"]}, no_sources=[source(1)], no_objects=["indicator--1"])
    together.keep([gone])
    assert list(first.attributes(EVENT)) == ["attribute-2"]
    assert [part.key for part in first.sources_of_event(EVENT)] == ["key-2"]
    assert not first.objects(["key-1"])
    assert set(second.attributes(EVENT)) == {"attribute-1", "attribute-2"}
    assert len(second.sources_of_event(EVENT)) == 2
    assert second.objects(["key-1"])


def shared_rows(ledger):
    """How many rows there are that several destinations may share."""
    with ledger.database.transaction() as connection:
        tables = (CONTENTS, FINDINGS, PARTS, LOOSE)
        return [connection.scalar(sql.select(sql.func.count()).select_from(table)) for table in tables]


def test_what_several_have_is_there_once_and_goes_with_the_last_that_has_it(ledgers, together):
    first, second, third = ledgers
    assert shared_rows(first) == [3, 2, 2, 0]
    gone = {"no_attributes": {EVENT: ["attribute-2"]}, "no_sources": [source(2)], "no_objects": ["indicator--2"]}
    first.keep(**gone)
    first.sweep()
    assert shared_rows(first) == [3, 2, 2, 0]
    second.keep(**gone)
    assert shared_rows(first) == [3, 2, 2, 3]
    first.sweep()
    assert shared_rows(first) == [2, 1, 1, 0]
    assert third.by_id(["indicator--1"])["indicator--1"].value == "of its own"


def test_an_object_that_changes_leaves_what_it_was_to_the_others(ledgers, together):
    first, second, _ = ledgers
    changed = replace(object_record(1), fingerprint="another", stage=Stage.PENDING)
    first.keep(objects=[changed])
    first.sweep()
    assert first.by_id(["indicator--1"])["indicator--1"].fingerprint == "another"
    assert second.by_id(["indicator--1"])["indicator--1"].fingerprint == "print-1"
    second.keep(objects=[changed])
    second.sweep()
    assert shared_rows(first)[0] == 3


def test_nothing_is_swept_while_another_process_writes(ledger_url, ledgers, together):
    ledgers[0].keep(no_objects=["indicator--2"])
    ledgers[1].keep(no_objects=["indicator--2"])
    with closing(Database(ledger_url)) as other:
        if other.is_postgresql:
            with other.sharing():
                ledgers[0].sweep()
            assert shared_rows(ledgers[0])[0] == 3
        Ledger(other, "workspace-0", "MISP").sweep()
    assert shared_rows(ledgers[0])[0] == 2


def test_a_run_sweeps_up_what_it_left_behind(tmp_path):
    site = OneProcess(tmp_path, NOW, MISP_EVENT_FILTERS='{"published": 1}')
    site.misp.load([misp_event(1, hosts(3, "h"))])
    assert site.run().exit_code == 0
    site.seconds += 60
    edited = next(iter(site.misp.events()))
    site.misp.edit_attribute(edited["uuid"], edited["Attribute"][0]["uuid"], comment="seen again")
    site.misp.publish(edited["uuid"])
    assert site.run().states.total() == 1
    with closing(Ledger(site.settings.ledger_url, site.settings.workspace_key, "MISP")) as ledger:
        assert shared_rows(ledger) == [4, 3, 3, 0], "who made the event is an object as well"
