"""The ledger on SQLite and on a real PostgreSQL: what it keeps, what it says when it cannot."""

from __future__ import annotations

import stat
from dataclasses import fields, replace
from pathlib import Path

import pytest
import sqlalchemy as sql

from benchmarks.older_ledgers import make_older
from helpers.errors import LedgerError, LedgerRefusal
from helpers.ledger.bodies.packing import packed, unpacked
from helpers.ledger.databases.trouble import explained
from helpers.ledger.records import (
    AttributeRecord,
    Blocked,
    DestinationFacts,
    EventRecord,
    FullRun,
    LiveCount,
    ObjectRecord,
    RetryPolicy,
    Source,
    Stage,
)
from helpers.ledger.rows import PARAMETERS
from helpers.ledger.store import Ledger
from helpers.ledger.tables import ABOUT, ATTRIBUTES, OBJECTS, SCHEMA
from helpers.ledger.together import Together
from tests.support.postgres import PASSWORD, ledger_url, postgres_server, postgres_url

__all__ = ["ledger_url", "postgres_server", "postgres_url"]
NOW = 1_790_000_000
LATER = NOW + 86_400
EVENT = "10000000-0000-4000-8000-000000000001"
OTHER = "10000000-0000-4000-8000-000000000002"


@pytest.fixture
def ledger(ledger_url):
    with_destination = Ledger(ledger_url, "workspace", "MISP")
    yield with_destination
    with_destination.close()


def object_record(number, **changes):
    """An object that is to be sent."""
    record = ObjectRecord(
        id=f"indicator--{number}",
        key=f"key-{number}",
        pattern=f"[domain-name:value = 'host{number}.example.org']",
        value=f"host{number}.example.org",
        life=1,
        fingerprint=f"print-{number}",
        valid_until=LATER,
        body=packed({"id": f"indicator--{number}", "labels": ["ä"]}),
    )
    record = replace(record, **changes)
    return replace(record, live_until=record.valid_until) if record.live and not record.live_until else record


def source(number, event=EVENT):
    return Source(f"key-{number}", event, f"attribute-{number}", b"")


def attribute(number, **changes):
    record = AttributeRecord(EVENT, f"attribute-{number}", "print", "domain", f"host{number}.example.org")
    return replace(record, **changes)


def stages(ledger, *numbers):
    records = ledger.by_id(f"indicator--{number}" for number in numbers)
    return [records[f"indicator--{number}"].stage for number in numbers]


def stored_object(ledger, number=1):
    return ledger.by_id([f"indicator--{number}"])[f"indicator--{number}"]


def unsettled_keys(ledger, keys, policy):
    return Together([ledger]).unsettled_keys(keys, policy)[ledger]


def in_flight(ledger, ids):
    """Have objects taken out of the queue, on their way to Microsoft."""
    ledger.enqueue(ids)
    return ledger.dequeue(len(ids), NOW, in_flight=True)


# -- opening ------------------------------------------------------------------------------------------


def test_what_was_kept_is_there_after_opening_again(ledger_url):
    kept = object_record(1, words="ü", renew_at=NOW, live=True)
    first = Ledger(ledger_url, "workspace", "MISP")
    first.keep(events=[EventRecord(EVENT, NOW, True)], attributes=[attribute(1)], sources=[source(1)])
    first.keep(objects=[kept])
    first.close()
    again = Ledger(ledger_url, "workspace", "MISP")
    assert again.events() == {EVENT: EventRecord(EVENT, NOW, True)}
    assert again.attributes(EVENT) == {"attribute-1": attribute(1)}
    assert again.sources_of_event(EVENT) == again.sources(["key-1"]) == [source(1)]
    assert again.objects(["key-1"]) == [kept]
    assert unpacked(stored_object(again).body)["labels"] == ["ä"]
    again.close()


def test_the_schema_s_version_is_inside(ledger_url):
    Ledger(ledger_url, "workspace", "MISP").close()
    assert version(ledger_url) == str(SCHEMA)


def test_an_older_ledger_is_brought_up_to_date_in_place(ledger_url):
    first = Ledger(ledger_url, "workspace", "MISP")
    first.keep(events=[EventRecord(EVENT, NOW, True)], objects=[object_record(1)])
    first.close()
    make_it_older(ledger_url, 1)
    dry = Ledger(ledger_url, "workspace", "MISP", dry=True)
    assert stored_object(dry) == object_record(1)
    dry.close()
    assert version(ledger_url) == "1"
    upgraded = Ledger(ledger_url, "workspace", "MISP")
    assert stored_object(upgraded) == object_record(1)
    assert upgraded.events() == {EVENT: EventRecord(EVENT, NOW, True)}
    in_flight(upgraded, ["indicator--1"])
    upgraded.close()
    assert version(ledger_url) == str(SCHEMA)


def test_what_a_ledger_of_schema_3_did_not_note_stays_unknown(ledger_url):
    sent = {"live": True, "sent_at": NOW, "doubt": True}
    records = {
        "never sent": ({}, True, False),
        "sent": ({"stage": Stage.SENDING, "live": True, "sent_at": NOW}, False, True),
        "sent by a run before": (sent, False, True),
        "accepted, and changed since": ({"live": True, "accepted_at": NOW}, True, True),
        "accepted, and sent since": ({**sent, "accepted_at": NOW}, False, True),
        "withdrawal sent": ({**sent, "stage": Stage.WITHDRAWING, "doubt": False, "accepted_at": NOW}, False, True),
        "rejected": ({"stage": Stage.REJECTED, "words": "no"}, False, False),
        "accepted": ({"stage": Stage.ACCEPTED, "live": True, "accepted_at": NOW}, False, True),
    }
    first = Ledger(ledger_url, "workspace", "MISP")
    first.keep(objects=[object_record(number, **changes) for number, (changes, *_) in enumerate(records.values())])
    first.close()
    make_it_older(ledger_url, 3)
    upgraded = Ledger(ledger_url, "workspace", "MISP")
    for number, (name, (_, not_taken, in_sentinel)) in enumerate(records.items()):
        record = stored_object(upgraded, number)
        assert (record.not_taken, record.is_in_sentinel(NOW)) == (not_taken, in_sentinel), name
    upgraded.close()


def test_what_the_attributes_of_a_large_event_have_in_common_is_in_memory_once(ledger):
    ledger.keep(attributes=[attribute(n) for n in range(9)], sources=[source(n) for n in range(9)])
    known = ledger.attributes(EVENT)
    assert known == {record.uuid: record for record in map(attribute, range(9))}
    assert len({id(row.event) for row in known.values()}) == len({id(row.type) for row in known.values()}) == 1
    assert len({id(row.event) for row in ledger.sources_of_event(EVENT)}) == 1
    assert not any(hasattr(record, "__dict__") for record in [*known.values(), source(1)])


def test_the_line_is_kept_in_order_and_empty_after_a_death(ledger):
    ledger.keep(objects=[object_record(number) for number in (1, 2, 3, 4)])
    ledger.enqueue(["indicator--3", "indicator--4"])
    ledger.enqueue(["indicator--1"])
    assert [record.id for record in ledger.dequeue(2, NOW, in_flight=False)] == ["indicator--3", "indicator--4"]
    assert stages(ledger, 3, 4) == [Stage.PENDING, Stage.PENDING]
    ledger.recover()
    assert ledger.dequeue(9, NOW, in_flight=True) == []


def test_a_newer_ledger_is_refused_in_a_sentence(ledger_url):
    Ledger(ledger_url, "workspace", "MISP").close()
    set_version(ledger_url, SCHEMA + 1)
    with pytest.raises(LedgerError, match=r"written by a newer MISP2Sentinel \(its schema is .*: run that version"):
        Ledger(ledger_url, "workspace", "MISP")
    assert version(ledger_url) == str(SCHEMA + 1)


def test_only_its_owner_may_read_a_new_file(tmp_path):
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(f"sqlite:///{path}", "workspace", "MISP")
    ledger.keep(objects=[object_record(1)])
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    ledger.close()


def test_a_database_that_is_given_up_for_a_signal_ends_the_run_as_the_signal_does(ledger_url):
    with pytest.raises(KeyboardInterrupt), explained(ledger_url):
        try:
            raise KeyboardInterrupt
        finally:
            raise sql.exc.PendingRollbackError("the connection was given up")
    with pytest.raises(LedgerError, match="cannot be used"), explained(ledger_url):
        raise sql.exc.OperationalError("", {}, Exception("gone"))


def test_a_dry_run_keeps_nothing(ledger_url):
    first = Ledger(ledger_url, "workspace", "MISP")
    first.keep(objects=[object_record(1)])
    first.save_facts(DestinationFacts(full_at=1))
    first.close()
    dry = Ledger(ledger_url, "workspace", "MISP", dry=True)
    dry.keep(objects=[object_record(2)], no_objects=["indicator--1"])
    dry.save_facts(DestinationFacts(full_at=2))
    assert dry.by_id(["indicator--1", "indicator--2"]).keys() == {"indicator--2"}
    assert dry.facts() == DestinationFacts(full_at=2)
    dry.close()
    again = Ledger(ledger_url, "workspace", "MISP")
    assert again.by_id(["indicator--1", "indicator--2"]).keys() == {"indicator--1"}
    assert again.facts() == DestinationFacts(full_at=1)
    again.close()


def test_a_dry_run_without_a_ledger_makes_none(ledger_url, tmp_path):
    dry = Ledger(ledger_url, "workspace", "MISP", dry=True)
    dry.keep(objects=[object_record(1)])
    assert stored_object(dry) == object_record(1)
    dry.close()
    assert not list(tmp_path.iterdir())
    if ledger_url.startswith("postgresql"):
        assert not tables(ledger_url)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ledger:{PASSWORD}@127.0.0.1:1/ledger",
        f"postgresql://ledger:{PASSWORD}@no-such-host.invalid/ledger",
        f"mysql://ledger:{PASSWORD}@127.0.0.1/ledger",
        f"ledger:{PASSWORD}",
    ],
)
def test_a_database_out_of_reach_is_reported_without_its_password(url):
    with pytest.raises(LedgerError, match="state_url") as caught:
        Ledger(url, "workspace", "MISP")
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("wrong", ["nobody:{}", "ledger:{}-and-more"])
def test_a_login_that_is_refused_is_reported_without_its_password(postgres_url, wrong):
    url = postgres_url.replace(f"ledger:{PASSWORD}", wrong.format(PASSWORD))
    with pytest.raises(LedgerError, match="authentication failed") as caught:
        Ledger(url, "workspace", "MISP")
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("dry", [False, True])
def test_a_path_that_cannot_be_written_is_reported(tmp_path, dry):
    with pytest.raises(LedgerError, match=r"cannot be used \(state_url\): .*No such file or directory, so make it"):
        Ledger(f"sqlite:///{tmp_path / 'absent' / 'ledger.sqlite'}", "workspace", "MISP", dry=dry)
    (tmp_path / "directory").mkdir()
    with pytest.raises(LedgerError, match=r"cannot be used \(state_url\): .*is a directory, which is refused"):
        Ledger(f"sqlite:///{tmp_path / 'directory'}", "workspace", "MISP", dry=dry)


def test_a_file_that_is_no_database_is_reported(tmp_path):
    (tmp_path / "notes").write_text("these are notes, not a database at all\n" * 100)
    with pytest.raises(LedgerError, match="not a database"):
        Ledger(f"sqlite:///{tmp_path / 'notes'}", "workspace", "MISP")
    assert Path(tmp_path / "notes").read_text().startswith("these are notes")


# -- destinations -------------------------------------------------------------------------------------


def test_destinations_do_not_see_each_other(ledger_url):
    ours = Ledger(ledger_url, "workspace", "MISP")
    ours.keep(events=[EventRecord(EVENT, NOW, True)], attributes=[attribute(1)])
    ours.keep(objects=[object_record(1)], sources=[source(1)])
    ours.save_facts(DestinationFacts(full_at=NOW))
    theirs = Ledger(ledger_url, "workspace", "another system")
    assert theirs.events() == theirs.attributes(EVENT) == theirs.by_id(["indicator--1"]) == {}
    assert theirs.facts() == DestinationFacts()
    theirs.keep(objects=[object_record(1, words="theirs")])
    in_flight(theirs, ["indicator--1"])
    theirs.accepted(["indicator--1"], NOW)
    theirs.forget_all()
    assert stored_object(ours) == object_record(1)
    assert ours.events().keys() == {EVENT}
    assert [destination[1:] for destination in ours.destinations()] == [
        ("workspace", "MISP"),
        ("workspace", "another system"),
    ]
    ours.close()
    theirs.close()


def test_facts_come_back_as_they_were_saved(ledger):
    facts = DestinationFacts(
        misp={"url": "https://misp.example.org"},
        deduplicate="value",
        settings_fingerprint="fingerprint",
        full_run=3,
        full_begun=FullRun(NOW, "another"),
        full_at=LATER,
        refused_events=(EVENT,),
        last_run={"exit_code": 0},
        last_good=NOW,
        begun_at=NOW,
        ended_at=LATER,
        adopted_at=NOW,
        live_counts=(LiveCount(NOW, 5), LiveCount(LATER, 6)),
        forced_at=(NOW, LATER),
        view={"the key's role": "User"},
        view_at=NOW,
        surveyed_at=LATER,
        doubted=LATER,
        blind=True,
        blocked=Blocked.ROLE,
        credential_ends=LATER,
        misp_key_ends=NOW,
        woven="as it was",
        woven_until=NOW,
    )
    ledger.save_facts(facts)
    assert ledger.facts() == facts
    assert {field.name for field in fields(facts) if not getattr(facts, field.name)} == set(), "every field is tried"


def test_facts_that_are_known_already_are_not_written_and_those_of_another_process_are_seen(tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    ledger, other = (Ledger(url, "workspace", "MISP") for _ in range(2))
    driver = ledger.database.connection.connection.driver_connection
    for facts in (DestinationFacts(full_at=NOW), DestinationFacts(full_at=LATER)):
        ledger.save_facts(facts)
        written = driver.total_changes
        ledger.save_facts(facts)
        assert (driver.total_changes, ledger.facts()) == (written, facts)
    other.save_facts(DestinationFacts(full_run=1))
    assert ledger.facts() == DestinationFacts(full_run=1)
    ledger.save_facts(DestinationFacts(full_at=LATER))
    assert other.facts() == DestinationFacts(full_at=LATER)
    ledger.close()
    other.close()


def test_facts_of_a_ledger_in_use_are_read():
    stored = {"full_at": NOW, "shape": "fingerprint", "full_begun": {"at": NOW, "shape": "another"}, "of later": 1}
    facts = DestinationFacts.of(stored)
    assert facts == DestinationFacts(
        full_at=NOW, settings_fingerprint="fingerprint", full_begun=FullRun(NOW, "another")
    )
    assert facts.stored() | {"of later": 1} == stored
    assert DestinationFacts.of({"full_begun": None}) == DestinationFacts()


# -- what becomes of objects --------------------------------------------------------------------------


def test_in_flight_is_possibly_live(ledger):
    ledger.keep(objects=[object_record(1), object_record(2, stage=Stage.ACCEPTED, live=True, leaving="gone")])
    in_flight(ledger, ["indicator--1"])
    in_flight(ledger, ["indicator--2"])
    assert stages(ledger, 1, 2) == [Stage.SENDING, Stage.WITHDRAWING]
    assert stored_object(ledger).live and stored_object(ledger).sent_at == NOW
    assert stored_object(ledger, 2).live and stored_object(ledger, 2).revoked


def test_accepted(ledger):
    ledger.keep(objects=[object_record(1, words="busy", doubt=True)])
    in_flight(ledger, ["indicator--1"])
    ledger.accepted(["indicator--1"], NOW)
    expected = object_record(1, stage=Stage.ACCEPTED, accepted_at=NOW, sent_at=NOW, live=True)
    expected = replace(expected, accepted_until=LATER)
    assert stored_object(ledger) == expected
    assert ledger.every_live_object(NOW) == [expected]


def test_rejected_ones_are_not_live_unless_they_were(ledger):
    ledger.keep(objects=[object_record(1), object_record(2, accepted_at=NOW), object_record(3, doubt=True)])
    numbers = (1, 2, 3)
    in_flight(ledger, [f"indicator--{number}" for number in numbers])
    ledger.rejected({f"indicator--{number}": f"no {number}" for number in numbers})
    assert stages(ledger, *numbers) == [Stage.REJECTED] * 3
    assert [stored_object(ledger, number).live for number in numbers] == [False, True, True]
    assert stored_object(ledger, 3).words == "no 3"


def test_unanswered_ones_stay_in_doubt(ledger):
    ledger.keep(objects=[object_record(1), object_record(2)])
    in_flight(ledger, ["indicator--1"])
    ledger.unanswered({"indicator--1": "reset", "indicator--2": "given up before"})
    assert [stored_object(ledger, number).doubt for number in (1, 2)] == [True, False]
    assert [stored_object(ledger, number).live for number in (1, 2)] == [True, False]
    assert stored_object(ledger).words == "reset"


def test_withdrawn(ledger):
    ledger.keep(objects=[object_record(1, stage=Stage.ACCEPTED, live=True, leaving="gone", renew_at=NOW)])
    assert [record.leaving for record in ledger.leaving()] == ["gone"]
    in_flight(ledger, ["indicator--1"])
    assert ledger.leaving(), "a withdrawal without an answer is repeated"
    ledger.withdrawn(["indicator--1"])
    assert ledger.leaving() == ledger.every_live_object(NOW) == []
    assert stored_object(ledger).stage is Stage.WITHDRAWN or stored_object(ledger).stage == Stage.WITHDRAWN


def test_what_was_in_flight_is_taken_up_again(ledger):
    ledger.keep(objects=[object_record(1), object_record(2, leaving="gone"), object_record(3, stage=Stage.ACCEPTED)])
    in_flight(ledger, ["indicator--1"])
    in_flight(ledger, ["indicator--2"])
    ledger.recover()
    assert stages(ledger, 1, 2, 3) == [Stage.PENDING, Stage.WITHDRAWING, Stage.ACCEPTED]
    assert [stored_object(ledger, number).doubt for number in (1, 2, 3)] == [True, False, False]


def test_more_ids_than_fit_into_a_statement(ledger):
    numbers = range(1, 1203)
    ledger.keep(objects=[object_record(number) for number in numbers])
    ids = [f"indicator--{number}" for number in numbers]
    in_flight(ledger, ids)
    ledger.accepted(ids, NOW)
    assert len(ledger.by_id(ids)) == 1202
    assert ledger.count(NOW) == {"accepted": 1202, "live": 1202}


def test_counting(ledger):
    ledger.keep(objects=[object_record(1), object_record(2, stage=Stage.ACCEPTED, live=True)])
    ledger.keep(objects=[object_record(3, stage=Stage.ACCEPTED, live=True, valid_until=NOW)])
    assert ledger.count(NOW) == {"pending": 1, "accepted": 2, "live": 1}


# -- what is due --------------------------------------------------------------------------------------


def test_due_is_what_moves_on_and_what_is_to_be_refreshed(ledger):
    accepted = {"stage": Stage.ACCEPTED, "live": True, "accepted_at": NOW - 100}
    ledger.keep(objects=[object_record(1, **accepted, renew_at=NOW), object_record(2, **accepted, renew_at=NOW + 1)])
    ledger.keep(
        objects=[
            object_record(3, **accepted, valid_until=NOW),
            object_record(4, **accepted, leaving="gone", renew_at=NOW),
        ]
    )
    ledger.keep(
        objects=[
            object_record(5, renew_at=NOW),
            object_record(6, **accepted, renew_at=NOW),
            object_record(7, **accepted, renew_at=NOW),
        ]
    )
    events = {"in": {}, "out": {"listed": False}, "held": {"held_since": NOW}}
    ledger.keep(events=[EventRecord(uuid, 1, published=True, **more) for uuid, more in events.items()])
    of_event = {1: "in", 2: "in", 3: "in", 4: "in", 5: "in", 6: "out", 7: "held"}
    records = {number: object_record(number) for number in of_event}
    ledger.keep(sources=[Source(records[number].key, uuid, f"a{number}") for number, uuid in of_event.items()])
    assert set(ledger.to_renew(NOW)) == {"indicator--1"}
    assert set(ledger.to_refresh(NOW, NOW - 100)) == {"indicator--1", "indicator--2", "indicator--6"}
    assert ledger.to_refresh(NOW, NOW - 101) == []


def test_wanted_is_what_stays_and_has_a_source_whatever_became_of_it(ledger):
    wanted = [Stage.PENDING, Stage.SENDING, Stage.ACCEPTED, Stage.REJECTED]
    gone = [Stage.WITHDRAWING, Stage.WITHDRAWN, Stage.REVOKED]
    objects = [object_record(number, stage=stage) for number, stage in enumerate([*wanted, *gone])]
    objects += [object_record(7, leaving="gone"), object_record(8, valid_until=NOW), object_record(9)]
    ledger.keep(objects=objects, sources=[*map(source, range(9)), source(1, OTHER)])
    assert [record.id for batch in ledger.wanted(NOW) for record in batch] == [f"indicator--{n}" for n in range(4)]
    assert [record.id for batch in ledger.wanted(NOW, OTHER) for record in batch] == ["indicator--1"]


def test_wanted_is_read_in_pieces(ledger):
    ledger.keep(objects=map(object_record, range(1200)), sources=map(source, range(1200)))
    batches = list(ledger.wanted(NOW))
    assert max(map(len, batches)) == PARAMETERS
    assert len({record.id for batch in batches for record in batch}) == sum(map(len, batches)) == 1200


def test_an_event_is_settled_when_all_its_objects_are(ledger):
    ledger.keep(events=[EventRecord(uuid, NOW, True, todo=True) for uuid in (EVENT, OTHER)])
    ledger.keep(
        sources=[source(1), source(2), source(3, OTHER)], objects=[object_record(1), object_record(2), object_record(3)]
    )
    in_flight(ledger, ["indicator--1", "indicator--3"])
    ledger.accepted(["indicator--1", "indicator--3"], NOW)
    ledger.settle_events([EVENT, OTHER])
    assert {uuid: event.todo for uuid, event in ledger.events().items()} == {EVENT: True, OTHER: False}
    in_flight(ledger, ["indicator--2"])
    ledger.rejected({"indicator--2": "no"})
    ledger.settle_events([EVENT])
    assert not ledger.events()[EVENT].todo


def test_unsettled_keys(ledger):
    ledger.keep(sources=[source(1), source(2), source(3), source(4, OTHER)])
    ledger.keep(
        objects=[
            object_record(1),
            object_record(2, stage=Stage.REJECTED, program="this"),
            object_record(3, stage=Stage.ACCEPTED),
            object_record(4),
        ]
    )
    same, another = RetryPolicy(NOW, program="this"), RetryPolicy(NOW, program="another")
    keys = {source(n).key for n in (1, 2, 3)}
    assert unsettled_keys(ledger, keys, same) == {source(1).key}
    for terms in (another, replace(same, retry_rejected=True)):
        assert unsettled_keys(ledger, keys, terms) == {source(1).key, source(2).key}


def test_events_of_objects(ledger):
    ledger.keep(sources=[source(1), source(1, OTHER), source(2, OTHER)])
    ledger.keep(objects=[object_record(1, live=True, valid_until=NOW), object_record(2, live=True)])
    assert ledger.events_of(["key-1"]) == {"key-1": {EVENT, OTHER}}
    assert ledger.events_with_live_objects([EVENT, OTHER], NOW) == {OTHER}
    assert ledger.events_with_live_objects([EVENT], NOW) == set()


# -- what goes ----------------------------------------------------------------------------------------


def test_what_is_named_goes_and_the_rest_stays(ledger):
    ledger.keep(attributes=[attribute(1), attribute(2)], sources=[source(1), source(1, OTHER)])
    ledger.keep(objects=[object_record(1), object_record(2)])
    ledger.keep(no_attributes={EVENT: ["attribute-1"]}, no_sources=[source(1)], no_objects=["indicator--1"])
    assert ledger.attributes(EVENT).keys() == {"attribute-2"}
    assert ledger.sources(["key-1"]) == [source(1, OTHER)]
    assert ledger.by_id(["indicator--1", "indicator--2"]).keys() == {"indicator--2"}


def test_a_transaction_that_fails_leaves_nothing(ledger):
    broken = replace(attribute(1), value=None)
    with pytest.raises(LedgerRefusal, match="does not take a row like this"):
        ledger.keep(events=[EventRecord(EVENT, NOW, True)], attributes=[broken])
    assert ledger.events() == {}
    ledger.keep(events=[EventRecord(EVENT, NOW, True)])
    assert ledger.events().keys() == {EVENT}


def test_forgetting_leaves_objects(ledger):
    ledger.keep(events=[EventRecord(EVENT, NOW, True)], attributes=[attribute(1)], sources=[source(1)])
    ledger.keep(objects=[object_record(1)])
    ledger.forget_all()
    assert ledger.attributes(EVENT) == {}
    assert ledger.events()[EVENT].todo
    assert ledger.sources(["key-1"]) == []
    assert stored_object(ledger) == object_record(1)


def test_search(ledger):
    ledger.keep(objects=[object_record(1), object_record(2)], attributes=[attribute(1, skip="NO_TO_IDS")])
    records = ledger.search(OBJECTS, ObjectRecord, OBJECTS.c.value == "host2.example.org")
    assert records == [object_record(2)]
    assert ledger.search(ATTRIBUTES, AttributeRecord, ATTRIBUTES.c.skip != "") == [attribute(1, skip="NO_TO_IDS")]


# -- past the ledger ----------------------------------------------------------------------------------


def connected(url):
    return sql.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=sql.NullPool).begin()


def version(url):
    with connected(url) as connection:
        return connection.scalar(sql.select(ABOUT.c.value).where(ABOUT.c.name == "schema"))


def set_version(url, number):
    with connected(url) as connection:
        connection.execute(sql.update(ABOUT).values(value=str(number)))


def make_it_older(url, schema):
    with connected(url) as connection:
        make_older(connection, schema)


def tables(url):
    with connected(url) as connection:
        return sql.inspect(connection).get_table_names()


def test_what_the_guards_ask_is_answered_by_every_database(ledger):
    left = {"stage": Stage.WITHDRAWN, "words": "gone"}
    records = [
        object_record(1, **left, sent_at=NOW),
        object_record(2, **left, sent_at=LATER + 1),
        object_record(3, stage=Stage.WITHDRAWING, leaving="asked for", live=True, sent_at=NOW),
        object_record(4, stage=Stage.ACCEPTED, live=True, renew_at=LATER - 10),
        object_record(5, stage=Stage.ACCEPTED, live=True, renew_at=NOW),
    ]
    ledger.keep(objects=records, sources=[Source("key-5", EVENT, "a")])
    assert ledger.withdrawn_since(NOW - 1) == 3
    assert ledger.withdrawn_since(NOW - 1, but=["asked for"], not_at=[LATER + 1]) == 1
    assert [record.id for record in ledger.ownerless(NOW)] == ["indicator--4"]
    assert ledger.expiring(NOW, LATER) == 3
    assert unsettled_keys(ledger, ["key-4", "key-5"], RetryPolicy(NOW)) == {"key-4"}


def test_an_id_that_is_revoked_elsewhere_is_no_live_one_and_is_read_again(ledger):
    ledger.keep(
        events=[EventRecord(EVENT, 1, published=True)],
        objects=[object_record(1), object_record(2)],
        sources=[Source("key-1", EVENT, "a"), Source("key-2", OTHER, "b")],
    )
    in_flight(ledger, ["indicator--1", "indicator--2"])
    ledger.revoked({"indicator--1": "No."})
    ledger.accepted(["indicator--2"], NOW)
    record = stored_object(ledger, 1)
    assert (record.stage, record.live, record.words, record.revoked) == (Stage.REVOKED, False, "No.", True)
    assert ledger.events_with_rejected_objects(RetryPolicy(NOW)) == {EVENT}
    assert unsettled_keys(ledger, ["key-1", "key-2"], RetryPolicy(NOW)) == {"key-1"}
