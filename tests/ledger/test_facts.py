"""A row about a destination that is damaged costs what is damaged, is told once, and nobody else."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sql
from hypothesis import given
from hypothesis import strategies as st

from helpers.commands.monitoring.status import status
from helpers.ledger.facts import read_facts
from helpers.ledger.records import Blocked, DestinationFacts, FullRun, LiveCount
from helpers.ledger.store import Ledger
from helpers.ledger.tables import DESTINATIONS
from tests.support import hosts, misp_event
from tests.support.in_process import OneProcess

NOW = 1_790_000_000
WHOLE = DestinationFacts(
    misp={"url": "https://misp.example.org"},
    deduplicate="value",
    settings_fingerprint="print",
    full_run=3,
    full_begun=FullRun(NOW, "print", afresh=True),
    full_at=NOW,
    refused_events=("a", "b"),
    last_run={"at": NOW, "exit_code": 1, "misp_error": "", "given_up": None, "refused_withdrawals": ["x"], "more": [1]},
    last_good=NOW,
    begun_at=NOW,
    ended_at=NOW,
    adopted_at=NOW,
    live_counts=(LiveCount(NOW, 5),),
    forced_at=(NOW,),
    view={"user": "1"},
    view_at=NOW,
    surveyed_at=NOW,
    blind=True,
    doubted=NOW,
    credential_ends=1_900_000_000,
    misp_key_ends=1_900_000_001,
    woven="as it was",
    woven_until=1_900_000_002,
    blocked=Blocked.SIGN_IN,
)
ROWS = [
    *('{"full_at": 179', "", "[]", '"text"', "5", "null", "{" * 100_000, "[" * 100_000, b"\xff\xfe"),
    '{"full_at": ' + "9" * 5000 + "}",
    json.dumps(dict.fromkeys(DestinationFacts.stored_names(), "odd")),
    json.dumps({name: [[{}], 1e300, None] for name in DestinationFacts.stored_names()}),
    json.dumps(
        {name: {"at": [], "exit_code": {}, "refused_withdrawals": 7} for name in DestinationFacts.stored_names()}
    ),
    json.dumps(dict.fromkeys(DestinationFacts.stored_names(), -(10**30))),
    json.dumps(dict.fromkeys(DestinationFacts.stored_names(), 10**30)),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def test_what_this_program_writes_is_read_whole():
    assert read_facts(json.dumps(WHOLE.stored())) == (WHOLE, [])
    assert DestinationFacts.stored_names() == WHOLE.stored().keys()
    assert read_facts('{"of_another_version": 1}') == (DestinationFacts(), [])


@pytest.mark.parametrize("name", sorted(DestinationFacts.stored_names()))
def test_what_is_damaged_costs_only_itself(name):
    facts, unread = read_facts(json.dumps(WHOLE.stored() | {name: 0.5}))
    assert unread == [name]
    assert facts.stored() == {key: value for key, value in WHOLE.stored().items() if key != name} | (
        {"blind": True} if name == "blind" else {}
    )


@given(st.dictionaries(st.sampled_from(sorted(DestinationFacts.stored_names())), VALUES))
def test_whatever_stands_there_the_facts_are_of_their_kinds(stored):
    facts, _ = read_facts(json.dumps(stored))
    json.dumps(facts.stored())
    assert facts.known_at(NOW).latest() >= 0
    assert isinstance(facts.full_run, int) and isinstance(facts.refused_events, tuple)


@pytest.mark.parametrize("row", ROWS)
def test_every_command_goes_on_over_a_damaged_row_and_says_so_once(tmp_path, make_settings, caplog, row):
    site = OneProcess(tmp_path, NOW, MISP_EVENT_FILTERS='{"published": 1}')
    site.misp.load([misp_event(1, hosts(5))])
    assert site.run().exit_code == 0
    damage(site.settings.ledger_url, row)
    assert status(site.settings, lambda _: None, max_age_hours=None, as_json=False) == 0
    damage(site.settings.ledger_url, row)
    caplog.clear()
    assert site.run().exit_code == 0
    told = [record for record in caplog.records if "counts as unknown" in record.message]
    assert len(told) == (row != "")
    assert len(site.live()) == 5
    caplog.clear()
    assert site.run().exit_code == 0
    assert "counts as unknown" not in caplog.text


def damage(url, row):
    ledger = Ledger(url, "of nobody", "MISP")
    with ledger.database.transaction() as connection:
        value = (
            sql.text("''") if row is None else sql.literal(row, sql.LargeBinary if isinstance(row, bytes) else sql.Text)
        )
        connection.execute(sql.update(DESTINATIONS).where(DESTINATIONS.c.workspace != "of nobody").values(facts=value))
    ledger.close()
