"""The tour does what its sentences say, and ends with 1 where it does not."""

import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from sandbox import __main__ as by_hand
from sandbox import place
from sandbox.tour import __main__ as tour
from sandbox.tour.steps import LISTED, RIGHT, SCANNER, STEPS, WRONG, Outcome, Step, troubles

SENT = Step(
    "Two are sent.", arrive=("[a]", "[b]"), leave=("[c]",), says="2 sent", seen=("a.example",), makes="page.html"
)
AS_IT_SAYS = Outcome(
    0, "OK: 2\n  sent", Counter(["[c]", "[d]"]), Counter(["[a]", "[b]", "[d]"]), 3, ["a.example"], ("page.html",)
)


def test_every_step_shows_one_sentence_what_is_typed_and_what_comes_of_it(tmp_path, capsys):
    assert tour.main(["--dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    parts = re.split(r"^\d+\. ", shown, flags=re.MULTILINE)[1:]
    assert [" ".join(part.partition("\n\n")[0].split()) for part in parts] == [step.sentence for step in STEPS]
    assert re.findall(r"^\$ misp2sentinel(.*)", shown, re.MULTILINE) == [
        *("", "", "", "", f" explain {SCANNER}", f" explain {LISTED}", " share --to-ids --publish story.json", ""),
        *(" sightings", " report report.html"),
    ]
    assert all("did not do what it says" not in part for part in parts)
    sent = (tmp_path / "state" / "parsed_indicators.txt").read_text()  # of the last run that sent
    assert [value in sent for value in ("198.51.100.23", RIGHT, WRONG)] == [True, False, False]
    assert "44" in (tmp_path / "report.html").read_text()


def test_what_happened_as_a_step_says_is_no_trouble():
    assert list(troubles(SENT, AS_IT_SAYS)) == []


@pytest.mark.parametrize(
    ("otherwise", "words"),
    [
        ({"exit_code": 4}, "the command ended with 4"),
        ({"text": "OK: 1 sent"}, "the screen does not say '2 sent'"),
        ({"files": ()}, "page.html is not there"),
        ({"after": Counter(["[a]", "[d]"])}, "what arrived in Sentinel is ['[a]'], not ('[a]', '[b]')"),
        ({"after": Counter(["[a]", "[b]"])}, "what left Sentinel is ['[c]', '[d]'], not ('[c]',)"),
        ({"seen": ()}, "what MISP was told to be seen is [], not ['a.example']"),
        ({"uploaded": 42}, "42 objects were uploaded, not 3"),
    ],
)
def test_whatever_happened_otherwise_is_a_trouble(otherwise, words):
    assert list(troubles(SENT, replace(AS_IT_SAYS, **otherwise))) == [words]


def test_a_step_that_does_not_do_what_it_says_ends_the_tour(tmp_path, monkeypatch, capsys):
    wrong = Step("It says more than it can.", ("--version",), says="no such words")
    monkeypatch.setattr(tour, "STEPS", (wrong, *STEPS))
    assert tour.main(["--dir", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert "Step 1 did not do what it says: the screen does not say 'no such words'." in shown
    assert "2. " not in shown and "That was the tour" not in shown


@pytest.mark.parametrize("started", [tour.main, by_hand.main])
def test_a_second_one_in_the_same_place_leaves_the_first_alone(started, tmp_path, capsys):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "ledger.sqlite").write_text("of the first")
    with place.held(tmp_path):
        assert started(["--dir", str(tmp_path)]) == place.TAKEN
    assert f"Another sandbox is up in {tmp_path}. End it first" in capsys.readouterr().err
    assert (tmp_path / "state" / "ledger.sqlite").read_text() == "of the first"


def test_ctrl_c_lets_the_command_end_in_its_own_way(tmp_path):
    command = [sys.executable, "-m", "sandbox", "--dir", tmp_path, "--run", "--"]
    ended = subprocess.run(
        [*command, "sh", "-c", "kill -INT $PPID; echo stopped; exit 130"], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (130, "")
    assert "stopped" in ended.stdout


@pytest.mark.parametrize("plain", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_a_sentence_is_plain_where_it_is_asked_for(plain, monkeypatch):
    for name in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in plain.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert tour._bold("words") == "words"
