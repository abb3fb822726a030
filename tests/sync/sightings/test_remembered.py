"""What the ledger remembers: of alerts and sightings, and of attributes whose indicators left; on both databases."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from unittest import mock

import pytest
import sqlalchemy as sql

from helpers.commands.withdraw import withdraw_all
from helpers.ledger import (
    EventRecord,
    Ledger,
    MatchRecord,
    Occasion,
    OriginLookup,
    SightingLedger,
    SightingRecord,
    SightingStage,
    SightingWindow,
    Source,
    forget_former_sources,
)
from helpers.ledger.history.sighting_records import UNWRITTEN
from helpers.ledger.history.sightings import REMEMBERED_DAYS
from helpers.ledger.rows import PARAMETERS
from helpers.ledger.tables import FORMER_SOURCES, SIGHTING_WINDOWS
from tests.ledger.test_ledger import EVENT, NOW, OTHER, object_record, source
from tests.support.postgres import ledger_url, postgres_server, postgres_url
from tests.sync.sightings.site import DAY, HOUR, TI_MAP, Site

__all__ = ["ledger_url", "postgres_server", "postgres_url"]
IN_DOUBT, WAITING, WRITTEN = SightingStage.WRITING, SightingStage.WAITING, SightingStage.WRITTEN


@pytest.fixture
def ledger(ledger_url):
    with closing(Ledger(ledger_url, "workspace", "MISP")) as ledger:
        yield ledger


@pytest.fixture
def known(ledger):
    return SightingLedger(ledger)


def sighting(attribute="a", occasion="2026-09-21", **changes):
    record = SightingRecord(attribute, occasion, EVENT, 0, NOW, "host.example.org")
    return replace(record, **changes)


def match(alert="alert", attribute="a", at=NOW):
    return MatchRecord(alert, attribute, "2026-09-21", "dns", at)


# -- alerts and sightings -------------------------------------------------------------------------------


def test_what_is_kept_once_more_is_there_once_and_a_match_stays_as_it_was(known):
    known.keep([match()], [sighting()])
    known.keep([replace(match(), occasion="another day")], [sighting(stage=WRITTEN, settled_at=NOW)])
    assert known.stages() == {WRITTEN: 1}
    assert known.known_matches(["alert", "other"]) == {"alert": {"a"}}
    assert known.of_alerts(["alert"]) == {"alert": [sighting(stage=WRITTEN, settled_at=NOW)]}


def test_first_what_was_seen_first_and_last_what_is_in_doubt(known):
    records = [
        sighting("d", at=NOW),
        sighting("c", at=NOW - 10),
        sighting("b", at=NOW - 10),
        sighting("e", at=NOW + 10, stage=IN_DOUBT),
        *(sighting(stage, at=NOW - DAY, stage=stage) for stage in SightingStage if stage not in UNWRITTEN),
    ]
    known.keep([], records)
    assert [record.attribute for record in known.unwritten(10)] == ["b", "c", "d", "e"]
    assert [record.attribute for record in known.unwritten(2)] == ["b", "c"]


def test_after_90_days_all_is_forgotten_and_what_misp_has_not_taken_counts_as_refused(known):
    days = {"new": REMEMBERED_DAYS, "old": REMEMBERED_DAYS + 1}
    for age, count in days.items():
        at = NOW - count * DAY
        known.keep(
            [match(f"{age} alert", age, at=at)],
            [sighting(f"{age} {stage}", at=at, stage=stage) for stage in SightingStage],
        )
    known.forget(NOW)
    assert known.known_matches(f"{age} alert" for age in days) == {"new alert": {"new"}}
    assert known.stages() == dict.fromkeys(SightingStage, 1) | {SightingStage.REFUSED: 3}
    assert not [record for record in known.unwritten(10) if record.attribute.startswith("old")]
    known.forget(NOW + DAY)
    assert known.stages()[SightingStage.REFUSED] > 1, "people may want to know of it"
    known.forget(NOW + (REMEMBERED_DAYS + 1) * DAY)
    assert not known.unwritten(10)


def test_each_destination_remembers_its_own(ledger, known):
    known.keep([match()], [sighting()])
    known.keep_window(SightingWindow(NOW))
    other = SightingLedger(Ledger(ledger.database, "other", "MISP"))
    assert (other.window(), other.unwritten(9), other.known_matches(["alert"])) == (SightingWindow(), [], {})
    other.keep([match()], [sighting(stage=WRITTEN)])
    other.forget(NOW + 1000 * DAY)
    assert known.stages() == {WAITING: 1} and known.known_matches(["alert"])


def test_more_than_a_database_takes_at_once_is_found_all_the_same(known):
    many = [f"a{number}" for number in range(PARAMETERS + 1)]
    known.keep([match(name, name) for name in many], map(sighting, many))
    assert len(known.known_matches(many)) == len(known.of_alerts(many)) == len(many)
    assert len(known.known(Occasion(name, "2026-09-21") for name in many)) == len(many)
    assert len(known.known(Occasion(name, "2026-09-22") for name in many)) == 0


@pytest.mark.parametrize("damaged", ["", "{", "[1]", "null", '"text"'])
def test_a_report_that_is_damaged_is_none_and_the_cursor_stays(ledger, known, damaged):
    known.keep_window(SightingWindow(NOW, {"at": NOW}))
    assert known.window() == SightingWindow(NOW, {"at": NOW})
    with ledger.database.transaction() as connection:
        connection.execute(sql.update(SIGHTING_WINDOWS).values(report=damaged))
    assert known.window() == SightingWindow(NOW)


# -- attributes whose indicators left -------------------------------------------------------------------


def attributes(ledger, number=1):
    """Which attributes are found behind an indicator: by its id, and by its value, the same ones."""
    lookup = OriginLookup(ledger)
    by_id = lookup.of_ids([f"indicator--{number}"])
    assert sorted(by_id) == sorted(lookup.of_values([f"host{number}.example.org"]))
    return sorted((origin.event, origin.attribute, origin.newness) for origin in by_id)


GRAPHS = "[domainName = 'host1.example.org' AND networkIPv4 = '198.51.100.7' AND threatType = 'Proxy']"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("198.51.100.7", ["attribute-1"]), ("host2.example.org", ["attribute-2"]), ("192.0.2.1", [])],
)
def test_a_second_value_is_found_too_where_an_indicator_may_have_two(ledger, value, expected):
    ledger.keep(objects=[replace(object_record(1), pattern=GRAPHS), object_record(2)], sources=[source(1), source(2)])
    found = OriginLookup(ledger).of_values([value], in_patterns=True)
    assert [origin.attribute for origin in found] == expected


def test_indicators_with_two_values_are_gone_through_once_however_many_are_looked_for(ledger):
    with mock.patch.object(Ledger, "answers", autospec=True, side_effect=Ledger.answers) as asked:
        OriginLookup(ledger).of_values([f"192.0.2.{number}" for number in range(250)], in_patterns=True)
    assert sum("LIKE" in str(call.args[1]) for call in asked.call_args_list) == 1


def remembered(ledger):
    with ledger.database.transaction() as connection:
        ours = sql.select(*list(FORMER_SOURCES.columns)[1:]).where(FORMER_SOURCES.c.destination == ledger.destination)
        return sorted(tuple(row) for row in connection.execute(ours))


def test_live_and_former_are_found_together_each_once(ledger):
    others = [Source("key-1", OTHER, name) for name in ("live", "left", "back")]
    ledger.keep(events=[EventRecord(EVENT, NOW, True)], objects=[object_record(1)], sources=[source(1), *others])
    ledger.keep(no_sources=others[1:])
    ledger.keep(sources=others[2:])
    assert attributes(ledger) == [
        (EVENT, "attribute-1", NOW),
        (OTHER, "back", 0),
        (OTHER, "left", 0),
        (OTHER, "live", 0),
    ]
    assert attributes(ledger, 2) == []


def test_what_left_is_remembered_90_days_from_when_it_last_left(ledger):
    ledger.keep(objects=[object_record(1)], sources=[source(1)])
    for left_at in (NOW, NOW + 80 * DAY):
        ledger.keep(sources=[source(1)])
        ledger.keep(no_sources=[source(1)])
        assert remembered(ledger) == [("key-1", EVENT, "attribute-1", 0)]
        forget_former_sources(ledger, left_at)
        forget_former_sources(ledger, left_at + HOUR)
        assert remembered(ledger) == [("key-1", EVENT, "attribute-1", left_at)]
    forget_former_sources(ledger, left_at + REMEMBERED_DAYS * DAY)
    assert attributes(ledger) == [(EVENT, "attribute-1", 0)]
    forget_former_sources(ledger, left_at + REMEMBERED_DAYS * DAY + 1)
    assert attributes(ledger) == remembered(ledger) == []


def test_what_left_one_destination_another_one_never_had(ledger):
    other = Ledger(ledger.database, "other", "MISP")
    for each in (ledger, other):
        each.keep(objects=[object_record(1)], sources=[source(1)])
    other.keep(sources=[source(1, OTHER)])
    other.keep(no_sources=[source(1, OTHER)])
    assert attributes(ledger) == [(EVENT, "attribute-1", 0)]
    assert attributes(other) == [(EVENT, "attribute-1", 0), (OTHER, "attribute-1", 0)]
    other.forget_all()
    assert (remembered(ledger), len(remembered(other))) == ([], 2)


def test_what_is_forgotten_altogether_is_remembered_as_what_left(ledger):
    ledger.keep(objects=[object_record(1), object_record(2)], sources=[source(1), source(2), source(2, OTHER)])
    ledger.keep(no_sources=[source(2)])
    forget_former_sources(ledger, NOW)
    ledger.forget_all()
    assert remembered(ledger) == [
        ("key-1", EVENT, "attribute-1", 0),
        ("key-2", EVENT, "attribute-2", NOW),
        ("key-2", OTHER, "attribute-2", 0),
    ]
    assert attributes(ledger) == [(EVENT, "attribute-1", 0)]


# -- all the ways out -----------------------------------------------------------------------------------


def unflag(site, event):
    site.misp.edit_attribute(event, site.attribute(), to_ids=False)
    site.misp.publish(event)


def edit(site, event):
    site.misp.edit_attribute(event, site.attribute(), value="other.example.org")
    site.misp.publish(event)


def delete_softly(site, event):
    site.misp.soft_delete(event, site.attribute())
    site.misp.publish(event)


def take_back(site, event):
    site.misp.unpublish(event)


def delete(site, event):
    site.misp.delete(event)


def withdraw(site, _event):
    """The whole workspace is left."""
    time = {"clock": site.waiting.clock, "now": lambda: site.seconds}
    with site.patched():
        report = withdraw_all(site.settings, site.azure.workspace_id, force_withdraw=True, line=None, **time)
    assert report.exit_code == 0


@pytest.mark.parametrize("leave", [unflag, edit, delete_softly, take_back, delete, withdraw])
def test_whatever_way_an_indicator_leaves_its_attribute_is_known_by_its_id_and_its_value(tmp_path, leave):
    site = Site(tmp_path)
    assert site.run().exit_code == 0
    left, attribute, event = site.indicator(), site.attribute(), next(iter(site.misp.events()))["uuid"]
    site.seconds += HOUR
    leave(site, event)
    if leave is not withdraw:
        assert site.run(force_withdraw=True).exit_code == 0
    assert site.azure.objects()[left]["revoked"]
    site.alert(indicators=[left])
    site.alert(TI_MAP, entities=[("dns", "host0.example.org")])
    report = site.sightings()
    assert (report.matches, report.unknown) == (2, 0)
    with site.ledger() as known:
        (record,) = known.seen([attribute]).sightings
    assert record.stage is (SightingStage.REFUSED if leave is delete else WRITTEN), record.words
