"""The report page as a command and after each run: where it is, who may read it, and what happens when it cannot be."""

import json
import stat
from pathlib import Path

import pytest

from helpers.commands.monitoring import files
from helpers.commands.monitoring.files import write_files
from helpers.commands.monitoring.metrics import write_metrics
from helpers.commands.monitoring.report import write_report
from helpers.errors import OutputError
from helpers.ledger.history.runs import RunRecord
from helpers.ledger.store import Ledger
from helpers.settings import MsAuth
from tests.commands.test_explain import NOW, WORKSPACE, object_record
from tests.support import hosts, misp_event
from tests.support.postgres import ledger_url, postgres_server, postgres_url
from tests.support.processes import Host
from tests.support.tls_site import sandbox

__all__ = ["ledger_url", "postgres_server", "postgres_url"]


@pytest.fixture
def settings(ledger_url, make_settings, tmp_path):
    return make_settings(state_url=ledger_url, state_dir=tmp_path, ms_auth=MsAuth(workspace_id=WORKSPACE))


@pytest.fixture
def page(tmp_path):
    return tmp_path / "report.html"


def fill(settings, runs=2):
    """Two live indicators, and so many nightly runs."""
    ledger = Ledger(settings.state_url, WORKSPACE, "MISP")
    ledger.keep(objects=[object_record()])
    for number in range(runs):
        ledger.keep_run(RunRecord(NOW - 86_400 * (runs - number), live={"domain": number + 1}, accepted=number))
    ledger.close()


def test_the_ledger_of_each_kind_gives_a_page_for_its_owner_alone(settings, page):
    fill(settings)
    verdict = write_report(settings, page, NOW)
    text = page.read_text(encoding="utf-8")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert verdict.words.rstrip(".") in text and "Live over time" in text and text.count("<svg") >= 2


@pytest.mark.parametrize("runs", [0, 1])
def test_a_ledger_with_nothing_to_draw_has_sentences_in_place_of_charts(settings, page, runs):
    fill(settings, runs)
    write_report(settings, page, NOW)
    text = page.read_text(encoding="utf-8")
    said = "All of it is of one moment so far." if runs else "The ledger has no run of this destination yet."
    assert said in text and 'd1-live-title"' not in text


def test_a_ledger_that_is_not_there_yet_is_said_to_be_none(settings, page):
    write_report(settings, page, NOW)
    text = page.read_text(encoding="utf-8")
    assert "There is no ledger yet" in text and "<svg" not in text


def test_what_cannot_be_written_leaves_the_page_that_was_there(settings, tmp_path):
    fill(settings)
    for odd in (tmp_path, tmp_path / "missing" / "report.html"):
        with pytest.raises(OutputError):
            write_report(settings, odd, NOW)
    link = tmp_path / "link.html"
    link.symlink_to(tmp_path / "elsewhere.html")
    with pytest.raises(OutputError, match="symbolic link"):
        write_report(settings, link, NOW)
    assert not (tmp_path / "elsewhere.html").exists()


@pytest.mark.parametrize("write", [write_report, write_metrics])
def test_a_slip_does_not_cost_the_settings_or_the_ledger(settings, tmp_path, write):
    fill(settings)
    for other in (b"misp_key = 'x'\n", b"SQLite format 3\x00", b"# a config.py", "ä".encode("utf-16")):
        path = tmp_path / "other"
        path.write_bytes(other)
        with pytest.raises(OutputError, match="was not written by this command, so it stays"):
            write(settings, path, NOW)
        assert path.read_bytes() == other
        path.write_bytes(b"")
        write(settings, path, NOW)
        write(settings, path, NOW)


def test_nothing_is_written_where_no_setting_names_a_file(settings, tmp_path):
    fill(settings)
    before = sorted(tmp_path.iterdir())
    write_files(settings, NOW)
    assert sorted(tmp_path.iterdir()) == before


def test_a_fault_of_our_own_costs_a_warning(settings, page, monkeypatch, capsys):
    def stumble(*_):
        raise KeyError("no such thing")

    monkeypatch.setattr(files, "write_report", stumble)
    write_files(settings.model_copy(update={"report_file": page}), NOW)
    assert "report_file was not written: a fault of MISP2Sentinel's own" in capsys.readouterr().err


def test_each_run_writes_the_page_and_a_dry_run_does_not(tmp_path):
    page = tmp_path / "report.html"
    box, _ = sandbox()
    with box:
        host = Host(box, tmp_path / "state", REPORT_FILE=str(page))
        box.misp.load([misp_event(1, hosts(3, "a"))])
        assert host.run("--dry-run").returncode == 0 and not page.exists()
        assert host.run().returncode == 0
        assert "EXAMPLE" in page.read_text(), "the organisation's name, and not its UUID"
        first = page.read_text(encoding="utf-8")
        assert "3 indicators live in Sentinel" in first and box.misp.readonly_key not in first
        box.misp.load([misp_event(2, hosts(2, "b"))])
        one = host.run("--uuid", misp_event(2)["uuid"])
        assert (one.returncode, one.stderr) == (0, "")
        assert "5 indicators live in Sentinel" in page.read_text(encoding="utf-8")
        written = host.run("report", str(tmp_path / "other.html"))
        assert (written.returncode, written.stdout) == (0, f"Report: {tmp_path / 'other.html'}\n")
        as_json = json.loads(host.run("report", str(tmp_path / "other.html"), "--json").stdout)
        assert as_json["file"] == str(tmp_path / "other.html") and as_json["state"] == "good"
        unwritable(host, tmp_path)


def unwritable(host: Host, place: Path):
    host.environ["MISP2SENTINEL_REPORT_FILE"] = str(place / "missing" / "report.html")
    run = host.run()
    assert run.returncode == 0
    assert (
        run.stderr.startswith("warning: report_file was not written: ") and "Name a file in a directory" in run.stderr
    )
    assert "report_file was not written" in (place / "state" / "misp2sentinel.log").read_text()
    asked = host.run("report", str(place / "missing" / "report.html"))
    assert asked.returncode == 2 and "cannot be written (No such file or directory)" in asked.stderr


def test_without_a_ledger_there_is_no_page(tmp_path):
    box, _ = sandbox()
    with box:
        host = Host(box, tmp_path / "state", "none")
        asked = host.run("report", str(tmp_path / "report.html"))
        assert asked.returncode == 2 and "state_url" in asked.stderr
        host.environ["MISP2SENTINEL_REPORT_FILE"] = str(tmp_path / "report.html")
        run = host.run()
        assert run.returncode == 2 and 'state_url is "none"' in run.stderr
