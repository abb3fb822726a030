"""A ledger that holds one destination under two spellings: what the upgrade makes of it, killed in between or not."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sql

from benchmarks.older_ledgers import make_older
from constants import WithdrawalReason
from helpers.ledger import (
    AttributeRecord,
    DestinationFacts,
    EventRecord,
    Ledger,
    ObjectRecord,
    Source,
    Stage,
    known_destinations,
    one_live_object,
    packed,
)
from helpers.ledger.tables import SCHEMA
from helpers.ledger.upgrades.joining import joined_facts, joined_object, with_one_address
from tests.ledger.test_ledger import connected, version
from tests.support.postgres import ledger_url, postgres_server, postgres_url

__all__ = ["ledger_url", "postgres_server", "postgres_url"]
ROOT = Path(__file__).parents[2]
NOW = 1_790_000_000
LATER = NOW + 86_400
WORKSPACE = "abcdef00-0000-4000-8000-000000000001"
EVENT = "10000000-0000-4000-8000-000000000001"


def object_record(name, **changes):
    record = ObjectRecord(
        id=f"indicator--{name}",
        key=f"key-{name}",
        pattern=f"[domain-name:value = '{name}.example.org']",
        value=f"{name}.example.org",
        life=1,
        fingerprint="print",
        valid_until=LATER,
        body=packed({"id": f"indicator--{name}"}),
        stage=Stage.ACCEPTED,
        live=True,
        live_until=LATER,
        accepted_at=NOW,
        sent_at=NOW,
        accepted_until=LATER,
    )
    return replace(record, **changes)


REVOKED = {"stage": Stage.WITHDRAWN, "live": False, "live_until": 0, "words": "left"}


# -- two objects ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("other_first", [False, True])
def test_it_is_live_if_either_says_so_and_the_rest_is_the_later_one_s(other_first):
    never = object_record("a", live=False, live_until=0, accepted_at=None, sent_at=None, stage=Stage.PENDING)
    sent = object_record("a", fingerprint="later", sent_at=NOW + 1, remote_id="remote")
    joined = joined_object(*([sent, never] if other_first else [never, sent]))
    assert joined == sent
    longer = object_record("a", live_until=LATER + 9, doubt=True)
    joined = joined_object(*([sent, longer] if other_first else [longer, sent]))
    assert joined == replace(sent, live_until=LATER + 9, doubt=True)


@pytest.mark.parametrize("other_first", [False, True])
@pytest.mark.parametrize("sent_at", [NOW - 9, NOW + 9])
def test_it_is_revoked_if_either_says_so_and_withdrawn_once_more_where_it_may_be_live(other_first, sent_at):
    live, revoked = object_record("a", sent_at=sent_at, accepted_at=sent_at), object_record("a", **REVOKED)
    joined = joined_object(*([live, revoked] if other_first else [revoked, live]))
    assert (joined.stage, joined.live, joined.live_until) == (Stage.WITHDRAWING, True, LATER)
    assert joined.leaving == "left" and joined.renew_at is None
    both = joined_object(revoked, revoked)
    assert (both.stage, both.live, both.words) == (Stage.WITHDRAWN, False, "left")


def test_one_object_of_a_key_stays():
    first, second = object_record("a", life=1), object_record("b", key="key-a", life=2)
    assert list(one_live_object([second, first])) == [replace(first, leaving=WithdrawalReason.SECOND)]
    dead = object_record("b", key="key-a", life=2, **REVOKED)
    assert list(one_live_object([first, dead])) == [replace(first, life=3)]


def test_the_later_facts_count_and_a_full_run_is_due():
    one = DestinationFacts(last_run={"at": 5}, full_run=7, refused_events=("a",), settings_fingerprint="x", full_at=4)
    other = DestinationFacts(last_run={"at": 6}, full_run=2, refused_events=("b",), settings_fingerprint="x")
    for facts in (joined_facts(one, other), joined_facts(other, one)):
        assert facts == DestinationFacts(last_run={"at": 6}, full_run=7, refused_events=("a", "b"), full_at=4)


@pytest.mark.parametrize("address", ["https://[::1", "https://misp.example.org:x", ""])
def test_what_is_no_address_stays_as_it_is(address):
    facts = DestinationFacts(misp={"url": address, "user": "1"})
    assert with_one_address(facts) == facts


# -- a whole ledger ---------------------------------------------------------------------------------------


def old_ledger(url):
    """A ledger of an earlier version with one workspace under two spellings, and another destination."""
    first, second, third = (Ledger(url, name, "MISP") for name in (WORKSPACE, "second", "third"))
    first.keep(
        objects=[object_record("both"), object_record("first"), object_record("revoked", **REVOKED)],
        sources=[Source("key-both", EVENT, "both"), Source("key-first", EVENT, "first")],
        events=[EventRecord(EVENT, NOW, published=True, full_run=3)],
        attributes=[AttributeRecord(EVENT, name, "print", "domain", name) for name in ("both", "first")],
    )
    second.keep(
        objects=[
            object_record("both", fingerprint="later", sent_at=NOW + 5),
            object_record("second"),
            object_record("revoked"),
            object_record("first-2", key="key-first", life=2),
        ],
        sources=[Source("key-both", EVENT, "both"), Source("key-second", EVENT, "second")],
        events=[EventRecord(EVENT, NOW, published=True), EventRecord("other", NOW, published=True)],
        attributes=[AttributeRecord(EVENT, name, "print", "domain", name) for name in ("both", "second")],
    )
    second.save_facts(replace(second.facts(), misp={"url": "https://MISP.example.org:443/", "user": "1"}))
    third.keep(objects=[object_record("both")], events=[EventRecord(EVENT, NOW, published=True)])
    for ledger in (first, second, third):
        ledger.close()
    renamed = f"UPDATE destinations SET workspace = '{WORKSPACE.upper()}' WHERE workspace = 'second'"
    with connected(url) as connection:
        connection.execute(sql.text(renamed))
        make_older(connection, 2)


def assert_joined(url):
    assert known_destinations(url) == [(WORKSPACE, "MISP"), ("third", "MISP")]
    joined, third = Ledger(url, WORKSPACE.upper(), "MISP"), Ledger(url, "third", "MISP")
    objects = joined.by_id(f"indicator--{name}" for name in ("both", "first", "first-2", "second", "revoked"))
    assert len(objects) == 5
    assert objects["indicator--both"].fingerprint == "later"
    assert objects["indicator--first"].leaving == WithdrawalReason.SECOND
    assert objects["indicator--revoked"].stage == Stage.WITHDRAWING and objects["indicator--revoked"].live
    assert {source.attribute for source in joined.sources_of_event(EVENT)} == {"both", "first", "second"}
    assert {uuid: row.fingerprint for uuid, row in joined.attributes(EVENT).items()} == dict.fromkeys(
        ("both", "first", "second"), ""
    )
    assert {uuid: (event.todo, event.full_run) for uuid, event in joined.events().items()} == {
        EVENT: (True, 0),
        "other": (True, 0),
    }
    assert joined.facts().misp == {"url": "https://misp.example.org", "user": "1"}
    assert [row[1:] for row in joined.destinations()] == [(WORKSPACE, "MISP"), ("third", "MISP")]
    assert third.by_id(["indicator--both"])["indicator--both"] == object_record("both")
    assert not third.events()[EVENT].todo
    for ledger in (joined, third):
        ledger.close()


def test_two_spellings_are_joined_when_the_ledger_is_opened(ledger_url):
    old_ledger(ledger_url)
    assert known_destinations(ledger_url) == [(WORKSPACE, "MISP"), ("third", "MISP")]
    dry = Ledger(ledger_url, WORKSPACE, "MISP", dry=True)
    assert len(dry.destinations()) == 2
    dry.close()
    assert_joined(ledger_url)


KILLED = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from helpers.ledger import Database
left = int(sys.argv[2])
def count(*_):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
event.listen(Engine, "before_cursor_execute", count)
Database(sys.argv[1]).close()
"""


def opened_until(url, statement):
    """Have a process open a ledger that is killed at a statement, if there are so many; its exit code."""
    command = [sys.executable, "-c", KILLED, url, str(statement)]
    return subprocess.run(command, check=False, cwd=ROOT).returncode


def test_a_death_in_the_middle_is_harmless(ledger_url):
    old_ledger(ledger_url)
    seen = set()
    for statement in count(2, 29):
        died = opened_until(ledger_url, statement)
        if not died:
            break
        assert died == -9
        seen.add(version(ledger_url))
    assert seen == {"2", str(SCHEMA)}
    assert_joined(ledger_url)


@pytest.mark.parametrize("spelling", [WORKSPACE, WORKSPACE.upper(), WORKSPACE.title()])
def test_every_spelling_is_the_same_destination_with_the_same_lock(tmp_path, spelling):
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.sqlite", WORKSPACE, "MISP")
    other = Ledger(f"sqlite:///{tmp_path}/ledger.sqlite", spelling, "MISP")
    assert (other.destination, other._name) == (ledger.destination, ledger._name)
    assert Ledger("sqlite://", spelling, "misp")._name != ledger._name
    for opened in (ledger, other):
        opened.close()
