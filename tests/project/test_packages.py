"""What make says while pip installs."""

import sys

import pytest

from sandbox.packages import Progress, install, stage

FETCHING = "Collecting idna==3.20 (from -r requirements.txt (line 9))\n  Downloading idna\nCollecting rich[x]==15.0\n"
UNPACKING = "Installing collected packages: idna, rich, mdurl\n"
FAKE_PIP = """
import pathlib, sys, time
library = pathlib.Path(sys.argv[1])
print("Installing collected packages: one, two, three")
(library / "one-1.dist-info").mkdir()
while not (library / "seen").exists():
    time.sleep(0.01)
sys.exit("no wheel for two")
"""


def test_each_stage_of_pip_is_said_with_how_far_it_is():
    assert stage("", 0) == "fetching"
    assert stage(FETCHING, 0) == "fetching 2: rich"
    assert stage(FETCHING + UNPACKING, 2) == "unpacking 2 of 3"
    assert stage(FETCHING + UNPACKING, 9) == "unpacking 3 of 3"


@pytest.mark.parametrize(
    ("in_terminal", "shown"),
    [
        (True, "\r\x1b[K  fetching 2: rich\r\x1b[K  unpacking 1 of 3\r\x1b[K  unpacking 2 of 3"),
        (False, "  fetching 2: rich\n  unpacking 1 of 3\n"),
    ],
)
def test_a_terminal_has_one_line_and_a_log_one_for_each_half(in_terminal, shown, capsys):
    show = Progress(in_terminal)
    for log, installed in ((FETCHING, 0), (FETCHING, 0), (UNPACKING, 1), (UNPACKING, 2)):
        show(log, installed)
    assert capsys.readouterr().out == shown


def test_what_is_installed_already_is_not_counted_and_pips_exit_code_counts(tmp_path):
    (tmp_path / "pip-26.dist-info").mkdir()
    seen = []

    def show(log, installed):
        seen.append(stage(log, installed))
        if seen[-1] == "unpacking 1 of 3":
            (tmp_path / "seen").touch()

    code = install([sys.executable, "-c", FAKE_PIP, str(tmp_path)], tmp_path / "pip.log", tmp_path, show)
    assert code == 1 and seen[-1] == "unpacking 1 of 3"
    assert "no wheel for two" in (tmp_path / "pip.log").read_text()
