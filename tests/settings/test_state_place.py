"""Where the ledger, the lock and the log are when state_dir is not set: the decision by a table, and the disk."""

import os
import re
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers.commands.collect import Known, Memory
from helpers.errors import SettingsError
from helpers.settings import Settings, load
from helpers.settings.config import places
from helpers.settings.config.state_place import Asker, Candidate, Kind, decide
from helpers.sync.run import make_state_dir
from tests.settings.test_trust import SOC, acting_as, as_root, on_a_host, owned

__all__ = ["on_a_host"]
USER, ROOT = "www-data", "root"
HOME, PROGRAM, BESIDE = (
    Path("/var/www/.local/state/misp2sentinel"),
    Path("/var/lib/misp2sentinel"),
    Path("/etc/m/state"),
)
CONFIG = Path("/etc/m/config.py")


# --- deciding --------------------------------------------------------------------------------------


def candidates(home=None, program=None, beside=None):
    """The three as a host has them where nothing is there and nothing can be made, but for what is given."""
    return [
        replace(Candidate(HOME, Kind.OF_USER), **home or {}),
        replace(Candidate(PROGRAM, Kind.OF_PROGRAM), **program or {}),
        replace(Candidate(BESIDE, Kind.BESIDE_CONFIG), **beside or {}),
    ]


def decided(config=CONFIG, *, for_ledger=True, **given):
    return decide(candidates(**given), Asker(USER, config, PROGRAM), for_ledger=for_ledger)


CAN_BE = {"is_usable": True}
OWN = {"owner": USER, "is_usable": True}
LOG = {**OWN, "has_files": True}
LEDGER = {**LOG, "has_ledger": True}
ROOTS = {"owner": ROOT}
SEEN = {**ROOTS, "has_ledger": True, "has_files": True}
SHUT = {**ROOTS, "is_closed": True}
TAKEN = {
    "today's place": ({"home": CAN_BE, "program": OWN, "beside": CAN_BE}, HOME),
    "the program's, where the home cannot be": ({"program": OWN, "beside": CAN_BE}, PROGRAM),
    "the program's is another's": ({"program": {**ROOTS, "is_usable": True}, "beside": CAN_BE}, BESIDE),
    "the program's is not there": ({"beside": CAN_BE}, BESIDE),
    "a ledger in the program's": ({"home": OWN, "program": LEDGER, "beside": OWN}, PROGRAM),
    "a ledger beside config.py": ({"home": LOG, "program": LOG, "beside": LEDGER}, BESIDE),
    "a ledger of this user's, and another installation's": ({"home": LEDGER, "program": SEEN}, HOME),
    "files and no ledger": ({"home": OWN, "program": OWN, "beside": LOG}, BESIDE),
    "files in two": ({"home": CAN_BE, "program": LOG, "beside": LOG}, PROGRAM),
    "files where nothing can be written": ({"home": {**ROOTS, "has_files": True}, "beside": CAN_BE}, BESIDE),
    "a ledger, and what may not be looked into": ({"home": SHUT, "beside": LEDGER}, BESIDE),
    "another installation that may not be looked into": ({"home": OWN, "program": SHUT}, HOME),
    "root, where only another installation has a ledger": ({"home": OWN, "program": {**SEEN, **CAN_BE}}, PROGRAM),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_place_is_taken(name):
    given, expected = TAKEN[name]
    place = decided(**given)
    assert (place.path, place.problem) == (expected, "")
    assert place.kind in (Kind.OF_USER, Kind.OF_PROGRAM, Kind.BESIDE_CONFIG)


OF_ITS_OWN = 'state_dir = "/var/lib/misp2sentinel-www-data" in /etc/m/config.py'
REFUSED = {
    "two ledgers": (
        {"home": LEDGER, "beside": LEDGER},
        [f"a ledger in {HOME} and one in {BESIDE}", f'state_dir = "{HOME}" in {CONFIG}', f"ls -l {HOME}/ledger.sqlite"],
    ),
    "two ledgers, of which one cannot be written": (
        {"home": SEEN, "program": LEDGER},
        [f"a ledger in {HOME} and one in {PROGRAM}"],
    ),
    "the ledger is root's": (
        {"home": SEEN, "program": OWN, "beside": OWN},
        [
            f"ledger in {HOME}, which www-data may not write",
            "run this as root",
            f"chown -R www-data {HOME}",
            OF_ITS_OWN,
        ],
    ),
    "the ledger's disk can only be read": (
        {"home": {**LEDGER, "is_usable": False}, "beside": OWN},
        [f"ledger in {HOME}, which www-data may not write", "mounted read-only", OF_ITS_OWN],
    ),
    "only another installation has a ledger": (
        {"home": OWN, "program": SEEN},
        [f"ledger in {PROGRAM}", "run this as root", OF_ITS_OWN],
    ),
    "what may not be looked into": (
        {"home": SHUT, "program": OWN, "beside": OWN},
        [f"may not look into {HOME}, where a ledger may be", "run this as root", OF_ITS_OWN],
    ),
    "no place": (
        {},
        [
            f"{HOME} cannot be made by www-data, {PROGRAM} is not there, {BESIDE} cannot be made by www-data",
            "As root, install -d -o www-data -m 700 /var/lib/misp2sentinel;",
            'state_dir = "/var/lib/misp2sentinel" in /etc/m/config.py',
        ],
    ),
    "no place, and the program's is another's": (
        {"home": ROOTS, "program": SHUT},
        [
            f"{HOME} cannot be written by www-data, {PROGRAM} belongs to root",
            "-m 700 /var/lib/misp2sentinel-www-data;",
            OF_ITS_OWN,
        ],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_problem_says_which_line_to_add(name):
    given, words = REFUSED[name]
    place = decided(**given)
    assert place.path is None
    assert place.problem.startswith("state_dir is not set, and ")
    assert [word for word in words if word not in place.problem] == []
    assert "or MISP2SENTINEL_STATE_DIR=/" in place.problem


def test_without_a_config_file_the_variable_is_named():
    assert decided(config=None).problem.endswith("; then name it: MISP2SENTINEL_STATE_DIR=/var/lib/misp2sentinel.")


def test_where_the_ledger_is_elsewhere_there_is_none_to_be_placed():
    assert "there is no place for lock and log: " in decided(for_ledger=False).problem


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"home": LEDGER, "beside": LEDGER}, HOME),
        ({"home": SEEN, "beside": CAN_BE}, BESIDE),
        ({"home": SHUT, "beside": CAN_BE}, BESIDE),
        ({"home": CAN_BE, "program": LOG}, PROGRAM),
    ],
)
def test_a_ledger_elsewhere_leaves_lock_and_log_to_any_place(given, expected):
    assert decided(**given, for_ledger=False).path == expected


# --- the disk --------------------------------------------------------------------------------------


@pytest.fixture
def host(monkeypatch):
    """A directory that every user may enter, with a home, a program's place that is not there, and a config.py."""
    with tempfile.TemporaryDirectory() as folder:
        host = Path(folder)
        host.chmod(0o755)
        (host / "home").mkdir()
        (host / "etc").mkdir()
        (host / "etc" / "config.py").write_text("")
        monkeypatch.setenv("HOME", str(host / "home"))
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
        monkeypatch.setattr(places, "OF_PROGRAM", host / "lib")
        yield host


def settings_of(host, **environ):
    return load(host / "etc" / "config.py", environ, offline=True).settings


def home_place(host):
    return host / "home" / ".local" / "state" / "misp2sentinel"


def filled(directory, user=None, name="ledger.sqlite"):
    """Make a directory as a run of a user leaves it."""
    directory.mkdir(parents=True, mode=0o700)
    (directory / name).write_text("")
    if user is not None:
        owned(directory, user, user, 0o700)
        owned(directory / name, user, user, 0o600)
    return directory


def test_nothing_is_made_by_looking(host):
    assert settings_of(host).state_path == home_place(host)
    assert sorted(path.name for path in host.rglob("*")) == ["config.py", "etc", "home"]


def test_a_ledger_wins_wherever_it_is(host):
    filled(host / "etc" / "state")
    assert settings_of(host).state_path == host / "etc" / "state"
    filled(host / "lib")
    with pytest.raises(SettingsError, match=f"a ledger in {host}/lib and one in {host}/etc/state"):
        _ = settings_of(host).state_path


def test_what_runs_leave_beside_a_ledger_elsewhere_keeps_the_place(host):
    filled(host / "lib", name="misp2sentinel.log")
    assert settings_of(host, MISP2SENTINEL_STATE_URL="none").state_path == host / "lib"


def test_a_directory_called_logs_is_anybody_s(host):
    (host / "etc" / "state" / "logs").mkdir(parents=True)
    assert settings_of(host).state_path == home_place(host)


def test_the_place_is_decided_once(host):
    settings = settings_of(host)
    filled(host / "lib")
    copy = settings.model_copy(update={"dry_run": True})
    assert copy.state_path == settings.state_path == home_place(host)
    assert settings_of(host).state_path == host / "lib"


def test_a_link_in_place_of_the_directory_is_refused(host):
    home_place(host).parent.mkdir(parents=True)
    home_place(host).symlink_to(filled(host / "elsewhere"))
    with pytest.raises(SettingsError, match=r"is a symbolic link to .*/elsewhere, which is refused"):
        make_state_dir(settings_of(host))


def test_one_directory_under_two_paths_has_one_ledger(host, monkeypatch):
    filled(host / "lib")
    (host / "data").symlink_to(".")
    monkeypatch.setattr(places, "OF_PROGRAM", host / "data" / "home" / "misp2sentinel")
    monkeypatch.setenv("XDG_STATE_HOME", str(host / "home"))
    filled(host / "home" / "misp2sentinel")
    assert settings_of(host).state_path == host / "home" / "misp2sentinel"


@pytest.fixture
def known_home(host, monkeypatch):
    """The home that the system knows of this user."""
    entry = SimpleNamespace(pw_name="svc", pw_dir=str(host / "known"))
    monkeypatch.setattr(places.pwd, "getpwuid", lambda _: entry)
    (host / "known").mkdir()
    return host / "known"


@pytest.mark.parametrize("home", [None, "", "relative", "/dev/null"])
def test_a_home_that_is_none_is_the_one_that_the_system_knows(host, home, known_home, monkeypatch):
    monkeypatch.delenv("HOME")
    if home is not None:
        monkeypatch.setenv("HOME", home)
    assert settings_of(host).state_path == known_home / ".local" / "state" / "misp2sentinel"


def test_the_home_in_the_environment_comes_first(host, known_home):
    filled(known_home / ".local" / "state" / "misp2sentinel")
    assert settings_of(host).state_path == home_place(host)


def test_settings_that_were_not_loaded_have_no_place():
    with pytest.raises(SettingsError, match="state_dir is not set"):
        _ = Settings().state_path


def closed_host(host, user=SOC):
    """Make the home root's, and the place of config.py this user's."""
    owned(host / "home", mode=0o700)
    owned(host / "etc", user, user, 0o700)
    owned(host / "etc" / "config.py", user, user, 0o600)


@as_root
@pytest.mark.parametrize("place", [".local/state/misp2sentinel", "lib"])
@pytest.mark.parametrize("target", ["of-root", "not-mounted"])
def test_a_link_is_not_passed_over_either(host, place, target):
    closed_host(host)
    owned(host / "home", mode=0o755)
    (host / "of-root").mkdir(mode=0o755)
    owned(host / "of-root", SOC if place == "lib" else 0, mode=0o755)
    link = host / "lib" if place == "lib" else home_place(host)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(host / target)
    with acting_as(SOC, SOC), pytest.raises(SettingsError, match=f"is a symbolic link to {host}/{target}"):
        make_state_dir(settings_of(host))


@as_root
@pytest.mark.parametrize(
    ("owner", "place"),
    [(SOC, "lib"), (0, "etc/state")],
)
def test_where_the_home_cannot_be_written_another_place_is_taken(host, owner, place):
    closed_host(host)
    (host / "lib").mkdir()
    owned(host / "lib", owner, owner, 0o700)
    with acting_as(SOC, SOC):
        settings = settings_of(host)
        assert settings.state_path == host / place
        make_state_dir(settings)
        assert (host / place).stat().st_mode & 0o777 == 0o700
        assert (host / "etc" / "state" / ".gitignore").exists() is (place == "etc/state")


@as_root
@pytest.mark.parametrize("change", ["unwritable", "unset"])
def test_a_user_without_a_home_and_without_a_place_is_told_the_line(host, change, monkeypatch):
    closed_host(host)
    if change == "unset":
        monkeypatch.delenv("HOME")
    owned(host / "etc", mode=0o755)
    with acting_as(SOC, SOC):
        settings = settings_of(host)
        with pytest.raises(SettingsError, match=f'-o {SOC} -m 700 {host}/lib; then name it: state_dir = "{host}/lib"'):
            make_state_dir(settings)
    assert not settings.has_state_path
    assert not (host / "lib").exists() and not (host / "etc" / "state").exists()


@as_root
def test_nothing_is_put_beside_a_config_file_in_a_directory_for_all(host):
    """As in /tmp: anybody could have put a directory of that name there, and it is gone after a restart."""
    closed_host(host)
    owned(host / "etc", mode=0o1777)
    with acting_as(SOC, SOC), pytest.raises(SettingsError, match="there is no place") as caught:
        make_state_dir(settings_of(host))
    assert f"{host}/etc/state" not in str(caught.value)


@as_root
def test_a_ledger_that_another_user_keeps_is_never_passed_over(host):
    closed_host(host)
    owned(host / "home", SOC, SOC)
    state = filled(host / "etc" / "state", 0)
    for mode, words in (
        (0o700, f"may not look into {state}"),
        (0o755, f"ledger in {state}, which {SOC} may not write"),
    ):
        state.chmod(mode)
        with acting_as(SOC, SOC), pytest.raises(SettingsError, match=words) as caught:
            make_state_dir(settings_of(host))
        assert f"It belongs to root: run this as root, or, if {SOC} is to run it" in str(caught.value)
    assert list((host / "home").iterdir()) == []
    subprocess.run(["sh", "-euc", re.search(r"chown -R \S+ \S+(?=\.)", str(caught.value))[0]], check=True)
    with acting_as(SOC, SOC):
        assert settings_of(host).state_path == state


@as_root
def test_a_ledger_that_can_only_be_read_is_said(host):
    closed_host(host)
    ledger = filled(host / "etc" / "state", SOC) / "ledger.sqlite"
    ledger.chmod(0o400)
    with acting_as(SOC, SOC), pytest.raises(SettingsError, match="It is this user's own: see its mode"):
        make_state_dir(settings_of(host))


@as_root
def test_another_users_home_in_the_environment_makes_no_second_ledger(host, known_home):
    """As runuser leaves it, so that status asks what cron's runs wrote down."""
    closed_host(host)
    owned(known_home, SOC, SOC, 0o700)
    with acting_as(SOC, SOC):
        assert settings_of(host).state_path == known_home / ".local" / "state" / "misp2sentinel"


@pytest.fixture
def homeless(host, known_home, monkeypatch):
    """The host, with homes that not even root can write in."""
    monkeypatch.setenv("HOME", os.devnull)
    known_home.rmdir()
    known_home.touch()
    return host


def test_what_collect_remembers_is_no_file_of_a_clone_either(homeless):
    Memory(settings_of(homeless)).write(Known())
    assert {path.name for path in (homeless / "etc" / "state").iterdir()} == {".gitignore", "stories.json"}


@as_root
@pytest.mark.usefixtures("on_a_host")
def test_root_uses_no_place_that_others_may_change(homeless):
    host = homeless
    (host / "etc" / "state").mkdir()
    (host / "etc" / "state").chmod(0o777)
    with pytest.raises(SettingsError, match=rf"state_dir \(default\) is not used by root: {host}/etc/state may be"):
        make_state_dir(settings_of(host))
