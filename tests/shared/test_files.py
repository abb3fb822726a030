"""Whose a refused file is, and what to do about it, as www-data sees what root left."""

import errno
import os
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers import files
from helpers.errors import LedgerError, SettingsError
from helpers.files import (
    OddFile,
    make_private_directory,
    open_file,
    open_private,
    permission_hint,
    user_name,
    write_whole,
)
from helpers.ledger.database import Database, known_destinations
from helpers.ledger.databases import sqlite
from helpers.process import log
from helpers.settings import validators
from tests.support.files.odd_files import ODD_FILES

OTHER = os.geteuid() + 4321


@pytest.fixture
def as_another(monkeypatch):
    """This process takes itself for a user without a name, whose nothing here is."""
    monkeypatch.setattr(files.os, "geteuid", lambda: OTHER)


def refused(path, number=errno.EACCES):
    return OSError(number, os.strerror(number), str(path))


def make_state(tmp_path, mode, name="state"):
    place = tmp_path / name
    place.mkdir()
    place.chmod(mode)
    (place / "misp2sentinel.log").write_text("")
    return place, place / "misp2sentinel.log"


def test_a_private_directory_is_given_away_whole(tmp_path, as_another):
    place, file = make_state(tmp_path, 0o700, "of one")
    assert permission_hint(refused(file)) == (
        f"{file} belongs to {user_name(os.getuid())} (did root run this once?). As root: chown -R {OTHER} '{place}'"
    )


def test_what_root_left_in_this_users_directory(tmp_path, monkeypatch):
    place, file = make_state(tmp_path, 0o755)
    whole, real = f"chown -R {user_name()}: {place}", type(file).stat

    def of_another(path, **options):
        status = real(path, **options)
        return SimpleNamespace(st_uid=OTHER, st_mode=status.st_mode) if path == file else status

    monkeypatch.setattr(type(file), "stat", of_another)
    assert permission_hint(refused(file)).endswith(whole)


def test_a_file_of_another_that_may_not_be_replaced_is_given_away_and_not_its_directory(tmp_path, as_another):
    _, file = make_state(tmp_path, 0o1775)
    error = OSError(errno.EPERM, os.strerror(errno.EPERM), f"{file}.draft", None, str(file))
    assert permission_hint(error).endswith(f"As root: chown {OTHER} {file}")


def test_a_directory_that_others_use_is_not_given_away(tmp_path, as_another):
    place, file = make_state(tmp_path, 0o755)
    assert permission_hint(refused(file)).endswith(f"chown {OTHER} {file}")
    assert "chown" not in permission_hint(refused(place / "absent.log"))


def test_nobodys_home_is_given_away(tmp_path, as_another, monkeypatch):
    place, _ = make_state(tmp_path, 0o700)
    monkeypatch.setattr(files.pwd, "getpwall", lambda: [SimpleNamespace(pw_dir=str(place))])
    assert "chown" not in permission_hint(refused(place / "absent.log"))
    assert "chown" not in permission_hint(refused(place / "far" / "absent.log"))


@pytest.mark.parametrize("error", [refused("/tmp", errno.ENOSPC), OSError(errno.EACCES, "no name")])
def test_other_errors_get_no_hint(as_another, error):
    assert permission_hint(error) == ""


def test_log_and_ledger_say_it(tmp_path, as_another, monkeypatch):
    place, file = make_state(tmp_path, 0o700)

    def no(path, _flags):
        raise refused(path)

    monkeypatch.setattr(log, "open_private", no)
    monkeypatch.setattr(sqlite, "open_private", no)
    with pytest.raises(SettingsError, match=f"log_file cannot be written .*chown -R {OTHER} {place}"):
        log.try_out(file)
    with pytest.raises(LedgerError, match=rf"cannot be used \(state_url\).*chown -R {OTHER} {place}"):
        Database(f"sqlite:///{place / 'ledger.sqlite'}")


@pytest.fixture
def shut(tmp_path):
    """A directory that this process may not enter, also where root runs the tests."""
    place = tmp_path / "shut"
    place.mkdir(mode=0o700)
    place.chmod(0o000)
    before = os.getresuid()
    os.setresuid(*[before[1] or 65534] * 2, before[2])
    try:
        yield place
    finally:
        os.setresuid(*before)
        place.chmod(0o700)


def test_a_log_in_a_directory_that_may_not_be_entered_is_reported(shut):
    with pytest.raises(SettingsError, match="log_file cannot be written"):
        log.try_out(shut / "misp2sentinel.log")


def test_a_bundle_in_a_directory_that_may_not_be_entered_is_reported(shut):
    with pytest.raises(ValueError, match="may not read"):
        validators.certificates(str(shut / "ca.pem"))


def test_a_ledger_in_a_directory_that_may_not_be_entered_is_reported(shut):
    for dry in (True, False):
        with pytest.raises(LedgerError, match="Permission denied"):
            Database(f"sqlite:///{shut / 'ledger.sqlite'}", dry=dry)
    with pytest.raises(LedgerError, match="Permission denied"):
        known_destinations(f"sqlite:///{shut / 'ledger.sqlite'}")


# --- nothing but files and directories -------------------------------------------------------------


@pytest.mark.parametrize("opened", [open_file, open_private])
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY | os.O_APPEND, os.O_WRONLY | os.O_TRUNC, os.O_RDWR])
@pytest.mark.parametrize("odd", ODD_FILES)
def test_nothing_but_a_file_is_opened(odd, flags, opened, tmp_path):
    ODD_FILES[odd](tmp_path / "dump")
    with pytest.raises(OddFile, match=f"dump is {odd}.*, which is refused"):
        opened(tmp_path / "dump", flags)
    assert not (tmp_path / "precious").exists()


@pytest.mark.parametrize("odd", ["a symbolic link", "a pipe"])
def test_what_is_put_there_while_it_is_opened_is_refused_and_not_waited_for(odd, tmp_path, monkeypatch):
    monkeypatch.setattr(type(tmp_path), "lstat", lambda path: Path(__file__).stat())
    ODD_FILES[odd](tmp_path / "dump")
    with pytest.raises(OSError):
        open_private(tmp_path / "dump", os.O_WRONLY)
    with pytest.raises(OSError):
        open_private(tmp_path / "dump", os.O_RDWR)


def test_a_device_is_no_file():
    with pytest.raises(OddFile, match="/dev/null is a device, which is refused"):
        open_private(Path(os.devnull), os.O_WRONLY)


def test_a_refused_file_is_left_as_it_is(tmp_path):
    os.mkfifo(tmp_path / "dump", 0o644)
    with pytest.raises(OddFile):
        open_private(tmp_path / "dump", os.O_RDWR)
    assert (tmp_path / "dump").stat().st_mode & 0o777 == 0o644


def test_no_descriptor_is_left_open(tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, "fchmod", lambda *_: (_ for _ in ()).throw(refused(tmp_path)))
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(PermissionError):
        open_private(tmp_path / "dump", os.O_WRONLY)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_directory_is_none_that_a_link_leads_to(tmp_path):
    (tmp_path / "far").mkdir(mode=0o755)
    (tmp_path / "logs").symlink_to("far")
    with pytest.raises(OddFile, match=f"logs is a symbolic link to {tmp_path}/far, which is refused"):
        make_private_directory(tmp_path / "logs")
    (tmp_path / "file").write_text("")
    with pytest.raises(OddFile, match="file is a file, which is refused"):
        make_private_directory(tmp_path / "file")


def test_a_directory_below_a_link_is_made_for_its_owner_alone(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to("far")
    make_private_directory(tmp_path / "near" / "state")
    make_private_directory(tmp_path / "near" / "state")
    assert (tmp_path / "far" / "state").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("odd", ODD_FILES)
@pytest.mark.parametrize("name", ["ledger.sqlite", "ledger.sqlite.1.lock"])
def test_ledger_and_lock_are_files_and_nothing_else(odd, name, tmp_path):
    ODD_FILES[odd](tmp_path / name)
    with pytest.raises(LedgerError, match=f"{name} is {odd}.*, which is refused.*[Tt]ake it away"):
        database = Database(f"sqlite:///{tmp_path}/ledger.sqlite")
        with closing(database), database.hold_lock(1):
            pass
    assert not (tmp_path / "precious").exists()


# -- written whole ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_is_replaced_whole_and_read_by_whom_it_is_for(tmp_path, mode):
    path = tmp_path / "metrics.prom"
    reader = path.open("w+")
    write_whole(path, "first", mode)
    write_whole(path, "second", mode)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("second", mode)
    assert reader.read() == "", "who had the file that was there before keeps that"
    reader.close()
    assert [*tmp_path.iterdir()] == [path]


def test_a_file_that_cannot_be_written_whole_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "metrics.prom"
    write_whole(path, "first")

    def no_room(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", no_room)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, "second")
    assert (path.read_text(), [*tmp_path.iterdir()]) == ("first", [path])


@pytest.mark.parametrize("kind", ODD_FILES)
def test_nothing_but_a_file_is_replaced(tmp_path, kind):
    path, precious = tmp_path / "metrics.prom", tmp_path / "precious"
    precious.write_text("precious")
    ODD_FILES[kind](path)
    with pytest.raises(OddFile, match=kind):
        write_whole(path, "numbers")
    assert precious.read_text() == "precious"


def test_what_a_killed_process_of_the_same_number_left_is_in_nobodys_way(tmp_path):
    draft = tmp_path / f".metrics.prom.{os.getpid()}"
    draft.symlink_to(tmp_path / "precious")
    write_whole(tmp_path / "metrics.prom", "numbers")
    assert [*tmp_path.iterdir()] == [tmp_path / "metrics.prom"]
