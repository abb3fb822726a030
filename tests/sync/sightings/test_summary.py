"""What people read of sightings: one sentence, and rows for what it does not say."""

from __future__ import annotations

from collections import Counter

import pytest

from constants import NotSighted
from helpers.commands.command_line import parse
from helpers.commands.run import summary as summary_of_run
from helpers.commands.run.verdict import verdict_of as verdict_of_run
from helpers.commands.screen import Tone
from helpers.commands.sightings import command
from helpers.commands.sightings.summary import lines_of, verdict_of
from helpers.errors import MicrosoftError, MispRefused
from helpers.sync import Report, SightingsReport
from sandbox.azure.app import AzureState
from tests.support import settings_for

LOG = "/state/misp2sentinel.log"
REFUSED = MispRefused("the key may not add sightings")
FAILED = MicrosoftError("the app may not read the workspace's alerts. (workspace: w) Microsoft's words: 403 Forbidden")


def report(error=None, **counts):
    made = SightingsReport(**counts)
    if error:
        made.fail(error)
    return made


def shown(made):
    return [line.text() for line in lines_of(made, LOG)]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (report(), "OK: 0 alerts, no new match, in 0 s"),
        (report(alerts=1, matches=1, written=1), "OK: 1 alert, 1 match, 1 written, in 0 s"),
        (
            report(alerts=7, matches=5, written=2, there=3, refused=1, waiting=1_200),
            "OK: 7 alerts, 5 matches, 2 written, 3 there already, 1,200 waiting, 1 refused, in 0 s",
        ),
        (
            report(alerts=2, matches=2, waiting=2, dry_run=True),
            "Dry run: 2 alerts, 2 matches, 2 would be written. Nothing was written into MISP.",
        ),
        (report(REFUSED, alerts=2), "FAILED: MISP: the key may not add sightings"),
        (report(FAILED), "FAILED: the app may not read the workspace's alerts."),
        (
            report(alerts=1, matches=1, waiting=1, in_doubt=1),
            "PARTLY DONE: 1 alert, 1 match, 1 waiting; 1 without an answer of MISP's: it is asked which of them it has "
            "before any is written again.",
        ),
    ],
)
def test_the_verdict_is_one_sentence(made, words):
    assert verdict_of(made) == words


def test_what_is_left_out_has_a_row_with_the_reason():
    left_out = Counter({NotSighted.PRIVATE: 2_000, NotSighted.TLP: 1})
    made = report(unknown=1, other_rules=3, unreadable=2, left_out=left_out, refusals=["uuid host: gone"])
    assert shown(made)[1:] == [
        "  left out    2,000  a private, local or reserved address, which says nothing about an attribute",
        "  left out    1  its TLP is stricter than misp_sightings['max_tlp'] allows",
        "  unknown     1 id or value that is no indicator of ours",
        "  others      3 alerts name values, and are of rules that misp_sightings['rules'] does not name",
        "  unreadable  2 rows or values of Sentinel's",
        "  refused     uuid host: gone",
    ]


def test_one_alert_of_another_rule_is_told_of_as_one():
    assert shown(report(other_rules=1))[1].endswith(
        "1 alert names values, and is of a rule that misp_sightings['rules'] does not name"
    )


def test_a_failure_says_what_is_looked_up_and_where_the_log_is():
    lines = shown(report(FAILED))
    assert any("workspace" in line for line in lines[1:])
    assert lines[-1] == f"Exit code 4; the log is {LOG}"


def test_of_several_destinations_each_has_a_line_and_the_first_failure_is_the_verdict():
    parts = [report(name="contoso", alerts=1, matches=1, written=1), report(FAILED, name="fabrikam")]
    total = SightingsReport.of(parts)
    assert (total.exit_code, total.written) == (4, 1)
    assert shown(total)[:3] == [
        "FAILED: fabrikam: the app may not read the workspace's alerts.",
        "  contoso: OK: 1 alert, 1 match, 1 written, in 0 s",
        "  fabrikam: FAILED: the app may not read the workspace's alerts.",
    ]
    assert [part["name"] for part in total.as_json()["destinations"]] == ["contoso", "fabrikam"]


# -- as a part of a run ---------------------------------------------------------------------------------


def test_a_run_has_a_row_for_its_sightings():
    of_run = Report(sightings=report(alerts=1, matches=1, written=1))
    lines = [line.text() for line in summary_of_run.details(of_run, verbose=False)]
    assert any(line.split() == ["sightings", "1", "alert,", "1", "match,", "1", "written"] for line in lines)
    assert of_run.as_json()["sightings"]["written"] == 1
    assert "sightings" not in Report().as_json()


@pytest.mark.parametrize(("error", "code"), [(REFUSED, 3), (FAILED, 4)])
@pytest.mark.parametrize("several", [False, True])
def test_a_run_whose_sightings_failed_says_so_and_ends_as_they_do(error, code, several):
    of_run = Report.of([Report("contoso"), Report("fabrikam")], 0) if several else Report()
    of_run.sightings = report(error)
    verdict = verdict_of_run(of_run)
    assert (of_run.exit_code, verdict.tone) == (code, Tone.BAD)
    assert "sightings: the " in verdict.words


def test_what_a_run_is_warned_of_is_said_of_each_destination():
    parts = [report(name="contoso", warnings=["a gap"]), report(name="fabrikam")]
    of_run = Report.of([Report("contoso"), Report("fabrikam")], 0)
    of_run.sightings = SightingsReport.of(parts)
    of_run.sightings.warnings.append("no time")
    assert [problem.words for problem in verdict_of_run(of_run).problems] == [
        "sightings: no time",
        "sightings: contoso: a gap",
    ]


def test_a_run_that_failed_itself_ends_as_it_did():
    of_run = Report()
    of_run.fail_at_misp(REFUSED)
    of_run.sightings = report(FAILED)
    assert of_run.exit_code == 3
    assert "sightings: " not in verdict_of_run(of_run).words


@pytest.mark.parametrize("warned", [True, False])
def test_what_one_of_several_destinations_is_warned_of_reaches_cron(warned, monkeypatch, capsys, tmp_path):
    parts = [report(name="contoso", warnings=["MISP refused 1 sighting"] if warned else []), report(name="fabrikam")]
    monkeypatch.setattr(command, "run_sightings", lambda *_, **__: SightingsReport.of(parts))
    monkeypatch.setattr(command, "write_files", lambda *_: None)
    typed = parse(["sightings"])
    assert command.main(settings_for(AzureState(), tmp_path), typed, print) == 0
    out, err = capsys.readouterr()
    assert (out, "MISP refused 1 sighting" in err) == ("", warned)
