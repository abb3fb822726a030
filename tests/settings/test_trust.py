"""Who else may change config.py and state_dir: the decision by tables, and real directories as root."""

import os
import re
import stat
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers.commands.check import Preflight
from helpers.errors import SettingsError
from helpers.files import steps_to
from helpers.ledger.database import Database
from helpers.ledger.questions.lookup import ledger_destinations
from helpers.process.log import try_out
from helpers.settings import cross_checks, environment, load
from helpers.settings.config import places
from helpers.settings.config.trust import ROOT, Names, Reader, Trusted, Writers, sentences, writers
from helpers.sync.run import make_state_dir
from tests.support import Said

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of other users")
WWW, SOC = 33, 4242  # www-data, as Debian numbers it, and a group without a name
DIRECTORY, FILE, LINK = stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK


# --- deciding --------------------------------------------------------------------------------------


def steps(**modes):
    """Steps to /etc/m2s/config.py, all root's and closed but for what is given: (mode, uid, gid)."""
    closed = {"root": (DIRECTORY | 0o755, 0, 0), "etc": (DIRECTORY | 0o755, 0, 0), "m2s": (DIRECTORY | 0o750, 0, WWW)}
    paths = {"root": "/", "etc": "/etc", "m2s": "/etc/m2s", "config": "/etc/m2s/config.py"}
    standing = {**closed, "config": (FILE | 0o640, 0, WWW), **modes}
    return [
        (paths[name], SimpleNamespace(st_mode=mode, st_uid=uid, st_gid=gid))
        for name, (mode, uid, gid) in standing.items()
    ]


CONFIG, ABOVE = "/etc/m2s/config.py", "/etc/m2s"
DECISIONS = {
    "as Install makes it": ({}, {}),
    "the owner": ({"config": (FILE | 0o400, WWW, 0)}, {CONFIG: Writers(owner=WWW)}),
    "root's, and everybody may write": ({"config": (FILE | 0o666, 0, 0)}, {CONFIG: Writers(everybody=True)}),
    "root's group may write": ({"config": (FILE | 0o660, 0, 0), "m2s": (DIRECTORY | 0o770, 0, 0)}, {}),
    "another group may write": ({"config": (FILE | 0o660, 0, WWW)}, {CONFIG: Writers(group=WWW)}),
    "a group may write above": ({"m2s": (DIRECTORY | 0o770, 0, SOC)}, {ABOVE: Writers(group=SOC)}),
    "everybody may write far above": ({"etc": (DIRECTORY | 0o777, 0, 0)}, {"/etc": Writers(everybody=True)}),
    "everybody, with the sticky bit": ({"m2s": (DIRECTORY | 0o1777, 0, 0)}, {}),
    "sticky, and the file is another's": (
        {"m2s": (DIRECTORY | 0o1777, 0, 0), "config": (FILE | 0o600, WWW, 0)},
        {CONFIG: Writers(owner=WWW)},
    ),
    "sticky, of another user, who may remove all": (
        {"m2s": (DIRECTORY | 0o1777, WWW, 0)},
        {ABOVE: Writers(owner=WWW)},
    ),
    "the sticky bit of a file says nothing": ({"config": (FILE | 0o1666, 0, 0)}, {CONFIG: Writers(everybody=True)}),
    "a link that another made in a closed directory": ({"config": (LINK | 0o777, WWW, WWW)}, {}),
    "a link that another made where all may": (
        {"m2s": (DIRECTORY | 0o1777, 0, 0), "config": (LINK | 0o777, WWW, WWW)},
        {CONFIG: Writers(owner=WWW, is_link=True)},
    ),
    "root's link where all may": ({"m2s": (DIRECTORY | 0o1777, 0, 0), "config": (LINK | 0o777, 0, 0)}, {}),
    "a device": ({"config": (stat.S_IFCHR | 0o666, 0, 0)}, {}),
    "all at once": (
        {"config": (FILE | 0o666, WWW, SOC)},
        {CONFIG: Writers(owner=WWW, group=SOC, everybody=True)},
    ),
}


@pytest.mark.parametrize("name", DECISIONS)
def test_who_else_may_change_a_file(name):
    standing, expected = DECISIONS[name]
    assert writers(steps(**standing), ROOT) == expected


def test_a_directory_that_is_filled_must_not_be_open_to_others_with_the_sticky_bit_either():
    shared = [("/tmp", SimpleNamespace(st_mode=DIRECTORY | 0o1777, st_uid=0, st_gid=0))]
    assert writers(shared, ROOT) == {}
    assert writers(shared, ROOT, filled=True) == {"/tmp": Writers(everybody=True, sticky=True)}
    assert writers([], ROOT, filled=True) == {}


def test_a_user_trusts_itself_and_its_group():
    me = Trusted(frozenset({0, WWW}), frozenset({0, WWW}))
    standing = steps(m2s=(DIRECTORY | 0o770, WWW, WWW), config=(FILE | 0o660, WWW, WWW))
    assert writers(standing, me) == {}
    assert writers(standing, ROOT).keys() == {ABOVE, CONFIG}


NAMES = Names(lambda uid: {WWW: "www-data"}.get(uid, str(uid)), str, frozenset({"/home/ann"}))
RUN_AS = (
    "run this as www-data (the installed command misp2sentinel changes to its user), "
    "or, if root is to run it from now on, "
)
SENTENCES = {
    "owner": (
        {CONFIG: Writers(WWW), ABOVE: Writers(WWW)},
        {},
        [f"{ABOVE} and {CONFIG} may be changed by www-data: {RUN_AS}chown root {ABOVE} {CONFIG}"],
    ),
    "owner and group": (
        {CONFIG: Writers(WWW, SOC)},
        {},
        [f"{CONFIG} may be changed by www-data and the group 4242: {RUN_AS}chown root {CONFIG} && chmod g-w {CONFIG}"],
    ),
    "everybody, and a path with a space": (
        {"/srv/a b": Writers(group=SOC, everybody=True)},
        {},
        ["/srv/a b may be changed by everybody: chmod go-w '/srv/a b'"],
    ),
    "one sentence for each kind": (
        {CONFIG: Writers(everybody=True), ABOVE: Writers(group=SOC)},
        {},
        [
            f"{ABOVE} may be changed by the group 4242: chmod g-w {ABOVE}",
            f"{CONFIG} may be changed by everybody: chmod o-w {CONFIG}",
        ],
    ),
    "nobody's home is given away": (
        {"/home/ann": Writers(WWW), "/home/ann/config.py": Writers(WWW)},
        {},
        [
            "/home/ann and /home/ann/config.py may be changed by www-data: "
            f"{RUN_AS}name another place, where only root may write"
        ],
    ),
    "a user without a name": (
        {CONFIG: Writers(SOC)},
        {},
        [
            f"{CONFIG} may be changed by 4242: run this as 4242, or, if root is to run it from now on, "
            f"chown root {CONFIG}"
        ],
    ),
    "a link": (
        {CONFIG: Writers(WWW, is_link=True)},
        {},
        [f"{CONFIG} may be changed by www-data: {RUN_AS}chown -h root {CONFIG}"],
    ),
    "a directory with what is in it": (
        {"/var/lib/m2s": Writers(WWW)},
        {"whole": True},
        [f"/var/lib/m2s may be changed by www-data: {RUN_AS}chown -R root: /var/lib/m2s"],
    ),
    "/tmp stays as it is": (
        {"/tmp": Writers(everybody=True, sticky=True)},
        {},
        ["/tmp may be changed by everybody: name a directory of its own in it"],
    ),
    "to another user than root": (
        {CONFIG: Writers(WWW)},
        {"reader": Reader.ANOTHER_USER},
        [f"{CONFIG} may be changed by www-data: as root, chown root {CONFIG}"],
    ),
    "to root in a container, where www-data has no command": (
        {CONFIG: Writers(WWW)},
        {"reader": Reader.ROOT_ELSEWHERE},
        [
            f"{CONFIG} may be changed by www-data: run this as www-data, or, if root is to run it from now on, chown "
            f"root {CONFIG}"
        ],
    ),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_each_is_said_once_with_what_to_do(name):
    found, how, expected = SENTENCES[name]
    assert sentences(found, NAMES, **{"reader": Reader.ROOT_ON_A_HOST, **how}) == expected


# --- the way to a file -----------------------------------------------------------------------------


def test_the_way_leads_over_each_directory_and_link_and_ends_at_the_file(tmp_path):
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "far" / "config.py").write_text("")
    (tmp_path / "near").symlink_to("far/deep")
    (tmp_path / "config.py").symlink_to(tmp_path / "near" / ".." / "config.py")
    paths = [Path(path) for path, _ in steps_to(tmp_path / "config.py")]
    assert paths[-1] == tmp_path / "far" / "config.py"
    for passed in ("config.py", "near", "far", "far/deep"):
        assert tmp_path / passed in paths
    assert set(tmp_path.parents) < set(paths)


def test_the_way_ends_where_nothing_is_and_in_a_circle(tmp_path):
    assert steps_to(tmp_path / "absent" / "config.py")[-1][0] == str(tmp_path)
    (tmp_path / "round").symlink_to("round")
    assert steps_to(tmp_path / "round")[-1][0] == str(tmp_path / "round")


def test_what_is_passed_twice_comes_last(tmp_path):
    (tmp_path / "up").symlink_to(tmp_path.parent)
    assert steps_to(tmp_path / "up")[-1][0] == str(tmp_path.parent)


# --- config.py -------------------------------------------------------------------------------------


@pytest.fixture
def on_a_host(monkeypatch):
    """This is no container, wherever the tests run."""
    monkeypatch.setattr(places, "CONTAINER_FILES", ())
    monkeypatch.delenv(places.CONTAINER_VARIABLE, raising=False)
    for sign in environment.FUNCTION_SIGNS:
        monkeypatch.delenv(sign, raising=False)


class Etc:
    """A config.py that leaves a trace when it is run, in a directory of its own, all root's."""

    def __init__(self, tmp_path):
        self.place = tmp_path / "etc"
        self.place.mkdir(mode=0o755)
        self.place.chmod(0o755)
        self.trace = tmp_path / "was run"
        self.config = self.place / "config.py"
        self.config.write_text(f"open({str(self.trace)!r}, 'w').close()\nmisp_domain = 'https://misp.example.org'\n")
        self.config.chmod(0o644)

    def load(self, path=None, **environ):
        self.trace.unlink(missing_ok=True)
        return load(path or self.config, environ, offline=True).settings

    def refusal(self, path=None, **environ):
        """What is said when it is refused; it was not run."""
        with pytest.raises(SettingsError) as caught:
            self.load(path, **environ)
        assert not self.trace.exists()
        return list(caught.value.problems)


@pytest.fixture
def etc(tmp_path):
    return Etc(tmp_path)


def owned(path, uid=0, gid=0, mode=None):
    os.chown(path, uid, gid, follow_symlinks=False)
    if mode is not None:
        path.chmod(mode)


def other_owner(etc):
    owned(etc.config, WWW)


def group_may_write(etc):
    owned(etc.config, 0, WWW, 0o660)


def everybody_may_write(etc):
    owned(etc.config, mode=0o646)


def other_owner_above(etc):
    owned(etc.place, WWW)


def group_may_write_above(etc):
    owned(etc.place, 0, WWW, 0o775)


def everybody_may_write_above(etc):
    owned(etc.place, mode=0o777)


def all_of_it(etc):
    owned(etc.place, WWW, WWW, 0o777)
    owned(etc.config, WWW, WWW, 0o666)


REFUSED = [
    *(other_owner, group_may_write, everybody_may_write),
    *(other_owner_above, group_may_write_above, everybody_may_write_above, all_of_it),
]


def commands_in(problems):
    """The line that each problem ends with."""
    return [re.split(r": (?:.*, or, if .* on, )?(?=ch(?:own|mod) )", problem)[-1] for problem in problems]


@as_root
@pytest.mark.parametrize("spoil", REFUSED)
def test_root_runs_no_config_that_others_may_change_and_says_the_line_that_helps(spoil, etc, on_a_host):
    assert etc.load().misp_domain == "https://misp.example.org"
    spoil(etc)
    problems = etc.refusal()
    for problem in problems:
        assert problem.startswith(f"{etc.config} is not run as root, who would do whatever it says: {etc.place}")
    for command in commands_in(problems):
        subprocess.run(["sh", "-euc", command], check=True)
    assert etc.load().misp_domain == "https://misp.example.org"
    assert etc.trace.exists()


@as_root
def test_the_sentence_names_the_file_and_who(etc, on_a_host):
    other_owner(etc)
    (problem,) = etc.refusal()
    assert problem.endswith(f"{etc.config} may be changed by www-data: {RUN_AS}chown root {etc.config}")


@as_root
def test_both_ends_of_a_link_are_judged(etc, on_a_host, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    link = shared / "link.py"
    link.symlink_to(etc.config)
    assert etc.load(link)
    owned(shared, mode=0o777)
    assert f"{shared} may be changed by everybody" in etc.refusal(link)[0]
    owned(shared, mode=0o1777)
    assert etc.load(link), "the link is root's, so nobody else may put another there"
    owned(link, WWW, WWW)
    assert f"chown -h root {link}" in etc.refusal(link)[0]
    owned(link)
    owned(etc.place, WWW)
    assert f"{etc.place} may be changed by www-data" in etc.refusal(link)[0]


@as_root
def test_as_install_makes_it_is_fine(etc, on_a_host):
    owned(etc.place, 0, WWW, 0o750)
    owned(etc.config, 0, WWW, 0o640)
    assert etc.load()
    owned(etc.config, 0, 0, 0o660)
    assert etc.load(), "root's own group may write"


@as_root
def test_in_a_directory_like_tmp_root_runs_its_own_file_and_imports_nothing(etc, on_a_host):
    owned(etc.place, mode=0o1777)
    assert etc.load()
    (etc.place / "planted_for_root.py").write_text("")
    etc.config.write_text("import planted_for_root\n")
    assert "No module named 'planted_for_root'" in etc.refusal()[0]
    owned(etc.place, mode=0o755)
    etc.load()


@as_root
def test_what_is_run_is_what_was_judged(etc, on_a_host, monkeypatch, tmp_path):
    """The path leads elsewhere by the time that it is looked at."""
    other = tmp_path / "other.py"
    other.write_text("")
    monkeypatch.setattr(places, "steps_to", lambda _path: steps_to(other))
    assert "is not the file that this path leads to" in etc.refusal()[0]


def test_a_pipe_is_no_config_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "config.py")
    with pytest.raises(SettingsError, match=r"config\.py is a pipe or the like: name a file"):
        load(tmp_path / "config.py", {}, offline=True)


def test_a_device_without_an_end_is_none_either():
    with pytest.raises(SettingsError, match="/dev/zero is a pipe or the like: name a file"):
        load(Path("/dev/zero"), {}, offline=True)
    assert load(Path(os.devnull), {}, offline=True)


def test_a_config_may_have_what_it_had(tmp_path, monkeypatch):
    """Its path, modules beside it, classes that look for their module, and no future of ours."""
    (tmp_path / "beside_config.py").write_text("domain = 'https://misp.example.org'\n")
    (tmp_path / "config.py").write_text(
        "import dataclasses, pathlib\nfrom beside_config import domain\n"
        "@dataclasses.dataclass\nclass Site:\n    domain: str\n"
        "assert Site.__annotations__ == {'domain': str}\n"
        "assert pathlib.Path(__file__).name == 'config.py' and __name__ != '__main__'\n"
        "misp_domain = Site(domain).domain\n"
    )
    assert load(tmp_path / "config.py", {}, offline=True).settings.misp_domain == "https://misp.example.org"


# --- where it is a warning only --------------------------------------------------------------------


def container_file(monkeypatch, tmp_path):
    (tmp_path / ".containerenv").write_text("")
    monkeypatch.setattr(places, "CONTAINER_FILES", (str(tmp_path / ".containerenv"),))
    return {}


def pod(_monkeypatch, _tmp_path):
    return {"KUBERNETES_SERVICE_HOST": "192.0.2.1"}


def function(_monkeypatch, _tmp_path):
    return {environment.FUNCTION_SIGNS[0]: "python"}


def another_user(monkeypatch, _tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: SOC)
    return {}


ELSEWHERE = [container_file, pod, function, another_user]


@as_root
@pytest.mark.parametrize("elsewhere", ELSEWHERE)
@pytest.mark.parametrize("spoil", [other_owner, everybody_may_write_above])
def test_elsewhere_it_is_a_warning_for_check(spoil, elsewhere, etc, on_a_host, monkeypatch, tmp_path):
    spoil(etc)
    environ = elsewhere(monkeypatch, tmp_path)
    loaded = load(etc.config, {**environ, "MISP2SENTINEL_STATE_DIR": str(tmp_path / "state")}, offline=True)
    assert etc.trace.exists()
    assert not [warning for warning in loaded.warnings if "may be changed" in warning]
    ((name, warning),) = cross_checks.distrusted_places(loaded.settings)
    assert name == "config.py" and "may be changed by" in warning
    assert "changes to its user" not in warning
    assert ("as root, chown" in warning) == (spoil is other_owner and os.geteuid() != 0)
    assert ("run this as www-data, or" in warning) == (spoil is other_owner and os.geteuid() == 0)


@as_root
def test_what_is_mounted_read_only_is_no_warning(etc, on_a_host, monkeypatch):
    everybody_may_write_above(etc)
    assert places.of_config(etc.config)
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert places.of_config(etc.config) == []
    assert places.of_config(etc.config, etc.config.stat()), "on a host, others may write where it is not"


# --- state_dir -------------------------------------------------------------------------------------


def settings_with(place, **environ):
    return load(Path(os.devnull), {"MISP2SENTINEL_STATE_DIR": str(place), **environ}, offline=True).settings


@pytest.fixture
def state(tmp_path, on_a_host):
    place = tmp_path / "lib" / "state"
    place.parent.mkdir()
    return settings_with(place)


def refused_state(settings):
    with pytest.raises(SettingsError) as caught:
        make_state_dir(settings)
    return list(caught.value.problems)


@as_root
@pytest.mark.parametrize(
    ("uid", "gid", "mode", "line"),
    [
        (WWW, WWW, 0o700, f"may be changed by www-data: {RUN_AS}chown -R root: "),
        (WWW, WWW, 0o755, f"may be changed by www-data: {RUN_AS}chown root "),
        (0, 0, 0o777, "may be changed by everybody: chmod o-w "),
        (0, SOC, 0o770, "may be changed by the group 4242: chmod g-w "),
        (0, 0, 0o1777, "may be changed by everybody: name a directory of its own in it"),
    ],
)
def test_root_does_not_use_a_state_directory_that_others_may_change(uid, gid, mode, line, state):
    state.state_path.mkdir()
    owned(state.state_path, uid, gid, mode)
    (problem,) = refused_state(state)
    assert problem.startswith(
        f"state_dir (environment MISP2SENTINEL_STATE_DIR) is not used by root: {state.state_path} {line}"
    )
    assert list(state.state_path.iterdir()) == []


@as_root
def test_a_state_directory_is_not_made_where_others_may_exchange_it(state):
    owned(state.state_path.parent, mode=0o777)
    assert f"chmod o-w {state.state_path.parent}" in refused_state(state)[0]
    assert not state.state_path.exists()
    owned(state.state_path.parent, mode=0o1777)
    make_state_dir(state)


@as_root
def test_root_after_runs_of_cron_s_user_is_told_both_ways(state):
    """What is in the directory counts too, and only what is ours."""
    make_state_dir(state)
    ledger = ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite.1.lock"]
    ours = [*ledger, "misp2sentinel.log", "parsed_indicators.txt", "run.0f.lock", "run.lock"]
    for name in [*ours, "somebody-elses.db"]:
        (state.state_path / name).write_text("")
        owned(state.state_path / name, WWW, WWW, 0o600)
    (problem,) = refused_state(state)
    assert all(str(state.state_path / name) in problem for name in ours)
    assert "somebody-elses" not in problem
    assert RUN_AS in problem
    (command,) = commands_in([problem])
    subprocess.run(["sh", "-euc", command], check=True)
    make_state_dir(state)


@as_root
@pytest.mark.parametrize("uses", ["status", "collect"])
def test_what_reads_in_it_is_refused_as_well(uses, state):
    state.state_path.mkdir()
    owned(state.state_path, WWW, WWW, 0o700)
    with pytest.raises(SettingsError, match="is not used by root"):
        if uses == "status":
            with ledger_destinations(state):
                pass
        else:
            from helpers.commands.collect import collect

            collect(state, None, None)
    assert list(state.state_path.iterdir()) == []


@as_root
def test_check_has_a_line_for_each_place(state):
    state.state_path.mkdir()
    for place in (state.state_path, state.state_path.parent):
        owned(place, WWW, WWW, 0o700 if place == state.state_path else 0o755)
    lines = Said()
    assert not Preflight(state, lines.say)._step("state", lambda: make_state_dir(state), {"state_dir"})
    assert [line.partition(" is not used")[0] for line in lines] == [
        "FAIL state: state_dir (environment MISP2SENTINEL_STATE_DIR)"
    ] * 2
    assert all(line.endswith("[state_dir from environment MISP2SENTINEL_STATE_DIR]") for line in lines)


# emptyDir is root's and open to all; fsGroup gives it a group and the setgid bit (kubernetes.io, "Volumes" and
# "Configure a Security Context"); in Azure Files all is 0777, whatever chmod is told (learn.microsoft.com).
VOLUMES = {
    "emptyDir": (0, 0, 0o777, False),
    "emptyDir with fsGroup": (0, SOC, 0o2777, False),
    "fsGroup of a disk": (0, SOC, 0o2775, False),
    "Azure Files": (0, 0, 0o777, True),
}


@pytest.fixture
def volume():
    """The settings of a container whose state_dir is a volume; any user may come as far."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield settings_with(Path(folder) / "volume", **{places.CONTAINER_VARIABLE: "192.0.2.1"})


@contextmanager
def acting_as(user, group):
    os.setresgid(group, group, 0)
    os.setresuid(user, user, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)


@as_root
@pytest.mark.parametrize("user", [0, SOC])
@pytest.mark.parametrize("kind", VOLUMES)
def test_the_volumes_of_containers_work_and_check_warns(kind, user, volume, monkeypatch):
    uid, gid, mode, deaf = VOLUMES[kind]
    volume.state_path.mkdir()
    owned(volume.state_path, uid, gid, mode)
    if deaf:
        monkeypatch.setattr(os, "fchmod", lambda *_: None)
    with acting_as(user, SOC):
        make_state_dir(volume)
        try_out(volume.log_path)
        Database(volume.ledger_url).close()
        warnings = [warning for _, warning in cross_checks.distrusted_places(volume)]
    mine = user == SOC and kind == "fsGroup of a disk"
    assert any(f"{volume.state_path} may be changed by" in warning for warning in warnings) is not mine


@as_root
def test_without_a_container_another_user_is_warned_only(state, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: WWW)
    state = settings_with(state.state_path)
    state.state_path.mkdir()
    owned(state.state_path, WWW, WWW, 0o777)
    make_state_dir(state)
    ((name, warning),) = cross_checks.distrusted_places(state)
    assert (name, warning) == (
        "state_dir",
        f"{state.state_path} may be changed by everybody: as root, chmod go-w {state.state_path}",
    )


@as_root
@pytest.mark.parametrize("sign", environment.FUNCTION_SIGNS)
def test_a_function_is_one_by_the_environment_that_its_settings_came_from(sign, state):
    """Not every plan shows it to the process."""
    state.state_path.mkdir()
    owned(state.state_path, mode=0o777)
    assert refused_state(state)
    make_state_dir(settings_with(state.state_path, **{sign: "python", "MISP2SENTINEL_STATE_URL": "none"}))
