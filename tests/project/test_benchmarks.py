"""The measurements work, small; and a run stays far below the memory that it may use."""

import json
import logging
import os
import time
from datetime import UTC, datetime
from itertools import pairwise

import pytest
import sqlalchemy as sql

from benchmarks import (
    before,
    ceiling,
    context,
    conversion,
    destinations,
    galaxies,
    growth,
    ledger_size,
    memory,
    one_change,
    reading,
    repeated,
    report,
    scaling,
    side_by_side,
    start,
    throughput,
    transfer,
    unchanged,
    upgrade,
    where,
)
from benchmarks.sandboxed import attribute, events
from helpers.indicators import ConversionRules, convert_event
from helpers.ledger import Database
from helpers.ledger.tables import DESTINATIONS
from helpers.settings import Settings
from tests.support.postgres import ledger_url, postgres_server, postgres_url

__all__ = ["ledger_url", "postgres_server", "postgres_url"]


def test_a_run_needs_less_than_300_mb_and_what_was_measured_is_written(tmp_path, capsys, monkeypatch):
    file = tmp_path / "measured.json"
    monkeypatch.setattr("sys.argv", ["memory", "--events", "20", "--attributes", "50", "--json", str(file)])
    memory.main()
    assert "peak_mb" in capsys.readouterr().out
    measured = json.loads(file.read_text())["first run"]
    assert measured["arrived"] == measured["accepted"] == 1000
    assert 20 < measured["peak_mb"] < 300


@pytest.mark.parametrize(("listed", "destinations"), [(20, 1), (5, 2)])
def test_an_unchanged_run_uploads_nothing_and_asks_misp_for_little(listed, destinations):
    """Version twice, user, index and listing; nothing of any event, however many destinations remember it."""
    columns = unchanged.measure(objects=200, event_count=20, listed=listed, destinations=destinations)
    assert list(columns) == [f"destinations: {count}" for count in sorted({1, destinations})]
    for measured in columns.values():
        assert measured["remembered_objects"] == 200 and measured["ledger_mb"] > 0
        assert (measured["uploads"], measured["events"], measured["exit_code"]) == (0, 0, 0)
        assert measured["misp_requests"] < 8
    assert list(columns.values())[-1]["unchanged"] == 200 * destinations


def test_one_changed_attribute_is_one_upload():
    measured = one_change.measure(attributes=40)
    assert measured["first run"]["accepted"] == 40
    assert [measured[title]["uploads"] for title in one_change.CHANGES] == [1, 1]
    assert [measured[title]["accepted"] for title in one_change.CHANGES] == [1, 1]
    assert [measured[title]["unchanged"] for title in one_change.CHANGES] == [39, 39]


def test_with_the_shipped_filters_a_first_run_asks_a_page_once():
    """Version twice, user, index and listing, and a question for each page of 50."""
    measured = reading.measure(events(120, 2))
    assert (measured["accepted"], measured["exit_code"], measured["warnings"]) == (240, 0, [])
    assert (measured["misp_failed_requests"], measured["events_read_singly"]) == (0, 0)
    assert measured["misp_requests"] < 8 + 3


def test_what_stands_beside_indicators_costs_an_unchanged_run_one_small_question_and_no_upload():
    """Ten of the thirty events name an actor or a set, three of them ten techniques; one tag in ten names none."""
    columns = context.measure(galaxies.tagged_events(30, 2))
    assert {column["exit_code"] for column in columns.values()} == {0}
    for way in context.WAYS:
        first, again, moved, changed = (columns[f"{way}, {name}"] for name in context.RUNS)
        plain = columns[f"nothing, {context.RUNS[1]}"]
        named = first["threat-actor"] + first["attack-pattern"]
        assert (again["uploads"], moved["uploads"], changed["indicator"]) == (0, 0, 2)
        assert again["misp_requests"] == plain["misp_requests"] + (named > 0)
        assert 0 <= again["misp_bytes"] - plain["misp_bytes"] < 200 * (named + 1)
        assert (moved["misp_bytes"] - again["misp_bytes"] > 2_000 * named) == (named > 0)
    firsts = [columns[f"{way}, first"] for way in context.WAYS]
    assert [first["indicator"] for first in firsts] == [60, 60, 60]
    assert firsts[0]["relationship"] == 0 < firsts[1]["relationship"] <= 20 < firsts[2]["relationship"]
    assert firsts[1]["attack-pattern"] == 0 < firsts[2]["attack-pattern"] <= 30
    assert all(one["ledger_bytes"] < other["ledger_bytes"] for one, other in pairwise(firsts))
    assert all(one["sent_bytes"] < other["sent_bytes"] for one, other in pairwise(firsts))


def test_each_destination_is_sent_what_stands_beside_indicators():
    columns = context.measure(galaxies.tagged_events(2, 2), destinations=2)
    counted = [columns[f"actors, {name}"]["relationship"] for name in context.RUNS]
    assert counted == [4, 0, 0, 0]


def test_a_first_run_under_a_limit_is_never_refused():
    measured = ceiling.measure(limit=1000, indicators=1000, per_event=10)
    with_the_organisation = 10 + 1
    assert (measured["arrived"], measured["uploads"], measured["refused"]) == (1000, with_the_organisation, 0)
    assert measured["a_minute"] > 0


def upload(time, count, status=200):
    return {"time": float(time), "count": count, "status": status}


def test_the_rate_is_that_of_full_minutes():
    """A minute and a half of uploads, the last half at another speed."""
    uploads = [upload(2 * n, 100) for n in range(30)] + [upload(60 + 15 * n, 1) for n in range(3)]
    assert ceiling.sustained(uploads) == 3000
    assert ceiling.sustained([upload(0, 10), upload(6, 10)]) == 100


def test_what_was_refused_is_no_part_of_the_rate():
    assert ceiling.sustained([upload(0, 10), upload(1, 100, 429), upload(6, 10), upload(30, 100, 429)]) == 100


def test_destinations_of_several_principals_are_filled_by_one_run():
    customers = [throughput.Customer.of(number, principals=2) for number in range(2)]
    run, destinations = throughput.measure(customers, limit=100, indicators=200)
    assert (run["refused"], list(destinations)) == (0, ["d0", "d1"])
    assert all(column["of_limit"] > 0 for column in destinations.values())
    assert run["run"] > 0


def judged(uploads, run=0.5, idle=0.5, limit=10):
    """A minute of uploads to two destinations, in which the run used so much of a processor."""
    customers = [throughput.Customer.of(number, principals=1) for number in range(2)]
    named = [one | {"workspace": customers[number].workspace} for number, one in uploads]
    samples = [
        throughput.Sample(moment, moment * run, 0, 0, moment * idle * (os.cpu_count() or 1)) for moment in (0, 60)
    ]
    return throughput.judged(named, samples, customers, limit, {})


@pytest.mark.parametrize(
    ("run", "idle", "held_by"), [(0.5, 0.5, "waiting"), (0.95, 0.5, "machine full"), (0.5, 0.05, "machine full")]
)
def test_a_destination_below_its_limit_is_held_by_a_full_machine_or_waits(run, idle, held_by):
    at_the_limit = [(0, upload(6 * n, 100)) for n in range(11)]
    half = [(1, upload(6 * n, 50)) for n in range(11)]
    whole, destinations = judged(sorted(at_the_limit + half, key=lambda one: one[1]["time"]), run, idle)
    assert [column["of_limit"] for column in destinations.values()] == [1, 0.5]
    assert [column["held_by"] for column in destinations.values()] == ["limit", held_by]
    assert (whole["slowest"], whole["run"], whole["idle"]) == (0.5, run, idle)


def test_what_a_run_of_a_second_used_is_that_of_all_of_it():
    """Its uploads may come after the last look at the processors."""
    whole, _ = judged([(number, upload(60.5 + number / 10 + later, 100)) for later in (0, 0.2) for number in (0, 1)])
    assert (whole["run"], whole["idle"]) == (0.5, 0.5)


def test_progress_is_beside_the_median_s_and_what_was_refused_is_none():
    uploads = [(0, upload(0, 100)), (1, upload(1, 100)), (1, upload(29, 100)), (0, upload(30, 100, 429))]
    whole, destinations = judged([*uploads, (0, upload(60, 100)), (1, upload(60, 100))])
    assert [column["at_30_s"] for column in destinations.values()] == [0.667, 1.333]
    assert [column["refused"] for column in destinations.values()] == [1, 0]
    assert (whole["slowest_at_30_s"], whole["refused"]) == (0.667, 1)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_the_log_tells_the_time_of_the_machine(zone, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    now = 1_790_000_000.25
    record = logging.makeLogRecord({"created": now, "msecs": 250.0, "msg": "read", "levelname": "INFO"})
    line = logging.Formatter("%(asctime)s %(levelname)s %(message)s").format(record)
    assert ceiling.moment(line) == now
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("doing", "seconds"),
    [
        ([[(0, 4)], [(1, 3)], [(2, 9)]], 1),
        ([[(0, 4), (6, 8)], [(0, 9)], [(3, 7)]], 2),
        ([[(0, 4)], [(4, 9)], [(0, 9)]], 0),
        ([[(0, 5), (1, 2)], [(0, 5)], [(0, 5)]], 5),
    ],
)
def test_what_happens_at_once_is_counted(doing, seconds):
    assert ceiling.at_once(doing) == seconds


def test_the_stage_makes_what_a_plain_loop_makes():
    measured = conversion.measure(events(2, 20))
    assert [measurement["indicators"] for measurement in measured.values()] == [40, 40, 40]
    assert measured["this project"]["times"] > 0


def test_what_draws_from_a_ledger_counts_all_of_it():
    measured = report.measure(objects=300)
    assert [command["exit_code"] for command in measured.values()] == [0, 0]
    assert all(1000 < command["bytes"] < 1_000_000 for command in measured.values())


def test_an_older_ledger_is_upgraded_also_where_it_was_ended_in_the_middle():
    """A row that is moved twice or not at all ends the measurement with an error."""
    killed, going_on = upgrade.measure(objects=2000, kill=True).values()
    assert (killed["exit_code"], going_on["exit_code"]) == (-9, 0)
    assert going_on["whole_seconds"] > 0 and going_on["peak_mb"] < 300


def test_growth_is_a_table_and_a_chart_in_their_place():
    sizes = [growth.Size.of("100"), growth.Size.of("100x2")]
    measured = {size: growth.measure(*size) for size in sizes}
    sent = [[runs[name]["accepted"] for name in growth.RUNS] for runs in measured.values()]
    assert sent == [[100, 0, 50], [200, 0, 100]]
    text = "before\n<!-- begin: benchmarks.growth -->\nold\n<!-- end: benchmarks.growth -->\nafter\n"
    page = growth.put_into(text, growth.page(measured))
    assert page.startswith("before\n") and page.endswith("after\n") and "old" not in page
    assert "| 100 | first run |" in page and "| 100 in 2 destinations | first run |" in page
    assert page.count("xychart-beta") == 2 and 'x-axis ["100"]' in page
    assert growth.put_into(page, growth.page(measured)) == page
    with pytest.raises(ValueError, match="no comments"):
        growth.put_into("a page", "")


def test_a_further_destination_is_the_slope_and_the_start_is_left_out():
    """Start 10 and 1 for each; of the rest the first takes 8, each further one 2, or nothing where nothing changed."""
    start = {kind: {count: 10.0 + count for count in (1, 2, 4)} for kind in destinations.KINDS}
    rest = {
        "first run": {count: 6.0 + 2 * count for count in (1, 2, 4)},
        "nothing changed": dict.fromkeys((1, 2, 4), 3.0),
        "1 % changed": {count: 4.0 * count for count in (1, 2, 4)},
    }
    whole = {kind: {count: start[kind][count] + rest[kind][count] for count in rest[kind]} for kind in rest}
    columns = destinations.compared(whole, start)
    assert [column["ratio"] for column in columns.values()] == [0.25, 0, 1]
    assert [column["further"] for column in columns.values()] == [2, 0, 4]
    assert [column["destinations: 4"] for column in columns.values()] == [14, 3, 16]


def test_each_destination_has_what_is_remembered_and_what_is_edited_goes_to_all():
    """A run that sends another number than it should ends the measurement."""
    measured = destinations.measure(indicators=5, remembered=10, counts=(2,), repeats=1, new_ledger=dict)
    assert list(measured) == list(destinations.KINDS)
    assert all(seconds[2] > 0 for seconds in measured.values())


def test_the_bytes_of_an_object_are_those_that_are_more_than_an_empty_ledger(monkeypatch):
    """100 objects: 1,000 bytes each at the first of five destinations, 200 each at the four others; then half."""
    sizes = iter([(5_000, 4_000), (105_000, 54_000), (185_000, 94_000)])
    monkeypatch.setattr(ledger_size, "_taken", lambda *_: ledger_size.Bytes(*next(sizes)))
    measured = ledger_size.measure(indicators=100, destinations=5, new_ledger=dict)
    assert [(column["bytes"], column["vacuumed"]) for column in measured.values()] == [(1000, 500), (200, 100)]


def test_what_was_deleted_of_a_ledger_takes_no_room_when_it_is_vacuumed(ledger_url):
    database = Database(ledger_url)
    with database.transaction() as connection:
        connection.execute(sql.insert(DESTINATIONS), [_destination(number) for number in range(3_000)])
    with database.transaction() as connection:
        connection.execute(sql.delete(DESTINATIONS))
    database.close()
    before_it = ledger_size.size_of(ledger_url)
    ledger_size.vacuum(ledger_url)
    assert 0 < ledger_size.size_of(ledger_url) < before_it - 1_000_000


def _destination(number):
    return {"workspace": str(number), "sourcesystem": "MISP", "facts": "x" * 500}


def test_a_repetition_has_the_same_types_and_shapes_with_other_uuids_and_values():
    """What refers to a UUID of the event still does; what is no indicator stays as it is."""
    (event,) = events(1, 3)
    pairs = [("regkey", r"(HKLM|HKCU)\Software"), ("ip-dst", "198.51.100.7"), ("domain|ip", "example.org|203.0.113.5")]
    event["Attribute"] += [{**attribute(10 + n), "type": kind, "value": value} for n, (kind, value) in enumerate(pairs)]
    event["Attribute"].append({**attribute(20), "type": "text", "value": "said", "comment": event["uuid"]})
    first, second = repeated.repeated([event], times=2)
    for one, other in zip(first["Attribute"], second["Attribute"], strict=True):
        assert one["type"] == other["type"] and one["uuid"] != other["uuid"]
        assert (one["value"] == other["value"]) == (one["type"] == "text")
    assert second["Attribute"][-1]["comment"] == second["uuid"] != first["uuid"]
    assert second["Orgc"] == event["Orgc"]
    made = [convert_event(each, ConversionRules.of(Settings()), datetime.now(UTC)) for each in (event, first, second)]
    assert {sum(len(part.indicators) for part in parts) for parts in made} == {7}


def test_enough_repetitions_have_the_indicators_that_were_asked_for():
    assert len(list(before.enough(list(events(2, 3)), 20)())) == 8


def test_an_indicator_costs_what_is_left_without_the_start(monkeypatch):
    """Both trees make the same number; the ratio is that of the least of their tries."""
    seconds = iter([2.0, 6.0, 2.0, 4.5, 2.0, 7.0, 2.0, 4.0])
    sent = iter([5, 105] * 4)

    def taken(*_):
        return {"accepted": next(sent), "processor_seconds": next(seconds)}

    monkeypatch.setattr(before, "_taken", taken)
    then, now = before.measure(before.ROOT, lambda: events(1, 5), repeats=2).values()
    assert (then["microseconds"], now["microseconds"], now["ratio"]) == (40_000, 20_000, 0.5)


def test_a_commit_is_there_as_long_as_it_is_measured():
    with before.checked_out("HEAD") as tree:
        assert (tree / "script.py").is_file()
    assert not tree.exists()


def test_a_page_without_a_place_for_growth_is_reported_before_anything_is_measured(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("a page")
    monkeypatch.setattr("sys.argv", ["growth", "--sizes", "100", "--into", str(page)])
    monkeypatch.setattr(growth, "measure", lambda *_: pytest.fail("measured"))
    with pytest.raises(ValueError, match="no comments"):
        growth.main()


def test_side_by_side_more_arrives_here_and_nothing_is_sent_again():
    ours, again, plain, plain_again = side_by_side.measure(events(2, 10)).values()
    assert ours["arrived"] == ours["matchable"] == plain["arrived"] == 20
    assert (again["uploads"], plain_again["uploads"]) == (0, plain["uploads"])
    assert plain["matchable"] < 20
    assert (plain["times"], plain_again["times_processor"]) == (1, 1)
    assert ours["times_processor"] == round(plain["processor_seconds"] / ours["processor_seconds"], 2)


def test_a_sample_counts_for_the_innermost_of_our_packages():
    """What others do counts for who called them, and an import for itself."""
    stacks = [
        "main (script.py:61);run (helpers/sync/run.py:1);keep (helpers/ledger/store.py:5);do (sqlalchemy/x.py:9) 6",
        "main (script.py:61);run (helpers/sync/run.py:1) 1",
        "main (script.py:61);run (helpers/sync/run.py:1);_load (<frozen importlib._bootstrap>:7);exec (msal.py:1) 2",
        "run (threading.py:3) 1",
    ]
    assert where.shares(stacks) == {"ledger": 60.0, "imports": 20.0, "sync": 10.0, "others": 10.0}


def test_commands_are_started():
    assert all(measurement["best"] > 0 for measurement in start.measure(times=1).values())


def test_what_stays_in_misp_is_not_transferred():
    event = {**next(events(1, 5)), "Galaxy": [{"name": "Actor", "description": "words " * 100}]}
    measured = transfer.measure([event])
    assert measured["this project"]["bytes"] < measured["whole events"]["bytes"]
    assert measured["this project"]["indicators"] == measured["whole events"]["indicators"] == 5
    assert measured["this project"]["skips"] == measured["whole events"]["skips"]


@pytest.mark.parametrize("name", scaling.CASES)
def test_what_a_stranger_writes_costs_no_more_than_its_length(name):
    """Processor time, the best of some, and no time of a clock; what else the machine does may spoil one try."""
    tries = (scaling.measure(scaling.CASES[name], repeats) for repeats in (2, 5, 5))
    assert any(measured["times"] <= 2.5 for measured in tries)


def test_what_costs_the_square_of_its_length_is_seen(monkeypatch):
    monkeypatch.setattr(scaling, "seconds_of", lambda work, times=1: times * work())
    square = scaling.measure(scaling.Case(lambda size: lambda: size * size / 1e6, 100, 1_000_000))
    assert square["times"] == 4 and square["seconds"] >= scaling.LONG_ENOUGH
    short = scaling.measure(scaling.Case(lambda size: lambda: size / 1e6, 100, 20_000))
    assert short["times"] == 2 and short["size"] == 10_000 and short["seconds"] >= scaling.LONG_ENOUGH


def test_who_has_no_py_spy_is_told_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sys.argv", ["where"])
    with pytest.raises(SystemExit):
        where.main()
    assert "~/py-spy/bin/pip install py-spy" in capsys.readouterr().err
