"""What ``deploy/`` holds: each file is one that its reader takes, and says what the docs say."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from azure_function.build import contents
from deploy.shell.made import files
from helpers.commands.command_line import EXIT_CODES, parse
from helpers.process import Part, interrupts
from helpers.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
UNITS = ["misp2sentinel.service", "misp2sentinel.timer", "misp2sentinel@.service", "misp2sentinel@.timer"]
COMMAND = "/usr/local/bin/misp2sentinel"
STATE = "/var/lib/misp2sentinel"


def needed(program):
    """The path of a program that reads one of the files; the test is skipped where there is none."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{program} was not found: nothing else can say whether the file is right")
    return path


def text(name):
    return (DEPLOY / name).read_text(encoding="utf-8")


# --- cron, logrotate, systemd ----------------------------------------------------------------------


def test_crons_line_runs_as_the_user_of_the_docs():
    _, line = text("host/misp2sentinel.cron").splitlines()
    assert re.fullmatch(rf"([0-9*/,-]+ ){{5}}www-data {COMMAND}", line)


@pytest.mark.parametrize(
    ("name", "page"), [("host/misp2sentinel.cron", "operate.md"), ("host/misp2sentinel.logrotate", "operate.md")]
)
def test_the_docs_show_what_is_in_the_file(name, page):
    assert f"```\n{text(name)}```" in (ROOT / "docs" / page).read_text(encoding="utf-8")


def test_logrotate_takes_its_file_and_finds_every_log(tmp_path):
    config = tmp_path / "misp2sentinel"
    config.write_text(
        text("host/misp2sentinel.logrotate").replace(STATE, str(tmp_path)).replace("su www-data www-data", "")
    )
    config.chmod(0o644)
    names = ["misp2sentinel.log", "misp2sentinel-paris.log", "sentinel_response.txt"]
    for name in names:
        (tmp_path / name).write_text("a line\n")
    process = subprocess.run(
        [needed("logrotate"), "-d", "-s", str(tmp_path / "state"), str(config)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "error" not in process.stderr.lower()
    assert all(f"considering log {tmp_path / name}" in process.stderr for name in names)


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """The units, whose command is one that is on this machine, and instances of the templates."""
    place = tmp_path_factory.mktemp("units")
    for name in UNITS:
        (place / name.replace("@", "@paris")).write_text(text(f"host/{name}").replace(COMMAND, "/bin/true"))
    return place


@pytest.mark.parametrize("name", [name.replace("@", "@paris") for name in UNITS])
def test_systemd_takes_a_unit(units, name):
    process = subprocess.run(
        [needed("systemd-analyze"), "verify", "--man=no", str(units / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in process.stderr.splitlines() if "misp2sentinel" in line]
    assert (process.returncode, ours) == (0, [])


@pytest.mark.parametrize("name", [name for name in UNITS if name.endswith("service")])
def test_a_service_is_locked_in(units, name):
    process = subprocess.run(
        [
            *(needed("systemd-analyze"), "security", "--offline=true", "--threshold=20", "--no-pager"),
            str(units / name.replace("@", "@paris")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout
    assert f"StateDirectory={Path(STATE).name}\n" in text(f"host/{name}")
    assert "User=www-data\n" in text(f"host/{name}")


def test_an_instance_runs_its_destination_with_a_log_of_its_own():
    template, plain = text("host/misp2sentinel@.service"), text("host/misp2sentinel.service")
    assert f"ExecStart={COMMAND} --workspace %i\n" in template
    assert "MISP2SENTINEL_LOG_FILE=misp2sentinel-%i.log\n" in template
    assert template.partition("User=")[2] == plain.partition("User=")[2], "they are locked in alike"


def test_a_service_takes_the_part_that_the_docs_give_it(tmp_path):
    """The unit's own command is none, so the drop-in has to replace it."""
    page = (ROOT / "docs" / "destinations.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"^    \[Service\]\n(?:    .+\n)+", page, re.MULTILINE)
    drop_in = tmp_path / "misp2sentinel.service.d" / "override.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(textwrap.dedent(lines).replace(COMMAND, "/bin/true"))
    unit = tmp_path / "misp2sentinel.service"
    unit.write_text(text("host/misp2sentinel.service").replace(COMMAND, "/nowhere/misp2sentinel"))
    process = subprocess.run(
        [needed("systemd-analyze"), "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert (process.returncode, [line for line in process.stderr.splitlines() if "misp2sentinel" in line]) == (0, [])
    *_, command = lines.split("\n    ")
    assert parse(shlex.split(command)[1:]).part == Part(1, 4)


def test_a_service_has_an_end_and_room_for_the_largest_answer():
    """An answer takes up to five times its size while it is read, and the rest of a run some 300 MB."""
    for name in (name for name in UNITS if name.endswith("service")):
        assert "TimeoutStartSec=12h\n" in text(f"host/{name}")
        (gib,) = re.findall(r"^MemoryMax=(\d+)G$", text(f"host/{name}"), re.MULTILINE)
        assert int(gib) * 1024 >= 5 * Settings.model_fields["misp_answer_mib"].default + 300
        (stop,) = re.findall(r"^TimeoutStopSec=(\d+)min$", text(f"host/{name}"), re.MULTILINE)
        assert int(stop) * 60 > interrupts.LONGEST_END + interrupts.LONGEST_PUT_OFF
    shown = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    assert f"--memory={gib}g --timeout={12 * 3600} " in shown


# --- completion and the manual page -----------------------------------------------------------------

SHELL = DEPLOY / "shell"


@pytest.mark.parametrize("name", files())
def test_the_shells_know_the_command_line_as_it_is(name):
    assert (SHELL / name).read_text(encoding="utf-8") == files()[name], "run: make shell-files"


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (["ch"], ["check"]),
        (["with"], ["withdraw"]),
        (["--dry"], ["--dry-run"]),
        (["run", "--retry"], ["--retry-rejected"]),
        (["status", "--max"], ["--max-age"]),
        (["status", "--full"], []),
        (["--config", "script"], ["script.py"]),
        (["convert", "READ"], ["README.md"]),
    ],
    ids=str,
)
def test_bash_completes_what_is_typed(typed, found):
    words = " ".join(map(shlex.quote, ["misp2sentinel", *typed]))
    program = f"""source {SHELL / "misp2sentinel.bash"}
COMP_WORDS=({words}) COMP_CWORD={len(typed)}
_shtab_misp2sentinel misp2sentinel {shlex.quote(typed[-1])} && printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == found


@pytest.mark.parametrize(("shell", "name"), [("zsh", "_misp2sentinel"), ("fish", "misp2sentinel.fish")])
def test_the_other_shells_can_read_theirs(shell, name):
    process = subprocess.run([needed(shell), "-n", str(SHELL / name)], capture_output=True, text=True, check=False)
    assert (process.returncode, process.stderr) == (0, "")


def test_the_manual_page_is_well_formed_and_has_every_exit_code():
    page = SHELL / "misp2sentinel.1"
    done = subprocess.run(
        [needed("groff"), "-man", "-ww", "-Tascii", "-P-cbou", str(page)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    status = done.stdout.partition("EXIT STATUS")[2]
    assert [int(line.split()[0]) for line in status.splitlines() if re.match(r" +\d+ ", line)] == [*EXIT_CODES]


# --- the image -------------------------------------------------------------------------------------


def instructions():
    lines = [line for line in text("Containerfile").replace("\\\n", " ").splitlines() if line[:1] not in ("", "#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def test_the_image_has_what_a_run_needs_and_nothing_of_the_sites():
    copied = [words.split()[:-1] for name, words in instructions() if name == "COPY" and "--from" not in words]
    names = sorted(name for sources in copied for name in sources)
    wanted = [
        "LICENSE",
        "constants.py",
        "helpers/",
        "requirements-keyvault.txt",
        "requirements-notify.txt",
        "requirements.txt",
        "script.py",
    ]
    assert names == wanted
    assert all((ROOT / name).exists() for name in names)
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] != "#"]
    kept = sorted(line[1:] for line in ignored if line.startswith("!"))
    # As a whole: of a pattern such as helpers/**/*.py, buildah 1.28 takes what is directly in the directory alone.
    assert (kept, ignored[0]) == ([name.rstrip("/") for name in wanted], "*")
    assert ignored[-1] == "**/__pycache__"


def test_the_image_and_the_function_have_the_same_of_the_program():
    ours = {path for path in (ROOT / "helpers").glob("**/*") if path.is_file() and path.parent.name != "__pycache__"}
    assert {ROOT / name for name in contents() if name.startswith("helpers/")} == ours
    assert contents()["LICENSE"] == (ROOT / "LICENSE").read_bytes(), "MIT wants it in all copies"


def test_the_image_runs_as_nobody_in_particular_and_writes_to_its_volume_only():
    values = dict(instructions())
    assert re.fullmatch(r"[1-9][0-9]{3,}:[1-9][0-9]{3,}", values["USER"])
    assert values["VOLUME"] == f'["{STATE}"]'
    assert f"MISP2SENTINEL_STATE_DIR={STATE}" in values["ENV"]
    assert values["ENTRYPOINT"] == '["/opt/misp2sentinel/.venv/bin/python", "/opt/misp2sentinel/script.py"]'
    assert [words.split()[0] for name, words in instructions() if name == "FROM"] == ["${BASE}", "${BASE}"]
    assert re.fullmatch(r"BASE=\S+:[0-9.]+-slim-\w+", values["ARG"]), "a digest is looked up, and not made up here"
    (pip,) = (words for name, words in instructions() if "pip install" in words)
    assert "--require-hashes" in pip
    assert not any(name == "ADD" or "latest" in words for name, words in instructions())
