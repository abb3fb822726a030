"""TLP and confidence of objects stand in columns of their own: of new ones, and of those of an older ledger."""

from __future__ import annotations

import zlib
from contextlib import closing

import pytest
import sqlalchemy as sql
from hypothesis import example, given
from hypothesis import strategies as st

from constants import TLP_MARKINGS
from helpers.errors import LedgerError
from helpers.ledger import Database, Ledger, LedgerCounts, packed
from helpers.ledger.bodies.dictionary import DICTIONARY
from helpers.ledger.bodies.marks import Marks, marks_of
from helpers.ledger.bodies.packing import decompressed
from helpers.ledger.questions.lookup import ledger_destinations
from helpers.ledger.tables import OBJECTS, SCHEMA, create
from helpers.ledger.upgrades import moving
from tests.ledger.test_ledger import NOW, connected, make_it_older, object_record, version
from tests.support import hosts, misp_event
from tests.support.in_process import OneProcess
from tests.support.postgres import ledger_url, postgres_server, postgres_url

__all__ = ["ledger_url", "postgres_server", "postgres_url"]
RED, GREEN = TLP_MARKINGS["red"], TLP_MARKINGS["green"]
BODIES = {
    "both": (packed({"object_marking_refs": [RED], "confidence": 75}), Marks("red", 75)),
    "neither": (packed({}), Marks("", -1)),
    "another marking first": (packed({"object_marking_refs": ["marking-definition--x", GREEN]}), Marks("green", -1)),
    "0 and 100": (packed({"confidence": 0}), Marks("", 0)),
    "more than 100": (packed({"confidence": 101}), Marks("", -1)),
    "less than 0": (packed({"confidence": -1}), Marks("", -1)),
    "a truth": (packed({"confidence": True}), Marks("", -1)),
    "texts": (packed({"object_marking_refs": RED, "confidence": "75"}), Marks("", -1)),
    "lists in lists": (packed({"object_marking_refs": [[RED], None, {}], "confidence": [75]}), Marks("", -1)),
    "no dictionary": (packed([1]), Marks("", -1)),
    "no JSON": (zlib.compress(b"{"), Marks("", -1)),
    "no UTF-8": (zlib.compress(b'{"confidence": "\xff"}'), Marks("", -1)),
    "nested without end": (zlib.compress(b"[" * 100_000), Marks("", -1)),
    "cut off": (packed({"confidence": 75})[:-5], Marks("", -1)),
    "empty": (b"", Marks("", -1)),
}


@pytest.mark.parametrize("name", BODIES)
def test_what_a_body_does_not_say_is_unknown(name):
    body, marks = BODIES[name]
    assert marks_of(body) == marks


@given(st.binary())
def test_no_body_is_too_odd(body):
    assert marks_of(body) == marks_of(zlib.compress(body)) == Marks("", -1)


MARKINGS = st.lists(st.sampled_from([RED, GREEN, f"marking-definition--{'0' * 8}-0000-4000-8000-{'0' * 12}", "x"]))
TEXTS = st.sampled_from(['{"confidence":7,', f'"object_marking_refs":["{RED}"]', "\\", "ä"])
INDICATORS = st.fixed_dictionaries(
    {},
    optional={
        "confidence": st.integers(-5, 150) | st.sampled_from([True, 50.0, 1e2, "50", None]),
        "object_marking_refs": MARKINGS,
        "aliases": st.lists(TEXTS),
        "description": TEXTS,
        "extensions": st.fixed_dictionaries({}, optional={"object_marking_refs": MARKINGS, "confidence": st.just(9)}),
    },
)


@given(INDICATORS)
@example({"confidence": 50, "extensions": {"object_marking_refs": [RED]}, "object_marking_refs": [GREEN]})
@example({"confidence": 50, "extensions": {"object_marking_refs": [RED]}})
@example({"confidence": 50, "object_marking_refs": [RED], "pattern": "[file:name = '}']"})
def test_what_is_read_without_parsing_is_what_the_indicator_says(indicator):
    level_of = {marking: level for level, marking in TLP_MARKINGS.items()}
    levels = [level_of[marking] for marking in indicator.get("object_marking_refs", ()) if marking in level_of]
    confidence = indicator.get("confidence")
    known = type(confidence) is int and 0 <= confidence <= 100
    assert marks_of(packed(indicator)) == Marks((levels or [""])[0], confidence if known else -1)


def test_what_is_no_body_at_all_is_unknown():
    assert marks_of("text") == marks_of(None) == Marks("", -1)


def columns(ledger):
    """What the columns say of each object, by its number."""
    question = sql.select(OBJECTS.c.id, OBJECTS.c.tlp, OBJECTS.c.confidence)
    return {int(id_.removeprefix("indicator--")): Marks(*rest) for id_, *rest in ledger.answers(question)}


def records():
    return [object_record(number, body=body) for number, (body, _) in enumerate(BODIES.values())]


EXPECTED = dict(enumerate(marks for _, marks in BODIES.values()))


def test_they_are_written_with_each_object_and_follow_it(ledger_url):
    with closing(Ledger(ledger_url, "workspace", "MISP")) as ledger:
        ledger.keep(objects=records())
        assert columns(ledger) == EXPECTED
        ledger.keep(objects=[object_record(0, body=packed({"object_marking_refs": [GREEN], "confidence": 50}))])
        assert columns(ledger)[0] == Marks("green", 50)


@pytest.fixture
def older(ledger_url):
    """A ledger of schema 4, with bodies of each kind; its address."""
    with closing(Ledger(ledger_url, "workspace", "MISP")) as ledger:
        ledger.keep(objects=records())
    make_it_older(ledger_url, 4)
    return ledger_url


def test_an_upgrade_reads_each_body_and_stops_at_none(older, monkeypatch):
    monkeypatch.setattr(moving, "_AT_ONCE", 4)
    told = []
    Database(older, upgraded=lambda *numbers: told.append(numbers)).close()
    total = len(BODIES)
    assert told == [*((min(done, total), total) for done in range(0, total + 4, 4)), (total, total)]
    with closing(Ledger(older, "workspace", "MISP")) as ledger:
        assert columns(ledger) == EXPECTED
    assert version(older) == str(SCHEMA)


def made(connection):
    """The columns of each table and view, and of each index."""
    known = sql.inspect(connection)
    names = [*known.get_table_names(), *known.get_view_names()]
    columns = {name: [column["name"] for column in known.get_columns(name)] for name in names}
    indexes = [index for name in columns for index in known.get_indexes(name)]
    # PostgreSQL names those of constraints among them, SQLite does not.
    own = {index["name"]: index["column_names"] for index in indexes if "duplicates_constraint" not in index}
    return columns, own


def test_it_has_the_tables_of_a_new_ledger(older):
    Database(older).close()
    with sql.create_engine("sqlite://").begin() as fresh, connected(older) as upgraded:
        create(fresh)
        assert made(upgraded) == made(fresh)


def test_who_only_looks_does_not_upgrade_and_is_told_what_does(older, make_settings, tmp_path):
    settings = make_settings(state_url=older, state_dir=tmp_path)
    words = (
        rf"is of an earlier MISP2Sentinel \(its schema is 4, this program's is {SCHEMA}\): the next run brings it up"
    )
    with pytest.raises(LedgerError, match=words), ledger_destinations(settings):
        pass
    assert version(older) == "4"
    Database(older).close()
    with ledger_destinations(settings) as known:
        assert columns(known[0].ledger) == EXPECTED


def test_a_dry_run_upgrades_for_itself_alone(older):
    with closing(Ledger(older, "workspace", "MISP", dry=True)) as dry:
        assert columns(dry) == EXPECTED
    assert version(older) == "4"


APIS = {
    "stix": {},
    "legacy": {"MS_AUTH__NEW_UPLOAD_API": "false"},
    "graph": {"MS_AUTH__GRAPH_API": "true", "MS_ENDPOINTS__GRAPH": "https://graph.example.org/beta"},
}


@pytest.mark.parametrize("api", APIS)
def test_what_a_run_sends_has_them_at_each_api(tmp_path, api):
    site = OneProcess(tmp_path, NOW, MISP_EVENT_FILTERS='{"published": 1}', **APIS[api])
    tags = [{"name": "tlp:amber"}, {"name": 'misp:confidence-level="usually-confident"'}]
    site.misp.load([misp_event(1, hosts(2)), {**misp_event(2, hosts(1, "b")), "Tag": tags}])
    assert site.run().exit_code == 0
    with closing(Ledger(site.settings.ledger_url, site.settings.workspace_key, "MISP")) as ledger:
        counts = LedgerCounts(ledger, NOW)
        assert (counts.tlp(), counts.confidence()) == ({"white": 2, "amber": 1}, {50: 2, 75: 1})


def test_the_dictionary_of_bodies_never_changes():
    """What was packed with it could not be read any more, and every ledger's bodies would be damaged."""
    assert zlib.adler32(DICTIONARY) == 0xAEF286FD
    assert (
        decompressed(bytes.fromhex("78bbaef286fdc34ce0d85c5d0b0011f80dbf"))
        == b'{"confidence":50,"pattern_type":"stix"}'
    )
