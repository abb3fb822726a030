"""What a destination holds, counted: what it means is what status counts, and no row of an object is read for it."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import replace

import pytest
import sqlalchemy as sql

from constants import TLP_MARKINGS
from helpers.commands.monitoring.answer import answer_of
from helpers.commands.monitoring.holdings import DAYS, MOST_HELD, HeldEvent, holdings_of
from helpers.commands.monitoring.moments import Watch
from helpers.commands.monitoring.standing import standing
from helpers.errors import NoLedger
from helpers.indicators import DAY
from helpers.ledger import AttributeRecord, EventRecord, Ledger, LedgerDestination, Source, Stage, packed
from helpers.settings import MsAuth
from tests.commands.monitoring.test_status import OBJECTS
from tests.commands.test_explain import NOW, OTHER, WORKSPACE, object_record
from tests.support.postgres import ledger_url, postgres_server, postgres_url
from tests.support.tls_site import event_uuid

__all__ = ["ledger_url", "postgres_server", "postgres_url"]

MARKS = (("amber", 75), ("amber", 0), ("red", 75))


@pytest.fixture
def ledger(ledger_url):
    with closing(Ledger(ledger_url, WORKSPACE, "MISP")) as opened:
        yield opened


def numbered(objects):
    return [replace(record, id=f"{record.id}-{n}", key=f"{record.key}-{n}") for n, record in enumerate(objects)]


def held_by(ledger):
    return holdings_of(LedgerDestination(WORKSPACE, "MISP", ledger), NOW)


def counted(ledger, make_settings):
    """What status says of the same destination."""
    return standing(LedgerDestination(WORKSPACE, "MISP", ledger), make_settings(), NOW)


@pytest.mark.parametrize("name", OBJECTS)
def test_what_expires_is_of_what_status_counts_as_live(ledger, make_settings, name):
    record, counts = OBJECTS[name]
    ledger.keep(objects=[replace(record, live_until=min(record.live_until, NOW + 7 * DAY))])
    expiring = held_by(ledger).expiring
    assert sum(expiring) == counted(ledger, make_settings)["live"]
    assert sum(expiring[:7]) == counted(ledger, make_settings)["expiring_in_7_days"]
    assert sum(expiring) == counts.get("live", 0)
    assert sum(held_by(ledger).tlp.values()) == sum(held_by(ledger).confidence.values()) == sum(expiring)


def test_what_expires_is_counted_for_each_day_of_24_hours(ledger):
    ends = (0, 1, DAY, DAY + 1, 2 * DAY, 30 * DAY, 30 * DAY + 1)
    ledger.keep(objects=numbered(object_record(valid_until=NOW + end, live_until=NOW + end) for end in ends))
    expiring = held_by(ledger).expiring
    assert expiring == [2, 2, *[0] * 27, 1]
    assert len(expiring) == DAYS


def test_what_is_live_is_counted_by_tlp_and_confidence(ledger):
    bodies = ({"object_marking_refs": [TLP_MARKINGS[tlp]], "confidence": sure} for tlp, sure in MARKS)
    ledger.keep(objects=numbered(object_record(body=packed(body)) for body in bodies))
    ledger.keep(objects=[object_record(id="expired", valid_until=NOW), object_record(id="odd", body=b"")])
    assert held_by(ledger).tlp == {"amber": 2, "red": 1, "": 1}
    assert held_by(ledger).confidence == {-1: 1, 0: 1, 75: 2}


def test_attributes_are_counted_by_organisation(ledger):
    organisations = ("Blue", "Red", "Blue", "")
    events = [EventRecord(event_uuid(n), NOW, True, name) for n, name in enumerate(organisations)]
    sources = [Source(f"key {n}", event_uuid(n % 4), f"attribute {n}") for n in range(9)]
    ledger.keep(events=events, sources=[*sources, Source("key", "of no event", "attribute")])
    assert list(held_by(ledger).organisations.items()) == [("Blue", 5), ("", 2), ("Red", 2)]


def test_an_organisation_has_a_name_where_one_of_its_events_has_it(ledger):
    made_by = [("uuid 1", ""), ("uuid 1", "Blue"), ("uuid 2", "Blue"), ("uuid 3", "")]
    events = [
        EventRecord(event_uuid(n), NOW, True, uuid, organisation_name=name) for n, (uuid, name) in enumerate(made_by)
    ]
    sources = [Source(f"key {n}", event_uuid(n), f"attribute {n}") for n in range(4)]
    ledger.keep(events=[*events, replace(events[1], uuid=event_uuid(9), held_since=NOW)], sources=sources)
    found = held_by(ledger)
    assert found.organisations == {"Blue": 3, "uuid 3": 1}
    assert [event.organisation for event in found.held] == ["Blue"]


def test_attributes_that_are_not_sent_are_counted_by_reason(ledger):
    skips = ("", "EMPTY", "TYPE", "EMPTY")
    ledger.keep(attributes=[AttributeRecord("event", f"{n}", "", "ip-dst", "x", skip) for n, skip in enumerate(skips)])
    assert list(held_by(ledger).skips.items()) == [("EMPTY", 2), ("TYPE", 1)]


def test_held_events_are_the_longest_held_first(ledger):
    events = [EventRecord(event_uuid(n), NOW, False, f"org {n}", held_since=NOW - n) for n in range(1, MOST_HELD + 3)]
    ledger.keep(events=[*events, EventRecord(event_uuid(0), NOW, True)])
    held = held_by(ledger).held
    assert held[0] == HeldEvent(event_uuid(MOST_HELD + 2), f"org {MOST_HELD + 2}", NOW - MOST_HELD - 2)
    assert [event.since for event in held] == sorted(event.since for event in held)
    assert len(held) == MOST_HELD


def test_what_another_destination_holds_is_not_counted(ledger, ledger_url):
    with closing(Ledger(ledger_url, OTHER, "MISP")) as other:
        other.keep(
            objects=[object_record()],
            events=[EventRecord(event_uuid(1), NOW, False, "Blue", held_since=NOW)],
            attributes=[AttributeRecord(event_uuid(1), "a", "", "ip-dst", "x", "EMPTY")],
            sources=[Source("key", event_uuid(1), "a")],
        )
    found = held_by(ledger)
    assert (sum(found.expiring), found.organisations, found.skips, found.held) == (0, {}, {}, [])


@pytest.fixture
def plans(ledger):
    """Each question to a SQLite, with how it goes about it."""
    known = {}

    def explained(connection, cursor, statement, parameters, *_):
        if statement.startswith("SELECT"):
            plan = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            known[statement] = [str(step[-1]) for step in plan]

    if not ledger.database.is_postgresql:
        sql.event.listen(ledger.database.engine, "before_cursor_execute", explained)
    return known


def test_no_row_is_read_of_what_there_may_be_a_million_of(ledger, plans):
    """A row of an object has about 2 kB; of what Microsoft has not accepted, which is little, rows are read."""
    if ledger.database.is_postgresql:
        pytest.skip("its plans depend on how many rows there are")
    held_by(ledger)
    tables = ("standings", "contents", "source_links", "parts", "attribute_links", "findings")
    steps = [step for statement, plan in plans.items() for step in plan if any(f" {name} " in step for name in tables)]
    covering = ("COVERING INDEX", "_links USING PRIMARY KEY")
    rows_are_read = [step for step in steps if not any(how in step for how in covering)]
    assert Counter("COVERING INDEX" in step for step in steps)[True] >= 5
    assert all("INDEX standings_by_stage (destination=? AND stage=?" in step for step in rows_are_read)


def test_the_answer_has_it_for_each_destination_where_it_is_asked_for(ledger_url, make_settings, tmp_path):
    settings = make_settings(state_url=ledger_url, state_dir=tmp_path, ms_auth=MsAuth(workspace_id=WORKSPACE))
    for number, workspace in enumerate((WORKSPACE, OTHER), 1):
        with closing(Ledger(ledger_url, workspace, "MISP")) as ledger:
            ledger.keep(objects=numbered([object_record(valid_until=NOW + 1, live_until=NOW + 1)] * number))
    answer = answer_of(settings, Watch(NOW), holdings=True)
    assert [destination["holdings"].expiring[0] for destination in answer["destinations"]] == [1, 2]
    assert all("holdings" not in destination for destination in answer_of(settings, Watch(NOW))["destinations"])


def test_without_a_ledger_nothing_is_held(make_settings, tmp_path):
    with pytest.raises(NoLedger):
        answer_of(make_settings(state_url="none", state_dir=tmp_path), Watch(NOW), holdings=True)


def test_a_rejected_object_that_lives_on_is_counted_in_the_day_of_its_end(ledger):
    rejected = object_record(stage=Stage.REJECTED, live_until=NOW + 3 * DAY, accepted_until=NOW + 3 * DAY)
    never_taken = replace(rejected, accepted_until=0, perhaps_taken=False)
    ledger.keep(objects=numbered([rejected, never_taken]))
    assert held_by(ledger).expiring[2] == sum(held_by(ledger).expiring) == 1
