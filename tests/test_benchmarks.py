"""The measurements work, small; and a run stays far below the memory that it may use."""

import json

import pytest

from benchmarks import memory, one_change, unchanged


def test_a_run_needs_less_than_400_mb():
    measured = memory.measure(event_count=20, attributes=50)
    assert measured["arrived"] == measured["accepted"] == 1000
    assert 20 < measured["peak_mb"] < 400


@pytest.mark.parametrize("listed", [20, 5])
def test_an_unchanged_run_uploads_nothing_and_asks_misp_for_little(listed):
    """Version twice, user, index and listing; nothing of any event."""
    measured = unchanged.measure(objects=200, event_count=20, listed=listed)
    assert measured["remembered_objects"] == 200
    assert (measured["uploads"], measured["events"], measured["exit_code"]) == (0, 0, 0)
    assert measured["misp_requests"] < 8


def test_one_changed_attribute_is_one_upload():
    measured = one_change.measure(attributes=40)
    assert measured["first run"]["accepted"] == 40
    assert [measured[title]["uploads"] for title in one_change.CHANGES] == [1, 1]
    assert [measured[title]["accepted"] for title in one_change.CHANGES] == [1, 2]
    assert [measured[title]["unchanged"] for title in one_change.CHANGES] == [39, 39]


def test_what_was_measured_can_be_written(tmp_path, capsys, monkeypatch):
    file = tmp_path / "measured.json"
    monkeypatch.setattr("sys.argv", ["memory", "--events", "1", "--attributes", "5", "--json", str(file)])
    memory.main()
    assert "peak_mb" in capsys.readouterr().out
    assert json.loads(file.read_text())["first run"]["arrived"] == 5
